//! Prometheus remote write 1.0: `listen.rs` > `decode.rs`, native histograms in `native.rs`, series that came before in
//! `simple.rs`.

mod decode;
mod listen;
mod native;
mod simple;

pub use decode::decode_remote_write;
pub use listen::remote_write_router;
