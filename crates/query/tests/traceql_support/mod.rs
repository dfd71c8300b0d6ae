//! What the TraceQL tests share: spans in memory, from OTLP's JSON and from the text language of our cases.

#![allow(dead_code)]

use arrow::array::RecordBatch;
use model::spans::{SpanRow, SpansBuilder};
use model::{AttributeType, AttributeValue, Attributes, AttributesBuilder};
use serde_json::Value as Json;

fn list<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json.get(name).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json.get(name).and_then(Json::as_str).unwrap_or_default()
}

fn nanos(json: &Json, name: &str) -> i64 {
    text(json, name).parse().unwrap_or_default()
}

/// As receivers store them.
fn each(json: &Json, mut put: impl FnMut(&str, AttributeValue<'_>)) {
    for attribute in list(json, "attributes") {
        let (key, value) = (text(attribute, "key"), &attribute["value"]);
        if let Some(text) = value.get("stringValue").and_then(Json::as_str) {
            put(key, AttributeValue::Text(text));
        } else if let Some(flag) = value.get("boolValue").and_then(Json::as_bool) {
            put(key, AttributeValue::Bool(flag));
        } else if let Some(number) = value.get("intValue") {
            put(key, AttributeValue::Int(number.as_str().map_or_else(|| number.as_i64(), |text| text.parse().ok()).expect("a number")));
        } else if let Some(number) = value.get("doubleValue").and_then(Json::as_f64) {
            put(key, AttributeValue::Double(number));
        } else if let Some(array) = value.get("arrayValue") {
            put(key, AttributeValue::Encoded(AttributeType::Array, &array["values"].to_string()));
        } else {
            panic!("cannot load {attribute}");
        }
    }
}

fn attributes(json: &Json) -> Attributes {
    let mut attributes = Attributes::default();
    each(json, |key, value| attributes.set(key, value));
    attributes
}

fn push(builder: &mut AttributesBuilder, json: &Json) {
    each(json, |key, value| {
        builder.push(key, value);
    });
}

/// The spans of a trace in OTLP's JSON.
pub(crate) fn otlp(json: &Json) -> RecordBatch {
    let mut builder = SpansBuilder::default();
    for of_resource in list(json, "resourceSpans") {
        let resource = attributes(&of_resource["resource"]);
        for of_scope in list(of_resource, "scopeSpans") {
            let none = Json::Null;
            let scope = of_scope.get("scope").unwrap_or(&none);
            let scope_attributes = attributes(scope);
            for span in list(of_scope, "spans") {
                push(&mut builder.attributes, span);
                for event in list(span, "events") {
                    push(&mut builder.events.attributes, event);
                    builder.events.push(nanos(event, "timeUnixNano"), text(event, "name"));
                }
                for link in list(span, "links") {
                    push(&mut builder.links.attributes, link);
                    builder.links.push(text(link, "traceId"), text(link, "spanId"), "");
                }
                let number = |json: Option<&Json>| json.and_then(Json::as_u64).unwrap_or_default() as usize;
                let status = span.get("status").unwrap_or(&none);
                let row = SpanRow {
                    start_time_unix_nano: nanos(span, "startTimeUnixNano"),
                    end_time_unix_nano: nanos(span, "endTimeUnixNano"),
                    trace_id: text(span, "traceId"),
                    span_id: text(span, "spanId"),
                    parent_span_id: text(span, "parentSpanId"),
                    name: text(span, "name"),
                    kind: ["unspecified", "internal", "server", "client", "producer", "consumer"][number(span.get("kind"))],
                    status_code: ["unset", "ok", "error"][number(status.get("code"))],
                    status_message: text(status, "message"),
                    service_name: resource.service_name(),
                    scope_name: text(scope, "name"),
                    scope_version: text(scope, "version"),
                    ..SpanRow::default()
                };
                builder.push(&row, &resource, &scope_attributes);
            }
        }
    }
    builder.finish()
}

/// So many traces of three spans, of other services.
pub(crate) fn noise(traces: usize) -> RecordBatch {
    let mut builder = SpansBuilder::default();
    let mut resource = Attributes::default();
    resource.set("service.name", AttributeValue::Text("noise"));
    for trace in 0..traces {
        for span in 0..3i64 {
            builder.attributes.push("noise", AttributeValue::Int(trace as i64));
            let start = 1_000_000_000 * (900 + trace as i64) + span;
            let row = SpanRow {
                start_time_unix_nano: start,
                end_time_unix_nano: start + 1_000_000 * span,
                trace_id: &format!("{:032x}", 0xabc00 + trace),
                span_id: &format!("{:016x}", span + 1),
                parent_span_id: &if span == 0 { String::new() } else { format!("{span:016x}") },
                name: "noisy",
                kind: "server",
                status_code: "ok",
                service_name: "noise",
                ..SpanRow::default()
            };
            builder.push(&row, &resource, &Attributes::default());
        }
    }
    builder.finish()
}

/// Collects `load` lines: `TRACE/SPAN[<PARENT] NAME SERVICE KIND STATUS START DURATION key=value ...`. A value is of the type that it looks
/// like, `[a,b]` an array; keys of `resource.`, `event.` and `link.` are theirs, others the span's.
#[derive(Default)]
pub(crate) struct Loader(SpansBuilder);

impl Loader {
    pub(crate) fn load(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let mut next = || words.next().unwrap_or_else(|| panic!("too few words: {line}"));
        let (trace, span) = next().split_once('/').expect("TRACE/SPAN");
        let (span, parent) = span.split_once('<').unwrap_or((span, ""));
        let [name, service, kind, status] = [next(), next(), next(), next()];
        let (start, duration) = (duration_ns(next()), duration_ns(next()));
        let mut resource = Attributes::default();
        resource.set("service.name", AttributeValue::Text(service));
        for pair in words {
            let (key, value) = pair.split_once('=').expect("key=value");
            let text = value.to_owned();
            let array;
            let value = match (value.parse::<i64>(), value.parse::<f64>(), value.parse::<bool>()) {
                _ if value.starts_with('[') => {
                    let values = value.trim_matches(['[', ']']).split(',').filter(|value| !value.is_empty());
                    array = Json::from_iter(values.map(|value| Json::from_iter([("stringValue", Json::from(value))]))).to_string();
                    AttributeValue::Encoded(AttributeType::Array, &array)
                }
                (Ok(value), ..) => AttributeValue::Int(value),
                (_, Ok(value), _) => AttributeValue::Double(value),
                (.., Ok(value)) => AttributeValue::Bool(value),
                _ => AttributeValue::Text(&text),
            };
            if let Some(key) = key.strip_prefix("resource.") {
                resource.set(key, value);
            } else if let Some(key) = key.strip_prefix("event.") {
                self.0.events.attributes.push(key, value);
                self.0.events.push(start + duration / 2, key);
            } else if let Some(key) = key.strip_prefix("link.") {
                self.0.links.attributes.push(key, value);
                self.0.links.push("0000000000000000000000000000000f", "000000000000000f", "");
            } else {
                self.0.attributes.push(key, value);
            }
        }
        let row = SpanRow {
            start_time_unix_nano: start,
            end_time_unix_nano: start + duration,
            trace_id: &format!("{trace:0>32}"),
            span_id: &format!("{span:0>16}"),
            parent_span_id: &if parent.is_empty() { String::new() } else { format!("{parent:0>16}") },
            name,
            kind,
            status_code: status,
            service_name: service,
            scope_name: "tests",
            ..SpanRow::default()
        };
        self.0.push(&row, &resource, &Attributes::default());
    }

    pub(crate) fn spans(mut self) -> RecordBatch {
        self.0.finish()
    }
}

/// Whole numbers with a unit: `90s`, `500ms`, `2m`.
pub(crate) fn duration_ns(text: &str) -> i64 {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or_else(|| panic!("{text} has no unit"));
    let size = match &text[split..] {
        "ns" => 1,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        unit => panic!("{unit:?} is no unit of a duration: {text}"),
    };
    text[..split].parse::<i64>().expect("a whole number") * size
}
