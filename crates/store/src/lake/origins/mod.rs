//! Columns of origins (`model::origin`) as Parquet has them, written without a look at their texts for each row.
//!
//! Rows of a head have their resource, scope and owner by a place among the head's origins. Parquet's own writer wants a text for each row and
//! attribute, hashes it to find its place in a dictionary, and writes that place: here the first place leads to the second.
//! What is written is what it would write, page for page: dictionaries, and one page for each block of rows.

mod bounds;
mod chunk;
mod hybrid;
mod leaf;

use std::io::Write;

use arrow::array::{RecordBatch, StructArray};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;
use model::origin::{COLUMNS, Origins};
use model::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::EnabledStatistics;
use parquet::file::writer::SerializedFileWriter;
use zstd::bulk::Compressor;

use self::chunk::{ChunkWriter, Packing};
use self::leaf::Leaf;
use super::filter::BLOCK_ROWS;

/// A dictionary of more is read for the few rows that somebody wants: Parquet's writer goes on without.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;

/// What the origins of a file's rows have in Parquet's columns, by column of origins.
pub(crate) struct Leaves(Vec<Vec<Leaf>>);

impl Leaves {
    /// None of origins that hardly repeat, whose dictionaries would be large.
    pub(crate) fn of(origins: &StructArray) -> Result<Option<Self>> {
        let mut all = Vec::with_capacity(COLUMNS.len());
        for name in COLUMNS {
            let leaves = Leaf::of(origins, name)?;
            if leaves.iter().any(|leaf| leaf.bytes() > DICTIONARY_BYTES_MAX) {
                return Ok(None);
            }
            all.push(leaves);
        }
        Ok(Some(Self(all)))
    }
}

/// Writes row groups of packed rows that all have the same origins.
pub(crate) struct PackedWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    factory: ArrowRowGroupWriterFactory,
    /// The file's.
    schema: SchemaRef,
    group_rows: usize,
    packing: Packing,
    /// By column of the file's schema: of origins its leaves.
    shared: Vec<Option<Vec<ChunkWriter>>>,
    /// Of the row group: the leaves of all other columns.
    own: Vec<Vec<ArrowColumnWriter>>,
    rows: usize,
}

impl<W: Write + Send> PackedWriter<W> {
    /// Goes on where `writer`, with this schema and level of zstd, has not begun. `leaves` are those of all rows.
    pub(crate) fn new(writer: ArrowWriter<W>, schema: SchemaRef, leaves: Leaves, group_rows: usize, level: i32) -> Result<Self> {
        let (writer, factory) = writer.into_serialized_writer().map_err(cannot)?;
        let mut of_columns: HashMap<&str, Vec<Leaf>> = COLUMNS.into_iter().zip(leaves.0).collect();
        let columns = writer.schema_descr().columns();
        let shared = schema.fields().iter().map(|field| {
            let Some(leaves) = of_columns.remove(field.name().as_str()) else { return Ok(None) };
            let columns = columns.iter().filter(|column| column.path().parts()[0] == *field.name());
            let chunks = columns.zip(leaves).map(|(column, leaf)| {
                let statistics = writer.properties().statistics_enabled(column.path());
                ChunkWriter::new(leaf, column.clone(), statistics == EnabledStatistics::Page)
            });
            chunks.collect::<Result<Vec<_>>>().map(Some)
        });
        let shared = shared.collect::<Result<_>>()?;
        let compressor = Compressor::new(level).map_err(|error| Error::internal("cannot make a compressor").because(error))?;
        let level = parquet::basic::ZstdLevel::try_new(level).map_err(cannot)?;
        let packing = Packing { compressor, compression: Compression::ZSTD(level), page_rows: BLOCK_ROWS };
        Ok(Self { writer, factory, schema, group_rows, packing, shared, own: Vec::new(), rows: 0 })
    }

