//! Range aggregations: lines go in as they are read, and only sums per step stay.

use arrow::array::RecordBatch;
use hashbrown::HashMap;
use lang::logql::{Grouping, MatchOp, RangeAggregation, RangeOp};
use model::{Code, Error, Labels, Order, QueryLimits, Result, Scan, TimeRange};

use super::counter::extrapolated_rate;
use super::matrix::{Matrix, Series, Steps};
use super::row::{Row, Source};
use super::source::{Needs, Plan, Reader, Wanted};
use crate::guard::{Charge, Guard, blocking, fold, label_bytes};
use crate::quantile::quantile;

/// Evaluates at every step. `outer` is the grouping of a `sum` around it: when the operation adds up, lines go straight to
/// their group, so that a label of high cardinality costs nothing.
pub(super) async fn evaluate(
    scan: &dyn Scan,
    aggregation: &RangeAggregation,
    outer: Option<&Grouping>,
    steps: Steps,
    limits: &QueryLimits,
    guard: &Guard,
) -> Result<(Matrix, Charge)> {
    let grouping = aggregation.grouping.as_ref().or(outer).cloned();
    let (aggregation, guard, series_max) = (aggregation.clone(), guard.clone(), limits.series_max);
    let leaf = blocking(move || Leaf::new(aggregation, grouping, steps, series_max, &guard)).await?;
    // The window excludes its lower edge and includes its upper one, a time range the other way round.
    let RangeAggregation { offset_ns: shift, range_ns, .. } = leaf.sink.aggregation;
    let earliest = steps.start_ns.saturating_sub(shift).saturating_sub(range_ns);
    let time = TimeRange::new(earliest.saturating_add(1), steps.last_ns().saturating_sub(shift).saturating_add(1));
    let rows = scan.scan(leaf.reader.request(time, Order::Any, None)).await?;
    let leaf = fold(rows, leaf, |leaf, batch| leaf.add(batch)).await?;
    blocking(move || leaf.sink.finish()).await
}

/// An aggregation being read.
struct Leaf {
    reader: Reader,
    sink: Sink,
}

impl Leaf {
    fn new(aggregation: RangeAggregation, grouping: Option<Grouping>, steps: Steps, series_max: usize, guard: &Guard) -> Result<Self> {
        let plan = Plan::new(&aggregation.log)?;
        let needs = Needs {
            stream: !(plan.pipeline.is_empty() && has_no_labels(&aggregation, grouping.as_ref())),
            line: counts_bytes(aggregation.op) || plan.pipeline.reads_line(),
            metadata: wanted_metadata(&aggregation, grouping.as_ref(), &plan),
        };
        let unwrapped = plan.pipeline.unwrapped().map(str::to_owned);
        let reader = Reader::new(plan, needs, guard);
        Ok(Self { reader, sink: Sink::new(aggregation, grouping, unwrapped, steps, series_max, guard) })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<bool> {
        let sink = &mut self.sink;
        self.reader.lines(batch, |plan, row, stream| {
            if let Some(sample) = plan.pipeline.sample(row) {
                let sample = if counts_bytes(sink.aggregation.op) { row.line.len() as f64 } else { sample };
                sink.add(row, stream, sample)?;
            }
            Ok(true)
        })
    }
}

fn counts_bytes(op: RangeOp) -> bool {
    matches!(op, RangeOp::BytesOverTime | RangeOp::BytesRate)
}

/// Whether no label of a line is one of the answer.
fn has_no_labels(aggregation: &RangeAggregation, grouping: Option<&Grouping>) -> bool {
    aggregation.op == RangeOp::AbsentOverTime || grouping.is_some_and(|by| !by.without && by.labels.is_empty())
}

/// Of a line's metadata only what can become a label of the answer, when no stage looks at it before.
fn wanted_metadata(aggregation: &RangeAggregation, grouping: Option<&Grouping>, plan: &Plan) -> Wanted {
    match grouping {
        _ if !plan.pipeline.is_empty() => Wanted::All,
        grouping if has_no_labels(aggregation, grouping) => Wanted::Nothing,
        // The loser of a clash has another name than in its record.
        Some(by) if !by.without && !by.labels.iter().any(|label| label.ends_with("_extracted")) => Wanted::Names(by.labels.clone()),
        _ => Wanted::All,
    }
}

/// A running figure of one window.
#[derive(Clone, Copy, Debug, Default)]
struct Fold {
    count: u64,
    /// Sum, extreme, mean, first or last value.
    value: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
    time_ns: i64,
}

impl Fold {
    fn add(&mut self, op: RangeOp, time_ns: i64, sample: f64) {
        self.count += 1;
        let first = self.count == 1;
        match op {
            RangeOp::MinOverTime if first || sample < self.value || self.value.is_nan() => self.value = sample,
            RangeOp::MaxOverTime if first || sample > self.value || self.value.is_nan() => self.value = sample,
            RangeOp::MinOverTime | RangeOp::MaxOverTime => {}
            RangeOp::FirstOverTime if first || time_ns < self.time_ns => (self.value, self.time_ns) = (sample, time_ns),
            RangeOp::LastOverTime if first || time_ns >= self.time_ns => (self.value, self.time_ns) = (sample, time_ns),
            RangeOp::FirstOverTime | RangeOp::LastOverTime => {}
            RangeOp::StddevOverTime | RangeOp::StdvarOverTime => {
                // Welford's running variance.
                let distance = sample - self.value;
                self.value += distance / self.count as f64;
                self.squares += distance * (sample - self.value);
            }
            _ => self.value += sample,
        }
    }

