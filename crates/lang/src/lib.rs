//! What does this query text mean?
//!
//! One folder per language, each with its tree, lexer, parser and printer: text becomes a typed tree with the place of
//! every piece, and prints back in canonical form. [`promql`], [`logql`], [`traceql`].
//!
//! Regular expressions of all go through `regex_text.rs`; LogQL and TraceQL share `parser.rs`, the frame of a parser, and `error.rs`.
//!
//! When you add a function, an operator or syntax, also touch its evaluation in `query`, the printer, and the cases in
//! `tests/cases/`. This crate knows no data, no storage and no clock.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
pub mod logql;
mod parser;
pub mod promql;
mod regex_text;
pub mod traceql;

pub use regex_text::{anchored, is_brief, regex_text, searching, whole};

/// Of a query's text.
pub const QUERY_BYTES_MAX: usize = 128 << 10;
/// Regular expressions of one query.
const REGEXES_MAX: usize = 128;
/// Operators of one query, and whatever else puts one node around another without nesting in the text: a chain is as deep as
/// it is long, and the tree is walked by recursion on a thread's stack.
const OPERATORS_MAX: usize = 250;
