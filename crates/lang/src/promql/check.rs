use model::{MatchOp, Matcher};

use super::ast::{Binary, BinaryOp, Cardinality, DurationExpr, Expr, Node, Selector, Type};
use super::error::Failure;
use super::functions::Function;

/// A range or a subquery's step must be longer than nothing; expressions are looked at when they are evaluated.
pub(super) fn positive(duration: &DurationExpr, at: usize) -> Result<(), Failure> {
    let DurationExpr::Literal { seconds, .. } = *duration else { return Ok(()) };
    match seconds {
        seconds if seconds.is_nan() || seconds <= 0.0 => Err(Failure::at(at, "duration must be greater than 0")),
        seconds if seconds >= i64::MAX as f64 / 1e9 => Err(Failure::at(at, "duration out of range")),
        _ => Ok(()),
    }
}

/// Refuses what has no meaning, the way Prometheus does.
pub(super) fn check(expr: &Expr) -> Result<(), Failure> {
    // The second argument of info narrows the labels taken over, so it may match everything.
    let narrowing = matches!(&expr.node, Node::Call { function, .. } if function.name == "info");
    for child in expr.children().into_iter().take(if narrowing { 1 } else { usize::MAX }) {
        check(child)?;
    }
    let fail = |message: String| Err(Failure::at(expr.span.start, message));
    match &expr.node {
        Node::Vector(selector) | Node::Matrix { selector, .. } => check_selector(selector),
        Node::Unary { inner, .. } => match inner.value_type() {
            Type::Scalar | Type::Vector => Ok(()),
            other => fail(format!("unary expression only allowed on expressions of type scalar or instant vector, got {:?}", other.name())),
        },
        Node::Subquery(subquery) => match subquery.inner.value_type() {
            Type::Vector | Type::Scalar => Ok(()),
            Type::Matrix => fail("subquery is only allowed on instant vector, got matrix instead".to_owned()),
            Type::Text => fail("subquery is only allowed on instant vector, got string instead".to_owned()),
        },
        Node::Aggregate(aggregate) => {
            expect_type(&aggregate.inner, Type::Vector, "aggregation expression")?;
            match (&aggregate.param, aggregate.op.param_type()) {
                (Some(param), Some(wanted)) => expect_type(param, wanted, "aggregation parameter"),
                _ => Ok(()),
            }
        }
        Node::Call { function, args } => check_call(expr, function, args),
        Node::Binary(binary) => check_binary(binary),
        Node::Number(_) | Node::Text(_) | Node::Paren(_) => Ok(()),
    }
}

fn expect_type(expr: &Expr, wanted: Type, context: &str) -> Result<(), Failure> {
    let got = expr.value_type();
    match got == wanted {
        true => Ok(()),
        false => Err(Failure::at(expr.span.start, format!("expected type {} in {context}, got {}", wanted.name(), got.name()))),
    }
}

fn check_call(expr: &Expr, function: &Function, args: &[Expr]) -> Result<(), Failure> {
    let (least, most) = function.arity();
    let wanted = match most {
        Some(most) if least == most && args.len() != least => format!("{least}"),
        _ if args.len() < least => format!("at least {least}"),
        Some(most) if args.len() > most => format!("at most {most}"),
        _ => String::new(),
    };
    if !wanted.is_empty() {
        let message = format!("expected {wanted} argument(s) in call to {:?}, got {}", function.name, args.len());
        return Err(Failure::at(expr.span.start, message));
    }
    if function.name == "info"
        && let Some(selector) = args.get(1)
    {
        match &selector.node {
            Node::Vector(found) if found.name.is_none() => {
                for matcher in &found.matchers {
                    matches_empty(matcher).map_err(|message| Failure::at(found.span.start, message))?;
                }
            }
            Node::Vector(_) => {
                return Err(Failure::at(selector.span.start, "expected label selectors only, got vector selector instead"));
            }
            _ => return Err(Failure::at(selector.span.start, "expected label selectors only")),
        }
    }
    let context = format!("call to function {:?}", function.name);
    args.iter().enumerate().try_for_each(|(index, arg)| expect_type(arg, function.arg_type(index), &context))
}

fn check_binary(binary: &Binary) -> Result<(), Failure> {
    let Binary { op, lhs, rhs, is_bool, matching } = binary;
    let fail = |message: String| Err(Failure::at(lhs.span.start, message));
    if *is_bool && !op.is_comparison() {
        return fail("bool modifier can only be used on comparison operators".to_owned());
    }
    for side in [lhs, rhs] {
        if !matches!(side.value_type(), Type::Scalar | Type::Vector) {
            return Err(Failure::at(side.span.start, "binary expression must contain only scalar and instant vector types"));
        }
    }
    let (left, right) = (lhs.value_type(), rhs.value_type());
    if op.is_comparison() && !is_bool && left == Type::Scalar && right == Type::Scalar {
        return fail("comparisons between scalars must use BOOL modifier".to_owned());
    }
    if matching.on
        && let Some(label) = matching.labels.iter().find(|label| matching.include.contains(label))
    {
        return fail(format!("label {label:?} must not occur in ON and GROUP clause at once"));
    }
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    if left != Type::Vector || right != Type::Vector {
        if matching.explicit && (!matching.labels.is_empty() || matching.on) {
            return fail("vector matching only allowed between instant vectors".to_owned());
        }
        if fills {
            return fail("filling in missing series only allowed between instant vectors".to_owned());
        }
        if op.is_set() {
            return fail(format!("set operator {:?} not allowed in binary scalar expression", op.text()));
        }
    } else if op.is_set() {
        if matching.cardinality != Cardinality::OneToOne {
            return fail(format!("no grouping allowed for {:?} operation", op.text()));
        }
        if fills {
            return fail("filling in missing series not allowed for set operators".to_owned());
        }
    }
    if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) && right == Type::Scalar && left == Type::Scalar {
        return fail(format!("operator {:?} needs a vector of histograms on its left side", op.text()));
    }
    Ok(())
}

fn check_selector(selector: &Selector) -> Result<(), Failure> {
    let mut not_empty = false;
    for matcher in &selector.matchers {
        not_empty |= !matches_empty(matcher).map_err(|message| Failure::at(selector.span.start, message))?;
    }
    match not_empty {
        true => Ok(()),
        false => Err(Failure::at(selector.span.start, "vector selector must contain at least one non-empty matcher")),
    }
}

fn matches_empty(matcher: &Matcher) -> Result<bool, String> {
    let regex = || {
        crate::anchored(&matcher.value)
            .map_err(|error| format!("error parsing regexp {:?}: {}", matcher.value, error.to_string().lines().last().unwrap_or_default()))
    };
    Ok(match matcher.op {
        MatchOp::Equal => matcher.value.is_empty(),
        MatchOp::NotEqual => !matcher.value.is_empty(),
        MatchOp::Regex => regex()?.is_match(""),
        MatchOp::NotRegex => !regex()?.is_match(""),
    })
}
