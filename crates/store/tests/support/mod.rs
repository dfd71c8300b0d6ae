//! Batches to store, a disk that fails when told to, and ways to look at what came back.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use futures::TryStreamExt;
use model::logs::{LogRow, LogsBuilder};
use model::samples::{Exemplar, SamplesBuilder, SamplesView, SeriesRow};
use model::schema::column;
use model::spans::{SpanRow, SpansBuilder};
use model::{AttributeValue, Attributes, Ingest, NativeHistogram, Placed, Scan, ScanRequest, Table, TimeRange};
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use store::{Disk, DiskFile, LocalDisk, Shard, ShardOptions};

/// One log record: time, service, body.
pub fn logs(rows: &[(i64, &str, &str)]) -> RecordBatch {
    let mut builder = LogsBuilder::default();
    for &(time, service, body) in rows {
        builder.attributes.push("code", AttributeValue::Int(time % 7));
        let trace_id = format!("{:032x}", time / 3);
        let row = LogRow { time_unix_nano: time, service_name: service, body, trace_id: &trace_id, ..LogRow::default() };
        let mut resource = Attributes::default();
        resource.set("service.name", AttributeValue::Text(service));
        builder.push(&row, &resource, &Attributes::default());
    }
    identify(builder.finish())
}

pub fn spans(rows: &[(i64, &str)]) -> RecordBatch {
    let mut builder = SpansBuilder::default();
    for &(time, name) in rows {
        builder.events.attributes.push("exception.type", AttributeValue::Text("NotFound"));
        builder.events.push(time + 1, "exception");
        builder.links.push("aa", "bb", "");
        let row = SpanRow { start_time_unix_nano: time, end_time_unix_nano: time + 5, name, trace_id: "ab", ..SpanRow::default() };
        builder.push(&row, &Attributes::default(), &Attributes::default());
    }
    identify(builder.finish())
}

/// One series `name{a=label}` with these points, and an exemplar at the first.
pub fn floats(name: &str, label: &str, points: &[(i64, f64)]) -> RecordBatch {
    let mut builder = SamplesBuilder::default();
    points.iter().for_each(|&(time, value)| builder.float(time, value));
    if let Some(&(timestamp_ms, value)) = points.first() {
        builder.exemplar(&Exemplar { timestamp_ms, value, trace_id: "ab", labels: &[("k", "v")], ..Exemplar::default() });
    }
    builder.push_series(&SeriesRow { name, kind: "gauge", unit: "s", help: "helps" }, [("a", label)].into_iter());
    identify(builder.finish())
}

pub fn histogram(name: &str, time: i64) -> RecordBatch {
    let mut builder = SamplesBuilder::default();
    let histogram = NativeHistogram { schema: 3, count: 3.0, sum: 7.5, positive: vec![(-1, 1.0), (4, 2.0)], ..NativeHistogram::default() };
    builder.histogram(time, &histogram);
    builder.push_series(&SeriesRow { name, ..SeriesRow::default() }, [("a", "h")].into_iter());
    identify(builder.finish())
}

/// As `pipeline` leaves it: every row has a business service.
pub fn identify(records: RecordBatch) -> RecordBatch {
    let at = records.schema_ref().index_of("business_service").unwrap();
    let mut columns = records.columns().to_vec();
    columns[at] = Arc::new(StringArray::from(vec!["unassigned"; records.num_rows()])) as ArrayRef;
    RecordBatch::try_new(records.schema(), columns).unwrap()
}

/// The tables that senders fill themselves.
pub const SIGNALS: [Table; 3] = [Table::Logs, Table::Spans, Table::Samples];

/// Rows of logs as rows of `quarantine`.
pub fn set_aside(logs: &RecordBatch) -> RecordBatch {
    let schema = Table::Quarantine.schema();
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        "quarantined_at_unix_nano" => logs.column_by_name("time_unix_nano").unwrap().clone(),
        "quarantine_id" | "state" => Arc::new(StringArray::from(vec!["quarantined"; logs.num_rows()])) as ArrayRef,
        name => logs.column_by_name(name).cloned().unwrap_or_else(|| arrow::array::new_null_array(field.data_type(), logs.num_rows())),
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}

pub async fn put(shard: &Shard, table: Table, records: RecordBatch) -> model::Result<u64> {
    shard
        .ingest(Placed { shard: "one".to_owned(), table, records, known: model::KnownPoints::default(), aside: None })
        .await
        .map(|ack| ack.accepted_records)
}

