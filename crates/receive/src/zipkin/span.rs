//! Zipkin's span, and what it means.

use std::borrow::Cow;

use crate::lines::{Field, Value};
use crate::spans::{Event, Span, Status};

/// Shared by both sides of a call: the server's span has the id of the client's. In a row each needs its own, so the server's
/// becomes the complement, child of the client's: the same whenever and in whichever order the two arrive.
pub(super) fn server_id(shared_id: u64) -> u64 {
    !shared_id
}

#[derive(Debug, Default)]
pub(super) struct ZipkinSpan<'a> {
    pub(super) trace_id: u128,
    pub(super) id: u64,
    /// 0: none.
    pub(super) parent_id: u64,
    pub(super) kind: &'static str,
    pub(super) name: Cow<'a, str>,
    /// Microseconds since 1970; 0: none.
    pub(super) timestamp: u64,
    pub(super) duration: u64,
    pub(super) local: Endpoint<'a>,
    pub(super) remote: Endpoint<'a>,
    /// Time in microseconds, and what happened.
    pub(super) annotations: Vec<(u64, Cow<'a, str>)>,
    pub(super) tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(super) shared: bool,
    /// Tags and annotations over their limits.
    pub(super) dropped: [u64; 2],
}

#[derive(Debug, Default)]
pub(super) struct Endpoint<'a> {
    pub(super) service: Cow<'a, str>,
    pub(super) address: Cow<'a, str>,
    /// 0: none.
    pub(super) port: u16,
}

pub(super) fn kind(name: &str) -> Option<&'static str> {
    ["client", "server", "producer", "consumer"].into_iter().find(|kind| kind.eq_ignore_ascii_case(name))
}

impl<'a> ZipkinSpan<'a> {
    /// `otherwise`: the time of a span that has none, nanoseconds since 1970.
    pub(super) fn into_span(self, otherwise: u64) -> Span<'a> {
        let first = || self.annotations.iter().map(|(time, _)| *time).filter(|time| *time > 0).min();
        let start = Some(self.timestamp).filter(|time| *time > 0).or_else(first).map_or(otherwise, nanos);
        let duration = i64::try_from(nanos(self.duration)).unwrap_or(i64::MAX);
        let mut span = Span {
            trace_id: self.trace_id,
            span_id: self.id,
            // Zipkin itself calls such a span a root.
            parent_span_id: if self.parent_id == self.id { 0 } else { self.parent_id },
            name: self.name,
            kind: self.kind,
            start,
            duration,
            service: self.local.service,
            dropped: [self.dropped[0], self.dropped[1], 0],
            ..Span::default()
        };
        let event = |(time, name)| Event { time: nanos(time), name, attributes: Vec::new() };
        span.events = self.annotations.into_iter().map(event).collect();
        take_tags(self.tags, &mut span);
        let Endpoint { service, address, port } = self.remote;
        let texts = [("network.local.address", self.local.address), ("peer.service", service), ("network.peer.address", address)];
        for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            otherwise_say(&mut span.attributes, Field::text(key, text));
        }
        for (key, port) in [("network.local.port", self.local.port), ("network.peer.port", port)] {
            if port > 0 {
                otherwise_say(&mut span.attributes, Field { name: key.into(), value: Value::Int(port.into()) });
            }
        }
        span
    }
}

fn nanos(micros: u64) -> u64 {
    micros.saturating_mul(1000)
}

/// What a tag says already is not said again.
fn otherwise_say<'a>(fields: &mut Vec<Field<'a>>, field: Field<'a>) {
    if !fields.iter().any(|other| other.name == field.name) {
        fields.push(field);
    }
}

/// Tags are attributes, but for those that OpenTelemetry's exporters write for what Zipkin has no field for.
fn take_tags<'a>(tags: Vec<(Cow<'a, str>, Cow<'a, str>)>, span: &mut Span<'a>) {
    let mut failed = false;
    for (key, value) in tags {
        match &*key {
            "otel.status_code" => span.status.code = status(&value),
            "otel.status_description" => span.status.message = value,
            "w3c.tracestate" => span.trace_state = value,
            "otel.scope.name" => span.scope_name = value,
            "otel.scope.version" => span.scope_version = value,
            "otel.library.name" if span.scope_name.is_empty() => span.scope_name = value,
            "otel.library.version" if span.scope_version.is_empty() => span.scope_version = value,
            "span.kind" if span.kind.is_empty() && value == "internal" => span.kind = "internal",
            // The tag alone says that the span failed, and its value mostly how.
            "error" if value != "false" => {
                failed = true;
                if !matches!(&*value, "" | "true") {
                    if span.status.message.is_empty() {
                        span.status.message = value.clone();
                    }
                    span.attributes.push(Field { name: key, value: Value::Text(value) });
                }
            }
            _ if is_resource(&key) => span.resource.to_mut().push(Field { name: key, value: Value::Text(value) }),
            _ => span.attributes.push(Field { name: key, value: Value::Text(value) }),
        }
    }
    if failed {
        span.status.code = "error";
    } else if span.status.code != "error" {
        // OpenTelemetry has a description for errors only.
        span.status = Status { code: span.status.code, ..Status::default() };
    }
}

fn status(code: &str) -> &'static str {
    ["ok", "error"].into_iter().find(|known| known.eq_ignore_ascii_case(code)).unwrap_or_default()
}

/// OpenTelemetry's exporters write a resource's attributes among the tags of each of its spans. These say what sent the span.
fn is_resource(key: &str) -> bool {
    const OF: [&str; 9] = ["service", "telemetry", "k8s", "container", "host", "cloud", "deployment", "os", "omd"];
    key.split_once('.').is_some_and(|(first, _)| OF.contains(&first)) || matches!(key, "process.pid" | "process.executable.name")
}
