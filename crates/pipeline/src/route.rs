//! Which shard takes a batch? There is one.

use model::{Admitted, Placed, Table};

/// The shard of everything that no other claims.
pub(crate) const DEFAULT_SHARD: &str = "default";

pub(crate) fn place(Admitted { batch, aside }: Admitted) -> Placed {
    let (shard, known) = (DEFAULT_SHARD.to_owned(), batch.known);
    match aside {
        // Of a request that is set aside as a whole.
        Some(aside) if batch.records.num_rows() == 0 => Placed { shard, table: Table::Quarantine, records: aside, known, aside: None },
        aside => Placed { shard, table: batch.table, records: batch.records, known, aside },
    }
}
