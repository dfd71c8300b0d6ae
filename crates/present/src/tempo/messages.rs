//! Tempo's messages as far as `StreamingQuerier` has them. Answers are also read from the HTTP API's JSON, which is theirs.
//! Source: <https://github.com/grafana/tempo/blob/main/pkg/tempopb/tempo.proto>.

use std::collections::BTreeMap;
use std::str::FromStr;

use prost::Message;
use serde::{Deserialize, Deserializer};

/// A number, also as text: protobuf's JSON has those of 64 bits so.
fn number<'de, D: Deserializer<'de>, T: FromStr + Default>(json: D) -> Result<T, D::Error> {
    let value = serde_json::Value::deserialize(json)?;
    let text = match &value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => return Ok(T::default()),
        other => other.to_string(),
    };
    text.parse().map_err(|_| serde::de::Error::custom(format_args!("{text:?} is no number")))
}

fn optional_number<'de, D: Deserializer<'de>, T: FromStr + Default>(json: D) -> Result<Option<T>, D::Error> {
    number(json).map(Some)
}

fn status<'de, D: Deserializer<'de>>(json: D) -> Result<i32, D::Error> {
    Ok(i32::from(String::deserialize(json)? == "PARTIAL"))
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SearchRequest {
    #[prost(btree_map = "string, string", tag = "1")]
    pub(super) tags: BTreeMap<String, String>,
    #[prost(uint32, tag = "2")]
    pub(super) min_duration_ms: u32,
    #[prost(uint32, tag = "3")]
    pub(super) max_duration_ms: u32,
    #[prost(uint32, tag = "4")]
    pub(super) limit: u32,
    /// Seconds.
    #[prost(uint32, tag = "5")]
    pub(super) start: u32,
    #[prost(uint32, tag = "6")]
    pub(super) end: u32,
    #[prost(string, tag = "8")]
    pub(super) query: String,
    #[prost(uint32, tag = "9")]
    pub(super) spans_per_span_set: u32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SearchResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) traces: Vec<TraceFound>,
    #[prost(message, optional, tag = "2")]
    pub(super) metrics: Option<SearchMetrics>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TraceFound {
    #[prost(string, tag = "1")]
    #[serde(rename = "traceID")]
    pub(super) trace_id: String,
    #[prost(string, tag = "2")]
    pub(super) root_service_name: String,
    #[prost(string, tag = "3")]
    pub(super) root_trace_name: String,
    #[prost(uint64, tag = "4")]
    #[serde(deserialize_with = "number")]
    pub(super) start_time_unix_nano: u64,
    #[prost(uint32, tag = "5")]
    pub(super) duration_ms: u32,
    #[prost(message, optional, tag = "6")]
    pub(super) span_set: Option<SpanSet>,
    #[prost(message, repeated, tag = "7")]
    pub(super) span_sets: Vec<SpanSet>,
    #[prost(btree_map = "string, message", tag = "8")]
    pub(super) service_stats: BTreeMap<String, ServiceStats>,
}

#[derive(Clone, Copy, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ServiceStats {
    #[prost(uint32, tag = "1")]
    span_count: u32,
    #[prost(uint32, tag = "2")]
    error_count: u32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SpanSet {
    #[prost(message, repeated, tag = "1")]
    spans: Vec<SpanFound>,
    #[prost(uint32, tag = "2")]
    matched: u32,
    #[prost(message, repeated, tag = "3")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SpanFound {
    #[prost(string, tag = "1")]
    #[serde(rename = "spanID")]
    span_id: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint64, tag = "3")]
    #[serde(deserialize_with = "number")]
    start_time_unix_nano: u64,
    #[prost(uint64, tag = "4")]
    #[serde(deserialize_with = "number")]
    duration_nanos: u64,
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

