//! The rules beyond grammar: what parses and still means nothing is refused here, and told apart from what nobody answers yet.

use std::fmt;

use super::ast::*;
use super::value::Value;
use crate::REGEXES_MAX;
use crate::error::ParseError;

/// Why a query is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckError {
    Parse(ParseError),
    /// It means nothing.
    Invalid(String),
    /// It could mean something, here as in Tempo it does not yet.
    Unsupported(String),
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(error) => write!(f, "{error}"),
            Self::Invalid(what) => f.write_str(what),
            Self::Unsupported(what) => write!(f, "{what} is not supported"),
        }
    }
}

impl std::error::Error for CheckError {}

type Checked<T> = Result<T, CheckError>;

fn invalid<T>(what: impl Into<String>) -> Checked<T> {
    Err(CheckError::Invalid(what.into()))
}

fn unsupported<T>(what: impl fmt::Display) -> Checked<T> {
    Err(CheckError::Unsupported(what.to_string()))
}

/// What a piece comes to, as far as the query says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Type {
    Nil,
    /// Only the span knows.
    Unknown,
    Bool,
    Int,
    Float,
    Text,
    Duration,
    Status,
    Kind,
}

impl Type {
    fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Duration)
    }

    /// Whether the two can stand at the sides of one operator.
    fn fits(self, other: Self) -> bool {
        let open = |kind| matches!(kind, Self::Nil | Self::Unknown);
        self == other || open(self) || open(other) || self.is_number() && other.is_number()
    }

    /// Whether the operator knows such values.
    fn allows(self, op: FieldOp) -> bool {
        use FieldOp::*;
        match self {
            Self::Unknown => true,
            Self::Nil => matches!(op, Equal | NotEqual),
            Self::Bool => matches!(op, Equal | NotEqual | And | Or),
            Self::Text => op.is_comparison() || matches!(op, Regex | NotRegex),
            Self::Status | Self::Kind => matches!(op, Equal | NotEqual),
            Self::Int | Self::Float | Self::Duration => op.is_comparison() || op.is_arithmetic(),
        }
    }
}

impl Type {
    fn of_value(value: &Value<'_>) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(_) => Self::Bool,
            Value::Int(_) => Self::Int,
            Value::Float(_) => Self::Float,
            Value::Text(_) => Self::Text,
            Value::Duration(_) => Self::Duration,
            Value::Status(_) => Self::Status,
            Value::Kind(_) => Self::Kind,
            Value::List(_) => Self::Unknown,
        }
    }

    fn of_intrinsic(intrinsic: Intrinsic) -> Self {
        use Intrinsic::*;
        match intrinsic {
            Duration | TraceDuration | EventTimeSinceStart => Self::Duration,
            Status => Self::Status,
            Kind => Self::Kind,
            ChildCount | NestedSetLeft | NestedSetRight | NestedSetParent => Self::Int,
            Parent => Self::Nil,
            Name | StatusMessage | SpanId | ParentId | TraceId | RootName | RootService | EventName | LinkTraceId | LinkSpanId
            | ScopeName | ScopeVersion => Self::Text,
        }
    }
}

/// Says why the query cannot be answered.
pub fn check(query: &Query) -> Checked<()> {
    let mut check = Check { regexes: 0 };
    match &query.root {
        Root::Spans(pipeline) => check.pipeline(pipeline),
        Root::Metrics(metrics) => check.metrics(metrics),
    }
}

struct Check {
    regexes: usize,
}

impl Check {
    fn pipeline(&mut self, pipeline: &Pipeline) -> Checked<()> {
        pipeline.stages.iter().try_for_each(|stage| match stage {
            Stage::Spans(spans) => self.spans(spans),
            Stage::Scalar(filter) => self.scalar_filter(filter),
            Stage::By(field) => {
                self.field(field)?;
                match refers(field) {
                    true => Ok(()),
                    false => invalid(format!("cannot group by what no span has: {stage}")),
                }
            }
            Stage::Coalesce => Ok(()),
            Stage::Select(selected) => selected.iter().try_for_each(attribute),
            Stage::Aggregate(aggregate) => self.aggregate(aggregate),
        })
    }

