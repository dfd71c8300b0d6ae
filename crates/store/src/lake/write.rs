use std::io;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, MapArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use model::origin::{self, ORIGIN, Origins};
use model::samples::{EXEMPLARS, START_TIMESTAMPS};
use model::schema::column;
use model::{AttributesView, DeclaredFields, Error, FieldType, FieldValue, Result, Table};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use twox_hash::XxHash3_64;

use super::columns::{self, schema_with};
use super::fields::{FieldsWriter, value_at};
use super::files::{FileStats, LakeFile, MEMORY_BYTES_KEY, bounded_longs, bounded_texts, paged};
use super::filter::{BLOCK_ROWS, FilterWriter};
use super::folder::Folder;
use super::order::{self, Rows};
use super::origins::{Leaves, PackedWriter};
use super::sums::SumWriter;
use super::template::{self, Split, TemplateWriter};
use super::values::{DELTAS, VALUES};
use crate::head::{Frozen, Head, Parts, Remembered, bytes_of};
use crate::{DiskFile, ShardOptions};

/// Encoded bytes of a row group of samples, whose rows differ a thousandfold in length.
const SAMPLES_GROUP_BYTES: usize = 8 << 20;
/// Of a file's first rows: whether attributes repeat is tried on them.
const TRIED_ROWS: usize = 8192;
/// A page of sample values, 64 Ki of them: whoever wants one series decodes as many. Pages of half a MiB take 3 % more on disk than
/// those of one MiB, pages of a quarter 9 %.
const VALUES_PAGE_BYTES: usize = 512 << 10;
/// A page of timestamps before it is compressed, some 50,000: what zstd leaves of it is next to nothing.
const TIMESTAMPS_PAGE_BYTES: usize = 128 << 10;

/// Of each column of samples that most rows have nothing in, a leaf that is never null where there is something: a row group
/// whose leaf is null throughout is not read. A histogram has a dozen columns, and each costs as much to open as to read.
pub(crate) const RARE: [&[&str]; 3] =
    [&["histograms", "list", "element", "schema"], &[EXEMPLARS, "list", "element", "timestamp"], &[START_TIMESTAMPS, "list", "element"]];

/// Writes files of a table.
pub(crate) struct FileWriter<'a> {
    pub(crate) options: &'a ShardOptions,
    pub(crate) table: Table,
    pub(crate) folder: &'a Arc<dyn Folder>,
    /// Attributes that have columns in them.
    pub(crate) declared: &'a DeclaredFields,
    /// The position of the log up to which their rows came.
    pub(crate) seq: u64,
}

