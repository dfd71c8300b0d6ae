//! Declared attributes in columns of their own: whatever is sent under their keys, answers are those of a store without them.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use futures::TryStreamExt;
use model::logs::{LogRow, LogsBuilder};
use model::{
    AttributeType, AttributeValue, Attributes, AttributesView, Bound, DeclaredFields, FieldType, FieldValue, Filter, Order, Scan,
    ScanRequest, ScanStats, Subject, Table, Test, TimeRange,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::{Shard, ShardOptions};
use support::*;
use testkit::memory_scan::MemoryScan;

const FIELDS: [(&str, FieldType); 4] =
    [("status", FieldType::Integer), ("took.ms", FieldType::Number), ("name", FieldType::String), ("flag", FieldType::Boolean)];
const COLUMNS: [&str; 4] = ["status", "took_ms", "name", "flag"];
const KEYS: [&str; 7] = ["status", "took.ms", "name", "flag", "rest", "größe", "took_ms"];

fn declared(fields: &[(&str, FieldType)]) -> DeclaredFields {
    let mut all = DeclaredFields::default();
    for (key, kind) in fields {
        all.add(key, *kind).unwrap();
    }
    all
}

fn value(random: &mut StdRng) -> AttributeValue<'static> {
    use AttributeType::{Array, Empty, Int};
    use AttributeValue::{Bool, Double, Encoded, Text};
    let values = [
        Text(""),
        Text("007"),
        Text("1e400"),
        Text("NaN"),
        Text("9223372036854775808"),
        Text("12"),
        Text("true"),
        Text("x +1 y=i"),
        Text("login"),
        Text("0.5"),
        AttributeValue::Int(7),
        AttributeValue::Int(12),
        AttributeValue::Int(i64::MAX),
        AttributeValue::Int(i64::MIN),
        AttributeValue::Int(9_007_199_254_740_993),
        Double(f64::NAN),
        Double(f64::INFINITY),
        Double(-0.0),
        Double(0.0),
        Double(1.5),
        Double(1e300),
        Bool(true),
        Bool(false),
        Encoded(Array, "[1]"),
        Encoded(Empty, ""),
        Encoded(Int, "007"),
        Encoded(Int, "-0"),
    ];
    values[random.random_range(0..values.len())]
}

/// Most values are what is declared.
fn random_rows(random: &mut StdRng, rows: usize, file: i64) -> RecordBatch {
    let mut builder = LogsBuilder::default();
    for row in 0..rows {
        let mut keys = KEYS;
        if random.random_bool(0.3) {
            (1..KEYS.len()).for_each(|at| keys.swap(at, random.random_range(0..=at)));
        }
        for key in &keys[..random.random_range(0..=KEYS.len())] {
            let declared = match *key {
                "status" => AttributeValue::Int(100 * file + random.random_range(0..5)),
                "took.ms" => AttributeValue::Double(f64::from(random.random_range(0..2000)) / 8.0),
                "name" => AttributeValue::Text(["login", "player"][random.random_range(0..2)]),
                "flag" => AttributeValue::Bool(random.random_bool(0.5)),
                _ => AttributeValue::Text("left"),
            };
            let odd = file % 2 == 1 && random.random_bool(0.3);
            builder.attributes.append(key, if odd { value(random) } else { declared });
        }
        let mut resource = Attributes::default();
        resource.set("status", AttributeValue::Text("7"));
        let time_unix_nano = file * 1000 + row as i64;
        let log = LogRow { time_unix_nano, body: "request done", service_name: "login", ..LogRow::default() };
        builder.push(&log, &resource, &Attributes::default());
    }
    let (schema, mut columns, _) = builder.finish().into_parts();
    let owners: StringArray = (0..rows).map(|_| Some(["pay", "video"][random.random_range(0..2)])).collect();
    columns[schema.index_of("business_service").unwrap()] = Arc::new(owners);
    RecordBatch::try_new(schema, columns).unwrap()
}

