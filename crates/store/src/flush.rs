//! From head to lake, exactly once: freeze, write, commit durably with the log position, show, and only then let the log go.
//!
//! A crash between any two of these steps loses and doubles nothing: rows are in the log until the commit is durable, and
//! the next open skips every frame up to the position that the commit carries.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use model::{DeclaredFields, Error, Result};
use parking_lot::Mutex;
use tokio::sync::{MutexGuard, Notify};

use crate::ShardOptions;
use crate::head::Frozen;
use crate::hidden::Gone;
use crate::lake::commit::{Change, LakeTable};
use crate::lake::files::LakeFile;
use crate::lake::folder::Folder;
use crate::lake::footers::Footers;
use crate::lake::merge::{Merged, merge};
use crate::lake::retain::{Due, Ripeness};
use crate::lake::write::FileWriter;
use crate::lake::{compact, tiers, write};
use crate::table::ShardTable;

/// How often heads are looked at for age, and replaced files for whether they may go.
const TICK: Duration = Duration::from_secs(1);

/// Time between two rounds however often the background is woken: every request wakes it once a head is large.
const PAUSE: Duration = Duration::from_millis(10);
/// How often files are looked at for what is past its retention.
const RETAIN_EVERY_MS: i64 = 60_000;
/// Longest time between two tries of what keeps failing.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The lake side of one table; whoever holds its lock is the table's only committer.
pub(crate) struct Lake {
    pub(crate) table: LakeTable,
    /// Files that compaction replaced, and when: still there for scans and outside readers that know them.
    pub(crate) replaced: Vec<(Arc<LakeFile>, i64)>,
    /// The first file of the merge that failed last; the next one leaves it out, the one after that tries it again.
    choked_on: Option<String>,
    /// The shard has let go of its directory, and another process may have it.
    closed: bool,
}

/// What flushing and compacting one table needs.
#[derive(Clone)]
pub(crate) struct Flusher {
    pub(crate) options: Arc<ShardOptions>,
    pub(crate) table: Arc<ShardTable>,
    lake: Arc<tokio::sync::Mutex<Lake>>,
    /// Held for as long as files are written anew, during which flushes go on.
    pub(crate) compacting: Arc<tokio::sync::Mutex<()>>,
    retaining: Arc<Mutex<Retaining>>,
    pub(crate) tiering: Arc<Mutex<Tiering>>,
    pub(crate) backoffs: Arc<Backoffs>,
    /// Something was declared that the table may have no columns for yet.
    declared_anew: Arc<AtomicBool>,
}

#[derive(Default)]
pub(crate) struct Backoffs {
    flush: Mutex<Backoff>,
    compact: Mutex<Backoff>,
    retain: Mutex<Backoff>,
    pub(crate) tier: Mutex<Backoff>,
}

#[derive(Default)]
struct Retaining {
    ripeness: Ripeness,
    next_ms: i64,
}

#[derive(Default)]
pub(crate) struct Tiering {
    /// Tiers in which nobody has looked since the shard was opened for what a crash left.
    pub(crate) unswept: Vec<Arc<dyn Folder>>,
    /// When to look for old files again.
    pub(crate) next_ms: i64,
}

impl Flusher {
    pub(crate) fn new(
        options: Arc<ShardOptions>,
        table: Arc<ShardTable>,
        lake: LakeTable,
        replaced: Vec<(Arc<LakeFile>, i64)>,
    ) -> Result<Self> {
        let unswept = lake.tiers().iter().map(|prefix| tiers::open(&options, table.table, prefix)).collect::<Result<Vec<_>>>()?;
        let lake = Lake { table: lake, replaced, choked_on: None, closed: false };
        Ok(Self {
            options,
            table,
            lake: Arc::new(tokio::sync::Mutex::new(lake)),
            compacting: Arc::default(),
            retaining: Arc::default(),
            tiering: Arc::new(Mutex::new(Tiering { unswept, next_ms: 0 })),
            backoffs: Arc::default(),
            declared_anew: Arc::default(),
        })
    }

