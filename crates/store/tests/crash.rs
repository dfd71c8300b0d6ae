//! Whatever fails, and wherever a crash comes: acknowledged rows are there once, refused rows are not.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use model::{Code, ScanRequest, Table, TimeRange};
use store::{Shard, ShardOptions};
use support::*;

const BODIES: [&str; 3] = ["one", "three", "two"];

/// Fills a shard, lets one call of the flush fail, checks what is seen before and after a crash, then flushes for good.
async fn check_crash_point(what: &str, fails: impl Fn(&str, &Path) -> bool + Send + 'static) {
    let dir = tempfile::tempdir().unwrap();
    let (options, disk) = faulty(dir.path());
    let shard = Shard::open(options).await.unwrap();
    for body in ["one", "two"] {
        put(&shard, Table::Logs, logs(&[(1, "a", body)])).await.unwrap();
    }
    put(&shard, Table::Samples, floats("up", "x", &[(1000, 1.0)])).await.unwrap();
    let hit = Arc::new(AtomicBool::new(false));
    let seen = hit.clone();
    disk.fail_when(move |call, path| {
        let fail = fails(call, path);
        seen.fetch_or(fail, Ordering::Relaxed);
        fail
    });
    let flushed = shard.flush().await;
    assert!(hit.load(Ordering::Relaxed), "{what}: the fault never happened");
    put(&shard, Table::Logs, logs(&[(2, "a", "three")])).await.unwrap();
    assert_eq!(bodies(&all(&shard, Table::Logs).await), BODIES, "{what}: while failing (flush: {flushed:?})");
    drop(shard);

    let shard = Shard::open(options_of(dir.path())).await.unwrap();
    assert_eq!(bodies(&all(&shard, Table::Logs).await), BODIES, "{what}: after a crash");
    assert_eq!(points(&all(&shard, Table::Samples).await).len(), 1, "{what}: after a crash");
    shard.flush().await.unwrap();
    shard.flush().await.unwrap();
    assert_eq!(bodies(&all(&shard, Table::Logs).await), BODIES, "{what}: flushed after a crash");
    drop(shard);
    let shard = Shard::open(options_of(dir.path())).await.unwrap();
    assert_eq!(bodies(&all(&shard, Table::Logs).await), BODIES, "{what}: at rest");
    assert_eq!(points(&all(&shard, Table::Samples).await).len(), 1, "{what}: at rest");
}

