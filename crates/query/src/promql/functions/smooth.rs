use lang::promql::ast::Extent;
use model::{Error, NativeHistogram, Result};

use super::super::eval::Ranges;
use super::super::histogram;
use super::super::notes::named;
use super::super::value::{Cell, Column, Points, Series};
use super::starts::Starts;
use super::{Call, Window, rate};

/// The functions that may look at a range with anchored or smoothed edges.
const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];

/// Functions of ranges whose edges are filled in instead of extrapolated.
pub(super) fn eval(call: &Call<'_, '_>, ranges: &Ranges) -> Result<Vec<Series>> {
    let name = call.function.name;
    let allowed: &[&str] = if ranges.extent == Extent::Anchored { &ANCHORED } else { &SMOOTHED };
    if !allowed.contains(&name) {
        let (extent, allowed) = (ranges.extent.name(), allowed.join(", "));
        return Err(Error::invalid(format!("{extent} modifier can only be used with: {allowed} - not with {name}")));
    }
    let lookback = call.evaluator.frame.lookback_ms;
    let mut answer = Vec::new();
    for points in ranges.series.iter() {
        call.evaluator.guard.check()?;
        let timeline = timeline(points);
        let metric = points.labels.get("__name__").unwrap_or_default();
        let mut column = Column::absent(call.evaluator.guard, call.grid.len());
        for (step, at) in call.grid.times().enumerate() {
            let (start, end) = ranges.window(at);
            let cells = match ranges.extent {
                Extent::Smoothed => smoothed(&timeline, start, end, lookback, name != "delta"),
                _ => anchored(&timeline, start, end, lookback),
            };
            call.evaluator.guard.work(1 + cells.as_ref().map_or(0, Vec::len))?;
            let window = Window {
                times: &[],
                floats: &[],
                histogram_times: &[],
                histograms: &[],
                float_starts: &[],
                histogram_starts: &[],
                start,
                end,
                at,
                range_ms: ranges.range_ms,
                metric,
                may_fall: true,
                is_named_counter: rate::is_named_counter(metric),
            };
            if let Some(cell) = cells.and_then(|cells| folded(call, &cells, &window)) {
                column.set(step, cell);
            }
        }
        if !column.is_absent_everywhere() {
            answer.push(Series { labels: points.labels.clone(), drop_name: true, column });
        }
    }
    Ok(answer)
}

/// Floats and histograms in order of time.
pub(in super::super) type Timeline = Vec<(i64, Cell)>;

pub(in super::super) fn timeline(points: &Points) -> Timeline {
    let floats = points.float_times.iter().copied().zip(points.floats.iter().map(|value| Cell::Float(*value)));
    let histograms = points.histogram_times.iter().copied().zip(points.histograms.iter().cloned().map(Cell::Histogram));
    let mut timeline: Timeline = floats.chain(histograms).collect();
    if !points.histograms.is_empty() {
        timeline.sort_by_key(|(at, _)| *at);
    }
    timeline
}

fn folded(call: &Call<'_, '_>, cells: &[Cell], window: &Window<'_>) -> Option<Cell> {
    let name = call.function.name;
    match name {
        "changes" => return Some(Cell::Float(rate::count_changes(cells))),
        "resets" => return Some(Cell::Float(rate::count_resets(cells))),
        _ => {}
    }
    let counter = name != "delta";
    let floats: Vec<f64> = cells.iter().filter_map(|cell| if let Cell::Float(value) = cell { Some(*value) } else { None }).collect();
    let seconds = window.range_ms as f64 / 1000.0;
    if floats.len() == cells.len() {
        if counter {
            rate::warn_name(call, window);
        }
        let grown = rate::float_growth(&floats, counter && rate::falls(&floats), Starts::NONE).unwrap_or(0.0);
        return Some(Cell::Float(if name == "rate" { grown / seconds } else { grown }));
    }
    if !floats.is_empty() {
        return warn_mixed(call, window.metric);
    }
    let histograms: Vec<_> =
        cells.iter().filter_map(|cell| if let Cell::Histogram(found) = cell { Some(found.clone()) } else { None }).collect();
    let grown = rate::histogram_growth(call, &Window { histograms: &histograms, ..*window }, counter)?;
    Some(Cell::of_histogram(if name == "rate" { histogram::divided(&grown, seconds) } else { grown }))
}

fn warn_mixed(call: &Call<'_, '_>, metric: &str) -> Option<Cell> {
    call.evaluator.notes.warn(call.input(), named("encountered a mix of histograms and floats", metric));
    None
}

/// The samples of the range, before them the last one before it.
fn anchored(timeline: &[(i64, Cell)], start: i64, end: i64, lookback: i64) -> Option<Vec<Cell>> {
    let (first, after) = (timeline.partition_point(|(at, _)| *at <= start), timeline.partition_point(|(at, _)| *at <= end));
    if first == after {
        return None;
    }
    let anchor = first.checked_sub(1).filter(|&place| timeline[place].0 > start.saturating_sub(lookback));
    let mut cells = vec![timeline[anchor.unwrap_or(first)].1.clone()];
    cells.extend(timeline[first..after].iter().map(|(_, cell)| cell.clone()));
    Some(cells)
}

