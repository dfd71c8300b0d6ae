//! What is broken, by component and rule, and who has been told what of it.

use std::collections::BTreeMap;

use model::{Breach, Broken, ByMode, CountedBreaches};
use serde::{Deserialize, Serialize};

use crate::Channel;
use crate::words::clean;

/// Breaches that are known at one time. Records of further ones are counted.
pub(crate) const BREACHES_MAX: usize = 1000;
/// Of one component and contract; all further ones are one, so that a sender of ever new names does not take everybody's room.
pub(crate) const OF_COMPONENT_MAX: usize = 50;
/// In place of the rule and path of those.
pub(crate) const OTHERS: &str = "(others)";

/// Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) breaches: BTreeMap<Breach, Known>,
}

/// What is known of a breach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Whose it was when it was last looked at. Another team is told from the beginning.
    pub(crate) team: String,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// The newest; its records are all since the first.
    pub(crate) broken: Broken,
    pub(crate) told: BTreeMap<Channel, Told>,
    /// Nobody can be told, which was said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unheard: bool,
}

/// What was last told of it by a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) at_ms: i64,
    /// How many records there were by then.
    pub(crate) records: ByMode,
    /// That it is fixed: nothing is left to say.
    pub(crate) fixed: bool,
    /// The issue that tells it, with its repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) issue: Option<Issue>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Issue {
    pub(crate) repository: String,
    pub(crate) number: u64,
}

impl Ledger {
    /// Books what was counted; gives how many records are left out.
    pub(crate) fn book(&mut self, counted: CountedBreaches, now_ms: i64) -> u64 {
        let mut left_out = counted.left_out;
        let mut counted: Vec<_> = counted.breaches.into_iter().collect();
        // Which of too many are known must not hang on the order of a hash.
        counted.sort_by(|a, b| a.0.cmp(&b.0));
        for (breach, broken) in counted {
            let breach = self.admit(breach);
            if !self.breaches.contains_key(&breach) && self.breaches.len() >= BREACHES_MAX {
                left_out += broken.records.all();
                continue;
            }
            let known = self.breaches.entry(breach).or_insert_with_key(|breach| {
                tracing::info!("{}: {} breaks {} of contract {}", component(breach), clean(&breach.path, 60), breach.rule, breach.contract);
                Known { first_ms: now_ms, ..Known::default() }
            });
            known.again(broken, now_ms);
        }
        left_out
    }

    /// Under which name it is known.
    fn admit(&self, breach: Breach) -> Breach {
        if self.breaches.contains_key(&breach) {
            return breach;
        }
        // They stand beside each other.
        let from = Breach { rule: String::new(), path: String::new(), ..breach.clone() };
        let of = |it: &'_ Breach| {
            (&it.business_service, &it.service, &it.component, &it.contract)
                == (&breach.business_service, &breach.service, &breach.component, &breach.contract)
        };
        match self.breaches.range(from..).take_while(|(other, _)| of(other)).count() < OF_COMPONENT_MAX {
            true => breach,
            false => Breach { rule: OTHERS.to_owned(), path: OTHERS.to_owned(), ..breach },
        }
    }

    /// Notes whose each breach is now. Of what is fixed is forgotten what everybody has been told, and what nobody can be told.
    pub(crate) fn settle(
        &mut self,
        mut team_of: impl FnMut(&Breach) -> String,
        mut channels_of: impl FnMut(&Breach) -> Vec<Channel>,
        is_quiet: impl Fn(&Known) -> bool,
    ) {
        self.breaches.retain(|breach, known| {
            let team = team_of(breach);
            if team != known.team {
                known.team = team;
                known.told.clear();
            }
            let open = channels_of(breach);
            // By a way that is closed by now nobody will be told any more.
            let all_told = open.iter().all(|channel| known.told.get(channel).is_some_and(|told| told.fixed));
            !all_told || open.is_empty() && !is_quiet(known)
        });
    }
}

impl Known {
    fn again(&mut self, broken: Broken, now_ms: i64) {
        let mut records = self.broken.records;
        records.add(broken.records);
        self.broken = Broken { records, ..broken };
        self.last_ms = now_ms;
        // Whoever was told that it is fixed is told anew.
        self.told.retain(|_, told| !told.fixed);
    }
}

/// As much of the component's path as is declared.
pub(crate) fn component(breach: &Breach) -> String {
    let parts = [&breach.business_service, &breach.service, &breach.component];
    parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(paths: &[&str]) -> CountedBreaches {
        let mut counted = CountedBreaches::default();
        for path in paths {
            let breach = Breach { business_service: "pay".into(), contract: "pay".into(), path: (*path).into(), ..Breach::default() };
            let records = ByMode { quarantined: 2, ..ByMode::default() };
            counted.breaches.insert(breach, Broken { records, ..Broken::default() });
        }
        counted
    }

    #[test]
    fn records_are_added_up_since_the_first() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.book(counted(&["a"]), 10), 0);
        assert_eq!(ledger.book(counted(&["a", "b"]), 20), 0);
        let (_, a) = ledger.breaches.first_key_value().unwrap();
        assert_eq!((a.first_ms, a.last_ms, a.broken.records.quarantined, ledger.breaches.len()), (10, 20, 4, 2));
    }

    #[test]
    fn too_many_of_one_component_are_one() {
        let mut ledger = Ledger::default();
        let names: Vec<String> = (0..200).map(|number| format!("name {number:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(ledger.book(counted(&names), 1), 0, "all are counted");
        assert_eq!(ledger.breaches.len(), OF_COMPONENT_MAX + 1);
        let others = ledger.breaches.iter().find(|(breach, _)| breach.rule == OTHERS).unwrap();
        assert_eq!(others.1.broken.records.all(), 2 * (200 - OF_COMPONENT_MAX as u64));
    }

    #[test]
    fn too_many_of_all_are_counted() {
        let mut ledger = Ledger::default();
        let mut many = CountedBreaches { left_out: 3, ..CountedBreaches::default() };
        for number in 0..BREACHES_MAX + 10 {
            let breach = Breach { component: format!("{number:05}"), ..Breach::default() };
            many.breaches.insert(breach, Broken { records: ByMode { observed: 1, ..ByMode::default() }, ..Broken::default() });
        }
        assert_eq!(ledger.book(many, 1), 13);
        assert_eq!(ledger.breaches.len(), BREACHES_MAX);
    }

    #[test]
    fn another_owner_is_told_from_the_beginning() {
        let mut ledger = Ledger::default();
        ledger.book(counted(&["a"]), 1);
        owned_by(&mut ledger, "till").told.insert(Channel::Email, Told::default());
        assert_eq!(owned_by(&mut ledger, "till").told.len(), 1);
        assert_eq!(owned_by(&mut ledger, "cards").told.len(), 0);
        owned_by(&mut ledger, "cards").told.insert(Channel::Email, Told { fixed: true, ..Told::default() });
        ledger.settle(|_| "cards".into(), |_| vec![Channel::Email], |_| true);
        assert!(ledger.breaches.is_empty(), "everybody knows that it is fixed");
    }

    fn owned_by<'a>(ledger: &'a mut Ledger, team: &str) -> &'a mut Known {
        ledger.settle(|_| team.to_owned(), |_| vec![Channel::Email], |_| false);
        ledger.breaches.values_mut().next().unwrap()
    }
}
