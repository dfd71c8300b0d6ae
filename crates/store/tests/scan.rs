//! Scans against a filter written the slow way, over head and lake, with every kind of test, order and limit.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use futures::TryStreamExt;
use model::{AttributesView, Filter, Order, ScanRequest, Subject, Table, Test, TimeRange};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::{Shard, ShardOptions};
use support::*;

const SERVICES: [&str; 5] = ["", "catalogue", "login", "payments", "player"];
const WORDS: [&str; 6] = ["timeout", "GET /item", "retry", "card declined", "buffering", "ok"];

/// Times in three layers, so that files overlap in time and some lie apart.
fn random_logs(random: &mut StdRng, rows: usize) -> Vec<(i64, &'static str, String)> {
    let layer = random.random_range(0..3) * 10_000;
    (0..rows)
        .map(|_| {
            let time = layer + random.random_range(0..5_000);
            let body = format!("{} {}", WORDS[random.random_range(0..WORDS.len())], random.random_range(0..50));
            (time, SERVICES[random.random_range(0..SERVICES.len())], body)
        })
        .collect()
}

async fn filled(seed: u64, dir: &std::path::Path) -> Arc<Shard> {
    let mut random = StdRng::seed_from_u64(seed);
    let options = ShardOptions { row_group_rows: 100, ..options(dir) };
    let shard = Shard::open(options).await.unwrap();
    for round in 0..8 {
        for _ in 0..3 {
            let rows = random_logs(&mut random, 100);
            let rows: Vec<_> = rows.iter().map(|(time, service, body)| (*time, *service, body.as_str())).collect();
            put(&shard, Table::Logs, logs(&rows)).await.unwrap();
        }
        // The last two rounds stay in the head.
        if round < 6 {
            shard.flush().await.unwrap();
        }
    }
    shard
}

fn random_filter(random: &mut StdRng) -> Filter {
    let service = || SERVICES.map(str::to_owned);
    let word = WORDS[random.random_range(0..WORDS.len())].to_owned();
    let column = |name: &str| Subject::Column(name.to_owned());
    let entry = |column: &str, key: &str| Subject::Entry { column: column.to_owned(), key: key.to_owned() };
    let one = service()[random.random_range(0..5)].clone();
    let two = service()[random.random_range(0..5)].clone();
    let (subject, test) = match random.random_range(0..14) {
        0 => (column("service_name"), Test::Equal(one)),
        1 => (column("service_name"), Test::NotEqual(one)),
        2 => (column("service_name"), Test::OneOf(vec![one, two])),
        3 => (column("service_name"), Test::Regex(format!("{one}|{two}"))),
        4 => (column("service_name"), Test::NotRegex("p.*".to_owned())),
        5 => (column("body"), Test::Contains(word)),
        6 => (column("body"), Test::NotContains(word)),
        7 => (column("body"), Test::Search("item [0-9]$".to_owned())),
        8 => (column("body"), Test::NotSearch("^ok".to_owned())),
        9 => (column("trace_id"), Test::Equal(format!("{:032x}", random.random_range(0..8_000)))),
        10 => (entry("attributes", "code"), Test::OneOf(vec!["1".to_owned(), "2".to_owned()])),
        11 => (entry("attributes", "missing"), Test::Equal(String::new())),
        12 => (Subject::FirstOf(vec![column("service_name"), entry("attributes", "code")]), Test::Regex("[0-6]".to_owned())),
        _ => (column("business_service"), Test::Equal("unassigned".to_owned())),
    };
    Filter { subject, test }
}

/// The definition of a filter, row by row.
fn keeps(filter: &Filter, records: &RecordBatch) -> Vec<bool> {
    let regex = match &filter.test {
        Test::Regex(pattern) | Test::NotRegex(pattern) => regex::Regex::new(&format!("^(?s:{pattern})$")).unwrap(),
        Test::Search(pattern) | Test::NotSearch(pattern) => regex::Regex::new(pattern).unwrap(),
        _ => regex::Regex::new("").unwrap(),
    };
    let keep = |text: String| match &filter.test {
        Test::Equal(other) => text == *other,
        Test::NotEqual(other) => text != *other,
        Test::OneOf(others) => others.contains(&text),
        Test::Regex(_) | Test::Search(_) => regex.is_match(&text),
        Test::NotRegex(_) | Test::NotSearch(_) => !regex.is_match(&text),
        Test::Contains(part) => text.contains(part.as_str()),
        Test::NotContains(part) => !text.contains(part.as_str()),
        Test::Integers(..) | Test::Numbers(..) => panic!("no declared column is filtered here"),
    };
    (0..records.num_rows()).map(|row| keep(value(&filter.subject, records, row))).collect()
}

