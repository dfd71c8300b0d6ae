//! Tyto's own way to take logs from anything that can POST: JSON records, one a line or in a list, and plain lines of text.
//! `listen.rs` > `decode.rs`, over `lines/`.

mod decode;
mod listen;

pub use decode::{Form, decode_json_lines};
pub use listen::json_lines_router;
