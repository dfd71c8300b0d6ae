use bytes::Bytes;
use model::{Error, Result};
use parquet::basic::{BoundaryOrder, Compression, Encoding, PageType, Type};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::leaf::{Leaf, Levels};
use super::{bounds, hybrid};

/// What packs pages, and what the file says of it.
pub(super) struct Packing {
    pub(super) compressor: Compressor<'static>,
    pub(super) compression: Compression,
    /// Rows of a page.
    pub(super) page_rows: usize,
}

/// Writes the chunks of one leaf, row group after row group: a dictionary, and pages of places in it. No text is looked at but when it first comes.
pub(super) struct ChunkWriter {
    leaf: Leaf,
    column: ColumnDescPtr,
    /// Of columns with statistics the rank of each text.
    ranks: Option<Vec<u32>>,
    chunk: Chunk,
    page: PageOf,
}

/// Of the row group.
#[derive(Default)]
struct Chunk {
    /// Of each text its place in the dictionary and one; 0 where it has none yet.
    places: Vec<u32>,
    dictionary: Vec<u8>,
    dictionary_texts: u32,
    data: Vec<u8>,
    pages: Vec<Written>,
    rows: usize,
    values: usize,
    nulls: usize,
    range: Option<(u32, u32)>,
    uncompressed: usize,
}

/// A page that is in `data`.
struct Written {
    offset: usize,
    bytes: usize,
    first_row: usize,
    nulls: usize,
    range: Option<(u32, u32)>,
}

/// Of the page.
#[derive(Default)]
struct PageOf {
    rows: usize,
    repetitions: Vec<u8>,
    definitions: Vec<u8>,
    places: Vec<u32>,
    /// Of texts that are in it, those of least and of greatest rank.
    range: Option<(u32, u32)>,
}

impl ChunkWriter {
    pub(super) fn new(leaf: Leaf, column: ColumnDescPtr, has_statistics: bool) -> Result<Self> {
        let levels = (i16::from(leaf.levels.repetition), i16::from(leaf.levels.definition));
        if column.physical_type() != Type::BYTE_ARRAY || levels != (column.max_rep_level(), column.max_def_level()) {
            return Err(Error::internal(format!("cannot write column {}: it is no text or map of a table", column.path())));
        }
        let ranks = has_statistics.then(|| leaf.ranks());
        let mut writer = Self { leaf, column, ranks, chunk: Chunk::default(), page: PageOf::default() };
        writer.begin();
        Ok(writer)
    }

    fn begin(&mut self) {
        self.chunk = Chunk { places: vec![0; self.leaf.len()], ..Chunk::default() };
    }

    /// Takes the next rows in, which have these origins.
    pub(super) fn push(&mut self, mut origins: &[i32], packing: &mut Packing) -> Result<()> {
        while !origins.is_empty() {
            let (now, then) = origins.split_at(origins.len().min(packing.page_rows - self.page.rows));
            let mut rest = now;
            while let Some(first) = rest.first() {
                // A head is ordered by its owners: one comes many times in a row, and many origins have it.
                let are_alike = |next: &&i32| *next == first || self.leaf.are_alike(*first, **next);
                let alike = if self.leaf.is_uniform() { rest.len() } else { rest.iter().take_while(are_alike).count() };
                self.push_alike(*first as usize, alike);
                rest = &rest[alike..];
            }
            self.page.rows += now.len();
            if self.page.rows == packing.page_rows {
                self.end_page(packing)?;
            }
            origins = then;
        }
        Ok(())
    }

    fn push_row(&mut self, origin: usize) {
        let Self { leaf, ranks, chunk, page, .. } = self;
        for entry in leaf.entries(origin) {
            if leaf.levels.repetition > 0 {
                page.repetitions.push(entry.repetition);
            }
            page.definitions.push(entry.definition);
            let Some(text) = entry.text else { continue };
            page.places.push(chunk.place(text, leaf));
            if let Some(ranks) = ranks {
                page.range = Some(widened(ranks, page.range, (text, text)));
            }
        }
    }

    /// So many rows that have the same as this origin.
    fn push_alike(&mut self, origin: usize, rows: usize) {
        let PageOf { repetitions, definitions, places, .. } = &self.page;
        let before = [repetitions.len(), definitions.len(), places.len()];
        self.push_row(origin);
        let PageOf { repetitions, definitions, places, .. } = &mut self.page;
        repeat(repetitions, before[0], rows - 1);
        repeat(definitions, before[1], rows - 1);
        repeat(places, before[2], rows - 1);
    }

