//! Spans counted into steps of time.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::BoxFuture;
use lang::traceql::{Attribute, FieldExpr, FieldOp, MetricsExpr, MetricsFunction, MetricsOp, Pipeline, Query, SpansetExpr, Stage, Value};
use model::{Answer, Answered, Code, Error, Filter, QueryLimits, Result, Scan, ScanRequest, Table, TimeRange, TraceSeries};

use super::compare::Comparison;
use super::fields::{Field, Fields, Slots};
use super::math;
use super::pushdown::Narrowed;
use super::search::{Plan, Trace, TraceReader};
use super::series::{Accumulator, Example};
use super::source::{ALL_ATTRIBUTES, Columns, Row, columns};
use super::tally::Tally;
use crate::guard::{Charge, Guard, blocking, fold};

/// Traces read at once where a query needs them whole.
const TRACES_PER_CHUNK: usize = 512;

#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) start_ns: i64,
    pub(crate) end_ns: i64,
    pub(crate) step_ns: Option<i64>,
    pub(crate) exemplars: usize,
}

/// Steps of time, each without its first instant and with its last, which is its point's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Steps {
    start_ns: i64,
    step_ns: i64,
    pub(crate) count: usize,
}

impl Steps {
    /// Whole steps since the epoch, so that the same question a moment later has the same points.
    fn new(asked: Asked, limits: &QueryLimits) -> Result<Self> {
        let Asked { start_ns, end_ns, .. } = asked;
        if end_ns <= start_ns {
            return Err(Error::invalid("cannot compute series: the end of their time is not after its start"));
        }
        let Some(step_ns) = asked.step_ns else {
            let step_ns = end_ns.checked_sub(start_ns).ok_or_else(|| Error::invalid("cannot compute series of more than 292 years"))?;
            return Ok(Self { start_ns, step_ns, count: 1 });
        };
        if step_ns <= 0 {
            return Err(Error::invalid("cannot compute series: their step must be longer than nothing"));
        }
        let start = start_ns.div_euclid(step_ns);
        let end = end_ns.div_euclid(step_ns).saturating_add(i64::from(end_ns.rem_euclid(step_ns) > 0));
        let (count, most) = (end.saturating_sub(start), limits.points_per_series_max);
        if count > most {
            let what = format!("cannot compute series of {count} points: more than {most} (points_per_series_max); take a larger step");
            return Err(Error::new(Code::Invalid, what));
        }
        let start_ns = start.checked_mul(step_ns).ok_or_else(|| Error::invalid("cannot compute series: their time is out of range"))?;
        Ok(Self { start_ns, step_ns, count: count as usize })
    }

    pub(crate) fn of(&self, at_ns: i64) -> Option<usize> {
        let since = at_ns.checked_sub(self.start_ns).filter(|since| *since > 0)?;
        usize::try_from((since - 1) / self.step_ns).ok().filter(|step| *step < self.count)
    }

    /// The step of an instant, and the first and last instant of which the same is true.
    fn around(&self, at_ns: i64) -> (Option<usize>, i64, i64) {
        match self.of(at_ns) {
            None => (None, at_ns, at_ns),
            Some(step) => {
                let before = self.start_ns.saturating_add(self.step_ns.saturating_mul(step as i64));
                (Some(step), before.saturating_add(1), before.saturating_add(self.step_ns))
            }
        }
    }

    /// Of the step's point.
    pub(crate) fn at_ms(&self, step: usize) -> i64 {
        self.start_ns.saturating_add(self.step_ns.saturating_mul(step as i64 + 1)) / 1_000_000
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.step_ns as f64 / 1e9
    }

    fn range(&self) -> TimeRange {
        let end_ns = self.start_ns.saturating_add(self.step_ns.saturating_mul(self.count as i64));
        TimeRange::new(self.start_ns.saturating_add(1), end_ns.saturating_add(1))
    }
}

pub(crate) async fn answer(
    scan: &dyn Scan,
    (metrics, query): (MetricsExpr, Query),
    asked: Asked,
    reach: Duration,
    limits: &QueryLimits,
) -> Result<Answer> {
    let guard = Guard::new(limits);
    let _cancel = guard.cancel_on_drop();
    let exemplars = match query.hint("exemplars") {
        Some(Value::Bool(false)) => 0,
        Some(Value::Int(count)) => usize::try_from(*count).unwrap_or(0).min(EXEMPLARS_MAX),
        _ => asked.exemplars.min(EXEMPLARS_MAX),
    };
    let steps = Steps::new(asked, limits)?;
    let run = Run { scan, reach, steps, exemplars, guard, series_max: limits.series_max };
    let mut series = run.evaluate(&metrics).await?;
    series.sort_by_cached_key(|series| math::label_text(&series.labels));
    Ok(Answer::new(Answered::TraceMetrics(series)))
}

