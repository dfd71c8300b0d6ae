//! All that is scraped: one task for each scrape configuration, which a new configuration file changes while they run.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use catalog::Problem;
use model::{ActiveTarget, DroppedTarget, Labels, TargetFamily, Targets};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::config::{PoolConfig, ScrapeConfig, duration_text};
use super::pool::{Command, Pool, Shown};
use crate::Receivers;

/// Targets that are fetched from at one time; others wait, and their timeout runs.
const FETCHES_MAX: usize = 512;
/// With more targets than this, connections are closed after each scrape: one for each would be too many to hold.
const CONNECTIONS_KEPT_MAX: usize = 2000;
/// Different descriptions of metric families that targets share in memory.
const FAMILIES_MAX: usize = 100_000;
/// A family is told to the store again after this long: what nobody speaks of is forgotten there.
const FAMILY_TOLD_EVERY_MS: i64 = 300_000;

/// What all loops use together.
pub(super) struct Shared {
    pub(super) receivers: Receivers,
    pub(super) fetches: Semaphore,
    pub(super) families: Families,
    targets: AtomicUsize,
}

impl Shared {
    pub(super) fn keeps_connections(&self) -> bool {
        self.targets.load(Ordering::Relaxed) <= CONNECTIONS_KEPT_MAX
    }

    pub(super) fn targets_changed(&self, before: usize, after: usize) {
        let all = self.targets.fetch_add(after, Ordering::Relaxed) + after;
        self.targets.fetch_sub(before, Ordering::Relaxed);
        metrics::gauge!("tyto_scrape_targets").set(all.saturating_sub(before) as f64);
    }
}

/// Descriptions of metric families, each once however many targets give it, and when each was last told to the store.
#[derive(Default)]
pub(super) struct Families(Mutex<HashMap<Arc<TargetFamily>, i64>>);

impl Families {
    /// Puts the shared description in the place of an equal one; adds it to `tell` when it is time to tell it again.
    pub(super) fn share(&self, family: &mut Arc<TargetFamily>, now_ms: i64, tell: &mut Vec<Arc<TargetFamily>>) {
        let mut known = self.0.lock();
        if let Some((shared, told)) = known.get_key_value(family) {
            let is_fresh = now_ms.saturating_sub(*told) < FAMILY_TOLD_EVERY_MS;
            if !Arc::ptr_eq(shared, family) {
                *family = shared.clone();
            }
            if is_fresh {
                return;
            }
        } else if known.len() >= FAMILIES_MAX {
            known.retain(|family, _| Arc::strong_count(family) > 1);
        }
        tell.push(family.clone());
        if known.len() < FAMILIES_MAX || known.contains_key(family) {
            known.insert(family.clone(), now_ms);
        }
    }
}

/// Scrapes what a Prometheus configuration file says.
pub struct Scraper {
    path: PathBuf,
    shared: Arc<Shared>,
    pools: Mutex<BTreeMap<String, Handle>>,
    /// What was last said of the file.
    unused: Mutex<Vec<String>>,
    /// The file in use, without secrets.
    config: Mutex<String>,
}

struct Handle {
    config: Arc<PoolConfig>,
    commands: mpsc::Sender<Command>,
    shown: Arc<Mutex<Shown>>,
    task: JoinHandle<()>,
}

impl Scraper {
    /// Begins with a configuration that was read from this file. Must be called in a Tokio runtime.
    pub fn start(path: &Path, config: ScrapeConfig, receivers: Receivers) -> Arc<Self> {
        let shared =
            Shared { receivers, fetches: Semaphore::new(FETCHES_MAX), families: Families::default(), targets: AtomicUsize::new(0) };
        let scraper = Arc::new(Self {
            path: path.to_owned(),
            shared: Arc::new(shared),
            pools: Mutex::default(),
            unused: Mutex::default(),
            config: Mutex::default(),
        });
        scraper.apply(config);
        scraper
    }

    /// Reads the file again. With problems what runs goes on; otherwise what has not changed does. Must be called in a Tokio runtime.
    pub fn reload(&self) -> Result<(), Vec<Problem>> {
        self.apply(ScrapeConfig::load(&self.path)?);
        Ok(())
    }

