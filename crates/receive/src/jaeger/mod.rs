//! Jaeger's spans: Thrift over HTTP (`listen.rs`) and `PostSpans` over gRPC (`grpc.rs`) > `decode.rs` over `batch.rs` (Thrift, from
//! `thrift.rs`) or `proto.rs` (bytes to Jaeger's span) and `span.rs` (what that means in OpenTelemetry's words).
//! Sources: <https://www.jaegertracing.io/docs/latest/apis/>, <https://github.com/jaegertracing/jaeger-idl>.

mod batch;
mod decode;
mod grpc;
mod listen;
mod proto;
mod span;
mod thrift;

pub use decode::{decode_jaeger_proto, decode_jaeger_thrift};
pub use grpc::jaeger_grpc_routes;
pub use listen::jaeger_router;
