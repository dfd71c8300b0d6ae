use std::cmp::Ordering;

use lang::promql::ast::{Aggregate, AggregateOp};
use model::{Error, Labels, Result};

use super::super::eval::Evaluator;
use super::super::functions::math::format_short;
use super::super::value::Series;
use super::Group;

/// `topk`, `bottomk`, `limitk`, `limit_ratio`: at each step, which cells of the input stay.
pub(super) fn eval(
    evaluator: &Evaluator<'_>,
    node: &Aggregate,
    params: &[f64],
    mut input: Vec<Series>,
    groups: &[Group],
    steps: usize,
) -> Result<Vec<Series>> {
    let ratio = node.op == AggregateOp::LimitRatio;
    if params.iter().any(|param| param.is_nan()) {
        return Err(Error::invalid(if ratio { "Ratio value is NaN" } else { "Parameter value is NaN" }));
    }
    if ratio
        && let Some(param) = params.iter().find(|param| param.abs() > 1.0)
        && let Some(at) = &node.param
    {
        let (got, capped) = (format_short(*param), format_short(param.signum()));
        evaluator.notes.warn(at, format!("ratio value should be between -1 and 1, got {got}, capping to {capped}"));
    }
    // In each step's order, so that an instant answer comes out sorted.
    let mut order = Vec::with_capacity(input.len());
    let offsets: Vec<f64> = if ratio { input.iter().map(|series| offset(&series.labels)).collect() } else { Vec::new() };
    let mut stays = vec![false; input.len()];
    for group in groups {
        evaluator.guard.check()?;
        for (step, &param) in params.iter().enumerate() {
            evaluator.guard.work(1 + group.members.len())?;
            let present: Vec<usize> = group.members.iter().copied().filter(|&member| input[member].column.is_present(step)).collect();
            let kept = match node.op {
                AggregateOp::Topk | AggregateOp::Bottomk => extremes(evaluator, node, &input, &present, step, count(param)),
                AggregateOp::Limitk => present.iter().copied().take(count(param)).collect(),
                _ => sampled(&offsets, &present, param.clamp(-1.0, 1.0)),
            };
            kept.iter().for_each(|&member| stays[member] = true);
            for member in present {
                if !std::mem::take(&mut stays[member]) {
                    input[member].column.clear(step);
                }
            }
            if steps == 1 {
                order.extend(kept);
            }
        }
    }
    if steps == 1 {
        let mut slots: Vec<Option<Series>> = input.into_iter().map(Some).collect();
        return Ok(order.into_iter().filter_map(|member| slots[member].take()).collect());
    }
    input.retain(|series| !series.column.is_absent_everywhere());
    Ok(input)
}

fn count(param: f64) -> usize {
    // Negative and huge parameters saturate: none and all.
    param as usize
}

fn extremes(evaluator: &Evaluator<'_>, node: &Aggregate, input: &[Series], present: &[usize], step: usize, count: usize) -> Vec<usize> {
    let mut floats: Vec<(usize, f64)> = Vec::with_capacity(present.len());
    for &member in present {
        match input[member].column.float(step) {
            Some(value) => floats.push((member, value)),
            None => evaluator.notes.info(&node.inner, format!("ignored histogram in {} aggregation", node.op.text())),
        }
    }
    let descending = node.op == AggregateOp::Topk;
    // NaN comes last either way; of equals the first.
    let in_order = |&(first, a): &(usize, f64), &(second, b): &(usize, f64)| {
        let by_value = match (a.is_nan(), b.is_nan()) {
            (false, false) if descending => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
            (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (a, b) => a.cmp(&b),
        };
        by_value.then(first.cmp(&second))
    };
    if count < floats.len() {
        floats.select_nth_unstable_by(count, in_order);
        floats.truncate(count);
    }
    floats.sort_unstable_by(in_order);
    floats.into_iter().map(|(member, _)| member).collect()
}

/// Where the hash of a label set lies between 0 and 1.
fn offset(labels: &Labels) -> f64 {
    model::series_id("", labels.iter()).cast_unsigned() as f64 / u64::MAX as f64
}

/// The series whose hash falls into the ratio; a negative ratio takes exactly those that its complement leaves out.
fn sampled(offsets: &[f64], present: &[usize], ratio: f64) -> Vec<usize> {
    let wanted = |&member: &usize| {
        let offset = offsets[member];
        (ratio >= 0.0 && offset < ratio) || (ratio < 0.0 && offset >= 1.0 + ratio)
    };
    present.iter().copied().filter(wanted).collect()
}
