//! Short words for OTLP's attribute structs, and Prometheus's remote-write message.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};

pub trait IntoValue {
    fn into_value(self) -> Value;
}

impl IntoValue for &str {
    fn into_value(self) -> Value {
        Value::StringValue(self.to_owned())
    }
}
impl IntoValue for String {
    fn into_value(self) -> Value {
        Value::StringValue(self)
    }
}
impl IntoValue for i64 {
    fn into_value(self) -> Value {
        Value::IntValue(self)
    }
}
impl IntoValue for f64 {
    fn into_value(self) -> Value {
        Value::DoubleValue(self)
    }
}
/// A list of strings.
impl IntoValue for &[&str] {
    fn into_value(self) -> Value {
        let values = self.iter().map(|text| AnyValue { value: Some(text.into_value()) }).collect();
        Value::ArrayValue(ArrayValue { values })
    }
}

pub fn attribute(key: &str, value: impl IntoValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value.into_value()) }), ..KeyValue::default() }
}

pub fn scope(name: &str) -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: name.to_owned(), version: "1.0.0".to_owned(), ..InstrumentationScope::default() })
}

/// The version of the semantic conventions whose names the simulation uses.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.40.0";

/// `prometheus.WriteRequest` of remote write 1.0.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct TimeSeries {
    /// Sorted by name, `__name__` among them.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Milliseconds.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

/// The JSON body of Loki's push API.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct LokiPush {
    pub streams: Vec<LokiStream>,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LokiStream {
    pub stream: std::collections::BTreeMap<String, String>,
    /// Nanoseconds as text, the line, structured metadata.
    pub values: Vec<(String, String, std::collections::BTreeMap<String, String>)>,
}
