//! What need not be read: files by the Delta log's statistics, row groups by the footer's, and by bloom filter.

use model::{FieldType, FieldValue, Result, Subject};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::Plan;
use super::blocks::OpenFile;
use super::filter::{CompiledFilter, CompiledTest, meets};
use crate::lake::files::FileStats;
use crate::lake::write::RARE;

/// Least and greatest value of a column in a block of rows.
#[derive(Clone, Copy)]
pub(crate) enum Range<'a> {
    Texts(&'a [u8], &'a [u8]),
    Ints(i64, i64),
    Doubles(f64, f64),
    /// Nobody knows.
    Any,
}

impl Range<'_> {
    /// Whether a value that is written so may be in it.
    fn may_hold(&self, text: &str) -> bool {
        match *self {
            Self::Texts(low, high) => low <= text.as_bytes() && text.as_bytes() <= high,
            Self::Ints(low, high) => matches!(FieldType::Integer.read(text), Some(FieldValue::Int(value)) if low <= value && value <= high),
            Self::Doubles(low, high) => {
                matches!(FieldType::Number.read(text), Some(FieldValue::Double(value)) if low <= value && value <= high)
            }
            Self::Any => true,
        }
    }

    /// Whether all values are written so.
    fn is_only(&self, text: &str) -> bool {
        match *self {
            Self::Texts(low, high) => low == high && low == text.as_bytes(),
            Self::Ints(low, high) => low == high && self.may_hold(text),
            // Zeros of both signs count as one in statistics.
            Self::Doubles(low, high) => low == high && low != 0.0 && self.may_hold(text),
            Self::Any => false,
        }
    }
}

/// What is known of a column in a block of rows.
pub(crate) struct Known<'a> {
    /// None when all are null.
    pub(crate) range: Option<Range<'a>>,
    pub(crate) has_nulls: bool,
    /// The bounds are values of the column, not cut short.
    pub(crate) exact: bool,
}

/// Whether a file can hold a row of the answer.
pub(crate) fn file_may_match(plan: &Plan, stats: &FileStats) -> bool {
    if stats.time(plan.table).is_some_and(|(first, last)| !meets(plan.time, first, last)) {
        return false;
    }
    plan.filters.iter().all(|filter| {
        subject_may_match(filter, &filter.subject, &|name| {
            let bounds = stats.texts.get(name).filter(|bounds| !bounds.unknown)?;
            let range = bounds.range.as_ref().map(|(low, high)| Range::Texts(low.as_bytes(), high.as_bytes()));
            Some(Known { range, has_nulls: bounds.nulls > 0, exact: true })
        })
    })
}

/// Of several places one may have the text.
fn subject_may_match<'k>(filter: &CompiledFilter, subject: &Subject, known: &impl Fn(&str) -> Option<Known<'k>>) -> bool {
    match subject {
        Subject::Column(name) => known(name).is_none_or(|known| may_match(filter, &known)),
        Subject::Entry { .. } | Subject::Label { .. } => true,
        Subject::AnyOf(each) => each.iter().any(|subject| subject_may_match(filter, subject, known)),
        Subject::FirstOf(each) => filter.keeps("") || each.iter().any(|subject| subject_may_match(filter, subject, known)),
    }
}

