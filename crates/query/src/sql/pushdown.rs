//! SQL predicates as filters of a scan.
//!
//! A filter takes null for the empty text, SQL takes it for neither true nor false. So a filter that the empty text
//! passes lets rows through that SQL would not keep: it is pushed down to skip blocks, and SQL tests the rows again.

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Operator};
use datafusion::prelude::Expr;
use model::{Bound, FieldType, Filter, Subject, Table, Test, TimeRange};
use regex::Regex;

use super::exec::Source;

/// What of a predicate a scan can do.
pub(super) struct Pushed {
    pub(super) filters: Vec<Filter>,
    pub(super) time: TimeRange,
    /// The scan keeps exactly the rows that the predicate keeps.
    pub(super) exact: bool,
}

pub(super) fn push(expr: &Expr, source: Source, schema: &SchemaRef) -> Option<Pushed> {
    if let Some((time, exact)) = time_range(expr, source) {
        return Some(Pushed { filters: Vec::new(), time, exact });
    }
    let filter = text_filter(expr, schema)?;
    let exact = !passes_empty(&filter.test)? && !is_approximate(expr) && !matches!(filter.test, Test::Numbers(..));
    Some(Pushed { filters: vec![filter], time: TimeRange::ALL, exact })
}

/// Ignoring case is defined twice, by `regex` and by Arrow; `regex` takes more letters for the same.
fn is_approximate(expr: &Expr) -> bool {
    match expr {
        Expr::Like(like) => like.case_insensitive,
        Expr::BinaryExpr(binary) => matches!(binary.op, Operator::RegexIMatch | Operator::RegexNotIMatch),
        _ => false,
    }
}

/// `None` when the pattern is none: SQL says so, in its own words.
fn passes_empty(test: &Test) -> Option<bool> {
    let matches = |pattern: &str| Regex::new(pattern).ok().map(|regex| regex.is_match(""));
    let matches_whole = |pattern: &str| matches(&format!("^(?s:{pattern})$"));
    match test {
        Test::Equal(value) | Test::Contains(value) => Some(value.is_empty()),
        Test::NotEqual(value) | Test::NotContains(value) => Some(!value.is_empty()),
        Test::OneOf(values) => Some(values.iter().any(String::is_empty)),
        Test::Regex(pattern) => matches_whole(pattern),
        Test::NotRegex(pattern) => matches_whole(pattern).map(|yes| !yes),
        Test::Search(pattern) => matches(pattern),
        Test::NotSearch(pattern) => matches(pattern).map(|yes| !yes),
        Test::Integers(..) | Test::Numbers(..) => Some(false),
    }
}

fn text_filter(expr: &Expr, schema: &SchemaRef) -> Option<Filter> {
    if let Some(filter) = declared_filter(expr, schema) {
        return Some(filter);
    }
    let filter = |subject: &Expr, test: Test| Some(Filter { subject: text_subject(subject, schema)?, test });
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => either(text_filter(left, schema)?, text_filter(right, schema)?),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (subject, value) = match (text(left), text(right)) {
                (None, Some(value)) => (left, value),
                (Some(value), None) if matches!(op, Operator::Eq | Operator::NotEq) => (right, value),
                _ => return None,
            };
            filter(subject, comparison(*op, value)?)
        }
        Expr::InList(InList { expr, list, negated }) => {
            let values: Vec<String> = list.iter().map(|value| text(value).map(str::to_owned)).collect::<Option<_>>()?;
            match (negated, values.as_slice()) {
                (false, _) => filter(expr, Test::OneOf(values)),
                (true, _) => {
                    let any: Vec<String> = values.iter().map(|value| regex::escape(value)).collect();
                    filter(expr, Test::NotRegex(any.join("|")))
                }
            }
        }
        Expr::Like(Like { negated, expr, pattern, escape_char: None | Some('\\'), case_insensitive }) => {
            filter(expr, like(text(pattern)?, *negated, *case_insensitive))
        }
        Expr::IsNull(expr) => filter(expr, Test::Equal(String::new())),
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let [subject, value] = args.as_slice() else { return None };
            let value = text(value)?;
            filter(
                subject,
                match func.name() {
                    "contains" => Test::Contains(value.to_owned()),
                    "starts_with" => Test::Regex(format!("{}.*", regex::escape(value))),
                    "ends_with" => Test::Regex(format!(".*{}", regex::escape(value))),
                    "regexp_like" => Test::Search(value.to_owned()),
                    _ => return None,
                },
            )
        }
        _ => None,
    }
}

