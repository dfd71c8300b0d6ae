//! Gathers the points of one request by series: OTLP sends a point at a time, a row holds all points of a series.

use arrow::array::RecordBatch;
use hashbrown::HashTable;
use model::samples::{Exemplar, SamplesBuilder, SeriesRow};
use model::{NativeHistogram, series_id};

use super::labels::LabelSet;
use super::value::Id;
use crate::outcome::{Outcome, ROW_BYTES};
use crate::protobuf::Read;

/// A series of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handle(u32);

pub(super) struct OwnedExemplar {
    pub(super) timestamp_ms: i64,
    pub(super) value: f64,
    pub(super) trace_id: Id,
    pub(super) span_id: Id,
    pub(super) labels: Vec<(String, String)>,
}

#[derive(Default)]
struct Metric {
    kind: &'static str,
    unit: String,
    help: String,
}

struct Series {
    hash: u64,
    metric: usize,
    holds_histograms: bool,
    /// Of the name in `text`, and of the labels' ends in `ends`.
    text_start: usize,
    name_end: usize,
    ends: std::ops::Range<usize>,
}

#[derive(Default)]
pub(super) struct SeriesTable {
    /// Names and labels of all series, one after the other.
    text: String,
    /// End of each label's name and value in `text`.
    ends: Vec<usize>,
    series: Vec<Series>,
    index: HashTable<u32>,
    metrics: Vec<Metric>,
    floats: Vec<(Handle, i64, f64)>,
    histograms: Vec<(Handle, i64, NativeHistogram)>,
    exemplars: Vec<(Handle, OwnedExemplar)>,
}

impl SeriesTable {
    /// What the series that follow are.
    pub(super) fn begin_metric(&mut self, kind: &'static str, unit: &str, help: &str) {
        self.metrics.push(Metric { kind, unit: unit.to_owned(), help: help.to_owned() });
    }

    /// The series of that name and settled label set, made when it is new.
    pub(super) fn series(&mut self, name: &str, labels: &LabelSet, holds_histograms: bool, outcome: &mut Outcome) -> Read<Handle> {
        let hash = series_id(name, labels.iter()).cast_unsigned();
        let found = self.index.find(hash, |&at| {
            let series = &self.series[at as usize];
            series.hash == hash
                && series.holds_histograms == holds_histograms
                && self.name(series) == name
                && self.labels(series).eq(labels.iter())
        });
        if let Some(&at) = found {
            return Ok(Handle(at));
        }
        let text_start = self.text.len();
        self.text.push_str(name);
        let (name_end, first) = (self.text.len(), self.ends.len());
        for (name, value) in labels.iter() {
            self.text.push_str(name);
            self.ends.push(self.text.len());
            self.text.push_str(value);
            self.ends.push(self.text.len());
        }
        let metric = self.metrics.len() - 1;
        let described = self.metrics[metric].unit.len() + self.metrics[metric].help.len();
        outcome.spend(ROW_BYTES + 2 * (self.text.len() - text_start) + described)?;
        let at = u32::try_from(self.series.len()).expect("batch_bytes_max allows fewer series");
        self.series.push(Series { hash, metric, holds_histograms, text_start, name_end, ends: first..self.ends.len() });
        let series = &self.series;
        self.index.insert_unique(hash, at, |&at| series[at as usize].hash);
        Ok(Handle(at))
    }

    fn name(&self, series: &Series) -> &str {
        &self.text[series.text_start..series.name_end]
    }

    fn labels<'t>(&'t self, series: &Series) -> impl Iterator<Item = (&'t str, &'t str)> + Clone {
        let starts = std::iter::once(series.name_end).chain(self.ends[series.ends.clone()].iter().skip(1).step_by(2).copied());
        self.ends[series.ends.clone()]
            .chunks_exact(2)
            .zip(starts)
            .map(|(ends, start)| (&self.text[start..ends[0]], &self.text[ends[0]..ends[1]]))
    }

    pub(super) fn float(&mut self, series: Handle, timestamp_ms: i64, value: f64) {
        self.floats.push((series, timestamp_ms, value));
    }

    pub(super) fn histogram(&mut self, series: Handle, timestamp_ms: i64, histogram: NativeHistogram) {
        self.histograms.push((series, timestamp_ms, histogram));
    }

    pub(super) fn exemplar(&mut self, series: Handle, exemplar: OwnedExemplar) {
        self.exemplars.push((series, exemplar));
    }

    /// A row per series, its points ascending by time.
    pub(super) fn into_batch(mut self) -> RecordBatch {
        let mut floats = std::mem::take(&mut self.floats);
        let mut histograms = std::mem::take(&mut self.histograms);
        let mut exemplars = std::mem::take(&mut self.exemplars);
        floats.sort_by_key(|(series, time, _)| (*series, *time));
        histograms.sort_by_key(|(series, time, _)| (*series, *time));
        exemplars.sort_by_key(|(series, exemplar)| (*series, exemplar.timestamp_ms));
        let (mut floats, mut histograms, mut exemplars) = (&floats[..], &histograms[..], &exemplars[..]);
        let mut builder = SamplesBuilder::default();
        for (at, series) in self.series.iter().enumerate() {
            let handle = Handle(u32::try_from(at).expect("handles are u32"));
            for (_, time, value) in take_while(&mut floats, |point| point.0 == handle) {
                builder.float(*time, *value);
            }
            for (_, time, histogram) in take_while(&mut histograms, |point| point.0 == handle) {
                builder.histogram(*time, histogram);
            }
            for (_, exemplar) in take_while(&mut exemplars, |point| point.0 == handle) {
                let labels: Vec<(&str, &str)> = exemplar.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                builder.exemplar(&Exemplar {
                    timestamp_ms: exemplar.timestamp_ms,
                    value: exemplar.value,
                    trace_id: exemplar.trace_id.as_str(),
                    span_id: exemplar.span_id.as_str(),
                    labels: &labels,
                });
            }
            let Metric { kind, unit, help } = &self.metrics[series.metric];
            if builder.row_points() > 0 {
                builder.push_series(&SeriesRow { name: self.name(series), kind, unit, help }, self.labels(series));
            }
        }
        builder.finish()
    }
}

/// The longest start of `rest` whose items all match; `rest` moves past it.
fn take_while<'a, T>(rest: &mut &'a [T], matches: impl Fn(&T) -> bool) -> &'a [T] {
    let (taken, left) = rest.split_at(rest.iter().take_while(|item| matches(item)).count());
    *rest = left;
    taken
}
