use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use hashbrown::HashMap;
use model::{
    Ack, Code, DeclaredFields, Erasure, ErasureOrder, Error, Following, Ingest, KnownPoints, KnownSeries, Placed, Result, Retention, Scan,
    ScanRequest, ScanStream, Table,
};
use parking_lot::MutexGuard;
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::erasures::Erasures;
use crate::flush::{self, Backoff, Flusher, blocking};
use crate::head::bytes_of;
use crate::lake::columns::wide_schema;
use crate::lake::commit::{LakeTable, Opened};
use crate::lake::footers::Footers;
use crate::lake::place;
use crate::lake::write::same_schema;
use crate::lock::lock;
use crate::table::ShardTable;
use crate::wal::format::Payload;
use crate::wal::points::PointsWriter;
use crate::wal::read::{Recovered, recover};
use crate::wal::segments::{Segments, segments};
use crate::wal::write::{Held, Sink, Taken, Wal, WriteRequest};
use crate::{ShardOptions, ShardStats, WalPlace, scan};

/// Payloads larger than this are compressed on a blocking thread.
const ENCODE_INLINE_BYTES_MAX: usize = 1 << 20;

/// One independent piece of storage: write-ahead log, head, Delta tables.
///
/// Dropping it without [`Shard::shutdown`] is a crash without its violence: what was acknowledged is in the log.
pub struct Shard {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) options: Arc<ShardOptions>,
    pub(crate) tables: Arc<Tables>,
    /// One per table, in the order of `Table::ALL`; none when reading only.
    pub(crate) flushers: Vec<Flusher>,
    pub(crate) wal: Option<Wal>,
    permits: Arc<Semaphore>,
    pub(crate) footers: Arc<Footers>,
    pub(crate) erasures: Arc<Erasures>,
    /// Held while erasures are carried out.
    pub(crate) erasing: Arc<tokio::sync::Mutex<Backoff>>,
    /// Bytes of requests that are not in a head yet.
    in_flight: Arc<AtomicUsize>,
    pub(crate) wake: Arc<Notify>,
    closed: AtomicBool,
    /// Held while this lives; the kernel lets go of it when the process dies.
    lock: Option<File>,
}

pub(crate) struct Tables {
    pub(crate) each: Vec<Arc<ShardTable>>,
    /// Every frame up to here is in its head.
    applied_seq: AtomicU64,
}

impl Tables {
    fn of(&self, table: Table) -> &Arc<ShardTable> {
        self.each.iter().find(|held| held.table == table).expect("a shard has every table")
    }

    pub(crate) fn applied_seq(&self) -> u64 {
        self.applied_seq.load(Ordering::Acquire)
    }
}

