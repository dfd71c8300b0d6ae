//! The grammar of expressions that answer numbers.

use super::ast::*;
use super::check;
use super::lex::{Token, lex};
use crate::REGEXES_MAX;
use crate::error::{ParseError, Pos};
use crate::parser::{self, Lexed, Parsed};

/// Reads a query, or says why it is none and where.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(text, lex)?;
    let expr = match parser.peek_call("variants") {
        true => Expr::Variants(parser.variants()?),
        false => parser.expr(0)?,
    };
    match parser.peek() {
        Token::End => {}
        _ => return Err(parser.unexpected("")),
    }
    check::top(parser.text, &expr)?;
    Ok(expr)
}

pub(super) type Parser<'a> = parser::Parser<'a, Token>;

const RANGE_OPS: [(&str, RangeOp); 15] = [
    ("count_over_time", RangeOp::CountOverTime),
    ("rate", RangeOp::Rate),
    ("rate_counter", RangeOp::RateCounter),
    ("bytes_over_time", RangeOp::BytesOverTime),
    ("bytes_rate", RangeOp::BytesRate),
    ("sum_over_time", RangeOp::SumOverTime),
    ("avg_over_time", RangeOp::AvgOverTime),
    ("min_over_time", RangeOp::MinOverTime),
    ("max_over_time", RangeOp::MaxOverTime),
    ("stddev_over_time", RangeOp::StddevOverTime),
    ("stdvar_over_time", RangeOp::StdvarOverTime),
    ("quantile_over_time", RangeOp::QuantileOverTime),
    ("first_over_time", RangeOp::FirstOverTime),
    ("last_over_time", RangeOp::LastOverTime),
    ("absent_over_time", RangeOp::AbsentOverTime),
];

const VECTOR_OPS: [(&str, VectorOp); 12] = [
    ("sum", VectorOp::Sum),
    ("avg", VectorOp::Avg),
    ("min", VectorOp::Min),
    ("max", VectorOp::Max),
    ("count", VectorOp::Count),
    ("stddev", VectorOp::Stddev),
    ("stdvar", VectorOp::Stdvar),
    ("topk", VectorOp::Topk),
    ("bottomk", VectorOp::Bottomk),
    ("approx_topk", VectorOp::ApproxTopk),
    ("sort", VectorOp::Sort),
    ("sort_desc", VectorOp::SortDesc),
];

impl RangeOp {
    pub fn name(self) -> &'static str {
        RANGE_OPS.iter().find(|(_, op)| *op == self).expect("RANGE_OPS names every operation").0
    }
}

impl VectorOp {
    pub fn name(self) -> &'static str {
        VECTOR_OPS.iter().find(|(_, op)| *op == self).expect("VECTOR_OPS names every operation").0
    }
}

/// Words that are never a label's name.
const RESERVED: [&str; 12] =
    ["or", "and", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "unwrap"];

impl Lexed for Token {
    fn as_symbol(&self) -> Option<&str> {
        if let Self::Symbol(symbol) = self { Some(symbol) } else { None }
    }

    fn as_word(&self) -> Option<&str> {
        if let Self::Word(word) = self { Some(word) } else { None }
    }

    fn named(&self) -> String {
        match self {
            Self::Word(word) if RESERVED.contains(&word.as_str()) || word == "ip" => word.clone(),
            Self::Word(_) => "IDENTIFIER".to_owned(),
            Self::Text(_) => "STRING".to_owned(),
            Self::Number(_) => "NUMBER".to_owned(),
            Self::DurationNs(_) => "DURATION".to_owned(),
            Self::Bytes(_) => "BYTES".to_owned(),
            Self::Flag(flag) => format!("--{flag}"),
            Self::Symbol(symbol) => (*symbol).to_owned(),
            Self::End => "$end".to_owned(),
        }
    }
}

