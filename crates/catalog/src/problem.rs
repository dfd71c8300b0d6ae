use std::fmt;
use std::path::Path;

/// One thing wrong in a file that a team declared, with the place to fix it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    pub file: String,
    /// From 1; 0 when the problem is the file as a whole.
    pub line: usize,
    /// From 1; 0 when the problem is the file as a whole.
    pub column: usize,
    /// Begins "cannot <verb> <thing>".
    pub what: String,
}

impl Problem {
    pub(crate) fn of_file(path: &Path, what: impl Into<String>) -> Self {
        Self { file: path.display().to_string(), line: 0, column: 0, what: what.into() }
    }
}

/// `file:line:column: what`, the form that editors and CI turn into links.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.what),
        }
    }
}

impl std::error::Error for Problem {}
