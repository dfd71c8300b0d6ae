use super::super::notes::named as for_metric;
use super::super::value::Cell;
use model::{Error, Result};

use super::math::{Kahan, format_short};
use super::{Call, OverWindow, Window};

pub(super) fn named(name: &str) -> Option<OverWindow> {
    Some(match name {
        "deriv" => |call, _, window| {
            // The time base only matters for the intercept; the first sample keeps numbers small.
            let (slope, _) = line(call, window, *window.times.first()?)?;
            Some(Cell::Float(slope))
        },
        "predict_linear" => |call, params, window| {
            let (slope, intercept) = line(call, window, window.at)?;
            Some(Cell::Float(slope * params[0] + intercept))
        },
        "double_exponential_smoothing" => smoothed,
        _ => return None,
    })
}

/// Slope per second and value at `zero` of the least-squares line; none for fewer than two samples.
fn line(call: &Call<'_, '_>, window: &Window<'_>, zero: i64) -> Option<(f64, f64)> {
    if !window.floats.is_empty() && !window.histograms.is_empty() {
        let what = "ignored histograms in a range containing both floats and histograms";
        call.evaluator.notes.info(call.input(), for_metric(what, window.metric));
    }
    let (times, values) = (window.times, window.floats);
    if values.len() < 2 {
        return None;
    }
    let first = values[0];
    if values.iter().all(|value| *value == first) {
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let mut sums = [Kahan::default(); 4];
    for (at, value) in times.iter().zip(values) {
        let x = (at - zero) as f64 / 1000.0;
        for (sum, term) in sums.iter_mut().zip([x, *value, x * value, x * x]) {
            sum.add(term);
        }
    }
    let count = values.len() as f64;
    let [x, y, xy, xx] = sums.map(|sum| sum.sum());
    let covariance = xy - x * y / count;
    let variance = xx - x * x / count;
    let slope = covariance / variance;
    Some((slope, y / count - slope * x / count))
}

/// The factors of [`smoothed`] must lie between 0 and 1.
pub(super) fn check_factors(params: &[Vec<f64>]) -> Result<()> {
    for (name, sign, factors) in [("smoothing", "sf", &params[0]), ("trend", "tf", &params[1])] {
        if let Some(factor) = factors.iter().find(|factor| !(**factor > 0.0 && **factor < 1.0)) {
            let got = format_short(*factor);
            return Err(Error::invalid(format!("invalid {name} factor. Expected: 0 < {sign} < 1, got: {got}")));
        }
    }
    Ok(())
}

/// Holt's double exponential smoothing.
fn smoothed(call: &Call<'_, '_>, params: &[f64], window: &Window<'_>) -> Option<Cell> {
    let (factor, trend_factor) = (params[0], params[1]);
    if !window.floats.is_empty() && !window.histograms.is_empty() {
        let what = "ignored histograms in a range containing both floats and histograms";
        call.evaluator.notes.info(call.input(), for_metric(what, window.metric));
    }
    let [first, second, ..] = *window.floats else { return None };
    let (mut before, mut level, mut trend) = (first, first, second - first);
    for (index, value) in window.floats.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        before = level;
        level = factor * value + (1.0 - factor) * (level + trend);
    }
    Some(Cell::Float(level))
}
