//! Numbers rows by what they are grouped by. A text that comes by its place in a dictionary is looked at once for the dictionary,
//! not once for each row.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::{Result, internal_err};
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Numbers from zero on, one for each distinct row of the grouping columns, in the order in which they came.
pub(super) struct GroupIds {
    levels: Vec<Level>,
    numbers: Vec<u32>,
}

impl GroupIds {
    /// Of columns of these types: texts, `Int32` and `Int64`.
    pub(super) fn new(types: &[DataType]) -> Self {
        Self { levels: types.iter().map(Level::new).collect(), numbers: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.levels.last().map_or(0, |level| level.steps.len())
    }

    pub(super) fn bytes(&self) -> usize {
        self.levels.iter().map(Level::bytes).sum()
    }

    /// The number of each row's group. `columns` are of the types that were named, texts also in dictionaries.
    pub(super) fn number(&mut self, columns: &[ArrayRef], rows: usize, groups: &mut Vec<usize>) -> Result<()> {
        self.numbers.clear();
        self.numbers.resize(rows, 0);
        for (level, column) in self.levels.iter_mut().zip(columns) {
            level.refine(column, &mut self.numbers)?;
        }
        groups.clear();
        groups.extend(self.numbers.iter().map(|&number| number as usize));
        Ok(())
    }

    /// The columns of all groups, in the order of their numbers; none is left.
    pub(super) fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let mut numbers: Vec<u32> = (0..).take(self.len()).collect();
        let mut columns = Vec::with_capacity(self.levels.len());
        for level in self.levels.iter_mut().rev() {
            columns.push(level.column(&numbers)?);
            numbers.iter_mut().for_each(|number| *number = level.steps[*number as usize].from);
            *level = Level::new(&level.kind);
        }
        columns.reverse();
        Ok(columns)
    }
}

/// The groups of the first so many columns.
struct Level {
    kind: DataType,
    texts: Texts,
    /// How each group comes from one of the level before.
    steps: Vec<Step>,
    by_step: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Groups that came lately, each at a place by its step.
    lately: Vec<Lately>,
    codes: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Step {
    from: u32,
    is_null: bool,
    /// An integer, or the number of a text.
    code: i64,
}

/// A step that is no null, and where it leads.
#[derive(Clone, Copy)]
struct Lately {
    code: i64,
    from: u32,
    to: u32,
}

/// No group has so high a number.
const NOWHERE: Lately = Lately { code: 0, from: u32::MAX, to: 0 };

const LATELY_BITS: u32 = 10;

impl Level {
    fn new(kind: &DataType) -> Self {
        Self {
            kind: kind.clone(),
            texts: Texts::default(),
            steps: Vec::new(),
            by_step: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            lately: vec![NOWHERE; 1 << LATELY_BITS],
            codes: Vec::new(),
        }
    }

    fn bytes(&self) -> usize {
        self.steps.capacity() * size_of::<Step>() + self.by_step.capacity() * size_of::<u32>() + self.texts.bytes()
    }

    /// Replaces the number of each row's group by that of its group with this column.
    fn refine(&mut self, column: &ArrayRef, numbers: &mut [u32]) -> Result<()> {
        let mut codes = std::mem::take(&mut self.codes);
        codes.clear();
        let nulls = match (&self.kind, column.data_type()) {
            (DataType::Utf8, DataType::Dictionary(..)) => self.texts.of_dictionary(column, &mut codes)?,
            (DataType::Utf8, DataType::Utf8) => self.texts.of_rows(column.as_string(), &mut codes),
            (DataType::Int32 | DataType::Int64, kind) if *kind == self.kind => {
                let integers = cast(column, &DataType::Int64)?;
                codes.extend_from_slice(integers.as_primitive::<Int64Type>().values());
                column.logical_nulls()
            }
            (expected, found) => return internal_err!("a grouping column of {expected} came as {found}"),
        };
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            None => {
                for (number, &code) in numbers.iter_mut().zip(&codes) {
                    *number = self.group(*number, code);
                }
            }
            Some(nulls) => {
                for (row, (number, &code)) in numbers.iter_mut().zip(&codes).enumerate() {
                    *number = match nulls.is_null(row) {
                        true => self.look_up(Step { from: *number, is_null: true, code: 0 }),
                        false => self.group(*number, code),
                    };
                }
            }
        }
        self.codes = codes;
        Ok(())
    }