fn value(subject: &Subject, records: &RecordBatch, row: usize) -> String {
    match subject {
        Subject::Column(name) => {
            let array: &arrow::array::StringArray = model::schema::column(records, name).unwrap();
            if array.is_null(row) { String::new() } else { array.value(row).to_owned() }
        }
        Subject::Entry { column, key } => AttributesView::of(records, column, None).unwrap().get(row, key).unwrap_or_default().to_owned(),
        Subject::FirstOf(each) => each.iter().map(|subject| value(subject, records, row)).find(|text| !text.is_empty()).unwrap_or_default(),
        Subject::Label { .. } | Subject::AnyOf(_) => unreachable!("tests/pruning.rs asks for these"),
    }
}

/// The rows of a scan with all dictionaries written out, and in how many batches there were some.
async fn decoded(shard: &Shard, request: ScanRequest) -> (RecordBatch, usize) {
    let schema = Table::Logs.schema();
    let batches: Vec<RecordBatch> = model::Scan::scan(shard, request).await.unwrap().try_collect().await.unwrap();
    let encoded = batches.iter().filter(|batch| batch.schema() != schema).count();
    let decoded = batches.iter().map(|batch| {
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| arrow::compute::cast(column, field.data_type()).unwrap()).collect();
        RecordBatch::try_new(schema.clone(), columns).unwrap()
    });
    (arrow::compute::concat_batches(&schema, &decoded.collect::<Vec<_>>()).unwrap(), encoded)
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_agree_with_a_filter_written_the_slow_way() {
    let seed = 7;
    let dir = tempfile::tempdir().unwrap();
    let shard = filled(seed, dir.path()).await;
    let everything = all(&shard, Table::Logs).await;
    assert_eq!(everything.num_rows(), 2400);
    let all_times = times(&everything, "time_unix_nano");
    let mut random = StdRng::seed_from_u64(seed + 1);
    let (mut files_skipped, mut groups_skipped, mut encoded_batches) = (0, 0, 0);
    for case in 0..300 {
        let start = random.random_range(-100..26_000);
        let time = match random.random_range(0..3) {
            0 => TimeRange::ALL,
            _ => TimeRange::new(start, start + random.random_range(0..8_000)),
        };
        let order = [Order::Any, Order::NewestFirst, Order::OldestFirst][random.random_range(0..3)];
        let limit = (order != Order::Any && random.random_bool(0.7)).then(|| random.random_range(0..200));
        let filters: Vec<_> = (0..random.random_range(0..3)).map(|_| random_filter(&mut random)).collect();
        let request = ScanRequest { filters: filters.clone(), order, limit, ..ScanRequest::new(Table::Logs, time) };
        let kept: Vec<_> = filters.iter().map(|filter| keeps(filter, &everything)).collect();
        let mut expect: Vec<usize> = (0..everything.num_rows())
            .filter(|&row| time.contains(all_times[row]))
            .filter(|&row| kept.iter().all(|kept| kept[row]))
            .collect();
        let stats = request.stats.clone();
        let what = format!("case {case}: {request:?}");
        let dictionaries = ["service_name", "trace_id"].map(str::to_owned).to_vec();
        let encoded = ScanRequest { dictionaries, stats: Arc::default(), ..request.clone() };
        let found = scan(&shard, request).await;
        let found_times = times(&found, "time_unix_nano");
        match order {
            Order::Any => {
                let rows_of: arrow::array::UInt32Array = expect.iter().map(|&row| Some(row as u32)).collect();
                let picked = arrow::compute::take_record_batch(&everything, &rows_of).unwrap();
                assert_eq!(rows(&found), rows(&picked), "{what}");
                let (decoded, dictionaries) = decoded(&shard, encoded).await;
                assert_eq!(rows(&decoded), rows(&picked), "as dictionaries: {what}");
                encoded_batches += dictionaries;
            }
            _ => {
                expect.sort_by_key(|&row| if order == Order::NewestFirst { -all_times[row] } else { all_times[row] });
                expect.truncate(limit.unwrap_or(usize::MAX));
                let expect_times: Vec<i64> = expect.iter().map(|&row| all_times[row]).collect();
                assert_eq!(found_times, expect_times, "{what}");
                assert!(filters.iter().all(|filter| keeps(filter, &found).iter().all(|kept| *kept)), "{what}");
            }
        }
        let stats = *stats.lock().unwrap();
        assert_eq!(stats.rows_returned as usize, found.num_rows(), "{what}");
        files_skipped += stats.files_skipped;
        groups_skipped += stats.row_groups_skipped;
    }
    assert!(encoded_batches > 100, "{encoded_batches} batches had dictionaries");
    assert!(files_skipped > 100 && groups_skipped > 300, "{files_skipped} files and {groups_skipped} row groups skipped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_comes_in_the_order_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let shard = filled(1, dir.path()).await;
    for order in [Order::Any, Order::NewestFirst] {
        let columns = vec!["body".to_owned(), "service_name".to_owned()];
        let limit = (order != Order::Any).then_some(10);
        let found =
            scan(&shard, ScanRequest { columns: Some(columns.clone()), order, limit, ..ScanRequest::new(Table::Logs, TimeRange::ALL) })
                .await;
        let names: Vec<_> = found.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, columns);
    }
    let none = ScanRequest { columns: Some(Vec::new()), ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
    let batches: Vec<RecordBatch> = model::Scan::scan(&*shard, none).await.unwrap().try_collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2400, "no column still counts rows");
    let wrong = ScanRequest { columns: Some(vec!["nope".to_owned()]), ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
    assert_eq!(model::Scan::scan(&*shard, wrong).await.err().unwrap().code, model::Code::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn newest_first_with_a_limit_reads_little() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(ShardOptions { row_group_rows: 100, ..options(dir.path()) }).await.unwrap();
    for round in 0..10 {
        let rows: Vec<_> = (0..100).map(|row| (round * 1000 + row, "a", "line")).collect();
        put(&shard, Table::Logs, logs(&rows)).await.unwrap();
        shard.flush().await.unwrap();
    }
    let request = ScanRequest { order: Order::NewestFirst, limit: Some(10), ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
    let stats = request.stats.clone();
    let found = scan(&shard, request).await;
    assert_eq!(times(&found, "time_unix_nano"), (9090..9100).rev().collect::<Vec<_>>());
    assert_eq!(stats.lock().unwrap().rows_scanned, 100, "one row group of ten is enough");
}

/// Whoever wants rows until he has seen enough cannot say how many.
#[tokio::test(flavor = "multi_thread")]
async fn newest_first_without_a_limit_reads_little_until_more_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    let rows: Vec<_> = (0..200_000).map(|row| (row, if row % 100 == 0 { "b" } else { "a" }, "line")).collect();
    put(&shard, Table::Logs, logs(&rows)).await.unwrap();
    shard.flush().await.unwrap();
    let filters = vec![Filter { subject: Subject::Column("service_name".to_owned()), test: Test::Equal("b".to_owned()) }];
    let request = ScanRequest { order: Order::NewestFirst, filters, ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
    let stats = request.stats.clone();
    let mut batches = model::Scan::scan(&*shard, request).await.unwrap();
    let first = batches.try_next().await.unwrap().unwrap();
    assert_eq!(times(&first, "time_unix_nano")[..3], [199_900, 199_800, 199_700]);
    let looked = stats.lock().unwrap().rows_scanned;
    assert!(looked <= 100_000, "{looked} of 200,000 rows for the first {}", first.num_rows());
    let rest: Vec<RecordBatch> = batches.try_collect().await.unwrap();
    let all: Vec<i64> = std::iter::once(&first).chain(&rest).flat_map(|batch| times(batch, "time_unix_nano")).collect();
    assert_eq!(all, (0..2_000).rev().map(|row| row * 100).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn series_are_found_by_name_label_and_time_in_head_and_lake() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    for (name, label, start) in [("up", "x", 0), ("up", "y", 0), ("down", "x", 0), ("up", "x", 60_000)] {
        let points: Vec<_> = (0..4).map(|step| (start + step * 15_000, step as f64)).collect();
        put(&shard, Table::Samples, floats(name, label, &points)).await.unwrap();
    }
    let check = async |shard: &Shard| {
        let filter = |subject: Subject, text: &str| Filter { subject, test: Test::Equal(text.to_owned()) };
        let label = Subject::Entry { column: "labels".to_owned(), key: "a".to_owned() };
        let filters = vec![filter(Subject::Column("name".to_owned()), "up"), filter(label, "x")];
        let request = ScanRequest { filters: filters.clone(), ..ScanRequest::new(Table::Samples, TimeRange::ALL) };
        let found = scan(shard, request).await;
        assert_eq!((found.num_rows(), points(&found).len()), (1, 8));
        let late = TimeRange::of_millis_inclusive(200_000, 300_000);
        assert_eq!(scan(shard, ScanRequest { filters, ..ScanRequest::new(Table::Samples, late) }).await.num_rows(), 0);
        let kind = filter(Subject::Column("type".to_owned()), "gauge");
        let request = ScanRequest { filters: vec![kind], ..ScanRequest::new(Table::Samples, TimeRange::ALL) };
        assert_eq!(scan(shard, request).await.num_rows(), 3);
    };
    check(&shard).await;
    shard.flush().await.unwrap();
    check(&shard).await;
}

/// Of two points at one instant the later one stays, and a reader takes the last it sees for that.
#[tokio::test(flavor = "multi_thread")]
async fn samples_come_in_the_order_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    for round in 0..12 {
        put(&shard, Table::Samples, floats("up", "x", &[(1000, f64::from(round))])).await.unwrap();
        if round < 11 {
            shard.flush().await.unwrap();
        }
    }
    let found = all(&shard, Table::Samples).await;
    let view = model::samples::SamplesView::of(&found).unwrap();
    let values: Vec<f64> = (0..found.num_rows()).map(|row| view.floats(row).unwrap()[0]).collect();
    assert_eq!(values, (0..12).map(f64::from).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_scan_that_must_hold_too_much_says_which_limit() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(ShardOptions { scan_held_bytes_max: 1 << 20, ..options(dir.path()) }).await.unwrap();
    let body = "x".repeat(1000);
    // Two files that overlap in time, of a megabyte each.
    for shift in 0..2 {
        let rows: Vec<_> = (0..1000).map(|row| (row * 2 + shift, "a", body.as_str())).collect();
        put(&shard, Table::Logs, logs(&rows)).await.unwrap();
        shard.flush().await.unwrap();
    }
    let request = |limit| ScanRequest { order: Order::NewestFirst, limit, ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
    let found = model::Scan::scan(&*shard, request(None)).await.unwrap();
    let error = futures::TryStreamExt::try_collect::<Vec<_>>(found).await.unwrap_err();
    assert!(error.code == model::Code::LimitExceeded && error.what.contains("scan_held_bytes_max"), "{}", error.chain());
    assert_eq!(times(&scan(&shard, request(Some(3))).await, "time_unix_nano"), [1999, 1998, 1997]);
}

/// More readers than there are threads fetch one batch and no more: neither a flush nor another scan waits for them.
#[test]
fn readers_that_stall_hold_no_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(16).enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let shard = Shard::open(ShardOptions { row_group_rows: 10, ..options(dir.path()) }).await.unwrap();
        let rows: Vec<_> = (0..500).map(|row| (row, "a", "line")).collect();
        put(&shard, Table::Logs, logs(&rows)).await.unwrap();
        shard.flush().await.unwrap();
        let mut stalled = Vec::new();
        for _ in 0..8 {
            let mut stream = model::Scan::scan(&*shard, ScanRequest::new(Table::Logs, TimeRange::ALL)).await.unwrap();
            futures::StreamExt::next(&mut stream).await.unwrap().unwrap();
            stalled.push(stream);
        }
        put(&shard, Table::Logs, logs(&[(1000, "a", "line")])).await.unwrap();
        let flushed = tokio::time::timeout(std::time::Duration::from_secs(30), shard.flush()).await;
        flushed.expect("the flush found a thread").unwrap();
        assert_eq!(all(&shard, Table::Logs).await.num_rows(), 501);
        for stream in stalled {
            let rest: Vec<_> = futures::TryStreamExt::try_collect(stream).await.unwrap();
            assert_eq!(rest.iter().map(RecordBatch::num_rows).sum::<usize>(), 490);
        }
    });
}
