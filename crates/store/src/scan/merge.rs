//! Brings blocks with overlapping times into one order, and stops as soon as no block that is left can contribute.

use arrow::array::{Int64Array, RecordBatch};
use arrow::compute::interleave_record_batch;
use model::schema::column;
use model::{Code, Error, Result};

use super::Plan;
use crate::head::bytes_of;
use crate::lake::order::gather;

/// A row's place in the answer: smaller comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) i64);

/// Rows given out at once. At first any at all, as whoever asks without a limit may soon have enough; then as many as were given before.
const OUT_ROWS: usize = 8192;
/// Batches held before it is asked whether their rows are better gathered into one: a hundred wanted rows must not hold a
/// hundred blocks.
const HELD_BATCHES_MAX: usize = 32;

/// Rows seen and not yet given out.
#[derive(Default)]
pub(crate) struct Merge {
    batches: Vec<RecordBatch>,
    /// Rows of all batches, wanted or not.
    held_rows: usize,
    held_bytes: usize,
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
        self.hold(records);
        if let Some(left) = self.left(plan)
            && self.rows.len() > left
        {
            self.rows.select_nth_unstable(left);
            self.rows.truncate(left);
        }
        let max = plan.shared.options.scan_held_bytes_max;
        if self.batches.len() > HELD_BATCHES_MAX || self.held_bytes > max {
            self.gather()?;
        }
        if self.held_bytes > max {
            let what = format!("cannot bring rows into order: they take {} bytes (scan_held_bytes_max {max})", self.held_bytes);
            return Err(Error::new(Code::LimitExceeded, what).because("ask for fewer rows by a limit, a shorter time or a filter"));
        }
        Ok(())
    }

    fn hold(&mut self, records: RecordBatch) {
        self.held_rows += records.num_rows();
        self.held_bytes += bytes_of(&records);
        self.batches.push(records);
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
        let before = |row: &(Key, u32, u32)| until.is_none_or(|until| row.0 < until);
        let worth = self.given.clamp(1, OUT_ROWS);
        if until.is_some() && self.rows.iter().filter(|row| before(row)).count() < worth {
            return Ok(Vec::new());
        }
        self.rows.sort_unstable();
        let rest = self.rows.split_off(self.rows.partition_point(before));
        let ready = std::mem::replace(&mut self.rows, rest);
        self.given += ready.len();
        let mut batches = Vec::new();
        for rows in ready.chunks(OUT_ROWS) {
            batches.extend(self.pick(rows)?);
        }
        self.gather()?;
        batches.into_iter().map(|records| Ok(records.project(&plan.output)?)).collect()
    }

    fn pick(&self, rows: &[(Key, u32, u32)]) -> Result<Vec<RecordBatch>> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let places: Vec<(usize, usize)> = rows.iter().map(|&(_, batch, row)| (batch as usize, row as usize)).collect();
        gather(&places, &|places| interleave_record_batch(&batches, places))
    }

    /// Copies the held rows together and lets go of the batches they were in, once most of what these hold is not wanted:
    /// then a row is copied a logarithmic number of times, however many batches come.
    fn gather(&mut self) -> Result<()> {
        if self.rows.len() * 2 > self.held_rows {
            return Ok(());
        }
        let gathered = if self.rows.is_empty() { Vec::new() } else { self.pick(&self.rows)? };
        let places = (0u32..).zip(&gathered).flat_map(|(batch, records)| (0..records.num_rows() as u32).map(move |row| (batch, row)));
        self.rows.iter_mut().zip(places).for_each(|(place, (batch, row))| (place.1, place.2) = (batch, row));
        self.batches.clear();
        (self.held_rows, self.held_bytes) = (0, 0);
        gathered.into_iter().for_each(|records| self.hold(records));
        Ok(())
    }
}
