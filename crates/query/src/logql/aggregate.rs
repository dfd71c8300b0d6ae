//! Aggregations across series, step by step.

use hashbrown::HashMap;
use lang::logql::{Grouping, VectorAggregation, VectorOp};
use model::Labels;

use super::matrix::{Matrix, Series};

pub(super) fn aggregate(aggregation: &VectorAggregation, inner: Matrix) -> Matrix {
    let kept = usize::try_from(aggregation.parameter.unwrap_or(0)).unwrap_or(usize::MAX);
    let grouping = aggregation.grouping.as_ref();
    match aggregation.op {
        VectorOp::Topk | VectorOp::ApproxTopk => select(inner, grouping, kept, |a, b| b.total_cmp(&a)),
        VectorOp::Bottomk => select(inner, grouping, kept, |a, b| a.total_cmp(&b)),
        VectorOp::Sort => sort(inner, |a, b| a.total_cmp(&b)),
        VectorOp::SortDesc => sort(inner, |a, b| b.total_cmp(&a)),
        op => fold(inner, grouping, op),
    }
}

fn group_labels(labels: &Labels, grouping: Option<&Grouping>) -> Labels {
    match grouping {
        None => Labels::empty(),
        Some(grouping) => labels.filtered(|name| grouping.labels.iter().any(|label| label == name) != grouping.without),
    }
}

/// The group of each series, and each group's labels.
fn groups(inner: &Matrix, grouping: Option<&Grouping>) -> (Vec<usize>, Vec<Labels>) {
    let mut by_labels: HashMap<Labels, usize> = HashMap::new();
    let mut labels = Vec::new();
    let mut of_series = Vec::with_capacity(inner.len());
    for series in inner {
        let group = group_labels(&series.labels, grouping);
        let index = *by_labels.entry(group).or_insert_with_key(|group| {
            labels.push(group.clone());
            labels.len() - 1
        });
        of_series.push(index);
    }
    (of_series, labels)
}

#[derive(Clone, Copy, Default)]
struct Fold {
    count: f64,
    /// Sum, extreme or mean.
    value: f64,
    squares: f64,
}

impl Fold {
    fn add(&mut self, op: VectorOp, value: f64) {
        self.count += 1.0;
        let first = self.count == 1.0;
        match op {
            VectorOp::Min if first || value < self.value || self.value.is_nan() => self.value = value,
            VectorOp::Max if first || value > self.value || self.value.is_nan() => self.value = value,
            VectorOp::Min | VectorOp::Max => {}
            VectorOp::Stddev | VectorOp::Stdvar => {
                let distance = value - self.value;
                self.value += distance / self.count;
                self.squares += distance * (value - self.value);
            }
            _ => self.value += value,
        }
    }

    fn finish(&self, op: VectorOp) -> Option<f64> {
        (self.count > 0.0).then(|| match op {
            VectorOp::Count => self.count,
            VectorOp::Avg => self.value / self.count,
            VectorOp::Stdvar => self.squares / self.count,
            VectorOp::Stddev => (self.squares / self.count).sqrt(),
            _ => self.value,
        })
    }
}

fn fold(inner: Matrix, grouping: Option<&Grouping>, op: VectorOp) -> Matrix {
    let (of_series, labels) = groups(&inner, grouping);
    let steps = inner.first().map_or(0, |series| series.values.len());
    let mut folds = vec![vec![Fold::default(); steps]; labels.len()];
    for (series, group) in inner.iter().zip(of_series) {
        for (fold, value) in folds[group].iter_mut().zip(&series.values) {
            if let Some(value) = value {
                fold.add(op, *value);
            }
        }
    }
    let finish = |folds: Vec<Fold>| folds.iter().map(|fold| fold.finish(op)).collect();
    labels.into_iter().zip(folds).map(|(labels, folds)| Series { labels, values: finish(folds) }).collect()
}

type Order = fn(f64, f64) -> std::cmp::Ordering;

/// NaN comes last whichever way it goes.
fn in_order(order: Order, a: f64, b: f64) -> std::cmp::Ordering {
    a.is_nan().cmp(&b.is_nan()).then_with(|| order(a, b))
}

/// Of each group, the first so many series in that order; they keep their labels.
fn select(mut inner: Matrix, grouping: Option<&Grouping>, kept: usize, order: Order) -> Matrix {
    let (of_series, labels) = groups(&inner, grouping);
    let steps = inner.first().map_or(0, |series| series.values.len());
    for step in 0..steps {
        let mut members = vec![Vec::new(); labels.len()];
        for (index, series) in inner.iter().enumerate() {
            if let Some(value) = series.values[step] {
                members[of_series[index]].push((value, index));
            }
        }
        for mut members in members {
            members.sort_by(|a, b| in_order(order, a.0, b.0).then(inner[a.1].labels.cmp(&inner[b.1].labels)));
            for (_, index) in members.into_iter().skip(kept) {
                inner[index].values[step] = None;
            }
        }
    }
    inner.retain(|series| series.values.iter().any(Option::is_some));
    if steps == 1 { sort(inner, order) } else { inner }
}

/// By the value at the only step of an instant query; over a range there is no such order.
fn sort(mut inner: Matrix, order: Order) -> Matrix {
    if inner.first().is_some_and(|series| series.values.len() == 1) {
        let value = |series: &Series| series.values[0].unwrap_or(f64::NAN);
        inner.sort_by(|a, b| in_order(order, value(a), value(b)).then(a.labels.cmp(&b.labels)));
    }
    inner
}
