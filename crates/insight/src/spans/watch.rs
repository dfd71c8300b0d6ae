use std::time::Duration;

use arrow::array::RecordBatch;
use model::{Decoded, Result};

use super::asked::Asked;
use super::calls::SpanMetrics;
use super::graph::Graph;
use super::minutes::Minutes;
use super::options::SpanOptions;
use super::rows::SampleRows;
use super::span::Spans;

/// Spans go in as they arrive, samples come out as often as somebody asks. Times are milliseconds since the Unix epoch, of one
/// clock that is never set back.
pub struct SpanWatch {
    asked: Asked,
    calls: SpanMetrics,
    graph: Graph,
    minutes: Minutes,
    span_age_max_ms: i64,
    series_idle_max_ms: i64,
}

impl SpanWatch {
    /// `turn` is any number that differs from start to start.
    pub fn new(options: &SpanOptions, turn: i64) -> Self {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let mut asked = Asked::default();
        Self {
            calls: SpanMetrics::new(options),
            graph: Graph::new(options, &mut asked),
            minutes: Minutes::new(options.minutes_max, turn),
            span_age_max_ms: millis(options.span_age_max),
            series_idle_max_ms: millis(options.series_idle_max),
            asked,
        }
    }

    /// Looks at a batch of spans that are identified and durable.
    pub fn take(&mut self, spans: &RecordBatch, now_ms: i64) -> Result<()> {
        self.graph.expire(&mut self.minutes, now_ms);
        let (mut late, mut nameless) = (0, 0);
        for (span, bytes) in Spans::of(spans, &self.asked)?.each() {
            // What ended in the future comes from a clock that is wrong, and is as little of now.
            let is_late = now_ms.saturating_sub(span.end_ns() / 1_000_000).saturating_abs() > self.span_age_max_ms;
            if is_late {
                late += 1;
            } else {
                self.calls.take(span, bytes, now_ms);
            }
            if span.sender.name.is_empty() {
                nameless += 1;
                continue;
            }
            self.minutes.component(span);
            self.graph.take(span, is_late, &mut self.minutes, now_ms)?;
        }
        metrics::counter!("tyto_insight_spans_total").increment(spans.num_rows() as u64);
        for (reason, count) in [("age", late), ("no_service", nameless)] {
            metrics::counter!("tyto_insight_spans_skipped_total", "reason" => reason).increment(count);
        }
        Ok(())
    }

    /// Whether samples should be asked for before their time.
    pub fn is_full(&self) -> bool {
        self.minutes.is_full()
    }

    /// The samples of now, in batches.
    pub fn emit(&mut self, now_ms: i64) -> Vec<Decoded> {
        self.graph.expire(&mut self.minutes, now_ms);
        let mut rows = SampleRows::default();
        self.calls.tell(&mut rows, now_ms, self.series_idle_max_ms);
        self.graph.metrics.tell(&mut rows, now_ms, self.series_idle_max_ms);
        self.minutes.tell(&mut rows);
        metrics::gauge!("tyto_insight_edges_waiting").set(self.graph.waiting() as f64);
        metrics::gauge!("tyto_insight_label_sets", "family" => "span_metrics").set(self.calls.len() as f64);
        metrics::gauge!("tyto_insight_label_sets", "family" => "service_graph").set(self.graph.metrics.len() as f64);
        rows.finish()
    }
}
