//! The grammar of pipelines, sets of spans and their aggregates.

use super::ast::*;
use super::lex::{Token, lex};
use super::value::Value;
use super::{CheckError, check, rewrite};
use crate::error::{ParseError, Pos};
use crate::parser::{self, Lexed, Parsed};

/// Reads a query, or says why it is none and where.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    let mut parser = Parser::new(text, lex)?;
    let pos = parser.pos();
    let root = match parser.pipeline()? {
        Piped::Spans(pipeline) => Root::Spans(pipeline),
        Piped::Metrics(metrics) if !matches!(metrics, MetricsExpr::Number(_)) => Root::Metrics(metrics),
        Piped::Scalar(_) | Piped::Aggregated(_) | Piped::Metrics(_) => {
            return parser.error(pos, "syntax error: a number alone is no query: compare it, as in { } | count() > 2");
        }
    };
    let hints = parser.hints()?;
    match parser.peek() {
        Token::End => Ok(rewrite::rewritten(Query { root, hints })),
        _ => Err(parser.unexpected("")),
    }
}

/// Reads a query and checks that it can be answered.
pub fn read(text: &str) -> Result<Query, CheckError> {
    let query = parse(text).map_err(CheckError::Parse)?;
    check(&query)?;
    Ok(query)
}

/// Reads the name of an attribute or intrinsic alone: `span.a`, `.a`, `duration`.
pub fn read_attribute(text: &str) -> Result<Attribute, ParseError> {
    let mut parser = Parser::new(text, lex)?;
    let attribute = parser.attribute()?;
    match parser.peek() {
        Token::End => Ok(attribute),
        _ => Err(parser.unexpected("")),
    }
}

pub(super) type Parser<'a> = parser::Parser<'a, Token>;

/// What a piece of a query comes to, which decides what may be done with it.
pub(super) enum Node {
    Spans(SpansetExpr),
    Filter(ScalarFilter),
    Scalar(ScalarExpr),
    Metrics(MetricsExpr),
}

/// The same of a whole pipeline.
pub(super) enum Piped {
    Spans(Pipeline),
    Scalar(ScalarExpr),
    /// More than one stage, the last an aggregate.
    Aggregated(Pipeline),
    Metrics(MetricsExpr),
}

const STRUCTURAL: [(&str, SpansetOp); 17] = {
    use Join::*;
    use Relation::*;
    [
        ("&&", SpansetOp::And),
        ("||", SpansetOp::Or),
        (">", SpansetOp::Related(Child, Right)),
        (">>", SpansetOp::Related(Descendant, Right)),
        ("<", SpansetOp::Related(Parent, Right)),
        ("<<", SpansetOp::Related(Ancestor, Right)),
        ("~", SpansetOp::Related(Sibling, Right)),
        ("!>", SpansetOp::Related(Child, Not)),
        ("!>>", SpansetOp::Related(Descendant, Not)),
        ("!<", SpansetOp::Related(Parent, Not)),
        ("!<<", SpansetOp::Related(Ancestor, Not)),
        ("!~", SpansetOp::Related(Sibling, Not)),
        ("&>", SpansetOp::Related(Child, Both)),
        ("&>>", SpansetOp::Related(Descendant, Both)),
        ("&<", SpansetOp::Related(Parent, Both)),
        ("&<<", SpansetOp::Related(Ancestor, Both)),
        ("&~", SpansetOp::Related(Sibling, Both)),
    ]
};

/// What stands between two numbers, or two fields.
pub(super) const OPERATORS: [(&str, FieldOp); 16] = [
    ("||", FieldOp::Or),
    ("&&", FieldOp::And),
    ("=", FieldOp::Equal),
    ("!=", FieldOp::NotEqual),
    ("=~", FieldOp::Regex),
    ("!~", FieldOp::NotRegex),
    (">", FieldOp::Greater),
    (">=", FieldOp::GreaterEqual),
    ("<", FieldOp::Less),
    ("<=", FieldOp::LessEqual),
    ("+", FieldOp::Add),
    ("-", FieldOp::Subtract),
    ("*", FieldOp::Multiply),
    ("/", FieldOp::Divide),
    ("%", FieldOp::Modulo),
    ("^", FieldOp::Power),
];

/// How tightly an operator binds; `&&` and `||` do alike.
pub(super) fn binds(symbol: &str) -> Option<u8> {
    Some(match symbol {
        "&&" | "||" => 1,
        "+" | "-" => 3,
        "*" | "/" | "%" => PRODUCT,
        "^" => 5,
        _ if symbol == ">=" || symbol == "<=" || OPERATORS.iter().any(|(other, _)| *other == symbol) => 2,
        _ if STRUCTURAL.iter().any(|(other, _)| *other == symbol) => 2,
        _ => return None,
    })
}

/// A sign before an operand takes as much as a product.
pub(super) const PRODUCT: u8 = 4;

