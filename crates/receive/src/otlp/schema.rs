//! The OTLP messages as tables: what JSON calls a field, and how protobuf writes it.
//! Source: <https://github.com/open-telemetry/opentelemetry-proto> 1.9.

pub(super) struct Message(pub(super) &'static [Field]);

pub(super) struct Field {
    pub(super) number: u32,
    /// As protobuf has it; JSON says it in lowerCamelCase, and both are accepted.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Message(&'static Message),
    Text,
    /// Base64 in JSON.
    Bytes,
    /// Hex in JSON.
    Id,
    Bool,
    /// An `int64`.
    Int,
    /// A `uint32`.
    Uint32,
    /// A `uint64`.
    Uint64,
    /// A `sint32`.
    Zigzag,
    Fixed64,
    Sfixed64,
    Fixed32,
    /// A `fixed64` of nanoseconds. What is out of its range refuses its record and not the request.
    Time,
    Double,
    Enum(&'static Names),
}

/// An enum's names in the order of their numbers, without the prefix that they share.
pub(super) struct Names {
    pub(super) prefix: &'static str,
    pub(super) names: &'static [&'static str],
}

impl Message {
    /// Finds a field by its JSON name or its protobuf name.
    pub(super) fn field(&self, key: &str) -> Option<&'static Field> {
        self.0.iter().find(|field| field.name == key || is_camel_of(key, field.name))
    }
}

fn is_camel_of(key: &str, snake: &str) -> bool {
    let mut key = key.bytes();
    let mut upper = false;
    for byte in snake.bytes() {
        if byte == b'_' {
            upper = true;
            continue;
        }
        let expect = if upper { byte.to_ascii_uppercase() } else { byte };
        if key.next() != Some(expect) {
            return false;
        }
        upper = false;
    }
    key.next().is_none()
}

const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind }
}

pub(super) static LOGS_REQUEST: Message = Message(&[field(1, "resource_logs", Kind::Message(&RESOURCE_LOGS))]);
pub(super) static TRACES_REQUEST: Message = Message(&[field(1, "resource_spans", Kind::Message(&RESOURCE_SPANS))]);
pub(super) static METRICS_REQUEST: Message = Message(&[field(1, "resource_metrics", Kind::Message(&RESOURCE_METRICS))]);

static RESOURCE_LOGS: Message =
    Message(&[field(1, "resource", Kind::Message(&RESOURCE)), field(2, "scope_logs", Kind::Message(&SCOPE_LOGS))]);
static RESOURCE_SPANS: Message =
    Message(&[field(1, "resource", Kind::Message(&RESOURCE)), field(2, "scope_spans", Kind::Message(&SCOPE_SPANS))]);
static RESOURCE_METRICS: Message =
    Message(&[field(1, "resource", Kind::Message(&RESOURCE)), field(2, "scope_metrics", Kind::Message(&SCOPE_METRICS))]);

static SCOPE_LOGS: Message = Message(&[field(1, "scope", Kind::Message(&SCOPE)), field(2, "log_records", Kind::Message(&LOG_RECORD))]);
static SCOPE_SPANS: Message = Message(&[field(1, "scope", Kind::Message(&SCOPE)), field(2, "spans", Kind::Message(&SPAN))]);
static SCOPE_METRICS: Message = Message(&[field(1, "scope", Kind::Message(&SCOPE)), field(2, "metrics", Kind::Message(&METRIC))]);

static RESOURCE: Message = Message(&[field(1, "attributes", Kind::Message(&KEY_VALUE))]);
static SCOPE: Message =
    Message(&[field(1, "name", Kind::Text), field(2, "version", Kind::Text), field(3, "attributes", Kind::Message(&KEY_VALUE))]);
