//! The rules beyond grammar: what parses and still means nothing is refused here, with its place.

use regex::Regex;

use super::Pattern;
use super::ast::*;
use crate::error::{ParseError, Pos};
use crate::parser::Parsed;

fn fail<T>(text: &str, pos: Pos, what: impl Into<String>) -> Parsed<T> {
    Err(ParseError::at(text, pos, what))
}

pub(super) fn regex(text: &str, pos: Pos, regex: &str, what: &str) -> Parsed<Regex> {
    crate::searching(regex).map_err(|error| {
        let error = error.to_string();
        let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        ParseError::at(text, pos, format!("{what}: error parsing regexp: {last}: `{regex}`"))
    })
}

/// A line filter's regular expression is compiled by the engine only: as in Loki, a query with a broken one still is a query.
pub(super) fn line_text(text: &str, pos: Pos, op: LineOp, value: &str) -> Parsed<()> {
    match op {
        LineOp::Pattern | LineOp::NotPattern => match Pattern::parse_matching(value) {
            Ok(_) => Ok(()),
            Err(why) => fail(text, pos, why),
        },
        LineOp::Contains | LineOp::NotContains | LineOp::Regex | LineOp::NotRegex => Ok(()),
    }
}

pub(super) fn regexp_parser(text: &str, pos: Pos, value: &str) -> Parsed<()> {
    let compiled = match regex(text, pos, value, "invalid regexp parser") {
        Ok(compiled) => compiled,
        // The crate has no telling code for a name used twice.
        Err(error) if error.what.contains("duplicate capture group name") => return fail(text, pos, "duplicate extracted label name"),
        Err(error) => return Err(error),
    };
    match compiled.capture_names().flatten().next() {
        Some(_) => Ok(()),
        None => fail(text, pos, "at least one named capture must be supplied: (?P<name>...)"),
    }
}

/// A selector that every stream passes would read everything there is.
pub(super) fn selector(text: &str, pos: Pos, matchers: &[Matcher]) -> Parsed<()> {
    let narrows = |matcher: &Matcher| match matcher.op {
        MatchOp::Equal => !matcher.value.is_empty(),
        MatchOp::NotEqual => matcher.value.is_empty(),
        MatchOp::Regex | MatchOp::NotRegex => {
            crate::whole(&matcher.value).is_ok_and(|regex| regex.is_match("") == (matcher.op == MatchOp::NotRegex))
        }
    };
    if matchers.iter().any(narrows) {
        return Ok(());
    }
    fail(
        text,
        pos,
        "queries require at least one matcher that an absent label does not pass: write app=~\".+\" instead of app=~\".*\", or add app=\"...\"",
    )
}

pub(super) fn stage_order(text: &str, pos: Pos, before: &[Stage], kind: &StageKind) -> Parsed<()> {
    let unwrapped = before.iter().any(|stage| matches!(stage.kind, StageKind::Unwrap { .. }));
    if unwrapped && !matches!(kind, StageKind::Label(_)) {
        return fail(text, pos, "syntax error: only label filters may follow unwrap");
    }
    Ok(())
}

fn has_unwrap(log: &LogExpr) -> bool {
    log.stages.iter().any(|stage| matches!(stage.kind, StageKind::Unwrap { .. }))
}

pub(super) fn range(text: &str, pos: Pos, aggregation: &RangeAggregation) -> Parsed<()> {
    use RangeOp::*;
    let op = aggregation.op;
    let name = op.name();
    match (op == QuantileOverTime, aggregation.parameter) {
        (true, None) => return fail(text, pos, format!("parameter required for operation {name}")),
        (false, Some(value)) => return fail(text, pos, format!("parameter {value} not supported for operation {name}")),
        _ => {}
    }
    let unwrapped = has_unwrap(&aggregation.log);
    if unwrapped && matches!(op, CountOverTime | BytesOverTime | BytesRate) {
        return fail(text, pos, format!("invalid aggregation {name} with unwrap"));
    }
    if !unwrapped && !matches!(op, CountOverTime | BytesOverTime | BytesRate | Rate | AbsentOverTime) {
        return fail(text, pos, format!("invalid aggregation {name} without unwrap"));
    }
    let groups = matches!(
        op,
        AvgOverTime | MinOverTime | MaxOverTime | StddevOverTime | StdvarOverTime | QuantileOverTime | FirstOverTime | LastOverTime
    );
    if aggregation.grouping.is_some() && !groups {
        return fail(text, pos, format!("grouping not allowed for {name} aggregation"));
    }
    Ok(())
}

pub(super) fn vector_parameter(text: &str, pos: Pos, op: VectorOp, value: Option<f64>) -> Parsed<Option<u64>> {
    let takes = matches!(op, VectorOp::Topk | VectorOp::Bottomk | VectorOp::ApproxTopk);
    let name = op.name();
    match value {
        None if takes => fail(text, pos, format!("parameter required for operation {name}")),
        Some(value) if !takes => fail(text, pos, format!("unsupported parameter for operation {name}({value},")),
        Some(value) if value < 1.0 || value.fract() != 0.0 || value > 1e15 => {
            fail(text, pos, format!("invalid parameter {name}({value},: it must be a whole number above 0"))
        }
        value => Ok(value.map(|value| value as u64)),
    }
}

pub(super) fn vector(text: &str, pos: Pos, aggregation: &VectorAggregation) -> Parsed<()> {
    if aggregation.grouping.is_some() && matches!(aggregation.op, VectorOp::Sort | VectorOp::SortDesc | VectorOp::ApproxTopk) {
        return fail(text, pos, format!("grouping not allowed for {} aggregation", aggregation.op.name()));
    }
    Ok(())
}

pub(super) fn top(text: &str, expr: &Expr) -> Parsed<()> {
    match expr {
        Expr::Log(log) if has_unwrap(log) => fail(text, log.pos, "syntax error: unwrap answers numbers: put it inside a range aggregation"),
        _ => Ok(()),
    }
}
