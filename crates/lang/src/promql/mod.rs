//! What does this PromQL text mean?
//!
//! Text to typed tree and back. The path: `lex.rs` (with `text.rs` for quotes) cuts tokens, `parse.rs` builds the tree
//! ([`ast`]) with `selector.rs` and `duration.rs` for what stands in braces and brackets, `check.rs` refuses what has no
//! type, `print.rs` writes the canonical form and `pretty.rs` breaks it into lines. `features.rs` says what may be switched off, `functions.rs` is the table of functions; who adds one there also adds its
//! evaluation in `query/src/promql/functions/`.
//!
//! The language is that of Prometheus 3 with everything it calls experimental; why not the `promql-parser` crate is in
//! `docs/decisions/0001-own-promql-parser.md`. This module knows no data and no time but what the text says.

pub mod ast;
mod check;
mod duration;
mod error;
mod features;
mod functions;
mod lex;
mod parse;
mod pretty;
mod print;
mod selector;
mod text;

pub use ast::Expr;
pub use check::selects_everything;
pub use error::{ParseError, Position};
pub use features::Features;
pub use functions::{FUNCTIONS, Function, Optional};
pub use lex::{parse_duration, parse_number};
pub use parse::{parse, parse_selector, parse_with};
pub use print::{format_duration, number};
pub use text::{quote, unquote};

/// Whether a metric may stand without quotes: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_plain_metric_name(name: &str) -> bool {
    is_plain(name, true)
}

/// Whether a label may stand without quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_plain_label_name(name: &str) -> bool {
    is_plain(name, false)
}

fn is_plain(name: &str, colon: bool) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colon && byte == b':');
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(is_part)
}

#[cfg(test)]
mod tests;
