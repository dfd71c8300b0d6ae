//! Arithmetic over series, and which of them are told.

use std::collections::{BTreeMap, HashMap};

use lang::traceql::{FieldOp, Value};
use model::{SpanValue, TraceSeries};

/// The label of series that have no other.
const NAME: &str = "__name__";

pub(super) fn compute(op: FieldOp, left: f64, right: f64) -> f64 {
    match op {
        FieldOp::Add => left + right,
        FieldOp::Subtract => left - right,
        FieldOp::Multiply => left * right,
        FieldOp::Divide => left / right,
        _ => f64::NAN,
    }
}

/// Points that are no number are none.
pub(super) fn with_number(mut series: Vec<TraceSeries>, compute: impl Fn(f64) -> f64) -> Vec<TraceSeries> {
    for one in &mut series {
        one.points.iter_mut().for_each(|(_, value)| *value = compute(*value));
        one.points.retain(|(_, value)| value.is_finite());
    }
    series
}

/// Series of the same labels; one that has none stands beside each of the other side.
pub(super) fn joined(op: FieldOp, left: Vec<TraceSeries>, right: Vec<TraceSeries>) -> Vec<TraceSeries> {
    let [left, right] = [left, right].map(|series| series.into_iter().map(unnamed).collect::<Vec<_>>());
    if let [alone] = &right[..]
        && alone.labels.is_empty()
    {
        return left.iter().map(|series| both(op, series, alone, &series.labels)).collect();
    }
    if let [alone] = &left[..]
        && alone.labels.is_empty()
    {
        return right.iter().map(|series| both(op, alone, series, &series.labels)).collect();
    }
    let by_labels: HashMap<String, &TraceSeries> = right.iter().map(|series| (label_text(&series.labels), series)).collect();
    left.iter().filter_map(|series| Some(both(op, series, by_labels.get(&label_text(&series.labels))?, &series.labels))).collect()
}

fn unnamed(mut series: TraceSeries) -> TraceSeries {
    series.labels.retain(|(name, _)| name != NAME);
    series
}

fn both(op: FieldOp, left: &TraceSeries, right: &TraceSeries, labels: &[(String, SpanValue)]) -> TraceSeries {
    let right: BTreeMap<i64, f64> = right.points.iter().copied().collect();
    let points = left.points.iter().filter_map(|(at, value)| Some((*at, compute(op, *value, *right.get(at)?))));
    TraceSeries {
        labels: labels.to_vec(),
        points: points.filter(|(_, value)| value.is_finite()).collect(),
        exemplars: left.exemplars.clone(),
    }
}

pub(super) fn filtered(mut series: Vec<TraceSeries>, op: FieldOp, number: f64) -> Vec<TraceSeries> {
    for one in &mut series {
        one.points.retain(|(_, value)| Value::Float(*value).compares(op, &Value::Float(number)));
    }
    series.retain(|series| !series.points.is_empty());
    series
}

/// At each step the so many largest or smallest points; of equal ones those first whose labels are.
pub(super) fn top(mut series: Vec<TraceSeries>, largest: bool, count: usize) -> Vec<TraceSeries> {
    series.sort_by_cached_key(|series| label_text(&series.labels));
    let mut steps: BTreeMap<i64, Vec<(f64, usize)>> = BTreeMap::new();
    for (index, one) in series.iter().enumerate() {
        one.points.iter().for_each(|(at, value)| steps.entry(*at).or_default().push((*value, index)));
    }
    for points in steps.values_mut() {
        points.sort_by(|(a, first), (b, second)| {
            let order = a.total_cmp(b);
            if largest { order.reverse() } else { order }.then(first.cmp(second))
        });
        points.truncate(count);
        points.sort_unstable_by_key(|(_, index)| *index);
    }
    for (index, one) in series.iter_mut().enumerate() {
        one.points.retain(|(at, _)| steps[at].binary_search_by_key(&index, |(_, index)| *index).is_ok());
    }
    series.retain(|series| !series.points.is_empty());
    series
}

/// Labels as one text, by which series are told apart and sorted.
pub(super) fn label_text(labels: &[(String, SpanValue)]) -> String {
    format!("{labels:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, points: &[f64]) -> TraceSeries {
        let labels = if name.is_empty() { vec![] } else { vec![("a".to_owned(), SpanValue::Text(name.to_owned()))] };
        TraceSeries { labels, points: points.iter().enumerate().map(|(at, value)| (at as i64, *value)).collect(), exemplars: vec![] }
    }

    #[test]
    fn each_step_has_its_largest() {
        let found = top(vec![series("x", &[1.0, 5.0]), series("y", &[2.0, 4.0]), series("z", &[0.0, 0.0])], true, 1);
        assert_eq!(found, [TraceSeries { points: vec![(1, 5.0)], ..series("x", &[]) }, series("y", &[2.0])]);
    }

    #[test]
    fn a_series_without_labels_stands_beside_each() {
        let found = joined(FieldOp::Divide, vec![series("x", &[1.0, 5.0]), series("y", &[2.0, 4.0])], vec![series("", &[2.0, 0.0])]);
        assert_eq!(found, [series("x", &[0.5]), series("y", &[1.0])]);
        let found = joined(FieldOp::Add, vec![series("x", &[1.0]), series("y", &[2.0])], vec![series("y", &[2.0]), series("z", &[1.0])]);
        assert_eq!(found, [series("y", &[4.0])]);
    }
}
