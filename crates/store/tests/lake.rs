//! A lake for other engines to read: `crates/store/tests/open_lake.py` reads what this writes, and what it finds is compared.
//!
//! Runs the engines only where `TYTO_LAKE_PYTHON` names a Python that has `duckdb` and `chdb`; writes the lake always.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use model::samples::{NO_START, SamplesBuilder, SamplesView, SeriesRow};
use model::{Filter, ScanRequest, Subject, Table, Test, TimeRange};
use store::{Shard, ShardOptions};
use support::*;

/// What DuckDB and ClickHouse both find, where there is a Python that has them.
fn agree(lake: &Path) -> Option<serde_json::Value> {
    let python = std::env::var_os("TYTO_LAKE_PYTHON")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/open_lake.py");
    let output = std::process::Command::new(python).arg(script).arg(lake).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["duckdb"], answer["clickhouse"]);
    Some(answer)
}

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

    let Some(answer) = agree(&dir.path().join("lake")) else { return };
    for (table, rows) in SIGNALS.iter().zip(lake_rows) {
        assert_eq!(answer["duckdb"][table.name()]["rows"].as_u64(), Some(rows), "{answer:#}");
    }
    assert_eq!(answer["duckdb"]["logs"]["body_characters"].as_f64(), Some(350.0 * 6.0));
    // 140 floats and 7 histograms; each of the two series sums 0 + 0.5 + ... + 4.5 seven times.
    assert_eq!(answer["duckdb"]["samples"]["points"].as_f64(), Some(147.0));
    assert_eq!(answer["duckdb"]["samples"]["value_millionths_sum"].as_f64(), Some(2.0 * 7.0 * 22.5e6));
}

/// What a golden lake of samples got in this round: numbers of every kind.
fn golden_samples(round: i64) -> Vec<RecordBatch> {
    const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
    const WHOLE_MAX: f64 = ((1_i64 << 53) - 1) as f64;
    let whole = |at: i64| (round * 1000 + at * at) as f64;
    let series = |name: &str, value: &dyn Fn(i64) -> f64| {
        let points: Vec<_> = (0..20).map(|at| (1_700_000_000_000 + (round * 20 + at) * 15_000, value(at))).collect();
        floats(name, "x", &points)
    };
    vec![
        series("ended", &|at| if at < 19 { whole(at) } else { STALE }),
        series("large", &|at| [WHOLE_MAX, -WHOLE_MAX, 9e15, 1e300, -1e22][((at + round) % 5) as usize]),
        series("odd", &|at| [-0.0, f64::INFINITY, f64::NEG_INFINITY, f64::from_bits(0xfff8_0000_0000_0007), 5e-324][(at % 5) as usize]),
        series("requests", &whole),
        series("share", &|at| whole(at) / 7.0),
        series("temperature", &|at| (whole(at) - 100.0) / 1000.0),
        histogram("latency", 1_700_000_000_000 + round * 300_000),
    ]
}

/// What a golden lake of version 3 got besides: points that say since when they count, and such that do not, of counters that
/// begin anew, and of differences.
fn golden_starts(round: i64) -> Vec<RecordBatch> {
    let time = |at: i64| 1_700_000_000_000 + (round * 20 + at) * 15_000;
    let series = |name: &str, start: &dyn Fn(i64) -> i64| {
        let mut builder = SamplesBuilder::default();
        for at in 0..20 {
            builder.float(time(at), at as f64);
            builder.start(start(at));
        }
        builder.push_series(&SeriesRow { name, ..SeriesRow::default() }, [("service_name", "x")].into_iter());
        identify(builder.finish())
    };
    vec![
        series("jobs_total", &|at| if at % 7 == 0 { NO_START } else { time(at / 10 * 10) - 1 }),
        series("jobs_since_last", &|at| time(at - 1)),
    ]
}

/// Name, milliseconds, the value's bits and start of every point.
fn exact_points(records: &RecordBatch) -> Vec<(String, i64, u64, i64)> {
    let view = SamplesView::of(records).unwrap();
    let of_row = |row: usize| {
        let (starts, name) = (view.starts(row).unwrap(), view.name.value(row));
        let points = view.timestamps(row).unwrap().iter().zip(view.floats(row).unwrap()).enumerate();
        let start = move |at: usize| if starts.is_empty() { NO_START } else { starts[at] };
        points.map(move |(at, (time, value))| (name.to_owned(), *time, value.to_bits(), start(at))).collect::<Vec<_>>()
    };
    let mut points: Vec<_> = (0..records.num_rows()).flat_map(of_row).collect();
    points.sort();
    points
}

