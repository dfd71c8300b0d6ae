//! What OpenTelemetry's own types encode is what we decode; JSON of the same request gives the same batch; and no bytes panic.

use model::logs::LogsView;
use model::samples::SamplesView;
use model::spans::SpansView;
use model::{Decoded, NativeHistogram, ReceiveLimits};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use prost::Message;
use receive::otlp::{self, DeltaState};
use receive::{Rules, fluent, jaeger, loki, remote_write};

const NOW: i64 = 1_700_000_000_000_000_000;

fn with_rules<T>(run: impl FnOnce(&Rules<'_>) -> T) -> T {
    run(&Rules { limits: &ReceiveLimits::default(), now_unix_nano: NOW, protocol: "test" })
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn resource() -> Option<Resource> {
    let attributes =
        vec![text("service.name", "cart"), text("service.namespace", "shop"), text("omd.team", "web"), text("host.name", "h1")];
    Some(Resource { attributes, ..Resource::default() })
}

const RESOURCE_JSON: &str = r#"{"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}, {"key": "service.namespace", "value":
    {"stringValue": "shop"}}, {"key": "omd.team", "value": {"stringValue": "web"}}, {"key": "host.name", "value": {"stringValue": "h1"}}]}"#;

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "lib".to_owned(), version: "1.2".to_owned(), ..InstrumentationScope::default() })
}

fn logs() -> ExportLogsServiceRequest {
    let list = ArrayValue { values: vec![AnyValue { value: Some(Value::IntValue(-1)) }, AnyValue { value: Some(Value::BoolValue(true)) }] };
    let map = KeyValueList { values: vec![text("k", "v\"\n")] };
    let record = LogRecord {
        time_unix_nano: 1_600_000_000_000_000_001,
        observed_time_unix_nano: 1_600_000_000_000_000_002,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue("it broke".to_owned())) }),
        attributes: vec![
            attribute("retries", Value::IntValue(i64::MIN)),
            attribute("ratio", Value::DoubleValue(0.5)),
            attribute("raw", Value::BytesValue(vec![0, 255])),
            attribute("list", Value::ArrayValue(list)),
            attribute("map", Value::KvlistValue(map)),
        ],
        dropped_attributes_count: 2,
        flags: 1,
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        event_name: "failure".to_owned(),
    };
    let second = LogRecord { body: None, trace_id: vec![1, 2], ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records: vec![record, second], ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }] }
}

fn logs_json() -> String {
    format!(
        r#"{{"resourceLogs": [{{"scopeLogs": [{{"scope": {{"name": "lib", "version": "1.2"}}, "logRecords": [{{
        "timeUnixNano": "1600000000000000001", "observed_time_unix_nano": 1600000000000000002, "severityNumber": "SEVERITY_NUMBER_ERROR",
        "severityText": "ERROR", "body": {{"stringValue": "it broke"}}, "unknown": [{{"x": 1}}], "attributes": [
        {{"key": "retries", "value": {{"intValue": "-9223372036854775808"}}}}, {{"key": "ratio", "value": {{"doubleValue": "0.5"}}}},
        {{"key": "raw", "value": {{"bytesValue": "AP8="}}}},
        {{"key": "list", "value": {{"arrayValue": {{"values": [{{"intValue": -1}}, {{"boolValue": true}}]}}}}}},
        {{"key": "map", "value": {{"kvlistValue": {{"values": [{{"key": "k", "value": {{"stringValue": "v\"\n"}}}}]}}}}}}],
        "droppedAttributesCount": 2, "flags": 1, "traceId": "0102030405060708090A0b0c0d0e0f10", "spanId": "0102030405060708",
        "eventName": "failure"}}, {{"body": null, "traceId": "0102"}}]}}], "resource": {RESOURCE_JSON}}}]}}"#
    )
}