static KEY_VALUE: Message = Message(&[field(1, "key", Kind::Text), field(2, "value", Kind::Message(&ANY_VALUE))]);
static ANY_VALUE: Message = Message(&[
    field(1, "string_value", Kind::Text),
    field(2, "bool_value", Kind::Bool),
    field(3, "int_value", Kind::Int),
    field(4, "double_value", Kind::Double),
    field(5, "array_value", Kind::Message(&ARRAY_VALUE)),
    field(6, "kvlist_value", Kind::Message(&KEY_VALUE_LIST)),
    field(7, "bytes_value", Kind::Bytes),
]);
static ARRAY_VALUE: Message = Message(&[field(1, "values", Kind::Message(&ANY_VALUE))]);
static KEY_VALUE_LIST: Message = Message(&[field(1, "values", Kind::Message(&KEY_VALUE))]);

static LOG_RECORD: Message = Message(&[
    field(1, "time_unix_nano", Kind::Time),
    field(2, "severity_number", Kind::Enum(&SEVERITY_NUMBER)),
    field(3, "severity_text", Kind::Text),
    field(5, "body", Kind::Message(&ANY_VALUE)),
    field(6, "attributes", Kind::Message(&KEY_VALUE)),
    field(7, "dropped_attributes_count", Kind::Uint32),
    field(8, "flags", Kind::Fixed32),
    field(9, "trace_id", Kind::Id),
    field(10, "span_id", Kind::Id),
    field(11, "observed_time_unix_nano", Kind::Time),
    field(12, "event_name", Kind::Text),
]);
static SEVERITY_NUMBER: Names = Names {
    prefix: "SEVERITY_NUMBER_",
    names: &[
        "UNSPECIFIED",
        "TRACE",
        "TRACE2",
        "TRACE3",
        "TRACE4",
        "DEBUG",
        "DEBUG2",
        "DEBUG3",
        "DEBUG4",
        "INFO",
        "INFO2",
        "INFO3",
        "INFO4",
        "WARN",
        "WARN2",
        "WARN3",
        "WARN4",
        "ERROR",
        "ERROR2",
        "ERROR3",
        "ERROR4",
        "FATAL",
        "FATAL2",
        "FATAL3",
        "FATAL4",
    ],
};

