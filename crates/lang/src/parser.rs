//! The frame of LogQL's and TraceQL's parsers: a walk over tokens, within the limits, that says where it stopped. The grammars are
//! methods that each language adds for its own tokens.

use crate::error::{ParseError, Pos};
use crate::{OPERATORS_MAX, QUERY_BYTES_MAX};

/// Expressions inside expressions; deeper ones are refused before they use up the stack.
const DEPTH_MAX: usize = 128;

pub(crate) type Parsed<T> = Result<T, ParseError>;

/// What the frame asks of a language's tokens.
pub(crate) trait Lexed: Clone {
    fn as_symbol(&self) -> Option<&str>;

    fn as_word(&self) -> Option<&str>;

    /// As an error names it.
    fn named(&self) -> String;
}

pub(crate) struct Parser<'a, T> {
    pub(crate) text: &'a str,
    /// The last is the end.
    tokens: Vec<(T, Pos)>,
    at: usize,
    depth: usize,
    operators: usize,
    /// So far; the limit is the language's to tell.
    pub(crate) regexes: usize,
}

impl<'a, T: Lexed> Parser<'a, T> {
    pub(crate) fn new(text: &'a str, lex: impl FnOnce(&str) -> Parsed<Vec<(T, Pos)>>) -> Parsed<Self> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(ParseError::at(text, Pos(0), format!("the query is longer than {QUERY_BYTES_MAX} bytes")));
        }
        Ok(Self { text, tokens: lex(text)?, at: 0, depth: 0, operators: 0, regexes: 0 })
    }

    pub(crate) fn peek(&self) -> &T {
        &self.tokens[self.at].0
    }

    pub(crate) fn peek_second(&self) -> &T {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].0
    }

    pub(crate) fn pos(&self) -> Pos {
        self.tokens[self.at].1
    }

    pub(crate) fn next(&mut self) -> T {
        let token = self.tokens[self.at].0.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub(crate) fn is(&self, symbol: &str) -> bool {
        self.peek().as_symbol() == Some(symbol)
    }

    pub(crate) fn accept(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        if found {
            self.next();
        }
        found
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.peek().as_word() == Some(word)
    }

    pub(crate) fn accept_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next();
        }
        found
    }

    pub(crate) fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.accept(symbol) { Ok(()) } else { Err(self.unexpected(symbol)) }
    }

    pub(crate) fn error<A>(&self, pos: Pos, what: impl Into<String>) -> Parsed<A> {
        Err(ParseError::at(self.text, pos, what))
    }

    /// The error that names the next token, and what could have stood there unless that is empty.
    pub(crate) fn unexpected(&self, expecting: &str) -> ParseError {
        let found = self.peek().named();
        let comma = if expecting.is_empty() { "" } else { ", expecting " };
        ParseError::at(self.text, self.pos(), format!("syntax error: unexpected {found}{comma}{expecting}"))
    }

    /// Runs a rule one level deeper.
    pub(crate) fn nested<A>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<A>) -> Parsed<A> {
        if self.depth == DEPTH_MAX {
            return self.error(self.pos(), format!("the query is nested deeper than {DEPTH_MAX} levels: take it apart"));
        }
        self.depth += 1;
        let result = rule(self);
        self.depth -= 1;
        result
    }

    /// Counts a stage, or a node that stands around another whatever the depth of the text.
    pub(crate) fn operator(&mut self) -> Parsed<()> {
        self.operators += 1;
        match self.operators > OPERATORS_MAX {
            true => self.error(self.pos(), format!("the query has more than {OPERATORS_MAX} operators and stages: take it apart")),
            false => Ok(()),
        }
    }
}
