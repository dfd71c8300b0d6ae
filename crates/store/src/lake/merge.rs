//! Writes the rows of several files as one sorted file per window of time. Of logs and spans a batch of each file is held at
//! a time; samples, of which the points of one series become one row, are held whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use model::schema::column;
use model::{DeclaredFields, Result, Table, TimeRange};

use super::compact::{read, written_seq};
use super::files::LakeFile;
use super::order;
use super::window::windows;
use super::write::{self, FileWriter};
use crate::ShardOptions;
use crate::head::{Head, SeriesHead};
use crate::hidden::{self, Gone, Hidden};

/// Files with the rows of others.
pub(crate) struct Merged {
    pub(crate) files: Vec<LakeFile>,
    /// What was hidden, and is in no file any more; as many as there were reasons to hide.
    pub(crate) gone: Vec<Gone>,
}

/// Writes the rows of `files`, which lie in one folder, into it as sorted files without those that are hidden, one per window
/// of time. Samples of one series become one row, an instant one point.
pub(crate) fn merge(
    options: &ShardOptions,
    table: Table,
    declared: &DeclaredFields,
    files: &[Arc<LakeFile>],
    hidden: &[Hidden],
) -> Result<Merged> {
    let mut merged = Merged { files: Vec::new(), gone: vec![Gone::default(); hidden.len()] };
    let done = match table {
        Table::Samples => merge_series(options, files, hidden, &mut merged),
        Table::Logs | Table::Spans | Table::Quarantine => merge_rows(options, table, declared, files, hidden, &mut merged),
    };
    match done {
        Ok(()) => Ok(merged),
        Err(error) => {
            write::discard(&merged.files);
            Err(error)
        }
    }
}

/// The log position that a file of these files' rows stands at.
fn seq_of(files: &[Arc<LakeFile>]) -> u64 {
    files.iter().filter_map(|file| written_seq(&file.name)).max().unwrap_or_default()
}

/// Takes out what is hidden; what two would take is counted by the first.
pub(crate) fn clear(hidden: &[Hidden], gone: &mut [Gone], file: &LakeFile, mut records: RecordBatch) -> Result<RecordBatch> {
    for (hidden, gone) in hidden.iter().zip(gone).filter(|(hidden, _)| hidden.touches(&file.stats)) {
        let (left, went) = hidden.clear(records)?;
        records = left;
        gone.add(went);
    }
    Ok(records)
}

fn merge_series(options: &ShardOptions, files: &[Arc<LakeFile>], hidden: &[Hidden], merged: &mut Merged) -> Result<()> {
    let table = Table::Samples;
    let (first, last) = table.time_columns();
    let now_ns = options.clock.now_ms().saturating_mul(1_000_000);
    let mut parts: BTreeMap<i64, Box<SeriesHead>> = BTreeMap::new();
    for file in files {
        for records in read(file, None)? {
            let records = clear(hidden, &mut merged.gone, file, records?)?;
            let (first, last): (&Int64Array, &Int64Array) = (column(&records, first)?, column(&records, last)?);
            let Some((first, last)) = arrow::compute::min(first).zip(arrow::compute::max(last)) else { continue };
            for range in windows(now_ns, first, last) {
                let part = parts.entry(range.start_ns).or_insert_with(|| Box::new(SeriesHead::unbounded()));
                match range.contains(first) && range.contains(last) {
                    true => part.push(&records, 0)?,
                    false => part.push(&hidden::within(&records, range)?, 0)?,
                };
            }
        }
    }
    let declared = DeclaredFields::default();
    let writer = FileWriter { options, table, folder: files[0].folder(), declared: &declared, seq: seq_of(files) };
    // What is old is not remembered for having been written anew.
    let recent = files.iter().any(|file| file.remembered_bytes() > 0);
    for part in parts.into_values() {
        let new = writer.write_head(&Arc::new(Head::Series(*part)))?;
        if !recent {
            new.iter().for_each(LakeFile::forget);
        }
        merged.files.extend(new);
    }
    Ok(())
}

