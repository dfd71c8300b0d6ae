//! What do the traces answer to a TraceQL query?
//!
//! `lang::traceql` reads the text. Then: [`pushdown`] (what the scan looks for itself) -> [`source`] (a row's values) with
//! [`fields`] (what is asked of one span) -> [`search`] (newest traces, read whole) with [`tree`] (who called whom) and [`sets`] (the
//! pipeline over a trace's spans); or [`metrics`] (spans counted into steps, where it can be by [`tally`]) -> [`series`] with [`buckets`] -> [`math`], and [`compare`]. [`tags`] tells
//! what attributes and values there are.
//!
//! When you add a function, also touch `lang::traceql` and `tests/cases/traceql/`. Nothing here knows where rows lie: they come
//! through [`model::Scan`].

mod buckets;
mod compare;
mod fields;
mod math;
mod metrics;
mod pushdown;
mod search;
mod series;
mod sets;
mod source;
mod tags;
mod tally;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use lang::traceql::{CheckError, MetricsExpr, Pipeline, Query, Root};
use model::{Answer, Ask, Code, Error, QueryLimits, Result, Scan};

pub use self::fields::{Fields, Slots};
pub use self::sets::{Set, Sets, Span};
pub use self::tree::Place;
use crate::guard::blocking;

/// Answers TraceQL from the rows of a scan.
pub struct TraceqlEngine {
    scan: Arc<dyn Scan>,
    /// How far from the spans that matched the rest of their traces is looked for.
    reach: Duration,
}

impl TraceqlEngine {
    pub fn new(scan: Arc<dyn Scan>, reach: Duration) -> Self {
        Self { scan, reach }
    }

    /// Answers [`Ask::TraceSearch`], [`Ask::TraceMetrics`], [`Ask::TraceTags`] and [`Ask::TraceTagValues`].
    pub async fn answer(&self, ask: Ask, limits: &QueryLimits) -> Result<Answer> {
        match ask {
            Ask::TraceSearch { query, range, limit, spans_per_set } => {
                let wanted = search::Wanted { range, limit, spans_per_set };
                search::newest(&*self.scan, &spans(&query).await?, &wanted, self.reach, limits).await
            }
            Ask::TraceMetrics { query, start_ns, end_ns, step_ns, exemplars } => {
                let query = metrics(query).await?;
                let asked = metrics::Asked { start_ns, end_ns, step_ns, exemplars };
                metrics::answer(&*self.scan, query, asked, self.reach, limits).await
            }
            Ask::TraceTags { query, range, limit } => tags::names(&*self.scan, &query, range, limit, limits).await,
            Ask::TraceTagValues { attribute, query, range, limit } => {
                tags::values(&*self.scan, &attribute, &query, range, limit, limits).await
            }
            _ => Err(Error::internal("cannot answer another language's question with TraceQL")),
        }
    }
}

/// Compiling a query's regular expressions takes its time.
async fn read(query: String) -> Result<Query> {
    blocking(move || {
        lang::traceql::read(&query).map_err(|error| {
            let code = match error {
                CheckError::Unsupported(_) => Code::Unsupported,
                CheckError::Parse(_) | CheckError::Invalid(_) => Code::Invalid,
            };
            Error::new(code, "cannot read the TraceQL query").because(error)
        })
    })
    .await
}

async fn spans(query: &str) -> Result<Pipeline> {
    match read(query.to_owned()).await?.root {
        Root::Spans(pipeline) => Ok(pipeline),
        Root::Metrics(_) => Err(Error::invalid("cannot search traces with a metrics query: ask for its series instead")),
    }
}

async fn metrics(query: String) -> Result<(MetricsExpr, Query)> {
    let query = read(query).await?;
    match &query.root {
        Root::Metrics(metrics) => Ok((metrics.clone(), query)),
        Root::Spans(_) => Err(Error::invalid("cannot make series of spans alone: end the query with a function, as in { } | rate()")),
    }
}
