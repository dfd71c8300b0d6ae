//! The tables at rest: Delta Lake over Parquet files. `docs/formats/lake.md` describes them to people without Tyto.

pub(crate) mod cache;
pub(crate) mod columns;
pub(crate) mod commit;
pub(crate) mod compact;
pub(crate) mod ends;
pub(crate) mod fields;
pub(crate) mod files;
pub(crate) mod filter;
pub(crate) mod folder;
pub(crate) mod footers;
pub(crate) mod handle;
pub(crate) mod keys;
pub(crate) mod lease;
pub(crate) mod merge;
pub(crate) mod object;
pub(crate) mod order;
pub(crate) mod place;
pub(crate) mod remote;
pub(crate) mod retain;
pub(crate) mod sums;
pub(crate) mod template;
pub(crate) mod tiers;
pub(crate) mod values;
pub(crate) mod window;
pub(crate) mod write;
