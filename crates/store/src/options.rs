use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::Table;

use crate::lake::cache::Cache;
use crate::lake::folder::{Folder, LocalFolder};
use crate::lake::lease::Lease;
use crate::lake::remote::RemoteFolder;
use crate::remote::RemoteOptions;
use crate::{Clock, Disk, LocalDisk, Remote, SystemClock};

/// How one shard stores. Start from [`ShardOptions::new`] and change what should differ.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    /// The label `shard` of its metrics, and part of the Delta transaction's app id `tyto/<name>`: a shard keeps its name
    /// as long as it lives.
    pub name: String,
    /// Holds `LOCK`; `wal/` and `lake/` where they are local; `cache/` and `lake.json` where the lake is not.
    pub dir: PathBuf,
    pub lake: LakePlace,
    /// Cheaper places for older files; of each table in ascending order of age.
    pub tiers: Vec<Tier>,
    /// How a bucket is reached that a table has files in and these options do not name any more.
    pub remotes: RemoteOptions,
    pub wal: WalPlace,
    /// Bytes of remote lake files that are held in memory.
    pub cache_memory_bytes_max: u64,
    /// Bytes of remote lake files that are held on the local disk; 0 for a node without one.
    pub cache_disk_bytes_max: u64,
    /// How long the holder of a shard whose log is in an object store must be silent before another takes over.
    pub lease_silence_max: Duration,
    /// Shortest time between two fsyncs while requests keep coming; a request that finds the log idle for so long does
    /// not wait.
    pub wal_group_interval: Duration,
    /// A segment that reaches this size is closed and a new one begun.
    pub wal_segment_bytes_max: u64,
    /// Bytes of requests, encoded and not, that may wait for the log; a request beyond is refused as overload.
    pub wal_queue_bytes_max: usize,
    /// Requests that may wait for the log.
    pub wal_queue_requests_max: usize,
    /// Bytes in the head of logs, or of spans, that start a flush: rows as they came.
    pub flush_rows_bytes: usize,
    /// Bytes in the head of samples that start one: they are packed, and a flush ends the chunk of every series.
    pub flush_samples_bytes: usize,
    /// Age of the oldest row in a table's head that starts a flush.
    pub flush_interval: Duration,
    /// Bytes in all heads and in requests on their way there, from which on requests are refused as overload; together with
    /// what is known of series, those that bring new series are.
    pub head_bytes_max: usize,
    /// Bytes of samples that are in files already and in memory beside them, the newest: a scan opens no file for them.
    pub recent_samples_bytes_max: usize,
    /// Rows per Parquet row group of logs and spans: what statistics can skip and what a reader decodes at least.
    pub row_group_rows: usize,
    /// Points per row of samples, and about a hundred times that per row group.
    pub chunk_points_max: usize,
    /// How long a series without new points stays known, so that it needs no labels when it comes again.
    pub series_idle_max: Duration,
    /// Files smaller than this are merged by compaction; larger ones are left alone.
    pub small_file_bytes: u64,
    /// As many small files of a table start a compaction.
    pub files_max_before_compaction: usize,
    /// Compressed bytes that one compaction reads.
    pub compaction_bytes_max: u64,
    /// Bytes that the rows of one compaction take in memory. It holds all of them of samples, and of files of another order; of other
    /// logs and spans a batch a file.
    pub compaction_memory_bytes_max: u64,
    /// How long a file that compaction replaced stays for readers outside this process that still list it.
    pub replaced_file_age_min: Duration,
    /// Commits of a table between two checkpoints of its Delta log.
    pub checkpoint_commits: u64,
    /// Blocking threads that scans of this shard may use at once.
    pub scan_threads: usize,
    /// Bytes of rows that one ordered scan may hold while it brings them into order.
    pub scan_held_bytes_max: usize,
    /// Bytes of rows that may wait for one reader who follows a table; one who is slower loses the oldest.
    pub follow_bytes_max: usize,
    /// Bytes of Parquet footers that are remembered for the next scan.
    pub footer_bytes_max: usize,
    /// Bytes of maps of grams, by which files without a text are left out, that are remembered for the next scan: one for each row.
    pub gram_bytes_max: usize,
    /// zstd level of Parquet pages.
    pub zstd_level: i32,
    /// Whether the shard flushes, merges and deletes by itself. Where not, only [`crate::Shard::tend`] does: a simulation decides
    /// when.
    pub background: bool,
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
}

