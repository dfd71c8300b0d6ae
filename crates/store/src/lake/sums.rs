//! Checksums inside a lake file, so that a bit that flips on disk becomes an error and never an answer. (Parquet has sums
//! of pages, which the `parquet` crate does not write.)
//!
//! The footer's `tyto.blocks` has the CRC-32C of every [`BLOCK_BYTES`] in front of the footer. `tyto.footer` says where
//! they end, and has the CRC-32C of all that follows, taken with zeros in its own place.

use std::io::{self, BufWriter, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{KeyValue, ParquetMetaData};

use crate::DiskFile;

/// What is read and checked at least.
const BLOCK_BYTES: usize = 32 << 10;
const BLOCKS_KEY: &str = "tyto.blocks";
const FOOTER_KEY: &str = "tyto.footer";
/// Hexadecimal digits of a place in a file, and of a sum.
const PLACE_DIGITS: usize = 16;
const SUM_DIGITS: usize = 8;
const UNKNOWN_SUM: &str = "00000000";

/// The file as the Parquet writer sees it. [`Self::begin_footer`] comes between the last row group and the footer, which is
/// held back until its sum is known.
pub(crate) struct SumWriter {
    file: BufWriter<Appender>,
    block: u32,
    block_bytes: usize,
    blocks: Vec<u8>,
    bytes: u64,
    footer: Option<Vec<u8>>,
}

struct Appender(Box<dyn DiskFile>);

impl Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SumWriter {
    pub(crate) fn new(file: Box<dyn DiskFile>) -> Self {
        let file = BufWriter::with_capacity(1 << 20, Appender(file));
        Self { file, block: 0, block_bytes: 0, blocks: Vec::new(), bytes: 0, footer: None }
    }

    /// What the footer must say. Everything before it has been written.
    pub(crate) fn begin_footer(&mut self) -> [KeyValue; 2] {
        if self.block_bytes > 0 {
            self.blocks.extend_from_slice(&self.block.to_le_bytes());
        }
        self.footer = Some(Vec::new());
        [
            KeyValue::new(BLOCKS_KEY.to_owned(), STANDARD_NO_PAD.encode(&self.blocks)),
            KeyValue::new(FOOTER_KEY.to_owned(), format!("{:0PLACE_DIGITS$x}{UNKNOWN_SUM}", self.bytes)),
        ]
    }

    /// Writes the footer and syncs; gives the bytes of the file.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        let mut footer = self.footer.take().unwrap_or_default();
        let value = value_place(&footer).ok_or_else(|| io::Error::other("the Parquet writer left out a key of the footer"))?;
        let at = value + PLACE_DIGITS;
        let sum = format!("{:0SUM_DIGITS$x}", crc32c::crc32c(&footer));
        footer[at..at + SUM_DIGITS].copy_from_slice(sum.as_bytes());
        self.file.write_all(&footer)?;
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.0.sync()?;
        Ok(self.bytes)
    }
}

impl Write for SumWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        if let Some(footer) = &mut self.footer {
            footer.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        self.file.write_all(bytes)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK_BYTES - self.block_bytes));
            self.block = crc32c::crc32c_append(self.block, now);
            self.block_bytes += now.len();
            rest = later;
            if self.block_bytes == BLOCK_BYTES {
                self.blocks.extend_from_slice(&self.block.to_le_bytes());
                (self.block, self.block_bytes) = (0, 0);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where the value of `tyto.footer` stands. Texts of users may come before it, in statistics, and nothing of theirs after.
fn value_place(footer: &[u8]) -> Option<usize> {
    // Between key and value, Thrift's compact form has the value's field and its length.
    let at = memchr::memmem::rfind(footer, FOOTER_KEY.as_bytes())? + FOOTER_KEY.len() + 2;
    (at + PLACE_DIGITS + SUM_DIGITS <= footer.len()).then_some(at)
}

/// Checks a file's footer before anybody parses it: a damaged one could make the parser panic. `read` gives the bytes from
/// one place to another.
pub(crate) fn check_footer(file_bytes: u64, read: impl Fn(u64, u64) -> Result<Vec<u8>>) -> Result<()> {
    let damaged = || ParquetError::General("the footer is damaged: its checksum is missing or fails".to_owned());
    let end = file_bytes.checked_sub(8).ok_or_else(damaged)?;
    let length = read(end, end + 4)?.try_into().map(u32::from_le_bytes).map_err(|_| damaged())?;
    let start = end.checked_sub(u64::from(length)).ok_or_else(damaged)?;
    let footer = read(start, file_bytes)?;
    let value = value_place(&footer).ok_or_else(damaged)?;
    let digits = |from: usize, count: usize| std::str::from_utf8(footer.get(from..from + count)?).ok();
    let place = digits(value, PLACE_DIGITS).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let place = place.filter(|place| *place <= start).ok_or_else(damaged)?;
    let said = digits(value + PLACE_DIGITS, SUM_DIGITS).map(str::to_owned);
    let mut summed = read(place, file_bytes)?;
    let at = usize::try_from(start - place)? + value + PLACE_DIGITS;
    summed[at..at + SUM_DIGITS].copy_from_slice(UNKNOWN_SUM.as_bytes());
    match said == Some(format!("{:0SUM_DIGITS$x}", crc32c::crc32c(&summed))) {
        true => Ok(()),
        false => Err(damaged()),
    }
}

/// The sums of a file, as its footer has them.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    blocks: Vec<u8>,
    /// Where the footer begins.
    end: u64,
}

