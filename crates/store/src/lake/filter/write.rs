use arrow::array::{Array, MapArray, RecordBatch, StringArray};
use hashbrown::HashSet;
use model::origin::{self, Origins};
use model::schema::column;
use model::{AttributeType, AttributesView, Error, Result, Table};
use parquet::file::metadata::KeyValue;

use super::format::{
    BITS_PER_VALUE, BLOCK_ROWS, GRAM_BITS, LANE_BYTES, SALTS, VERSION, WORD_BYTES_MIN, bit, grams, lane, map_columns, text_column, value,
    value_columns, value_seed, word, words,
};
use crate::lake::keys::{self, KeysWriter};
use crate::lake::template::{Split, places};

/// Hashes of a block that are held, before it is known how many differ.
const PENDING_MAX: usize = 256 << 10;
/// Slots for the hashes seen last, a power of two: what is in every line goes into the block's set a few times and not
/// thousands of times.
const RECENT: usize = 4096;

/// Builds the filter of a file while its rows are written, and the lists of its keys.
pub(crate) struct FilterWriter {
    table: Table,
    group_rows: usize,
    /// Rows in the row group, and in the block, so far.
    rows_in_group: usize,
    rows_in_block: usize,
    grams: Vec<u8>,
    values: Values,
    keys: Vec<KeysWriter>,
    blocks: Vec<Block>,
}

struct Block {
    grams: Vec<u8>,
    values: Vec<u8>,
}

/// The hashes of a block.
struct Values {
    hashes: Vec<u64>,
    /// As many are held until they are sorted and each is kept once.
    pending_max: usize,
    recent: Vec<u64>,
    /// Where hashes lie while they are sorted.
    spare: Vec<u64>,
}

impl FilterWriter {
    /// `group_rows` is where row groups end, and with them blocks.
    pub(crate) fn new(table: Table, group_rows: usize) -> Self {
        Self {
            table,
            group_rows: group_rows.max(1),
            rows_in_group: 0,
            rows_in_block: 0,
            grams: vec![0; GRAM_BITS / 8],
            values: Values { hashes: Vec::new(), pending_max: PENDING_MAX, recent: vec![0; RECENT], spare: Vec::new() },
            keys: map_columns(table).iter().map(|_| KeysWriter::default()).collect(),
            blocks: Vec::new(),
        }
    }

    /// Takes in the next rows of the file. Where their bodies are split, the literals of each template are looked at once, and where their
    /// origins are at hand, each of those.
    pub(crate) fn add(&mut self, records: &RecordBatch, origins: Option<Origins<'_>>, split: Option<&Split>) -> Result<()> {
        let mut from = 0;
        while from < records.num_rows() {
            let room = (BLOCK_ROWS - self.rows_in_block).min(self.group_rows - self.rows_in_group);
            let rows = room.min(records.num_rows() - from);
            let keys = origins.map(|origins| origins.keys.slice(from, rows));
            let origins = origins.zip(keys.as_ref()).map(|(origins, keys)| Origins { keys, ..origins });
            self.add_rows(&records.slice(from, rows), origins, split.map(|split| split.slice(from, rows)))?;
            from += rows;
            self.rows_in_block += rows;
            self.rows_in_group += rows;
            if self.rows_in_block == BLOCK_ROWS || self.rows_in_group == self.group_rows {
                self.end_block()?;
                self.rows_in_group %= self.group_rows;
            }
        }
        Ok(())
    }

    fn add_rows(&mut self, records: &RecordBatch, origins: Option<Origins<'_>>, split: Option<Split>) -> Result<()> {
        if let Some(name) = text_column(self.table) {
            self.add_texts(value_seed(name, None), column(records, name)?, split.as_ref());
        }
        for name in value_columns(self.table) {
            let (seed, texts): (u64, &StringArray) = (value_seed(name, None), column(records, name)?);
            texts.iter().flatten().filter(|text| !text.is_empty()).for_each(|text| self.values.push(value(seed, text)));
        }
        for (index, (name, types)) in map_columns(self.table).iter().enumerate() {
            match origins.filter(|_| origin::COLUMNS.contains(name)) {
                Some(origins) => {
                    let mut places: Vec<i32> = origins.keys.values().to_vec();
                    places.sort_unstable();
                    places.dedup();
                    let places = places.into_iter().map(|place| place as usize);
                    self.add_map(index, name, origins.map(name)?, origins.texts(types)?, places);
                }
                None => self.add_map(index, name, column(records, name)?, column(records, types)?, 0..records.num_rows()),
            }
        }
        Ok(())
    }

