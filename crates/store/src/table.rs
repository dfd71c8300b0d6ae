use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use hashbrown::HashMap;
use model::{Code, DeclaredFields, Error, KnownPoints, KnownSeries, Result, Table, Undeclarable};
use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::ShardOptions;
use crate::follow::{Follower, Followers};
use crate::head::{Block, Frozen, Head};
use crate::hidden::{Hidden, Hiding};
use crate::lake::files::LakeFile;
use crate::lake::write::Files;
use crate::stats::{TableStats, TierStats};
use crate::wal::format::{Logged, Payload};
use crate::wal::points::{Definition, PointsFrame, PointsWriter};

/// One table of a shard as queries see it: files, the head being flushed, the head being filled. The three change
/// together under one lock, so that a scan that reads them at once sees each row exactly once.
pub(crate) struct ShardTable {
    pub(crate) table: Table,
    state: RwLock<State>,
    hiding: RwLock<Hiding>,
    /// The attributes that have columns, in the lake or as soon as something is written.
    declared: RwLock<Arc<DeclaredFields>>,
    /// Bytes of both heads, and of what lasts from head to head, read without the lock by every request.
    head_bytes: AtomicUsize,
    lasting_bytes: AtomicUsize,
    /// Held while the log writes a group, and while the active head is frozen: a definition in the log and the points that
    /// rely on it are in one head, or the log would let go of the first before the second.
    logged: Mutex<PointsWriter>,
    /// Who reads rows as they come.
    followers: Followers,
}

struct State {
    active: Head,
    /// When the oldest row of the active head came.
    active_since_ms: Option<i64>,
    /// The last frame in the active head or before.
    applied_seq: u64,
    /// The last frame whose rows are in the files.
    committed_seq: u64,
    /// The first frame that the log holds and the head could not take. Nothing is flushed from then on: the lake's position
    /// would pass the frame, and the log let it go.
    stuck: Option<u64>,
    frozen: Option<(Frozen, u64)>,
    files: Files,
}

impl State {
    fn view<Taken>(&self, take: impl Fn(&Head) -> Taken) -> View<Taken> {
        let heads = self.frozen.iter().map(|(head, _)| &**head).chain([&self.active]);
        View { files: self.files.clone(), heads: heads.map(take).collect() }
    }
}

/// What a scan reads: one consistent moment.
pub(crate) struct View<Taken> {
    pub(crate) files: Files,
    /// Of the head being flushed, where there is one, and of the head being filled.
    pub(crate) heads: Vec<Taken>,
}

impl ShardTable {
    pub(crate) fn new(table: Table, files: Vec<Arc<LakeFile>>, committed_seq: u64) -> Result<Self> {
        let state = State {
            active: Head::new(table),
            active_since_ms: None,
            applied_seq: committed_seq,
            committed_seq,
            stuck: None,
            frozen: None,
            files: Arc::new(files),
        };
        let logged = Mutex::new(PointsWriter::new()?);
        let (head_bytes, lasting_bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Ok(Self {
            table,
            state: RwLock::new(state),
            hiding: RwLock::default(),
            declared: RwLock::default(),
            head_bytes,
            lasting_bytes,
            logged,
            followers: Followers::default(),
        })
    }

    /// Changes what nobody shall see, from the next scan on.
    pub(crate) fn hide(&self, change: impl FnOnce(&mut Hiding)) {
        change(&mut self.hiding.write());
    }

    pub(crate) fn declared(&self) -> Arc<DeclaredFields> {
        self.declared.read().clone()
    }

    /// Gives attributes columns from the next scan on. One that has a column keeps it, for ever; gives those that cannot have the
    /// one they are declared with.
    pub(crate) fn declare(&self, fields: &DeclaredFields) -> Vec<(String, Undeclarable)> {
        let mut declared = self.declared.write();
        let mut all = (**declared).clone();
        let refused = fields.iter().filter_map(|field| Some((field.key.clone(), all.add(&field.key, field.kind).err()?))).collect();
        *declared = Arc::new(all);
        refused
    }

    pub(crate) fn hidden(&self, now_ms: i64) -> Hidden {
        self.hiding.read().at(self.table, now_ms)
    }

    /// Shows a durable batch to queries; gives the series of each row, where rows are series. After an error the table takes
    /// it as logged and never flushes past it.
    pub(crate) fn apply(&self, seq: u64, records: &RecordBatch, now_ms: i64) -> Result<Vec<KnownSeries>> {
        self.change(seq, now_ms, |head| {
            let followed = self.followers.any().then(|| Block::new(self.table, records.clone())).transpose()?;
            let series = head.apply(records, now_ms)?;
            followed.into_iter().for_each(|block| self.followers.offer(&Arc::new(block)));
            Ok(series)
        })
    }

    /// The same for points of series that [`Self::encode`] has found known.
    pub(crate) fn apply_known(&self, seq: u64, known: &KnownPoints, now_ms: i64) -> Result<()> {
        self.change(seq, now_ms, |head| {
            let points = known.runs().flat_map(|(series, range)| range.map(move |at| (series.slot, known.times_ms[at], known.values[at])));
            head.as_series_mut()?.push_known(points);
            Ok(())
        })
    }

    /// Shows what was read back from the log. `slots` keeps what the log's slots mean here.
    pub(crate) fn replay(&self, seq: u64, logged: &Logged, slots: &mut HashMap<u32, u32>, now_ms: i64) -> Result<()> {
        self.change(seq, now_ms, |head| {
            let PointsFrame { definitions, points } = match logged {
                Logged::Batch(records) => return head.apply(records, now_ms).map(drop),
                Logged::Points(frame) => frame,
            };
            let head = head.as_series_mut()?;
            for Definition { slot, series_id, key } in definitions {
                slots.insert(*slot, head.define(key, *series_id, now_ms));
            }
            if let Some((slot, ..)) = points.iter().find(|(slot, ..)| !slots.contains_key(slot)) {
                let why = format!("slot {slot} was not defined before");
                return Err(Error::new(Code::Corrupt, format!("cannot take frame {seq} of the log")).because(why));
            }
            head.push_known(points.iter().map(|(slot, time_ms, value)| (slots[slot], *time_ms, *value)));
            Ok(())
        })
    }

    fn change<R>(&self, seq: u64, now_ms: i64, change: impl FnOnce(&mut Head) -> Result<R>) -> Result<R> {
        let mut state = self.state.write();
        state.active_since_ms.get_or_insert(now_ms);
        let changed = change(&mut state.active);
        match changed {
            Ok(_) => state.applied_seq = seq,
            Err(_) => state.stuck = state.stuck.or(Some(seq)),
        }
        self.count(&state);
        changed
    }

    /// Taken while the log writes a group.
    pub(crate) fn begin_group(&self) -> MutexGuard<'_, PointsWriter> {
        self.logged.lock()
    }

