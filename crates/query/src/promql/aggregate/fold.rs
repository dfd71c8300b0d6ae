use lang::promql::ast::{Aggregate, AggregateOp};
use model::{Labels, NativeHistogram};

use super::super::eval::{Evaluator, metric_name};
use super::super::functions::math::{self, Kahan};
use super::super::histogram;
use super::super::notes::named;
use super::super::value::Cell;
use crate::quantile::quantile;

/// One group at one step: none when nothing is there, or when what is there does not go together.
pub(super) fn fold<'l>(
    evaluator: &Evaluator<'_>,
    node: &Aggregate,
    param: Option<f64>,
    cells: impl Iterator<Item = (Cell, &'l Labels)>,
) -> Option<Cell> {
    let (mut floats, mut histograms, mut labels) = (Vec::new(), Vec::new(), None);
    for (cell, cell_labels) in cells {
        labels.get_or_insert(cell_labels);
        match cell {
            Cell::Float(value) => floats.push(value),
            Cell::Histogram(histogram) => histograms.push(histogram),
        }
    }
    let name = metric_name(labels?);
    match node.op {
        AggregateOp::Count => return Some(Cell::Float((floats.len() + histograms.len()) as f64)),
        AggregateOp::Group => return Some(Cell::Float(1.0)),
        AggregateOp::Sum | AggregateOp::Avg if !histograms.is_empty() => {
            if !floats.is_empty() {
                evaluator.notes.warn(&node.inner, "encountered a mix of histograms and floats for aggregation");
                return None;
            }
            let parts: Vec<&NativeHistogram> = histograms.iter().map(AsRef::as_ref).collect();
            return of_histograms(evaluator, node, &parts, &name);
        }
        _ => {}
    }
    if !histograms.is_empty() {
        evaluator.notes.info(&node.inner, format!("ignored histogram in {} aggregation", node.op.text()));
    }
    if let (AggregateOp::Quantile, Some(q), Some(at)) = (node.op, param, &node.param)
        && !(0.0..=1.0).contains(&q)
    {
        let q = math::format_short(q);
        evaluator.notes.warn(at, format!("quantile value should be between 0 and 1, got {q}"));
    }
    if floats.is_empty() {
        return None;
    }
    let value = match node.op {
        AggregateOp::Sum => floats.iter().copied().collect::<Kahan>().sum(),
        AggregateOp::Avg => math::mean(&floats),
        AggregateOp::Min => math::least(&floats),
        AggregateOp::Max => math::greatest(&floats),
        AggregateOp::Stddev => math::variance(&floats).sqrt(),
        AggregateOp::Stdvar => math::variance(&floats),
        AggregateOp::Quantile => quantile(param.unwrap_or(f64::NAN), &mut floats),
        _ => return None,
    };
    Some(Cell::Float(value))
}

fn of_histograms(evaluator: &Evaluator<'_>, node: &Aggregate, parts: &[&NativeHistogram], name: &str) -> Option<Cell> {
    let folded = if node.op == AggregateOp::Avg { histogram::average(parts) } else { histogram::total(parts) };
    let Some(total) = folded else {
        let what = named("vector contains a mix of histograms with exponential and custom buckets schemas", name);
        evaluator.notes.warn(&node.inner, what);
        return None;
    };
    if total.bounds_reconciled {
        evaluator.notes.info(&node.inner, "mismatched custom buckets were reconciled during aggregation");
    }
    if total.reset_conflict {
        evaluator.notes.warn(&node.inner, "conflicting counter resets during histogram aggregation");
    }
    Some(Cell::of_histogram(total.histogram))
}
