//! Hints on counter resets where nobody looks at a histogram's buckets. Like Prometheus, `histogram_count`, `histogram_sum` and
//! `histogram_avg` see each stored histogram with the hint that comparing it to the one before gives, so that adding up
//! histograms of which some started anew and others did not is told.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use lang::promql::ast::{BinaryOp, Expr, Node};
use model::Matcher;

use super::histogram::{HINT_NO_RESET, HINT_RESET, HINT_UNKNOWN, is_reset};
use super::value::Points;

/// The selectors of which only counts and sums are used, wherever they stand.
pub(super) fn counted_only(expr: &Expr) -> HashSet<Vec<Matcher>> {
    let mut uses = HashMap::new();
    collect(expr, false, &mut uses);
    uses.into_iter().filter(|(_, counted)| *counted).map(|(matchers, _)| matchers.to_vec()).collect()
}

fn collect<'e>(expr: &'e Expr, counted: bool, uses: &mut HashMap<&'e [Matcher], bool>) {
    let counted = match &expr.node {
        Node::Vector(selector) | Node::Matrix { selector, .. } => {
            *uses.entry(&selector.matchers).or_insert(true) &= counted;
            return;
        }
        Node::Call { function, .. } if ["histogram_count", "histogram_sum", "histogram_avg"].contains(&function.name) => true,
        // All below need the buckets, also what is counted further down.
        Node::Call { function, .. } if ["histogram_quantile", "histogram_quantiles", "histogram_fraction"].contains(&function.name) => {
            return exclude(expr, uses);
        }
        Node::Binary(binary) if matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower) => return exclude(expr, uses),
        Node::Subquery(_) => return exclude(expr, uses),
        _ => counted,
    };
    expr.children().into_iter().for_each(|child| collect(child, counted, uses));
}

fn exclude<'e>(expr: &'e Expr, uses: &mut HashMap<&'e [Matcher], bool>) {
    if let Node::Vector(selector) | Node::Matrix { selector, .. } = &expr.node {
        uses.insert(&selector.matchers, false);
    }
    expr.children().into_iter().for_each(|child| exclude(child, uses));
}

/// Gives every histogram whose sender said nothing the hint that the one before it leads to.
pub(super) fn hint(points: &mut Points) {
    for index in (1..points.histograms.len()).rev() {
        let (before, rest) = points.histograms.split_at_mut(index);
        if rest[0].reset_hint == HINT_UNKNOWN {
            let reset = is_reset(&before[index - 1], &rest[0]);
            Arc::make_mut(&mut rest[0]).reset_hint = if reset { HINT_RESET } else { HINT_NO_RESET };
        }
    }
}