/// A predicate on a declared column that is no text.
fn declared_filter(expr: &Expr, schema: &SchemaRef) -> Option<Filter> {
    let (column, test) = match expr {
        Expr::Column(_) => (expr, Test::Equal(true.to_string())),
        Expr::Not(column) => (&**column, Test::Equal(false.to_string())),
        Expr::IsNull(column) => (&**column, Test::Equal(String::new())),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
            (column @ Expr::Column(_), Expr::Literal(value, _)) => (column, typed_comparison(*op, value)?),
            (Expr::Literal(value, _), column @ Expr::Column(_)) => (column, typed_comparison(op.swap()?, value)?),
            _ => return None,
        },
        Expr::InList(InList { expr: column, list, negated: false }) => {
            let integer = |value: &Expr| match value {
                Expr::Literal(ScalarValue::Int64(value), _) => value.map(|value| value.to_string()),
                _ => None,
            };
            (&**column, Test::OneOf(list.iter().map(integer).collect::<Option<_>>()?))
        }
        _ => return None,
    };
    let Expr::Column(column) = column else { return None };
    let is_own = Table::ALL.iter().any(|table| table.schema().field_with_name(&column.name).is_ok());
    let kind = schema.field_with_name(&column.name).ok().and_then(|field| FieldType::of(field.data_type()));
    let fits = match (kind.filter(|_| !is_own)?, &test) {
        (_, Test::Equal(value)) if value.is_empty() => true,
        (FieldType::Integer, Test::Integers(..) | Test::Equal(_) | Test::NotEqual(_) | Test::OneOf(_)) => {
            !matches!(expr, Expr::Column(_) | Expr::Not(_))
        }
        (FieldType::Number, Test::Numbers(..)) => true,
        (FieldType::Boolean, Test::Equal(_)) => true,
        _ => false,
    };
    fits.then(|| Filter { subject: Subject::Column(column.name.clone()), test })
}

fn typed_comparison(op: Operator, value: &ScalarValue) -> Option<Test> {
    match value {
        ScalarValue::Int64(Some(value)) => Some(match op {
            Operator::Eq => Test::Equal(value.to_string()),
            Operator::NotEq => Test::NotEqual(value.to_string()),
            Operator::Gt => Test::Integers(value.checked_add(1)?, i64::MAX),
            Operator::GtEq => Test::Integers(*value, i64::MAX),
            Operator::Lt => Test::Integers(i64::MIN, value.checked_sub(1)?),
            Operator::LtEq => Test::Integers(i64::MIN, *value),
            _ => return None,
        }),
        // A little wide: SQL tests the rows again, and says itself how it compares zeros of two signs.
        ScalarValue::Float64(Some(value)) if !value.is_nan() => {
            let (least, greatest) = if *value == 0.0 { (-0.0, 0.0) } else { (*value, *value) };
            let (least, greatest) = match op {
                Operator::Eq => (least, greatest),
                Operator::Gt | Operator::GtEq => (least, f64::INFINITY),
                Operator::Lt | Operator::LtEq => (f64::NEG_INFINITY, greatest),
                _ => return None,
            };
            Some(Test::Numbers(Bound(least), Bound(greatest)))
        }
        _ => None,
    }
}

fn comparison(op: Operator, value: &str) -> Option<Test> {
    let value = value.to_owned();
    Some(match op {
        Operator::Eq => Test::Equal(value),
        Operator::NotEq => Test::NotEqual(value),
        Operator::RegexMatch => Test::Search(value),
        Operator::RegexNotMatch => Test::NotSearch(value),
        Operator::RegexIMatch => Test::Search(format!("(?i:{value})")),
        Operator::RegexNotIMatch => return None,
        _ => return None,
    })
}

