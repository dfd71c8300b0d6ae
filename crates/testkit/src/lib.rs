//! How do we know that a part does what it says?
//!
//! `memory_scan.rs` is a [`model::Scan`] over batches in memory that applies filters exactly; `promqltest.rs` runs scripts
//! in Prometheus's test language against any [`model::Query`]; `suites.rs` finds the public suites.
//!
//! When you add a [`model::Test`] or a [`model::Subject`], also touch `memory_scan.rs`. Nothing here is shipped.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod memory_scan;
pub mod promqltest;
mod suites;

pub use suites::suite;
