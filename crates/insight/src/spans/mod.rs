//! What do spans say beyond themselves? How many there are of a kind and how long they take (`calls.rs`), who calls whom
//! (`graph.rs`, over `called.rs`, `nested.rs`, `waiting.rs` and `requests.rs`), and what of that the map keeps (`minutes.rs`).
//!
//! `watch.rs` is all of it as one state: batches go in (`span.rs`, whose attributes `asked.rs` finds), samples come out. `registry.rs` holds label sets and their limit, `rows.rs` writes samples.

mod asked;
mod called;
mod calls;
mod graph;
mod latency;
mod minutes;
mod nested;
mod options;
mod registry;
mod requests;
mod rows;
mod span;
mod waiting;
mod watch;

pub use minutes::{COMPONENT_ERRORS, COMPONENT_SECONDS, EDGE_ERRORS, EDGE_SECONDS};
pub(crate) use minutes::{EDGE_LABELS, MINUTE_MS};
pub use options::SpanOptions;
pub use watch::SpanWatch;
