use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, BooleanBufferBuilder, DictionaryArray, Int64Array, MapArray, RecordBatch, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Int32Type, Schema};
use memchr::memmem::Finder;
use model::schema::column;
use model::{
    AnchoredRegex, AttributesView, DeclaredFields, Error, FieldType, FieldValue, Filter, Identity, Result, Subject, Table, Test, TimeRange,
    legal_name,
};
use regex::Regex;
use twox_hash::XxHash3_64;

use super::literals;
use crate::head::{Families, SeriesKey};
use crate::lake::ends;
use crate::lake::fields::{texts_of, value_at};

/// Bytes that a compiled expression may take: it comes from a user.
const REGEX_BYTES_MAX: usize = 10 << 20;

/// A filter made ready once per scan.
#[derive(Clone, Debug)]
pub(crate) struct CompiledFilter {
    pub(crate) subject: Subject,
    pub(crate) test: CompiledTest,
    /// The opposite is asked for.
    pub(crate) negated: bool,
    /// Of each list one is in every text that the test finds.
    pub(crate) literals: Vec<Vec<Vec<u8>>>,
    /// Where many texts are wanted: says "no" to most others at once.
    sieve: Option<Arc<Sieve>>,
}

/// The bits of texts by their hashes.
#[derive(Debug)]
struct Sieve(Vec<u64>);

impl Sieve {
    /// Of so many the wanted one is found in a few steps anyway.
    const TEXTS_MIN: usize = 8;
    const BITS_PER_TEXT: usize = 32;

    fn of(test: &CompiledTest) -> Option<Arc<Self>> {
        let CompiledTest::OneOf(texts) = test else { return None };
        if texts.len() < Self::TEXTS_MIN {
            return None;
        }
        let mut sieve = Self(vec![0; (texts.len() * Self::BITS_PER_TEXT).next_power_of_two() / 64]);
        for text in texts {
            let (word, bit) = sieve.place(text);
            sieve.0[word] |= bit;
        }
        Some(Arc::new(sieve))
    }

    fn may_hold(&self, text: &str) -> bool {
        let (word, bit) = self.place(text);
        self.0[word] & bit != 0
    }

    fn place(&self, text: &str) -> (usize, u64) {
        let hash = XxHash3_64::oneshot(text.as_bytes());
        ((hash >> 6) as usize & (self.0.len() - 1), 1 << (hash & 63))
    }
}

#[derive(Clone, Debug)]
pub(crate) enum CompiledTest {
    /// Sorted, each once.
    OneOf(Vec<String>),
    Contains(Box<Finder<'static>>),
    /// The whole text.
    Whole(AnchoredRegex),
    /// Some of it.
    Matches(Regex),
    /// Values of a declared column, both ends included.
    Ints(i64, i64),
    /// In the order of `f64::total_cmp`.
    Doubles(f64, f64),
}

impl CompiledFilter {
    pub(crate) fn compile(filter: &Filter, schema: &Schema, declared: &DeclaredFields) -> Result<Self> {
        check(filter, schema, declared)?;
        let exactly = |texts: &[String]| {
            let mut texts = texts.to_vec();
            texts.sort();
            texts.dedup();
            CompiledTest::OneOf(texts)
        };
        let mut required = Vec::new();
        let (test, negated) = match &filter.test {
            Test::Equal(text) => (exactly(std::slice::from_ref(text)), false),
            Test::NotEqual(text) => (exactly(std::slice::from_ref(text)), true),
            Test::OneOf(texts) => (exactly(texts), false),
            Test::Regex(pattern) => {
                required = literals::required(pattern);
                (anchored(pattern)?, false)
            }
            Test::NotRegex(pattern) => (anchored(pattern)?, true),
            Test::Contains(text) => {
                required.push(vec![text.as_bytes().to_vec()]);
                (CompiledTest::Contains(Box::new(Finder::new(text).into_owned())), false)
            }
            Test::NotContains(text) => (CompiledTest::Contains(Box::new(Finder::new(text).into_owned())), true),
            Test::Search(pattern) => {
                required = literals::required(pattern);
                (CompiledTest::Matches(regex(pattern)?), false)
            }
            Test::NotSearch(pattern) => (CompiledTest::Matches(regex(pattern)?), true),
            Test::Integers(least, greatest) => (CompiledTest::Ints(*least, *greatest), false),
            Test::Numbers(least, greatest) => (CompiledTest::Doubles(least.0, greatest.0), false),
        };
        let sieve = Sieve::of(&test);
        Ok(Self { subject: filter.subject.clone(), test, negated, literals: required, sieve })
    }

