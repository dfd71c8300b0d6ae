//! Fluentd's and Fluent Bit's Forward protocol: how Fluentd, Fluent Bit, FireLens, Docker's `fluentd` driver and Fluent's own
//! loggers speak. `listen.rs` (sockets, acknowledgements) > `handshake.rs` (who is there) > `decode.rs` (rows) over `msgpack.rs`
//! (bytes) and `origin.rs` (what a record says of who sent it).
//!
//! Sources: <https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1> and -v1.5,
//! <https://github.com/msgpack/msgpack/blob/master/spec.md>.

mod decode;
mod handshake;
mod listen;
mod msgpack;
mod origin;

pub use decode::{Forwarded, decode_fluent};
pub use handshake::FluentSecurity;
pub use listen::{answer_heartbeats, serve_fluent};