impl Shard {
    /// Opens for reading and writing, after recovering what a crash left. Only one process may: the error names it.
    pub async fn open(options: ShardOptions) -> Result<Arc<Self>> {
        let cannot_create = |error| Error::unavailable(format!("cannot create {}", options.dir.display())).because(error);
        options.disk.create_dir(&options.dir).map_err(cannot_create)?;
        let lock = lock(&options.dir)?;
        if options.wal == WalPlace::Disk {
            options.disk.create_dir(&options.wal_dir()).map_err(cannot_create)?;
        }
        let options = Arc::new(place::enter(options).await?);
        // All to their end: one that fails must not stop another between a write and its sync.
        let opened = futures::future::join_all(Table::ALL.map(|table| LakeTable::open(options.clone(), table, false))).await;
        let (mut each, mut lakes) = (Vec::new(), Vec::new());
        for (table, opened) in Table::ALL.into_iter().zip(opened) {
            let Opened { lake, files, committed_seq } = opened?.expect("a table that is opened for writing is created");
            let fields = lake.fields()?;
            let shown = ShardTable::new(table, files, committed_seq)?;
            shown.declare(&fields);
            each.push(Arc::new(shown));
            lakes.push(lake);
        }
        let tables = Arc::new(Tables { each, applied_seq: AtomicU64::new(0) });
        let log = segments(&options);
        let (replayed, target, source) = (options.clone(), tables.clone(), log.clone());
        let recovered = blocking(move || replay(&replayed, &target, &*source)).await?;
        let mut flushers = Vec::new();
        for (table, lake) in tables.each.iter().zip(lakes) {
            let replaced = lake.remove_orphans(&table.files(), recovered.last_seq).await?;
            flushers.push(Flusher::new(options.clone(), table.clone(), lake, replaced)?);
        }
        let of = options.clone();
        let erasures = Arc::new(blocking(move || Erasures::open(&of, false)).await?);
        let wake = Arc::new(Notify::new());
        let sink = Arc::new(Heads { options: options.clone(), tables: tables.clone(), wake: wake.clone() });
        let wal = Wal::start(&options, log.journal(recovered.segments), tables.applied_seq() + 1, sink)?;
        let permits = Arc::new(Semaphore::new(options.scan_threads));
        let closed = AtomicBool::new(false);
        let footers = Arc::new(Footers::new(options.footer_bytes_max, options.gram_bytes_max));
        let (in_flight, erasing, wal, lock) = (Arc::default(), Arc::default(), Some(wal), Some(lock));
        let inner = Inner { options, tables, flushers, wal, permits, footers, erasures, erasing, in_flight, wake, closed, lock };
        let shard = Arc::new(Self { inner: Arc::new(inner) });
        shard.inner.hide_orders();
        shard.inner.let_log_go().await;
        if shard.inner.options.background {
            tokio::spawn(flush::background(shard.inner.wake.clone(), {
                let weak = Arc::downgrade(&shard.inner);
                move || tend(weak.clone())
            }));
        }
        if shard.inner.options.wal == WalPlace::Object {
            tokio::spawn(keep_lease(Arc::downgrade(&shard.inner), shard.inner.options.lease_silence_max / 3));
        }
        Ok(shard)
    }

    /// Opens for reading beside a dead or a living server: takes no lock and changes nothing on disk. Shows the lake and
    /// what the log held past it, both as they were now.
    pub async fn open_read_only(options: ShardOptions) -> Result<Arc<Self>> {
        if options.lake.remote().is_none() && !options.dir.is_dir() {
            return Err(Error::new(Code::NotFound, format!("cannot open {}: there is no such directory", options.dir.display())));
        }
        let options = Arc::new(place::enter_read_only(options)?);
        // The log first: what is flushed between the two readings is then seen twice and skipped once, not lost.
        let log = segments(&options);
        let frames = blocking(move || {
            let mut frames = Vec::new();
            recover(
                &*log,
                false,
                |_, _| true,
                |seq, table, logged| {
                    frames.push((seq, table, logged));
                    Ok(())
                },
            )?;
            Ok(frames)
        })
        .await?;
        let mut each = Vec::new();
        for table in Table::ALL {
            let opened = LakeTable::open(options.clone(), table, true).await?;
            let fields = opened.as_ref().map(|opened| opened.lake.fields()).transpose()?.unwrap_or_default();
            let (files, committed_seq) = opened.map_or((Vec::new(), 0), |opened| (opened.files, opened.committed_seq));
            let shown = ShardTable::new(table, files, committed_seq)?;
            shown.declare(&fields);
            each.push(Arc::new(shown));
        }
        let tables = Tables { each, applied_seq: AtomicU64::new(0) };
        let mut slots = HashMap::new();
        for (seq, table, logged) in frames {
            let target = tables.of(table);
            if seq > target.committed_seq() {
                target.replay(seq, &logged, &mut slots, options.clock.now_ms())?;
            }
        }
        let permits = Arc::new(Semaphore::new(options.scan_threads));
        let footers = Arc::new(Footers::new(options.footer_bytes_max, options.gram_bytes_max));
        let of = options.clone();
        let erasures = Arc::new(blocking(move || Erasures::open(&of, true)).await?);
        let (tables, in_flight, wake, closed) = (Arc::new(tables), Arc::default(), Arc::default(), AtomicBool::new(false));
        let (flushers, wal, erasing, lock) = (Vec::new(), None, Arc::default(), None);
        let inner = Inner { options, tables, flushers, wal, permits, footers, erasures, erasing, in_flight, wake, closed, lock };
        inner.hide_orders();
        Ok(Arc::new(Self { inner: Arc::new(inner) }))
    }

