//! Rows of several batches in the order of their table.

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;
use hashbrown::HashMap;
use model::origin::{self, ORIGIN, Origins};
use model::schema::column;
use model::{Error, Result, Table};

/// Rows that are put in order and encoded at once.
const SLICE_ROWS: usize = 8192;
/// Of packed rows what they take unpacked at most: half of what one column may hold.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;

/// The rows of all batches in the table's order.
pub(crate) fn sorted(table: Table, batches: &[RecordBatch]) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
    Rows::of(table, batches)?.sorted()
}

/// The rows of several batches.
pub(crate) struct Rows {
    table: Table,
    /// Without the column of origins where those are united.
    batches: Vec<RecordBatch>,
    united: Option<United>,
}

/// The origins of all batches, and of each row of each batch its place among them.
struct United {
    each: StructArray,
    keys: Vec<Vec<i32>>,
}

impl Rows {
    pub(crate) fn of(table: Table, batches: &[RecordBatch]) -> Result<Self> {
        let are_packed = !batches.is_empty() && batches.iter().all(|batch| Origins::of(batch).is_some());
        // More origins than one column may hold are not united.
        match are_packed.then(|| origin::united(batches)).and_then(Result::ok) {
            Some((each, keys)) => {
                let batches = batches.iter().map(without_origins).collect::<Result<_>>()?;
                Ok(Self { table, batches, united: Some(United { each, keys }) })
            }
            None => {
                let batches = batches.iter().map(|batch| origin::unpacked(table, batch)).collect::<Result<_>>()?;
                Ok(Self { table, batches, united: None })
            }
        }
    }

    /// The origins of all rows, where all batches are packed.
    pub(crate) fn origins(&self) -> Option<&StructArray> {
        self.united.as_ref().map(|united| &united.each)
    }

    /// In the table's order, in slices, gathered slice by slice: packed where there are origins.
    pub(crate) fn sorted(self) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let order = self.order()?;
        let slices: Vec<Vec<(usize, usize)>> = order.chunks(SLICE_ROWS).map(<[_]>::to_vec).collect();
        Ok(slices.into_iter().flat_map(move |slice| match gather(&slice, &|places| self.pick(places)) {
            Ok(gathered) => gathered.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }))
    }

    /// Batch and row of all rows in the table's order: by texts, nulls first, then by time. Of equal rows the first stays first.
    ///
    /// There are few texts and many rows, so the texts are ranked and rows are compared as numbers. Refused: Arrow's sort by
    /// several columns, which compares texts for each pair of rows and took a fifth of all that it costs to ingest logs.
    fn order(&self) -> Result<Vec<(usize, usize)>> {
        let (time, texts) = self.table.sort_columns().split_last().expect("every table is sorted");
        let mut ranking = Ranking::default();
        let numbers: Vec<Vec<u32>> = match &self.united {
            Some(united) => {
                let columns = texts.iter().map(|name| text_of(&united.each, name)).collect::<Result<Vec<_>>>()?;
                let of_origins = ranking.number(&columns, united.each.len())?;
                united.keys.iter().map(|keys| keys.iter().map(|place| of_origins[*place as usize]).collect()).collect()
            }
            None => {
                let of_batch = |batch: &RecordBatch| {
                    let columns = texts.iter().map(|name| column::<StringArray>(batch, name)).collect::<Result<Vec<_>>>()?;
                    ranking.number(&columns, batch.num_rows())
                };
                self.batches.iter().map(of_batch).collect::<Result<_>>()?
            }
        };
        let ranks = ranking.ranks();
        let rows = self.batches.iter().map(RecordBatch::num_rows).sum();
        let (mut keys, mut places) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for (index, (batch, numbers)) in self.batches.iter().zip(&numbers).enumerate() {
            let times: &Int64Array = column(batch, time)?;
            for (row, (number, time)) in numbers.iter().zip(times.values()).enumerate() {
                let nth = u32::try_from(places.len()).map_err(|_| Error::internal("cannot sort: over 2^32 rows"))?;
                keys.push(sort_key(ranks[*number as usize], *time, nth));
                places.push((index, row));
            }
        }
        keys.sort_unstable();
        Ok(keys.into_iter().map(|key| places[key as u32 as usize]).collect())
    }

    fn pick(&self, places: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let rows = interleave_record_batch(&batches, places)?;
        match &self.united {
            None => Ok(rows),
            Some(United { each, keys }) => {
                let keys = places.iter().map(|&(batch, row)| keys[batch][row]).collect();
                origin::with_origins(&rows, keys, each.clone())
            }
        }
    }
}

/// Rank, time and place of a row as one number, which is compared faster than three.
fn sort_key(rank: u32, time: i64, nth: u32) -> u128 {
    // Times before 1970 come first.
    let time = time.cast_unsigned() ^ 1 << 63;
    u128::from(rank) << 96 | u128::from(time) << 32 | u128::from(nth)
}