    fn spans(&mut self, spans: &SpansetExpr) -> Checked<()> {
        match spans {
            SpansetExpr::Filter(field) => self.filter(field),
            SpansetExpr::Operation { left, right, .. } => {
                self.spans(left)?;
                self.spans(right)
            }
            SpansetExpr::Pipeline(pipeline) => self.pipeline(pipeline),
        }
    }

    fn filter(&mut self, field: &FieldExpr) -> Checked<()> {
        match self.field(field)? {
            Type::Unknown | Type::Bool => Ok(()),
            _ => invalid(format!("cannot filter spans by what is neither true nor false: {{ {field} }}")),
        }
    }

    fn scalar_filter(&mut self, filter: &ScalarFilter) -> Checked<()> {
        let (left, right) = (self.scalar(&filter.left)?, self.scalar(&filter.right)?);
        sides(filter.op, left, right, filter)?;
        match (&filter.left, &filter.right) {
            (ScalarExpr::Aggregate(_), ScalarExpr::Static(_)) => Ok(()),
            _ => unsupported(format!("comparing other than one aggregate with one number ({filter})")),
        }
    }

    fn scalar(&mut self, scalar: &ScalarExpr) -> Checked<Type> {
        match scalar {
            ScalarExpr::Static(value) => Ok(Type::of_value(value)),
            ScalarExpr::Aggregate(aggregate) => {
                self.aggregate(aggregate)?;
                match &aggregate.of {
                    None => Ok(Type::Int),
                    Some(of) => self.field(of),
                }
            }
            ScalarExpr::Operation { op, left, right } => {
                let (left, right) = (self.scalar(left)?, self.scalar(right)?);
                sides(*op, left, right, scalar)?;
                Ok(if left == Type::Unknown { right } else { left })
            }
            ScalarExpr::Pipeline(pipeline) => {
                self.pipeline(pipeline)?;
                Ok(Type::Unknown)
            }
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Checked<()> {
        let Some(of) = &aggregate.of else { return Ok(()) };
        let kind = self.field(of)?;
        if kind != Type::Unknown && !kind.is_number() {
            return invalid(format!("cannot aggregate what is no number: {aggregate}"));
        }
        match refers(of) {
            true => Ok(()),
            false => invalid(format!("cannot aggregate what no span has: {aggregate}")),
        }
    }

    fn field(&mut self, field: &FieldExpr) -> Checked<Type> {
        match field {
            FieldExpr::Static(value) => Ok(Type::of_value(value)),
            FieldExpr::Attribute(found) => {
                attribute(found)?;
                Ok(match found {
                    Attribute::Intrinsic(intrinsic) => Type::of_intrinsic(*intrinsic),
                    Attribute::Key { .. } => Type::Unknown,
                })
            }
            FieldExpr::Not(inner) => match self.field(inner)? {
                kind @ (Type::Unknown | Type::Bool) => Ok(kind),
                _ => invalid(format!("cannot take the opposite of what is neither true nor false: {field}")),
            },
            FieldExpr::Negate(inner) => match self.field(inner)? {
                kind if kind == Type::Unknown || kind.is_number() => Ok(kind),
                _ => invalid(format!("cannot negate what is no number: {field}")),
            },
            FieldExpr::Binary { op, left, right } => self.binary(field, *op, left, right),
            FieldExpr::AnyOf { regex, of, values, .. } => {
                let kind = self.field(of)?;
                let op = if *regex { FieldOp::Regex } else { FieldOp::Equal };
                for value in values {
                    sides(op, kind, Type::of_value(value), field)?;
                    self.regex(op, value, field)?;
                }
                Ok(Type::Bool)
            }
        }
    }

    fn binary(&mut self, field: &FieldExpr, op: FieldOp, left: &FieldExpr, right: &FieldExpr) -> Checked<Type> {
        let (left_kind, right_kind) = (self.field(left)?, self.field(right)?);
        sides(op, left_kind, right_kind, field)?;
        if let FieldExpr::Static(value) = right {
            self.regex(op, value, field)?;
        }
        if let (FieldOp::Equal, FieldExpr::Attribute(attribute), FieldExpr::Static(Value::Nil)) = (op, left, right)
            && always_there(attribute)
        {
            return invalid(format!("cannot find spans without what every span has: {field}"));
        }
        Ok(match op.is_arithmetic() {
            false => Type::Bool,
            true if left_kind == Type::Unknown => right_kind,
            true => left_kind,
        })
    }

    fn regex(&mut self, op: FieldOp, value: &Value<'_>, place: &FieldExpr) -> Checked<()> {
        let (FieldOp::Regex | FieldOp::NotRegex, Value::Text(text)) = (op, value) else { return Ok(()) };
        self.regexes += 1;
        if self.regexes > REGEXES_MAX {
            return invalid(format!("the query has more than {REGEXES_MAX} regular expressions"));
        }
        match crate::whole(text) {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = error.to_string();
                let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                invalid(format!("cannot read the regular expression of {place}: {last}"))
            }
        }
    }

    fn metrics(&mut self, metrics: &MetricsExpr) -> Checked<()> {
        match metrics {
            MetricsExpr::Query { spans, function } => {
                self.pipeline(spans)?;
                self.function(function)
            }
            MetricsExpr::Number(_) => Ok(()),
            MetricsExpr::Math { left, right, .. } => {
                self.metrics(left)?;
                self.metrics(right)?;
                not_of_compare(metrics)
            }
            MetricsExpr::Top { count, of, .. } => {
                self.metrics(of)?;
                match count {
                    0 => invalid(format!("cannot tell the first 0 series, it must be 1 or more: {metrics}")),
                    _ => not_of_compare(metrics),
                }
            }
            MetricsExpr::Filter { of, .. } => {
                self.metrics(of)?;
                not_of_compare(metrics)
            }
        }
    }

    fn function(&mut self, function: &MetricsFunction) -> Checked<()> {
        function.by.iter().chain(&function.of).try_for_each(attribute)?;
        if let Some(Attribute::Intrinsic(intrinsic)) = &function.of
            && !Type::of_intrinsic(*intrinsic).is_number()
        {
            return invalid(format!("cannot compute {function}: {} is no number", intrinsic.name()));
        }
        if function.quantiles.iter().any(|quantile| !(0.0..=1.0).contains(quantile)) {
            return invalid(format!("cannot compute {function}: a quantile is from 0 to 1"));
        }
        match &function.compare {
            Some(compare) => self.filter(&compare.selection),
            None => Ok(()),
        }
    }
}

fn not_of_compare(metrics: &MetricsExpr) -> Checked<()> {
    fn compares(metrics: &MetricsExpr) -> bool {
        match metrics {
            MetricsExpr::Query { function, .. } => function.op == MetricsOp::Compare,
            MetricsExpr::Number(_) => false,
            MetricsExpr::Math { left, right, .. } => compares(left) || compares(right),
            MetricsExpr::Top { of, .. } | MetricsExpr::Filter { of, .. } => compares(of),
        }
    }
    match compares(metrics) {
        true => invalid(format!("cannot go on with what compare() tells: {metrics}")),
        false => Ok(()),
    }
}

fn sides(op: FieldOp, left: Type, right: Type, place: &dyn fmt::Display) -> Checked<()> {
    if !left.fits(right) {
        return invalid(format!("cannot join values of two types with {op}: {place}"));
    }
    match left.allows(op) && right.allows(op) {
        true => Ok(()),
        false => invalid(format!("cannot use {op} on such values: {place}")),
    }
}

fn attribute(attribute: &Attribute) -> Checked<()> {
    match attribute {
        Attribute::Key { parent: true, .. } | Attribute::Intrinsic(Intrinsic::Parent) => {
            unsupported(format!("a span's parent as a value ({attribute})"))
        }
        _ => Ok(()),
    }
}

fn always_there(attribute: &Attribute) -> bool {
    match attribute {
        Attribute::Intrinsic(_) => true,
        Attribute::Key { scope, parent, name } => *scope == Scope::Resource && !parent && name == "service.name",
    }
}

/// Whether the span has a say in it.
fn refers(field: &FieldExpr) -> bool {
    let mut attributes = Vec::new();
    field.attributes(&mut attributes);
    !attributes.is_empty()
}
