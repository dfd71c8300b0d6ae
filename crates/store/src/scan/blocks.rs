//! Which rows of a row group must be looked at: blocks that neither the pages' statistics nor the file's own filter rule out.

use std::ops::Range;

use model::{Order, Result, Subject};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::filter::{CompiledFilter, meets};
use super::merge::Key;
use super::probe::{Looked, Probes};
use super::prune::{Known, Range as Values, group_time, leaf, may_match};
use super::{Plan, bind};
use crate::lake::fields;
use crate::lake::files::LakeFile;
use crate::lake::filter::{BLOCK_ROWS, BlockFilter, FileFilter};
use crate::lake::handle::Handle;
use crate::lake::keys::MapKeys;

/// A file opened for one scan: its filters, and what it says about its blocks.
pub(crate) struct OpenFile<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) file: &'a LakeFile,
    pub(crate) handle: Handle,
    pub(crate) footer: ArrowReaderMetadata,
    pub(crate) filters: Vec<CompiledFilter>,
    pub(crate) filter: Option<FileFilter>,
    probes: Probes,
}

/// Rows of a row group that are read together.
#[derive(Debug, PartialEq)]
pub(crate) struct Part {
    /// In the order of the file.
    pub(crate) rows: Vec<Range<usize>>,
    /// First and last instant.
    pub(crate) time: (i64, i64),
}

impl<'a> OpenFile<'a> {
    /// None when no row of the file can be in the answer.
    pub(crate) fn open(plan: &'a Plan, file: &'a LakeFile) -> Result<Option<Self>> {
        let (handle, footer) = plan.shared.footers.open(file)?;
        let keys = MapKeys::of(footer.metadata());
        let moved = fields::moved(footer.metadata(), footer.schema());
        let Some(filters) = bind::bind(&plan.filters, &keys, &moved) else { return Ok(None) };
        let probes = Probes::of(plan, &filters, &keys);
        let filter = match probes.is_empty() {
            true => None,
            false => FileFilter::open(&handle, footer.metadata()).map_err(|error| file.corrupt(error))?,
        };
        Ok(Some(Self { plan, file, handle, footer, filters, filter, probes }))
    }

    /// The rows of a group that may be in the answer, in parts; for an ordered scan the part that comes first has few of them.
    pub(crate) fn parts(&self, group: usize) -> Result<Vec<Part>> {
        let metadata = self.footer.metadata().row_group(group);
        let rows = usize::try_from(metadata.num_rows()).unwrap_or_default();
        let blocks: Vec<Range<usize>> = (0..rows).step_by(BLOCK_ROWS).map(|start| start..rows.min(start + BLOCK_ROWS)).collect();
        let mut keep = vec![true; blocks.len()];
        for filter in &self.filters {
            let Subject::Column(name) = &filter.subject else { continue };
            self.drop_pages(group, name, &blocks, &mut keep, |index, page| may_match(filter, &known(index, page)));
        }
        let whole = group_time(self.plan, metadata).unwrap_or((i64::MIN, i64::MAX));
        let times: Vec<(i64, i64)> = blocks.iter().map(|block| self.block_time(group, block).unwrap_or(whole)).collect();
        for (keep, (first, last)) in keep.iter_mut().zip(&times) {
            *keep &= meets(self.plan.time, *first, *last);
        }
        self.drop_blocks(group, &mut keep)?;
        let kept: Vec<(Range<usize>, (i64, i64))> =
            blocks.into_iter().zip(times).zip(&keep).filter(|(_, keep)| **keep).map(|(block, _)| block).collect();
        self.plan.count(|stats| {
            stats.blocks_total += keep.len() as u64;
            stats.blocks_skipped += (keep.len() - kept.len()) as u64;
        });
        Ok(in_parts(self.plan.order, kept, self.plan.rows_scanned() / BLOCK_ROWS))
    }

    /// Drops the blocks of which no page of a column may have a row.
    fn drop_pages(
        &self,
        group: usize,
        column: &str,
        blocks: &[Range<usize>],
        keep: &mut [bool],
        may: impl Fn(&ColumnIndexMetaData, usize) -> bool,
    ) {
        let Some((index, starts)) = self.pages(group, column) else { return };
        let may: Vec<bool> = (0..starts.len()).map(|page| may(index, page)).collect();
        for (block, keep) in blocks.iter().zip(keep) {
            *keep &= overlapping(&starts, block).any(|page| may[page]);
        }
    }

    /// The statistics of a column's pages, and the first row of each.
    fn pages(&self, group: usize, column: &str) -> Option<(&ColumnIndexMetaData, Vec<usize>)> {
        let metadata = self.footer.metadata();
        let leaf = leaf(metadata.row_group(group), column)?;
        let index = metadata.column_index()?.get(group)?.get(leaf)?;
        let pages = metadata.offset_index()?.get(group)?.get(leaf)?.page_locations();
        let starts: Vec<usize> = pages.iter().map(|page| usize::try_from(page.first_row_index).unwrap_or_default()).collect();
        (!matches!(index, ColumnIndexMetaData::NONE) && index.num_pages() == starts.len() as u64).then_some((index, starts))
    }

