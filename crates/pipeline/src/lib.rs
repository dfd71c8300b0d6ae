//! What happens to a record between the socket and the shard?
//!
//! Path, and the states a batch passes, in the order of [`Pipeline::ingest`]:
//!
//! | stage | file | state after it |
//! |---|---|---|
//! | (read by a receiver) | | `Decoded` |
//! | identify: whose is it? | `identify/` | `Identified` |
//! | cardinality: does a label bring too many values? | `cardinality/` | `Identified` |
//! | transform: parse, mask, sample | not built yet: its place is before the contract, which judges what is stored | `Identified` |
//! | contract: does it keep its team's contract? | not built yet: everything is admitted | `Admitted` |
//! | meter: how much did this identity send? | `meter.rs` | `Admitted` |
//! | learn: what do log lines have in common? | `patterns.rs` | `Admitted` |
//! | route: which shard takes it? | `route.rs` | `Placed` |
//!
//! After `Admitted` nothing can be refused for its content. Usage is measured before the shard takes the batch, and booked
//! when it has: nobody pays for what was refused.
//!
//! When you add a field to `model::Identity`, also touch `identify/sources.rs` and the goldens in `store`. When you add a
//! stage, also touch the table above. This crate knows no socket, no file and no query language.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cardinality;
mod identify;
mod meter;
mod patterns;
mod route;

use std::sync::Arc;

use async_trait::async_trait;
use catalog::{Catalog, Live};
use model::patterns::Patterns;
use model::{Ack, Admitted, Cardinality, Decoded, Error, Ingest, Placed, Result, UsageMeter};

use cardinality::Guard;
pub use cardinality::{CardinalityLimits, NowMs, OVERFLOW_VALUE};
use meter::Measured;
pub use meter::{ACCOUNTS_MAX, Meter, OVERFLOW};

pub struct Pipeline {
    catalog: Arc<Live>,
    meter: Arc<Meter>,
    guard: Arc<Guard>,
    patterns: Arc<Patterns>,
    shard: Arc<dyn Ingest<Placed>>,
}

impl Pipeline {
    pub fn new(catalog: Arc<Live>, cardinality: CardinalityLimits, now_ms: NowMs, shard: Arc<dyn Ingest<Placed>>) -> Self {
        Self { catalog, meter: Arc::default(), guard: Arc::new(Guard::new(cardinality, now_ms)), patterns: Arc::default(), shard }
    }

    /// What is known of the patterns of log lines, and is to know what comes.
    pub fn with_patterns(self, patterns: Arc<Patterns>) -> Self {
        Self { patterns, ..self }
    }

    /// How many values each label brings.
    pub fn cardinality(&self) -> Arc<dyn Cardinality> {
        self.guard.clone()
    }

    /// What each identity has sent since the start.
    pub fn usage(&self) -> Arc<dyn UsageMeter> {
        self.meter.clone()
    }
}

/// Larger batches are worked on by a thread that may block: the event loop serves everybody.
const INLINE_BYTES_MAX: usize = 1 << 20;

#[async_trait]
impl Ingest<Decoded> for Pipeline {
    async fn ingest(&self, batch: Decoded) -> Result<Ack> {
        let (catalog_version, catalog) = self.catalog.versioned();
        if !batch.known.is_empty() && batch.known.catalog_version != catalog_version {
            return Ok(Ack { forgotten: true, catalog_version, ..Ack::default() });
        }
        let (placed, measured) = match batch.records.get_array_memory_size() <= INLINE_BYTES_MAX {
            true => stages(batch, &catalog, &self.guard, &self.patterns)?,
            false => {
                let (catalog, guard, patterns) = (catalog.clone(), self.guard.clone(), self.patterns.clone());
                let done = tokio::task::spawn_blocking(move || stages(batch, &catalog, &guard, &patterns)).await;
                done.map_err(|source| Error::internal("cannot finish identifying").because(source))??
            }
        };
        let mut ack = self.shard.ingest(placed).await?;
        ack.catalog_version = catalog_version;
        if !ack.forgotten {
            self.meter.book(measured, &catalog, &mut ack.series);
        }
        Ok(ack)
    }
}

/// All that happens to a batch before its shard takes it.
fn stages(batch: Decoded, catalog: &Catalog, guard: &Guard, known: &Patterns) -> Result<(Placed, Measured)> {
    let identified = guard.guard(identify::identify(batch, catalog)?)?;
    // transform and contract stand here; until they are built every record is admitted as it is.
    let admitted = Admitted(identified.0);
    let measured = meter::measure(&admitted)?;
    patterns::learn(&admitted, known)?;
    Ok((route::place(admitted), measured))
}

#[cfg(test)]
mod tests;
