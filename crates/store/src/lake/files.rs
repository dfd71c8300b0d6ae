use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::{max, max_string, min, min_string};
use model::origin::{self, Origins};
use model::schema::column;
use model::{Code, Error, Identity, Result, Table};
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::reader::{ChunkReader, Length};
use serde_json::{Map, Value, json};

use super::columns;
use super::folder::Folder;
use super::handle::Handle;
use crate::head::Remembered;
use crate::remote::Unreachable;

/// A bound longer than this is not kept: statistics are read at every open.
const BOUND_BYTES_MAX: usize = 256;

/// Says in a file's footer how many bytes its rows take in memory.
pub(crate) const MEMORY_BYTES_KEY: &str = "tyto.memoryBytes";
/// What a copy holds in memory at a time.
const COPY_BYTES: u64 = 4 << 20;
/// Of a file that does not say so: memory per byte of the file.
const MEMORY_FACTOR: u64 = 16;

/// A Parquet file of the table as it is now. Files never change; who holds one can read it.
#[derive(Debug)]
pub(crate) struct LakeFile {
    folder: Arc<dyn Folder>,
    /// Within the folder. No two files of a shard ever have the same.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) stats: FileStats,
    memory_bytes: OnceLock<u64>,
    /// Its rows as they lay in the head, as long as there is room for them.
    remembered: Mutex<Option<Remembered>>,
}

impl LakeFile {
    pub(crate) fn new(folder: Arc<dyn Folder>, name: String, bytes: u64, stats: FileStats) -> Self {
        Self { folder, name, bytes, stats, memory_bytes: OnceLock::new(), remembered: Mutex::default() }
    }

    pub(crate) fn remember(&self, rows: Remembered) {
        *self.remembered.lock() = Some(rows);
    }

    pub(crate) fn forget(&self) {
        *self.remembered.lock() = None;
    }

    pub(crate) fn remembered(&self) -> Option<Remembered> {
        self.remembered.lock().clone()
    }

    pub(crate) fn remembered_bytes(&self) -> usize {
        self.remembered.lock().as_ref().map_or(0, |rows| rows.bytes)
    }

    pub(crate) fn folder(&self) -> &Arc<dyn Folder> {
        &self.folder
    }

    /// As the Delta log has it: relative to the table, or absolute.
    pub(crate) fn path(&self) -> String {
        format!("{}{}", self.folder.prefix(), self.name)
    }

    /// Where it lies, for people.
    pub(crate) fn address(&self) -> String {
        self.folder.address(&self.name)
    }

