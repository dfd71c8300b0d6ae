//! What a scan skips holds no row of the answer: every filter against a scan that reads everything.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use model::logs::{LogRow, LogsBuilder};
use model::{AttributeValue, Attributes, Filter, Order, ScanRequest, ScanStats, Subject, Table, Test, TimeRange};
use parquet::basic::Encoding;
use parquet::file::reader::{FileReader, SerializedFileReader};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::{Shard, ShardOptions};
use support::*;
use testkit::memory_scan::MemoryScan;

/// Letters that fold to others, bytes that are no ASCII, separators of words.
const PIECES: [&str; 16] =
    ["error", "Error", "disk", "DISK", "\u{212a}elvin", "größe", "GRÖßE", "ſet", "user", "42", "4711", "=", " ", "-", "_", "日本"];
const KEYS: [&str; 6] = ["user.id", "user_id", "trace_id", "k8s.pod", "took", "level"];
const VALUES: [&str; 7] = ["", "1", "2.5", "login", "login-0", "error", "größe"];

fn one<'a>(random: &mut StdRng, of: &[&'a str]) -> &'a str {
    of[random.random_range(0..of.len())]
}

fn text(random: &mut StdRng) -> String {
    (0..random.random_range(0..6)).map(|_| one(random, &PIECES)).collect()
}

/// In every third file most come from a few templates.
fn body(random: &mut StdRng, file: usize) -> String {
    let (number, id) = (random.random_range(0..6_000), random.random_range(0..1 << 20));
    match (file % 3, random.random_range(0..9)) {
        (1, 0 | 1) => format!("error {number} of disk"),
        (1, 2) => format!("user={id:x} größe_{number} DISK"),
        (1, 3 | 4) => format!("Error-{number}-4711 {id:x}error user"),
        (1, 5) => "user-error größe".to_owned(),
        (1, 7) => format!("ERROR {number}"),
        (1, 6) => format!("4711\u{1a}{number} disk"),
        _ => text(random),
    }
}

/// A name or a value is in some files only, a key in few, so that there is something to skip.
fn random_rows(random: &mut StdRng, rows: usize, file: usize) -> RecordBatch {
    let mut builder = LogsBuilder::default();
    for _ in 0..rows {
        for key in &KEYS[..random.random_range(0..=file % (KEYS.len() + 1))] {
            let value = match random.random_range(0..4) {
                0 => AttributeValue::Double(2.5),
                1 => AttributeValue::Int(1),
                _ => AttributeValue::Text(one(random, &VALUES)),
            };
            builder.attributes.push(key, value);
        }
        let mut resource = Attributes::default();
        if file.is_multiple_of(2) {
            resource.set(one(random, &KEYS), AttributeValue::Text(one(random, &VALUES)));
        }
        let (body, trace_id) = (body(random, file), format!("{:032x}", random.random_range(0..60) + file * 50));
        let row = LogRow {
            time_unix_nano: random.random_range(0..1_000) + 500 * file as i64,
            service_name: one(random, &["", "login", "player"]),
            body: &body,
            trace_id: if random.random_bool(0.8) { &trace_id } else { "" },
            severity_text: one(random, &["", "INFO", "ERROR"]),
            ..LogRow::default()
        };
        builder.push(&row, &resource, &Attributes::default());
    }
    let records = builder.finish();
    let mut columns = records.columns().to_vec();
    let names: StringArray = (0..rows).map(|_| Some(["unassigned", "playback"][random.random_range(0..2)])).collect();
    columns[records.schema_ref().index_of("business_service").unwrap()] = Arc::new(names) as ArrayRef;
    RecordBatch::try_new(records.schema(), columns).unwrap()
}