#[test]
fn logs_come_back_by_value() {
    let decoded = with_rules(|rules| otlp::decode_logs(&logs().encode_to_vec(), rules)).expect("valid");
    assert!(decoded.rejections.is_empty());
    let rows = decoded.rows().expect("canonical");
    let view = LogsView::of(&rows).expect("canonical");
    assert_eq!((view.time.value(0), view.time.value(1)), (1_600_000_000_000_000_001, NOW));
    assert_eq!((view.severity_number.value(0), view.severity_text.value(0)), (17, "ERROR"));
    assert_eq!((view.body.value(0), view.service_name.value(0)), ("it broke", "cart"));
    assert_eq!((view.trace_id.value(0), view.span_id.value(0)), ("0102030405060708090a0b0c0d0e0f10", "0102030405060708"));
    let attributes: Vec<_> = view.attributes.iter_typed(0).map(|(key, kind, text)| (key, kind.letter(), text)).collect();
    let expect = [
        ("retries", 'i', "-9223372036854775808"),
        ("ratio", 'd', "0.5"),
        ("raw", 'y', "AP8="),
        ("list", 'a', r#"[{"intValue":"-1"},{"boolValue":true}]"#),
        ("map", 'm', r#"[{"key":"k","value":{"stringValue":"v\"\n"}}]"#),
    ];
    assert_eq!(attributes, expect);
    assert_eq!(view.resource_attributes.get(1, "host.name"), Some("h1"));
}

#[test]
fn json_and_protobuf_of_one_request_give_one_batch() {
    let same = |protobuf: Decoded, json: Decoded| {
        assert_eq!(protobuf.records, json.records);
        assert_eq!(protobuf.rejections, json.rejections);
    };
    with_rules(|rules| {
        let protobuf = otlp::decode_logs(&logs().encode_to_vec(), rules).expect("protobuf");
        same(protobuf, otlp::decode_logs_json(logs_json().as_bytes(), rules).expect("json"));
        let protobuf = otlp::decode_traces(&traces().encode_to_vec(), rules).expect("protobuf");
        same(protobuf, otlp::decode_traces_json(traces_json().as_bytes(), rules).expect("json"));
        let protobuf = otlp::decode_metrics(&gauges().encode_to_vec(), rules, &DeltaState::default()).expect("protobuf");
        same(protobuf, otlp::decode_metrics_json(gauges_json().as_bytes(), rules, &DeltaState::default()).expect("json"));
    });
}

fn traces() -> ExportTraceServiceRequest {
    let event = span::Event {
        time_unix_nano: 15,
        name: "exception".to_owned(),
        attributes: vec![text("exception.type", "NotFound")],
        ..Default::default()
    };
    let link = span::Link { trace_id: vec![7; 16], span_id: vec![8; 8], trace_state: "a=b".to_owned(), ..Default::default() };
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        parent_span_id: vec![3; 8],
        name: "GetItem".to_owned(),
        kind: 3,
        start_time_unix_nano: 10,
        end_time_unix_nano: 30,
        attributes: vec![attribute("http.status_code", Value::IntValue(404))],
        events: vec![event],
        links: vec![link, span::Link::default()],
        status: Some(Status { code: 2, message: "not found".to_owned() }),
        ..Span::default()
    };
    let backwards =
        Span { trace_id: vec![1; 16], span_id: vec![4; 8], start_time_unix_nano: 30, end_time_unix_nano: 10, ..Span::default() };
    let anonymous = Span { trace_id: vec![0; 16], span_id: vec![4; 8], ..Span::default() };
    let scope_spans = vec![ScopeSpans { scope: scope(), spans: vec![span, backwards, anonymous], ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }] }
}

fn traces_json() -> String {
    format!(
        r#"{{"resource_spans": [{{"resource": {RESOURCE_JSON}, "scope_spans": [{{"scope": {{"name": "lib", "version": "1.2"}}, "spans": [
        {{"traceId": "01010101010101010101010101010101", "spanId": "0202020202020202", "parentSpanId": "0303030303030303", "name": "GetItem",
        "kind": "SPAN_KIND_CLIENT", "startTimeUnixNano": "10", "endTimeUnixNano": 30, "attributes": [{{"key": "http.status_code",
        "value": {{"intValue": "404"}}}}], "events": [{{"timeUnixNano": "15", "name": "exception", "attributes": [{{"key": "exception.type",
        "value": {{"stringValue": "NotFound"}}}}]}}], "links": [{{"traceId": "07070707070707070707070707070707", "spanId": "0808080808080808",
        "traceState": "a=b"}}, {{}}], "status": {{"code": "STATUS_CODE_ERROR", "message": "not found"}}}},
        {{"traceId": "01010101010101010101010101010101", "spanId": "0404040404040404", "startTimeUnixNano": 30, "endTimeUnixNano": 10}},
        {{"traceId": "00000000000000000000000000000000", "spanId": "0404040404040404"}}]}}]}}]}}"#
    )
}

#[test]
fn spans_come_back_by_value() {
    let decoded = with_rules(|rules| otlp::decode_traces(&traces().encode_to_vec(), rules)).expect("valid");
    let told: Vec<_> = decoded.rejections.iter().map(|refused| (refused.records, refused.reason, refused.field.as_str())).collect();
    let at = |rest: &str| format!("resourceSpans[0].scopeSpans[0].{rest}");
    assert_eq!(told, [(0, "invalid_id", at("spans[0].links[1]").as_str()), (1, "invalid_id", at("spans[2].traceId").as_str())]);
    let rows = decoded.rows().expect("canonical");
    let view = SpansView::of(&rows).expect("canonical");
    assert_eq!((view.name.value(0), view.kind.value(0), view.status_code.value(0)), ("GetItem", "client", "error"));
    assert_eq!((view.duration.value(0), view.duration.value(1), view.end.value(1)), (20, 0, 30));
    assert_eq!(view.parent_span_id.value(0), "0303030303030303");
    assert_eq!(view.events(0).expect("events").attributes.get(0, "exception.type"), Some("NotFound"));
    let links = view.links(0).expect("links");
    assert_eq!((links.range.clone(), links.text("trace_state").expect("text").value(0)), (0..1, "a=b"));
}

fn request(metrics: Vec<metrics::Metric>) -> ExportMetricsServiceRequest {
    let scope_metrics = vec![metrics::ScopeMetrics { scope: scope(), metrics, ..Default::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![metrics::ResourceMetrics { resource: resource(), scope_metrics, ..Default::default() }],
    }
}

fn metric(name: &str, unit: &str, data: metrics::metric::Data) -> metrics::Metric {
    metrics::Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Default::default() }
}

const MS: u64 = 1_000_000;

fn number(time_ms: u64, value: f64) -> metrics::NumberDataPoint {
    let value = Some(metrics::number_data_point::Value::AsDouble(value));
    metrics::NumberDataPoint { time_unix_nano: time_ms * MS, value, attributes: vec![text("http.route", "/a")], ..Default::default() }
}

fn gauges() -> ExportMetricsServiceRequest {
    let stale = metrics::NumberDataPoint { flags: 1, value: None, ..number(3000, 0.0) };
    let whole = metrics::NumberDataPoint { value: Some(metrics::number_data_point::Value::AsInt(-7)), ..number(1000, 0.0) };
    let gauge = metrics::Gauge { data_points: vec![number(2000, f64::INFINITY), whole, stale] };
    request(vec![metric("cpu.utilization", "1", metrics::metric::Data::Gauge(gauge))])
}

