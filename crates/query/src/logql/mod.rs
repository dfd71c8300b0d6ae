//! What do the logs answer to a LogQL query?
//!
//! `lang::logql` reads the text. Then: [`source`] (what goes down to the scan, what is left) -> [`streams`] (a row's stream
//! labels) -> [`pipeline`] over a [`row`] with its [`filters`], parsers ([`json`], [`logfmt`]) and [`template`]s ->
//! [`lines`] (answers lines), [`tail`] (and goes on with those that come), [`detected`] (tells their fields) or [`range`] (counts them
//! into steps) -> [`aggregate`], [`binary`], [`eval`]. [`volume`] adds up the bytes of streams, [`patterns`] tells what lines have in common.
//!
//! When you add a stage, also touch `lang::logql` and `tests/cases/logql/`; when a label's origin changes, only
//! [`streams`]. Nothing here knows where rows lie: they come through [`model::Scan`].

mod aggregate;
mod binary;
mod convert;
mod counter;
mod detected;
mod eval;
mod filters;
mod json;
mod lines;
mod logfmt;
mod matrix;
mod patterns;
mod pipeline;
mod range;
mod row;
mod source;
mod streams;
mod tail;
mod template;
mod volume;

use std::sync::Arc;

use lang::logql::{Expr, MetricExpr};
use model::patterns::Patterns;
use model::{Answer, Answered, Ask, Code, Direction, Error, QueryLimits, Result, Scan, TimeRange};

use self::matrix::{Steps, Value};
pub(crate) use self::source::{exact_subject, implied_filter};
pub(crate) use self::streams::{COLUMNS as STREAM_COLUMNS, StreamCache};
use crate::guard::{Guard, blocking};

/// The time a range query is about: lines with `start <= t < end`, metrics at `start, start + step, ... <= end`.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub start_ns: i64,
    pub end_ns: i64,
    pub step_ns: i64,
}

/// How many lines, and from which end.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    pub limit: usize,
    pub direction: Direction,
}

/// Answers LogQL from the rows of a scan.
pub struct LogqlEngine {
    scan: Arc<dyn Scan>,
    patterns: Arc<Patterns>,
}

impl LogqlEngine {
    pub fn new(scan: Arc<dyn Scan>) -> Self {
        Self { scan, patterns: Arc::default() }
    }

    /// What is known of patterns, which others may know, too.
    pub fn with_patterns(self, patterns: Arc<Patterns>) -> Self {
        Self { patterns, ..self }
    }

    /// Answers [`Ask::LogqlInstant`], [`Ask::LogqlRange`], [`Ask::LogqlTail`], [`Ask::LogVolume`], [`Ask::LogPatterns`] and [`Ask::DetectedFields`].
    pub async fn answer(&self, ask: &Ask, limits: &QueryLimits) -> Result<Answer> {
        match *ask {
            Ask::LogqlInstant { ref query, at_ns, .. } => self.instant(query, at_ns, limits).await,
            Ask::LogqlRange { ref query, start_ns, end_ns, step_ns, limit, direction } => {
                self.range(query, Window { start_ns, end_ns, step_ns }, Lines { limit, direction }, limits).await
            }
            Ask::LogqlTail { ref query, start_ns, end_ns, limit } => {
                let tail = tail::answer(&*self.scan, query, TimeRange::new(start_ns, end_ns), limit, limits).await?;
                Ok(Answer::new(Answered::Tail(tail)))
            }
            Ask::LogVolume { ref matchers, start_ns, end_ns, step_ns, ref by, limit } => {
                let window = Window { start_ns, end_ns, step_ns: step_ns.unwrap_or(i64::MAX) };
                volume::count(&*self.scan, volume::Wanted { matchers, window, stepped: step_ns.is_some(), by, limit }, limits).await
            }
            Ask::LogPatterns { ref query, start_ns, end_ns, step_ns, before, limit } => {
                let guard = Guard::new(limits);
                let _cancel = guard.cancel_on_drop();
                let asked = patterns::Asked { query, time: TimeRange::new(start_ns, end_ns), step_ns, before, limit };
                patterns::answer(&*self.scan, &self.patterns, asked, &guard).await
            }
            Ask::DetectedFields { ref query, start_ns, end_ns, lines_max } => {
                let guard = Guard::new(limits);
                let _cancel = guard.cancel_on_drop();
                detected::answer(&*self.scan, query, TimeRange::new(start_ns, end_ns), lines_max, &guard).await
            }
            _ => Err(Error::internal("cannot answer another language's question with LogQL")),
        }
    }

