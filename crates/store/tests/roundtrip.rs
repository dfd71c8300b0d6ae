//! Rows come back as they went in: from the head, from the lake, after a restart, beside a living server.
#![allow(clippy::unwrap_used)]

mod support;

use arrow::compute::concat_batches;
use model::{Code, Scan, Table};
use store::{Shard, ShardOptions};
use support::*;

fn everything() -> Vec<(Table, arrow::array::RecordBatch)> {
    vec![
        (Table::Logs, logs(&[(5, "player", "hello"), (1, "login", "wörld"), (1_700_000_000_000_000_000, "", "")])),
        (Table::Spans, spans(&[(10, "GetItem"), (3, "PutItem")])),
        (Table::Samples, floats("up", "x", &[(1000, 1.0), (2000, f64::from_bits(0x7ff0_0000_0000_0002))])),
        (Table::Samples, histogram("latency", 1500)),
        (Table::Quarantine, set_aside(&logs(&[(7, "player", "odd"), (8, "login", "")]))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_comes_back_from_head_lake_and_log() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    for (table, records) in everything() {
        put(&shard, table, records).await.unwrap();
    }
    let expect: Vec<_> = Table::ALL
        .map(|table| {
            let batches: Vec<_> = everything().into_iter().filter(|(other, _)| *other == table).map(|(_, records)| records).collect();
            rows(&concat_batches(&table.schema(), &batches).unwrap())
        })
        .into();
    let check = async |shard: &Shard, moment: &str| {
        for (table, expect) in Table::ALL.into_iter().zip(&expect) {
            let found = all(shard, table).await;
            assert_eq!(&rows(&found), expect, "{} {moment}", table.name());
        }
    };
    check(&shard, "in the head").await;
    drop(shard);
    let shard = Shard::open(options(dir.path())).await.unwrap();
    check(&shard, "replayed from the log").await;
    shard.flush().await.unwrap();
    check(&shard, "in the lake").await;
    let stats = shard.stats();
    assert!(stats.tables.iter().all(|table| table.lake_files == 1 && table.head_rows == 0), "{stats:?}");
    let beside = Shard::open_read_only(options(dir.path())).await.unwrap();
    check(&beside, "read beside the writer").await;
    shard.shutdown().await.unwrap();
    assert_eq!(shard.stats().wal_segments, 0);
    let shard = Shard::open(options(dir.path())).await.unwrap();
    check(&shard, "reopened after shutdown").await;
    put(&shard, Table::Logs, logs(&[(9, "late", "more")])).await.unwrap();
    drop(shard);
    let shard = Shard::open(options(dir.path())).await.unwrap();
    assert_eq!(all(&shard, Table::Logs).await.num_rows(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_only_changes_nothing_and_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Shard::open(options(dir.path())).await.unwrap();
    put(&writer, Table::Logs, logs(&[(1, "a", "flushed")])).await.unwrap();
    writer.flush().await.unwrap();
    put(&writer, Table::Logs, logs(&[(2, "a", "logged")])).await.unwrap();
    let reader = Shard::open_read_only(options(dir.path())).await.unwrap();
    assert_eq!(bodies(&all(&reader, Table::Logs).await), ["flushed", "logged"]);
    assert_eq!(put(&reader, Table::Logs, logs(&[(3, "a", "no")])).await.unwrap_err().code, Code::Unsupported);
    assert_eq!(reader.schema(Table::Logs), Table::Logs.schema());
    let nowhere = Shard::open_read_only(ShardOptions::new("one", dir.path().join("nowhere"))).await;
    assert_eq!(nowhere.err().unwrap().code, Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_is_told_who_is_first() {
    let dir = tempfile::tempdir().unwrap();
    let first = Shard::open(options(dir.path())).await.unwrap();
    let error = Shard::open(options(dir.path())).await.err().unwrap().chain();
    assert!(error.contains(&format!("held by process {}", std::process::id())), "{error}");
    first.shutdown().await.unwrap();
    assert_eq!(put(&first, Table::Logs, logs(&[(1, "a", "b")])).await.unwrap_err().code, Code::Unavailable);
    Shard::open(options(dir.path())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_keeps_every_row_and_one_point_per_instant() {
    let dir = tempfile::tempdir().unwrap();
    let options = ShardOptions {
        files_max_before_compaction: 3,
        replaced_file_age_min: std::time::Duration::ZERO,
        checkpoint_commits: 2,
        ..options(dir.path())
    };
    let shard = Shard::open(options.clone()).await.unwrap();
    for round in 0..4 {
        put(&shard, Table::Logs, logs(&[(round, "a", &format!("line {round}"))])).await.unwrap();
        let points = [(round * 1000, round as f64), (5000, round as f64)];
        put(&shard, Table::Samples, floats("up", "x", &points)).await.unwrap();
        shard.flush().await.unwrap();
    }
    let held = model::Scan::scan(&*shard, model::ScanRequest::new(Table::Logs, model::TimeRange::ALL)).await.unwrap();
    shard.compact().await.unwrap();
    let stats = shard.stats();
    assert!(stats.tables.iter().all(|table| table.lake_files <= 1), "{stats:?}");
    let expect: Vec<_> = (0..4).map(|round| (round * 1000, round as f64)).chain([(5000, 3.0)]).collect();
    let check = async |shard: &Shard| {
        assert_eq!(bodies(&all(shard, Table::Logs).await), ["line 0", "line 1", "line 2", "line 3"]);
        let found = all(shard, Table::Samples).await;
        assert_eq!(found.num_rows(), 1, "one row for one series");
        assert_eq!(points(&found).into_iter().map(|point| (point.2, point.3)).collect::<Vec<_>>(), expect);
    };
    check(&shard).await;
    // A scan from before the compaction reads the replaced files.
    let before: Vec<_> = futures::TryStreamExt::try_collect(held).await.unwrap();
    assert_eq!(before.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 4);
    drop(shard);
    let shard = Shard::open(options).await.unwrap();
    check(&shard).await;
    let files = std::fs::read_dir(dir.path().join("lake/logs"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".parquet"));
    assert_eq!(files.count(), 1, "replaced files are gone after the next open");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_alone_reaches_series_of_its_family_and_stays_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    let metadata = |name: &str, kind: &str| {
        let mut builder = model::samples::SamplesBuilder::default();
        let row = model::samples::SeriesRow { name, kind, help: "helps", ..Default::default() };
        builder.push_series(&row, std::iter::empty());
        builder.finish()
    };
    let mut bare = model::samples::SamplesBuilder::default();
    bare.float(1000, 1.0);
    bare.push_series(&model::samples::SeriesRow { name: "requests_total", ..Default::default() }, std::iter::empty());
    put(&shard, Table::Samples, bare.finish()).await.unwrap();
    put(&shard, Table::Samples, metadata("requests_total", "counter")).await.unwrap();
    put(&shard, Table::Samples, metadata("lonely", "gauge")).await.unwrap();
    let check = async |shard: &Shard| {
        let found = all(shard, Table::Samples).await;
        let names: &arrow::array::StringArray = model::schema::column(&found, "name").unwrap();
        let kinds: &arrow::array::StringArray = model::schema::column(&found, "type").unwrap();
        let mut pairs: Vec<_> = (0..found.num_rows()).map(|row| (names.value(row), kinds.value(row))).collect();
        pairs.sort_unstable();
        assert_eq!(pairs, [("lonely", "gauge"), ("requests_total", "counter")]);
    };
    check(&shard).await;
    shard.flush().await.unwrap();
    check(&shard).await;
    // The same metadata again, as senders repeat it, writes nothing.
    put(&shard, Table::Samples, metadata("lonely", "gauge")).await.unwrap();
    shard.flush().await.unwrap();
    check(&shard).await;
    assert_eq!((shard.stats().tables[2].lake_files, shard.stats().wal_bytes), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn exemplars_without_points_survive_replay_flush_and_compaction() {
    let dir = tempfile::tempdir().unwrap();
    let options = ShardOptions { files_max_before_compaction: 2, ..options(dir.path()) };
    let mut shard = Shard::open(options.clone()).await.unwrap();
    let exemplar = |timestamp_ms: i64| {
        let mut builder = model::samples::SamplesBuilder::default();
        builder.exemplar(&model::samples::Exemplar { timestamp_ms, trace_id: "ab", ..Default::default() });
        builder.push_series(&model::samples::SeriesRow { name: "latency", ..Default::default() }, [("a", "x")].into_iter());
        builder.finish()
    };
    let check = async |shard: &Shard, expect: &[i64]| {
        let time = model::TimeRange::of_millis_inclusive(60_000, 120_000);
        let found = scan(shard, model::ScanRequest::new(Table::Samples, time)).await;
        let view = model::samples::SamplesView::of(&found).unwrap();
        let mut times = Vec::new();
        for row in 0..found.num_rows() {
            assert_eq!((view.name.value(row), view.labels.get(row, "a")), ("latency", Some("x")));
            view.for_each_exemplar(row, |exemplar| times.push(exemplar.timestamp_ms)).unwrap();
        }
        assert_eq!(times, expect);
    };
    put(&shard, Table::Samples, exemplar(70_000)).await.unwrap();
    check(&shard, &[70_000]).await;
    drop(shard);
    shard = Shard::open(options).await.unwrap();
    check(&shard, &[70_000]).await;
    shard.flush().await.unwrap();
    check(&shard, &[70_000]).await;
    put(&shard, Table::Samples, exemplar(80_000)).await.unwrap();
    shard.flush().await.unwrap();
    check(&shard, &[70_000, 80_000]).await;
    shard.compact().await.unwrap();
    assert_eq!(shard.stats().tables[2].lake_files, 1);
    check(&shard, &[70_000, 80_000]).await;
}

/// Files that a compaction replaced stay for readers outside, also over a restart.
#[tokio::test(flavor = "multi_thread")]
async fn replaced_files_stay_their_time_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let options = ShardOptions { files_max_before_compaction: 2, ..options(dir.path()) };
    let shard = Shard::open(options.clone()).await.unwrap();
    for body in ["one", "two"] {
        put(&shard, Table::Logs, logs(&[(1, "a", body)])).await.unwrap();
        shard.flush().await.unwrap();
    }
    shard.compact().await.unwrap();
    shard.shutdown().await.unwrap();
    assert_eq!(shard.compact().await.unwrap_err().code, Code::Unavailable, "another process may have the directory");
    assert_eq!(parquet_files(dir.path(), "logs").len(), 3);
    Shard::open(options.clone()).await.unwrap().shutdown().await.unwrap();
    assert_eq!(parquet_files(dir.path(), "logs").len(), 3);
    let options = ShardOptions { replaced_file_age_min: std::time::Duration::ZERO, ..options };
    let shard = Shard::open(options).await.unwrap();
    assert_eq!(parquet_files(dir.path(), "logs").len(), 1);
    assert_eq!(bodies(&all(&shard, Table::Logs).await), ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_count_commits_over_restarts_and_merged_samples_count_as_changed() {
    let dir = tempfile::tempdir().unwrap();
    let options = ShardOptions { checkpoint_commits: 3, files_max_before_compaction: 2, ..options(dir.path()) };
    for round in 0..2 {
        let shard = Shard::open(options.clone()).await.unwrap();
        put(&shard, Table::Logs, logs(&[(round, "a", "line")])).await.unwrap();
        put(&shard, Table::Samples, floats("up", "x", &[(round, 1.0)])).await.unwrap();
        shard.flush().await.unwrap();
        shard.shutdown().await.unwrap();
    }
    let shard = Shard::open(options).await.unwrap();
    shard.compact().await.unwrap();
    for (table, changed) in [("logs", "false"), ("samples", "true")] {
        let log = dir.path().join("lake").join(table).join("_delta_log");
        assert!(log.join("00000000000000000003.checkpoint.parquet").exists(), "{table}");
        let commit = std::fs::read_to_string(log.join("00000000000000000003.json")).unwrap();
        assert_eq!(commit.matches(&format!("\"dataChange\":{changed}")).count(), 3, "{table}: {commit}");
    }
}

/// A request of which a row is set aside.
async fn send_partly_aside(shard: &Shard, round: i64) -> model::Ack {
    let [records, aside] = ["kept", "aside"].map(|body| logs(&[(round, "a", &format!("{body} {round}"))]));
    let (known, aside) = (model::KnownPoints::default(), Some(set_aside(&aside)));
    let batch = model::Placed { shard: "one".to_owned(), table: Table::Logs, records, known, aside };
    model::Ingest::ingest(shard, batch).await.unwrap()
}

async fn check_partly_aside(shard: &Shard, rounds: i64, moment: &str) {
    for (table, word) in [(Table::Logs, "kept"), (Table::Quarantine, "aside")] {
        let expect: Vec<String> = (1..=rounds).map(|round| format!("{word} {round}")).collect();
        assert_eq!(bodies(&all(shard, table).await), expect, "{} {moment}", table.name());
    }
}

/// A request that is partly set aside is one frame: whatever is torn off the log, its rows are in both tables or in neither.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_two_tables_are_durable_together() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    assert_eq!(send_partly_aside(&shard, 1).await.accepted_records, 2);
    shard.flush().await.unwrap();
    send_partly_aside(&shard, 2).await;
    let segment = std::fs::read_dir(dir.path().join("wal")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let end = std::fs::metadata(&segment).unwrap().len();
    send_partly_aside(&shard, 3).await;
    check_partly_aside(&shard, 3, "in the head").await;
    drop(shard);
    let whole = std::fs::metadata(&segment).unwrap().len();
    for bytes in [whole, whole - 1, (end + whole) / 2, end + 1] {
        let copy = tempfile::tempdir().unwrap();
        copied(dir.path(), copy.path());
        let log = copy.path().join("wal").join(segment.file_name().unwrap());
        std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(bytes).unwrap();
        let shard = Shard::open(options(copy.path())).await.unwrap();
        check_partly_aside(&shard, if bytes == whole { 3 } else { 2 }, &format!("of {bytes} bytes of the log")).await;
    }
}

/// Version 1 of the table, and of the log's frames of two tables, is read for ever. `UPDATE=1` writes the files anew; do so only for a
/// version that was never released.
#[tokio::test(flavor = "multi_thread")]
async fn golden_quarantine_reads() {
    let golden = std::path::Path::new("tests/golden/quarantine-v1");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::remove_dir_all(golden).unwrap_or_default();
        let scratch = tempfile::tempdir().unwrap();
        let shard = Shard::open(options(scratch.path())).await.unwrap();
        send_partly_aside(&shard, 1).await;
        shard.flush().await.unwrap();
        send_partly_aside(&shard, 2).await;
        drop(shard);
        for name in ["lake/logs", "lake/quarantine", "wal"] {
            copied(&scratch.path().join(name), &golden.join(name));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    copied(golden, dir.path());
    let shard = Shard::open(options(dir.path())).await.unwrap();
    check_partly_aside(&shard, 2, "as it was written").await;
    shard.flush().await.unwrap();
    check_partly_aside(&shard, 2, "in the lake").await;
}
