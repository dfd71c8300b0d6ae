//! What is asked of one span: everything between braces.

use super::ast::*;
use super::lex::Token;
use super::parse::{OPERATORS, PRODUCT, Parser, binds};
use super::value::{Kind, Status, Value};
use crate::parser::Parsed;

/// Values of one `IN [...]`.
pub(super) const VALUES_MAX: usize = 1000;

impl Parser<'_> {
    pub(super) fn field(&mut self, level: u8) -> Parsed<FieldExpr> {
        let mut left = self.nested(Self::field_operand)?;
        loop {
            if let Some(any) = self.any_of(&left, level)? {
                left = any;
                continue;
            }
            let Token::Symbol(symbol) = *self.peek() else { return Ok(left) };
            let Some(&(_, op)) = OPERATORS.iter().find(|(other, _)| *other == symbol) else { return Ok(left) };
            let Some(binds) = binds(symbol).filter(|binds| *binds >= level) else { return Ok(left) };
            self.operator()?;
            self.next();
            // Only `^` groups to the right.
            let right_level = if op == FieldOp::Power { binds } else { binds + 1 };
            let right = self.nested(|parser| parser.field(right_level))?;
            left = FieldExpr::Binary { op, left: Box::new(left), right: Box::new(right) };
        }
    }

    /// `IN [...]`, `NOT IN [...]`, `MATCH ANY [...]`, `MATCH NONE [...]`: what several comparisons of one attribute print as.
    fn any_of(&mut self, of: &FieldExpr, level: u8) -> Parsed<Option<FieldExpr>> {
        /// Like a comparison.
        const BINDS: u8 = 2;
        let (regex, negated) = match self.peek() {
            Token::Word(word) if BINDS >= level => match word.as_str() {
                "IN" => (false, false),
                "NOT" => (false, true),
                "MATCH" => (true, false),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.operator()?;
        self.next();
        let negated = match (regex, negated) {
            (false, false) => false,
            (false, true) if self.accept_word("IN") => true,
            (true, _) if self.accept_word("ANY") => false,
            (true, _) if self.accept_word("NONE") => true,
            (true, _) => return Err(self.unexpected("ANY or NONE")),
            _ => return Err(self.unexpected("IN")),
        };
        self.expect("[")?;
        let mut values = Vec::new();
        loop {
            values.push(self.constant()?);
            if values.len() > VALUES_MAX {
                return self.error(self.pos(), format!("a list has more than {VALUES_MAX} values"));
            }
            if !self.accept(",") {
                break;
            }
        }
        self.expect("]")?;
        Ok(Some(FieldExpr::AnyOf { regex, negated, of: Box::new(of.clone()), values }))
    }

    fn field_operand(&mut self) -> Parsed<FieldExpr> {
        match self.peek().clone() {
            Token::Symbol("(") => {
                self.next();
                let inner = self.field(0)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Symbol(sign @ ("!" | "-")) => {
                self.operator()?;
                self.next();
                if sign == "-" && matches!(self.peek(), Token::Static(Value::Int(i64::MIN))) {
                    self.next();
                    return Ok(FieldExpr::Static(Value::Int(i64::MIN)));
                }
                let inner = Box::new(self.nested(|parser| parser.field(PRODUCT))?);
                Ok(if sign == "!" { FieldExpr::Not(inner) } else { FieldExpr::Negate(inner) })
            }
            Token::Attribute(_) => Ok(FieldExpr::Attribute(self.attribute()?)),
            Token::Word(word) if Intrinsic::of_name(&word).is_some() => Ok(FieldExpr::Attribute(self.attribute()?)),
            _ => Ok(FieldExpr::Static(self.constant()?)),
        }
    }

    pub(super) fn attribute(&mut self) -> Parsed<Attribute> {
        let attribute = match self.peek() {
            Token::Attribute(attribute) => attribute.clone(),
            Token::Word(word) => match Intrinsic::of_name(word) {
                Some(intrinsic) => Attribute::Intrinsic(intrinsic),
                None => return Err(self.unexpected(&format!("an attribute: .{word} is one of that name"))),
            },
            _ => return Err(self.unexpected("an attribute")),
        };
        self.next();
        Ok(attribute)
    }

    /// A value that stands in the query, numbers perhaps with a sign.
    pub(super) fn constant(&mut self) -> Parsed<Value<'static>> {
        if self.is("-") || matches!(self.peek(), Token::Static(value) if value.as_number().is_some()) {
            return self.number();
        }
        let value = match self.peek() {
            Token::Static(value) => value.clone(),
            Token::Word(word) => match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "nil" => Value::Nil,
                "minInt" => Value::Int(i64::MIN),
                "maxInt" => Value::Int(i64::MAX),
                word => {
                    let status = Status::ALL.into_iter().find(|status| status.name() == word).map(Value::Status);
                    let kind = || Kind::ALL.into_iter().find(|kind| kind.name() == word).map(Value::Kind);
                    match status.or_else(kind) {
                        Some(value) => value,
                        None => return Err(self.unexpected(&format!("a value or an attribute: .{word} is one of that name"))),
                    }
                }
            },
            _ => return Err(self.unexpected("a value or an attribute")),
        };
        self.next();
        Ok(value)
    }
}
