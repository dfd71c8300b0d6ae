use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use model::samples::{SamplesBuilder, SeriesRow};
use model::{Identity, Result, Table};

use super::chunk::{Chunk, Histograms, OwnedExemplar};
use super::families::Families;
use super::key::SeriesKey;

/// Points, and rows, of one batch made from the head: it streams, and whoever reads it finds it in the processor's cache.
const BATCH_POINTS: usize = 64 << 10;
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
    /// Their times and values.
    pub(crate) points: bool,
    /// When the first of them is; when the last is, is always there.
    pub(crate) first_time: bool,
    pub(crate) labels: bool,
    pub(crate) identity: bool,
    pub(crate) metadata: bool,
    pub(crate) exemplars: bool,
}

impl Parts {
    pub(crate) const ALL: Self = Self {
        points_ms: (i64::MIN, i64::MAX),
        points: true,
        first_time: true,
        labels: true,
        identity: true,
        metadata: true,
        exemplars: true,
    };
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
            let place = |number: usize| chosen.as_ref().map_or(number, |places| places[number] as usize);
            let mut rows = Rows::new(parts, chunk_points_max);
            if parts.points {
                let points = (next..count).map(|number| series[place(number)].chunk.len());
                let all = points.scan(0, |all, points| (*all < BATCH_POINTS).then(|| *all += points).map(|()| *all));
                rows.builder.reserve_points(all.last().unwrap_or(0));
            }
            while rows.points < BATCH_POINTS && rows.bytes < BATCH_BYTES && next < count {
                rows.push(&series[place(next)], &families);
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

    /// How many series have names for which `keep_name` says yes; with `names`, which are sorted, of those only.
    pub(crate) fn count(&self, names: Option<&[String]>, keep_name: impl Fn(&SeriesKey, &Families) -> bool) -> usize {
        self.runs(names, keep_name).map(|run| run.len()).sum()
    }

    /// Where the series of such names are.
    fn runs<'a>(
        &'a self,
        names: Option<&'a [String]>,
        keep_name: impl Fn(&SeriesKey, &Families) -> bool + 'a,
    ) -> impl Iterator<Item = Range<usize>> + 'a {
        let series = &self.all.series;
        let first = |run: usize| self.names.get(run).map_or(series.len(), |at| *at as usize);
        let all = if names.is_none() { 0..self.names.len() } else { 0..0 };
        let named = names.unwrap_or_default().iter().filter_map(|name| self.run(name));
        let runs = all.chain(named).map(move |run| first(run)..first(run + 1));
        runs.filter(move |run| keep_name(&series[run.start].key, &self.all.families))
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
        let kept = self.runs(names, keep_name).flatten().filter(|at| keep(&series[*at].key, &series[*at].chunk, &self.all.families));
        let chosen = kept.map(|at| at as u32).collect();
        SeriesSlice { series: series.clone(), chosen: Some(chosen), families: self.all.families.clone() }
    }
}

/// Builds canonical rows from series; identity columns included.
struct Rows {
    parts: Parts,
    chunk_points_max: usize,
    builder: SamplesBuilder,
    identity: [StringBuilder; 6],
    /// Points; a row without any counts as one.
    points: usize,
    bytes: usize,
    /// Of the series at hand.
    starts_ms: Vec<i64>,
}

impl Rows {
    fn new(parts: Parts, chunk_points_max: usize) -> Self {
        Self {
            parts,
            chunk_points_max: chunk_points_max.max(1),
            builder: SamplesBuilder::default(),
            identity: Default::default(),
            points: 0,
            bytes: 0,
            starts_ms: Vec::new(),
        }
    }

    fn push(&mut self, series: &Series, families: &Families) {
        let chunk = &series.chunk;
        let points = match (&self.parts, chunk.as_histograms()) {
            (Parts { points: false, points_ms, first_time, .. }, _) => {
                if let Some(range) = chunk.range_within(*points_ms, *first_time) {
                    self.end_row(series, families, &[], range);
                }
                1
            }
            (_, Some(histograms)) => self.push_histograms(series, histograms, families),
            (_, None) => self.push_floats(series, families),
        };
        self.points += points.max(1);
        self.bytes += if self.parts.points { chunk.bytes() } else { 0 };
    }

