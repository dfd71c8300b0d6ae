//! Canonical span rows back to OTLP.

use std::collections::HashMap;

use arrow::array::{Array, Int64Array, RecordBatch};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::logs::text_or_empty;
use model::schema::column;
use model::spans::{Nested, SpansView};
use model::{AttributeType, AttributesView, Identity, Result, UNASSIGNED};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// Resources and scopes in the order in which they first come. An identity that Tyto has found is among the resource's
/// attributes, as `omd.business_service` and so on.
pub(crate) fn resource_spans(batches: Vec<RecordBatch>) -> Result<Vec<ResourceSpans>> {
    let mut all: Vec<ResourceSpans> = Vec::new();
    let mut resources: HashMap<Vec<(String, char, String)>, usize> = HashMap::new();
    for batch in batches {
        let view = SpansView::of(&batch)?;
        let scopes = AttributesView::of(&batch, "scope_attributes", Some("scope_attribute_types"))?;
        let counts = Counts::of(&batch)?;
        for row in 0..batch.num_rows() {
            let mut key: Vec<_> = view
                .resource_attributes
                .iter_typed(row)
                .map(|(key, kind, text)| (key.to_owned(), kind.letter(), text.to_owned()))
                .collect();
            add_identity(&view, row, &mut key);
            let position = match resources.get(&key) {
                Some(&position) => position,
                None => {
                    let attributes = key.iter().map(|(key, letter, text)| key_value(key, AttributeType::from_letter(*letter as u8), text));
                    let resource = Resource { attributes: attributes.collect(), ..Resource::default() };
                    all.push(ResourceSpans { resource: Some(resource), ..ResourceSpans::default() });
                    resources.insert(key, all.len() - 1);
                    all.len() - 1
                }
            };
            let scope = InstrumentationScope {
                name: text_or_empty(view.scope_name, row).to_owned(),
                version: text_or_empty(view.scope_version, row).to_owned(),
                attributes: attributes(scopes, row),
                ..InstrumentationScope::default()
            };
            let span = span(&view, &counts, row)?;
            let scopes = &mut all[position].scope_spans;
            match scopes.iter_mut().find(|other| other.scope.as_ref() == Some(&scope)) {
                Some(found) => found.spans.push(span),
                None => scopes.push(ScopeSpans { scope: Some(scope), spans: vec![span], ..ScopeSpans::default() }),
            }
        }
    }
    Ok(all)
}

fn add_identity(view: &SpansView<'_>, row: usize, attributes: &mut Vec<(String, char, String)>) {
    if matches!(text_or_empty(view.identity[0], row), "" | UNASSIGNED) {
        return;
    }
    for (field, column) in Identity::FIELDS.into_iter().zip(view.identity) {
        let (name, value) = (format!("omd.{field}"), text_or_empty(column, row));
        if !value.is_empty() && !attributes.iter().any(|(key, ..)| *key == name) {
            attributes.push((name, 's', value.to_owned()));
        }
    }
}

struct Counts<'a> {
    flags: &'a Int64Array,
    dropped: [&'a Int64Array; 3],
}

impl<'a> Counts<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        let dropped =
            [column(batch, "dropped_attributes_count")?, column(batch, "dropped_events_count")?, column(batch, "dropped_links_count")?];
        Ok(Self { flags: column(batch, "flags")?, dropped })
    }
}

fn small(array: &Int64Array, row: usize) -> u32 {
    if array.is_null(row) { 0 } else { u32::try_from(array.value(row)).unwrap_or(u32::MAX) }
}

fn span(view: &SpansView<'_>, counts: &Counts<'_>, row: usize) -> Result<Span> {
    let text = |array| text_or_empty(array, row);
    let code = status_code(text(view.status_code));
    let message = text(view.status_message).to_owned();
    let [dropped_attributes_count, dropped_events_count, dropped_links_count] = counts.dropped.map(|array| small(array, row));
    Ok(Span {
        trace_id: hex(text(view.trace_id)),
        span_id: hex(text(view.span_id)),
        parent_span_id: hex(text(view.parent_span_id)),
        trace_state: text(view.trace_state).to_owned(),
        flags: small(counts.flags, row),
        name: text(view.name).to_owned(),
        kind: kind(text(view.kind)),
        start_time_unix_nano: view.start.value(row).max(0).unsigned_abs(),
        end_time_unix_nano: view.end.value(row).max(0).unsigned_abs(),
        attributes: attributes(view.attributes, row),
        events: events(&view.events(row)?)?,
        links: links(&view.links(row)?)?,
        status: (code != 0 || !message.is_empty()).then_some(Status { message, code }),
        dropped_attributes_count,
        dropped_events_count,
        dropped_links_count,
    })
}

const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];