    /// Deletes it; blocks.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.folder.remove(&self.name)
    }

    /// Opens the file for reading, every byte checked. `known` is its footer, where somebody remembers it.
    pub(crate) fn open(&self, known: Option<ArrowReaderMetadata>) -> Result<(Handle, ArrowReaderMetadata)> {
        let file = self.folder.open(&self.name, self.bytes);
        let handle =
            Handle::new(file.map_err(|error| Error::unavailable(format!("cannot open lake file {}", self.address())).because(error))?);
        let footer = known.map_or_else(|| self.footer(&handle), Ok)?;
        let handle = handle.checked(footer.metadata()).map_err(|error| self.corrupt(error))?;
        Ok((handle, footer))
    }

    fn footer(&self, file: &Handle) -> Result<ArrowReaderMetadata> {
        file.check_footer().map_err(|error| self.corrupt(error))?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        ArrowReaderMetadata::load(file, options).map_err(|error| self.corrupt(error))
    }

    /// Copies it as it is into another folder, every byte checked and the file synced. The caller syncs the folder.
    pub(crate) fn copy(&self, folder: Arc<dyn Folder>, name: String) -> Result<Self> {
        let (handle, _) = self.open(None)?;
        if handle.len() != self.bytes {
            return Err(self.corrupt(format!("it has {} bytes and the Delta log says {}", handle.len(), self.bytes)));
        }
        let copy = Self::new(folder, name, self.bytes, self.stats.clone());
        let cannot = |error| Error::unavailable(format!("cannot write {}", copy.address())).because(error);
        let mut file = copy.folder.create(&copy.name).map_err(cannot)?;
        let mut fill = || {
            for start in (0..self.bytes).step_by(COPY_BYTES as usize) {
                let end = (start + COPY_BYTES).min(self.bytes);
                let bytes = handle.get_bytes(start, (end - start) as usize).map_err(|error| self.corrupt(error))?;
                file.append(&bytes).map_err(cannot)?;
            }
            file.sync().map_err(cannot)?;
            // The footer was checked when it was read before; here it is as it came to lie.
            copy.memory_bytes()
        };
        match fill() {
            Ok(_) => Ok(copy),
            Err(error) => {
                drop(file);
                // An orphan does no harm; the next open removes it if this fails.
                let _ = copy.remove();
                Err(error)
            }
        }
    }

    /// What the rows take in memory, read from the footer once.
    pub(crate) fn memory_bytes(&self) -> Result<u64> {
        if let Some(&bytes) = self.memory_bytes.get() {
            return Ok(bytes);
        }
        let (_, footer) = self.open(None)?;
        let said = footer.metadata().file_metadata().key_value_metadata().and_then(|pairs| {
            let pair = pairs.iter().find(|pair| pair.key == MEMORY_BYTES_KEY)?;
            pair.value.as_ref()?.parse().ok()
        });
        Ok(*self.memory_bytes.get_or_init(|| said.unwrap_or(self.bytes.saturating_mul(MEMORY_FACTOR))))
    }

    /// Known to who has just written the file.
    pub(crate) fn set_memory_bytes(&self, bytes: u64) {
        let _ = self.memory_bytes.set(bytes);
    }

    /// Rows that were read from it, as the table has them.
    pub(crate) fn unpacked(&self, records: RecordBatch) -> Result<RecordBatch> {
        columns::unpack(records).map_err(|error| self.corrupt(error))
    }

    /// What reading it failed with: bytes that came and make no sense are damage, bytes that did not come are not.
    pub(crate) fn corrupt(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let error = error.into();
        let code = if Unreachable::is_told_by(&*error) { Code::Unavailable } else { Code::Corrupt };
        Error::new(code, format!("cannot read lake file {}", self.address())).because(error)
    }
}

/// Least and greatest value of a column, nulls apart; none where all are null or the bound is too long to keep.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bounds<T> {
    pub(crate) range: Option<(T, T)>,
    pub(crate) nulls: u64,
    /// A bound was too long: `range` says nothing, not even that all are null.
    pub(crate) unknown: bool,
}

/// What the Delta log says about a file's content, in Delta's own form, so that every engine can skip by it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FileStats {
    pub(crate) rows: u64,
    pub(crate) longs: BTreeMap<String, Bounds<i64>>,
    pub(crate) texts: BTreeMap<String, Bounds<String>>,
}

/// The text columns with bounds in the log and with page statistics in the files: those that the data is sorted by or
/// that queries select by.
pub(crate) fn bounded_texts(table: Table) -> impl Iterator<Item = &'static str> {
    let own = match table {
        Table::Logs | Table::Spans | Table::Quarantine => "service_name",
        Table::Samples => "name",
    };
    std::iter::once(own).chain(Identity::FIELDS)
}

/// More columns with page statistics in the files: where none of a block is an error, or none took long, it need not be read for those.
pub(crate) fn paged(table: Table) -> &'static [&'static str] {
    match table {
        Table::Logs => &["severity_text"],
        Table::Spans => &["kind", "status_code", "duration_nano"],
        Table::Samples => &[],
        Table::Quarantine => &["contract", "state"],
    }
}

pub(crate) fn bounded_longs(table: Table) -> impl Iterator<Item = &'static str> {
    let (first, last) = table.time_columns();
    std::iter::once(first).chain((first != last).then_some(last))
}

impl FileStats {
    /// Counts a batch in, packed or not.
    pub(crate) fn add(&mut self, table: Table, records: &RecordBatch) -> Result<()> {
        let origins = Origins::of(records).map(|origins| (origins, origins.counts()));
        self.rows += records.num_rows() as u64;
        for name in bounded_longs(table) {
            let values: &Int64Array = column(records, name)?;
            self.longs.entry(name.to_owned()).or_default().widen(min(values).zip(max(values)), values.null_count());
        }
        for name in bounded_texts(table) {
            let (range, nulls) = match &origins {
                Some((origins, counts)) if origin::COLUMNS.contains(&name) => range_of(origins.texts(name)?, counts),
                _ => {
                    let values: &StringArray = column(records, name)?;
                    (min_string(values).zip(max_string(values)), values.null_count())
                }
            };
            let bounds = self.texts.entry(name.to_owned()).or_default();
            bounds.unknown |= range.is_some_and(|(low, high)| low.len().max(high.len()) > BOUND_BYTES_MAX);
            let range = range.filter(|_| !bounds.unknown).map(|(low, high)| (low.to_owned(), high.to_owned()));
            bounds.widen(range, nulls);
        }
        Ok(())
    }

