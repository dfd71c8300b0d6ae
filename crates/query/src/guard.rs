//! What one query may use: time, samples, memory. And the threads on which it may keep busy.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use model::{Code, Error, Labels, QueryLimits, Result, SampleStats, ScanStream};

/// The warning of a list that was cut at its limit.
pub(crate) const TRUNCATED: &str = "results truncated due to limit";

/// Units of work, of some nanoseconds each, after which the clock is looked at.
const WORK_PER_CHECK: usize = 1 << 20;

/// Stops a query that is over its limits or that nobody waits for any more. Clones are the same guard.
#[derive(Clone, Debug)]
pub(crate) struct Guard(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    cancelled: AtomicBool,
    deadline: Option<Instant>,
    timeout: Duration,
    samples_max: usize,
    bytes_max: usize,
    /// Points read from the store; they stay for the whole query.
    samples: AtomicUsize,
    /// Of all [`Charge`]s.
    bytes: AtomicUsize,
    work: AtomicUsize,
    /// Samples that steps looked at: one that many windows have counts as often.
    queried: AtomicUsize,
}

impl Guard {
    pub(crate) fn new(limits: &QueryLimits) -> Self {
        Self(Arc::new(Counts {
            cancelled: AtomicBool::new(false),
            deadline: Instant::now().checked_add(limits.timeout),
            timeout: limits.timeout,
            samples_max: limits.samples_max,
            bytes_max: limits.memory_bytes_max,
            samples: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            work: AtomicUsize::new(0),
            queried: AtomicUsize::new(0),
        }))
    }

    /// Called between pieces of work of at most some milliseconds.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.cancelled.load(Ordering::Relaxed) {
            return Err(Error::new(Code::Cancelled, "cannot finish query: its asker has gone"));
        }
        match self.0.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(self.timed_out()),
            _ => self.fits(0),
        }
    }

    pub(crate) fn timed_out(&self) -> Error {
        timed_out(self.0.timeout)
    }

    /// Called in loops, with how much they did since they called it last: samples or labels looked at.
    pub(crate) fn work(&self, units: usize) -> Result<()> {
        let before = self.0.work.fetch_add(units, Ordering::Relaxed);
        match before / WORK_PER_CHECK == before.wrapping_add(units) / WORK_PER_CHECK {
            true => Ok(()),
            false => self.check(),
        }
    }

    /// Counts samples read from the store.
    pub(crate) fn load(&self, samples: usize) -> Result<()> {
        self.0.samples.fetch_add(samples, Ordering::Relaxed);
        self.reserve(0)
    }

    /// Counts samples that a step looked at.
    pub(crate) fn query(&self, samples: usize) {
        self.0.queried.fetch_add(samples, Ordering::Relaxed);
    }

    /// How many [`Self::query`] counted, for whoever counts them otherwise.
    pub(crate) fn queried(&self) -> usize {
        self.0.queried.load(Ordering::Relaxed)
    }

    pub(crate) fn set_queried(&self, samples: usize) {
        self.0.queried.store(samples, Ordering::Relaxed);
    }

    pub(crate) fn samples(&self) -> SampleStats {
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed) as u64;
        SampleStats { queryable: count(&self.0.queried), peak: count(&self.0.samples) }
    }

    /// Checks that so many more samples may be held at once.
    pub(crate) fn reserve(&self, samples: usize) -> Result<()> {
        let max = self.0.samples_max;
        match self.0.samples.load(Ordering::Relaxed).saturating_add(samples) <= max {
            true => Ok(()),
            false => {
                let what = format!("cannot evaluate query: it would hold more samples at once than query_samples_max = {max}");
                Err(Error::new(Code::LimitExceeded, what))
            }
        }
    }

    /// Checks that so many more bytes may be held; asked before something is made that may be large at once.
    pub(crate) fn fits(&self, bytes: usize) -> Result<()> {
        let max = self.0.bytes_max;
        match self.0.bytes.load(Ordering::Relaxed).saturating_add(bytes) <= max {
            true => Ok(()),
            false => {
                let what = format!(
                    "cannot evaluate query: it would hold more than query_memory_bytes_max = {max} bytes; \
                     narrow its selectors, group by fewer labels, or take a larger step"
                );
                Err(Error::new(Code::LimitExceeded, what))
            }
        }
    }

    /// Counts bytes until the charge is dropped. It does not fail: the next [`Self::check`] does.
    pub(crate) fn charge(&self, bytes: usize) -> Charge {
        let mut charge = Charge { guard: Some(self.clone()), bytes: 0 };
        charge.grow(bytes);
        charge
    }

    /// Cancels the query when the future that waits for it is dropped.
    pub(crate) fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }
}

/// Of the operator's limit or of the shorter time that the asker gave.
pub(crate) fn timed_out(timeout: Duration) -> Error {
    let what = format!("cannot answer the query within {timeout:?}: ask for less, or for more time if query_timeout_seconds allows it");
    Error::new(Code::Timeout, what)
}

/// Bytes that a query holds. It is kept beside what it counts; the default counts nothing.
#[derive(Debug, Default)]
pub(crate) struct Charge {
    guard: Option<Guard>,
    bytes: usize,
}

impl Charge {
    pub(crate) fn grow(&mut self, bytes: usize) {
        if let Some(guard) = &self.guard {
            guard.0.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.bytes += bytes;
        }
    }

    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        if let Some(guard) = &self.guard {
            guard.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.bytes -= bytes;
        }
    }
}

