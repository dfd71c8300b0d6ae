//! Range aggregations: lines go in as they are read, and only sums per step stay.

use std::sync::{Arc, Mutex};

use hashbrown::HashMap;
use lang::logql::{Grouping, MatchOp, RangeAggregation, RangeOp};
use model::{Code, Error, Labels, Order, QueryLimits, Result, Scan, ScanStats, TimeRange};

use super::counter::extrapolated_rate;
use super::matrix::{Matrix, Series, Steps};
use super::row::{Row, Source};
use super::source::{Needs, Plan, Reader, Wanted};

/// Evaluates at every step. `outer` is the grouping of a `sum` around it: when the operation adds up, lines go straight to
/// their group, so that a label of high cardinality costs nothing.
pub(super) async fn evaluate(
    scan: &dyn Scan,
    aggregation: &RangeAggregation,
    outer: Option<&Grouping>,
    steps: Steps,
    limits: &QueryLimits,
    stats: &Arc<Mutex<ScanStats>>,
) -> Result<Matrix> {
    let plan = Plan::new(&aggregation.log)?;
    let grouping = aggregation.grouping.as_ref().or(outer);
    let counts_bytes = matches!(aggregation.op, RangeOp::BytesOverTime | RangeOp::BytesRate);
    let needs = Needs { line: counts_bytes || plan.pipeline.reads_line(), metadata: wanted_metadata(aggregation, grouping, &plan) };
    // The window excludes its lower edge and includes its upper one, a time range the other way round.
    let shift = aggregation.offset_ns;
    let earliest = steps.start_ns.saturating_sub(shift).saturating_sub(aggregation.range_ns);
    let time = TimeRange::new(earliest.saturating_add(1), steps.last_ns().saturating_sub(shift).saturating_add(1));
    let mut reader = Reader::open(scan, &plan, (time, Order::Any, None), needs, stats).await?;
    let mut sink = Sink::new(aggregation, grouping, plan.pipeline.unwrapped(), steps, limits);
    while let Some(batch) = reader.next().await? {
        reader.lines(&batch, |row, stream| {
            if let Some(sample) = plan.pipeline.sample(row) {
                let sample = if counts_bytes { row.line.len() as f64 } else { sample };
                sink.add(row, stream, sample)?;
            }
            Ok(true)
        })?;
    }
    Ok(sink.finish())
}