/// Of one answer.
const EXEMPLARS_MAX: usize = 1000;

/// One evaluation.
struct Run<'a> {
    scan: &'a dyn Scan,
    reach: Duration,
    steps: Steps,
    exemplars: usize,
    guard: Guard,
    series_max: usize,
}

impl Run<'_> {
    fn evaluate<'b>(&'b self, metrics: &'b MetricsExpr) -> BoxFuture<'b, Result<Vec<TraceSeries>>> {
        Box::pin(async move {
            match metrics {
                MetricsExpr::Query { spans, function } => self.query(spans, function).await,
                MetricsExpr::Number(_) => Err(Error::internal("cannot evaluate a number without metrics beside it")),
                MetricsExpr::Top { largest, count, of } => {
                    let count = usize::try_from(*count).unwrap_or(usize::MAX);
                    Ok(math::top(self.evaluate(of).await?, *largest, count))
                }
                MetricsExpr::Filter { op, value, of } => Ok(math::filtered(self.evaluate(of).await?, *op, *value)),
                MetricsExpr::Math { op, left, right } => match (&**left, &**right) {
                    (MetricsExpr::Number(number), right) => {
                        Ok(math::with_number(self.evaluate(right).await?, |value| math::compute(*op, *number, value)))
                    }
                    (left, MetricsExpr::Number(number)) => {
                        Ok(math::with_number(self.evaluate(left).await?, |value| math::compute(*op, value, *number)))
                    }
                    (left, right) => {
                        let (left, right) = (self.evaluate(left).await?, self.evaluate(right).await?);
                        Ok(math::joined(*op, left, right))
                    }
                },
            }
        })
    }

    async fn query(&self, spans: &Pipeline, function: &MetricsFunction) -> Result<Vec<TraceSeries>> {
        let counted = Counted::new(function, self)?;
        let counted = match local_filter(spans, function) {
            Some(filter) => self.span_by_span(&filter, counted).await?,
            None => self.trace_by_trace(spans, counted).await?,
        };
        let exemplars = self.exemplars;
        blocking(move || Ok(counted.series(exemplars))).await
    }

    /// Where every span says for itself whether it counts.
    async fn span_by_span(&self, filter: &FieldExpr, counted: Counted) -> Result<Counted> {
        let narrowed = Narrowed::of(filter);
        let mut slots = counted.slots.clone();
        let rest = narrowed.rest.as_ref().map(|rest| Field::new(rest, &mut slots)).transpose()?;
        if rest.is_none()
            && let Some(tally) = Tally::of(&counted.function, counted.wants_exemplars)
        {
            return self.by_columns(narrowed.filters, tally, counted).await;
        }
        let mut more = vec!["start_time_unix_nano", "duration_nano"];
        if counted.wants_exemplars {
            more.extend(["trace_id", "span_id"]);
        }
        if counted.comparison.is_some() {
            more.extend(ALL_ATTRIBUTES);
        }
        let mut request = ScanRequest::new(Table::Spans, self.steps.range());
        request.filters = narrowed.filters;
        request.columns = Some(columns(slots.attributes(), &more));
        let rows = self.scan.scan(request).await?;
        let (counted, ..) = fold(rows, (counted, rest, slots), |(counted, rest, slots), batch| {
            let columns = Columns::of(batch);
            for row in 0..batch.num_rows() {
                let fields = Row { columns: &columns, attributes: slots.attributes(), row };
                if rest.as_ref().is_some_and(|rest| !rest.passes(&fields)) {
                    continue;
                }
                let seen = Seen {
                    start_ns: Columns::long(columns.start, row),
                    duration_ns: Columns::long(columns.duration, row),
                    trace_id: columns.text("trace_id", row),
                    span_id: columns.text("span_id", row),
                };
                counted.add(&fields, seen, |told| columns.each(row, told))?;
            }
            Ok(true)
        })
        .await?;
        Ok(counted)
    }

    /// Where columns of few texts say all that is asked.
    async fn by_columns(&self, filters: Vec<Filter>, tally: Tally, counted: Counted) -> Result<Counted> {
        let mut request = ScanRequest::new(Table::Spans, self.steps.range());
        request.filters = filters;
        request.columns = Some(tally.columns());
        request.dictionaries = tally.dictionaries();
        let rows = self.scan.scan(request).await?;
        let (counted, _) = fold(rows, (counted, tally), |(counted, tally), batch| {
            tally.add(counted, batch)?;
            Ok(true)
        })
        .await?;
        Ok(counted)
    }

    /// Where other spans of a trace have a say.
    async fn trace_by_trace(&self, spans: &Pipeline, mut counted: Counted) -> Result<Counted> {
        // What is counted is selected, too, so that the traces are read with it.
        let mut selected = spans.clone();
        let attributes = counted.slots.attributes().to_vec();
        selected.stages.insert(0, Stage::Select(attributes));
        let reader = TraceReader::new(&selected, self.reach, counted.comparison.is_some(), self.guard.clone())?;
        let mut candidates = reader.candidates(self.scan, spans, self.steps.range()).await?;
        while let Some(chunk) = candidates.next(TRACES_PER_CHUNK).await? {
            let (traces, plan) = (reader.read(self.scan, &chunk).await?, reader.plan.clone());
            counted = blocking(move || {
                traces.0.iter().try_for_each(|trace| counted.add_trace(&plan, trace))?;
                Ok(counted)
            })
            .await?;
        }
        Ok(counted)
    }
}