static SPAN: Message = Message(&[
    field(1, "trace_id", Kind::Id),
    field(2, "span_id", Kind::Id),
    field(3, "trace_state", Kind::Text),
    field(4, "parent_span_id", Kind::Id),
    field(5, "name", Kind::Text),
    field(6, "kind", Kind::Enum(&SPAN_KIND)),
    field(7, "start_time_unix_nano", Kind::Time),
    field(8, "end_time_unix_nano", Kind::Time),
    field(9, "attributes", Kind::Message(&KEY_VALUE)),
    field(10, "dropped_attributes_count", Kind::Uint32),
    field(11, "events", Kind::Message(&EVENT)),
    field(12, "dropped_events_count", Kind::Uint32),
    field(13, "links", Kind::Message(&LINK)),
    field(14, "dropped_links_count", Kind::Uint32),
    field(15, "status", Kind::Message(&STATUS)),
    field(16, "flags", Kind::Fixed32),
]);
static SPAN_KIND: Names = Names { prefix: "SPAN_KIND_", names: &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"] };
static EVENT: Message =
    Message(&[field(1, "time_unix_nano", Kind::Time), field(2, "name", Kind::Text), field(3, "attributes", Kind::Message(&KEY_VALUE))]);
static LINK: Message = Message(&[
    field(1, "trace_id", Kind::Id),
    field(2, "span_id", Kind::Id),
    field(3, "trace_state", Kind::Text),
    field(4, "attributes", Kind::Message(&KEY_VALUE)),
]);
static STATUS: Message = Message(&[field(2, "message", Kind::Text), field(3, "code", Kind::Enum(&STATUS_CODE))]);
static STATUS_CODE: Names = Names { prefix: "STATUS_CODE_", names: &["UNSET", "OK", "ERROR"] };

static METRIC: Message = Message(&[
    field(1, "name", Kind::Text),
    field(2, "description", Kind::Text),
    field(3, "unit", Kind::Text),
    field(5, "gauge", Kind::Message(&GAUGE)),
    field(7, "sum", Kind::Message(&SUM)),
    field(9, "histogram", Kind::Message(&HISTOGRAM)),
    field(10, "exponential_histogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)),
    field(11, "summary", Kind::Message(&SUMMARY)),
]);
static TEMPORALITY: Names = Names { prefix: "AGGREGATION_TEMPORALITY_", names: &["UNSPECIFIED", "DELTA", "CUMULATIVE"] };
static GAUGE: Message = Message(&[field(1, "data_points", Kind::Message(&NUMBER_POINT))]);
static SUM: Message = Message(&[
    field(1, "data_points", Kind::Message(&NUMBER_POINT)),
    field(2, "aggregation_temporality", Kind::Enum(&TEMPORALITY)),
    field(3, "is_monotonic", Kind::Bool),
]);
static HISTOGRAM: Message =
    Message(&[field(1, "data_points", Kind::Message(&HISTOGRAM_POINT)), field(2, "aggregation_temporality", Kind::Enum(&TEMPORALITY))]);
static EXPONENTIAL_HISTOGRAM: Message =
    Message(&[field(1, "data_points", Kind::Message(&EXPONENTIAL_POINT)), field(2, "aggregation_temporality", Kind::Enum(&TEMPORALITY))]);
static SUMMARY: Message = Message(&[field(1, "data_points", Kind::Message(&SUMMARY_POINT))]);
static NUMBER_POINT: Message = Message(&[
    field(3, "time_unix_nano", Kind::Time),
    field(4, "as_double", Kind::Double),
    field(5, "exemplars", Kind::Message(&EXEMPLAR)),
    field(6, "as_int", Kind::Sfixed64),
    field(7, "attributes", Kind::Message(&KEY_VALUE)),
    field(8, "flags", Kind::Uint32),
]);
static HISTOGRAM_POINT: Message = Message(&[
    field(3, "time_unix_nano", Kind::Time),
    field(4, "count", Kind::Fixed64),
    field(5, "sum", Kind::Double),
    field(6, "bucket_counts", Kind::Fixed64),
    field(7, "explicit_bounds", Kind::Double),
    field(8, "exemplars", Kind::Message(&EXEMPLAR)),
    field(9, "attributes", Kind::Message(&KEY_VALUE)),
    field(10, "flags", Kind::Uint32),
]);
static EXPONENTIAL_POINT: Message = Message(&[
    field(1, "attributes", Kind::Message(&KEY_VALUE)),
    field(3, "time_unix_nano", Kind::Time),
    field(4, "count", Kind::Fixed64),
    field(5, "sum", Kind::Double),
    field(6, "scale", Kind::Zigzag),
    field(7, "zero_count", Kind::Fixed64),
    field(8, "positive", Kind::Message(&BUCKETS)),
    field(9, "negative", Kind::Message(&BUCKETS)),
    field(10, "flags", Kind::Uint32),
    field(11, "exemplars", Kind::Message(&EXEMPLAR)),
    field(14, "zero_threshold", Kind::Double),
]);
static BUCKETS: Message = Message(&[field(1, "offset", Kind::Zigzag), field(2, "bucket_counts", Kind::Uint64)]);
static SUMMARY_POINT: Message = Message(&[
    field(3, "time_unix_nano", Kind::Time),
    field(4, "count", Kind::Fixed64),
    field(5, "sum", Kind::Double),
    field(6, "quantile_values", Kind::Message(&QUANTILE)),
    field(7, "attributes", Kind::Message(&KEY_VALUE)),
    field(8, "flags", Kind::Uint32),
]);
static QUANTILE: Message = Message(&[field(1, "quantile", Kind::Double), field(2, "value", Kind::Double)]);
static EXEMPLAR: Message = Message(&[
    field(2, "time_unix_nano", Kind::Time),
    field(3, "as_double", Kind::Double),
    field(4, "span_id", Kind::Id),
    field(5, "trace_id", Kind::Id),
    field(6, "as_int", Kind::Sfixed64),
    field(7, "filtered_attributes", Kind::Message(&KEY_VALUE)),
]);