impl FileWriter<'_> {
    /// Writes a head as sorted files, durable when this returns: one, and for samples a second one for rows that carry only
    /// metadata. Their time is 0, and in one file with the points its least time would say nothing. Samples are remembered.
    pub(crate) fn write_head(&self, head: &Frozen) -> Result<Vec<LakeFile>> {
        match &**head {
            Head::Rows(rows) => {
                let batches: Vec<_> = rows.blocks().map(|block| block.records.clone()).collect();
                let rows = Rows::of(self.table, &batches)?;
                let leaves = rows.origins().map_or(Ok(None), Leaves::of)?;
                let written = self.write(rows.sorted()?, leaves)?;
                finish(&**self.folder, written.into_iter().collect(), Ok(()))
            }
            Head::Series(series) => {
                let slice = series.sorted();
                let mut files = Vec::new();
                let points = self.write_file(slice.clone().batches(self.options.chunk_points_max, Parts::ALL)).map(|file| {
                    file.into_iter().for_each(|file| {
                        file.remember(Remembered::new(slice.clone()));
                        files.push(file);
                    });
                });
                let written =
                    points.and_then(|()| self.write_file(series.family_rows().map(Ok).into_iter())).map(|file| files.extend(file));
                finish(&**self.folder, files, written)
            }
        }
    }

    /// Writes rows that come in the table's order as one file, durable when this returns.
    pub(crate) fn write_batches(&self, batches: impl Iterator<Item = Result<RecordBatch>>) -> Result<Vec<LakeFile>> {
        let written = self.write_file(batches)?;
        finish(&**self.folder, written.into_iter().collect(), Ok(()))
    }

    /// Writes one file and syncs it; none when there is nothing to write. The caller syncs the directory.
    pub(crate) fn write_file(&self, batches: impl Iterator<Item = Result<RecordBatch>>) -> Result<Option<LakeFile>> {
        self.write(batches, None)
    }

    /// `leaves` are those of all rows: then the batches are packed, and written so.
    fn write(&self, batches: impl Iterator<Item = Result<RecordBatch>>, leaves: Option<Leaves>) -> Result<Option<LakeFile>> {
        let mut batches = batches.peekable();
        let first = match batches.peek() {
            None => return Ok(None),
            Some(Ok(first)) => first.clone(),
            Some(Err(_)) => return batches.next().expect("just peeked").map(|_| None),
        };
        let name = fresh_name(self.options, self.table, self.seq);
        let file = self.folder.create(&name).map_err(|error| cannot_write(&self.folder.address(&name), error))?;
        match self.encode(&first, file, batches, leaves) {
            Ok(Written { bytes, memory_bytes, stats }) => {
                let file = LakeFile::new(self.folder.clone(), name, bytes, stats);
                file.set_memory_bytes(memory_bytes);
                Ok(Some(file))
            }
            Err(error) => {
                // An orphan does no harm; the next open removes it if this fails.
                let _ = self.folder.remove(&name);
                Err(Error { what: format!("{} {}", error.what, self.folder.address(&name)), ..error })
            }
        }
    }

    fn encode(
        &self,
        first: &RecordBatch,
        file: Box<dyn DiskFile>,
        batches: impl Iterator<Item = Result<RecordBatch>>,
        leaves: Option<Leaves>,
    ) -> Result<Written> {
        let Self { options, table, declared, .. } = *self;
        // As it is: unpacked it may be more than one column can hold, and none of an origin's columns is looked at.
        let first = first.slice(0, first.num_rows().min(TRIED_ROWS));
        let properties = properties(options, table, declared, &FieldsWriter::new(declared).pack(first)?)?;
        let stays_packed = leaves.is_some();
        let mut writer = Groups::new(file, options, schema_with(table, declared), properties, leaves)?;
        let (mut stats, mut memory_bytes) = (FileStats::default(), 0);
        let mut filter = FilterWriter::new(table, options.row_group_rows);
        let mut templates = TemplateWriter::new(table, options.row_group_rows);
        let mut fields = FieldsWriter::new(declared);
        for batch in batches {
            let batch = batch?;
            let pieces = if stays_packed { vec![batch] } else { order::pieces(batch)? };
            for piece in pieces {
                let rows = if stays_packed { piece.clone() } else { origin::unpacked(table, &piece)? };
                let rows = columns::pack(table, &rows)?;
                stats.add(table, &rows)?;
                let packed = templates.pack(&rows)?;
                filter.add(&rows, Origins::of(&piece), Split::of(&packed).as_ref())?;
                memory_bytes += memory_of(&rows)?;
                writer.write(&fields.pack(packed)?)?;
            }
        }
        let io = |error: io::Error| Error::unavailable("cannot write lake file").because(error);
        let mut writer = writer.finish()?;
        let (filter, places) = filter.finish(writer.bytes_written() as u64)?;
        writer.write_all(&filter).map_err(io)?;
        writer.flush().map_err(io)?;
        let sums = writer.inner_mut().begin_footer();
        let memory = KeyValue::new(MEMORY_BYTES_KEY.to_owned(), memory_bytes.to_string());
        // The checksum's key stays behind whatever users named.
        let pairs = places.into_iter().chain(sums).chain([memory]).chain(templates.finish()).chain(fields.finish());
        pairs.for_each(|pair| writer.append_key_value_metadata(pair));
        let bytes = writer.into_inner().map_err(failed)?.finish().map_err(io)?;
        Ok(Written { bytes, memory_bytes, stats })
    }
}

