//! Metric queries: the range aggregations are read first, one after the other; what is around them is arithmetic.

use std::sync::{Arc, Mutex};

use hashbrown::HashMap;
use lang::logql::{Grouping, LabelReplace, MetricExpr, MetricKind, RangeOp, VectorOp};
use model::{Answered, Code, Error, InstantSample, Labels, QueryLimits, RangeSeries, Result, Scan, ScanStats};

use super::aggregate::aggregate;
use super::binary::binary;
use super::filters::{anchored, compile};
use super::matrix::{Matrix, Series, Steps, Value};
use super::range;

/// An aggregation that was read, found by what it says: the same one twice in a query is read once.
type Leaves = HashMap<String, Matrix>;

pub(super) async fn evaluate(
    scan: &dyn Scan,
    metric: &MetricExpr,
    steps: Steps,
    limits: &QueryLimits,
    stats: &Arc<Mutex<ScanStats>>,
) -> Result<Value> {
    let mut found = Vec::new();
    leaves(metric, None, &mut found);
    let mut read = Leaves::new();
    for (key, aggregation, outer) in found {
        if !read.contains_key(&key) {
            let matrix = range::evaluate(scan, aggregation, outer, steps, limits, stats).await?;
            read.insert(key, matrix);
        }
    }
    combine(metric, None, steps, &read)
}

type Leaf<'q> = (String, &'q lang::logql::RangeAggregation, Option<&'q Grouping>);

const EVERYTHING: &Grouping = &Grouping { without: false, labels: Vec::new() };

/// The grouping that the expression inside may already apply: sums of sums are sums.
fn pushed(metric: &MetricExpr) -> Option<&Grouping> {
    let MetricKind::Aggregate(outer) = &metric.kind else { return None };
    let MetricKind::Range(inner) = &outer.inner.kind else { return None };
    use RangeOp::{BytesOverTime, BytesRate, CountOverTime, Rate, SumOverTime};
    let adds = matches!(inner.op, CountOverTime | Rate | BytesOverTime | BytesRate | SumOverTime);
    (outer.op == VectorOp::Sum && adds).then(|| outer.grouping.as_ref().unwrap_or(EVERYTHING))
}

fn leaf_key(aggregation: &lang::logql::RangeAggregation, outer: Option<&Grouping>) -> String {
    match outer {
        Some(outer) => format!("{aggregation} {outer}"),
        None => aggregation.to_string(),
    }
}

fn leaves<'q>(metric: &'q MetricExpr, outer: Option<&'q Grouping>, found: &mut Vec<Leaf<'q>>) {
    match &metric.kind {
        MetricKind::Number(_) | MetricKind::Vector(_) => {}
        MetricKind::Range(aggregation) => found.push((leaf_key(aggregation, outer), aggregation, outer)),
        MetricKind::Aggregate(aggregation) => leaves(&aggregation.inner, pushed(metric), found),
        MetricKind::Binary(binary) => {
            leaves(&binary.left, None, found);
            leaves(&binary.right, None, found);
        }
        MetricKind::LabelReplace(replace) => leaves(&replace.inner, None, found),
    }
}

fn combine(metric: &MetricExpr, outer: Option<&Grouping>, steps: Steps, read: &Leaves) -> Result<Value> {
    Ok(match &metric.kind {
        MetricKind::Number(value) => Value::Number(*value),
        MetricKind::Vector(value) => Value::Matrix(constant(*value, steps)),
        MetricKind::Range(aggregation) => {
            let matrix = read.get(&leaf_key(aggregation, outer)).expect("evaluate reads every leaf before it combines them");
            Value::Matrix(matrix.clone())
        }
        MetricKind::Aggregate(aggregation) => {
            let inner = matrix(combine(&aggregation.inner, pushed(metric), steps, read)?, steps);
            Value::Matrix(aggregate(aggregation, inner))
        }
        MetricKind::Binary(operation) => {
            let left = combine(&operation.left, None, steps, read)?;
            let right = combine(&operation.right, None, steps, read)?;
            binary(operation, left, right)?
        }
        MetricKind::LabelReplace(replace) => {
            let inner = matrix(combine(&replace.inner, None, steps, read)?, steps);
            Value::Matrix(label_replace(replace, inner)?)
        }
    })
}

fn constant(value: f64, steps: Steps) -> Matrix {
    vec![Series { labels: Labels::empty(), values: vec![Some(value); steps.count] }]
}

fn matrix(value: Value, steps: Steps) -> Matrix {
    match value {
        Value::Number(value) => constant(value, steps),
        Value::Matrix(matrix) => matrix,
    }
}

fn label_replace(replace: &LabelReplace, mut inner: Matrix) -> Result<Matrix> {
    let regex = compile(&anchored(&replace.regex), "the regular expression of label_replace")?;
    for series in &mut inner {
        let source = series.labels.get(&replace.source).unwrap_or("");
        let Some(captures) = regex.captures(source) else { continue };
        let mut value = String::new();
        captures.expand(&replace.replacement, &mut value);
        series.labels = series.labels.to_builder().set(&replace.destination, &value).build();
    }
    Ok(inner)
}

/// The answer at the only step.
pub(super) fn instant(value: Value, steps: Steps, sorted: bool) -> Answered {
    let at_ms = steps.at_ms(0);
    let matrix = match value {
        Value::Number(value) => return Answered::Scalar { at_ms, value },
        Value::Matrix(matrix) => matrix,
    };
    let sample = |series: Series| Some(InstantSample { labels: series.labels, at_ms, value: series.values[0]?, histogram: None });
    let mut samples: Vec<_> = matrix.into_iter().filter_map(sample).collect();
    if !sorted {
        samples.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    Answered::Vector(samples)
}

pub(super) fn range(value: Value, steps: Steps, limits: &QueryLimits) -> Result<Answered> {
    let series = |series: Series| {
        let point = |(step, value): (usize, &Option<f64>)| Some((steps.at_ms(step), (*value)?));
        let floats: Vec<_> = series.values.iter().enumerate().filter_map(point).collect();
        (!floats.is_empty()).then_some(RangeSeries { labels: series.labels, floats, histograms: Vec::new() })
    };
    let mut answer: Vec<_> = matrix(value, steps).into_iter().filter_map(series).collect();
    if answer.len() > limits.series_max {
        let what = format!("cannot answer the query: it has more than {} series (series_max)", limits.series_max);
        return Err(Error::new(Code::LimitExceeded, what));
    }
    answer.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Answered::Matrix(answer))
}

/// Whether the outermost operation gives the series an order of its own.
pub(super) fn is_sorted(metric: &MetricExpr) -> bool {
    use VectorOp::{ApproxTopk, Bottomk, Sort, SortDesc, Topk};
    matches!(&metric.kind, MetricKind::Aggregate(outer) if matches!(outer.op, Sort | SortDesc | Topk | Bottomk | ApproxTopk))
}