    /// The same test on another subject.
    pub(crate) fn on(&self, subject: Subject) -> Self {
        Self { subject, ..self.clone() }
    }

    /// Cheap columns first: what they refuse, maps and bodies need not be decoded for.
    pub(crate) fn cost(&self) -> Option<u8> {
        self.columns().into_iter().map(cost).max()
    }

    pub(crate) fn keeps(&self, text: &str) -> bool {
        let found = match &self.test {
            CompiledTest::OneOf(texts) => match &texts[..] {
                [one] => one == text,
                texts => {
                    let may = self.sieve.as_ref().is_none_or(|sieve| sieve.may_hold(text));
                    may && texts.binary_search_by(|other| other.as_str().cmp(text)).is_ok()
                }
            },
            CompiledTest::Contains(finder) => finder.find(text.as_bytes()).is_some(),
            CompiledTest::Whole(regex) => regex.is_match(text),
            CompiledTest::Matches(regex) => regex.is_match(text),
            CompiledTest::Ints(..) | CompiledTest::Doubles(..) => false,
        };
        found != self.negated
    }

    /// The top-level columns it reads.
    pub(crate) fn columns(&self) -> Vec<&str> {
        let mut names = Vec::new();
        collect(&self.subject, &mut names);
        names
    }

    /// Which rows it keeps.
    pub(crate) fn mask(&self, records: &RecordBatch) -> Result<BooleanArray> {
        self.mask_of(&self.subject, records)
    }

    fn mask_of(&self, subject: &Subject, records: &RecordBatch) -> Result<BooleanArray> {
        match subject {
            Subject::AnyOf(each) => {
                let none = BooleanArray::from(vec![false; records.num_rows()]);
                each.iter().try_fold(none, |kept, subject| Ok(arrow::compute::or(&kept, &self.mask_of(subject, records)?)?))
            }
            Subject::Label { column: map, name } => Ok(self.label_mask(column(records, map)?, name)),
            Subject::Column(name) => {
                let array = records.column_by_name(name).map(|array| array.as_any());
                if let Some(dictionary) = array.and_then(|array| array.downcast_ref::<DictionaryArray<Int32Type>>()) {
                    return self.dictionary_mask(dictionary);
                }
                if let Some(typed) = records.column_by_name(name).filter(|array| *array.data_type() != DataType::Utf8) {
                    return self.typed_mask(typed);
                }
                match &self.test {
                    CompiledTest::Contains(finder) => Ok(self.contains_mask(finder, column(records, name)?)),
                    _ => self.mask_by_row(subject, records),
                }
            }
            Subject::Entry { .. } | Subject::FirstOf(_) => self.mask_by_row(subject, records),
        }
    }

    /// Of a declared column whose values are no texts: each counts as what it is written as.
    fn typed_mask(&self, array: &ArrayRef) -> Result<BooleanArray> {
        let within = |row| match (&self.test, value_at(array, row)) {
            (CompiledTest::Ints(least, greatest), Some(FieldValue::Int(value))) => *least <= value && value <= *greatest,
            (CompiledTest::Doubles(least, greatest), Some(FieldValue::Double(value))) => {
                least.total_cmp(&value).is_le() && value.total_cmp(greatest).is_le()
            }
            _ => false,
        };
        match &self.test {
            CompiledTest::Ints(..) | CompiledTest::Doubles(..) => Ok(BooleanBuffer::collect_bool(array.len(), within).into()),
            CompiledTest::OneOf(texts) => {
                let kind = FieldType::of(array.data_type()).ok_or_else(|| Error::internal("cannot filter a column of this type"))?;
                let wanted: Vec<FieldValue<'_>> = texts.iter().filter_map(|text| kind.read(text)).collect();
                let of_null = self.keeps("");
                let keep =
                    |row| value_at(array, row).map_or(of_null, |value| wanted.iter().any(|wanted| wanted.is(&value)) != self.negated);
                Ok(BooleanBuffer::collect_bool(array.len(), keep).into())
            }
            CompiledTest::Contains(_) | CompiledTest::Whole(_) | CompiledTest::Matches(_) => {
                let texts = texts_of(array);
                let keep = |row| self.keeps(if texts.is_null(row) { "" } else { texts.value(row) });
                Ok(BooleanBuffer::collect_bool(array.len(), keep).into())
            }
        }
    }

