//! Input for measurements: log lines of a fixed make-up, as many as wanted, the same for every competitor.
//!
//! A line is a JSON object of nine fields and about 315 bytes: time, level, service, pod, host, trace_id (shared by six lines),
//! span_id (random), message (60 shapes with variables), duration. Lines are 4 ms apart.

use std::fmt::Write;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::chance::Chance;
use crate::company::Component;
use crate::line::Severity;
use crate::wire::{IntoValue, attribute, scope};

pub const NANOS_BETWEEN_LINES: u64 = 4_000_000;
const LINES_PER_TRACE: u64 = 6;
const PODS_PER_SERVICE: u64 = 4;
const HOSTS: u64 = 24;

const DEEDS: [&str; 10] = [
    "render home page",
    "load viewer profile",
    "open playback session",
    "refresh access token",
    "charge stored card",
    "rank candidate titles",
    "fetch subtitle track",
    "write watch position",
    "close ad auction",
    "reindex title document",
];

/// One line and what an OTLP record says about it beside the body.
#[derive(Clone, Debug)]
pub struct LogLine {
    pub time_unix_nano: u64,
    pub service: &'static str,
    pub pod: String,
    pub host: String,
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub json: String,
    severity: Severity,
}

/// Endless; take as many as needed.
#[derive(Clone, Debug)]
pub struct LogLines {
    seed: u64,
    start_unix_nano: u64,
    next: u64,
    services: Vec<&'static str>,
}

impl LogLines {
    pub fn new(seed: u64, start_unix_nano: u64) -> Self {
        Self { seed, start_unix_nano, next: 0, services: Component::all().map(|component| component.spec().name).collect() }
    }

    /// The same lines as OTLP requests of `per_request` records, `count` in all, grouped by pod as a collector would.
    pub fn requests(self, count: usize, per_request: usize) -> impl Iterator<Item = ExportLogsServiceRequest> {
        let mut lines = self.take(count);
        std::iter::from_fn(move || {
            let batch: Vec<LogLine> = lines.by_ref().take(per_request).collect();
            (!batch.is_empty()).then(|| request(batch))
        })
    }
}

impl Iterator for LogLines {
    type Item = LogLine;

    fn next(&mut self) -> Option<LogLine> {
        let number = self.next;
        self.next += 1;
        let mut chance = Chance::of(self.seed, &[number]);
        let mut of_trace = Chance::of(self.seed, &[number / LINES_PER_TRACE, 0x7ace]);
        let trace_id = of_trace.trace_id();
        let span_id = chance.span_id();
        let service = *chance.pick(&self.services);
        let pod = chance.below(PODS_PER_SERVICE);
        let (severity, level) = match chance.below(100) {
            0..12 => (Severity::Debug, "debug"),
            12..88 => (Severity::Info, "info"),
            88..96 => (Severity::Warn, "warn"),
            _ => (Severity::Error, "error"),
        };
        let time_unix_nano = self.start_unix_nano + number * NANOS_BETWEEN_LINES;
        let clock = chrono::DateTime::from_timestamp_nanos(time_unix_nano.cast_signed()).format("%Y-%m-%dT%H:%M:%S%.6fZ");
        let message = message(&mut chance);
        let duration = (chance.log_normal(18.0, 1.1) * 1000.0).round() / 1000.0;
        let pod = format!("{service}-6f7b9c{:x}d4-x{pod}k2p", service.len() % 16);
        let host = format!("ip-10-24-{}-17.internal", chance.below(HOSTS));
        let (trace, span) = (u128::from_be_bytes(trace_id), u64::from_be_bytes(span_id));
        let mut json = String::with_capacity(400);
        write!(
            json,
            r#"{{"time":"{clock}","level":"{level}","service":"{service}","pod":"{pod}","host":"{host}","trace_id":"{trace:032x}","span_id":"{span:016x}","message":"{message}","duration":{duration}}}"#
        )
        .expect("writing to a String cannot fail");
        Some(LogLine { time_unix_nano, service, pod, host, trace_id, span_id, json, severity })
    }
}

/// Ten deeds in six forms.
fn message(chance: &mut Chance) -> String {
    let deed = chance.pick(&DEEDS);
    let user = chance.below(5_000_000);
    match chance.below(6) {
        0 => format!("started to {deed} for user {user}"),
        1 => format!("finished to {deed} for user {user} in {} steps, {} bytes", chance.below(12), chance.below(90_000)),
        2 => {
            format!("cannot {deed}: upstream {} answered {} after attempt {}", chance.below(40), 500 + chance.below(5), 1 + chance.below(4))
        }
        3 => format!("skipped to {deed}, cache key {:012x} is fresh for {} s", chance.next() >> 16, chance.below(600)),
        4 => format!("queue for {deed} holds {} entries, oldest {} ms", chance.below(900), chance.below(30_000)),
        _ => format!("limit for {deed} is {} of {} per minute", chance.below(600), 600),
    }
}

fn request(mut batch: Vec<LogLine>) -> ExportLogsServiceRequest {
    batch.sort_by(|left, right| (&left.pod, &left.host, left.time_unix_nano).cmp(&(&right.pod, &right.host, right.time_unix_nano)));
    let mut resource_logs: Vec<ResourceLogs> = Vec::new();
    let mut current: Option<(String, String)> = None;
    for line in batch {
        let place = (line.pod.clone(), line.host.clone());
        if current.as_ref() != Some(&place) {
            let attributes = vec![
                attribute("service.name", line.service),
                attribute("k8s.pod.name", place.0.as_str()),
                attribute("host.name", place.1.as_str()),
            ];
            resource_logs.push(ResourceLogs {
                resource: Some(Resource { attributes, ..Resource::default() }),
                scope_logs: vec![ScopeLogs { scope: scope("bench"), ..ScopeLogs::default() }],
                schema_url: String::new(),
            });
            current = Some(place);
        }
        let scope_logs = &mut resource_logs.last_mut().expect("a resource was just pushed").scope_logs[0];
        scope_logs.log_records.push(record(line));
    }
    ExportLogsServiceRequest { resource_logs }
}

fn record(line: LogLine) -> LogRecord {
    LogRecord {
        time_unix_nano: line.time_unix_nano,
        observed_time_unix_nano: line.time_unix_nano,
        severity_number: line.severity.number() as i32,
        severity_text: line.severity.text().to_owned(),
        body: Some(AnyValue { value: Some(line.json.into_value()) }),
        trace_id: line.trace_id.to_vec(),
        span_id: line.span_id.to_vec(),
        flags: 1,
        ..LogRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_json_of_the_promised_size_and_make_up() {
        let lines: Vec<LogLine> = LogLines::new(1, 1_700_000_000_000_000_000).take(6_000).collect();
        let mean = lines.iter().map(|line| line.json.len()).sum::<usize>() / lines.len();
        assert!((305..=335).contains(&mean), "{mean} bytes");
        for line in &lines {
            let value: serde_json::Value = serde_json::from_str(&line.json).expect("a line is JSON");
            assert_eq!(value.as_object().map(serde_json::Map::len), Some(9));
        }
        let traces: std::collections::BTreeSet<_> = lines.iter().map(|line| line.trace_id).collect();
        assert_eq!(traces.len(), 1_000);
    }

    #[test]
    fn requests_hold_every_line_once() {
        let requests: Vec<_> = LogLines::new(1, 0).requests(2_500, 1_000).collect();
        let sizes: Vec<usize> =
            requests.iter().map(|request| request.resource_logs.iter().map(|logs| logs.scope_logs[0].log_records.len()).sum()).collect();
        assert_eq!(sizes, [1_000, 1_000, 500]);
    }
}
