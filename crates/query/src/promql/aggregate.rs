mod fold;
mod pick;

use hashbrown::HashMap;
use lang::promql::ast::{Aggregate, AggregateOp};
use model::{Error, Labels, Result};

use super::eval::Evaluator;
use super::grid::Grid;
use super::value::{Cell, Column, Series};

/// Series that are folded into one.
pub(super) struct Group {
    pub(super) labels: Labels,
    pub(super) drop_name: bool,
    /// Places in the input.
    pub(super) members: Vec<usize>,
}

pub(super) fn eval(evaluator: &Evaluator<'_>, node: &Aggregate, grid: &Grid) -> Result<Vec<Series>> {
    let input = evaluator.vector(&node.inner, grid)?;
    if let (AggregateOp::CountValues, Some(param)) = (node.op, &node.param) {
        return count_values(evaluator, node, evaluator.text(param)?, &input, grid.len());
    }
    let params = match &node.param {
        Some(param) => evaluator.scalar(param, grid)?,
        None => Vec::new(),
    };
    let groups = grouped(node, &input);
    if node.op.selects() {
        return pick::eval(evaluator, node, &params, input, &groups, grid.len());
    }
    let mut answer = Vec::with_capacity(groups.len());
    for group in groups {
        evaluator.guard.check()?;
        let mut column = Column::absent(evaluator.guard, grid.len());
        for step in 0..grid.len() {
            evaluator.guard.work(1 + group.members.len())?;
            let cells = group.members.iter().filter_map(|&member| input[member].column.get(step).map(|cell| (cell, &input[member].labels)));
            if let Some(cell) = fold::fold(evaluator, node, params.get(step).copied(), cells) {
                column.set(step, cell);
            }
        }
        if !column.is_absent_everywhere() {
            answer.push(Series { labels: group.labels, drop_name: group.drop_name, column });
        }
    }
    Ok(answer)
}

fn grouped(node: &Aggregate, input: &[Series]) -> Vec<Group> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (member, series) in input.iter().enumerate() {
        let place = *places.entry(group_labels(node, &series.labels)).or_insert_with_key(|labels| {
            groups.push(Group { labels: labels.clone(), drop_name: series.drop_name, members: Vec::new() });
            groups.len() - 1
        });
        groups[place].members.push(member);
    }
    groups
}

fn group_labels(node: &Aggregate, labels: &Labels) -> Labels {
    let listed = |name: &str| node.grouping.iter().any(|label| label == name);
    match node.without {
        true => labels.filtered(|name| name != "__name__" && !listed(name)),
        false if node.grouping.is_empty() => Labels::empty(),
        false => labels.filtered(listed),
    }
}

/// One series per group and value, named by the value as text.
fn count_values(evaluator: &Evaluator<'_>, node: &Aggregate, label: &str, input: &[Series], steps: usize) -> Result<Vec<Series>> {
    if label.is_empty() || label.contains('\u{fffd}') {
        return Err(Error::invalid(format!("invalid label name {label:?}")));
    }
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut answer: Vec<Series> = Vec::new();
    for series in input {
        evaluator.guard.check()?;
        let base = group_labels(node, &series.labels);
        evaluator.guard.work(steps)?;
        for step in 0..steps {
            let text = match series.column.get(step) {
                Some(Cell::Float(value)) => format_float(value),
                Some(Cell::Histogram(histogram)) => super::histogram::text(&histogram),
                None => continue,
            };
            let mut labels = base.to_builder();
            labels.set(label, &text);
            let labels = labels.build();
            let place = match places.get(&labels) {
                Some(&place) => place,
                None => {
                    // Every value may be one of its own.
                    evaluator.guard.check()?;
                    let mut column = Column::absent(evaluator.guard, steps);
                    column.charge_labels(&labels);
                    places.insert(labels.clone(), answer.len());
                    answer.push(Series { labels, drop_name: series.drop_name, column });
                    answer.len() - 1
                }
            };
            let column = &mut answer[place].column;
            let count = column.float(step).unwrap_or(0.0);
            column.set_float(step, count + 1.0);
        }
    }
    Ok(answer)
}

/// A float as a label's value, as Go's `FormatFloat(v, 'f', -1)` writes it.
pub(super) fn format_float(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}
