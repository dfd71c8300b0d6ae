//! Cuts points out of chunks.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type};
use model::schema::column;
use model::{Result, Table, TimeRange};

use super::Target;

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Keeps the points of the touched rows for which `stays(row, nanoseconds)` says yes, and their exemplars; gives the number
/// of points that went. The times of a row become those of the points it has left.
pub(super) fn cut(records: RecordBatch, touched: &[bool], stays: impl Fn(usize, i64) -> bool) -> Result<(RecordBatch, u64)> {
    if !touched.contains(&true) {
        return Ok((records, 0));
    }
    let times: &ListArray = column(&records, "timestamps")?;
    let offsets = times.value_offsets();
    let millis = times.values().as_primitive::<Int64Type>();
    let keeps = |row: usize, millis: i64| !touched[row] || stays(row, millis.saturating_mul(NANOS_PER_MILLI));
    let kept: Vec<Vec<bool>> = (0..records.num_rows())
        .map(|row| (offsets[row] as usize..offsets[row + 1] as usize).map(|at| keeps(row, millis.value(at))).collect())
        .collect();
    let went = kept.iter().flatten().filter(|kept| !**kept).count() as u64;
    let mut columns = records.columns().to_vec();
    for (array, field) in columns.iter_mut().zip(records.schema_ref().fields()) {
        match field.name().as_str() {
            "timestamps" | "start_timestamps" | "values" | "histograms" => {
                let list: &ListArray = array.as_list();
                // A row has values or histograms, and perhaps starts; the other lists are empty.
                let of_row = |row: usize, at: usize, length: usize| length != kept[row].len() || kept[row][at];
                *array = filter_list(list, of_row)?;
            }
            "exemplars" => {
                let list = array.as_list::<i32>().clone();
                let times = exemplar_times(&list).clone();
                let offsets = list.value_offsets().to_vec();
                *array = filter_list(&list, |row, at, _| keeps(row, times.value(offsets[row] as usize + at)))?;
            }
            name @ ("min_time_unix_nano" | "max_time_unix_nano") => {
                let ends = |row: usize| {
                    let points = offsets[row] as usize..offsets[row + 1] as usize;
                    let mut left = points.zip(&kept[row]).filter(|(_, kept)| **kept).map(|(at, _)| millis.value(at) * NANOS_PER_MILLI);
                    if name.starts_with("min") { left.next() } else { left.next_back() }
                };
                let before: &Int64Array = array.as_primitive();
                let after = (0..before.len()).map(|row| if touched[row] { ends(row) } else { None }.unwrap_or(before.value(row)));
                *array = Arc::new(Int64Array::from_iter_values(after));
            }
            _ => {}
        }
    }
    Ok((RecordBatch::try_new(records.schema(), columns)?, went))
}

/// Drops exemplars that themselves are what an order erases; gives how many.
pub(super) fn cut_exemplars(records: RecordBatch, targets: &[Arc<Target>]) -> Result<(RecordBatch, u64)> {
    let Some(at) = records.schema_ref().fields().iter().position(|field| field.name() == "exemplars") else { return Ok((records, 0)) };
    let list = records.column(at).as_list::<i32>().clone();
    let mut hidden = vec![false; list.values().len()];
    for target in targets {
        target.mark_exemplars(&records, &list, exemplar_times(&list), &mut hidden)?;
    }
    let went = hidden.iter().filter(|hidden| **hidden).count() as u64;
    if went == 0 {
        return Ok((records, 0));
    }
    let offsets = list.value_offsets();
    let mut columns = records.columns().to_vec();
    columns[at] = filter_list(&list, |row, at, _| !hidden[offsets[row] as usize + at])?;
    Ok((RecordBatch::try_new(records.schema(), columns)?, went))
}

/// The rows of these samples that have points in the range, without any other point. An exemplar goes with the points
/// nearest to it.
pub(crate) fn within(records: &RecordBatch, range: TimeRange) -> Result<RecordBatch> {
    let (first, last) = Table::Samples.time_columns();
    let (first, last): (&Int64Array, &Int64Array) = (column(records, first)?, column(records, last)?);
    let has = |row: usize| {
        let (first, last) = (first.value(row), last.value(row));
        range.contains(first) || range.contains(last) || (range.overlaps(first, last) && has_point(records, row, range))
    };
    let rows: BooleanArray = (0..records.num_rows()).map(|row| Some(has(row))).collect();
    let records = filter_record_batch(records, &rows)?;
    let (first, last) = Table::Samples.time_columns();
    let (first, last) = (column::<Int64Array>(&records, first)?.clone(), column::<Int64Array>(&records, last)?.clone());
    let touched: Vec<bool> =
        (0..records.num_rows()).map(|row| !(range.contains(first.value(row)) && range.contains(last.value(row)))).collect();
    let stays = |row: usize, time: i64| range.contains(time.clamp(first.value(row), last.value(row)));
    Ok(cut(records, &touched, stays)?.0)
}

fn has_point(records: &RecordBatch, row: usize, range: TimeRange) -> bool {
    let Ok(times) = column::<ListArray>(records, "timestamps") else { return false };
    let (start, end) = (times.value_offsets()[row] as usize, times.value_offsets()[row + 1] as usize);
    let millis = times.values().as_primitive::<Int64Type>();
    (start..end).any(|at| range.contains(millis.value(at).saturating_mul(NANOS_PER_MILLI)))
}

fn exemplar_times(list: &ListArray) -> &Int64Array {
    let times = list.values().as_struct().column_by_name("timestamp").expect("schema::exemplar_fields has a timestamp");
    times.as_primitive()
}

/// The list with the elements for which `keep(row, place in the row, length of the row)` says yes.
fn filter_list(list: &ListArray, keep: impl Fn(usize, usize, usize) -> bool) -> Result<ArrayRef> {
    let before = list.value_offsets();
    let mut kept = vec![false; list.values().len()];
    let mut after = vec![0_i32];
    for row in 0..list.len() {
        let (start, end) = (before[row] as usize, before[row + 1] as usize);
        let mut length = 0;
        for at in (start..end).filter(|at| keep(row, at - start, end - start)) {
            kept[at] = true;
            length += 1;
        }
        after.push(after[row] + length);
    }
    let values = filter(list.values(), &BooleanArray::from(kept))?;
    let DataType::List(element) = list.data_type() else { unreachable!("a list array has the type of a list") };
    let offsets = OffsetBuffer::new(ScalarBuffer::from(after));
    Ok(Arc::new(ListArray::new(element.clone(), offsets, values, list.nulls().cloned())))
}

/// Texts of a struct's field, one per element.
pub(super) fn element_texts<'a>(list: &'a ListArray, field: &str) -> Option<&'a StringArray> {
    list.values().as_struct().column_by_name(field)?.as_string_opt()
}
