//! `omd.yaml`: business services, their services and components, owners, the rules that recognise their telemetry, what they depend on,
//! and how long it is kept.
//!
//! Path: `read.rs` (one file's tree to what it declares) > `join.rs` (what all files declare to one catalogue: who is part of whom,
//! references, contacts) > `claims.rs` (whether two components claim the same senders).

mod claims;
mod join;
mod read;

pub(crate) use join::{Declared, Known, join};
pub(crate) use read::{OmdReader, Reference, Wanted};
