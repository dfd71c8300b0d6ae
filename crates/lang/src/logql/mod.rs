//! What does a LogQL text say?
//!
//! Text -> [`lex`] -> [`parse`] (metric expressions) and [`stages`] (selectors and pipelines), with [`check`]'s rules
//! beyond grammar -> [`ast`] -> [`print`], broken into lines by [`pretty`]. What the engine must read the same way as the parser
//! lives here too: [`IpPattern`], [`Pattern`], [`parse_path`].
//!
//! When you add syntax, also touch the printer and the round-trip cases in `tests` below.

mod ast;
mod check;
mod ip;
mod lex;
mod parse;
mod path;
mod pattern;
mod pretty;
mod print;
mod stages;
pub(crate) mod units;

pub use crate::error::{ParseError, Pos};
pub use ast::*;
pub use ip::IpPattern;
pub(crate) use lex::escape;
pub use parse::parse;
pub use path::{PathStep, parse_path};
pub use pattern::{Pattern, PatternPart};

#[cfg(test)]
mod tests;
