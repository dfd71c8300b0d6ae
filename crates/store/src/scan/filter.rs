use arrow::array::{Array, BooleanArray, Int64Array, MapArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Schema};
use memchr::memmem::Finder;
use model::schema::column;
use model::{AttributesView, Error, Filter, Identity, Result, Subject, Table, Test, TimeRange};
use regex::Regex;

use crate::head::{Families, SeriesKey};

/// Bytes that a compiled expression may take: it comes from a user.
const REGEX_BYTES_MAX: usize = 10 << 20;

/// A filter made ready once per scan.
#[derive(Clone, Debug)]
pub(crate) struct CompiledFilter {
    pub(crate) subject: Subject,
    pub(crate) test: CompiledTest,
    /// The opposite is asked for.
    pub(crate) negated: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum CompiledTest {
    /// Sorted, each once.
    OneOf(Vec<String>),
    Contains(Box<Finder<'static>>),
    Matches(Regex),
}

impl CompiledFilter {
    pub(crate) fn compile(filter: &Filter, schema: &Schema) -> Result<Self> {
        check(&filter.subject, schema)?;
        let exactly = |texts: &[String]| {
            let mut texts = texts.to_vec();
            texts.sort();
            texts.dedup();
            CompiledTest::OneOf(texts)
        };
        let (test, negated) = match &filter.test {
            Test::Equal(text) => (exactly(std::slice::from_ref(text)), false),
            Test::NotEqual(text) => (exactly(std::slice::from_ref(text)), true),
            Test::OneOf(texts) => (exactly(texts), false),
            Test::Regex(pattern) => (anchored(pattern)?, false),
            Test::NotRegex(pattern) => (anchored(pattern)?, true),
            Test::Contains(text) => (CompiledTest::Contains(Box::new(Finder::new(text).into_owned())), false),
            Test::NotContains(text) => (CompiledTest::Contains(Box::new(Finder::new(text).into_owned())), true),
            Test::Search(pattern) => (CompiledTest::Matches(regex(pattern)?), false),
            Test::NotSearch(pattern) => (CompiledTest::Matches(regex(pattern)?), true),
        };
        Ok(Self { subject: filter.subject.clone(), test, negated })
    }

    fn keeps(&self, text: &str) -> bool {
        let found = match &self.test {
            CompiledTest::OneOf(texts) => match &texts[..] {
                [one] => one == text,
                texts => texts.binary_search_by(|other| other.as_str().cmp(text)).is_ok(),
            },
            CompiledTest::Contains(finder) => finder.find(text.as_bytes()).is_some(),
            CompiledTest::Matches(regex) => regex.is_match(text),
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
        let texts = Texts::of(&self.subject, records)?;
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

    /// Whether it keeps a series of the head, whose key is no column.
    pub(crate) fn keeps_series(&self, key: &SeriesKey, families: &Families) -> bool {
        self.keeps(series_text(&self.subject, key, families))
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
    Ok(CompiledTest::Matches(regex(&format!("^(?s:{pattern})$"))?))
}

fn regex(pattern: &str) -> Result<Regex> {
    regex::RegexBuilder::new(pattern)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| Error::invalid(format!("cannot use the regular expression {pattern:?}")).because(error))
}

fn check(subject: &Subject, schema: &Schema) -> Result<()> {
    let wants = |name: &str, what: &str, fits: fn(&DataType) -> bool| match schema.field_with_name(name) {
        Ok(field) if fits(field.data_type()) => Ok(()),
        Ok(_) => Err(Error::invalid(format!("cannot filter on column {name:?}: it is no {what} column"))),
        Err(_) => Err(Error::invalid(format!("cannot filter on column {name:?}: there is no such column"))),
    };
    match subject {
        Subject::Column(name) => wants(name, "text", |kind| *kind == DataType::Utf8),
        Subject::Entry { column, .. } => wants(column, "map", |kind| matches!(kind, DataType::Map(..))),
        Subject::FirstOf(subjects) => subjects.iter().try_for_each(|subject| check(subject, schema)),
    }
}

fn collect<'a>(subject: &'a Subject, names: &mut Vec<&'a str>) {
    match subject {
        Subject::Column(name) | Subject::Entry { column: name, .. } => {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        Subject::FirstOf(subjects) => subjects.iter().for_each(|subject| collect(subject, names)),
    }
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
        // The only map of samples is their labels.
        Subject::Entry { key: label, .. } => key.label(label),
        Subject::FirstOf(each) => {
            each.iter().map(|subject| series_text(subject, key, families)).find(|text| !text.is_empty()).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: Test, text: &str, expect: bool) {
        let filter = Filter { subject: Subject::Column("body".to_owned()), test };
        let compiled = CompiledFilter::compile(&filter, &Table::Logs.schema()).unwrap();
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
            assert_eq!(CompiledFilter::compile(&filter, &Table::Logs.schema()).unwrap_err().code, model::Code::Invalid);
        }
    }
}
