use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringBuilder};
use model::samples::{SamplesBuilder, SeriesRow};
use model::{Identity, Result, Table};

use super::chunk::Chunk;
use super::families::Families;
use super::key::SeriesKey;

/// Points, and rows, of one batch made from the head, so that a scan streams.
const BATCH_POINTS: usize = 256 << 10;
/// Bytes of one batch made from the head: a column of texts ends at 2 GiB.
const BATCH_BYTES: usize = 64 << 20;

/// One series of a head and its points at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) key: SeriesKey,
    pub(crate) series_id: i64,
    pub(crate) chunk: Chunk,
}

/// What of its series a batch shall hold; the columns of all else are null or empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    /// First and last millisecond of the points. Of a series without one between them there is no row, unless exemplars are
    /// wanted.
    pub(crate) points_ms: (i64, i64),
    pub(crate) labels: bool,
    pub(crate) identity: bool,
    pub(crate) metadata: bool,
    pub(crate) exemplars: bool,
}

impl Parts {
    pub(crate) const ALL: Self = Self { points_ms: (i64::MIN, i64::MAX), labels: true, identity: true, metadata: true, exemplars: true };
}

/// Some series of a head as they were at one moment, and what is known of their families.
#[derive(Clone, Debug)]
pub(crate) struct SeriesSlice {
    series: Arc<[Series]>,
    /// The places of those that are meant; all where nothing is said.
    chosen: Option<Vec<u32>>,
    families: Arc<Families>,
}

impl SeriesSlice {
    pub(crate) fn new(series: Vec<Series>, families: Arc<Families>) -> Self {
        Self { series: series.into(), chosen: None, families }
    }

    /// In the order of a lake file.
    pub(crate) fn sorted(mut series: Vec<Series>, families: Arc<Families>) -> Self {
        series.sort_by(|a, b| a.key.name().cmp(b.key.name()).then(a.series_id.cmp(&b.series_id)).then_with(|| a.key.cmp(&b.key)));
        Self::new(series, families)
    }

    pub(crate) fn points(&self) -> usize {
        match &self.chosen {
            None => self.series.iter().map(|series| series.chunk.len()).sum(),
            Some(places) => places.iter().map(|at| self.series[*at as usize].chunk.len()).sum(),
        }
    }

    /// Canonical batches, at most `chunk_points_max` points per row.
    pub(crate) fn batches(self, chunk_points_max: usize, parts: Parts) -> impl Iterator<Item = Result<RecordBatch>> + Send {
        let Self { series, chosen, families } = self;
        let count = chosen.as_ref().map_or(series.len(), Vec::len);
        let mut next = 0;
        std::iter::from_fn(move || {
            if next == count {
                return None;
            }
            let mut rows = Rows::new(parts, chunk_points_max);
            while rows.points < BATCH_POINTS && rows.bytes < BATCH_BYTES && next < count {
                let at = chosen.as_ref().map_or(next, |places| places[next] as usize);
                rows.push(&series[at], &families);
                next += 1;
            }
            Some(rows.finish())
        })
    }
}

/// The series of a flushed head, as its lake file has them: whoever asks for the last hours opens no file.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    /// Sorted, all of them.
    all: SeriesSlice,
    /// Where the series of each name begin, in the order of names.
    names: Arc<[u32]>,
    pub(crate) bytes: usize,
}

impl Remembered {
    pub(crate) fn new(sorted: SeriesSlice) -> Self {
        let series = &sorted.series;
        let begins = |at: &usize| *at == 0 || series[at - 1].key.name() != series[*at].key.name();
        let names: Arc<[u32]> = (0..series.len()).filter(begins).filter_map(|at| u32::try_from(at).ok()).collect();
        let bytes = |series: &Series| size_of::<Series>() + series.key.len() + series.chunk.bytes();
        let bytes = series.iter().map(bytes).sum::<usize>() + size_of_val(&*names);
        Self { all: sorted, names, bytes }
    }

    /// How many series have these names, which are sorted.
    pub(crate) fn count(&self, names: &[String]) -> usize {
        let end = |run: usize| self.names.get(run + 1).map_or(self.all.series.len(), |at| *at as usize);
        names.iter().filter_map(|name| self.run(name)).map(|run| end(run) - self.names[run] as usize).sum()
    }

    fn run(&self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|at| self.all.series[*at as usize].key.name().cmp(name)).ok()
    }

    /// The series for which `keep` says yes, of names for which `keep_name` does; with `names`, which are sorted, of those only.
    pub(crate) fn slice(
        &self,
        names: Option<&[String]>,
        keep_name: impl Fn(&SeriesKey, &Families) -> bool,
        keep: impl Fn(&SeriesKey, &Chunk, &Families) -> bool,
    ) -> SeriesSlice {
        let series = &self.all.series;
        let first = |run: usize| self.names.get(run).map_or(series.len(), |at| *at as usize);
        let mut chosen = Vec::new();
        let look = |run: usize| {
            if keep_name(&series[first(run)].key, &self.all.families) {
                let kept = (first(run)..first(run + 1)).filter(|at| keep(&series[*at].key, &series[*at].chunk, &self.all.families));
                chosen.extend(kept.map(|at| at as u32));
            }
        };
        match names {
            None => (0..self.names.len()).for_each(look),
            Some(names) => names.iter().filter_map(|name| self.run(name)).for_each(look),
        }
        SeriesSlice { series: series.clone(), chosen: Some(chosen), families: self.all.families.clone() }
    }
}

