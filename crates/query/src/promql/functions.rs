mod absent;
mod histograms;
mod instant;
mod labels;
pub(super) mod math;
mod over_time;
mod rate;
mod regression;
pub(super) mod smooth;
mod sort;
mod starts;
mod time;

use std::ops::Range;
use std::sync::Arc;

use lang::promql::Function;
use lang::promql::ast::{Expr, Extent, Type};
use model::{Error, NativeHistogram, Result};

use super::eval::{Evaluator, Ranges};
use super::grid::Grid;
use super::info;
use super::value::{Cell, Column, Points, Series, Value, histogram_samples};

/// Whether a call gives another value at another step although its arguments do not change.
pub(super) fn depends_on_time(function: &str, args: usize) -> bool {
    match function {
        "time" | "timestamp" | "predict_linear" | "info" | "start_timestamp" | "absent" | "absent_over_time" => true,
        "day_of_month" | "day_of_week" | "day_of_year" | "days_in_month" | "hour" | "minute" | "month" | "year" => args == 0,
        _ => false,
    }
}

pub(super) fn eval(evaluator: &Evaluator<'_>, expr: &Expr, function: &Function, args: &[Expr], grid: &Grid) -> Result<Value> {
    let call = Call { evaluator, expr, function, args, grid };
    if function.args.contains(&Type::Matrix) {
        return match function.name {
            "absent_over_time" => absent::over_time(&call).map(Value::Vector),
            _ => call.over_windows().map(Value::Vector),
        };
    }
    if let Some(scalar) = time::scalar(&call)? {
        return Ok(Value::Scalar(scalar));
    }
    match function.name {
        "absent" => absent::absent(&call),
        "info" => info::eval(&call),
        "label_replace" => labels::replace(&call),
        "label_join" => labels::join(&call),
        "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => sort::eval(&call),
        "vector" => evaluator.vector(&args[0], grid),
        "timestamp" | "start_timestamp" => time::timestamp(&call),
        "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => histograms::eval(&call),
        _ => instant::eval(&call),
    }
    .map(Value::Vector)
}

/// A function, what it is called with, and where.
pub(super) struct Call<'a, 'e> {
    pub(super) evaluator: &'a Evaluator<'e>,
    pub(super) expr: &'a Expr,
    pub(super) function: &'a Function,
    pub(super) args: &'a [Expr],
    pub(super) grid: &'a Grid,
}

/// The points of one series in one window, by time ascending.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) times: &'a [i64],
    pub(super) floats: &'a [f64],
    pub(super) histogram_times: &'a [i64],
    pub(super) histograms: &'a [Arc<NativeHistogram>],
    /// Since when floats and histograms count; empty when they do not say, or when that is of no interest.
    pub(super) float_starts: &'a [i64],
    pub(super) histogram_starts: &'a [i64],
    /// First (excluded) and last (included) millisecond.
    pub(super) start: i64,
    pub(super) end: i64,
    /// The step at which the function is evaluated.
    pub(super) at: i64,
    pub(super) range_ms: i64,
    pub(super) metric: &'a str,
    /// Whether a float of the series, of this window or of another, is below the one before. Functions of counters ask.
    pub(super) may_fall: bool,
    /// Whether the metric is called as counters are.
    pub(super) is_named_counter: bool,
}

/// Units of work that a histogram is, at least.
const HISTOGRAM_WORK: usize = 16;

/// Units of work that are told at once: the count is shared between threads.
const WORK_PER_REPORT: usize = 4 << 10;

