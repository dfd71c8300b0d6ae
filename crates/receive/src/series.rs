//! Gathers the points of one request by series: senders may send a series in several places, a row holds all its points.

use std::collections::HashSet;

use arrow::array::RecordBatch;
use hashbrown::HashTable;
use model::samples::{Exemplar, NO_START, SamplesBuilder, SeriesRow};
use model::{NativeHistogram, series_id};

use crate::outcome::{ENTRY_BYTES, Outcome, ROW_BYTES};
use crate::protobuf::Read;

/// A series of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Handle(u32);

/// What a float takes here and in its row.
const FLOAT_BYTES: usize = 64;
/// What a histogram takes here and in its row apart from its buckets, and a bucket.
const HISTOGRAM_BYTES: usize = 336;
const BUCKET_BYTES: usize = 32;
/// What an exemplar takes here and in its row apart from its texts, and a label of it.
const EXEMPLAR_BYTES: usize = 192;
const EXEMPLAR_LABEL_BYTES: usize = 64;
const METRIC_BYTES: usize = 128;

pub(crate) struct OwnedExemplar {
    pub(crate) timestamp_ms: i64,
    pub(crate) value: f64,
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    /// Without `trace_id` and `span_id`.
    pub(crate) labels: Vec<(String, String)>,
}

impl OwnedExemplar {
    pub(crate) fn bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(|(name, value)| EXEMPLAR_LABEL_BYTES + 2 * (name.len() + value.len())).sum();
        EXEMPLAR_BYTES + 2 * (self.trace_id.len() + self.span_id.len()) + labels
    }
}

/// When a point was taken and since when it counts, in milliseconds; [`NO_START`] where it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) time_ms: i64,
    pub(crate) start_ms: i64,
}

impl From<i64> for When {
    fn from(time_ms: i64) -> Self {
        Self { time_ms, start_ms: NO_START }
    }
}

/// A value and since when it counts.
struct Since<T> {
    start_ms: i64,
    value: T,
}

/// What a metric says about its series.
#[derive(Default)]
pub(crate) struct Metric<'m> {
    pub(crate) kind: &'static str,
    pub(crate) unit: &'m str,
    pub(crate) help: &'m str,
    /// The name under which it is described, when its series have other names: `h` of `h_bucket`, `h_sum` and `h_count`.
    pub(crate) family: &'m str,
}

#[derive(Default)]
struct Described {
    kind: &'static str,
    unit: String,
    help: String,
    family: String,
}

struct Series {
    id: i64,
    metric: usize,
    /// Of the name in `text`, and of the labels' ends in `ends`.
    text_start: usize,
    name_end: usize,
    ends: std::ops::Range<usize>,
}

/// Where the floats of each series went.
pub(crate) struct FloatRows(Vec<Option<usize>>);

impl FloatRows {
    pub(crate) fn of(&self, series: Handle) -> Option<usize> {
        self.0[series.0 as usize]
    }
}

#[derive(Default)]
pub(crate) struct SeriesTable {
    /// Names and labels of all series, one after the other.
    text: String,
    /// End of each label's name and value in `text`.
    ends: Vec<usize>,
    series: Vec<Series>,
    index: HashTable<u32>,
    metrics: Vec<Described>,
    floats: Vec<(Handle, i64, Since<f64>)>,
    histograms: Vec<(Handle, i64, Since<NativeHistogram>)>,
    exemplars: Vec<(Handle, OwnedExemplar)>,
}

impl SeriesTable {
    /// What the series that follow are.
    pub(crate) fn begin_metric(&mut self, metric: &Metric<'_>, outcome: &mut Outcome) -> Read<()> {
        let Metric { kind, unit, help, family } = *metric;
        outcome.spend(METRIC_BYTES + unit.len() + help.len() + family.len())?;
        self.metrics.push(Described { kind, unit: unit.to_owned(), help: help.to_owned(), family: family.to_owned() });
        Ok(())
    }

