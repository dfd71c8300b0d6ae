use model::Matcher;

use super::ast::{Aggregate, AggregateOp, At, Binary, BinaryOp, Cardinality, Expr, Extent, Matching, Node, Shift, Span, Subquery, Type};
use super::check;
use super::error::{Failure, ParseError, Position};
use super::features::Features;
use super::functions::Function;
use super::lex::{Token, lex};
use crate::{OPERATORS_MAX, QUERY_BYTES_MAX, REGEXES_MAX};

/// Deepest nesting of a query: the tree is walked recursively, and a text of a million `(` must not take the stack down.
const DEPTH_MAX: usize = 128;

/// Reads and type-checks a query, with everything on that Prometheus calls experimental.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with(text, Features::ALL)
}

/// Reads and type-checks a query; what `features` leave out is refused in Prometheus's words.
pub fn parse_with(text: &str, features: Features) -> Result<Expr, ParseError> {
    run(text, features, |parser| {
        if parser.tokens.len() == 1 {
            return Err(Failure::at(0, "no expression found in input"));
        }
        let expr = parser.expr(0)?;
        parser.expect_end()?;
        check::check(&expr, text)?;
        Ok(expr)
    })
}

/// Reads a bare vector selector, as the APIs for series and labels take it: its matchers. They may match everything.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    run(text, Features::ALL, |parser| {
        let span = parser.span();
        let name = match parser.peek().clone() {
            Token::Name(name) => {
                parser.advance();
                Some((name, span))
            }
            Token::Sign("{") => None,
            _ => return Err(parser.unexpected("", "")),
        };
        let expr = parser.selector(name)?;
        parser.expect_end()?;
        match expr.node {
            Node::Vector(selector) => Ok(selector.matchers),
            _ => Err(Failure::at(expr.span.start, "expected a vector selector")),
        }
    })
}

