//! A contract as it is asked of records: for each attribute, and each column of the record itself, the rules that it must keep.

use std::fmt;

use catalog::Mode;
use hashbrown::HashMap;

use super::test::Test;
use super::tree::{NodeId, Tree};

pub(crate) type RuleId = u32;

/// One thing that a contract says.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The keyword of JSON Schema.
    pub(crate) keyword: &'static str,
    /// What it speaks of; of what is nested, the path is found with the value.
    pub(crate) path: String,
    /// In words, as the contract has it.
    pub(crate) expected: String,
    /// Where it stands: `file:line`.
    pub(crate) at: String,
    pub(crate) enforced: Enforced,
    pub(crate) test: Test,
}

/// What happens to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Enforced {
    pub(crate) mode: Mode,
    /// Of a hundred records, so many; the others are observed.
    pub(crate) percent: u8,
}

impl Enforced {
    /// For a record of this hash, which is the same whenever it comes.
    pub(crate) fn of_record(self, hash: u64) -> Mode {
        if hash % 100 < u64::from(self.percent) { self.mode } else { Mode::Observe }
    }
}

/// What is asked of one attribute or column.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) tests: Vec<RuleId>,
    /// Beyond tests of one value.
    pub(crate) nodes: Vec<NodeId>,
    /// That it is there.
    pub(crate) required: Vec<RuleId>,
}

/// Slots by name.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) slots: Vec<Slot>,
    pub(crate) names: Vec<String>,
    places: HashMap<String, u32>,
    /// Those that must be there.
    pub(crate) required: Vec<u32>,
}

impl Fields {
    pub(crate) fn place(&self, name: &str) -> Option<u32> {
        self.places.get(name).copied()
    }

    pub(crate) fn slot(&mut self, name: &str) -> &mut Slot {
        let place = *self.places.entry_ref(name).or_insert_with(|| {
            self.slots.push(Slot::default());
            self.names.push(name.to_owned());
            u32::try_from(self.slots.len()).expect("a file has under 2^32 names") - 1
        });
        &mut self.slots[place as usize]
    }

    pub(crate) fn require(&mut self, name: &str, rule: RuleId) {
        self.slot(name).required.push(rule);
        let place = self.places[name];
        if !self.required.contains(&place) {
            self.required.push(place);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// A contract with all that it takes over from others.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) contract: String,
    pub(crate) version: String,
    pub(crate) rules: Vec<Rule>,
    pub(crate) tree: Tree,
    /// Of the record.
    pub(crate) attributes: Fields,
    /// Columns that each record has its own of.
    pub(crate) columns: Fields,
    /// Columns that records of one origin share.
    pub(crate) origin: Fields,
    pub(crate) resource: Fields,
    pub(crate) scope: Fields,
    /// What is asked of the record as a whole, which has to be put together for it.
    pub(crate) whole: Vec<NodeId>,
    /// The columns that those speak of.
    pub(crate) whole_columns: Vec<&'static str>,
}

impl Plan {
    /// Whether nothing is asked of anybody.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(crate) fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id as usize]
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.path, self.keyword, self.expected)
    }
}