/// OTLP's: of its kinds one is there, so that on the wire a choice and these are the same.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AnyValue {
    #[prost(string, optional, tag = "1")]
    string_value: Option<String>,
    #[prost(bool, optional, tag = "2")]
    bool_value: Option<bool>,
    #[prost(int64, optional, tag = "3")]
    #[serde(deserialize_with = "optional_number")]
    int_value: Option<i64>,
    #[prost(double, optional, tag = "4")]
    #[serde(deserialize_with = "optional_number")]
    double_value: Option<f64>,
    #[prost(message, optional, tag = "5")]
    array_value: Option<ArrayValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SearchMetrics {
    #[prost(uint32, tag = "1")]
    pub(super) inspected_traces: u32,
    #[prost(uint64, tag = "2")]
    #[serde(deserialize_with = "number")]
    pub(super) inspected_bytes: u64,
    #[prost(uint32, tag = "4")]
    pub(super) completed_jobs: u32,
    #[prost(uint32, tag = "5")]
    pub(super) total_jobs: u32,
    #[prost(uint64, tag = "7")]
    #[serde(deserialize_with = "number")]
    pub(super) inspected_spans: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SearchTagsRequest {
    #[prost(string, tag = "1")]
    pub(super) scope: String,
    #[prost(string, tag = "2")]
    pub(super) query: String,
    #[prost(uint32, tag = "3")]
    pub(super) start: u32,
    #[prost(uint32, tag = "4")]
    pub(super) end: u32,
    #[prost(uint32, tag = "5")]
    pub(super) max_tags_per_scope: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SearchTagValuesRequest {
    #[prost(string, tag = "1")]
    pub(super) tag_name: String,
    #[prost(string, tag = "2")]
    pub(super) query: String,
    #[prost(uint32, tag = "4")]
    pub(super) start: u32,
    #[prost(uint32, tag = "5")]
    pub(super) end: u32,
    #[prost(uint32, tag = "6")]
    pub(super) max_tag_values: u32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SearchTagsResponse {
    #[prost(string, repeated, tag = "1")]
    tag_names: Vec<String>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<MetadataMetrics>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct SearchTagsV2Response {
    #[prost(message, repeated, tag = "1")]
    scopes: Vec<TagScope>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<MetadataMetrics>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct TagScope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "2")]
    tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SearchTagValuesResponse {
    #[prost(string, repeated, tag = "1")]
    tag_values: Vec<String>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<MetadataMetrics>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SearchTagValuesV2Response {
    #[prost(message, repeated, tag = "1")]
    tag_values: Vec<TagValue>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<MetadataMetrics>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct TagValue {
    #[prost(string, tag = "1")]
    #[serde(rename = "type")]
    kind: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MetadataMetrics {
    #[prost(uint64, tag = "1")]
    #[serde(deserialize_with = "number")]
    inspected_bytes: u64,
    #[prost(uint32, tag = "2")]
    total_jobs: u32,
    #[prost(uint32, tag = "3")]
    completed_jobs: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QueryRangeRequest {
    #[prost(string, tag = "1")]
    pub(super) query: String,
    /// Nanoseconds, as all times of metrics.
    #[prost(uint64, tag = "2")]
    pub(super) start: u64,
    #[prost(uint64, tag = "3")]
    pub(super) end: u64,
    #[prost(uint64, tag = "4")]
    pub(super) step: u64,
    #[prost(uint32, tag = "16")]
    pub(super) exemplars: u32,
    #[prost(uint32, tag = "17")]
    pub(super) max_series: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QueryInstantRequest {
    #[prost(string, tag = "1")]
    pub(super) query: String,
    #[prost(uint64, tag = "2")]
    pub(super) start: u64,
    #[prost(uint64, tag = "3")]
    pub(super) end: u64,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct QueryRangeResponse {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<SearchMetrics>,
    /// 0 complete, 1 partial.
    #[prost(int32, tag = "3")]
    #[serde(deserialize_with = "status")]
    status: i32,
    #[prost(string, tag = "4")]
    message: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<KeyValue>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<Exemplar>,
}

#[derive(Clone, Copy, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    #[serde(deserialize_with = "number")]
    value: f64,
    #[prost(int64, tag = "2")]
    #[serde(deserialize_with = "number")]
    timestamp_ms: i64,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<KeyValue>,
    #[prost(double, tag = "2")]
    #[serde(deserialize_with = "number")]
    value: f64,
    #[prost(int64, tag = "3")]
    #[serde(deserialize_with = "number")]
    timestamp_ms: i64,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct QueryInstantResponse {
    #[prost(message, repeated, tag = "1")]
    series: Vec<InstantSeries>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<SearchMetrics>,
    /// 0 complete, 1 partial.
    #[prost(int32, tag = "3")]
    #[serde(deserialize_with = "status")]
    status: i32,
    #[prost(string, tag = "4")]
    message: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct InstantSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<KeyValue>,
    #[prost(double, tag = "2")]
    #[serde(deserialize_with = "number")]
    value: f64,
}
