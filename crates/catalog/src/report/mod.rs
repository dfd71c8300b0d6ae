//! What a check found, for people, for CI and for programs.

mod sarif;
mod text;

pub use sarif::sarif;
pub use text::text;

use serde_json::{Value, json};

use crate::check::Checked;
use crate::checks::Level;
use crate::problem::Diagnostic;

/// `docs/check.md` says what stands there.
pub fn json(checked: &Checked) -> Value {
    let diagnostics: Vec<Value> = checked.diagnostics.iter().map(problem).collect();
    json!({
        "version": 1,
        "ok": checked.count(Level::Error) == 0,
        "errors": checked.count(Level::Error),
        "warnings": checked.count(Level::Warning),
        "notes": checked.count(Level::Note),
        "files": checked.files,
        "components": checked.components,
        "contracts": checked.contracts,
        "references_unchecked": checked.references_unchecked,
        "problems": diagnostics,
        "changes": checked.changes,
    })
}

/// One of the problems there.
pub fn problem(diagnostic: &Diagnostic) -> Value {
    let mut value = serde_json::to_value(diagnostic).unwrap_or_default();
    (value["level"], value["fix"]) = (json!(diagnostic.check.level()), json!(diagnostic.check.fix()));
    value
}
