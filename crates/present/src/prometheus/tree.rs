//! The tree of a query as JSON, with the fields that Prometheus's `parse_query` gives, in its order.

use lang::promql::ast::{Aggregate, At, Binary, Cardinality, DurationExpr, Expr, Extent, Node, Selector, Shift, Subquery, Type};
use lang::promql::{Function, Optional, number};
use serde_json::{Value, json};

pub(super) fn of(expr: &Expr) -> Value {
    match &expr.node {
        Node::Number { value, .. } => json!({"type": "numberLiteral", "val": number(*value)}),
        Node::Text(text) => json!({"type": "stringLiteral", "val": text}),
        Node::Paren(inner) => json!({"expr": of(inner), "type": "parenExpr"}),
        Node::Unary { negative, inner } => json!({"expr": of(inner), "op": if *negative { "-" } else { "+" }, "type": "unaryExpr"}),
        Node::Vector(selector) => self::selector(selector, None),
        Node::Matrix { selector, range } => self::selector(selector, Some(range)),
        Node::Subquery(subquery) => self::subquery(subquery),
        Node::Binary(binary) => self::binary(binary),
        Node::Call { function, args } => {
            json!({"args": args.iter().map(of).collect::<Vec<_>>(), "func": self::function(function), "type": "call"})
        }
        Node::Aggregate(aggregate) => {
            let Aggregate { op, inner, param, grouping, without } = aggregate.as_ref();
            json!({
                "expr": of(inner),
                "grouping": grouping,
                "op": op.text(),
                "param": param.as_ref().map(of),
                "type": "aggregation",
                "without": without,
            })
        }
    }
}

fn binary(binary: &Binary) -> Value {
    let Binary { op, lhs, rhs, is_bool, matching } = binary;
    let card = match matching.cardinality {
        _ if op.is_set() => "many-to-many",
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
    };
    let matching = binary.joins_vectors().then(|| {
        json!({
            "card": card,
            "fillValues": {"lhs": plain(matching.fill_left), "rhs": plain(matching.fill_right)},
            "include": matching.include,
            "labels": matching.labels,
            "on": matching.on,
        })
    });
    json!({"bool": is_bool, "lhs": of(lhs), "matching": matching, "op": op.text(), "rhs": of(rhs), "type": "binaryExpr"})
}

/// A number as Go writes it: without a fraction when it has none.
fn plain(number: Option<f64>) -> Value {
    match number {
        Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => json!(whole as i64),
        other => json!(other),
    }
}

fn function(function: &Function) -> Value {
    let mut args: Vec<&str> = function.args.iter().copied().map(type_name).collect();
    let variadic = match function.optional {
        Optional::None => 0,
        Optional::Last(count) => count as i64,
        Optional::Repeat => -1,
        // Prometheus names the first of those that may be repeated twice.
        Optional::RepeatAtMost(count) => {
            args.extend(function.args.last().copied().map(type_name));
            count as i64 - 1
        }
    };
    json!({"argTypes": args, "name": function.name, "returnType": type_name(function.returns), "variadic": variadic})
}

fn type_name(of: Type) -> &'static str {
    match of {
        Type::Scalar => "scalar",
        Type::Text => "string",
        Type::Vector => "vector",
        Type::Matrix => "matrix",
    }
}

fn selector(selector: &Selector, range: Option<&DurationExpr>) -> Value {
    let Selector { name, matchers, shift, extent, .. } = selector;
    let matchers: Vec<Value> =
        matchers.iter().map(|found| json!({"name": found.name, "type": found.op.to_string(), "value": found.value})).collect();
    let (timestamp, start_or_end) = pinned(shift);
    let (offset, offset_expr) = duration(shift.offset.as_ref());
    let mut tree = json!({
        "anchored": *extent == Extent::Anchored,
        "matchers": matchers,
        "name": name.as_deref().unwrap_or_default(),
        "offset": offset,
        "offsetExpr": offset_expr,
    });
    if let Some(range) = range {
        let (range, range_expr) = duration(Some(range));
        tree["range"] = json!(range);
        tree["rangeExpr"] = range_expr;
    }
    tree["smoothed"] = json!(*extent == Extent::Smoothed);
    tree["startOrEnd"] = json!(start_or_end);
    tree["timestamp"] = json!(timestamp);
    tree["type"] = json!(if range.is_some() { "matrixSelector" } else { "vectorSelector" });
    tree
}

fn subquery(subquery: &Subquery) -> Value {
    let Subquery { inner, range, step, shift } = subquery;
    let (timestamp, start_or_end) = pinned(shift);
    let (offset, offset_expr) = duration(shift.offset.as_ref());
    let (range, range_expr) = duration(Some(range));
    let (step, step_expr) = duration(step.as_ref());
    json!({
        "expr": of(inner),
        "offset": offset,
        "offsetExpr": offset_expr,
        "range": range,
        "rangeExpr": range_expr,
        "startOrEnd": start_or_end,
        "step": step,
        "stepExpr": step_expr,
        "timestamp": timestamp,
        "type": "subquery",
    })
}

/// The time of `@` in milliseconds, or its word.
fn pinned(shift: &Shift) -> (Option<i64>, Option<&'static str>) {
    match shift.at {
        Some(At::Millis(millis)) => (Some(millis), None),
        Some(At::Start) => (None, Some("start")),
        Some(At::End) => (None, Some("end")),
        None => (None, None),
    }
}

/// Milliseconds when it is one literal, and the tree when it is more.
fn duration(found: Option<&DurationExpr>) -> (i64, Value) {
    match found {
        None => (0, Value::Null),
        Some(DurationExpr::Literal { seconds, .. }) => ((seconds * 1000.0) as i64, Value::Null),
        Some(more) => (0, duration_tree(more, false)),
    }
}

fn duration_tree(found: &DurationExpr, wrapped: bool) -> Value {
    let node = |op: &str, lhs: Option<&DurationExpr>, rhs: Option<&DurationExpr>| {
        let side = |side: Option<&DurationExpr>| side.map(|side| duration_tree(side, false));
        json!({"lhs": side(lhs), "op": op, "rhs": side(rhs), "type": "durationExpr", "wrapped": wrapped})
    };
    match found {
        DurationExpr::Literal { seconds, is_number } => {
            let literal = json!({"duration": !is_number, "type": "numberLiteral", "val": number(*seconds)});
            match wrapped {
                // A literal has no mark for parentheses: a plus that does nothing carries it.
                true => json!({"lhs": null, "op": "+", "rhs": literal, "type": "durationExpr", "wrapped": true}),
                false => literal,
            }
        }
        DurationExpr::Step => node("step", None, None),
        DurationExpr::Range => node("range", None, None),
        DurationExpr::Negate(inner) => node("-", None, Some(inner)),
        DurationExpr::Binary { op, lhs, rhs } => node(op.text(), Some(lhs), Some(rhs)),
        DurationExpr::MinOf(first, second) => node("min_of", Some(first), Some(second)),
        DurationExpr::MaxOf(first, second) => node("max_of", Some(first), Some(second)),
        DurationExpr::Paren(inner) => duration_tree(inner, true),
    }
}
