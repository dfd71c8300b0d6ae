//! A little company's telemetry.

#![allow(dead_code)]

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use model::logs::{LogRow, LogsBuilder};
use model::samples::{SamplesBuilder, SeriesRow};
use model::spans::{SpanRow, SpansBuilder};
use model::{AttributeValue, Attributes, Identity, Table, TimeRange};
use testkit::memory_scan::MemoryScan;

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

pub(crate) fn company() -> MemoryScan {
    let scan = MemoryScan::in_batches_of(3);
    for (table, rows) in [(Table::Logs, logs()), (Table::Spans, spans()), (Table::Samples, samples())] {
        scan.push(table, rows);
    }
    scan
}

pub(crate) fn everything() -> TimeRange {
    TimeRange::ALL
}