/// Writes the row groups of a file: packed rows by themselves, all others through Parquet's writer.
enum Groups {
    Flat(ArrowWriter<SumWriter>),
    Packed(PackedWriter<SumWriter>),
}

impl Groups {
    fn new(
        file: Box<dyn DiskFile>,
        options: &ShardOptions,
        schema: SchemaRef,
        properties: WriterProperties,
        leaves: Option<Leaves>,
    ) -> Result<Self> {
        let writer = ArrowWriter::try_new(SumWriter::new(file), schema.clone(), Some(properties)).map_err(failed)?;
        Ok(match leaves {
            None => Self::Flat(writer),
            Some(leaves) => Self::Packed(PackedWriter::new(writer, schema, leaves, options.row_group_rows, options.zstd_level)?),
        })
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        match self {
            Self::Flat(writer) => writer.write(rows).map_err(failed),
            Self::Packed(writer) => writer.write(rows),
        }
    }

    fn finish(self) -> Result<SerializedFileWriter<SumWriter>> {
        match self {
            Self::Flat(writer) => Ok(writer.into_serialized_writer().map_err(failed)?.0),
            Self::Packed(writer) => writer.finish(),
        }
    }
}

fn failed(error: parquet::errors::ParquetError) -> Error {
    Error::unavailable("cannot write lake file").because(error)
}

/// What rows take in memory once they are read: of packed rows what the columns of origins would.
fn memory_of(rows: &RecordBatch) -> Result<u64> {
    let Some((at, _)) = rows.schema_ref().column_with_name(ORIGIN) else { return Ok(bytes_of(rows) as u64) };
    let mut own = rows.clone();
    let origins = RecordBatch::try_from_iter([(ORIGIN, own.remove_column(at))])?;
    let texts = model::running_bytes(&origins)?.last().copied().unwrap_or_default();
    Ok(bytes_of(&own) as u64 + texts + (rows.num_rows() * origin::COLUMNS.len() * size_of::<i32>()) as u64)
}

/// Makes the names of new files durable; after an error none of them stays.
pub(crate) fn finish(folder: &dyn Folder, files: Vec<LakeFile>, written: Result<()>) -> Result<Vec<LakeFile>> {
    let synced = written.and_then(|()| match files.is_empty() {
        true => Ok(()),
        false => folder.sync().map_err(|error| cannot_write(&folder.address(""), error)),
    });
    match synced {
        Ok(()) => Ok(files),
        Err(error) => {
            discard(&files);
            Err(error)
        }
    }
}

/// Removes files that no commit will name. One that stays does no harm: the next open removes it.
pub(crate) fn discard(files: &[LakeFile]) {
    for file in files {
        if let Err(error) = file.remove() {
            tracing::warn!(path = file.address(), %error, "cannot remove an unfinished lake file; the next open will");
        }
    }
}

/// A name for a file with rows up to a position of the log.
pub(crate) fn fresh_name(options: &ShardOptions, table: Table, seq: u64) -> String {
    format!("part-{seq:020}-{}.parquet", options.disk.fresh_name(&options.table_dir(table)))
}

struct Written {
    bytes: u64,
    /// What the rows took in memory.
    memory_bytes: u64,
    stats: FileStats,
}

fn cannot_write(address: &str, error: io::Error) -> Error {
    Error::unavailable(format!("cannot write {address}")).because(error)
}

