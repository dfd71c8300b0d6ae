//! Text to tokens. A word may be a keyword, an enumeration's value or a function: only the parser knows. Attributes and intrinsics with a
//! scope are one token, since no blank may stand inside them.

use super::ast::{Attribute, Intrinsic, Scope};
use super::value::Value;
use crate::error::{ParseError, Pos};
use crate::logql::units::leading_duration;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word(String),
    /// A number, a duration or a text.
    Static(Value<'static>),
    /// With its scope: `.a`, `span.a`, `trace:id`.
    Attribute(Attribute),
    Symbol(&'static str),
    End,
}

/// Longest first.
const SYMBOLS: [&str; 41] = [
    "&>>", "&<<", "!>>", "!<<", "&>", "&<", "&~", "&&", "||", "!>", "!<", "!=", "!~", "=~", ">=", "<=", ">>", "<<", "{", "}", "(", ")",
    "[", "]", ",", "=", "~", "!", "<", ">", "|", "+", "-", "*", "/", "%", "^", ":", ";", "?", "@",
];

pub(super) fn lex(text: &str) -> Result<Vec<(Token, Pos)>, ParseError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank()?;
        let pos = lexer.pos();
        let token = lexer.token()?;
        let end = token == Token::End;
        tokens.push((token, pos));
        if end {
            return Ok(tokens);
        }
    }
}

/// The least whole number, without its sign.
const LEAST: &str = "9223372036854775808";

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

/// Ends an attribute's name that is not quoted.
pub(super) fn ends_name(c: char) -> bool {
    c.is_whitespace() || "{}()=~!<>&|^,".contains(c)
}

impl Lexer<'_> {
    fn pos(&self) -> Pos {
        Pos(u32::try_from(self.at).unwrap_or(u32::MAX))
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error<T>(&self, what: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::at(self.text, self.pos(), what))
    }

    /// Blanks and comments.
    fn skip_blank(&mut self) -> Result<(), ParseError> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                self.at += blank;
            } else if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let Some(end) = rest.find("*/") else { return self.error("syntax error: comment not terminated") };
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        let second = rest[first.len_utf8()..].chars().next();
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        match first {
            '"' | '`' => return self.quoted(first),
            '.' if !digit(second) => {
                self.at += 1;
                return Ok(Token::Attribute(Attribute::Key { scope: Scope::Any, parent: false, name: self.name()? }));
            }
            c if c.is_ascii_digit() || c == '.' => return self.number(),
            c if c.is_alphabetic() || c == '_' => return self.word(),
            _ => {}
        }
        match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            None => self.error(format!("syntax error: unexpected character {first:?}")),
        }
    }

    fn word(&mut self) -> Result<Token, ParseError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = (rest[..end].to_owned(), &rest[end..]);
        if after.starts_with('.') {
            let scope = Scope::NAMED.into_iter().find(|scope| scope.name() == word);
            if scope.is_some() || word == "parent" {
                self.at += end + 1;
                return self.scoped(scope.unwrap_or(Scope::Any), scope.is_none());
            }
        }
        let scopes_intrinsics = matches!(word.as_str(), "trace" | "span" | "event" | "link" | "instrumentation");
        if after.starts_with(':') && scopes_intrinsics {
            let name = &after[1..];
            let length = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
            let full = format!("{word}:{}", &name[..length]);
            let Some(intrinsic) = Intrinsic::of_name(&full) else {
                let known = Intrinsic::NAMES.iter().flat_map(|(_, first, second)| [*first, *second]);
                let known: Vec<_> = known.filter(|name| name.starts_with(&format!("{word}:"))).collect();
                return self.error(format!("syntax error: unknown intrinsic {full}: there are {}", known.join(", ")));
            };
            self.at += end + 1 + length;
            return Ok(Token::Attribute(Attribute::Intrinsic(intrinsic)));
        }
        self.at += end;
        Ok(Token::Word(word))
    }

    /// After the scope's point.
    fn scoped(&mut self, mut scope: Scope, parent: bool) -> Result<Token, ParseError> {
        if parent {
            for inner in [Scope::Resource, Scope::Span] {
                if self.rest().strip_prefix(inner.name()).is_some_and(|rest| rest.starts_with('.')) {
                    self.at += inner.name().len() + 1;
                    scope = inner;
                    break;
                }
            }
        }
        Ok(Token::Attribute(Attribute::Key { scope, parent, name: self.name()? }))
    }

    /// Of an attribute; pieces of it may be quoted.
    fn name(&mut self) -> Result<String, ParseError> {
        let mut name = String::new();
        let mut rest = self.text[self.at..].chars();
        while let Some(c) = rest.clone().next().filter(|c| !ends_name(*c)) {
            rest.next();
            if c != '"' {
                name.push(c);
                continue;
            }
            loop {
                match rest.next() {
                    Some('"') => break,
                    Some('\\') => match rest.next() {
                        Some(c @ ('"' | '\\')) => name.push(c),
                        _ => return self.error("syntax error: only \\\" and \\\\ are escapes in an attribute's name"),
                    },
                    Some(c) => name.push(c),
                    None => return self.error("syntax error: unexpected end, expecting \""),
                }
            }
        }
        if name.is_empty() {
            return self.error("syntax error: expecting an attribute's name after the point");
        }
        self.at = self.text.len() - rest.as_str().len();
        Ok(name)
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        if let Some((nanos, length)) = leading_duration(rest) {
            self.at += length;
            return Ok(Token::Static(Value::Duration(nanos)));
        }
        let digits = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut end = digits(0);
        let mut whole = true;
        if bytes.get(end) == Some(&b'.') {
            (whole, end) = (false, digits(end + 1));
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let after = digits((end + 1 + sign).min(bytes.len()));
            if after > end + 1 + sign {
                (whole, end) = (false, after);
            }
        }
        let text = &rest[..end];
        let value = match whole {
            // Only with a minus before it: the parser sees to that.
            true if text == LEAST => Some(Value::Int(i64::MIN)),
            true => text.parse().ok().map(Value::Int),
            false => text.parse().ok().filter(|value: &f64| value.is_finite()).map(Value::Float),
        };
        let Some(value) = value else { return self.error(format!("syntax error: {text} is too large for a number")) };
        self.at += end;
        Ok(Token::Static(value))
    }

    fn quoted(&mut self, quote: char) -> Result<Token, ParseError> {
        let mut value = String::new();
        let mut rest = self.text[self.at + 1..].chars();
        loop {
            match rest.next() {
                None => return self.error("syntax error: literal not terminated"),
                Some(c) if c == quote => break,
                Some('\\') if quote == '"' => match crate::logql::escape(&mut rest, quote) {
                    Some(c) => value.push(c),
                    None => return self.error("syntax error: invalid escape in a literal"),
                },
                Some('\n') if quote == '"' => return self.error("syntax error: literal not terminated"),
                Some(c) => value.push(c),
            }
        }
        self.at = self.text.len() - rest.as_str().len();
        Ok(Token::Static(Value::text(value)))
    }
}
