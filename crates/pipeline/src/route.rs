//! Which shard takes a batch? There is one.

use model::{Admitted, Placed};

/// The shard of everything that no other claims.
pub(crate) const DEFAULT_SHARD: &str = "default";

pub(crate) fn place(Admitted(batch): Admitted) -> Placed {
    Placed { shard: DEFAULT_SHARD.to_owned(), table: batch.table, records: batch.records, known: batch.known }
}
