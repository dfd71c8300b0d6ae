//! Yes or no for a line, a label, or a condition over labels.

use lang::logql::{CompareOp, IpPattern, LabelFilter, LabelFilterKind, LineFilter, LineOp, LineTerm, MatchOp, Pattern};
use model::{Error, Result};
use regex::Regex;

use super::convert;
use super::row::{Failure, Row};
use crate::selector::TextTest;

/// The user's mistake in a text that the parser lets through.
pub(super) fn broken(what: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::invalid(format!("cannot compile {what}")).because(source)
}

pub(super) fn searching(regex: &str, what: &str) -> Result<Regex> {
    lang::searching(regex).map_err(|error| broken_regex(what, regex, &error))
}

pub(super) fn anchored(regex: &str, what: &str) -> Result<Regex> {
    lang::anchored(regex).map_err(|error| broken_regex(what, regex, &error))
}

fn broken_regex(what: &str, regex: &str, error: &regex::Error) -> Error {
    // The crate draws a picture of the place over several lines; its last line says what is wrong.
    let text = error.to_string();
    broken(what, format!("{}: `{regex}`", text.lines().last().unwrap_or_default().trim_start_matches("error: ")))
}

pub(super) fn text_test(op: MatchOp, value: &str) -> Result<TextTest> {
    TextTest::new(op, value).map_err(|error| broken_regex("the regular expression of a label", value, &error))
}

enum LineTest {
    Text(String),
    Regex(Regex),
    Pattern(Pattern),
    Ip(IpPattern),
}

/// Keeps a line when any test matches, or, negated, when none does.
pub(super) struct LineFilterStep {
    negated: bool,
    tests: Vec<LineTest>,
}

impl LineFilterStep {
    pub(super) fn new(filter: &LineFilter) -> Result<Self> {
        let test = |term: &LineTerm| {
            Ok(match (term, filter.op) {
                (LineTerm::Ip(pattern), _) => {
                    LineTest::Ip(IpPattern::parse(pattern).ok_or_else(|| broken("an ip() filter", "ip: invalid pattern"))?)
                }
                (LineTerm::Text(text), LineOp::Contains | LineOp::NotContains) => LineTest::Text(text.clone()),
                (LineTerm::Text(text), LineOp::Regex | LineOp::NotRegex) => {
                    LineTest::Regex(searching(text, "the regular expression of a line filter")?)
                }
                (LineTerm::Text(text), LineOp::Pattern | LineOp::NotPattern) => {
                    LineTest::Pattern(Pattern::parse_matching(text).map_err(|why| broken("a line filter", why))?)
                }
            })
        };
        let negated = matches!(filter.op, LineOp::NotContains | LineOp::NotRegex | LineOp::NotPattern);
        Ok(Self { negated, tests: filter.terms.iter().map(test).collect::<Result<_>>()? })
    }

    pub(super) fn passes(&self, line: &str) -> bool {
        let matches = |test: &LineTest| match test {
            LineTest::Text(text) => line.contains(text.as_str()),
            LineTest::Regex(regex) => regex.is_match(line),
            LineTest::Pattern(pattern) => pattern.matches(line),
            LineTest::Ip(pattern) => pattern.found_in(line),
        };
        self.tests.iter().any(matches) != self.negated
    }
}

/// A condition over labels. A comparison whose label has no such value keeps the line and marks it as failed; one whose
/// label is missing drops it.
pub(super) enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Text { name: String, test: TextTest },
    Number { name: String, op: CompareOp, value: f64 },
    Duration { name: String, op: CompareOp, value_ns: i64 },
    Bytes { name: String, op: CompareOp, value: u64 },
    Ip { name: String, equal: bool, pattern: IpPattern },
}

impl Condition {
    pub(super) fn new(filter: &LabelFilter) -> Result<Self> {
        Ok(match &filter.kind {
            LabelFilterKind::And(left, right) => Self::And(Box::new(Self::new(left)?), Box::new(Self::new(right)?)),
            LabelFilterKind::Or(left, right) => Self::Or(Box::new(Self::new(left)?), Box::new(Self::new(right)?)),
            LabelFilterKind::Text { name, op, value } => Self::Text { name: name.clone(), test: text_test(*op, value)? },
            LabelFilterKind::Number { name, op, value } => Self::Number { name: name.clone(), op: *op, value: *value },
            LabelFilterKind::Duration { name, op, value_ns } => Self::Duration { name: name.clone(), op: *op, value_ns: *value_ns },
            LabelFilterKind::Bytes { name, op, value } => Self::Bytes { name: name.clone(), op: *op, value: *value },
            LabelFilterKind::Ip { name, equal, pattern } => {
                let pattern = IpPattern::parse(pattern).ok_or_else(|| broken("an ip() filter", "ip: invalid pattern"))?;
                Self::Ip { name: name.clone(), equal: *equal, pattern }
            }
        })
    }

    pub(super) fn passes(&self, row: &mut Row<'_>) -> bool {
        match self {
            // Both sides run, so that the first to fail is told; the right side of an `or` only when it is needed.
            Self::And(left, right) => left.passes(row) & right.passes(row),
            Self::Or(left, right) => left.passes(row) || right.passes(row),
            Self::Text { name, test } => test.passes(row.text(name)),
            Self::Number { name, op, value } => compare(row, name, convert::number, *op, value),
            Self::Duration { name, op, value_ns } => compare(row, name, convert::duration_ns, *op, value_ns),
            Self::Bytes { name, op, value } => compare(row, name, convert::bytes, *op, value),
            Self::Ip { name, equal, pattern } => match row.get(name) {
                _ if row.failure.is_some() => true,
                Some(text) => pattern.found_in(text) == *equal,
                None => false,
            },
        }
    }
}

fn compare<T: PartialOrd>(row: &mut Row<'_>, name: &str, read: impl Fn(&str) -> Result<T, String>, op: CompareOp, value: &T) -> bool {
    let Some(text) = row.get(name) else { return false };
    match read(text) {
        Ok(found) => holds(op, &found, value),
        Err(details) => {
            row.fail(Failure::new("LabelFilterErr", details));
            true
        }
    }
}

pub(super) fn holds<T: PartialOrd>(op: CompareOp, left: &T, right: &T) -> bool {
    match op {
        CompareOp::Equal => left == right,
        CompareOp::NotEqual => left != right,
        CompareOp::Greater => left > right,
        CompareOp::GreaterEqual => left >= right,
        CompareOp::Less => left < right,
        CompareOp::LessEqual => left <= right,
    }
}
