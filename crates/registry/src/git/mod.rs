//! Repositories that are followed: by the program `git`, without a shell, each time with a deadline.
//!
//! Path: `address.rs` (what the operator writes) > `run.rs` (one call of `git`) > `read.rs` (which commit is the newest, and its files).

mod address;
mod read;
mod run;

pub use address::Address;
pub(crate) use read::{Commit, fetch, newest};
pub use read::{Head, head_of};
