//! What do the stored signals answer to a question?
//!
//! When you add a language or an engine, also touch `lang` and the dispatch here. This crate knows no file layout and no HTTP.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod promql;