    /// Gives the number of points.
    fn push_floats(&mut self, series: &Series, families: &Families) -> usize {
        let chunk = &series.chunk;
        chunk.unpack_starts(&mut self.starts_ms);
        if chunk.len() <= self.chunk_points_max {
            let (times, values) = self.builder.floats_mut();
            let skipped = chunk.unpack(self.parts.points_ms, times, values);
            let points = self.builder.row_times().len();
            self.builder.starts(self.starts_ms.get(skipped..skipped + points).unwrap_or_default());
            let exemplars = if self.parts.exemplars { chunk.exemplars() } else { &[] };
            let times = self.builder.row_times();
            if let Some(range) = ends(times).or_else(|| self.parts.exemplars.then(|| chunk.range_ms())) {
                self.end_row(series, families, exemplars, range);
            }
            return points;
        }
        let (mut times, mut values) = (Vec::new(), Vec::new());
        let skipped = chunk.unpack(self.parts.points_ms, &mut times, &mut values);
        self.push_rows(series, families, &times, |rows, range| {
            rows.builder.floats(&times[range.clone()], &values[range.clone()]);
            rows.builder.starts(rows.starts_ms.get(range.start + skipped..range.end + skipped).unwrap_or_default());
        })
    }

    fn push_histograms(&mut self, series: &Series, histograms: &Histograms, families: &Families) -> usize {
        series.chunk.unpack_starts(&mut self.starts_ms);
        let (first_ms, last_ms) = self.parts.points_ms;
        let all = &histograms.times_ms;
        let skipped = all.partition_point(|time| *time < first_ms);
        let times = &all[skipped..all.partition_point(|time| *time <= last_ms).max(skipped)];
        self.push_rows(series, families, times, |rows, range| {
            let numbers = range.start + skipped..range.end + skipped;
            let values = &histograms.values[numbers.clone()];
            times[range].iter().zip(values).for_each(|(time, value)| rows.builder.histogram(*time, value));
            rows.builder.starts(rows.starts_ms.get(numbers).unwrap_or_default());
        })
    }

    /// As many rows as these points take; `append` adds a range of them to the row under construction.
    fn push_rows(&mut self, series: &Series, families: &Families, times: &[i64], append: impl Fn(&mut Self, Range<usize>)) -> usize {
        let mut exemplars = if self.parts.exemplars { series.chunk.exemplars() } else { &[] };
        let rows = match times.len() {
            0 if !self.parts.exemplars => 0,
            // A series whose points are elsewhere has one row for its exemplars.
            points => points.max(1),
        };
        for start in (0..rows).step_by(self.chunk_points_max) {
            let end = times.len().min(start + self.chunk_points_max);
            append(self, start..end);
            // Exemplars go with the row of their time; the last row takes what is left.
            let until = times.get(end).copied().unwrap_or(i64::MAX);
            let here = exemplars.partition_point(|exemplar| until == i64::MAX || exemplar.timestamp_ms() < until);
            let range = ends(self.builder.row_times()).unwrap_or_else(|| series.chunk.range_ms());
            self.end_row(series, families, &exemplars[..here], range);
            exemplars = &exemplars[here..];
        }
        times.len()
    }

    /// Ends the row of what lies between a first and a last millisecond.
    fn end_row(&mut self, series: &Series, families: &Families, exemplars: &[OwnedExemplar], range_ms: (i64, i64)) {
        let key = &series.key;
        exemplars.iter().for_each(|exemplar| exemplar.with(|exemplar| self.builder.exemplar(exemplar)));
        let family = families.of(key.name()).filter(|_| self.parts.metadata);
        let row = family.map_or(SeriesRow { name: key.name(), ..SeriesRow::default() }, |family| family.row(key.name()));
        match self.parts.labels {
            true => self.builder.push_timed(&row, series.series_id, key.labels(), range_ms),
            false => self.builder.push_timed(&row, series.series_id, std::iter::empty(), range_ms),
        }
        self.bytes += key.len() + row.help.len();
        self.push_identity(key);
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
        Ok(RecordBatch::try_new(records.schema(), columns)?)
    }
}

/// The first and the last of ascending times.
fn ends(times: &[i64]) -> Option<(i64, i64)> {
    times.first().copied().zip(times.last().copied())
}
