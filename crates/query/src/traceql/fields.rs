//! What is asked of one span, compiled: attributes are slots, regular expressions are ready.

use lang::traceql::{Attribute, FieldExpr, FieldOp, Intrinsic, Value};
use model::{AnchoredRegex, Error, Result};

/// The values of one span.
pub trait Fields {
    /// Of the attribute that has this slot; [`Value::Nil`] when the span has none.
    fn value(&self, slot: usize) -> Value<'_>;
}

/// The attributes that a query looks at, each once.
#[derive(Clone, Debug, Default)]
pub struct Slots(Vec<Attribute>);

impl Slots {
    pub fn slot(&mut self, attribute: &Attribute) -> usize {
        self.0.iter().position(|other| other == attribute).unwrap_or_else(|| {
            self.0.push(attribute.clone());
            self.0.len() - 1
        })
    }

    pub fn attributes(&self) -> &[Attribute] {
        &self.0
    }
}

#[derive(Clone)]
pub(crate) enum Field {
    Constant(Value<'static>),
    Slot(usize),
    Not(Box<Field>),
    Negate(Box<Field>),
    Both(Box<Field>, Box<Field>),
    Either(Box<Field>, Box<Field>),
    Compare(FieldOp, Box<Field>, Box<Field>),
    Compute(FieldOp, Box<Field>, Box<Field>),
    /// Whether there is such a value.
    Exists(Box<Field>, bool),
    OneOf {
        negated: bool,
        of: Box<Field>,
        values: Vec<Value<'static>>,
    },
    Matches {
        negated: bool,
        of: Box<Field>,
        patterns: Vec<AnchoredRegex>,
    },
    /// Each span has a regular expression of its own.
    Resembles {
        negated: bool,
        of: Box<Field>,
        pattern: Box<Field>,
    },
}

impl Field {
    pub(crate) fn new(expr: &FieldExpr, slots: &mut Slots) -> Result<Self> {
        let mut boxed = |expr: &FieldExpr| Ok::<_, Error>(Box::new(Self::new(expr, slots)?));
        Ok(match expr {
            FieldExpr::Static(value) => Self::Constant(value.clone()),
            FieldExpr::Attribute(attribute) => Self::Slot(slots.slot(attribute)),
            FieldExpr::Not(inner) => Self::Not(boxed(inner)?),
            FieldExpr::Negate(inner) => Self::Negate(boxed(inner)?),
            FieldExpr::Binary { op: FieldOp::And, left, right } => Self::Both(boxed(left)?, boxed(right)?),
            FieldExpr::Binary { op: FieldOp::Or, left, right } => Self::Either(boxed(left)?, boxed(right)?),
            FieldExpr::Binary { op, left, right } => match (op, &**left, &**right) {
                (FieldOp::Equal | FieldOp::NotEqual, FieldExpr::Attribute(_), FieldExpr::Static(Value::Nil)) => {
                    Self::Exists(boxed(left)?, *op == FieldOp::NotEqual)
                }
                (FieldOp::Regex | FieldOp::NotRegex, _, right) => {
                    let negated = *op == FieldOp::NotRegex;
                    let of = boxed(left)?;
                    match right {
                        FieldExpr::Static(Value::Text(text)) => Self::Matches { negated, of, patterns: vec![pattern(text)?] },
                        right => Self::Resembles { negated, of, pattern: boxed(right)? },
                    }
                }
                (op, left, right) if op.is_arithmetic() => Self::Compute(*op, boxed(left)?, boxed(right)?),
                (op, FieldExpr::Attribute(attribute), FieldExpr::Static(value)) => {
                    Self::Compare(*op, boxed(left)?, Box::new(Self::Constant(as_id(attribute, value))))
                }
                (op, FieldExpr::Static(value), FieldExpr::Attribute(attribute)) => {
                    Self::Compare(*op, Box::new(Self::Constant(as_id(attribute, value))), boxed(right)?)
                }
                (op, left, right) => Self::Compare(*op, boxed(left)?, boxed(right)?),
            },
            FieldExpr::AnyOf { regex: false, negated, of, values } => {
                let values = match &**of {
                    FieldExpr::Attribute(attribute) => values.iter().map(|value| as_id(attribute, value)).collect(),
                    _ => values.clone(),
                };
                Self::OneOf { negated: *negated, of: boxed(of)?, values }
            }
            FieldExpr::AnyOf { regex: true, negated, of, values } => {
                let texts = values.iter().filter_map(|value| if let Value::Text(text) = value { Some(text) } else { None });
                let patterns = texts.map(|text| pattern(text)).collect::<Result<_>>()?;
                Self::Matches { negated: *negated, of: boxed(of)?, patterns }
            }
        })
    }

