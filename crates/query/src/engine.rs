mod languages;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use model::patterns::Patterns;
use model::{Answer, Answered, Ask, Code, Error, LogTail, Query, QueryLimits, QueryStats, Request, Result, Scan};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::watch::{Watch, WatchedRows};
use crate::guard::timed_out;
use crate::metered::MeteredScan;
use crate::promql::PromqlOptions;
use crate::series::Wanted;
use crate::sql::Sql;
use crate::{cardinality, dependencies, metadata, series, trace};

/// What an engine may use and where it takes the time from.
#[derive(Clone)]
pub struct EngineOptions {
    /// Threads one SQL query may use at once.
    pub partitions_max: usize,
    /// How far from the spans that a trace search matched the rest of their traces is looked for.
    pub trace_duration_max: Duration,
    /// Queries that run at once; more wait for their turn, as long as their time allows.
    pub queries_max: usize,
    pub promql: PromqlOptions,
    /// What is known of the patterns of log lines.
    pub patterns: Arc<Patterns>,
    /// What `now()` says in SQL.
    pub clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            partitions_max: cores.min(16),
            trace_duration_max: Duration::from_secs(3600),
            queries_max: (2 * cores).max(4),
            promql: PromqlOptions::default(),
            patterns: Arc::default(),
            clock: Arc::new(SystemTime::now),
        }
    }
}

/// Answers questions from one [`Scan`]: each within its limits, each counted.
pub struct Engine {
    scan: Arc<dyn Scan>,
    sql: Sql,
    turns: Arc<Semaphore>,
    options: EngineOptions,
}

impl Engine {
    pub fn new(scan: Arc<dyn Scan>, options: EngineOptions) -> Self {
        let sql = Sql::new(options.partitions_max, options.clock.clone(), options.patterns.clone());
        let turns = Arc::new(Semaphore::new(options.queries_max.max(1)));
        Self { scan, sql, turns, options }
    }

    /// Waits until this query may run: it does until what is given here is dropped.
    async fn turn(&self, deadline: tokio::time::Instant) -> Result<OwnedSemaphorePermit> {
        match tokio::time::timeout_at(deadline, self.turns.clone().acquire_owned()).await {
            Ok(turn) => turn.map_err(|closed| Error::internal("cannot run a query: the engine has ended").because(closed)),
            Err(_) => {
                let what = format!("cannot run a query: queries_max = {} others have run for all of its time", self.options.queries_max);
                Err(Error::new(Code::Overloaded { retry_after_seconds: 1 }, what))
            }
        }
    }

    async fn answer(&self, ask: Ask, limits: &QueryLimits, scan: Arc<dyn Scan>) -> Result<Answer> {
        match ask {
            Ask::PromqlInstant { .. } | Ask::PromqlRange { .. } | Ask::Samples { .. } => {
                languages::promql(scan, ask, limits, self.options.promql.clone()).await
            }
            Ask::LogqlInstant { .. }
            | Ask::LogqlRange { .. }
            | Ask::LogqlTail { .. }
            | Ask::DetectedFields { .. }
            | Ask::LogVolume { .. }
            | Ask::LogPatterns { .. } => languages::logql(scan, ask, limits, self.options.patterns.clone()).await,
            Ask::Sql { sql } => self.sql.query(&sql, scan, limits).await,
            Ask::Series { table, selectors, range, limit } => {
                series::find(&*scan, Wanted::Series, table, &selectors, range, limit, limits).await
            }
            Ask::LabelNames { table, selectors, range, limit } => {
                series::find(&*scan, Wanted::Names, table, &selectors, range, limit, limits).await
            }
            Ask::LabelValues { table, name, selectors, range, limit } => {
                series::find(&*scan, Wanted::Values(name), table, &selectors, range, limit, limits).await
            }
            Ask::SeriesCounts { range, top } => cardinality::count(&*scan, range, top, limits).await,
            Ask::Metadata { metric, limit } => metadata::families(&*scan, metric.as_deref(), limit, limits).await,
            Ask::Dependencies { range } => dependencies::between_services(&*scan, range, self.options.trace_duration_max, limits).await,
            Ask::Trace { trace_id, range } => trace::by_id(&*scan, &trace_id, range, limits).await,
            Ask::TraceSearch { .. } | Ask::TraceMetrics { .. } | Ask::TraceTags { .. } | Ask::TraceTagValues { .. } => {
                languages::traceql(scan, ask, limits, self.options.trace_duration_max).await
            }
        }
    }
}