    /// No commit follows; returns once none is under way.
    pub(crate) async fn close(&self) {
        self.lake.lock().await.closed = true;
    }

    async fn lake(&self) -> Result<MutexGuard<'_, Lake>> {
        let lake = self.lake.lock().await;
        match lake.closed {
            true => Err(Error::unavailable("cannot change the lake: the shard is shut down")),
            false => Ok(lake),
        }
    }

    /// Brings everything applied up to `applied_seq` into the lake.
    pub(crate) async fn flush(&self, applied_seq: u64) -> Result<()> {
        let mut lake = self.lake().await?;
        self.settle(&mut lake).await?;
        // A head that an earlier flush could not write goes first, then the one filled meanwhile.
        while let Some((head, seq)) = self.freeze(applied_seq).await? {
            self.flush_frozen(&mut lake, head, seq).await?;
            if seq >= applied_seq {
                break;
            }
        }
        Ok(())
    }

    /// On a blocking thread: it waits for the fsync that the log may be in.
    async fn freeze(&self, applied_seq: u64) -> Result<Option<(Frozen, u64)>> {
        let (table, options) = (self.table.clone(), self.options.clone());
        blocking(move || table.freeze(applied_seq, &options)).await
    }

    async fn flush_frozen(&self, lake: &mut Lake, head: Frozen, seq: u64) -> Result<()> {
        let started = Instant::now();
        let (options, table) = (self.options.clone(), self.table.table);
        let declared = lake.table.fields()?;
        let files = blocking(move || {
            let folder = options.folder(table);
            FileWriter { options: &options, table, folder: &folder, declared: &declared, seq }.write_head(&head)
        });
        let files = files.await?;
        lake.table.append(&files, seq).await?;
        self.table.thaw(files);
        self.table.forget_beyond(self.options.recent_samples_bytes_max);
        lake.table.checkpoint().await;
        let labels = [("shard", self.options.name.clone()), ("table", table.name().to_owned())];
        metrics::histogram!("tyto_flush_seconds", &labels).record(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Merges small files while there are enough of them.
    pub(crate) async fn compact(&self) -> Result<()> {
        loop {
            let _only_one = self.compacting.lock().await;
            if !self.compact_once().await? {
                return Ok(());
            }
        }
    }

    /// Merges one run of small files; says whether another may follow. The lake's lock is not held meanwhile: the files of
    /// the run are changed by nobody else, and a flush must not wait for a merge.
    async fn compact_once(&self) -> Result<bool> {
        let leave_out = self.settled().await?.choked_on.take();
        let (options, table) = (self.options.clone(), self.table.clone());
        let old = blocking(move || compact::choose(&options, table.table, &table.files(), leave_out.as_deref())).await?;
        if old.is_empty() {
            return Ok(false);
        }
        let (new, _) = match self.without_past(&old).await {
            Ok(new) => new,
            Err(error) => {
                self.lake().await?.choked_on = Some(old[0].name.clone());
                return Err(error);
            }
        };
        self.count("tyto_compacted_files_total", old.len() as u64);
        self.replace(old, new).await
    }

    /// Takes away what is past its retention while there is enough of it.
    pub(crate) async fn retain(&self) -> Result<()> {
        let _only_one = self.compacting.lock().await;
        while self.retain_once().await? {}
        Ok(())
    }

    /// The rows of these files that are not past their retention, in new ones.
    async fn without_past(&self, old: &[Arc<LakeFile>]) -> Result<(Merged, Gone)> {
        let hidden = self.table.hidden(self.options.clock.now_ms()).past();
        let declared = self.settled().await?.table.fields()?;
        let (options, table, inputs) = (self.options.clone(), self.table.table, old.to_vec());
        let new = blocking(move || merge(&options, table, &declared, &inputs, &[hidden])).await?;
        let gone = new.gone[0];
        self.count("tyto_expired_records_total", gone.records);
        Ok((new, gone))
    }

    /// Commits and shows new files instead of others; says whether they are fewer.
    pub(crate) async fn replace(&self, old: Vec<Arc<LakeFile>>, new: Merged) -> Result<bool> {
        let fewer = new.files.len() < old.len();
        let rows_went = new.files.is_empty() || new.gone.iter().any(|gone| gone.any);
        self.commit(old, new.files, if rows_went { Change::RowsWent } else { Change::Merged }).await?;
        Ok(fewer)
    }

    pub(crate) async fn commit(&self, old: Vec<Arc<LakeFile>>, new: Vec<LakeFile>, change: Change) -> Result<()> {
        let mut lake = match self.settled().await {
            Ok(lake) => lake,
            Err(error) => {
                blocking(move || {
                    write::discard(&new);
                    Ok(())
                })
                .await?;
                return Err(error);
            }
        };
        lake.table.replace(&old, &new, change).await?;
        self.table.replace(&old, new);
        old.iter().for_each(|file| file.forget());
        self.table.forget_beyond(self.options.recent_samples_bytes_max);
        lake.table.checkpoint().await;
        let now = self.options.clock.now_ms();
        lake.replaced.extend(old.into_iter().map(|file| (file, now)));
        Ok(())
    }

    /// Removes files that are past their retention as a whole, or writes one anew that is past enough; says whether there
    /// may be more to do.
    async fn retain_once(&self) -> Result<bool> {
        drop(self.settled().await?);
        let now_ms = self.options.clock.now_ms();
        let hidden = self.table.hidden(now_ms).past();
        if hidden.is_empty() {
            return Ok(false);
        }
        let (table, retaining) = (self.table.clone(), self.retaining.clone());
        let due = blocking(move || {
            let files = table.files();
            retaining.lock().ripeness.due(table.table, &files, &hidden, now_ms.saturating_mul(1_000_000))
        });
        match due.await? {
            None => Ok(false),
            Some(Due::Remove(files)) => {
                let (count, bytes) = (files.len(), files.iter().map(|file| file.bytes).sum::<u64>());
                self.replace(files, Merged { files: Vec::new(), gone: Vec::new() }).await?;
                self.count("tyto_expired_files_total", count as u64);
                tracing::info!(table = self.table.table.name(), files = count, bytes, "removed what is past its retention");
                Ok(true)
            }
            Some(Due::Rewrite(file)) => {
                let (new, gone) = self.without_past(std::slice::from_ref(&file)).await?;
                if !gone.any {
                    write::discard(&new.files);
                    return Err(Error::internal(format!("cannot find what is past in {}, which was found before", file.name)));
                }
                self.replace(vec![file], new).await?;
                Ok(true)
            }
        }
    }

    /// Another retention is in force.
    pub(crate) fn retain_anew(&self) {
        *self.retaining.lock() = Retaining::default();
    }

    /// Enforces retention when it is time to; says whether there may be more to do.
    pub(crate) async fn retain_if_due(&self) -> bool {
        let now_ms = self.options.clock.now_ms();
        if now_ms < self.retaining.lock().next_ms {
            return false;
        }
        // Erasing takes long; retention comes again.
        let Ok(_only_one) = self.compacting.try_lock() else { return false };
        let more = self.attempt("enforce retention", &self.backoffs.retain, self.retain_once()).await;
        if more == Some(false) {
            self.retaining.lock().next_ms = now_ms.saturating_add(RETAIN_EVERY_MS);
        }
        more == Some(true)
    }

    fn count(&self, counter: &'static str, add: u64) {
        metrics::counter!(counter, "shard" => self.options.name.clone(), "table" => self.table.table.name()).increment(add);
    }

    /// Deletes replaced files that no scan of this process holds and that are old enough for everybody else.
    pub(crate) async fn delete_replaced(&self, footers: &Footers) {
        let Ok(mut lake) = self.lake.try_lock() else { return };
        let age_min = i64::try_from(self.options.replaced_file_age_min.as_millis()).unwrap_or(i64::MAX);
        self.delete(&mut lake, age_min, footers).await;
    }

    /// Deletes every replaced file that no scan of this process holds, however young, durably; gives how many are left.
    pub(crate) async fn delete_all_replaced(&self, footers: &Footers) -> Result<usize> {
        if self.is_unswept() {
            let _only_one = self.compacting.lock().await;
            self.sweep().await?;
        }
        let mut lake = self.lake().await?;
        self.delete(&mut lake, 0, footers).await;
        for prefix in std::iter::once(String::new()).chain(lake.table.tiers()) {
            let folder = tiers::open(&self.options, self.table.table, &prefix)?;
            let address = folder.address("");
            let synced = blocking(move || Ok(folder.sync())).await?;
            synced.map_err(|error| Error::unavailable(format!("cannot sync {address}")).because(error))?;
        }
        Ok(lake.replaced.len())
    }

    async fn delete(&self, lake: &mut Lake, age_min_ms: i64, footers: &Footers) {
        if lake.closed {
            return;
        }
        let now = self.options.clock.now_ms();
        let kept =
            |(file, replaced_ms): &(Arc<LakeFile>, i64)| Arc::strong_count(file) > 1 || now.saturating_sub(*replaced_ms) < age_min_ms;
        let (kept, mut gone): (Vec<_>, Vec<_>) = std::mem::take(&mut lake.replaced).into_iter().partition(kept);
        lake.replaced = kept;
        if gone.is_empty() {
            return;
        }
        gone.iter().for_each(|(file, _)| footers.forget(&file.name));
        let all = gone.clone();
        let rest = blocking(move || {
            // Where one cannot be deleted the others need not be tried: a place that is away takes its time to say so.
            let mut failing = HashSet::new();
            gone.retain_mut(|(file, replaced_ms)| {
                if !failing.contains(file.folder().prefix()) {
                    match file.remove() {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            tracing::warn!(path = file.address(), %error, "cannot delete a replaced lake file; will try again");
                            failing.insert(file.folder().prefix().to_owned());
                        }
                        _ => return false,
                    }
                }
                *replaced_ms = now;
                true
            });
            Ok(gone)
        });
        // After a panic they are all still to be deleted: an erasure must not take them for gone.
        lake.replaced.extend(rest.await.unwrap_or_else(|error| {
            tracing::error!(error = error.chain(), "cannot delete replaced lake files; will try again");
            all
        }));
    }

    /// Leaves nothing in the table's log of the files it once had.
    pub(crate) async fn forget_past(&self) -> Result<()> {
        self.settled().await?.table.forget_past().await
    }

    pub(crate) async fn settled(&self) -> Result<MutexGuard<'_, Lake>> {
        let mut lake = self.lake().await?;
        self.settle(&mut lake).await?;
        Ok(lake)
    }

    /// Finds out what became of a commit that reported an error, and gives the table the columns of what was declared meanwhile.
    async fn settle(&self, lake: &mut Lake) -> Result<()> {
        if let Some((files, committed_seq)) = lake.table.resolve().await? {
            let now = self.options.clock.now_ms();
            let gone = self.table.adopt(files, committed_seq);
            gone.iter().for_each(|file| file.forget());
            lake.replaced.extend(gone.into_iter().map(|file| (file, now)));
        }
        lake.table.declare(&self.table.declared()).await
    }

    /// Gives the table the columns of what was declared, before there are rows for them.
    pub(crate) async fn declare_if_due(&self) {
        if self.declared_anew.swap(false, Ordering::AcqRel) {
            let declared = self.attempt("declare fields", &self.backoffs.flush, async { self.settled().await.map(drop) }).await;
            self.declared_anew.fetch_or(declared.is_none(), Ordering::AcqRel);
        }
    }

    /// Takes up what is declared from now on.
    pub(crate) fn declare(&self, fields: &DeclaredFields) {
        for (key, why) in self.table.declare(fields) {
            let (shard, reason) = (self.options.name.clone(), why.reason());
            metrics::counter!("tyto_undeclarable_fields_total", "shard" => shard, "reason" => reason).increment(1);
            tracing::warn!(key, reason, "cannot give a declared field a column: {why}; its values stay in the attributes");
        }
        self.declared_anew.store(true, Ordering::Release);
    }

    fn is_due(&self) -> bool {
        let age = i64::try_from(self.options.flush_interval.as_millis()).unwrap_or(i64::MAX);
        self.table.is_due(self.options.flush_bytes(self.table.table), self.options.clock.now_ms().saturating_sub(age))
    }

    /// Flushes when it is time to.
    pub(crate) async fn flush_if_due(&self, applied_seq: u64) {
        if self.is_due() {
            self.attempt("flush", &self.backoffs.flush, self.flush(applied_seq)).await;
        }
    }

    /// Merges one run of small files; says whether there may be more to do. One, because due flushes come between.
    pub(crate) async fn compact_if_due(&self) -> bool {
        // Erasing takes long, and flushes must not wait for it.
        let Ok(_only_one) = self.compacting.try_lock() else { return false };
        self.attempt("compact", &self.backoffs.compact, self.compact_once()).await == Some(true)
    }

    pub(crate) fn is_unswept(&self) -> bool {
        !self.tiering.lock().unswept.is_empty()
    }

    pub(crate) async fn attempt<R>(
        &self,
        what: &'static str,
        backoff: &Mutex<Backoff>,
        work: impl Future<Output = Result<R>>,
    ) -> Option<R> {
        if !backoff.lock().is_over(self.options.clock.instant()) {
            return None;
        }
        let done = work.await;
        let wait = backoff.lock().note(done.is_ok(), self.options.clock.instant());
        done.inspect_err(|error| {
            let table = self.table.table.name();
            let labels = [("shard", self.options.name.clone()), ("table", table.to_owned())];
            metrics::counter!("tyto_flush_errors_total", &labels).increment(1);
            tracing::error!(table, error = error.chain(), again_in = ?wait, "cannot {what}; will try again");
        })
        .ok()
    }
}