    fn apply(&self, config: ScrapeConfig) {
        let said = std::mem::replace(&mut *self.unused.lock(), config.unused.clone());
        if !config.unused.is_empty() && said != config.unused {
            // By the program's name, so that it is read without asking for more.
            tracing::info!(target: "tyto", "{}: not used by Tyto: {}", self.path.display(), config.unused.join(", "));
        }
        *self.config.lock() = config.shown;
        let mut pools = self.pools.lock();
        let mut old = std::mem::take(&mut *pools);
        for config in config.pools {
            let handle = match old.remove(&config.job_name) {
                Some(handle) if handle.config == config => handle,
                Some(handle) => {
                    send(handle.commands.clone(), Command::Configure(config.clone()));
                    Handle { config: config.clone(), ..handle }
                }
                None => self.begin(config.clone()),
            };
            pools.insert(config.job_name.clone(), handle);
        }
        for handle in old.into_values() {
            send(handle.commands, Command::Stop { gone: true });
        }
        metrics::gauge!("tyto_scrape_pools").set(pools.len() as f64);
    }

    fn begin(&self, config: Arc<PoolConfig>) -> Handle {
        let (commands, receiver) = mpsc::channel(4);
        let shown: Arc<Mutex<Shown>> = Arc::default();
        let pool = Pool::new(config.clone(), self.shared.clone(), shown.clone());
        Handle { config, commands, shown, task: tokio::spawn(pool.run(receiver)) }
    }

    /// Ends every loop and waits for what is being stored. The ends of series are not marked: the next start goes on with them.
    pub async fn stop(&self) {
        let pools = std::mem::take(&mut *self.pools.lock());
        for handle in pools.values() {
            send(handle.commands.clone(), Command::Stop { gone: false });
        }
        for handle in pools.into_values() {
            drop(handle.commands);
            if let Err(panic) = handle.task.await {
                tracing::error!("a scrape pool broke off: {panic}");
            }
        }
    }

    fn each_pool<T>(&self, mut see: impl FnMut(&str, &Shown) -> T) -> Vec<T> {
        self.pools.lock().iter().map(|(name, handle)| see(name, &handle.shown.lock())).collect()
    }
}

/// Tells a pool; it may be busy, and nobody waits for it.
fn send(commands: mpsc::Sender<Command>, command: Command) {
    tokio::spawn(async move {
        // A pool that has ended needs no telling.
        let _ = commands.send(command).await;
    });
}

impl Targets for Scraper {
    fn config(&self) -> String {
        self.config.lock().clone()
    }

    fn pools(&self) -> Vec<String> {
        self.pools.lock().keys().cloned().collect()
    }

    fn active(&self) -> Vec<ActiveTarget> {
        let of_pool = |pool: &str, shown: &Shown| -> Vec<ActiveTarget> {
            let one = |turn: &Arc<super::turn::Turn>| {
                let status = turn.status.lock().clone();
                ActiveTarget {
                    discovered_labels: turn.target.discovered.clone(),
                    labels: turn.target.labels.clone(),
                    scrape_pool: pool.to_owned(),
                    scrape_url: turn.target.url.clone(),
                    last_error: status.last_error,
                    last_scrape_unix_ms: status.last_scrape_unix_ms,
                    last_scrape_duration: status.last_duration,
                    health: status.health,
                    scrape_interval: duration_text(turn.target.interval),
                    scrape_timeout: duration_text(turn.target.timeout),
                }
            };
            shown.active.iter().map(one).collect()
        };
        self.each_pool(of_pool).into_iter().flatten().collect()
    }

    fn dropped(&self) -> Vec<DroppedTarget> {
        let of_pool = |pool: &str, shown: &Shown| -> Vec<DroppedTarget> {
            let one = |labels: &Labels| DroppedTarget { discovered_labels: labels.clone(), scrape_pool: pool.to_owned() };
            shown.dropped.iter().map(one).collect()
        };
        self.each_pool(of_pool).into_iter().flatten().collect()
    }

    fn dropped_counts(&self) -> Vec<(String, usize)> {
        self.each_pool(|pool, shown| (pool.to_owned(), shown.dropped_count))
    }

    fn metadata(&self) -> Vec<(Labels, Vec<Arc<TargetFamily>>)> {
        let turns = self.each_pool(|_, shown| shown.active.clone());
        turns.iter().flatten().map(|turn| (turn.target.labels.clone(), turn.metadata())).collect()
    }
}
