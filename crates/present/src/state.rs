use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use catalog::{History, Live};
use lang::promql::Features;
use model::quarantine::Quarantine;
use model::{
    Answer, Ask, Cardinality, Code, ContractTrials, Erasure, ErasureOrder, Error, Pipelines, Query, QueryLimits, Request, Result,
    Scorecards, Targets, Topology, UsageMeter,
};

use crate::tails::Tails;

/// What the operator may do and see; the wiring implements it.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Returns when everything acknowledged so far is in the lake.
    async fn flush(&self) -> Result<()>;
    /// Whether questions can be answered and records taken; no longer once the end has begun.
    fn ready(&self) -> bool;
    /// Reads the catalogue's files again. With problems the one in force stays in force, and the error names each with
    /// its file and line. Call it where blocking is allowed, in a Tokio runtime.
    fn reload(&self) -> Result<()>;
    /// Tyto about itself, in Prometheus's text format.
    fn metrics_text(&self) -> String;
    /// Takes an order to erase: durable, and hidden from every question, when this returns.
    async fn erase(&self, order: ErasureOrder) -> Result<Erasure>;
    /// Every erasure, the newest first.
    fn erasures(&self) -> Vec<Erasure>;
    /// Sizes and positions of each shard.
    fn shards(&self) -> serde_json::Value;
    /// Whether the last reading of the catalogue's files succeeded, and when one last did.
    fn reloaded(&self) -> (bool, SystemTime);
}

/// What Prometheus's status pages tell about a program, as far as Tyto has it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What is on of that which Prometheus calls experimental.
    pub features: Features,
    /// By the names of Prometheus's flags.
    pub flags: Vec<(&'static str, String)>,
    pub folder: String,
    pub host: String,
    /// How long samples are kept; empty: for ever.
    pub retention: String,
}

#[derive(Clone)]
pub struct PresentState {
    pub query: Arc<dyn Query>,
    pub admin: Arc<dyn Admin>,
    pub catalog: Arc<Live>,
    pub history: Arc<dyn History>,
    pub usage: Arc<dyn UsageMeter>,
    pub cardinality: Arc<dyn Cardinality>,
    pub targets: Arc<dyn Targets>,
    pub topology: Arc<dyn Topology>,
    pub scorecards: Arc<dyn Scorecards>,
    pub quarantine: Arc<dyn Quarantine>,
    pub pipelines: Arc<dyn Pipelines>,
    pub contracts: Arc<dyn ContractTrials>,
    pub tails: Tails,
    /// Of each query; a request may ask for less time, never for more.
    pub limits: QueryLimits,
    pub started: SystemTime,
    pub facts: Facts,
}

pub(crate) type Shared = Arc<PresentState>;

impl PresentState {
    /// Asks under the limits. The engine keeps the deadline itself; the second look here holds when it does not. A
    /// client that goes away drops this future and so the work.
    pub(crate) async fn ask(&self, ask: Ask, timeout: Option<Duration>) -> Result<Answer> {
        let mut limits = self.limits.clone();
        limits.timeout = timeout.map_or(limits.timeout, |wanted| wanted.min(limits.timeout));
        let allowed = limits.timeout;
        within(allowed, self.query.query(Request { ask, limits })).await
    }
}

/// One time limit for a handler that asks more than once: each question alone would be allowed the whole of it.
pub(crate) async fn within<T>(allowed: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(allowed, work).await.unwrap_or_else(|_| Err(late(allowed)))
}

pub(crate) fn late(allowed: Duration) -> Error {
    Error::new(
        Code::Timeout,
        format!("cannot answer within {allowed:?}: ask for less, or for more time if query_timeout_seconds allows it"),
    )
}

/// The clock of default time ranges.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
