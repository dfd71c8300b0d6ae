//! Where do acknowledged records live, and how are they found again?
//!
//! A [`Shard`] is one independent piece of storage: a write-ahead log, a head in memory, and one Delta table per signal.
//!
//! Write path: `shard.rs` (takes a batch) > `wal/write.rs` (one writer thread, one fsync for everybody who waits) >
//! `table.rs` (applies to the head: `head/rows.rs`, `head/series.rs`) > acknowledgement. Later `flush.rs` freezes a head,
//! `lake/write.rs` writes it as sorted Parquet (`lake/columns.rs`: sample values as `lake/values.rs` packs them, bodies as
//! `lake/template.rs` splits them, declared attributes in columns as `lake/fields.rs` moves them), `lake/commit.rs` commits it with the log position, durably through `lake/object.rs`, and the log
//! shrinks; `lake/compact.rs` chooses small files of one window of time (`lake/window.rs`), `lake/merge.rs` makes one of them.
//!
//! The way out: `hidden/` says which rows nobody shall see any more, and every scan leaves them out at once; `lake/retain.rs`
//! says which files retention takes, and `erase.rs` carries out the orders that `erasures.rs` keeps.
//!
//! `tier.rs` moves old files to cheaper places, which `lake/tiers.rs` chooses and opens.
//!
//! Where bytes go: `wal/segments.rs` (the log: `wal/files.rs` on [`Disk`], `wal/objects.rs`) and `lake/folder.rs` (the tables: local on
//! [`Disk`], `lake/remote.rs` with `lake/cache.rs` before it) over `remote.rs`, an object store; `lake/lease.rs` keeps a second writer out.
//!
//! Read path: `shard.rs` > `scan/mod.rs` (takes one consistent moment) > `scan/prune.rs` (skips files and row groups) >
//! `scan/blocks.rs` (skips blocks by page statistics and by the file's own filter, `lake/filter`; `scan/bind.rs` says where a name is,
//! `scan/probe.rs` and `scan/literals.rs` what a block must hold) > `scan/work.rs` (one unit after the other, each step on a blocking thread) >
//! `scan/read.rs` (filter columns first, the rest for what is left; `scan/filter.rs`, of bodies `scan/template.rs`) > `scan/merge.rs` (order, limit).
//!
//! Following: `follow.rs` (a batch goes to readers under the lock under which the head takes it) > `scan/follow.rs` (through a
//! request's filters, without what is hidden).
//!
//! Start: `wal/read.rs` reads what the lake has not seen; each table skips what its transaction says it holds.
//!
//! When you change bytes on disk, also touch `docs/formats/wal.md` or `docs/formats/lake.md` and add a golden file for the
//! new version under `tests/golden`. When you add a file system call that can fail, put it behind [`Disk`]: `tests/simulation/` then
//! fails it, and holds what comes back against what was sent.
//!
//! This crate knows no query language, no protocol and no HTTP.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod clock;
mod disk;
mod erase;
mod erasures;
mod flush;
mod follow;
mod head;
mod hidden;
mod lake;
mod lock;
mod options;
mod remote;
mod scan;
mod shard;
mod stats;
mod table;
mod tier;
mod varint;
mod wal;

pub use clock::{Clock, SystemClock};
pub use disk::{Disk, DiskFile, LocalDisk};
pub use options::{LakePlace, ShardOptions, Tier, TierPlace, WalPlace};
pub use remote::{Remote, RemoteOptions};
pub use shard::Shard;
pub use stats::{CacheStats, ShardStats, TableStats, TierStats};

/// Decoders of what lies on disk, for the fuzzer.
#[cfg(fuzzing)]
pub mod fuzzed {
    pub use crate::lake::filter::read_and_ask as block_filter;
    pub use crate::wal::rows::read_and_write as wal_rows;
}
