use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use catalog::Live;
use model::{Answer, Ask, Code, Error, Query, QueryLimits, Request, Result, UsageMeter};

/// What the operator may do and see; the wiring implements it.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Returns when everything acknowledged so far is in the lake.
    async fn flush(&self) -> Result<()>;
    /// Whether questions can be answered and records taken.
    fn ready(&self) -> bool;
    /// Tyto about itself, in Prometheus's text format.
    fn metrics_text(&self) -> String;
    /// Sizes and positions of each shard.
    fn shards(&self) -> serde_json::Value;
}

#[derive(Clone)]
pub struct PresentState {
    pub query: Arc<dyn Query>,
    pub admin: Arc<dyn Admin>,
    pub catalog: Arc<Live>,
    pub usage: Arc<dyn UsageMeter>,
    /// Of each query; a request may ask for less time, never for more.
    pub limits: QueryLimits,
    pub started: SystemTime,
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

pub(crate) async fn within<T>(allowed: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(allowed, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(Code::Timeout, format!("cannot answer within {allowed:?}, the query's timeout"))),
    }
}

/// The clock of default time ranges.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
