use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use model::samples::{NO_START, SamplesBuilder, SeriesRow};
use model::{Labels, NativeHistogram};

use super::script::Load;
use super::series::{Item, Line};

/// The canonical batches of a `load`.
pub(super) fn batches(load: &Load) -> Result<Vec<RecordBatch>, String> {
    let mut builder = SamplesBuilder::default();
    for line in load.lines.iter().filter(|line| !line.is_starts) {
        let starts = load.lines.iter().find(|other| other.is_starts && other.labels == line.labels);
        let starts = starts.map_or(&[][..], |line| &line.items);
        push(&mut builder, &line.labels, &line.items, starts, load.interval_ms);
    }
    if load.with_nhcb {
        for (labels, items) in with_custom_bounds(&load.lines)? {
            push(&mut builder, &labels, &items, &[], load.interval_ms);
        }
    }
    Ok(vec![builder.finish()])
}

/// Floats and histograms of a series are two rows.
fn push(builder: &mut SamplesBuilder, labels: &Labels, items: &[Item], starts: &[Item], interval_ms: i64) {
    let name = labels.get("__name__").unwrap_or_default();
    let pairs: Vec<(&str, &str)> = labels.iter().filter(|(name, _)| *name != "__name__").collect();
    let row = SeriesRow { name, ..SeriesRow::default() };
    let timed = || (0i64..).map(|index| index * interval_ms).zip(items).zip(0..);
    let start = |at: i64, index: usize| match starts.get(index) {
        Some(Item::Float(seconds)) => at + (seconds * 1000.0).round() as i64,
        _ => NO_START,
    };
    for ((at, item), index) in timed() {
        if let Item::Float(value) = item {
            builder.float(at, *value);
            builder.start(start(at, index));
        }
    }
    if !builder.row_times().is_empty() {
        builder.push_series(&row, pairs.iter().copied());
    }
    for ((at, item), index) in timed() {
        if let Item::Histogram(histogram) = item {
            builder.histogram(at, histogram);
            builder.start(start(at, index));
        }
    }
    if !builder.row_times().is_empty() {
        builder.push_series(&row, pairs.iter().copied());
    }
}

/// The parts of one classic histogram: buckets by bound, sum and count.
#[derive(Default)]
struct Classic<'a> {
    buckets: Vec<(f64, &'a [Item])>,
    sum: Option<&'a [Item]>,
    count: Option<&'a [Item]>,
}

fn float(items: &[Item], at: usize) -> Option<f64> {
    match items.get(at) {
        Some(Item::Float(value)) => Some(*value),
        _ => None,
    }
}

/// Classic histograms as native ones whose bounds are the buckets'.
fn with_custom_bounds(lines: &[Line]) -> Result<Vec<(Labels, Vec<Item>)>, String> {
    let mut classics: BTreeMap<Labels, Classic<'_>> = BTreeMap::new();
    for line in lines.iter().filter(|line| !line.is_starts) {
        let name = line.labels.get("__name__").unwrap_or_default();
        let Some((base, part)) = ["_bucket", "_sum", "_count"].iter().find_map(|part| Some((name.strip_suffix(part)?, *part))) else {
            continue;
        };
        let mut labels = line.labels.to_builder();
        labels.set("__name__", base).remove("le");
        let classic = classics.entry(labels.build()).or_default();
        match (part, line.labels.get("le")) {
            ("_bucket", Some(le)) => {
                let bound = le.parse().map_err(|_| format!("cannot read bound {le:?}"))?;
                classic.buckets.push((bound, &line.items));
            }
            ("_sum", _) => classic.sum = Some(&line.items),
            ("_count", _) => classic.count = Some(&line.items),
            _ => {}
        }
    }
    Ok(classics.into_iter().filter(|(_, classic)| !classic.buckets.is_empty()).map(|(labels, classic)| (labels, classic.items())).collect())
}

impl Classic<'_> {
    fn items(mut self) -> Vec<Item> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let length = self.buckets.iter().map(|(_, items)| items.len()).max().unwrap_or(0);
        (0..length).map(|at| self.at(at).map_or(Item::Gap, |histogram| Item::Histogram(Box::new(histogram)))).collect()
    }

    fn at(&self, at: usize) -> Option<NativeHistogram> {
        let last = self.buckets.iter().rev().find_map(|(_, items)| float(items, at))?;
        let count = self.count.and_then(|items| float(items, at)).unwrap_or(last);
        let sum = self.sum.and_then(|items| float(items, at)).unwrap_or(0.0);
        let (mut below, mut positive) = (0.0, Vec::new());
        let bounds: Vec<f64> = self.buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect();
        for (index, (_, items)) in (0i32..).zip(&self.buckets) {
            let Some(cumulative) = float(items, at) else { continue };
            if cumulative != below {
                positive.push((index, cumulative - below));
            }
            below = cumulative;
        }
        if below < count {
            positive.push((i32::try_from(bounds.len()).unwrap_or(i32::MAX), count - below));
        }
        Some(NativeHistogram { schema: -53, count, sum, positive, custom_bounds: bounds, ..NativeHistogram::default() })
    }
}
