//! What does a PromQL expression say about the stored samples?
//!
//! The path of a query: `source.rs` finds the selectors, reads all of them from the [`Scan`] at once and decodes each series
//! into slices; `eval.rs` walks the tree over a grid of steps (`grid.rs`), every value being a column per series (`value.rs`);
//! `raw.rs` gives samples as they are stored, `resets.rs` marks resets of counted histograms, `select.rs` looks samples up, `binary.rs` and `aggregate.rs` join and fold columns, `functions/` has a file per family,
//! `histogram/` the arithmetic of native histograms. The guard stops what runs too long or grows too large, `notes.rs`
//! collects warnings and infos.
//!
//! An instant query is a range query of one step; a subquery is the same walk over another grid.
//!
//! A new function also goes into the table in `lang/src/promql/functions.rs` and gets cases in `tests/cases/promql/`.
//! This module knows no files, no HTTP and no SQL.

mod aggregate;
mod binary;
mod eval;
mod functions;
mod grid;
mod histogram;
mod info;
mod notes;
mod raw;
mod resets;
mod select;
mod source;
mod value;

use std::sync::Arc;
use std::time::Duration;

use lang::promql::Features;
use lang::promql::ast::{AggregateOp, Expr, Node, Type};
use model::{Answer, Answered, Code, Error, InstantSample, Labels, QueryLimits, QueryStats, RangeSeries, Result, Scan};

use eval::Evaluator;
use grid::Grid;
use notes::{Notebook, Notes};
use source::Frame;
use value::{Cell, Points, Series, Value};

use crate::guard::{Guard, blocking_unless};

/// What an operator may change about the engine.
#[derive(Clone, Debug)]
pub struct PromqlOptions {
    /// How far back an instant selector looks, when the request does not say.
    pub lookback: Duration,
    /// The step of a subquery that names none.
    pub subquery_step: Duration,
    /// What is on of that which Prometheus calls experimental.
    pub features: Features,
}

impl Default for PromqlOptions {
    fn default() -> Self {
        Self { lookback: Duration::from_secs(300), subquery_step: Duration::from_secs(60), features: Features::default() }
    }
}

/// Evaluates PromQL over the `samples` of a [`Scan`].
pub struct PromqlEngine {
    scan: Arc<dyn Scan>,
    options: PromqlOptions,
}

impl PromqlEngine {
    pub fn new(scan: Arc<dyn Scan>, options: PromqlOptions) -> Self {
        Self { scan, options }
    }

    /// The value of `query` at one instant: a scalar, a text, a vector, or the raw samples of a range selector.
    pub async fn instant(&self, query: &str, at_ms: i64, lookback: Option<Duration>, limits: &QueryLimits) -> Result<Answer> {
        let expr = parse(query, self.options.features).await?;
        let frame = self.frame(Grid::instant(at_ms), 0, lookback);
        self.run(query, expr, frame, limits, |evaluator, expr| {
            let at_ms = evaluator.frame.query.start;
            if expr.value_type() == Type::Matrix {
                return evaluator.raw_matrix(expr).map(Answered::Matrix);
            }
            Ok(match evaluator.top(expr)? {
                Value::Scalar(values) => Answered::Scalar { at_ms, value: values[0] },
                Value::Text(value) => Answered::Text { at_ms, value },
                Value::Vector(mut series) => {
                    if !has_order(expr) {
                        series.sort_by(|a, b| a.labels.iter().cmp(b.labels.iter()));
                    }
                    Answered::Vector(series.into_iter().filter_map(|series| instant_sample(series, at_ms)).collect())
                }
            })
        })
        .await
    }

