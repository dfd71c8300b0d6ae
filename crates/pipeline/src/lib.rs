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
//! | contract: does it keep its team's contract? | `contract/` | `Admitted`, and beside it what is set aside |
//! | meter: how much did this identity send? | `meter.rs` | `Admitted` |
//! | learn: what do log lines have in common? | `patterns.rs` | `Admitted` |
//! | route: which shard takes it? | `route.rs` | `Placed` |
//!
//! What was set aside comes back by `quarantine/`: replayed records pass the same stages. What breaks contracts is counted in `model::Breaches`, once it is
//! stored, for whoever tells the owners.
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
mod owners;
mod patterns;
mod quarantine;
mod route;
mod transform;

use std::sync::Arc;

use async_trait::async_trait;
use catalog::{Catalog, Live};
use model::patterns::Patterns;
use model::{
    Ack, Breaches, Cardinality, ContractDraft, ContractTrials, Decoded, DraftFor, Error, Ingest, PipelineCount, Pipelines, Placed,
    RefusedRow, Rejection, Result, Table, Trial, UsageMeter,
};

use cardinality::Guard;
pub use cardinality::{CardinalityLimits, NowMs, OVERFLOW_VALUE};
use contract::{Bench, Contracts, Counted, InForce, Judged};
use meter::Measured;
pub use meter::{ACCOUNTS_MAX, Meter, OVERFLOW};
pub use quarantine::Quarantined;
use transform::{Outcome, Transform};
pub use transform::{PseudonymKey, TOLD_EVERY, try_draft};

pub struct Pipeline {
    catalog: Arc<Live>,
    meter: Arc<Meter>,
    guard: Arc<Guard>,
    patterns: Arc<Patterns>,
    transform: Arc<Transform>,
    contracts: InForce,
    /// For whoever tells the owners; nobody does without.
    breaches: Option<Arc<Breaches>>,
    now_ms: NowMs,
    shard: Arc<dyn Ingest<Placed>>,
}

impl Pipeline {
    pub fn new(catalog: Arc<Live>, cardinality: CardinalityLimits, now_ms: NowMs, shard: Arc<dyn Ingest<Placed>>) -> Self {
        let guard = Arc::new(Guard::new(cardinality, now_ms.clone()));
        Self {
            catalog,
            meter: Arc::default(),
            guard,
            patterns: Arc::default(),
            transform: Arc::default(),
            contracts: InForce::default(),
            breaches: None,
            now_ms,
            shard,
        }
    }

    /// What is known of the patterns of log lines, and is to know what comes.
    pub fn with_patterns(self, patterns: Arc<Patterns>) -> Self {
        Self { patterns, ..self }
    }

    /// What breaks contracts is counted there, so that the owners can be told.
    pub fn with_breaches(self, breaches: Option<Arc<Breaches>>) -> Self {
        Self { breaches, ..self }
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
        let stages = self.stages(catalog_version, &catalog);
        let is_long = self.transform.is_long(batch.table, (catalog_version, &catalog));
        let staged = match batch.records.get_array_memory_size() <= INLINE_BYTES_MAX && !is_long {
            true => stages.pass(batch, Coming::New)?,
            false => {
                let done = tokio::task::spawn_blocking(move || stages.pass(batch, Coming::New)).await;
                done.map_err(|source| Error::internal("cannot finish identifying").because(source))??
            }
        };
        let Staged { placed, measured, rejections, refused, mut counted, outcome, .. } = staged;
        // Of a batch whose records are all dropped by rule nothing is left to store.
        let is_empty = placed.records.num_rows() == 0 && placed.aside.is_none();
        let mut ack = match outcome.dropped() > 0 && is_empty {
            true => Ack::default(),
            false => self.shard.ingest(placed).await?,
        };
        ack.catalog_version = catalog_version;
        if !ack.forgotten {
            self.settle(measured, &catalog, &mut counted, &mut ack);
            ack.accepted_records += outcome.dropped();
            ack.rejections.extend(rejections);
            ack.refused.extend(refused);
            self.transform.book(outcome, (self.now_ms)());
        }
        Ok(ack)
    }
}

impl Pipeline {
    fn stages(&self, version: u64, catalog: &Arc<Catalog>) -> Stages {
        Stages {
            version,
            catalog: catalog.clone(),
            transform: self.transform.clone(),
            contracts: self.contracts.of(version, catalog),
            guard: self.guard.clone(),
            patterns: self.patterns.clone(),
            tells: self.breaches.is_some(),
            now_ms: (self.now_ms)(),
        }
    }

    /// Books and counts what the shard has taken.
    fn settle(&self, measured: Vec<Measured>, catalog: &Catalog, counted: &mut Counted, ack: &mut Ack) {
        for measured in measured {
            self.meter.book(measured, catalog, &mut ack.series);
        }
        counted.count(self.breaches.as_deref());
    }
}

/// All that happens to a batch before its shard takes it, and what it happens by.
struct Stages {
    version: u64,
    catalog: Arc<Catalog>,
    transform: Arc<Transform>,
    contracts: Arc<Contracts>,
    guard: Arc<Guard>,
    patterns: Arc<Patterns>,
    tells: bool,
    now_ms: i64,
}

/// Whether records come for the first time, or from quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coming {
    New,
    Again,
}

/// A batch that has passed them.
struct Staged {
    placed: Placed,
    /// Of the batch, and of what is set aside of it.
    measured: Vec<Measured>,
    rejections: Vec<Rejection>,
    refused: Vec<RefusedRow>,
    counted: Counted,
    outcome: Outcome,
    /// Of each row as it came whether it was let in, or dropped by rule; empty when all were.
    kept: Vec<bool>,
}

impl Stages {
    fn pass(&self, batch: Decoded, coming: Coming) -> Result<Staged> {
        let Self { version, catalog, transform, contracts, guard, patterns, tells, now_ms } = self;
        let identified = guard.guard(identify::identify(batch, catalog)?)?;
        let (transformed, outcome) = transform.transform(identified, (*version, catalog), *now_ms, coming)?;
        let bench = Bench { contracts, catalog, now_ns: now_ms.saturating_mul(1_000_000), tells: *tells };
        let Judged { admitted, rejections, refused, counted, kept } = bench.judge(transformed)?;
        let (refused, kept) = outcome.as_they_came(refused, kept);
        let batch = &admitted.batch;
        let mut measured = vec![meter::measure(batch.table, &batch.records, &batch.known)?];
        if let Some(aside) = &admitted.aside {
            measured.push(meter::measure(Table::Quarantine, aside, &model::KnownPoints::default())?);
        }
        patterns::learn(&admitted, patterns)?;
        Ok(Staged { placed: route::place(admitted), measured, rejections, refused, counted, outcome, kept })
    }
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

impl ContractTrials for Pipeline {
    fn draft(&self, files: &[(String, String)], whom: &DraftFor) -> Result<Box<dyn ContractDraft>> {
        Ok(Box::new(contract::Draft::read(&self.catalog.get(), files, whom, (self.now_ms)())?))
    }
}

#[cfg(test)]
mod tests;
