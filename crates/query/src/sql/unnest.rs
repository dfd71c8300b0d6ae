//! The view `points`: the float samples of chunks, one row each.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use futures::{Stream, StreamExt, stream};
use model::schema::column;
use model::{Error, Result, TimeRange};

use crate::STALE_BITS;

/// Rows of one batch of points: a chunk's labels are copied onto each of its points, so batches are kept small.
const BATCH_ROWS: usize = 8192;

/// The columns of `samples` that a view with that schema is made of.
pub(super) fn columns(schema: &SchemaRef) -> Vec<String> {
    let own = ["time_unix_nano", "value"];
    let copied = schema.fields().iter().map(|field| field.name().clone()).filter(|name| !own.contains(&name.as_str()));
    copied.chain(["timestamps", "values"].map(str::to_owned)).collect()
}

/// The points of chunks whose time is in the range.
pub(super) fn points(
    chunks: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    schema: SchemaRef,
    time: TimeRange,
) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
    chunks.flat_map(move |batch| {
        let unnested = batch.and_then(|batch| Unnest::of(batch, schema.clone(), time));
        match unnested {
            Ok(unnest) => stream::iter(unnest).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        }
    })
}

struct Unnest {
    batch: RecordBatch,
    schema: SchemaRef,
    time: TimeRange,
    timestamps: ListArray,
    values: ListArray,
    row: usize,
    /// Points of the row that are behind us.
    done: usize,
}

impl Unnest {
    fn of(batch: RecordBatch, schema: SchemaRef, time: TimeRange) -> Result<Self> {
        let timestamps = column::<ListArray>(&batch, "timestamps")?.clone();
        let values = column::<ListArray>(&batch, "values")?.clone();
        Ok(Self { batch, schema, time, timestamps, values, row: 0, done: 0 })
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let (times, values): (&Int64Array, &Float64Array) = (elements(&self.timestamps)?, elements(&self.values)?);
        let (mut rows, mut at, mut found): (Vec<u32>, Vec<i64>, Vec<f64>) = (Vec::new(), Vec::new(), Vec::new());
        while self.row < self.batch.num_rows() && rows.len() < BATCH_ROWS {
            let (from, to) = bounds(&self.values, self.row);
            let first_time = bounds(&self.timestamps, self.row).0;
            let end = to.min(from + self.done + (BATCH_ROWS - rows.len()));
            for index in from + self.done..end {
                let at_ns = times.value(first_time + index - from).saturating_mul(1_000_000);
                let value = values.value(index);
                // The end of a series is no sample, and one of them would make every sum NaN.
                if self.time.contains(at_ns) && value.to_bits() != STALE_BITS {
                    rows.push(u32::try_from(self.row).expect("a batch has under 2^32 rows"));
                    at.push(at_ns);
                    found.push(value);
                }
            }
            match end == to {
                true => (self.row, self.done) = (self.row + 1, 0),
                false => self.done = end - from,
            }
        }
        let points = rows.len();
        if points == 0 {
            return Ok(None);
        }
        let (rows, at, found) = (UInt32Array::from(rows), Arc::new(Int64Array::from(at)), Arc::new(Float64Array::from(found)));
        let columns = self.schema.fields().iter().map(|field| -> Result<ArrayRef> {
            Ok(match field.name().as_str() {
                "time_unix_nano" => at.clone(),
                "value" => found.clone(),
                name => {
                    let copied = self.batch.column_by_name(name);
                    take(copied.ok_or_else(|| Error::internal(format!("cannot find column {name:?} in a chunk")))?, &rows, None)?
                }
            })
        });
        let options = RecordBatchOptions::new().with_row_count(Some(points));
        Ok(Some(RecordBatch::try_new_with_options(self.schema.clone(), columns.collect::<Result<_>>()?, &options)?))
    }
}

impl Iterator for Unnest {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

fn elements<A: Array + 'static>(list: &ListArray) -> Result<&A> {
    list.values().as_any().downcast_ref().ok_or_else(|| Error::internal("cannot read the points of a chunk: they have another type"))
}

/// Empty where the list is null: the chunk holds histograms.
fn bounds(list: &ListArray, row: usize) -> (usize, usize) {
    let start = list.value_offsets()[row] as usize;
    let end = list.value_offsets()[row + 1] as usize;
    (start, if list.is_null(row) { start } else { end })
}
