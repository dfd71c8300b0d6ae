//! The recent rows in memory, already durable in the log.

mod chunk;
mod key;
pub(crate) mod rows;
pub(crate) mod series;

use std::sync::Arc;

use arrow::array::RecordBatch;
use model::{Result, Table};

pub(crate) use key::SeriesKey;
pub(crate) use rows::{Block, RowsHead, bytes_of};
pub(crate) use series::{Families, SeriesHead, SeriesSlice};

/// What a table took since its last flush.
#[derive(Clone, Debug)]
pub(crate) enum Head {
    /// Logs and spans: the batches as they came.
    Rows(RowsHead),
    /// Samples: an open chunk per series.
    Series(SeriesHead),
}

impl Head {
    pub(crate) fn new(table: Table) -> Self {
        match table {
            Table::Logs | Table::Spans => Self::Rows(RowsHead::new(table)),
            Table::Samples => Self::Series(SeriesHead::default()),
        }
    }

    /// The head that takes over when this one is frozen. What is known of metric families goes along.
    pub(crate) fn successor(&self, table: Table) -> Self {
        match self {
            Self::Rows(_) => Self::new(table),
            Self::Series(head) => Self::Series(head.successor()),
        }
    }

    pub(crate) fn apply(&mut self, records: &RecordBatch) -> Result<()> {
        match self {
            Self::Rows(head) => head.push(records),
            Self::Series(head) => head.push(records),
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

    pub(crate) fn series(&self) -> u64 {
        match self {
            Self::Rows(_) => 0,
            Self::Series(head) => head.len() as u64,
        }
    }
}

/// A head that no longer changes.
pub(crate) type Frozen = Arc<Head>;
