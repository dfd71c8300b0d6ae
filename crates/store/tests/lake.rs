//! A lake for other engines to read: `crates/store/tests/open_lake.py` reads what this writes, and what it finds is compared.
//!
//! Runs the engines only where `TYTO_LAKE_PYTHON` names a Python that has `duckdb` and `chdb`; writes the lake always.
#![allow(clippy::unwrap_used)]

mod support;

use model::Table;
use store::{Shard, ShardOptions};
use support::*;

#[tokio::test(flavor = "multi_thread")]
async fn other_engines_count_what_tyto_counts() {
    let dir = tempfile::tempdir().unwrap();
    let options = ShardOptions { checkpoint_commits: 3, files_max_before_compaction: 4, ..options(dir.path()) };
    let shard = Shard::open(options).await.unwrap();
    for round in 0..7 {
        let rows: Vec<_> = (0..50).map(|row| (round * 100 + row, ["", "login", "player"][(row % 3) as usize], "a body")).collect();
        put(&shard, Table::Logs, logs(&rows)).await.unwrap();
        put(&shard, Table::Spans, spans(&[(round, "GetItem"), (round + 50, "PutItem")])).await.unwrap();
        let points: Vec<_> = (0..10).map(|step| (round * 1000 + step, (step as f64) / 2.0)).collect();
        put(&shard, Table::Samples, floats("up", "x", &points)).await.unwrap();
        put(&shard, Table::Samples, floats("down", "y", &points)).await.unwrap();
        put(&shard, Table::Samples, histogram("latency", round * 1000)).await.unwrap();
        shard.flush().await.unwrap();
        if round == 4 {
            shard.compact().await.unwrap();
        }
    }
    let lake_rows: Vec<u64> = shard.stats().tables.iter().map(|table| table.lake_rows).collect();
    shard.shutdown().await.unwrap();
    assert_eq!(lake_rows[..2], [350, 14]);

    let Some(python) = std::env::var_os("TYTO_LAKE_PYTHON") else { return };
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/open_lake.py");
    let output = std::process::Command::new(python).arg(script).arg(dir.path().join("lake")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["duckdb"], answer["clickhouse"]);
    for (table, rows) in Table::ALL.iter().zip(lake_rows) {
        assert_eq!(answer["duckdb"][table.name()]["rows"].as_u64(), Some(rows), "{answer:#}");
    }
    assert_eq!(answer["duckdb"]["logs"]["body_characters"].as_f64(), Some(350.0 * 6.0));
    // 140 floats and 7 histograms; each of the two series sums 0 + 0.5 + ... + 4.5 seven times.
    assert_eq!(answer["duckdb"]["samples"]["points"].as_f64(), Some(147.0));
    assert_eq!(answer["duckdb"]["samples"]["value_sum"].as_f64(), Some(2.0 * 7.0 * 22.5));
}
