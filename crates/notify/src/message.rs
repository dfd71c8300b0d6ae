//! One message to one team by one channel.

use model::{Breach, Broken, ByMode};
use serde_json::{Value, json};
use twox_hash::XxHash3_64;

use crate::ledger::{Known, component};
use crate::{Channel, words};

/// Breaches that a message shows; of more it says how many.
pub(crate) const ITEMS_MAX: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Nothing was told of these before.
    First,
    /// They were told, and go on.
    Digest,
    Fixed,
    /// Somebody wants to know whether it arrives.
    Test,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Digest => "digest",
            Self::Fixed => "fixed",
            Self::Test => "test",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The same when the same is sent again, so that a receiver can tell.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) team: String,
    pub(crate) channel: Channel,
    /// As the team's contact has it.
    pub(crate) to: String,
    pub(crate) at_ms: i64,
    pub(crate) items: Vec<Item>,
    /// Further ones, which it only counts.
    pub(crate) more: usize,
    /// All that are told by it.
    pub(crate) covers: Vec<Cover>,
    /// Of GitHub: the issue that they were told in before.
    pub(crate) issue: Option<u64>,
    /// Of GitHub: nothing else is open in the issue.
    pub(crate) closes: bool,
    /// Where the records can be looked at; empty where nobody says.
    pub(crate) link: String,
}

/// A breach as it is when the message is made.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) breach: Breach,
    pub(crate) broken: Broken,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) since_told: ByMode,
}

/// What holds for a breach once the message has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Cover {
    pub(crate) breach: Breach,
    pub(crate) records: ByMode,
    pub(crate) last_ms: i64,
}

impl Item {
    pub(crate) fn of(breach: &Breach, known: &Known, channel: Channel) -> Self {
        let before = known.told.get(&channel).map(|told| told.records).unwrap_or_default();
        let all = known.broken.records;
        let since_told = ByMode {
            observed: all.observed.saturating_sub(before.observed),
            quarantined: all.quarantined.saturating_sub(before.quarantined),
            rejected: all.rejected.saturating_sub(before.rejected),
        };
        Self { breach: breach.clone(), broken: known.broken.clone(), first_ms: known.first_ms, last_ms: known.last_ms, since_told }
    }

    pub(crate) fn component(&self) -> String {
        component(&self.breach)
    }
}

/// Of whom, of what and since when: what says the same has the same.
pub(crate) fn id(kind: Kind, team: &str, channel: Channel, told: &[(&Breach, i64)]) -> String {
    let mut hash = XxHash3_64::oneshot(format!("{}\0{team}\0{}", kind.name(), channel.name()).as_bytes());
    for (breach, since_ms) in told {
        let Breach { business_service, service, component, contract, rule, path } = breach;
        let text = [business_service, service, component, contract, rule, path].map(String::as_str).join("\0");
        hash = XxHash3_64::oneshot_with_seed(hash, format!("{text}\0{since_ms}").as_bytes());
    }
    format!("{hash:016x}")
}

impl Message {
    /// As plain text: the body of a mail.
    pub(crate) fn text(&self) -> String {
        let mut text = words::opening(self);
        for item in &self.items {
            text.push_str("\n\n");
            let rows = words::rows(item, self.kind);
            text.push_str(&rows.iter().map(|(word, said)| format!("{word:<10}{said}")).collect::<Vec<_>>().join("\n"));
        }
        if self.more > 0 {
            text.push_str(&format!("\n\nAnd {} more.", self.more));
        }
        if !self.link.is_empty() {
            text.push_str(&format!("\n\n{}", self.link));
        }
        text.push('\n');
        text
    }

    /// For programs: `docs/notifications.md` says what each key means.
    pub(crate) fn json(&self) -> Value {
        let breaches = self.items.iter().map(|item| {
            let (breach, broken) = (&item.breach, &item.broken);
            json!({
                "business_service": breach.business_service,
                "service": breach.service,
                "component": breach.component,
                "contract": breach.contract,
                "contract_version": broken.version,
                "rule": breach.rule,
                "path": breach.path,
                "expected": broken.expected,
                "found": broken.found,
                "at": broken.at,
                "fix": words::fix(breach, &broken.expected, &broken.at),
                "records": broken.records,
                "records_since_told": item.since_told,
                "first": words::instant(item.first_ms),
                "last": words::instant(item.last_ms),
                "sample": broken.sample,
            })
        });
        json!({
            "version": 1,
            "id": self.id,
            "kind": self.kind.name(),
            "team": self.team,
            "time": words::instant(self.at_ms),
            "title": words::title(self),
            "breaches": breaches.collect::<Vec<_>>(),
            "breaches_left_out": self.more,
            "link": self.link,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// About a record whose attribute is called so.
    pub(crate) fn message(path: &str) -> Message {
        let breach = Breach {
            business_service: "payments".into(),
            service: "cards".into(),
            component: "card-api".into(),
            contract: "payments".into(),
            rule: "enum".into(),
            path: path.into(),
        };
        let broken = Broken {
            version: "1.2.0".into(),
            expected: "one of [\"card\"]".into(),
            found: "a string of 1 to 8 bytes".into(),
            at: "contracts/payments.json:9".into(),
            sample: [(path.to_owned(), "a string of 1 to 8 bytes".to_owned())].into(),
            records: ByMode { quarantined: 4, ..ByMode::default() },
        };
        let at_ms = 1_795_341_600_000;
        let known = Known { first_ms: at_ms, last_ms: at_ms + 60_000, broken, ..Known::default() };
        Message {
            id: "0123456789abcdef".into(),
            kind: Kind::First,
            team: "till".into(),
            channel: Channel::Email,
            to: "till@example.com".into(),
            at_ms: at_ms + 90_000,
            items: vec![Item::of(&breach, &known, Channel::Email)],
            more: 0,
            covers: Vec::new(),
            issue: None,
            closes: false,
            link: "https://tyto.example.com/quarantine?team=till".into(),
        }
    }

    #[test]
    fn a_message_says_what_is_wrong_since_when_and_what_to_do() {
        let message = message("payment.method");
        assert_eq!(words::title(&message), "payments/cards/card-api: payment.method breaks contract payments (enum)");
        let expected = "\
Records of yours break their contract. The sender has to be fixed, or the contract.

Component payments/cards/card-api
Contract  payments 1.2.0
Attribute payment.method
Rule      enum at contracts/payments.json:9
Expected  one of [\"card\"]
Found     a string of 1 to 8 bytes
Records   4 quarantined since 2026-11-22T10:00:00Z
Last      2026-11-22T10:01:00Z
Fix       Send payment.method as one of [\"card\"], or add the new value at contracts/payments.json:9.
A record  payment.method: a string of 1 to 8 bytes

https://tyto.example.com/quarantine?team=till
";
        assert_eq!(message.text(), expected);
        let json = message.json();
        assert_eq!((&json["kind"], &json["breaches"][0]["records"]["quarantined"]), (&json!("first"), &json!(4)));
    }
}