impl ShardOptions {
    pub fn new(name: impl Into<String>, dir: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            dir: dir.into(),
            lake: LakePlace::Local,
            tiers: Vec::new(),
            remotes: RemoteOptions::default(),
            wal: WalPlace::Disk,
            cache_memory_bytes_max: 64 << 20,
            cache_disk_bytes_max: 4 << 30,
            lease_silence_max: Duration::from_secs(15),
            wal_group_interval: Duration::from_millis(2),
            wal_segment_bytes_max: 64 << 20,
            wal_queue_bytes_max: 128 << 20,
            wal_queue_requests_max: 4096,
            flush_rows_bytes: 64 << 20,
            flush_samples_bytes: 64 << 20,
            flush_interval: Duration::from_secs(120),
            head_bytes_max: 512 << 20,
            recent_samples_bytes_max: 128 << 20,
            row_group_rows: 128 << 10,
            chunk_points_max: 8192,
            series_idle_max: Duration::from_secs(600),
            small_file_bytes: 16 << 20,
            files_max_before_compaction: 8,
            compaction_bytes_max: 32 << 20,
            compaction_memory_bytes_max: 256 << 20,
            replaced_file_age_min: Duration::from_secs(600),
            checkpoint_commits: 50,
            scan_threads: std::thread::available_parallelism().map_or(2, usize::from).max(2),
            scan_held_bytes_max: 512 << 20,
            follow_bytes_max: 16 << 20,
            footer_bytes_max: 64 << 20,
            gram_bytes_max: 64 << 20,
            zstd_level: 1,
            background: true,
            disk: Arc::new(LocalDisk),
            clock: Arc::new(SystemClock),
        }
    }

    pub(crate) fn wal_dir(&self) -> PathBuf {
        self.dir.join("wal")
    }

    pub(crate) fn lake_dir(&self) -> PathBuf {
        self.dir.join("lake")
    }

    pub(crate) fn flush_bytes(&self, table: Table) -> usize {
        match table {
            Table::Logs | Table::Spans | Table::Quarantine => self.flush_rows_bytes,
            Table::Samples => self.flush_samples_bytes,
        }
    }

    pub(crate) fn table_dir(&self, table: Table) -> PathBuf {
        self.lake_dir().join(table.name())
    }

    /// Where the files of a table lie, but for those in tiers.
    pub(crate) fn folder(&self, table: Table) -> Arc<dyn Folder> {
        match &self.lake {
            LakePlace::Local => Arc::new(LocalFolder::new(self.disk.clone(), self.table_dir(table))),
            LakePlace::Remote(remote) => Arc::new(RemoteFolder::new(remote.within(&format!("lake/{}", table.name())))),
        }
    }

    pub(crate) fn tiers_of(&self, table: Table) -> impl Iterator<Item = &Tier> {
        self.tiers.iter().filter(move |tier| tier.table == table)
    }

    /// Every place in an object store that these options name.
    pub(crate) fn remotes(&self) -> impl Iterator<Item = &Remote> {
        let of_tiers = self.tiers.iter().filter_map(|tier| match &tier.place {
            TierPlace::Dir(_) => None,
            TierPlace::Remote(remote) => Some(remote),
        });
        self.lake.remote().into_iter().chain(of_tiers)
    }

    /// Of an open shard, where there is one.
    pub(crate) fn cache(&self) -> Option<&Arc<Cache>> {
        self.remotes().find_map(|remote| remote.cache.as_ref())
    }
}

/// A place for files of a table whose newest row is of some age. Such a file stays in the table and in every answer; it is
/// copied there as it is, and then the Delta log names it there.
#[derive(Clone, Debug)]
pub struct Tier {
    pub table: Table,
    pub age: Duration,
    pub place: TierPlace,
}

/// Where a tier lies. The files of a table are in a folder of their own below `<shard>/lake/<table>/` of it.
#[derive(Clone, Debug)]
pub enum TierPlace {
    /// A directory that exists, for a lake on the local disk.
    Dir(PathBuf),
    /// A place in an object store.
    Remote(Remote),
}

/// Where the tables lie.
#[derive(Clone, Debug)]
pub enum LakePlace {
    /// In `lake/` of the shard's directory.
    Local,
    /// In `lake/` of this place in an object store.
    Remote(Remote),
}

impl LakePlace {
    pub(crate) fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Local => None,
            Self::Remote(remote) => Some(remote),
        }
    }

    /// Of a remote lake that is open for writing.
    pub(crate) fn lease(&self) -> Option<Arc<Lease>> {
        self.remote()?.lease.clone()
    }
}

/// Where the write-ahead log lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalPlace {
    /// In `wal/` of the shard's directory.
    Disk,
    /// Beside a remote lake, so that a node without a disk loses nothing. Every group of requests is a put, which takes
    /// longer than an fsync and costs money: give `wal_group_interval` a tenth of a second or more.
    Object,
}