fn gauges_json() -> String {
    let attributes = r#""attributes": [{"key": "http.route", "value": {"stringValue": "/a"}}]"#;
    format!(
        r#"{{"resourceMetrics": [{{"resource": {RESOURCE_JSON}, "scopeMetrics": [{{"scope": {{"name": "lib", "version": "1.2"}}, "metrics": [
        {{"name": "cpu.utilization", "unit": "1", "gauge": {{"dataPoints": [{{"timeUnixNano": "2000000000", "asDouble": "Infinity", {attributes}}},
        {{"timeUnixNano": 1000000000, "asInt": "-7", {attributes}}}, {{"timeUnixNano": "3000000000", "flags": 1, {attributes}}}]}}}}]}}]}}]}}"#
    )
}

/// Every float series as `name{labels} time=value ...`.
fn series(decoded: &Decoded) -> Vec<String> {
    let view = SamplesView::of(&decoded.records).expect("canonical");
    let rows = (0..decoded.records.num_rows()).map(|row| {
        let points = view.timestamps(row).expect("timestamps").iter().zip(view.floats(row).expect("floats"));
        let points: Vec<String> = points.map(|(time, value)| format!("{time}={value}")).collect();
        format!("{} {}", view.label_set(row), points.join(" "))
    });
    rows.collect()
}

fn decode(request: &ExportMetricsServiceRequest, deltas: &DeltaState) -> Decoded {
    with_rules(|rules| otlp::decode_metrics(&request.encode_to_vec(), rules, deltas)).expect("valid")
}

const COMMON: &str = r#"job="shop/cart", otel_scope_name="lib", otel_scope_version="1.2", team="web""#;

