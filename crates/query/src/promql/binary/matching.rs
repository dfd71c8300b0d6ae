use hashbrown::HashMap;
use lang::promql::ast::{Binary, Cardinality, Expr, Matching};
use model::{Error, Labels, Result};

use super::super::eval::Evaluator;
use super::super::value::{Cell, Column, Series, is_metadata_label};
use super::{cells, is_trim};

/// The labels by which series of the two sides find each other.
pub(super) fn signature(labels: &Labels, matching: &Matching) -> Labels {
    let listed = |name: &str| matching.labels.iter().any(|label| label == name);
    match matching.on {
        true => labels.filtered(listed),
        false => labels.filtered(|name| name != "__name__" && !listed(name)),
    }
}

/// Series with one signature, by place: the side that may have many, and the side with one.
#[derive(Default)]
struct Group {
    many: Vec<usize>,
    one: Vec<usize>,
}

struct Joiner<'a, 'e> {
    evaluator: &'a Evaluator<'e>,
    expr: &'a Expr,
    node: &'a Binary,
    /// The side named `many` is the right one.
    swapped: bool,
    /// Per step, whether nothing can come of it: a side is empty there, and nothing fills it.
    empty: Vec<bool>,
    answer: Vec<Series>,
    /// Places in `answer`: two pairs may answer with one label set at different steps.
    places: HashMap<(Labels, bool), usize>,
    /// Places in `answer` by pair, so that labels are made once per pair and not once per step.
    pairs: HashMap<(usize, usize), usize>,
}

/// Stands for the side that a `fill` modifier fills in.
const FILLED: usize = usize::MAX;

pub(super) fn eval(
    evaluator: &Evaluator<'_>,
    expr: &Expr,
    node: &Binary,
    lhs: Vec<Series>,
    rhs: Vec<Series>,
    steps: usize,
) -> Result<Vec<Series>> {
    let swapped = node.matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    let mut groups: Vec<(Labels, Group)> = Vec::new();
    let mut by_signature: HashMap<Labels, usize> = HashMap::new();
    for (side, is_one) in [(&many, false), (&one, true)] {
        for (place, series) in side.iter().enumerate() {
            let signature = signature(&series.labels, &node.matching);
            let group = *by_signature.entry(signature).or_insert_with_key(|signature| {
                groups.push((signature.clone(), Group::default()));
                groups.len() - 1
            });
            let group = &mut groups[group].1;
            if is_one { group.one.push(place) } else { group.many.push(place) }
        }
    }
    let fills = fills(node, swapped);
    let nothing =
        |side: &[Series], fill: Option<f64>, step: usize| fill.is_none() && !side.iter().any(|series| series.column.is_present(step));
    evaluator.guard.work(steps.saturating_mul(many.len() + one.len()))?;
    let empty = (0..steps).map(|step| nothing(&many, fills.0, step) || nothing(&one, fills.1, step)).collect();
    let mut joiner = Joiner { evaluator, expr, node, swapped, empty, answer: Vec::new(), places: HashMap::new(), pairs: HashMap::new() };
    for (signature, group) in &groups {
        evaluator.guard.check()?;
        joiner.group(signature, group, &many, &one)?;
    }
    Ok(joiner.answer)
}

/// What fills in for the side that may have many, and for the side with one.
fn fills(node: &Binary, swapped: bool) -> (Option<f64>, Option<f64>) {
    match swapped {
        true => (node.matching.fill_right, node.matching.fill_left),
        false => (node.matching.fill_left, node.matching.fill_right),
    }
}

