//! Works through the units of a scan: every step on a blocking thread, and between two steps on none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::RecordBatch;
use model::{Error, Order, Result};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::blocks::{OpenFile, Part};
use super::filter::CompiledFilter;
use super::merge::{Key, Merge};
use super::read::Group;
use super::{Plan, prune, read};
use crate::head::{Block, SeriesSlice};
use crate::lake::files::LakeFile;

/// Batches that may wait for their reader.
pub(crate) const BATCHES_AHEAD: usize = 2;

/// Rows to look at.
pub(crate) enum Unit {
    Block(Arc<Block>),
    Series(SeriesSlice),
    /// Rows of the head without points.
    Families(RecordBatch),
    /// Opened only when its turn comes: a scan of many files must hold few open.
    File(Arc<LakeFile>),
    Group {
        file: Arc<LakeFile>,
        group: usize,
        part: Part,
        /// Bound to the file.
        filters: Arc<Vec<CompiledFilter>>,
    },
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

impl Unit {
    /// The best place any of its rows can have.
    fn first_key(&self, plan: &Plan) -> Key {
        let (first, last) = match self {
            Self::Block(block) => (block.min_time, block.max_time),
            Self::Group { part, .. } => part.time,
            Self::File(file) => file.stats.time(plan.table).unwrap_or((i64::MIN, i64::MAX)),
            Self::Series(_) | Self::Families(_) => (i64::MIN, i64::MAX),
        };
        Key::of(plan.order, if plan.order == Order::NewestFirst { last } else { first })
    }

    /// The rows that the answer wants, with the read columns; of `top` rows in the plan's order only those that come before
    /// `bound`, where a unit can tell cheaply.
    pub(crate) fn open(self, plan: &Arc<Plan>, top: Option<usize>, bound: Option<Key>) -> Result<Batches> {
        let plan = plan.clone();
        match self {
            Self::Block(block) => {
                plan.count(|stats| stats.head_rows_scanned += block.records.num_rows() as u64);
                Ok(Box::new(std::iter::once_with(move || match plan.hidden.may_touch(block.min_time, block.max_time) {
                    true => read::filter_batch(&plan, &plan.hidden.clear(block.records.clone())?.0),
                    false => read::filter_batch(&plan, &block.records),
                })))
            }
            Self::Families(records) => {
                Ok(Box::new(std::iter::once_with(move || read::filter_batch(&plan, &plan.hidden.clear(records)?.0))))
            }
            // The series were filtered when they were taken; only a row of a long series may lie outside the range.
            Self::Series(slice) => {
                let batches = slice.batches(plan.shared.options.chunk_points_max, plan.parts());
                Ok(Box::new(batches.map(move |records| read::in_time(&plan, &plan.hidden.clear(records?)?.0))))
            }
            Self::Group { file, group, part, filters } => {
                let group = Group::open(plan, file, group, part, filters)?;
                let chosen = group.choose(top, bound)?;
                group.read(&chosen)
            }
            Self::File(_) => unreachable!("a file is read by its groups"),
        }
    }
}

/// The row groups of a file that may hold rows of the answer, or what is in memory of them.
fn groups(plan: &Plan, file: &Arc<LakeFile>) -> Result<Vec<Unit>> {
    if let Some(slice) = plan.recall(file) {
        return Ok(vec![Unit::Series(slice)]);
    }
    let mut units = Vec::new();
    let Some(open) = OpenFile::open(plan, file)? else {
        plan.count(|stats| stats.files_skipped += 1);
        return Ok(units);
    };
    let filters = Arc::new(open.filters.clone());
    for group in 0..open.footer.metadata().num_row_groups() {
        let parts = match prune::group_may_match(&open, group)? {
            true => open.parts(group)?,
            false => Vec::new(),
        };
        plan.count(|stats| {
            stats.row_groups_total += 1;
            stats.row_groups_skipped += u64::from(parts.is_empty());
        });
        let unit = |part| Unit::Group { file: file.clone(), group, part, filters: filters.clone() };
        units.extend(parts.into_iter().map(unit));
    }
    Ok(units)
}

/// Runs one step on a blocking thread, of which all scans together have `scan_threads`. Nobody holds a thread, nor the right
/// to one, while it waits for its reader: a join that reads one scan before it starts the other would wait for itself, and
/// readers that went to lunch would keep flushes from their threads.
pub(crate) async fn step<R: Send + 'static>(plan: &Arc<Plan>, work: impl FnOnce(&Arc<Plan>) -> Result<R> + Send + 'static) -> Result<R> {
    let failed = |error: tokio::task::JoinError| Error::internal("cannot finish a scan").because(error);
    // The semaphore is never closed; without a permit the worst is one thread more at work.
    let _permit = plan.shared.permits.clone().acquire_owned().await;
    let plan = plan.clone();
    tokio::task::spawn_blocking(move || work(&plan)).await.map_err(failed)?
}

