use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use model::{Code, DeclaredFields, Result, Table, TimeRange};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns::{file_columns, without_declared};
use super::files::LakeFile;
use super::window::{is_over, time_of, window};
use crate::ShardOptions;

/// Files worth a merge once a run of small ones is long enough; two would be written again and again for little.
const MERGED_FILES_MIN: usize = 3;
/// In a window that gets no more rows a run of so many times fewer files is merged.
const OVER_FACTOR: usize = 3;
/// So long after its end a window of which the last flush brought rows is being filled in, and more of them come.
const FILLED_IN_NS: i64 = 2 * 86_400_000_000_000;

/// The files that one compaction should merge: of the first window of time with enough small ones the oldest, as many as fit
/// into memory; of the table's own folder before those of its tiers, never of two. `leave_out` names a file that the last try
/// choked on. An error comes from a tier that is away.
pub(crate) fn choose(options: &ShardOptions, table: Table, files: &[Arc<LakeFile>], leave_out: Option<&str>) -> Result<Vec<Arc<LakeFile>>> {
    let places: BTreeSet<&str> = files.iter().map(|file| file.folder().prefix()).collect();
    for place in places {
        let is_small =
            |file: &LakeFile| file.bytes < options.small_file_bytes && leave_out != Some(&file.name) && file.folder().prefix() == place;
        let merge = choose_of(options, table, files, is_small)?;
        if !merge.is_empty() {
            return Ok(merge);
        }
    }
    Ok(Vec::new())
}

fn choose_of(
    options: &ShardOptions,
    table: Table,
    files: &[Arc<LakeFile>],
    is_small: impl Fn(&LakeFile) -> bool + Copy,
) -> Result<Vec<Arc<LakeFile>>> {
    let run_min = options.files_max_before_compaction.max(2);
    let now_ns = options.clock.now_ms().saturating_mul(1_000_000);
    let ends = files.iter().filter(|file| is_small(file)).map(|file| time_of(table, file).1);
    let all: BTreeSet<(i64, i64)> = ends.map(|end| window(now_ns, end)).map(|range| (range.start_ns, range.end_ns)).collect();
    let newest = files.iter().filter_map(|file| written_seq(&file.name)).max();
    for (start_ns, end_ns) in all {
        let range = TimeRange::new(start_ns, end_ns);
        let overlaps = |file: &LakeFile| {
            let (first, last) = time_of(table, file);
            range.overlaps(first, last)
        };
        let grows = range.end_ns.saturating_add(FILLED_IN_NS) <= now_ns
            && newest.is_some()
            && files.iter().any(|file| written_seq(&file.name) == newest && overlaps(file));
        let over_min = run_min.div_ceil(OVER_FACTOR).max(MERGED_FILES_MIN).min(run_min);
        let run_min = if is_over(now_ns, range) && !grows { over_min } else { run_min };
        for run in runs(table, files, range, is_small).into_iter().filter(|run| run.len() >= run_min) {
            for start in 0..run.len() {
                let merge = before_others(table, files, fitting(options, &run[start..])?);
                if merge.len() >= MERGED_FILES_MIN.min(run_min) {
                    return Ok(merge.to_vec());
                }
            }
        }
    }
    Ok(Vec::new())
}

/// Small files with rows of a window, in the order of writing. Of two points at one instant the later written stays: a file
/// of samples that stands between two others and shares time with the first ends their run.
fn runs(table: Table, files: &[Arc<LakeFile>], range: TimeRange, is_small: impl Fn(&LakeFile) -> bool) -> Vec<Vec<Arc<LakeFile>>> {
    let mut runs = vec![Vec::new()];
    // The time of all files of the last run together.
    let mut taken = (i64::MAX, i64::MIN);
    for file in files {
        let (first, last) = time_of(table, file);
        let run = runs.last_mut().expect("there is always a run");
        if is_small(file) && range.overlaps(first, last) {
            run.push(file.clone());
            taken = (taken.0.min(first), taken.1.max(last));
        } else if table == Table::Samples && first <= taken.1 && taken.0 <= last {
            runs.push(Vec::new());
            taken = (i64::MAX, i64::MIN);
        }
    }
    runs
}