#[async_trait]
impl Query for Engine {
    /// The statistics of a streamed table are those until its first row, of a tail those before what is stored is read; the
    /// counters of `/metrics` have the rest.
    async fn query(&self, request: Request) -> Result<Answer> {
        let Request { ask, limits } = request;
        let started = Instant::now();
        let scan = Arc::new(MeteredScan::new(self.scan.clone(), limits.scanned_bytes_max));
        let mut watch = Watch::start(language(&ask), scan.clone());
        let deadline = tokio::time::Instant::now() + limits.timeout;
        let outcome = match self.turn(deadline).await {
            Ok(turn) => {
                let answer = tokio::time::timeout_at(deadline, self.answer(ask, &limits, scan.clone())).await;
                answer.unwrap_or_else(|_| Err(timed_out(limits.timeout))).map(|answer| (answer, turn))
            }
            Err(error) => Err(error),
        };
        let (mut answer, turn) = match outcome {
            Ok(answer) => answer,
            Err(error) => {
                watch.end(code_name(error.code));
                return Err(error);
            }
        };
        answer.stats = QueryStats { scan: scan.stats(), elapsed_seconds: started.elapsed().as_secs_f64(), ..answer.stats };
        answer.data = match answer.data {
            Answered::Table { schema, rows } => {
                let rows = WatchedRows::new(rows, watch, turn, deadline, limits.timeout);
                Answered::Table { schema, rows: Box::pin(rows) }
            }
            // What is stored is read under the query's limits; who only waits for lines holds up nobody.
            Answered::Tail(LogTail { stored, arriving }) => {
                let stored = async move {
                    let read = tokio::time::timeout_at(deadline, stored).await;
                    let read = read.unwrap_or_else(|_| Err(timed_out(limits.timeout)));
                    watch.end(read.as_ref().map_or_else(|error| code_name(error.code), |_| "ok"));
                    drop(turn);
                    read
                };
                Answered::Tail(LogTail { stored: Box::pin(stored), arriving })
            }
            data => {
                watch.end("ok");
                data
            }
        };
        Ok(answer)
    }
}

/// The label `language` of the counters.
fn language(ask: &Ask) -> &'static str {
    match ask {
        Ask::PromqlInstant { .. } | Ask::PromqlRange { .. } => "promql",
        Ask::LogqlInstant { .. }
        | Ask::LogqlRange { .. }
        | Ask::LogqlTail { .. }
        | Ask::DetectedFields { .. }
        | Ask::LogVolume { .. }
        | Ask::LogPatterns { .. } => "logql",
        Ask::Sql { .. } => "sql",
        Ask::Samples { .. } => "remote_read",
        Ask::Series { .. } | Ask::LabelNames { .. } | Ask::LabelValues { .. } | Ask::SeriesCounts { .. } => "series",
        Ask::Metadata { .. } => "metadata",
        Ask::Trace { .. } => "trace",
        Ask::Dependencies { .. } => "dependencies",
        Ask::TraceSearch { .. } | Ask::TraceMetrics { .. } | Ask::TraceTags { .. } | Ask::TraceTagValues { .. } => "traceql",
    }
}

/// The label `code` of the counters.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Invalid => "invalid",
        Code::TooLarge => "too_large",
        Code::NotFound => "not_found",
        Code::Unauthenticated => "unauthenticated",
        Code::Forbidden => "forbidden",
        Code::Overloaded { .. } => "overloaded",
        Code::LimitExceeded => "limit_exceeded",
        Code::Timeout => "timeout",
        Code::Cancelled => "cancelled",
        Code::Unsupported => "unsupported",
        Code::Corrupt => "corrupt",
        Code::Unavailable => "unavailable",
        Code::Internal => "internal",
    }
}
