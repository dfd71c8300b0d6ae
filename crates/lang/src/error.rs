use std::fmt;

/// A byte offset in the query's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pos(pub u32);

/// Why a text is no LogQL or no TraceQL, and where. Prometheus prints its own otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    pub what: String,
}

impl ParseError {
    pub(crate) fn at(text: &str, pos: Pos, what: impl Into<String>) -> Self {
        let before = &text[..text.len().min(pos.0 as usize)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1, what: what.into() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parse error at line {}, col {}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for ParseError {}