impl Joiner<'_, '_> {
    fn group(&mut self, signature: &Labels, group: &Group, many: &[Series], one: &[Series]) -> Result<()> {
        let matching = &self.node.matching;
        let (fill_many, fill_one) = fills(self.node, self.swapped);
        // Two series on the side with one are a mistake even where nothing matches them.
        let unmatched = group.one.len() < 2;
        if (group.one.is_empty() && fill_one.is_none()) || (group.many.is_empty() && fill_many.is_none() && unmatched) {
            return Ok(());
        }
        for step in 0..self.empty.len() {
            if self.empty[step] {
                continue;
            }
            self.evaluator.guard.work(1 + group.many.len() + group.one.len())?;
            let mut partner = None;
            for &place in &group.one {
                if !one[place].column.is_present(step) {
                    continue;
                }
                if let Some(first) = partner.replace(place) {
                    return Err(self.duplicate(signature, &one[first].labels, &one[place].labels));
                }
            }
            let filled = partner.is_none().then_some(fill_one).flatten();
            let partner_cell = match (partner, filled) {
                (Some(place), _) => one[place].column.get(step),
                (None, Some(value)) => Some(Cell::Float(value)),
                (None, None) => None,
            };
            let Some(partner_cell) = partner_cell else { continue };
            let mut matched = false;
            for &place in &group.many {
                let Some(cell) = many[place].column.get(step) else { continue };
                if std::mem::replace(&mut matched, true) && matching.cardinality == Cardinality::OneToOne {
                    let what = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                    return Err(Error::invalid(what));
                }
                let Some(answer) = self.cells(&cell, &partner_cell) else { continue };
                let partner_labels = partner.map_or(signature, |place| &one[place].labels);
                let drop_name = many[place].drop_name;
                self.put((place, partner.unwrap_or(FILLED)), &many[place].labels, partner_labels, drop_name, step, answer)?;
            }
            if let (false, Some(value), Some(place)) = (matched, fill_many, partner)
                && let Some(answer) = self.cells(&Cell::Float(value), &partner_cell)
            {
                self.put((FILLED, place), signature, &one[place].labels, false, step, answer)?;
            }
        }
        Ok(())
    }

    fn cells(&self, many: &Cell, one: &Cell) -> Option<Cell> {
        match self.swapped {
            true => cells(self.evaluator, self.expr, self.node, one, many),
            false => cells(self.evaluator, self.expr, self.node, many, one),
        }
    }

    fn put(&mut self, pair: (usize, usize), many: &Labels, one: &Labels, drop_name: bool, step: usize, cell: Cell) -> Result<()> {
        let place = match self.pairs.get(&pair) {
            Some(&place) => place,
            None => {
                let labels = result_labels(self.node, many, one);
                let drop_name = drop_name || self.node.is_bool;
                self.evaluator.guard.check()?;
                let place = *self.places.entry((labels.clone(), drop_name)).or_insert_with(|| {
                    let mut column = Column::absent(self.evaluator.guard, self.empty.len());
                    column.charge_labels(&labels);
                    self.answer.push(Series { labels, drop_name, column });
                    self.answer.len() - 1
                });
                self.pairs.insert(pair, place);
                place
            }
        };
        let column = &mut self.answer[place].column;
        if column.is_present(step) {
            return Err(Error::invalid("multiple matches for labels: grouping labels must ensure unique matches"));
        }
        column.set(step, cell);
        Ok(())
    }

    fn duplicate(&self, signature: &Labels, first: &Labels, second: &Labels) -> Error {
        let side = if self.swapped { "left" } else { "right" };
        // In the order of their labels, whichever came first.
        let (first, second) = if first.iter().le(second.iter()) { (first, second) } else { (second, first) };
        Error::invalid(format!(
            "found duplicate series for the match group {signature} on the {side} hand-side of the operation: \
             [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }
}

fn result_labels(node: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &node.matching;
    let mut builder = many.to_builder();
    if !node.op.is_comparison() && !is_trim(node.op) {
        many.iter().filter(|(name, _)| is_metadata_label(name)).for_each(|(name, _)| {
            builder.remove(name);
        });
    }
    if matching.cardinality == Cardinality::OneToOne {
        let listed = |name: &str| matching.labels.iter().any(|label| label == name);
        many.iter().filter(|(name, _)| listed(name) != matching.on).for_each(|(name, _)| {
            builder.remove(name);
        });
    }
    for name in &matching.include {
        builder.set(name, one.get(name).unwrap_or_default());
    }
    builder.build()
}