impl Sums {
    /// From a footer. Every lake file has them: without, the footer is damaged where they stood.
    pub(crate) fn of(footer: &ParquetMetaData) -> Result<Self> {
        let damaged = || ParquetError::General("the footer's checksums are missing or damaged".to_owned());
        let said = |key: &str| {
            let pairs = footer.file_metadata().key_value_metadata()?;
            pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
        };
        let blocks = said(BLOCKS_KEY).and_then(|text| STANDARD_NO_PAD.decode(text).ok()).ok_or_else(damaged)?;
        let end = said(FOOTER_KEY).and_then(|text| u64::from_str_radix(text.get(..PLACE_DIGITS)?, 16).ok()).ok_or_else(damaged)?;
        match end.div_ceil(BLOCK_BYTES as u64) * 4 == blocks.len() as u64 {
            true => Ok(Self { blocks, end }),
            false => Err(damaged()),
        }
    }

    /// Reads a range by whole blocks and checks each. What lies in the footer was checked when that was read.
    pub(crate) fn read(&self, start: u64, end: u64, read: impl Fn(u64, u64) -> Result<Vec<u8>>) -> Result<Bytes> {
        if start >= self.end {
            return Ok(read(start, end)?.into());
        }
        let block = BLOCK_BYTES as u64;
        let first = start / block * block;
        let last = end.min(self.end).div_ceil(block).saturating_mul(block).min(self.end).max(end);
        let bytes = read(first, last)?;
        let summed = usize::try_from(self.end.min(last) - first).unwrap_or(usize::MAX).min(bytes.len());
        let sums = self.blocks.chunks_exact(4).skip(usize::try_from(first / block).unwrap_or(usize::MAX));
        for (index, (part, sum)) in bytes[..summed].chunks(BLOCK_BYTES).zip(sums).enumerate() {
            if crc32c::crc32c(part).to_le_bytes() != *sum {
                let at = first + (index * BLOCK_BYTES) as u64;
                return Err(ParquetError::General(format!("the checksum of the {} bytes at {at} fails", part.len())));
            }
        }
        let from = usize::try_from(start - first).unwrap_or(usize::MAX);
        let length = usize::try_from(end - start).unwrap_or(usize::MAX);
        Ok(Bytes::from(bytes).slice(from..from + length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ShardOptions;
    use crate::lake::files::LakeFile;
    use crate::lake::filter::FileFilter;
    use crate::lake::write::FileWriter;
    use arrow::array::RecordBatch;
    use model::logs::{LogRow, LogsBuilder};
    use model::{Attributes, Table};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    /// A file of several blocks.
    fn written(dir: &std::path::Path) -> LakeFile {
        let options = ShardOptions::new("one", dir);
        std::fs::create_dir_all(options.lake_dir().join("logs")).unwrap();
        let mut builder = LogsBuilder::default();
        for index in 0..400_i64 {
            let body: String = (0..20).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();
            let row = LogRow { time_unix_nano: index, body: &body, ..LogRow::default() };
            builder.push(&row, &Attributes::default(), &Attributes::default());
        }
        let (folder, batches) = (options.folder(Table::Logs), std::iter::once(Ok(builder.finish())));
        FileWriter { options: &options, table: Table::Logs, folder: &folder, declared: &Default::default(), seq: 1 }
            .write_file(batches)
            .unwrap()
            .unwrap()
    }

    fn read(file: &LakeFile) -> model::Result<Vec<RecordBatch>> {
        let (handle, footer) = file.open(None)?;
        let corrupt = |error| file.corrupt(error);
        let filter = FileFilter::open(&handle, footer.metadata()).map_err(corrupt)?.expect("logs have a filter");
        for group in 0..footer.metadata().num_row_groups() {
            filter.values(&handle, group).and_then(|_| filter.grams(&handle, group)).map_err(corrupt)?;
        }
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, footer).build().map_err(|error| file.corrupt(error))?;
        reader.map(|records| records.map_err(|error| file.corrupt(error))).collect()
    }

    #[test]
    fn no_flipped_bit_is_read_as_an_answer() {
        let dir = tempfile::tempdir().unwrap();
        let file = written(dir.path());
        let whole = std::fs::read(file.address()).unwrap();
        assert!(whole.len() > 3 * BLOCK_BYTES && file.bytes == whole.len() as u64);
        assert_eq!(read(&file).unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 400);
        let footer = whole.len() - 4000;
        for at in (0..footer).step_by(997).chain(footer..whole.len()) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(file.address(), &damaged).unwrap();
            match read(&file) {
                Err(error) => assert_eq!(error.code, model::Code::Corrupt, "byte {at}: {}", error.chain()),
                Ok(_) => panic!("byte {at} of {} was flipped and nobody saw it", whole.len()),
            }
        }
    }

    #[test]
    fn a_range_is_cut_from_whole_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let file = written(dir.path());
        let whole = std::fs::read(file.address()).unwrap();
        let (handle, _) = file.open(None).unwrap();
        use parquet::file::reader::ChunkReader;
        for (start, end) in [
            (0, 4),
            (5, BLOCK_BYTES + 5),
            (BLOCK_BYTES, 2 * BLOCK_BYTES),
            (3 * BLOCK_BYTES - 1, whole.len()),
            (whole.len() - 8, whole.len()),
        ] {
            assert_eq!(handle.get_bytes(start as u64, end - start).unwrap(), &whole[start..end]);
        }
        assert!(handle.get_bytes(5, whole.len()).is_err());
    }
}
