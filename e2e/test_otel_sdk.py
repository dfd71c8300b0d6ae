"""The OpenTelemetry SDK for Python sends all three signals over gRPC and HTTP, and Tyto answers for each record."""

import logging

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

RESOURCE = Resource.create({
    "service.name": "registration-api",
    "service.instance.id": "pod-7",
    "omd.business_service": "login",
    "omd.component": "registration-api",
})


def exporters(server, protocol):
    if protocol == "grpc":
        common = {"endpoint": f"http://{server.otlp_grpc}", "insecure": True}
        return GrpcLogs(**common), GrpcSpans(**common), lambda **more: GrpcMetrics(**common, **more)
    base = f"http://{server.otlp_http if protocol == 'http' else server.http}/v1"
    common = {"compression": Compression.Gzip if protocol == "http" else Compression.NoCompression}
    return (
        HttpLogs(endpoint=f"{base}/logs", **common),
        HttpSpans(endpoint=f"{base}/traces", **common),
        lambda **more: HttpMetrics(endpoint=f"{base}/metrics", **common, **more),
    )


@pytest.mark.parametrize("protocol", ["grpc", "http", "http_main_port"])
def test_all_signals(tyto, protocol):
    log_exporter, span_exporter, metric_exporter = exporters(tyto, protocol)

    spans = TracerProvider(resource=RESOURCE)
    spans.add_span_processor(BatchSpanProcessor(span_exporter))
    tracer = spans.get_tracer("e2e", "1.2")
    logs = LoggerProvider(resource=RESOURCE)
    logs.add_log_record_processor(BatchLogRecordProcessor(log_exporter))
    logger = logging.getLogger(f"e2e-{protocol}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=logs))
    reader = PeriodicExportingMetricReader(metric_exporter(), export_interval_millis=3_600_000)
    meters = MeterProvider([reader], resource=RESOURCE, views=[
        View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation()),
    ])
    meter = meters.get_meter("e2e")

    with tracer.start_as_current_span("POST /register", kind=trace.SpanKind.SERVER) as parent:
        trace_id = format(parent.get_span_context().trace_id, "032x")
        for index in range(100):
            with tracer.start_as_current_span("DynamoDB.GetItem", kind=trace.SpanKind.CLIENT) as span:
                span.set_attribute("http.response.status_code", 404 if index == 7 else 200)
                span.add_event("retry", {"attempt": index})
                if index == 7:
                    span.set_status(Status(StatusCode.ERROR, "item not found"))
        logger.warning("patient %d registered", 42, extra={"ward": "B", "age": 61})
    meter.create_counter("registrations", unit="1").add(5, {"ward": "B"})
    meter.create_up_down_counter("queue_depth").add(-3)
    meter.create_gauge("temperature", unit="Cel").set(36.5)
    histogram = meter.create_histogram("request_duration", unit="s")
    exponential = meter.create_histogram("exponential")
    for value in [0.01, 0.2, 3.0]:
        histogram.record(value)
        exponential.record(value)
    for provider in (spans, logs, meters):
        provider.shutdown()

    # Traces
    assert tyto.one("select count(*) from spans") == 101
    assert tyto.sql("select business_service, component, service_name, count(*) from spans group by 1, 2, 3") == [
        ("login", "registration-api", "registration-api", 101)]
    assert tyto.sql("select status_message, kind, attributes['http.response.status_code'] from spans where status_code = 'error'") == [
        ("item not found", "client", "404")]
    found = tyto.get(f"/tempo/api/v2/traces/{trace_id}")["trace"]["resourceSpans"]
    assert sum(len(scope["spans"]) for resource in found for scope in resource["scopeSpans"]) == 101
    jaeger = tyto.get(f"/jaeger/api/traces/{trace_id}")["data"]
    assert len(jaeger[0]["spans"]) == 101

    # Logs
    [stream] = tyto.logql('{service_name="registration-api"} |= "patient" | ward="B"')
    assert stream["values"][0][1] == "patient 42 registered"
    assert tyto.sql("select severity_text, trace_id, attributes['age'] from logs") == [("WARN", trace_id, "61")]

    # Metrics, by the names that OpenTelemetry's Prometheus compatibility gives them
    def value(query):
        [sample] = tyto.promql(query)
        return float(sample["value"][1])

    assert value('registrations_total{ward="B", job="registration-api", business_service="login"}') == 5
    assert value("queue_depth") == -3
    assert value("temperature_celsius") == 36.5
    assert value("request_duration_seconds_count") == 3
    assert value('request_duration_seconds_bucket{le="+Inf"}') == 3
    assert abs(value("request_duration_seconds_sum") - 3.21) < 1e-9
    assert value("histogram_count(exponential)") == 3
    [[kind]] = tyto.sql("select distinct type from samples where name = 'registrations_total'")
    assert kind == "counter"


def test_delta_temporality_becomes_cumulative(tyto):
    delta = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
    _, _, metric_exporter = exporters(tyto, "grpc")
    reader = PeriodicExportingMetricReader(metric_exporter(preferred_temporality=delta), export_interval_millis=3_600_000)
    meters = MeterProvider([reader], resource=RESOURCE)
    counter = meters.get_meter("e2e").create_counter("plays")
    for _ in range(3):
        counter.add(10)
        meters.force_flush()
    meters.shutdown()
    points = tyto.sql("select value from points where name = 'plays_total' order by time_unix_nano")
    assert points == [(10,), (20,), (30,)]