    /// Tests every text once, however many rows have it.
    fn dictionary_mask(&self, dictionary: &DictionaryArray<Int32Type>) -> Result<BooleanArray> {
        let texts = dictionary.values().as_any().downcast_ref::<StringArray>();
        let texts = texts.ok_or_else(|| Error::internal("cannot filter a dictionary of what is no text"))?;
        let kept: Vec<bool> = texts.iter().map(|text| self.keeps(text.unwrap_or_default())).collect();
        let (keys, of_null) = (dictionary.keys(), self.keeps(""));
        let keep = |row: usize| match keys.is_valid(row) {
            true => usize::try_from(keys.value(row)).ok().and_then(|key| kept.get(key)).copied().unwrap_or(of_null),
            false => of_null,
        };
        Ok(BooleanArray::from(BooleanBuffer::collect_bool(keys.len(), keep)))
    }

    /// Looks through the texts of all rows at once, as they lie one behind the other.
    pub(crate) fn contains_mask(&self, finder: &Finder<'_>, texts: &StringArray) -> BooleanArray {
        let (rows, length) = (texts.len(), finder.needle().len());
        if length == 0 {
            return BooleanArray::from(vec![!self.negated; rows]);
        }
        let (offsets, bytes) = (texts.value_offsets(), texts.value_data());
        let end = offsets[rows] as usize;
        let mut found = BooleanBufferBuilder::new(rows);
        found.append_n(rows, false);
        let (mut row, mut from) = (0, offsets[0] as usize);
        while let Some(at) = finder.find(&bytes[from..end]).map(|at| from + at) {
            while offsets[row + 1] as usize <= at {
                row += 1;
            }
            let row_end = offsets[row + 1] as usize;
            // One that begins in a row and ends in the next is none.
            let inside = at + length <= row_end;
            if inside && texts.is_valid(row) {
                found.set_bit(row, true);
            }
            from = if inside { row_end } else { at + 1 };
        }
        let found = found.finish();
        BooleanArray::from(if self.negated { !&found } else { found })
    }

    fn label_mask(&self, map: &MapArray, name: &str) -> BooleanArray {
        let view = AttributesView::of_map(map, None);
        let keep = |row: usize| {
            let mut named = view.iter(row).filter(|(key, _)| legal_name(key) == name).peekable();
            (named.peek().is_none() && self.keeps("")) || named.any(|(_, text)| self.keeps(text))
        };
        BooleanArray::from(BooleanBuffer::collect_bool(map.len(), keep))
    }

    fn mask_by_row(&self, subject: &Subject, records: &RecordBatch) -> Result<BooleanArray> {
        let as_texts = in_texts(subject, records)?;
        let texts = Texts::of(subject, as_texts.as_ref().unwrap_or(records))?;
        // Files are sorted by what is filtered most: runs of one value are tested once.
        let mut last: Option<(&str, bool)> = None;
        Ok((0..records.num_rows())
            .map(|row| {
                let text = texts.get(row);
                let keep = match last {
                    Some((same, keep)) if same == text => keep,
                    _ => self.keeps(text),
                };
                last = Some((text, keep));
                Some(keep)
            })
            .collect())
    }

