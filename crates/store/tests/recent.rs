//! Samples that are in files and in memory beside them: the same answers, and no file opened.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::sync::Arc;

use model::{ErasureState, Filter, ScanRequest, ScanStats, Subject, Table, Test, TimeRange};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::{Shard, ShardOptions};
use support::*;

const NAMES: [&str; 5] = ["cpu", "http_bucket", "http_count", "memory", "up"];

fn remembering(dir: &Path, bytes_max: usize) -> ShardOptions {
    ShardOptions { recent_samples_bytes_max: bytes_max, chunk_points_max: 7, files_max_before_compaction: 3, ..options(dir) }
}

/// Writes the same rows into every shard: some at instants that were written before, some with exemplars, some histograms.
async fn fill(shards: &[&Shard], seed: u64, rounds: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..rounds {
        for _ in 0..12 {
            let name = NAMES[random.random_range(0..NAMES.len())];
            let label = format!("host-{}", random.random_range(0..4));
            let start = random.random_range(0..40) + round as i64 * 20;
            let points: Vec<_> = (start..start + random.random_range(1..20)).map(|time| (time, random.random_range(0..9) as f64)).collect();
            let records = match random.random_range(0..8) {
                0 => histogram("latency", start),
                _ => floats(name, &label, &points),
            };
            for shard in shards {
                put(shard, Table::Samples, records.clone()).await.unwrap();
            }
        }
        for shard in shards {
            shard.flush().await.unwrap();
        }
    }
}

fn requests(seed: u64) -> Vec<ScanRequest> {
    let mut random = StdRng::seed_from_u64(seed);
    let column = |name: &str| Subject::Column(name.to_owned());
    let label = || Subject::Label { column: "labels".to_owned(), name: "a".to_owned() };
    (0..200)
        .map(|_| {
            let start = random.random_range(0..120) * 1_000_000;
            let time = TimeRange { start_ns: start, end_ns: start + random.random_range(1..80) * 1_000_000 };
            let mut request = ScanRequest::new(Table::Samples, time);
            let name = NAMES[random.random_range(0..NAMES.len())].to_owned();
            request.filters.extend(match random.random_range(0..5) {
                0 => None,
                1 => Some(Filter { subject: column("name"), test: Test::Equal(name) }),
                2 => Some(Filter { subject: column("name"), test: Test::OneOf(vec!["up".to_owned(), name, "nobody".to_owned()]) }),
                3 => Some(Filter { subject: column("name"), test: Test::Regex("http_.*".to_owned()) }),
                _ => Some(Filter { subject: column("name"), test: Test::NotEqual(name) }),
            });
            let entry = || Subject::Entry { column: "labels".to_owned(), key: "a".to_owned() };
            request.filters.extend(match random.random_range(0..5) {
                0 => Some(Filter { subject: label(), test: Test::NotRegex("host-[12]".to_owned()) }),
                1 => Some(Filter { subject: entry(), test: Test::Equal("host-2".to_owned()) }),
                2 => Some(Filter { subject: entry(), test: Test::Equal(String::new()) }),
                _ => None,
            });
            request
        })
        .collect()
}

/// Points within the range: of a row that begins before it, a file gives all and memory those that are asked for.
async fn answer(shard: &Shard, request: &ScanRequest) -> (Vec<(String, String, i64, f64)>, ScanStats) {
    let records = scan(shard, request.clone()).await;
    let within = |time_ms: i64| request.time.contains(time_ms * 1_000_000);
    let mut points: Vec<_> = points(&records).into_iter().filter(|point| within(point.2)).collect();
    points.sort_by(|a, b| a.partial_cmp(b).unwrap());
    (points, *request.stats.lock().unwrap())
}

fn samples(shard: &Shard) -> store::TableStats {
    shard.stats().tables.into_iter().find(|stats| stats.table == Table::Samples).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_answers_as_the_files_do_and_opens_none() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let read = Shard::open(remembering(dirs[0].path(), 0)).await.unwrap();
    let recalled = Shard::open(remembering(dirs[1].path(), 1 << 20)).await.unwrap();
    fill(&[&read, &recalled], 1, 7).await;
    for round in ["flushed", "compacted"] {
        assert!(samples(&recalled).recent_bytes > 0 && samples(&read).recent_bytes == 0, "{round}");
        let mut points = 0;
        for request in requests(2) {
            let again = ScanRequest { stats: Arc::default(), ..request.clone() };
            let ((expect, of_files), (shown, of_memory)) = (answer(&read, &request).await, answer(&recalled, &again).await);
            assert_eq!(shown, expect, "{round}: {request:?}");
            assert_eq!((of_memory.bytes_scanned, of_memory.row_groups_total, of_files.head_rows_scanned), (0, 0, 0), "{round}");
            points += shown.len();
        }
        assert!(points > 5000, "{round}: {points}");
        read.compact().await.unwrap();
        recalled.compact().await.unwrap();
    }
    assert_eq!(rows(&all(&recalled, Table::Samples).await), rows(&all(&read, Table::Samples).await));
    let files = samples(&recalled).lake_files;
    assert!(files < 7 && files == samples(&read).lake_files);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_newest_that_have_room_are_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let options = ShardOptions { files_max_before_compaction: 1000, ..remembering(dir.path(), 16_000) };
    let shard = Shard::open(options.clone()).await.unwrap();
    fill(&[&shard], 3, 9).await;
    let stats = samples(&shard);
    assert!(stats.recent_bytes > 0 && stats.recent_bytes <= 16_000, "{}", stats.recent_bytes);
    let newest = ScanRequest::new(Table::Samples, TimeRange { start_ns: 215 * 1_000_000, end_ns: i64::MAX });
    let everything = ScanRequest::new(Table::Samples, TimeRange::ALL);
    assert_eq!(answer(&shard, &newest).await.1.bytes_scanned, 0);
    let (points, of_all) = answer(&shard, &everything).await;
    assert!(of_all.bytes_scanned > 0 && of_all.head_rows_scanned > 0);
    shard.shutdown().await.unwrap();
    drop(shard);

    let shard = Shard::open(options).await.unwrap();
    assert_eq!(samples(&shard).recent_bytes, 0, "memory outlives no process");
    let everything = ScanRequest::new(Table::Samples, TimeRange::ALL);
    assert_eq!(answer(&shard, &everything).await.0, points);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_reaches_memory_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(ShardOptions { background: true, ..remembering(dir.path(), 1 << 20) }).await.unwrap();
    fill(&[&shard], 4, 3).await;
    let order = serde_json::json!({ "match": [{ "field": "attributes.a", "equals": "host-1" }] });
    let id = shard.erase(serde_json::from_value(order).unwrap()).await.unwrap().id;
    let of_host = |points: &[(String, String, i64, f64)]| points.iter().filter(|point| point.1 == "host-1").count();
    let everything = || ScanRequest::new(Table::Samples, TimeRange::ALL);
    let hidden = answer(&shard, &everything()).await.0;
    assert!(!hidden.is_empty() && of_host(&hidden) == 0);
    while shard.erasures().iter().any(|erasure| erasure.id == id && erasure.state != ErasureState::Done) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(answer(&shard, &everything()).await.0, hidden);
}
