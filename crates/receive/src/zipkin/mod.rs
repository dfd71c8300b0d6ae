//! Zipkin's spans of version 2, in JSON and protobuf: `listen.rs` > `decode.rs` over `json.rs` or `proto.rs` (bytes to Zipkin's
//! span) and `span.rs` (what that means in OpenTelemetry's words).
//! Sources: <https://zipkin.io/zipkin-api/>, <https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/>.

mod decode;
mod json;
mod listen;
mod proto;
mod span;

pub use decode::{decode_zipkin_json, decode_zipkin_proto};
pub use listen::{zipkin_port, zipkin_router};
