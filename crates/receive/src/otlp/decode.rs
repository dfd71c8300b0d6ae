//! The pure entries: bytes in, a batch out. JSON and protobuf of one request give equal batches.

use model::{Decoded, Result};

use super::delta::DeltaState;
use super::{json, logs, metrics, schema, spans};
use crate::outcome::{Rules, unreadable};

/// Decodes an `ExportLogsServiceRequest`.
pub fn decode_logs(body: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    logs::decode(body, rules).map_err(|malformed| unreadable("OTLP logs", malformed))
}

pub fn decode_logs_json(body: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    decode_logs(&json::to_protobuf(body, &schema::LOGS_REQUEST, rules.limits)?, rules)
}

/// Decodes an `ExportTraceServiceRequest`.
pub fn decode_traces(body: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    spans::decode(body, rules).map_err(|malformed| unreadable("OTLP traces", malformed))
}

pub fn decode_traces_json(body: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    decode_traces(&json::to_protobuf(body, &schema::TRACES_REQUEST, rules.limits)?, rules)
}

/// Decodes an `ExportMetricsServiceRequest`. Points of delta temporality move the sums in `deltas`.
pub fn decode_metrics(body: &[u8], rules: &Rules<'_>, deltas: &DeltaState) -> Result<Decoded> {
    metrics::decode(body, rules, deltas).map_err(|malformed| unreadable("OTLP metrics", malformed))
}

pub fn decode_metrics_json(body: &[u8], rules: &Rules<'_>, deltas: &DeltaState) -> Result<Decoded> {
    decode_metrics(&json::to_protobuf(body, &schema::METRICS_REQUEST, rules.limits)?, rules, deltas)
}
