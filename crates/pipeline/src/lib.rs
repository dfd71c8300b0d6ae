//! What happens to a record between the socket and the shard?
//!
//! Path, and the states a batch passes, in the order of [`Pipeline::ingest`]:
//!
//! | stage | file | state after it |
//! |---|---|---|
//! | (read by a receiver) | | `Decoded` |
//! | identify: whose is it? | `identify/` | `Identified` |
//! | transform: parse, mask, sample | not built yet: its place is before the contract, which judges what is stored | `Identified` |
//! | contract: does it keep its team's contract? | not built yet: everything is admitted | `Admitted` |
//! | meter: how much did this identity send? | `meter.rs` | `Admitted` |
//! | route: which shard takes it? | `route.rs` | `Placed` |
//!
//! After `Admitted` nothing can be refused for its content. Usage is measured before the shard takes the batch, and booked
//! when it has: nobody pays for what was refused.
//!
//! When you add a field to `model::Identity`, also touch `identify/sources.rs` and the goldens in `store`. When you add a
//! stage, also touch the table above. This crate knows no socket, no file and no query language.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod identify;
mod meter;
mod route;

use std::sync::Arc;

use async_trait::async_trait;
use catalog::Live;
use model::{Ack, Admitted, Decoded, Identified, Ingest, Placed, Result, UsageMeter};

pub use meter::{IDENTITIES_MAX, Meter, OVERFLOW};

pub struct Pipeline {
    catalog: Arc<Live>,
    meter: Arc<Meter>,
    shard: Arc<dyn Ingest<Placed>>,
}

impl Pipeline {
    pub fn new(catalog: Arc<Live>, shard: Arc<dyn Ingest<Placed>>) -> Self {
        Self { catalog, meter: Arc::default(), shard }
    }

    /// What each identity has sent since the start.
    pub fn usage(&self) -> Arc<dyn UsageMeter> {
        self.meter.clone()
    }
}

#[async_trait]
impl Ingest<Decoded> for Pipeline {
    async fn ingest(&self, mut batch: Decoded) -> Result<Ack> {
        let rejections = std::mem::take(&mut batch.rejections);
        // What was refused whole has nothing to make durable.
        if batch.records.num_rows() == 0 {
            return Ok(Ack { accepted_records: 0, rejections });
        }
        let identified: Identified = identify::identify(batch, &self.catalog.get())?;
        // transform and contract stand here; until they are built every record is admitted as it is.
        let admitted = Admitted(identified.0);
        let measured = meter::measure(&admitted)?;
        let placed: Placed = route::place(admitted);
        let ack = self.shard.ingest(placed).await?;
        self.meter.book(measured);
        Ok(Ack { accepted_records: ack.accepted_records, rejections })
    }
}

#[cfg(test)]
mod tests;
