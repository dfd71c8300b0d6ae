//! Syslog over UDP, TCP and TLS, in the forms of RFC 5424 and of RFC 3164, told apart message by message.
//! `listen.rs` (sockets) > `frame.rs` (where a message ends) > `queue.rs` (messages joined to batches) > `decode.rs` (rows)
//! over `message.rs` (what a message says).
//!
//! Sources: RFC 3164, RFC 5424, RFC 5425 (TLS), RFC 5426 (UDP), RFC 6587 (TCP); names by OpenTelemetry's
//! <https://opentelemetry.io/docs/specs/otel/logs/data-model-appendix/#rfc5424-syslog>.

mod decode;
mod frame;
mod listen;
mod message;
mod queue;

pub use decode::{decode_syslog, decode_syslog_stream};
pub use listen::{serve_syslog_tcp, serve_syslog_udp};
