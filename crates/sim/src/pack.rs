//! Joins the payloads of single pods into requests of a good size, as a collector in front of them would.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::wire::{LokiPush, WriteRequest};
use crate::world::Telemetry;

/// The component that speaks OTLP over gRPC; the others speak it over HTTP.
pub const GRPC_COMPONENT: &str = "payment-gateway";

/// What travels together and in order. Different lanes may travel at once; within a lane a series' samples stay in the order they were lived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    Logs,
    Spans,
    Metrics,
    Grpc,
    RemoteWrite,
    Loki,
}

impl Lane {
    pub const ALL: [Self; 6] = [Self::Logs, Self::Spans, Self::Metrics, Self::Grpc, Self::RemoteWrite, Self::Loki];
}

/// One request to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    pub lane: Lane,
    pub telemetry: Telemetry,
}

impl Load {
    pub fn of(telemetry: Telemetry) -> Self {
        Self { lane: lane(&telemetry), telemetry }
    }

    pub fn records(&self) -> usize {
        records(&self.telemetry)
    }
}

/// Joins what shares a lane and a signal, in order, until a request holds `records_target` records. A single payload is never
/// cut, so a request may be larger than the target by one payload.
pub fn pack(telemetry: impl IntoIterator<Item = Telemetry>, records_target: usize) -> Vec<Load> {
    let mut full = Vec::new();
    let mut open: Vec<(Load, usize)> = Vec::new();
    for payload in telemetry {
        let (lane, count) = (lane(&payload), records(&payload));
        let same =
            |(load, _): &(Load, usize)| load.lane == lane && std::mem::discriminant(&load.telemetry) == std::mem::discriminant(&payload);
        let Some(index) = open.iter().position(same) else {
            open.push((Load { lane, telemetry: payload }, count));
            continue;
        };
        if open[index].1 >= records_target {
            let next = Load { lane, telemetry: payload };
            full.push(std::mem::replace(&mut open[index], (next, count)).0);
        } else {
            join(&mut open[index].0.telemetry, payload);
            open[index].1 += count;
        }
    }
    full.extend(open.into_iter().map(|(load, _)| load));
    full
}

fn join(into: &mut Telemetry, payload: Telemetry) {
    match (into, payload) {
        (Telemetry::Logs(into), Telemetry::Logs(more)) => into.resource_logs.extend(more.resource_logs),
        (Telemetry::Spans(into), Telemetry::Spans(more)) => into.resource_spans.extend(more.resource_spans),
        (Telemetry::Metrics(into), Telemetry::Metrics(more)) => into.resource_metrics.extend(more.resource_metrics),
        (Telemetry::RemoteWrite(into), Telemetry::RemoteWrite(more)) => into.timeseries.extend(more.timeseries),
        (Telemetry::Loki(into), Telemetry::Loki(more)) => join_streams(into, more),
        _ => unreachable!("only payloads of one kind are joined"),
    }
}

fn join_streams(into: &mut LokiPush, more: LokiPush) {
    for stream in more.streams {
        match into.streams.iter_mut().find(|other| other.stream == stream.stream) {
            Some(other) => other.values.extend(stream.values),
            None => into.streams.push(stream),
        }
    }
}

fn lane(telemetry: &Telemetry) -> Lane {
    let resource = match telemetry {
        Telemetry::Logs(ExportLogsServiceRequest { resource_logs }) => resource_logs.first().and_then(|one| one.resource.as_ref()),
        Telemetry::Spans(ExportTraceServiceRequest { resource_spans }) => resource_spans.first().and_then(|one| one.resource.as_ref()),
        Telemetry::Metrics(ExportMetricsServiceRequest { resource_metrics }) => {
            resource_metrics.first().and_then(|one| one.resource.as_ref())
        }
        Telemetry::RemoteWrite(_) => return Lane::RemoteWrite,
        Telemetry::Loki(_) => return Lane::Loki,
    };
    match telemetry {
        _ if resource.is_some_and(|resource| service_name(resource) == GRPC_COMPONENT) => Lane::Grpc,
        Telemetry::Logs(_) => Lane::Logs,
        Telemetry::Spans(_) => Lane::Spans,
        _ => Lane::Metrics,
    }
}

/// `service.name`, empty when there is none.
pub fn service_name(resource: &Resource) -> &str {
    let found = resource.attributes.iter().find(|attribute| attribute.key == "service.name");
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name,
        _ => "",
    }
}

pub fn records(telemetry: &Telemetry) -> usize {
    match telemetry {
        Telemetry::Logs(request) => {
            request.resource_logs.iter().flat_map(|resource| &resource.scope_logs).map(|scope| scope.log_records.len()).sum()
        }
        Telemetry::Spans(request) => {
            request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).map(|scope| scope.spans.len()).sum()
        }
        Telemetry::Metrics(request) => {
            request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics).map(points).sum()
        }
        Telemetry::RemoteWrite(WriteRequest { timeseries }) => timeseries.iter().map(|series| series.samples.len()).sum(),
        Telemetry::Loki(LokiPush { streams }) => streams.iter().map(|stream| stream.values.len()).sum(),
    }
}

fn points(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    }
}