    /// Points as the log writes them; none when one of their series is known no more.
    pub(crate) fn encode(&self, known: &KnownPoints, writer: &mut PointsWriter) -> Result<Option<Payload>> {
        let state = self.state.read();
        let registry = state.active.as_series()?.registry();
        match known.series.iter().all(|series| registry.knows(*series)) {
            true => writer.encode(known, |slot| registry.get(slot)).map(Some),
            false => Ok(None),
        }
    }

    fn count(&self, state: &State) {
        let frozen = state.frozen.as_ref().map_or(0, |(head, _)| head.bytes());
        self.head_bytes.store(state.active.bytes() + frozen, Ordering::Relaxed);
        self.lasting_bytes.store(state.active.lasting_bytes(), Ordering::Relaxed);
    }

    pub(crate) fn head_bytes(&self) -> usize {
        self.head_bytes.load(Ordering::Relaxed)
    }

    /// What a flush does not free.
    pub(crate) fn lasting_bytes(&self) -> usize {
        self.lasting_bytes.load(Ordering::Relaxed)
    }

    /// Whether the rows would make it hold more of that.
    pub(crate) fn brings_series(&self, records: &RecordBatch) -> Result<bool> {
        match &self.state.read().active {
            Head::Rows(_) => Ok(false),
            Head::Series(head) => head.brings_series(records),
        }
    }

    /// The last frame whose rows are in the lake, durably: a commit is durable or it is not there.
    pub(crate) fn committed_seq(&self) -> u64 {
        self.state.read().committed_seq
    }

