//! Canonical text, which reads back as the same query.

use std::fmt::{self, Display, Formatter, Write};

use super::ast::*;
use super::lex::ends_name;
use super::value::Value;
use crate::logql::units::print_duration;

/// Writes items with `between` between them.
fn joined<T: Display>(f: &mut Formatter<'_>, items: &[T], between: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Spans(pipeline) => write!(f, "{pipeline}")?,
            Root::Metrics(metrics) => write!(f, "{metrics}")?,
        }
        if self.hints.is_empty() {
            return Ok(());
        }
        let hints: Vec<_> = self.hints.iter().map(|(name, value)| format!("{name}={value}")).collect();
        write!(f, " with({})", hints.join(","))
    }
}

impl Display for Pipeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        joined(f, &self.stages, "|")
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spans(spans) => write!(f, "{spans}"),
            Self::Scalar(filter) => write!(f, "{filter}"),
            Self::By(field) => write!(f, "by({field})"),
            Self::Coalesce => f.write_str("coalesce()"),
            Self::Select(attributes) => {
                f.write_str("select(")?;
                joined(f, attributes, ", ")?;
                f.write_char(')')
            }
            Self::Aggregate(aggregate) => write!(f, "{aggregate}"),
        }
    }
}

impl Display for SpansetExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(field) => write!(f, "{{ {field} }}"),
            Self::Operation { op, left, right } => write!(f, "({left}) {op} ({right})"),
            Self::Pipeline(pipeline) => write!(f, "{pipeline}"),
        }
    }
}

impl Display for SpansetOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (relation, join) = match self {
            Self::And => return f.write_str("&&"),
            Self::Or => return f.write_str("||"),
            Self::Related(relation, join) => (relation, join),
        };
        f.write_str(match join {
            Join::Right => "",
            Join::Not => "!",
            Join::Both => "&",
        })?;
        f.write_str(match relation {
            Relation::Child => ">",
            Relation::Descendant => ">>",
            Relation::Parent => "<",
            Relation::Ancestor => "<<",
            Relation::Sibling => "~",
        })
    }
}

impl Display for ScalarFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { op, left, right } = self;
        write!(f, "{} {op} {}", Operand(left), Operand(right))
    }
}

impl Display for ScalarExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(value) => write!(f, "{value}"),
            Self::Aggregate(aggregate) => write!(f, "{aggregate}"),
            Self::Operation { op, left, right } => write!(f, "{} {op} {}", Operand(&**left), Operand(&**right)),
            Self::Pipeline(pipeline) => write!(f, "{pipeline}"),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.of {
            Some(of) => write!(f, "{}({of})", self.op.name()),
            None => write!(f, "{}()", self.op.name()),
        }
    }
}

/// One side of an operator: in parentheses unless it is a single word.
struct Operand<'a, T>(&'a T);

trait Plain {
    fn is_plain(&self) -> bool;
}

impl Plain for ScalarExpr {
    fn is_plain(&self) -> bool {
        matches!(self, Self::Static(_))
    }
}

impl Plain for FieldExpr {
    fn is_plain(&self) -> bool {
        matches!(self, Self::Static(_) | Self::Attribute(_))
    }
}

impl Plain for MetricsExpr {
    fn is_plain(&self) -> bool {
        matches!(self, Self::Number(_))
    }
}

impl<T: Plain + Display> Display for Operand<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.is_plain() {
            true => write!(f, "{}", self.0),
            false => write!(f, "({})", self.0),
        }
    }
}

impl Display for FieldExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(value) => write!(f, "{value}"),
            Self::Attribute(attribute) => write!(f, "{attribute}"),
            Self::Not(inner) => write!(f, "!{}", Operand(&**inner)),
            Self::Negate(inner) => write!(f, "-{}", Operand(&**inner)),
            // A sign takes a whole product: a negative number that is a factor would be read as another query.
            Self::Binary { op, left, right } if op.binds_factors() && left.is_negative() => {
                write!(f, "({left}) {op} {}", Operand(&**right))
            }
            Self::Binary { op, left, right } => write!(f, "{} {op} {}", Operand(&**left), Operand(&**right)),
            Self::AnyOf { regex, negated, of, values } => {
                let op = match (regex, negated) {
                    (false, false) => "IN",
                    (false, true) => "NOT IN",
                    (true, false) => "MATCH ANY",
                    (true, true) => "MATCH NONE",
                };
                write!(f, "{} {op} [", Operand(&**of))?;
                joined(f, values, ", ")?;
                f.write_char(']')
            }
        }
    }
}

