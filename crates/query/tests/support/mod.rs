//! A scan over batches in memory that does everything the slow and obvious way, and a little company's telemetry.

#![allow(dead_code)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, Int64Array, MapArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use model::logs::{LogRow, LogsBuilder};
use model::samples::{SamplesBuilder, SeriesRow};
use model::schema::column;
use model::spans::{SpanRow, SpansBuilder};
use model::{
    AttributeValue, Attributes, AttributesView, Filter, Identity, Order, Result, Scan, ScanRequest, ScanStream, Subject, Table, Test,
    TimeRange,
};
use regex::Regex;

#[derive(Default)]
pub(crate) struct FakeScan {
    pub(crate) tables: HashMap<Table, RecordBatch>,
    /// Every request that came.
    pub(crate) requests: Mutex<Vec<ScanRequest>>,
    /// Never gives a row.
    pub(crate) stuck: bool,
}

impl FakeScan {
    pub(crate) fn with(mut self, table: Table, rows: RecordBatch) -> Self {
        self.tables.insert(table, rows);
        self
    }
}

fn subject(batch: &RecordBatch, row: usize, subject: &Subject) -> String {
    match subject {
        Subject::Column(name) => {
            let texts: &StringArray = column(batch, name).expect("a text column");
            if texts.is_null(row) { String::new() } else { texts.value(row).to_owned() }
        }
        Subject::Entry { column: name, key } => {
            let map: &MapArray = column(batch, name).expect("a map column");
            AttributesView::of_map(map, None).get(row, key).unwrap_or_default().to_owned()
        }
        Subject::FirstOf(subjects) => {
            subjects.iter().map(|each| self::subject(batch, row, each)).find(|text| !text.is_empty()).unwrap_or_default()
        }
    }
}

fn passes(text: &str, test: &Test) -> bool {
    let whole = |pattern: &str| Regex::new(&format!("^(?s:{pattern})$")).expect("a pattern").is_match(text);
    match test {
        Test::Equal(value) => text == value,
        Test::NotEqual(value) => text != value,
        Test::OneOf(values) => values.iter().any(|value| value == text),
        Test::Regex(pattern) => whole(pattern),
        Test::NotRegex(pattern) => !whole(pattern),
        Test::Contains(value) => text.contains(value),
        Test::NotContains(value) => !text.contains(value),
        Test::Search(pattern) => Regex::new(pattern).expect("a pattern").is_match(text),
        Test::NotSearch(pattern) => !Regex::new(pattern).expect("a pattern").is_match(text),
    }
}

fn kept(batch: &RecordBatch, request: &ScanRequest) -> Vec<u32> {
    let (first, last) = request.table.time_columns();
    let (first, last): (&Int64Array, &Int64Array) = (column(batch, first).expect("time"), column(batch, last).expect("time"));
    let in_time = |row: usize| !request.time.is_empty() && request.time.overlaps(first.value(row), last.value(row));
    let filter = |row: usize, filter: &Filter| passes(&subject(batch, row, &filter.subject), &filter.test);
    let mut rows: Vec<usize> = (0..batch.num_rows()).filter(|&row| in_time(row)).collect();
    rows.retain(|&row| request.filters.iter().all(|each| filter(row, each)));
    match request.order {
        Order::Any => {}
        Order::NewestFirst => rows.sort_by_key(|&row| std::cmp::Reverse(first.value(row))),
        Order::OldestFirst => rows.sort_by_key(|&row| first.value(row)),
    }
    rows.truncate(request.limit.unwrap_or(usize::MAX));
    rows.into_iter().map(|row| u32::try_from(row).expect("few rows")).collect()
}

#[async_trait]
impl Scan for FakeScan {
    fn schema(&self, table: Table) -> SchemaRef {
        table.schema()
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanStream> {
        self.requests.lock().expect("no test panics with it").push(request.clone());
        if self.stuck {
            return Ok(Box::pin(futures::stream::pending()));
        }
        let batch = self.tables.get(&request.table).cloned().unwrap_or_else(|| RecordBatch::new_empty(request.table.schema()));
        let rows = kept(&batch, &request);
        {
            let mut stats = request.stats.lock().expect("no test panics with it");
            stats.bytes_scanned += batch.get_array_memory_size() as u64;
            stats.rows_scanned += batch.num_rows() as u64;
            stats.rows_returned += rows.len() as u64;
        }
        let names = request.columns.clone();
        // Small batches, so that whoever reads meets their seams.
        let batches: Vec<_> = rows
            .chunks(3)
            .map(|rows| {
                let batch = take_record_batch(&batch, &UInt32Array::from(rows.to_vec()))?;
                Ok(match &names {
                    Some(names) => {
                        let at: Vec<usize> = names.iter().map(|name| batch.schema().index_of(name).expect("a column")).collect();
                        batch.project(&at)?
                    }
                    None => batch,
                })
            })
            .collect();
        Ok(Box::pin(futures::stream::iter(batches)))
    }
}

fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    let mut attributes = Attributes::default();
    pairs.iter().for_each(|(key, value)| attributes.set(key, AttributeValue::Text(value)));
    attributes
}

