//! A value of a record as a contract sees it: with the type that it was sent with.

use model::AttributeType;
use serde_json::{Map, Number, Value as Json};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'a str),
    Array,
    Map,
}

impl<'a> Value<'a> {
    /// Of an attribute. A text that reads as a number is a text: types are those that the sender gave.
    pub(crate) fn of(kind: AttributeType, text: &'a str) -> Self {
        match kind {
            AttributeType::Text | AttributeType::Bytes => Self::Text(text),
            AttributeType::Bool => Self::Bool(text == "true"),
            AttributeType::Int => text.parse().map_or(Self::Null, Self::Int),
            AttributeType::Double => model::double(text).map_or(Self::Null, Self::Double),
            AttributeType::Array => Self::Array,
            AttributeType::Map => Self::Map,
            AttributeType::Empty => Self::Null,
        }
    }

    pub(crate) fn of_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => number.as_i64().map_or_else(|| Self::Double(number.as_f64().unwrap_or(f64::NAN)), Self::Int),
            Json::String(text) => Self::Text(text),
            Json::Array(_) => Self::Array,
            Json::Object(_) => Self::Map,
        }
    }

    pub(crate) fn class(self) -> Class {
        match self {
            Self::Null => Class::Null,
            Self::Bool(_) => Class::Boolean,
            Self::Int(_) => Class::Integer,
            Self::Double(_) => Class::Number,
            Self::Text(text) => Class::String(Length::of(text)),
            Self::Array => Class::Array,
            Self::Map => Class::Object,
        }
    }
}

/// What is said of a value that breaks a rule. Never the value itself: it may be the very thing that must not be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Missing,
    Null,
    Boolean,
    Integer,
    Number,
    String(Length),
    Array,
    Object,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Length {
    Empty,
    To8,
    To32,
    To128,
    More,
}

impl Length {
    /// By bytes: nearly characters, and nobody has to count.
    fn of(text: &str) -> Self {
        match text.len() {
            0 => Self::Empty,
            1..=8 => Self::To8,
            9..=32 => Self::To32,
            33..=128 => Self::To128,
            _ => Self::More,
        }
    }
}

impl Class {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Missing => "nothing",
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::String(Length::Empty) => "an empty string",
            Self::String(Length::To8) => "a string of 1 to 8 bytes",
            Self::String(Length::To32) => "a string of 9 to 32 bytes",
            Self::String(Length::To128) => "a string of 33 to 128 bytes",
            Self::String(Length::More) => "a string of over 128 bytes",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// An attribute as JSON.
pub(crate) fn json(kind: AttributeType, text: &str) -> Json {
    match (kind, Value::of(kind, text)) {
        (AttributeType::Array | AttributeType::Map, _) => {
            let nested = serde_json::from_str(text).unwrap_or_default();
            if kind == AttributeType::Array { array(&nested) } else { map(&nested) }
        }
        (_, Value::Bool(value)) => Json::Bool(value),
        (_, Value::Int(value)) => value.into(),
        // Neither infinities nor NaN are JSON.
        (_, Value::Double(value)) => Number::from_f64(value).map_or(Json::Null, Json::Number),
        (_, Value::Text(text)) => Json::String(text.to_owned()),
        (_, Value::Null | Value::Array | Value::Map) => Json::Null,
    }
}

/// Of a list in OTLP's own form, `[{"intValue": "1"}]`.
fn array(values: &Json) -> Json {
    Json::Array(values.as_array().into_iter().flatten().map(any_value).collect())
}

/// Of a map in OTLP's own form, `[{"key": "a", "value": {"intValue": "1"}}]`.
fn map(entries: &Json) -> Json {
    let pair = |entry: &Json| Some((entry.get("key")?.as_str()?.to_owned(), entry.get("value").map_or(Json::Null, any_value)));
    Json::Object(entries.as_array().into_iter().flatten().filter_map(pair).collect::<Map<_, _>>())
}

fn any_value(value: &Json) -> Json {
    let Some((kind, value)) = value.as_object().and_then(|fields| fields.iter().next()) else { return Json::Null };
    match kind.as_str() {
        "intValue" => match value {
            Json::String(digits) => digits.parse::<i64>().map_or(Json::Null, Json::from),
            other => other.clone(),
        },
        "arrayValue" => array(value.get("values").unwrap_or(&Json::Null)),
        "kvlistValue" => map(value.get("values").unwrap_or(&Json::Null)),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_comes_back_as_json() {
        let nested = r#"[{"key":"a","value":{"intValue":"1"}},{"key":"b","value":{"arrayValue":{"values":[{"stringValue":"x"},{"boolValue":true}]}}}]"#;
        assert_eq!(json(AttributeType::Map, nested), serde_json::json!({"a": 1, "b": ["x", true]}));
        assert_eq!(json(AttributeType::Array, r#"[{"doubleValue":1.5},{}]"#), serde_json::json!([1.5, null]));
        assert_eq!(json(AttributeType::Text, "7"), serde_json::json!("7"), "as it was sent");
        assert_eq!(json(AttributeType::Int, "-7"), serde_json::json!(-7));
        assert_eq!(json(AttributeType::Double, "NaN"), Json::Null);
    }
}