    fn end_page(&mut self, packing: &mut Packing) -> Result<()> {
        let Self { leaf: Leaf { levels, .. }, ranks, chunk, page, .. } = self;
        let mut bytes = Vec::new();
        let Levels { repetition, definition } = *levels;
        [(repetition, &page.repetitions), (definition, &page.definitions)]
            .iter()
            .for_each(|(most, levels)| encode_levels(levels, *most, &mut bytes));
        let bits = hybrid::bits(chunk.dictionary_texts.saturating_sub(1));
        bytes.push(bits as u8);
        hybrid::encode(&page.places, bits, &mut bytes);

        let (values, nulls) = (page.definitions.len(), page.definitions.len() - page.places.len());
        let packed = packing.pack(&bytes)?;
        let data = Page::DataPage {
            buf: packed,
            num_values: values as u32,
            encoding: Encoding::RLE_DICTIONARY,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let offset = chunk.data.len();
        let spec = append(&mut chunk.data, data, bytes.len())?;
        chunk.pages.push(Written { offset, bytes: spec.compressed_size, first_row: chunk.rows, nulls, range: page.range });
        chunk.rows += page.rows;
        chunk.values += values;
        chunk.nulls += nulls;
        chunk.uncompressed += spec.uncompressed_size;
        if let (Some(ranks), Some(range)) = (ranks, page.range) {
            chunk.range = Some(widened(ranks, chunk.range, range));
        }
        let PageOf { rows, repetitions, definitions, places, range } = page;
        (*rows, *range) = (0, None);
        repetitions.clear();
        definitions.clear();
        places.clear();
        Ok(())
    }

    /// Ends the row group: the bytes of its chunk, and what the file says of them.
    pub(super) fn close(&mut self, packing: &mut Packing) -> Result<(Bytes, ColumnCloseResult)> {
        if self.page.rows > 0 {
            self.end_page(packing)?;
        }
        let chunk = std::mem::take(&mut self.chunk);
        let mut bytes = Vec::new();
        let dictionary = Page::DictionaryPage {
            buf: packing.pack(&chunk.dictionary)?,
            num_values: chunk.dictionary_texts,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let spec = append(&mut bytes, dictionary, chunk.dictionary.len())?;
        let begin = bytes.len();
        bytes.extend_from_slice(&chunk.data);

        let pages = |page_type, encoding, count: usize| PageEncodingStats { page_type, encoding, count: count as i32 };
        let mut metadata = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(packing.compression)
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
            .set_page_encoding_stats(vec![
                pages(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1),
                pages(PageType::DATA_PAGE, Encoding::RLE_DICTIONARY, chunk.pages.len()),
            ])
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size((spec.uncompressed_size + chunk.uncompressed) as i64)
            .set_num_values(chunk.values as i64)
            .set_dictionary_page_offset(Some(0))
            .set_data_page_offset(begin as i64);
        if self.ranks.is_some() {
            metadata = metadata.set_statistics(self.statistics(&chunk));
        }
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: chunk.rows as u64,
            metadata: metadata.build().map_err(cannot)?,
            bloom_filter: None,
            column_index: self.ranks.is_some().then(|| self.column_index(&chunk).build()).transpose().map_err(cannot)?,
            offset_index: Some(offset_index(&chunk, begin).build()),
        };
        self.begin();
        Ok((bytes.into(), close))
    }

    fn statistics(&self, chunk: &Chunk) -> Statistics {
        let least = chunk.range.map(|(low, _)| bounds::least(self.leaf.text(low)));
        let greatest = chunk.range.map(|(_, high)| bounds::greatest(self.leaf.text(high)));
        let text = |bytes: &[u8]| ByteArray::from(bytes.to_vec());
        let (low, high) = (least.map(|(bytes, _)| text(bytes)), greatest.as_ref().map(|(bytes, _)| text(bytes)));
        let values = ValueStatistics::new(low, high, None, Some(chunk.nulls as u64), false)
            .with_min_is_exact(least.is_some_and(|(_, is_exact)| is_exact))
            .with_max_is_exact(greatest.is_some_and(|(_, is_exact)| is_exact));
        Statistics::ByteArray(values)
    }

    fn column_index(&self, chunk: &Chunk) -> ColumnIndexBuilder {
        let mut index = ColumnIndexBuilder::new(Type::BYTE_ARRAY);
        for page in &chunk.pages {
            let low = page.range.map_or(Vec::new(), |(low, _)| bounds::least(self.leaf.text(low)).0.to_vec());
            let high = page.range.map_or(Vec::new(), |(_, high)| bounds::greatest(self.leaf.text(high)).0);
            index.append(page.range.is_none(), low, high, page.nulls as i64);
        }
        let rank = |text: u32| self.ranks.as_ref().map(|ranks| ranks[text as usize]);
        let ranks = chunk.pages.iter().filter_map(|page| page.range).map(|(low, high)| [rank(low), rank(high)]);
        let is_ascending = ranks.clone().zip(ranks.skip(1)).all(|(before, after)| before[0] <= after[0] && before[1] <= after[1]);
        index.set_boundary_order(if is_ascending { BoundaryOrder::ASCENDING } else { BoundaryOrder::UNORDERED });
        index
    }
}

impl Chunk {
    /// A text's place in the dictionary, which takes it in when it is new.
    fn place(&mut self, text: u32, leaf: &Leaf) -> u32 {
        let place = &mut self.places[text as usize];
        if *place == 0 {
            self.dictionary_texts += 1;
            *place = self.dictionary_texts;
            let text = leaf.text(text);
            self.dictionary.extend_from_slice(&(text.len() as u32).to_le_bytes());
            self.dictionary.extend_from_slice(text.as_bytes());
        }
        *place - 1
    }
}

impl Packing {
    fn pack(&mut self, bytes: &[u8]) -> Result<Bytes> {
        let packed = self.compressor.compress(bytes);
        packed.map(Bytes::from).map_err(|error| Error::internal("cannot compress a page").because(error))
    }
}

/// Appends what stands from `start` on so many times more.
fn repeat<T: Copy>(all: &mut Vec<T>, start: usize, times: usize) {
    match all[start..] {
        [] => {}
        [one] => all.resize(all.len() + times, one),
        _ => {
            let end = all.len();
            all.reserve(times * (end - start));
            (0..times).for_each(|_| all.extend_from_within(start..end));
        }
    }
}

/// The texts of least and of greatest rank of both.
fn widened(ranks: &[u32], held: Option<(u32, u32)>, more: (u32, u32)) -> (u32, u32) {
    let rank = |text: u32| ranks[text as usize];
    held.map_or(more, |(low, high)| {
        (if rank(more.0) < rank(low) { more.0 } else { low }, if rank(more.1) > rank(high) { more.1 } else { high })
    })
}

/// Levels with their length in front; a column whose levels are all 0 has none.
fn encode_levels(levels: &[u8], most: u8, out: &mut Vec<u8>) {
    if most == 0 {
        return;
    }
    let at = out.len();
    out.extend_from_slice(&[0; size_of::<u32>()]);
    hybrid::encode(levels, hybrid::bits(most.into()), out);
    let length = (out.len() - at - size_of::<u32>()) as u32;
    out[at..at + size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
}

/// Appends a page with its header. `uncompressed` are its bytes before they were packed.
fn append(out: &mut Vec<u8>, page: Page, uncompressed: usize) -> Result<PageWriteSpec> {
    let mut sink = TrackedWrite::new(out);
    let spec = SerializedPageWriter::new(&mut sink).write_page(CompressedPage::new(page, uncompressed)).map_err(cannot)?;
    sink.into_inner().map_err(cannot)?;
    Ok(spec)
}

fn offset_index(chunk: &Chunk, begin: usize) -> OffsetIndexBuilder {
    let mut index = OffsetIndexBuilder::new();
    let ends = chunk.pages.iter().skip(1).map(|page| page.first_row).chain([chunk.rows]);
    for (page, end) in chunk.pages.iter().zip(ends) {
        index.append_row_count((end - page.first_row) as i64);
        index.append_offset_and_size((begin + page.offset) as i64, page.bytes as i32);
    }
    index
}

fn cannot(error: parquet::errors::ParquetError) -> Error {
    Error::unavailable("cannot write lake file").because(error)
}
