//! Runs Prometheus's own test scripts from the data folder (`TYTO_DATA`, default `../shared/data`) and prints how many
//! pass. Without the folder it says so and passes. The floors are what has been reached: raise them, never lower them.

mod promql_engine;

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Ask, Request, Table};
use promql_engine::Engine;
use testkit::memory_scan::MemoryScan;
use testkit::{promqltest, suite};

const EVALS_MIN: usize = 1755;

/// A row of a table whose texts escape backslash, tab and line ends.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => {}
            },
            (c, false) => out.push(c),
        }
    }
    out
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn scripts() {
    let Some(folder) = suite("promql") else { return };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    let (mut passed, mut total) = (0, 0);
    for path in files {
        let outcome = promqltest::run(&read(&path), &|scan| Engine::over(scan)).await;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        println!("promql/{name}: passed {} of {}", outcome.passed, outcome.total);
        if std::env::var_os("TYTO_SHOW_FAILURES").is_some() {
            outcome.failures.iter().for_each(|failure| println!("  {name}:{failure}"));
        }
        (passed, total) = (passed + outcome.passed, total + outcome.total);
    }
    println!("promql: passed {passed} of {total}");
    assert!(passed >= EVALS_MIN, "{passed} evals pass, {EVALS_MIN} did before");
}

#[test]
fn parse_cases() {
    let Some(folder) = suite("promql") else { return };
    let text = read(&folder.join("parse_cases.tsv"));
    let mut wrong = Vec::new();
    for line in text.lines().skip(1) {
        let mut fields = line.split('\t');
        let (expect, query) = (fields.next().unwrap_or_default(), unescape(fields.next().unwrap_or_default()));
        let parsed = lang::promql::parse(&query);
        if let Ok(expr) = &parsed {
            let printed = expr.to_string();
            let again = lang::promql::parse(&printed).map(|expr| expr.to_string());
            assert_eq!(again, Ok(printed), "the print of {query} parses and prints the same");
        }
        if parsed.is_ok() != (expect == "valid") {
            wrong.push(query);
        }
    }
    let total = text.lines().count() - 1;
    println!("promql/parse_cases: passed {} of {total}", total - wrong.len());
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[tokio::test]
async fn compliance() {
    let Some(folder) = suite("promql") else { return };
    let text = read(&folder.join("compliance/expanded.tsv"));
    let scan = std::sync::Arc::new(MemoryScan::default());
    scan.push(Table::Samples, promql_engine::demo_series());
    let engine = Engine::over(scan);
    let mut wrong = Vec::new();
    for line in text.lines().skip(1) {
        let (should_fail, query) = line.split_once('\t').unwrap_or_default();
        let query = unescape(query);
        let ask = Ask::PromqlRange {
            query: query.clone(),
            start_ms: 0,
            end_ms: 3_600_000,
            step_ms: 60_000,
            lookback: Some(Duration::from_secs(300)),
        };
        if engine.query(Request::new(ask)).await.is_err() != (should_fail == "true") {
            wrong.push(query);
        }
    }
    let total = text.lines().count() - 1;
    println!("promql/compliance: passed {} of {total}", total - wrong.len());
    assert!(wrong.is_empty(), "{wrong:?}");
}
