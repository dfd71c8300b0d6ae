//! The targets of one scrape configuration: who they are now, and their loops.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use model::{Error, Labels};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::client::Client;
use super::config::{Group, PoolConfig};
use super::discovery::{self, Update};
use super::engine::Shared;
use super::target::{Made, Target, TargetKey, make};
use super::turn::{Order, Status, Turn};

/// Of one pool; further ones are not scraped, which is logged and counted.
const TARGETS_MAX: usize = 50_000;
/// Dropped targets that are kept to be shown, where the configuration sets no smaller number.
const DROPPED_SHOWN_MAX: usize = 10_000;
/// How long a pool whose configuration changed waits for all its discoveries before it lets targets go.
const DISCOVERY_PATIENCE: Duration = Duration::from_secs(10);

/// What a pool is told.
pub(super) enum Command {
    Configure(Arc<PoolConfig>),
    /// To end; with `gone` the ends of all series are marked.
    Stop {
        gone: bool,
    },
}

/// What the API sees of a pool.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) active: Vec<Arc<Turn>>,
    pub(super) dropped: Vec<Labels>,
    pub(super) dropped_count: usize,
}

struct Running {
    turn: Arc<Turn>,
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
}

pub(super) struct Pool {
    config: Arc<PoolConfig>,
    client: Arc<Result<Client, String>>,
    shared: Arc<Shared>,
    shown: Arc<Mutex<Shown>>,
    refused: Arc<Mutex<Option<String>>>,
    running: HashMap<TargetKey, Running>,
    /// Of each discovery; none before it has said anything.
    groups: Vec<Option<Vec<Group>>>,
    /// While targets of a changed configuration may still be found, none is let go.
    patient_until: Instant,
}

