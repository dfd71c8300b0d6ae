//! What do the stored rows say?
//!
//! [`Engine`] answers every question of [`model::Ask`] from a [`model::Scan`], whichever API it came through.
//!
//! The read path: `engine.rs` meters and times the question and hands it to one of
//! - `engine/languages.rs`: PromQL ([`promql`]), LogQL ([`logql`]) and TraceQL ([`traceql`]), each an evaluator of its own;
//! - `sql/`: `statement.rs` (what may be asked) > `session.rs` (tables and limits) > `table.rs` and `pushdown.rs`
//!   (predicates become [`model::Filter`]s) > `newest.rs` (newest first stops early) > `exec.rs` and `unnest.rs` (rows);
//! - `series.rs` (series, label names, label values), `cardinality.rs` (who causes how many) and `metadata.rs`;
//! - `trace.rs` (a trace by its id) and `dependencies.rs` (which services call which).
//!
//! All of them read through `metered.rs`, which counts and stops; what a language's evaluator holds and how long it works,
//! `guard.rs` counts and stops. `selector.rs` has label matchers.
//!
//! When you change what a filter means in [`model::Test`], also touch `sql/pushdown.rs` and `selector.rs`.
//! When you add a SQL table or function, also touch `docs/sql.md` and `tests/cases/sql/`.
//! This crate knows no file layout, no HTTP, and no protocol's answer format.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cardinality;
mod dependencies;
mod engine;
mod guard;
pub mod logql;
mod metadata;
mod metered;
pub mod promql;
mod quantile;
mod selector;
mod series;
mod sql;
mod trace;
pub mod traceql;

pub use engine::{Engine, EngineOptions};

use model::samples::STALE_BITS;
