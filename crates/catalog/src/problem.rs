use std::fmt;
use std::path::Path;

use crate::checks::Check;
use crate::yaml::Place;

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
    pub fn of_file(path: &Path, what: impl Into<String>) -> Self {
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

/// A problem, the check that found it, and what could stand in its place.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Diagnostic {
    #[serde(flatten)]
    pub problem: Problem,
    pub check: Check,
    /// What stands at the place, and what was probably meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<Instead>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Instead {
    pub of: String,
    pub write: String,
}

impl Diagnostic {
    pub(crate) fn at(origin: &Origin, check: Check, what: impl Into<String>) -> Self {
        let Origin { file, line, column } = origin.clone();
        Self { problem: Problem { file, line, column, what: what.into() }, check, instead: None }
    }

    pub(crate) fn of_file(path: &Path, what: impl Into<String>) -> Self {
        Self { problem: Problem::of_file(path, what), check: Check::UnreadableFile, instead: None }
    }

    /// A typing mistake of the text at the place.
    pub(crate) fn meant(mut self, of: &str, write: Option<&str>) -> Self {
        self.instead = write.map(|write| Instead { of: of.to_owned(), write: write.to_owned() });
        self
    }
}

/// Where something is declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

impl Origin {
    pub(crate) fn new(file: &str, Place { line, column }: Place) -> Self {
        Self { file: file.to_owned(), line, column }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The known name that is a typing mistake or two away from `key`.
pub fn closest<'n>(key: &str, known: &[&'n str]) -> Option<&'n str> {
    let allowed = (key.chars().count() / 3).clamp(1, 3);
    // Names whose lengths differ by more are further away.
    let length = key.chars().count();
    let near = known.iter().filter(|name| name.chars().count().abs_diff(length) <= allowed);
    near.map(|name| (distance(key, name), *name)).filter(|(distance, _)| *distance <= allowed).min().map(|(_, name)| name)
}

/// Insertions, deletions and replacements that lead from one text to the other.
pub(crate) fn distance(a: &str, b: &str) -> usize {
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
