//! How long rows are kept, and how they are erased for good.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use model::logs::{LogRow, LogsBuilder};
use model::samples::{Exemplar, SamplesBuilder, SamplesView, SeriesRow};
use model::{AttributeValue, Attributes, Erasure, ErasureOrder, ErasureState, FieldTest, Retention, Table};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use store::{Clock, Shard, ShardOptions};
use support::*;

const HOUR_MS: i64 = 3_600_000;
const HOUR: i64 = HOUR_MS * 1_000_000;

#[derive(Clone, Debug, Default)]
struct Hand(Arc<AtomicI64>);

impl Clock for Hand {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Hand {
    fn set(&self, hours: i64) {
        self.0.store(hours * HOUR_MS, Ordering::SeqCst);
    }
}

/// The background carries erasures out.
fn options(dir: &Path) -> ShardOptions {
    ShardOptions { background: true, ..support::options(dir) }
}

fn at(dir: &Path, hours: i64) -> (ShardOptions, Hand) {
    let clock = Hand::default();
    clock.set(hours);
    // By the clock on this wall nothing comes late enough to be flushed or is old enough to be deleted by itself.
    let options = ShardOptions { flush_interval: Duration::from_secs(1 << 40), clock: Arc::new(clock.clone()), ..support::options(dir) };
    (options, clock)
}

/// The same rows as those of another business service.
fn of(business_service: &str, records: RecordBatch) -> RecordBatch {
    let mut columns = records.columns().to_vec();
    let place = records.schema_ref().index_of("business_service").unwrap();
    columns[place] = Arc::new(StringArray::from(vec![business_service; records.num_rows()])) as ArrayRef;
    RecordBatch::try_new(records.schema(), columns).unwrap()
}

fn logs_of(business_service: &str, hours: std::ops::Range<i64>, body: &str) -> RecordBatch {
    let rows: Vec<_> = hours.map(|hour| (hour * HOUR, "s", body)).collect();
    of(business_service, logs(&rows))
}

fn keep(declared: &[(Table, [&str; 3], u64)]) -> Retention {
    let mut retention = Retention::default();
    for (table, scope, hours) in declared {
        retention.keep(*table, *scope, Duration::from_secs(hours * 3600));
    }
    retention
}

async fn hours_shown(shard: &Shard) -> Vec<i64> {
    let mut hours: Vec<i64> = times(&all(shard, Table::Logs).await, "time_unix_nano").iter().map(|time| time / HOUR).collect();
    hours.sort_unstable();
    hours
}

fn files(shard: &Shard, table: Table) -> u64 {
    shard.stats().tables.iter().find(|stats| stats.table == table).unwrap().lake_files
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_is_not_shown_and_whole_files_go_without_being_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = at(dir.path(), 100);
    let shard = Shard::open(options).await.unwrap();
    for day in 0..4 {
        put(&shard, Table::Logs, logs_of("a", day * 24..day * 24 + 24, "x")).await.unwrap();
        if day < 3 {
            shard.flush().await.unwrap();
        }
    }
    assert_eq!(hours_shown(&shard).await, (0..96).collect::<Vec<_>>());
    let before = parquet_files(dir.path(), "logs");
    shard.set_retention(keep(&[(Table::Logs, ["", "", ""], 40), (Table::Spans, ["", "", ""], 1)]));
    assert_eq!(hours_shown(&shard).await, (60..96).collect::<Vec<_>>(), "at once, in files and in the head");
    shard.retain().await.unwrap();
    assert_eq!(files(&shard, Table::Logs), 1, "two days are past as a whole; the third is waited for");
    clock.set(130);
    assert_eq!(hours_shown(&shard).await, [90, 91, 92, 93, 94, 95], "of the head");
    shard.retain().await.unwrap();
    assert_eq!(files(&shard, Table::Logs), 0);
    shard.flush().await.unwrap();
    assert_eq!(hours_shown(&shard).await, [90, 91, 92, 93, 94, 95]);
    assert_eq!(parquet_files(dir.path(), "logs").iter().filter(|name| !before.contains(name)).count(), 1, "only the flush wrote a file");
    shard.set_retention(Retention::default());
    assert_eq!(hours_shown(&shard).await.len(), 24, "what is not written anew and kept for longer again is shown again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_anew_once_a_quarter_of_it_is_past() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = at(dir.path(), 24);
    let shard = Shard::open(options).await.unwrap();
    shard.set_retention(keep(&[(Table::Logs, ["", "", ""], 1000), (Table::Logs, ["debug", "", ""], 24)]));
    put(&shard, Table::Logs, logs_of("a", 0..12, "x")).await.unwrap();
    put(&shard, Table::Logs, logs_of("debug", 0..12, "x")).await.unwrap();
    shard.flush().await.unwrap();
    let rows = || shard.stats().tables[0].lake_rows;
    for (hour, shown, stored) in [(29, 19, 24), (30, 18, 18), (33, 15, 18), (35, 13, 13), (40, 12, 13)] {
        clock.set(hour);
        shard.retain().await.unwrap();
        assert_eq!((hours_shown(&shard).await.len(), rows()), (shown, stored), "at {hour} h");
    }
    clock.set(1012);
    shard.retain().await.unwrap();
    assert_eq!(files(&shard, Table::Logs), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn points_past_are_not_shown_and_metadata_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = at(dir.path(), 10);
    let shard = Shard::open(options).await.unwrap();
    let mut metadata = SamplesBuilder::default();
    metadata.push_series(&SeriesRow { name: "lonely", kind: "gauge", ..SeriesRow::default() }, std::iter::empty());
    put(&shard, Table::Samples, of("a", metadata.finish())).await.unwrap();
    let series: Vec<_> = (0..10).map(|hour| (hour * HOUR_MS, hour as f64)).collect();
    put(&shard, Table::Samples, of("a", floats("up", "x", &series))).await.unwrap();
    put(&shard, Table::Samples, of("a", histogram("h", 2 * HOUR_MS))).await.unwrap();
    shard.set_retention(keep(&[(Table::Samples, ["a", "", ""], 5)]));
    for round in ["head", "lake", "compacted"] {
        let records = all(&shard, Table::Samples).await;
        let shown: Vec<_> = points(&records).iter().map(|point| (point.0.clone(), point.3)).collect();
        assert_eq!(shown, (5..10).map(|hour| ("up".to_owned(), hour as f64)).collect::<Vec<_>>(), "{round}");
        let view = SamplesView::of(&records).unwrap();
        let mut exemplars = 0;
        for row in 0..records.num_rows() {
            view.for_each_exemplar(row, |_| exemplars += 1).unwrap();
        }
        assert_eq!(exemplars, 0, "the exemplar is as old as the first point");
        assert!((0..records.num_rows()).any(|row| view.name.value(row) == "lonely"), "{round}");
        let up = (0..records.num_rows()).find(|row| view.name.value(*row) == "up").unwrap();
        assert_eq!(times(&records, "min_time_unix_nano")[up], 5 * HOUR);
        // Whatever columns are asked for, no hidden point is among them.
        let mut request = model::ScanRequest::new(Table::Samples, model::TimeRange::ALL);
        request.columns = Some(vec!["values".to_owned()]);
        let values = scan(&shard, request).await;
        let lists: &arrow::array::ListArray = model::schema::column(&values, "values").unwrap();
        assert_eq!((values.num_columns(), (0..lists.len()).map(|row| lists.value(row).len()).sum::<usize>()), (1, 5), "{round}");
        match round {
            "head" => shard.flush().await.unwrap(),
            _ => shard.retain().await.unwrap(),
        }
    }
    clock.set(15);
    shard.retain().await.unwrap();
    let records = all(&shard, Table::Samples).await;
    assert_eq!((records.num_rows(), files(&shard, Table::Samples)), (1, 1), "only the metadata");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_of_small_files_becomes_a_file_a_day_and_points_stay_what_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = at(dir.path(), 0);
    let shard = Shard::open(ShardOptions { files_max_before_compaction: 8, ..options }).await.unwrap();
    let mut files_max = 0;
    for step in 0..7 * 12 {
        clock.set(step * 2 + 2);
        let hour = step * 2;
        put(&shard, Table::Logs, logs_of("a", hour..hour + 2, "x")).await.unwrap();
        // Every chunk also says again, and otherwise, what the last one said of its last point.
        let series: Vec<_> = (hour - 1..hour + 2).map(|hour| (hour * HOUR_MS, (hour * 1000 + step) as f64)).collect();
        put(&shard, Table::Samples, floats("up", "x", &series)).await.unwrap();
        shard.flush().await.unwrap();
        shard.compact().await.unwrap();
        files_max = files_max.max(files(&shard, Table::Logs)).max(files(&shard, Table::Samples));
    }
    assert!(files_max <= 7 + 10, "{files_max} files at a time");
    clock.set(8 * 24);
    shard.compact().await.unwrap();
    assert!(files(&shard, Table::Logs) <= 7 + 2 && files(&shard, Table::Samples) <= 8 + 2);
    assert_eq!(hours_shown(&shard).await, (0..168).collect::<Vec<_>>());
    let shown = points(&all(&shard, Table::Samples).await);
    let mut last = std::collections::BTreeMap::new();
    for (_, _, time, value) in shown {
        last.insert(time, value);
    }
    // The later written of two points at one instant stays: that of the next step, where there was one.
    let expect = (-1..168).map(|hour| (hour * HOUR_MS, (hour * 1000 + ((hour + 1) / 2).min(83)) as f64));
    assert_eq!(last.into_iter().collect::<Vec<_>>(), expect.collect::<Vec<_>>());
}

const SECRET: &str = "mallory-4711@example.com";

fn secret_logs(time: i64) -> RecordBatch {
    let mut builder = LogsBuilder::default();
    for (row, secret) in [(0, false), (1, true), (2, false)] {
        let user = if secret { SECRET } else { "somebody" };
        builder.attributes.push("user.mail", AttributeValue::Text(user));
        builder.push(
            &LogRow { time_unix_nano: time + row, body: "a body", ..LogRow::default() },
            &Attributes::default(),
            &Attributes::default(),
        );
    }
    of("unassigned", builder.finish())
}

fn secret_samples(time_ms: i64) -> RecordBatch {
    let mut builder = SamplesBuilder::default();
    for user in [SECRET, "somebody"] {
        builder.floats(&[time_ms, time_ms + 1], &[1.0, 2.0]);
        builder.push_series(&SeriesRow { name: "clicks", ..SeriesRow::default() }, [("user_mail", user)].into_iter());
    }
    builder.floats(&[time_ms], &[3.0]);
    builder.exemplar(&Exemplar { timestamp_ms: time_ms, value: 3.0, labels: &[("user.mail", SECRET)], ..Exemplar::default() });
    builder.exemplar(&Exemplar { timestamp_ms: time_ms, value: 3.0, labels: &[("user.mail", "somebody")], ..Exemplar::default() });
    builder.push_series(&SeriesRow { name: "latency", ..SeriesRow::default() }, std::iter::empty());
    of("unassigned", builder.finish())
}

fn order(field: &str, value: &str) -> ErasureOrder {
    let tests = vec![FieldTest { field: field.to_owned(), equals: Some(value.to_owned()), contains: None }];
    ErasureOrder { tables: Vec::new(), tests, start_unix_nano: None, end_unix_nano: None, reference: "case 4711".to_owned() }
}

/// The files under a directory that hold a text, raw or, in Parquet, in any row of any column.
fn holding(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let raw = memchr::memmem::find(&bytes, text.as_bytes()).is_some();
        let decoded = || {
            let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap().build().unwrap();
            reader.map(|records| rows(&records.unwrap())).any(|rows| rows.iter().any(|row| row.contains(text)))
        };
        if raw || (path.extension().is_some_and(|extension| extension == "parquet") && decoded()) {
            found.push(path);
        }
    }
    found
}

/// Bytes of the log: compressed, so that nothing can be found in them; none, so that nothing need be.
fn log_bytes(dir: &Path) -> u64 {
    std::fs::read_dir(dir.join("wal")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

async fn done(shard: &Shard, id: &str) -> Erasure {
    for _ in 0..300 {
        let erasure = shard.erasures().into_iter().find(|erasure| erasure.id == id).unwrap();
        if erasure.state == ErasureState::Done {
            return erasure;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not done after 15 s: {:?}", shard.erasures());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_value_is_in_no_byte_of_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    for round in 0..4 {
        put(&shard, Table::Logs, secret_logs(round * 10)).await.unwrap();
        put(&shard, Table::Samples, secret_samples(round * 10)).await.unwrap();
        put(&shard, Table::Logs, of(if round == 1 { SECRET } else { "a" }, logs(&[(round * 10 + 5, "s", "b")]))).await.unwrap();
        // The last round stays in head and log.
        if round < 3 {
            shard.flush().await.unwrap();
        }
    }
    assert!(holding(dir.path(), SECRET).len() >= 4 && log_bytes(dir.path()) > 0);
    // A reader that has begun goes on to see what it saw; it lets go of it below.
    let begun = {
        use futures::StreamExt;
        let mut stream = model::Scan::scan(&*shard, model::ScanRequest::new(Table::Logs, model::TimeRange::ALL)).await.unwrap();
        stream.next().await.unwrap().unwrap();
        stream
    };
    let by_attribute = shard.erase(order("attributes.user.mail", SECRET)).await.unwrap();
    let by_identity = shard.erase(order("business_service", SECRET)).await.unwrap();
    assert_eq!((by_attribute.state, by_attribute.tables.len()), (ErasureState::Pending, 4));
    let shown = |text: Vec<String>| text.iter().any(|row| row.contains(SECRET));
    for table in Table::ALL {
        assert!(!shown(rows(&all(&shard, table).await)), "hidden at once");
    }
    assert_eq!(all(&shard, Table::Logs).await.num_rows(), 16 - 4 - 1);
    drop(begun);

    let proof = done(&shard, &by_attribute.id).await;
    assert_eq!((proof.erased.logs, proof.erased.spans, proof.erased.samples), (4, 0, 8));
    assert_eq!(done(&shard, &by_identity.id).await.erased.logs, 1);
    assert_eq!(proof.fields, ["attributes.user.mail"]);
    assert_eq!(holding(dir.path(), SECRET), [] as [PathBuf; 0]);
    assert_eq!(log_bytes(dir.path()), 0, "nothing is in the log but what came before");
    assert_eq!(all(&shard, Table::Logs).await.num_rows(), 11);
    let samples = all(&shard, Table::Samples).await;
    assert_eq!(points(&samples).len(), 12, "somebody's clicks and the latency whose exemplar went");
    let view = SamplesView::of(&samples).unwrap();
    let mut exemplars = 0;
    (0..samples.num_rows()).for_each(|row| view.for_each_exemplar(row, |_| exemplars += 1).unwrap());
    assert_eq!(exemplars, 4);

    // Later the value is like any other.
    put(&shard, Table::Logs, secret_logs(90)).await.unwrap();
    assert!(shown(rows(&all(&shard, Table::Logs).await)));
    shard.shutdown().await.unwrap();
    drop(shard);
    let shard = Shard::open(options(dir.path())).await.unwrap();
    assert_eq!((all(&shard, Table::Logs).await.num_rows(), shard.erasures().len()), (14, 2));
}

/// The shard opened anew, once whatever the dropped one was doing has ended and let go of its lock.
async fn reopened(dir: &Path) -> Arc<Shard> {
    for _ in 0..200 {
        if let Ok(shard) = Shard::open(options(dir)).await {
            return shard;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Shard::open(options(dir)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_survives_a_crash_at_once_after_its_acceptance() {
    let dir = tempfile::tempdir().unwrap();
    let (faulty, disk) = faulty(dir.path());
    let shard = Shard::open(ShardOptions { background: true, ..faulty }).await.unwrap();
    put(&shard, Table::Logs, secret_logs(0)).await.unwrap();
    shard.flush().await.unwrap();
    put(&shard, Table::Logs, secret_logs(10)).await.unwrap();
    // No new lake file can be written: the erasure cannot go on.
    disk.fail_when(|call, path| call == "create" && path.extension().is_some_and(|extension| extension == "parquet"));
    let id = shard.erase(order("attributes.user.mail", SECRET)).await.unwrap().id;
    let hindered = async {
        while shard.erasures()[0].hindered_by.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), hindered).await.unwrap();
    assert_eq!(all(&shard, Table::Logs).await.num_rows(), 4);
    drop(shard);
    let read_only = Shard::open_read_only(options(dir.path())).await.unwrap();
    assert_eq!(all(&read_only, Table::Logs).await.num_rows(), 4, "hidden from whoever reads beside the server, too");
    assert!(!holding(dir.path(), SECRET).is_empty());

    let shard = reopened(dir.path()).await;
    assert_eq!(all(&shard, Table::Logs).await.num_rows(), 4, "hidden before it goes on");
    assert_eq!(done(&shard, &id).await.erased.logs, 2);
    assert_eq!((holding(dir.path(), SECRET), log_bytes(dir.path())), (Vec::new(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_time_bounds_what_is_erased() {
    let dir = tempfile::tempdir().unwrap();
    let shard = Shard::open(options(dir.path())).await.unwrap();
    let series: Vec<_> = (0..10).map(|time| (time, time as f64)).collect();
    put(&shard, Table::Samples, floats("up", "x", &series)).await.unwrap();
    put(&shard, Table::Samples, floats("up", "y", &series)).await.unwrap();
    put(&shard, Table::Logs, logs(&[(1_000_000, "up", "x"), (3_000_000, "up", "x")])).await.unwrap();
    shard.flush().await.unwrap();
    let range = |order: ErasureOrder| ErasureOrder { start_unix_nano: Some(2_000_000), end_unix_nano: Some(5_000_000), ..order };
    let labels = shard.erase(range(order("attributes.a", "x"))).await.unwrap().id;
    let bodies = shard.erase(range(order("body", "x"))).await.unwrap();
    assert_eq!(bodies.tables, [Table::Logs, Table::Quarantine]);
    for _ in ["hidden", "erased"] {
        let left: Vec<_> = points(&all(&shard, Table::Samples).await).iter().map(|point| (point.1.clone(), point.2)).collect();
        let x = [0, 1, 5, 6, 7, 8, 9].map(|time| ("x".to_owned(), time));
        assert_eq!(left, x.into_iter().chain((0..10).map(|time| ("y".to_owned(), time))).collect::<Vec<_>>());
        assert_eq!(times(&all(&shard, Table::Logs).await, "time_unix_nano"), [1_000_000]);
        done(&shard, &labels).await;
        done(&shard, &bodies.id).await;
    }
    assert_eq!(done(&shard, &labels).await.erased.samples, 3);
}
