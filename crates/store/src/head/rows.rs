use std::sync::Arc;

use arrow::array::{Array, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, max, min};
use model::schema::column;
use model::{Result, Table};

/// Rows from which on a batch stays as it came.
const BLOCK_ROWS_MIN: usize = 4096;
/// Small batches that may wait to be joined: a scan looks at each.
const TAIL_BATCHES_MAX: usize = 64;

/// Rows that do not change any more, and their first and last instants.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) records: RecordBatch,
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
}

/// Logs or spans, in the order they came. Small batches are joined: requests of one record each would cost a kilobyte of
/// array headers per record, and every scan would visit them one by one.
#[derive(Clone, Debug)]
pub(crate) struct RowsHead {
    table: Table,
    blocks: Vec<Arc<Block>>,
    tail: Vec<Arc<Block>>,
    tail_rows: usize,
    rows: u64,
    bytes: usize,
}

impl RowsHead {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, blocks: Vec::new(), tail: Vec::new(), tail_rows: 0, rows: 0, bytes: 0 }
    }

    pub(crate) fn push(&mut self, records: &RecordBatch) -> Result<()> {
        if records.num_rows() == 0 {
            return Ok(());
        }
        self.rows += records.num_rows() as u64;
        let block = Arc::new(Block::new(self.table, records.clone())?);
        self.bytes += bytes_of(&block.records);
        if records.num_rows() >= BLOCK_ROWS_MIN {
            self.blocks.push(block);
            return Ok(());
        }
        self.tail_rows += records.num_rows();
        self.tail.push(block);
        if self.tail_rows >= BLOCK_ROWS_MIN || self.tail.len() >= TAIL_BATCHES_MAX {
            self.join_tail()?;
        }
        Ok(())
    }

    /// Joins the waiting batches to the last block while that is small, so that even single records end in few blocks;
    /// a row is copied a logarithmic number of times, because a block is joined only to as many rows as it has.
    fn join_tail(&mut self) -> Result<()> {
        let mut rows = self.tail_rows;
        while let Some(last) = self.blocks.last()
            && last.records.num_rows() < BLOCK_ROWS_MIN
            && last.records.num_rows() <= rows
        {
            rows += last.records.num_rows();
            self.tail.insert(0, self.blocks.pop().expect("the last block was just looked at"));
        }
        let tail = std::mem::take(&mut self.tail);
        self.tail_rows = 0;
        let before: usize = tail.iter().map(|block| bytes_of(&block.records)).sum();
        let joined = Block::new(self.table, concat_batches(tail[0].records.schema_ref(), tail.iter().map(|block| &block.records))?)?;
        self.bytes = self.bytes - before + bytes_of(&joined.records);
        self.blocks.push(Arc::new(joined));
        Ok(())
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.blocks.iter().chain(&self.tail)
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Block {
    pub(crate) fn new(table: Table, records: RecordBatch) -> Result<Self> {
        let (first, last) = table.time_columns();
        let (first, last): (&Int64Array, &Int64Array) = (column(&records, first)?, column(&records, last)?);
        let (min_time, max_time) = (min(first).unwrap_or(i64::MAX), max(last).unwrap_or(i64::MIN));
        Ok(Self { records, min_time, max_time })
    }
}

/// Bytes the rows take, counted once even where a decoder cut several batches from one buffer.
fn bytes_of(records: &RecordBatch) -> usize {
    records.columns().iter().map(|array| array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())).sum()
}