/// Takes one unit after the other. Each gets its turn in the answer when it is taken, whoever finishes first.
pub(crate) async fn run_in_turn(
    plan: Arc<Plan>,
    units: Arc<tokio::sync::Mutex<VecDeque<Unit>>>,
    turns: Sender<Receiver<Result<RecordBatch>>>,
) {
    loop {
        let mut waiting = units.lock().await;
        let unit = next_unit(&plan, &mut waiting).await.transpose();
        let Some(unit) = unit else { return };
        let (out, batches) = mpsc::channel(BATCHES_AHEAD);
        if turns.send(batches).await.is_err() {
            return;
        }
        drop(waiting);
        let given = match unit {
            Ok(unit) => give(&plan, unit, &out).await,
            Err(error) => Err(error),
        };
        if let Err(error) = given {
            // Nobody listens when the reader is gone.
            let _ = out.send(Err(error)).await;
            units.lock().await.clear();
            return;
        }
    }
}

/// The next unit that is no file; the groups of a file take its place.
async fn next_unit(plan: &Arc<Plan>, units: &mut VecDeque<Unit>) -> Result<Option<Unit>> {
    while let Some(unit) = units.pop_front() {
        let Unit::File(file) = unit else { return Ok(Some(unit)) };
        let groups = step(plan, move |plan| groups(plan, &file)).await?;
        groups.into_iter().rev().for_each(|group| units.push_front(group));
    }
    Ok(None)
}

/// Opens a unit and reads its first batches in one step: for a small unit that is all of it, and to change threads costs as
/// much as to read it.
async fn give(plan: &Arc<Plan>, unit: Unit, out: &Sender<Result<RecordBatch>>) -> Result<()> {
    let mut read = step(plan, move |plan| Ahead::read(unit.open(plan, None, None)?)).await?;
    loop {
        for records in read.batches {
            if out.send(Ok(records)).await.is_err() {
                return Ok(());
            }
        }
        let Some(rest) = read.rest else { return Ok(()) };
        read = step(plan, move |_| Ahead::read(rest)).await?;
    }
}

/// Some batches, and how to get at more.
struct Ahead {
    batches: Vec<RecordBatch>,
    rest: Option<Batches>,
}

impl Ahead {
    fn read(mut rest: Batches) -> Result<Self> {
        let mut batches = Vec::with_capacity(BATCHES_AHEAD);
        while batches.len() < BATCHES_AHEAD {
            match rest.next().transpose()? {
                None => return Ok(Self { batches, rest: None }),
                Some(records) if records.num_rows() == 0 => {}
                Some(records) => batches.push(records),
            }
        }
        Ok(Self { batches, rest: Some(rest) })
    }
}

/// Gives rows by time.
pub(crate) async fn run_in_order(plan: Arc<Plan>, units: VecDeque<Unit>, out: Sender<Result<RecordBatch>>) {
    let mut ordered = Ordered::default();
    ordered.line_up(&plan, units);
    while !ordered.finished {
        let closed = out.clone();
        let stepped = step(&plan, move |plan| {
            let batches = ordered.advance(plan, || closed.is_closed())?;
            Ok((ordered, batches))
        });
        let batches = match stepped.await {
            Ok((rest, batches)) => {
                ordered = rest;
                batches
            }
            Err(error) => return drop(out.send(Err(error)).await),
        };
        for records in batches {
            if out.send(Ok(records)).await.is_err() {
                return;
            }
        }
    }
}

#[derive(Default)]
struct Ordered {
    /// By the best place a row can have; the number tells units of one place apart.
    units: BTreeMap<(Key, usize), Unit>,
    lined_up: usize,
    open: Option<Batches>,
    merge: Merge,
    finished: bool,
}

impl Ordered {
    fn line_up(&mut self, plan: &Plan, units: impl IntoIterator<Item = Unit>) {
        for unit in units {
            self.units.insert((unit.first_key(plan), self.lined_up), unit);
            self.lined_up += 1;
        }
    }

    /// Works until there are rows to give, or none is left.
    fn advance(&mut self, plan: &Arc<Plan>, closed: impl Fn() -> bool) -> Result<Vec<RecordBatch>> {
        while self.merge.left(plan) != Some(0) && !closed() {
            if let Some(records) = self.open.as_mut().and_then(Iterator::next) {
                self.merge.add(plan, records?)?;
                continue;
            }
            self.open = None;
            let bound = self.merge.bound(plan);
            let Some((&(first, _), _)) = self.units.first_key_value().filter(|((first, _), _)| bound.is_none_or(|bound| *first < bound))
            else {
                self.finished = true;
                return self.merge.take(plan, None);
            };
            let ready = self.merge.take(plan, Some(first))?;
            if !ready.is_empty() {
                return Ok(ready);
            }
            match self.units.pop_first() {
                Some((_, Unit::File(file))) => self.line_up(plan, groups(plan, &file)?),
                Some((_, unit)) => self.open = Some(unit.open(plan, self.merge.left(plan), bound)?),
                None => {}
            }
        }
        self.finished = true;
        Ok(Vec::new())
    }
}
