use std::fmt;

/// Where a piece of the text begins, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pos(pub(super) u32);

/// Why a text is no TraceQL, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    pub what: String,
}

impl ParseError {
    pub(super) fn at(text: &str, pos: Pos, what: impl Into<String>) -> Self {
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
