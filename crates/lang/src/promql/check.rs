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
pub(super) fn check(expr: &Expr, text: &str) -> Result<(), Failure> {
    // The second argument of info narrows the labels taken over, so it may match everything.
    let narrowing = matches!(&expr.node, Node::Call { function, .. } if function.name == "info");
    for child in expr.children().into_iter().take(if narrowing { 1 } else { usize::MAX }) {
        check(child, text)?;
    }
    let fail = |message: String| Err(Failure::at(expr.span.start, message));
    match &expr.node {
        Node::Vector(selector) | Node::Matrix { selector, .. } => check_selector(selector),
        Node::Unary { inner, .. } => match inner.value_type() {
            Type::Scalar | Type::Vector => Ok(()),
            other => fail(format!("unary expression only allowed on expressions of type scalar or instant vector, got {:?}", other.name())),
        },
        Node::Subquery(subquery) => match subquery.inner.value_type() {
            Type::Vector => Ok(()),
            Type::Scalar => fail("subquery is only allowed on instant vector, got scalar instead".to_owned()),
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
        Node::Binary(binary) => check_binary(expr, binary, text),
        Node::Number { .. } | Node::Text(_) | Node::Paren(_) => Ok(()),
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
            Node::Vector(found) if found.name.is_none() => {}
            Node::Vector(_) => {
                return Err(Failure::at(selector.span.start, "expected label selectors only, got vector selector instead"));
            }
            _ => return Err(Failure::at(selector.span.start, "expected label selectors only")),
        }
    }
    let context = format!("call to function {:?}", function.name);
    args.iter().enumerate().try_for_each(|(index, arg)| expect_type(arg, function.arg_type(index), &context))
}

fn check_binary(expr: &Expr, binary: &Binary, text: &str) -> Result<(), Failure> {
    let Binary { op, lhs, rhs, is_bool, matching } = binary;
    let fail = |message: String| Err(Failure::at(expr.span.start, message));
    let fail_at_operator = |message: String| {
        let blanks = text[lhs.span.end..].bytes().take_while(u8::is_ascii_whitespace).count();
        Err(Failure::at(lhs.span.end + blanks, message))
    };
    let (left, right) = (lhs.value_type(), rhs.value_type());
    if *is_bool && !op.is_comparison() {
        return fail_at_operator("bool modifier can only be used on comparison operators".to_owned());
    }
    if op.is_comparison() && !is_bool && left == Type::Scalar && right == Type::Scalar {
        return fail_at_operator("comparisons between scalars must use BOOL modifier".to_owned());
    }
    if matching.on
        && let Some(label) = matching.labels.iter().find(|label| matching.include.contains(label))
    {
        return fail_at_operator(format!("label {label:?} must not occur in ON and GROUP clause at once"));
    }
    if let Some(side) = [lhs, rhs].into_iter().find(|side| !matches!(side.value_type(), Type::Scalar | Type::Vector)) {
        return Err(Failure::at(side.span.start, "binary expression must contain only scalar and instant vector types"));
    }
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    if !binary.joins_vectors() {
        if !matching.labels.is_empty() {
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

/// A selector without a metric's name must not select everything by a slip.
fn check_selector(selector: &Selector) -> Result<(), Failure> {
    match selector.name.is_some() || selector.matchers.iter().any(|matcher| !matches_empty(matcher)) {
        true => Ok(()),
        false => Err(Failure::at(selector.span.start, "vector selector must contain at least one non-empty matcher")),
    }
}

/// The parser has seen that expressions compile.
fn matches_empty(matcher: &Matcher) -> bool {
    let regex_matches = || crate::whole(&matcher.value).is_ok_and(|regex| regex.is_match(""));
    match matcher.op {
        MatchOp::Equal => matcher.value.is_empty(),
        MatchOp::NotEqual => !matcher.value.is_empty(),
        MatchOp::Regex => regex_matches(),
        MatchOp::NotRegex => !regex_matches(),
    }
}

/// Refuses an expression that does not compile, in the words of Go's library where it has the same fault in mind.
pub(super) fn regex(pattern: &str) -> Result<(), String> {
    let Err(error) = crate::whole(pattern) else { return Ok(()) };
    let text = error.to_string();
    let fault = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let operator = || pattern.find(['*', '+', '?']).map_or(pattern, |at| &pattern[at..=at]);
    Err(match fault {
        "unclosed group" => format!("error parsing regexp: missing closing ): `{pattern}`"),
        "unopened group" => format!("error parsing regexp: unexpected ): `{pattern}`"),
        "unclosed character class" => {
            format!("error parsing regexp: missing closing ]: `{}`", pattern.rfind('[').map_or(pattern, |at| &pattern[at..]))
        }
        "repetition operator missing expression" => {
            format!("error parsing regexp: missing argument to repetition operator: `{}`", operator())
        }
        fault => format!("error parsing regexp: {fault}: `{pattern}`"),
    })
}

/// Whether the matchers accept a series without labels, and so may select everything.
pub fn selects_everything(matchers: &[Matcher]) -> bool {
    matchers.iter().all(matches_empty)
}
