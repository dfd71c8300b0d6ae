use std::sync::Arc;
use std::time::Duration;

use model::{Code, Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Who follows logs: how many at once, for how long, and that the server's end waits for their farewell. Clones are the same.
#[derive(Clone, Debug)]
pub struct Tails {
    turns: Arc<Semaphore>,
    max: u32,
    /// Of one tail: a forgotten page must not follow for ever.
    pub(crate) duration_max: Duration,
    stopping: watch::Receiver<bool>,
}

impl Tails {
    /// `stopping` becomes true when the server ends.
    pub fn new(max: u32, duration_max: Duration, stopping: watch::Receiver<bool>) -> Self {
        Self { turns: Arc::new(Semaphore::new(max as usize)), max, duration_max, stopping }
    }

    /// Counts one in until what is given here is dropped.
    pub(crate) fn begin(&self) -> Result<Turn> {
        let Ok(turn) = self.turns.clone().try_acquire_owned() else {
            let (count, max) = (u64::from(self.max) + 1, self.max);
            let what =
                format!("max concurrent tail requests limit exceeded, count > limit ({count} > {max}); the option tails_max raises it");
            return Err(Error::new(Code::Overloaded { retry_after_seconds: 1 }, what));
        };
        metrics::gauge!("tyto_log_tails").increment(1.0);
        Ok(Turn { _turn: turn })
    }

    /// Returns when the server is about to end.
    pub(crate) async fn stopped(&self) {
        // An error means that the server itself is gone, which is an end as well.
        let _ = self.stopping.clone().wait_for(|stop| *stop).await;
    }

    /// Returns when the server is about to end and the last tail has said farewell.
    pub async fn ended(&self) {
        self.stopped().await;
        // The semaphore is never closed.
        let _ = self.turns.acquire_many(self.max).await;
    }
}

pub(crate) struct Turn {
    _turn: OwnedSemaphorePermit,
}

impl Drop for Turn {
    fn drop(&mut self) {
        metrics::gauge!("tyto_log_tails").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_and_no_more_and_the_end_waits_for_them() {
        let (stop, stopping) = watch::channel(false);
        let tails = Tails::new(1, Duration::from_secs(1), stopping);
        let first = tails.begin().unwrap();
        assert!(tails.begin().err().unwrap().what.contains("count > limit (2 > 1)"));
        stop.send_replace(true);
        let mut ended = Box::pin(tails.ended());
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut ended).await.is_err());
        drop(first);
        tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
    }
}
