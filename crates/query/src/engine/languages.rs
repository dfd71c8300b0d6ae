//! The one place where the evaluators of the query languages join the engine. Each gets a scan that is metered for this
//! one query.

use std::sync::Arc;
use std::time::Duration;

use model::patterns::Patterns;
use model::{Answer, Ask, Error, QueryLimits, Result, Scan};

use crate::logql::LogqlEngine;
use crate::promql::{PromqlEngine, PromqlOptions};
use crate::traceql::TraceqlEngine;

pub(super) async fn promql(scan: Arc<dyn Scan>, ask: Ask, limits: &QueryLimits, options: PromqlOptions) -> Result<Answer> {
    let engine = PromqlEngine::new(scan, options);
    match ask {
        Ask::PromqlInstant { query, at_ms, lookback } => engine.instant(&query, at_ms, lookback, limits).await,
        Ask::PromqlRange { query, start_ms, end_ms, step_ms, lookback } => {
            engine.range(&query, start_ms, end_ms, step_ms, lookback, limits).await
        }
        Ask::Samples { matchers, first_ms, last_ms } => engine.samples(&matchers, first_ms, last_ms, limits).await,
        _ => Err(Error::internal("cannot answer another language's question with PromQL")),
    }
}

pub(super) async fn logql(scan: Arc<dyn Scan>, ask: Ask, limits: &QueryLimits, patterns: Arc<Patterns>) -> Result<Answer> {
    LogqlEngine::new(scan).with_patterns(patterns).answer(&ask, limits).await
}

pub(super) async fn traceql(scan: Arc<dyn Scan>, ask: Ask, limits: &QueryLimits, reach: Duration) -> Result<Answer> {
    TraceqlEngine::new(scan, reach).answer(ask, limits).await
}
