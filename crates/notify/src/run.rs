//! The loop: takes what was counted, sends what is due, keeps what has been told.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use catalog::{Channels, Live, Problem};
use model::{Breaches, Error, Result};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::MissedTickBehavior;
use twox_hash::XxHash3_64;

use crate::desk::Desk;
use crate::file;
use crate::message::Message;
use crate::send::{Failure, Sender, Sent};

/// What was counted is taken, and what is due looked for.
const TICK: Duration = Duration::from_secs(1);
/// Counts alone are written this often: after a crash they are told a little too low.
const KEEP_EVERY_MS: i64 = 30_000;
/// At the end messages under way have so long to arrive.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Milliseconds since the Unix epoch.
pub type NowMs = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Tells the owners of what breaks contracts. It runs beside whatever takes records in, and nobody waits for it.
pub struct Notifier {
    path: PathBuf,
    channels: RwLock<Arc<Channels>>,
    catalog: Arc<Live>,
    breaches: Arc<Breaches>,
    data_dir: PathBuf,
    now_ms: NowMs,
}

impl Notifier {
    /// By the channels that the file at `path` says.
    pub fn new(path: &Path, channels: Channels, catalog: Arc<Live>, data_dir: &Path, now_ms: NowMs) -> Self {
        Self {
            path: path.to_owned(),
            channels: RwLock::new(Arc::new(channels)),
            catalog,
            breaches: Arc::default(),
            data_dir: data_dir.to_owned(),
            now_ms,
        }
    }

    /// Where those who take records in count what breaks contracts.
    pub fn breaches(&self) -> Arc<Breaches> {
        self.breaches.clone()
    }

    /// Reads the file again. With problems what it said before holds.
    pub fn reload(&self) -> std::result::Result<(), Vec<Problem>> {
        let fresh = Arc::new(Channels::load(&self.path)?);
        *self.channels.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    fn channels(&self) -> Arc<Channels> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Until the end is asked for.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) -> Result<()> {
        let mut stop = pin!(async move { stopping.wait_for(|stop| *stop).await.is_ok() });
        let (sender, data_dir) = (Sender::new(), self.data_dir.clone());
        let ledger = tokio::task::spawn_blocking(move || file::load(&data_dir)).await;
        let ledger = ledger.map_err(|panic| Error::internal("cannot read what owners have been told").because(panic))?;
        let mut desk = Desk::new(ledger, (self.now_ms)());
        let mut sending = Sending { tasks: JoinSet::new(), messages: HashMap::new() };
        let (mut tick, mut kept_ms) = (tokio::time::interval(TICK), (self.now_ms)());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                Some((message, result)) = sending.next() => {
                    self.done(&mut desk, &message, &result);
                    self.keep(&mut desk, &mut kept_ms, true).await;
                    continue;
                }
                _ = &mut stop => break,
            }
            let now_ms = (self.now_ms)();
            let left_out = desk.book(self.breaches.take(), now_ms);
            if left_out > 0 {
                metrics::counter!("tyto_notification_records_left_out_total").increment(left_out);
            }
            let (version, catalog) = self.catalog.versioned();
            let channels = self.channels();
            let due = desk.due((version, &catalog), &channels, now_ms);
            metrics::gauge!("tyto_notification_breaches").set(desk.ledger.breaches.len() as f64);
            // Before anybody is told: the same message has the same id after a crash.
            let must_keep = desk.must_keep;
            self.keep(&mut desk, &mut kept_ms, must_keep).await;
            for message in due {
                sending.send(sender.clone(), channels.clone(), message);
            }
        }
        let mut late = pin!(tokio::time::sleep(DRAIN_MAX));
        while !sending.messages.is_empty() {
            tokio::select! {
                Some((message, result)) = sending.next() => self.done(&mut desk, &message, &result),
                () = &mut late => break,
            }
        }
        desk.book(self.breaches.take(), (self.now_ms)());
        self.keep(&mut desk, &mut kept_ms, true).await;
        Ok(())
    }

    fn done(&self, desk: &mut Desk, message: &Message, result: &Result<Sent, Failure>) {
        let now_ms = (self.now_ms)();
        // Those that fail together do not come back together.
        let chance = XxHash3_64::oneshot_with_seed(now_ms.cast_unsigned(), message.id.as_bytes());
        desk.done(message, result, now_ms, chance as f64 / u64::MAX as f64);
    }

    /// Writes the ledger, at once or when its counts have waited long enough.
    async fn keep(&self, desk: &mut Desk, kept_ms: &mut i64, now: bool) {
        let now_ms = (self.now_ms)();
        if !now && (now_ms - *kept_ms < KEEP_EVERY_MS || desk.ledger.breaches.is_empty()) {
            return;
        }
        (*kept_ms, desk.must_keep) = (now_ms, false);
        let (bytes, data_dir) = (file::to_bytes(&desk.ledger), self.data_dir.clone());
        match tokio::task::spawn_blocking(move || file::save(&bytes, &data_dir)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("owners may be told again after a restart: {}", error.chain()),
            Err(panic) => tracing::error!("cannot keep what owners have been told: {panic}"),
        }
    }
}

/// Messages under way.
struct Sending {
    tasks: JoinSet<Result<Sent, Failure>>,
    messages: HashMap<Id, Message>,
}

impl Sending {
    fn send(&mut self, sender: Sender, channels: Arc<Channels>, message: Message) {
        let sent = message.clone();
        let task = self.tasks.spawn(async move { sender.send(&channels, &sent).await });
        self.messages.insert(task.id(), message);
    }

    /// None while there are none.
    async fn next(&mut self) -> Option<(Message, Result<Sent, Failure>)> {
        let (id, result) = match self.tasks.join_next_with_id().await? {
            Ok((id, result)) => (id, result),
            Err(panic) => (panic.id(), Err(Failure::lasting("bug", panic.to_string()))),
        };
        Some((self.messages.remove(&id)?, result))
    }
}
