//! Splunk's HTTP Event Collector: events as JSON objects one after the other, and raw lines.
//! `listen.rs` > `decode.rs`; `reply.rs` has Splunk's codes, `channels.rs` its acknowledgements.
//!
//! Source: <https://docs.splunk.com/Documentation/Splunk/latest/Data/FormateventsforHTTPEventCollector>.

mod channels;
mod decode;
mod listen;
mod reply;

pub use decode::{RawSaid, decode_splunk_events, decode_splunk_raw};
pub use listen::splunk_router;
