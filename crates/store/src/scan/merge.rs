//! Brings blocks with overlapping times into one order, and stops as soon as no block that is left can contribute.

use arrow::array::{Int64Array, RecordBatch};
use arrow::compute::interleave_record_batch;
use model::Result;
use model::schema::column;

use super::Plan;

/// A row's place in the answer: smaller comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) i64);

/// Rows given out at once.
const OUT_ROWS: usize = 8192;
/// Batches held before their rows are gathered into one: a hundred wanted rows must not hold a hundred blocks.
const HELD_BATCHES_MAX: usize = 32;

/// Rows seen and not yet given out.
#[derive(Default)]
pub(crate) struct Merge {
    batches: Vec<RecordBatch>,
    rows: Vec<(Key, u32, u32)>,
    given: usize,
}

impl Merge {
    pub(crate) fn add(&mut self, plan: &Plan, records: RecordBatch) -> Result<()> {
        if records.num_rows() == 0 {
            return Ok(());
        }
        let times: &Int64Array = column(&records, plan.order_column())?;
        let batch = u32::try_from(self.batches.len()).expect("held batches are gathered long before");
        self.rows.extend((0u32..).zip(times.values()).map(|(row, &time)| (Key::of(plan.order, time), batch, row)));
        self.batches.push(records);
        if let Some(left) = self.left(plan)
            && self.rows.len() > left
        {
            self.rows.select_nth_unstable(left);
            self.rows.truncate(left);
        }
        if self.batches.len() > HELD_BATCHES_MAX {
            self.gather()?;
        }
        Ok(())
    }

    /// Rows that the limit still allows.
    pub(crate) fn left(&self, plan: &Plan) -> Option<usize> {
        plan.limit.map(|limit| limit - self.given)
    }

    /// With a limit reached by rows held: the place that a further row must beat.
    pub(crate) fn bound(&self, plan: &Plan) -> Option<Key> {
        let left = self.left(plan)?;
        (self.rows.len() >= left).then(|| self.rows.iter().map(|row| row.0).max().unwrap_or(Key(i64::MIN)))
    }

    /// Sorted batches of the rows before `until`, all without one; waits for enough rows to be worth it unless all.
    pub(crate) fn take(&mut self, plan: &Plan, until: Option<Key>) -> Result<Vec<RecordBatch>> {
        self.rows.sort_unstable();
        let ready = until.map_or(self.rows.len(), |until| self.rows.partition_point(|row| row.0 < until));
        if until.is_some() && ready < OUT_ROWS {
            return Ok(Vec::new());
        }
        let rest = self.rows.split_off(ready);
        let ready = std::mem::replace(&mut self.rows, rest);
        self.given += ready.len();
        let batches = ready.chunks(OUT_ROWS).map(|rows| self.pick(rows)).collect::<Result<Vec<_>>>()?;
        self.gather()?;
        batches.into_iter().map(|records| Ok(records.project(&plan.output)?)).collect()
    }

    fn pick(&self, rows: &[(Key, u32, u32)]) -> Result<RecordBatch> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let places: Vec<(usize, usize)> = rows.iter().map(|&(_, batch, row)| (batch as usize, row as usize)).collect();
        Ok(interleave_record_batch(&batches, &places)?)
    }

    /// Copies the held rows together and lets go of the batches they were in.
    fn gather(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            self.batches.clear();
            return Ok(());
        }
        let one = self.pick(&self.rows)?;
        self.rows.iter_mut().zip(0u32..).for_each(|(place, row)| (place.1, place.2) = (0, row));
        self.batches = vec![one];
        Ok(())
    }
}
