//! How does what the world sends become rows?
//!
//! One folder per protocol: [`otlp`] (gRPC and HTTP, protobuf and JSON), [`remote_write`], [`loki`], [`json_lines`], [`elastic`],
//! [`splunk`], [`firehose`], [`journal`], [`syslog`], [`fluent`], [`zipkin`], [`jaeger`]; [`scrape`] and [`cloudwatch`], which ask instead of being told and have their own
//! heads. What free-form lines and documents say is found out in `lines/`; spans of others than OTLP become rows in `spans.rs`,
//! and unary gRPC calls are taken by `grpc.rs`. In each of the others, `decode.rs` is
//! pure (bytes and [`Rules`] in, [`model::Decoded`] out) and `listen.rs` is thin. A request's path:
//! `listen.rs` > `body.rs` (size, unpacking, the budget of all requests) > `decode.rs` (over `protobuf.rs`, into `model`'s
//! builders, samples through `series.rs`, known ones past it by `memo.rs`, what is refused into `outcome.rs`) > `state.rs` (hands it to [`model::Ingest`],
//! waits, turns errors into status codes). Protocols that are no HTTP have ports of their own over `sockets/`. `aws/` signs and sends what discovery and `cloudwatch/` ask AWS.
//!
//! When you change what a sender sees, also touch `docs/receive.md` and `tests/cases/receive/`; when you add a decoder, also
//! add a target in `fuzz/`.
//!
//! This crate does not know where batches go, who owns a record (identity columns stay empty), or how anything is stored.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod aws;
mod body;
pub mod cloudwatch;
pub mod elastic;
pub mod firehose;
pub mod fluent;
mod grpc;
pub mod jaeger;
pub mod journal;
pub mod json_lines;
mod lines;
pub mod loki;
mod memo;
pub mod otlp;
mod outcome;
mod protobuf;
pub mod remote_write;
pub mod scrape;
mod series;
mod sockets;
mod spans;
pub mod splunk;
mod state;
pub mod syslog;
pub mod zipkin;

pub use elastic::{elasticsearch_port, elasticsearch_router};
pub use firehose::firehose_router;
pub use fluent::{FluentSecurity, answer_heartbeats, serve_fluent};
pub use jaeger::{jaeger_grpc_routes, jaeger_router};
pub use journal::journal_router;
pub use json_lines::json_lines_router;
pub use loki::loki_router;
pub use otlp::{otlp_grpc_routes, otlp_http_router};
pub use outcome::Rules;
pub use remote_write::remote_write_router;
pub use sockets::{Tls, TlsFiles};
pub use splunk::splunk_router;
pub use state::Receivers;
pub use syslog::{serve_syslog_tcp, serve_syslog_udp};
pub use zipkin::{zipkin_port, zipkin_router};