/// Numbers texts that stand together, in the order in which they come, and ranks the numbers.
#[derive(Default)]
struct Ranking {
    numbers: HashMap<Vec<Option<String>>, u32>,
}

impl Ranking {
    fn number(&mut self, columns: &[&StringArray], rows: usize) -> Result<Vec<u32>> {
        let mut numbers = Vec::with_capacity(rows);
        let (mut last, mut number): (Vec<Option<&str>>, u32) = (Vec::new(), 0);
        for row in 0..rows {
            let texts = columns.iter().map(|column| column.is_valid(row).then(|| column.value(row)));
            if row == 0 || !texts.clone().eq(last.iter().copied()) {
                last.clear();
                last.extend(texts);
                let next = u32::try_from(self.numbers.len()).map_err(|_| Error::internal("cannot sort: over 2^32 texts"))?;
                let owned = last.iter().map(|text| text.map(str::to_owned)).collect();
                number = *self.numbers.entry(owned).or_insert(next);
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// The rank of each number.
    fn ranks(self) -> Vec<u32> {
        let mut by_text: Vec<_> = self.numbers.into_iter().collect();
        by_text.sort_unstable();
        let mut ranks = vec![0; by_text.len()];
        for (rank, (_, number)) in (0_u32..).zip(by_text) {
            ranks[number as usize] = rank;
        }
        ranks
    }
}

fn text_of<'a>(origins: &'a StructArray, name: &str) -> Result<&'a StringArray> {
    let column = origins.column_by_name(name).and_then(|column| column.as_string_opt());
    column.ok_or_else(|| Error::internal(format!("cannot sort by {name:?}: origins have no such text")))
}

fn without_origins(records: &RecordBatch) -> Result<RecordBatch> {
    let own: Vec<usize> = (0..records.num_columns()).filter(|at| records.schema_ref().field(*at).name() != ORIGIN).collect();
    Ok(records.project(&own)?)
}

/// Copies rows together; those whose texts are more than the 2 GiB that one column may hold become several batches.
pub(crate) fn gather(
    rows: &[(usize, usize)],
    pick: &impl Fn(&[(usize, usize)]) -> Result<RecordBatch, ArrowError>,
) -> Result<Vec<RecordBatch>> {
    match pick(rows) {
        Err(ArrowError::OffsetOverflowError(_)) if rows.len() > 1 => {
            let (first, second) = rows.split_at(rows.len() / 2);
            let mut gathered = gather(first, pick)?;
            gathered.extend(gather(second, pick)?);
            Ok(gathered)
        }
        picked => Ok(vec![picked?]),
    }
}

/// Packed rows in pieces of which each can be unpacked.
pub(crate) fn pieces(records: RecordBatch) -> Result<Vec<RecordBatch>> {
    let Some(at) = records.schema_ref().column_with_name(ORIGIN).map(|(at, _)| at) else { return Ok(vec![records]) };
    let bytes = model::running_bytes(&records.project(&[at])?)?;
    let (mut pieces, mut from) = (Vec::new(), 0);
    for row in 1..=records.num_rows() {
        let is_last = row == records.num_rows();
        if is_last || bytes[row + 1] - bytes[from] > UNPACKED_BYTES_MAX {
            pieces.push(records.slice(from, row - from));
            from = row;
        }
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_by_rank_time_and_place() {
        let mut rows = Vec::new();
        for rank in [0, 1, u32::MAX] {
            for time in [i64::MIN, -1, 0, 1, i64::MAX] {
                rows.extend([0, 1, u32::MAX].map(|nth| (rank, time, nth)));
            }
        }
        assert!(rows.is_sorted_by(|a, b| a < b));
        assert!(rows.iter().map(|&(rank, time, nth)| sort_key(rank, time, nth)).is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn rows_that_overflow_one_batch_become_several() {
        let records = RecordBatch::new_empty(Table::Logs.schema());
        let rows: Vec<(usize, usize)> = (0..9).map(|row| (0, row)).collect();
        let picked = std::cell::RefCell::new(Vec::new());
        let pick = |rows: &[(usize, usize)]| match rows.len() {
            0..=3 => {
                picked.borrow_mut().extend(rows.iter().map(|place| place.1));
                Ok(records.clone())
            }
            more => Err(ArrowError::OffsetOverflowError(more)),
        };
        assert_eq!(gather(&rows, &pick).unwrap().len(), 4);
        assert_eq!(picked.into_inner(), (0..9).collect::<Vec<_>>());
        assert!(gather(&[(0, 0)], &|_| Err(ArrowError::OffsetOverflowError(1))).is_err());
    }
}