pub async fn scan(shard: &Shard, request: ScanRequest) -> RecordBatch {
    let columns = request.columns.clone();
    let schema = request.table.schema();
    let batches: Vec<RecordBatch> = shard.scan(request).await.unwrap().try_collect().await.unwrap();
    let schema = match columns {
        None => schema,
        Some(names) => Arc::new(schema.project(&names.iter().map(|name| schema.index_of(name).unwrap()).collect::<Vec<_>>()).unwrap()),
    };
    concat_batches(&schema, &batches).unwrap()
}

pub async fn all(shard: &Shard, table: Table) -> RecordBatch {
    scan(shard, ScanRequest::new(table, TimeRange::ALL)).await
}

/// Every row as text, sorted: equal when the same rows are there, in whatever order.
pub fn rows(records: &RecordBatch) -> Vec<String> {
    let options = arrow::util::display::FormatOptions::default().with_null("∅");
    let columns: Vec<_> =
        records.columns().iter().map(|array| arrow::util::display::ArrayFormatter::try_new(array, &options).unwrap()).collect();
    let mut rows: Vec<String> = (0..records.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | "))
        .collect();
    rows.sort();
    rows
}

pub fn times(records: &RecordBatch, name: &str) -> Vec<i64> {
    let times: &Int64Array = column(records, name).unwrap();
    times.values().to_vec()
}

pub fn bodies(records: &RecordBatch) -> Vec<String> {
    let bodies: &StringArray = column(records, "body").unwrap();
    let mut bodies: Vec<String> = (0..bodies.len()).map(|row| bodies.value(row).to_owned()).collect();
    bodies.sort();
    bodies
}

/// Every float point as (name, label a, time, value), sorted.
pub fn points(records: &RecordBatch) -> Vec<(String, String, i64, f64)> {
    let view = SamplesView::of(records).unwrap();
    let mut points = Vec::new();
    for row in 0..records.num_rows() {
        let label = view.labels.get(row, "a").unwrap_or_default().to_owned();
        for (time, value) in view.timestamps(row).unwrap().iter().zip(view.floats(row).unwrap()) {
            points.push((view.name.value(row).to_owned(), label.clone(), *time, *value));
        }
    }
    points.sort_by(|a, b| a.partial_cmp(b).unwrap());
    points
}

/// Options for small tests: the background does nothing by itself, and what is in files is read from them.
pub fn options(dir: &Path) -> ShardOptions {
    ShardOptions {
        flush_interval: std::time::Duration::from_secs(3600),
        files_max_before_compaction: 1000,
        recent_samples_bytes_max: 0,
        background: false,
        wal_group_interval: std::time::Duration::ZERO,
        ..ShardOptions::new("one", dir)
    }
}

/// Copies a folder: a test that writes leaves the golden one as it is.
pub fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copied(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Names of a table's Parquet files on disk, live or not.
pub fn parquet_files(dir: &Path, table: &str) -> Vec<String> {
    let names = std::fs::read_dir(dir.join("lake").join(table)).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.ends_with(".parquet")).collect()
}

/// Rows of the newest file of a table that have something in this column.
pub fn valid_rows(table: &Path, column: &str) -> usize {
    let files = std::fs::read_dir(table).unwrap().map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "parquet"));
    let newest = files.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap()).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(newest.path()).unwrap()).unwrap().build().unwrap();
    let valid = |records: RecordBatch| records.num_rows() - records.column_by_name(column).unwrap().null_count();
    reader.map(|records| valid(records.unwrap())).sum()
}

pub fn faulty(dir: &Path) -> (ShardOptions, Arc<FaultyDisk>) {
    let disk = Arc::new(FaultyDisk::default());
    (ShardOptions { disk: disk.clone(), ..options(dir) }, disk)
}

type Rule = Box<dyn FnMut(&str, &Path) -> bool + Send>;

/// The real disk, until a rule says that a call (its name and path) fails, or [`FaultyDisk::cut_power`] takes away what was
/// not synced. Counts the syncs of log files.
#[derive(Clone, Default)]
pub struct FaultyDisk {
    rule: Arc<Mutex<Option<Rule>>>,
    syncs: Arc<AtomicU64>,
    platter: Arc<Mutex<Platter>>,
}

