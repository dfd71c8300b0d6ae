//! Power cuts: only what was synced comes back, and every acknowledged row is in it.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use model::{Code, Table};
use store::{Shard, ShardOptions};
use support::*;

async fn check_bodies(options: &ShardOptions, expect: &[&str], what: &str) {
    let shard = Shard::open(options.clone()).await.unwrap_or_else(|error| panic!("{what}: {}", error.chain()));
    assert_eq!(bodies(&all(&shard, Table::Logs).await), expect, "{what}");
}

/// The commit got its name, which was not synced when the process was killed: the next one finds it, drops the log, and
/// then the power goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_only_memory_holds_is_made_durable_before_it_counts() {
    for killed in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (options, disk) = faulty(dir.path());
        let mut shard = Shard::open(options.clone()).await.unwrap();
        put(&shard, Table::Logs, logs(&[(1, "a", "one")])).await.unwrap();
        disk.fail_when(|call, path| call == "sync_dir" && path.ends_with("lake/logs/_delta_log"));
        shard.flush().await.unwrap_err();
        assert!(dir.path().join("lake/logs/_delta_log/00000000000000000001.json").exists(), "it failed and happened");
        disk.heal();
        if killed {
            drop(shard);
            shard = Shard::open(options.clone()).await.unwrap();
        }
        shard.flush().await.unwrap();
        assert_eq!(shard.stats().wal_bytes, 0, "the log is let go");
        assert_eq!(shard.stats().tables[0].lake_files, 1);
        drop(shard);
        disk.cut_power();
        check_bodies(&options, &["one"], &format!("killed: {killed}")).await;
    }
}

/// A failed sync leaves pages that the next sync takes for written; so everything is written anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_failed_is_not_believed_the_second_time() {
    for extension in ["json#1", "parquet", "wal"] {
        let dir = tempfile::tempdir().unwrap();
        let (options, disk) = faulty(dir.path());
        let shard = Shard::open(options.clone()).await.unwrap();
        put(&shard, Table::Logs, logs(&[(1, "a", "one")])).await.unwrap();
        let failed = AtomicBool::new(false);
        disk.fail_when(move |call, path| {
            let fails = call == "sync" && path.extension().is_some_and(|found| found == extension);
            fails && !failed.swap(true, Ordering::Relaxed)
        });
        let refused = put(&shard, Table::Logs, logs(&[(2, "a", "two")])).await.is_err();
        assert_eq!(refused, extension == "wal");
        if refused {
            put(&shard, Table::Logs, logs(&[(2, "a", "two")])).await.unwrap();
        }
        assert_eq!(shard.flush().await.is_err(), !refused);
        shard.flush().await.unwrap();
        drop(shard);
        disk.cut_power();
        check_bodies(&options, &["one", "two"], extension).await;
    }
}

/// A frame was written when the process was killed, and not synced. The next process finds it and goes on behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_only_memory_holds_is_synced_before_others_follow() {
    let dir = tempfile::tempdir().unwrap();
    let (options, disk) = faulty(dir.path());
    let shard = Shard::open(options.clone()).await.unwrap();
    put(&shard, Table::Logs, logs(&[(1, "a", "one")])).await.unwrap();
    disk.fail_when(|call, path| {
        assert!(call != "sync" || path.extension().is_none_or(|found| found != "wal"), "killed");
        false
    });
    put(&shard, Table::Logs, logs(&[(2, "a", "two")])).await.unwrap_err();
    disk.heal();
    drop(shard);
    let shard = Shard::open(options.clone()).await.unwrap();
    put(&shard, Table::Logs, logs(&[(3, "a", "three")])).await.unwrap();
    drop(shard);
    disk.cut_power();
    check_bodies(&options, &["one", "three", "two"], "two segments").await;
}

/// The sync of a frame failed, and the process was killed before it cut the frame off. The next one finds the frame, and no
/// sync would ever write it.
#[tokio::test(flavor = "multi_thread")]
async fn a_frame_whose_sync_failed_is_written_anew_before_others_follow() {
    let dir = tempfile::tempdir().unwrap();
    let (options, disk) = faulty(dir.path());
    let shard = Shard::open(options.clone()).await.unwrap();
    put(&shard, Table::Logs, logs(&[(1, "a", "one")])).await.unwrap();
    disk.fail_when(|call, path| matches!(call, "sync" | "truncate") && path.extension().is_some_and(|found| found == "wal"));
    put(&shard, Table::Logs, logs(&[(2, "a", "two")])).await.unwrap_err();
    drop(shard);
    disk.heal();
    let shard = Shard::open(options.clone()).await.unwrap();
    put(&shard, Table::Logs, logs(&[(3, "a", "three")])).await.unwrap();
    drop(shard);
    disk.cut_power();
    check_bodies(&options, &["one", "three", "two"], "the frame was found, so it stays").await;
}

