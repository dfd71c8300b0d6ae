use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use model::{Code, Error, QueryLimits, Result};

/// Stops a query that is over its limits or that nobody waits for any more.
pub(super) struct Guard {
    cancelled: AtomicBool,
    deadline: Option<Instant>,
    timeout: Duration,
    samples_max: usize,
    /// Points read from the store; they stay for the whole query.
    loaded: AtomicUsize,
}

impl Guard {
    pub(super) fn new(limits: &QueryLimits) -> Self {
        Self {
            cancelled: AtomicBool::new(false),
            deadline: Instant::now().checked_add(limits.timeout),
            timeout: limits.timeout,
            samples_max: limits.samples_max,
            loaded: AtomicUsize::new(0),
        }
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Called between pieces of work of at most some milliseconds.
    pub(super) fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::new(Code::Cancelled, "cannot finish query: its asker has gone"));
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(self.timed_out()),
            _ => Ok(()),
        }
    }

    pub(super) fn timed_out(&self) -> Error {
        let seconds = self.timeout.as_secs_f64();
        Error::new(Code::Timeout, format!("cannot finish query: it ran longer than its timeout of {seconds} s"))
    }

    /// Counts points read from the store.
    pub(super) fn load(&self, points: usize) -> Result<()> {
        self.loaded.fetch_add(points, Ordering::Relaxed);
        self.reserve(0)
    }

    /// Checks that so many more points may be held at once.
    pub(super) fn reserve(&self, points: usize) -> Result<()> {
        match self.loaded.load(Ordering::Relaxed).saturating_add(points) <= self.samples_max {
            true => Ok(()),
            false => {
                let what = format!("cannot evaluate query: it would hold more samples at once than samples_max = {}", self.samples_max);
                Err(Error::new(Code::LimitExceeded, what))
            }
        }
    }
}

/// Cancels the evaluation when the future that waits for it is dropped.
pub(super) struct CancelOnDrop(pub(super) std::sync::Arc<Guard>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