fn kind(word: &str) -> i32 {
    KINDS.iter().position(|kind| *kind == word).map_or(0, |number| number as i32)
}

pub(crate) fn kind_word(number: i32) -> &'static str {
    usize::try_from(number).ok().and_then(|number| KINDS.get(number)).copied().unwrap_or(KINDS[0])
}

fn status_code(word: &str) -> i32 {
    match word {
        "ok" => 1,
        "error" => 2,
        _ => 0,
    }
}

fn events(found: &Nested<'_>) -> Result<Vec<Event>> {
    let (times, names) = (found.long("time_unix_nano")?, found.text("name")?);
    let event = |at: usize| Event {
        time_unix_nano: if times.is_null(at) { 0 } else { times.value(at).max(0).unsigned_abs() },
        name: text_or_empty(names, at).to_owned(),
        attributes: attributes(found.attributes, at),
        ..Event::default()
    };
    Ok(found.range.clone().map(event).collect())
}

fn links(found: &Nested<'_>) -> Result<Vec<Link>> {
    let (traces, spans, states) = (found.text("trace_id")?, found.text("span_id")?, found.text("trace_state")?);
    let link = |at: usize| Link {
        trace_id: hex(text_or_empty(traces, at)),
        span_id: hex(text_or_empty(spans, at)),
        trace_state: text_or_empty(states, at).to_owned(),
        attributes: attributes(found.attributes, at),
        ..Link::default()
    };
    Ok(found.range.clone().map(link).collect())
}

fn attributes(view: AttributesView<'_>, row: usize) -> Vec<KeyValue> {
    view.iter_typed(row).map(|(key, kind, text)| key_value(key, kind, text)).collect()
}

fn key_value(key: &str, kind: AttributeType, text: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any_value(kind, text)), ..KeyValue::default() }
}

/// A text that is not of its type stays text: better read than lost.
fn any_value(kind: AttributeType, text: &str) -> AnyValue {
    let value = match kind {
        AttributeType::Text => None,
        AttributeType::Empty => return AnyValue::default(),
        AttributeType::Bool => text.parse().ok().map(Value::BoolValue),
        AttributeType::Int => text.parse().ok().map(Value::IntValue),
        AttributeType::Double => text.parse().ok().map(Value::DoubleValue),
        AttributeType::Bytes => STANDARD.decode(text).ok().map(Value::BytesValue),
        AttributeType::Array => serde_json::from_str(text).ok().as_ref().and_then(array).map(Value::ArrayValue),
        AttributeType::Map => serde_json::from_str(text).ok().as_ref().and_then(map).map(Value::KvlistValue),
    };
    AnyValue { value: Some(value.unwrap_or_else(|| Value::StringValue(text.to_owned()))) }
}

fn array(json: &serde_json::Value) -> Option<ArrayValue> {
    Some(ArrayValue { values: json.as_array()?.iter().map(nested).collect::<Option<_>>()? })
}

fn map(json: &serde_json::Value) -> Option<KeyValueList> {
    let entry = |entry: &serde_json::Value| {
        let value = entry.get("value").map_or(Some(AnyValue::default()), nested)?;
        Some(KeyValue { key: entry.get("key")?.as_str()?.to_owned(), value: Some(value), ..KeyValue::default() })
    };
    Some(KeyValueList { values: json.as_array()?.iter().map(entry).collect::<Option<_>>()? })
}

/// OTLP's JSON of one value.
fn nested(json: &serde_json::Value) -> Option<AnyValue> {
    let Some((kind, value)) = json.as_object()?.iter().next() else { return Some(AnyValue::default()) };
    let value = match kind.as_str() {
        "stringValue" => Value::StringValue(value.as_str()?.to_owned()),
        "boolValue" => Value::BoolValue(value.as_bool()?),
        "intValue" => Value::IntValue(value.as_i64().or_else(|| value.as_str()?.parse().ok())?),
        "doubleValue" => Value::DoubleValue(value.as_f64().or_else(|| value.as_str()?.parse().ok())?),
        "bytesValue" => Value::BytesValue(STANDARD.decode(value.as_str()?).ok()?),
        "arrayValue" => Value::ArrayValue(value.get("values").map_or(Some(ArrayValue::default()), array)?),
        "kvlistValue" => Value::KvlistValue(value.get("values").map_or(Some(KeyValueList::default()), map)?),
        _ => return None,
    };
    Some(AnyValue { value: Some(value) })
}

/// Bytes of lower-case hex; what is none becomes nothing.
fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = |pair: &[u8]| Some((digit(pair.first()?)? * 16 + digit(pair.get(1)?)?) as u8);
    text.as_bytes().chunks(2).map(byte).collect::<Option<_>>().unwrap_or_default()
}