impl Parser<'_> {
    fn peek_call(&self, name: &str) -> bool {
        self.is_word(name) && *self.peek_second() == Token::Symbol("(")
    }

    pub(super) fn name(&mut self) -> Parsed<String> {
        match self.peek() {
            Token::Word(word) if !RESERVED.contains(&word.as_str()) => {
                let word = word.clone();
                self.next();
                Ok(word)
            }
            _ => Err(self.unexpected("IDENTIFIER")),
        }
    }

    pub(super) fn string(&mut self) -> Parsed<String> {
        match self.peek() {
            Token::Text(text) => {
                let text = text.clone();
                self.next();
                Ok(text)
            }
            _ => Err(self.unexpected("STRING")),
        }
    }

    pub(super) fn regex(&mut self, pos: Pos) -> Parsed<()> {
        self.regexes += 1;
        match self.regexes > REGEXES_MAX {
            true => self.error(pos, format!("the query has more than {REGEXES_MAX} regular expressions")),
            false => Ok(()),
        }
    }

    /// The value of a comparison; a regular expression must compile.
    pub(super) fn match_value(&mut self, pos: Pos, op: MatchOp, value: &str) -> Parsed<()> {
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex) {
            self.regex(pos)?;
            check::regex(self.text, pos, value, "invalid regex")?;
        }
        Ok(())
    }

    /// Operators that bind at least as tightly as `level`.
    fn expr(&mut self, level: u8) -> Parsed<Expr> {
        let pos = self.pos();
        let mut left = self.nested(Self::primary)?;
        while let Some((op, binds)) = self.binary_op() {
            if binds < level {
                break;
            }
            self.operator()?;
            let op_pos = self.pos();
            self.next();
            let return_bool = self.accept_word("bool");
            let matching = self.matching()?;
            // Only `^` groups to the right.
            let right = self.nested(|parser| parser.expr(if op == BinaryOp::Power { binds } else { binds + 1 }))?;
            let left_metric = self.operand(left, "left", op, op_pos)?;
            let right_metric = self.operand(right, "right", op, op_pos)?;
            let binary = Binary { op, left: Box::new(left_metric), right: Box::new(right_metric), return_bool, matching };
            left = Expr::Metric(MetricExpr { pos, kind: MetricKind::Binary(binary) });
        }
        Ok(left)
    }

    fn operand(&self, expr: Expr, side: &str, op: BinaryOp, pos: Pos) -> Parsed<MetricExpr> {
        let Expr::Metric(metric) = expr else {
            return self.error(pos, format!("unexpected type for {side} leg of binary operation ({op}): it answers lines, not numbers"));
        };
        match metric.kind {
            MetricKind::Number(value) if op.is_set() => {
                self.error(pos, format!("unexpected literal for {side} leg of logical/set binary operation ({op}): {value}"))
            }
            _ => Ok(metric),
        }
    }

    fn binary_op(&self) -> Option<(BinaryOp, u8)> {
        use CompareOp::*;
        Some(match self.peek() {
            Token::Word(word) => match word.as_str() {
                "or" => (BinaryOp::Or, 1),
                "and" => (BinaryOp::And, 2),
                "unless" => (BinaryOp::Unless, 2),
                _ => return None,
            },
            Token::Symbol(symbol) => match *symbol {
                "==" => (BinaryOp::Compare(Equal), 3),
                "!=" => (BinaryOp::Compare(NotEqual), 3),
                ">" => (BinaryOp::Compare(Greater), 3),
                ">=" => (BinaryOp::Compare(GreaterEqual), 3),
                "<" => (BinaryOp::Compare(Less), 3),
                "<=" => (BinaryOp::Compare(LessEqual), 3),
                "+" => (BinaryOp::Add, 4),
                "-" => (BinaryOp::Subtract, 4),
                "*" => (BinaryOp::Multiply, 5),
                "/" => (BinaryOp::Divide, 5),
                "%" => (BinaryOp::Modulo, 5),
                "^" => (BinaryOp::Power, 6),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn matching(&mut self) -> Parsed<Option<Matching>> {
        let on = self.is_word("on");
        if !on && !self.is_word("ignoring") {
            return Ok(None);
        }
        self.next();
        let labels = self.labels()?;
        let left = self.is_word("group_left");
        let group = if left || self.is_word("group_right") {
            self.next();
            // A bare `group_left (a + b)` is read as labels: so does everyone else.
            let include = if self.is("(") { self.labels()? } else { Vec::new() };
            Some(Group { left, include })
        } else {
            None
        };
        Ok(Some(Matching { on, labels, group }))
    }

    /// `(a, b)`, perhaps empty.
    fn labels(&mut self) -> Parsed<Vec<String>> {
        self.expect("(")?;
        let mut labels = Vec::new();
        if self.accept(")") {
            return Ok(labels);
        }
        loop {
            labels.push(self.name()?);
            if self.accept(")") {
                return Ok(labels);
            }
            if !self.accept(",") {
                return Err(self.unexpected(", or )"));
            }
        }
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let without = self.is_word("without");
        if !without && !self.is_word("by") {
            return Ok(None);
        }
        self.next();
        Ok(Some(Grouping { without, labels: self.labels()? }))
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let pos = self.pos();
        let kind = match self.peek().clone() {
            Token::Symbol("(") => {
                self.next();
                let inner = self.expr(0)?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Symbol("{") => return Ok(Expr::Log(self.log()?)),
            Token::Symbol("+" | "-") | Token::Number(_) => MetricKind::Number(self.signed_number()?),
            Token::Word(word) => {
                let vector = VECTOR_OPS.iter().find(|(name, _)| *name == word).map(|(_, op)| *op);
                let range = RANGE_OPS.iter().find(|(name, _)| *name == word).map(|(_, op)| *op);
                match (vector, range) {
                    (Some(op), _) => MetricKind::Aggregate(self.vector_aggregation(op)?),
                    (_, Some(op)) => MetricKind::Range(self.range_aggregation(op)?),
                    _ if word == "label_replace" => MetricKind::LabelReplace(self.label_replace()?),
                    _ if word == "vector" => {
                        self.next();
                        self.expect("(")?;
                        let value = self.signed_number()?;
                        self.expect(")")?;
                        MetricKind::Vector(value)
                    }
                    _ => return Err(self.unexpected("")),
                }
            }
            _ => return Err(self.unexpected("")),
        };
        Ok(Expr::Metric(MetricExpr { pos, kind }))
    }

    pub(super) fn signed_number(&mut self) -> Parsed<f64> {
        let negative = self.is("-");
        if negative || self.is("+") {
            self.next();
        }
        match *self.peek() {
            Token::Number(value) => {
                self.next();
                Ok(if negative { -value } else { value })
            }
            _ => Err(self.unexpected("NUMBER")),
        }
    }

    fn metric(&mut self) -> Parsed<MetricExpr> {
        let pos = self.pos();
        match self.nested(|parser| parser.expr(0))? {
            Expr::Metric(metric) => Ok(metric),
            // A selector alone: the range is what is missing.
            _ if matches!(self.peek(), Token::Symbol(")")) => Err(self.unexpected("")),
            _ => self.error(pos, "syntax error: unexpected log query, expecting a metric query"),
        }
    }

    fn vector_aggregation(&mut self, op: VectorOp) -> Parsed<VectorAggregation> {
        let pos = self.pos();
        self.next();
        let before = self.grouping()?;
        self.expect("(")?;
        let raw = match (self.peek().clone(), self.peek_second()) {
            (Token::Number(value), Token::Symbol(",")) => {
                self.next();
                self.next();
                Some(value)
            }
            _ => None,
        };
        let parameter = check::vector_parameter(self.text, pos, op, raw)?;
        let inner = Box::new(self.metric()?);
        self.expect(")")?;
        let after = if before.is_none() { self.grouping()? } else { None };
        let aggregation = VectorAggregation { op, parameter, inner, grouping: before.or(after) };
        check::vector(self.text, pos, &aggregation)?;
        Ok(aggregation)
    }

    fn range_aggregation(&mut self, op: RangeOp) -> Parsed<RangeAggregation> {
        let pos = self.pos();
        self.next();
        self.expect("(")?;
        let parameter = match *self.peek() {
            Token::Number(value) => {
                self.next();
                self.expect(",")?;
                Some(value)
            }
            Token::Symbol("{" | "(") => None,
            _ => return Err(self.unexpected("NUMBER or { or (")),
        };
        let (log, range_ns, offset_ns) = self.log_range()?;
        self.expect(")")?;
        let grouping = self.grouping()?;
        let aggregation = RangeAggregation { op, parameter, log, range_ns, offset_ns, grouping };
        check::range(self.text, pos, &aggregation)?;
        Ok(aggregation)
    }

    fn label_replace(&mut self) -> Parsed<LabelReplace> {
        self.next();
        self.expect("(")?;
        let inner = Box::new(self.metric()?);
        let mut texts = Vec::with_capacity(4);
        let mut pos = self.pos();
        for _ in 0..4 {
            self.expect(",")?;
            pos = self.pos();
            texts.push(self.string()?);
        }
        self.expect(")")?;
        let [destination, replacement, source, regex] = <[String; 4]>::try_from(texts).expect("the loop read four texts");
        self.regex(pos)?;
        check::regex(self.text, pos, &regex, "invalid regex in label_replace")?;
        Ok(LabelReplace { inner, destination, replacement, source, regex })
    }

    fn variants(&mut self) -> Parsed<Variants> {
        let pos = self.pos();
        self.next();
        self.expect("(")?;
        let mut metrics = vec![self.metric()?];
        while self.accept(",") {
            metrics.push(self.metric()?);
        }
        self.expect(")")?;
        if !self.accept_word("of") {
            return Err(self.unexpected("of"));
        }
        self.expect("(")?;
        let (log, range_ns, offset_ns) = self.log_range()?;
        self.expect(")")?;
        Ok(Variants { pos, metrics, log, range_ns, offset_ns })
    }
}
