//! Reads a table at one moment: head and files together, each row once.

mod filter;
mod merge;
mod prune;
mod read;
mod work;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use model::{Error, Order, Result, ScanRequest, ScanStats, ScanStream, Table, TimeRange};
use parking_lot::Mutex as Lock;
use tokio::sync::{Semaphore, mpsc};

use crate::head::{Block, Head, SeriesSlice};
use crate::lake::files::LakeFile;
use crate::table::ShardTable;
use filter::{CompiledFilter, meets};
use work::{Unit, Worker};

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
