//! What breaks contracts, counted until whoever tells the owners comes for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde::{Deserialize, Serialize};

/// Breaches that wait to be taken. Whoever takes them comes every second; what is beyond is counted, and told as that.
const BREACHES_MAX: usize = 4096;

/// A component that breaks a rule, as far as the catalogue declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Breach {
    pub business_service: String,
    pub service: String,
    pub component: String,
    pub contract: String,
    /// The keyword of JSON Schema.
    pub rule: String,
    /// What breaks it: the attribute, or a path below one.
    pub path: String,
}

/// How often, and the newest that is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Of the contract, as its team numbers it.
    pub version: String,
    pub expected: String,
    /// Of what kind the value is, never the value.
    pub found: String,
    /// Where the rule stands: `file:line`.
    pub at: String,
    /// What attributes a record that breaks it has, and of what kind their values are.
    pub sample: BTreeMap<String, String>,
    pub records: ByMode,
}

/// Records, by what happened to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByMode {
    pub observed: u64,
    pub quarantined: u64,
    pub rejected: u64,
}

impl ByMode {
    pub fn all(self) -> u64 {
        self.observed + self.quarantined + self.rejected
    }

    pub fn add(&mut self, more: Self) {
        self.observed += more.observed;
        self.quarantined += more.quarantined;
        self.rejected += more.rejected;
    }
}

/// Counts breaches. Those who take records in add to it, under a lock that is held for the look-up of a name: nobody who sends waits for
/// somebody who is told. Refused: a queue between the two, which counts too little when it is full.
#[derive(Debug, Default)]
pub struct Breaches(Mutex<Counted>);

/// What came since it was last taken.
#[derive(Debug, Default)]
pub struct Counted {
    pub breaches: HashMap<Breach, Broken>,
    /// Records that broke rules of further ones.
    pub left_out: u64,
}

impl Breaches {
    pub fn add(&self, more: Counted) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.left_out += more.left_out;
        for (breach, broken) in more.breaches {
            let is_full = counted.breaches.len() >= BREACHES_MAX;
            match counted.breaches.entry(breach) {
                Entry::Occupied(mut known) => {
                    let mut records = known.get().records;
                    records.add(broken.records);
                    known.insert(Broken { records, ..broken });
                }
                Entry::Vacant(free) if !is_full => drop(free.insert(broken)),
                Entry::Vacant(_) => counted.left_out += broken.records.all(),
            }
        }
    }

    pub fn take(&self) -> Counted {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(breaches: impl IntoIterator<Item = (Breach, Broken)>, left_out: u64) -> Counted {
        Counted { breaches: breaches.into_iter().collect(), left_out }
    }

    fn broken(path: &str, observed: u64) -> (Breach, Broken) {
        let records = ByMode { observed, ..ByMode::default() };
        (Breach { path: path.to_owned(), ..Breach::default() }, Broken { found: format!("the {observed}."), records, ..Broken::default() })
    }

    #[test]
    fn breaches_are_counted_until_they_are_taken_and_the_newest_is_kept() {
        let breaches = Breaches::default();
        breaches.add(counted([broken("a", 1), broken("b", 2)], 0));
        breaches.add(counted([broken("a", 3)], 7));
        let counted = breaches.take();
        let a = &counted.breaches[&broken("a", 0).0];
        assert_eq!((a.records.observed, a.found.as_str(), counted.breaches.len(), counted.left_out), (4, "the 3.", 2, 7));
        assert!(breaches.take().breaches.is_empty());
    }

    #[test]
    fn what_is_too_much_is_counted_as_left_out() {
        let breaches = Breaches::default();
        for number in 0..BREACHES_MAX + 10 {
            breaches.add(counted([broken(&number.to_string(), 2)], 0));
        }
        breaches.add(counted([broken("0", 5)], 0));
        let counted = breaches.take();
        assert_eq!((counted.breaches.len(), counted.left_out), (BREACHES_MAX, 20));
        assert_eq!(counted.breaches[&broken("0", 0).0].records.observed, 7, "those that are known are counted still");
    }
}
