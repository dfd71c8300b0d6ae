//! Span metrics: how many spans of a kind there are, how long they take, how large they are.

use super::latency::{Bounds, Family, Latency};
use super::options::SpanOptions;
use super::registry::{KeyRef, Registry};
use super::rows::{SampleRows, Series};
use super::span::Span;

const LATENCY: Family = Family {
    bucket: "traces_spanmetrics_latency_bucket",
    sum: "traces_spanmetrics_latency_sum",
    count: "traces_spanmetrics_latency_count",
    help: "Duration of spans in seconds.",
};

#[derive(Default)]
struct Calls {
    count: u64,
    bytes: u64,
    latency: Latency,
}

pub(crate) struct SpanMetrics {
    calls: Registry<Calls>,
    bounds: Bounds,
    status_message: bool,
}

impl SpanMetrics {
    pub(crate) fn new(options: &SpanOptions) -> Self {
        let mut names: Vec<String> = ["service", "span_name", "span_kind", "status_code"].map(str::to_owned).into();
        if options.status_message {
            names.push("status_message".to_owned());
        }
        Self {
            calls: Registry::new("span_metrics", names, options.series_max),
            bounds: Bounds::new(options.span_buckets.clone()),
            status_message: options.status_message,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn take(&mut self, span: Span<'_>, bytes: u64, now_ms: i64) {
        let values = [&span.sender.name, span.name(), kind(span.kind()), status(span.status()), span.status_message()];
        let values = if self.status_message { &values[..] } else { &values[..4] };
        let calls = self.calls.touch(KeyRef { owner: &span.sender.identity, values }, now_ms);
        calls.count += 1;
        calls.bytes += bytes;
        let seconds = span.seconds();
        calls.latency.observe(&self.bounds, seconds, || span.example(seconds));
    }

    pub(crate) fn tell(&mut self, rows: &mut SampleRows, now_ms: i64, idle_max_ms: i64) {
        self.calls.tell(now_ms, idle_max_ms, |owner, labels, calls, moment| {
            let kind = "counter";
            let (name, help) = ("traces_spanmetrics_calls_total", "Number of spans.");
            rows.counter(&Series { name, kind, help, labels, owner }, moment, calls.count as f64, None);
            let (name, help) = ("traces_spanmetrics_size_total", "Bytes of spans, before compression.");
            rows.counter(&Series { name, kind, help, labels, owner }, moment, calls.bytes as f64, None);
            calls.latency.tell(rows, &LATENCY, &self.bounds, (owner, labels), moment);
        });
    }
}

/// As OTLP and Tempo spell it.
fn kind(kind: &str) -> &'static str {
    match kind {
        "internal" => "SPAN_KIND_INTERNAL",
        "server" => "SPAN_KIND_SERVER",
        "client" => "SPAN_KIND_CLIENT",
        "producer" => "SPAN_KIND_PRODUCER",
        "consumer" => "SPAN_KIND_CONSUMER",
        _ => "SPAN_KIND_UNSPECIFIED",
    }
}

fn status(status: &str) -> &'static str {
    match status {
        "ok" => "STATUS_CODE_OK",
        "error" => "STATUS_CODE_ERROR",
        _ => "STATUS_CODE_UNSET",
    }
}