    fn finish(&self, op: RangeOp, range_ns: i64) -> Option<f64> {
        let count = self.count as f64;
        (self.count > 0).then(|| match op {
            RangeOp::Rate | RangeOp::BytesRate => self.value / (range_ns as f64 / 1e9),
            RangeOp::AvgOverTime => self.value / count,
            RangeOp::StdvarOverTime => self.squares / count,
            RangeOp::StddevOverTime => (self.squares / count).sqrt(),
            _ => self.value,
        })
    }
}

/// What is kept of a series.
enum State {
    /// For what adds up whole numbers: lines and their sum, added at the first step whose window holds a line and taken away
    /// at the first that does not hold it any more.
    Changes(Vec<(i64, i64)>),
    Folds(Vec<Fold>),
    /// For what needs every sample of a window: time and value.
    Samples(Vec<(i64, f64)>),
}

struct Sink {
    aggregation: RangeAggregation,
    grouping: Option<Grouping>,
    unwrapped: Option<String>,
    steps: Steps,
    series_max: usize,
    by_key: HashMap<Vec<u8>, usize>,
    series: Vec<(Labels, State)>,
    /// The series of lines that have their stream's labels only.
    of_stream: Vec<Option<usize>>,
    key: Vec<u8>,
    guard: Guard,
    charge: Charge,
}

impl Sink {
    fn new(
        aggregation: RangeAggregation,
        grouping: Option<Grouping>,
        unwrapped: Option<String>,
        steps: Steps,
        series_max: usize,
        guard: &Guard,
    ) -> Self {
        let (by_key, series, of_stream, key) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
        let (guard, charge) = (guard.clone(), guard.charge(0));
        Self { aggregation, grouping, unwrapped, steps, series_max, by_key, series, of_stream, key, guard, charge }
    }

    fn new_state(&self) -> State {
        use RangeOp::{AbsentOverTime, BytesOverTime, BytesRate, CountOverTime, QuantileOverTime, Rate, RateCounter};
        match self.aggregation.op {
            QuantileOverTime | RateCounter => State::Samples(Vec::new()),
            CountOverTime | AbsentOverTime | BytesOverTime | BytesRate => State::Changes(vec![(0, 0); self.steps.count + 1]),
            Rate if self.unwrapped.is_none() => State::Changes(vec![(0, 0); self.steps.count + 1]),
            _ => State::Folds(vec![Fold::default(); self.steps.count]),
        }
    }

    fn add(&mut self, row: &Row<'_>, stream: usize, sample: f64) -> Result<()> {
        let steps = self.steps.holding(row.time_ns, self.aggregation.range_ns, self.aggregation.offset_ns);
        if steps.is_empty() {
            return Ok(());
        }
        if let Some(failure) = &row.failure {
            let mut pairs: Vec<_> = row.labels().collect();
            let parsed = row.labels_of(Source::Parsed);
            pairs.extend(parsed.iter().filter(|(name, _)| name.starts_with("__error")));
            let what = format!(
                "cannot answer the query: pipeline error: '{}' for series: '{}'. Use a label filter to intentionally skip this error, \
                 as in | __error__!=\"{}\"",
                failure.kind,
                Labels::from_pairs(pairs),
                failure.kind,
            );
            return Err(Error::invalid(what));
        }
        let index = self.series_of(row, stream)?;
        match &mut self.series[index].1 {
            State::Changes(changes) => {
                let (first, after) = (&mut changes[steps.start], sample as i64);
                *first = (first.0 + 1, first.1 + after);
                let last = &mut changes[steps.end];
                *last = (last.0 - 1, last.1 - after);
            }
            State::Folds(folds) => {
                self.guard.work(steps.len())?;
                folds[steps].iter_mut().for_each(|fold| fold.add(self.aggregation.op, row.time_ns, sample));
            }
            State::Samples(samples) => {
                samples.push((row.time_ns, sample));
                self.charge.grow(size_of::<(i64, f64)>());
            }
        }
        Ok(())
    }

    fn keeps(&self, name: &str) -> bool {
        if self.unwrapped.as_deref() == Some(name) {
            return false;
        }
        self.grouping.as_ref().is_none_or(|grouping| grouping.labels.iter().any(|label| label == name) != grouping.without)
    }

