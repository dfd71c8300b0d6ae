//! SARIF 2.1.0, which GitHub and others show beside the lines of a change:
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use serde_json::{Value, json};

use crate::check::Checked;
use crate::checks::Check;
use crate::problem::Diagnostic;

/// `version` is Tyto's.
pub fn sarif(checked: &Checked, version: &str) -> Value {
    let rules: Vec<Value> = Check::ALL.into_iter().map(rule).collect();
    let results: Vec<Value> = checked.diagnostics.iter().map(result).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "tyto check", "semanticVersion": version, "rules": rules}},
            // Columns count characters, not the UTF-16 units that SARIF assumes.
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": {"changes": checked.changes},
        }],
    })
}

fn rule(check: Check) -> Value {
    let explained = check.explained();
    json!({
        "id": explained.name,
        "shortDescription": {"text": explained.about},
        "help": {"text": explained.fix},
        "defaultConfiguration": {"level": check.level().name()},
    })
}

fn result(diagnostic: &Diagnostic) -> Value {
    let problem = &diagnostic.problem;
    let artifact = json!({"uri": uri(&problem.file)});
    let mut location = json!({"artifactLocation": artifact});
    if problem.line > 0 {
        location["region"] = json!({"startLine": problem.line, "startColumn": problem.column.max(1)});
    }
    let index = Check::ALL.iter().position(|check| *check == diagnostic.check).unwrap_or_default();
    let mut result = json!({
        "ruleId": diagnostic.check.name(),
        "ruleIndex": index,
        "level": diagnostic.check.level().name(),
        "message": {"text": problem.what},
        "locations": [{"physicalLocation": location}],
    });
    if let Some(instead) = &diagnostic.instead {
        let end = problem.column + instead.of.chars().count();
        result["fixes"] = json!([{
            "description": {"text": format!("Write {:?}.", instead.write)},
            "artifactChanges": [{
                "artifactLocation": {"uri": uri(&problem.file)},
                "replacements": [{
                    "deletedRegion": {"startLine": problem.line, "startColumn": problem.column, "endColumn": end},
                    "insertedContent": {"text": instead.write},
                }],
            }],
        }]);
    }
    result
}

/// A path as a reference: relative ones stay so, which is what GitHub wants.
fn uri(file: &str) -> String {
    let path = file.strip_prefix("./").unwrap_or(file);
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    if path.starts_with('/') { format!("file://{uri}") } else { uri }
}
