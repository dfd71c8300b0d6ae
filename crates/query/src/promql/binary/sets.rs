use hashbrown::HashMap;
use lang::promql::ast::{Binary, BinaryOp};
use model::{Labels, Result};

use super::super::eval::Evaluator;
use super::super::value::{Series, merge_same_labels};
use super::matching::signature;

/// `and`, `or`, `unless`: at each step, which cells of either side stay.
pub(super) fn eval(
    evaluator: &Evaluator<'_>,
    node: &Binary,
    mut lhs: Vec<Series>,
    mut rhs: Vec<Series>,
    steps: usize,
) -> Result<Vec<Series>> {
    let keeps_right = node.op == BinaryOp::Or;
    let (judge, judged) = if keeps_right { (&lhs, &mut rhs) } else { (&rhs, &mut lhs) };
    let mut present: HashMap<Labels, Vec<bool>> = HashMap::new();
    for series in judge {
        evaluator.guard.work(steps)?;
        let present = present.entry(signature(&series.labels, &node.matching)).or_insert_with(|| vec![false; steps]);
        present.iter_mut().enumerate().for_each(|(step, present)| *present |= series.column.is_present(step));
    }
    let wanted = node.op == BinaryOp::And;
    for series in judged.iter_mut() {
        evaluator.guard.work(steps)?;
        let present = present.get(&signature(&series.labels, &node.matching));
        for step in 0..steps {
            if present.is_some_and(|present| present[step]) != wanted {
                series.column.clear(step);
            }
        }
    }
    judged.retain(|series| !series.column.is_absent_everywhere());
    if !keeps_right {
        return Ok(lhs);
    }
    lhs.append(&mut rhs);
    // A series that is now left and now right is one series.
    match lhs.iter().any(|series| series.drop_name) {
        true => Ok(lhs),
        false => merge_same_labels(lhs),
    }
}
