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
    // Where every present cell of a member falls in each step's order, so that an instant answer comes out sorted.
    let mut order = Vec::with_capacity(input.len());
    for group in groups {
        evaluator.guard.check()?;
        for (step, &param) in params.iter().enumerate() {
            let present: Vec<usize> = group.members.iter().copied().filter(|&member| input[member].column.is_present(step)).collect();
            let kept = match node.op {
                AggregateOp::Topk | AggregateOp::Bottomk => extremes(evaluator, node, &input, present.clone(), step, count(param)),
                AggregateOp::Limitk => present.iter().copied().take(count(param)).collect(),
                _ => sampled(&input, &present, param.clamp(-1.0, 1.0)),
            };
            for member in present {
                if !kept.contains(&member) {
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

fn extremes(evaluator: &Evaluator<'_>, node: &Aggregate, input: &[Series], present: Vec<usize>, step: usize, count: usize) -> Vec<usize> {
    let mut floats: Vec<(usize, f64)> = Vec::with_capacity(present.len());
    for member in present {
        match input[member].column.float(step) {
            Some(value) => floats.push((member, value)),
            None => evaluator.notes.info(&node.inner, format!("ignored histogram in {} aggregation", node.op.text())),
        }
    }
    let descending = node.op == AggregateOp::Topk;
    // NaN comes last either way.
    floats.sort_by(|(_, a), (_, b)| match (a.is_nan(), b.is_nan()) {
        (false, false) if descending => b.partial_cmp(a).unwrap_or(Ordering::Equal),
        (false, false) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (a, b) => a.cmp(&b),
    });
    floats.into_iter().take(count).map(|(member, _)| member).collect()
}

/// The series whose hash falls into the ratio; a negative ratio takes exactly those that its complement leaves out.
fn sampled(input: &[Series], present: &[usize], ratio: f64) -> Vec<usize> {
    let offset = |labels: &Labels| {
        let hash = model::series_id("", labels.iter()).cast_unsigned();
        hash as f64 / u64::MAX as f64
    };
    let wanted = |&member: &usize| {
        let offset = offset(&input[member].labels);
        (ratio >= 0.0 && offset < ratio) || (ratio < 0.0 && offset >= 1.0 + ratio)
    };
    present.iter().copied().filter(wanted).collect()
}
