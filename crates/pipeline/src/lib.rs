//! What happens to a record between the socket and the shard?
//!
//! Path, and the states a batch passes, in the order of [`Pipeline::ingest`]:
//!
//! | stage | file | state after it |
//! |---|---|---|
//! | (read by a receiver) | | `Decoded` |
//! | identify: whose is it? | `identify/` | `Identified` |
//! | cardinality: does a label bring too many values? | `cardinality/` | `Identified` |
//! | transform: what its pipelines do to it, so that the contract judges what is stored | `transform/` | `Identified` |
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
mod transform;

use std::sync::Arc;

use async_trait::async_trait;
use catalog::{Catalog, Live};
use model::patterns::Patterns;
use model::{Ack, Admitted, Cardinality, Decoded, Error, Ingest, PipelineCount, Pipelines, Placed, Result, Table, Trial, UsageMeter};

use cardinality::Guard;
pub use cardinality::{CardinalityLimits, NowMs, OVERFLOW_VALUE};
use meter::Measured;
pub use meter::{ACCOUNTS_MAX, Meter, OVERFLOW};
use transform::{Outcome, Transform};
pub use transform::{PseudonymKey, TOLD_EVERY, try_draft};

pub struct Pipeline {
    catalog: Arc<Live>,
    meter: Arc<Meter>,
    guard: Arc<Guard>,
    patterns: Arc<Patterns>,
    transform: Arc<Transform>,
    now_ms: NowMs,
    shard: Arc<dyn Ingest<Placed>>,
}

impl Pipeline {
    pub fn new(catalog: Arc<Live>, cardinality: CardinalityLimits, now_ms: NowMs, shard: Arc<dyn Ingest<Placed>>) -> Self {
        let guard = Arc::new(Guard::new(cardinality, now_ms.clone()));
        Self { catalog, meter: Arc::default(), guard, patterns: Arc::default(), transform: Arc::default(), now_ms, shard }
    }

    /// What is known of the patterns of log lines, and is to know what comes.
    pub fn with_patterns(self, patterns: Arc<Patterns>) -> Self {
        Self { patterns, ..self }
    }

    /// By which key values become pseudonyms; without one they are hidden.
    pub fn with_pseudonyms(self, key: Option<PseudonymKey>) -> Self {
        Self { transform: Arc::new(Transform::default().with_key(key)), ..self }
    }

    /// Stores a point of every metric that pipelines count from log records: to be called every [`TOLD_EVERY`].
    pub async fn tell_metrics(&self) -> Result<()> {
        for batch in self.transform.told((self.now_ms)())? {
            self.ingest(batch).await?;
        }
        Ok(())
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
        let at = Moment { catalog_version, now_ms: (self.now_ms)() };
        // Programs of pipelines may take their time, too.
        let has_programs = batch.table == Table::Logs && !catalog.pipelines.is_empty();
        let (placed, measured, outcome) = match batch.records.get_array_memory_size() <= INLINE_BYTES_MAX && !has_programs {
            true => stages(batch, &catalog, &self.guard, &self.patterns, (&self.transform, at))?,
            false => {
                let (catalog, guard, patterns) = (catalog.clone(), self.guard.clone(), self.patterns.clone());
                let transform = self.transform.clone();
                let done = tokio::task::spawn_blocking(move || stages(batch, &catalog, &guard, &patterns, (&transform, at))).await;
                done.map_err(|source| Error::internal("cannot finish identifying").because(source))??
            }
        };
        // Of a batch whose records are all dropped by rule nothing is left to store.
        let mut ack = match outcome.dropped > 0 && placed.records.num_rows() == 0 {
            true => Ack::default(),
            false => self.shard.ingest(placed).await?,
        };
        ack.catalog_version = catalog_version;
        if !ack.forgotten {
            self.meter.book(measured, &catalog, &mut ack.series);
            ack.accepted_records += outcome.dropped;
            self.transform.book(outcome, (self.now_ms)());
        }
        Ok(ack)
    }
}

/// When a batch came, and by which catalogue it goes.
#[derive(Clone, Copy)]
struct Moment {
    catalog_version: u64,
    now_ms: i64,
}

/// All that happens to a batch before its shard takes it.
fn stages(
    batch: Decoded,
    catalog: &Catalog,
    guard: &Guard,
    known: &Patterns,
    (transform, at): (&Transform, Moment),
) -> Result<(Placed, Measured, Outcome)> {
    let identified = guard.guard(identify::identify(batch, catalog)?)?;
    let (transformed, outcome) = transform.transform(identified, (at.catalog_version, catalog), at.now_ms)?;
    // contract stands here; until it is built every record is admitted as it is.
    let admitted = Admitted(transformed.0);
    let measured = meter::measure(&admitted)?;
    patterns::learn(&admitted, known)?;
    Ok((route::place(admitted), measured, outcome))
}

#[async_trait]
impl Pipelines for Pipeline {
    fn counts(&self) -> Vec<PipelineCount> {
        self.transform.counts()
    }

    async fn try_draft(&self, file: String, text: String, tables: Vec<(String, String)>, records: Vec<serde_json::Value>) -> Result<Trial> {
        let (key, now_ms) = (self.transform.key(), (self.now_ms)());
        let tried = move || {
            let tables: Vec<(&str, &str)> = tables.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            try_draft(&file, &text, &tables, &records, key, now_ms)
        };
        tokio::task::spawn_blocking(tried).await.map_err(|source| Error::internal("cannot finish the trial").because(source))?
    }
}

#[cfg(test)]
mod tests;
