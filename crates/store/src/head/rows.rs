use std::sync::Arc;

use arrow::array::{Array, Int64Array, RecordBatch};
use arrow::compute::{max, min};
use model::schema::column;
use model::{Result, Table, origin};

/// Rows from which on a batch stays as it came: its headers are a hundredth of it, and joining it would cost more than all
/// else that the head does.
const BLOCK_ROWS_MIN: usize = 512;
/// Bytes from which on it does, too: joining large rows copies much to save little.
const BLOCK_BYTES_MIN: usize = 256 << 10;
/// Small batches that may wait to be joined: a scan looks at each.
const TAIL_BATCHES_MAX: usize = 64;

/// Rows that do not change any more, packed, and their first and last instants.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) records: RecordBatch,
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    pub(crate) bytes: usize,
}

/// Logs or spans, in the order they came. Small batches are joined: requests of one record each would cost a kilobyte of
/// array headers per record, and every scan would visit them one by one.
#[derive(Clone, Debug)]
pub(crate) struct RowsHead {
    table: Table,
    blocks: Vec<Arc<Block>>,
    tail: Vec<Arc<Block>>,
    tail_rows: usize,
    tail_bytes: usize,
    rows: u64,
    bytes: usize,
}

impl RowsHead {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, blocks: Vec::new(), tail: Vec::new(), tail_rows: 0, tail_bytes: 0, rows: 0, bytes: 0 }
    }

    pub(crate) fn push(&mut self, records: &RecordBatch) -> Result<()> {
        if records.num_rows() == 0 {
            return Ok(());
        }
        let records = origin::packed(self.table, records)?;
        let block = Arc::new(Block::new(self.table, records)?);
        self.rows += block.records.num_rows() as u64;
        self.bytes += block.bytes;
        if block.is_large() {
            self.blocks.push(block);
            return Ok(());
        }
        self.tail_rows += block.records.num_rows();
        self.tail_bytes += block.bytes;
        self.tail.push(block);
        if self.tail_rows >= BLOCK_ROWS_MIN || self.tail_bytes >= BLOCK_BYTES_MIN || self.tail.len() >= TAIL_BATCHES_MAX {
            self.join_tail();
        }
        Ok(())
    }

    /// Joins the waiting batches to the last block while that is small, so that even single records end in few blocks;
    /// a row is copied a logarithmic number of times, because a block is joined only to as many rows as it has.
    fn join_tail(&mut self) {
        let mut rows = self.tail_rows;
        while let Some(last) = self.blocks.last()
            && !last.is_large()
            && last.records.num_rows() <= rows
        {
            rows += last.records.num_rows();
            self.tail.insert(0, self.blocks.pop().expect("the last block was just looked at"));
        }
        let tail = std::mem::take(&mut self.tail);
        (self.tail_rows, self.tail_bytes) = (0, 0);
        let records: Vec<RecordBatch> = tail.iter().map(|block| block.records.clone()).collect();
        match origin::joined(&records).and_then(|records| Block::new(self.table, records)) {
            Ok(joined) => {
                let before: usize = tail.iter().map(|block| block.bytes).sum();
                self.bytes = self.bytes - before + joined.bytes;
                self.blocks.push(Arc::new(joined));
            }
            // These rows are acknowledged: what cannot be joined stays as it is.
            Err(error) => {
                tracing::warn!(table = self.table.name(), error = error.chain(), "cannot join batches of the head; they stay apart");
                self.blocks.extend(tail);
            }
        }
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
        let bytes = bytes_of(&records);
        Ok(Self { records, min_time, max_time, bytes })
    }

    fn is_large(&self) -> bool {
        self.records.num_rows() >= BLOCK_ROWS_MIN || self.bytes >= BLOCK_BYTES_MIN
    }
}

/// Bytes the rows take, counted once even where a decoder cut several batches from one buffer.
pub(crate) fn bytes_of(records: &RecordBatch) -> usize {
    records.columns().iter().map(|array| array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::ArrayRef;
    use model::Attributes;
    use model::logs::{LogRow, LogsBuilder};

    fn batch(rows: usize, body: &str) -> RecordBatch {
        let mut builder = LogsBuilder::default();
        for _ in 0..rows {
            builder.push(&LogRow { time_unix_nano: 1, body, ..LogRow::default() }, &Attributes::default(), &Attributes::default());
        }
        builder.finish()
    }

    #[test]
    fn small_batches_are_joined_and_large_ones_are_left() {
        let mut head = RowsHead::new(Table::Logs);
        for _ in 0..TAIL_BATCHES_MAX * 4 {
            head.push(&batch(1, "small")).unwrap();
        }
        assert_eq!(head.blocks().count(), 1);
        let large = "x".repeat(BLOCK_BYTES_MIN);
        head.push(&batch(1, &large)).unwrap();
        assert_eq!((head.blocks().count(), head.tail.len()), (2, 0), "one megabyte is a block, however few rows");
        let half = "x".repeat(BLOCK_BYTES_MIN / 2);
        head.push(&batch(1, &half)).unwrap();
        head.push(&batch(1, &half)).unwrap();
        assert_eq!((head.blocks().count(), head.tail.len()), (3, 0), "a tail is joined before it grows past what a column holds");
        assert_eq!(head.rows(), TAIL_BATCHES_MAX as u64 * 4 + 3);
    }

    /// A column of another type stands for texts that are more than one column may hold.
    #[test]
    fn batches_that_cannot_be_joined_stay_apart() {
        let mut head = RowsHead::new(Table::Logs);
        let whole = batch(1, "small");
        let columns = whole
            .schema()
            .fields()
            .iter()
            .zip(whole.columns())
            .map(|(field, array)| match field.name().as_str() {
                "body" => ("body".to_owned(), Arc::new(Int64Array::from(vec![7])) as ArrayRef),
                name => (name.to_owned(), array.clone()),
            })
            .collect::<Vec<_>>();
        let other = RecordBatch::try_from_iter(columns).unwrap();
        for at in 0..TAIL_BATCHES_MAX {
            head.push(&if at == 1 { other.clone() } else { whole.clone() }).unwrap();
        }
        assert_eq!((head.blocks().count(), head.rows()), (TAIL_BATCHES_MAX, TAIL_BATCHES_MAX as u64));
        assert_eq!(head.bytes(), head.blocks().map(|block| block.bytes).sum::<usize>());
    }
}