/// Builds canonical rows from series; identity columns included.
struct Rows {
    parts: Parts,
    chunk_points_max: usize,
    builder: SamplesBuilder,
    identity: [StringBuilder; 6],
    /// First and last instant of each row.
    times: [Vec<i64>; 2],
    /// Points; a row without any counts as one.
    points: usize,
    bytes: usize,
    /// Of the series at hand, unpacked.
    times_ms: Vec<i64>,
    values: Vec<f64>,
    starts_ms: Vec<i64>,
}

impl Rows {
    fn new(parts: Parts, chunk_points_max: usize) -> Self {
        Self {
            parts,
            chunk_points_max: chunk_points_max.max(1),
            builder: SamplesBuilder::default(),
            identity: Default::default(),
            times: [Vec::new(), Vec::new()],
            points: 0,
            bytes: 0,
            times_ms: Vec::new(),
            values: Vec::new(),
            starts_ms: Vec::new(),
        }
    }

    fn push(&mut self, series: &Series, families: &Families) {
        let (key, chunk) = (&series.key, &series.chunk);
        let family = families.of(key.name()).filter(|_| self.parts.metadata);
        let row = family.map_or(SeriesRow { name: key.name(), ..SeriesRow::default() }, |family| family.row(key.name()));
        let mut unpacked = std::mem::take(&mut self.times_ms);
        let mut exemplars = if self.parts.exemplars { chunk.exemplars() } else { &[] };
        // The points from number `skipped` on, as many as times.
        let (times, skipped) = match chunk.as_histograms() {
            Some(histograms) => {
                let (first_ms, last_ms) = self.parts.points_ms;
                let times = &histograms.times_ms;
                let skipped = times.partition_point(|time| *time < first_ms);
                (&times[skipped..times.partition_point(|time| *time <= last_ms).max(skipped)], skipped)
            }
            None => {
                let skipped = chunk.unpack(self.parts.points_ms, &mut unpacked, &mut self.values);
                (&unpacked[..], skipped)
            }
        };
        chunk.unpack_starts(&mut self.starts_ms);
        let rows = match times.len() {
            0 if !self.parts.exemplars => 0,
            // A series whose points are elsewhere has one row for its exemplars.
            points => points.max(1),
        };
        for start in (0..rows).step_by(self.chunk_points_max) {
            let range = start..times.len().min(start + self.chunk_points_max);
            let numbers = range.start + skipped..range.end + skipped;
            match chunk.as_histograms() {
                None => self.builder.floats(&times[range.clone()], &self.values[range.clone()]),
                Some(histograms) => {
                    let values = histograms.values[numbers.clone()].iter();
                    times[range.clone()].iter().zip(values).for_each(|(time, value)| self.builder.histogram(*time, value));
                }
            }
            self.builder.starts(self.starts_ms.get(numbers).unwrap_or_default());
            // Exemplars go with the row of their time; the last row takes what is left.
            let until = times.get(range.end).copied().unwrap_or(i64::MAX);
            let here = exemplars.partition_point(|exemplar| until == i64::MAX || exemplar.timestamp_ms() < until);
            exemplars[..here].iter().for_each(|exemplar| exemplar.with(|exemplar| self.builder.exemplar(exemplar)));
            exemplars = &exemplars[here..];
            match self.parts.labels {
                true => self.builder.push_numbered(&row, series.series_id, key.labels()),
                false => self.builder.push_numbered(&row, series.series_id, std::iter::empty()),
            }
            let (first, last) = match &times[range] {
                [] => chunk.range_ms(),
                points => (points[0], points[points.len() - 1]),
            };
            self.times[0].push(first.saturating_mul(1_000_000));
            self.times[1].push(last.saturating_mul(1_000_000));
            self.bytes += key.len() + row.help.len();
            self.push_identity(key);
        }
        self.points += times.len().max(1);
        self.bytes += chunk.bytes();
        self.times_ms = unpacked;
    }

    fn push_identity(&mut self, key: &SeriesKey) {
        for (field, builder) in self.identity.iter_mut().enumerate() {
            match if self.parts.identity { key.identity(field) } else { "" } {
                "" => builder.append_null(),
                text => builder.append_value(text),
            }
        }
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let records = self.builder.finish();
        let mut columns = records.columns().to_vec();
        for (name, mut builder) in Identity::FIELDS.into_iter().zip(self.identity) {
            let at = Table::Samples.schema().index_of(name)?;
            columns[at] = Arc::new(builder.finish()) as ArrayRef;
        }
        let (first, last) = Table::Samples.time_columns();
        for (name, times) in [first, last].into_iter().zip(self.times) {
            columns[Table::Samples.schema().index_of(name)?] = Arc::new(Int64Array::from(times)) as ArrayRef;
        }
        Ok(RecordBatch::try_new(records.schema(), columns)?)
    }
}
