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

/// The known name that is a typing mistake or two away from `key`.
pub(crate) fn closest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let allowed = (key.chars().count() / 3).clamp(1, 3);
    known.iter().map(|name| (distance(key, name), *name)).filter(|(distance, _)| *distance <= allowed).min().map(|(_, name)| name)
}

/// Insertions, deletions and replacements that lead from one text to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
