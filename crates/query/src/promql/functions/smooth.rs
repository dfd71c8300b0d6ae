use lang::promql::ast::Extent;
use model::{Error, Result};

use super::super::eval::Ranges;
use super::super::value::{Cell, Column, Points, Series};
use super::{Call, rate};

/// The functions that may look at a range with anchored or smoothed edges.
const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];

/// Functions of ranges whose edges are filled in instead of extrapolated. Only floats: a histogram has no edge value.
pub(super) fn eval(call: &Call<'_, '_>, ranges: &Ranges) -> Result<Vec<Series>> {
    let name = call.function.name;
    let allowed: &[&str] = if ranges.extent == Extent::Anchored { &ANCHORED } else { &SMOOTHED };
    if !allowed.contains(&name) {
        let (extent, allowed) = (ranges.extent.name(), allowed.join(", "));
        return Err(Error::invalid(format!("{extent} modifier can only be used with: {allowed} - not with {name}")));
    }
    let counter = name != "delta";
    let lookback = call.evaluator.frame.lookback_ms;
    let mut answer = Vec::new();
    for points in ranges.series.iter() {
        call.evaluator.guard.check()?;
        let mut column = Column::absent(call.grid.len());
        for (step, at) in call.grid.times().enumerate() {
            let (start, end) = ranges.window(at);
            let values = match ranges.extent {
                Extent::Smoothed => smoothed(points, start, end, lookback, counter),
                _ => anchored(points, start, end, lookback),
            };
            let Some(values) = values else { continue };
            if matches!(name, "rate" | "increase") {
                rate::warn_name(call, points.labels.get("__name__").unwrap_or_default());
            }
            column.set_float(step, folded(name, &values, ranges.range_ms));
        }
        if !column.is_absent_everywhere() {
            answer.push(Series { labels: points.labels.clone(), drop_name: true, column });
        }
    }
    Ok(answer)
}

fn folded(name: &str, values: &[f64], range_ms: i64) -> f64 {
    let changed = |differ: fn(f64, f64) -> bool| values.windows(2).filter(|pair| differ(pair[0], pair[1])).count() as f64;
    match name {
        "changes" => changed(|a, b| a != b && !(a.is_nan() && b.is_nan())),
        "resets" => changed(|a, b| b < a),
        _ => {
            let grown = rate::float_growth(values, name != "delta").unwrap_or(0.0);
            if name == "rate" { grown / (range_ms as f64 / 1000.0) } else { grown }
        }
    }
}

/// The samples of the range, before them the last one before it.
fn anchored(points: &Points, start: i64, end: i64, lookback: i64) -> Option<Vec<f64>> {
    let (times, floats) = (&points.float_times, &points.floats);
    let (first, after) = (times.partition_point(|at| *at <= start), times.partition_point(|at| *at <= end));
    if first == after {
        return None;
    }
    let anchor = first.checked_sub(1).filter(|&place| times[place] > start.saturating_sub(lookback));
    let mut values = vec![floats[anchor.unwrap_or(first)]];
    values.extend_from_slice(&floats[first..after]);
    Some(values)
}

/// The samples inside the range between the values at its edges.
fn smoothed(points: &Points, start: i64, end: i64, lookback: i64, counter: bool) -> Option<Vec<f64>> {
    let low = points.float_times.partition_point(|at| *at <= start.saturating_sub(lookback));
    let high = points.float_times.partition_point(|at| *at <= end.saturating_add(lookback));
    let (times, floats) = (&points.float_times[low..high], &points.floats[low..high]);
    if *times.first()? > end || *times.last()? <= start {
        return None;
    }
    let (first, after) = (times.partition_point(|at| *at <= start), times.partition_point(|at| *at < end));
    let between = |place: usize, at: i64, left_edge: bool| {
        let (mut y1, mut y2) = (floats[place - 1], floats[place]);
        if counter && y2 < y1 {
            // A reset lies between: before the range it hides what was, after it the count goes on from there.
            if left_edge { y1 = 0.0 } else { y2 += y1 }
        }
        interpolated((times[place - 1], y1), (times[place], y2), at)
    };
    let left = match first {
        0 => floats[0],
        place if times[place - 1] == start => floats[place - 1],
        place => between(place, start, true),
    };
    let right = match after {
        place if place < times.len() && times[place] == end => floats[place],
        place if place == times.len() => floats[place - 1],
        0 => floats[0],
        // With both edges between the same two samples, both look at the reset from the same side.
        place => between(place, end, place == first),
    };
    let mut values = vec![left];
    values.extend_from_slice(&floats[first..after.max(first)]);
    values.push(right);
    Some(values)
}

fn interpolated((t1, y1): (i64, f64), (t2, y2): (i64, f64), at: i64) -> f64 {
    y1 + (y2 - y1) * (at - t1) as f64 / (t2 - t1) as f64
}

/// The value at an instant between two samples; none when they do not surround it.
pub(in super::super) fn at(points: &Points, at: i64, lookback: i64) -> Option<Cell> {
    let times = &points.float_times;
    let next = times.partition_point(|time| *time <= at);
    let previous = next.checked_sub(1)?;
    if times[previous] <= at.saturating_sub(lookback) || times.get(next).is_none_or(|time| *time > at.saturating_add(lookback)) {
        return None;
    }
    let value = interpolated((times[previous], points.floats[previous]), (times[next], points.floats[next]), at);
    Some(Cell::Float(value))
}