    /// First and last instant of the rows.
    pub(crate) fn time(&self, table: Table) -> Option<(i64, i64)> {
        let (first, last) = table.time_columns();
        Some((self.longs.get(first)?.range?.0, self.longs.get(last)?.range?.1))
    }

    pub(crate) fn to_json(&self) -> String {
        let (mut low, mut high, mut nulls) = (Map::new(), Map::new(), Map::new());
        let mut put = |name: &String, bounds: Option<(Value, Value)>, count: u64| {
            if let Some((min, max)) = bounds {
                low.insert(name.clone(), min);
                high.insert(name.clone(), max);
            }
            nulls.insert(name.clone(), count.into());
        };
        for (name, bounds) in &self.longs {
            put(name, bounds.range.map(|(min, max)| (min.into(), max.into())), bounds.nulls);
        }
        for (name, bounds) in &self.texts {
            let range = bounds.range.as_ref().filter(|_| !bounds.unknown);
            put(name, range.map(|(min, max)| (min.as_str().into(), max.as_str().into())), bounds.nulls);
        }
        json!({"numRecords": self.rows, "minValues": low, "maxValues": high, "nullCount": nulls}).to_string()
    }

    /// None when the text is not Delta's statistics; a file without statistics is read for every query.
    pub(crate) fn from_json(table: Table, text: &str) -> Option<Self> {
        let all: Value = serde_json::from_str(text).ok()?;
        let rows = all["numRecords"].as_u64()?;
        let (low, high, nulls) = (&all["minValues"], &all["maxValues"], &all["nullCount"]);
        let mut stats = Self { rows, ..Self::default() };
        for name in bounded_longs(table) {
            let range = low[name].as_i64().zip(high[name].as_i64());
            stats.longs.insert(name.to_owned(), Bounds { range, nulls: nulls[name].as_u64()?, unknown: range.is_none() });
        }
        for name in bounded_texts(table) {
            let range = low[name].as_str().zip(high[name].as_str()).map(|(min, max)| (min.to_owned(), max.to_owned()));
            let nulls = nulls[name].as_u64()?;
            stats.texts.insert(name.to_owned(), Bounds { unknown: range.is_none() && nulls < rows, range, nulls });
        }
        Some(stats)
    }
}

/// Least and greatest of texts of which each comes so often, and how often none comes.
fn range_of<'a>(texts: &'a StringArray, counts: &[usize]) -> (Option<(&'a str, &'a str)>, usize) {
    let (mut range, mut nulls) = (None, 0);
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        match texts.is_valid(at).then(|| texts.value(at)) {
            Some(text) => range = Some(range.map_or((text, text), |(low, high): (&str, &str)| (low.min(text), high.max(text)))),
            None => nulls += count,
        }
    }
    (range, nulls)
}

impl<T: Ord> Bounds<T> {
    fn widen(&mut self, range: Option<(T, T)>, nulls: usize) {
        self.nulls += nulls as u64;
        self.range = match (self.range.take(), range) {
            (Some((low, high)), Some((min, max))) => Some((low.min(min), high.max(max))),
            (held, new) => held.or(new),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Attributes;
    use model::logs::{LogRow, LogsBuilder};

    #[test]
    fn stats_survive_the_delta_log() {
        let mut builder = LogsBuilder::default();
        for (time, service) in [(5, "b"), (3, ""), (9, "a")] {
            let row = LogRow { time_unix_nano: time, service_name: service, ..LogRow::default() };
            builder.push(&row, &Attributes::default(), &Attributes::default());
        }
        let mut stats = FileStats::default();
        stats.add(Table::Logs, &builder.finish()).unwrap();
        assert_eq!(stats.time(Table::Logs), Some((3, 9)));
        assert_eq!(stats.texts["service_name"], Bounds { range: Some(("a".to_owned(), "b".to_owned())), nulls: 1, unknown: false });
        assert_eq!(FileStats::from_json(Table::Logs, &stats.to_json()), Some(stats));
        assert_eq!(FileStats::from_json(Table::Logs, "{}"), None);
    }
}
