use model::Table;

/// What a shard holds, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ShardStats {
    pub wal_bytes: u64,
    pub wal_segments: u64,
    /// Of the files of a remote lake; none of a local one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheStats>,
    pub tables: Vec<TableStats>,
}

/// What the cache before a remote lake holds, and what it was asked for since the shard was opened. A block is up to 1 MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CacheStats {
    pub memory_bytes: u64,
    pub disk_bytes: u64,
    /// Blocks found in memory, found on disk, and fetched.
    pub memory_hits: u64,
    pub disk_hits: u64,
    pub misses: u64,
    /// Blocks thrown away because they were not what was written.
    pub forgotten: u64,
}

/// What one table of a shard holds. A head being flushed counts as head.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TableStats {
    pub table: Table,
    /// Log records or spans; for samples, points.
    pub head_rows: u64,
    pub head_bytes: u64,
    /// Series in the head; 0 for logs and spans.
    pub head_series: u64,
    /// Series that need no labels when they come again, and what remembering them takes in memory.
    pub known_series: u64,
    pub known_series_bytes: u64,
    /// What rows of files take that are in memory beside them.
    pub recent_bytes: u64,
    pub lake_files: u64,
    pub lake_bytes: u64,
    /// Rows of the files: log records, spans, or series chunks.
    pub lake_rows: u64,
    /// Of the files those that lie in tiers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<TierStats>,
}

/// What a table has in one of its tiers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TierStats {
    /// The directory or URL of the folder that the files are in.
    pub place: String,
    pub files: u64,
    pub bytes: u64,
}