    #[inline]
    fn group(&mut self, from: u32, code: i64) -> u32 {
        let mixed = (code as u64 ^ u64::from(from).rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = (mixed >> (u64::BITS - LATELY_BITS)) as usize;
        match self.lately[place] {
            known if known.code == code && known.from == from => known.to,
            _ => {
                let to = self.look_up(Step { from, is_null: false, code });
                self.lately[place] = Lately { code, from, to };
                to
            }
        }
    }

    #[cold]
    fn look_up(&mut self, step: Step) -> u32 {
        let hash = |step: &Step| self.hasher.hash_one(step);
        match self.by_step.entry(hash(&step), |&at| self.steps[at as usize] == step, |&at| hash(&self.steps[at as usize])) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let number = self.steps.len() as u32;
                place.insert(number);
                self.steps.push(step);
                number
            }
        }
    }

    /// The column's values in these groups.
    fn column(&self, numbers: &[u32]) -> Result<ArrayRef> {
        let steps = numbers.iter().map(|&number| &self.steps[number as usize]);
        Ok(match self.kind {
            DataType::Utf8 => {
                let text = |step: &Step| (!step.is_null).then(|| self.texts.known[step.code as usize].as_ref());
                Arc::new(steps.map(text).collect::<StringArray>())
            }
            _ => {
                let integers: Int64Array = steps.map(|step| (!step.is_null).then_some(step.code)).collect();
                cast(&integers, &self.kind)?
            }
        })
    }
}

/// Numbers for texts.
#[derive(Default)]
struct Texts {
    known: Vec<Box<str>>,
    by_text: HashTable<u32>,
    hasher: DefaultHashBuilder,
    text_bytes: usize,
    /// The last dictionary, kept so that no other can lie where it lay, and the numbers of its texts as far as they came.
    dictionary: Option<StringArray>,
    numbers: Vec<i64>,
}

const UNSEEN: i64 = -1;

impl Texts {
    fn bytes(&self) -> usize {
        self.text_bytes
            + self.known.capacity() * size_of::<Box<str>>()
            + (self.by_text.capacity() + 2 * self.numbers.capacity()) * size_of::<u32>()
    }

    /// Gives the number of each row's text; that of a null is any.
    fn of_dictionary(&mut self, column: &ArrayRef, codes: &mut Vec<i64>) -> Result<Option<NullBuffer>> {
        let Some(column) = column.as_dictionary_opt::<Int32Type>() else { return internal_err!("a dictionary has other keys") };
        let Some(texts) = column.values().as_string_opt::<i32>() else { return internal_err!("a dictionary has no texts") };
        if !self.dictionary.as_ref().is_some_and(|last| is_same(last, texts)) {
            self.dictionary = Some(texts.clone());
            self.numbers.clear();
            self.numbers.resize(texts.len(), UNSEEN);
        }
        let mut numbers = std::mem::take(&mut self.numbers);
        let nulls = column.logical_nulls();
        for (row, &key) in column.keys().values().iter().enumerate() {
            // The key of a null may lie anywhere.
            let code = match numbers.get_mut(key as usize) {
                Some(number) => {
                    if *number == UNSEEN && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                        *number = self.number(texts.value(key as usize));
                    }
                    *number
                }
                None => UNSEEN,
            };
            codes.push(code);
        }
        self.numbers = numbers;
        Ok(nulls)
    }

    fn of_rows(&mut self, column: &StringArray, codes: &mut Vec<i64>) -> Option<NullBuffer> {
        let mut last: Option<(&str, i64)> = None;
        for text in column {
            let code = match (text, last) {
                (None, _) => UNSEEN,
                (Some(text), Some((same, code))) if same == text => code,
                (Some(text), _) => {
                    let code = self.number(text);
                    last = Some((text, code));
                    code
                }
            };
            codes.push(code);
        }
        column.nulls().cloned()
    }

    fn number(&mut self, text: &str) -> i64 {
        let hash = |text: &str| self.hasher.hash_one(text);
        match self.by_text.entry(hash(text), |&at| *self.known[at as usize] == *text, |&at| hash(&self.known[at as usize])) {
            Entry::Occupied(known) => i64::from(*known.get()),
            Entry::Vacant(place) => {
                let number = self.known.len() as u32;
                place.insert(number);
                self.known.push(text.into());
                self.text_bytes += text.len();
                i64::from(number)
            }
        }
    }
}