/// Of a line's metadata only what can become a label of the answer, when no stage looks at it before.
fn wanted_metadata(aggregation: &RangeAggregation, grouping: Option<&Grouping>, plan: &Plan) -> Wanted {
    match grouping {
        _ if !plan.pipeline.is_empty() => Wanted::All,
        _ if aggregation.op == RangeOp::AbsentOverTime => Wanted::Nothing,
        Some(by) if !by.without && by.labels.is_empty() => Wanted::Nothing,
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

enum State {
    Folds(Vec<Fold>),
    /// For what needs every sample of a window: time and value.
    Samples(Vec<(i64, f64)>),
}

struct Sink<'q> {
    aggregation: &'q RangeAggregation,
    grouping: Option<&'q Grouping>,
    unwrapped: Option<&'q str>,
    steps: Steps,
    limits: &'q QueryLimits,
    by_key: HashMap<Vec<u8>, usize>,
    series: Vec<(Labels, State)>,
    /// The series of lines that have their stream's labels only.
    of_stream: Vec<Option<usize>>,
    key: Vec<u8>,
    bytes: usize,
}

impl<'q> Sink<'q> {
    fn new(
        aggregation: &'q RangeAggregation,
        grouping: Option<&'q Grouping>,
        unwrapped: Option<&'q str>,
        steps: Steps,
        limits: &'q QueryLimits,
    ) -> Self {
        let (by_key, series, of_stream, key) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
        Self { aggregation, grouping, unwrapped, steps, limits, by_key, series, of_stream, key, bytes: 0 }
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
            State::Folds(folds) => folds[steps].iter_mut().for_each(|fold| fold.add(self.aggregation.op, row.time_ns, sample)),
            State::Samples(samples) => {
                samples.push((row.time_ns, sample));
                self.bytes += size_of::<(i64, f64)>();
                self.check_memory()?;
            }
        }
        Ok(())
    }

    fn keeps(&self, name: &str) -> bool {
        if self.unwrapped == Some(name) {
            return false;
        }
        self.grouping.is_none_or(|grouping| grouping.labels.iter().any(|label| label == name) != grouping.without)
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
        if index >= self.limits.series_max {
            let what = format!(
                "cannot answer the query: it makes more than {} series (series_max); group by fewer labels or narrow the selector",
                self.limits.series_max
            );
            return Err(Error::new(Code::LimitExceeded, what));
        }
        let keeps_samples = matches!(self.aggregation.op, RangeOp::QuantileOverTime | RangeOp::RateCounter);
        let state = match keeps_samples {
            true => State::Samples(Vec::new()),
            false => State::Folds(vec![Fold::default(); self.steps.count]),
        };
        self.bytes += self.key.len() + if keeps_samples { 0 } else { self.steps.count * size_of::<Fold>() };
        self.check_memory()?;
        self.series.push((Labels::from_sorted(pairs.iter().copied()), state));
        self.by_key.insert(self.key.clone(), index);
        Ok(index)
    }

    fn check_memory(&self) -> Result<()> {
        if self.bytes <= self.limits.memory_bytes_max {
            return Ok(());
        }
        let what = "cannot answer the query: it needs more than memory_bytes_max; group by fewer labels, or take a larger step";
        Err(Error::new(Code::LimitExceeded, what))
    }

    fn finish(self) -> Matrix {
        let RangeAggregation { op, range_ns, offset_ns, parameter, .. } = *self.aggregation;
        if op == RangeOp::AbsentOverTime {
            return self.absent();
        }
        let finish = |(labels, state): (Labels, State)| {
            let values = match state {
                State::Folds(folds) => folds.iter().map(|fold| fold.finish(op, range_ns)).collect(),
                State::Samples(mut samples) => {
                    samples.sort_by_key(|(time, _)| *time);
                    let window = |step| {
                        let end = self.steps.at_ns(step).saturating_sub(offset_ns);
                        let start = end.saturating_sub(range_ns);
                        let first = samples.partition_point(|(time, _)| *time <= start);
                        let last = samples.partition_point(|(time, _)| *time <= end);
                        let inside = &samples[first..last];
                        match op {
                            RangeOp::RateCounter => extrapolated_rate(inside, start, end),
                            _ => quantile(parameter.unwrap_or(0.5), inside),
                        }
                    };
                    (0..self.steps.count).map(window).collect()
                }
            };
            Series { labels, values }
        };
        self.series.into_iter().map(finish).collect()
    }

    /// One series where no line was, with the labels that the selector names.
    fn absent(self) -> Matrix {
        let present = self.series.into_iter().next();
        let values: Vec<_> = match present {
            Some((_, State::Folds(folds))) => folds.iter().map(|fold| (fold.count == 0).then_some(1.0)).collect(),
            _ => vec![Some(1.0); self.steps.count],
        };
        if values.iter().all(Option::is_none) {
            return Vec::new();
        }
        let equal: Vec<_> = self.aggregation.log.selector.iter().filter(|matcher| matcher.op == MatchOp::Equal).collect();
        let once = equal.iter().filter(|matcher| equal.iter().filter(|other| other.name == matcher.name).count() == 1);
        let labels = Labels::from_pairs(once.map(|matcher| (matcher.name.as_str(), matcher.value.as_str())));
        vec![Series { labels, values }]
    }
}

/// By linear interpolation between the ranks beside it, as Prometheus has it.
fn quantile(quantile: f64, samples: &[(i64, f64)]) -> Option<f64> {
    if samples.is_empty() {
        return None;
    }
    if quantile.is_nan() || !(0.0..=1.0).contains(&quantile) {
        return Some(if quantile > 1.0 {
            f64::INFINITY
        } else if quantile < 0.0 {
            f64::NEG_INFINITY
        } else {
            f64::NAN
        });
    }
    let mut values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
    // NaN counts as smaller than every number.
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan())));
    let rank = quantile * (values.len() - 1) as f64;
    let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
    let weight = rank - rank.floor();
    Some(if low == high { values[low] } else { values[low] * (1.0 - weight) + values[high] * weight })
}
