use std::sync::Arc;

use arrow::buffer::ScalarBuffer;
use hashbrown::HashMap;
use model::{Code, Error, Labels, NativeHistogram, Result};

use super::grid::Grid;
use crate::guard::{Charge, Guard, label_bytes};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Absent,
    Float,
    Histogram,
}

/// The values of one series at every step. Columns with a mark per step instead of a list of samples: functions and
/// operators run over plain slices, and an absent step costs no search.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) marks: Vec<Mark>,
    pub(super) floats: Vec<f64>,
    /// Empty while no step holds a histogram.
    histograms: Vec<Option<Arc<NativeHistogram>>>,
    charge: Charge,
}

/// Of a column, whatever its steps hold.
pub(super) const STEP_BYTES: usize = size_of::<f64>() + size_of::<Mark>();
/// Of a column without steps, with a share of its labels.
const SERIES_BYTES: usize = 256;

/// What a histogram takes.
pub(super) fn histogram_bytes(histogram: &NativeHistogram) -> usize {
    size_of::<NativeHistogram>()
        + (histogram.positive.len() + histogram.negative.len()) * size_of::<(i32, f64)>()
        + histogram.custom_bounds.len() * size_of::<f64>()
}

/// As how many samples a histogram counts.
pub(super) fn histogram_samples(histogram: &NativeHistogram) -> usize {
    histogram_bytes(histogram).div_ceil(size_of::<(i64, f64)>())
}

/// A value at one step.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Float(f64),
    Histogram(Arc<NativeHistogram>),
}

impl Cell {
    pub(super) fn of_histogram(histogram: NativeHistogram) -> Self {
        Self::Histogram(Arc::new(histogram))
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Float(_) => "float",
            Self::Histogram(_) => "histogram",
        }
    }
}

impl Column {
    pub(super) fn absent(guard: &Guard, steps: usize) -> Self {
        let charge = guard.charge(SERIES_BYTES + steps * STEP_BYTES);
        Self { marks: vec![Mark::Absent; steps], floats: vec![0.0; steps], histograms: Vec::new(), charge }
    }

    pub(super) fn of_floats(guard: &Guard, floats: Vec<f64>) -> Self {
        let charge = guard.charge(SERIES_BYTES + floats.len() * STEP_BYTES);
        Self { marks: vec![Mark::Float; floats.len()], floats, histograms: Vec::new(), charge }
    }

    pub(super) fn is_present(&self, step: usize) -> bool {
        self.marks[step] != Mark::Absent
    }

    pub(super) fn is_absent_everywhere(&self) -> bool {
        self.marks.iter().all(|&mark| mark == Mark::Absent)
    }

    /// How many samples its steps are, were each of them stored.
    pub(super) fn samples(&self) -> usize {
        let floats = self.marks.iter().filter(|mark| **mark == Mark::Float).count();
        floats + self.histograms.iter().flatten().map(|histogram| histogram_samples(histogram)).sum::<usize>()
    }

    /// False only when no step holds one.
    pub(super) fn may_have_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    pub(super) fn get(&self, step: usize) -> Option<Cell> {
        match self.marks[step] {
            Mark::Absent => None,
            Mark::Float => Some(Cell::Float(self.floats[step])),
            Mark::Histogram => self.histogram(step).cloned().map(Cell::Histogram),
        }
    }

    pub(super) fn float(&self, step: usize) -> Option<f64> {
        (self.marks[step] == Mark::Float).then(|| self.floats[step])
    }

    pub(super) fn histogram(&self, step: usize) -> Option<&Arc<NativeHistogram>> {
        self.histograms.get(step).and_then(Option::as_ref).filter(|_| self.marks[step] == Mark::Histogram)
    }

    pub(super) fn set(&mut self, step: usize, cell: Cell) {
        match cell {
            Cell::Float(value) => self.set_float(step, value),
            Cell::Histogram(histogram) => {
                if self.histograms.is_empty() {
                    self.charge.grow(self.marks.len() * size_of::<Option<Arc<NativeHistogram>>>());
                    self.histograms = vec![None; self.marks.len()];
                }
                // One that others hold too is counted there.
                if Arc::strong_count(&histogram) == 1 {
                    self.charge.grow(histogram_bytes(&histogram));
                }
                if let Some(before) = self.histograms[step].replace(histogram)
                    && Arc::strong_count(&before) == 1
                {
                    self.charge.shrink(histogram_bytes(&before));
                }
                self.marks[step] = Mark::Histogram;
            }
        }
    }

    /// Counts labels that are this series' own.
    pub(super) fn charge_labels(&mut self, labels: &Labels) {
        self.charge.grow(label_bytes(labels));
    }

