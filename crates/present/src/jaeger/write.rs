//! Jaeger's JSON of a trace.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};

use crate::json;
use crate::tempo::{otlp, write::value};

pub(super) fn trace(out: &mut String, trace_id: &str, trace: &[ResourceSpans]) {
    out.push_str(&head(trace_id));
    for (index, place) in places(trace).into_iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        span_at(out, trace_id, trace, place);
    }
    out.push_str(&tail(trace));
}

/// What stands before a trace's spans.
pub(super) fn head(trace_id: &str) -> String {
    format!("{{\"traceID\":\"{trace_id}\",\"spans\":[")
}

/// Resource, scope and number of each span.
pub(super) fn places(trace: &[ResourceSpans]) -> Vec<[usize; 3]> {
    let mut places = Vec::new();
    for (resource, found) in trace.iter().enumerate() {
        for (scope, found) in found.scope_spans.iter().enumerate() {
            places.extend((0..found.spans.len()).map(|number| [resource, scope, number]));
        }
    }
    places
}

pub(super) fn span_at(out: &mut String, trace_id: &str, trace: &[ResourceSpans], [resource, scope, number]: [usize; 3]) {
    let scope = &trace[resource].scope_spans[scope];
    span(out, trace_id, resource + 1, scope.scope.as_ref(), &scope.spans[number]);
}

/// What stands behind a trace's spans: what sent them.
pub(super) fn tail(trace: &[ResourceSpans]) -> String {
    let mut text = String::from("],\"processes\":{");
    let out = &mut text;
    for (index, resource) in trace.iter().enumerate() {
        let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let comma = if index > 0 { "," } else { "" };
        json::push(out, format_args!("{comma}\"p{}\":{{\"serviceName\":", index + 1));
        json::text(out, service_name(attributes));
        out.push_str(",\"tags\":");
        json::list(out, attributes.iter().filter(|entry| entry.key != "service.name"), tag);
        out.push('}');
    }
    out.push_str("},\"warnings\":null}");
    text
}

fn service_name(attributes: &[KeyValue]) -> &str {
    let found = attributes.iter().find(|entry| entry.key == "service.name").and_then(|entry| entry.value.as_ref()?.value.as_ref());
    match found {
        Some(Value::StringValue(name)) => name,
        _ => "unknown_service",
    }
}

fn span(out: &mut String, trace_id: &str, process: usize, scope: Option<&InstrumentationScope>, span: &Span) {
    json::push(out, format_args!("{{\"traceID\":\"{trace_id}\",\"spanID\":\"{}\",\"operationName\":", hex(&span.span_id)));
    json::text(out, &span.name);
    let parent = (!span.parent_span_id.is_empty()).then(|| ("CHILD_OF", trace_id.to_owned(), hex(&span.parent_span_id)));
    let links = span.links.iter().map(|link| ("FOLLOWS_FROM", hex(&link.trace_id), hex(&link.span_id)));
    out.push_str(",\"references\":");
    json::list(out, parent.into_iter().chain(links), |out, (kind, trace, span)| {
        json::push(out, format_args!("{{\"refType\":\"{kind}\",\"traceID\":\"{trace}\",\"spanID\":\"{span}\"}}"));
    });
    let start = span.start_time_unix_nano / 1000;
    let duration = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) / 1000;
    json::push(out, format_args!(",\"startTime\":{start},\"duration\":{duration},\"tags\":["));
    let mut first = true;
    let mut add = |out: &mut String, key: &str, value: &str| {
        if !value.is_empty() {
            out.push_str(if std::mem::take(&mut first) { "" } else { "," });
            json::pairs(out, [("key", key), ("type", "string"), ("value", value)].into_iter());
        }
    };
    if let Some(scope) = scope {
        add(out, "otel.scope.name", &scope.name);
        add(out, "otel.scope.version", &scope.version);
    }
    if span.kind > 0 {
        add(out, "span.kind", otlp::kind_word(span.kind));
    }
    let failed = span.status.as_ref().is_some_and(|status| status.code == 2);
    if let Some(status) = &span.status {
        add(out, "otel.status_code", ["", "OK", "ERROR"].get(status.code.max(0) as usize).copied().unwrap_or_default());
        add(out, "otel.status_description", &status.message);
    }
    add(out, "w3c.tracestate", &span.trace_state);
    for entry in &span.attributes {
        out.push_str(if std::mem::take(&mut first) { "" } else { "," });
        tag(out, entry);
    }
    if failed && !span.attributes.iter().any(|entry| entry.key == "error") {
        out.push_str(if first { "" } else { "," });
        out.push_str("{\"key\":\"error\",\"type\":\"bool\",\"value\":true}");
    }
    out.push_str("],\"logs\":");
    json::list(out, &span.events, |out, event| {
        json::push(out, format_args!("{{\"timestamp\":{},\"fields\":[", event.time_unix_nano / 1000));
        json::pairs(out, [("key", "event"), ("type", "string"), ("value", event.name.as_str())].into_iter());
        for entry in &event.attributes {
            out.push(',');
            tag(out, entry);
        }
        out.push_str("]}");
    });
    json::push(out, format_args!(",\"processID\":\"p{process}\",\"warnings\":null}}"));
}

fn tag(out: &mut String, entry: &KeyValue) {
    out.push_str("{\"key\":");
    json::text(out, &entry.key);
    let found = entry.value.as_ref().and_then(|value| value.value.as_ref());
    match found {
        Some(Value::BoolValue(value)) => json::push(out, format_args!(",\"type\":\"bool\",\"value\":{value}}}")),
        Some(Value::IntValue(value)) => json::push(out, format_args!(",\"type\":\"int64\",\"value\":{value}}}")),
        Some(Value::DoubleValue(value)) => {
            out.push_str(",\"type\":\"float64\",\"value\":");
            json::number(out, *value);
            out.push('}');
        }
        Some(Value::BytesValue(bytes)) => json::push(out, format_args!(",\"type\":\"binary\",\"value\":\"{}\"}}", STANDARD.encode(bytes))),
        other => {
            let text = match other {
                Some(Value::StringValue(text)) => text.clone(),
                Some(_) => {
                    let mut text = String::new();
                    value(&mut text, entry.value.as_ref());
                    text
                }
                None => String::new(),
            };
            out.push_str(",\"type\":\"string\",\"value\":");
            json::text(out, &text);
            out.push('}');
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