    /// Takes the next rows in, as the file has them but for the columns of origins.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let mut from = 0;
        while from < rows.num_rows() {
            if self.own.is_empty() {
                self.begin_group()?;
            }
            let taken = (rows.num_rows() - from).min(self.group_rows - self.rows);
            self.write_within_group(&rows.slice(from, taken))?;
            self.rows += taken;
            from += taken;
            if self.rows == self.group_rows {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn begin_group(&mut self) -> Result<()> {
        let mut writers = self.factory.create_column_writers(self.writer.flushed_row_groups().len()).map_err(cannot)?.into_iter();
        let mut leaves = self.writer.schema_descr().columns().iter().peekable();
        for field in self.schema.fields() {
            let mut of_field = Vec::new();
            while leaves.next_if(|leaf| leaf.path().parts()[0] == *field.name()).is_some() {
                of_field.extend(writers.next());
            }
            self.own.push(of_field);
        }
        Ok(())
    }

    fn write_within_group(&mut self, rows: &RecordBatch) -> Result<()> {
        let origins = Origins::of(rows).ok_or_else(|| Error::internal("cannot write rows that are not packed"))?;
        for ((field, shared), own) in self.schema.fields().iter().zip(&mut self.shared).zip(&mut self.own) {
            if let Some(chunks) = shared {
                chunks.iter_mut().try_for_each(|chunk| chunk.push(origins.keys.values(), &mut self.packing))?;
                continue;
            }
            let column = rows
                .column_by_name(field.name())
                .ok_or_else(|| Error::internal(format!("cannot find column {:?} to write", field.name())))?;
            for (writer, leaf) in own.iter_mut().zip(compute_leaves(field, column).map_err(cannot)?) {
                writer.write(&leaf).map_err(cannot)?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<()> {
        let mut group = self.writer.next_row_group().map_err(cannot)?;
        for (own, shared) in self.own.drain(..).zip(&mut self.shared) {
            match shared {
                Some(chunks) => {
                    for chunk in chunks {
                        let (bytes, close) = chunk.close(&mut self.packing)?;
                        group.append_column(&bytes, close).map_err(cannot)?;
                    }
                }
                None => own.into_iter().try_for_each(|writer| writer.close()?.append_to_row_group(&mut group)).map_err(cannot)?,
            }
        }
        group.close().map_err(cannot)?;
        self.rows = 0;
        Ok(())
    }

    /// Ends the last row group; the footer is the caller's.
    pub(crate) fn finish(mut self) -> Result<SerializedFileWriter<W>> {
        if self.rows > 0 {
            self.end_group()?;
        }
        Ok(self.writer)
    }
}

fn cannot(error: ParquetError) -> Error {
    Error::unavailable("cannot write lake file").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use bytes::Bytes;
    use model::logs::{LogRow, LogsBuilder};
    use model::origin;
    use model::{AttributeValue, Attributes, Table};
    use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
    use parquet::file::properties::WriterProperties;
    use parquet::schema::types::ColumnPath;

    const GROUP_ROWS: usize = 20_000;

    /// Rows of many pods and of none, some with long names, in batches of all sizes.
    fn batches() -> Vec<RecordBatch> {
        let mut state = 11_u64;
        let mut next = move |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        let batch = |rows: u64| {
            let mut builder = LogsBuilder::default();
            let (mut resource, mut scope) = (Attributes::default(), Attributes::default());
            for row in 0..rows {
                if next(3) > 0 {
                    resource.clear();
                    scope.clear();
                    for key in 0..next(4) {
                        let text = format!("{}{}", "pöd ".repeat(next(30) as usize), next(9));
                        resource
                            .add(&format!("key {key}"), if next(5) == 0 { AttributeValue::Int(7) } else { AttributeValue::Text(&text) });
                    }
                    if next(2) == 0 {
                        scope.add("lib", AttributeValue::Text(""));
                    }
                }
                let names = ["", "a", "checkout", &"ü".repeat(50)];
                let row = LogRow { time_unix_nano: row as i64, body: "text", service_name: names[next(4) as usize], ..LogRow::default() };
                builder.push(&row, &resource, &scope);
            }
            builder.finish_packed()
        };
        [0, 1, 8192, 3, 20_000, 8191, 8193, 2, 12_345].map(batch).into()
    }

    fn properties() -> WriterProperties {
        let bounded = ["service_name", "business_service"].map(|name| ColumnPath::new(vec![name.to_owned()]));
        let builder = WriterProperties::builder()
            .set_compression(Compression::ZSTD(Default::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_data_page_row_count_limit(BLOCK_ROWS)
            .set_statistics_enabled(EnabledStatistics::None);
        bounded.into_iter().fold(builder, |builder, path| builder.set_column_statistics_enabled(path, EnabledStatistics::Page)).build()
    }

    fn read(file: Vec<u8>) -> (RecordBatch, Arc<ParquetMetaData>) {
        let file = Bytes::from(file);
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let metadata = ArrowReaderMetadata::load(&file, options).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone()).build().unwrap();
        let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
        (arrow::compute::concat_batches(&Table::Logs.schema(), &batches).unwrap(), metadata.metadata().clone())
    }

    #[test]
    fn a_file_is_what_parquets_own_writer_makes_of_the_rows() {
        let (schema, batches) = (Table::Logs.schema(), batches());
        let together = origin::joined(&batches).unwrap();
        let leaves = Leaves::of(Origins::of(&together).unwrap().each).unwrap().unwrap();
        let start = |file| ArrowWriter::try_new(file, schema.clone(), Some(properties())).unwrap();

        let mut plain = start(Vec::new());
        plain.write(&origin::unpacked(Table::Logs, &together).unwrap()).unwrap();
        let (expected, said) = read(plain.into_inner().unwrap());

        let mut packed = PackedWriter::new(start(Vec::new()), schema.clone(), leaves, GROUP_ROWS, 1).unwrap();
        let mut from = 0;
        for rows in batches.iter().map(RecordBatch::num_rows) {
            packed.write(&together.slice(from, rows)).unwrap();
            from += rows;
        }
        let (found, says) = read(packed.finish().unwrap().into_inner().unwrap());
        assert_eq!(found, expected);

        assert_eq!(says.num_row_groups(), 3);
        for (group, (says, said)) in says.row_groups().iter().zip(said.row_groups()).enumerate() {
            assert_eq!((says.num_rows(), says.columns().len()), (said.num_rows(), said.columns().len()));
            for (says, said) in says.columns().iter().zip(said.columns()) {
                let name = said.column_path().string();
                assert_eq!(says.num_values(), said.num_values(), "{name} of {group}");
                assert_eq!(says.statistics(), said.statistics(), "{name} of {group}");
                assert_eq!(says.encodings().collect::<Vec<_>>(), said.encodings().collect::<Vec<_>>(), "{name} of {group}");
                let (bytes, theirs) = (says.compressed_size(), said.compressed_size());
                assert!(bytes <= theirs + theirs / 50 + 64, "{name}: {bytes} {theirs}");
            }
        }
        // Theirs begin where a batch of a thousand values ends.
        for (index, group) in says.offset_index().unwrap().iter().zip(says.row_groups()) {
            for (pages, column) in
                index.iter().zip(group.columns()).filter(|(_, column)| COLUMNS.contains(&&*column.column_path().parts()[0]))
            {
                let begins: Vec<i64> = pages.page_locations().iter().map(|page| page.first_row_index).collect();
                let expected: Vec<i64> = (0..group.num_rows()).step_by(BLOCK_ROWS).collect();
                assert_eq!(begins, expected, "{}", column.column_path());
            }
        }
        let bounds = |said: &ParquetMetaData| {
            let at = schema.index_of("service_name").unwrap();
            // Parquet's writer counts levels as well, which nobody asks for.
            let of_group = |group: &Vec<parquet::file::page_index::column_index::ColumnIndexMetaData>| {
                let text = format!("{:?}", group[at]);
                let (before, rest) = text.split_once("repetition_level_histograms").unwrap();
                format!("{before}{}", rest.split_once("min_bytes").unwrap().1)
            };
            said.column_index().unwrap().iter().map(of_group).collect::<Vec<_>>()
        };
        assert_eq!(bounds(&says), bounds(&said));
    }

    #[test]
    fn origins_that_hardly_repeat_are_left_to_parquets_writer() {
        let of = |many: usize| {
            let mut builder = LogsBuilder::default();
            for row in 0..many {
                let mut resource = Attributes::default();
                resource.add("id", AttributeValue::Text(&format!("{row:0>100}")));
                builder.push(&LogRow::default(), &resource, &Attributes::default());
            }
            Leaves::of(Origins::of(&builder.finish_packed()).unwrap().each).unwrap().is_some()
        };
        assert!(of(1_000));
        assert!(!of(11_000));
    }
}
