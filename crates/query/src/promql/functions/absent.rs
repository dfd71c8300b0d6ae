use lang::promql::ast::{Expr, Node};
use model::{Labels, MatchOp, Matcher, Result};

use super::super::value::{Column, Series};
use super::Call;

/// 1 where the vector is empty, with the labels that the selector names.
pub(super) fn absent(call: &Call<'_, '_>) -> Result<Vec<Series>> {
    let vector = call.vector(0)?;
    ones(call, vector.len(), |step| vector.iter().any(|series| series.column.is_present(step)))
}

/// 1 where no series has a sample in its window.
pub(super) fn over_time(call: &Call<'_, '_>) -> Result<Vec<Series>> {
    let ranges = call.evaluator.ranges(&call.args[0], call.grid)?;
    let grid = *call.grid;
    ones(call, ranges.series.len(), |step| {
        let (start, end) = ranges.window(grid.at(step));
        ranges.series.iter().any(|points| {
            let holds = |times: &[i64]| times.partition_point(|at| *at <= start) < times.partition_point(|at| *at <= end);
            holds(&points.float_times) || holds(&points.histogram_times)
        })
    })
}

fn ones(call: &Call<'_, '_>, series: usize, present: impl Fn(usize) -> bool) -> Result<Vec<Series>> {
    let mut column = Column::absent(call.evaluator.guard, call.grid.len());
    for step in 0..call.grid.len() {
        call.evaluator.guard.work(1 + series)?;
        if !present(step) {
            column.set_float(step, 1.0);
        }
    }
    Ok(match column.is_absent_everywhere() {
        true => Vec::new(),
        false => vec![Series { labels: labels_of(&call.args[0]), drop_name: false, column }],
    })
}

/// The labels that every series of the selector must have: its equalities on labels named once.
fn labels_of(expr: &Expr) -> Labels {
    let (Node::Vector(selector) | Node::Matrix { selector, .. }) = &expr.unparenthesised().node else { return Labels::empty() };
    let once = |matcher: &&Matcher| selector.matchers.iter().filter(|other| other.name == matcher.name).count() == 1;
    let equal = selector.matchers.iter().filter(|matcher| matcher.op == MatchOp::Equal && matcher.name != "__name__").filter(once);
    Labels::from_pairs(equal.map(|matcher| (&matcher.name, &matcher.value)))
}