/// `UPDATE=1` writes the golden lake of version 3 anew; do so only for a version that was never released.
async fn update_golden_samples() {
    let dir = Path::new("tests/golden/lake-v3");
    if std::env::var_os("UPDATE").is_none() {
        return;
    }
    std::fs::remove_dir_all(dir.join("lake/samples")).unwrap_or_default();
    let scratch = tempfile::tempdir().unwrap();
    let shard = Shard::open(ShardOptions { name: "default".to_owned(), ..options(scratch.path()) }).await.unwrap();
    for round in 0..2 {
        for records in golden_samples(round).into_iter().chain(golden_starts(round)) {
            put(&shard, Table::Samples, records).await.unwrap();
        }
        shard.flush().await.unwrap();
    }
    shard.shutdown().await.unwrap();
    copied(&scratch.path().join("lake/samples"), &dir.join("lake/samples"));
}

/// Samples from before values were packed, since, and since they have starts. An older Tyto's table gets the columns when it is opened for writing, and
/// what is written then lies beside its files, and after a compaction in place of them.
#[tokio::test(flavor = "multi_thread")]
async fn samples_of_every_version_are_read_and_written_on() {
    let options = |dir: &Path| ShardOptions { name: "default".to_owned(), files_max_before_compaction: 3, ..options(dir) };
    update_golden_samples().await;
    for golden in ["lake-v1", "lake-v2", "lake-v3"] {
        let dir = tempfile::tempdir().unwrap();
        copied(&Path::new("tests/golden").join(golden).join("lake/samples"), &dir.path().join("lake/samples"));
        let mut expect: Vec<RecordBatch> = (0..2).flat_map(golden_samples).collect();
        if golden == "lake-v3" {
            expect.extend((0..2).flat_map(golden_starts));
        }
        let check = async |shard: &Shard, expect: &[RecordBatch], moment: &str| {
            let found = all(shard, Table::Samples).await;
            let expect = concat_batches(&Table::Samples.schema(), expect).unwrap();
            assert_eq!(exact_points(&found), exact_points(&expect), "{golden} {moment}");
            let histograms = |records: &RecordBatch| records.num_rows() - records.column_by_name("histograms").unwrap().null_count();
            assert!(histograms(&found) > 0, "{golden} {moment}");
        };
        check(&Shard::open_read_only(options(dir.path())).await.unwrap(), &expect, "read only").await;
        let shard = Shard::open(options(dir.path())).await.unwrap();
        check(&shard, &expect, "opened").await;
        for records in golden_samples(2).into_iter().chain(golden_starts(2)) {
            put(&shard, Table::Samples, records.clone()).await.unwrap();
            expect.push(records);
        }
        shard.flush().await.unwrap();
        check(&shard, &expect, "with a file of our own").await;
        agree(&dir.path().join("lake"));
        shard.compact().await.unwrap();
        assert_eq!(shard.stats().tables[2].lake_files, 1);
        // Of each of the four series of decimals one row; the others stay doubles.
        assert_eq!(valid_rows(&dir.path().join("lake/samples"), "value_deltas"), 4, "{golden}");
        assert_eq!(valid_rows(&dir.path().join("lake/samples"), "start_timestamps"), 2, "{golden}");
        check(&shard, &expect, "compacted").await;
        shard.shutdown().await.unwrap();
        check(&Shard::open(options(dir.path())).await.unwrap(), &expect, "opened again").await;
        agree(&dir.path().join("lake"));
    }
}

/// What a golden lake of logs got in this round: bodies that are split and such that are not.
fn golden_logs(round: i64) -> RecordBatch {
    let bodies: Vec<String> = (0..40)
        .map(|at| match at % 8 {
            0..3 => format!("request {at} of größe {:x} done", at * 1000 + round),
            3 => format!("connection {round}-{at}x reset by peer"),
            4 => "idle".to_owned(),
            5 => format!("{{\"n\":{at}}}"),
            6 => format!("has \u{1a} {at} of its own"),
            _ => {
                if at == 7 {
                    String::new()
                } else {
                    at.to_string()
                }
            }
        })
        .collect();
    let rows: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| (1_700_000_000_000_000_000 + round * 1000 + at as i64, "login", body.as_str()))
        .collect();
    logs(&rows)
}