fn merge_rows(
    options: &ShardOptions,
    table: Table,
    declared: &DeclaredFields,
    files: &[Arc<LakeFile>],
    hidden: &[Hidden],
    merged: &mut Merged,
) -> Result<()> {
    let now_ns = options.clock.now_ms().saturating_mul(1_000_000);
    let surveys = files.iter().map(|file| Survey::of(table, file)).collect::<Result<Vec<_>>>()?;
    let ends = surveys.iter().filter_map(|survey| survey.times).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let Some((first, last)) = ends else { return Ok(()) };
    // Rows of a file in two windows are read once for each and counted once.
    let mut counted = vec![false; files.len()];
    let writer = FileWriter { options, table, folder: files[0].folder(), declared, seq: seq_of(files) };
    for range in windows(now_ns, first, last) {
        let mut rows = Rows { table, range, hidden, gone: &mut merged.gone, inputs: Vec::new() };
        for ((file, survey), counted) in files.iter().zip(&surveys).zip(&mut counted) {
            if survey.times.is_some_and(|(first, last)| range.overlaps(first, last)) {
                rows.inputs.push(Input::new(table, file, survey, !std::mem::replace(counted, true))?);
            }
        }
        if !rows.inputs.is_empty() {
            merged.files.extend(writer.write_batches(rows.batches())?);
        }
    }
    Ok(())
}

/// A row's place in the order of logs and spans: business service, nulls first, and time.
type Key<'a> = (Option<&'a str>, i64);

/// The keys of some rows.
struct Keys<'a> {
    texts: &'a StringArray,
    times: &'a Int64Array,
}

impl<'a> Keys<'a> {
    fn of(table: Table, records: &'a RecordBatch) -> Result<Self> {
        let [text, time] = table.sort_columns() else { unreachable!("logs and spans are sorted by a text and a time") };
        Ok(Self { texts: column(records, text)?, times: column(records, time)? })
    }

    fn len(&self) -> usize {
        self.times.len()
    }

    fn at(&self, row: usize) -> Key<'a> {
        (self.texts.is_valid(row).then(|| self.texts.value(row)), self.times.value(row))
    }

    /// How many of the sorted rows come no later than `last`.
    fn until(&self, last: Key<'_>) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.at(middle) <= last {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }
}

/// What must be known of a file before its rows are merged.
struct Survey {
    /// First and last instant; none without rows.
    times: Option<(i64, i64)>,
    /// False of files from before November 2026, which have another order.
    in_order: bool,
}

impl Survey {
    fn of(table: Table, file: &LakeFile) -> Result<Self> {
        let (mut times, mut in_order) = (None, true);
        let mut last: (Option<String>, i64) = (None, i64::MIN);
        for records in read(file, Some(table.sort_columns()))? {
            let records = records?;
            let keys = Keys::of(table, &records)?;
            let mut before = (last.0.as_deref(), last.1);
            for key in (0..keys.len()).map(|row| keys.at(row)) {
                in_order &= before <= key;
                before = key;
                let (first, last) = times.get_or_insert((key.1, key.1));
                (*first, *last) = ((*first).min(key.1), (*last).max(key.1));
            }
            last = (before.0.map(str::to_owned), before.1);
        }
        Ok(Self { times, in_order })
    }
}

/// The rows of several files that lie in one window of time.
struct Rows<'a> {
    table: Table,
    range: TimeRange,
    hidden: &'a [Hidden],
    gone: &'a mut [Gone],
    inputs: Vec<Input<'a>>,
}

/// A file's rows in order.
struct Input<'a> {
    file: &'a LakeFile,
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + 'a>,
    times: (i64, i64),
    /// Whether what is hidden in it is counted.
    counts: bool,
    /// Read and not yet given out.
    ready: RecordBatch,
}

