use model::samples::{Exemplar, OwnedSamples, SeriesRow};
use model::{Decoded, Identity, NativeHistogram};

/// Rows of one batch.
const ROWS_MAX: usize = 20_000;

/// A trace that is an instance of what a sample counts.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) value: f64,
    pub(crate) time_ms: i64,
    pub(crate) trace_id: Box<str>,
    pub(crate) span_id: Box<str>,
}

impl Example {
    pub(crate) fn as_exemplar(&self) -> Exemplar<'_> {
        Exemplar { timestamp_ms: self.time_ms, value: self.value, trace_id: &self.trace_id, span_id: &self.span_id, labels: &[] }
    }
}

/// Since when a cumulative series counts, the instant of its new point, and whether that is its first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) since_ms: i64,
    pub(crate) now_ms: i64,
    pub(crate) is_first: bool,
}

/// What is called how, and whose it is.
#[derive(Clone, Copy)]
pub(crate) struct Series<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) help: &'a str,
    /// Sorted by name.
    pub(crate) labels: &'a [(&'a str, &'a str)],
    pub(crate) owner: &'a Identity,
}

/// Samples that are made here, with the identity of each row.
#[derive(Default)]
pub(crate) struct SampleRows {
    samples: OwnedSamples,
    batches: Vec<Decoded>,
}

impl SampleRows {
    /// A cumulative value. The first of a series comes with a zero at its start, so that what it already counts is an increase.
    pub(crate) fn counter(&mut self, series: &Series<'_>, moment: Moment, value: f64, example: Option<&Example>) {
        let Moment { since_ms, now_ms, is_first } = moment;
        if is_first {
            self.samples.points.float(since_ms, 0.0);
            self.samples.points.start(since_ms);
        }
        self.samples.points.float(now_ms, value);
        self.samples.points.start(since_ms);
        if let Some(example) = example {
            self.samples.points.exemplar(&example.as_exemplar());
        }
        self.end(series);
    }

    /// Values that stand for themselves.
    pub(crate) fn floats(&mut self, series: &Series<'_>, points: impl Iterator<Item = (i64, f64, Option<Example>)>) {
        for (time_ms, value, example) in points {
            self.samples.points.float(time_ms, value);
            if let Some(example) = example {
                self.samples.points.exemplar(&example.as_exemplar());
            }
        }
        self.end(series);
    }

    /// The same of histograms.
    pub(crate) fn histograms(&mut self, series: &Series<'_>, points: impl Iterator<Item = (i64, NativeHistogram, Option<Example>)>) {
        for (time_ms, histogram, example) in points {
            self.samples.points.histogram(time_ms, &histogram);
            if let Some(example) = example {
                self.samples.points.exemplar(&example.as_exemplar());
            }
        }
        self.end(series);
    }

    fn end(&mut self, series: &Series<'_>) {
        let Series { name, kind, help, labels, owner } = *series;
        let row = SeriesRow { name, kind, help, unit: "" };
        match owner.is_assigned() {
            true => self.samples.push_series(&row, labels.iter().copied(), owner),
            false => self.samples.push_series(&row, unclaimed(labels, owner).into_iter(), owner),
        }
        if self.samples.points.len() >= ROWS_MAX {
            self.finish_batch();
        }
    }

    fn finish_batch(&mut self) {
        self.batches.extend(self.samples.finish("insight").expect("owners are as many as series"));
    }

    pub(crate) fn finish(mut self) -> Vec<Decoded> {
        self.finish_batch();
        self.batches
    }
}

/// The pipeline writes an identity onto a series only where somebody has claimed it. What nobody has is told apart here by what is
/// known of where it is, or two sites would count as one series.
fn unclaimed<'a>(labels: &[(&'a str, &'a str)], owner: &'a Identity) -> Vec<(&'a str, &'a str)> {
    let mut all = labels.to_vec();
    for (name, value) in
        [("component", &owner.component), ("environment", &owner.environment), ("region", &owner.region), ("team", &owner.team)]
    {
        if let (false, Err(at)) = (value.is_empty(), all.binary_search_by(|(other, _)| (*other).cmp(name))) {
            all.insert(at, (name, value));
        }
    }
    all
}
