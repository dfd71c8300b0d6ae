//! Series that are known by their slots: what was defined once is found again after every kind of end.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::{Ack, Ingest, KnownPoints, KnownSeries, Placed, Table};
use store::{Clock, Shard, ShardOptions};
use support::*;

type Point = (String, String, i64, f64);

async fn tell(shard: &Shard, label: &str, time_ms: i64, value: f64) -> KnownSeries {
    let records = floats("up", label, &[(time_ms, value)]);
    let batch = Placed { shard: "one".to_owned(), table: Table::Samples, records, known: KnownPoints::default(), aside: None };
    shard.ingest(batch).await.unwrap().series[0]
}

async fn tell_known(shard: &Shard, points: &[(KnownSeries, i64, f64)]) -> Ack {
    let mut known = KnownPoints::default();
    for &(series, time_ms, value) in points {
        known.series.push(series);
        known.times_ms.push(time_ms);
        known.values.push(value);
        known.ends.push(known.values.len() as u32);
    }
    let records = arrow::array::RecordBatch::new_empty(Table::Samples.schema());
    shard.ingest(Placed { shard: "one".to_owned(), table: Table::Samples, records, known, aside: None }).await.unwrap()
}

fn point(label: &str, time_ms: i64, value: f64) -> Point {
    ("up".to_owned(), label.to_owned(), time_ms, value)
}

async fn check(shard: &Shard, expect: &[Point], what: &str) {
    assert_eq!(points(&all(shard, Table::Samples).await), expect, "{what}");
}

/// Killed after each step: what was acknowledged is there, whether the log defined the series before a flush or after it.
#[tokio::test(flavor = "multi_thread")]
async fn known_points_survive_a_kill_before_and_after_a_flush() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let shard = Shard::open(options.clone()).await.unwrap();
    let a = tell(&shard, "a", 1, 1.0).await;
    let b = tell(&shard, "b", 1, 1.5).await;
    assert_eq!(tell_known(&shard, &[(a, 2, 2.0), (b, 2, 2.5), (a, 3, 3.0)]).await.accepted_records, 3);
    let mut expect = vec![point("a", 1, 1.0), point("a", 2, 2.0), point("a", 3, 3.0), point("b", 1, 1.5), point("b", 2, 2.5)];
    check(&shard, &expect, "in the head").await;
    drop(shard);
    let shard = Shard::open(options.clone()).await.unwrap();
    check(&shard, &expect, "killed before a flush").await;
    drop(shard);
    // Slots are this process's own: the next one gives them out anew.
    let shard = Shard::open(options.clone()).await.unwrap();
    let (b, a) = (tell(&shard, "b", 4, 4.5).await, tell(&shard, "a", 4, 4.0).await);
    shard.flush().await.unwrap();
    tell_known(&shard, &[(b, 5, 5.5)]).await;
    shard.flush().await.unwrap();
    // The log holds nothing of "a" but this.
    tell_known(&shard, &[(b, 6, 6.5), (a, 6, 6.0)]).await;
    tell_known(&shard, &[(a, 7, 7.0)]).await;
    expect.insert(3, point("a", 4, 4.0));
    expect.splice(4..4, [point("a", 6, 6.0), point("a", 7, 7.0)]);
    expect.extend([point("b", 4, 4.5), point("b", 5, 5.5), point("b", 6, 6.5)]);
    check(&shard, &expect, "in files and head").await;
    drop(shard);
    let read_only = Shard::open_read_only(options.clone()).await.unwrap();
    check(&read_only, &expect, "read beside").await;
    let shard = Shard::open(options).await.unwrap();
    check(&shard, &expect, "killed after a flush").await;
    shard.flush().await.unwrap();
    check(&shard, &expect, "flushed").await;
}

