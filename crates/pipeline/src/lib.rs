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
//! | contract: does it keep its team's contract? | `contract/` | `Admitted`, and beside it what is set aside |
//! | meter: how much did this identity send? | `meter.rs` | `Admitted` |
//! | learn: what do log lines have in common? | `patterns.rs` | `Admitted` |
//! | route: which shard takes it? | `route.rs` | `Placed` |
//!
//! What was set aside comes back by `quarantine/`: replayed records pass the same stages.
//!
//! After `Admitted` nothing can be refused for its content. Usage is measured before the shard takes the batch, and booked
//! when it has: nobody pays for what was refused.
//!
//! When you add a field to `model::Identity`, also touch `identify/sources.rs` and the goldens in `store`. When you add a
//! stage, also touch the table above. This crate knows no socket, no file and no query language.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cardinality;
mod contract;
mod identify;
mod meter;
mod patterns;
mod quarantine;
mod route;

use std::sync::Arc;

use async_trait::async_trait;
use catalog::{Catalog, Live};
use model::patterns::Patterns;
use model::{Ack, Cardinality, Decoded, Error, Ingest, Placed, RefusedRow, Rejection, Result, Table, UsageMeter};

use cardinality::Guard;
pub use cardinality::{CardinalityLimits, NowMs, OVERFLOW_VALUE};
use contract::{Bench, Contracts, Counted, InForce, Judged};
use meter::Measured;
pub use meter::{ACCOUNTS_MAX, Meter, OVERFLOW};
pub use quarantine::Quarantined;

pub struct Pipeline {
    catalog: Arc<Live>,
    meter: Arc<Meter>,
    guard: Arc<Guard>,
    patterns: Arc<Patterns>,
    contracts: InForce,
    now_ms: NowMs,
    shard: Arc<dyn Ingest<Placed>>,
}

impl Pipeline {
    pub fn new(catalog: Arc<Live>, cardinality: CardinalityLimits, now_ms: NowMs, shard: Arc<dyn Ingest<Placed>>) -> Self {
        let guard = Arc::new(Guard::new(cardinality, now_ms.clone()));
        Self { catalog, meter: Arc::default(), guard, patterns: Arc::default(), contracts: InForce::default(), now_ms, shard }
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
        let stages = self.stages(catalog_version, &catalog);
        let Staged { placed, measured, rejections, refused, counted, .. } = match batch.records.get_array_memory_size() <= INLINE_BYTES_MAX
        {
            true => stages.pass(batch)?,
            false => {
                let done = tokio::task::spawn_blocking(move || stages.pass(batch)).await;
                done.map_err(|source| Error::internal("cannot finish identifying").because(source))??
            }
        };
        let mut ack = self.shard.ingest(placed).await?;
        ack.catalog_version = catalog_version;
        if !ack.forgotten {
            self.settle(measured, &catalog, &counted, &mut ack);
            ack.rejections.extend(rejections);
            ack.refused.extend(refused);
        }
        Ok(ack)
    }
}

impl Pipeline {
    fn stages(&self, version: u64, catalog: &Arc<Catalog>) -> Stages {
        Stages {
            catalog: catalog.clone(),
            contracts: self.contracts.of(version, catalog),
            guard: self.guard.clone(),
            patterns: self.patterns.clone(),
            now_ns: (self.now_ms)().saturating_mul(1_000_000),
        }
    }

    /// Books and counts what the shard has taken.
    fn settle(&self, measured: Vec<Measured>, catalog: &Catalog, counted: &Counted, ack: &mut Ack) {
        for measured in measured {
            self.meter.book(measured, catalog, &mut ack.series);
        }
        counted.count();
    }
}

/// All that happens to a batch before its shard takes it, and what it happens by.
struct Stages {
    catalog: Arc<Catalog>,
    contracts: Arc<Contracts>,
    guard: Arc<Guard>,
    patterns: Arc<Patterns>,
    now_ns: i64,
}

/// A batch that has passed them.
struct Staged {
    placed: Placed,
    /// Of the batch, and of what is set aside of it.
    measured: Vec<Measured>,
    rejections: Vec<Rejection>,
    refused: Vec<RefusedRow>,
    counted: Counted,
    /// Of each row whether it was let in; empty when all were.
    kept: Vec<bool>,
}

impl Stages {
    fn pass(&self, batch: Decoded) -> Result<Staged> {
        let Self { catalog, contracts, guard, patterns, now_ns } = self;
        let identified = guard.guard(identify::identify(batch, catalog)?)?;
        // transform stands here; until it is built every record goes on as it is. One that drops rows must see to it that `refused` and
        // `kept` have the places of rows as they came.
        let judged = Bench { contracts, catalog, now_ns: *now_ns }.judge(identified)?;
        let Judged { admitted, rejections, refused, counted, kept } = judged;
        let batch = &admitted.batch;
        let mut measured = vec![meter::measure(batch.table, &batch.records, &batch.known)?];
        if let Some(aside) = &admitted.aside {
            measured.push(meter::measure(Table::Quarantine, aside, &model::KnownPoints::default())?);
        }
        patterns::learn(&admitted, patterns)?;
        Ok(Staged { placed: route::place(admitted), measured, rejections, refused, counted, kept })
    }
}

#[cfg(test)]
mod tests;