    fn add_texts(&mut self, seed: u64, texts: &StringArray, split: Option<&Split>) {
        let mut seen = HashSet::new();
        for row in (0..texts.len()).filter(|row| texts.is_valid(*row)) {
            let text = texts.value(row).as_bytes();
            // What is not ASCII makes one word with a variable beside it.
            match split.and_then(|split| split.of_row(row)).filter(|(template, _)| template.is_ascii() && !seen.insert(*template)) {
                Some((template, variables)) => self.add_variables(seed, text, template.as_bytes(), variables.as_bytes()),
                None => {
                    self.add_grams(text);
                    words(text).for_each(|(start, end)| self.add_word(seed, &text[start..end]));
                }
            }
        }
    }

    /// A variable is a word of its own, and has grams with what is beside it.
    fn add_variables(&mut self, seed: u64, text: &[u8], template: &[u8], variables: &[u8]) {
        for (start, end) in places(template, variables) {
            self.add_grams(&text[start.saturating_sub(2)..text.len().min(end + 2)]);
            self.add_word(seed, &text[start..end]);
        }
    }

    fn add_grams(&mut self, text: &[u8]) {
        for gram in grams(text).map(usize::from) {
            self.grams[gram / 8] |= 1 << (gram % 8);
        }
    }

    fn add_word(&mut self, seed: u64, text: &[u8]) {
        if text.len() >= WORD_BYTES_MIN {
            self.values.push(word(seed, text));
        }
    }

    fn add_map(&mut self, index: usize, name: &str, map: &MapArray, types: &StringArray, rows: impl Iterator<Item = usize>) {
        let view = AttributesView::of_map(map, Some(types));
        for row in rows {
            for (key, kind, text) in view.iter_typed(row) {
                // Nobody asks for a measured value by its digits, and hardly one comes twice.
                let is_double = kind == AttributeType::Double;
                let seed = self.keys[index].add(name, key, is_double);
                if !is_double && !text.is_empty() {
                    self.values.push(value(seed, text));
                }
            }
        }
    }

    fn end_block(&mut self) -> Result<()> {
        let grams = match text_column(self.table) {
            Some(_) => zstd::bulk::compress(&self.grams, 1).map_err(|error| Error::internal("cannot compress a filter").because(error))?,
            None => Vec::new(),
        };
        self.grams.fill(0);
        self.blocks.push(Block { grams, values: self.values.finish() });
        self.rows_in_block = 0;
        Ok(())
    }

    /// The filter's bytes; none of a table without filters, or without rows. `start` is where in the file they will lie.
    pub(crate) fn finish(mut self, start: u64) -> Result<(Vec<u8>, Vec<KeyValue>)> {
        if self.rows_in_block > 0 {
            self.end_block()?;
        }
        let maps = map_columns(self.table);
        if maps.is_empty() || self.blocks.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let mut bytes = Vec::new();
        let mut number = |number: usize| u32::try_from(number).map(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        let fits = number(self.blocks.len())
            .and_then(|()| self.blocks.iter().try_for_each(|block| number(block.grams.len()).and_then(|()| number(block.values.len()))));
        fits.map_err(|error| Error::internal("cannot write a filter of more than 4 GiB").because(error))?;
        self.blocks.iter().for_each(|block| bytes.extend_from_slice(&block.grams));
        self.blocks.iter().for_each(|block| bytes.extend_from_slice(&block.values));
        let place = format!("{VERSION} {BLOCK_ROWS} {start} {}", bytes.len());
        let keys = keys::pair(maps.iter().map(|(name, _)| *name).zip(self.keys));
        Ok((bytes, vec![KeyValue::new(super::format::FILTER_KEY.to_owned(), place), keys]))
    }
}

impl Values {
    fn push(&mut self, hash: u64) {
        let recent = &mut self.recent[hash as usize % RECENT];
        if *recent == hash {
            return;
        }
        *recent = hash;
        if self.hashes.len() >= self.pending_max {
            sort(&mut self.hashes, &mut self.spare);
            self.hashes.dedup();
            // Else a block of more would be sorted again for each.
            self.pending_max = PENDING_MAX.max(2 * self.hashes.len());
        }
        self.hashes.push(hash);
    }

