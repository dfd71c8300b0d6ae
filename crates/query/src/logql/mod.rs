//! What do the logs answer to a LogQL query?
//!
//! `lang::logql` reads the text. Then: [`source`] (what goes down to the scan, what is left) -> [`streams`] (a row's stream
//! labels) -> [`pipeline`] over a [`row`] with its [`filters`], parsers ([`json`], [`logfmt`]) and [`template`]s ->
//! [`lines`] (answers lines) or [`range`] (counts them into steps) -> [`aggregate`], [`binary`], [`eval`].
//!
//! When you add a stage, also touch `lang::logql` and `tests/cases/logql/`; when a label's origin changes, only
//! [`streams`]. Nothing here knows where rows lie: they come through [`model::Scan`].

mod aggregate;
mod binary;
mod convert;
mod counter;
mod eval;
mod filters;
mod json;
mod lines;
mod logfmt;
mod matrix;
mod pipeline;
mod range;
mod row;
mod source;
mod streams;
mod template;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use lang::logql::{Expr, MetricExpr};
use model::{Answer, Answered, Ask, Code, Direction, Error, QueryLimits, QueryStats, Result, Scan, ScanStats};

use self::matrix::{Steps, Value};
pub use self::streams::{StreamLabels, legal_name, stream_labels};

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
}

impl LogqlEngine {
    pub fn new(scan: Arc<dyn Scan>) -> Self {
        Self { scan }
    }

    /// Answers [`Ask::LogqlInstant`] and [`Ask::LogqlRange`].
    pub async fn answer(&self, ask: &Ask, limits: &QueryLimits) -> Result<Answer> {
        match *ask {
            Ask::LogqlInstant { ref query, at_ns, .. } => self.instant(query, at_ns, limits).await,
            Ask::LogqlRange { ref query, start_ns, end_ns, step_ns, limit, direction } => {
                self.range(query, Window { start_ns, end_ns, step_ns }, Lines { limit, direction }, limits).await
            }
            _ => Err(Error::internal("cannot answer another language's question with LogQL")),
        }
    }

    /// A metric at one instant.
    pub async fn instant(&self, query: &str, at_ns: i64, limits: &QueryLimits) -> Result<Answer> {
        let started = Instant::now();
        let stats = Arc::default();
        let steps = Steps { start_ns: at_ns, step_ns: 1, count: 1 };
        let data = match parse(query)? {
            Expr::Log(_) => {
                return Err(Error::invalid("cannot answer lines at one instant: ask for a range, or for a metric of the lines"));
            }
            Expr::Metric(metric) => {
                let value = eval::evaluate(&*self.scan, &metric, steps, limits, &stats).await?;
                eval::instant(value, steps, eval::is_sorted(&metric))
            }
            Expr::Variants(variants) => {
                let value = self.variants(&variants.metrics, steps, limits, &stats).await?;
                eval::instant(value, steps, false)
            }
        };
        Ok(finish(data, &stats, started))
    }

    /// Lines of a time range, or a metric at each of its steps.
    pub async fn range(&self, query: &str, window: Window, lines: Lines, limits: &QueryLimits) -> Result<Answer> {
        let started = Instant::now();
        let stats = Arc::default();
        let data = match parse(query)? {
            Expr::Log(log) => lines::answer(&*self.scan, &log, window, lines, limits, &stats).await?,
            Expr::Metric(metric) => {
                let steps = steps(window, limits)?;
                let value = eval::evaluate(&*self.scan, &metric, steps, limits, &stats).await?;
                eval::range(value, steps, limits)?
            }
            Expr::Variants(variants) => {
                let steps = steps(window, limits)?;
                let value = self.variants(&variants.metrics, steps, limits, &stats).await?;
                eval::range(value, steps, limits)?
            }
        };
        Ok(finish(data, &stats, started))
    }

    /// Every metric, told apart by the label `__variant__`.
    async fn variants(&self, metrics: &[MetricExpr], steps: Steps, limits: &QueryLimits, stats: &Arc<Mutex<ScanStats>>) -> Result<Value> {
        let mut all = Vec::new();
        for (index, metric) in metrics.iter().enumerate() {
            if let Value::Matrix(matrix) = eval::evaluate(&*self.scan, metric, steps, limits, stats).await? {
                all.extend(matrix.into_iter().map(|mut series| {
                    series.labels = series.labels.to_builder().set("__variant__", &index.to_string()).build();
                    series
                }));
            }
        }
        Ok(Value::Matrix(all))
    }
}

fn parse(query: &str) -> Result<Expr> {
    lang::logql::parse(query).map_err(|error| Error::invalid("cannot read the LogQL query").because(error))
}

fn steps(window: Window, limits: &QueryLimits) -> Result<Steps> {
    let Window { start_ns, end_ns, step_ns } = window;
    if step_ns <= 0 {
        return Err(Error::invalid("cannot evaluate a range: its step must be longer than nothing"));
    }
    if end_ns < start_ns {
        return Err(Error::invalid("cannot evaluate a range: its end is before its start"));
    }
    let points = (i128::from(end_ns) - i128::from(start_ns)) / i128::from(step_ns) + 1;
    if points > i128::from(limits.points_per_series_max) {
        let most = limits.points_per_series_max;
        let what =
            format!("cannot evaluate a range: {points} points per series are more than {most} (points_per_series_max); take a larger step");
        return Err(Error::new(Code::Invalid, what));
    }
    let count = usize::try_from(points).expect("points_per_series_max keeps the count small");
    Ok(Steps { start_ns, step_ns, count })
}

fn finish(data: Answered, stats: &Mutex<ScanStats>, started: Instant) -> Answer {
    let scan = *stats.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Answer { stats: QueryStats { scan, elapsed_seconds: started.elapsed().as_secs_f64() }, ..Answer::new(data) }
}
