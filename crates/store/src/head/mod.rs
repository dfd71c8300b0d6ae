//! The recent rows in memory, already durable in the log.

mod chunk;
mod families;
mod floats;
mod key;
mod registry;
pub(crate) mod rows;
pub(crate) mod series;
mod slice;

use std::sync::Arc;

use arrow::array::RecordBatch;
use model::{Error, KnownSeries, Result, Table};

use crate::ShardOptions;

pub(crate) use chunk::Chunk;
pub(crate) use families::Families;
pub(crate) use key::SeriesKey;
pub(crate) use rows::{Block, RowsHead, bytes_of};
pub(crate) use series::SeriesHead;
pub(crate) use slice::{Parts, Remembered, SeriesSlice};

/// What a table took since its last flush.
#[derive(Debug)]
pub(crate) enum Head {
    /// Logs and spans: the batches as they came.
    Rows(RowsHead),
    /// Samples: an open chunk per series.
    Series(SeriesHead),
}

impl Head {
    pub(crate) fn new(table: Table) -> Self {
        match table {
            Table::Logs | Table::Spans | Table::Quarantine => Self::Rows(RowsHead::new(table)),
            Table::Samples => Self::Series(SeriesHead::default()),
        }
    }

    /// The head that takes over when this one is frozen. What is known of metric families goes along.
    pub(crate) fn successor(&self, table: Table, options: &ShardOptions) -> Self {
        match self {
            Self::Rows(_) => Self::new(table),
            Self::Series(head) => {
                let now_ms = options.clock.now_ms();
                let idle_ms = i64::try_from(options.series_idle_max.as_millis()).unwrap_or(i64::MAX);
                Self::Series(head.successor(now_ms, now_ms.saturating_sub(idle_ms), options.head_bytes_max / 2))
            }
        }
    }

    /// Takes rows; gives the series of each, where rows are series.
    pub(crate) fn apply(&mut self, records: &RecordBatch, now_ms: i64) -> Result<Vec<KnownSeries>> {
        match self {
            Self::Rows(head) => head.push(records).map(|()| Vec::new()),
            Self::Series(head) => head.push(records, now_ms),
        }
    }

    /// The head of samples.
    pub(crate) fn as_series(&self) -> Result<&SeriesHead> {
        match self {
            Self::Series(head) => Ok(head),
            Self::Rows(_) => Err(Error::internal("cannot take known points: only samples have series")),
        }
    }

    pub(crate) fn as_series_mut(&mut self) -> Result<&mut SeriesHead> {
        match self {
            Self::Series(head) => Ok(head),
            Self::Rows(_) => Err(Error::internal("cannot take known points: only samples have series")),
        }
    }

    /// Whether a flush would write nothing.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Rows(head) => head.rows() == 0,
            Self::Series(head) => head.is_empty(),
        }
    }

    /// Log records, spans or points.
    pub(crate) fn rows(&self) -> u64 {
        match self {
            Self::Rows(head) => head.rows(),
            Self::Series(head) => head.points(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Rows(head) => head.bytes(),
            Self::Series(head) => head.bytes(),
        }
    }

    /// What stays in memory when the head is flushed.
    pub(crate) fn lasting_bytes(&self) -> usize {
        match self {
            Self::Rows(_) => 0,
            Self::Series(head) => head.registry().bytes(),
        }
    }

    /// Series that are known, with points in the head or without.
    pub(crate) fn known_series(&self) -> u64 {
        match self {
            Self::Rows(_) => 0,
            Self::Series(head) => head.registry().len() as u64,
        }
    }

    pub(crate) fn series(&self) -> u64 {
        match self {
            Self::Rows(_) => 0,
            Self::Series(head) => head.len() as u64,
        }
    }
}

/// A head that no longer changes.
pub(crate) type Frozen = Arc<Head>;
