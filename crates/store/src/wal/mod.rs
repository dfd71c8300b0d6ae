//! The write-ahead log: what is acknowledged and not yet in the lake. `docs/formats/wal.md` describes the bytes.

pub(crate) mod files;
pub(crate) mod format;
pub(crate) mod objects;
pub(crate) mod points;
pub(crate) mod read;
pub(crate) mod rows;
pub(crate) mod segments;
pub(crate) mod write;
