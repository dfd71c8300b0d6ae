//! Runs `tests/cases/sql/*.test`: a statement, `----`, and the table or error it gives; cases are parted by blank lines.
//! `UPDATE=1` rewrites the expectations.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use model::{Answered, Ask, Query, Request, Result};
use query::{Engine, EngineOptions};

async fn run(engine: &Engine, sql: &str) -> Result<String> {
    let answer = engine.query(Request::new(Ask::Sql { sql: sql.to_owned() })).await?;
    let Answered::Table { schema, rows } = answer.data else { panic!("SQL answers a table") };
    let mut batches: Vec<_> = rows.try_collect().await?;
    batches.push(arrow::array::RecordBatch::new_empty(schema));
    Ok(pretty_format_batches(&batches).expect("printable").to_string())
}

async fn rewrite(path: &Path, engine: &Engine) -> (String, String) {
    let written = std::fs::read_to_string(path).expect("a readable case file");
    let mut actual = Vec::new();
    for case in written.trim_end().split("\n\n") {
        let statement = case.split("\n----").next().expect("split gives at least one");
        let sql: Vec<&str> = statement.lines().filter(|line| !line.starts_with('#')).collect();
        if sql.is_empty() {
            actual.push(case.to_owned());
            continue;
        }
        let outcome = run(engine, &sql.join("\n")).await.unwrap_or_else(|error| format!("{:?}: {}", error.code, error.chain()));
        actual.push(format!("{statement}\n----\n{outcome}"));
    }
    (written, actual.join("\n\n") + "\n")
}

#[tokio::test]
async fn cases() {
    let clock = Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(60));
    let options = EngineOptions { partitions_max: 2, clock, ..EngineOptions::default() };
    let engine = Engine::new(Arc::new(support::company()), options);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/sql");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("tests/cases/sql") {
        let path = entry.expect("an entry").path();
        let (written, actual) = rewrite(&path, &engine).await;
        seen += 1;
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, actual).expect("a writable case file");
        } else {
            assert_eq!(actual, written, "{}: run with UPDATE=1 and read the difference", path.display());
        }
    }
    assert!(seen > 0, "no case files in {}", folder.display());
}