/// `first` are rows of the file, as it has them.
fn properties(options: &ShardOptions, table: Table, declared: &DeclaredFields, first: &RecordBatch) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(options.zstd_level).map_err(|error| Error::invalid("cannot use zstd_level").because(error))?;
    let mut builder = WriterProperties::builder()
        .set_created_by(format!("tyto {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(options.row_group_rows))
        .set_statistics_enabled(EnabledStatistics::None);
    for name in bounded_texts(table).chain(bounded_longs(table)).chain(paged(table).iter().copied()) {
        builder = builder.set_column_statistics_enabled(path(name), EnabledStatistics::Page);
    }
    for name in long_columns(&table.schema()) {
        builder = packed(builder, path(&name));
    }
    match table {
        Table::Logs | Table::Spans | Table::Quarantine => {
            builder = builder.set_data_page_row_count_limit(BLOCK_ROWS);
            // Without a dictionary, which of values that hardly repeat is built, found too large, and thrown away. Lengths apart
            // from the texts, which are then nothing but digits; of rows in order of time, neighbours share their trace.
            let texts =
                [template::BODY, template::VARIABLES, "span_id", "parent_span_id"].map(|name| (name, Encoding::DELTA_LENGTH_BYTE_ARRAY));
            for (name, encoding) in texts.into_iter().chain([("trace_id", Encoding::DELTA_BYTE_ARRAY)]) {
                builder = builder.set_column_dictionary_enabled(path(name), false).set_column_encoding(path(name), encoding);
            }
            // What its dictionary has no room for.
            builder = builder.set_column_encoding(path(template::TEMPLATE), Encoding::DELTA_LENGTH_BYTE_ARRAY);
            if hardly_repeats(first)? {
                let values = nested(&["attributes", "key_value", "value"]);
                builder = builder
                    .set_column_dictionary_enabled(values.clone(), false)
                    .set_column_encoding(values, Encoding::DELTA_LENGTH_BYTE_ARRAY);
            }
            let trace = path("trace_id");
            builder = builder.set_column_bloom_filter_enabled(trace.clone(), true).set_column_bloom_filter_fpp(trace.clone(), 0.01);
            builder = builder.set_column_bloom_filter_max_ndv(trace, options.row_group_rows as u64);
        }
        Table::Samples => {
            builder = builder.set_max_row_group_bytes(Some(SAMPLES_GROUP_BYTES));
            builder =
                builder.set_column_dictionary_enabled(path("series_id"), false).set_column_encoding(path("series_id"), Encoding::PLAIN);
            let [deltas, values, timestamps] = [DELTAS, VALUES, "timestamps"].map(|name| nested(&[name, "list", "element"]));
            for (paged, bytes) in [(&deltas, VALUES_PAGE_BYTES), (&values, VALUES_PAGE_BYTES), (&timestamps, TIMESTAMPS_PAGE_BYTES)] {
                builder = builder.set_column_data_page_size_limit(paged.clone(), bytes);
            }
            for split in [deltas, values] {
                builder =
                    builder.set_column_dictionary_enabled(split.clone(), false).set_column_encoding(split, Encoding::BYTE_STREAM_SPLIT);
            }
            builder = packed(builder, timestamps);
            builder = packed(builder, nested(&[START_TIMESTAMPS, "list", "element"]));
            for leaf in RARE {
                builder = builder.set_column_statistics_enabled(nested(leaf), EnabledStatistics::Chunk);
            }
        }
    }
    for field in declared.iter() {
        builder = declared_column(builder, path(&field.column()), field.kind, first)?;
    }
    Ok(builder.build())
}

/// Ranges of values prune; what hardly repeats needs no dictionary.
fn declared_column(
    builder: WriterPropertiesBuilder,
    path: ColumnPath,
    kind: FieldType,
    first: &RecordBatch,
) -> Result<WriterPropertiesBuilder> {
    let name = path.string();
    let builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::Page);
    let array = first.column_by_name(&name).ok_or_else(|| Error::internal("cannot find a declared column"))?;
    let encoding = match kind {
        FieldType::String => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        FieldType::Integer => Encoding::DELTA_BINARY_PACKED,
        FieldType::Number if is_shorter_split(array)? => Encoding::BYTE_STREAM_SPLIT,
        FieldType::Number => Encoding::PLAIN,
        FieldType::Boolean => return Ok(builder),
    };
    let (mut seen, mut values) = (hashbrown::HashSet::new(), 0);
    for value in (0..array.len()).filter_map(|row| value_at(array, row)) {
        values += 1;
        seen.insert(match value {
            FieldValue::Text(text) => XxHash3_64::oneshot(text.as_bytes()),
            FieldValue::Int(value) => value.cast_unsigned(),
            FieldValue::Double(value) => value.to_bits(),
            FieldValue::Bool(value) => value.into(),
        });
    }
    let repeats = seen.len() * 2 <= values;
    // Numbers are read to be summed up, many at once: LZ4 unpacks decimals four times as fast, for a byte more of each.
    let builder = if kind == FieldType::Number { builder.set_column_compression(path.clone(), Compression::LZ4_RAW) } else { builder };
    Ok(builder.set_column_encoding(path.clone(), encoding).set_column_dictionary_enabled(path, repeats))
}

