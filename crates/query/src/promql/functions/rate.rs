use model::NativeHistogram;

use super::super::histogram;
use super::super::notes::named as for_metric;
use super::super::value::Cell;
use super::{Call, OverWindow, Window};

pub(super) fn named(name: &str) -> Option<OverWindow> {
    Some(match name {
        "rate" => |call, _, window| extrapolated(call, window, true, true),
        "increase" => |call, _, window| extrapolated(call, window, true, false),
        "delta" => |call, _, window| extrapolated(call, window, false, false),
        "irate" => |call, _, window| last_two(call, window, true),
        "idelta" => |call, _, window| last_two(call, window, false),
        "changes" => |_, _, window| Some(Cell::Float(changes(window))),
        "resets" => |_, _, window| Some(Cell::Float(resets(window))),
        _ => return None,
    })
}

/// The growth in the window, stretched to its edges where the samples come close to them.
fn extrapolated(call: &Call<'_, '_>, window: &Window<'_>, counter: bool, per_second: bool) -> Option<Cell> {
    if mixed(call, window) {
        return None;
    }
    if window.histogram_times.is_empty() {
        let first = *window.floats.first()?;
        if counter {
            warn_name(call, window.metric);
        }
        let grown = float_growth(window.floats, counter)?;
        let factor = factor(window, window.times, counter.then_some((first, grown)), per_second)?;
        return Some(Cell::Float(grown * factor));
    }
    let grown = histogram_growth(call, window, counter)?;
    let factor = factor(window, window.histogram_times, counter.then_some((window.histograms.first()?.count, grown.count)), per_second)?;
    Some(Cell::of_histogram(histogram::scaled(&grown, factor)))
}

pub(super) fn float_growth(floats: &[f64], counter: bool) -> Option<f64> {
    let (first, last) = (floats.first()?, floats.last()?);
    if floats.len() < 2 {
        return None;
    }
    let mut grown = last - first;
    if counter {
        // What was counted before a reset comes on top.
        for pair in floats.windows(2) {
            if pair[1] < pair[0] {
                grown += pair[0];
            }
        }
    }
    Some(grown)
}

/// How much a growth between first and last sample is stretched. A counter is not stretched below zero.
fn factor(window: &Window<'_>, times: &[i64], counter: Option<(f64, f64)>, per_second: bool) -> Option<f64> {
    let (first, last) = (*times.first()?, *times.last()?);
    if times.len() < 2 {
        return None;
    }
    let seconds = |millis: i64| millis as f64 / 1000.0;
    let (mut to_start, mut to_end) = (seconds(first - window.start), seconds(window.end - last));
    let sampled = seconds(last - first);
    let between = sampled / (times.len() - 1) as f64;
    let threshold = between * 1.1;
    if to_start >= threshold {
        to_start = between / 2.0;
    }
    if let Some((value, grown)) = counter
        && grown > 0.0
        && value >= 0.0
    {
        to_start = to_start.min(sampled * (value / grown));
    }
    if to_end >= threshold {
        to_end = between / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if per_second {
        factor /= seconds(window.range_ms);
    }
    Some(factor)
}

pub(super) fn histogram_growth(call: &Call<'_, '_>, window: &Window<'_>, counter: bool) -> Option<NativeHistogram> {
    let (notes, input) = (call.evaluator.notes, call.input());
    let histograms = window.histograms;
    let (first, last) = (histograms.first()?, histograms.last()?);
    if histograms.len() < 2 {
        return None;
    }
    let gauge = |histogram: &NativeHistogram| histogram.reset_hint == histogram::HINT_GAUGE;
    if counter && histograms.iter().any(|histogram| gauge(histogram)) {
        notes.warn(input, format!("this native histogram metric is not a counter: {:?}", window.metric));
    }
    if !counter && (!gauge(first) || !gauge(last)) {
        notes.warn(input, format!("this native histogram metric is not a gauge: {:?}", window.metric));
    }
    // The first sample's buckets do not matter when the counter starts anew right after it.
    let custom = |histogram: &NativeHistogram| histogram.schema == histogram::CUSTOM;
    let restarted = counter && histogram::is_reset(first, &histograms[1]);
    if histograms[usize::from(restarted)..].iter().any(|histogram| custom(histogram) != custom(last)) {
        let what = "vector contains a mix of histograms with exponential and custom buckets schemas";
        notes.warn(input, for_metric(what, window.metric));
        return None;
    }
    let mut reconciled = false;
    let mut grown = match restarted {
        true => histogram::Combined { histogram: (**last).clone(), bounds_reconciled: false, reset_conflict: false },
        false => histogram::combine(last, first, -1.0)?,
    };
    reconciled |= grown.bounds_reconciled;
    if counter {
        for (index, pair) in histograms.windows(2).enumerate() {
            if histogram::is_reset(&pair[0], &pair[1]) && index > 0 {
                let next = histogram::combine(&grown.histogram, &pair[0], 1.0)?;
                reconciled |= next.bounds_reconciled;
                grown.histogram = next.histogram;
            }
        }
    }
    if reconciled {
        notes.info(input, "mismatched custom buckets were reconciled during subtraction");
    }
    grown.histogram.reset_hint = histogram::HINT_GAUGE;
    Some(grown.histogram)
}

/// Whether floats and histograms stand side by side, which nothing can be made of.
fn mixed(call: &Call<'_, '_>, window: &Window<'_>) -> bool {
    let mixed = !window.times.is_empty() && !window.histogram_times.is_empty();
    if mixed {
        call.evaluator.notes.warn(call.input(), for_metric("encountered a mix of histograms and floats", window.metric));
    }
    mixed
}

/// Tells when a metric does not look like a counter.
pub(super) fn warn_name(call: &Call<'_, '_>, metric: &str) {
    let looks = ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| metric.ends_with(suffix));
    if !metric.is_empty() && !looks {
        let message = || format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric:?}");
        call.evaluator.notes.info_of(call.input(), metric, message);
    }
}

