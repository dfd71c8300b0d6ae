use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;

use crate::{Labels, Matcher, NativeHistogram, QueryLimits, Result, ScanStats, ScanStream, Table, TimeRange};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Newest first.
    #[default]
    Backward,
    Forward,
}

/// A question, whichever API it came through. Times are since the Unix epoch, ranges of PromQL and LogQL as their APIs
/// define them.
#[derive(Clone, Debug)]
pub enum Ask {
    PromqlInstant {
        query: String,
        at_ms: i64,
        lookback: Option<Duration>,
    },
    PromqlRange {
        query: String,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        lookback: Option<Duration>,
    },
    /// Every stored sample of the series that pass all matchers, staleness marks among them, from the first to the last
    /// millisecond: what other stores read from this one.
    Samples {
        matchers: Vec<Matcher>,
        first_ms: i64,
        last_ms: i64,
    },
    LogqlInstant {
        query: String,
        at_ns: i64,
        limit: usize,
        direction: Direction,
    },
    /// Log lines with `start <= t < end`, or a metric at `start, start + step, ... <= end`.
    LogqlRange {
        query: String,
        start_ns: i64,
        end_ns: i64,
        step_ns: i64,
        limit: usize,
        direction: Direction,
    },
    /// Bytes of lines, `end` excluded, the largest volumes first; with a step those of `[t, t + step)` at each `t`.
    LogVolume {
        matchers: Vec<Matcher>,
        start_ns: i64,
        end_ns: i64,
        step_ns: Option<i64>,
        by: VolumeBy,
        limit: usize,
    },
    /// What fields the newest lines of a log query have.
    DetectedFields {
        query: String,
        start_ns: i64,
        end_ns: i64,
        lines_max: usize,
    },
    /// The label sets of series (`Samples`) or streams (`Logs`) that any of the selectors matches; no selector means all.
    Series {
        table: Table,
        selectors: Vec<Vec<Matcher>>,
        range: TimeRange,
        limit: Option<usize>,
    },
    LabelNames {
        table: Table,
        selectors: Vec<Vec<Matcher>>,
        range: TimeRange,
        limit: Option<usize>,
    },
    LabelValues {
        table: Table,
        name: String,
        selectors: Vec<Vec<Matcher>>,
        range: TimeRange,
        limit: Option<usize>,
    },
    /// Who causes how many series in a time, the `top` largest of each kind.
    SeriesCounts {
        range: TimeRange,
        top: usize,
    },
    /// Type, unit and help of metrics.
    Metadata {
        metric: Option<String>,
        limit: Option<usize>,
    },
    /// Every span of a trace, as canonical `spans` batches.
    Trace {
        trace_id: String,
        range: TimeRange,
    },
    /// The newest traces with a span that passes: attributes by name and value, durations of the whole trace.
    TraceSearch {
        tags: Vec<(String, String)>,
        duration_min: Option<Duration>,
        duration_max: Option<Duration>,
        range: TimeRange,
        limit: usize,
    },
    Sql {
        sql: String,
    },
}

/// What volumes are added up by. Of names only those of streams count; without names a series is a stream, and every label counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeBy {
    /// Streams that are alike in these labels.
    Series(Vec<String>),
    /// Each of these labels, whatever its value: it is the name of the answer's label, whose value is empty.
    Labels(Vec<String>),
}

#[derive(Clone, Debug)]
pub struct Request {
    pub ask: Ask,
    pub limits: QueryLimits,
}

impl Request {
    pub fn new(ask: Ask) -> Self {
        Self { ask, limits: QueryLimits::default() }
    }
}

/// A float or a histogram at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct InstantSample {
    pub labels: Labels,
    pub at_ms: i64,
    pub value: f64,
    /// When present, `value` means nothing.
    pub histogram: Option<Box<NativeHistogram>>,
}

/// One series of a range answer, by time ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RangeSeries {
    pub labels: Labels,
    pub floats: Vec<(i64, f64)>,
    pub histograms: Vec<(i64, NativeHistogram)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    pub time_ns: i64,
    pub line: String,
    pub structured_metadata: Labels,
    /// Labels that the query's parsers added.
    pub parsed: Labels,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LogStream {
    pub labels: Labels,
    pub entries: Vec<LogEntry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricFamily {
    pub name: String,
    pub kind: String,
    pub unit: String,
    pub help: String,
}

/// How many series there are, and what makes them so many. Lists are sorted by count, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesCounts {
    pub series: u64,
    /// Pieces that samples are stored in.
    pub chunks: u64,
    /// Different pairs of a label's name and value.
    pub label_pairs: u64,
    /// Of the samples, in milliseconds; none without samples.
    pub times: Option<(i64, i64)>,
    pub series_by_metric: Vec<(String, u64)>,
    pub values_by_label: Vec<(String, u64)>,
    /// Of the values of each label, once for each series.
    pub bytes_by_label: Vec<(String, u64)>,
    /// By `name=value`.
    pub series_by_pair: Vec<(String, u64)>,
}

/// The fields of some lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetectedFields {
    /// By name.
    pub fields: Vec<DetectedField>,
    /// How many lines were looked at.
    pub lines: usize,
    /// There may be older lines at which nobody looked, or more fields than are told.
    pub sampled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectedField {
    pub name: String,
    pub kind: FieldKind,
    /// Each value and the number of lines that have it, the most frequent first.
    pub values: Vec<(String, u64)>,
    /// The parsers that find it: `json`, `logfmt`; none where it is known without one.
    pub parsers: Vec<&'static str>,
    /// Where JSON has it.
    pub json_path: Vec<String>,
}

/// What all values of a field are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldKind {
    Int,
    Float,
    Boolean,
    Duration,
    Bytes,
    #[default]
    String,
}

impl FieldKind {
    /// As Loki calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Duration => "duration",
            Self::Bytes => "bytes",
            Self::String => "string",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSummary {
    pub trace_id: String,
    pub root_service: String,
    pub root_name: String,
    pub start_ns: i64,
    pub duration_ns: i64,
    pub spans: u64,
    pub errors: u64,
}

pub enum Answered {
    Scalar {
        at_ms: i64,
        value: f64,
    },
    Text {
        at_ms: i64,
        value: String,
    },
    Vector(Vec<InstantSample>),
    Matrix(Vec<RangeSeries>),
    Streams(Vec<LogStream>),
    Names(Vec<String>),
    Series(Vec<Labels>),
    SeriesCounts(Box<SeriesCounts>),
    DetectedFields(DetectedFields),
    Metadata(Vec<MetricFamily>),
    Traces(Vec<TraceSummary>),
    Spans(Vec<RecordBatch>),
    /// SQL: rows as they are made.
    Table {
        schema: SchemaRef,
        rows: ScanStream,
    },
}

/// An answer with what it cost and what is doubtful about it.
pub struct Answer {
    pub data: Answered,
    pub stats: QueryStats,
    /// Marks of a partial or doubtful answer; PromQL's warnings.
    pub warnings: Vec<String>,
    /// PromQL's infos.
    pub infos: Vec<String>,
}

impl Answer {
    pub fn new(data: Answered) -> Self {
        Self { data, stats: QueryStats::default(), warnings: Vec::new(), infos: Vec::new() }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct QueryStats {
    pub scan: ScanStats,
    pub elapsed_seconds: f64,
}

/// Answers questions: the engine over a shard, a remote node, a fan-out over many.
#[async_trait]
pub trait Query: Send + Sync {
    async fn query(&self, request: Request) -> Result<Answer>;
}