fn random_subject(random: &mut StdRng) -> Subject {
    let column = |random: &mut StdRng| {
        Subject::Column(one(random, &["body", "trace_id", "service_name", "severity_text", "business_service", "team"]).to_owned())
    };
    let map = |random: &mut StdRng| one(random, &["attributes", "resource_attributes"]).to_owned();
    let entry = |random: &mut StdRng| Subject::Entry { column: map(random), key: one(random, &KEYS).to_owned() };
    let label = |random: &mut StdRng| Subject::Label {
        column: map(random),
        name: one(random, &["user_id", "k8s_pod", "trace_id", "nope"]).to_owned(),
    };
    match random.random_range(0..8) {
        0..3 => column(random),
        3 => entry(random),
        4 => label(random),
        5 => Subject::FirstOf(vec![entry(random), column(random)]),
        6 => Subject::FirstOf(vec![column(random), entry(random), entry(random)]),
        _ => Subject::AnyOf(vec![label(random), column(random), entry(random)]),
    }
}

fn random_test(random: &mut StdRng) -> Test {
    let id = format!("{:032x}", random.random_range(0..500));
    let (piece, value) = (one(random, &PIECES).to_owned(), one(random, &VALUES).to_owned());
    let some = if random.random_bool(0.5) { id } else { value.clone() };
    let two = format!("{piece}{}", one(random, &PIECES));
    let digits = random.random_range(0..100).to_string();
    match random.random_range(0..20) {
        14 => Test::Contains(digits),
        18 | 19 => Test::Search(format!("(?i){piece}")),
        15 => Test::Contains(format!("{two}{digits}")),
        16 => Test::Contains(format!("{digits}{two}")),
        17 => Test::NotContains(format!("{piece}{digits}")),
        0 | 1 => Test::Equal(some),
        2 => Test::NotEqual(some),
        3 => Test::OneOf(vec![some, piece]),
        4 => Test::Regex(format!("{value}|{some}")),
        5 => Test::Regex(format!(".*{piece}.*")),
        6 => Test::NotRegex(format!(".*{piece}.*")),
        7 | 8 => Test::Contains(two),
        9 => Test::NotContains(two),
        10 => Test::Search(format!("(?i){two}")),
        11 => Test::Search(format!("{piece}[ =]4?")),
        12 => Test::Search(format!("{two}|{}{piece}", text(random))),
        _ => Test::NotSearch(format!("^{piece}")),
    }
}

async fn check(shard: &Shard, memory: &MemoryScan, request: ScanRequest) -> (RecordBatch, ScanStats) {
    let stats = request.stats.clone();
    let found = scan(shard, request.clone()).await;
    let again = ScanRequest { stats: Arc::default(), ..request.clone() };
    let batches: Vec<RecordBatch> = futures::TryStreamExt::try_collect(model::Scan::scan(memory, again).await.unwrap()).await.unwrap();
    let expect = arrow::compute::concat_batches(&Table::Logs.schema(), &batches).unwrap();
    let what = format!("{request:?}");
    match request.limit {
        None => assert_eq!(rows(&found), rows(&expect), "{what}"),
        // Which of the rows at one instant come is open.
        Some(_) => assert_eq!(times(&found, "time_unix_nano"), times(&expect, "time_unix_nano"), "{what}"),
    }
    let stats = *stats.lock().unwrap();
    (found, stats)
}