    /// The series of that name and those sorted labels, made when it is new.
    pub(crate) fn series<'l, L>(&mut self, name: &str, labels: L, outcome: &mut Outcome) -> Read<Handle>
    where
        L: Iterator<Item = (&'l str, &'l str)> + Clone,
    {
        let id = series_id(name, labels.clone());
        let found = self.index.find(id.cast_unsigned(), |&at| {
            let series = &self.series[at as usize];
            series.id == id && self.name(series) == name && same(self.labels(series), labels.clone())
        });
        if let Some(&at) = found {
            return Ok(Handle(at));
        }
        let texts: usize = labels.clone().map(|(name, value)| 2 * ENTRY_BYTES + name.len() + value.len()).sum();
        let metric = self.metrics.len() - 1;
        let Described { unit, help, .. } = &self.metrics[metric];
        // A histogram's row and a float's may both come of it.
        outcome.spend(2 * (ROW_BYTES + name.len() + texts + unit.len() + help.len()))?;
        let text_start = self.text.len();
        self.text.push_str(name);
        let (name_end, first) = (self.text.len(), self.ends.len());
        for (name, value) in labels {
            self.text.push_str(name);
            self.ends.push(self.text.len());
            self.text.push_str(value);
            self.ends.push(self.text.len());
        }
        let at = u32::try_from(self.series.len()).expect("batch_bytes_max allows fewer series");
        self.series.push(Series { id, metric, text_start, name_end, ends: first..self.ends.len() });
        let series = &self.series;
        self.index.insert_unique(id.cast_unsigned(), at, |&at| series[at as usize].id.cast_unsigned());
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

    pub(crate) fn float(&mut self, series: Handle, when: impl Into<When>, value: f64, outcome: &mut Outcome) -> Read<()> {
        outcome.spend(FLOAT_BYTES)?;
        let When { time_ms, start_ms } = when.into();
        self.floats.push((series, time_ms, Since { start_ms, value }));
        Ok(())
    }

    pub(crate) fn histogram(
        &mut self,
        series: Handle,
        when: impl Into<When>,
        histogram: NativeHistogram,
        outcome: &mut Outcome,
    ) -> Read<()> {
        let buckets = histogram.positive.len() + histogram.negative.len() + histogram.custom_bounds.len();
        outcome.spend(HISTOGRAM_BYTES + BUCKET_BYTES * buckets)?;
        let When { time_ms, start_ms } = when.into();
        self.histograms.push((series, time_ms, Since { start_ms, value: histogram }));
        Ok(())
    }

    pub(crate) fn exemplar(&mut self, series: Handle, exemplar: OwnedExemplar, outcome: &mut Outcome) -> Read<()> {
        outcome.spend(exemplar.bytes())?;
        self.exemplars.push((series, exemplar));
        Ok(())
    }

    /// Adds to `builder` a row per series that has floats and one per series that has native histograms, their points
    /// ascending by time and one for each time. Exemplars stand with the first of them; without points they are a row of
    /// their own. What a family of series is stands in a row without labels and points. Gives the row of each series' floats.
    pub(crate) fn finish(mut self, builder: &mut SamplesBuilder, outcome: &mut Outcome) -> FloatRows {
        let mut floats = std::mem::take(&mut self.floats);
        let mut histograms = std::mem::take(&mut self.histograms);
        let mut exemplars = std::mem::take(&mut self.exemplars);
        sort_points(&mut floats, outcome);
        sort_points(&mut histograms, outcome);
        exemplars.sort_by_key(|(series, exemplar)| (*series, exemplar.timestamp_ms));
        let (mut floats, mut histograms, mut exemplars) = (&floats[..], &histograms[..], &exemplars[..]);
        let mut rows = vec![None; self.series.len()];
        for (at, series) in self.series.iter().enumerate() {
            let handle = Handle(u32::try_from(at).expect("handles are u32"));
            let floats = take_while(&mut floats, |point| point.0 == handle);
            let histograms = take_while(&mut histograms, |point| point.0 == handle);
            let exemplars = take_while(&mut exemplars, |point| point.0 == handle);
            exemplars.iter().for_each(|(_, exemplar)| add_exemplar(builder, exemplar));
            let Described { kind, unit, help, family } = &self.metrics[series.metric];
            let [kind, unit, help] = if family.is_empty() { [kind, unit.as_str(), help.as_str()] } else { [""; 3] };
            let row = SeriesRow { name: self.name(series), kind, unit, help };
            for (_, time, Since { start_ms, value }) in floats {
                builder.float(*time, *value);
                builder.start(*start_ms);
            }
            rows[at] = (!floats.is_empty()).then(|| builder.len());
            if !floats.is_empty() || (histograms.is_empty() && !exemplars.is_empty()) {
                builder.push_numbered(&row, series.id, self.labels(series));
            }
            for (_, time, Since { start_ms, value }) in histograms {
                builder.histogram(*time, value);
                builder.start(*start_ms);
            }
            if !histograms.is_empty() {
                builder.push_numbered(&SeriesRow { kind: "histogram", ..row }, series.id, self.labels(series));
            }
        }
        let mut families = HashSet::new();
        for series in &self.series {
            let Described { kind, unit, help, family } = &self.metrics[series.metric];
            if !family.is_empty() && families.insert(family) {
                builder.push_series(&SeriesRow { name: family, kind, unit, help }, std::iter::empty());
            }
        }
        FloatRows(rows)
    }

    pub(crate) fn into_batch(self, outcome: &mut Outcome) -> RecordBatch {
        let mut builder = SamplesBuilder::default();
        self.finish(&mut builder, outcome);
        builder.finish()
    }
}

fn same<'a, 'b>(a: impl Iterator<Item = (&'a str, &'a str)>, mut b: impl Iterator<Item = (&'b str, &'b str)>) -> bool {
    for (name, value) in a {
        if b.next() != Some((name, value)) {
            return false;
        }
    }
    b.next().is_none()
}

/// Sorts by series and time. Of several points at one time the last is kept, as it would be had they come one by one.
fn sort_points<T>(points: &mut Vec<(Handle, i64, T)>, outcome: &mut Outcome) {
    points.sort_by_key(|(series, time, _)| (*series, *time));
    points.dedup_by(|later, earlier| {
        let same = (later.0, later.1) == (earlier.0, earlier.1);
        if same {
            std::mem::swap(later, earlier);
            outcome.repair("duplicate_time");
        }
        same
    });
}

pub(crate) fn add_exemplar(builder: &mut SamplesBuilder, exemplar: &OwnedExemplar) {
    let labels: Vec<(&str, &str)> = exemplar.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    builder.exemplar(&Exemplar {
        timestamp_ms: exemplar.timestamp_ms,
        value: exemplar.value,
        trace_id: &exemplar.trace_id,
        span_id: &exemplar.span_id,
        labels: &labels,
    });
}

/// The longest start of `rest` whose items all match; `rest` moves past it.
fn take_while<'a, T>(rest: &mut &'a [T], matches: impl Fn(&T) -> bool) -> &'a [T] {
    let (taken, left) = rest.split_at(rest.iter().take_while(|item| matches(item)).count());
    *rest = left;
    taken
}