    /// The head that must be written next and the log position it reaches: the one a failed flush left, else the active
    /// one, which a fresh head replaces. None when there is nothing to write. `applied_seq` is up to where *all* tables
    /// have applied the log: an active head without newer frames reaches that far. Waits for the group that the log writes.
    pub(crate) fn freeze(&self, applied_seq: u64, options: &ShardOptions) -> Result<Option<(Frozen, u64)>> {
        let mut logged = self.logged.lock();
        let mut state = self.state.write();
        if let Some(seq) = state.stuck.filter(|_| state.frozen.is_none()) {
            let what = format!("cannot flush {}: frame {seq} of the log could not be taken into the head", self.table.name());
            return Err(Error::internal(what));
        }
        if state.frozen.is_none() && !state.active.is_empty() {
            logged.begin();
            let successor = state.active.successor(self.table, options);
            let seq = state.applied_seq.max(applied_seq);
            let full = std::mem::replace(&mut state.active, successor);
            state.frozen = Some((Arc::new(full), seq));
            state.active_since_ms = None;
            self.count(&state);
        }
        Ok(state.frozen.clone())
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

    /// The table is what its log says: a commit reported an error and may have happened. Gives the files that went.
    pub(crate) fn adopt(&self, files: Vec<Arc<LakeFile>>, committed_seq: u64) -> Vec<Arc<LakeFile>> {
        let mut state = self.state.write();
        let gone = state.files.iter().filter(|held| !files.iter().any(|file| file.name == held.name)).cloned().collect();
        // A file that stays is the same one, not its equal: whoever holds it keeps it from being deleted.
        let held = |file: Arc<LakeFile>| state.files.iter().find(|held| held.name == file.name).cloned().unwrap_or(file);
        state.files = Arc::new(files.into_iter().map(held).collect());
        state.committed_seq = committed_seq;
        if state.frozen.as_ref().is_some_and(|(_, seq)| *seq <= committed_seq) {
            state.frozen = None;
        }
        self.count(&state);
        gone
    }

    /// The rows of `old` are in `new` from now on.
    pub(crate) fn replace(&self, old: &[Arc<LakeFile>], new: Vec<LakeFile>) {
        let mut state = self.state.write();
        let gone = |file: &Arc<LakeFile>| old.iter().any(|other| other.name == file.name);
        let kept = state.files.iter().filter(|file| !gone(file)).cloned();
        let mut files: Vec<_> = kept.chain(new.into_iter().map(Arc::new)).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        state.files = Arc::new(files);
    }

    /// Of the rows of files that are in memory beside them, keeps the newest that have room.
    pub(crate) fn forget_beyond(&self, bytes_max: usize) {
        let (mut used, mut is_full) = (0, false);
        for file in self.files().iter().rev() {
            let bytes = file.remembered_bytes();
            is_full |= used + bytes > bytes_max;
            match is_full {
                true => file.forget(),
                false => used += bytes,
            }
        }
    }

    pub(crate) fn files(&self) -> Files {
        self.state.read().files.clone()
    }

    /// The last frame up to which this table needs nothing of the log: what is in the lake, or everything applied when no
    /// head holds a row.
    pub(crate) fn passed_seq(&self, applied_seq: u64) -> u64 {
        let state = self.state.read();
        match state.frozen.is_none() && state.active.is_empty() && state.stuck.is_none() {
            true => state.applied_seq.max(applied_seq),
            false => state.committed_seq,
        }
    }

    /// Takes one consistent moment. `take` reads a head under the lock and must be quick about it: what the head calls its
    /// series may be forgotten once it is flushed.
    pub(crate) fn view<Taken>(&self, take: impl Fn(&Head) -> Taken) -> View<Taken> {
        self.state.read().view(take)
    }

    /// The same, and whoever reads what comes from that moment on; at most so many bytes wait for it.
    pub(crate) fn follow<Taken>(&self, bytes_max: usize, take: impl Fn(&Head) -> Taken) -> (View<Taken>, Follower) {
        let state = self.state.read();
        (state.view(take), self.followers.add(bytes_max))
    }

    /// Nothing is applied any more: who follows comes to the end.
    pub(crate) fn end_followers(&self) {
        self.followers.close();
    }

    /// Whether the active head is large or old enough to be flushed.
    pub(crate) fn is_due(&self, bytes: usize, born_before_ms: i64) -> bool {
        let state = self.state.read();
        state.frozen.is_some() || state.active.bytes() >= bytes || state.active_since_ms.is_some_and(|since| since <= born_before_ms)
    }

    pub(crate) fn stats(&self) -> TableStats {
        let state = self.state.read();
        let heads = || std::iter::once(&state.active).chain(state.frozen.iter().map(|(head, _)| &**head));
        let mut tiers: BTreeMap<&str, TierStats> = BTreeMap::new();
        for file in state.files.iter().filter(|file| !file.folder().prefix().is_empty()) {
            let folder = file.folder();
            let empty = || TierStats { place: folder.address(""), files: 0, bytes: 0 };
            let tier = tiers.entry(folder.prefix()).or_insert_with(empty);
            (tier.files, tier.bytes) = (tier.files + 1, tier.bytes + file.bytes);
        }
        TableStats {
            table: self.table,
            head_rows: heads().map(Head::rows).sum(),
            head_bytes: heads().map(|head| head.bytes() as u64).sum(),
            head_series: heads().map(Head::series).max().unwrap_or_default(),
            known_series: state.active.known_series(),
            known_series_bytes: state.active.lasting_bytes() as u64,
            recent_bytes: state.files.iter().map(|file| file.remembered_bytes() as u64).sum(),
            lake_files: state.files.len() as u64,
            lake_bytes: state.files.iter().map(|file| file.bytes).sum(),
            lake_rows: state.files.iter().map(|file| file.stats.rows).sum(),
            tiers: tiers.into_values().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::logs::{LogRow, LogsBuilder};

    #[test]
    fn nothing_passes_a_frame_that_the_head_could_not_take() {
        let table = ShardTable::new(Table::Logs, Vec::new(), 4).unwrap();
        let mut builder = LogsBuilder::default();
        builder.push(&LogRow::default(), &model::Attributes::default(), &model::Attributes::default());
        let records = builder.finish();
        assert_eq!(table.passed_seq(5), 5);
        table.apply(6, &records.project(&[1]).unwrap(), 0).unwrap_err();
        assert_eq!(table.passed_seq(6), 4, "the log keeps the frame though the head is empty");
        table.apply(7, &records, 0).unwrap();
        assert_eq!((table.passed_seq(7), table.committed_seq()), (4, 4));
        assert!(table.freeze(7, &ShardOptions::new("one", "nowhere")).is_err());
    }
}
