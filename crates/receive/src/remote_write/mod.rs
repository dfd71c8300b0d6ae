//! Prometheus remote write: `listen.rs` > `decode.rs`, of which version 2.0 is in `version2.rs`; native histograms in
//! `native.rs`, series that came before in `simple.rs`, texts to refer to in `symbols.rs`.

mod decode;
mod listen;
pub(crate) mod native;
mod simple;
mod symbols;
mod version2;

pub use decode::{decode_remote_write, decode_remote_write_2};
pub use listen::remote_write_router;
