use std::ops::Range;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

use super::format::{BLOCK_ROWS, FILTER_KEY, GRAM_BITS, LANE_BYTES, SALTS, VERSION, bit, lane};
use crate::lake::handle::Handle;
use crate::lake::unpack::unpack_onto;

/// Bytes of a number in the filter's own index.
const NUMBER_BYTES: usize = 4;

/// The filter of a file: where that of each block lies.
#[derive(Debug)]
pub(crate) struct FileFilter {
    /// First byte in the file.
    start: u64,
    /// Of each block, from the filter's start.
    grams: Vec<Range<usize>>,
    values: Vec<Range<usize>>,
    /// First block of each row group, and behind them the number of blocks.
    groups: Vec<usize>,
}

/// The filter of some blocks that follow each other.
pub(crate) struct BlockFilter {
    bytes: Bytes,
    /// In `bytes`.
    blocks: Vec<Range<usize>>,
}

/// The maps of grams of a row group's blocks, one behind the other.
#[derive(Debug)]
pub(crate) struct GramMaps(Vec<u8>);

const MAP_BYTES: usize = GRAM_BITS / 8;

fn damaged(what: &str) -> ParquetError {
    ParquetError::General(format!("the block filter is damaged: {what}"))
}

impl FileFilter {
    /// None where a file has no filter, or one of a later version.
    pub(crate) fn open(handle: &Handle, footer: &ParquetMetaData) -> Result<Option<Self>> {
        let pairs = footer.file_metadata().key_value_metadata();
        let Some(place) = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == FILTER_KEY)?.value.as_deref()) else {
            return Ok(None);
        };
        let numbers = place.split(' ').map(str::parse).collect::<std::result::Result<Vec<u64>, _>>();
        let numbers = numbers.map_err(|_| damaged("its place is no number"))?;
        let &[version, block_rows, start, bytes] = numbers.as_slice() else {
            // A later version may say more.
            return match numbers.first() {
                Some(&version) if version != VERSION => Ok(None),
                _ => Err(damaged("its place is missing")),
            };
        };
        if version != VERSION {
            return Ok(None);
        }
        if block_rows != BLOCK_ROWS as u64 {
            return Err(damaged("its blocks have another length"));
        }
        let rows = footer.row_groups().iter().map(|group| usize::try_from(group.num_rows()).unwrap_or_default());
        let bytes = usize::try_from(bytes)?;
        Self::read(start, bytes, rows, |start, length| handle.get_bytes(start, length)).map(Some)
    }

    /// Reads the index of a filter. `rows` are those of each row group.
    pub(super) fn read(
        start: u64,
        length: usize,
        rows: impl Iterator<Item = usize>,
        read: impl Fn(u64, usize) -> Result<Bytes>,
    ) -> Result<Self> {
        let mut groups = vec![0];
        for rows in rows {
            groups.push(groups[groups.len() - 1] + rows.div_ceil(BLOCK_ROWS));
        }
        let blocks = groups[groups.len() - 1];
        let index_bytes = blocks.checked_mul(2 * NUMBER_BYTES).map(|bytes| bytes + NUMBER_BYTES).filter(|bytes| *bytes <= length);
        let index_bytes = index_bytes.ok_or_else(|| damaged("it is shorter than its index"))?;
        let index = read(start, index_bytes)?;
        let mut numbers =
            index.chunks_exact(NUMBER_BYTES).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize);
        if numbers.next() != Some(blocks) {
            return Err(damaged("it has another number of blocks than the file"));
        }
        let lengths: Vec<(usize, usize)> = std::iter::from_fn(|| Some((numbers.next()?, numbers.next()?))).collect();
        let mut at = index_bytes;
        let mut place = |length: usize| {
            let start = at;
            at = at.saturating_add(length);
            start..at
        };
        let grams = lengths.iter().map(|lengths| place(lengths.0)).collect();
        let values = lengths.iter().map(|lengths| place(lengths.1)).collect();
        match at == length {
            true => Ok(Self { start, grams, values, groups }),
            false => Err(damaged("its parts are not as long as it says")),
        }
    }

    /// The maps of grams of a row group's blocks, and how many bytes they have in the file.
    pub(crate) fn grams(&self, handle: &Handle, group: usize) -> Result<(GramMaps, usize)> {
        let packed = self.part(&self.grams, group, |start, length| handle.get_bytes(start, length))?;
        Ok((packed.unpacked()?, packed.bytes()))
    }

    /// The values of a row group's blocks.
    pub(crate) fn values(&self, handle: &Handle, group: usize) -> Result<BlockFilter> {
        self.part(&self.values, group, |start, length| handle.get_bytes(start, length))
    }

    fn part(&self, places: &[Range<usize>], group: usize, read: impl Fn(u64, usize) -> Result<Bytes>) -> Result<BlockFilter> {
        let places = &places[self.groups[group]..self.groups[group + 1]];
        let (Some(first), Some(last)) = (places.first(), places.last()) else {
            return Ok(BlockFilter { bytes: Bytes::new(), blocks: Vec::new() });
        };
        let bytes = read(self.start + first.start as u64, last.end - first.start)?;
        let blocks = places.iter().map(|place| place.start - first.start..place.end - first.start).collect();
        Ok(BlockFilter { bytes, blocks })
    }
}