/// When to try again what failed: after a tick, and each time after twice as long.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// Gives the time to wait.
    pub(crate) fn note(&mut self, worked: bool, now: Instant) -> Duration {
        self.failures = if worked { 0 } else { self.failures + 1 };
        let wait = match self.failures {
            0 => Duration::ZERO,
            failures => TICK.saturating_mul(1 << (failures - 1).min(16)).min(BACKOFF_MAX),
        };
        self.until = (!worked).then(|| now + wait);
        wait
    }
}

/// Runs work that blocks; a panic in it becomes an error of its caller.
pub(crate) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> Result<R> + Send + 'static) -> Result<R> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("cannot finish work on a blocking thread").because(error)),
    }
}

/// The shard's one background task: deletes, flushes what is due, compacts. Ends when `step` says that the shard is gone;
/// a panic in one step is a bug that must not stop all others.
pub(crate) async fn background<Step: Future<Output = bool> + Send + 'static>(wake: Arc<Notify>, step: impl Fn() -> Step) {
    loop {
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(TICK) => {}
        }
        match tokio::spawn(step()).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) if error.is_panic() => tracing::error!(%error, "the background work of a shard panicked; it goes on"),
            Err(_) => return,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn what_keeps_failing_is_tried_ever_less_often() {
        let (mut backoff, mut now) = (Backoff::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(backoff.is_over(now));
            let wait = backoff.note(false, now);
            assert!(!backoff.is_over(now));
            now += wait;
            waits.push(wait.as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.note(true, now), Duration::ZERO);
        assert!(backoff.is_over(now));
    }

    #[tokio::test]
    async fn a_panic_does_not_end_the_background() {
        let (wake, steps) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        wake.notify_one();
        let (again, counted) = (wake.clone(), steps.clone());
        background(wake, move || {
            let (again, counted) = (again.clone(), counted.clone());
            async move {
                again.notify_one();
                assert!(counted.fetch_add(1, Ordering::Relaxed) > 0, "the first step panics");
                false
            }
        })
        .await;
        assert_eq!(steps.load(Ordering::Relaxed), 2);
    }
}
