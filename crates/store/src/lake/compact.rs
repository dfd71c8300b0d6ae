use std::sync::Arc;

use arrow::array::RecordBatch;
use model::{Result, Table};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::files::LakeFile;
use super::write;
use crate::ShardOptions;
use crate::head::{Head, SeriesHead};

/// Files worth a merge once a run of small ones is long enough; two would be written again and again for little.
const MERGED_FILES_MIN: usize = 3;

/// The files that one compaction should merge: of the first long enough run of small ones the oldest, as many as fit into
/// memory. Only neighbours in time of writing are merged, because of two points at one instant the later written stays.
/// `leave_out` names a file that the last try choked on.
pub(crate) fn choose(options: &ShardOptions, files: &[Arc<LakeFile>], leave_out: Option<&str>) -> Vec<Arc<LakeFile>> {
    let run_min = options.files_max_before_compaction.max(2);
    let small = |file: &LakeFile| file.bytes < options.small_file_bytes && leave_out != Some(&file.name);
    let runs = files.chunk_by(|a, b| small(a) && small(b)).filter(|run| small(&run[0]) && run.len() >= run_min);
    let merges = runs.flat_map(|run| (0..run.len()).map(|start| fitting(options, &run[start..])));
    merges.into_iter().find(|files| files.len() >= MERGED_FILES_MIN.min(run_min)).unwrap_or_default().to_vec()
}

/// The first of these files, as many as one compaction may read.
fn fitting<'a>(options: &ShardOptions, files: &'a [Arc<LakeFile>]) -> &'a [Arc<LakeFile>] {
    let (mut bytes, mut memory) = (0, 0_u64);
    let count = files.iter().take_while(|file| {
        bytes += file.bytes;
        // One that cannot be read cannot be merged.
        memory = memory.saturating_add(file.memory_bytes().unwrap_or(u64::MAX));
        bytes <= options.compaction_bytes_max && memory <= options.compaction_memory_bytes_max
    });
    &files[..count.count()]
}

/// Writes the rows of `files` as one sorted file. Samples of one series become one row, an instant one point.
pub(crate) fn merge(options: &ShardOptions, table: Table, files: &[Arc<LakeFile>]) -> Result<Vec<LakeFile>> {
    let seq = files.iter().filter_map(|file| written_seq(&file.name)).max().unwrap_or_default();
    match table {
        Table::Samples => {
            let mut series = SeriesHead::unbounded();
            for file in files {
                for records in read(file)? {
                    series.push(&records?, 0)?;
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
            write::write_sorted(options, table, seq, &batches)
        }
    }
}

/// The log position in a file's name; files sort by it.
pub(crate) fn written_seq(name: &str) -> Option<u64> {
    name.strip_prefix("part-")?.get(..20)?.parse().ok()
}

fn read(file: &LakeFile) -> Result<impl Iterator<Item = Result<RecordBatch>> + '_> {
    let (handle, footer) = file.open(None)?;
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, footer)
        .with_batch_size(8192)
        .build()
        .map_err(|error| file.corrupt(error))?;
    Ok(reader.map(|records| records.map_err(|error| file.corrupt(error))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::files::FileStats;

    fn chosen(sizes: &[u64], leave_out: Option<&str>) -> Vec<String> {
        let options = ShardOptions {
            small_file_bytes: 16,
            compaction_bytes_max: 32,
            files_max_before_compaction: 4,
            ..ShardOptions::new("one", "nowhere")
        };
        let file = |(at, &bytes): (usize, &u64)| {
            let file = LakeFile::new(ShardOptions::new("one", "nowhere").folder(Table::Logs), at.to_string(), bytes, FileStats::default());
            file.set_memory_bytes(bytes << 22);
            Arc::new(file)
        };
        let files: Vec<_> = sizes.iter().enumerate().map(file).collect();
        choose(&options, &files, leave_out).iter().map(|file| file.name.clone()).collect()
    }

    #[test]
    fn the_oldest_run_of_small_files_is_merged_as_far_as_it_fits() {
        assert_eq!(chosen(&[1, 1, 1], None), [""; 0], "too few");
        assert_eq!(chosen(&[1, 99, 1, 1, 1, 1], None), ["2", "3", "4", "5"]);
        // Files of a third of what one compaction reads: four of them never fit, three do.
        assert_eq!(chosen(&[10, 10, 10, 10, 10], None), ["0", "1", "2"]);
        assert_eq!(chosen(&[15, 15, 15, 1, 1], None), ["1", "2", "3", "4"], "a start that leads nowhere is passed");
        assert_eq!(chosen(&[15, 15, 15, 15], None), [""; 0], "large enough");
    }

    #[test]
    fn a_merge_is_bounded_by_what_its_rows_take_in_memory() {
        let options = ShardOptions { compaction_memory_bytes_max: 3, ..ShardOptions::new("one", "nowhere") };
        let files: Vec<_> = (0..9)
            .map(|at| {
                let file = LakeFile::new(ShardOptions::new("one", "nowhere").folder(Table::Logs), at.to_string(), 1, FileStats::default());
                file.set_memory_bytes(1);
                Arc::new(file)
            })
            .collect();
        assert_eq!(choose(&options, &files, None).len(), 3);
    }

    #[test]
    fn a_file_that_a_merge_choked_on_ends_its_run() {
        assert_eq!(chosen(&[1, 1, 1, 1, 1], Some("0")), ["1", "2", "3", "4"]);
        assert_eq!(chosen(&[1, 1, 1, 1, 1], Some("2")), [""; 0]);
    }
}