    /// Bytes that are in the encoded key of every series that it keeps, where it asks for one value of one label: to look for them
    /// is ten times as fast as to read labels.
    pub(crate) fn needle(&self) -> Option<Finder<'static>> {
        match (&self.subject, &self.test) {
            (Subject::Entry { column, key }, CompiledTest::OneOf(texts)) if column == "labels" && !self.negated => match &texts[..] {
                [value] if !value.is_empty() => Some(Finder::new(&SeriesKey::pair(key, value)).into_owned()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it keeps a series of the head, whose key is no column.
    pub(crate) fn keeps_series(&self, key: &SeriesKey, families: &Families) -> bool {
        self.keeps_series_by(&self.subject, key, families)
    }

    fn keeps_series_by(&self, subject: &Subject, key: &SeriesKey, families: &Families) -> bool {
        match subject {
            Subject::AnyOf(each) => each.iter().any(|subject| self.keeps_series_by(subject, key, families)),
            subject => self.keeps(series_text(subject, key, families)),
        }
    }
}

/// Rows whose time, or whose span of time from the first column to the second, meets the range.
pub(crate) fn time_mask(table: Table, records: &RecordBatch, range: TimeRange) -> Result<BooleanArray> {
    let (first, last) = table.time_columns();
    let (first, last): (&Int64Array, &Int64Array) = (column(records, first)?, column(records, last)?);
    Ok(first.values().iter().zip(last.values()).map(|(&first, &last)| Some(meets(range, first, last))).collect())
}

/// `TimeRange::overlaps` with `contains`'s reading of an open end.
pub(crate) fn meets(range: TimeRange, first: i64, last: i64) -> bool {
    range.overlaps(first, last) || (range.end_ns == i64::MAX && range.start_ns <= last)
}

fn anchored(pattern: &str) -> Result<CompiledTest> {
    // Alternatives of plain words are the most common expression, and as a set they can skip files.
    let plain = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b':' | b' '));
    if pattern.split('|').all(plain) {
        let mut texts: Vec<String> = pattern.split('|').map(str::to_owned).collect();
        texts.sort();
        texts.dedup();
        return Ok(CompiledTest::OneOf(texts));
    }
    Ok(CompiledTest::Whole(AnchoredRegex::new(pattern).map_err(|error| broken(pattern, error))?))
}

fn regex(pattern: &str) -> Result<Regex> {
    regex::RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build().map_err(|error| broken(pattern, error))
}

fn broken(pattern: &str, error: regex::Error) -> Error {
    Error::invalid(format!("cannot use the regular expression {pattern:?}")).because(error)
}

/// `schema` is the table's own.
fn check(filter: &Filter, schema: &Schema, declared: &DeclaredFields) -> Result<()> {
    let wanted = match &filter.test {
        Test::Integers(..) => FieldType::Integer,
        Test::Numbers(..) => FieldType::Number,
        _ => return check_texts(&filter.subject, schema, declared),
    };
    // Statistics say nothing of ends that files leave out.
    let own =
        |name: &str| schema.field_with_name(name).ok().filter(|_| name != ends::END).and_then(|field| FieldType::of(field.data_type()));
    match &filter.subject {
        Subject::Column(name) if declared.of_column(name).map(|field| field.kind).or_else(|| own(name)) == Some(wanted) => Ok(()),
        other => Err(Error::invalid(format!("cannot compare {other:?}: it is no column of type {}", wanted.name()))),
    }
}

fn check_texts(subject: &Subject, schema: &Schema, declared: &DeclaredFields) -> Result<()> {
    let wants = |name: &str, what: &str, fits: fn(&DataType) -> bool| match schema.field_with_name(name) {
        Ok(field) if fits(field.data_type()) => Ok(()),
        Ok(_) => Err(Error::invalid(format!("cannot filter on column {name:?}: it is no {what} column"))),
        Err(_) => Err(Error::invalid(format!("cannot filter on column {name:?}: there is no such column"))),
    };
    match subject {
        Subject::Column(name) if declared.of_column(name).is_some() => Ok(()),
        Subject::Column(name) => wants(name, "text", |kind| *kind == DataType::Utf8),
        Subject::Entry { column, .. } => wants(column, "map", |kind| matches!(kind, DataType::Map(..))),
        Subject::Label { column, .. } => wants(column, "map", |kind| matches!(kind, DataType::Map(..))),
        Subject::FirstOf(subjects) if subjects.iter().any(|subject| !matches!(subject, Subject::Column(_) | Subject::Entry { .. })) => {
            Err(Error::invalid("cannot filter on the first of several: each must be a column or an entry"))
        }
        Subject::FirstOf(subjects) | Subject::AnyOf(subjects) => {
            subjects.iter().try_for_each(|subject| check_texts(subject, schema, declared))
        }
    }
}

fn cost(column: &str) -> u8 {
    match column {
        "body" | "help" | "status_message" => 1,
        name if name.ends_with("attributes") || name == "labels" => 2,
        _ => 0,
    }
}

fn collect<'a>(subject: &'a Subject, names: &mut Vec<&'a str>) {
    match subject {
        Subject::Column(name) | Subject::Entry { column: name, .. } | Subject::Label { column: name, .. } => {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        Subject::FirstOf(subjects) | Subject::AnyOf(subjects) => subjects.iter().for_each(|subject| collect(subject, names)),
    }
}

/// The columns of a subject, declared ones as the texts of their values; none where all are texts.
fn in_texts(subject: &Subject, records: &RecordBatch) -> Result<Option<RecordBatch>> {
    let mut names = Vec::new();
    collect(subject, &mut names);
    let is_typed = |name: &&str| {
        records.column_by_name(name).is_some_and(|array| FieldType::of(array.data_type()).is_some_and(|kind| kind != FieldType::String))
    };
    if !names.iter().any(is_typed) {
        return Ok(None);
    }
    let columns = names.iter().filter_map(|name| {
        let array = records.column_by_name(name)?;
        Some((*name, if is_typed(name) { Arc::new(texts_of(array)) as ArrayRef } else { array.clone() }, true))
    });
    Ok(Some(RecordBatch::try_from_iter_with_nullable(columns)?))
}

/// A subject bound to the arrays of one batch.
enum Texts<'a> {
    Column(&'a StringArray),
    Entry(AttributesView<'a>, &'a str),
    FirstOf(Vec<Texts<'a>>),
}

impl<'a> Texts<'a> {
    fn of(subject: &'a Subject, records: &'a RecordBatch) -> Result<Self> {
        Ok(match subject {
            Subject::Column(name) => Self::Column(column(records, name)?),
            Subject::Entry { column: name, key } => Self::Entry(AttributesView::of_map(column::<MapArray>(records, name)?, None), key),
            Subject::FirstOf(subjects) => Self::FirstOf(subjects.iter().map(|subject| Self::of(subject, records)).collect::<Result<_>>()?),
            Subject::Label { .. } | Subject::AnyOf(_) => return Err(Error::internal("cannot take one text of several")),
        })
    }

    fn get(&self, row: usize) -> &'a str {
        match self {
            Self::Column(array) => {
                if array.is_null(row) {
                    ""
                } else {
                    array.value(row)
                }
            }
            Self::Entry(view, key) => view.get(row, key).unwrap_or_default(),
            Self::FirstOf(each) => each.iter().map(|texts| texts.get(row)).find(|text| !text.is_empty()).unwrap_or_default(),
        }
    }
}

fn series_text<'a>(subject: &'a Subject, key: &'a SeriesKey, families: &'a Families) -> &'a str {
    let family = || families.of(key.name());
    match subject {
        Subject::Column(name) => match name.as_str() {
            "name" => key.name(),
            "type" => family().map_or("", |family| &family.kind),
            "unit" => family().map_or("", |family| &family.unit),
            "help" => family().map_or("", |family| &family.help),
            name => Identity::FIELDS.iter().position(|field| *field == name).map_or("", |field| key.identity(field)),
        },
        // The only map of samples is their labels, whose names are legal.
        Subject::Entry { key: label, .. } | Subject::Label { name: label, .. } => key.label(label),
        Subject::FirstOf(each) | Subject::AnyOf(each) => {
            each.iter().map(|subject| series_text(subject, key, families)).find(|text| !text.is_empty()).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: Test, text: &str, expect: bool) {
        let filter = Filter { subject: Subject::Column("body".to_owned()), test };
        let compiled = CompiledFilter::compile(&filter, &Table::Logs.schema(), &DeclaredFields::default()).unwrap();
        assert_eq!(compiled.keeps(text), expect, "{filter:?} on {text:?}");
    }

    #[test]
    fn expressions_are_anchored_and_searches_are_not() {
        check(Test::Regex("a|bc".to_owned()), "bc", true);
        check(Test::Regex("a|bc".to_owned()), "abc", false);
        check(Test::Regex("a.c".to_owned()), "a\nc", true);
        check(Test::Regex("a.|".to_owned()), "", true);
        check(Test::NotRegex("a.*".to_owned()), "ba", true);
        check(Test::Search("a.c".to_owned()), "xabcx", true);
        check(Test::NotContains("b".to_owned()), "abc", false);
        check(Test::OneOf(vec!["z".to_owned(), "a".to_owned()]), "z", true);
    }

    #[test]
    fn a_filter_on_the_wrong_column_is_the_askers_mistake() {
        for subject in [Subject::Column("nope".to_owned()), Subject::Column("attributes".to_owned())] {
            let filter = Filter { subject, test: Test::Equal(String::new()) };
            assert_eq!(
                CompiledFilter::compile(&filter, &Table::Logs.schema(), &DeclaredFields::default()).unwrap_err().code,
                model::Code::Invalid
            );
        }
    }
}
