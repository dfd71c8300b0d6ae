use model::{MatchOp, Matcher};

use super::ast::{Expr, Extent, Node, Selector, Shift, Span};
use super::check;
use super::error::Failure;
use super::lex::Token;
use super::parse::Parser;

const CONTEXT: &str = "label matching";

impl Parser<'_> {
    /// A selector whose name, if it stands before the braces, has been read.
    pub(super) fn selector(&mut self, name: Option<(String, Span)>) -> Result<Expr, Failure> {
        let start = name.as_ref().map_or(self.span().start, |(_, span)| span.start);
        let name = name.map(|(name, _)| name);
        let (mut quoted_name, mut matchers): (Option<String>, Vec<Matcher>) = Default::default();
        if self.take_sign("{") {
            while !self.take_sign("}") {
                self.matcher(&mut quoted_name, &mut matchers)?;
                if !self.peek().is_sign("}") && !self.take_sign(",") {
                    return Err(self.unexpected(CONTEXT, "\",\" or \"}\""));
                }
            }
        }
        if let Some(first) = &name
            && let Some(second) = matchers.iter().find(|matcher| matcher.name == "__name__")
        {
            let second = &second.value;
            return Err(Failure::at(start, format!("metric name must not be set twice: {first:?} or {second:?}")));
        }
        if let Some(name) = &name {
            matchers.push(Matcher::new("__name__", MatchOp::Equal, name));
        }
        let span = Span { start, end: self.end() };
        let selector = Selector { span, name, matchers, shift: Shift::default(), extent: Extent::Plain };
        Ok(Expr { span, node: Node::Vector(selector) })
    }

    /// `label="value"`, or the metric's name in quotes.
    fn matcher(&mut self, metric: &mut Option<String>, matchers: &mut Vec<Matcher>) -> Result<(), Failure> {
        let start = self.span().start;
        let (label, quoted) = match self.peek() {
            Token::Name(name) => (name.clone(), false),
            Token::Text(name) => (name.clone(), true),
            _ => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
        };
        self.advance();
        let op = match self.peek() {
            Token::Sign("=") => MatchOp::Equal,
            Token::Sign("!=") => MatchOp::NotEqual,
            Token::Sign("=~") => MatchOp::Regex,
            Token::Sign("!~") => MatchOp::NotRegex,
            Token::Sign("," | "}") if quoted => {
                if let Some(first) = metric {
                    return Err(Failure::at(start, format!("metric name must not be set twice: {first:?} or {label:?}")));
                }
                matchers.push(Matcher::new("__name__", MatchOp::Equal, &label));
                *metric = Some(label);
                return Ok(());
            }
            _ => return Err(self.unexpected(CONTEXT, "label matching operator")),
        };
        self.advance();
        let Token::Text(value) = self.peek().clone() else { return Err(self.unexpected(CONTEXT, "string")) };
        self.advance();
        if label.is_empty() {
            return Err(Failure::at(start, "label name must not be empty"));
        }
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex) {
            self.regex()?;
            check::regex(&value).map_err(|message| Failure::at(start, message))?;
        }
        matchers.push(Matcher::new(label, op, value));
        Ok(())
    }
}
