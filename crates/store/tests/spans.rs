//! Spans in files: without their ends, and with usual attributes in columns; answers are those of a store that knows of neither.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use arrow::array::RecordBatch;
use model::spans::{SpanRow, SpansBuilder};
use model::{AttributeValue, Attributes, Filter, ScanRequest, Subject, Table, Test, TimeRange, origin};
use store::{Shard, ShardOptions};
use support::*;

type Keys = &'static [(&'static str, AttributeValue<'static>)];

/// What a golden lake of version 2 got: values that fit their columns and such that do not.
fn golden() -> RecordBatch {
    use AttributeValue::{Int, Text};
    let rows: [(i64, i64, Keys); 4] = [
        (10, 30, &[("http.response.status_code", Int(500)), ("rest", Text("a")), ("http.route", Text("/play/{id}"))]),
        (20, 20, &[("http.response.status_code", Text("404")), ("url.path", Text("/play/7"))]),
        (25, 27, &[("db.system.name", Text("postgresql")), ("http.response.status_code", Text("none"))]),
        (40, 41, &[]),
    ];
    let mut builder = SpansBuilder::default();
    for (start_time_unix_nano, end_time_unix_nano, attributes) in rows {
        attributes.iter().for_each(|(key, value)| builder.attributes.append(key, *value));
        let row = SpanRow { start_time_unix_nano, end_time_unix_nano, name: "GET", trace_id: "ab", ..SpanRow::default() };
        builder.push(&row, &Attributes::default(), &Attributes::default());
    }
    identify(builder.finish())
}

/// `UPDATE=1` writes the golden lake anew; do so only for a version that was never released.
async fn update_golden() {
    if std::env::var_os("UPDATE").is_none() {
        return;
    }
    let lake = Path::new("tests/golden/lake-v2/lake/spans");
    std::fs::remove_dir_all(lake).unwrap_or_default();
    let scratch = tempfile::tempdir().unwrap();
    let shard = Shard::open(ShardOptions { name: "default".to_owned(), ..options(scratch.path()) }).await.unwrap();
    put(&shard, Table::Spans, golden()).await.unwrap();
    shard.shutdown().await.unwrap();
    copied(&scratch.path().join("lake/spans"), lake);
}

async fn found(shard: &Shard, name: &str, test: Test) -> Vec<i64> {
    let filters = vec![Filter { subject: Subject::Column(name.to_owned()), test }];
    times(&scan(shard, ScanRequest { filters, ..ScanRequest::new(Table::Spans, TimeRange::ALL) }).await, "start_time_unix_nano")
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_every_version_are_read_and_written_on() {
    update_golden().await;
    for version in ["lake-v1", "lake-v2"] {
        let dir = tempfile::tempdir().unwrap();
        copied(&Path::new("tests/golden").join(version).join("lake/spans"), &dir.path().join("lake/spans"));
        let options = ShardOptions { name: "default".to_owned(), files_max_before_compaction: 2, ..options(dir.path()) };
        let check = async |shard: &Shard, expect: &[String], moment: &str| {
            let (mut expect, mut found) = (expect.to_vec(), rows(&all(shard, Table::Spans).await));
            expect.sort();
            found.sort();
            assert_eq!(found, expect, "{version} {moment}");
        };
        let mut expect = rows(&all(&Shard::open_read_only(options.clone()).await.unwrap(), Table::Spans).await);
        match version {
            "lake-v1" => assert!(!expect.is_empty()),
            _ => assert_eq!(expect, rows(&golden())),
        }
        let shard = Shard::open(options).await.unwrap();
        check(&shard, &expect, "opened").await;
        put(&shard, Table::Spans, golden()).await.unwrap();
        expect.extend(rows(&golden()));
        check(&shard, &expect, "with a head").await;
        shard.flush().await.unwrap();
        check(&shard, &expect, "with a file of our own").await;
        shard.compact().await.unwrap();
        check(&shard, &expect, "compacted").await;
        let own = |name: &str| valid_rows(&dir.path().join("lake/spans"), name);
        assert_eq!(own("end_time_unix_nano"), 0, "{version}: start and duration say it");
        let fitting = if version == "lake-v1" { 2 } else { 4 };
        assert_eq!(own("http_response_status_code"), fitting, "{version}: what is no number stays in the map");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn durations_and_usual_attributes_are_looked_for_by_value() {
    for sent in [golden(), origin::packed(Table::Spans, &golden()).unwrap()] {
        let dir = tempfile::tempdir().unwrap();
        let shard = Shard::open(options(dir.path())).await.unwrap();
        put(&shard, Table::Spans, sent).await.unwrap();
        for moment in ["head", "file"] {
            assert_eq!(found(&shard, "duration_nano", Test::Integers(1, 20)).await, [10, 25, 40], "{moment}");
            assert_eq!(found(&shard, "duration_nano", Test::Integers(21, 1 << 40)).await, [0; 0], "{moment}");
            assert_eq!(found(&shard, "http_response_status_code", Test::Integers(500, 599)).await, [10], "{moment}");
            shard.flush().await.unwrap();
        }
        assert_eq!(rows(&all(&shard, Table::Spans).await), rows(&golden()));
    }
}