#[derive(Debug)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_rested_is_forgotten_and_nobody_gets_its_points() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(0)));
    let shard = Shard::open(ShardOptions { clock: clock.clone(), ..options(dir.path()) }).await.unwrap();
    let (rests, works) = (tell(&shard, "rests", 1, 1.0).await, tell(&shard, "works", 1, 1.0).await);
    for minutes in [0, 9, 18] {
        clock.0.store(minutes * 60_000, Ordering::Relaxed);
        tell_known(&shard, &[(works, minutes + 2, 2.0)]).await;
        shard.flush().await.unwrap();
    }
    let ack = tell_known(&shard, &[(works, 30, 3.0), (rests, 30, 3.0)]).await;
    assert!(ack.forgotten && ack.accepted_records == 0, "all or nothing");
    let takes_its_slot = tell(&shard, "new", 30, 4.0).await;
    assert_eq!(takes_its_slot.slot, rests.slot);
    assert!(tell_known(&shard, &[(rests, 31, 3.0)]).await.forgotten);
    assert_eq!(tell_known(&shard, &[(works, 31, 3.0), (takes_its_slot, 31, 5.0)]).await.accepted_records, 2);
    let mut expect = vec![point("new", 30, 4.0), point("new", 31, 5.0), point("rests", 1, 1.0), point("works", 1, 1.0)];
    expect.extend([2, 11, 20].map(|time_ms| point("works", time_ms, 2.0)));
    expect.push(point("works", 31, 3.0));
    check(&shard, &expect, "after the slot changed hands").await;
    assert_eq!(shard.stats().tables.iter().map(|table| table.known_series).sum::<u64>(), 2);
}

/// No flush frees what is known of series: they stand in the way of new ones, and of nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_series_refuse_new_ones_only() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(0)));
    let shard = Shard::open(ShardOptions { clock: clock.clone(), head_bytes_max: 10_000, ..options(dir.path()) }).await.unwrap();
    let first = tell(&shard, "first", 1, 1.0).await;
    let mut series = 1;
    let refused = loop {
        shard.flush().await.unwrap();
        match put(&shard, Table::Samples, floats("up", &format!("{series}"), &[(1, 1.0)])).await {
            Ok(_) => series += 1,
            Err(error) => break error,
        }
        assert!(series < 1000);
    };
    assert!(matches!(refused.code, model::Code::Overloaded { retry_after_seconds: 1 }) && series > 10, "{series} {refused:?}");
    assert!(refused.what.starts_with("cannot take new series") && refused.what.ends_with("(head_bytes_max 10000)"), "{}", refused.what);
    assert_eq!(put(&shard, Table::Samples, floats("up", "first", &[(2, 2.0)])).await.unwrap(), 1, "its labels are known");
    assert_eq!(tell_known(&shard, &[(first, 3, 3.0)]).await.accepted_records, 1);
    put(&shard, Table::Logs, logs(&[(1, "a", "a line")])).await.unwrap();
    put(&shard, Table::Spans, spans(&[(1, "a span")])).await.unwrap();
    put(&shard, Table::Samples, floats("up", "one more", &[(1, 1.0)])).await.unwrap_err();

    clock.0.store(60_000, Ordering::Relaxed);
    tell_known(&shard, &[(first, 4, 4.0)]).await;
    shard.flush().await.unwrap();
    tell(&shard, "one more", 4, 5.0).await;
    let expect: Vec<_> = (1..=4).map(|time_ms| point("first", time_ms, time_ms as f64)).chain([point("one more", 4, 5.0)]).collect();
    let mut found = points(&all(&shard, Table::Samples).await);
    found.retain(|(_, label, ..)| label == "first" || label == "one more");
    assert_eq!(found, expect);
}

/// A write that failed has defined nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_was_not_written_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let (options, disk) = faulty(dir.path());
    let shard = Shard::open(options.clone()).await.unwrap();
    let a = tell(&shard, "a", 1, 1.0).await;
    shard.flush().await.unwrap();
    disk.fail_when(|call, path| call == "append" && path.extension().is_some_and(|extension| extension == "wal"));
    let known = KnownPoints { series: vec![a], ends: vec![1], times_ms: vec![2], values: vec![2.0], ..KnownPoints::default() };
    let records = arrow::array::RecordBatch::new_empty(Table::Samples.schema());
    let batch = Placed { shard: "one".to_owned(), table: Table::Samples, records, known, aside: None };
    shard.ingest(batch).await.unwrap_err();
    disk.heal();
    tell_known(&shard, &[(a, 3, 3.0)]).await;
    drop(shard);
    let shard = Shard::open(options).await.unwrap();
    check(&shard, &[point("a", 1, 1.0), point("a", 3, 3.0)], "replayed").await;
}
