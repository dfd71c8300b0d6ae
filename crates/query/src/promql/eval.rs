use std::borrow::Cow;
use std::sync::Arc;

use lang::promql::ast::{Expr, Extent, Node, Shift, Subquery};
use model::{Error, Labels, RangeSeries, Result};

use super::grid::Grid;
use super::notes::Notebook;
use super::source::{Frame, Loaded, Moved};
use super::value::{Cell, Points, STEP_BYTES, Series, Value, finish, histogram_samples};
use super::{aggregate, binary, functions, histogram, range_series, select, sorted};
use crate::guard::Guard;

/// Evaluates one query. Every method takes the grid at whose steps it answers.
pub(super) struct Evaluator<'a> {
    pub(super) frame: Frame,
    pub(super) loaded: &'a Loaded,
    pub(super) guard: &'a Guard,
    pub(super) notes: &'a Notebook<'a>,
    /// Otherwise every function drops the metric's name at once.
    pub(super) delayed_name_removal: bool,
}

/// The series of a range vector and the window that moves over them.
pub(super) struct Ranges {
    pub(super) series: Arc<Vec<Points>>,
    pub(super) range_ms: i64,
    pub(super) extent: Extent,
    moved: Moved,
}

impl Ranges {
    /// First (excluded) and last (included) millisecond of the window of an evaluation at `time`.
    pub(super) fn window(&self, time: i64) -> (i64, i64) {
        let end = self.moved.of(time);
        (end.saturating_sub(self.range_ms), end)
    }
}