/// Whether a row group can hold a row of the answer.
pub(crate) fn group_may_match(file: &OpenFile<'_>, group: usize) -> Result<bool> {
    let (plan, metadata) = (file.plan, file.footer.metadata().row_group(group));
    if let Some((first, last)) = group_time(plan, metadata)
        && !meets(plan.time, first, last)
    {
        return Ok(false);
    }
    let of_column = |name: &str| {
        let stats = metadata.column(leaf(metadata, name)?).statistics()?;
        known(stats, metadata.num_rows())
    };
    for filter in &file.filters {
        if !subject_may_match(filter, &filter.subject, &of_column) || bloom_excludes(filter, file, group)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// First and last instant of a row group.
pub(crate) fn group_time(plan: &Plan, metadata: &RowGroupMetaData) -> Option<(i64, i64)> {
    let (first, last) = plan.table.time_columns();
    let bounds = |name: &str| match metadata.column(leaf(metadata, name)?).statistics()? {
        Statistics::Int64(stats) => Some((*stats.min_opt()?, *stats.max_opt()?)),
        _ => None,
    };
    Some((bounds(first)?.0, bounds(last)?.1))
}

/// Whether a column of samples that most rows have nothing in is known to be null in all rows of the group.
pub(crate) fn has_nothing_in(group: &RowGroupMetaData, name: &str) -> bool {
    let Some(rare) = RARE.iter().find(|leaf| leaf[0] == name) else { return false };
    let column = group.columns().iter().find(|column| column.column_path().parts() == *rare);
    let nulls = |column: &ColumnChunkMetaData| Some((column.statistics()?.null_count_opt()?, column.num_values()));
    column.and_then(nulls).is_some_and(|(nulls, values)| i64::try_from(nulls) == Ok(values))
}

/// The leaf that holds a top-level column without children.
pub(crate) fn leaf(metadata: &RowGroupMetaData, name: &str) -> Option<usize> {
    metadata.columns().iter().position(|column| matches!(column.column_path().parts(), [only] if only == name))
}

fn known(stats: &Statistics, rows: i64) -> Option<Known<'_>> {
    let nulls = stats.null_count_opt()?;
    let all_null = i64::try_from(nulls).is_ok_and(|nulls| nulls == rows);
    let range = match stats {
        Statistics::ByteArray(_) => stats.min_bytes_opt().zip(stats.max_bytes_opt()).map(|(low, high)| Range::Texts(low, high)),
        Statistics::Int64(stats) => stats.min_opt().zip(stats.max_opt()).map(|(low, high)| Range::Ints(*low, *high)),
        Statistics::Double(stats) => stats.min_opt().zip(stats.max_opt()).map(|(low, high)| Range::Doubles(*low, *high)),
        _ => None,
    };
    let exact = stats.min_is_exact() && stats.max_is_exact();
    (all_null || range.is_some()).then_some(Known { range: range.filter(|_| !all_null), has_nulls: nulls > 0, exact })
}

/// Null counts as the empty text, as everywhere in a scan.
pub(crate) fn may_match(filter: &CompiledFilter, known: &Known<'_>) -> bool {
    let texts = match &filter.test {
        CompiledTest::OneOf(texts) => texts,
        CompiledTest::Ints(least, greatest) => {
            return match known.range {
                Some(Range::Ints(low, high)) => low <= *greatest && *least <= high,
                Some(_) => true,
                None => false,
            };
        }
        CompiledTest::Doubles(least, greatest) => {
            return match known.range {
                Some(Range::Doubles(low, high)) => low <= *greatest && *least <= high,
                Some(_) => true,
                None => false,
            };
        }
        CompiledTest::Contains(_) | CompiledTest::Whole(_) | CompiledTest::Matches(_) => return true,
    };
    match filter.negated {
        false => texts.iter().any(|text| {
            let within = known.range.is_some_and(|range| range.may_hold(text));
            within || (text.is_empty() && (known.has_nulls || known.range.is_none()))
        }),
        // Only a block of one single value can be all refused.
        true => match known.range {
            None => !texts.iter().any(String::is_empty),
            Some(range) => !(known.exact && !known.has_nulls && texts.iter().any(|text| range.is_only(text))),
        },
    }
}

fn bloom_excludes(filter: &CompiledFilter, file: &OpenFile<'_>, group: usize) -> Result<bool> {
    let (CompiledTest::OneOf(texts), Subject::Column(name)) = (&filter.test, &filter.subject) else { return Ok(false) };
    let metadata = file.footer.metadata().row_group(group);
    let Some(leaf) = leaf(metadata, name) else { return Ok(false) };
    // The file's own filter says more. And a filter holds no nulls, which are the empty text.
    let without = file.filter.is_some() || metadata.column(leaf).bloom_filter_offset().is_none();
    if filter.negated || without || texts.iter().any(String::is_empty) {
        return Ok(false);
    }
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.handle.clone(), file.footer.clone());
    let bloom = builder.get_row_group_column_bloom_filter(group, leaf).map_err(|error| file.file.corrupt(error))?;
    Ok(bloom.is_some_and(|bloom| !texts.iter().any(|text| bloom.check(text.as_str()))))
}