fn options_of(dir: &Path) -> ShardOptions {
    options(dir)
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_of_a_flush_loses_and_doubles_nothing() {
    check_crash_point("creating the Parquet file", |call, path| call == "create" && is(path, "parquet")).await;
    check_crash_point("writing the Parquet file", |call, path| call == "append" && is(path, "parquet")).await;
    check_crash_point("syncing the Parquet file", |call, path| call == "sync" && is(path, "parquet")).await;
    check_crash_point("between the Parquet file and the commit", |call, path| call == "sync_dir" && path.ends_with("lake/logs")).await;
    check_crash_point("writing the commit", |call, path| call == "append" && is(path, "json#1")).await;
    check_crash_point("syncing the commit", |call, path| call == "sync" && is(path, "json#1")).await;
    check_crash_point("naming the commit", |call, path| call == "link" && is(path, "json")).await;
    check_crash_point("between the commit's name and its sync", |call, path| call == "sync_dir" && path.ends_with("_delta_log")).await;
    check_crash_point("between the commit and the log", |call, path| call == "remove" && is(path, "wal")).await;
}

/// A commit that failed outright (nobody may write the Delta log) leaves rows in the head; the next flush brings them in.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_is_done_once_when_it_works_again() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    put(&shard, Table::Logs, logs(&[(1, "a", "one")])).await.unwrap();
    let log = dir.path().join("lake/logs/_delta_log");
    let aside = dir.path().join("aside");
    std::fs::rename(&log, &aside).unwrap();
    std::fs::write(&log, "in the way").unwrap();
    shard.flush().await.unwrap_err();
    assert_eq!(bodies(&all(&shard, Table::Logs).await), ["one"]);
    shard.flush().await.unwrap_err();
    std::fs::remove_file(&log).unwrap();
    std::fs::rename(&aside, &log).unwrap();
    put(&shard, Table::Logs, logs(&[(2, "a", "two")])).await.unwrap();
    shard.flush().await.unwrap();
    assert_eq!(bodies(&all(&shard, Table::Logs).await), ["one", "two"]);
    assert_eq!(shard.stats().wal_bytes, 0, "the log is let go once everything is in the lake");
    drop(shard);
    let shard = Shard::open(options(dir.path())).await.unwrap();
    assert_eq!(bodies(&all(&shard, Table::Logs).await), ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_recovers_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let (options, disk) = faulty(dir.path());
    let shard = Shard::open(options.clone()).await.unwrap();
    put(&shard, Table::Logs, logs(&[(1, "a", "before")])).await.unwrap();
    for call in ["append", "sync"] {
        disk.fail_when(move |found, path| found == call && is(path, "wal"));
        for _ in 0..3 {
            let error = put(&shard, Table::Logs, logs(&[(2, "a", "refused")])).await.unwrap_err();
            assert_eq!(error.code, Code::Unavailable);
        }
        disk.heal();
        put(&shard, Table::Logs, logs(&[(3, "a", call)])).await.unwrap();
    }
    let expect = ["append", "before", "sync"];
    assert_eq!(bodies(&all(&shard, Table::Logs).await), expect);
    drop(shard);
    let shard = Shard::open(options).await.unwrap();
    assert_eq!(bodies(&all(&shard, Table::Logs).await), expect, "replayed");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_at_once_is_refused_and_flushing_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(ShardOptions { head_bytes_max: 1, ..options(dir.path()) }).await.unwrap();
    put(&shard, Table::Logs, logs(&[(1, "a", "fits")])).await.unwrap();
    let error = put(&shard, Table::Logs, logs(&[(2, "a", "refused")])).await.unwrap_err();
    assert!(matches!(error.code, Code::Overloaded { retry_after_seconds: 1 }), "{error:?}");
    shard.flush().await.unwrap();
    put(&shard, Table::Logs, logs(&[(3, "a", "room")])).await.unwrap();
    assert_eq!(bodies(&all(&shard, Table::Logs).await), ["fits", "room"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_on_their_way_count_as_the_head_does() {
    let dir = tempfile::tempdir().unwrap();
    let (options, disk) = faulty(dir.path());
    let shard = Shard::open(ShardOptions { head_bytes_max: 1000, ..options }).await.unwrap();
    let (reached, mut at_sync) = tokio::sync::mpsc::unbounded_channel();
    let (release, held) = std::sync::mpsc::channel::<()>();
    disk.fail_when(move |call, path| {
        if call == "sync" && is(path, "wal") {
            let _ = reached.send(());
            let _ = held.recv();
        }
        false
    });
    let body = "x".repeat(600);
    let first = tokio::spawn({
        let (shard, records) = (shard.clone(), logs(&[(1, "a", &body)]));
        async move { put(&shard, Table::Logs, records).await }
    });
    at_sync.recv().await.unwrap();
    assert_eq!(shard.stats().tables[0].head_bytes, 0);
    let second = put(&shard, Table::Logs, logs(&[(2, "a", &body)]));
    let error = tokio::time::timeout(std::time::Duration::from_secs(5), second).await.expect("it does not wait for the log").unwrap_err();
    assert!(matches!(error.code, Code::Overloaded { .. }), "{error:?}");
    drop(release);
    first.await.unwrap().unwrap();
    assert_eq!(all(&shard, Table::Logs).await.num_rows(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_share_an_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let (options, disk) = faulty(dir.path());
    let shard = Shard::open(options).await.unwrap();
    // Slows every sync so that the others line up behind the first.
    disk.fail_when(|call, _| {
        if call == "sync" {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        false
    });
    let requests: Vec<_> = (0..50).map(|row| (row, logs(&[(row, "a", &format!("line {row}"))]))).collect();
    let puts = requests.into_iter().map(|(_, records)| put(&shard, Table::Logs, records));
    futures::future::try_join_all(puts).await.unwrap();
    assert!(disk.syncs() <= 10, "50 requests took {} fsyncs", disk.syncs());
    assert_eq!(all(&shard, Table::Logs).await.num_rows(), 50);
}

/// Writers, a flusher, a compactor and readers at once: a reader sees every row acknowledged before it began, and no row
/// twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_scan_sees_each_row_once_while_everything_moves() {
    const ROWS: usize = 300;
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(ShardOptions { files_max_before_compaction: 3, ..options(dir.path()) }).await.unwrap();
    let (acknowledged, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = tokio::spawn({
        let (shard, acknowledged, done) = (shard.clone(), acknowledged.clone(), done.clone());
        async move {
            for row in 0..ROWS {
                put(&shard, Table::Logs, logs(&[(row as i64, "a", &format!("{row:05}"))])).await.unwrap();
                put(&shard, Table::Samples, floats("up", &format!("{}", row % 5), &[(row as i64, row as f64)])).await.unwrap();
                acknowledged.store(row + 1, Ordering::SeqCst);
            }
            done.store(true, Ordering::SeqCst);
        }
    });
    let flusher = tokio::spawn({
        let (shard, done) = (shard.clone(), done.clone());
        async move {
            while !done.load(Ordering::SeqCst) {
                shard.flush().await.unwrap();
                shard.compact().await.unwrap();
            }
        }
    });
    let mut scans = 0;
    while !done.load(Ordering::SeqCst) {
        let least = acknowledged.load(Ordering::SeqCst);
        let found = bodies(
            &scan(&shard, ScanRequest { columns: Some(vec!["body".to_owned()]), ..ScanRequest::new(Table::Logs, TimeRange::ALL) }).await,
        );
        let distinct: BTreeSet<_> = found.iter().collect();
        assert_eq!(distinct.len(), found.len(), "a row was seen twice");
        assert!((0..least).all(|row| distinct.contains(&format!("{row:05}"))), "an acknowledged row was not seen");
        let found = points(&all(&shard, Table::Samples).await);
        let distinct: BTreeSet<_> = found.iter().map(|point| point.2).collect();
        assert_eq!(distinct.len(), found.len(), "a point was seen twice");
        assert!((0..least as i64).all(|time| distinct.contains(&time)), "an acknowledged point was not seen");
        scans += 1;
    }
    writer.await.unwrap();
    flusher.await.unwrap();
    assert!(scans > 0);
    drop(shard);
    let shard = Shard::open(options(dir.path())).await.unwrap();
    assert_eq!(all(&shard, Table::Logs).await.num_rows(), ROWS);
    assert_eq!(points(&all(&shard, Table::Samples).await).len(), ROWS);
}

/// A segment without a frame could not be removed, and the next one has its name.
#[tokio::test(flavor = "multi_thread")]
async fn letting_an_empty_segment_go_does_not_take_its_successor_along() {
    let dir = tempfile::tempdir().unwrap();
    let (options, disk) = faulty(dir.path());
    let shard = Shard::open(options.clone()).await.unwrap();
    let syncs = AtomicUsize::new(0);
    // The header is synced, the frame is not.
    disk.fail_when(move |call, path| call == "sync" && is(path, "wal") && syncs.fetch_add(1, Ordering::Relaxed) == 1);
    put(&shard, Table::Logs, logs(&[(1, "a", "refused")])).await.unwrap_err();
    disk.fail_when(|call, path| call == "remove" && is(path, "wal"));
    shard.flush().await.unwrap();
    disk.heal();
    put(&shard, Table::Logs, logs(&[(2, "a", "kept")])).await.unwrap();
    shard.tend().await.unwrap();
    drop(shard);
    let shard = Shard::open(options).await.unwrap();
    assert_eq!(bodies(&all(&shard, Table::Logs).await), ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_gone_already_does_not_keep_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(ShardOptions { wal_segment_bytes_max: 1, ..options(dir.path()) }).await.unwrap();
    for row in 0..3 {
        put(&shard, Table::Logs, logs(&[(row, "a", "line")])).await.unwrap();
    }
    std::fs::remove_file(dir.path().join("wal/00000000000000000001.wal")).unwrap();
    shard.flush().await.unwrap();
    assert_eq!(shard.stats().wal_segments, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn full_segments_are_kept_until_every_table_has_passed_them() {
    let dir = tempfile::tempdir().unwrap();
    let (options, disk) = faulty(dir.path());
    let options = ShardOptions { wal_segment_bytes_max: 1, ..options };
    let shard = Shard::open(options.clone()).await.unwrap();
    for row in 0..5 {
        put(&shard, Table::Logs, logs(&[(row, "a", "line")])).await.unwrap();
    }
    put(&shard, Table::Samples, floats("up", "x", &[(1, 1.0)])).await.unwrap();
    assert_eq!(shard.stats().wal_segments, 6);
    // Segments go in order: the frame of the samples is the last, and none goes before a table has passed it.
    disk.fail_when(|call, path| call == "create" && path.parent().is_some_and(|dir| dir.ends_with("lake/samples")));
    shard.flush().await.unwrap_err();
    assert_eq!(shard.stats().wal_segments, 6, "samples have passed nothing yet");
    disk.heal();
    shard.flush().await.unwrap();
    assert_eq!((shard.stats().wal_segments, shard.stats().wal_bytes), (0, 0));
    put(&shard, Table::Logs, logs(&[(9, "a", "line")])).await.unwrap();
    drop(shard);
    let shard = Shard::open(options).await.unwrap();
    assert_eq!((all(&shard, Table::Logs).await.num_rows(), all(&shard, Table::Samples).await.num_rows()), (6, 1));
}
