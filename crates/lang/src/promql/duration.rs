use super::ast::{BinaryOp, DurationExpr};
use super::error::Failure;
use super::lex::Token;
use super::parse::Parser;

const EXPECTED: &str = "number, duration, step(), or range()";

impl Parser<'_> {
    /// A duration expression in brackets: operators need no parentheses there.
    pub(super) fn duration(&mut self, context: &str) -> Result<DurationExpr, Failure> {
        self.duration_above(context, 0)
    }

    /// After `offset`: one signed operand; what follows belongs to the query again.
    pub(super) fn offset_duration(&mut self) -> Result<DurationExpr, Failure> {
        let start = self.span().start;
        let offset = self.signed_duration("offset", u8::MAX)?;
        match offset.literal_seconds() {
            Some(seconds) if seconds.abs() >= i64::MAX as f64 / 1e9 => Err(Failure::at(start, "duration out of range")),
            _ => Ok(offset),
        }
    }

    fn duration_above(&mut self, context: &str, least: u8) -> Result<DurationExpr, Failure> {
        self.nested(|parser| {
            let begin = parser.span().start;
            let mut lhs = parser.signed_duration(context, BinaryOp::Pow.precedence())?;
            while let Some(op) = parser.peek_operator().filter(|op| op.precedence() >= least) {
                if !matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Pow) {
                    break;
                }
                let at = parser.span().start;
                parser.experimental(begin)?;
                parser.operator()?;
                parser.advance();
                let rhs = parser.duration_above(context, op.precedence() + u8::from(op != BinaryOp::Pow))?;
                match (op, rhs.literal_seconds()) {
                    (BinaryOp::Div, Some(0.0)) => return Err(Failure::at(at, "division by zero")),
                    (BinaryOp::Mod, Some(0.0)) => return Err(Failure::at(at, "modulo by zero")),
                    _ => lhs = DurationExpr::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs) },
                }
            }
            Ok(lhs)
        })
    }

    /// A sign binds less tightly than a power; after `offset` (`least` past every operator) it takes one operand.
    fn signed_duration(&mut self, context: &str, least: u8) -> Result<DurationExpr, Failure> {
        let negative = self.peek().is_sign("-");
        if !negative && !self.peek().is_sign("+") {
            return self.duration_operand(context);
        }
        self.advance();
        let operand = match least {
            u8::MAX => self.duration_operand(context)?,
            least => self.duration_above(context, least)?,
        };
        Ok(match (negative, operand) {
            (false, operand) => operand,
            (true, DurationExpr::Literal { seconds, is_number }) => DurationExpr::Literal { seconds: -seconds, is_number },
            (true, operand) => DurationExpr::Negate(Box::new(operand)),
        })
    }

    /// Refuses what is more than one literal where that is not switched on.
    fn experimental(&self, at: usize) -> Result<(), Failure> {
        match self.features.duration_expressions {
            true => Ok(()),
            false => Err(Failure::at(at, "experimental duration expression is not enabled")),
        }
    }

    fn duration_operand(&mut self, context: &str) -> Result<DurationExpr, Failure> {
        let start = self.span().start;
        match self.peek().clone() {
            Token::Number(seconds) => {
                self.advance();
                Ok(DurationExpr::Literal { seconds, is_number: true })
            }
            Token::Duration(seconds) => {
                self.advance();
                Ok(DurationExpr::Literal { seconds, is_number: false })
            }
            Token::Sign("(") => {
                self.advance();
                let inner = self.duration_above(context, 0)?;
                self.expect_sign(")", context)?;
                self.experimental(start)?;
                // Parentheses within parentheses say nothing more.
                Ok(if matches!(inner, DurationExpr::Paren(_)) { inner } else { DurationExpr::Paren(Box::new(inner)) })
            }
            Token::Name(name) => self.duration_call(&name.to_ascii_lowercase(), context),
            _ => Err(self.unexpected(context, EXPECTED)),
        }
    }

    fn duration_call(&mut self, name: &str, context: &str) -> Result<DurationExpr, Failure> {
        if !["step", "range", "min_of", "max_of"].contains(&name) {
            return Err(self.unexpected(context, EXPECTED));
        }
        self.experimental(self.span().start)?;
        self.advance();
        if !self.take_sign("(") {
            return Err(self.unexpected(context, EXPECTED));
        }
        let call = match name {
            "step" => DurationExpr::Step,
            "range" => DurationExpr::Range,
            _ => {
                let first = Box::new(self.duration_above(context, 0)?);
                self.expect_sign(",", context)?;
                let second = Box::new(self.duration_above(context, 0)?);
                if name == "min_of" { DurationExpr::MinOf(first, second) } else { DurationExpr::MaxOf(first, second) }
            }
        };
        self.expect_sign(")", context)?;
        Ok(call)
    }
}

impl DurationExpr {
    fn literal_seconds(&self) -> Option<f64> {
        match self {
            Self::Literal { seconds, .. } => Some(*seconds),
            Self::Paren(inner) => inner.literal_seconds(),
            _ => None,
        }
    }

    /// Seconds, given the query's step and the length of its range; the reason when there is no such duration.
    pub fn seconds(&self, step: f64, range: f64) -> Result<f64, &'static str> {
        let of = |expr: &Self| expr.seconds(step, range);
        let seconds = match self {
            Self::Literal { seconds, .. } => *seconds,
            Self::Step => step,
            Self::Range => range,
            Self::Negate(inner) => -of(inner)?,
            Self::Paren(inner) => of(inner)?,
            Self::MinOf(first, second) => of(first)?.min(of(second)?),
            Self::MaxOf(first, second) => of(first)?.max(of(second)?),
            Self::Binary { op, lhs, rhs } => {
                let (lhs, rhs) = (of(lhs)?, of(rhs)?);
                match op {
                    BinaryOp::Add => lhs + rhs,
                    BinaryOp::Sub => lhs - rhs,
                    BinaryOp::Mul => lhs * rhs,
                    BinaryOp::Div if rhs == 0.0 => return Err("division by zero"),
                    BinaryOp::Div => lhs / rhs,
                    BinaryOp::Mod if rhs == 0.0 => return Err("modulo by zero"),
                    BinaryOp::Mod => lhs % rhs,
                    _ => lhs.powf(rhs),
                }
            }
        };
        match seconds.abs() < i64::MAX as f64 / 1e9 {
            true => Ok(seconds),
            false => Err("duration out of range"),
        }
    }
}