fn run<T>(text: &str, features: Features, read: impl FnOnce(&mut Parser<'_>) -> Result<T, Failure>) -> Result<T, ParseError> {
    let tokens = match text.len() > QUERY_BYTES_MAX {
        true => Err(Failure::at(0, format!("query is longer than {QUERY_BYTES_MAX} bytes"))),
        false => lex(text),
    };
    tokens
        .and_then(|tokens| read(&mut Parser { text, features, tokens, at: 0, depth: 0, operators: 0, regexes: 0 }))
        .map_err(|failure| ParseError { position: Position::of(text, failure.offset), message: failure.message })
}

pub(super) struct Parser<'a> {
    text: &'a str,
    pub(super) features: Features,
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
    operators: usize,
    regexes: usize,
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn peek_second(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].0
    }

    pub(super) fn span(&self) -> Span {
        self.tokens[self.at].1
    }

    /// Where the last token read ends.
    pub(super) fn end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |last| self.tokens[last].1.end)
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.peek().is_sign(sign);
        if found {
            self.advance();
        }
        found
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_keyword(keyword);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect_sign(&mut self, sign: &str, context: &str) -> Result<(), Failure> {
        match self.take_sign(sign) {
            true => Ok(()),
            false => Err(self.unexpected(context, &format!("{sign:?}"))),
        }
    }

    /// `unexpected <token> in <context>, expected <expected>`; context and expected may be empty.
    pub(super) fn unexpected(&self, context: &str, expected: &str) -> Failure {
        let Span { start, end } = self.span();
        let mut message = format!("unexpected {}", self.peek().describe(&self.text[start..end]));
        if !context.is_empty() {
            message.push_str(&format!(" in {context}"));
        }
        if !expected.is_empty() {
            message.push_str(&format!(", expected {expected}"));
        }
        Failure::at(self.span().start, message)
    }

    fn expect_end(&self) -> Result<(), Failure> {
        match self.peek() {
            Token::End => Ok(()),
            _ => Err(self.unexpected("", "")),
        }
    }

    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Failure::at(self.span().start, format!("expression is nested deeper than {DEPTH_MAX}")));
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Counts a node that stands around another, whatever the depth of the text.
    pub(super) fn operator(&mut self) -> Result<(), Failure> {
        self.operators += 1;
        match self.operators > OPERATORS_MAX {
            true => Err(Failure::at(self.span().start, format!("expression has more than {OPERATORS_MAX} operators"))),
            false => Ok(()),
        }
    }

    pub(super) fn regex(&mut self) -> Result<(), Failure> {
        self.regexes += 1;
        match self.regexes > REGEXES_MAX {
            true => Err(Failure::at(self.span().start, format!("expression has more than {REGEXES_MAX} regular expressions"))),
            false => Ok(()),
        }
    }

    /// An expression of operators that bind at least as tightly as `least`.
    fn expr(&mut self, least: u8) -> Result<Expr, Failure> {
        self.nested(|parser| parser.expr_within(least))
    }

    fn expr_within(&mut self, least: u8) -> Result<Expr, Failure> {
        let mut lhs = self.unary()?;
        while let Some(op) = self.peek_operator().filter(|op| op.precedence() >= least) {
            self.operator()?;
            self.advance();
            let (is_bool, matching) = self.modifiers()?;
            let right_first = op == BinaryOp::Pow;
            let rhs = self.expr(op.precedence() + u8::from(!right_first))?;
            let span = Span { start: lhs.span.start, end: rhs.span.end };
            if !self.features.fill_modifiers && (matching.fill_left.is_some() || matching.fill_right.is_some()) {
                return Err(Failure::at(span.start, "binop fill modifiers are experimental and not enabled"));
            }
            lhs = Expr { span, node: Node::Binary(Box::new(Binary { op, lhs, rhs, is_bool, matching })) };
        }
        Ok(lhs)
    }

    pub(super) fn peek_operator(&self) -> Option<BinaryOp> {
        match self.peek() {
            Token::Sign(sign) => BinaryOp::of_sign(sign),
            Token::Name(name) => BinaryOp::of_word(name),
            _ => None,
        }
    }

    fn unary(&mut self) -> Result<Expr, Failure> {
        let start = self.span().start;
        let negative = self.peek().is_sign("-");
        if !negative && !self.peek().is_sign("+") {
            return self.postfix();
        }
        self.advance();
        let inner = self.expr(BinaryOp::Pow.precedence())?;
        let span = Span { start, end: inner.span.end };
        Ok(match inner.node {
            Node::Number { value, is_duration } => {
                Expr { span, node: Node::Number { value: if negative { -value } else { value }, is_duration } }
            }
            _ => Expr { span, node: Node::Unary { negative, inner: Box::new(inner) } },
        })
    }

    /// `bool`, `on`, `ignoring`, `group_left`, `group_right`, `fill`, `fill_left`, `fill_right` after an operator.
    fn modifiers(&mut self) -> Result<(bool, Matching), Failure> {
        let is_bool = self.take_keyword("bool");
        let mut matching = Matching::default();
        if self.peek().is_keyword("on") || self.peek().is_keyword("ignoring") {
            matching.on = self.advance().is_keyword("on");
            matching.explicit = true;
            matching.labels = self.label_list()?;
            for (keyword, cardinality) in [("group_left", Cardinality::ManyToOne), ("group_right", Cardinality::OneToMany)] {
                if matching.cardinality == Cardinality::OneToOne && self.take_keyword(keyword) {
                    matching.cardinality = cardinality;
                    if self.peek().is_sign("(") {
                        matching.include = self.label_list()?;
                    }
                }
            }
        }
        while self.peek_second().is_sign("(") {
            let (left, right) = match self.peek() {
                Token::Name(name) if name.eq_ignore_ascii_case("fill") => (true, true),
                Token::Name(name) if name.eq_ignore_ascii_case("fill_left") => (true, false),
                Token::Name(name) if name.eq_ignore_ascii_case("fill_right") => (false, true),
                _ => break,
            };
            self.advance();
            let value = self.fill_value()?;
            if left && matching.fill_left.replace(value).is_some() || right && matching.fill_right.replace(value).is_some() {
                return Err(Failure::at(self.end(), "fill modifier may not be set multiple times for the same side"));
            }
        }
        Ok((is_bool, matching))
    }

    fn fill_value(&mut self) -> Result<f64, Failure> {
        self.expect_sign("(", "fill modifier")?;
        let value = self.signed_number("fill modifier")?;
        self.expect_sign(")", "fill modifier")?;
        Ok(value)
    }

    fn signed_number(&mut self, context: &str) -> Result<f64, Failure> {
        let negative = self.peek().is_sign("-");
        if negative || self.peek().is_sign("+") {
            self.advance();
        }
        let (Token::Number(value) | Token::Duration(value)) = *self.peek() else {
            return Err(self.unexpected(context, if context == "@" { "timestamp" } else { "number" }));
        };
        self.advance();
        Ok(if negative { -value } else { value })
    }

    pub(super) fn label_list(&mut self) -> Result<Vec<String>, Failure> {
        const CONTEXT: &str = "grouping opts";
        self.expect_sign("(", CONTEXT)?;
        let mut labels = Vec::new();
        while !self.take_sign(")") {
            match self.peek() {
                Token::Name(name) if super::is_plain_label_name(name) => labels.push(name.clone()),
                Token::Text(name) if !name.is_empty() => labels.push(name.clone()),
                // Outside braces these words lex as numbers, yet they are fine labels.
                Token::Number(value) if value.is_nan() => labels.push("NaN".to_owned()),
                Token::Number(value) if value.is_infinite() => labels.push("Inf".to_owned()),
                _ => return Err(self.unexpected(CONTEXT, "label")),
            }
            self.advance();
            if !self.peek().is_sign(")") {
                self.expect_sign(",", CONTEXT)?;
            }
        }
        Ok(labels)
    }

    /// A primary expression with ranges, subqueries and modifiers after it.
    fn postfix(&mut self) -> Result<Expr, Failure> {
        let mut expr = self.primary()?;
        loop {
            let start = expr.span.start;
            let bracket = self.span().start;
            if self.take_sign("[") {
                self.operator()?;
                expr = self.brackets(expr, bracket)?;
            } else if self.take_keyword("offset") {
                let offset = self.offset_duration()?;
                let shift = shift_of(&mut expr).ok_or_else(|| misplaced(start, "offset"))?;
                if shift.offset.replace(offset).is_some() {
                    return Err(Failure::at(start, "offset may not be set multiple times"));
                }
            } else if self.take_sign("@") {
                let at = self.at_modifier(start)?;
                let shift = shift_of(&mut expr).ok_or_else(|| misplaced(start, "@"))?;
                if shift.at.replace(at).is_some() {
                    return Err(Failure::at(start, "@ <timestamp> may not be set multiple times"));
                }
            } else if self.peek().is_keyword("anchored") || self.peek().is_keyword("smoothed") {
                let extent = if self.advance().is_keyword("anchored") { Extent::Anchored } else { Extent::Smoothed };
                if !self.features.extended_range_selectors {
                    let message = format!("{} modifier is experimental and not enabled", extent.name());
                    return Err(Failure::at(expr.span.start, message));
                }
                set_extent(&mut expr, extent).map_err(|message| Failure::at(start, message))?;
            } else {
                return Ok(expr);
            }
            expr.span.end = self.end();
        }
    }

    /// After `[`: a range or a subquery.
    fn brackets(&mut self, inner: Expr, bracket: usize) -> Result<Expr, Failure> {
        let start = inner.span.start;
        let at = self.span().start;
        let range = self.duration("subquery or range selector")?;
        check::positive(&range, at)?;
        if self.take_sign(":") {
            let at = self.span().start;
            let step = match self.peek().is_sign("]") {
                true => None,
                false => Some(self.duration("subquery selector")?),
            };
            if let Some(step) = &step {
                check::positive(step, at)?;
            }
            self.expect_sign("]", "subquery selector")?;
            let node = Node::Subquery(Box::new(Subquery { inner, range, step, shift: Shift::default() }));
            return Ok(Expr { span: Span { start, end: self.end() }, node });
        }
        self.expect_sign("]", "subquery or range selector")?;
        let Node::Vector(selector) = inner.node else {
            return Err(Failure::at(bracket, "ranges only allowed for vector selectors"));
        };
        let misplaced = match &selector.shift {
            Shift { at: Some(_), .. } => Some("@"),
            Shift { offset: Some(_), .. } => Some("offset"),
            _ if selector.extent != Extent::Plain => Some(selector.extent.name()),
            _ => None,
        };
        match misplaced {
            Some(modifier) => Err(Failure::at(bracket, format!("no {modifier} modifiers allowed before range"))),
            None => Ok(Expr { span: Span { start, end: self.end() }, node: Node::Matrix { selector, range } }),
        }
    }

    /// `start` is where the expression before it begins.
    fn at_modifier(&mut self, start: usize) -> Result<At, Failure> {
        for (keyword, at) in [("start", At::Start), ("end", At::End)] {
            if self.peek().is_keyword(keyword) && self.peek_second().is_sign("(") {
                self.advance();
                self.advance();
                self.expect_sign(")", "@")?;
                return Ok(at);
            }
        }
        let seconds = self.signed_number("@")?;
        let millis = seconds * 1000.0;
        if !millis.is_finite() || millis.abs() >= i64::MAX as f64 {
            let shown = if seconds.is_nan() { "NaN".to_owned() } else { format!("{seconds:+}").replace("inf", "Inf") };
            return Err(Failure::at(start, format!("timestamp out of bounds for @ modifier: {shown}")));
        }
        Ok(At::Millis(millis.round() as i64))
    }

    fn primary(&mut self) -> Result<Expr, Failure> {
        let span = self.span();
        let node = match self.peek().clone() {
            Token::Number(value) => Node::Number { value, is_duration: false },
            Token::Duration(value) => Node::Number { value, is_duration: true },
            Token::Text(text) => Node::Text(text),
            Token::Sign("(") => return self.parenthesised(),
            Token::Sign("{") => return self.selector(None),
            Token::Name(name) => return self.named(name),
            _ => return Err(self.unexpected("", "")),
        };
        self.advance();
        Ok(Expr { span, node })
    }

    fn parenthesised(&mut self) -> Result<Expr, Failure> {
        let start = self.span().start;
        self.advance();
        let inner = self.expr(0)?;
        self.expect_sign(")", "")?;
        Ok(Expr { span: Span { start, end: self.end() }, node: Node::Paren(Box::new(inner)) })
    }

    /// An aggregation, a call or a selector, whichever the token after the name says.
    fn named(&mut self, name: String) -> Result<Expr, Failure> {
        let next = self.peek_second();
        let (calls, groups) = (next.is_sign("("), next.is_keyword("by") || next.is_keyword("without"));
        let aggregation = AggregateOp::ALL.into_iter().find(|op| op.text().eq_ignore_ascii_case(&name));
        if let Some(op) = aggregation.filter(|_| calls || groups) {
            return self.aggregation(op);
        }
        if ["bool", "on", "ignoring", "group_left", "group_right", "atan2"].iter().any(|word| word.eq_ignore_ascii_case(&name)) {
            return Err(self.unexpected("", ""));
        }
        if calls {
            return self.call(&name);
        }
        let span = self.span();
        self.advance();
        self.selector(Some((name, span)))
    }

    fn aggregation(&mut self, op: AggregateOp) -> Result<Expr, Failure> {
        let start = self.span().start;
        self.advance();
        let mut grouping = self.grouping()?;
        if !self.peek().is_sign("(") {
            return Err(self.unexpected("aggregation", "\"(\""));
        }
        let mut args = self.arguments()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let end = self.end();
        let wanted = 1 + usize::from(op.param_type().is_some());
        if op.is_experimental() && !self.features.experimental_functions && !args.is_empty() {
            let name = op.text();
            let message = format!("{name}() is experimental and must be enabled with --enable-feature=promql-experimental-functions");
            return Err(Failure::at(start, message));
        }
        if args.is_empty() {
            return Err(Failure::at(start, "no arguments for aggregate expression provided"));
        }
        if args.len() != wanted {
            let got = args.len();
            let message = format!("wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}");
            return Err(Failure::at(start, message));
        }
        let inner = args.pop().expect("an aggregation has its vector: counted above");
        let (without, grouping) = grouping.unwrap_or_default();
        let aggregate = Aggregate { op, inner, param: args.pop(), grouping, without };
        Ok(Expr { span: Span { start, end }, node: Node::Aggregate(Box::new(aggregate)) })
    }

    /// `by (...)` or `without (...)`.
    fn grouping(&mut self) -> Result<Option<(bool, Vec<String>)>, Failure> {
        let without = self.peek().is_keyword("without");
        if !without && !self.peek().is_keyword("by") {
            return Ok(None);
        }
        self.advance();
        Ok(Some((without, self.label_list()?)))
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, Failure> {
        self.expect_sign("(", "call")?;
        let mut args = Vec::new();
        while !self.take_sign(")") {
            args.push(self.expr(0)?);
            let comma = self.span().start;
            if self.take_sign(",") {
                if self.peek().is_sign(")") {
                    return Err(Failure::at(comma, "trailing commas not allowed in function call args"));
                }
            } else if !self.peek().is_sign(")") {
                return Err(self.unexpected("", ""));
            }
        }
        Ok(args)
    }

    fn call(&mut self, name: &str) -> Result<Expr, Failure> {
        let start = self.span().start;
        let unknown = || Failure::at(start, format!("unknown function with name {name:?}"));
        let function = Function::named(name).ok_or_else(unknown)?;
        if function.is_experimental() && !self.features.experimental_functions {
            return Err(Failure::at(start, format!("function {name:?} is not enabled")));
        }
        if function.name == "label_replace" {
            self.regex()?;
        }
        self.advance();
        let args = self.arguments()?;
        Ok(Expr { span: Span { start, end: self.end() }, node: Node::Call { function, args } })
    }
}

fn misplaced(start: usize, modifier: &str) -> Failure {
    let message = format!("{modifier} modifier must be preceded by an instant vector selector or range vector selector or a subquery");
    Failure::at(start, message)
}

fn shift_of(expr: &mut Expr) -> Option<&mut Shift> {
    match &mut expr.node {
        Node::Vector(selector) | Node::Matrix { selector, .. } => Some(&mut selector.shift),
        Node::Subquery(subquery) => Some(&mut subquery.shift),
        _ => None,
    }
}

fn set_extent(expr: &mut Expr, extent: Extent) -> Result<(), String> {
    let (Node::Vector(selector) | Node::Matrix { selector, .. }) = &mut expr.node else {
        let name = extent.name();
        return Err(match expr.value_type() {
            Type::Matrix => format!("{name} modifier is not supported for subqueries"),
            _ => format!("{name} modifier must be preceded by an instant or range vector selector"),
        });
    };
    match std::mem::replace(&mut selector.extent, extent) {
        Extent::Plain => Ok(()),
        _ => Err("anchored and smoothed modifiers may be set only once".to_owned()),
    }
}