    /// Returns when everything acknowledged before the call is in the lake.
    pub async fn flush(&self) -> Result<()> {
        let inner = self.inner.clone();
        // A task of its own: a caller that goes away must not stop between a commit and the moment the view shows it.
        run(async move { inner.flush().await }).await
    }

    /// Merges small files of every table now; the background does so by itself when there are enough.
    pub async fn compact(&self) -> Result<()> {
        let inner = self.inner.clone();
        run(async move {
            for flusher in &inner.flushers {
                flusher.compact().await?;
            }
            Ok(())
        })
        .await
    }

    /// Does now what the background does by itself once a second: deletes replaced files, flushes what is due, begins what is
    /// to be erased, takes away what is past its retention, merges one run of small files and moves one old one per table. What
    /// fails is tried again by a later round.
    pub async fn tend(&self) -> Result<()> {
        let inner = self.inner.clone();
        run(async move {
            inner.tend().await;
            for flusher in &inner.flushers {
                flusher.tier_if_due().await;
            }
            Ok(())
        })
        .await
    }

    /// Moves every file that is old enough for a tier now; the background does so by itself.
    pub async fn tier(&self) -> Result<()> {
        let inner = self.inner.clone();
        run(async move {
            for flusher in &inner.flushers {
                flusher.tier().await?;
            }
            Ok(())
        })
        .await
    }

    /// Enforces retention on every table now; the background does so by itself every minute.
    pub async fn retain(&self) -> Result<()> {
        let inner = self.inner.clone();
        run(async move {
            for flusher in &inner.flushers {
                flusher.retain().await?;
            }
            Ok(())
        })
        .await
    }

    /// How long rows are kept from now on. What is past is in no answer at once; its bytes go in the background.
    pub fn set_retention(&self, retention: Retention) {
        let retention = Arc::new(retention);
        self.inner.tables.each.iter().for_each(|table| table.hide(|hiding| hiding.retention = retention.clone()));
        self.inner.flushers.iter().for_each(Flusher::retain_anew);
        self.inner.wake.notify_one();
    }

    /// What teams declare about attributes of log records from now on: each gets a typed column, for queries at once and in the
    /// lake with what is written next. One that once had a column keeps it, whatever is declared later.
    pub fn declare(&self, fields: &DeclaredFields) {
        let logs = self.inner.flushers.iter().filter(|flusher| flusher.table.table == Table::Logs);
        logs.for_each(|flusher| flusher.declare(fields));
        self.inner.wake.notify_one();
    }

    /// Takes an order to erase. When this returns it is durable, and no scan that begins later shows its rows; their bytes
    /// go in the background, and [`Self::erasures`] says when they are gone.
    ///
    /// Erased is what matches and was acknowledged before. What matches and comes while it runs is hidden until it is done,
    /// and may be erased with it.
    pub async fn erase(&self, order: ErasureOrder) -> Result<Erasure> {
        if self.inner.wal.is_none() {
            return Err(Error::unsupported("cannot erase: the shard is open for reading only"));
        }
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(Error::unavailable("cannot erase: the shard is shut down"));
        }
        let inner = self.inner.clone();
        blocking(move || {
            let erasure = inner.erasures.accept(order, inner.options.clock.now_ms())?;
            inner.hide_orders();
            inner.wake.notify_one();
            Ok(erasure)
        })
        .await
    }

    /// Every erasure, the newest first: how far it is, and afterwards the proof.
    pub fn erasures(&self) -> Vec<Erasure> {
        self.inner.erasures.all()
    }

    /// Refuses new requests, brings everything into the lake, closes the log, lets go of the lock.
    pub async fn shutdown(&self) -> Result<()> {
        let inner = self.inner.clone();
        run(async move {
            if inner.closed.swap(true, Ordering::AcqRel) {
                return Ok(());
            }
            let Some(wal) = &inner.wal else { return Ok(()) };
            wal.refuse();
            wal.barrier().await;
            inner.tables.each.iter().for_each(|table| table.end_followers());
            let flushed = inner.flush().await;
            // The background may be in the middle of a merge: whoever opens the directory next must be alone.
            for flusher in &inner.flushers {
                flusher.close().await;
            }
            let closing = inner.clone();
            blocking(move || {
                closing.wal.iter().for_each(Wal::close);
                Ok(())
            })
            .await?;
            // A lake that lacks rows stays this directory's.
            if let Some(lease) = inner.options.lake.lease().filter(|_| flushed.is_ok())
                && let Err(error) = lease.release().await
            {
                tracing::warn!(error = error.chain(), "cannot let go of the lake; another directory must wait for it, or may not have it");
            }
            if let Some(Err(error)) = inner.lock.as_ref().map(File::unlock) {
                tracing::warn!(%error, "cannot let go of the shard's lock; the end of the process will");
            }
            flushed
        })
        .await
    }

    pub fn stats(&self) -> ShardStats {
        ShardStats {
            wal_bytes: self.inner.wal.as_ref().map_or(0, Wal::bytes),
            wal_segments: self.inner.wal.as_ref().map_or(0, Wal::segments),
            cache: self.inner.options.cache().map(|cache| cache.stats()),
            tables: self.inner.tables.each.iter().map(|table| table.stats()).collect(),
        }
    }
}