    pub(crate) fn passes(&self, span: &impl Fields) -> bool {
        match self {
            Self::Constant(value) => value.is_true(),
            Self::Both(left, right) => left.passes(span) && right.passes(span),
            Self::Either(left, right) => left.passes(span) || right.passes(span),
            Self::Compare(op, left, right) => left.value(span).compares(*op, &right.value(span)),
            Self::Exists(of, wanted) => (of.value(span) != Value::Nil) == *wanted,
            Self::OneOf { negated: false, of, values } => {
                let found = of.value(span);
                values.iter().any(|value| found.compares(FieldOp::Equal, value))
            }
            Self::OneOf { negated: true, of, values } => {
                let found = of.value(span);
                values.iter().all(|value| found.compares(FieldOp::NotEqual, value))
            }
            Self::Matches { negated, of, patterns } => of.value(span).each_passes(*negated, &mut |value| match value {
                Value::Text(text) => patterns.iter().any(|pattern| pattern.is_match(text)) != *negated,
                _ => false,
            }),
            Self::Resembles { negated, of, pattern } => {
                let Value::Text(text) = pattern.value(span) else { return false };
                let Ok(pattern) = lang::whole(&text) else { return false };
                of.value(span).each_passes(*negated, &mut |value| match value {
                    Value::Text(text) => pattern.is_match(text) != *negated,
                    _ => false,
                })
            }
            Self::Slot(_) | Self::Not(_) | Self::Negate(_) | Self::Compute(..) => self.value(span).is_true(),
        }
    }

    pub(crate) fn value<'a>(&'a self, span: &'a impl Fields) -> Value<'a> {
        match self {
            Self::Constant(value) => borrowed(value),
            Self::Slot(slot) => span.value(*slot),
            // What is neither true nor false has no opposite.
            Self::Not(inner) => match inner.value(span) {
                Value::Bool(value) => Value::Bool(!value),
                _ => Value::Nil,
            },
            Self::Negate(inner) => inner.value(span).negated(),
            Self::Compute(op, left, right) => left.value(span).computes(*op, &right.value(span)),
            test => Value::Bool(test.passes(span)),
        }
    }
}

pub(crate) fn borrowed<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value {
        Value::Text(text) => Value::text(text.as_ref()),
        Value::List(values) => Value::List(values.iter().map(borrowed).collect()),
        other => other.clone(),
    }
}

fn pattern(text: &str) -> Result<AnchoredRegex> {
    lang::whole(text).map_err(|error| Error::invalid(format!("cannot read the regular expression {text:?}")).because(error))
}

/// Ids are stored with all their digits; people leave out zeros before them.
fn as_id(attribute: &Attribute, value: &Value<'static>) -> Value<'static> {
    let digits = match attribute {
        Attribute::Intrinsic(Intrinsic::TraceId | Intrinsic::LinkTraceId) => 32,
        Attribute::Intrinsic(Intrinsic::SpanId | Intrinsic::ParentId | Intrinsic::LinkSpanId) => 16,
        _ => return value.clone(),
    };
    match value {
        Value::Text(text) if !text.is_empty() && text.len() <= digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Value::text(format!("{:0>digits$}", text.to_ascii_lowercase()))
        }
        value => value.clone(),
    }
}