/// Whether numbers get shorter with their first bytes together, their second bytes together and so on. What was measured does;
/// decimals of two or three digits, such as amounts and milliseconds, come again whole. Tried on the first page.
fn is_shorter_split(numbers: &ArrayRef) -> Result<bool> {
    const BYTES: usize = size_of::<f64>();
    let numbers: &Float64Array = numbers.as_primitive_opt().ok_or_else(|| Error::internal("a declared number is none"))?;
    let whole: Vec<u8> = numbers.iter().flatten().take(BLOCK_ROWS).flat_map(f64::to_le_bytes).collect();
    let split: Vec<u8> = (0..BYTES).flat_map(|first| whole.iter().skip(first).step_by(BYTES).copied()).collect();
    let length = |bytes: &[u8]| match zstd::bulk::compress(bytes, 1) {
        Ok(packed) => Ok(packed.len()),
        Err(error) => Err(Error::internal("cannot pack numbers").because(error)),
    };
    Ok(length(&split)? < length(&whole)?)
}

fn path(column: &str) -> ColumnPath {
    ColumnPath::new(vec![column.to_owned()])
}

fn nested(parts: &[&str]) -> ColumnPath {
    ColumnPath::new(parts.iter().map(|&part| part.to_owned()).collect())
}

fn packed(builder: WriterPropertiesBuilder, path: ColumnPath) -> WriterPropertiesBuilder {
    builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
}

/// The times and durations of a schema: long columns that grow or wander, not counts.
fn long_columns(schema: &SchemaRef) -> Vec<String> {
    let is_time = |name: &str| name.ends_with("_nano");
    schema
        .fields()
        .iter()
        .filter(|field| *field.data_type() == DataType::Int64 && is_time(field.name()))
        .map(|field| field.name().clone())
        .collect()
}

/// Whether most values of the records' attributes come once: tried on the first rows.
fn hardly_repeats(first: &RecordBatch) -> Result<bool> {
    let map: &MapArray = column(first, "attributes")?;
    let view = AttributesView::of_map(map, None);
    let mut seen = hashbrown::HashSet::new();
    let values = (0..map.len()).flat_map(|row| view.iter(row)).map(|(_, value)| seen.insert(value)).count();
    Ok(seen.len() * 2 > values)
}

/// Checked once here instead of at every call: the batches of a table have its schema.
pub(crate) fn same_schema(table: Table, records: &RecordBatch) -> Result<()> {
    let schema = records.schema_ref();
    match [table.packed_schema(), table.schema()].iter().any(|own| Arc::ptr_eq(schema, own) || schema == own) {
        true => Ok(()),
        false => Err(Error::internal(format!("cannot store a batch of {}: its schema is not the table's", table.name()))),
    }
}

/// Held so that the type of files shows where they come from.
pub(crate) type Files = Arc<Vec<Arc<LakeFile>>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_split_by_byte_where_that_is_shorter() {
        let is_split = |numbers: Vec<f64>| is_shorter_split(&(Arc::new(Float64Array::from(numbers)) as ArrayRef)).unwrap();
        assert!(is_split((1..BLOCK_ROWS).map(|number| 20.0 + (number as f64).sin()).collect()), "a temperature");
        let amount = |number: usize| (XxHash3_64::oneshot(&number.to_le_bytes()) % 4000) as f64 / 100.0;
        assert!(!is_split((1..BLOCK_ROWS).map(amount).collect()), "amounts");
        assert!(!is_split(Vec::new()));
    }
}