    fn series_of(&mut self, row: &Row<'_>, stream: usize) -> Result<usize> {
        if self.aggregation.op == RangeOp::AbsentOverTime {
            return self.find(&mut Vec::new());
        }
        let plain = row.is_plain() || row.hidden.is_empty() && row.extra.iter().all(|extra| !self.keeps(&extra.name));
        if let (true, Some(Some(index))) = (plain, self.of_stream.get(stream)) {
            return Ok(*index);
        }
        let mut pairs: Vec<(&str, &str)> = row.labels().filter(|(name, _)| self.keeps(name)).collect();
        let index = self.find(&mut pairs)?;
        if plain {
            if self.of_stream.len() <= stream {
                self.of_stream.resize(stream + 1, None);
            }
            self.of_stream[stream] = Some(index);
        }
        Ok(index)
    }

    fn find(&mut self, pairs: &mut [(&str, &str)]) -> Result<usize> {
        pairs.sort_unstable();
        self.key.clear();
        for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
            self.key.extend_from_slice(&(text.len() as u32).to_le_bytes());
            self.key.extend_from_slice(text.as_bytes());
        }
        if let Some(&index) = self.by_key.get(self.key.as_slice()) {
            return Ok(index);
        }
        let index = self.series.len();
        let max = self.series_max;
        if index >= max {
            let what = format!(
                "cannot answer the query: it makes more than {max} series (series_max); group by fewer labels or narrow the selector"
            );
            return Err(Error::new(Code::LimitExceeded, what));
        }
        let per_step = size_of::<Fold>().max(size_of::<Option<f64>>());
        self.guard.fits(self.steps.count.saturating_mul(per_step))?;
        let labels = Labels::from_sorted(pairs.iter().copied());
        self.charge.grow(self.key.len() + label_bytes(&labels) + self.steps.count * per_step);
        self.guard.check()?;
        let state = self.new_state();
        self.series.push((labels, state));
        self.by_key.insert(self.key.clone(), index);
        Ok(index)
    }

    fn finish(self) -> Result<(Matrix, Charge)> {
        let op = self.aggregation.op;
        if op == RangeOp::AbsentOverTime {
            return Ok((absent(&self.aggregation, self.steps, self.series), self.charge));
        }
        let mut matrix = Vec::with_capacity(self.series.len());
        for (labels, state) in self.series {
            let values = match state {
                State::Changes(changes) => folded(&changes).map(|fold| fold.finish(op, self.aggregation.range_ns)).collect(),
                State::Folds(folds) => folds.iter().map(|fold| fold.finish(op, self.aggregation.range_ns)).collect(),
                State::Samples(samples) => windows(&self.aggregation, self.steps, samples, &self.guard)?,
            };
            self.guard.work(self.steps.count)?;
            matrix.push(Series { labels, values });
        }
        Ok((matrix, self.charge))
    }
}

/// The running figure at each step.
fn folded(changes: &[(i64, i64)]) -> impl Iterator<Item = Fold> + '_ {
    let steps = &changes[..changes.len() - 1];
    steps.iter().scan((0, 0), |(lines, sum), change| {
        (*lines, *sum) = (*lines + change.0, *sum + change.1);
        Some(Fold { count: lines.unsigned_abs(), value: *sum as f64, ..Fold::default() })
    })
}

fn windows(aggregation: &RangeAggregation, steps: Steps, mut samples: Vec<(i64, f64)>, guard: &Guard) -> Result<Vec<Option<f64>>> {
    let RangeAggregation { op, range_ns, offset_ns, parameter, .. } = *aggregation;
    samples.sort_by_key(|(time, _)| *time);
    let window = |step| {
        let end = steps.at_ns(step).saturating_sub(offset_ns);
        let start = end.saturating_sub(range_ns);
        let first = samples.partition_point(|(time, _)| *time <= start);
        let last = samples.partition_point(|(time, _)| *time <= end);
        let inside = &samples[first..last];
        guard.work(1 + inside.len())?;
        Ok(match op {
            RangeOp::RateCounter => extrapolated_rate(inside, start, end),
            _ if inside.is_empty() => None,
            _ => Some(quantile(parameter.unwrap_or(0.5), &mut inside.iter().map(|(_, value)| *value).collect::<Vec<_>>())),
        })
    };
    (0..steps.count).map(window).collect()
}

/// One series where no line was, with the labels that the selector names.
fn absent(aggregation: &RangeAggregation, steps: Steps, series: Vec<(Labels, State)>) -> Matrix {
    let values: Vec<_> = match series.into_iter().next() {
        Some((_, State::Changes(changes))) => folded(&changes).map(|fold| (fold.count == 0).then_some(1.0)).collect(),
        _ => vec![Some(1.0); steps.count],
    };
    if values.iter().all(Option::is_none) {
        return Vec::new();
    }
    let equal: Vec<_> = aggregation.log.selector.iter().filter(|matcher| matcher.op == MatchOp::Equal).collect();
    let once = equal.iter().filter(|matcher| equal.iter().filter(|other| other.name == matcher.name).count() == 1);
    let labels = Labels::from_pairs(once.map(|matcher| (matcher.name.as_str(), matcher.value.as_str())));
    vec![Series { labels, values }]
}
