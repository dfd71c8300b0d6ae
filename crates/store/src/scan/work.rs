//! Works through the blocks of a scan on blocking threads.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use model::{Order, Result};
use parking_lot::Mutex as Lock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::merge::{Key, Merge};
use super::read::Group;
use super::{Plan, read};
use crate::head::{Block, SeriesSlice};
use crate::lake::files::LakeFile;
use crate::lake::handle::Handle;

/// A block of rows to look at.
pub(crate) enum Unit {
    Block(Arc<Block>),
    Series(SeriesSlice),
    /// Rows of the head without points.
    Families(RecordBatch),
    Group {
        file: Arc<LakeFile>,
        handle: Handle,
        group: usize,
        time: (i64, i64),
    },
}

impl Unit {
    /// The best place any of its rows can have.
    fn first_key(&self, order: Order) -> Key {
        let (first, last) = match self {
            Self::Block(block) => (block.min_time, block.max_time),
            Self::Group { time, .. } => *time,
            Self::Series(_) | Self::Families(_) => (i64::MIN, i64::MAX),
        };
        Key::of(order, if order == Order::NewestFirst { last } else { first })
    }
}

/// Works through units on a blocking thread. It holds a permit while it computes and none while it waits for the reader:
/// a join that reads one scan before it starts the other would otherwise wait for itself.
pub(crate) struct Worker {
    plan: Arc<Plan>,
    permits: Arc<Semaphore>,
    runtime: tokio::runtime::Handle,
    permit: Option<OwnedSemaphorePermit>,
    out: mpsc::Sender<Result<RecordBatch>>,
    chunk_points_max: usize,
    /// Rows given out, for a limit without an order.
    given: usize,
}

/// The reader has gone; not an error.
struct Gone;

impl Worker {
    pub(crate) fn new(
        plan: Arc<Plan>,
        permits: Arc<Semaphore>,
        runtime: tokio::runtime::Handle,
        out: mpsc::Sender<Result<RecordBatch>>,
        chunk_points_max: usize,
    ) -> Self {
        Self { plan, permits, runtime, permit: None, out, chunk_points_max, given: 0 }
    }

    pub(crate) fn resume(&mut self) {
        // The semaphore is never closed; without a permit the worst is one thread more at work.
        self.permit = self.runtime.block_on(self.permits.clone().acquire_owned()).ok();
    }

    fn emit(&mut self, records: RecordBatch) -> Result<(), Gone> {
        if records.num_rows() == 0 {
            return if self.out.is_closed() { Err(Gone) } else { Ok(()) };
        }
        self.plan.count(|stats| stats.rows_returned += records.num_rows() as u64);
        self.permit = None;
        self.out.blocking_send(Ok(records)).map_err(|_| Gone)?;
        self.resume();
        Ok(())
    }

    pub(crate) fn run(&mut self, units: &Lock<VecDeque<Unit>>) -> Result<()> {
        self.resume();
        match self.plan.order {
            Order::Any => self.run_any(units),
            _ => self.run_ordered(std::mem::take(&mut *units.lock())),
        }
    }

    fn run_any(&mut self, units: &Lock<VecDeque<Unit>>) -> Result<()> {
        let plan = self.plan.clone();
        loop {
            let Some(unit) = units.lock().pop_front() else { return Ok(()) };
            for records in open(&plan, &unit, self.chunk_points_max, None, None)? {
                let records = records?;
                // Without an order a limit means any so many rows, and there is one worker.
                let left = plan.limit.map_or(usize::MAX, |limit| limit.saturating_sub(self.given));
                let records = records.slice(0, records.num_rows().min(left));
                self.given += records.num_rows();
                if self.emit(records).is_err() {
                    return Ok(());
                }
                if plan.limit.is_some_and(|limit| self.given >= limit) {
                    return Ok(());
                }
            }
        }
    }

    fn run_ordered(&mut self, units: VecDeque<Unit>) -> Result<()> {
        let plan = self.plan.clone();
        let mut units: Vec<(Key, Unit)> = units.into_iter().map(|unit| (unit.first_key(plan.order), unit)).collect();
        units.sort_by_key(|(key, _)| *key);
        let mut merge = Merge::default();
        for (first, unit) in units {
            if merge.bound(&plan).is_some_and(|bound| first >= bound) {
                break;
            }
            if self.give(merge.take(&plan, Some(first))?).is_err() {
                return Ok(());
            }
            if merge.left(&plan) == Some(0) {
                return Ok(());
            }
            for records in open(&plan, &unit, self.chunk_points_max, merge.left(&plan), merge.bound(&plan))? {
                merge.add(&plan, records?)?;
                if self.out.is_closed() {
                    return Ok(());
                }
            }
        }
        let _ = self.give(merge.take(&plan, None)?);
        Ok(())
    }

    fn give(&mut self, batches: Vec<RecordBatch>) -> Result<(), Gone> {
        batches.into_iter().try_for_each(|records| self.emit(records))
    }
}

/// The rows of a unit that the answer wants, with the read columns; of `top` rows in the plan's order only those that
/// come before `bound`, where a unit can tell cheaply.
fn open<'a>(
    plan: &'a Plan,
    unit: &'a Unit,
    chunk_points_max: usize,
    top: Option<usize>,
    bound: Option<Key>,
) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>> + 'a>> {
    match unit {
        Unit::Block(block) => {
            plan.count(|stats| stats.head_rows_scanned += block.records.num_rows() as u64);
            Ok(Box::new(std::iter::once_with(|| read::filter_batch(plan, &block.records))))
        }
        Unit::Families(records) => Ok(Box::new(std::iter::once_with(|| read::filter_batch(plan, records)))),
        // The series were filtered when they were taken; only a row of a long series may lie outside the range.
        Unit::Series(slice) => Ok(Box::new(slice.clone().batches(chunk_points_max).map(|records| read::in_time(plan, &records?)))),
        Unit::Group { file, handle, group, .. } => {
            let group = Group::new(plan, file, handle, *group);
            let chosen = group.choose(top, bound)?;
            group.read(&chosen)
        }
    }
}
