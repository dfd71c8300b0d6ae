use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use model::samples::{Exemplar, SamplesBuilder, SeriesRow};
use model::{Decoded, Identity, Naming, NativeHistogram, Table};

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
    builder: SamplesBuilder,
    owners: [StringBuilder; 6],
    batches: Vec<Decoded>,
}

impl SampleRows {
    /// A cumulative value. The first of a series comes with a zero at its start, so that what it already counts is an increase.
    pub(crate) fn counter(&mut self, series: &Series<'_>, moment: Moment, value: f64, example: Option<&Example>) {
        let Moment { since_ms, now_ms, is_first } = moment;
        if is_first {
            self.builder.float(since_ms, 0.0);
            self.builder.start(since_ms);
        }
        self.builder.float(now_ms, value);
        self.builder.start(since_ms);
        if let Some(example) = example {
            self.builder.exemplar(&example.as_exemplar());
        }
        self.end(series);
    }

    /// Values that stand for themselves.
    pub(crate) fn floats(&mut self, series: &Series<'_>, points: impl Iterator<Item = (i64, f64, Option<Example>)>) {
        for (time_ms, value, example) in points {
            self.builder.float(time_ms, value);
            if let Some(example) = example {
                self.builder.exemplar(&example.as_exemplar());
            }
        }
        self.end(series);
    }

    /// The same of histograms.
    pub(crate) fn histograms(&mut self, series: &Series<'_>, points: impl Iterator<Item = (i64, NativeHistogram, Option<Example>)>) {
        for (time_ms, histogram, example) in points {
            self.builder.histogram(time_ms, &histogram);
            if let Some(example) = example {
                self.builder.exemplar(&example.as_exemplar());
            }
        }
        self.end(series);
    }

    fn end(&mut self, series: &Series<'_>) {
        let Series { name, kind, help, labels, owner } = *series;
        let row = SeriesRow { name, kind, help, unit: "" };
        match owner.is_assigned() {
            true => self.builder.push_series(&row, labels.iter().copied()),
            false => self.builder.push_series(&row, unclaimed(labels, owner).into_iter()),
        }
        for (column, value) in self.owners.iter_mut().zip(owner.values()) {
            if value.is_empty() { column.append_null() } else { column.append_value(value) }
        }
        if self.builder.len() >= ROWS_MAX {
            self.finish_batch();
        }
    }

    fn finish_batch(&mut self) {
        if self.builder.is_empty() {
            return;
        }
        let records = self.builder.finish();
        let schema = records.schema();
        let mut columns = records.columns().to_vec();
        for (name, owners) in Identity::FIELDS.into_iter().zip(&mut self.owners) {
            columns[schema.index_of(name).expect("samples have identity columns")] = Arc::new(owners.finish()) as ArrayRef;
        }
        let records = RecordBatch::try_new(schema, columns).expect("identity columns are texts");
        self.batches.push(Decoded { naming: Naming::Settled, ..Decoded::new(Table::Samples, records, "insight") });
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
