use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use model::{Result, Table};
use parking_lot::RwLock;

use crate::head::{Frozen, Head};
use crate::lake::files::LakeFile;
use crate::lake::write::Files;
use crate::stats::TableStats;

/// One table of a shard as queries see it: files, the head being flushed, the head being filled. The three change
/// together under one lock, so that a scan that reads them at once sees each row exactly once.
pub(crate) struct ShardTable {
    pub(crate) table: Table,
    state: RwLock<State>,
    /// Bytes of both heads, read without the lock by every request.
    head_bytes: AtomicUsize,
    /// The last frame whose rows are durably in the lake.
    durable_seq: AtomicU64,
}

struct State {
    active: Head,
    /// When the oldest row of the active head came.
    active_since_ms: Option<i64>,
    /// The last frame in the active head or before.
    applied_seq: u64,
    /// The last frame in the files, durably or not yet.
    committed_seq: u64,
    frozen: Option<(Frozen, u64)>,
    files: Files,
}

/// What a scan reads: one consistent moment.
pub(crate) struct View<Active> {
    pub(crate) files: Files,
    pub(crate) frozen: Option<Frozen>,
    pub(crate) active: Active,
}

impl ShardTable {
    pub(crate) fn new(table: Table, files: Vec<Arc<LakeFile>>, committed_seq: u64) -> Self {
        let state = State {
            active: Head::new(table),
            active_since_ms: None,
            applied_seq: committed_seq,
            committed_seq,
            frozen: None,
            files: Arc::new(files),
        };
        Self { table, state: RwLock::new(state), head_bytes: AtomicUsize::new(0), durable_seq: AtomicU64::new(committed_seq) }
    }

    /// Shows a durable batch to queries.
    pub(crate) fn apply(&self, seq: u64, records: &RecordBatch, now_ms: i64) -> Result<()> {
        let mut state = self.state.write();
        state.applied_seq = seq;
        state.active_since_ms.get_or_insert(now_ms);
        let applied = state.active.apply(records);
        self.count(&state);
        applied
    }

    fn count(&self, state: &State) {
        let frozen = state.frozen.as_ref().map_or(0, |(head, _)| head.bytes());
        self.head_bytes.store(state.active.bytes() + frozen, Ordering::Relaxed);
    }

    pub(crate) fn head_bytes(&self) -> usize {
        self.head_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn durable_seq(&self) -> u64 {
        self.durable_seq.load(Ordering::Acquire)
    }

    /// What is committed is on disk now.
    pub(crate) fn set_durable(&self) {
        self.durable_seq.fetch_max(self.state.read().committed_seq, Ordering::AcqRel);
    }

    /// The head that must be written next and the log position it reaches: the one a failed flush left, else the active
    /// one, which a fresh head replaces. None when there is nothing to write. `applied_seq` is up to where *all* tables
    /// have applied the log: an active head without newer frames reaches that far.
    pub(crate) fn freeze(&self, applied_seq: u64) -> Option<(Frozen, u64)> {
        let mut state = self.state.write();
        if state.frozen.is_none() && !state.active.is_empty() {
            let successor = state.active.successor(self.table);
            let seq = state.applied_seq.max(applied_seq);
            let full = std::mem::replace(&mut state.active, successor);
            state.frozen = Some((Arc::new(full), seq));
            state.active_since_ms = None;
            self.count(&state);
        }
        state.frozen.clone()
    }

    /// The frozen head's rows are in these files from now on.
    pub(crate) fn thaw(&self, new: Vec<LakeFile>) {
        let mut state = self.state.write();
        let files = state.files.iter().cloned().chain(new.into_iter().map(Arc::new)).collect();
        state.files = Arc::new(files);
        if let Some((_, seq)) = state.frozen.take() {
            state.committed_seq = seq;
        }
        self.count(&state);
    }

    /// The table is what its log says: a commit reported an error and may have happened.
    pub(crate) fn adopt(&self, files: Vec<Arc<LakeFile>>, committed_seq: u64) {
        let mut state = self.state.write();
        state.files = Arc::new(files);
        state.committed_seq = committed_seq;
        if state.frozen.as_ref().is_some_and(|(_, seq)| *seq <= committed_seq) {
            state.frozen = None;
        }
        self.count(&state);
    }

    /// The rows of `old` are in `new` from now on.
    pub(crate) fn replace(&self, old: &[Arc<LakeFile>], new: Vec<LakeFile>) {
        let mut state = self.state.write();
        let gone = |file: &Arc<LakeFile>| old.iter().any(|other| Arc::ptr_eq(file, other));
        let kept = state.files.iter().filter(|file| !gone(file)).cloned();
        let mut files: Vec<_> = kept.chain(new.into_iter().map(Arc::new)).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        state.files = Arc::new(files);
    }

    pub(crate) fn files(&self) -> Files {
        self.state.read().files.clone()
    }

    /// The last frame up to which this table needs nothing of the log: what is durable in the lake, or everything applied
    /// when no head holds a row.
    pub(crate) fn passed_seq(&self, applied_seq: u64) -> u64 {
        let state = self.state.read();
        match state.frozen.is_none() && state.active.is_empty() && state.committed_seq <= self.durable_seq() {
            true => state.applied_seq.max(applied_seq),
            false => self.durable_seq(),
        }
    }

    /// Takes one consistent moment. `look` reads the active head under the lock and must be quick about it.
    pub(crate) fn view<Active>(&self, look: impl FnOnce(&Head) -> Active) -> View<Active> {
        let state = self.state.read();
        View { files: state.files.clone(), frozen: state.frozen.as_ref().map(|(head, _)| head.clone()), active: look(&state.active) }
    }

    /// Whether the active head is large or old enough to be flushed.
    pub(crate) fn is_due(&self, bytes: usize, born_before_ms: i64) -> bool {
        let state = self.state.read();
        state.frozen.is_some() || state.active.bytes() >= bytes || state.active_since_ms.is_some_and(|since| since <= born_before_ms)
    }

    pub(crate) fn stats(&self) -> TableStats {
        let state = self.state.read();
        let heads = || std::iter::once(&state.active).chain(state.frozen.iter().map(|(head, _)| &**head));
        TableStats {
            table: self.table,
            head_rows: heads().map(Head::rows).sum(),
            head_bytes: heads().map(|head| head.bytes() as u64).sum(),
            head_series: heads().map(Head::series).max().unwrap_or_default(),
            lake_files: state.files.len() as u64,
            lake_bytes: state.files.iter().map(|file| file.bytes).sum(),
            lake_rows: state.files.iter().map(|file| file.stats.rows).sum(),
        }
    }
}
