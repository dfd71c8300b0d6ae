use std::sync::Arc;

use lang::promql::ast::{Extent, Selector};
use model::samples::NO_START;
use model::{NativeHistogram, Result};

use super::eval::{Evaluator, metric_name};
use super::functions::smooth;
use super::grid::Grid;
use super::notes::named;
use super::value::{Cell, Column, Points, Series};

/// The newest sample of each series at each step, no older than the lookback and not marked stale.
pub(super) fn instant(evaluator: &Evaluator<'_>, selector: &Selector, grid: &Grid) -> Result<Vec<Series>> {
    let stored = evaluator.loaded.of(&selector.matchers);
    let moved = evaluator.frame.resolve(&selector.shift)?;
    let lookback = evaluator.frame.lookback_ms;
    evaluator.guard.reserve(stored.len().saturating_mul(grid.len()))?;
    let mut vector = Vec::with_capacity(stored.len());
    for points in stored.iter() {
        evaluator.guard.check()?;
        evaluator.guard.work(grid.len())?;
        let mut column = Column::absent(evaluator.guard, grid.len());
        if selector.extent != Extent::Smoothed && points.histogram_times.is_empty() && points.stale_times.is_empty() {
            newest_floats(points, grid.times().map(|time| moved.of(time)), lookback, &mut column);
            if !column.is_absent_everywhere() {
                evaluator.guard.query(column.samples());
                vector.push(Series { labels: points.labels.clone(), drop_name: points.drop_name, column });
            }
            continue;
        }
        let timeline = (selector.extent == Extent::Smoothed).then(|| smooth::timeline(points));
        let mut cursor = Cursor::new(points);
        for (step, time) in grid.times().enumerate() {
            let at = moved.of(time);
            if timeline.is_some() && smooth::is_mixed(points, at, lookback) {
                let metric = metric_name(&points.labels);
                evaluator.notes.warn_at(selector.span.start, named("encountered a mix of histograms and floats", &metric));
                continue;
            }
            let between = timeline.as_ref().and_then(|timeline| smooth::at(timeline, at, lookback));
            let found = between.or_else(|| cursor.newest(at, lookback).map(|(_, cell)| cell));
            if let Some(cell) = found {
                column.set(step, cell);
            }
        }
        if !column.is_absent_everywhere() {
            evaluator.guard.query(column.samples());
            vector.push(Series { labels: points.labels.clone(), drop_name: points.drop_name, column });
        }
    }
    Ok(vector)
}

/// The same of a series that has floats and no end, as nearly all have, at ascending times.
fn newest_floats(points: &Points, times: impl Iterator<Item = i64>, lookback: i64, column: &mut Column) {
    let (float_times, floats) = (&points.float_times[..], &points.floats[..]);
    let mut passed = 0;
    for (step, at) in times.enumerate() {
        while float_times.get(passed).is_some_and(|time| *time <= at) {
            passed += 1;
        }
        if let Some(place) = passed.checked_sub(1)
            && float_times[place] > at.saturating_sub(lookback)
        {
            column.set_float(step, floats[place]);
        }
    }
}

/// The times of the samples that [`instant`] finds, in seconds: what `timestamp` of a bare selector answers.
pub(super) fn sample_times(evaluator: &Evaluator<'_>, selector: &Selector, grid: &Grid) -> Result<Vec<Series>> {
    let moved = evaluator.frame.resolve(&selector.shift)?;
    times_of(evaluator, &evaluator.loaded.of(&selector.matchers), grid, |time| moved.of(time))
}

/// The time of each series' newest sample at each step, looked up where `moved` says.
pub(super) fn times_of(evaluator: &Evaluator<'_>, stored: &[Points], grid: &Grid, moved: impl Fn(i64) -> i64) -> Result<Vec<Series>> {
    newest_of(evaluator, stored, grid, moved, |_, at| at)
}

/// A time, in milliseconds, that each series' newest sample gives at each step.
fn newest_of(
    evaluator: &Evaluator<'_>,
    stored: &[Points],
    grid: &Grid,
    moved: impl Fn(i64) -> i64,
    time_ms: impl Fn(&Cursor<'_>, i64) -> i64,
) -> Result<Vec<Series>> {
    let mut vector = Vec::with_capacity(stored.len());
    for points in stored {
        evaluator.guard.check()?;
        evaluator.guard.work(grid.len())?;
        let mut cursor = Cursor::new(points);
        let mut column = Column::absent(evaluator.guard, grid.len());
        for (step, time) in grid.times().enumerate() {
            if let Some((at, _)) = cursor.newest(moved(time), evaluator.frame.lookback_ms) {
                column.set_float(step, time_ms(&cursor, at) as f64 / 1000.0);
            }
        }
        if !column.is_absent_everywhere() {
            evaluator.guard.query(column.samples());
            vector.push(Series { labels: points.labels.clone(), drop_name: points.drop_name, column });
        }
    }
    Ok(vector)
}

/// Since when the samples that [`instant`] finds count, in seconds; 0 for those that do not say.
pub(super) fn start_times(evaluator: &Evaluator<'_>, selector: &Selector, grid: &Grid) -> Result<Vec<Series>> {
    let moved = evaluator.frame.resolve(&selector.shift)?;
    let start = |cursor: &Cursor<'_>, at: i64| {
        let Points { float_times, float_starts, histogram_times, histogram_starts, .. } = cursor.points;
        let of = |times: &[i64], starts: &[i64]| times.binary_search(&at).ok().map(|place| starts.get(place).copied().unwrap_or(NO_START));
        of(histogram_times, histogram_starts).or_else(|| of(float_times, float_starts)).unwrap_or(NO_START)
    };
    newest_of(evaluator, &evaluator.loaded.of(&selector.matchers), grid, |time| moved.of(time), start)
}

/// Looks up ascending times in one pass over the points.
struct Cursor<'a> {
    points: &'a Points,
    /// Points at or before the last time asked: floats, histograms, staleness marks.
    passed: [usize; 3],
}

impl<'a> Cursor<'a> {
    fn new(points: &'a Points) -> Self {
        Self { points, passed: [0; 3] }
    }

    fn newest(&mut self, at: i64, lookback: i64) -> Option<(i64, Cell)> {
        let lists: [&[i64]; 3] = [&self.points.float_times, &self.points.histogram_times, &self.points.stale_times];
        let mut last = [None; 3];
        for (index, times) in lists.into_iter().enumerate() {
            let passed = &mut self.passed[index];
            while times.get(*passed).is_some_and(|time| *time <= at) {
                *passed += 1;
            }
            last[index] = passed.checked_sub(1).map(|place| times[place]);
        }
        let [float, histogram, stale] = last;
        let newest = float.max(histogram)?;
        // The window is open on its left: a sample exactly as old as the lookback is too old.
        if newest <= at.saturating_sub(lookback) || stale > Some(newest) {
            return None;
        }
        let cell = match histogram == Some(newest) {
            true => Cell::Histogram(Arc::<NativeHistogram>::clone(&self.points.histograms[self.passed[1] - 1])),
            false => Cell::Float(self.points.floats[self.passed[0] - 1]),
        };
        Some((newest, cell))
    }
}