fn is_same(left: &StringArray, right: &StringArray) -> bool {
    left.len() == right.len() && left.value_data().as_ptr() == right.value_data().as_ptr() && left.value_offsets() == right.value_offsets()
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, Int32Array};

    use super::*;

    fn coded(keys: Vec<Option<i32>>, texts: &[&str]) -> ArrayRef {
        let texts = Arc::new(StringArray::from(texts.to_vec()));
        Arc::new(DictionaryArray::try_new(Int32Array::from(keys), texts).unwrap())
    }

    fn number(ids: &mut GroupIds, columns: &[ArrayRef]) -> Vec<usize> {
        let mut groups = Vec::new();
        ids.number(columns, columns[0].len(), &mut groups).unwrap();
        groups
    }

    #[test]
    fn texts_are_the_same_in_any_dictionary_and_without_one() {
        let mut ids = GroupIds::new(&[DataType::Utf8]);
        assert_eq!(number(&mut ids, &[coded(vec![Some(1), Some(0), None, Some(1)], &["a", "b"])]), [0, 1, 2, 0]);
        assert_eq!(number(&mut ids, &[coded(vec![Some(0), Some(1), Some(2)], &["b", "c", "a"])]), [0, 3, 1]);
        let plain: ArrayRef = Arc::new(StringArray::from(vec![Some("c"), None, Some("c"), Some(""), Some("a")]));
        assert_eq!(number(&mut ids, &[plain]), [3, 2, 3, 4, 1]);
        let columns = ids.take().unwrap();
        let texts: Vec<_> = columns[0].as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some("b"), Some("a"), None, Some("c"), Some("")]);
        assert_eq!(ids.len(), 0);
        assert_eq!(number(&mut ids, &[coded(vec![Some(1)], &["a", "b"])]), [0]);
    }

    #[test]
    fn rows_are_numbered_by_all_columns() {
        let mut ids = GroupIds::new(&[DataType::Utf8, DataType::Int64, DataType::Int32]);
        let texts = coded(vec![Some(0), Some(0), Some(1), Some(0), None, None], &["x", "y"]);
        let minutes: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), Some(8), Some(7), Some(7), None, Some(0)]));
        let levels: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(1), Some(1), Some(1), Some(-1), None]));
        let columns = [texts, minutes, levels];
        assert_eq!(number(&mut ids, &columns), [0, 1, 2, 0, 3, 4]);
        assert_eq!(number(&mut ids, &columns), [0, 1, 2, 0, 3, 4]);
        let taken = ids.take().unwrap();
        let kept = arrow::array::UInt32Array::from(vec![0, 1, 2, 4, 5]);
        for (taken, column) in taken.iter().zip(&columns) {
            let expected = cast(&arrow::compute::take(column, &kept, None).unwrap(), taken.data_type()).unwrap();
            assert_eq!(taken, &expected);
        }
    }

    #[test]
    fn more_groups_than_are_remembered_lately_are_told_apart() {
        let mut ids = GroupIds::new(&[DataType::Int64]);
        let many: ArrayRef = Arc::new(Int64Array::from_iter_values((0..5000).map(|at| at * 64)));
        let expected: Vec<usize> = (0..5000).collect();
        assert_eq!(number(&mut ids, std::slice::from_ref(&many)), expected);
        assert_eq!(number(&mut ids, std::slice::from_ref(&many)), expected);
        assert_eq!(&ids.take().unwrap()[0], &many);
    }
}
