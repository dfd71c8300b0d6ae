//! What need not be read: files by the Delta log's statistics, row groups by the footer's, and by bloom filter.

use model::{Result, Subject};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::Plan;
use super::filter::{CompiledFilter, CompiledTest, meets};
use crate::lake::files::{FileStats, LakeFile};
use crate::lake::handle::Handle;

/// What is known of a text column in a block of rows.
struct Known<'a> {
    /// None when all are null.
    range: Option<(&'a [u8], &'a [u8])>,
    has_nulls: bool,
    /// The bounds are values of the column, not cut short.
    exact: bool,
}

/// Whether a file can hold a row of the answer.
pub(crate) fn file_may_match(plan: &Plan, stats: &FileStats) -> bool {
    if stats.time(plan.table).is_some_and(|(first, last)| !meets(plan.time, first, last)) {
        return false;
    }
    plan.filters.iter().all(|filter| {
        let Subject::Column(name) = &filter.subject else { return true };
        let Some(bounds) = stats.texts.get(name).filter(|bounds| !bounds.unknown) else { return true };
        let range = bounds.range.as_ref().map(|(low, high)| (low.as_bytes(), high.as_bytes()));
        may_match(filter, &Known { range, has_nulls: bounds.nulls > 0, exact: true })
    })
}

/// Whether a row group can hold a row of the answer.
pub(crate) fn group_may_match(plan: &Plan, file: &LakeFile, handle: &Handle, footer: &ArrowReaderMetadata, group: usize) -> Result<bool> {
    let metadata = footer.metadata().row_group(group);
    if let Some((first, last)) = group_time(plan, metadata)
        && !meets(plan.time, first, last)
    {
        return Ok(false);
    }
    for filter in &plan.filters {
        let Subject::Column(name) = &filter.subject else { continue };
        let Some(leaf) = leaf(metadata, name) else { continue };
        let known = metadata.column(leaf).statistics().and_then(|stats| known(stats, metadata.num_rows()));
        if known.is_some_and(|known| !may_match(filter, &known)) || bloom_excludes(filter, file, handle, footer, group, leaf)? {
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

/// The leaf that holds a top-level column without children.
fn leaf(metadata: &RowGroupMetaData, name: &str) -> Option<usize> {
    metadata.columns().iter().position(|column| matches!(column.column_path().parts(), [only] if only == name))
}

fn known(stats: &Statistics, rows: i64) -> Option<Known<'_>> {
    let nulls = stats.null_count_opt()?;
    let all_null = i64::try_from(nulls).is_ok_and(|nulls| nulls == rows);
    let range = stats.min_bytes_opt().zip(stats.max_bytes_opt());
    let exact = stats.min_is_exact() && stats.max_is_exact();
    (all_null || range.is_some()).then_some(Known { range: range.filter(|_| !all_null), has_nulls: nulls > 0, exact })
}

/// Null counts as the empty text, as everywhere in a scan.
fn may_match(filter: &CompiledFilter, known: &Known<'_>) -> bool {
    let CompiledTest::OneOf(texts) = &filter.test else { return true };
    match filter.negated {
        false => texts.iter().any(|text| {
            let within = known.range.is_some_and(|(low, high)| low <= text.as_bytes() && text.as_bytes() <= high);
            within || (text.is_empty() && (known.has_nulls || known.range.is_none()))
        }),
        // Only a block of one single value can be all refused.
        true => match known.range {
            None => !texts.iter().any(String::is_empty),
            Some((low, high)) => {
                let single = known.exact && low == high && !known.has_nulls;
                !(single && texts.iter().any(|text| text.as_bytes() == low))
            }
        },
    }
}

fn bloom_excludes(
    filter: &CompiledFilter,
    file: &LakeFile,
    handle: &Handle,
    footer: &ArrowReaderMetadata,
    group: usize,
    leaf: usize,
) -> Result<bool> {
    let CompiledTest::OneOf(texts) = &filter.test else { return Ok(false) };
    let without = footer.metadata().row_group(group).column(leaf).bloom_filter_offset().is_none();
    // A filter holds no nulls, and null is the empty text.
    if filter.negated || without || texts.iter().any(String::is_empty) {
        return Ok(false);
    }
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(handle.clone(), footer.clone());
    let bloom = builder.get_row_group_column_bloom_filter(group, leaf).map_err(|error| file.corrupt(error))?;
    Ok(bloom.is_some_and(|bloom| !texts.iter().any(|text| bloom.check(text.as_str()))))
}
