use model::NativeHistogram;

use super::super::histogram;
use super::super::notes::named as for_metric;
use super::super::value::Cell;
use super::math::{self, Kahan};
use super::{Call, OverWindow, Window};
use crate::quantile::quantile as quantile_of;

pub(super) fn named(name: &str) -> Option<OverWindow> {
    Some(match name {
        "sum_over_time" => {
            |call, _, window| joined(call, window, |floats| floats.iter().copied().collect::<Kahan>().sum(), histogram::total)
        }
        "avg_over_time" => |call, _, window| joined(call, window, math::mean, histogram::average),
        "count_over_time" => |_, _, window| float((window.times.len() + window.histogram_times.len()) as f64),
        "present_over_time" => |_, _, _| float(1.0),
        "min_over_time" => |call, _, window| floats(call, window, math::least),
        "max_over_time" => |call, _, window| floats(call, window, math::greatest),
        "stddev_over_time" => |call, _, window| floats(call, window, |floats| math::variance(floats).sqrt()),
        "stdvar_over_time" => |call, _, window| floats(call, window, math::variance),
        "mad_over_time" => |call, _, window| floats(call, window, median_deviation),
        "quantile_over_time" => quantile,
        "last_over_time" => |_, _, window| newest(window),
        "first_over_time" => |_, _, window| oldest(window),
        "ts_of_last_over_time" => |_, _, window| seconds(window.times.last().max(window.histogram_times.last())),
        "ts_of_first_over_time" => |_, _, window| {
            let both = [window.times.first(), window.histogram_times.first()];
            seconds(both.into_iter().flatten().min())
        },
        "ts_of_max_over_time" => |call, _, window| time_of(call, window, |value, best| value >= best),
        "ts_of_min_over_time" => |call, _, window| time_of(call, window, |value, best| value <= best),
        _ => return None,
    })
}

fn float(value: f64) -> Option<Cell> {
    Some(Cell::Float(value))
}

fn seconds(millis: Option<&i64>) -> Option<Cell> {
    millis.map(|millis| Cell::Float(*millis as f64 / 1000.0))
}

/// A function of floats only: histograms beside them are left out, with a note.
fn floats(call: &Call<'_, '_>, window: &Window<'_>, fold: impl Fn(&[f64]) -> f64) -> Option<Cell> {
    if window.floats.is_empty() {
        return None;
    }
    note_ignored(call, window);
    float(fold(window.floats))
}

fn note_ignored(call: &Call<'_, '_>, window: &Window<'_>) {
    if !window.histograms.is_empty() {
        let what = "ignored histograms in a range containing both floats and histograms";
        call.evaluator.notes.info(call.input(), for_metric(what, window.metric));
    }
}

/// A function of floats or histograms, never of both.
fn joined(
    call: &Call<'_, '_>,
    window: &Window<'_>,
    fold: impl Fn(&[f64]) -> f64,
    fold_histograms: fn(&[&NativeHistogram]) -> Option<histogram::Combined>,
) -> Option<Cell> {
    let (notes, input) = (call.evaluator.notes, call.input());
    if window.histograms.is_empty() {
        return float(fold(window.floats));
    }
    if !window.floats.is_empty() {
        notes.warn(input, for_metric("encountered a mix of histograms and floats", window.metric));
        return None;
    }
    let parts: Vec<&NativeHistogram> = window.histograms.iter().map(AsRef::as_ref).collect();
    let Some(total) = fold_histograms(&parts) else {
        let what = "vector contains a mix of histograms with exponential and custom buckets schemas";
        notes.warn(input, for_metric(what, window.metric));
        return None;
    };
    if total.bounds_reconciled {
        notes.info(input, "mismatched custom buckets were reconciled during aggregation");
    }
    if total.reset_conflict {
        notes.warn(input, "conflicting counter resets during histogram aggregation");
    }
    Some(Cell::of_histogram(total.histogram))
}

fn median_deviation(floats: &[f64]) -> f64 {
    if floats.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let median = quantile_of(0.5, &mut floats.to_vec());
    let mut deviations: Vec<f64> = floats.iter().map(|value| (value - median).abs()).collect();
    quantile_of(0.5, &mut deviations)
}

fn quantile(call: &Call<'_, '_>, params: &[f64], window: &Window<'_>) -> Option<Cell> {
    let q = params[0];
    if window.floats.is_empty() {
        return None;
    }
    if !(0.0..=1.0).contains(&q) {
        let q = math::format_short(q);
        call.evaluator.notes.warn(&call.args[0], format!("quantile value should be between 0 and 1, got {q}"));
    }
    floats(call, window, |floats| quantile_of(q, &mut floats.to_vec()))
}

fn newest(window: &Window<'_>) -> Option<Cell> {
    match window.histogram_times.last() > window.times.last() {
        true => window.histograms.last().cloned().map(Cell::Histogram),
        false => window.floats.last().copied().map(Cell::Float),
    }
}

fn oldest(window: &Window<'_>) -> Option<Cell> {
    match (window.times.first(), window.histogram_times.first()) {
        (Some(float), Some(histogram)) if histogram < float => window.histograms.first().cloned().map(Cell::Histogram),
        (None, Some(_)) => window.histograms.first().cloned().map(Cell::Histogram),
        _ => window.floats.first().copied().map(Cell::Float),
    }
}

fn time_of(call: &Call<'_, '_>, window: &Window<'_>, better: impl Fn(f64, f64) -> bool) -> Option<Cell> {
    note_ignored(call, window);
    let mut best = (window.times.first()?, *window.floats.first()?);
    for (at, &value) in window.times.iter().zip(window.floats) {
        if better(value, best.1) || best.1.is_nan() {
            best = (at, value);
        }
    }
    seconds(Some(best.0))
}
