//! What does all that mean together? Metrics of spans, who calls whom, and where that differs from what teams declare.
//!
//! Write path: `feed.rs` (hears what a shard acknowledges, behind a bounded queue) > `spans/` (one state: batches in, samples out) > the
//! pipeline, as everybody's samples. Read path: `topology/` draws the map by asking for these samples, and compares it with the catalogue; `scorecard/` judges how well each component can be watched.
//!
//! When you change what is written, also touch `docs/service-graph.md` and, for the map's own samples (`spans/minutes.rs`),
//! `topology/seen.rs`, which reads them, and `docs/topology.md`.
//!
//! This crate asks and tells as any client does: it knows neither storage nor HTTP.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod feed;
pub mod scorecard;
mod spans;
pub mod topology;

pub use feed::{Feed, NowMs, Overheard};
pub use spans::{COMPONENT_ERRORS, COMPONENT_SECONDS, EDGE_ERRORS, EDGE_SECONDS, SpanOptions, SpanWatch};
