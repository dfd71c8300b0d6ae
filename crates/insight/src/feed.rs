//! From the store's acknowledgement to the state that watches spans, and from there back through the pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use model::{Ack, Decoded, Error, Ingest, Placed, Result, Table};
use tokio::sync::{mpsc, watch};

use crate::{SpanOptions, SpanWatch};

/// Batches that wait to be looked at, and the memory of all of them.
const BATCHES_WAITING_MAX: usize = 1024;
const BYTES_WAITING_MAX: usize = 128 << 20;

/// Milliseconds since the Unix epoch.
pub type NowMs = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Stands before a shard and passes on to [`Feed`] the spans that it has acknowledged. Senders never wait for that: what finds no
/// room is lost to the metrics and counted, never to the store.
pub struct Overheard {
    shard: Arc<dyn Ingest<Placed>>,
    batches: mpsc::Sender<RecordBatch>,
    bytes_waiting: Arc<AtomicUsize>,
}

/// The spans that a shard has acknowledged.
pub struct Feed {
    batches: mpsc::Receiver<RecordBatch>,
    bytes_waiting: Arc<AtomicUsize>,
}

impl Overheard {
    pub fn new(shard: Arc<dyn Ingest<Placed>>) -> (Self, Feed) {
        let (sender, receiver) = mpsc::channel(BATCHES_WAITING_MAX);
        let bytes_waiting = Arc::new(AtomicUsize::new(0));
        (Self { shard, batches: sender, bytes_waiting: bytes_waiting.clone() }, Feed { batches: receiver, bytes_waiting })
    }

    fn pass_on(&self, records: RecordBatch) {
        let (spans, bytes) = (records.num_rows() as u64, records.get_array_memory_size());
        let lost = |reason: &'static str| metrics::counter!("tyto_insight_spans_lost_total", "reason" => reason).increment(spans);
        if self.bytes_waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > BYTES_WAITING_MAX {
            self.bytes_waiting.fetch_sub(bytes, Ordering::Relaxed);
            return lost("bytes_waiting_max");
        }
        if let Err(refused) = self.batches.try_send(records) {
            self.bytes_waiting.fetch_sub(bytes, Ordering::Relaxed);
            lost(if matches!(refused, mpsc::error::TrySendError::Full(_)) { "batches_waiting_max" } else { "stopped" });
        }
    }
}

#[async_trait]
impl Ingest<Placed> for Overheard {
    async fn ingest(&self, batch: Placed) -> Result<Ack> {
        let spans = (batch.table == Table::Spans).then(|| batch.records.clone());
        let ack = self.shard.ingest(batch).await?;
        if let Some(records) = spans {
            self.pass_on(records);
        }
        Ok(ack)
    }
}

impl Feed {
    /// Watches until `stopping` says so, then tells what is there to tell.
    pub async fn run(
        mut self,
        options: SpanOptions,
        now_ms: NowMs,
        into: Arc<dyn Ingest<Decoded>>,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<()> {
        let mut state = SpanWatch::new(&options, now_ms());
        let mut tick = tokio::time::interval(options.emit_interval.max(Duration::from_millis(10)));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let come = tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => break,
                _ = tick.tick() => None,
                Some(batch) = self.batches.recv() => Some(batch),
            };
            let is_time = come.is_none();
            if let Some(batch) = come {
                state = self.look(state, batch, &now_ms).await?;
            }
            if is_time || state.is_full() {
                state = emit(state, &now_ms, &*into).await?;
            }
        }
        while let Ok(batch) = self.batches.try_recv() {
            state = self.look(state, batch, &now_ms).await?;
        }
        emit(state, &now_ms, &*into).await.map(drop)
    }

    async fn look(&self, mut state: SpanWatch, batch: RecordBatch, now_ms: &NowMs) -> Result<SpanWatch> {
        let (bytes, now_ms) = (batch.get_array_memory_size(), now_ms());
        let looked = tokio::task::spawn_blocking(move || {
            if let Err(error) = state.take(&batch, now_ms) {
                metrics::counter!("tyto_insight_spans_lost_total", "reason" => "unreadable").increment(batch.num_rows() as u64);
                tracing::error!("{}", error.chain());
            }
            state
        });
        let state = looked.await.map_err(|panic| Error::internal("cannot look at spans").because(panic))?;
        self.bytes_waiting.fetch_sub(bytes, Ordering::Relaxed);
        Ok(state)
    }
}

async fn emit(mut state: SpanWatch, now_ms: &NowMs, into: &dyn Ingest<Decoded>) -> Result<SpanWatch> {
    let now_ms = now_ms();
    let told = tokio::task::spawn_blocking(move || (state.emit(now_ms), state)).await;
    let (batches, state) = told.map_err(|panic| Error::internal("cannot tell what spans say").because(panic))?;
    for batch in batches {
        let series = batch.records.num_rows() as u64;
        if let Err(error) = into.ingest(batch).await {
            metrics::counter!("tyto_insight_series_lost_total").increment(series);
            tracing::warn!("what spans say is not stored this time: {}", error.chain());
        }
    }
    Ok(state)
}