    /// First and last instant of a block's rows.
    fn block_time(&self, group: usize, block: &Range<usize>) -> Option<(i64, i64)> {
        let (first, last) = self.plan.table.time_columns();
        let bounds = |name: &str| {
            let (index, starts) = self.pages(group, name)?;
            let ColumnIndexMetaData::INT64(index) = index else { return None };
            let pages = overlapping(&starts, block).map(|page| Some((*index.min_value(page)?, *index.max_value(page)?)));
            pages.collect::<Option<Vec<_>>>()?.into_iter().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
        };
        Some((bounds(first)?.0, bounds(last)?.1))
    }

    /// Drops the blocks that the file's own filter rules out.
    fn drop_blocks(&self, group: usize, keep: &mut [bool]) -> Result<()> {
        let Some(filter) = self.filter.as_ref().filter(|_| keep.contains(&true)) else { return Ok(()) };
        let corrupt = |error| self.file.corrupt(error);
        let values = self.probes.want_values().then(|| filter.values(&self.handle, group)).transpose().map_err(corrupt)?;
        let mut bytes = values.as_ref().map_or(0, BlockFilter::bytes);
        let mut read = || {
            let (maps, read) = filter.grams(&self.handle, group).map_err(corrupt)?;
            bytes += read;
            Ok(maps)
        };
        let footers = &self.plan.shared.footers;
        let grams = self.probes.want_grams().then(|| footers.grams(&self.file.name, group, &mut read)).transpose()?;
        self.plan.count(|stats| stats.bytes_scanned += bytes as u64);
        let looked = Looked { grams, values };
        for (block, keep) in keep.iter_mut().enumerate().filter(|(_, keep)| **keep) {
            *keep = self.probes.may_match(&looked, block);
        }
        Ok(())
    }
}

/// The pages that begin at these rows and have rows of a block.
fn overlapping(starts: &[usize], block: &Range<usize>) -> Range<usize> {
    let first = starts.partition_point(|start| *start <= block.start).saturating_sub(1);
    first..starts.partition_point(|start| *start < block.end)
}

fn known(index: &ColumnIndexMetaData, page: usize) -> Known<'_> {
    let range = match index {
        ColumnIndexMetaData::BYTE_ARRAY(index) => {
            index.min_value(page).zip(index.max_value(page)).map(|(low, high)| Values::Texts(low, high))
        }
        ColumnIndexMetaData::INT64(index) => index.min_value(page).zip(index.max_value(page)).map(|(low, high)| Values::Ints(*low, *high)),
        ColumnIndexMetaData::DOUBLE(index) => {
            index.min_value(page).zip(index.max_value(page)).map(|(low, high)| Values::Doubles(*low, *high))
        }
        _ => None,
    };
    let all_null = index.is_null_page(page);
    // Bounds of pages may be cut short.
    let range = if all_null { None } else { Some(range.unwrap_or(Values::Any)) };
    Known { range, has_nulls: index.null_count(page) != Some(0), exact: false }
}

/// With an order, parts from where the answer begins that double what the scan has looked at: what ends early has read little, and what
/// goes on reads much at once.
fn in_parts(order: Order, mut blocks: Vec<(Range<usize>, (i64, i64))>, looked: usize) -> Vec<Part> {
    if order != Order::Any {
        blocks.sort_by_key(|(rows, time)| (Key::of(order, if order == Order::NewestFirst { time.1 } else { time.0 }), rows.start));
    }
    let (mut parts, mut at, mut length) = (Vec::new(), 0, if order == Order::Any { blocks.len() } else { looked.max(1) });
    while at < blocks.len() {
        let end = blocks.len().min(at + length);
        let time = blocks[at..end].iter().map(|block| block.1).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default();
        let mut rows: Vec<Range<usize>> = blocks[at..end].iter().map(|block| block.0.clone()).collect();
        rows.sort_by_key(|rows| rows.start);
        parts.push(Part { rows, time });
        (at, length) = (end, looked + end);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_any_length_meet_blocks() {
        let check = |starts: &[usize], block: Range<usize>, expect: Range<usize>| assert_eq!(overlapping(starts, &block), expect);
        check(&[0, 100, 200], 0..100, 0..1);
        check(&[0, 100, 200], 100..200, 1..2);
        check(&[0, 150], 100..200, 0..2);
        check(&[0], 100..200, 0..1);
        check(&[0, 10, 20, 200], 15..20, 1..2);
    }

    #[test]
    fn ordered_parts_begin_small_where_the_answer_begins() {
        let blocks: Vec<_> = (0..6).map(|at| (at * 10..at * 10 + 10, (at as i64, at as i64))).collect();
        let starts = |order| -> Vec<Vec<usize>> {
            in_parts(order, blocks.clone(), 0).iter().map(|part| part.rows.iter().map(|rows| rows.start).collect()).collect()
        };
        assert_eq!(starts(Order::Any), [vec![0, 10, 20, 30, 40, 50]]);
        assert_eq!(starts(Order::NewestFirst), [vec![50], vec![40], vec![20, 30], vec![0, 10]]);
        assert_eq!(starts(Order::OldestFirst), [vec![0], vec![10], vec![20, 30], vec![40, 50]]);
        assert_eq!(in_parts(Order::NewestFirst, blocks.clone(), 0)[2].time, (2, 3));
        assert_eq!(in_parts(Order::NewestFirst, blocks.clone(), 3).len(), 2, "three and as many as were looked at by then");
        assert_eq!(in_parts(Order::NewestFirst, blocks, 6).len(), 1);
    }
}
