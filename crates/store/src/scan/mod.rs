//! Reads a table at one moment: head and files together, each row once.

mod filter;
mod merge;
mod prune;
mod read;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use model::{Error, Order, Result, ScanRequest, ScanStats, ScanStream, Table, TimeRange};
use parking_lot::Mutex as Lock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::head::{Block, Head, SeriesSlice};
use crate::lake::files::LakeFile;
use crate::lake::handle::Handle;
use crate::table::ShardTable;
use filter::{CompiledFilter, meets};
use merge::{Key, Merge};
use read::Group;

/// Batches that may wait for their reader.
const BATCHES_AHEAD: usize = 2;
/// Threads that one scan without an order may use.
const WORKERS_MAX: usize = 4;

/// A request made ready.
pub(crate) struct Plan {
    pub(crate) table: Table,
    pub(crate) time: TimeRange,
    pub(crate) filters: Vec<CompiledFilter>,
    pub(crate) order: Order,
    pub(crate) limit: Option<usize>,
    /// The wanted columns, and behind them the column of the order if it is not among them.
    pub(crate) read_columns: Vec<String>,
    pub(crate) read_schema: SchemaRef,
    /// Which of the read columns are wanted.
    pub(crate) output: Vec<usize>,
    stats: Arc<Mutex<ScanStats>>,
}

impl Plan {
    fn of(request: ScanRequest) -> Result<Self> {
        let ScanRequest { table, time, filters, columns, order, limit, stats } = request;
        let schema = table.schema();
        let mut filters = filters.iter().map(|filter| CompiledFilter::compile(filter, &schema)).collect::<Result<Vec<_>>>()?;
        // Cheap columns first: what they refuse, maps and bodies need not be decoded for.
        filters.sort_by_key(|filter| filter.columns().iter().map(|name| cost(name)).max());
        let mut read_columns = match columns {
            Some(columns) => columns,
            None => schema.fields().iter().map(|field| field.name().clone()).collect(),
        };
        let output = (0..read_columns.len()).collect();
        let by = order_column(table, order);
        if order != Order::Any && !read_columns.iter().any(|name| name == by) {
            read_columns.push(by.to_owned());
        }
        let fields = read_columns.iter().map(|name| match schema.field_with_name(name) {
            Ok(field) => Ok(Arc::new(field.clone())),
            Err(_) => Err(Error::invalid(format!("cannot read column {name:?} of {}: there is no such column", table.name()))),
        });
        let fields: Vec<_> = fields.collect::<Result<_>>()?;
        let read_schema = Arc::new(arrow::datatypes::Schema::new(fields));
        Ok(Self { table, time, filters, order, limit, read_columns, read_schema, output, stats })
    }

    pub(crate) fn count(&self, add: impl FnOnce(&mut ScanStats)) {
        // A thread that panicked while counting leaves counts that are still counts.
        add(&mut self.stats.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// Whether a row of the table is one instant, so that a block inside the range needs no look at its times.
    pub(crate) fn is_instant(&self) -> bool {
        let (first, last) = self.table.time_columns();
        first == last
    }

    pub(crate) fn order_column(&self) -> &'static str {
        order_column(self.table, self.order)
    }
}

/// Newest first goes by the end of a row, oldest first by its start.
fn order_column(table: Table, order: Order) -> &'static str {
    let (first, last) = table.time_columns();
    if order == Order::NewestFirst { last } else { first }
}

fn cost(column: &str) -> u8 {
    match column {
        "body" | "help" | "status_message" => 1,
        name if name.ends_with("attributes") || name == "labels" => 2,
        _ => 0,
    }
}

