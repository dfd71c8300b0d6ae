//! Text to tokens. Words are not sorted into keywords here: `rate` may be a function or a label, only the parser knows.

use super::units::{leading_bytes, leading_duration, parse_number};
use crate::error::{ParseError, Pos};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Number(f64),
    DurationNs(i64),
    Bytes(u64),
    /// `--strict`, without its dashes.
    Flag(String),
    Symbol(&'static str),
    End,
}

/// Longest first.
const SYMBOLS: [&str; 28] = [
    "|=", "|~", "|>", "!=", "!~", "!>", "==", "=~", ">=", "<=", "|", "=", ">", "<", "+", "-", "*", "/", "%", "^", "(", ")", "{", "}", "[",
    "]", ",", ".",
];

pub(super) fn lex(text: &str) -> Result<Vec<(Token, Pos)>, ParseError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank();
        let pos = lexer.pos();
        let token = lexer.token()?;
        let end = token == Token::End;
        tokens.push((token, pos));
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn pos(&self) -> Pos {
        Pos(u32::try_from(self.at).unwrap_or(u32::MAX))
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error(&self, what: impl Into<String>) -> ParseError {
        ParseError::at(self.text, self.pos(), what)
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                self.at += blank;
            } else if rest.starts_with('#') {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else {
                return;
            }
        }
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        let second = rest[first.len_utf8()..].bytes().next();
        if first == '"' || first == '`' || first == '\'' {
            return self.quoted(first);
        }
        if first.is_ascii_digit() || first == '.' && second.is_some_and(|b| b.is_ascii_digit()) {
            return self.number();
        }
        if is_word_start(first) {
            let end = rest.find(|c| !is_word_start(c) && !c.is_ascii_digit()).unwrap_or(rest.len());
            let word = rest[..end].to_owned();
            self.at += end;
            return Ok(Token::Word(word));
        }
        if rest.strip_prefix("--").is_some_and(|flag| flag.starts_with(|c: char| c.is_ascii_alphabetic())) {
            let flag = &rest[2..];
            let end = flag.find(|c: char| !c.is_ascii_alphabetic() && c != '-').unwrap_or(flag.len());
            let flag = flag[..end].to_owned();
            self.at += 2 + end;
            return Ok(Token::Flag(flag));
        }
        match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            None => Err(self.error(format!("syntax error: unexpected character {first:?}"))),
        }
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        if bytes[0] == b'0' && bytes.get(1).is_some_and(|b| b"xXbBoO".contains(b)) && bytes.get(2).is_some_and(u8::is_ascii_hexdigit) {
            let mut end = 2;
            while end < bytes.len()
                && (bytes[end].is_ascii_alphanumeric()
                    || matches!(bytes[end], b'.' | b'_')
                    || matches!(bytes[end], b'+' | b'-') && matches!(bytes[end - 1], b'p' | b'P'))
            {
                end += 1;
            }
            return self.plain_number(end);
        }
        if let Some((nanos, length)) = leading_duration(rest) {
            self.at += length;
            return Ok(Token::DurationNs(nanos));
        }
        if let Some((value, length)) = leading_bytes(rest) {
            self.at += length;
            return Ok(Token::Bytes(value));
        }
        let mut end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(rest.len());
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let digits = bytes[end + 1 + sign..].iter().take_while(|b| b.is_ascii_digit()).count();
            if digits > 0 {
                end += 1 + sign + digits;
            }
        }
        self.plain_number(end)
    }

    fn plain_number(&mut self, end: usize) -> Result<Token, ParseError> {
        let text = &self.rest()[..end];
        let value = parse_number(text)
            .ok_or_else(|| self.error(format!("unable to parse literal as a float: parsing {text:?}: invalid syntax")))?;
        self.at += end;
        Ok(Token::Number(value))
    }

    fn quoted(&mut self, quote: char) -> Result<Token, ParseError> {
        let start = self.at + 1;
        let mut value = String::new();
        let mut rest = self.text[start..].chars();
        loop {
            let Some(next) = rest.next() else { return Err(self.error("literal not terminated")) };
            match next {
                _ if next == quote => {
                    self.at = self.text.len() - rest.as_str().len();
                    return Ok(Token::Text(value));
                }
                // Stands where a client turned bytes that were no UTF-8 into text.
                char::REPLACEMENT_CHARACTER => return Err(self.error("invalid UTF-8 encoding")),
                '\\' if quote != '`' => {
                    let escaped = escape(&mut rest, quote).ok_or_else(|| self.error("invalid char escape in a literal"))?;
                    value.push(escaped);
                }
                '\n' if quote != '`' => return Err(self.error("literal not terminated")),
                _ => value.push(next),
            }
        }
    }
}

fn is_word_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

/// One escape of Go's interpreted strings, its backslash already read.
pub(crate) fn escape(rest: &mut std::str::Chars<'_>, quote: char) -> Option<char> {
    let letter = rest.next()?;
    let mut code = |digits: usize, radix: u32, first: u32| {
        let value = (0..digits).try_fold(first, |value, _| Some(value.checked_mul(radix)? + rest.next()?.to_digit(radix)?))?;
        char::from_u32(value)
    };
    Some(match letter {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' => '\\',
        'x' => code(2, 16, 0)?,
        'u' => code(4, 16, 0)?,
        'U' => code(8, 16, 0)?,
        '0'..='7' => code(2, 8, letter.to_digit(8)?)?,
        _ if letter == quote => quote,
        _ => return None,
    })
}
