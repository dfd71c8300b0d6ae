//! OTLP's JSON: ids are hex, 64-bit numbers are text. Source: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use crate::json;

pub(super) fn resource_spans(out: &mut String, found: &ResourceSpans) {
    out.push_str("{\"resource\":{\"attributes\":");
    attributes(out, found.resource.as_ref().map_or(&[], |resource| &resource.attributes));
    out.push_str("},\"scopeSpans\":");
    json::list(out, &found.scope_spans, scope_spans);
    out.push('}');
}

fn scope_spans(out: &mut String, found: &ScopeSpans) {
    out.push_str("{\"scope\":{");
    if let Some(scope) = &found.scope {
        out.push_str("\"name\":");
        json::text(out, &scope.name);
        optional_text(out, "version", &scope.version);
        if !scope.attributes.is_empty() {
            out.push_str(",\"attributes\":");
            attributes(out, &scope.attributes);
        }
    }
    out.push_str("},\"spans\":");
    json::list(out, &found.spans, span);
    out.push('}');
}

fn span(out: &mut String, span: &Span) {
    out.push_str("{\"traceId\":");
    hex(out, &span.trace_id);
    out.push_str(",\"spanId\":");
    hex(out, &span.span_id);
    if !span.parent_span_id.is_empty() {
        out.push_str(",\"parentSpanId\":");
        hex(out, &span.parent_span_id);
    }
    optional_text(out, "traceState", &span.trace_state);
    count(out, "flags", span.flags);
    out.push_str(",\"name\":");
    json::text(out, &span.name);
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    json::push(
        out,
        format_args!(",\"kind\":{},\"startTimeUnixNano\":\"{start}\",\"endTimeUnixNano\":\"{end}\",\"attributes\":", span.kind),
    );
    attributes(out, &span.attributes);
    count(out, "droppedAttributesCount", span.dropped_attributes_count);
    if !span.events.is_empty() {
        out.push_str(",\"events\":");
        json::list(out, &span.events, event);
    }
    count(out, "droppedEventsCount", span.dropped_events_count);
    if !span.links.is_empty() {
        out.push_str(",\"links\":");
        json::list(out, &span.links, link);
    }
    count(out, "droppedLinksCount", span.dropped_links_count);
    out.push_str(",\"status\":{");
    if let Some(status) = &span.status {
        json::push(out, format_args!("\"code\":{}", status.code));
        optional_text(out, "message", &status.message);
    }
    out.push_str("}}");
}

fn event(out: &mut String, event: &Event) {
    json::push(out, format_args!("{{\"timeUnixNano\":\"{}\",\"name\":", event.time_unix_nano));
    json::text(out, &event.name);
    out.push_str(",\"attributes\":");
    attributes(out, &event.attributes);
    out.push('}');
}

fn link(out: &mut String, link: &Link) {
    out.push_str("{\"traceId\":");
    hex(out, &link.trace_id);
    out.push_str(",\"spanId\":");
    hex(out, &link.span_id);
    optional_text(out, "traceState", &link.trace_state);
    out.push_str(",\"attributes\":");
    attributes(out, &link.attributes);
    out.push('}');
}

fn optional_text(out: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        json::push(out, format_args!(",\"{name}\":"));
        json::text(out, text);
    }
}

fn count(out: &mut String, name: &str, count: u32) {
    if count > 0 {
        json::push(out, format_args!(",\"{name}\":{count}"));
    }
}

fn attributes(out: &mut String, found: &[KeyValue]) {
    json::list(out, found, |out, entry| {
        out.push_str("{\"key\":");
        json::text(out, &entry.key);
        out.push_str(",\"value\":");
        value(out, entry.value.as_ref());
        out.push('}');
    });
}

pub(crate) fn value(out: &mut String, found: Option<&AnyValue>) {
    let Some(found) = found.and_then(|found| found.value.as_ref()) else { return out.push_str("{}") };
    match found {
        Value::StringValue(text) => {
            out.push_str("{\"stringValue\":");
            json::text(out, text);
        }
        Value::BoolValue(value) => json::push(out, format_args!("{{\"boolValue\":{value}")),
        Value::IntValue(value) => json::push(out, format_args!("{{\"intValue\":\"{value}\"")),
        Value::DoubleValue(value) => {
            out.push_str("{\"doubleValue\":");
            double(out, *value);
        }
        Value::BytesValue(bytes) => json::push(out, format_args!("{{\"bytesValue\":\"{}\"", STANDARD.encode(bytes))),
        Value::ArrayValue(array) => {
            out.push_str("{\"arrayValue\":{\"values\":");
            json::list(out, &array.values, |out, item| value(out, Some(item)));
            out.push('}');
        }
        Value::KvlistValue(list) => {
            out.push_str("{\"kvlistValue\":{\"values\":");
            attributes(out, &list.values);
            out.push('}');
        }
        // An index into a table that only OTLP profiles have.
        Value::StringValueStrindex(_) => out.push('{'),
    }
    out.push('}');
}

/// Protobuf's JSON spells out what is no number.
fn double(out: &mut String, value: f64) {
    match value {
        value if value.is_nan() => out.push_str("\"NaN\""),
        value if value.is_infinite() => out.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }),
        value => json::number(out, value),
    }
}

fn hex(out: &mut String, bytes: &[u8]) {
    out.push('"');
    bytes.iter().for_each(|byte| json::push(out, format_args!("{byte:02x}")));
    out.push('"');
}
