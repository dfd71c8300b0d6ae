//! Loki push: `listen.rs` > `decode.rs` (protobuf) or `json.rs`, both onto the rows of `push.rs`; `labels.rs` reads `{a="b"}`.

mod decode;
mod json;
mod labels;
mod listen;
mod push;

pub use decode::decode_loki;
pub use json::decode_loki_json;
pub use listen::loki_router;
