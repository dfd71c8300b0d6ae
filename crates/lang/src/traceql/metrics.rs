//! Functions that make series of spans, and arithmetic over series.

use super::ast::*;
use super::lex::Token;
use super::parse::{Node, OPERATORS, Parser};
use super::value::{Value, number};
use crate::error::Pos;
use crate::parser::Parsed;

impl Parser<'_> {
    /// A function that makes series, when its name is next.
    pub(super) fn metrics_function(&mut self) -> Parsed<Option<MetricsFunction>> {
        let Token::Word(word) = self.peek() else { return Ok(None) };
        let Some(&(op, _)) = MetricsOp::NAMES.iter().find(|(_, name)| name == word) else { return Ok(None) };
        self.next();
        self.expect("(")?;
        let mut function = MetricsFunction { op, of: None, quantiles: Vec::new(), by: Vec::new(), compare: None };
        match op {
            MetricsOp::Rate | MetricsOp::CountOverTime => {}
            MetricsOp::Compare => function.compare = Some(Box::new(self.compare()?)),
            _ => function.of = Some(self.attribute()?),
        }
        if op == MetricsOp::QuantileOverTime {
            while self.accept(",") {
                match self.number()? {
                    value @ (Value::Int(_) | Value::Float(_)) => function.quantiles.extend(value.as_number()),
                    _ => return self.error(self.pos(), "syntax error: a quantile is a number from 0 to 1"),
                }
            }
            if function.quantiles.is_empty() {
                return Err(self.unexpected(", and a quantile, as in quantile_over_time(duration, 0.9)"));
            }
        }
        self.expect(")")?;
        if op != MetricsOp::Compare && self.accept_word("by") {
            function.by = self.attributes()?;
        }
        Ok(Some(function))
    }

    /// `{ ... }`, perhaps with a number of values and a time.
    fn compare(&mut self) -> Parsed<Compare> {
        let selection = self.filter()?;
        let mut numbers = Vec::new();
        while self.accept(",") {
            match self.number()? {
                Value::Int(value) => numbers.push(value),
                _ => return self.error(self.pos(), "syntax error: compare takes whole numbers"),
            }
        }
        let count = |value: i64| u64::try_from(value).ok();
        match numbers[..] {
            [] => Ok(Compare { selection, top: None, time: None }),
            [top] if count(top).is_some() => Ok(Compare { selection, top: count(top), time: None }),
            [top, start, end] if count(top).is_some() => Ok(Compare { selection, top: count(top), time: Some((start, end)) }),
            _ => self
                .error(self.pos(), "syntax error: compare takes a filter, then a number of values, then start and end in Unix nanoseconds"),
        }
    }

    /// Comparisons, `topk` and `bottomk` after a function.
    pub(super) fn second_stages(&mut self, mut of: MetricsExpr) -> Parsed<MetricsExpr> {
        loop {
            if let Token::Symbol(symbol) = *self.peek()
                && let Some(&(_, op)) = OPERATORS.iter().find(|(other, op)| *other == symbol && op.is_comparison())
            {
                self.operator()?;
                self.next();
                let value = self.filter_number()?;
                of = MetricsExpr::Filter { op, value, of: Box::new(of) };
                continue;
            }
            if !self.accept("|") {
                return Ok(of);
            }
            self.operator()?;
            let largest = self.is_word("topk");
            if !largest && !self.is_word("bottomk") {
                return Err(self.unexpected("topk or bottomk"));
            }
            self.next();
            self.expect("(")?;
            let count = match self.peek() {
                Token::Static(Value::Int(count)) => u64::try_from(*count).ok(),
                _ => None,
            };
            let Some(count) = count else { return Err(self.unexpected("a whole number")) };
            self.next();
            self.expect(")")?;
            of = MetricsExpr::Top { largest, count, of: Box::new(of) };
        }
    }

    /// What points are compared with: a number, a duration as its seconds, or arithmetic on numbers.
    fn filter_number(&mut self) -> Parsed<f64> {
        let pos = self.pos();
        match self.filter_operand()? {
            ScalarExpr::Static(value) => Ok(seconds(&value)),
            scalar => match constant(&scalar) {
                Some(value) => Ok(value),
                None => self.error(pos, "syntax error: points are compared with a number"),
            },
        }
    }

    /// Arithmetic, or a comparison of metrics with a number.
    pub(super) fn metrics_math(&self, op: FieldOp, pos: Pos, left: Node, right: Node) -> Parsed<Node> {
        let number_of = |node: &Node| match node {
            Node::Scalar(scalar) => constant(scalar).map(MetricsExpr::Number),
            _ => None,
        };
        let wrong = "syntax error: metrics are computed with metrics in parentheses or with plain numbers";
        if op.is_comparison() {
            let (Node::Metrics(of), Node::Scalar(scalar)) = (left, right) else {
                return self.error(pos, "syntax error: metrics are compared with a number at the right");
            };
            let value = match &scalar {
                ScalarExpr::Static(value) => Some(seconds(value)),
                scalar => constant(scalar),
            };
            let Some(value) = value else { return self.error(pos, wrong) };
            return Ok(Node::Metrics(MetricsExpr::Filter { op, value, of: Box::new(of) }));
        }
        if matches!(op, FieldOp::Modulo | FieldOp::Power) {
            return self.error(pos, format!("syntax error: unexpected {op}: metrics are added, subtracted, multiplied and divided"));
        }
        let side = |node: Node| match node {
            Node::Metrics(metrics) => Some(metrics),
            node => number_of(&node),
        };
        match (side(left), side(right)) {
            (Some(left), Some(right)) => Ok(Node::Metrics(MetricsExpr::Math { op, left: Box::new(left), right: Box::new(right) })),
            _ => self.error(pos, wrong),
        }
    }
}

fn seconds(value: &Value<'_>) -> f64 {
    match value {
        Value::Duration(nanos) => *nanos as f64 / 1e9,
        value => value.as_number().unwrap_or(f64::NAN),
    }
}

/// What plain numbers come to: here every division has a fraction.
fn constant(scalar: &ScalarExpr) -> Option<f64> {
    match scalar {
        ScalarExpr::Static(Value::Duration(_)) => None,
        ScalarExpr::Static(value) => value.as_number(),
        ScalarExpr::Operation { op, left, right } => Some(number(*op, constant(left)?, constant(right)?)).filter(|value| value.is_finite()),
        _ => None,
    }
}
