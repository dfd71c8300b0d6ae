//! Decides who is told what now, and books what became of it. It knows no clock and no network: both are told to it.

use std::collections::{BTreeMap, HashMap};

use catalog::{Catalog, Channels, Owner};
use model::{Breach, CountedBreaches, Identity};

use crate::Channel;
use crate::due::{Now, due, is_quiet};
use crate::lane::{Lane, Verdict};
use crate::ledger::{Issue, Known, Ledger, Told, component};
use crate::message::{Kind, Message};
use crate::send::{Failure, Sent};

/// Messages under way at one time.
const SENDING_MAX: usize = 64;

pub(crate) struct Desk {
    pub(crate) ledger: Ledger,
    lanes: HashMap<(String, Channel), Lane>,
    /// Of each breach, by the catalogue of this version.
    owners: (u64, HashMap<Breach, Option<Owner>>),
    started_ms: i64,
    sending: usize,
    /// More than counts has changed since the ledger was last written.
    pub(crate) must_keep: bool,
}

impl Desk {
    pub(crate) fn new(ledger: Ledger, started_ms: i64) -> Self {
        Self { ledger, lanes: HashMap::new(), owners: (0, HashMap::new()), started_ms, sending: 0, must_keep: false }
    }

    /// Gives how many records are left out.
    pub(crate) fn book(&mut self, counted: CountedBreaches, now_ms: i64) -> u64 {
        let before = self.ledger.breaches.len();
        let left_out = self.ledger.book(counted, now_ms);
        self.must_keep |= self.ledger.breaches.len() != before;
        left_out
    }

    /// The messages that are to be sent now; each is under way until [`Self::done`].
    pub(crate) fn due(&mut self, (version, catalog): (u64, &Catalog), channels: &Channels, now_ms: i64) -> Vec<Message> {
        let now = Now { ms: now_ms, started_ms: self.started_ms };
        if self.owners.0 != version {
            self.owners = (version, HashMap::new());
        }
        let Self { ledger, owners: (_, owners), lanes, .. } = self;
        for breach in ledger.breaches.keys() {
            if !owners.contains_key(breach) {
                owners.insert(breach.clone(), owner(catalog, breach));
            }
        }
        let before = ledger.breaches.len();
        let team = |breach: &Breach| owners[breach].as_ref().map(|owner| owner.team.clone()).unwrap_or_default();
        let open = |breach: &Breach| owners[breach].as_ref().map(|owner| open(owner, channels)).unwrap_or_default();
        ledger.settle(
            team,
            |breach| open(breach).into_iter().map(|(channel, _)| channel).collect(),
            |known| is_quiet(known, channels, now),
        );
        self.must_keep |= ledger.breaches.len() != before;
        self.must_keep |= tell_of_the_unheard(ledger, |breach| open(breach).is_empty());

        let mut teams: BTreeMap<&str, Vec<(&Breach, &Known)>> = BTreeMap::new();
        for (breach, known) in ledger.breaches.iter().filter(|(_, known)| !known.team.is_empty()) {
            teams.entry(&known.team).or_default().push((breach, known));
        }
        let mut messages = Vec::new();
        for (team, breaches) in &teams {
            for (channel, to) in open(breaches[0].0) {
                if self.sending >= SENDING_MAX {
                    break;
                }
                let lane = lanes.entry(((*team).to_owned(), channel)).or_default();
                if !lane.is_free(now_ms, channels.messages_per_hour_max) {
                    continue;
                }
                if let Some(message) = due(breaches, (team, channel, &to), channels, now) {
                    lane.is_busy = true;
                    self.sending += 1;
                    messages.push(message);
                }
            }
        }
        lanes.retain(|_, lane| !lane.is_idle(now_ms));
        owners.retain(|breach, _| ledger.breaches.contains_key(breach));
        messages
    }

    /// `spread` is 0 to 1, by chance.
    pub(crate) fn done(&mut self, message: &Message, result: &Result<Sent, Failure>, now_ms: i64, spread: f64) {
        self.sending -= 1;
        let lane = self.lanes.entry((message.team.clone(), message.channel)).or_default();
        let (channel, kind) = (message.channel.name(), message.kind.name());
        let count = |result: &'static str| {
            metrics::counter!("tyto_notifications_total", "channel" => channel, "kind" => kind, "result" => result).increment(1);
        };
        match result {
            Ok(sent) => {
                lane.sent(now_ms);
                count("sent");
                tracing::info!("{} is told by {channel} ({kind}): {}", message.team, sent.answer);
                self.told(message, sent.issue.or(message.issue), now_ms);
            }
            Err(failure) => {
                metrics::counter!("tyto_notification_failures_total", "channel" => channel, "reason" => failure.reason).increment(1);
                match lane.failed(failure, now_ms, spread) {
                    Verdict::Again => {
                        count("retried");
                        tracing::warn!("cannot tell {} by {channel} ({kind}), it is tried again: {}", message.team, failure.why);
                    }
                    Verdict::GivenUp => {
                        count("dropped");
                        tracing::error!("cannot tell {} by {channel} ({kind}), it is given up: {}", message.team, failure.why);
                        // An issue that is gone takes no further comment; the next digest files another.
                        self.told(message, None, now_ms);
                    }
                }
            }
        }
    }

    fn told(&mut self, message: &Message, issue: Option<u64>, now_ms: i64) {
        self.must_keep = true;
        let issue = issue.map(|number| Issue { repository: message.to.clone(), number });
        for cover in &message.covers {
            let Some(known) = self.ledger.breaches.get_mut(&cover.breach).filter(|known| known.team == message.team) else { continue };
            let fixed = message.kind == Kind::Fixed;
            if fixed && known.last_ms > cover.last_ms {
                // It broke again while that was said, which has to be said anew.
                known.told.remove(&message.channel);
                continue;
            }
            known.told.insert(message.channel, Told { at_ms: now_ms, records: cover.records, fixed, issue: issue.clone() });
        }
    }
}

/// The team that answers for it now, with its contacts.
fn owner(catalog: &Catalog, breach: &Breach) -> Option<Owner> {
    let Breach { business_service, service, component, .. } = breach.clone();
    catalog.owner(&Identity { business_service, service, component, ..Identity::default() }).cloned()
}

/// The ways by which a team is told, and where.
fn open(owner: &Owner, channels: &Channels) -> Vec<(Channel, String)> {
    Channel::ALL.into_iter().filter_map(|channel| Some((channel, channel.to(owner, channels)?))).collect()
}

/// Breaches of which nobody can be told are said in Tyto's own log, once. Gives whether there are new ones.
fn tell_of_the_unheard(ledger: &mut Ledger, is_unheard: impl Fn(&Breach) -> bool) -> bool {
    let mut is_new = false;
    for (breach, known) in &mut ledger.breaches {
        let unheard = is_unheard(breach);
        if unheard && !known.unheard {
            metrics::counter!("tyto_notifications_total", "channel" => "none", "kind" => Kind::First.name(), "result" => "nobody")
                .increment(1);
            let team = if known.team.is_empty() { "it has no owner" } else { known.team.as_str() };
            tracing::warn!("nobody can be told that {} breaks contract {}: no way is open to {team}", component(breach), breach.contract);
        }
        is_new |= unheard != known.unheard;
        known.unheard = unheard;
    }
    is_new
}

#[cfg(test)]
mod tests;