impl<'a> Input<'a> {
    fn new(table: Table, file: &'a LakeFile, survey: &Survey, counts: bool) -> Result<Self> {
        let batches: Box<dyn Iterator<Item = Result<RecordBatch>> + 'a> = match survey.in_order {
            true => Box::new(read(file, None)?),
            false => Box::new(order::sorted(table, &read(file, None)?.collect::<Result<Vec<_>>>()?)?),
        };
        let times = survey.times.unwrap_or_default();
        Ok(Self { file, batches, times, counts, ready: RecordBatch::new_empty(table.schema()) })
    }
}

impl Rows<'_> {
    /// All of them in order.
    fn batches(mut self) -> impl Iterator<Item = Result<RecordBatch>> {
        std::iter::from_fn(move || self.next().transpose()).flat_map(|batches| match batches {
            Ok(batches) => batches.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    }

    /// The next rows of which it is known that no other comes before them: those up to where the first of the batches at hand
    /// ends.
    fn next(&mut self) -> Result<Option<Vec<RecordBatch>>> {
        self.fill()?;
        let all = self.inputs.iter().map(|input| Keys::of(self.table, &input.ready)).collect::<Result<Vec<_>>>()?;
        let Some(last) = all.iter().map(|keys| keys.at(keys.len() - 1)).min() else { return Ok(None) };
        let counts: Vec<usize> = all.iter().map(|keys| keys.until(last)).collect();
        let mut taken = Vec::new();
        for (input, count) in self.inputs.iter_mut().zip(counts).filter(|(_, count)| *count > 0) {
            taken.push(input.ready.slice(0, count));
            input.ready = input.ready.slice(count, input.ready.num_rows() - count);
        }
        match taken.len() {
            1 => Ok(Some(taken)),
            _ => order::sorted(self.table, &taken)?.collect::<Result<_>>().map(Some),
        }
    }

    /// Sees to it that every input has rows at hand; those without any are let go.
    fn fill(&mut self) -> Result<()> {
        let mut uncounted = vec![Gone::default(); self.gone.len()];
        let mut at = 0;
        while let Some(input) = self.inputs.get_mut(at) {
            if input.ready.num_rows() > 0 {
                at += 1;
                continue;
            }
            let Some(records) = input.batches.next() else {
                self.inputs.remove(at);
                continue;
            };
            let gone = if input.counts { &mut *self.gone } else { &mut uncounted };
            let records = clear(self.hidden, gone, input.file, records?)?;
            input.ready = match self.range.contains(input.times.0) && self.range.contains(input.times.1) {
                true => records,
                false => of_window(self.table, &records, self.range)?,
            };
        }
        Ok(())
    }
}

fn of_window(table: Table, records: &RecordBatch, range: TimeRange) -> Result<RecordBatch> {
    let times: &Int64Array = column(records, table.time_columns().0)?;
    let rows: BooleanArray = times.values().iter().map(|&time| Some(range.contains(time))).collect();
    Ok(filter_record_batch(records, &rows)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hidden::Hiding;
    use model::logs::{LogRow, LogsBuilder};
    use model::{Attributes, Retention};
    use std::time::Duration;

    const HOUR_NS: i64 = 3_600_000_000_000;
    const DAY_NS: i64 = 24 * HOUR_NS;
    const NOW_NS: i64 = 20_000 * DAY_NS;

    #[derive(Debug)]
    struct Now;

    impl crate::Clock for Now {
        fn now_ms(&self) -> i64 {
            NOW_NS / 1_000_000
        }
    }

    /// Rows of these business services, empty for none, and times.
    fn rows(rows: impl IntoIterator<Item = (&'static str, i64)>) -> RecordBatch {
        let (mut builder, none) = (LogsBuilder::default(), Attributes::default());
        let mut owners = arrow::array::StringBuilder::new();
        for (owner, time_unix_nano) in rows {
            owners.append_option((!owner.is_empty()).then_some(owner));
            builder.push(&LogRow { time_unix_nano, body: &format!("{owner} {time_unix_nano}"), ..LogRow::default() }, &none, &none);
        }
        let (schema, mut columns, _) = builder.finish().into_parts();
        columns[schema.index_of("business_service").unwrap()] = Arc::new(owners.finish());
        RecordBatch::try_new(schema, columns).unwrap()
    }

    /// Business service and time of a file's rows, as it has them.
    fn keys(file: &LakeFile) -> Vec<(Option<String>, i64)> {
        let batches: Vec<_> = read(file, None).unwrap().map(Result::unwrap).collect();
        let of = |records: &RecordBatch| {
            let keys = Keys::of(Table::Logs, records).unwrap();
            (0..keys.len()).map(|row| keys.at(row)).map(|(text, time)| (text.map(str::to_owned), time)).collect::<Vec<_>>()
        };
        batches.iter().flat_map(of).collect()
    }

    #[test]
    fn files_in_any_order_become_one_sorted_file_for_each_day() {
        let dir = tempfile::tempdir().unwrap();
        let options = ShardOptions { clock: Arc::new(Now), ..ShardOptions::new("one", dir.path()) };
        std::fs::create_dir_all(options.lake_dir().join("logs")).unwrap();
        const OWNERS: [&str; 3] = ["", "pay", "video"];
        // Two files that lie in each other, longer than a batch; one of all owners and of two days; one that is not sorted.
        let long = |from: i64| OWNERS.iter().flat_map(move |owner| (0..9000).map(move |at| (*owner, NOW_NS - 2 * HOUR_NS + at * 2 + from)));
        let midnight = OWNERS.iter().flat_map(|owner| (-5..5).map(move |hour| (*owner, NOW_NS - DAY_NS + hour * HOUR_NS)));
        let unsorted = (0..100).map(|at| (OWNERS[at % 3], NOW_NS - 2 * HOUR_NS + (at as i64 * 7919) % 20_000));
        let batches = [rows(long(0)), rows(long(1)), rows(midnight), rows(unsorted), rows([])];
        let files: Vec<_> = (0u64..)
            .zip(&batches)
            .flat_map(|(seq, batch)| {
                let batches = std::iter::once(Ok(batch.clone()));
                FileWriter {
                    options: &options,
                    table: Table::Logs,
                    folder: &options.folder(Table::Logs),
                    declared: &DeclaredFields::default(),
                    seq,
                }
                .write_batches(batches)
                .unwrap()
            })
            .map(Arc::new)
            .collect();
        assert!(Survey::of(Table::Logs, &files[0]).unwrap().in_order && !Survey::of(Table::Logs, &files[3]).unwrap().in_order);

        let mut expected: Vec<_> = files.iter().flat_map(|file| keys(file)).collect();
        expected.sort();
        let merged = merge(&options, Table::Logs, &DeclaredFields::default(), &files, &[]).unwrap();
        let found: Vec<_> = merged.files.iter().map(keys).collect();
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [15, expected.len() - 15], "yesterday and today");
        assert!(found.iter().all(|keys| keys.is_sorted()));
        let mut all = found.concat();
        all.sort();
        assert_eq!(all, expected);

        // Three of the file at midnight are past, each counted once although its rows are read for two days.
        let mut retention = Retention::default();
        retention.keep(Table::Logs, ["pay", "", ""], Duration::from_secs(26 * 3600));
        let hidden = Hiding { retention: Arc::new(retention), targets: Arc::new([]) }.at(Table::Logs, NOW_NS / 1_000_000);
        let kept = merge(&options, Table::Logs, &DeclaredFields::default(), &files, &[hidden]).unwrap();
        assert_eq!(kept.gone, [Gone { records: 3, any: true }]);
        assert_eq!(kept.files.iter().map(|file| keys(file).len()).sum::<usize>(), expected.len() - 3);
    }
}
