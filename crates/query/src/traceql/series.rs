//! What a function has counted of one group of spans, step by step.

use std::collections::BTreeMap;

use lang::traceql::{MetricsFunction, MetricsOp};
use model::{SpanValue, TraceExemplar, TraceSeries};

use super::buckets::{Buckets, bucket};
use super::metrics::Steps;

/// Buckets of one power of two by which quantiles are told: each is 4.4 % wide.
const BUCKETS_PER_DOUBLING: f64 = 16.0;

pub(super) struct Example {
    pub(super) at_ms: i64,
    pub(super) value: f64,
    pub(super) trace_id: String,
    pub(super) span_id: String,
}

pub(super) struct Accumulator {
    op: MetricsOp,
    steps: Vec<Step>,
    /// Of histograms and quantiles.
    buckets: Vec<Buckets>,
    examples: BTreeMap<usize, Example>,
}

#[derive(Clone, Copy)]
struct Step {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

const NOTHING: Step = Step { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

impl Accumulator {
    pub(super) fn new(op: MetricsOp, steps: usize) -> Self {
        let buckets = if matches!(op, MetricsOp::QuantileOverTime | MetricsOp::HistogramOverTime) { steps } else { 0 };
        Self { op, steps: vec![NOTHING; steps], buckets: vec![Buckets::default(); buckets], examples: BTreeMap::new() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.steps.len() * size_of::<Step>() + self.buckets.len() * size_of::<Buckets>()
    }

    /// Gives the bytes that are held more.
    pub(super) fn add(&mut self, step: usize, value: Option<f64>) -> usize {
        let of_step = &mut self.steps[step];
        of_step.count += 1;
        let Some(value) = value else { return 0 };
        of_step.sum += value;
        of_step.min = of_step.min.min(value);
        of_step.max = of_step.max.max(value);
        let Some(buckets) = self.buckets.get_mut(step) else { return 0 };
        buckets.add(bucket(value, self.op == MetricsOp::HistogramOverTime))
    }

    pub(super) fn wants_example(&self, step: usize) -> bool {
        !self.examples.contains_key(&step)
    }

    pub(super) fn keep(&mut self, step: usize, example: Example) {
        self.examples.insert(step, example);
    }

    pub(super) fn series(
        mut self,
        function: &MetricsFunction,
        steps: Steps,
        labels: Vec<(String, SpanValue)>,
        exemplars: usize,
    ) -> Vec<TraceSeries> {
        let examples = std::mem::take(&mut self.examples);
        let mut series = match function.op {
            MetricsOp::QuantileOverTime => {
                let of = |quantile: f64| {
                    let points = (0..steps.count).filter_map(|step| Some((steps.at_ms(step), self.quantile(step, quantile)?)));
                    labelled(&labels, "p", SpanValue::Double(quantile), points.collect())
                };
                function.quantiles.iter().map(|&quantile| of(quantile)).collect()
            }
            MetricsOp::HistogramOverTime => self.histogram(steps, &labels),
            _ => {
                let points = (0..steps.count).filter_map(|step| Some((steps.at_ms(step), self.point(step, steps)?))).collect();
                match labels.is_empty() {
                    true => vec![labelled(&labels, "__name__", SpanValue::Text(function.op.name().to_owned()), points)],
                    false => vec![TraceSeries { labels, points, exemplars: Vec::new() }],
                }
            }
        };
        let counts = function.of.is_none();
        let thinned = examples.into_iter().take(exemplars).map(|(step, example)| {
            // What counts spans has no value of one: the example lies on its series.
            let on_series =
                series.first().and_then(|series| series.points.iter().find(|(at, _)| *at == steps.at_ms(step))).map(|(_, value)| *value);
            let value = if counts { on_series.unwrap_or(example.value) } else { example.value };
            TraceExemplar { at_ms: example.at_ms, value, trace_id: example.trace_id, span_id: example.span_id }
        });
        let thinned: Vec<_> = thinned.collect();
        if let Some(last) = series.last_mut() {
            last.exemplars = thinned;
        }
        series
    }

    fn point(&self, step: usize, steps: Steps) -> Option<f64> {
        let Step { count, sum, min, max } = self.steps[step];
        match self.op {
            MetricsOp::Rate => Some(count as f64 / steps.seconds()),
            MetricsOp::CountOverTime => Some(count as f64),
            _ if count == 0 => None,
            MetricsOp::MinOverTime => Some(min),
            MetricsOp::MaxOverTime => Some(max),
            MetricsOp::SumOverTime => Some(sum),
            MetricsOp::AvgOverTime => Some(sum / count as f64),
            MetricsOp::QuantileOverTime | MetricsOp::HistogramOverTime | MetricsOp::Compare => None,
        }
    }

    /// Inside a bucket values are taken to be spread evenly over its logarithm; none lies outside least and greatest.
    fn quantile(&self, step: usize, quantile: f64) -> Option<f64> {
        let Step { count, min, max, .. } = self.steps[step];
        let rank = quantile * count as f64;
        let mut before = 0.0;
        for (bucket, spans) in self.buckets[step].iter() {
            let after = before + spans as f64;
            if after >= rank {
                let Some(bucket) = bucket else { return Some(min) };
                let part = ((rank - before) / spans as f64).clamp(0.0, 1.0);
                let value = 2f64.powf((f64::from(bucket) - 1.0 + part) / BUCKETS_PER_DOUBLING);
                return Some(value.clamp(min, max));
            }
            before = after;
        }
        None
    }

    /// A series for each bucket, named by its upper end.
    fn histogram(&self, steps: Steps, labels: &[(String, SpanValue)]) -> Vec<TraceSeries> {
        let mut all: BTreeMap<Option<i32>, Vec<(i64, f64)>> = BTreeMap::new();
        for (step, buckets) in self.buckets.iter().enumerate() {
            for (bucket, count) in buckets.iter() {
                all.entry(bucket).or_default().push((steps.at_ms(step), count as f64));
            }
        }
        let end = |bucket: Option<i32>| bucket.map_or(0.0, |bucket| 2f64.powi(bucket));
        all.into_iter().map(|(bucket, points)| labelled(labels, "__bucket", SpanValue::Double(end(bucket)), points)).collect()
    }
}

fn labelled(labels: &[(String, SpanValue)], name: &str, value: SpanValue, points: Vec<(i64, f64)>) -> TraceSeries {
    let mut labels = labels.to_vec();
    labels.push((name.to_owned(), value));
    TraceSeries { labels, points, exemplars: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near() {
        let mut all = Accumulator::new(MetricsOp::QuantileOverTime, 1);
        for value in 1..=1000 {
            all.add(0, Some(f64::from(value) / 100.0));
        }
        for (quantile, expect) in [(0.0, 0.01), (0.5, 5.0), (0.9, 9.0), (0.99, 9.9), (1.0, 10.0)] {
            let found = all.quantile(0, quantile).unwrap();
            assert!((found - expect).abs() <= 0.045 * expect, "{quantile}: {found}");
        }
        let mut one = Accumulator::new(MetricsOp::QuantileOverTime, 1);
        one.add(0, Some(0.3));
        assert_eq!(one.quantile(0, 0.5), Some(0.3));
    }
}