async fn filled(dir: &std::path::Path, random: &mut StdRng, group_rows: usize, sizes: &[usize]) -> (Arc<Shard>, MemoryScan) {
    let shard = Shard::open(ShardOptions { row_group_rows: group_rows, ..options(dir) }).await.unwrap();
    let memory = MemoryScan::default();
    for (file, &size) in sizes.iter().enumerate() {
        let records = random_rows(random, size, file);
        memory.push(Table::Logs, records.clone());
        put(&shard, Table::Logs, records).await.unwrap();
        // The last stays in the head.
        if file + 1 < sizes.len() {
            shard.flush().await.unwrap();
        }
    }
    (shard, memory)
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_that_skip_agree_with_a_scan_of_everything() {
    let mut random = StdRng::seed_from_u64(11);
    let dir = tempfile::tempdir().unwrap();
    let (shard, memory) = filled(dir.path(), &mut random, 40, &[120, 200, 100, 160, 120, 80, 200, 50]).await;
    let mut total = ScanStats::default();
    for _ in 0..600 {
        let filter = |random: &mut StdRng| Filter { subject: random_subject(random), test: random_test(random) };
        let filters = (0..random.random_range(1..3)).map(|_| filter(&mut random)).collect();
        let start = random.random_range(-100..4_500);
        let time = if random.random_bool(0.5) { TimeRange::ALL } else { TimeRange::new(start, start + 1_000) };
        let order = [Order::Any, Order::NewestFirst, Order::OldestFirst][random.random_range(0..3)];
        let limit = (order != Order::Any && random.random_bool(0.7)).then(|| random.random_range(1..30));
        let request = ScanRequest { filters, order, limit, ..ScanRequest::new(Table::Logs, time) };
        let (_, stats) = check(&shard, &memory, request).await;
        total.files_skipped += stats.files_skipped;
        total.row_groups_skipped += stats.row_groups_skipped;
        total.blocks_skipped += stats.blocks_skipped;
    }
    assert!(total.files_skipped > 200 && total.row_groups_skipped > 200 && total.blocks_skipped > 200, "{total:?}");
}

/// Row groups of several blocks and pages: of those that are wanted all rows come, and no others are read.
#[tokio::test(flavor = "multi_thread")]
async fn a_needle_reads_one_block() {
    let mut random = StdRng::seed_from_u64(12);
    let dir = tempfile::tempdir().unwrap();
    let (shard, memory) = filled(dir.path(), &mut random, 1 << 20, &[30_000, 1]).await;
    let needle = |time: i64| {
        let mut builder = LogsBuilder::default();
        builder.attributes.push("order", AttributeValue::Int(987_654_321));
        let body = "order 987654321 is lost: cafebabe-needle";
        let row = LogRow { time_unix_nano: time, body, trace_id: "feed", service_name: "login", ..LogRow::default() };
        builder.push(&row, &Attributes::default(), &Attributes::default());
        let records = builder.finish();
        let mut columns = records.columns().to_vec();
        columns[records.schema_ref().index_of("business_service").unwrap()] = Arc::new(StringArray::from(vec!["unassigned"]));
        RecordBatch::try_new(records.schema(), columns).unwrap()
    };
    let rest = random_rows(&mut random, 30_000, 0);
    for records in [rest, needle(500)] {
        memory.push(Table::Logs, records.clone());
        put(&shard, Table::Logs, records).await.unwrap();
    }
    shard.flush().await.unwrap();
    let body = |test| Filter { subject: Subject::Column("body".to_owned()), test };
    let named = |test| {
        let column = Subject::Column("trace_id".to_owned());
        let label = |column: &str| Subject::Label { column: column.to_owned(), name: "trace_id".to_owned() };
        Filter { subject: Subject::AnyOf(vec![label("attributes"), label("resource_attributes"), column]), test }
    };
    let order = Filter {
        subject: Subject::Entry { column: "attributes".to_owned(), key: "order".to_owned() },
        test: Test::Equal("987654321".to_owned()),
    };
    let filters = [
        body(Test::Contains("febabe-nee".to_owned())),
        body(Test::Contains("order 987654321 ".to_owned())),
        body(Test::Search("(?i)CAFE[a-z]+-Needle$".to_owned())),
        body(Test::Search("order \\d+ is lost".to_owned())),
        body(Test::Equal("order 987654321 is lost: cafebabe-needle".to_owned())),
        named(Test::Equal("feed".to_owned())),
        named(Test::OneOf(vec!["beef".to_owned(), "feed".to_owned()])),
        order,
    ];
    let mut remembered = 0;
    for filter in filters {
        for order in [Order::Any, Order::NewestFirst] {
            let request = ScanRequest { filters: vec![filter.clone()], order, ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
            let (found, stats) = check(&shard, &memory, request.clone()).await;
            assert_eq!(found.num_rows(), 1, "{filter:?}");
            assert!(stats.rows_scanned < 30_000 && stats.blocks_skipped >= 3, "{filter:?}: {stats:?}");
            let (_, again) = check(&shard, &memory, ScanRequest { stats: Arc::default(), ..request }).await;
            assert_eq!(again.blocks_skipped, stats.blocks_skipped, "{filter:?}");
            assert!(again.bytes_scanned <= stats.bytes_scanned, "{again:?} after {stats:?}");
            remembered += stats.bytes_scanned - again.bytes_scanned;
        }
    }
    assert!(remembered > 0, "maps of grams are read once");
    let newest = ScanRequest { order: Order::NewestFirst, limit: Some(10), ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
    let (_, stats) = check(&shard, &memory, newest).await;
    assert!(stats.rows_scanned < 60_000, "{stats:?}");
}

/// What templates decide is not read from the variables, nor are bodies that nobody asked for.
#[tokio::test(flavor = "multi_thread")]
async fn templates_answer_for_bodies() {
    let dir = tempfile::tempdir().unwrap();
    // Each question reads all that it needs.
    let shard = Shard::open(ShardOptions { gram_bytes_max: 0, ..options(dir.path()) }).await.unwrap();
    let lines: Vec<String> = (0..20_000_i64)
        .map(|at| match at % 4 {
            0 => format!("connection {at} reset by peer"),
            1 => format!("session {:x} opened by {at}", at * 7919),
            2 => format!("session {at} closed"),
            _ => "idle".to_owned(),
        })
        .collect();
    let rows: Vec<_> = lines.iter().enumerate().map(|(at, line)| (at as i64, "login", line.as_str())).collect();
    put(&shard, Table::Logs, logs(&rows)).await.unwrap();
    shard.flush().await.unwrap();
    let count = async |test: Option<Test>, columns: &[&str]| {
        let filters = test.map(|test| Filter { subject: Subject::Column("body".to_owned()), test }).into_iter().collect();
        let columns = Some(columns.iter().map(|&name| name.to_owned()).collect());
        let request = ScanRequest { filters, columns, ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
        let stats = request.stats.clone();
        let found = scan(&shard, request).await.num_rows();
        let bytes = stats.lock().unwrap().bytes_scanned;
        (found, bytes)
    };
    let time = &["time_unix_nano"];
    let (all, times) = count(None, time).await;
    let (_, bodies) = count(None, &["time_unix_nano", "body"]).await;
    let contains = |text: &str| Some(Test::Contains(text.to_owned()));
    let (phrase, of_phrase) = count(contains("reset by peer"), time).await;
    let (word, of_word) = count(contains("closed"), time).await;
    let (without, of_without) = count(Some(Test::NotContains("session ".to_owned())), time).await;
    let (number, of_number) = count(contains("by 1001"), time).await;
    assert_eq!((all, phrase, word, without, number), (20_000, 5_000, 5_000, 10_000, 3));
    // Those of all columns, without the variables; the filter's maps and the templates are small.
    let few = times + (bodies - times) / 4;
    assert!(of_phrase < few && of_word < few && of_without < few, "{times} {bodies}: {of_phrase} {of_word} {of_without}");
    assert!(of_number > 2 * of_phrase, "{of_number} {of_phrase}");
    assert!(times * 4 < bodies, "{times} {bodies}");
}

/// Some pages have numbers of a dictionary then, and the others texts.
#[tokio::test(flavor = "multi_thread")]
async fn templates_that_are_too_many_for_a_dictionary_are_found_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    let word = |at: usize| -> String { (0..12).map(|bit| if at >> bit & 1 == 0 { 'o' } else { 'l' }).collect() };
    let lines: Vec<String> = (0..20_000).map(|at| format!("{} {at} end", word(at / 16).repeat(100))).collect();
    let rows: Vec<_> = lines.iter().enumerate().map(|(at, line)| (at as i64, "login", line.as_str())).collect();
    put(&shard, Table::Logs, logs(&rows)).await.unwrap();
    shard.flush().await.unwrap();
    let files = std::fs::read_dir(dir.path().join("lake/logs")).unwrap().map(|entry| entry.unwrap().path());
    let file = files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "parquet")).unwrap();
    let reader = SerializedFileReader::new(std::fs::File::open(file).unwrap()).unwrap();
    let columns = reader.metadata().row_group(0).columns();
    let template = columns.iter().find(|column| column.column_path().string() == "body_template").unwrap();
    let encodings: Vec<Encoding> = template.encodings().collect();
    assert!([Encoding::RLE_DICTIONARY, Encoding::DELTA_LENGTH_BYTE_ARRAY].iter().all(|of| encodings.contains(of)), "{encodings:?}");
    assert!(template.uncompressed_size() < 12 << 20, "most are in the dictionary");
    let mut expect = lines.clone();
    expect.sort();
    assert!(bodies(&all(&shard, Table::Logs).await) == expect);
    for wanted in [format!("{} 5", word(3)), "o 1999".to_owned(), " end".to_owned(), word(1249)] {
        let filter = Filter { subject: Subject::Column("body".to_owned()), test: Test::Contains(wanted.clone()) };
        let request = ScanRequest { filters: vec![filter], ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
        let expect = lines.iter().filter(|line| line.contains(&wanted)).count();
        assert!(expect > 0 && scan(&shard, request).await.num_rows() == expect, "{wanted}");
    }
}

/// Files from before there were filters and lists of keys, sorted by service, with a dictionary here and none there.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_first_version_are_read() {
    let dir = tempfile::tempdir().unwrap();
    copied(std::path::Path::new("tests/golden/lake-v1/lake"), &dir.path().join("lake"));
    let shard = Shard::open(ShardOptions { name: "default".to_owned(), ..options(dir.path()) }).await.unwrap();
    let found = all(&shard, Table::Logs).await;
    let expect: Vec<String> = [0, 1, 2, 3, 4].map(|at| format!("request {at} of größe {} done", at * 1000)).into();
    assert_eq!(bodies(&found), expect);
    let entry = |key: &str| Subject::Entry { column: "attributes".to_owned(), key: key.to_owned() };
    let label = |name: &str| Subject::Label { column: "attributes".to_owned(), name: name.to_owned() };
    let column = |name: &str| Subject::Column(name.to_owned());
    let count = async |table: Table, subject: Subject, test: Test| {
        scan(&shard, ScanRequest { filters: vec![Filter { subject, test }], ..ScanRequest::new(table, TimeRange::ALL) }).await.num_rows()
    };
    assert_eq!(count(Table::Logs, column("body"), Test::Contains("3 of größe".to_owned())).await, 1);
    assert_eq!(count(Table::Logs, column("trace_id"), Test::Equal(format!("{:032x}", 1))).await, 2);
    assert_eq!(count(Table::Logs, label("user_id"), Test::Equal("4".to_owned())).await, 1);
    assert_eq!(count(Table::Logs, entry("took"), Test::Equal("2.5".to_owned())).await, 1);
    assert_eq!(count(Table::Logs, entry("nope"), Test::Equal("4".to_owned())).await, 0);
    assert_eq!(count(Table::Logs, column("severity_text"), Test::Equal("ERROR".to_owned())).await, 2);
    assert_eq!(count(Table::Spans, column("trace_id"), Test::Equal(format!("{:032x}", 2))).await, 2);
    assert_eq!(count(Table::Spans, entry("url.path"), Test::Equal("/x/3".to_owned())).await, 1);
    let request = ScanRequest { order: Order::NewestFirst, limit: Some(2), ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
    let newest = scan(&shard, request).await;
    assert_eq!(times(&newest, "time_unix_nano"), [1_700_000_000_000_004_000, 1_700_000_000_000_003_000]);
}