impl Clone for Charge {
    fn clone(&self) -> Self {
        let mut charge = Self { guard: self.guard.clone(), bytes: 0 };
        charge.grow(self.bytes);
        charge
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(guard) = &self.guard {
            guard.0.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

pub(crate) struct CancelOnDrop(Guard);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.cancelled.store(true, Ordering::Relaxed);
    }
}

/// What a label set takes.
pub(crate) fn label_bytes(labels: &Labels) -> usize {
    size_of::<Labels>() + labels.iter().map(|(name, value)| name.len() + value.len() + 2 * size_of::<u32>()).sum::<usize>()
}

/// Runs work on a thread that may be kept busy: on those of the runtime it would hold up everybody.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.map_err(|error| Error::internal("cannot evaluate query: the evaluator broke down").because(error))?
}

/// The same. What takes a moment is done here: to change threads takes longer.
pub(crate) async fn blocking_unless<T: Send + 'static>(brief: bool, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match brief {
        true => {
            catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::internal("cannot evaluate query: the evaluator broke down")))
        }
        false => blocking(work).await,
    }
}

/// Threads for work that recurses deeper than the stacks of the runtime's threads allow. A few that have nothing to do wait for more:
/// to make one, and its stack, takes longer than to plan a small query.
#[derive(Default)]
pub(crate) struct DeepThreads(Arc<Mutex<Vec<Sender<Job>>>>);

/// What a thread does next, and how it is reached.
struct Job {
    work: Box<dyn FnOnce() + Send>,
    back: Sender<Job>,
}

impl DeepThreads {
    const STACK_BYTES: usize = 16 << 20;
    const WAITING_MAX: usize = 4;

    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let broken = |error: &dyn std::fmt::Display| Error::internal("cannot plan query: its thread broke down").because(error.to_string());
        let (sender, worked) = tokio::sync::oneshot::channel();
        // Nobody waits for what an asker who has gone wanted to know.
        self.give(Box::new(move || drop(sender.send(work())))).map_err(|error| broken(&error))?;
        worked.await.map_err(|error| broken(&error))?
    }

    fn give(&self, work: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let thread = match waiting {
            Some(thread) => thread,
            None => self.spawn()?,
        };
        let job = Job { work, back: thread.clone() };
        thread.send(job).map_err(|_| std::io::Error::other("it has ended"))
    }

    /// A thread that ends when these do, or when enough others wait.
    fn spawn(&self) -> std::io::Result<Sender<Job>> {
        let (sender, jobs) = std::sync::mpsc::channel::<Job>();
        let waiting = Arc::downgrade(&self.0);
        let next = move || {
            let Job { work, back } = jobs.recv().ok()?;
            // Its asker sees that no answer came.
            let _ = catch_unwind(AssertUnwindSafe(work));
            let waiting = waiting.upgrade()?;
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            (waiting.len() < Self::WAITING_MAX).then(|| waiting.push(back))
        };
        let thread = std::thread::Builder::new().name("query-plan".to_owned()).stack_size(Self::STACK_BYTES);
        thread.spawn(move || while next().is_some() {})?;
        Ok(sender)
    }
}

/// Hands every batch to `step`, each but small ones on a thread that may be kept busy, until it says no. Between two batches whoever waits
/// for the answer may drop it, which stops the scan.
pub(crate) async fn fold<S: Send + 'static>(
    mut rows: ScanStream,
    mut state: S,
    step: impl Fn(&mut S, &RecordBatch) -> Result<bool> + Copy + Send + 'static,
) -> Result<S> {
    while let Some(batch) = rows.try_next().await? {
        /// Of a batch that `step` takes a moment for.
        const SMALL_BYTES: usize = 128 << 10;
        let (after, more) = blocking_unless(batch.get_array_memory_size() <= SMALL_BYTES, move || {
            let more = step(&mut state, &batch)?;
            Ok((state, more))
        })
        .await?;
        state = after;
        if !more {
            break;
        }
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_count_while_they_live() {
        let guard = Guard::new(&QueryLimits { memory_bytes_max: 100, ..QueryLimits::default() });
        let charge = guard.charge(60);
        assert!(guard.check().is_ok() && guard.fits(40).is_ok());
        assert_eq!(guard.fits(41).unwrap_err().code, Code::LimitExceeded);
        let copy = charge.clone();
        assert!(guard.check().unwrap_err().what.contains("memory_bytes_max = 100"));
        drop(charge);
        assert!(guard.check().is_ok());
        drop(copy);
        assert!(guard.fits(100).is_ok());
    }

    #[tokio::test]
    async fn deep_threads_come_back_also_from_panics() {
        let threads = DeepThreads::default();
        let name = || std::thread::current().id();
        let first = threads.run(move || Ok(name())).await.unwrap();
        // Its answer is there before it is: it may wait a moment later.
        while threads.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(threads.run(move || Ok(name())).await.unwrap(), first);
        let error = threads.run(|| -> Result<()> { panic!("too deep") }).await.unwrap_err();
        assert_eq!(error.code, Code::Internal);
        let many: Vec<_> = futures::future::join_all((0..50).map(|at| threads.run(move || Ok(at)))).await;
        assert_eq!(many.into_iter().map(Result::unwrap).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
        assert!(threads.0.lock().unwrap().len() <= DeepThreads::WAITING_MAX);
    }

    #[test]
    fn work_looks_at_the_clock_now_and_then() {
        let guard = Guard::new(&QueryLimits::default());
        drop(guard.cancel_on_drop());
        assert!((0..10).all(|_| guard.work(1).is_ok()));
        assert_eq!(guard.work(WORK_PER_CHECK).unwrap_err().code, Code::Cancelled);
    }
}