/// The writer thread holds the tables; without this it would outlive the shard.
impl Drop for Shard {
    fn drop(&mut self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.wal.iter().for_each(Wal::close);
        self.inner.tables.each.iter().for_each(|table| table.end_followers());
        self.inner.wake.notify_one();
    }
}

#[async_trait]
impl Ingest<Placed> for Shard {
    async fn ingest(&self, batch: Placed) -> Result<Ack> {
        let Some(wal) = &self.inner.wal else {
            return Err(Error::unsupported("cannot take a request: the shard is open for reading only"));
        };
        same_schema(batch.table, &batch.records)?;
        let Placed { table, records, known, aside, .. } = batch;
        let aside = aside.filter(|aside| aside.num_rows() > 0);
        aside.as_ref().map_or(Ok(()), |aside| same_schema(Table::Quarantine, aside))?;
        // Rows that were set aside stand beside others of their request.
        if aside.is_some() && records.num_rows() == 0 {
            return Err(Error::internal("cannot take rows of quarantine beside none: they are a batch of their own"));
        }
        if records.num_rows() == 0 && known.is_empty() {
            return Ok(Ack::default());
        }
        if let Some(lease) = self.inner.options.lake.lease() {
            lease.check()?;
        }
        let held = self.inner.admit(table, &records, &known, aside.as_ref())?;
        let aside_records = aside.as_ref().map_or(0, |aside| aside.num_rows() as u64);
        let accepted_records = table.records_in(&records)? + known.len() as u64 + aside_records;
        let records = match records.num_rows() {
            0 => None,
            _ => Some(encoded(records, aside.clone()).await?),
        };
        let (done, answer) = oneshot::channel();
        wal.submit(WriteRequest { table, records, aside, known, held, done })?;
        let Taken { series, forgotten } =
            answer.await.map_err(|_| Error::unavailable("cannot take a request: the log's thread has ended"))??;
        let accepted_records = if forgotten { 0 } else { accepted_records };
        Ok(Ack { accepted_records, series, forgotten, ..Ack::default() })
    }
}

/// Rows with their payload, made before they wait for the log: its thread only copies.
async fn encoded(records: RecordBatch, aside: Option<RecordBatch>) -> Result<(RecordBatch, Payload)> {
    let bytes = records.get_array_memory_size() + aside.as_ref().map_or(0, RecordBatch::get_array_memory_size);
    let is_small = bytes <= ENCODE_INLINE_BYTES_MAX;
    let encode = move || Payload::encode(&records, aside.as_ref()).map(|payload| (records, payload));
    match is_small {
        true => encode(),
        false => blocking(encode).await,
    }
}

#[async_trait]
impl Scan for Shard {
    fn schema(&self, table: Table) -> SchemaRef {
        wide_schema(table, &self.inner.tables.of(table).declared())
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanStream> {
        scan::scan(self.inner.tables.of(request.table), request, self.inner.scans())
    }

    async fn follow(&self, request: ScanRequest) -> Result<Following> {
        match self.inner.wal {
            Some(_) => scan::follow(self.inner.tables.of(request.table), request, self.inner.scans()),
            None => Err(Error::unsupported("cannot follow: the shard is open for reading only, and sees nothing arrive")),
        }
    }
}

impl Inner {
    fn scans(&self) -> scan::Shared {
        scan::Shared { options: self.options.clone(), permits: self.permits.clone(), footers: self.footers.clone() }
    }

