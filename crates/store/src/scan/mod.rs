//! Reads a table at one moment: head and files together, each row once.

mod bind;
mod blocks;
mod filter;
mod follow;
mod literals;
mod merge;
mod probe;
mod prune;
mod read;
mod template;
mod work;

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use futures::future::ready;
use memchr::memmem::Finder;
use model::samples::{EXEMPLARS, START_TIMESTAMPS};
use model::{DeclaredFields, Error, Identity, Order, Result, ScanRequest, ScanStats, ScanStream, Subject, Table, TimeRange};
use tokio::sync::{Semaphore, mpsc};

use crate::ShardOptions;
use crate::head::{Block, Chunk, Families, Head, Parts, SeriesKey, SeriesSlice};
use crate::hidden::Hidden;
use crate::lake::columns::wide_schema;
use crate::lake::files::LakeFile;
use crate::lake::footers::Footers;
use crate::table::{ShardTable, View};
use filter::{CompiledFilter, CompiledTest, meets};
pub(crate) use follow::follow;
use work::Unit;

/// Units of which one scan without an order may work at once.
const WORKERS_MAX: usize = 4;

/// What the scans of a shard share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) options: Arc<ShardOptions>,
    /// For as many threads as may compute at once.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) footers: Arc<Footers>,
}

/// A request made ready.
pub(crate) struct Plan {
    pub(crate) table: Table,
    pub(crate) time: TimeRange,
    pub(crate) filters: Vec<CompiledFilter>,
    /// What the key of every series of the answer holds.
    needles: Vec<Finder<'static>>,
    /// The attributes that have columns.
    pub(crate) declared: Arc<DeclaredFields>,
    /// Rows that are in no answer.
    pub(crate) hidden: Hidden,
    pub(crate) order: Order,
    pub(crate) limit: Option<usize>,
    /// The wanted columns, and behind them the column of the order if it is not among them.
    pub(crate) read_columns: Vec<String>,
    pub(crate) read_schema: SchemaRef,
    /// Those of them that may be read as dictionaries.
    pub(crate) dictionaries: Vec<String>,
    /// Which of the read columns are wanted.
    pub(crate) output: Vec<usize>,
    pub(crate) shared: Shared,
    stats: Arc<Mutex<ScanStats>>,
}

