//! Runs `tests/cases/pipeline/*.test`. A case is `# name`, a pipeline, perhaps `---- table NAME` with a look-up table, then `---- records`
//! with a record or a line of text each line, and `---- after` with what becomes of each: the record as it is stored, `dropped` with stage
//! and reason, and below it what stages could not do and what they hid. `UPDATE=1` rewrites the expectations.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;

use pipeline::{PseudonymKey, try_draft};
use serde_json::Value;

/// 2026-01-31T12:00:00Z
const NOW_MS: i64 = 1_769_860_800_000;

fn answer(head: &str, records: &str) -> String {
    let mut parts = head.split("\n---- table ");
    let text = parts.next().unwrap();
    let tables: Vec<(String, &str)> =
        parts.map(|part| part.split_once('\n').unwrap()).map(|(name, text)| (format!("pipelines/tables/{name}"), text)).collect();
    let tables: Vec<(&str, &str)> = tables.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let record = |line: &str| if line.starts_with('{') { serde_json::from_str(line).unwrap() } else { Value::from(line) };
    let records: Vec<Value> = records.lines().filter(|line| !line.is_empty()).map(record).collect();
    let key = PseudonymKey::new(b"the key of all cases").unwrap();
    let trial = try_draft("pipelines/one.yaml", text, &tables, &records, Some(key), NOW_MS).unwrap();
    let mut out = String::new();
    trial.problems.iter().for_each(|problem| writeln!(out, "{problem}").unwrap());
    for tried in trial.records {
        match (tried.after, tried.dropped) {
            (Some(after), None) if after == tried.before => writeln!(out, "as it was").unwrap(),
            (Some(after), None) => writeln!(out, "{after}").unwrap(),
            (None, Some(by)) => writeln!(out, "dropped by {}: {}", by.stage, by.reason).unwrap(),
            other => panic!("a record is stored or dropped: {other:?}"),
        }
        for note in tried.notes {
            writeln!(out, "  {} {} {}", note.stage, note.what, note.reason).unwrap();
        }
    }
    // Lines end without blanks, for whoever edits the file.
    out.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn cases() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/pipeline");
    let mut ran = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut rewritten = String::new();
        for case in text.split_inclusive("\n====\n") {
            let body = case.trim_end_matches("====\n");
            let (head, rest) = body.split_once("\n---- records\n").expect("a case has records");
            let (records, expected) = rest.split_once("---- after\n").expect("a case says what comes after");
            let actual = answer(head, records);
            if std::env::var_os("UPDATE").is_none() {
                assert_eq!(actual.trim_end(), expected.trim_end(), "{} in {}", head.lines().next().unwrap(), path.display());
            }
            let end = if case.ends_with("====\n") { "====\n" } else { "" };
            write!(rewritten, "{head}\n---- records\n{records}---- after\n{actual}{end}").unwrap();
            ran += 1;
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, rewritten).unwrap();
        }
    }
    assert!(ran >= 20, "the cases are there: {ran}");
}
