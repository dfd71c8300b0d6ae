//! Which catalogue is in force, since when, and who changed it?
//!
//! The catalogue consists of parts, each of one *source*: files beside the server (`local`), repositories that are followed (`git/`), and what `tyto apply`
//! sends. A change replaces all files of one source. It is read beside those of all others; what can be used becomes the next *version*, is durable in
//! the store, and then in force.
//!
//! Path of a change: `git/` or `History::apply` > `parts.rs` (the files of all sources, with those of one replaced) > `keeper.rs` (read, refused or
//! taken) > `database.rs` (SQLite or PostgreSQL) > `catalog::Live`. `follow.rs` is the start, and the loops that look for what is newer;
//! `state.rs` is what is told of it; `copy.rs` the last good version on this disk, for when the database is away.
//!
//! When you change a table, add a migration, and touch `docs/formats/catalogue.md`. The users' pages are `docs/catalogue-versions.md` and `docs/serve.md`.
//! This crate knows no HTTP, and of what is declared only whether it can be used: that is the crate `catalog`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod copy;
mod database;
mod follow;
mod git;
mod keeper;
mod parts;
mod state;

pub use database::{Added, Database, VERSIONS_MAX};
pub use git::{Address, Head, head_of};
pub use keeper::{Known, NowMs, OnChange, Options, Registry};
pub use parts::{BYTES_MAX, FILES_MAX, LOCAL, Parts, check_source};