impl BlockFilter {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn unpacked(&self) -> Result<GramMaps> {
        let mut maps = Vec::with_capacity(self.blocks.len() * MAP_BYTES);
        for (before, packed) in self.blocks.iter().enumerate() {
            unpack_onto(&self.bytes[packed.clone()], &mut maps).map_err(|_| damaged("a map of grams is no zstd"))?;
            if maps.len() != (before + 1) * MAP_BYTES {
                return Err(damaged("a map of grams is too short, or too long"));
            }
        }
        Ok(GramMaps(maps))
    }

    /// Whether one block may hold a value.
    pub(crate) fn may_hold(&self, block: usize, hash: u64) -> bool {
        let lanes = &self.bytes[self.blocks[block].clone()];
        let lane = lane(hash, lanes.len() / LANE_BYTES) * LANE_BYTES;
        let words = lanes.get(lane..lane + LANE_BYTES).unwrap_or_default().chunks_exact(4);
        let mut words = words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        SALTS.into_iter().all(|salt| words.next().is_none_or(|word| word & bit(hash, salt) != 0))
    }
}

impl GramMaps {
    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Whether one block has a gram.
    pub(crate) fn has(&self, block: usize, gram: u16) -> bool {
        self.0.get(block * MAP_BYTES + usize::from(gram) / 8).is_none_or(|bits| bits & (1 << (gram % 8)) != 0)
    }
}

/// Reads a filter of one row group and asks it something.
#[cfg(fuzzing)]
pub fn read_and_ask(filter: &[u8], rows: usize) {
    let bytes = Bytes::copy_from_slice(filter);
    let read = |start: u64, length: usize| Ok(bytes.slice(start as usize..start as usize + length));
    let Ok(filter) = FileFilter::read(0, bytes.len(), std::iter::once(rows), read) else { return };
    let (Ok(grams), Ok(values)) = (filter.part(&filter.grams, 0, read), filter.part(&filter.values, 0, read)) else { return };
    let maps = grams.unpacked();
    for block in 0..grams.blocks.len() {
        let _ = maps.as_ref().map(|maps| maps.has(block, 7));
        values.may_hold(block, rows as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::{value, value_seed, word};
    use super::super::{FilterWriter, gram};
    use super::*;
    use model::logs::{LogRow, LogsBuilder};
    use model::{AttributeValue, Attributes, Table};

    fn written(rows: usize, group_rows: usize) -> Vec<u8> {
        let mut writer = FilterWriter::new(Table::Logs, group_rows);
        for at in 0..rows {
            let mut builder = LogsBuilder::default();
            builder.attributes.push("user", AttributeValue::Int(at as i64));
            builder.attributes.push("took", AttributeValue::Double(at as f64));
            let (body, trace_id) = (format!("request {at} Done"), format!("{at:032x}"));
            let row = LogRow { body: &body, trace_id: &trace_id, ..LogRow::default() };
            builder.push(&row, &Attributes::default(), &Attributes::default());
            writer.add(&builder.finish(), None, None).unwrap();
        }
        writer.finish(0).unwrap().0
    }

    fn opened(bytes: &[u8], groups: &[usize]) -> Result<FileFilter> {
        FileFilter::read(0, bytes.len(), groups.iter().copied(), |start, length| Ok(part(bytes, start, length)))
    }

    fn part(bytes: &[u8], start: u64, length: usize) -> Bytes {
        Bytes::copy_from_slice(&bytes[start as usize..start as usize + length])
    }

    #[test]
    fn what_a_block_holds_it_may_hold() {
        let bytes = written(25, 10);
        let filter = opened(&bytes, &[10, 10, 5]).unwrap();
        let mut wrong = 0;
        for group in 0..3 {
            let values = filter.part(&filter.values, group, |start, length| Ok(part(&bytes, start, length))).unwrap();
            let grams = filter.part(&filter.grams, group, |start, length| Ok(part(&bytes, start, length))).unwrap();
            let maps = grams.unpacked().unwrap();
            assert!(b"done".windows(3).all(|window| maps.has(0, gram([window[0], window[1], window[2]]))));
            assert!(!maps.has(0, gram(*b"xyz")));
            for at in 0..25_usize {
                let inside = at / 10 == group;
                let held = [(value_seed("trace_id", None), format!("{at:032x}")), (value_seed("attributes", Some("user")), at.to_string())];
                for (seed, text) in held {
                    let may = values.may_hold(0, value(seed, &text));
                    assert!(may || !inside, "{text} in group {group}");
                    wrong += usize::from(may && !inside);
                }
                let took = values.may_hold(0, value(value_seed("attributes", Some("took")), &at.to_string()));
                wrong += usize::from(took);
            }
            assert!(values.may_hold(0, word(value_seed("body", None), b"DONE")));
        }
        assert!(wrong < 10, "{wrong} of 175 are said to be there and are not");
    }

    /// Whatever the bytes say, reading them ends in an answer or an error.
    #[test]
    fn damage_is_an_error_or_a_maybe() {
        let bytes = written(25, 10);
        assert!(opened(&bytes, &[10, 10]).is_err());
        assert!(opened(&bytes[..bytes.len() - 1], &[10, 10, 5]).is_err());
        assert!(opened(&[], &[]).is_err());
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0xff;
            let Ok(filter) = opened(&bytes, &[10, 10, 5]) else { continue };
            for group in 0..3 {
                let read = |places: &[Range<usize>]| filter.part(places, group, |start, length| Ok(part(&bytes, start, length)));
                let (Ok(grams), Ok(values)) = (read(&filter.grams), read(&filter.values)) else { continue };
                let _ = grams.unpacked().map(|maps| maps.has(0, 7));
                values.may_hold(0, 7);
            }
        }
    }
}
