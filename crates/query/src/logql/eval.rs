//! Metric queries: the range aggregations are read first, one after the other; what is around them is arithmetic.

use hashbrown::HashMap;
use lang::logql::{Grouping, LabelReplace, MetricExpr, MetricKind, RangeOp, VectorOp};
use model::{Answered, Code, Error, InstantSample, Labels, QueryLimits, RangeSeries, Result, Scan};

use super::aggregate::aggregate;
use super::binary::binary;
use super::filters::anchored;
use super::matrix::{Matrix, Series, Steps, Value};
use super::range;
use crate::guard::{Charge, Guard, blocking};

/// The aggregations that were read, found by what they say: the same one twice in a query is read once.
#[derive(Default)]
struct Leaves {
    read: HashMap<String, Read>,
    /// Of copies handed out.
    charges: Vec<Charge>,
}

struct Read {
    matrix: Matrix,
    charge: Charge,
    /// How often it is still asked for.
    uses: usize,
}

impl Leaves {
    /// The last who asks gets it itself.
    fn take(&mut self, key: &str) -> Matrix {
        let leaf = self.read.get_mut(key).expect("evaluate reads every leaf before it combines them");
        leaf.uses -= 1;
        let copied = leaf.uses > 0;
        self.charges.push(if copied { leaf.charge.clone() } else { std::mem::take(&mut leaf.charge) });
        if copied { leaf.matrix.clone() } else { std::mem::take(&mut leaf.matrix) }
    }
}

pub(super) async fn evaluate(scan: &dyn Scan, metric: MetricExpr, steps: Steps, limits: &QueryLimits, guard: &Guard) -> Result<Value> {
    let mut found = Vec::new();
    leaves(&metric, None, &mut found);
    let mut all = Leaves::default();
    for (key, aggregation, outer) in found {
        if let Some(leaf) = all.read.get_mut(&key) {
            leaf.uses += 1;
            continue;
        }
        let (matrix, charge) = range::evaluate(scan, aggregation, outer, steps, limits, guard).await?;
        all.read.insert(key, Read { matrix, charge, uses: 1 });
    }
    let guard = guard.clone();
    blocking(move || Combine { steps, leaves: all, guard }.value(&metric, None)).await
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

/// The arithmetic around the leaves.
struct Combine {
    steps: Steps,
    leaves: Leaves,
    guard: Guard,
}

impl Combine {
    fn value(&mut self, metric: &MetricExpr, outer: Option<&Grouping>) -> Result<Value> {
        self.guard.check()?;
        let steps = self.steps;
        let size = |matrix: &Matrix| (1 + matrix.len()).saturating_mul(steps.count);
        Ok(match &metric.kind {
            MetricKind::Number(value) => Value::Number(*value),
            MetricKind::Vector(value) => Value::Matrix(constant(*value, steps)),
            MetricKind::Range(aggregation) => Value::Matrix(self.leaves.take(&leaf_key(aggregation, outer))),
            MetricKind::Aggregate(aggregation) => {
                let inner = matrix(self.value(&aggregation.inner, pushed(metric))?, steps);
                self.guard.work(size(&inner))?;
                Value::Matrix(aggregate(aggregation, inner))
            }
            MetricKind::Binary(operation) => {
                let left = self.value(&operation.left, None)?;
                let right = self.value(&operation.right, None)?;
                for side in [&left, &right] {
                    if let Value::Matrix(side) = side {
                        self.guard.work(size(side))?;
                    }
                }
                binary(operation, left, right)?
            }
            MetricKind::LabelReplace(replace) => {
                let inner = matrix(self.value(&replace.inner, None)?, steps);
                Value::Matrix(label_replace(replace, inner)?)
            }
        })
    }
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
    let regex = anchored(&replace.regex, "the regular expression of label_replace")?;
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
