//! Values of spans and of queries, and how they compare.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::ast::FieldOp;

#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// There is none.
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    /// In nanoseconds.
    Duration(i64),
    Status(Status),
    Kind(Kind),
    /// An array, or what several events or links have: one of them passes a comparison, or all of them one that is negated.
    List(Vec<Value<'a>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    Error,
    Ok,
    Unset,
}

impl Status {
    pub const ALL: [Self; 3] = [Self::Error, Self::Ok, Self::Unset];

    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Ok => "ok",
            Self::Unset => "unset",
        }
    }

    /// What is no status counts as none set.
    pub fn of_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|status| status.name() == name).unwrap_or(Self::Unset)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Unspecified,
    Internal,
    Client,
    Server,
    Producer,
    Consumer,
}

impl Kind {
    pub const ALL: [Self; 6] = [Self::Unspecified, Self::Internal, Self::Client, Self::Server, Self::Producer, Self::Consumer];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Client => "client",
            Self::Server => "server",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }

    /// What is no kind counts as none.
    pub fn of_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or(Self::Unspecified)
    }
}

impl<'a> Value<'a> {
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// The same without borrowing from anything.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Float(value) => Value::Float(value),
            Self::Text(value) => Value::Text(Cow::Owned(value.into_owned())),
            Self::Duration(value) => Value::Duration(value),
            Self::Status(value) => Value::Status(value),
            Self::Kind(value) => Value::Kind(value),
            Self::List(values) => Value::List(values.into_iter().map(Value::into_owned).collect()),
        }
    }

    /// A number of any kind; a duration in nanoseconds.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(value) | Self::Duration(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    pub fn is_true(&self) -> bool {
        *self == Self::Bool(true)
    }

    /// Whether the two compare so. Values of different kinds never do, nor does what is not there; numbers of all kinds are one kind.
    pub fn compares(&self, op: FieldOp, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::List(values), other) => of_several(op, values, |value| value.compares(op, other)),
            (value, Value::List(others)) => of_several(op, others, |other| value.compares(op, other)),
            _ => self.order(other, op).is_some_and(|order| holds(op, order)),
        }
    }

    /// None where the values cannot be compared by `op`.
    fn order(&self, other: &Value<'_>, op: FieldOp) -> Option<Ordering> {
        let equality = matches!(op, FieldOp::Equal | FieldOp::NotEqual);
        match (self, other) {
            (Self::Int(left) | Self::Duration(left), Value::Int(right) | Value::Duration(right)) => Some(left.cmp(right)),
            (Self::Text(left), Value::Text(right)) => Some(left.as_ref().cmp(right.as_ref())),
            (Self::Bool(left), Value::Bool(right)) if equality => Some(left.cmp(right)),
            (Self::Status(left), Value::Status(right)) if equality => Some(left.cmp(right)),
            (Self::Kind(left), Value::Kind(right)) if equality => Some(left.cmp(right)),
            _ => {
                let (left, right) = (self.as_number()?, other.as_number()?);
                // A number that is none differs from all.
                left.partial_cmp(&right).or(if op == FieldOp::NotEqual { Some(Ordering::Less) } else { None })
            }
        }
    }

    /// Whether one of several passes, or all of them where the test is negated; a single value must itself.
    pub fn each_passes(&self, negated: bool, passes: &mut dyn FnMut(&Value<'_>) -> bool) -> bool {
        match self {
            Self::List(values) if negated => values.iter().all(passes),
            Self::List(values) => values.iter().any(passes),
            value => passes(value),
        }
    }

    /// What the two come to: whole numbers where both are such, else numbers; nothing where one is no number.
    pub fn computes(&self, op: FieldOp, other: &Value<'_>) -> Value<'static> {
        match (self, other) {
            (Self::Int(left), Value::Int(right)) => whole(op, *left, *right),
            (Self::Duration(left), Value::Duration(right)) if matches!(op, FieldOp::Add | FieldOp::Subtract) => {
                match whole(op, *left, *right) {
                    Value::Int(sum) => Value::Duration(sum.max(-i64::MAX)),
                    sum => sum,
                }
            }
            _ => match (self.as_number(), other.as_number()) {
                (Some(left), Some(right)) => Value::Float(number(op, left, right)),
                _ => Value::Nil,
            },
        }
    }

    pub fn negated(&self) -> Value<'static> {
        match self {
            Self::Int(value) => Value::Int(value.wrapping_neg()),
            Self::Duration(value) => Value::Duration(value.saturating_neg()),
            Self::Float(value) => Value::Float(-value),
            _ => Value::Nil,
        }
    }
}

/// A comparison with one of several: one must pass, or all where it is negated.
fn of_several<T>(op: FieldOp, values: &[T], passes: impl FnMut(&T) -> bool) -> bool {
    match op {
        FieldOp::NotEqual | FieldOp::NotRegex => values.iter().all(passes),
        _ => values.iter().any(passes),
    }
}

fn holds(op: FieldOp, order: Ordering) -> bool {
    match op {
        FieldOp::Equal => order.is_eq(),
        FieldOp::NotEqual => order.is_ne(),
        FieldOp::Greater => order.is_gt(),
        FieldOp::GreaterEqual => order.is_ge(),
        FieldOp::Less => order.is_lt(),
        FieldOp::LessEqual => order.is_le(),
        _ => false,
    }
}

/// What is too large for a whole number becomes another; a division by nothing gives nothing.
fn whole(op: FieldOp, left: i64, right: i64) -> Value<'static> {
    let exact = match op {
        FieldOp::Add => left.checked_add(right),
        FieldOp::Subtract => left.checked_sub(right),
        FieldOp::Multiply => left.checked_mul(right),
        FieldOp::Divide | FieldOp::Modulo if right == 0 => return Value::Nil,
        FieldOp::Divide => left.checked_div(right),
        FieldOp::Modulo => left.checked_rem(right),
        FieldOp::Power => u32::try_from(right).ok().and_then(|power| left.checked_pow(power)),
        _ => return Value::Nil,
    };
    exact.map_or_else(|| Value::Float(number(op, left as f64, right as f64)), Value::Int)
}

pub(super) fn number(op: FieldOp, left: f64, right: f64) -> f64 {
    match op {
        FieldOp::Add => left + right,
        FieldOp::Subtract => left - right,
        FieldOp::Multiply => left * right,
        FieldOp::Divide => left / right,
        FieldOp::Modulo => left % right,
        FieldOp::Power => left.powf(right),
        _ => f64::NAN,
    }
}
