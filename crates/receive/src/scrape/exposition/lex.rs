//! What both text formats are made of: names, quoted texts, label sets, numbers. They differ in blanks: Prometheus's own
//! format allows them anywhere between two words, OpenMetrics asks for exactly one where it wants one.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use model::{Error, Result};

use crate::outcome::shortened;

pub(super) struct Lexer<'b> {
    pub(super) text: &'b str,
    pub(super) at: usize,
    pub(super) blanks: Blanks,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blanks {
    Anywhere,
    Single,
}

impl<'b> Lexer<'b> {
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Past blanks, where they may stand anywhere.
    #[inline]
    pub(super) fn skip_blanks(&mut self) {
        if self.blanks == Blanks::Anywhere {
            while matches!(self.peek(), Some(b' ' | b'\t')) {
                self.at += 1;
            }
        }
    }

    /// Whether `word` came next; then it is behind us.
    #[inline]
    pub(super) fn took(&mut self, word: &str) -> bool {
        let came = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        if came {
            self.at += word.len();
        }
        came
    }

    /// A metric's name without quotes.
    #[inline]
    pub(super) fn metric_name(&mut self) -> Option<&'b str> {
        self.word(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
    }

    #[inline]
    fn label_name(&mut self) -> Option<&'b str> {
        self.word(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }

    /// The longest run of such bytes, which must not begin with a digit.
    #[inline]
    fn word(&mut self, part: impl Fn(u8) -> bool) -> Option<&'b str> {
        let rest = &self.text.as_bytes()[self.at..];
        let len = rest.iter().position(|byte| !part(*byte)).unwrap_or(rest.len());
        if len == 0 || rest[0].is_ascii_digit() {
            return None;
        }
        let word = &self.text[self.at..self.at + len];
        self.at += len;
        Some(word)
    }

    /// What stands between quotes, escapes as they are.
    pub(super) fn quoted(&mut self) -> Option<&'b str> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let bytes = self.text.as_bytes();
        let (start, mut at) = (self.at + 1, self.at + 1);
        loop {
            at += memchr2(b'"', b'\\', &bytes[at..])?;
            if bytes[at] == b'"' {
                self.at = at + 1;
                return Some(&self.text[start..at]);
            }
            // Whatever is escaped is passed over; of a character of several bytes the others are no quotes.
            at += 2;
            if at > bytes.len() {
                return None;
            }
        }
    }

    /// The value of a label. OpenMetrics has no line end in it.
    fn label_value(&mut self) -> Option<&'b str> {
        let start = self.at;
        let value = self.quoted()?;
        if self.blanks == Blanks::Single && memchr(b'\n', value.as_bytes()).is_some() {
            self.at = start;
            return None;
        }
        Some(value)
    }

    /// The labels behind an opening brace, to the closing one. A quoted text that is no label's name is the metric's name,
    /// which an exemplar does not have.
    pub(super) fn labels(&mut self, labels: &mut Vec<(&'b str, &'b str)>, mut name: Option<&mut Option<&'b str>>) -> Result<()> {
        loop {
            self.skip_blanks();
            if self.took("}") {
                return Ok(());
            }
            let (label, is_quoted) = match self.label_name() {
                Some(word) => (word, false),
                None => (self.quoted().ok_or_else(|| self.expected("a label name"))?, true),
            };
            self.skip_blanks();
            if is_quoted && matches!(self.peek(), Some(b',' | b'}')) {
                let name = name.as_deref_mut().ok_or_else(|| self.expected("\"=\""))?;
                if name.replace(label).is_some() {
                    return Err(self.fail("the metric has two names"));
                }
                self.took(",");
                continue;
            }
            if !self.took("=") {
                return Err(self.expected("\"=\""));
            }
            self.skip_blanks();
            let value = self.label_value().ok_or_else(|| self.expected("a quoted label value"))?;
            labels.push((label, value));
            self.skip_blanks();
            // Prometheus's own format has always been read without commas too.
            if !self.took(",") && self.blanks == Blanks::Single && self.peek() != Some(b'}') {
                return Err(self.expected("\",\" or \"}\""));
            }
        }
    }

    /// Up to one of these bytes or the end.
    #[inline]
    pub(super) fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'b str {
        let rest = &self.text[self.at..];
        let len = rest.bytes().position(ends).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// The rest of the line without its end, which is left behind.
    pub(super) fn rest_of_line(&mut self) -> &'b str {
        let rest = &self.text[self.at..];
        let len = memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    pub(super) fn expected(&self, what: &str) -> Error {
        let rest = self.text[self.at..].split('\n').next().unwrap_or_default();
        let got = match rest {
            "" => "the end of the line".to_owned(),
            rest => shortened(rest),
        };
        self.fail(&format!("expected {what}, got {got}"))
    }

    pub(super) fn fail(&self, why: &str) -> Error {
        let line = 1 + self.text.as_bytes()[..self.at].iter().filter(|byte| **byte == b'\n').count();
        Error::invalid(format!("cannot parse metrics at line {line}: {why}"))
    }

    pub(super) fn value(&self, text: &str) -> Result<f64> {
        number(text).map(super::settled).ok_or_else(|| self.fail(&format!("{} is no number", shortened(text))))
    }
}

/// A number as Go reads it, but for hexadecimal ones and underscores, which the formats do not have.
#[inline]
pub(super) fn number(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    if value.is_finite() {
        return Some(value);
    }
    // What is too large for a double is no number, and no NaN has a sign.
    let word = text.trim_start_matches(['+', '-']);
    let is_word = word.starts_with(['i', 'I']) || (word.len() == text.len() && word.starts_with(['n', 'N']));
    is_word.then_some(value)
}

/// `\\`, `\"` and `\n` as what they stand for; every other backslash is itself.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    replaced(text, true)
}

/// The same in a help text of Prometheus's own format, where a quote needs no escape.
pub(super) fn unescaped_help(text: &str) -> Cow<'_, str> {
    replaced(text, false)
}

fn replaced(text: &str, quotes: bool) -> Cow<'_, str> {
    let Some(first) = memchr(b'\\', text.as_bytes()) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut chars = text[first..].chars();
    while let Some(char) = chars.next() {
        let escaped = match (char, chars.as_str().as_bytes().first()) {
            ('\\', Some(b'\\')) => '\\',
            ('\\', Some(b'n')) => '\n',
            ('\\', Some(b'"')) if quotes => '"',
            _ => {
                out.push(char);
                continue;
            }
        };
        out.push(escaped);
        chars.next();
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_go() {
        for text in ["1", "-1.5", "+2e3", ".5", "5.", "Inf", "+inf", "-Infinity", "NaN", "nan"] {
            assert!(number(text).is_some(), "{text}");
        }
        for text in ["", "+", "1_2", "0x1p-3", "1e999", "+NaN", "true", "1 ", "0x10"] {
            assert!(number(text).is_none(), "{text}");
        }
    }

    #[test]
    fn escapes_are_three() {
        assert_eq!(unescaped(r#"a\\b\"c\nd\te\"#), "a\\b\"c\nd\\te\\");
        assert_eq!(unescaped_help(r#"a\\b\"c\n"#), "a\\b\\\"c\n");
        assert!(matches!(unescaped("plain"), Cow::Borrowed(_)));
    }
}
