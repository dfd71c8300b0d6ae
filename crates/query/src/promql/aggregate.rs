mod floats;
mod fold;
mod pick;

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
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
        let label = evaluator.text(param)?;
        // Bytes that are no UTF-8 have become U+FFFD, so that they are told as they were written.
        if label.is_empty() || label.contains('\u{fffd}') {
            return Err(Error::invalid(format!("invalid label name {}", evaluator.notes.written(param.unparenthesised()))));
        }
        return count_values(evaluator, node, label, &input, grid.len());
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
        if let Some(column) = of_floats(evaluator, node, &input, &group, grid.len())? {
            answer.push(Series { labels: group.labels, drop_name: group.drop_name, column });
            continue;
        }
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

/// The group's column when all its members are floats and the operator can take them column by column.
fn of_floats(evaluator: &Evaluator<'_>, node: &Aggregate, input: &[Series], group: &Group, steps: usize) -> Result<Option<Column>> {
    let columns = group.members.iter().map(|&member| &input[member].column);
    match columns.clone().any(Column::may_have_histograms) {
        true => Ok(None),
        false => floats::fold(evaluator.guard, node.op, columns, steps),
    }
}

fn grouped(node: &Aggregate, input: &[Series]) -> Vec<Group> {
    let mut places: HashTable<usize> = HashTable::new();
    let mut groups: Vec<Group> = Vec::new();
    let hasher = DefaultHashBuilder::default();
    for (member, series) in input.iter().enumerate() {
        // Most series meet a group that is there: the labels that they share are not put together for each.
        let kept = || series.labels.iter().filter(|(name, _)| is_kept(node, name));
        let mut state = hasher.build_hasher();
        kept().for_each(|pair| pair.hash(&mut state));
        let hash = state.finish();
        let place = match places.find(hash, |&place| groups[place].labels.iter().eq(kept())) {
            Some(&place) => place,
            None => {
                let place = groups.len();
                groups.push(Group { labels: Labels::from_sorted(kept()), drop_name: series.drop_name, members: Vec::new() });
                places.insert_unique(hash, place, |&place| {
                    let mut state = hasher.build_hasher();
                    groups[place].labels.iter().for_each(|pair| pair.hash(&mut state));
                    state.finish()
                });
                place
            }
        };
        groups[place].members.push(member);
    }
    groups
}

fn is_kept(node: &Aggregate, name: &str) -> bool {
    let listed = node.grouping.iter().any(|label| label == name);
    if node.without { name != "__name__" && !listed } else { listed }
}

fn group_labels(node: &Aggregate, labels: &Labels) -> Labels {
    labels.filtered(|name| is_kept(node, name))
}

/// One series per group and value, named by the value as text.
fn count_values(evaluator: &Evaluator<'_>, node: &Aggregate, label: &str, input: &[Series], steps: usize) -> Result<Vec<Series>> {
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