/// The samples inside the range between the values at its edges.
fn smoothed(timeline: &[(i64, Cell)], start: i64, end: i64, lookback: i64, counter: bool) -> Option<Vec<Cell>> {
    let low = timeline.partition_point(|(at, _)| *at <= start.saturating_sub(lookback));
    let high = timeline.partition_point(|(at, _)| *at <= end.saturating_add(lookback));
    let timeline = &timeline[low..high];
    if timeline.first()?.0 > end || timeline.last()?.0 <= start {
        return None;
    }
    let (first, after) = (timeline.partition_point(|(at, _)| *at <= start), timeline.partition_point(|(at, _)| *at < end));
    let left = match first {
        0 => timeline[0].1.clone(),
        place if timeline[place - 1].0 == start => timeline[place - 1].1.clone(),
        place => interpolated(&timeline[place - 1], &timeline[place], start, counter, true),
    };
    let right = match after {
        place if place < timeline.len() && timeline[place].0 == end => timeline[place].1.clone(),
        place if place == timeline.len() => timeline[place - 1].1.clone(),
        0 => timeline[0].1.clone(),
        // With both edges between the same two samples, both look at the reset from the same side.
        place => interpolated(&timeline[place - 1], &timeline[place], end, counter, place == first),
    };
    let mut cells = vec![left];
    cells.extend(timeline[first..after.max(first)].iter().map(|(_, cell)| cell.clone()));
    // A reset between the first two samples is in the value at the left edge: it must not count once more.
    if counter
        && let [_, second, ..] = cells.as_mut_slice()
        && (1..timeline.len()).contains(&first)
        && timeline[first - 1].0 < start
        && restarts(&timeline[first - 1].1, &timeline[first].1)
    {
        *second = going_on(second);
    }
    cells.push(right);
    Some(cells)
}

fn restarts(before: &Cell, after: &Cell) -> bool {
    matches!((before, after), (Cell::Histogram(before), Cell::Histogram(after)) if histogram::is_reset(before, after))
}

/// The same, saying that no reset is before it.
fn going_on(cell: &Cell) -> Cell {
    match cell {
        Cell::Histogram(found) => {
            Cell::of_histogram(NativeHistogram { reset_hint: histogram::HINT_NO_RESET, ..NativeHistogram::clone(found) })
        }
        Cell::Float(value) => Cell::Float(*value),
    }
}

/// The value between two samples. Where a counter starts anew between them: at a left edge what was before is hidden, at
/// a right edge the count goes on from it. A float beside a histogram has nothing between: the earlier one stays.
fn interpolated((t1, before): &(i64, Cell), (t2, after): &(i64, Cell), at: i64, counter: bool, left_edge: bool) -> Cell {
    let share = (at - t1) as f64 / (t2 - t1) as f64;
    match (before, after) {
        (Cell::Float(before), Cell::Float(after)) => Cell::Float(match (counter && after < before, left_edge) {
            (true, true) => after * share,
            (true, false) => before + after * share,
            _ => before + (after - before) * share,
        }),
        (Cell::Histogram(before), Cell::Histogram(after)) => {
            let reset = counter && histogram::is_reset(before, after);
            between(before, after, share, reset, left_edge).map_or_else(|| Cell::Histogram(before.clone()), Cell::of_histogram)
        }
        _ => before.clone(),
    }
}

fn between(before: &NativeHistogram, after: &NativeHistogram, share: f64, reset: bool, left_edge: bool) -> Option<NativeHistogram> {
    let part = histogram::scaled(after, share);
    let mut found = match (reset, left_edge) {
        (true, true) => part,
        (true, false) => histogram::combine(before, &part, 1.0)?.histogram,
        _ => histogram::combine(&histogram::scaled(before, 1.0 - share), &part, 1.0)?.histogram,
    };
    let gauge = before.reset_hint == histogram::HINT_GAUGE && after.reset_hint == histogram::HINT_GAUGE;
    found.reset_hint = if gauge { histogram::HINT_GAUGE } else { histogram::HINT_UNKNOWN };
    Some(found)
}

/// Whether floats and histograms stand side by side around an instant, which nothing can be made of.
pub(in super::super) fn is_mixed(points: &Points, at: i64, lookback: i64) -> bool {
    let (after, until) = (at.saturating_sub(lookback), at.saturating_add(lookback));
    let any = |times: &[i64]| times.get(times.partition_point(|time| *time <= after)).is_some_and(|time| *time <= until);
    any(&points.float_times) && any(&points.histogram_times)
}

/// The value at an instant between two samples; none when they do not surround it.
pub(in super::super) fn at(timeline: &[(i64, Cell)], at: i64, lookback: i64) -> Option<Cell> {
    let next = timeline.partition_point(|(time, _)| *time <= at);
    let (before, after) = (&timeline[next.checked_sub(1)?], timeline.get(next)?);
    if before.0 <= at.saturating_sub(lookback) || after.0 > at.saturating_add(lookback) {
        return None;
    }
    let histograms = matches!((&before.1, &after.1), (Cell::Histogram(_), Cell::Histogram(_)));
    Some(interpolated(before, after, at, histograms, true))
}