/// Every call of a whole life, from the first open to a compaction with a checkpoint, is the last that works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_call_is_the_last_acknowledged_rows_come_back() {
    // A step without a common factor with the calls of a round: over the rounds every kind of call has its turn.
    for last in (0..).step_by(11) {
        let (dir, twin) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // Killed first, so that what only memory held is found and then taken away; and cut at once.
        let killed = live(dir.path(), last, true).await;
        let cut = live(twin.path(), last, false).await;
        assert_eq!(killed, cut, "both lived equally long");
        if cut {
            return;
        }
    }
}

/// Whether every call worked.
async fn live(dir: &Path, last: usize, killed: bool) -> bool {
    let (options, disk) = faulty(dir);
    let options = ShardOptions { checkpoint_commits: 2, files_max_before_compaction: 3, ..options };
    let (calls, died) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let dies = died.clone();
    disk.fail_when(move |_, _| {
        let fails = calls.fetch_add(1, Ordering::Relaxed) >= last;
        dies.fetch_or(fails, Ordering::Relaxed);
        fails
    });
    let mut acknowledged = Vec::new();
    if let Ok(shard) = Shard::open(options.clone()).await {
        for body in ["1", "2", "3"] {
            if put(&shard, Table::Logs, logs(&[(1, "a", body)])).await.is_ok() {
                acknowledged.push(body);
            }
            let _ = shard.flush().await;
        }
        let _ = shard.compact().await;
    }
    let what = format!("after {last} calls, killed: {killed}");
    disk.heal();
    if killed {
        check_present(&options, &acknowledged, &what).await;
    }
    disk.cut_power();
    check_present(&options, &acknowledged, &what).await;
    !died.load(Ordering::Relaxed)
}

/// A row that was refused may be there, once: the disk failed after it had it.
async fn check_present(options: &ShardOptions, acknowledged: &[&str], what: &str) {
    let shard = Shard::open(options.clone()).await.unwrap_or_else(|error| panic!("{what}: {}", error.chain()));
    let found = bodies(&all(&shard, Table::Logs).await);
    assert!(acknowledged.iter().all(|body| found.iter().any(|found| found == body)), "{what}: {found:?} of {acknowledged:?}");
    assert!(found.is_sorted_by(|a, b| a < b), "{what}: {found:?} has a row twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_missing_commit_is_said_and_nothing_is_deleted() {
    for damage in [Some(""), Some("{\"commitInfo\":{}}\n{\"add\":{\"pa"), None] {
        let dir = tempfile::tempdir().unwrap();
        let shard = Shard::open(options(dir.path())).await.unwrap();
        put(&shard, Table::Logs, logs(&[(1, "a", "one")])).await.unwrap();
        shard.flush().await.unwrap();
        shard.shutdown().await.unwrap();
        let commit = dir.path().join("lake/logs/_delta_log/00000000000000000001.json");
        match damage {
            Some(text) => std::fs::write(&commit, text).unwrap(),
            None => std::fs::remove_file(&commit).unwrap(),
        }
        let error = Shard::open(options(dir.path())).await.err().expect("the rows are in no commit and no log");
        assert_eq!(error.code, Code::Corrupt, "{damage:?}: {}", error.chain());
        assert_eq!(commit.exists(), damage.is_some());
        assert_eq!(parquet_files(dir.path(), "logs").len(), 1, "{damage:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_fails_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let (options, disk) = faulty(dir.path());
    let shard = Shard::open(options).await.unwrap();
    put(&shard, Table::Logs, logs(&[(1, "a", "one")])).await.unwrap();
    put(&shard, Table::Samples, floats("up", "x", &[(1000, 1.0)])).await.unwrap();
    disk.fail_when(|call, path| call == "sync_dir" && (path.ends_with("lake/logs") || path.ends_with("lake/samples")));
    shard.flush().await.unwrap_err();
    assert!(parquet_files(dir.path(), "logs").is_empty() && parquet_files(dir.path(), "samples").is_empty());
}
