//! What a block of rows must hold for a filter to keep one of them, in the terms of the file's own filter.

use std::sync::Arc;

use model::{Subject, Table};

use super::Plan;
use super::filter::{CompiledFilter, CompiledTest};
use crate::lake::fields::MAP;
use crate::lake::filter::{
    BlockFilter, GramMaps, WORD_BYTES_MIN, gram, map_columns, text_column, value, value_columns, value_seed, word, words,
};
use crate::lake::keys::MapKeys;

/// Grams and values that are all in a block which holds a certain text.
#[derive(Debug, Default, PartialEq)]
struct Probe {
    grams: Vec<u16>,
    values: Vec<u64>,
}

/// Of each list one probe must be found.
#[derive(Debug, Default)]
pub(crate) struct Probes(Vec<Vec<Probe>>);

/// The filters of some blocks, as far as probes look at them.
pub(crate) struct Looked {
    pub(crate) grams: Option<Arc<GramMaps>>,
    pub(crate) values: Option<BlockFilter>,
}

impl Probes {
    /// For filters that are bound to a file with these keys.
    pub(crate) fn of(plan: &Plan, filters: &[CompiledFilter], keys: &MapKeys) -> Self {
        let (table, mut all) = (plan.table, Vec::new());
        for filter in filters.iter().filter(|filter| !filter.negated) {
            match &filter.test {
                CompiledTest::OneOf(texts) if texts.iter().all(|text| !text.is_empty()) => {
                    all.extend(exactly(plan, &filter.subject, texts, keys));
                }
                CompiledTest::OneOf(_) | CompiledTest::Ints(..) | CompiledTest::Doubles(..) => {}
                CompiledTest::Contains(_) | CompiledTest::Whole(_) | CompiledTest::Matches(_) => {
                    if matches!(&filter.subject, Subject::Column(name) if text_column(table) == Some(name)) {
                        all.extend(filter.literals.iter().map(|list| list.iter().map(|literal| Probe::inside(literal)).collect()));
                    }
                }
            }
        }
        // One that asks for nothing is found everywhere.
        all.retain(|list: &Vec<Probe>| list.iter().all(|probe| *probe != Probe::default()));
        Self(all)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn want_grams(&self) -> bool {
        self.0.iter().flatten().any(|probe| !probe.grams.is_empty())
    }

    pub(crate) fn want_values(&self) -> bool {
        self.0.iter().flatten().any(|probe| !probe.values.is_empty())
    }

    /// Whether a block may hold a row that all filters keep.
    pub(crate) fn may_match(&self, looked: &Looked, block: usize) -> bool {
        let values =
            |probe: &Probe| looked.values.as_ref().is_none_or(|values| probe.values.iter().all(|&hash| values.may_hold(block, hash)));
        let grams = |probe: &Probe| looked.grams.as_ref().is_none_or(|grams| probe.grams.iter().all(|&gram| grams.has(block, gram)));
        self.0.iter().all(|list| list.iter().any(|probe| values(probe) && grams(probe)))
    }
}

/// The text is one of these; none when a place that may have it is in no filter.
fn exactly(plan: &Plan, subject: &Subject, texts: &[String], keys: &MapKeys) -> Option<Vec<Probe>> {
    let table = plan.table;
    let values = |seed: u64| texts.iter().map(|text| Probe { grams: Vec::new(), values: vec![value(seed, text)] }).collect();
    match subject {
        Subject::Column(name) if text_column(table) == Some(name) => Some(texts.iter().map(|text| Probe::whole(text.as_bytes())).collect()),
        Subject::Column(name) => match plan.declared.of_column(name) {
            // A value of the column is one of the attribute.
            Some(field) => exactly(plan, &Subject::Entry { column: MAP.to_owned(), key: field.key.clone() }, texts, keys),
            None => value_columns(table).contains(&name.as_str()).then(|| values(value_seed(name, None))),
        },
        Subject::Entry { column, key } => {
            let kept = map_columns(table).iter().any(|(name, _)| name == column);
            let has_doubles = keys.of_column(column).is_none_or(|known| known.doubles.contains(key));
            (kept && !has_doubles).then(|| values(value_seed(column, Some(key))))
        }
        Subject::Label { .. } => None,
        Subject::FirstOf(each) | Subject::AnyOf(each) => {
            let each = each.iter().map(|subject| exactly(plan, subject, texts, keys)).collect::<Option<Vec<_>>>()?;
            Some(each.into_iter().flatten().collect())
        }
    }
}

impl Probe {
    /// Somewhere in a text: words at the literal's ends may be parts of longer ones.
    fn inside(literal: &[u8]) -> Self {
        Self::new(literal, |start, end| start > 0 && end < literal.len())
    }

    fn whole(text: &[u8]) -> Self {
        Self::new(text, |_, _| true)
    }

    fn new(text: &[u8], is_whole: impl Fn(usize, usize) -> bool) -> Self {
        let mut grams: Vec<u16> = text.windows(3).map(|window| gram([window[0], window[1], window[2]])).collect();
        grams.sort_unstable();
        grams.dedup();
        let seed = text_column(Table::Logs).map_or(0, |column| value_seed(column, None));
        let whole = words(text).filter(|&(start, end)| end - start >= WORD_BYTES_MIN && is_whole(start, end));
        Self { grams, values: whole.map(|(start, end)| word(seed, &text[start..end])).collect() }
    }
}