impl FieldExpr {
    fn is_negative(&self) -> bool {
        matches!(self, Self::Static(value) if value.as_number().is_some_and(f64::is_sign_negative))
    }
}

impl FieldOp {
    fn binds_factors(self) -> bool {
        matches!(self, Self::Multiply | Self::Divide | Self::Modulo | Self::Power)
    }
}

impl Display for FieldOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "^",
        })
    }
}

impl Display for Attribute {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (scope, parent, name) = match self {
            Self::Intrinsic(intrinsic) => return f.write_str(intrinsic.name()),
            Self::Key { scope, parent, name } => (scope, parent, name),
        };
        if *parent {
            f.write_str("parent.")?;
        }
        match scope {
            Scope::Any if *parent => {}
            Scope::Any => f.write_char('.')?,
            scope => write!(f, "{}.", scope.name())?,
        }
        // A digit after a point begins a number, and a scope after `parent.` is one.
        let looks_else =
            name.starts_with(|c: char| c.is_ascii_digit()) || *parent && (name.starts_with("resource.") || name.starts_with("span."));
        match looks_else || name.contains(|c| ends_name(c) || matches!(c, '"' | '\\')) {
            true => write!(f, "\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
            false => f.write_str(name),
        }
    }
}

impl Display for Value<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => {
                let text = float(*value);
                f.write_str(&text)?;
                // Else it would read as a whole number.
                if text.contains(['e', '.']) { Ok(()) } else { f.write_str(".0") }
            }
            Self::Text(text) if text.contains('`') => write!(f, "\"{}\"", Escaped(text)),
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Duration(nanos) => f.write_str(&go_duration(*nanos)),
            Self::Status(status) => f.write_str(status.name()),
            Self::Kind(kind) => f.write_str(kind.name()),
            Self::List(values) => {
                f.write_char('[')?;
                joined(f, values, ", ")?;
                f.write_char(']')
            }
        }
    }
}

struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The shortest text, with an exponent below 1e-4 and from 1e6, as Go's `%g` has it.
pub(super) fn float(value: f64) -> String {
    // `-0` would be read as the whole number, which has no sign.
    if value == 0.0 && value.is_sign_negative() {
        return "-0.0".to_owned();
    }
    if value == 0.0 || !value.is_finite() || (1e-4..1e6).contains(&value.abs()) {
        return value.to_string();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

/// As Go writes it: `1h0m0s`, `1.5s`, `250ms`.
fn go_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    const SECOND: u64 = 1_000_000_000;
    let fraction = |of: u64| {
        let text = format!("{:.9}", (size % of) as f64 / of as f64);
        text.trim_start_matches('0').trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match size {
        0 => "0s".to_owned(),
        1..1_000 => print_duration(nanos),
        1_000..1_000_000 => format!("{sign}{}{}µs", size / 1_000, fraction(1_000)),
        1_000_000..SECOND => format!("{sign}{}{}ms", size / 1_000_000, fraction(1_000_000)),
        _ => {
            let (hours, minutes) = (size / (3600 * SECOND), size / (60 * SECOND) % 60);
            let seconds = format!("{}{}s", size / SECOND % 60, fraction(SECOND));
            match (hours, minutes) {
                (0, 0) => format!("{sign}{seconds}"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

impl Display for MetricsExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query { spans, function } => write!(f, "{spans} | {function}"),
            Self::Number(value) => f.write_str(&float(*value)),
            Self::Math { op, left, right } => write!(f, "{} {op} {}", Operand(&**left), Operand(&**right)),
            Self::Top { largest, count, of } => write!(f, "{of} | {}({count})", if *largest { "topk" } else { "bottomk" }),
            Self::Filter { op, value, of } => write!(f, "{of} {op} {}", float(*value)),
        }
    }
}

impl Display for MetricsFunction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.name())?;
        if let Some(of) = &self.of {
            write!(f, "{of}")?;
        }
        for quantile in &self.quantiles {
            let short = format!("{quantile:.5}");
            match short.parse() == Ok(*quantile) {
                true => write!(f, ",{short}")?,
                false => write!(f, ",{quantile}")?,
            }
        }
        if let Some(compare) = &self.compare {
            write!(f, "{{ {} }}", compare.selection)?;
            if let Some(top) = compare.top {
                write!(f, ",{top}")?;
            }
            if let Some((start, end)) = compare.time {
                write!(f, ",{start},{end}")?;
            }
        }
        f.write_char(')')?;
        if !self.by.is_empty() {
            f.write_str("by(")?;
            joined(f, &self.by, ",")?;
            f.write_char(')')?;
        }
        Ok(())
    }
}