    /// Counts a request in, or refuses it: what is admitted ends in a head, whatever else comes meanwhile. What is known of
    /// series counts against requests that bring further ones, and only those: no flush takes it from series that go on.
    fn admit(&self, table: Table, records: &RecordBatch, known: &KnownPoints, aside: Option<&RecordBatch>) -> Result<Held> {
        let max = self.options.head_bytes_max;
        let bytes = bytes_of(records) + known.bytes() + aside.map_or(0, bytes_of);
        let sum = |bytes: fn(&ShardTable) -> usize| self.tables.each.iter().map(|table| bytes(table)).sum::<usize>();
        let heads = sum(ShardTable::head_bytes);
        // Counted before it is looked at: of many at once each sees the others.
        let held = Held::new(&self.in_flight, bytes);
        let before = heads + self.in_flight.load(Ordering::Relaxed).saturating_sub(bytes);
        // A request of more than half the budget counts as that half, or it would never pass.
        let counted = bytes.min(max / 2);
        let with_series = before + sum(ShardTable::lasting_bytes);
        let what = match before + counted < max {
            true if with_series + counted < max || !self.tables.of(table).brings_series(records)? => return Ok(held),
            true => format!("cannot take new series: known series, the head and requests on their way hold {with_series} bytes"),
            false => format!("cannot take a request: the head and requests on their way hold {before} bytes"),
        };
        self.wake.notify_one();
        Err(Error::new(Code::Overloaded { retry_after_seconds: 1 }, format!("{what} (head_bytes_max {max})")))
    }

    pub(crate) async fn flush(&self) -> Result<()> {
        let applied_seq = self.tables.applied_seq();
        let flushed = futures::future::join_all(self.flushers.iter().map(|flusher| flusher.flush(applied_seq))).await;
        self.let_log_go().await;
        flushed.into_iter().collect()
    }

    async fn tend(self: &Arc<Self>) {
        // Replaced files first: on a full disk everything else waits for their room. Then heads, before long merges.
        for flusher in &self.flushers {
            flusher.delete_replaced(&self.footers).await;
        }
        for flusher in &self.flushers {
            flusher.declare_if_due().await;
            flusher.flush_if_due(self.tables.applied_seq()).await;
        }
        self.let_log_go().await;
        self.erase_if_due();
        for flusher in &self.flushers {
            // What is past need not be merged first.
            if flusher.retain_if_due().await | flusher.compact_if_due().await {
                self.wake.notify_one();
            }
        }
        self.gauge();
    }

    /// Tells the log what no table needs any more; returns when it has let go.
    pub(crate) async fn let_log_go(&self) {
        let applied_seq = self.tables.applied_seq();
        let passed = self.tables.each.iter().map(|table| table.passed_seq(applied_seq)).min();
        if let Some((wal, seq)) = self.wal.as_ref().zip(passed) {
            wal.pass(seq);
            wal.barrier().await;
        }
    }