    /// The filter of what was pushed; empty again.
    fn finish(&mut self) -> Vec<u8> {
        sort(&mut self.hashes, &mut self.spare);
        self.hashes.dedup();
        let lanes = (self.hashes.len() * BITS_PER_VALUE).div_ceil(8 * LANE_BYTES).max(1);
        let mut words = vec![0_u32; lanes * SALTS.len()];
        for &hash in &self.hashes {
            let lane = &mut words[lane(hash, lanes) * SALTS.len()..][..SALTS.len()];
            lane.iter_mut().zip(SALTS).for_each(|(word, salt)| *word |= bit(hash, salt));
        }
        self.hashes.clear();
        self.pending_max = PENDING_MAX;
        self.recent.fill(0);
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }
}

/// Sorts hashes, which are spread evenly: by their first byte, and those of one byte by comparing.
fn sort(hashes: &mut Vec<u64>, spare: &mut Vec<u64>) {
    const SHARES: usize = 1 << u8::BITS;
    let share = |hash: u64| (hash >> (u64::BITS - u8::BITS)) as usize;
    let mut ends = [0; SHARES];
    hashes.iter().for_each(|hash| ends[share(*hash)] += 1);
    let mut starts = [0; SHARES];
    for at in 1..SHARES {
        starts[at] = starts[at - 1] + ends[at - 1];
    }
    spare.clear();
    spare.resize(hashes.len(), 0);
    ends = starts;
    for &hash in hashes.iter() {
        let end = &mut ends[share(hash)];
        spare[*end] = hash;
        *end += 1;
    }
    starts.iter().zip(ends).for_each(|(start, end)| spare[*start..end].sort_unstable());
    std::mem::swap(hashes, spare);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::template::TemplateWriter;
    use model::logs::{LogRow, LogsBuilder};
    use model::{AttributeValue, Attributes};

    #[test]
    fn hashes_are_sorted_however_many_there_are() {
        let mut spare = vec![7; 3];
        for many in [0, 1, 2, 300, 70_000] {
            let mut hashes: Vec<u64> = (0..many).map(|at: u64| value(at % 50_000, "text")).chain([u64::MAX, 0]).collect();
            let mut expected = hashes.clone();
            expected.sort_unstable();
            sort(&mut hashes, &mut spare);
            assert!(hashes == expected, "{many}");
        }
    }

    #[test]
    fn templates_and_origins_change_no_bit_of_a_filter() {
        let (mut with, mut without) = (FilterWriter::new(Table::Logs, 100), FilterWriter::new(Table::Logs, 100));
        for batch in 0..3 {
            let mut builder = LogsBuilder::default();
            for at in 0..80 {
                let body = match at % 5 {
                    0 => format!("user {at:x} of gr\u{f6}\u{df}e{at} Done"),
                    1 => format!("{at}:took={}ms,0x{:08X}", at * batch, at * 7919),
                    2 => format!("reset by 10.0.{batch}.{at}"),
                    3 => "7".to_owned(),
                    _ => format!("batch {batch}a{at}"),
                };
                let mut resource = Attributes::default();
                resource.set("pod", AttributeValue::Int(at / 7 % 5));
                builder.push(&LogRow { body: &body, ..LogRow::default() }, &resource, &Attributes::default());
            }
            let records = builder.finish();
            let packed = TemplateWriter::new(Table::Logs, 100).pack(&records).unwrap();
            let split = Split::of(&packed).unwrap();
            assert!((0..records.num_rows()).all(|row| split.of_row(row).is_some()));
            let origins = model::origin::packed(Table::Logs, &records).unwrap();
            with.add(&records, Origins::of(&origins), Some(&split)).unwrap();
            without.add(&records, None, None).unwrap();
        }
        assert!(with.finish(7).unwrap().0 == without.finish(7).unwrap().0);
    }
}
