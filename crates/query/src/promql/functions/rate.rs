use model::NativeHistogram;
use model::samples::NO_START;

use super::super::histogram;
use super::super::notes::named as for_metric;
use super::super::value::Cell;
use super::starts::Starts;
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
    let (starts, times) = match window.histogram_times.is_empty() {
        true => (Starts::new(window.times, window.float_starts), window.times),
        false => (Starts::new(window.histogram_times, window.histogram_starts), window.histogram_times),
    };
    let starts = if counter { starts } else { Starts::NONE };
    if starts.overlap() {
        let what = format!("sample has start time that overlaps with previous sample timestamp for metric {:?}", window.metric);
        call.evaluator.notes.warn(call.input(), what);
    }
    let zero = starts.zero(window.start);
    if window.histogram_times.is_empty() {
        let first = *window.floats.first()?;
        if counter {
            warn_name(call, window);
        }
        let may_fall = counter && window.may_fall;
        let grown = match zero {
            Some(_) => first + float_growth(window.floats, may_fall, starts).unwrap_or(0.0),
            None => float_growth(window.floats, may_fall, starts)?,
        };
        let factor = factor(window, times, zero, counter.then_some((first, grown)), per_second)?;
        return Some(Cell::Float(grown * factor));
    }
    let first = window.histograms.first()?;
    let grown = match zero {
        Some(_) if window.histograms.len() == 1 => histogram_from_zero(first),
        Some(_) => histogram::combine(&histogram_growth(call, window, counter)?, &histogram_from_zero(first), 1.0)?.histogram,
        None => histogram_growth(call, window, counter)?,
    };
    let factor = factor(window, times, zero, counter.then_some((first.count, grown.count)), per_second)?;
    Some(Cell::of_histogram(histogram::scaled(&grown, factor)))
}

/// The growth from nothing to this.
fn histogram_from_zero(histogram: &NativeHistogram) -> NativeHistogram {
    NativeHistogram { reset_hint: histogram::HINT_GAUGE, ..histogram.clone() }
}

/// Whether one of these is below the one before.
pub(super) fn falls(floats: &[f64]) -> bool {
    let after = floats.get(1..).unwrap_or_default();
    // Without a branch for each sample.
    floats.iter().zip(after).fold(false, |falls, (before, after)| falls | (after < before))
}

/// From the first to the last; what falls is a counter that began anew, where it `may_fall`.
pub(super) fn float_growth(floats: &[f64], may_fall: bool, starts: Starts<'_>) -> Option<f64> {
    let (first, last) = (floats.first()?, floats.last()?);
    if floats.len() < 2 {
        return None;
    }
    let mut grown = last - first;
    if may_fall || starts.are_told() {
        // What was counted before a reset comes on top.
        for (at, pair) in (1..).zip(floats.windows(2)) {
            if pair[1] < pair[0] || starts.is_reset(at) {
                grown += pair[0];
            }
        }
    }
    Some(grown)
}

