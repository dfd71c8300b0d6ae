//! Spans counted a batch at a time, where their groups are columns of few texts and nothing else is asked of them: each text of a batch is
//! looked at once, and a row is numbers.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use lang::traceql::{Attribute, Intrinsic, MetricsFunction};
use model::schema::column;
use model::{Error, Result};

use super::metrics::{Counted, Seen};
use super::source::{of_text, repeating_column, required};

/// Groups of a batch that may be in a table of all that there can be.
const TABLE_MAX: usize = 1 << 16;

/// What is read of each span.
#[derive(Clone)]
pub(super) struct Tally {
    by: Vec<Attribute>,
    /// The column of each of them.
    columns: Vec<&'static str>,
    wants_duration: bool,
    wants_examples: bool,
}

impl Tally {
    /// None where more is asked.
    pub(super) fn of(function: &MetricsFunction, wants_examples: bool) -> Option<Self> {
        let columns = function.by.iter().map(repeating_column).collect::<Option<Vec<_>>>()?;
        let wants_duration = match &function.of {
            None => false,
            Some(Attribute::Intrinsic(Intrinsic::Duration)) => true,
            Some(_) => return None,
        };
        let plain = function.compare.is_none();
        plain.then(|| Self { by: function.by.clone(), columns, wants_duration, wants_examples })
    }

    pub(super) fn columns(&self) -> Vec<String> {
        let mut all = self.columns.clone();
        all.push("start_time_unix_nano");
        if self.wants_duration || self.wants_examples {
            all.push("duration_nano");
        }
        if self.wants_examples {
            all.extend(["trace_id", "span_id"]);
        }
        all.sort_unstable();
        all.dedup();
        all.into_iter().map(str::to_owned).collect()
    }

    /// Those that may come as dictionaries.
    pub(super) fn dictionaries(&self) -> Vec<String> {
        self.columns.iter().map(|name| (*name).to_owned()).collect()
    }

    pub(super) fn add(&self, counted: &mut Counted, batch: &RecordBatch) -> Result<()> {
        counted.work(batch.num_rows())?;
        let starts: &Int64Array = column(batch, "start_time_unix_nano")?;
        let wanted = |wanted: bool| wanted.then(|| column::<Int64Array>(batch, "duration_nano")).transpose();
        let durations = wanted(self.wants_duration || self.wants_examples)?;
        let ids = self.wants_examples.then(|| Ok::<_, Error>([required(batch, "trace_id")?, required(batch, "span_id")?])).transpose()?;
        let coded = self.columns.iter().map(|name| Coded::of(batch, name)).collect::<Result<Vec<_>>>()?;
        let mut groups = Groups::new(&coded);
        let (mut until, mut from, mut step) = (i64::MIN, i64::MAX, None);
        for row in 0..batch.num_rows() {
            let start_ns = starts.value(row);
            // Rows mostly come in the order of time.
            if start_ns < from || start_ns > until {
                (step, from, until) = counted.step(start_ns);
            }
            let Some(step) = step else { continue };
            let place = groups.place(&coded, row);
            let group = match groups.known(place) {
                Some(group) => group,
                None => {
                    let group = counted.group(|at| of_text(&self.by[at], coded[at].text(row)))?;
                    groups.learn(place, group);
                    group
                }
            };
            let duration_ns = durations.map_or(0, |durations| durations.value(row));
            let value = self.wants_duration.then_some(duration_ns as f64 / 1e9);
            let id = |at: usize| ids.map_or("", |ids| model::logs::text_or_empty(ids[at], row));
            counted.count(group, step, value, || Seen { start_ns, duration_ns, trace_id: id(0), span_id: id(1) });
        }
        Ok(())
    }
}

/// A column of texts as numbers.
struct Coded<'a> {
    /// Of each row the place of its text.
    codes: Vec<u32>,
    /// The last is of rows without one.
    texts: Vec<&'a str>,
}

impl<'a> Coded<'a> {
    fn of(batch: &'a RecordBatch, name: &str) -> Result<Self> {
        let missing = || Error::internal(format!("cannot find column {name:?} in a record batch"));
        let array = batch.column_by_name(name).ok_or_else(missing)?;
        if !matches!(array.data_type(), DataType::Dictionary(..)) {
            return Ok(Self::of_texts(required(batch, name)?));
        }
        let other = || Error::internal(format!("cannot read column {name:?}: its dictionary has other types"));
        let dictionary = array.as_dictionary_opt::<Int32Type>().ok_or_else(other)?;
        let values = dictionary.values().as_string_opt::<i32>().ok_or_else(other)?;
        let texts: Vec<&str> = values.iter().map(Option::unwrap_or_default).chain([""]).collect();
        let none = values.len() as u32;
        let keys = dictionary.keys();
        let code = |row: usize| if keys.is_valid(row) { keys.value(row).cast_unsigned().min(none) } else { none };
        Ok(Self { codes: (0..keys.len()).map(code).collect(), texts })
    }

    fn of_texts(array: &'a StringArray) -> Self {
        let (mut places, mut texts, mut codes) = (HashMap::new(), Vec::new(), Vec::with_capacity(array.len()));
        for row in 0..array.len() {
            let text = model::logs::text_or_empty(array, row);
            codes.push(*places.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() as u32 - 1
            }));
        }
        texts.push("");
        Self { codes, texts }
    }

    fn text(&self, row: usize) -> &'a str {
        self.texts[self.codes[row] as usize]
    }
}

/// The group of each combination of a batch's texts that was met.
enum Groups {
    Table(Vec<u32>),
    Map(HashMap<usize, usize>),
}

impl Groups {
    const UNKNOWN: u32 = u32::MAX;

    fn new(coded: &[Coded<'_>]) -> Self {
        match coded.iter().try_fold(1_usize, |all, coded| all.checked_mul(coded.texts.len())) {
            Some(all) if all <= TABLE_MAX => Self::Table(vec![Self::UNKNOWN; all]),
            _ => Self::Map(HashMap::new()),
        }
    }

    /// Another number for each combination; they wrap only where a batch would have more texts than rows.
    fn place(&self, coded: &[Coded<'_>], row: usize) -> usize {
        coded.iter().fold(0, |place: usize, coded| place.wrapping_mul(coded.texts.len()).wrapping_add(coded.codes[row] as usize))
    }

    fn known(&self, place: usize) -> Option<usize> {
        match self {
            Self::Table(table) => Some(table[place]).filter(|group| *group != Self::UNKNOWN).map(|group| group as usize),
            Self::Map(map) => map.get(&place).copied(),
        }
    }

    fn learn(&mut self, place: usize, group: usize) {
        match self {
            Self::Table(table) => table[place] = u32::try_from(group).unwrap_or(Self::UNKNOWN),
            Self::Map(map) => drop(map.insert(place, group)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, DictionaryArray};
    use std::sync::Arc;

    #[test]
    fn texts_are_the_same_with_a_dictionary_and_without() {
        let texts = [Some("b"), None, Some("a"), Some("b"), Some("")];
        let plain: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let dictionary: ArrayRef = Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>());
        for array in [plain, dictionary] {
            let batch = RecordBatch::try_from_iter_with_nullable([("name", array, true)]).unwrap();
            let coded = Coded::of(&batch, "name").unwrap();
            assert_eq!((0..5).map(|row| coded.text(row)).collect::<Vec<_>>(), ["b", "", "a", "b", ""]);
        }
    }
}
