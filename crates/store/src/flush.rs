//! From head to lake, exactly once: freeze, write, commit with the log position, show, sync, and only then let the log go.
//!
//! A crash between any two of these steps loses and doubles nothing: rows are in the log until the commit is durable, and
//! the next open skips every frame up to the position that the commit carries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Error, Result};
use tokio::sync::Notify;

use crate::ShardOptions;
use crate::lake::commit::LakeTable;
use crate::lake::files::LakeFile;
use crate::lake::{compact, write};
use crate::table::ShardTable;

/// How often heads are looked at for age, and replaced files for whether they may go.
const TICK: Duration = Duration::from_secs(1);

/// The lake side of one table; whoever holds its lock is the table's only committer.
pub(crate) struct Lake {
    pub(crate) table: LakeTable,
    /// Files that compaction replaced, and when: still there for scans and outside readers that know them.
    pub(crate) replaced: Vec<(Arc<LakeFile>, i64)>,
}

/// What flushing and compacting one table needs.
#[derive(Clone)]
pub(crate) struct Flusher {
    pub(crate) options: Arc<ShardOptions>,
    pub(crate) table: Arc<ShardTable>,
    pub(crate) lake: Arc<tokio::sync::Mutex<Lake>>,
}

impl Flusher {
    /// Brings everything applied up to `applied_seq` into the lake.
    pub(crate) async fn flush(&self, applied_seq: u64) -> Result<()> {
        let mut lake = self.lake.lock().await;
        self.settle(&mut lake).await?;
        // A head that an earlier flush could not write goes first, then the one filled meanwhile.
        while let Some((_, seq)) = self.table.freeze(applied_seq) {
            self.flush_frozen(&mut lake).await?;
            if seq >= applied_seq {
                break;
            }
        }
        Ok(())
    }

    async fn flush_frozen(&self, lake: &mut Lake) -> Result<()> {
        let started = Instant::now();
        let (head, seq) = self.table.freeze(0).expect("the caller has just frozen a head");
        let (options, table) = (self.options.clone(), self.table.table);
        let files = blocking(move || write::write_head(&options, table, seq, &head)).await?;
        lake.table.append(&files, seq).await?;
        self.table.thaw(files);
        self.make_durable(lake)?;
        lake.table.checkpoint().await;
        let labels = [("shard", self.options.name.clone()), ("table", table.name().to_owned())];
        metrics::histogram!("tyto_flush_seconds", &labels).record(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Merges small files while there are enough of them; says whether it did anything.
    pub(crate) async fn compact(&self) -> Result<bool> {
        let mut lake = self.lake.lock().await;
        self.settle(&mut lake).await?;
        let mut merged = false;
        loop {
            let old = compact::choose(&self.options, &self.table.files());
            if old.is_empty() {
                return Ok(merged);
            }
            let (options, table, inputs) = (self.options.clone(), self.table.table, old.clone());
            let new = blocking(move || compact::merge(&options, table, &inputs)).await?;
            let count = new.len();
            lake.table.replace(&old, &new).await?;
            self.table.replace(&old, new);
            self.make_durable(&mut lake)?;
            lake.table.checkpoint().await;
            let now = self.options.clock.now_ms();
            metrics::counter!("tyto_compacted_files_total", "shard" => self.options.name.clone(), "table" => table.name())
                .increment(old.len() as u64);
            let progress = count < old.len();
            lake.replaced.extend(old.into_iter().map(|file| (file, now)));
            merged = true;
            if !progress {
                return Ok(merged);
            }
        }
    }

    /// Deletes replaced files that no scan of this process holds and that are old enough for everybody else.
    pub(crate) async fn delete_replaced(&self) {
        let Ok(mut lake) = self.lake.try_lock() else { return };
        let age_min = i64::try_from(self.options.replaced_file_age_min.as_millis()).unwrap_or(i64::MAX);
        let now = self.options.clock.now_ms();
        lake.replaced.retain(|(file, replaced_ms)| {
            if Arc::strong_count(file) > 1 || now.saturating_sub(*replaced_ms) < age_min {
                return true;
            }
            if let Err(error) = self.options.disk.remove(&file.path) {
                tracing::warn!(path = %file.path.display(), %error, "cannot delete a replaced lake file; the next open will");
            }
            false
        });
    }

    /// Finds out what became of a commit that reported an error, and makes sure of one that was not synced.
    async fn settle(&self, lake: &mut Lake) -> Result<()> {
        if let Some((files, committed_seq)) = lake.table.resolve().await? {
            self.table.adopt(files, committed_seq);
        }
        self.make_durable(lake)
    }

    fn make_durable(&self, lake: &mut Lake) -> Result<()> {
        lake.table.sync()?;
        self.table.set_durable();
        Ok(())
    }

    fn is_due(&self) -> bool {
        let age = i64::try_from(self.options.flush_interval.as_millis()).unwrap_or(i64::MAX);
        self.table.is_due(self.options.flush_bytes, self.options.clock.now_ms().saturating_sub(age))
    }
}

/// Runs work that blocks; a panic in it becomes an error of its caller.
pub(crate) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> Result<R> + Send + 'static) -> Result<R> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("cannot finish work on a blocking thread").because(error)),
    }
}

/// The shard's one background task: flushes what is due, compacts, deletes. Ends when `step` says that the shard is gone.
pub(crate) async fn background<Step: Future<Output = bool>>(wake: Arc<Notify>, step: impl Fn() -> Step) {
    loop {
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(TICK) => {}
        }
        if !step().await {
            return;
        }
    }
}

/// One round of the background task over one table.
pub(crate) async fn tend(flusher: &Flusher, applied_seq: u64) -> Result<()> {
    if flusher.is_due() {
        flusher.flush(applied_seq).await?;
    }
    flusher.compact().await?;
    flusher.delete_replaced().await;
    Ok(())
}
