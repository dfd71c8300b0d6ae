//! What waits in `quarantine`, and how it is let in or thrown away.
//!
//! The table is only ever appended to: what becomes of a record is a second row of its id (`contract/aside.rs`). The frame that brings replayed
//! records into `logs` has those rows, too, so a crash can neither lose nor double one. `read.rs` finds what waits, `groups.rs` tells it in short.

mod groups;
mod read;

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use async_trait::async_trait;
use futures::TryStreamExt;
use model::quarantine::{DISCARDED, Quarantine, RELEASED, Selector, SetAside, Settled, Waiting};
use model::{Decoded, Error, Identity, Naming, Placed, Result, Scan, Table};

use crate::contract::marks;
use crate::{Coming, Pipeline, Staged};

/// Ids that one scan looks for.
const IDS_MAX: usize = 1000;
/// Reasons that an answer tells.
const WHY_MAX: usize = 20;

/// Asks for and settles what the pipeline has set aside.
pub struct Quarantined {
    pipeline: Arc<Pipeline>,
    scan: Arc<dyn Scan>,
    /// Held from the look at what waits until it is settled: of two who replay the same record one finds it settled.
    settling: tokio::sync::Mutex<()>,
}

impl Quarantined {
    pub fn new(pipeline: Arc<Pipeline>, scan: Arc<dyn Scan>) -> Self {
        Self { pipeline, scan, settling: tokio::sync::Mutex::default() }
    }

    /// Settles what waits and is selected, part by part; each part is durable before the next begins.
    async fn settle(&self, selector: &Selector, how: How) -> Result<Settled> {
        let _only_one = self.settling.lock().await;
        let open = read::open(&*self.scan, selector).await?;
        let mut settled = Settled { selected: open.len() as u64, ..Settled::default() };
        for part in open.chunks(IDS_MAX) {
            let mut rows = read::records(&*self.scan, part).await?;
            while let Some(records) = rows.try_next().await? {
                match how {
                    How::Replay => self.replay_part(&records, &mut settled).await?,
                    How::Discard => self.discard_part(&records, &mut settled).await?,
                }
            }
        }
        metrics::counter!("tyto_quarantine_settled_records_total", "state" => RELEASED).increment(settled.released);
        metrics::counter!("tyto_quarantine_settled_records_total", "state" => DISCARDED).increment(settled.discarded);
        Ok(settled)
    }

    async fn replay_part(&self, set_aside: &RecordBatch, settled: &mut Settled) -> Result<()> {
        let (version, catalog) = self.pipeline.catalog.versioned();
        let stages = self.pipeline.stages(version, &catalog);
        let now_ns = stages.now_ms.saturating_mul(1_000_000);
        let schema = Table::Logs.schema();
        let columns = schema.fields().iter().map(|field| model::origin::flat_column(set_aside, field.name()));
        let records = RecordBatch::try_new(schema.clone(), columns.collect::<Result<Vec<_>>>()?)?;
        // Whose they are was decided when they came.
        let batch = Decoded { naming: Naming::Settled, ..Decoded::new(Table::Logs, records, "replay") };
        let staged = tokio::task::spawn_blocking(move || stages.pass(batch, Coming::Again)).await;
        let Staged { placed, measured, rejections, outcome, kept, .. } =
            staged.map_err(|source| Error::internal("cannot finish replaying").because(source))??;
        let rows = set_aside.num_rows();
        let released = match kept.is_empty() {
            true => set_aside.clone(),
            false => filter_record_batch(set_aside, &BooleanArray::from(kept))?,
        };
        for rejection in rejections {
            if settled.why.len() < WHY_MAX && !settled.why.contains(&rejection.why) {
                settled.why.push(rejection.why);
            }
        }
        settled.kept += (rows - released.num_rows()) as u64;
        if released.num_rows() == 0 {
            return Ok(());
        }
        // What breaks its contract still is there already, and of what a pipeline drops nothing but the mark is left.
        let marks = marks(&released, RELEASED, now_ns)?;
        let placed = match placed.table == Table::Logs && placed.records.num_rows() > 0 {
            true => Placed { aside: Some(marks), ..placed },
            false => Placed { table: Table::Quarantine, records: marks, aside: None, ..placed },
        };
        let mut ack = self.pipeline.shard.ingest(placed).await?;
        let logs = measured.into_iter().take(1).collect();
        self.pipeline.settle(logs, &catalog, &mut crate::contract::Counted::default(), &mut ack);
        self.pipeline.transform.book(outcome, (self.pipeline.now_ms)());
        settled.released += released.num_rows() as u64;
        Ok(())
    }

    async fn discard_part(&self, set_aside: &RecordBatch, settled: &mut Settled) -> Result<()> {
        let now_ns = (self.pipeline.now_ms)().saturating_mul(1_000_000);
        let placed = Placed {
            shard: crate::route::DEFAULT_SHARD.to_owned(),
            table: Table::Quarantine,
            records: marks(set_aside, DISCARDED, now_ns)?,
            known: model::KnownPoints::default(),
            aside: None,
        };
        self.pipeline.shard.ingest(placed).await?;
        settled.discarded += set_aside.num_rows() as u64;
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum How {
    Replay,
    Discard,
}

#[async_trait]
impl Quarantine for Quarantined {
    async fn waiting(&self, selector: &Selector) -> Result<Waiting> {
        let mut waiting = groups::of(read::open(&*self.scan, selector).await?);
        let catalog = self.pipeline.catalog.get();
        for group in &mut waiting.groups {
            let identity = Identity {
                business_service: group.business_service.clone(),
                service: group.service.clone(),
                component: group.component.clone(),
                ..Identity::default()
            };
            // Who answers for it now, whoever did then.
            group.team = catalog.declared(&identity).map(|declared| declared.team).unwrap_or_default();
        }
        Ok(waiting)
    }

    async fn one(&self, id: &str) -> Result<SetAside> {
        read::one(&*self.scan, id).await
    }

    async fn replay(&self, selector: &Selector) -> Result<Settled> {
        self.settle(selector, How::Replay).await
    }

    async fn discard(&self, selector: &Selector) -> Result<Settled> {
        self.settle(selector, How::Discard).await
    }
}
