//! `GROUP BY` by the dictionaries of a scan, beside DataFusion's own, which is asked over a union with nothing.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use model::logs::{LogRow, LogsBuilder};
use model::{Answered, Ask, AttributeValue, Attributes, Query, Request, Table};
use query::{Engine, EngineOptions};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testkit::memory_scan::MemoryScan;

const ROWS: usize = 3000;

/// Few levels, services and minutes; nulls and empty texts among them.
fn logs() -> RecordBatch {
    let mut random = StdRng::seed_from_u64(11);
    let mut builder = LogsBuilder::default();
    for row in 0..ROWS {
        let mut pick = |from: &[&'static str]| from[random.random_range(0..from.len())];
        let (severity_text, service_name, body) = (pick(&["INFO", "WARN", "ERROR", ""]), pick(&["a", "b", "ü", ""]), pick(&["x", "y", ""]));
        if random.random_bool(0.7) {
            builder.attributes.push("took", AttributeValue::Double(f64::from(random.random_range(0..900)) / 8.0));
        }
        let severity_number = [None, Some(9), Some(17)][random.random_range(0..3)];
        let time_unix_nano = row as i64 * 1_000_000_000 - 500;
        let row = LogRow { time_unix_nano, severity_number, severity_text, service_name, body, ..LogRow::default() };
        builder.push(&row, &Attributes::default(), &Attributes::default());
    }
    builder.finish()
}

fn engine(batch_rows: usize) -> Engine {
    let scan = MemoryScan::in_batches_of(batch_rows);
    scan.push(Table::Logs, logs());
    Engine::new(Arc::new(scan), EngineOptions { partitions_max: 2, ..EngineOptions::default() })
}

async fn run(engine: &Engine, sql: &str) -> String {
    let answer =
        engine.query(Request::new(Ask::Sql { sql: sql.to_owned() })).await.unwrap_or_else(|error| panic!("{sql}: {}", error.chain()));
    let Answered::Table { rows, .. } = answer.data else { panic!("SQL answers a table") };
    pretty_format_batches(&rows.try_collect::<Vec<_>>().await.unwrap()).unwrap().to_string()
}

/// The cells of a table's rows, in any order; without the names of its columns, which widen it.
fn cells(table: &str) -> Vec<Vec<&str>> {
    let mut rows: Vec<Vec<&str>> =
        table.lines().skip(3).map(|line| line.split_whitespace().filter(|part| !part.starts_with('+')).collect()).collect();
    rows.sort_unstable();
    rows
}

#[tokio::test]
async fn answers_are_the_same_as_over_a_union() {
    let minute = "time_unix_nano / 60000000000";
    let took = "cast(attributes['took'] AS double)";
    let groups: [&[&str]; 7] = [
        &["severity_text"],
        &["service_name", "severity_text"],
        &["severity_text", minute],
        &[minute, "service_name", "severity_number * 2"],
        &["business_service", "severity_text"],
        &["severity_number % 10"],
        &["service_name", "severity_number"],
    ];
    let values = [
        "count(*)".to_owned(),
        "count(service_name), count(severity_text)".to_owned(),
        format!("max({took}), min({took}), sum({took}), avg({took})"),
        "count(distinct body), min(body), max(severity_text)".to_owned(),
        "count(*) FILTER (WHERE severity_text = 'ERROR'), sum(severity_number) FILTER (WHERE service_name = 'a')".to_owned(),
        "bool_and(body = 'x'), approx_distinct(body)".to_owned(),
    ];
    let filters = ["", "WHERE severity_text = 'ERROR' AND body LIKE '%y%'", "WHERE time_unix_nano < -600"];
    let (engine, mut used, mut asked) = (engine(7), 0, 0);
    for groups in groups {
        for values in &values {
            for filter in filters {
                let groups = groups.join(", ");
                let ask = |rows: &str| format!("SELECT {groups}, {values} FROM {rows} {filter} GROUP BY {groups}");
                let (ours, theirs) = (ask("logs"), ask("(SELECT * FROM logs UNION ALL SELECT * FROM logs WHERE time_unix_nano < -1000)"));
                assert_eq!(cells(&run(&engine, &ours).await), cells(&run(&engine, &theirs).await), "{ours}");
                assert!(!run(&engine, &format!("EXPLAIN {theirs}")).await.contains("GroupedExec"), "{theirs}");
                used += usize::from(run(&engine, &format!("EXPLAIN {ours}")).await.contains("GroupedExec"));
                asked += 1;
            }
        }
    }
    assert!(used > asked / 2, "{used} of {asked} were grouped by the scan");
}

#[tokio::test]
async fn more_groups_than_are_held_are_put_together_again() {
    let mut builder = LogsBuilder::default();
    for row in 0..150_000 {
        let row =
            LogRow { time_unix_nano: row % 75_000 * 10, service_name: if row % 2 == 0 { "even" } else { "odd" }, ..LogRow::default() };
        builder.push(&row, &Attributes::default(), &Attributes::default());
    }
    let scan = MemoryScan::in_batches_of(8192);
    scan.push(Table::Logs, builder.finish());
    let engine = Engine::new(Arc::new(scan), EngineOptions { partitions_max: 2, ..EngineOptions::default() });
    let groups = "SELECT service_name, time_unix_nano / 10 AS ten, count(*) AS rows FROM logs GROUP BY 1, 2";
    assert!(run(&engine, &format!("EXPLAIN {groups}")).await.contains("GroupedExec"));
    let table = run(&engine, &format!("SELECT count(*), min(rows), max(rows), sum(ten) FROM ({groups})")).await;
    assert!(table.contains("| 75000    | 2         | 2         | 2812462500 |"), "{table}");
}
