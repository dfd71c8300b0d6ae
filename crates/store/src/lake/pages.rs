//! The columns of a row group, as Parquet's reader asks for them. By itself it makes two contexts of zstd for each column that it
//! opens, a quarter of what a search for one row costs: here its pages stay packed until they come out, and [`unpack`] has them.

use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::Compression;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::SerializedPageReader;
use zstd::zstd_safe::get_frame_content_size;

use super::handle::Handle;
use super::unpack::unpack;

/// What a page has at most; its header counts in 31 bits.
const PAGE_BYTES_MAX: u64 = i32::MAX as u64;

pub(crate) struct Columns {
    handle: Arc<Handle>,
    footer: Arc<ParquetMetaData>,
    group: usize,
}

impl Columns {
    pub(crate) fn new(handle: Handle, footer: Arc<ParquetMetaData>, group: usize) -> Self {
        Self { handle: Arc::new(handle), footer, group }
    }

    fn pages(&self, leaf: usize) -> Result<Box<dyn PageReader>> {
        let column = self.footer.row_group(self.group).column(leaf);
        let locations = self.footer.offset_index().and_then(|groups| groups.get(self.group)?.get(leaf));
        let locations = locations.map(|index| index.page_locations().clone()).filter(|pages| !pages.is_empty());
        let open = |column| SerializedPageReader::new(self.handle.clone(), column, self.num_rows(), locations);
        if !matches!(column.compression(), Compression::ZSTD(_)) {
            return Ok(Box::new(open(column)?));
        }
        let packed = column.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?;
        Ok(Box::new(Unpacked { packed: open(&packed)? }))
    }
}