/// `a = 'x' OR a = 'y'`, as the optimizer writes a short `IN`.
fn either(left: Filter, right: Filter) -> Option<Filter> {
    let values = |test: Test| match test {
        Test::Equal(value) => Some(vec![value]),
        Test::OneOf(values) => Some(values),
        _ => None,
    };
    if left.subject != right.subject {
        return None;
    }
    let (mut all, more) = (values(left.test)?, values(right.test)?);
    all.extend(more);
    Some(Filter { subject: left.subject, test: Test::OneOf(all) })
}

fn like(pattern: &str, negated: bool, any_case: bool) -> Test {
    let inner = pattern.strip_prefix('%').and_then(|rest| rest.strip_suffix('%'));
    if let Some(word) = inner.filter(|inner| !any_case && !inner.contains(['%', '_', '\\'])) {
        return if negated { Test::NotContains(word.to_owned()) } else { Test::Contains(word.to_owned()) };
    }
    let mut regex = String::from(if any_case { "(?i)" } else { "" });
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            // The letter behind a backslash is meant as it is; a backslash at the end, too.
            '\\' => regex.push_str(&regex::escape(letters.next().unwrap_or('\\').encode_utf8(&mut [0; 4]))),
            other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    if negated { Test::NotRegex(regex) } else { Test::Regex(regex) }
}

/// A text column, or one key of a map column: `attributes['k']`.
fn text_subject(expr: &Expr, schema: &SchemaRef) -> Option<Subject> {
    let type_of = |name: &str| schema.field_with_name(name).ok().map(|field| field.data_type());
    match expr {
        Expr::Column(column) => (type_of(&column.name)? == &DataType::Utf8).then(|| Subject::Column(column.name.clone())),
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "get_field" => {
            let [Expr::Column(column), key] = args.as_slice() else { return None };
            let is_map = matches!(type_of(&column.name)?, DataType::Map(..));
            is_map.then_some(Subject::Entry { column: column.name.clone(), key: text(key)?.to_owned() })
        }
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(value) | ScalarValue::Utf8View(value) | ScalarValue::LargeUtf8(value), _) => value.as_deref(),
        _ => None,
    }
}

/// A comparison of the table's time with a literal, and whether the scan keeps exactly those rows.
fn time_range(expr: &Expr, source: Source) -> Option<(TimeRange, bool)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return None };
    let (column, op, at) = match (time_column(left), nanos(right)) {
        (Some(column), Some(at)) => (column, *op, at),
        _ => (time_column(right)?, op.swap()?, nanos(left)?),
    };
    let after = at.checked_add(1);
    let range = match op {
        Operator::Eq => TimeRange::new(at, after?),
        Operator::Gt => TimeRange::new(after?, i64::MAX),
        Operator::GtEq => TimeRange::new(at, i64::MAX),
        // An end of i64::MAX is no end at all.
        Operator::Lt if at < i64::MAX => TimeRange::new(i64::MIN, at),
        Operator::LtEq => TimeRange::new(i64::MIN, after?),
        _ => return None,
    };
    match source {
        Source::Points => (column == "time_unix_nano").then_some((range, true)),
        Source::Rows(table @ (Table::Logs | Table::Spans | Table::Quarantine)) => {
            (column == table.time_columns().0).then_some((range, true))
        }
        // Whatever either end of a chunk is said to be, the chunk overlaps the range that says it.
        Source::Rows(Table::Samples) => {
            let (first, last) = Table::Samples.time_columns();
            (column == first || column == last).then_some((range, false))
        }
    }
}

/// `column` or `to_time(column)`.
fn time_column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "to_time" => match args.as_slice() {
            [Expr::Column(column)] => Some(&column.name),
            _ => None,
        },
        _ => None,
    }
}

fn nanos(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(at) | ScalarValue::TimestampNanosecond(at, _), _) => *at,
        _ => None,
    }
}