/// What a power cut leaves: of files their content at the last sync, of directories their names at the last sync.
#[derive(Default)]
struct Platter {
    files: Vec<Vec<u8>>,
    names: HashMap<PathBuf, usize>,
    synced_names: HashMap<PathBuf, usize>,
    /// Files with a failed sync: Linux then takes the pages for clean, and the next sync succeeds without writing them.
    lost: HashSet<usize>,
}

impl Platter {
    fn created(&mut self, path: &Path) {
        self.names.insert(path.to_owned(), self.files.len());
        self.files.push(Vec::new());
    }

    fn synced(&mut self, path: &Path) {
        if let Some(&file) = self.names.get(path)
            && !self.lost.contains(&file)
        {
            self.files[file] = std::fs::read(path).unwrap();
        }
    }

    fn sync_failed(&mut self, path: &Path) {
        self.lost.extend(self.names.get(path));
    }

    /// What was lost is gone from the file, too.
    fn truncated(&mut self, path: &Path, bytes: u64) {
        if let Some(file) = self.names.get(path)
            && bytes <= self.files[*file].len() as u64
        {
            self.lost.remove(file);
        }
    }

    fn synced_dir(&mut self, dir: &Path) {
        let inside = |path: &PathBuf| path.parent() == Some(dir);
        self.synced_names.retain(|path, _| !inside(path));
        self.synced_names.extend(self.names.iter().filter(|(path, _)| inside(path)).map(|(path, &file)| (path.clone(), file)));
    }
}

impl std::fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FaultyDisk")
    }
}

impl FaultyDisk {
    pub fn fail_when(&self, rule: impl FnMut(&str, &Path) -> bool + Send + 'static) {
        *self.rule.lock() = Some(Box::new(rule));
    }

    pub fn heal(&self) {
        *self.rule.lock() = None;
    }

    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Call it while no shard is open.
    pub fn cut_power(&self) {
        let mut platter = self.platter.lock();
        platter.names.keys().for_each(|path| std::fs::remove_file(path).unwrap());
        for (path, &file) in &platter.synced_names {
            std::fs::write(path, &platter.files[file]).unwrap();
        }
        platter.names = platter.synced_names.clone();
        platter.lost.clear();
    }

    fn check(&self, call: &str, path: &Path) -> io::Result<()> {
        match self.rule.lock().as_mut().is_some_and(|rule| rule(call, path)) {
            true => Err(io::Error::new(io::ErrorKind::StorageFull, "the test's disk is full")),
            false => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.check("create_dir", dir)?;
        LocalDisk.create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.check("create", path)?;
        let file = LocalDisk.create(path)?;
        self.platter.lock().created(path);
        Ok(Box::new(FaultyFile { file, path: path.to_owned(), disk: self.clone() }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        LocalDisk.read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        LocalDisk.list(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check("remove", path)?;
        LocalDisk.remove(path)?;
        self.platter.lock().names.remove(path);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check("link", to)?;
        LocalDisk.link(from, to)?;
        let mut platter = self.platter.lock();
        let file = platter.names[from];
        platter.names.insert(to.to_owned(), file);
        Ok(())
    }

    /// A power cut takes only what is a file; what a link must be synced for is told by the order of the calls.
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.check("symlink", link)?;
        LocalDisk.symlink(target, link)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check("rename", to)?;
        LocalDisk.rename(from, to)?;
        let mut platter = self.platter.lock();
        let file = platter.names.remove(from).unwrap();
        platter.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.check("sync_dir", dir)?;
        LocalDisk.sync_dir(dir)?;
        self.platter.lock().synced_dir(dir);
        Ok(())
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    disk: FaultyDisk,
}

impl DiskFile for FaultyFile {
    /// A failing write leaves half of its bytes, as a full disk does.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.disk.check("append", &self.path) {
            self.file.append(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.check("sync", &self.path).inspect_err(|_| self.disk.platter.lock().sync_failed(&self.path))?;
        if self.path.extension().is_some_and(|extension| extension == "wal") {
            self.disk.syncs.fetch_add(1, Ordering::Relaxed);
        }
        self.file.sync()?;
        self.disk.platter.lock().synced(&self.path);
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.check("truncate", &self.path)?;
        self.file.truncate(bytes)?;
        self.disk.platter.lock().truncated(&self.path, bytes);
        Ok(())
    }
}