impl Pool {
    pub(super) fn new(config: Arc<PoolConfig>, shared: Arc<Shared>, shown: Arc<Mutex<Shown>>) -> Self {
        Self {
            client: Arc::new(client_of(&config)),
            groups: vec![None; config.discoveries.len()],
            config,
            shared,
            shown,
            refused: Arc::default(),
            running: HashMap::new(),
            patient_until: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let (mut discoveries, mut updates) = self.discover();
        loop {
            let waits = self.patient_until > Instant::now() && self.groups.iter().any(Option::is_none);
            tokio::select! {
                Some((number, groups)) = updates.recv() => {
                    self.groups[number] = Some(groups);
                    self.sync().await;
                }
                () = tokio::time::sleep_until(self.patient_until), if waits => self.sync().await,
                command = commands.recv() => match command {
                    Some(Command::Configure(config)) => {
                        self.client = Arc::new(client_of(&config));
                        self.groups = vec![None; config.discoveries.len()];
                        self.config = config;
                        self.patient_until = Instant::now() + DISCOVERY_PATIENCE;
                        discoveries.abort_all();
                        (discoveries, updates) = self.discover();
                        if self.groups.is_empty() {
                            self.sync().await;
                        }
                    }
                    Some(Command::Stop { gone }) => return self.stop(if gone { Order::Gone } else { Order::Leave }).await,
                    None => return self.stop(Order::Leave).await,
                },
            }
        }
    }

    fn discover(&self) -> (JoinSet<()>, mpsc::Receiver<Update>) {
        let (sender, receiver) = mpsc::channel(1);
        let name: Arc<str> = self.config.job_name.as_str().into();
        let mut tasks = JoinSet::new();
        for (number, discovery) in self.config.discoveries.iter().enumerate() {
            tasks.spawn(discovery::discover(number, discovery.clone(), name.clone(), sender.clone()));
        }
        // A discovery that has ended must not end the channel.
        tasks.spawn(async move { sender.closed().await });
        (tasks, receiver)
    }

    /// Starts loops for new targets and ends those of targets that are there no more.
    async fn sync(&mut self) {
        if self.patient_until > Instant::now() && self.groups.iter().any(Option::is_none) {
            return;
        }
        let (targets, shown) = self.targets();
        let mut old = std::mem::take(&mut self.running);
        let mut fresh = Vec::new();
        for target in targets {
            let key = target.key();
            match old.remove(&key) {
                Some(running) if Arc::ptr_eq(&running.turn.config, &self.config) => drop(self.running.insert(key, running)),
                Some(running) => fresh.push((target, Some(running))),
                None => fresh.push((target, None)),
            }
        }
        // First the old ends, then the new begins: a series that goes on under a new target is marked before it is written.
        end(old.into_values(), Order::Gone).await;
        for (target, before) in fresh {
            let cache = match before {
                Some(running) => {
                    let cache = running.turn.cache.clone();
                    end([running], Order::Leave).await;
                    cache.lock().relearn();
                    cache
                }
                None => Arc::default(),
            };
            self.start(target, cache);
        }
        self.limit();
        let mut active: Vec<_> = self.running.values().map(|running| running.turn.clone()).collect();
        active.sort_by(|a, b| a.target.url.cmp(&b.target.url).then_with(|| a.target.labels.cmp(&b.target.labels)));
        self.shared.targets_changed(self.shown.lock().active.len(), active.len());
        *self.shown.lock() = Shown { active, ..shown };
    }

    /// Every target that there should be, each once, and what was dropped.
    fn targets(&self) -> (Vec<Target>, Shown) {
        let shown_max = match self.config.dropped_targets_max {
            0 => DROPPED_SHOWN_MAX,
            max => DROPPED_SHOWN_MAX.min(usize::try_from(max).unwrap_or(usize::MAX)),
        };
        let (mut targets, mut shown) = (HashMap::new(), Shown::default());
        let (mut failed, mut over) = (None::<Error>, 0_u64);
        for group in self.groups.iter().flatten().flatten() {
            for own in &group.targets {
                match make(&self.config, own, &group.labels) {
                    Ok(Made::Target(target)) if targets.len() < TARGETS_MAX => drop(targets.insert(target.key(), *target)),
                    Ok(Made::Target(_)) => over += 1,
                    Ok(Made::Dropped(labels)) => {
                        shown.dropped_count += 1;
                        if shown.dropped.len() < shown_max {
                            shown.dropped.push(labels);
                        }
                    }
                    Err(error) => {
                        metrics::counter!("tyto_scrape_targets_refused_total", "reason" => "invalid").increment(1);
                        failed = Some(error);
                    }
                }
            }
        }
        if let Some(error) = failed {
            tracing::warn!("scrape pool {:?}: {}", self.config.job_name, error.chain());
        }
        if over > 0 {
            metrics::counter!("tyto_scrape_targets_refused_total", "reason" => "targets_max").increment(over);
            tracing::warn!("scrape pool {:?}: {over} targets over targets_max, {TARGETS_MAX}, are not scraped", self.config.job_name);
        }
        (targets.into_values().collect(), shown)
    }

    fn start(&mut self, target: Target, cache: Arc<Mutex<super::cache::SeriesCache>>) {
        let (orders, listen) = watch::channel(Order::Run);
        let key = target.key();
        let turn = Arc::new(Turn {
            offset: offset(&key, target.interval),
            target,
            config: self.config.clone(),
            cache,
            status: Mutex::new(Status::default()),
            refused: self.refused.clone(),
            client: self.client.clone(),
            shared: self.shared.clone(),
        });
        let task = tokio::spawn(turn.clone().run(listen));
        self.running.insert(key, Running { turn, orders, task });
    }

    /// Over `target_limit` every target of the pool fails, as Prometheus has it: which ones to leave out nobody could tell.
    fn limit(&self) {
        let (count, max) = (self.running.len() as u64, self.config.targets_max);
        let over = max > 0 && count > max;
        *self.refused.lock() = over.then(|| format!("cannot scrape: the pool has {count} targets, target_limit is {max}"));
    }

    async fn stop(mut self, order: Order) {
        end(std::mem::take(&mut self.running).into_values(), order).await;
        let before = std::mem::take(&mut *self.shown.lock()).active.len();
        self.shared.targets_changed(before, 0);
    }
}

/// Tells loops to end, and waits until they have.
async fn end(loops: impl IntoIterator<Item = Running>, order: Order) {
    let ended: Vec<_> = loops.into_iter().collect();
    for running in &ended {
        running.orders.send_replace(order);
    }
    for running in ended {
        if let Err(panic) = running.task.await {
            tracing::error!("the loop of {} broke off: {panic}", running.turn.target.url);
        }
    }
}

fn client_of(config: &PoolConfig) -> Result<Client, String> {
    Client::new(&config.http).map_err(|error| {
        tracing::error!("scrape pool {:?} cannot fetch: {}", config.job_name, error.chain());
        error.chain()
    })
}

/// Spreads targets over the interval, each at a place of its own that no restart moves.
fn offset(key: &TargetKey, interval: Duration) -> Duration {
    let mut hasher = siphasher::sip::SipHasher13::new();
    key.hash(&mut hasher);
    let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(hasher.finish() % millis)
}