/// The filter of a pipeline that consists of filters of single spans alone.
fn local_filter(pipeline: &Pipeline, function: &MetricsFunction) -> Option<FieldExpr> {
    let mut all = FieldExpr::Static(Value::Bool(true));
    for stage in &pipeline.stages {
        match stage {
            Stage::Spans(SpansetExpr::Filter(field)) => {
                all = FieldExpr::Binary { op: FieldOp::And, left: Box::new(all), right: Box::new(field.clone()) };
            }
            Stage::Select(_) => {}
            _ => return None,
        }
    }
    let mut used: Vec<&Attribute> = function.by.iter().chain(&function.of).collect();
    if let Some(compare) = &function.compare {
        compare.selection.attributes(&mut used);
    }
    let local = |attribute: &&Attribute| !matches!(attribute, Attribute::Intrinsic(intrinsic) if !intrinsic.is_local());
    (Narrowed::of(&all).is_whole && used.iter().all(local)).then_some(all)
}

/// A span that counts.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) start_ns: i64,
    pub(super) duration_ns: i64,
    pub(super) trace_id: &'a str,
    pub(super) span_id: &'a str,
}

/// Series in the making.
pub(super) struct Counted {
    function: MetricsFunction,
    steps: Steps,
    slots: Slots,
    of: Option<usize>,
    by: Vec<usize>,
    /// Of each group by the text of its values.
    places: HashMap<String, usize>,
    groups: Vec<(Vec<Value<'static>>, Accumulator)>,
    comparison: Option<Comparison>,
    wants_exemplars: bool,
    series_max: usize,
    /// The values of a span's groups, as text.
    key: String,
    charge: Charge,
    guard: Guard,
}

impl Counted {
    fn new(function: &MetricsFunction, run: &Run<'_>) -> Result<Self> {
        let mut slots = Slots::default();
        let by = function.by.iter().map(|attribute| slots.slot(attribute)).collect();
        let of = function.of.as_ref().map(|attribute| slots.slot(attribute));
        let comparison = match &function.compare {
            Some(compare) => Some(Comparison::new(compare, &mut slots, run.steps, run.guard.clone())?),
            None => None,
        };
        Ok(Self {
            function: function.clone(),
            steps: run.steps,
            slots,
            of,
            by,
            places: HashMap::new(),
            groups: Vec::new(),
            comparison,
            wants_exemplars: run.exemplars > 0,
            series_max: run.series_max,
            key: String::new(),
            charge: run.guard.charge(0),
            guard: run.guard.clone(),
        })
    }

    fn add_trace(&mut self, plan: &Plan, trace: &Trace) -> Result<()> {
        let mut counted = std::collections::HashSet::new();
        // The slots of what is counted are the first of the reader's: it was selected first.
        for at in plan.run(trace).into_iter().flat_map(|set| set.spans) {
            let span = &trace.spans[at];
            if !counted.insert(at) {
                continue;
            }
            let seen = Seen { start_ns: span.start_ns, duration_ns: span.duration_ns, trace_id: &trace.id, span_id: &span.id };
            self.add(span, seen, |told| span.all.iter().for_each(|(name, value)| told(name.clone(), super::fields::borrowed(value))))?;
        }
        Ok(())
    }