    /// A metric at one instant.
    pub async fn instant(&self, query: &str, at_ns: i64, limits: &QueryLimits) -> Result<Answer> {
        let steps = Steps { start_ns: at_ns, step_ns: 1, count: 1 };
        let guard = Guard::new(limits);
        let _cancel = guard.cancel_on_drop();
        let data = match parse(query).await? {
            Expr::Log(_) => {
                return Err(Error::invalid("cannot answer lines at one instant: ask for a range, or for a metric of the lines"));
            }
            Expr::Metric(metric) => {
                let sorted = eval::is_sorted(&metric);
                eval::instant(eval::evaluate(&*self.scan, metric, steps, limits, &guard).await?, steps, sorted)
            }
            Expr::Variants(variants) => eval::instant(self.variants(variants.metrics, steps, limits, &guard).await?, steps, false),
        };
        Ok(Answer::new(data))
    }

    /// Lines of a time range, or a metric at each of its steps.
    pub async fn range(&self, query: &str, window: Window, lines: Lines, limits: &QueryLimits) -> Result<Answer> {
        let guard = Guard::new(limits);
        let _cancel = guard.cancel_on_drop();
        let data = match parse(query).await? {
            Expr::Log(log) => lines::answer(&*self.scan, log, window, lines, &guard).await?,
            Expr::Metric(metric) => {
                let steps = steps(window, limits)?;
                eval::range(eval::evaluate(&*self.scan, metric, steps, limits, &guard).await?, steps, limits)?
            }
            Expr::Variants(variants) => {
                let steps = steps(window, limits)?;
                eval::range(self.variants(variants.metrics, steps, limits, &guard).await?, steps, limits)?
            }
        };
        Ok(Answer::new(data))
    }

    /// Every metric, told apart by the label `__variant__`.
    async fn variants(&self, metrics: Vec<MetricExpr>, steps: Steps, limits: &QueryLimits, guard: &Guard) -> Result<Value> {
        let mut all = Vec::new();
        for (index, metric) in metrics.into_iter().enumerate() {
            if let Value::Matrix(matrix) = eval::evaluate(&*self.scan, metric, steps, limits, guard).await? {
                all.extend(matrix.into_iter().map(|mut series| {
                    series.labels = series.labels.to_builder().set("__variant__", &index.to_string()).build();
                    series
                }));
            }
        }
        Ok(Value::Matrix(all))
    }
}

/// Compiling a query's regular expressions takes its time.
async fn parse(query: &str) -> Result<Expr> {
    let query = query.to_owned();
    blocking(move || lang::logql::parse(&query).map_err(|error| Error::invalid("cannot read the LogQL query").because(error))).await
}

fn steps(window: Window, limits: &QueryLimits) -> Result<Steps> {
    let Window { start_ns, end_ns, step_ns } = window;
    if step_ns <= 0 {
        return Err(Error::invalid("cannot evaluate a range: its step must be longer than nothing"));
    }
    if end_ns < start_ns {
        return Err(Error::invalid("cannot evaluate a range: its end is before its start"));
    }
    // Like Prometheus, one point more than the number says.
    let most = limits.points_per_series_max;
    let span = (i128::from(end_ns) - i128::from(start_ns)) / i128::from(step_ns);
    if span > i128::from(most) {
        let what = format!(
            "cannot evaluate a range: {} points per series are more than {most} (points_per_series_max); take a larger step",
            span + 1
        );
        return Err(Error::new(Code::Invalid, what));
    }
    let count = 1 + usize::try_from(span).expect("points_per_series_max keeps the count small");
    Ok(Steps { start_ns, step_ns, count })
}
