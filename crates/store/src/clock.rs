use std::fmt::Debug;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The clock, as a value so that a simulation can replace it.
pub trait Clock: Debug + Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;

    /// What waits are measured by: it never jumps.
    fn instant(&self) -> Instant {
        Instant::now()
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }
}