    fn add<'v>(&mut self, fields: &impl Fields, seen: Seen<'_>, all: impl FnOnce(&mut dyn FnMut(String, Value<'v>))) -> Result<()> {
        self.guard.work(64)?;
        let Some(step) = self.steps.of(seen.start_ns) else { return Ok(()) };
        if let Some(comparison) = &mut self.comparison {
            return comparison.add(fields, step, seen.start_ns, all);
        }
        let value = match self.of {
            None => None,
            Some(slot) => match fields.value(slot) {
                Value::Duration(nanos) => Some(nanos as f64 / 1e9),
                value => match value.as_number() {
                    Some(number) => Some(number),
                    None => return Ok(()),
                },
            },
        };
        let by = std::mem::take(&mut self.by);
        let group = self.group(|at| fields.value(by[at]));
        self.by = by;
        self.count(group?, step, value, || seen);
        Ok(())
    }

    /// Called with how many spans are looked at.
    pub(super) fn work(&self, spans: usize) -> Result<()> {
        self.guard.work(64 * spans)
    }

    /// The step of an instant, and the first and last instant that are in the same one, or in none.
    pub(super) fn step(&self, at_ns: i64) -> (Option<usize>, i64, i64) {
        self.steps.around(at_ns)
    }

    /// The number of the group with these values, by their places in what is grouped by.
    pub(super) fn group<'v>(&mut self, value: impl Fn(usize) -> Value<'v>) -> Result<usize> {
        use std::fmt::Write;
        self.key.clear();
        let count = self.function.by.len();
        for at in 0..count {
            let value = value(at);
            write!(self.key, "{}:{value}\u{0}", type_letter(&value)).expect("memory");
        }
        if let Some(&group) = self.places.get(self.key.as_str()) {
            return Ok(group);
        }
        if self.groups.len() >= self.series_max {
            let max = self.series_max;
            let what = format!("cannot compute more than series_max = {max} series: group by fewer attributes, or filter more");
            return Err(Error::new(Code::LimitExceeded, what));
        }
        let values = (0..count).map(|at| value(at).into_owned()).collect();
        let accumulator = Accumulator::new(self.function.op, self.steps.count);
        self.charge.grow(accumulator.bytes() + 2 * self.key.len() + 256);
        self.guard.check()?;
        self.places.insert(self.key.clone(), self.groups.len());
        self.groups.push((values, accumulator));
        Ok(self.groups.len() - 1)
    }

    /// Counts a span of a group.
    pub(super) fn count<'s>(&mut self, group: usize, step: usize, value: Option<f64>, seen: impl FnOnce() -> Seen<'s>) {
        let (_, accumulator) = &mut self.groups[group];
        let mut grown = accumulator.add(step, value);
        if self.wants_exemplars && accumulator.wants_example(step) {
            let seen = seen();
            let example = Example {
                at_ms: seen.start_ns / 1_000_000,
                value: value.unwrap_or(seen.duration_ns as f64 / 1e9),
                trace_id: seen.trace_id.to_owned(),
                span_id: seen.span_id.to_owned(),
            };
            grown += size_of::<Example>() + 48;
            accumulator.keep(step, example);
        }
        if grown > 0 {
            self.charge.grow(grown);
        }
    }

    fn series(self, exemplars: usize) -> Vec<TraceSeries> {
        if let Some(comparison) = self.comparison {
            return comparison.series();
        }
        let Self { function, steps, mut groups, .. } = self;
        // A rate of nothing is one: without groups there always is a series.
        if groups.is_empty() && function.by.is_empty() && matches!(function.op, MetricsOp::Rate | MetricsOp::CountOverTime) {
            groups.push((Vec::new(), Accumulator::new(function.op, steps.count)));
        }
        let each = exemplars.div_ceil(groups.len().max(1));
        let names: Vec<String> = function.by.iter().map(ToString::to_string).collect();
        let of_group = |(values, accumulator): (Vec<Value<'static>>, Accumulator)| {
            let labels = names.iter().cloned().zip(values.iter().map(super::search::span_value)).collect();
            accumulator.series(&function, steps, labels, each)
        };
        groups.into_iter().flat_map(of_group).collect()
    }
}

/// Tells `1` from `"1"`.
fn type_letter(value: &Value<'_>) -> char {
    match value {
        Value::Nil => 'n',
        Value::Bool(_) => 'b',
        Value::Int(_) => 'i',
        Value::Float(_) => 'f',
        Value::Text(_) => 's',
        Value::Duration(_) => 'd',
        Value::Status(_) | Value::Kind(_) => 'k',
        Value::List(_) => 'l',
    }
}
