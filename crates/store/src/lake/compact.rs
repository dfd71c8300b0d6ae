use std::sync::Arc;

use arrow::array::RecordBatch;
use model::{Result, Table};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::files::LakeFile;
use super::write;
use crate::ShardOptions;
use crate::head::{Head, SeriesHead};

/// The files that one compaction should merge: small ones, oldest first, as many as fit into memory; none when there are
/// too few. Only neighbours in time of writing are merged, because of two points at one instant the later written stays.
pub(crate) fn choose(options: &ShardOptions, files: &[Arc<LakeFile>]) -> Vec<Arc<LakeFile>> {
    let mut chosen: Vec<Arc<LakeFile>> = Vec::new();
    let mut bytes = 0;
    for file in files {
        let small = file.bytes < options.small_file_bytes;
        if small && bytes + file.bytes <= options.compaction_bytes_max {
            bytes += file.bytes;
            chosen.push(file.clone());
        } else if chosen.len() >= options.files_max_before_compaction.max(2) {
            break;
        } else {
            bytes = if small { file.bytes } else { 0 };
            chosen = if small { vec![file.clone()] } else { Vec::new() };
        }
    }
    if chosen.len() < options.files_max_before_compaction.max(2) {
        chosen.clear();
    }
    chosen
}

/// Writes the rows of `files` as one sorted file. Samples of one series become one row, an instant one point.
pub(crate) fn merge(options: &ShardOptions, table: Table, files: &[Arc<LakeFile>]) -> Result<Vec<LakeFile>> {
    let seq = files.iter().filter_map(|file| written_seq(&file.name)).max().unwrap_or_default();
    match table {
        Table::Samples => {
            let mut series = SeriesHead::default();
            for file in files {
                for records in read(file)? {
                    series.push(&records?)?;
                }
            }
            write::write_head(options, table, seq, &Arc::new(Head::Series(series)))
        }
        Table::Logs | Table::Spans => {
            let mut batches = Vec::new();
            for file in files {
                for records in read(file)? {
                    batches.push(records?);
                }
            }
            let written = write::write_file(options, table, seq, write::sorted(table, &batches)?)?;
            let dir = options.table_dir(table);
            options
                .disk
                .sync_dir(&dir)
                .map_err(|error| model::Error::unavailable(format!("cannot sync {}", dir.display())).because(error))?;
            Ok(written.into_iter().collect())
        }
    }
}

/// The log position in a file's name; files sort by it.
fn written_seq(name: &str) -> Option<u64> {
    name.strip_prefix("part-")?.get(..20)?.parse().ok()
}

fn read(file: &LakeFile) -> Result<impl Iterator<Item = Result<RecordBatch>> + '_> {
    let handle = file.open()?;
    let footer = file.footer(&handle)?.clone();
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, footer)
        .with_batch_size(8192)
        .build()
        .map_err(|error| file.corrupt(error))?;
    Ok(reader.map(|records| records.map_err(|error| file.corrupt(error))))
}
