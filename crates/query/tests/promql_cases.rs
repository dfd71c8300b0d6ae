//! Runs `tests/cases/promql/*.test`.

mod promql_engine;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{Answered, Ask, Code, QueryLimits, Request, Table};
use promql_engine::{Engine, demo_series};
use testkit::memory_scan::MemoryScan;
use testkit::promqltest;

#[tokio::test]
async fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/promql");
    let entries = std::fs::read_dir(&folder).expect("the cases are in the repository");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no cases in {}", folder.display());
    let mut failures = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a case is readable");
        let outcome = promqltest::run(&text, &|scan| Engine::over(scan)).await;
        assert!(outcome.total > 0, "{} evaluates nothing", path.display());
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        failures.extend(outcome.failures.into_iter().map(|failure| format!("{name}:{failure}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn range(query: &str, end_ms: i64, step_ms: i64, limits: QueryLimits) -> Result<usize, (Code, String)> {
    let scan = Arc::new(MemoryScan::default());
    scan.push(Table::Samples, demo_series());
    let ask = Ask::PromqlRange { query: query.to_owned(), start_ms: 0, end_ms, step_ms, lookback: None };
    match Engine::over(scan).query(Request { ask, limits }).await {
        Ok(answer) => match answer.data {
            Answered::Matrix(series) => Ok(series.len()),
            _ => panic!("a range query answers with a matrix"),
        },
        Err(error) => Err((error.code, error.what)),
    }
}

#[tokio::test]
async fn limits_have_names() {
    let unlimited = QueryLimits::default;
    let (code, what) = range("up", 11_001_000, 1000, unlimited()).await.expect_err("too many points");
    assert_eq!(code, Code::Invalid);
    assert_eq!(what, "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)");

    let few = QueryLimits { samples_max: 100, ..unlimited() };
    let (code, what) = range("demo_memory_usage_bytes", 60_000, 1000, few).await.expect_err("too many samples");
    assert_eq!(code, Code::LimitExceeded);
    assert!(what.contains("samples_max = 100"), "{what}");

    let few = QueryLimits { series_max: 2, ..unlimited() };
    let (code, what) = range("demo_num_cpus", 60_000, 1000, few).await.expect_err("too many series");
    assert_eq!(code, Code::LimitExceeded);
    assert!(what.contains("series_max = 2"), "{what}");

    let hasty = QueryLimits { timeout: Duration::ZERO, ..unlimited() };
    let (code, _) = range("demo_num_cpus", 60_000, 1000, hasty).await.expect_err("no time at all");
    assert_eq!(code, Code::Timeout);

    assert_eq!(range("demo_num_cpus", 60_000, 1000, unlimited()).await, Ok(3));
}

/// Of two rows of one series the later wins where they meet, whatever order their points come in.
#[tokio::test]
async fn rows_of_one_series_are_merged() {
    use model::samples::{SamplesBuilder, SeriesRow};
    let row = SeriesRow { name: "m", ..SeriesRow::default() };
    let mut builder = SamplesBuilder::default();
    builder.floats(&[3000, 1000], &[3.0, 1.0]);
    builder.push_series(&row, std::iter::empty());
    builder.floats(&[2000, 3000], &[2.0, 30.0]);
    builder.push_series(&row, std::iter::empty());
    let scan = Arc::new(MemoryScan::default());
    scan.push(Table::Samples, builder.finish());
    let ask = Ask::PromqlInstant { query: "m[10s]".to_owned(), at_ms: 5000, lookback: None };
    let answer = Engine::over(scan).query(Request::new(ask)).await.expect("answers");
    let Answered::Matrix(series) = answer.data else { panic!("a range selector answers with a matrix") };
    assert_eq!(series[0].floats, [(1000, 1.0), (2000, 2.0), (3000, 30.0)]);
}
