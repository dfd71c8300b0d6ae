use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::Stream;

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
    /// The newest log lines with `start <= t < end`, and from the same moment on every line that comes, whatever its time.
    LogqlTail {
        query: String,
        start_ns: i64,
        end_ns: i64,
        /// Of the lines that are there.
        limit: usize,
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
    /// What the lines of a log query have in common, and how that changed since another time.
    LogPatterns {
        /// Empty: every line.
        query: String,
        start_ns: i64,
        end_ns: i64,
        step_ns: i64,
        before: Option<TimeRange>,
        limit: usize,
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
    /// Every span of a trace, as canonical `spans` batches; when it is too large, some of them and a warning.
    Trace {
        trace_id: String,
        range: TimeRange,
    },
    /// The newest traces of which a TraceQL query gives spans.
    TraceSearch {
        query: String,
        /// A trace is found when one of its spans overlaps it.
        range: TimeRange,
        limit: usize,
        /// Of each set that are told; all of them are counted.
        spans_per_set: usize,
    },
    /// TraceQL metrics at `start + step, start + 2 * step, ... <= end`, each of the step before it; without a step one of the whole time.
    TraceMetrics {
        query: String,
        start_ns: i64,
        end_ns: i64,
        step_ns: Option<i64>,
        /// Of all series together.
        exemplars: usize,
    },
    /// What attributes spans have.
    TraceTags {
        /// Only spans that pass this TraceQL filter, as far as each of them alone can tell; empty: all.
        query: String,
        range: TimeRange,
        /// Of each scope.
        limit: usize,
    },
    /// What values an attribute has.
    TraceTagValues {
        /// As TraceQL writes it: `span.http.method`, `name`, `.a`.
        attribute: String,
        query: String,
        range: TimeRange,
        limit: usize,
    },
    /// Which services call which, by the spans that start in the range.
    Dependencies {
        range: TimeRange,
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

/// Lines that were there and lines that come: each is in one of both, once.
pub struct LogTail {
    /// Read when it is asked for; the oldest line first, in each stream. Lines that come meanwhile wait.
    pub stored: Pin<Box<dyn Future<Output = Result<Vec<LogStream>>> + Send>>,
    /// Ends when the store does. Whoever reads too slowly loses lines, and is told how many rows were not looked at.
    pub arriving: Pin<Box<dyn Stream<Item = Result<LogArrival>> + Send>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum LogArrival {
    /// In the order in which they became durable, in each stream.
    Lines(Vec<LogStream>),
    /// So many rows, the latest of this instant, were not looked at: lines of the query may be among them.
    Skipped { rows: u64, last_ns: i64 },
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

/// What lines have in common, those first that somebody who was called wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPatterns {
    pub patterns: Vec<LogPattern>,
    /// How many there are, with those that are left out here.
    pub patterns_found: usize,
    /// Lines of the patterns that are left out, in the time that was asked for and in the one before.
    pub others: u64,
    pub others_before: u64,
    /// Lines that were counted.
    pub lines: u64,
    pub lines_before: u64,
    /// There are older lines that were not counted, or more patterns than are counted apart.
    pub sampled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPattern {
    pub id: u64,
    /// With `<_>` where lines differ.
    pub pattern: String,
    /// A line of it.
    pub example: String,
    pub services: Vec<String>,
    /// Lines of each level, the worst first.
    pub levels: Vec<(&'static str, u64)>,
    pub count: u64,
    pub count_before: u64,
    /// None when it is compared with nothing.
    pub change: Option<PatternChange>,
    /// When it was seen first, in Unix nanoseconds, and last among the lines that were asked for.
    pub first_ns: i64,
    pub last_ns: i64,
    /// Of each level the lines of each step, which begins at so many Unix seconds.
    pub samples: Vec<(&'static str, Vec<(i64, u64)>)>,
}

impl LogPattern {
    /// Lines of each step, whatever their level.
    pub fn by_step(&self) -> BTreeMap<i64, u64> {
        let mut steps = BTreeMap::new();
        for (start, lines) in self.samples.iter().flat_map(|(_, steps)| steps) {
            *steps.entry(*start).or_default() += lines;
        }
        steps
    }
}

/// What became of a pattern, in the order in which that is worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PatternChange {
    New,
    Grew,
    Vanished,
    Fell,
    Steady,
}

impl PatternChange {
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Grew => "grew",
            Self::Vanished => "vanished",
            Self::Fell => "fell",
            Self::Steady => "steady",
        }
    }
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

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceSummary {
    pub trace_id: String,
    pub root_service: String,
    pub root_name: String,
    pub start_ns: i64,
    pub duration_ns: i64,
    pub spans: u64,
    pub errors: u64,
    /// Spans and errors of each service, by its name.
    pub services: Vec<(String, u64, u64)>,
    /// What the query gives of it.
    pub span_sets: Vec<SpanSet>,
}

/// Spans that a query gives together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanSet {
    /// The first of them.
    pub spans: Vec<FoundSpan>,
    /// All of them.
    pub matched: u64,
    /// What the query groups and aggregates them by: `by(span.a)`, `count()`.
    pub attributes: Vec<(String, SpanValue)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundSpan {
    pub span_id: String,
    /// Where the query asks for it.
    pub name: Option<String>,
    pub start_ns: i64,
    pub duration_ns: i64,
    /// What the query looks at or selects.
    pub attributes: Vec<(String, SpanValue)>,
}

/// A value as its sender typed it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SpanValue {
    #[default]
    Nil,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    List(Vec<SpanValue>),
}

/// A series of TraceQL metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceSeries {
    pub labels: Vec<(String, SpanValue)>,
    /// In milliseconds, ascending; where there is nothing to compute, there is no point.
    pub points: Vec<(i64, f64)>,
    pub exemplars: Vec<TraceExemplar>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TraceExemplar {
    pub at_ms: i64,
    pub value: f64,
    pub trace_id: String,
    pub span_id: String,
}

/// Names of the attributes of each scope, both sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceTags {
    pub scopes: Vec<(&'static str, Vec<String>)>,
}

/// A value of an attribute, with the name of its type: `string`, `int`, `float`, `bool`, `duration`, `keyword`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceTagValue {
    pub kind: &'static str,
    pub value: String,
}

/// Calls of one service by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    pub parent: String,
    pub child: String,
    pub calls: u64,
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
    Tail(LogTail),
    Names(Vec<String>),
    Series(Vec<Labels>),
    SeriesCounts(Box<SeriesCounts>),
    DetectedFields(DetectedFields),
    LogPatterns(Box<LogPatterns>),
    Metadata(Vec<MetricFamily>),
    Traces(Vec<TraceSummary>),
    TraceMetrics(Vec<TraceSeries>),
    TraceTags(TraceTags),
    TraceTagValues(Vec<TraceTagValue>),
    Spans(Vec<RecordBatch>),
    /// By parent and child.
    Dependencies(Vec<Dependency>),
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
    /// Of a PromQL query.
    pub samples: Option<SampleStats>,
}

/// Samples as Prometheus counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SampleStats {
    /// Looked at by the steps of selectors: one that lies in many windows counts as often.
    pub queryable: u64,
    /// Held at once.
    pub peak: u64,
}

/// Answers questions: the engine over a shard, a remote node, a fan-out over many.
#[async_trait]
pub trait Query: Send + Sync {
    async fn query(&self, request: Request) -> Result<Answer>;
}
