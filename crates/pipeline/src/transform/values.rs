//! Values of programs and of JSON, as attributes keep them: arrays and objects as OTLP's own JSON text, so that types survive.

use model::AttributeType;
use serde_json::{Value as Json, json};
use vrl::compiler::prelude::NotNan;
use vrl::value::{ObjectMap, Value};

/// Nested values are read and written no deeper.
const DEPTH_MAX: usize = 32;

/// What a program sees of an attribute.
pub(super) fn of_attribute(kind: AttributeType, text: &str) -> Value {
    let parsed = match kind {
        AttributeType::Text | AttributeType::Bytes => None,
        AttributeType::Bool => text.parse::<bool>().ok().map(Value::Boolean),
        AttributeType::Int => text.parse::<i64>().ok().map(Value::Integer),
        AttributeType::Double => text.parse::<f64>().ok().and_then(|number| NotNan::new(number).ok()).map(Value::Float),
        AttributeType::Array | AttributeType::Map => {
            let nested = serde_json::from_str::<Json>(text).ok();
            nested.map(|nested| if kind == AttributeType::Array { array(&nested, 0) } else { map(&nested, 0) })
        }
        AttributeType::Empty => Some(Value::Null),
    };
    parsed.unwrap_or_else(|| text.into())
}

fn array(list: &Json, depth: usize) -> Value {
    Value::Array(list.as_array().into_iter().flatten().map(|item| any(item, depth + 1)).collect())
}

fn map(list: &Json, depth: usize) -> Value {
    let entries = list.as_array().into_iter().flatten();
    let pairs =
        entries.filter_map(|entry| Some((entry.get("key")?.as_str()?.into(), any(entry.get("value").unwrap_or(&Json::Null), depth + 1))));
    Value::Object(pairs.collect::<ObjectMap>())
}

/// OTLP's `AnyValue`.
fn any(value: &Json, depth: usize) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|fields| fields.iter().next()).filter(|_| depth <= DEPTH_MAX) else {
        return Value::Null;
    };
    match kind.as_str() {
        "intValue" => {
            let number = inner.as_i64().or_else(|| inner.as_str()?.parse().ok());
            number.map_or(Value::Null, Value::Integer)
        }
        "doubleValue" => inner.as_f64().map_or(Value::Null, Value::from_f64_or_zero),
        "boolValue" => inner.as_bool().map_or(Value::Null, Value::Boolean),
        "arrayValue" => array(inner.get("values").unwrap_or(&Json::Null), depth),
        "kvlistValue" => map(inner.get("values").unwrap_or(&Json::Null), depth),
        _ => inner.as_str().map_or(Value::Null, Value::from),
    }
}

/// The attribute that a value is.
pub(super) fn as_attribute(value: &Value) -> (AttributeType, String) {
    match value {
        Value::Integer(number) => (AttributeType::Int, number.to_string()),
        Value::Float(number) => (AttributeType::Double, number.to_string()),
        Value::Boolean(yes) => (AttributeType::Bool, yes.to_string()),
        Value::Null => (AttributeType::Empty, String::new()),
        Value::Array(items) => (AttributeType::Array, items.iter().map(|item| otlp(item, 0)).collect::<Json>().to_string()),
        Value::Object(fields) => (AttributeType::Map, entries(fields, 0).to_string()),
        other => (AttributeType::Text, as_text(other)),
    }
}

/// What stands in a body or another text.
pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::Timestamp(time) => time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        Value::Null => String::new(),
        Value::Array(_) | Value::Object(_) => serde_json::to_string(value).unwrap_or_default(),
        Value::Regex(regex) => regex.as_str().to_owned(),
        other => match other.to_str_lossy() {
            Some(text) => text.into_owned(),
            None => other.to_string(),
        },
    }
}

fn entries(fields: &ObjectMap, depth: usize) -> Json {
    fields.iter().map(|(key, value)| json!({"key": key.as_str(), "value": otlp(value, depth + 1)})).collect()
}

fn otlp(value: &Value, depth: usize) -> Json {
    match value {
        _ if depth > DEPTH_MAX => json!({}),
        Value::Integer(number) => json!({"intValue": number.to_string()}),
        Value::Float(number) => json!({"doubleValue": number.into_inner()}),
        Value::Boolean(yes) => json!({"boolValue": yes}),
        Value::Null => json!({}),
        Value::Array(items) => json!({"arrayValue": {"values": items.iter().map(|item| otlp(item, depth + 1)).collect::<Json>()}}),
        Value::Object(fields) => json!({"kvlistValue": {"values": entries(fields, depth)}}),
        other => json!({"stringValue": as_text(other)}),
    }
}
