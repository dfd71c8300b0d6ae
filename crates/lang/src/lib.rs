//! What does a query's text say?
//!
//! A folder per language: text -> tokens -> tree -> text again. [`logql`].
//!
//! When you add syntax, also touch the language's printer and its round-trip cases. This crate knows no data: what a query
//! answers is `query`'s business.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod logql;
