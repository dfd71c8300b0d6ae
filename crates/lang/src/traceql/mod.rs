//! What does a TraceQL text say?
//!
//! Text -> [`lex`] -> [`parse`] (pipelines, sets of spans, aggregates), [`fields`] (what stands between braces) and [`metrics`]
//! -> [`ast`], in which [`rewrite`] works out what is constant -> [`check`] (types, and what has no meaning yet) and [`print`].
//! How values compare is told in [`value`], for constants here and for spans in the engine alike.
//!
//! [`parse`] reads whatever is TraceQL, [`read`] also checks that it can be answered.
//!
//! When you add syntax, also touch the printer and the round-trip cases in `tests` below.

mod ast;
mod check;
mod fields;
mod lex;
mod metrics;
mod parse;
mod print;
mod rewrite;
mod value;

pub use crate::error::ParseError;
pub use ast::*;
pub use check::{CheckError, check};
pub use parse::{parse, read, read_attribute};
pub use value::{Kind, Status, Value};

#[cfg(test)]
mod tests;