/// The growth between the last two samples.
fn last_two(call: &Call<'_, '_>, window: &Window<'_>, rate: bool) -> Option<Cell> {
    let (floats, histograms) = (window.times.len(), window.histogram_times.len());
    // The last two samples of both kinds together.
    let mut last: Vec<(i64, bool)> = window.times.iter().skip(floats.saturating_sub(2)).map(|&at| (at, false)).collect();
    last.extend(window.histogram_times.iter().skip(histograms.saturating_sub(2)).map(|&at| (at, true)));
    last.sort_unstable();
    let &[.., (before, before_kind), (after, after_kind)] = last.as_slice() else { return None };
    if before_kind != after_kind {
        call.evaluator.notes.warn(call.input(), for_metric("encountered a mix of histograms and floats", window.metric));
        return None;
    }
    let seconds = (after - before) as f64 / 1000.0;
    if !after_kind {
        if rate {
            warn_name(call, window.metric);
        }
        let (first, second) = (window.floats[floats - 2], window.floats[floats - 1]);
        let grown = if rate && second < first { second } else { second - first };
        return Some(Cell::Float(if rate { grown / seconds } else { grown }));
    }
    let (first, second) = (&window.histograms[histograms - 2], &window.histograms[histograms - 1]);
    let pair = Window { histograms: &window.histograms[histograms - 2..], ..*window };
    let grown = histogram_growth(call, &pair, rate)?;
    let mut grown = if rate && histogram::is_reset(first, second) { (**second).clone() } else { grown };
    grown.reset_hint = histogram::HINT_GAUGE;
    Some(Cell::of_histogram(if rate { histogram::divided(&grown, seconds) } else { grown }))
}

/// The samples of both kinds in order of time.
fn in_order(window: &Window<'_>) -> Vec<Cell> {
    let mut cells: Vec<(i64, Cell)> = window.times.iter().zip(window.floats).map(|(at, value)| (*at, Cell::Float(*value))).collect();
    cells.extend(window.histogram_times.iter().zip(window.histograms).map(|(at, histogram)| (*at, Cell::Histogram(histogram.clone()))));
    cells.sort_by_key(|(at, _)| *at);
    cells.into_iter().map(|(_, cell)| cell).collect()
}

fn changes(window: &Window<'_>) -> f64 {
    match window.histogram_times.is_empty() {
        true => window.floats.windows(2).filter(|pair| differ(pair[0], pair[1])).count() as f64,
        false => count_changes(&in_order(window)),
    }
}

fn differ(a: f64, b: f64) -> bool {
    a != b && !(a.is_nan() && b.is_nan())
}

pub(super) fn count_changes(cells: &[Cell]) -> f64 {
    let changed = |pair: &&[Cell]| match (&pair[0], &pair[1]) {
        (Cell::Float(a), Cell::Float(b)) => differ(*a, *b),
        (Cell::Histogram(a), Cell::Histogram(b)) => !histogram::equal(a, b),
        _ => true,
    };
    cells.windows(2).filter(changed).count() as f64
}

fn resets(window: &Window<'_>) -> f64 {
    match window.histogram_times.is_empty() {
        true => window.floats.windows(2).filter(|pair| pair[1] < pair[0]).count() as f64,
        false => count_resets(&in_order(window)),
    }
}

pub(super) fn count_resets(cells: &[Cell]) -> f64 {
    let reset = |pair: &&[Cell]| match (&pair[0], &pair[1]) {
        (Cell::Float(a), Cell::Float(b)) => b < a,
        (Cell::Histogram(a), Cell::Histogram(b)) => histogram::is_reset(a, b),
        _ => true,
    };
    cells.windows(2).filter(reset).count() as f64
}
