//! What the tests ask of a stretch of simulated time.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric::Data, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use sim::{Fault, Telemetry, World, WorldOptions, service_name};

/// A second after which no deployment is due for more than an hour.
pub(crate) const QUIET: u64 = 1_759_996_500;

pub(crate) fn world(seed: u64, start: u64, journeys_per_second: f64, faults: &[Fault]) -> World {
    World::new(WorldOptions { journeys_per_second, faults: faults.to_vec(), ..WorldOptions::new(seed, start) })
}

#[derive(Default)]
pub(crate) struct Story {
    /// With the service that sent them.
    pub(crate) spans: Vec<(String, Span)>,
    pub(crate) logs: Vec<(String, LogRecord)>,
    pub(crate) metrics: Vec<(String, BTreeMap<String, String>, Metric)>,
    pub(crate) remote_write_samples: usize,
    pub(crate) loki_entries: usize,
}

impl Story {
    pub(crate) fn of(telemetry: Vec<Telemetry>) -> Self {
        let mut story = Self::default();
        for payload in telemetry {
            match payload {
                Telemetry::Logs(request) => {
                    for resource in request.resource_logs {
                        let service = service_name(resource.resource.as_ref().unwrap()).to_owned();
                        let records = resource.scope_logs.into_iter().flat_map(|scope| scope.log_records);
                        story.logs.extend(records.map(|record| (service.clone(), record)));
                    }
                }
                Telemetry::Spans(request) => {
                    for resource in request.resource_spans {
                        let service = service_name(resource.resource.as_ref().unwrap()).to_owned();
                        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                        story.spans.extend(spans.map(|span| (service.clone(), span)));
                    }
                }
                Telemetry::Metrics(request) => {
                    for resource in request.resource_metrics {
                        let attributes = resource.resource.as_ref().unwrap();
                        let service = service_name(attributes).to_owned();
                        let labels: BTreeMap<_, _> = attributes.attributes.iter().map(|pair| (pair.key.clone(), text(pair))).collect();
                        let metrics = resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
                        story.metrics.extend(metrics.map(|metric| (service.clone(), labels.clone(), metric)));
                    }
                }
                Telemetry::RemoteWrite(request) => {
                    story.remote_write_samples += request.timeseries.iter().map(|series| series.samples.len()).sum::<usize>();
                }
                Telemetry::Loki(push) => story.loki_entries += push.streams.iter().map(|stream| stream.values.len()).sum::<usize>(),
            }
        }
        story
    }

    /// Lives `seconds`, and lets what has begun come to its end.
    pub(crate) fn told_by(mut world: World, seconds: u64) -> Self {
        let end = world.now_unix_seconds() + seconds;
        Self::of(world.tick(end))
    }

    pub(crate) fn events(&self, name: &str) -> Vec<&LogRecord> {
        self.logs.iter().map(|(_, record)| record).filter(|record| record.event_name == name).collect()
    }

    /// The points of a number metric in the order of time, with their resource's attributes.
    pub(crate) fn numbers(&self, name: &str) -> Vec<(&BTreeMap<String, String>, &NumberDataPoint)> {
        let mut found = Vec::new();
        for (_, resource, metric) in self.metrics.iter().filter(|(_, _, metric)| metric.name == name) {
            let points = match metric.data.as_ref().unwrap() {
                Data::Sum(sum) => &sum.data_points,
                Data::Gauge(gauge) => &gauge.data_points,
                other => panic!("{name} holds numbers, not {other:?}"),
            };
            found.extend(points.iter().map(|point| (resource, point)));
        }
        found
    }

    /// The last value of every series of a counter, summed.
    pub(crate) fn counted(&self, name: &str, keep: impl Fn(&NumberDataPoint) -> bool) -> f64 {
        let mut last: BTreeMap<(String, String), f64> = BTreeMap::new();
        for (resource, point) in self.numbers(name).into_iter().filter(|(_, point)| keep(point)) {
            let series = point.attributes.iter().map(|pair| format!("{}={},", pair.key, text(pair))).collect();
            last.insert((resource["service.instance.id"].clone(), series), number(point));
        }
        last.values().sum()
    }
}

pub(crate) fn number(point: &NumberDataPoint) -> f64 {
    match point.value.as_ref().unwrap() {
        number_data_point::Value::AsDouble(value) => *value,
        number_data_point::Value::AsInt(value) => *value as f64,
    }
}

pub(crate) fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a any_value::Value> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

/// An attribute's value as text; empty when it is missing.
pub(crate) fn get(attributes: &[KeyValue], key: &str) -> String {
    attributes.iter().find(|attribute| attribute.key == key).map(text).unwrap_or_default()
}

fn text(pair: &KeyValue) -> String {
    match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::ArrayValue(list)) => format!("{list:?}"),
        _ => String::new(),
    }
}

pub(crate) fn body(record: &LogRecord) -> &str {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}