impl Evaluator<'_> {
    /// The whole query, names dropped and label sets checked.
    pub(super) fn top(&self, expr: &Expr) -> Result<Value> {
        Ok(match self.eval(expr, &self.frame.query)? {
            Value::Vector(series) => Value::Vector(finish(series)?),
            other => other,
        })
    }

    pub(super) fn eval(&self, expr: &Expr, grid: &Grid) -> Result<Value> {
        self.guard.check()?;
        let steps = grid.len();
        // A column is made at once: it must fit.
        self.guard.fits(steps.saturating_mul(STEP_BYTES))?;
        if steps > 1 && is_step_invariant(expr) && !matches!(expr.node, Node::Number { .. } | Node::Text(_)) {
            let before = self.guard.queried();
            let value = self.eval(expr, &Grid::instant(grid.start))?;
            // As if each step had looked.
            self.guard.query((self.guard.queried() - before).saturating_mul(steps - 1));
            return value.repeated(self.guard, steps);
        }
        let value = self.eval_node(expr, grid)?;
        match value {
            Value::Vector(series) if !self.delayed_name_removal && series.iter().any(|series| series.drop_name) => {
                let mut series = finish(series)?;
                series.iter_mut().for_each(|series| series.drop_name = false);
                Ok(Value::Vector(series))
            }
            value => Ok(value),
        }
    }

    fn eval_node(&self, expr: &Expr, grid: &Grid) -> Result<Value> {
        let steps = grid.len();
        match &expr.node {
            Node::Number { value, .. } => Ok(Value::Scalar(vec![*value; steps])),
            Node::Text(text) => Ok(Value::Text(text.clone())),
            Node::Paren(inner) => self.eval(inner, grid),
            Node::Vector(selector) => select::instant(self, selector, grid).map(Value::Vector),
            Node::Unary { negative, inner } => self.unary(*negative, inner, grid),
            Node::Binary(node) => binary::eval(self, expr, node, grid),
            Node::Aggregate(node) => aggregate::eval(self, node, grid).map(Value::Vector),
            Node::Call { function, args } => functions::eval(self, expr, function, args, grid),
            Node::Matrix { .. } | Node::Subquery(_) => Err(Error::internal("cannot evaluate a range vector as an instant vector")),
        }
    }

    pub(super) fn vector(&self, expr: &Expr, grid: &Grid) -> Result<Vec<Series>> {
        match self.eval(expr, grid)? {
            Value::Vector(series) => self.hold(series, grid),
            Value::Scalar(values) => {
                Ok(vec![Series { labels: Labels::empty(), drop_name: false, column: super::value::Column::of_floats(self.guard, values) }])
            }
            Value::Text(_) => Err(Error::internal("cannot use a text as a vector: the parser checks types")),
        }
    }

    /// Checks that a vector fits into what the query may hold at once.
    fn hold(&self, series: Vec<Series>, grid: &Grid) -> Result<Vec<Series>> {
        self.guard.reserve(series.len().saturating_mul(grid.len()))?;
        Ok(series)
    }

    /// One float per step.
    pub(super) fn scalar(&self, expr: &Expr, grid: &Grid) -> Result<Vec<f64>> {
        match self.eval(expr, grid)? {
            Value::Scalar(values) => Ok(values),
            _ => Err(Error::internal("cannot use a vector as a scalar: the parser checks types")),
        }
    }

    pub(super) fn text<'e>(&self, expr: &'e Expr) -> Result<&'e str> {
        match &expr.unparenthesised().node {
            Node::Text(text) => Ok(text),
            _ => Err(Error::internal("cannot use a number as a text: the parser checks types")),
        }
    }

    /// The series and window of a range selector or a subquery.
    pub(super) fn ranges(&self, expr: &Expr, grid: &Grid) -> Result<Ranges> {
        match &expr.unparenthesised().node {
            Node::Matrix { selector, range } => Ok(Ranges {
                series: self.loaded.of(&selector.matchers),
                range_ms: self.frame.positive_millis(range)?,
                extent: selector.extent,
                moved: self.frame.resolve(&selector.shift)?,
            }),
            Node::Subquery(subquery) => self.subquery(subquery, grid),
            _ => Err(Error::internal("cannot use an instant vector as a range vector: the parser checks types")),
        }
    }

    fn subquery(&self, subquery: &Subquery, grid: &Grid) -> Result<Ranges> {
        let Subquery { inner, range, step, shift } = subquery;
        let (moved, range_ms) = (self.frame.resolve(shift)?, self.frame.positive_millis(range)?);
        let step = step.as_ref().map_or(Ok(self.frame.subquery_step_ms), |step| self.frame.positive_millis(step))?;
        let last = moved.of(if grid.len() == 0 { grid.start } else { grid.at(grid.len() - 1) });
        let inner_grid = Grid::of_subquery(moved.of(grid.start), last, range_ms, step);
        self.guard.reserve(inner_grid.len())?;
        let series = match inner_grid.len() {
            0 => Vec::new(),
            _ => {
                // What the outer windows see is counted, not what it was made of.
                let before = self.guard.queried();
                let series = self.vector(inner, &inner_grid)?;
                self.guard.set_queried(before);
                series
            }
        };
        let series = series.into_iter().map(|series| Points::of_series(series, &inner_grid)).collect();
        Ok(Ranges { series: Arc::new(series), range_ms, extent: Extent::Plain, moved })
    }

    /// The samples of a range selector or subquery as they are, for an instant query that asks for nothing else.
    pub(super) fn raw_matrix(&self, expr: &Expr) -> Result<Vec<RangeSeries>> {
        let ranges = self.ranges(expr, &self.frame.query)?;
        let (after, until) = ranges.window(self.frame.query.start);
        let mut answer = Vec::new();
        for points in ranges.series.iter() {
            let cut = |times: &[i64]| times.partition_point(|at| *at <= after)..times.partition_point(|at| *at <= until);
            let (floats, histograms) = (cut(&points.float_times), cut(&points.histogram_times));
            if floats.is_empty() && histograms.is_empty() {
                continue;
            }
            let found = &points.histograms[histograms.clone()];
            self.guard.query(floats.len() + found.iter().map(|histogram| histogram_samples(histogram)).sum::<usize>());
            let labels = if points.drop_name { super::value::without_metadata(&points.labels) } else { points.labels.clone() };
            answer.push(range_series(Points {
                labels,
                float_times: points.float_times.slice(floats.start, floats.len()),
                floats: points.floats.slice(floats.start, floats.len()),
                histogram_times: points.histogram_times[histograms.clone()].to_vec(),
                histograms: points.histograms[histograms].to_vec(),
                ..Points::default()
            }));
        }
        Ok(sorted(answer))
    }

    fn unary(&self, negative: bool, inner: &Expr, grid: &Grid) -> Result<Value> {
        let mut value = self.eval(inner, grid)?;
        if !negative {
            return Ok(value);
        }
        match &mut value {
            Value::Scalar(values) => values.iter_mut().for_each(|value| *value = -*value),
            Value::Vector(vector) => {
                for series in vector {
                    series.drop_name = true;
                    for step in 0..grid.len() {
                        match series.column.get(step) {
                            Some(Cell::Float(value)) => series.column.set_float(step, -value),
                            Some(Cell::Histogram(found)) => {
                                series.column.set(step, Cell::of_histogram(histogram::scaled(&found, -1.0)));
                            }
                            None => {}
                        }
                    }
                }
            }
            Value::Text(_) => {}
        }
        Ok(value)
    }
}

/// Whether the value is the same at every step, so that one evaluation does for all: everything it reads is pinned by `@`.
fn is_step_invariant(expr: &Expr) -> bool {
    let pinned = |shift: &Shift| shift.at.is_some();
    match &expr.node {
        Node::Number { .. } | Node::Text(_) => true,
        Node::Vector(selector) | Node::Matrix { selector, .. } => pinned(&selector.shift),
        Node::Subquery(subquery) => pinned(&subquery.shift),
        Node::Call { function, args } => !functions::depends_on_time(function.name, args.len()) && args.iter().all(is_step_invariant),
        _ => expr.children().into_iter().all(is_step_invariant),
    }
}

/// The metric's name for notes; empty when it is dropped or absent.
pub(super) fn metric_name(labels: &Labels) -> Cow<'_, str> {
    Cow::Borrowed(labels.get("__name__").unwrap_or_default())
}
