//! CPU nanoseconds to decode a log line, a span and a sample: `cargo run --release --example decode_cost`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use model::{Decoded, ReceiveLimits, Result};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use receive::{Rules, otlp, remote_write};

const RECORDS: usize = 5000;

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn resource() -> Option<Resource> {
    let attributes = vec![attribute("service.name", "cart"), attribute("host.name", "host-17"), attribute("k8s.pod.name", "cart-7d9f-x2b")];
    Some(Resource { attributes, ..Resource::default() })
}

fn logs() -> Vec<u8> {
    let record = |index: usize| LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000 + index as u64,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(format!("order {index} for customer {} was placed in 12 ms", index * 7))) }),
        attributes: vec![attribute("http.route", "/cart/checkout"), attribute("order.id", &index.to_string())],
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: (0..RECORDS).map(record).collect(), ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn spans() -> Vec<u8> {
    let span = |index: usize| Span {
        trace_id: vec![7; 16],
        span_id: (index as u64 + 1).to_be_bytes().to_vec(),
        parent_span_id: vec![9; 8],
        name: "GET /cart".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_005_000_000,
        attributes: ["http.route", "http.method", "http.status_code", "peer.service", "db.system"]
            .map(|key| attribute(key, "a value"))
            .into(),
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: (0..RECORDS).map(span).collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// A series of five labels and one sample, as node_exporter's are.
fn samples() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).expect("a short field")];
        out.extend_from_slice(bytes);
        out
    };
    let series = |index: usize| {
        let cpu = (index % 64).to_string();
        let labels =
            [("__name__", "node_cpu_seconds_total"), ("cpu", &cpu), ("instance", "host-17:9100"), ("job", "node"), ("mode", "idle")];
        let mut out = Vec::new();
        for (name, value) in labels {
            out.extend(field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat()));
        }
        let mut sample = vec![9];
        sample.extend_from_slice(&(index as f64).to_le_bytes());
        sample.extend_from_slice(&[0x10, 0x80, 0x90, 0x01]);
        out.extend(field(2, &sample));
        field(1, &out)
    };
    (0..RECORDS).flat_map(series).collect()
}

fn main() {
    let limits = ReceiveLimits::default();
    let rules = Rules { limits: &limits, now_unix_nano: 1_700_000_000_000_000_000, protocol: "example" };
    report("log line", &logs(), |body| otlp::decode_logs(body, &rules));
    report("span", &spans(), |body| otlp::decode_traces(body, &rules));
    report("sample", &samples(), |body| remote_write::decode_remote_write(body, &rules));
}

/// The fastest of many runs: the machine is shared.
fn report(what: &str, body: &[u8], decode: impl Fn(&[u8]) -> Result<Decoded>) {
    let rows = decode(body).expect("valid").records.num_rows();
    assert_eq!(rows, RECORDS, "every record is taken");
    let mut fastest = Duration::MAX;
    for _ in 0..200 {
        let start = Instant::now();
        black_box(decode(black_box(body)).expect("valid"));
        fastest = fastest.min(start.elapsed());
    }
    println!("{what}: {} ns, {} bytes on the wire", fastest.as_nanos() / RECORDS as u128, body.len() / RECORDS);
}
