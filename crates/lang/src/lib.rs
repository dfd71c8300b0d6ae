//! What does this query text mean?
//!
//! One folder per language, each with its tree, lexer, parser and printer: text becomes a typed tree with the place of
//! every piece, and prints back in canonical form. [`promql`], [`logql`].
//!
//! When you add a function, an operator or syntax, also touch its evaluation in `query`, the printer, and the cases in
//! `tests/cases/`. This crate knows no data, no storage and no clock.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod logql;
pub mod promql;