#[test]
fn gauges_are_named_grouped_and_marked_stale() {
    let decoded = decode(&gauges(), &DeltaState::default());
    let expect = [
        format!(r#"{{__name__="cpu_utilization_ratio", http_route="/a", {COMMON}}} 1000=-7 2000=inf 3000=NaN"#),
        r#"{__name__="target_info", host_name="h1", job="shop/cart", omd_team="web", team="web"} 3000=1"#.to_owned(),
    ];
    assert_eq!(series(&decoded), expect);
    let view = SamplesView::of(&decoded.records).expect("canonical");
    assert_eq!(view.floats(0).expect("floats")[2].to_bits(), 0x7ff0_0000_0000_0002);
}

#[test]
fn delta_sums_run_on_from_request_to_request() {
    let sum = |time_ms, value| {
        let sum = metrics::Sum { data_points: vec![number(time_ms, value)], aggregation_temporality: 1, is_monotonic: true };
        request(vec![metric("requests", "{request}", metrics::metric::Data::Sum(sum))])
    };
    let deltas = DeltaState::default();
    let first = |decoded: &Decoded| series(decoded).first().cloned().unwrap_or_default();
    let name = format!(r#"{{__name__="requests_total", http_route="/a", {COMMON}}}"#);
    assert_eq!(first(&decode(&sum(1000, 2.0), &deltas)), format!("{name} 1000=2"));
    assert_eq!(first(&decode(&sum(2000, 3.0), &deltas)), format!("{name} 2000=5"));
    assert_eq!(first(&decode(&sum(2000, 3.0), &deltas)), format!("{name} 2000=5"));
    let late = decode(&sum(1500, 1.0), &deltas);
    assert_eq!((late.rejections[0].reason, late.rejections[0].records), ("out_of_order", 1));
    assert_eq!(late.records.num_rows(), 0);
}

#[test]
fn histograms_become_buckets_with_their_exemplars() {
    let exemplar = metrics::Exemplar {
        time_unix_nano: 900 * MS,
        trace_id: vec![5; 16],
        value: Some(metrics::exemplar::Value::AsDouble(0.2)),
        ..Default::default()
    };
    let point = metrics::HistogramDataPoint {
        time_unix_nano: 1000 * MS,
        count: 6,
        sum: Some(7.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.1, 1.0],
        exemplars: vec![exemplar],
        ..Default::default()
    };
    let wrong = metrics::HistogramDataPoint { bucket_counts: vec![1], ..point.clone() };
    let histogram = metrics::Histogram { data_points: vec![point, wrong], aggregation_temporality: 2 };
    let decoded = decode(&request(vec![metric("latency", "s", metrics::metric::Data::Histogram(histogram))]), &DeltaState::default());
    let bucket = |le: &str, count: u32| {
        format!(
            r#"{{__name__="latency_seconds_bucket", job="shop/cart", le="{le}", otel_scope_name="lib", otel_scope_version="1.2", team="web"}} 1000={count}"#
        )
    };
    let expect = [
        bucket("0.1", 1),
        bucket("1", 3),
        bucket("+Inf", 6),
        format!(r#"{{__name__="latency_seconds_count", {COMMON}}} 1000=6"#),
        format!(r#"{{__name__="latency_seconds_sum", {COMMON}}} 1000=7.5"#),
    ];
    assert_eq!(series(&decoded)[..5], expect);
    assert_eq!(decoded.rejections[0].field, "resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[1]");
    let view = SamplesView::of(&decoded.records).expect("canonical");
    let mut seen = Vec::new();
    view.for_each_exemplar(1, |exemplar| seen.push((exemplar.timestamp_ms, exemplar.trace_id.to_owned()))).expect("exemplars");
    assert_eq!(seen, [(900, "05".repeat(16))]);
}

#[test]
fn exponential_histograms_and_summaries() {
    let buckets = metrics::exponential_histogram_data_point::Buckets { offset: -1, bucket_counts: vec![1, 0, 2] };
    let point = metrics::ExponentialHistogramDataPoint {
        time_unix_nano: 1000 * MS,
        count: 4,
        sum: Some(5.0),
        scale: 0,
        zero_count: 1,
        positive: Some(buckets),
        ..Default::default()
    };
    let coarse = metrics::ExponentialHistogramDataPoint { scale: -5, ..point.clone() };
    let exponential = metrics::ExponentialHistogram { data_points: vec![point, coarse], aggregation_temporality: 2 };
    let quantile = metrics::summary_data_point::ValueAtQuantile { quantile: 0.5, value: 2.0 };
    let point =
        metrics::SummaryDataPoint { time_unix_nano: 1000 * MS, count: 3, sum: 6.0, quantile_values: vec![quantile], ..Default::default() };
    let summary = metrics::Summary { data_points: vec![point] };
    let decoded = decode(
        &request(vec![
            metric("size", "By", metrics::metric::Data::ExponentialHistogram(exponential)),
            metric("age", "", metrics::metric::Data::Summary(summary)),
        ]),
        &DeltaState::default(),
    );
    assert_eq!(decoded.rejections[0].reason, "invalid_scale");
    let view = SamplesView::of(&decoded.records).expect("canonical");
    let expect = NativeHistogram {
        count: 4.0,
        sum: 5.0,
        zero_threshold: 1e-128,
        zero_count: 1.0,
        positive: vec![(0, 1.0), (2, 2.0)],
        ..NativeHistogram::default()
    };
    assert_eq!((view.name.value(0), view.histograms(0).expect("histograms")), ("size_bytes", vec![expect]));
    let names: Vec<_> = series(&decoded).into_iter().skip(1).take(3).collect();
    assert_eq!(
        names[0],
        r#"{__name__="age", job="shop/cart", otel_scope_name="lib", otel_scope_version="1.2", quantile="0.5", team="web"} 1000=2"#
    );
    assert_eq!(names[1], format!(r#"{{__name__="age_count", {COMMON}}} 1000=3"#));
    assert_eq!(names[2], format!(r#"{{__name__="age_sum", {COMMON}}} 1000=6"#));
}

/// Remote write's messages, written down here by their public schema.
mod prometheus {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(crate) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) metadata: Vec<Metadata>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(crate) labels: Vec<Pair>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) exemplars: Vec<Exemplar>,
        #[prost(message, repeated, tag = "4")]
        pub(crate) histograms: Vec<Histogram>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Pair {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(string, tag = "2")]
        pub(crate) value: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Sample {
        #[prost(double, tag = "1")]
        pub(crate) value: f64,
        #[prost(int64, tag = "2")]
        pub(crate) timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub(crate) labels: Vec<Pair>,
        #[prost(double, tag = "2")]
        pub(crate) value: f64,
        #[prost(int64, tag = "3")]
        pub(crate) timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Span {
        #[prost(sint32, tag = "1")]
        pub(crate) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(crate) length: u32,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Histogram {
        #[prost(uint64, optional, tag = "1")]
        pub(crate) count_int: Option<u64>,
        #[prost(double, tag = "3")]
        pub(crate) sum: f64,
        #[prost(sint32, tag = "4")]
        pub(crate) schema: i32,
        #[prost(message, repeated, tag = "11")]
        pub(crate) positive_spans: Vec<Span>,
        #[prost(sint64, repeated, tag = "12")]
        pub(crate) positive_deltas: Vec<i64>,
        #[prost(int64, tag = "15")]
        pub(crate) timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(crate) kind: i32,
        #[prost(string, tag = "2")]
        pub(crate) name: String,
        #[prost(string, tag = "4")]
        pub(crate) help: String,
    }
}

fn write_request() -> prometheus::WriteRequest {
    let pair = |name: &str, value: &str| prometheus::Pair { name: name.to_owned(), value: value.to_owned() };
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let floats = prometheus::TimeSeries {
        labels: vec![pair("zone", "a"), pair("__name__", "up"), pair("job", "node"), pair("empty", "")],
        samples: vec![
            prometheus::Sample { value: 1.5, timestamp: 1000 },
            prometheus::Sample { value: stale, timestamp: 2000 },
            prometheus::Sample { value: 0.0, timestamp: -1 },
        ],
        exemplars: vec![prometheus::Exemplar { labels: vec![pair("trace_id", "abc"), pair("k", "v")], value: 9.0, timestamp: 1000 }],
        ..Default::default()
    };
    let histogram = prometheus::Histogram {
        count_int: Some(6),
        sum: 3.0,
        schema: 2,
        positive_spans: vec![prometheus::Span { offset: -2, length: 2 }, prometheus::Span { offset: 3, length: 1 }],
        positive_deltas: vec![1, 1, 1],
        timestamp: 3000,
    };
    let lying = prometheus::Histogram { positive_spans: vec![prometheus::Span { offset: 0, length: u32::MAX }], ..histogram.clone() };
    let histograms =
        prometheus::TimeSeries { labels: vec![pair("__name__", "h")], histograms: vec![histogram, lying], ..Default::default() };
    let twice = prometheus::TimeSeries {
        labels: vec![pair("__name__", "m"), pair("a", "1"), pair("a", "2")],
        samples: vec![Default::default()],
        ..Default::default()
    };
    let nameless = prometheus::TimeSeries { labels: vec![pair("a", "1")], samples: vec![Default::default()], ..Default::default() };
    let metadata = vec![prometheus::Metadata { kind: 1, name: "up".to_owned(), help: "Whether".to_owned() }];
    prometheus::WriteRequest { timeseries: vec![floats, histograms, twice, nameless], metadata }
}

#[test]
fn remote_write_comes_back_by_value() {
    let decoded = with_rules(|rules| remote_write::decode_remote_write(&write_request().encode_to_vec(), rules)).expect("valid");
    let reasons: Vec<_> = decoded.rejections.iter().map(|refused| (refused.reason, refused.field.as_str())).collect();
    let expect = [
        ("invalid_timestamp", "timeseries[0].samples[2].timestamp"),
        ("invalid_histogram", "timeseries[1].histograms[1]"),
        ("duplicate_label", "timeseries[2].labels"),
        ("missing_metric_name", "timeseries[3].labels"),
    ];
    assert_eq!(reasons, expect);
    let view = SamplesView::of(&decoded.records).expect("canonical");
    assert_eq!((view.name.value(0), view.timestamps(0).expect("timestamps").len()), ("up", 0));
    assert_eq!(series(&decoded)[1], r#"{__name__="up", job="node", zone="a"} 1000=1.5 2000=NaN"#);
    assert_eq!(view.floats(1).expect("floats")[1].to_bits(), 0x7ff0_0000_0000_0002);
    let mut seen = Vec::new();
    view.for_each_exemplar(1, |exemplar| seen.push((exemplar.trace_id.to_owned(), exemplar.labels.len()))).expect("exemplars");
    assert_eq!(seen, [("abc".to_owned(), 1)]);
    let histogram =
        NativeHistogram { schema: 2, count: 6.0, sum: 3.0, positive: vec![(-2, 1.0), (-1, 2.0), (3, 3.0)], ..NativeHistogram::default() };
    assert_eq!(view.histograms(2).expect("histograms"), [histogram]);
}

fn write(timeseries: Vec<prometheus::TimeSeries>) -> Decoded {
    let request = prometheus::WriteRequest { timeseries, metadata: Vec::new() };
    with_rules(|rules| remote_write::decode_remote_write(&request.encode_to_vec(), rules)).expect("valid")
}

fn up(samples: &[(i64, f64)]) -> prometheus::TimeSeries {
    let labels = vec![prometheus::Pair { name: "__name__".to_owned(), value: "up".to_owned() }];
    let samples = samples.iter().map(|&(timestamp, value)| prometheus::Sample { value, timestamp }).collect();
    prometheus::TimeSeries { labels, samples, ..Default::default() }
}

#[test]
fn samples_are_sorted_and_of_one_time_the_last_is_kept() {
    let decoded = write(vec![up(&[(3000, 1.0), (1000, 2.0), (3000, 3.0)]), up(&[(2000, 4.0), (1000, 5.0)])]);
    assert_eq!(series(&decoded), [r#"{__name__="up"} 1000=5 2000=4 3000=3"#]);
    assert_eq!(decoded.tally.repaired_values, [("duplicate_time", 2)]);
    let histogram = |timestamp, sum| prometheus::Histogram { timestamp, sum, ..Default::default() };
    let histograms = vec![histogram(2000, 1.0), histogram(1000, 2.0), histogram(2000, 3.0)];
    let decoded = write(vec![prometheus::TimeSeries { histograms, ..up(&[]) }]);
    let view = SamplesView::of(&decoded.records).expect("canonical");
    let sums: Vec<f64> = view.histograms(0).expect("histograms").iter().map(|histogram| histogram.sum).collect();
    assert_eq!((view.timestamps(0).expect("timestamps"), &sums[..]), (&[1000, 2000][..], &[2.0, 3.0][..]));
}

/// Prometheus's queue sends each exemplar as a series of its own, without samples.
#[test]
fn an_exemplar_meets_its_series_wherever_it_stands() {
    let exemplar = |timestamp| {
        let exemplars = vec![prometheus::Exemplar { labels: Vec::new(), value: 1.0, timestamp }];
        prometheus::TimeSeries { exemplars, ..up(&[]) }
    };
    let decoded = write(vec![exemplar(1500), up(&[(1000, 1.0)]), exemplar(500)]);
    assert!(decoded.rejections.is_empty(), "{:?}", decoded.rejections);
    let times = |decoded: &Decoded| {
        let view = SamplesView::of(&decoded.records).expect("canonical");
        let mut times = Vec::new();
        view.for_each_exemplar(0, |exemplar| times.push(exemplar.timestamp_ms)).expect("exemplars");
        (decoded.records.num_rows(), view.timestamps(0).expect("timestamps").len(), times)
    };
    assert_eq!(times(&decoded), (1, 1, vec![500, 1500]));
    assert_eq!(times(&write(vec![exemplar(7)])), (1, 0, vec![7]), "a row without points where there is no sample");
}

#[test]
fn native_histograms_that_would_poison_a_query_are_refused() {
    let check = |field: (u32, prost::encoding::WireType, Vec<u8>), expect: &str| {
        let (number, wire_type, bytes) = field;
        let mut histogram = Vec::new();
        prost::encoding::encode_key(number, wire_type, &mut histogram);
        histogram.extend(bytes);
        let mut body = up(&[]).encode_to_vec();
        message(4, &histogram, &mut body);
        let mut request = Vec::new();
        message(1, &body, &mut request);
        let decoded = with_rules(|rules| remote_write::decode_remote_write(&request, rules)).expect("valid");
        assert_eq!(decoded.rejections.first().map(|refused| refused.reason), Some(expect), "field {number}");
    };
    use prost::encoding::WireType::{LengthDelimited, SixtyFourBit, Varint};
    for number in [2, 5, 7] {
        check((number, SixtyFourBit, f64::NAN.to_le_bytes().to_vec()), "invalid_histogram");
        check((number, SixtyFourBit, (-1.0_f64).to_le_bytes().to_vec()), "invalid_histogram");
    }
    check((14, Varint, vec![4]), "invalid_histogram");
    let many = [vec![0xa9, 0x46], vec![0; 9001]].concat();
    check((12, LengthDelimited, many), "too_many_buckets");
}

/// A field that holds a message or text.
fn message(number: u32, content: &[u8], out: &mut Vec<u8>) {
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, out);
    prost::encoding::encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

#[test]
fn help_is_cut_off() {
    let help = "x".repeat(10_000);
    let metadata = vec![prometheus::Metadata { kind: 1, name: "up".to_owned(), help: help.clone() }];
    let request = prometheus::WriteRequest { timeseries: Vec::new(), metadata }.encode_to_vec();
    let decoded = with_rules(|rules| remote_write::decode_remote_write(&request, rules)).expect("valid");
    let otlp = {
        let mut request = gauges();
        request.resource_metrics[0].scope_metrics[0].metrics[0].description = help;
        decode(&request, &DeltaState::default())
    };
    for decoded in [decoded, otlp] {
        let help: &arrow::array::StringArray = model::schema::column(&decoded.records, "help").expect("a column");
        assert_eq!(help.value(0).len(), 4096);
        assert_eq!(decoded.tally.repaired_values, [("help_too_long", 1)]);
    }
}

#[test]
fn a_stale_histogram_needs_no_counts_and_scope_attributes_are_labels() {
    let point = metrics::HistogramDataPoint { time_unix_nano: 1000 * MS, explicit_bounds: vec![0.5], flags: 1, ..Default::default() };
    let histogram = metrics::Histogram { data_points: vec![point], aggregation_temporality: 2 };
    let mut request = request(vec![metric("h", "", metrics::metric::Data::Histogram(histogram))]);
    let scope = request.resource_metrics[0].scope_metrics[0].scope.get_or_insert_default();
    scope.attributes = vec![text("short.name", "x"), text("name", "loses")];
    let decoded = decode(&request, &DeltaState::default());
    let label = r#"otel_scope_name="lib", otel_scope_short_name="x", otel_scope_version="1.2", team="web"} 1000=NaN"#;
    let bucket = |le| format!(r#"{{__name__="h_bucket", job="shop/cart", le="{le}", {label}"#);
    assert_eq!(series(&decoded)[..2], [bucket("0.5"), bucket("+Inf")]);
}

#[test]
fn numbers_that_do_not_fit_refuse_the_json() {
    let log = |value: &str| format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"intValue":{value}}}}}]}}]}}]}}"#);
    let point = |field: &str| {
        format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","summary":{{"dataPoints":[{{{field}}}]}}}}]}}]}}]}}"#)
    };
    with_rules(|rules| {
        let refused = |result: model::Result<Decoded>, expect: &str| {
            let told = result.expect_err("refused").chain();
            assert!(told.contains(expect) && told.len() < 400, "{told}");
        };
        otlp::decode_logs_json(log("\"-9223372036854775808\"").as_bytes(), rules).expect("it fits");
        let huge = log("\"99999999999999999999\"");
        refused(otlp::decode_logs_json(huge.as_bytes(), rules), "int_value cannot be 99999999999999999999: send an integer of 64 bits");
        refused(otlp::decode_logs_json(log("1e30").as_bytes(), rules), "send an integer of 64 bits");
        refused(otlp::decode_logs_json(log(&format!("{:?}", "x".repeat(10_000))).as_bytes(), rules), "int_value cannot be text");
        let state = DeltaState::default();
        refused(otlp::decode_metrics_json(point(r#""count": -1"#).as_bytes(), rules, &state), "send an integer from 0, of 64 bits");
        refused(otlp::decode_metrics_json(point(r#""flags": 4294967296"#).as_bytes(), rules, &state), "send an integer from 0, of 32 bits");
    });
}

#[test]
fn an_observed_time_may_be_old_where_the_record_is_not() {
    let limits = ReceiveLimits { age_max: Some(std::time::Duration::from_secs(60)), ..ReceiveLimits::default() };
    let rules = Rules { limits: &limits, now_unix_nano: NOW, protocol: "test" };
    let mut request = logs();
    let record = &mut request.resource_logs[0].scope_logs[0].log_records[0];
    (record.time_unix_nano, record.observed_time_unix_nano) = (NOW as u64, 1);
    assert_eq!(otlp::decode_logs(&request.encode_to_vec(), &rules).expect("valid").records.num_rows(), 2);
    request.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano = 0;
    let decoded = otlp::decode_logs(&request.encode_to_vec(), &rules).expect("valid");
    assert_eq!((decoded.rejections[0].reason, decoded.records.num_rows()), ("too_old", 1));
}

/// Query relies on it: the column is the first of `service.name` and `service_name` that says something.
#[test]
fn the_service_name_of_logs_has_one_rule() {
    let check = |attributes: Vec<KeyValue>, expect: Option<&str>| {
        let mut request = logs();
        request.resource_logs[0].resource = Some(Resource { attributes: attributes.clone(), ..Resource::default() });
        let otlp = with_rules(|rules| otlp::decode_logs(&request.encode_to_vec(), rules)).expect("valid");
        let labels: serde_json::Map<_, _> = attributes
            .into_iter()
            .map(|pair| match pair.value.and_then(|any| any.value) {
                Some(Value::StringValue(value)) => (pair.key, value.into()),
                other => panic!("text, not {other:?}"),
            })
            .collect();
        let push = serde_json::json!({"streams": [{"stream": labels, "values": [["1", "x"]]}]}).to_string();
        let loki = with_rules(|rules| loki::decode_loki_json(push.as_bytes(), rules)).expect("valid");
        for decoded in [otlp, loki] {
            let rows = decoded.rows().expect("canonical");
            let view = LogsView::of(&rows).expect("canonical");
            assert_eq!(view.service_name.iter().next().flatten(), expect);
        }
    };
    check(vec![text("service_name", "b"), text("service.name", "a")], Some("a"));
    check(vec![text("service.name", ""), text("service_name", "b")], Some("b"));
    check(vec![text("service_name", "b")], Some("b"));
    check(vec![text("service", "c")], None);
}

#[test]
fn a_bad_metadata_name_refuses_its_entry_wherever_the_time_stands() {
    let (mut pair, mut entry, mut stream, mut push) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    message(1, &[0xff], &mut pair);
    message(3, &pair, &mut entry);
    message(1, &[8, 5], &mut entry);
    message(1, br#"{a="b"}"#, &mut stream);
    message(2, &entry, &mut stream);
    message(1, &stream, &mut push);
    let decoded = with_rules(|rules| loki::decode_loki(&push, rules)).expect("valid");
    assert_eq!((decoded.rejections[0].reason, decoded.records.num_rows()), ("invalid_attribute_name", 0));
}

/// A small generator: the same mutations in every run.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below.max(1) as u64).expect("below usize")
    }
}

type Entry = fn(&[u8], &Rules<'_>) -> model::Result<Decoded>;

/// Every truncation and thousands of seeded mutations: an answer or an error, never a panic, and whole batches.
#[test]
fn no_bytes_panic() {
    const LOKI: &[u8] = b"\x0a\x22\x0a\x09{a=\"b\"}  \x12\x15\x0a\x04\x08\x05\x10\x07\x12\x05hello\x1a\x06\x0a\x01k\x12\x01v";
    const LOKI_JSON: &[u8] = br#"{"streams":[{"stream":{"a":"b"},"values":[["5","line",{"k":"v"}]]},{"labels":"{a=\"b\"}","entries":[{"ts":"2020-01-01T00:00:00Z","line":"x"}]}]}"#;
    let metrics: Entry = |body, rules| otlp::decode_metrics(body, rules, &DeltaState::default());
    let metrics_json: Entry = |body, rules| otlp::decode_metrics_json(body, rules, &DeltaState::default());
    let entries: [(Entry, Vec<u8>); 9] = [
        (otlp::decode_logs, logs().encode_to_vec()),
        (otlp::decode_traces, traces().encode_to_vec()),
        (metrics, gauges().encode_to_vec()),
        (otlp::decode_logs_json, logs_json().into_bytes()),
        (otlp::decode_traces_json, traces_json().into_bytes()),
        (metrics_json, gauges_json().into_bytes()),
        (remote_write::decode_remote_write, write_request().encode_to_vec()),
        (loki::decode_loki, LOKI.to_vec()),
        (loki::decode_loki_json, LOKI_JSON.to_vec()),
    ];
    let mut random = Seeded(0x5eed);
    let mut decoded = 0;
    for (decode, sample) in &entries {
        let mut run = |bytes: &[u8]| decoded += with_rules(|rules| u32::from(decode(bytes, rules).is_ok()));
        (0..=sample.len()).for_each(|end| run(&sample[..end]));
        for _ in 0..2000 {
            let mut bytes = sample.clone();
            for _ in 0..=random.next(4) {
                let at = random.next(bytes.len());
                match random.next(4) {
                    0 => bytes[at] ^= 1 << random.next(8),
                    1 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.next(4)],
                    2 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, bytes[random.next(bytes.len())]),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            run(&bytes);
        }
    }
    assert!(decoded > 1000, "mutations must reach past the first check: {decoded}");
}

#[test]
fn limits_stop_nesting_and_amplification() {
    let mut nested = AnyValue { value: Some(Value::IntValue(1)) };
    for _ in 0..40 {
        nested = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: vec![nested] })) };
    }
    let mut request = logs();
    request.resource_logs[0].scope_logs[0].log_records[0].body = Some(nested);
    let decoded = with_rules(|rules| otlp::decode_logs(&request.encode_to_vec(), rules)).expect("valid");
    assert_eq!((decoded.rejections[0].reason, decoded.records.num_rows()), ("too_deep", 1));

    // A resource of 1 MB over records of two bytes would be gigabytes.
    let records = vec![LogRecord::default(); 5000];
    request.resource_logs[0].scope_logs[0].log_records = records;
    let resource = request.resource_logs[0].resource.get_or_insert_default();
    resource.attributes.push(text("big", &"x".repeat(1 << 20)));
    let error = with_rules(|rules| otlp::decode_logs(&request.encode_to_vec(), rules)).expect_err("too large");
    assert_eq!(error.code, model::Code::TooLarge);
    assert!(error.chain().contains("batch_bytes_max"), "{}", error.chain());
}

/// Small parts that each become much: all are counted before they are taken.
#[test]
fn bombs_are_refused_before_they_take_memory() {
    const PARTS: usize = 40_000;
    let limits = ReceiveLimits { batch_bytes_max: 1 << 20, ..ReceiveLimits::default() };
    let rules = Rules { limits: &limits, now_unix_nano: NOW, protocol: "test" };
    let within = |numbers: &[u32], content: Vec<u8>| {
        numbers.iter().rev().fold(content, |content, number| {
            let mut out = Vec::new();
            message(*number, &content, &mut out);
            out
        })
    };
    let with_empty = |mut head: Vec<u8>, number: u32| {
        (0..PARTS).for_each(|_| message(number, &[], &mut head));
        head
    };
    let stopped = |what: &str, result: model::Result<Decoded>| {
        let error = result.map(|decoded| decoded.records.num_rows()).expect_err(what);
        assert_eq!(error.code, model::Code::TooLarge, "{what}: {}", error.chain());
    };
    for (what, number) in [("samples", 2), ("exemplars", 3), ("histograms", 4)] {
        let body = within(&[1], with_empty(up(&[]).encode_to_vec(), number));
        stopped(what, remote_write::decode_remote_write(&body, &rules));
    }
    let deltas = DeltaState::default();
    let metrics = |body: &[u8]| otlp::decode_metrics(body, &rules, &deltas);
    let point = number(1000, 1.0).encode_to_vec();
    let mut gauge = Vec::new();
    message(1, b"m", &mut gauge);
    message(5, &within(&[1], with_empty(point, 5)), &mut gauge);
    stopped("exemplars of a point", metrics(&within(&[1, 2, 2], gauge)));
    let mut named = Vec::new();
    message(1, b"m", &mut named);
    let many: Vec<u8> = (0..PARTS).flat_map(|_| within(&[2], named.clone())).collect();
    stopped("metrics", metrics(&within(&[1, 2], many)));
    stopped("refused spans", otlp::decode_traces(&within(&[1, 2], with_empty(Vec::new(), 2)), &rules));
    stopped("refused streams", loki::decode_loki(&with_empty(Vec::new(), 1), &rules));
    stopped("dropped attributes", otlp::decode_logs(&within(&[1, 2, 2], with_empty(with_empty(Vec::new(), 6), 6)), &rules));
    let span = Span { trace_id: vec![1; 16], span_id: vec![2; 8], ..Span::default() }.encode_to_vec();
    stopped("events", otlp::decode_traces(&within(&[1, 2, 2], with_empty(span, 11)), &rules));
    // 1000 tags of two bytes in each of 40 logs, none of which is ever a row.
    let tags: Vec<u8> = (0..1000).flat_map(|_| [0x12, 0]).collect();
    let span = (0..40).flat_map(|_| within(&[9], tags.clone())).collect();
    stopped("tags of Jaeger's logs", jaeger::decode_jaeger_proto(&within(&[1, 1], span), &rules));
    let tags = [&[15, 0, 2, 12, 0, 0, 3, 232][..], &[0; 1000], &[0]].concat();
    let span = [&[15, 0, 11, 12, 0, 0, 0, 40][..], &tags.repeat(40), &[0]].concat();
    let batch = [&[15, 0, 2, 12, 0, 0, 0, 1][..], &span, &[0]].concat();
    stopped("tags of Jaeger's logs in Thrift", jaeger::decode_jaeger_thrift(&batch, &rules));

    let mut request = logs();
    let tiny = |index: usize| attribute(&index.to_string(), Value::DoubleValue(5e-324));
    request.resource_logs[0].scope_logs[0].log_records =
        (0..4).map(|_| LogRecord { attributes: (0..1000).map(tiny).collect(), ..LogRecord::default() }).collect();
    stopped("doubles", otlp::decode_logs(&request.encode_to_vec(), &rules));
    let empty = ArrayValue { values: vec![AnyValue::default(); PARTS * 2] };
    let arrays = LogRecord { body: Some(AnyValue { value: Some(Value::ArrayValue(empty)) }), ..LogRecord::default() };
    request.resource_logs[0].scope_logs[0].log_records = vec![arrays; 5];
    stopped("bodies that grow as JSON", otlp::decode_logs(&request.encode_to_vec(), &rules));

    let mut stream = Vec::new();
    message(1, br#"{a="b"}"#, &mut stream);
    stopped("entries", loki::decode_loki(&within(&[1], with_empty(stream, 2)), &rules));
    let values = vec![r#"["1",""]"#; PARTS].join(",");
    // A tag of 64 KiB, and parts of a line that never ends.
    let part = [&b"\x92\x01\x82\xa3log\xa0\xaapartial_id\xa1x"[..]; 40].concat();
    let forwarded = [&b"\x92\xda\xff\xff"[..], &[b't'; 0xffff], b"\xdc\x00\x28", &part].concat();
    stopped("copies of a tag", fluent::decode_fluent(&forwarded, &rules).map(|forwarded| forwarded.decoded));
    stopped(
        "entries in JSON",
        loki::decode_loki_json(format!(r#"{{"streams":[{{"values":[{values}],"stream":{{"a":"b"}}}}]}}"#).as_bytes(), &rules),
    );
    let small = ReceiveLimits { decompressed_bytes_max: 1000, ..ReceiveLimits::default() };
    let json = format!(r#"{{"resourceLogs":[{}]}}"#, vec!["{}"; 300].join(","));
    stopped("JSON that grows as protobuf", otlp::decode_logs_json(json.as_bytes(), &Rules { limits: &small, ..rules }));
}