/// With the declared columns, found the plain way.
fn widened(records: &RecordBatch) -> RecordBatch {
    let view = AttributesView::of(records, "attributes", Some("attribute_types")).unwrap();
    let mut fields: Vec<Arc<Field>> = records.schema().fields().to_vec();
    let mut columns = records.columns().to_vec();
    for ((key, kind), name) in FIELDS.into_iter().zip(COLUMNS) {
        let of_row =
            |row: usize| view.iter_typed(row).filter(|(other, ..)| *other == key).find_map(|(_, letter, text)| kind.parse(letter, text));
        let rows = (0..records.num_rows()).map(of_row);
        let array: ArrayRef = match kind {
            FieldType::String => Arc::new(
                rows.map(|value| value.map(|value| if let FieldValue::Text(text) = value { text } else { panic!() }))
                    .collect::<StringArray>(),
            ),
            FieldType::Integer => Arc::new(
                rows.map(|value| value.map(|value| if let FieldValue::Int(number) = value { number } else { panic!() }))
                    .collect::<Int64Array>(),
            ),
            FieldType::Number => Arc::new(
                rows.map(|value| value.map(|value| if let FieldValue::Double(number) = value { number } else { panic!() }))
                    .collect::<Float64Array>(),
            ),
            FieldType::Boolean => Arc::new(
                rows.map(|value| value.map(|value| if let FieldValue::Bool(yes) = value { yes } else { panic!() }))
                    .collect::<BooleanArray>(),
            ),
        };
        fields.push(Arc::new(Field::new(name, kind.data_type(), true)));
        columns.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn random_filter(random: &mut StdRng) -> Filter {
    let column = |random: &mut StdRng| Subject::Column(COLUMNS[random.random_range(0..COLUMNS.len())].to_owned());
    let map = |random: &mut StdRng| ["attributes", "resource_attributes"][usize::from(random.random_bool(0.2))].to_owned();
    let entry = |random: &mut StdRng| Subject::Entry { column: map(random), key: KEYS[random.random_range(0..KEYS.len())].to_owned() };
    let label = |random: &mut StdRng| Subject::Label {
        column: map(random),
        name: model::legal_name(KEYS[random.random_range(0..KEYS.len())]).into_owned(),
    };
    let (low, high) = (random.random_range(-10..900), random.random_range(0..400));
    let number = f64::from(low) / 8.0;
    match random.random_range(0..10) {
        0 => return Filter { subject: Subject::Column("status".to_owned()), test: Test::Integers(i64::from(low), i64::from(low + high)) },
        1 => {
            let test = Test::Numbers(Bound(number), Bound(number + f64::from(high) / 16.0));
            return Filter { subject: Subject::Column("took_ms".to_owned()), test };
        }
        _ => {}
    }
    let subject = match random.random_range(0..8) {
        0..3 => entry(random),
        3 | 4 => column(random),
        5 => label(random),
        6 => Subject::FirstOf(vec![entry(random), column(random), entry(random)]),
        _ => Subject::AnyOf(vec![label(random), column(random), entry(random)]),
    };
    let texts =
        ["", "7", "12", "301", "204", "true", "false", "login", "1.5", "0", "-0", "007", "NaN", "left", "2.125", "9223372036854775807"];
    let text = |random: &mut StdRng| texts[random.random_range(0..texts.len())].to_owned();
    let test = match random.random_range(0..8) {
        0 | 1 => Test::Equal(text(random)),
        2 => Test::NotEqual(text(random)),
        3 => Test::OneOf(vec![text(random), text(random), text(random)]),
        4 => Test::Regex("[0-3].*|lo.*".to_owned()),
        5 => Test::NotRegex("t.*|".to_owned()),
        6 => Test::Contains(text(random)),
        _ => Test::Search("[1-7]$".to_owned()),
    };
    Filter { subject, test }
}

async fn found(scan: &impl Scan, request: ScanRequest) -> Vec<RecordBatch> {
    scan.scan(request).await.unwrap().try_collect().await.unwrap()
}

async fn check_against(shard: &Shard, memory: &MemoryScan, random: &mut StdRng, moment: &str) {
    for round in 0..60 {
        let filters = (0..random.random_range(0..3)).map(|_| random_filter(random)).collect();
        let mut columns = vec!["time_unix_nano", "attributes", "attribute_types", "resource_attributes"];
        match round % 3 {
            0 => columns.extend(COLUMNS),
            1 => columns = vec!["took_ms", "time_unix_nano"],
            _ => {}
        }
        let order = [Order::Any, Order::NewestFirst][random.random_range(0..2)];
        let columns = Some(columns.into_iter().map(str::to_owned).collect());
        let request = ScanRequest { filters, columns, order, ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
        let all = |batches: Vec<RecordBatch>| {
            let mut all: Vec<String> = batches.iter().flat_map(rows).collect();
            all.sort();
            all
        };
        let (ours, theirs) = (all(found(shard, request.clone()).await), all(found(memory, request.clone()).await));
        let differ = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
        assert!(ours == theirs, "{moment}: {} rows and not {}: {differ:?}: {request:?}", ours.len(), theirs.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_a_store_without_declarations() {
    for seed in 0..2 {
        let mut random = StdRng::seed_from_u64(seed);
        let dir = tempfile::tempdir().unwrap();
        let options = ShardOptions { row_group_rows: 40, files_max_before_compaction: 3, ..options(dir.path()) };
        let shard = Shard::open(options.clone()).await.unwrap();
        let memory = MemoryScan::default();
        let put_more = async |shard: &Shard, random: &mut StdRng, file: i64| {
            let records = random_rows(random, 90, file);
            memory.push(Table::Logs, widened(&records));
            put(shard, Table::Logs, records).await.unwrap();
        };
        put_more(&shard, &mut random, 1).await;
        shard.flush().await.unwrap();
        // One after the other, with files between them: of none, of one, of all.
        shard.declare(&declared(&FIELDS[..1]));
        put_more(&shard, &mut random, 2).await;
        put_more(&shard, &mut random, 3).await;
        shard.flush().await.unwrap();
        shard.declare(&declared(&FIELDS));
        check_against(&shard, &memory, &mut random, "before the columns are there").await;
        put_more(&shard, &mut random, 4).await;
        shard.flush().await.unwrap();
        put_more(&shard, &mut random, 5).await;
        shard.flush().await.unwrap();
        put_more(&shard, &mut random, 6).await;
        check_against(&shard, &memory, &mut random, "head and files").await;
        drop(shard);
        let shard = Shard::open(options.clone()).await.unwrap();
        check_against(&shard, &memory, &mut random, "opened again, with nothing declared").await;
        shard.flush().await.unwrap();
        shard.compact().await.unwrap();
        assert_eq!(shard.stats().tables[0].lake_files, 1);
        check_against(&shard, &memory, &mut random, "compacted").await;
        check_against(&Shard::open_read_only(options).await.unwrap(), &memory, &mut random, "read only").await;
    }
}

fn column_of<'a>(records: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    records.column_by_name(name).unwrap()
}

fn attributes(rows: &[&[(&str, AttributeValue<'_>)]]) -> RecordBatch {
    let mut builder = LogsBuilder::default();
    for (at, row) in rows.iter().enumerate() {
        for (key, value) in *row {
            builder.attributes.push(key, *value);
        }
        let row = LogRow { time_unix_nano: at as i64, ..LogRow::default() };
        builder.push(&row, &Attributes::default(), &Attributes::default());
    }
    builder.finish()
}

/// The columns of the newest file that hold something.
fn stored(dir: &std::path::Path) -> RecordBatch {
    let path = parquet_files(dir, "logs").pop().unwrap();
    let file = std::fs::File::open(dir.join("lake/logs").join(path)).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(Result::unwrap).next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_is_in_columns_and_the_rest_in_the_map() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    shard.declare(&declared(&FIELDS));
    let sent = attributes(&[
        &[("status", AttributeValue::Int(200)), ("rest", AttributeValue::Text("a")), ("took.ms", AttributeValue::Double(1.5))],
        &[("took.ms", AttributeValue::Int(3)), ("status", AttributeValue::Text("404")), ("name", AttributeValue::Text("x"))],
        &[("status", AttributeValue::Text("007")), ("took.ms", AttributeValue::Double(f64::NAN)), ("flag", AttributeValue::Bool(true))],
        &[],
    ]);
    put(&shard, Table::Logs, sent.clone()).await.unwrap();
    shard.flush().await.unwrap();
    let file = stored(dir.path());
    let orders: Vec<_> = column_of(&file, "attribute_order").as_string::<i32>().iter().collect();
    assert_eq!(orders, [Some("status +1 took_ms"), Some("took_ms=i status=s name"), Some("+2 flag"), None]);
    let statuses: Vec<_> = column_of(&file, "status").as_primitive::<Int64Type>().iter().collect();
    assert_eq!(statuses, [Some(200), Some(404), None, None]);
    let took: Vec<_> = column_of(&file, "took_ms").as_primitive::<Float64Type>().iter().collect();
    assert_eq!(took, [Some(1.5), Some(3.0), None, None]);
    assert_eq!(column_of(&file, "attributes").as_map().value_offsets(), [0, 1, 1, 3, 3]);
    assert_eq!(rows(&all(&shard, Table::Logs).await), rows(&sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_keeps_its_type_and_goes_never() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    assert_eq!(shard.schema(Table::Logs), Table::Logs.schema());
    shard.declare(&declared(&[("took.ms", FieldType::Integer)]));
    let type_of = |shard: &Shard| shard.schema(Table::Logs).field_with_name("took_ms").unwrap().data_type().clone();
    assert_eq!(type_of(&shard), DataType::Int64, "at once");
    shard.tend().await.unwrap();
    drop(shard);
    let shard = Shard::open(options(dir.path())).await.unwrap();
    assert_eq!(type_of(&shard), DataType::Int64, "the table has it");
    shard.declare(&declared(&[("took.ms", FieldType::Number)]));
    assert_eq!(type_of(&shard), DataType::Int64);
    put(&shard, Table::Logs, attributes(&[&[("took.ms", AttributeValue::Double(1.5))], &[("took.ms", AttributeValue::Int(2))]]))
        .await
        .unwrap();
    shard.flush().await.unwrap();
    let columns = Some(vec!["took_ms".to_owned()]);
    let request = ScanRequest { columns, order: Order::OldestFirst, ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
    let found = found(&*shard, request).await.remove(0);
    assert_eq!(column_of(&found, "took_ms").as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [None, Some(2)]);
    for (test, name) in
        [(Test::Numbers(Bound(0.0), Bound(1.0)), "took_ms"), (Test::Integers(0, 1), "severity_number"), (Test::Integers(0, 1), "body")]
    {
        let filters = vec![Filter { subject: Subject::Column(name.to_owned()), test }];
        let error = shard.scan(ScanRequest { filters, ..ScanRequest::new(Table::Logs, TimeRange::ALL) }).await.err().unwrap();
        assert_eq!(error.code, model::Code::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_reads_the_blocks_that_may_have_it_and_no_map() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(ShardOptions { row_group_rows: 20_000, ..options(dir.path()) }).await.unwrap();
    shard.declare(&declared(&FIELDS));
    const ROWS: i64 = 40_000;
    for file in 0..3 {
        let mut builder = LogsBuilder::default();
        for at in 0..ROWS {
            builder.attributes.append("status", AttributeValue::Int(file * ROWS + at));
            builder.attributes.append("took.ms", AttributeValue::Double((file * ROWS + at) as f64 / 4.0));
            builder.attributes.append("rest", AttributeValue::Text(&format!("{:x}", at.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64))));
            let row = LogRow { time_unix_nano: file * ROWS + at, body: "request done", ..LogRow::default() };
            builder.push(&row, &Attributes::default(), &Attributes::default());
        }
        put(&shard, Table::Logs, builder.finish()).await.unwrap();
        shard.flush().await.unwrap();
    }
    let count = async |subject: Subject, test: Test| -> (usize, ScanStats) {
        let columns = Some(vec!["status".to_owned()]);
        let request = ScanRequest { filters: vec![Filter { subject, test }], columns, ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
        let stats = request.stats.clone();
        let rows = found(&*shard, request).await.iter().map(RecordBatch::num_rows).sum();
        let stats = *stats.lock().unwrap();
        (rows, stats)
    };
    let status = || Subject::Column("status".to_owned());
    let rest = Subject::Entry { column: "attributes".to_owned(), key: "rest".to_owned() };
    let (everything, with_map) = count(rest, Test::Search(".".to_owned())).await;
    assert_eq!((everything, count(status(), Test::Integers(0, i64::MAX)).await.0), (3 * ROWS as usize, 3 * ROWS as usize));
    let entry = || Subject::Entry { column: "attributes".to_owned(), key: "status".to_owned() };
    let few = [
        (status(), Test::Integers(50_000, 50_009), 10),
        (Subject::Column("took_ms".to_owned()), Test::Numbers(Bound(10_000.0), Bound(10_002.25)), 10),
        (status(), Test::Equal("50001".to_owned()), 1),
        (entry(), Test::Equal("50001".to_owned()), 1),
        (entry(), Test::OneOf(vec!["50001".to_owned(), "50002".to_owned()]), 2),
        (Subject::Label { column: "attributes".to_owned(), name: "status".to_owned() }, Test::Equal("50001".to_owned()), 1),
    ];
    for (subject, test, expect) in few {
        let (rows, stats) = count(subject.clone(), test.clone()).await;
        assert_eq!(rows, expect, "{subject:?} {test:?}");
        assert!(stats.row_groups_total - stats.row_groups_skipped == 1 && stats.rows_scanned <= 8192, "{subject:?} {test:?}: {stats:?}");
        assert!(stats.bytes_scanned * 10 < with_map.bytes_scanned, "{subject:?} {stats:?} {with_map:?}");
    }
    let (_, by_column) = count(entry(), Test::Contains("zz".to_owned())).await;
    assert!(by_column.bytes_scanned * 3 < with_map.bytes_scanned, "{by_column:?} {with_map:?}");
    let (rows, stats) = count(status(), Test::Integers(200_000, i64::MAX)).await;
    assert_eq!((rows, stats.row_groups_total - stats.row_groups_skipped), (0, 0), "{stats:?}");
}

/// What the golden lake got: values that fit and such that do not.
fn golden() -> RecordBatch {
    use AttributeValue::{Bool, Double, Int, Text};
    attributes(&[
        &[("status", Int(200)), ("rest", Text("a")), ("took.ms", Double(1.5)), ("name", Text("größe")), ("flag", Bool(true))],
        &[("took.ms", Int(3)), ("status", Text("404")), ("name", Text(""))],
        &[("status", Text("007")), ("rest", Text("b")), ("took.ms", Double(f64::NAN)), ("flag", Bool(false))],
        &[("rest", Text("c"))],
        &[],
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_of_version_3_is_read_and_written_on() {
    let dir = tempfile::tempdir().unwrap();
    copied(std::path::Path::new("tests/golden/lake-v3/lake/logs"), &dir.path().join("lake/logs"));
    let options = ShardOptions { name: "default".to_owned(), files_max_before_compaction: 2, ..options(dir.path()) };
    let check = async |shard: &Shard, times: usize| {
        assert_eq!(shard.schema(Table::Logs).fields().len(), Table::Logs.schema().fields().len() + FIELDS.len());
        let mut expect: Vec<String> = (0..times).flat_map(|_| rows(&golden())).collect();
        expect.sort();
        assert_eq!(rows(&all(shard, Table::Logs).await), expect);
        let filters = vec![Filter { subject: Subject::Column("status".to_owned()), test: Test::Integers(201, 404) }];
        let columns = Some(["took_ms", "name", "flag"].map(str::to_owned).to_vec());
        let found = found(shard, ScanRequest { filters, columns, ..ScanRequest::new(Table::Logs, TimeRange::ALL) }).await;
        assert_eq!(found.iter().flat_map(rows).collect::<Vec<_>>(), vec!["3.0 |  | ∅"; times]);
    };
    check(&Shard::open_read_only(options.clone()).await.unwrap(), 1).await;
    let shard = Shard::open(options).await.unwrap();
    put(&shard, Table::Logs, golden()).await.unwrap();
    check(&shard, 2).await;
    shard.flush().await.unwrap();
    check(&shard, 2).await;
    shard.compact().await.unwrap();
    assert_eq!(shard.stats().tables[0].lake_files, 1);
    check(&shard, 2).await;
}