/// Without the last of them where another file of the same position shares time with them: what is merged has the position of its last
/// file, and of two files of one position nobody knows which counts. A flush writes samples and what is known of them as two files.
fn before_others<'a>(table: Table, files: &[Arc<LakeFile>], merge: &'a [Arc<LakeFile>]) -> &'a [Arc<LakeFile>] {
    if table != Table::Samples {
        return merge;
    }
    let mut end = merge.len();
    while let Some(position) = merge[..end].last().and_then(|last| written_seq(&last.name)) {
        let kept = &merge[..end];
        let times = kept.iter().map(|file| time_of(table, file)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let contests = |file: &Arc<LakeFile>| {
            let (first, until) = time_of(table, file);
            written_seq(&file.name) == Some(position)
                && times.is_some_and(|(from, to)| first <= to && from <= until)
                && !kept.iter().any(|own| own.name == file.name)
        };
        if !files.iter().any(contests) {
            break;
        }
        end -= 1;
    }
    &merge[..end]
}

/// The first of these files, as many as one compaction may read.
fn fitting<'a>(options: &ShardOptions, files: &'a [Arc<LakeFile>]) -> Result<&'a [Arc<LakeFile>]> {
    let (mut bytes, mut memory) = (0, 0_u64);
    for (at, file) in files.iter().enumerate() {
        bytes += file.bytes;
        memory = memory.saturating_add(match file.memory_bytes() {
            // Asking for the next file takes as long as it took to give this one up.
            Err(error) if error.code == Code::Unavailable && !file.folder().prefix().is_empty() => return Err(error),
            // One that cannot be read cannot be merged.
            memory => memory.unwrap_or(u64::MAX),
        });
        if bytes > options.compaction_bytes_max || memory > options.compaction_memory_bytes_max {
            return Ok(&files[..at]);
        }
    }
    Ok(files)
}

/// The log position in a file's name; files sort by it.
pub(crate) fn written_seq(name: &str) -> Option<u64> {
    name.strip_prefix("part-")?.get(..20)?.parse().ok()
}

