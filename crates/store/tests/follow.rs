//! Who follows a table sees every row once: what was there, or what came.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::StringArray;
use futures::{FutureExt, StreamExt, TryStreamExt};
use model::schema::column;
use model::{Arrival, ArrivalStream, Code, ErasureOrder, FieldTest, Filter, Following, Scan, ScanRequest, Subject, Table, Test, TimeRange};
use store::{Shard, ShardOptions};
use support::{floats, logs, options, put};

const WRITERS: usize = 4;
const BATCHES: i64 = 150;

fn all() -> ScanRequest {
    ScanRequest { columns: Some(vec!["body".to_owned()]), ..ScanRequest::new(Table::Logs, TimeRange::ALL) }
}

fn texts(records: &arrow::array::RecordBatch) -> Vec<String> {
    let bodies: &StringArray = column(records, "body").unwrap();
    bodies.iter().map(|body| body.unwrap().to_owned()).collect()
}

async fn stored(following: model::ScanStream) -> Vec<String> {
    let batches: Vec<_> = following.try_collect().await.unwrap();
    batches.iter().flat_map(texts).collect()
}

fn lines(arrival: Arrival) -> Vec<String> {
    match arrival {
        Arrival::Rows(records) => texts(&records),
        Arrival::Skipped { rows, .. } => panic!("{rows} rows were skipped"),
    }
}

/// The few rows that have come.
fn arrived(arriving: &mut ArrivalStream) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(Some(arrival)) = arriving.next().now_or_never() {
        found.extend(lines(arrival.unwrap()));
    }
    found
}

/// Writers write, the shard flushes and merges, and readers begin in the middle of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_doubled_where_what_was_there_and_what_comes_meet() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let shard = shard.clone();
            tokio::spawn(async move {
                for batch in 0..BATCHES {
                    let body = |row: i64| format!("{writer}-{batch}-{row}");
                    let bodies = [body(0), body(1)];
                    put(&shard, Table::Logs, logs(&[(batch, "a", &bodies[0]), (batch, "a", &bodies[1])])).await.unwrap();
                }
            })
        })
        .collect();
    let tending = tokio::spawn({
        let (shard, done) = (shard.clone(), done.clone());
        async move {
            while !done.load(Ordering::Relaxed) {
                shard.flush().await.unwrap();
                shard.compact().await.unwrap();
            }
        }
    });
    let mut followers = Vec::new();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        let Following { stored: there, arriving } = shard.follow(all()).await.unwrap();
        followers.push((stored(there).await, arriving));
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    tending.await.unwrap();
    let mut expect: Vec<String> = Vec::new();
    for writer in 0..WRITERS {
        expect.extend((0..BATCHES).flat_map(|batch| [format!("{writer}-{batch}-0"), format!("{writer}-{batch}-1")]));
    }
    expect.sort();
    assert!(followers.len() > 3, "they began while rows came");
    shard.shutdown().await.unwrap();
    for (mut found, mut arriving) in followers {
        let there = found.len();
        while let Some(arrival) = arriving.next().await {
            found.extend(lines(arrival.unwrap()));
        }
        // The order of one writer is kept.
        let mine: Vec<i64> = found[there..]
            .iter()
            .filter_map(|body| body.strip_prefix("0-"))
            .map(|body| body.split('-').next().unwrap().parse().unwrap())
            .collect();
        assert!(mine.is_sorted(), "{mine:?}");
        found.sort();
        assert_eq!(found, expect, "with {there} there before");
    }
}

#[tokio::test]
async fn what_comes_passes_the_filters_and_is_not_erased() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    let filter = Filter { subject: Subject::Column("service_name".to_owned()), test: Test::Equal("a".to_owned()) };
    let request = ScanRequest { filters: vec![filter], time: TimeRange::new(5, 6), limit: Some(1), ..all() };
    put(&shard, Table::Logs, logs(&[(5, "a", "there"), (5, "b", "other"), (4, "a", "early")])).await.unwrap();
    let Following { stored: there, mut arriving } = shard.follow(request).await.unwrap();
    assert_eq!(stored(there).await, ["there"]);
    put(&shard, Table::Logs, logs(&[(900, "a", "any time"), (5, "b", "other"), (1, "a", "secret")])).await.unwrap();
    let secret = FieldTest { field: "body".to_owned(), equals: Some("secret".to_owned()), contains: None };
    let order = ErasureOrder {
        tables: vec![Table::Logs],
        tests: vec![secret],
        start_unix_nano: None,
        end_unix_nano: None,
        reference: String::new(),
    };
    shard.erase(order).await.unwrap();
    assert_eq!(arrived(&mut arriving), ["any time"]);
    put(&shard, Table::Logs, logs(&[(2, "b", "other")])).await.unwrap();
    assert!(arriving.next().now_or_never().is_none(), "nothing of the request has come");
    shard.shutdown().await.unwrap();
    assert!(arriving.next().await.is_none());
}

#[tokio::test]
async fn a_reader_that_is_slow_loses_the_oldest_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(ShardOptions { follow_bytes_max: 20_000, ..options(dir.path()) }).await.unwrap();
    let Following { mut arriving, .. } = shard.follow(all()).await.unwrap();
    let body = "x".repeat(1000);
    for time in 0..100 {
        put(&shard, Table::Logs, logs(&[(time, "a", &body)])).await.unwrap();
    }
    let Some(Ok(Arrival::Skipped { rows, last_ns })) = arriving.next().await else { panic!("it is told first") };
    assert!(rows > 50 && last_ns == rows as i64 - 1, "{rows} {last_ns}");
    assert_eq!(arrived(&mut arriving).len(), 100 - rows as usize);
}

#[tokio::test]
async fn what_cannot_be_followed_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    put(&shard, Table::Samples, floats("up", "a", &[(1, 1.0)])).await.unwrap();
    let refused = shard.follow(ScanRequest::new(Table::Samples, TimeRange::ALL)).await.err().unwrap();
    assert_eq!(refused.code, Code::Unsupported);
    let reader = Shard::open_read_only(options(dir.path())).await.unwrap();
    assert_eq!(reader.follow(all()).await.err().unwrap().code, Code::Unsupported);
}