impl RowGroups for Columns {
    fn num_rows(&self) -> usize {
        usize::try_from(self.footer.row_group(self.group).num_rows()).unwrap_or_default()
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>> {
        Ok(Box::new(Once(Some(self.pages(leaf)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.footer.row_group(self.group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.footer
    }
}

struct Once(Option<Result<Box<dyn PageReader>>>);

impl Iterator for Once {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take()
    }
}

impl PageIterator for Once {}

/// The pages of a column, which its reader takes for never packed.
struct Unpacked {
    packed: SerializedPageReader<Handle>,
}

impl PageReader for Unpacked {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.packed.get_next_page()?.map(unpacked_page).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.packed.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.packed.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.packed.at_record_boundary()
    }
}

impl Iterator for Unpacked {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

fn unpacked_page(mut page: Page) -> Result<Page> {
    match &mut page {
        Page::DictionaryPage { buf, .. } | Page::DataPage { buf, .. } => *buf = unpacked(buf, 0)?,
        Page::DataPageV2 { buf, is_compressed: true, def_levels_byte_len, rep_levels_byte_len, .. } => {
            // Levels stand before the values, never packed.
            *buf = unpacked(buf, *def_levels_byte_len as usize + *rep_levels_byte_len as usize)?;
        }
        Page::DataPageV2 { .. } => {}
    }
    Ok(page)
}

/// The bytes from `start` on unpacked, those before as they are.
fn unpacked(bytes: &Bytes, start: usize) -> Result<Bytes> {
    let damaged = |what: &str| ParquetError::General(format!("a page is damaged: {what}"));
    let (plain, packed) = bytes.split_at_checked(start).ok_or_else(|| damaged("its levels are longer than it"))?;
    if packed.is_empty() {
        return Ok(bytes.clone());
    }
    let length = get_frame_content_size(packed).ok().flatten().ok_or_else(|| damaged("it does not say how long it is"))?;
    if length > PAGE_BYTES_MAX {
        return Err(damaged("it says to be longer than a page can be"));
    }
    let length = length as usize;
    let values = unpack(packed, length).map_err(|error| damaged(&error.to_string()))?;
    if values.len() != length {
        return Err(damaged("it is not as long as it says"));
    }
    Ok(if plain.is_empty() { values.into() } else { [plain, &values].concat().into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::folder::ReadAt;
    use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
    use arrow::datatypes::Int64Type;
    use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowSelection};
    use parquet::arrow::{ArrowWriter, ProjectionMask, parquet_to_arrow_field_levels};
    use parquet::basic::ZstdLevel;
    use parquet::file::metadata::PageIndexPolicy;
    use parquet::file::properties::{WriterProperties, WriterVersion};
    use std::io;

    #[derive(Debug)]
    struct InMemory(Bytes);

    impl ReadAt for InMemory {
        fn bytes(&self) -> u64 {
            self.0.len() as u64
        }

        fn read(&self, start: u64, end: u64) -> io::Result<Vec<u8>> {
            Ok(self.0[start as usize..end as usize].to_vec())
        }

        fn forget(&self, _: u64, _: u64) -> bool {
            false
        }
    }

    fn rows() -> RecordBatch {
        let texts: StringArray = (0..5000).map(|row| (row % 3 > 0).then(|| format!("text {}", row % 400))).collect();
        let lists = (0..5000).map(|row| (row % 5 > 0).then(|| (0..row % 4).map(Some)));
        let columns: [(&str, ArrayRef, bool); 4] = [
            ("number", Arc::new(Int64Array::from_iter_values(0..5000)), false),
            ("text", Arc::new(texts), true),
            ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)), true),
            ("nothing", Arc::new(StringArray::new_null(5000)), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    /// Rows of a file, of all columns.
    fn read(file: &Bytes, selection: Option<RowSelection>) -> Result<RecordBatch> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let footer = ArrowReaderMetadata::load(file, options)?;
        let columns = Columns::new(Handle::new(Arc::new(InMemory(file.clone()))), footer.metadata().clone(), 0);
        let levels = parquet_to_arrow_field_levels(footer.parquet_schema(), ProjectionMask::all(), Some(footer.schema().fields()))?;
        let batches = ParquetRecordBatchReader::try_new_with_row_groups(&levels, &columns, 700, selection)?;
        let batches = batches.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(arrow::compute::concat_batches(footer.schema(), &batches)?)
    }

    #[test]
    fn pages_of_each_kind_are_what_was_written() {
        let (rows, zstd) = (rows(), Compression::ZSTD(ZstdLevel::default()));
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for compression in [zstd, Compression::UNCOMPRESSED, Compression::LZ4_RAW] {
                let properties = WriterProperties::builder().set_writer_version(version).set_compression(compression);
                let properties = properties.set_data_page_row_count_limit(300).set_write_batch_size(100).build();
                let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
                writer.write(&rows).unwrap();
                let file = Bytes::from(writer.into_inner().unwrap());
                assert_eq!(read(&file, None).unwrap(), rows);
                let some = RowSelection::from_consecutive_ranges([3..4, 900..2105, 4999..5000].into_iter(), 5000);
                let wanted = [rows.slice(3, 1), rows.slice(900, 1205), rows.slice(4999, 1)];
                assert_eq!(read(&file, Some(some)).unwrap(), arrow::compute::concat_batches(&rows.schema(), &wanted).unwrap());
            }
        }
    }

    #[test]
    fn a_damaged_page_is_an_error() {
        let page = Bytes::from(zstd::bulk::compress(&[7; 1000], 1).unwrap());
        assert_eq!(unpacked(&page, 0).unwrap(), vec![7; 1000]);
        assert_eq!(unpacked(&[b"levels", &page[..]].concat().into(), 6).unwrap(), [b"levels", &[7; 1000][..]].concat());
        for length in 0..page.len() {
            assert!(length == 0 || unpacked(&page.slice(..length), 0).is_err(), "{length} of {} bytes", page.len());
        }
        assert!(unpacked(&page, page.len() + 1).is_err());
        let endless = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0];
        assert_eq!(
            unpacked(&endless.into(), 0).unwrap_err().to_string(),
            "Parquet error: a page is damaged: it says to be longer than a page can be"
        );
    }
}