impl Lexed for Token {
    fn as_symbol(&self) -> Option<&str> {
        if let Self::Symbol(symbol) = self { Some(symbol) } else { None }
    }

    fn as_word(&self) -> Option<&str> {
        if let Self::Word(word) = self { Some(word) } else { None }
    }

    fn named(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Static(value) => value.to_string(),
            Self::Attribute(attribute) => attribute.to_string(),
            Self::Symbol(symbol) => (*symbol).to_owned(),
            Self::End => "end".to_owned(),
        }
    }
}

impl Parser<'_> {
    fn pipeline(&mut self) -> Parsed<Piped> {
        let mut stages = Vec::new();
        loop {
            if let Some(function) = self.metrics_function()? {
                if stages.is_empty() {
                    return self.error(self.pos(), format!("syntax error: {function} counts spans: write {{ }} | {function}"));
                }
                let query = MetricsExpr::Query { spans: Pipeline { stages }, function };
                return Ok(Piped::Metrics(self.second_stages(query)?));
            }
            let (pos, first) = (self.pos(), stages.is_empty());
            let stage = match self.special_stage(first)? {
                Some(stage) => stage,
                None => match self.expression(0)? {
                    Node::Spans(spans) => Stage::Spans(spans),
                    Node::Filter(filter) => Stage::Scalar(filter),
                    Node::Metrics(metrics) if first => return Ok(Piped::Metrics(self.second_stages(metrics)?)),
                    Node::Metrics(_) => return self.error(pos, "syntax error: metrics stand first in a query"),
                    Node::Scalar(scalar) if first => return Ok(Piped::Scalar(scalar)),
                    Node::Scalar(ScalarExpr::Aggregate(aggregate)) => {
                        stages.push(Stage::Aggregate(aggregate));
                        return Ok(Piped::Aggregated(Pipeline { stages }));
                    }
                    Node::Scalar(_) => return self.error(pos, "syntax error: a number is no stage: compare it"),
                },
            };
            stages.push(stage);
            if !self.accept("|") {
                return Ok(Piped::Spans(Pipeline { stages }));
            }
            self.operator()?;
        }
    }

    /// A stage that is no expression.
    fn special_stage(&mut self, first: bool) -> Parsed<Option<Stage>> {
        if self.accept_word("by") {
            self.expect("(")?;
            let field = self.field(0)?;
            self.expect(")")?;
            return Ok(Some(Stage::By(field)));
        }
        if !first && self.accept_word("coalesce") {
            self.expect("(")?;
            self.expect(")")?;
            return Ok(Some(Stage::Coalesce));
        }
        match self.accept_word("select") {
            true => Ok(Some(Stage::Select(self.attributes()?))),
            false => Ok(None),
        }
    }

    /// `(a, b)`, at least one.
    pub(super) fn attributes(&mut self) -> Parsed<Vec<Attribute>> {
        self.expect("(")?;
        let mut attributes = Vec::new();
        loop {
            attributes.push(self.attribute()?);
            if !self.accept(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(attributes)
    }

    fn expression(&mut self, level: u8) -> Parsed<Node> {
        let mut left = self.nested(Self::operand)?;
        while let Token::Symbol(symbol) = *self.peek() {
            let Some(binds) = binds(symbol).filter(|binds| *binds >= level) else { break };
            self.operator()?;
            let pos = self.pos();
            self.next();
            // Only `^` groups to the right.
            let right_level = if symbol == "^" { binds } else { binds + 1 };
            let right = self.nested(|parser| parser.expression(right_level))?;
            left = self.combined(symbol, pos, left, right)?;
        }
        Ok(left)
    }

    fn combined(&self, symbol: &'static str, pos: Pos, left: Node, right: Node) -> Parsed<Node> {
        let spans = STRUCTURAL.iter().find(|(other, _)| *other == symbol).map(|(_, op)| *op);
        let numbers = OPERATORS.iter().find(|(other, op)| *other == symbol && (op.is_arithmetic() || op.is_comparison()));
        match (left, right, spans, numbers) {
            (Node::Spans(left), Node::Spans(right), Some(op), _) => {
                Ok(Node::Spans(SpansetExpr::Operation { op, left: Box::new(left), right: Box::new(right) }))
            }
            (Node::Scalar(left), Node::Scalar(right), _, Some((_, op))) => self.scalars(*op, pos, left, right),
            (Node::Metrics(left), right @ (Node::Metrics(_) | Node::Scalar(_)), _, Some((_, op))) => {
                self.metrics_math(*op, pos, Node::Metrics(left), right)
            }
            (left @ Node::Scalar(_), Node::Metrics(right), _, Some((_, op))) => {
                self.metrics_math(*op, pos, left, Node::Metrics(right))
            }
            _ => self.error(
                pos,
                format!(
                    "syntax error: unexpected {symbol}: both of its sides must be spans, numbers, or metrics in parentheses, and it must stand between such"
                ),
            ),
        }
    }

    fn scalars(&self, op: FieldOp, pos: Pos, left: ScalarExpr, right: ScalarExpr) -> Parsed<Node> {
        let (piped_left, piped_right) = (left.has_pipeline(), right.has_pipeline());
        let lone_number = matches!(right, ScalarExpr::Static(_)) && op.is_comparison();
        if piped_left != piped_right && !(piped_left && lone_number) {
            return self.error(pos, "syntax error: a pipeline in parentheses is compared with another, or with one number at its right");
        }
        if op.is_arithmetic() {
            return Ok(Node::Scalar(ScalarExpr::Operation { op, left: Box::new(left), right: Box::new(right) }));
        }
        if left.is_constant() && right.is_constant() {
            return self.error(pos, "syntax error: numbers are compared with numbers: one side must count spans, as count() does");
        }
        Ok(Node::Filter(ScalarFilter { op, left, right }))
    }

    fn operand(&mut self) -> Parsed<Node> {
        match self.peek().clone() {
            Token::Symbol("{") => Ok(Node::Spans(SpansetExpr::Filter(self.filter()?))),
            Token::Symbol("(") => {
                self.next();
                let inner = self.pipeline()?;
                self.expect(")")?;
                Ok(match inner {
                    Piped::Spans(mut pipeline) => match (pipeline.stages.pop(), pipeline.stages.is_empty()) {
                        (Some(Stage::Spans(spans)), true) => Node::Spans(spans),
                        (last, _) => {
                            pipeline.stages.extend(last);
                            Node::Spans(SpansetExpr::Pipeline(pipeline))
                        }
                    },
                    Piped::Scalar(scalar) => Node::Scalar(scalar),
                    Piped::Aggregated(pipeline) => Node::Scalar(ScalarExpr::Pipeline(pipeline)),
                    Piped::Metrics(metrics) => Node::Metrics(metrics),
                })
            }
            Token::Symbol("-") | Token::Static(_) => Ok(Node::Scalar(ScalarExpr::Static(self.number()?))),
            Token::Word(word) => match AggregateOp::NAMES.iter().find(|(_, name)| *name == word) {
                Some((op, _)) => Ok(Node::Scalar(ScalarExpr::Aggregate(self.aggregate(*op)?))),
                None => Err(self.unexpected("{, (, an aggregate or a number")),
            },
            _ => Err(self.unexpected("{, (, an aggregate or a number")),
        }
    }

    /// `{ ... }`; empty, every span passes.
    pub(super) fn filter(&mut self) -> Parsed<FieldExpr> {
        self.expect("{")?;
        if self.accept("}") {
            return Ok(FieldExpr::Static(Value::Bool(true)));
        }
        let field = self.field(0)?;
        self.expect("}")?;
        Ok(field)
    }

    /// What stands behind a comparison of points.
    pub(super) fn filter_operand(&mut self) -> Parsed<ScalarExpr> {
        let pos = self.pos();
        match self.expression(3)? {
            Node::Scalar(scalar) => Ok(scalar),
            _ => self.error(pos, "syntax error: expecting a number"),
        }
    }

    /// A number or a duration, perhaps with a sign.
    pub(super) fn number(&mut self) -> Parsed<Value<'static>> {
        let negative = self.accept("-");
        let pos = self.pos();
        match self.peek().clone() {
            Token::Static(Value::Int(i64::MIN)) if !negative => self.error(pos, "syntax error: the number is too large"),
            Token::Static(value) if value.as_number().is_some() => {
                self.next();
                Ok(if negative { value.negated() } else { value })
            }
            _ => Err(self.unexpected("a number")),
        }
    }

    fn aggregate(&mut self, op: AggregateOp) -> Parsed<Aggregate> {
        self.next();
        self.expect("(")?;
        let of = match op {
            AggregateOp::Count => None,
            _ => Some(self.field(0)?),
        };
        self.expect(")")?;
        Ok(Aggregate { op, of })
    }

    /// `with (name=value, ...)`.
    fn hints(&mut self) -> Parsed<Vec<(String, Value<'static>)>> {
        let mut hints = Vec::new();
        if !self.accept_word("with") {
            return Ok(hints);
        }
        self.expect("(")?;
        loop {
            let Token::Word(name) = self.peek().clone() else { return Err(self.unexpected("a hint's name")) };
            self.next();
            self.expect("=")?;
            hints.push((name, self.constant()?));
            if !self.accept(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(hints)
    }
}

impl ScalarExpr {
    fn has_pipeline(&self) -> bool {
        match self {
            Self::Pipeline(_) => true,
            Self::Operation { left, right, .. } => left.has_pipeline() || right.has_pipeline(),
            _ => false,
        }
    }

    pub(super) fn is_constant(&self) -> bool {
        match self {
            Self::Static(_) => true,
            Self::Operation { left, right, .. } => left.is_constant() && right.is_constant(),
            _ => false,
        }
    }
}