/// A block of rows to look at.
enum Unit {
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

/// What of the head a scan took under the table's lock.
enum Taken {
    Blocks(Vec<Arc<Block>>),
    Series(SeriesSlice, Option<RecordBatch>),
}

pub(crate) fn scan(table: Arc<ShardTable>, request: ScanRequest, permits: Arc<Semaphore>, chunk_points_max: usize) -> Result<ScanStream> {
    let plan = Arc::new(Plan::of(request)?);
    if plan.time.is_empty() || plan.limit == Some(0) {
        return Ok(futures::stream::empty().boxed());
    }
    let view = table.view(|head| take(&plan, head));
    let heads = [Some(view.active), view.frozen.map(|frozen| take(&plan, &frozen))];
    let mut units = VecDeque::new();
    for taken in heads.into_iter().flatten() {
        match taken {
            Taken::Blocks(blocks) => units.extend(blocks.into_iter().map(Unit::Block)),
            Taken::Series(slice, families) => {
                units.push_back(Unit::Series(slice));
                units.extend(families.map(Unit::Families));
            }
        }
    }
    let files = view.files;
    let (out, mut batches) = mpsc::channel(BATCHES_AHEAD);
    let work = async move {
        let planned = plan.clone();
        let runtime = tokio::runtime::Handle::current();
        let opening = Worker::new(plan.clone(), permits.clone(), runtime.clone(), out.clone(), chunk_points_max);
        let units = tokio::task::spawn_blocking(move || -> Result<_> {
            let mut opening = opening;
            opening.resume();
            let mut units = units;
            for file in files.iter() {
                open_groups(&planned, file, &mut units)?;
            }
            Ok(units)
        });
        let units = match joined(units.await) {
            Ok(units) => units,
            Err(error) => return drop(out.send(Err(error)).await),
        };
        let workers = match plan.order {
            Order::Any if plan.limit.is_none() => units.len().clamp(1, WORKERS_MAX),
            _ => 1,
        };
        let units = Arc::new(Lock::new(units));
        let each = (0..workers).map(|_| {
            let mut worker = Worker::new(plan.clone(), permits.clone(), runtime.clone(), out.clone(), chunk_points_max);
            let units = units.clone();
            tokio::task::spawn_blocking(move || worker.run(&units))
        });
        for ended in futures::future::join_all(each.collect::<Vec<_>>()).await {
            if let Err(error) = joined(ended) {
                let _ = out.send(Err(error)).await;
            }
        }
    };
    // Started by the first poll of the stream; the workers stop at the next batch when the stream is dropped.
    let work = futures::stream::once(async move {
        tokio::spawn(work);
    });
    let rows = futures::stream::poll_fn(move |context| batches.poll_recv(context));
    Ok(work.filter_map(|()| async { None }).chain(rows).boxed())
}

/// A panic in a worker is an error of the scan, never an answer cut short.
fn joined<R>(ended: Result<Result<R>, tokio::task::JoinError>) -> Result<R> {
    ended.map_err(|error| Error::internal("cannot finish a scan").because(error))?
}

fn take(plan: &Plan, head: &Head) -> Taken {
    match head {
        Head::Rows(rows) => {
            Taken::Blocks(rows.blocks().filter(|block| meets(plan.time, block.min_time, block.max_time)).cloned().collect())
        }
        Head::Series(head) => {
            let nanos = |ms: Option<&i64>| ms.map_or(0, |ms| ms.saturating_mul(1_000_000));
            let mut looked = 0;
            let slice = head.slice(|series, families| {
                looked += 1;
                let times = series.chunk.times_ms();
                meets(plan.time, nanos(times.first()), nanos(times.last()))
                    && plan.filters.iter().all(|filter| filter.keeps_series(&series.key, families))
            });
            plan.count(|stats| stats.head_rows_scanned += looked);
            // Rows without points lie at time 0.
            let families = meets(plan.time, 0, 0).then(|| head.family_rows()).flatten();
            Taken::Series(slice, families)
        }
    }
}

fn open_groups(plan: &Plan, file: &Arc<LakeFile>, units: &mut VecDeque<Unit>) -> Result<()> {
    plan.count(|stats| stats.files_total += 1);
    if !prune::file_may_match(plan, &file.stats) {
        plan.count(|stats| stats.files_skipped += 1);
        return Ok(());
    }
    let handle = file.open()?;
    let footer = file.footer(&handle)?;
    for group in 0..footer.metadata().num_row_groups() {
        let may = prune::group_may_match(plan, file, &handle, group)?;
        plan.count(|stats| {
            stats.row_groups_total += 1;
            stats.row_groups_skipped += u64::from(!may);
        });
        if may {
            let time = prune::group_time(plan, footer.metadata().row_group(group)).unwrap_or((i64::MIN, i64::MAX));
            units.push_back(Unit::Group { file: file.clone(), handle: handle.clone(), group, time });
        }
    }
    Ok(())
}

/// Works through units on a blocking thread. It holds a permit while it computes and none while it waits for the reader:
/// a join that reads one scan before it starts the other would otherwise wait for itself.
struct Worker {
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
    fn new(
        plan: Arc<Plan>,
        permits: Arc<Semaphore>,
        runtime: tokio::runtime::Handle,
        out: mpsc::Sender<Result<RecordBatch>>,
        chunk_points_max: usize,
    ) -> Self {
        Self { plan, permits, runtime, permit: None, out, chunk_points_max, given: 0 }
    }

    fn resume(&mut self) {
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

    fn run(&mut self, units: &Lock<VecDeque<Unit>>) -> Result<()> {
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