    fn gauge(&self) {
        let shard = &self.options.name;
        for stats in self.tables.each.iter().map(|table| table.stats()) {
            let labels = [("shard", shard.clone()), ("table", stats.table.name().to_owned())];
            metrics::gauge!("tyto_head_bytes", &labels).set(stats.head_bytes as f64);
            metrics::gauge!("tyto_head_rows", &labels).set(stats.head_rows as f64);
            metrics::gauge!("tyto_lake_files", &labels).set(stats.lake_files as f64);
            metrics::gauge!("tyto_lake_bytes", &labels).set(stats.lake_bytes as f64);
            for (tier, files, bytes) in self.in_tiers(&stats) {
                let labels = [("shard", shard.clone()), ("table", stats.table.name().to_owned()), ("tier", tier)];
                metrics::gauge!("tyto_tier_files", &labels).set(files as f64);
                metrics::gauge!("tyto_tier_bytes", &labels).set(bytes as f64);
            }
            if stats.table == Table::Samples {
                metrics::gauge!("tyto_head_series", "shard" => shard.clone()).set(stats.head_series as f64);
                metrics::gauge!("tyto_known_series", "shard" => shard.clone()).set(stats.known_series as f64);
                metrics::gauge!("tyto_recent_samples_bytes", "shard" => shard.clone()).set(stats.recent_bytes as f64);
            }
        }
        let wal = self.wal.as_ref().map_or(0, Wal::bytes);
        metrics::gauge!("tyto_wal_bytes", "shard" => shard.clone()).set(wal as f64);
    }
}

/// Where the log's thread puts what is durable; wakes the background when a head has grown large.
struct Heads {
    options: Arc<ShardOptions>,
    tables: Arc<Tables>,
    wake: Arc<Notify>,
}

impl Heads {
    fn applied<R>(&self, seq: u64, table: &ShardTable, applied: Result<R>) -> Result<R> {
        if let Err(error) = &applied {
            // `ingest` has checked the schema, so this is a bug; the rows are in the log and stay there.
            let table = table.table.name();
            tracing::error!(seq, table, error = error.chain(), "cannot show a logged batch; the table is flushed no more");
        }
        self.tables.applied_seq.store(seq, Ordering::Release);
        if table.head_bytes() >= self.options.flush_bytes(table.table) {
            self.wake.notify_one();
        }
        applied
    }
}

impl Sink for Heads {
    fn begin_group(&self) -> MutexGuard<'_, PointsWriter> {
        self.tables.of(Table::Samples).begin_group()
    }

    fn encode(&self, known: &KnownPoints, writer: &mut PointsWriter) -> Result<Option<Payload>> {
        self.tables.of(Table::Samples).encode(known, writer)
    }

    fn apply(&self, seq: u64, table: Table, records: &RecordBatch, aside: Option<&RecordBatch>) -> Result<Vec<KnownSeries>> {
        let (table, now_ms) = (self.tables.of(table), self.options.clock.now_ms());
        // Before `applied` says that all tables have the frame: a flush in between would pass what it has not seen.
        let beside = aside.map_or(Ok(()), |aside| self.tables.of(Table::Quarantine).apply(seq, aside, now_ms).map(drop));
        let series = table.apply(seq, records, now_ms);
        self.applied(seq, table, beside.and(series))
    }

    fn apply_known(&self, seq: u64, known: &KnownPoints) -> Result<()> {
        let table = self.tables.of(Table::Samples);
        self.applied(seq, table, table.apply_known(seq, known, self.options.clock.now_ms()))
    }
}

/// Brings what the lake has not seen from the log into the heads.
fn replay(options: &ShardOptions, tables: &Tables, log: &dyn Segments) -> Result<Recovered> {
    let committed = tables.each.iter().map(|table| table.committed_seq()).max().unwrap_or_default();
    log.claim(committed).map_err(|error| Error::unavailable("cannot claim the log").because(error))?;
    let wanted = |table, seq| seq > tables.of(table).committed_seq();
    let mut slots = HashMap::new();
    let recovered =
        recover(log, true, wanted, |seq, table, logged| tables.of(table).replay(seq, &logged, &mut slots, options.clock.now_ms()))?;
    if recovered.torn_bytes > 0 {
        tracing::warn!(shard = options.name, bytes = recovered.torn_bytes, "cut the log behind its last whole frame: a crash left it torn");
    }
    tables.applied_seq.store(recovered.last_seq.max(committed), Ordering::Release);
    metrics::counter!("tyto_recovered_frames_total", "shard" => options.name.clone()).increment(recovered.frames);
    Ok(recovered)
}

/// Says every so often that the holder of the shard lives, as long as it does.
async fn keep_lease(inner: Weak<Inner>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let lease = inner.upgrade().filter(|inner| !inner.closed.load(Ordering::Acquire)).and_then(|inner| inner.options.lake.lease());
        let Some(lease) = lease else { return };
        if let Err(error) = lease.beat().await {
            tracing::warn!(error = error.chain(), "cannot renew the lock of the lake");
        }
    }
}

async fn tend(inner: Weak<Inner>) -> bool {
    let Some(inner) = inner.upgrade() else { return false };
    if inner.closed.load(Ordering::Acquire) {
        return false;
    }
    inner.tend().await;
    inner.begin_tiers();
    true
}

async fn run(work: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    tokio::spawn(work).await.map_err(|error| Error::internal("cannot finish work on the shard").because(error))?
}
