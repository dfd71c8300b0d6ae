//! Prometheus remote write 1.0: `listen.rs` > `decode.rs`, native histograms in `native.rs`.

mod decode;
mod listen;
mod native;

pub use decode::decode_remote_write;
pub use listen::remote_write_router;