/// How much a growth between first and last sample is stretched. A counter is not stretched below zero; one that was zero at
/// a known time is not stretched to the left at all.
fn factor(window: &Window<'_>, times: &[i64], zero: Option<i64>, counter: Option<(f64, f64)>, per_second: bool) -> Option<f64> {
    let (first, last) = (*times.first()?, *times.last()?);
    if times.len() < 2 && zero.is_none() {
        return None;
    }
    let seconds = |millis: i64| millis as f64 / 1000.0;
    let (mut to_start, mut to_end) = (seconds(first - window.start), seconds(window.end - last));
    let mut sampled = seconds(last - first);
    let between = sampled / (times.len() - 1).max(1) as f64;
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
    if let Some(zero) = zero {
        (sampled, to_start) = (seconds(last - zero), 0.0);
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if per_second {
        factor /= seconds(window.range_ms);
    }
    Some(factor)
}

pub(super) fn histogram_growth(call: &Call<'_, '_>, window: &Window<'_>, counter: bool) -> Option<NativeHistogram> {
    let (notes, input) = (call.evaluator.notes, call.input());
    let (histograms, starts) = (window.histograms, Starts::new(window.histogram_times, window.histogram_starts));
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
    let is_reset = |at: usize| histogram::is_reset(&histograms[at - 1], &histograms[at]) || starts.is_reset(at);
    let restarted = counter && is_reset(1);
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
        for at in (2..histograms.len()).filter(|&at| is_reset(at)) {
            let next = histogram::combine(&grown.histogram, &histograms[at - 1], 1.0)?;
            reconciled |= next.bounds_reconciled;
            grown.histogram = next.histogram;
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

pub(super) fn is_named_counter(metric: &str) -> bool {
    ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| metric.ends_with(suffix))
}

/// Tells when a metric does not look like a counter.
pub(super) fn warn_name(call: &Call<'_, '_>, window: &Window<'_>) {
    let metric = window.metric;
    if !metric.is_empty() && !window.is_named_counter {
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
            warn_name(call, window);
        }
        let (first, second) = (window.floats[floats - 2], window.floats[floats - 1]);
        let restarted = second < first || Starts::new(window.times, window.float_starts).is_reset(floats - 1);
        let grown = if rate && restarted { second } else { second - first };
        return Some(Cell::Float(if rate { grown / seconds } else { grown }));
    }
    let (first, second) = (&window.histograms[histograms - 2], &window.histograms[histograms - 1]);
    let pair = Window {
        histograms: &window.histograms[histograms - 2..],
        histogram_times: &window.histogram_times[histograms - 2..],
        histogram_starts: window.histogram_starts.get(histograms - 2..).unwrap_or_default(),
        ..*window
    };
    let grown = histogram_growth(call, &pair, rate)?;
    let restarted = histogram::is_reset(first, second) || Starts::new(pair.histogram_times, pair.histogram_starts).is_reset(1);
    let mut grown = if rate && restarted { (**second).clone() } else { grown };
    grown.reset_hint = histogram::HINT_GAUGE;
    Some(Cell::of_histogram(if rate { histogram::divided(&grown, seconds) } else { grown }))
}

/// The samples of both kinds in order of time, with their times and starts.
fn in_order(window: &Window<'_>) -> Vec<(i64, i64, Cell)> {
    let start = |starts: &[i64], at: usize| starts.get(at).copied().unwrap_or(NO_START);
    let floats = window.times.iter().zip(window.floats).enumerate();
    let histograms = window.histogram_times.iter().zip(window.histograms).enumerate();
    let mut cells: Vec<(i64, i64, Cell)> =
        floats.map(|(at, (time, value))| (*time, start(window.float_starts, at), Cell::Float(*value))).collect();
    cells.extend(histograms.map(|(at, (time, value))| (*time, start(window.histogram_starts, at), Cell::Histogram(value.clone()))));
    cells.sort_by_key(|(time, ..)| *time);
    cells
}

fn cells(window: &Window<'_>) -> Vec<Cell> {
    in_order(window).into_iter().map(|(.., cell)| cell).collect()
}

fn changes(window: &Window<'_>) -> f64 {
    match window.histogram_times.is_empty() {
        true => window.floats.windows(2).filter(|pair| differ(pair[0], pair[1])).count() as f64,
        false => count_changes(&cells(window)),
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
    if window.histogram_times.is_empty() {
        let starts = Starts::new(window.times, window.float_starts);
        return (1..).zip(window.floats.windows(2)).filter(|(at, pair)| pair[1] < pair[0] || starts.is_reset(*at)).count() as f64;
    }
    let samples = in_order(window);
    let (times, starts): (Vec<_>, Vec<_>) = samples.iter().map(|(time, start, _)| (*time, *start)).unzip();
    let starts = Starts::new(&times, &starts);
    let is_reset = |(at, pair): &(usize, &[(i64, i64, Cell)])| is_reset(&pair[0].2, &pair[1].2) || starts.is_reset(*at);
    (1..).zip(samples.windows(2)).filter(is_reset).count() as f64
}

fn is_reset(before: &Cell, after: &Cell) -> bool {
    match (before, after) {
        (Cell::Float(before), Cell::Float(after)) => after < before,
        (Cell::Histogram(before), Cell::Histogram(after)) => histogram::is_reset(before, after),
        _ => true,
    }
}

pub(super) fn count_resets(cells: &[Cell]) -> f64 {
    cells.windows(2).filter(|pair| is_reset(&pair[0], &pair[1])).count() as f64
}
