use model::Table;

/// What a shard holds, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ShardStats {
    pub wal_bytes: u64,
    pub wal_segments: u64,
    pub tables: Vec<TableStats>,
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
    pub lake_files: u64,
    pub lake_bytes: u64,
    /// Rows of the files: log records, spans, or series chunks.
    pub lake_rows: u64,
}