impl Plan {
    fn of(request: ScanRequest, declared: Arc<DeclaredFields>, hidden: Hidden, shared: Shared) -> Result<Self> {
        let ScanRequest { table, time, filters, columns, dictionaries, order, limit, stats } = request;
        let schema = wide_schema(table, &declared);
        let mut filters =
            filters.iter().map(|filter| CompiledFilter::compile(filter, &table.schema(), &declared)).collect::<Result<Vec<_>>>()?;
        filters.sort_by_key(CompiledFilter::cost);
        let mut read_columns = match columns {
            Some(columns) => columns,
            None => table.schema().fields().iter().map(|field| field.name().clone()).collect(),
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
        let needles = filters.iter().filter_map(CompiledFilter::needle).collect();
        let dictionaries = if order == Order::Any { dictionaries } else { Vec::new() };
        Ok(Self {
            table,
            time,
            filters,
            needles,
            declared,
            hidden,
            order,
            limit,
            read_columns,
            read_schema,
            dictionaries,
            output,
            shared,
            stats,
        })
    }

    pub(crate) fn count(&self, add: impl FnOnce(&mut ScanStats)) {
        // A thread that panicked while counting leaves counts that are still counts.
        add(&mut self.stats.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// Of files, so far.
    pub(crate) fn rows_scanned(&self) -> usize {
        let stats = self.stats.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        usize::try_from(stats.rows_scanned).unwrap_or(usize::MAX)
    }

    /// Whether a row of the table is one instant, so that a block inside the range needs no look at its times.
    pub(crate) fn is_instant(&self) -> bool {
        let (first, last) = self.table.time_columns();
        first == last
    }

    /// The names that a series must have one of, where the filters say so.
    fn names(&self) -> Option<&[String]> {
        self.filters.iter().find_map(|filter| match (&filter.subject, &filter.test) {
            (Subject::Column(name), CompiledTest::OneOf(texts)) if name == "name" && !filter.negated => Some(&texts[..]),
            _ => None,
        })
    }

    /// What of the head's series is read.
    fn parts(&self) -> Parts {
        if self.hidden.may_touch(self.time.start_ns, self.time.end_ns) {
            return Parts::ALL;
        }
        let wants = |name: &str| self.read_columns.iter().any(|column| column == name);
        let exemplars = wants(EXEMPLARS);
        let points = ["timestamps", "values", "histograms", START_TIMESTAMPS];
        let (start_ms, end_ms) = (self.time.start_ns.div_euclid(1_000_000), self.time.end_ns.div_euclid(1_000_000));
        Parts {
            // With exemplars a row is wanted for them, too.
            points_ms: if exemplars { (i64::MIN, i64::MAX) } else { (start_ms, end_ms) },
            points: exemplars || points.into_iter().any(wants),
            first_time: wants(self.table.time_columns().0),
            labels: wants("labels"),
            identity: Identity::FIELDS.into_iter().any(wants),
            metadata: ["type", "unit", "help"].into_iter().any(wants),
            exemplars,
        }
    }

    pub(crate) fn order_column(&self) -> &'static str {
        order_column(self.table, self.order)
    }

    fn may_keep(&self, key: &SeriesKey, chunk: &Chunk) -> bool {
        if !self.needles.iter().all(|needle| needle.find(key.encoded()).is_some()) {
            return false;
        }
        let (first, last) = chunk.range_ms();
        meets(self.time, first.saturating_mul(1_000_000), last.saturating_mul(1_000_000))
    }

    /// Whether series of this one's name may be wanted.
    fn keeps_name(&self, key: &SeriesKey, families: &Families) -> bool {
        self.filters.iter().filter(|filter| is_of_name(filter)).all(|filter| filter.keeps_series(key, families))
    }

    /// The series of a file that may hold rows of the answer, where they are in memory. A name is tested once, however many
    /// series have it.
    fn recall(&self, file: &LakeFile) -> Option<SeriesSlice> {
        let rows = file.remembered()?;
        let looked = Cell::new(0);
        let others: Vec<_> = self.filters.iter().filter(|filter| !is_of_name(filter)).collect();
        let slice = rows.slice(
            self.names(),
            |key, families| self.keeps_name(key, families),
            |key, chunk, families| {
                looked.set(looked.get() + 1);
                self.may_keep(key, chunk) && others.iter().all(|filter| filter.keeps_series(key, families))
            },
        );
        self.count(|stats| stats.head_rows_scanned += looked.get());
        Some(slice)
    }
}

fn is_of_name(filter: &CompiledFilter) -> bool {
    matches!(&filter.subject, Subject::Column(name) if name == "name")
}

/// Newest first goes by the end of a row, oldest first by its start.
fn order_column(table: Table, order: Order) -> &'static str {
    let (first, last) = table.time_columns();
    if order == Order::NewestFirst { last } else { first }
}

/// What of the head a scan took under the table's lock.
enum Taken {
    Blocks(Vec<Arc<Block>>),
    Series(SeriesSlice, Option<RecordBatch>),
}

pub(crate) fn scan(table: &ShardTable, request: ScanRequest, shared: Shared) -> Result<ScanStream> {
    let hidden = table.hidden(shared.options.clock.now_ms());
    let plan = Arc::new(Plan::of(request, table.declared(), hidden, shared)?);
    let view = table.view(|head| take(&plan, head));
    Ok(stored(plan, view))
}

/// The rows of one moment.
fn stored(plan: Arc<Plan>, view: View<Taken>) -> ScanStream {
    if plan.time.is_empty() || plan.limit == Some(0) {
        return futures::stream::empty().boxed();
    }
    // In the order of writing: of two points at one instant the reader keeps the last it sees.
    let mut units = VecDeque::new();
    for file in view.files.iter() {
        let may = prune::file_may_match(&plan, &file.stats) && !plan.hidden.is_past(&file.stats);
        plan.count(|stats| {
            stats.files_total += 1;
            stats.files_skipped += u64::from(!may);
        });
        units.extend(may.then(|| Unit::File(file.clone())));
    }
    for taken in view.heads {
        match taken {
            Taken::Blocks(blocks) => units.extend(blocks.into_iter().map(Unit::Block)),
            Taken::Series(slice, families) => {
                units.push_back(Unit::Series(slice));
                units.extend(families.map(Unit::Families));
            }
        }
    }
    let batches = match plan.order {
        Order::Any => match at_once(&plan, &mut units) {
            Some(batches) => futures::stream::iter(batches).boxed(),
            None => in_turn(&plan, units),
        },
        _ => in_order(&plan, units),
    };
    let mut left = plan.limit.unwrap_or(usize::MAX);
    let limited = batches.map(move |records| {
        let records = records?;
        let records = records.slice(0, records.num_rows().min(left));
        left -= records.num_rows();
        plan.count(|stats| stats.rows_returned += records.num_rows() as u64);
        Ok((records, left))
    });
    // Ends with the row that reaches the limit, not when somebody asks for one more.
    let ended = limited.scan(false, |ended, records| {
        let before = std::mem::replace(ended, matches!(records, Ok((_, 0))));
        ready((!before).then_some(records))
    });
    ended.map(|records| records.map(|(records, _)| records)).boxed()
}

/// The rows of series in memory, where they are few: to change threads for them takes longer than to read them.
fn at_once(plan: &Arc<Plan>, units: &mut VecDeque<Unit>) -> Option<Vec<Result<RecordBatch>>> {
    /// Series to be looked at; points to be unpacked, of some nanoseconds each.
    const SERIES_MAX: usize = 1 << 10;
    const POINTS_MAX: usize = 64 << 10;
    let keep_name = |key: &SeriesKey, families: &Families| plan.keeps_name(key, families);
    let few = |file: &LakeFile| file.remembered().is_some_and(|rows| rows.count(plan.names(), keep_name) <= SERIES_MAX);
    let all_few = units.iter().all(|unit| match unit {
        Unit::File(file) => few(file),
        Unit::Series(_) | Unit::Families(_) => true,
        Unit::Block(_) | Unit::Group { .. } => false,
    });
    if !all_few {
        return None;
    }
    let mut points = 0;
    for unit in units.iter_mut() {
        if let Unit::File(file) = unit {
            *unit = Unit::Series(plan.recall(file)?);
        }
        if let Unit::Series(slice) = unit {
            points += slice.points();
        }
    }
    if points > POINTS_MAX {
        return None;
    }
    let read = |unit: Unit| match unit.open(plan, None, None) {
        Ok(batches) => batches.filter(|records| records.as_ref().map_or(true, |records| records.num_rows() > 0)).collect(),
        Err(error) => vec![Err(error)],
    };
    Some(units.drain(..).flat_map(read).collect())
}

/// The rows of one unit after the other, while a few units ahead are worked on. Their tasks start with the first poll of
/// the stream and end when it is dropped.
fn in_turn(plan: &Arc<Plan>, units: VecDeque<Unit>) -> ScanStream {
    // Without an order a limit means any so many rows: those of the first units.
    let workers = if plan.limit.is_some() { 1 } else { WORKERS_MAX };
    let (turns, mut taken) = mpsc::channel(workers);
    let plan = plan.clone();
    let start = futures::stream::once(async move {
        let units = Arc::new(tokio::sync::Mutex::new(units));
        for _ in 0..workers {
            tokio::spawn(work::run_in_turn(plan.clone(), units.clone(), turns.clone()));
        }
    });
    let turns = futures::stream::poll_fn(move |context| taken.poll_recv(context));
    let batches = turns.flat_map(|mut batches: mpsc::Receiver<_>| futures::stream::poll_fn(move |context| batches.poll_recv(context)));
    start.filter_map(|()| ready(None)).chain(batches).boxed()
}

fn in_order(plan: &Arc<Plan>, units: VecDeque<Unit>) -> ScanStream {
    let (out, mut batches) = mpsc::channel(work::BATCHES_AHEAD);
    let plan = plan.clone();
    let start = futures::stream::once(async move {
        tokio::spawn(work::run_in_order(plan, units, out));
    });
    start.filter_map(|()| ready(None)).chain(futures::stream::poll_fn(move |context| batches.poll_recv(context))).boxed()
}

fn take(plan: &Plan, head: &Head) -> Taken {
    match head {
        Head::Rows(rows) => {
            Taken::Blocks(rows.blocks().filter(|block| meets(plan.time, block.min_time, block.max_time)).cloned().collect())
        }
        Head::Series(head) => {
            let looked = Cell::new(0);
            let slice = head.slice(plan.names(), |key, chunk, families| {
                looked.set(looked.get() + 1);
                plan.may_keep(key, chunk) && plan.filters.iter().all(|filter| filter.keeps_series(key, families))
            });
            plan.count(|stats| stats.head_rows_scanned += looked.get());
            // Rows without points lie at time 0.
            let families = meets(plan.time, 0, 0).then(|| head.family_rows()).flatten();
            Taken::Series(slice, families)
        }
    }
}