    /// The value of `query` at `start_ms`, `start_ms + step_ms`, ... up to `end_ms`.
    pub async fn range(
        &self,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        lookback: Option<Duration>,
        limits: &QueryLimits,
    ) -> Result<Answer> {
        if step_ms <= 0 {
            return Err(Error::invalid("zero or negative query resolution step widths are not accepted. Try a positive integer"));
        }
        if end_ms < start_ms {
            return Err(Error::invalid("end timestamp must not be before start time"));
        }
        let most = limits.points_per_series_max;
        if end_ms.saturating_sub(start_ms) / step_ms > most {
            let what = format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
                thousands(most)
            );
            return Err(Error::invalid(what));
        }
        let expr = parse(query, self.options.features).await?;
        if !matches!(expr.value_type(), Type::Scalar | Type::Vector) {
            let name = expr.value_type().name();
            let what =
                format!("invalid parameter \"query\": invalid expression type {name:?} for range query, must be Scalar or instant Vector");
            return Err(Error::invalid(what));
        }
        let frame = self.frame(Grid { start: start_ms, end: end_ms, step: step_ms }, step_ms, lookback);
        self.run(query, expr, frame, limits, |evaluator, expr| {
            let grid = evaluator.frame.query;
            let series = match evaluator.top(expr)? {
                Value::Scalar(values) => {
                    vec![RangeSeries { labels: Labels::empty(), floats: grid.times().zip(values).collect(), histograms: Vec::new() }]
                }
                Value::Text(_) => unreachable!("a range query is a scalar or a vector: checked above"),
                Value::Vector(series) => series.into_iter().map(|series| range_series(Points::of_series(series, &grid))).collect(),
            };
            Ok(Answered::Matrix(sorted(series)))
        })
        .await
    }

    fn frame(&self, query: Grid, step_ms: i64, lookback: Option<Duration>) -> Frame {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4).max(1);
        let lookback_ms = millis(lookback.unwrap_or(self.options.lookback));
        let Self { options, .. } = self;
        Frame {
            query,
            step_ms,
            lookback_ms,
            subquery_step_ms: millis(options.subquery_step),
            use_starts: options.features.use_start_timestamps,
        }
    }

    /// Reads on the async threads, computes on a blocking one unless it is little.
    async fn run(
        &self,
        query: &str,
        expr: Expr,
        frame: Frame,
        limits: &QueryLimits,
        answer: impl FnOnce(&Evaluator<'_>, &Expr) -> Result<Answered> + Send + 'static,
    ) -> Result<Answer> {
        let delayed_name_removal = self.options.features.delayed_name_removal;
        let guard = Guard::new(limits);
        let _cancel = guard.cancel_on_drop();
        let work = async {
            let read = source::load(&self.scan, &expr, &frame, &guard).await?;
            let (text, guard) = (query.to_owned(), guard.clone());
            blocking_unless(read.is_little(&expr, &frame), move || {
                let (notebook, loaded) = (Notebook::new(&text), read.finish());
                let evaluator = Evaluator { frame, loaded: &loaded, guard: &guard, notes: &notebook, delayed_name_removal };
                let data = answer(&evaluator, &expr)?;
                Ok((data, notebook.finish()))
            })
            .await
        };
        let (data, Notes { warnings, infos }) = tokio::time::timeout(limits.timeout, work).await.map_err(|_| guard.timed_out())??;
        let series = match &data {
            Answered::Vector(samples) => samples.len(),
            Answered::Matrix(series) => series.len(),
            _ => 1,
        };
        if series > limits.series_max {
            let what = format!("cannot answer query: its {series} series are more than series_max = {}", limits.series_max);
            return Err(Error::new(Code::LimitExceeded, what));
        }
        let stats = QueryStats { samples: Some(guard.samples()), ..QueryStats::default() };
        Ok(Answer { warnings, infos, stats, ..Answer::new(data) })
    }
}

/// Compiling a query's regular expressions takes its time.
async fn parse(query: &str, features: Features) -> Result<Expr> {
    let query = query.to_owned();
    let invalid = |error| Error::invalid(format!("invalid parameter \"query\": {error}"));
    blocking_unless(lang::is_brief(&query), move || lang::promql::parse_with(&query, features).map_err(invalid)).await
}

/// Whether the order of the vector is what was asked for.
fn has_order(expr: &Expr) -> bool {
    match &expr.unparenthesised().node {
        Node::Call { function, .. } => function.name.starts_with("sort"),
        Node::Aggregate(aggregate) => matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk),
        _ => false,
    }
}

/// 11000 as `11,000`.
fn thousands(number: i64) -> String {
    match number {
        ..1000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1000), number % 1000),
    }
}

fn instant_sample(series: Series, at_ms: i64) -> Option<InstantSample> {
    let (value, histogram) = match series.column.get(0)? {
        Cell::Float(value) => (value, None),
        Cell::Histogram(histogram) => (0.0, Some(Box::new(Arc::unwrap_or_clone(histogram)))),
    };
    Some(InstantSample { labels: series.labels, at_ms, value, histogram })
}

fn range_series(points: Points) -> RangeSeries {
    let histograms = points.histograms.into_iter().map(Arc::unwrap_or_clone);
    RangeSeries {
        labels: points.labels,
        floats: points.float_times.iter().copied().zip(points.floats.iter().copied()).collect(),
        histograms: points.histogram_times.into_iter().zip(histograms).collect(),
    }
}

fn sorted(mut series: Vec<RangeSeries>) -> Vec<RangeSeries> {
    series.sort_by(|a, b| a.labels.iter().cmp(b.labels.iter()));
    series
}