/// The batch with that business service and component on every row.
fn identified(batch: &RecordBatch, business_service: &str, component: &str) -> RecordBatch {
    let columns: Vec<ArrayRef> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            let text = |value: &str| Arc::new(StringArray::from(vec![value; batch.num_rows()])) as ArrayRef;
            match field.name().as_str() {
                "business_service" => text(business_service),
                "component" if !component.is_empty() => text(component),
                _ => column.clone(),
            }
        })
        .collect();
    assert!(Identity::FIELDS.contains(&"component"));
    RecordBatch::try_new(batch.schema(), columns).expect("the same shape")
}

const SECOND: i64 = 1_000_000_000;

pub(crate) fn logs() -> RecordBatch {
    let mut builder = LogsBuilder::default();
    let mut batches = Vec::new();
    for (service, business, lines) in [
        (
            "player",
            "playback",
            &[("INFO", "play started", "GET"), ("ERROR", "buffer ran dry", "GET"), ("INFO", "100% buffered", "PUT")][..],
        ),
        ("checkout", "payments", &[("INFO", "card charged", "POST"), ("ERROR", "card refused", "")]),
        ("cron", "unassigned", &[("", "", "")]),
    ] {
        for (index, (severity, body, method)) in lines.iter().enumerate() {
            if !method.is_empty() {
                builder.attributes.push("http.method", AttributeValue::Text(method));
            }
            let time = SECOND * (10 * i64::try_from(index).expect("few") + i64::try_from(service.len()).expect("short"));
            let row = LogRow { time_unix_nano: time, severity_text: severity, body, service_name: service, ..LogRow::default() };
            builder.push(&row, &attributes(&[("service.name", service), ("host", "a1")]), &Attributes::default());
        }
        batches.push(identified(&builder.finish(), business, if business == "unassigned" { "" } else { service }));
    }
    concat_batches(&Table::Logs.schema(), &batches).expect("one schema")
}

pub(crate) fn spans() -> RecordBatch {
    let mut builder = SpansBuilder::default();
    for (trace, span, parent, name, status, start, seconds) in [
        (1, "a", "", "GET /play", "ok", 100, 3),
        (1, "b", "a", "SELECT title", "error", 101, 1),
        (2, "c", "", "GET /play", "ok", 200, 1),
        (3, "d", "x", "charge", "error", 300, 2),
    ] {
        builder.attributes.push("db.system", AttributeValue::Text(if span == "b" { "postgresql" } else { "" }));
        let row = SpanRow {
            start_time_unix_nano: start * SECOND,
            end_time_unix_nano: (start + seconds) * SECOND,
            trace_id: &format!("{trace:032x}"),
            span_id: span,
            parent_span_id: parent,
            name,
            kind: "server",
            status_code: status,
            service_name: if span == "d" { "checkout" } else { "player" },
            ..SpanRow::default()
        };
        builder.push(&row, &attributes(&[("cloud.region", "eu-west-1")]), &Attributes::default());
    }
    identified(&builder.finish(), "playback", "")
}

/// Ends with a metadata-only row and a series whose only point is at time 0.
pub(crate) fn samples() -> RecordBatch {
    let mut builder = SamplesBuilder::default();
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    for (instance, values) in [("a", vec![1.0, 2.0, 3.0]), ("b", vec![10.0, 20.0, stale])] {
        builder.floats(&[1000, 2000, 3000], &values);
        let row = SeriesRow { name: "http_requests_total", kind: "counter", help: "Requests served.", ..SeriesRow::default() };
        builder.push_series(&row, [("instance", instance), ("job", "api")].into_iter());
    }
    builder.float(2000, 0.5);
    builder
        .push_series(&SeriesRow { name: "rpc_seconds_bucket", kind: "histogram", unit: "seconds", help: "" }, [("le", "+Inf")].into_iter());
    builder.push_series(&SeriesRow { name: "queue_depth", kind: "gauge", help: "Messages waiting.", unit: "" }, std::iter::empty());
    builder.float(0, 7.0);
    builder.push_series(&SeriesRow { name: "born_at_zero", ..SeriesRow::default() }, std::iter::empty());
    identified(&builder.finish(), "playback", "")
}

pub(crate) fn company() -> FakeScan {
    FakeScan::default().with(Table::Logs, logs()).with(Table::Spans, spans()).with(Table::Samples, samples())
}

pub(crate) fn everything() -> TimeRange {
    TimeRange::ALL
}