/// Logs from before bodies were split, and since.
#[tokio::test(flavor = "multi_thread")]
async fn logs_of_every_version_are_read_and_written_on() {
    let options = |dir: &Path| ShardOptions { name: "default".to_owned(), files_max_before_compaction: 2, ..options(dir) };
    let first: Vec<String> = (0..5).map(|at| format!("request {at} of größe {} done", at * 1000)).collect();
    for (golden, mut expect) in [("lake-v1", first), ("lake-v2", [golden_logs(0), golden_logs(1)].iter().flat_map(bodies).collect())] {
        let dir = tempfile::tempdir().unwrap();
        copied(&Path::new("tests/golden").join(golden).join("lake/logs"), &dir.path().join("lake/logs"));
        let check = async |shard: &Shard, expect: &[String], moment: &str| {
            let mut expect = expect.to_vec();
            expect.sort();
            assert_eq!(bodies(&all(shard, Table::Logs).await), expect, "{golden} {moment}");
            for wanted in ["größe", "of größe 0", "reset by", "0", "idle", "1a", "has \u{1a} 6"] {
                let filter = Filter { subject: Subject::Column("body".to_owned()), test: Test::Contains(wanted.to_owned()) };
                let found = scan(shard, ScanRequest { filters: vec![filter], ..ScanRequest::new(Table::Logs, TimeRange::ALL) }).await;
                let expect: Vec<_> = expect.iter().filter(|body| body.contains(wanted)).cloned().collect();
                assert_eq!(bodies(&found), expect, "{golden} {moment} {wanted:?}");
            }
        };
        check(&Shard::open_read_only(options(dir.path())).await.unwrap(), &expect, "read only").await;
        let shard = Shard::open(options(dir.path())).await.unwrap();
        check(&shard, &expect, "opened").await;
        put(&shard, Table::Logs, golden_logs(2)).await.unwrap();
        expect.extend(bodies(&golden_logs(2)));
        shard.flush().await.unwrap();
        check(&shard, &expect, "with a file of our own").await;
        let found = |answer: serde_json::Value| answer["duckdb"]["logs"]["body_characters"].as_f64();
        let characters: usize = expect.iter().map(|body| body.chars().count()).sum();
        let of_engines = agree(&dir.path().join("lake")).and_then(found);
        assert!(of_engines.is_none_or(|found| found == characters as f64), "{golden} {of_engines:?}");
        shard.compact().await.unwrap();
        assert_eq!(shard.stats().tables[0].lake_files, 1);
        let whole = expect.iter().filter(|body| body.contains('\u{1a}')).count();
        assert_eq!(valid_rows(&dir.path().join("lake/logs"), "body_template"), expect.len() - whole, "{golden}");
        check(&shard, &expect, "compacted").await;
        shard.shutdown().await.unwrap();
        check(&Shard::open(options(dir.path())).await.unwrap(), &expect, "opened again").await;
        agree(&dir.path().join("lake"));
    }
}

/// Whether a commit of the table of samples brought it up to date.
fn is_upgrade(dir: &Path, version: u64) -> bool {
    let commit = std::fs::read_to_string(dir.join(format!("lake/samples/_delta_log/{version:020}.json"))).unwrap();
    commit.contains("value_deltas") && commit.contains(r#""tyto.formatVersion":"3""#)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_done_once_and_again_after_it_failed() {
    let dir = tempfile::tempdir().unwrap();
    copied(Path::new("tests/golden/lake-v1/lake"), &dir.path().join("lake"));
    let (options, disk) = faulty(dir.path());
    let options = ShardOptions { name: "default".to_owned(), ..options };
    disk.fail_when(|_, path| path.ends_with("00000000000000000003.json"));
    assert!(Shard::open(options.clone()).await.is_err());
    disk.heal();
    for round in 0..2 {
        let shard = Shard::open(options.clone()).await.unwrap();
        assert_eq!(exact_points(&all(&shard, Table::Samples).await).len(), 240 + round as usize);
        put(&shard, Table::Samples, floats("up", "x", &[(round, 0.5)])).await.unwrap();
        shard.shutdown().await.unwrap();
    }
    assert_eq!([3, 4, 5].map(|version| is_upgrade(dir.path(), version)), [true, false, false]);
    let spans = std::fs::read_dir(dir.path().join("lake/spans/_delta_log")).unwrap().count();
    assert_eq!(spans, 3, "one commit brought the columns of spans up to date");
}
