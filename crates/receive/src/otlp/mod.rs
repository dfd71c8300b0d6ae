//! OTLP over gRPC and HTTP, in protobuf and JSON: logs, traces and metrics of every type.
//! `listen.rs` (HTTP) and `grpc.rs` > `decode.rs` > (`json.rs` >) `logs.rs`, `spans.rs`, `metrics.rs`, which all `walk.rs`.

mod decode;
mod delta;
mod grpc;
mod json;
mod labels;
mod listen;
mod logs;
mod metrics;
mod names;
mod native;
mod point;
mod reply;
mod schema;
mod spans;
mod value;
mod walk;

pub use decode::{decode_logs, decode_logs_json, decode_metrics, decode_metrics_json, decode_traces, decode_traces_json};
pub use delta::{DeltaLimits, DeltaState};
pub use grpc::otlp_grpc_routes;
pub use listen::otlp_http_router;

use model::{Decoded, Result};

use crate::outcome::Rules;

/// What a request carries; one path and one gRPC service each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignalKind {
    Logs,
    Traces,
    Metrics,
}

/// How a request is written, and so how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

impl SignalKind {
    fn decode(self, body: &[u8], encoding: Encoding, rules: &Rules<'_>, deltas: &DeltaState) -> Result<Decoded> {
        match (self, encoding) {
            (Self::Logs, Encoding::Protobuf) => decode_logs(body, rules),
            (Self::Logs, Encoding::Json) => decode_logs_json(body, rules),
            (Self::Traces, Encoding::Protobuf) => decode_traces(body, rules),
            (Self::Traces, Encoding::Json) => decode_traces_json(body, rules),
            (Self::Metrics, Encoding::Protobuf) => decode_metrics(body, rules, deltas),
            (Self::Metrics, Encoding::Json) => decode_metrics_json(body, rules, deltas),
        }
    }

    /// What a partial success calls its count.
    fn rejected_name(self) -> &'static str {
        match self {
            Self::Logs => "rejectedLogRecords",
            Self::Traces => "rejectedSpans",
            Self::Metrics => "rejectedDataPoints",
        }
    }
}