/// The rows of a file, with these columns or all.
pub(crate) fn read<'a>(file: &'a LakeFile, columns: Option<&[&str]>) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<'a>> {
    let (handle, footer) = file.open(None)?;
    let mask = match columns {
        None => ProjectionMask::all(),
        Some(names) => {
            let names = file_columns(footer.schema(), names, &DeclaredFields::default());
            let is_read = |&at: &usize| names.contains(&footer.schema().field(at).name().as_str());
            ProjectionMask::roots(footer.parquet_schema(), (0..footer.schema().fields().len()).filter(is_read))
        }
    };
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, footer)
        .with_projection(mask)
        .with_batch_size(8192)
        .build()
        .map_err(|error| file.corrupt(error))?;
    Ok(reader.map(|records| without_declared(file.unpacked(records.map_err(|error| file.corrupt(error))?)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::files::{Bounds, FileStats};

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
        choose(&options, Table::Samples, &files, leave_out).unwrap().iter().map(|file| file.name.clone()).collect()
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
        assert_eq!(choose(&options, Table::Samples, &files, None).unwrap().len(), 3);
    }

    #[test]
    fn a_file_that_a_merge_choked_on_ends_its_run() {
        assert_eq!(chosen(&[1, 1, 1, 1, 1], Some("0")), ["1", "2", "3", "4"]);
        assert_eq!(chosen(&[1, 1, 1, 1, 1], Some("2")), [""; 0]);
    }

    #[derive(Debug)]
    struct At(i64);

    impl crate::Clock for At {
        fn now_ms(&self) -> i64 {
            self.0
        }
    }

    /// Names of the files that are merged, of files written one after the other with rows of these hours.
    fn chosen_of(table: Table, now_hour: i64, hours: &[(i64, i64)]) -> Vec<String> {
        const HOUR_MS: i64 = 3_600_000;
        let options =
            ShardOptions { files_max_before_compaction: 4, clock: Arc::new(At(now_hour * HOUR_MS)), ..ShardOptions::new("one", "nowhere") };
        let (first, last) = table.time_columns();
        let file = |(at, (start, end)): (usize, &(i64, i64))| {
            let mut stats = FileStats::default();
            for (name, hour) in [(last, end), (first, start)] {
                let nanos = hour * HOUR_MS * 1_000_000;
                let range =
                    stats.longs.get(name).and_then(|bounds: &Bounds<i64>| bounds.range).map_or((nanos, nanos), |held| (nanos, held.1));
                stats.longs.insert(name.to_owned(), Bounds { range: Some(range), nulls: 0, unknown: false });
            }
            let file = LakeFile::new(options.folder(table), format!("part-{at:020}"), 1, stats);
            file.set_memory_bytes(1);
            Arc::new(file)
        };
        let files: Vec<_> = hours.iter().enumerate().map(file).collect();
        let seq = |file: &Arc<LakeFile>| written_seq(&file.name).unwrap().to_string();
        choose(&options, table, &files, None).unwrap().iter().map(seq).collect()
    }

    #[test]
    fn rows_of_two_days_stay_apart() {
        for table in [Table::Logs, Table::Samples] {
            assert_eq!(chosen_of(table, 30, &[(1, 2), (2, 3), (25, 26), (26, 27), (27, 28)]), [""; 0], "today has too few");
            assert_eq!(chosen_of(table, 30, &[(1, 2), (2, 3), (25, 26), (3, 4), (26, 27)]), ["0", "1", "3"], "yesterday is over");
            assert_eq!(chosen_of(table, 24, &[(1, 2), (2, 3), (22, 23)]), [""; 0], "yesterday may still get late rows");
            let filled_in = [(25, 26), (1, 2), (2, 3), (3, 4)];
            assert_eq!(chosen_of(table, 30, &filled_in), ["1", "2", "3"], "late rows of yesterday");
            assert_eq!(chosen_of(table, 96, &filled_in), [""; 0], "more of that day comes");
            let midnight = [(20, 25), (23, 26), (23, 27), (23, 28)];
            assert_eq!(chosen_of(table, 30, &midnight), ["0", "1", "2", "3"], "what lies in two days is merged and cut");
        }
    }

    #[test]
    fn of_samples_the_later_written_stays_later() {
        // The second file has points of the first one's time, and of a day that is not merged.
        let hours = [(1, 30), (29, 31), (2, 3), (3, 4), (4, 5)];
        assert_eq!(chosen_of(Table::Logs, 40, &hours), ["0", "2", "3", "4"]);
        assert_eq!(chosen_of(Table::Samples, 40, &hours), ["2", "3", "4"]);
    }

    /// A merge of all but the last would have its position, and might come to stand behind it.
    #[test]
    fn what_is_merged_stays_before_another_file_of_its_last_position() {
        let options = ShardOptions::new("one", "nowhere");
        let file = |name: &str, hours: (i64, i64)| {
            let mut stats = FileStats::default();
            let (first, last) = Table::Samples.time_columns();
            for (name, hour) in [(first, hours.0), (last, hours.1)] {
                stats.longs.insert(name.to_owned(), Bounds { range: Some((hour, hour)), nulls: 0, unknown: false });
            }
            Arc::new(LakeFile::new(options.folder(Table::Samples), format!("part-{name}"), 1, stats))
        };
        let seq = |seq: u64, rest: &str| format!("{seq:020}-{rest}");
        let check = |other: (i64, i64), expect: usize| {
            let files = [file(&seq(1, "a"), (0, 9)), file(&seq(2, "a"), (0, 0)), file(&seq(2, "b"), (0, 0)), file(&seq(2, "c"), other)];
            assert_eq!(before_others(Table::Samples, &files, &files[..3]).len(), expect, "{other:?}");
            assert_eq!(before_others(Table::Logs, &files, &files[..3]).len(), 3);
            assert_eq!(before_others(Table::Samples, &files, &files).len(), 4, "none is left");
        };
        check((5, 6), 1);
        check((10, 11), 3);
    }
}
