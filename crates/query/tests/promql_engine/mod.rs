use std::sync::Arc;

use async_trait::async_trait;
use lang::promql::Features;
use model::samples::{SamplesBuilder, SeriesRow};
use model::{Answer, Ask, Error, Query, Request, Result, Scan};
use query::promql::{PromqlEngine, PromqlOptions};

/// The engine alone behind the trait that suites speak.
pub(crate) struct Engine(PromqlEngine);

impl Engine {
    pub(crate) fn over(scan: Arc<dyn Scan>) -> Arc<dyn Query> {
        Arc::new(Self(PromqlEngine::new(scan, PromqlOptions { features: Features::ALL, ..PromqlOptions::default() })))
    }
}

#[async_trait]
impl Query for Engine {
    async fn query(&self, request: Request) -> Result<Answer> {
        let Request { ask, limits } = request;
        match ask {
            Ask::PromqlInstant { query, at_ms, lookback } => self.0.instant(&query, at_ms, lookback, &limits).await,
            Ask::PromqlRange { query, start_ms, end_ms, step_ms, lookback } => {
                self.0.range(&query, start_ms, end_ms, step_ms, lookback, &limits).await
            }
            _ => Err(Error::unsupported("cannot answer anything but PromQL here")),
        }
    }
}

/// An hour of series under the names and labels that the compliance queries use.
#[allow(dead_code)]
pub(crate) fn demo_series() -> arrow::array::RecordBatch {
    let mut builder = SamplesBuilder::default();
    for instance in 0..3 {
        let instance = format!("demo.promlabs.com:1000{instance}");
        for (name, label, values) in [
            ("demo_memory_usage_bytes", "type", ["free", "used", "cached"]),
            ("demo_cpu_usage_seconds_total", "mode", ["idle", "user", "system"]),
            ("demo_api_request_duration_seconds_bucket", "le", ["0.1", "1", "+Inf"]),
        ] {
            for (index, value) in values.into_iter().enumerate() {
                for step in 0..240 {
                    builder.float(step * 15_000, (step * (index as i64 + 1)) as f64);
                }
                let mut labels = [("instance", instance.as_str()), ("job", "demo"), (label, value)];
                labels.sort_unstable();
                builder.push_series(&SeriesRow { name, ..SeriesRow::default() }, labels.into_iter());
            }
        }
    }
    for instance in ["a", "b", "c"] {
        builder.floats(&[0, 1_800_000, 3_500_000], &[8.0, 8.0, 8.0]);
        builder.push_series(&SeriesRow { name: "demo_num_cpus", ..SeriesRow::default() }, [("instance", instance)].into_iter());
    }
    builder.finish()
}