    pub(super) fn set_float(&mut self, step: usize, value: f64) {
        self.floats[step] = value;
        self.marks[step] = Mark::Float;
    }

    pub(super) fn clear(&mut self, step: usize) {
        self.marks[step] = Mark::Absent;
    }

    /// The first step of `self`, at as many steps as the grid has.
    fn repeated(&self, guard: &Guard, steps: usize) -> Self {
        let mut column = Self::absent(guard, steps);
        if let Some(cell) = self.get(0) {
            (0..steps).for_each(|step| column.set(step, cell.clone()));
        }
        column
    }
}

#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) labels: Labels,
    /// The metric's name goes when the query is answered. It is dropped late so that `label_replace` can still use it.
    pub(super) drop_name: bool,
    pub(super) column: Column,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// One float per step.
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vec<Series>),
}

impl Value {
    pub(super) fn repeated(self, guard: &Guard, steps: usize) -> Result<Self> {
        Ok(match self {
            Self::Scalar(values) => Self::Scalar(vec![values[0]; steps]),
            Self::Text(text) => Self::Text(text),
            Self::Vector(series) => {
                guard.reserve(series.len().saturating_mul(steps))?;
                guard.fits(series.len().saturating_mul(steps).saturating_mul(STEP_BYTES))?;
                let repeated = |series: Series| Series { column: series.column.repeated(guard, steps), ..series };
                Self::Vector(series.into_iter().map(repeated).collect())
            }
        })
    }
}

/// The labels that say what a series is; gone when a value has become something else.
pub(super) fn is_metadata_label(name: &str) -> bool {
    matches!(name, "__name__" | "__type__" | "__unit__")
}

pub(super) fn without_metadata(labels: &Labels) -> Labels {
    match labels.iter().any(|(name, _)| is_metadata_label(name)) {
        true => labels.filtered(|name| !is_metadata_label(name)),
        false => labels.clone(),
    }
}

pub(super) fn same_labelset() -> Error {
    Error::new(Code::Invalid, "vector cannot contain metrics with the same labelset")
}

/// Joins series of one label set whose steps do not meet; two values at one step are an error.
pub(super) fn merge_same_labels(vector: Vec<Series>) -> Result<Vec<Series>> {
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(vector.len());
    let mut merged: Vec<Series> = Vec::with_capacity(vector.len());
    for series in vector {
        let Some(&place) = places.get(&series.labels) else {
            places.insert(series.labels.clone(), merged.len());
            merged.push(series);
            continue;
        };
        let into = &mut merged[place];
        for step in 0..series.column.marks.len() {
            match series.column.get(step) {
                Some(_) if into.column.is_present(step) => return Err(same_labelset()),
                Some(cell) => into.column.set(step, cell),
                None => {}
            }
        }
    }
    Ok(merged)
}

/// The answer's form: names dropped where they must go, label sets unique.
pub(super) fn finish(vector: Vec<Series>) -> Result<Vec<Series>> {
    let drop = |series: Series| match series.drop_name {
        true => Series { labels: without_metadata(&series.labels), ..series },
        false => series,
    };
    merge_same_labels(vector.into_iter().filter(|series| !series.column.is_absent_everywhere()).map(drop).collect())
}

/// Points of one series by time ascending, staleness marks apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Points {
    pub(super) labels: Labels,
    pub(super) drop_name: bool,
    pub(super) float_times: ScalarBuffer<i64>,
    pub(super) floats: ScalarBuffer<f64>,
    pub(super) histogram_times: Vec<i64>,
    pub(super) histograms: Vec<Arc<NativeHistogram>>,
    /// Since when each float and each histogram counts; empty when none says, or when nobody asked.
    pub(super) float_starts: Vec<i64>,
    pub(super) histogram_starts: Vec<i64>,
    /// When the series ended.
    pub(super) stale_times: Vec<i64>,
    /// Of the points of a subquery; those of the store are counted where they are loaded.
    pub(super) charge: Charge,
}

impl Points {
    /// What a subquery hands to the function around it.
    pub(super) fn of_series(series: Series, grid: &Grid) -> Self {
        let mut points = Self { labels: series.labels, drop_name: series.drop_name, ..Self::default() };
        points.charge = series.column.charge.clone();
        let (mut times, mut floats) = (Vec::new(), Vec::new());
        for (step, at) in grid.times().enumerate() {
            match series.column.get(step) {
                Some(Cell::Float(value)) => {
                    times.push(at);
                    floats.push(value);
                }
                Some(Cell::Histogram(histogram)) => {
                    points.histogram_times.push(at);
                    points.histograms.push(histogram);
                }
                None => {}
            }
        }
        (points.float_times, points.floats) = (times.into(), floats.into());
        points
    }
}