/// A function of windows: the scalar parameters at the step, and the window.
type OverWindow = fn(&Call<'_, '_>, &[f64], &Window<'_>) -> Option<Cell>;

impl Call<'_, '_> {
    pub(super) fn vector(&self, index: usize) -> Result<Vec<Series>> {
        self.evaluator.vector(&self.args[index], self.grid)
    }

    pub(super) fn scalar(&self, index: usize) -> Result<Vec<f64>> {
        self.evaluator.scalar(&self.args[index], self.grid)
    }

    /// The expression whose place notes about the input name.
    pub(super) fn input(&self) -> &Expr {
        let index = self.args.iter().position(|arg| matches!(arg.value_type(), Type::Matrix | Type::Vector));
        &self.args[index.unwrap_or(0)]
    }

    /// Applies a function of windows to every series, at every step.
    fn over_windows(&self) -> Result<Vec<Series>> {
        let matrix = self.args.iter().position(|arg| arg.value_type() == Type::Matrix).unwrap_or(0);
        let mut params = Vec::new();
        for index in (0..self.args.len()).filter(|&index| index != matrix) {
            params.push(self.scalar(index)?);
        }
        let over_window = over_window(self.function.name)?;
        let ranges = self.evaluator.ranges(&self.args[matrix], self.grid)?;
        if ranges.extent != Extent::Plain {
            return smooth::eval(self, &ranges);
        }
        self.evaluator.guard.reserve(ranges.series.len().saturating_mul(self.grid.len()))?;
        if self.function.name == "double_exponential_smoothing" {
            regression::check_factors(&params)?;
        }
        let keeps_name = matches!(self.function.name, "last_over_time" | "first_over_time");
        let mut answer = Vec::with_capacity(ranges.series.len());
        let mut params_at = vec![0.0; params.len()];
        for points in ranges.series.iter() {
            self.evaluator.guard.check()?;
            let mut column = Column::absent(self.evaluator.guard, self.grid.len());
            let mut windows = Windows::new(points, &ranges, self.evaluator.frame.use_starts);
            let (mut worked, mut queried) = (0, 0);
            for (step, at) in self.grid.times().enumerate() {
                params_at.iter_mut().zip(&params).for_each(|(param, values)| *param = values[step]);
                let window = windows.window(at);
                queried += window.floats.len() + window.histograms.iter().map(|histogram| histogram_samples(histogram)).sum::<usize>();
                worked += 1 + window.floats.len() + HISTOGRAM_WORK * window.histograms.len();
                if worked >= WORK_PER_REPORT {
                    self.evaluator.guard.work(std::mem::take(&mut worked))?;
                }
                if window.times.is_empty() && window.histogram_times.is_empty() {
                    continue;
                }
                if let Some(cell) = over_window(self, &params_at, &window) {
                    column.set(step, cell);
                }
            }
            self.evaluator.guard.work(worked)?;
            self.evaluator.guard.query(queried);
            if !column.is_absent_everywhere() {
                answer.push(Series { labels: points.labels.clone(), drop_name: points.drop_name || !keeps_name, column });
            }
        }
        Ok(answer)
    }
}

fn over_window(name: &str) -> Result<OverWindow> {
    let found = rate::named(name).or_else(|| over_time::named(name)).or_else(|| regression::named(name));
    found.ok_or_else(|| Error::unsupported(format!("cannot evaluate function {name:?}: it is not built")))
}

/// Cuts the window of each step out of the points, in one pass over them.
struct Windows<'a> {
    points: &'a Points,
    ranges: &'a Ranges,
    metric: &'a str,
    use_starts: bool,
    may_fall: bool,
    is_named_counter: bool,
    /// The points of the last window.
    floats: Range<usize>,
    histograms: Range<usize>,
}

impl<'a> Windows<'a> {
    fn new(points: &'a Points, ranges: &'a Ranges, use_starts: bool) -> Self {
        let metric = points.labels.get("__name__").unwrap_or_default();
        // Found out once: series have many windows, and nearly no counter falls.
        let (may_fall, is_named_counter) = (rate::falls(&points.floats), rate::is_named_counter(metric));
        Self { points, ranges, metric, use_starts, may_fall, is_named_counter, floats: 0..0, histograms: 0..0 }
    }

    /// The window of an evaluation no earlier than the one before.
    fn window(&mut self, at: i64) -> Window<'a> {
        let (start, end) = self.ranges.window(at);
        let advance = |window: &mut Range<usize>, times: &[i64]| {
            window.end += times[window.end..].iter().take_while(|time| **time <= end).count();
            window.start += times[window.start..window.end].iter().take_while(|time| **time <= start).count();
            window.clone()
        };
        let floats = advance(&mut self.floats, &self.points.float_times);
        let histograms = advance(&mut self.histograms, &self.points.histogram_times);
        let starts = self.use_starts;
        Window {
            times: &self.points.float_times[floats.clone()],
            floats: &self.points.floats[floats.clone()],
            histogram_times: &self.points.histogram_times[histograms.clone()],
            histograms: &self.points.histograms[histograms.clone()],
            float_starts: self.points.float_starts.get(floats).filter(|_| starts).unwrap_or_default(),
            histogram_starts: self.points.histogram_starts.get(histograms).filter(|_| starts).unwrap_or_default(),
            start,
            end,
            at,
            range_ms: self.ranges.range_ms,
            metric: self.metric,
            may_fall: self.may_fall,
            is_named_counter: self.is_named_counter,
        }
    }
}
