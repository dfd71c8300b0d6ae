//! An engine that answers with a named fixture and remembers what it was asked.

#![allow(dead_code, reason = "each test target uses its part of the fixtures")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use async_trait::async_trait;
use axum::Router;
use catalog::{Catalog, Live, NoHistory};
use futures::{FutureExt, StreamExt};
use lang::promql::Features;
use model::quarantine::{Group, Quarantine, Selector, SetAside, Settled, Violation, Waiting};
use model::samples::{Exemplar, SamplesBuilder, SeriesRow};
use model::spans::{SpanRow, SpansBuilder};
use model::{
    ActiveTarget, Answer, Answered, Ask, AttributeType, AttributeValue, Attributes, Cardinality, Code, ContractDraft, ContractTrial,
    ContractTrials, Dependency, DetectedField, DetectedFields, DraftFor, DriftReport, DroppedTarget, EdgeKind, Entity, EntityKind, Erased,
    Erasure, ErasureOrder, ErasureState, Error, FieldKind, FieldTest, Figures, FoundSpan, Health, Identity, InstantSample, LEVELS,
    LabelCardinality, Labels, Lift, LogArrival, LogEntry, LogPattern, LogPatterns, LogStream, LogTail, MapEdge, MapRequest, MetricFamily,
    NativeHistogram, PatternChange, PipelineCount, Pipelines, Query, QueryLimits, Question, RangeSeries, Request, Result, Scorecard,
    ScorecardRequest, Scorecards, SeriesCounts, SpanSet, SpanValue, Summary, Table, TargetFamily, Targets, Topology, TopologyMap,
    TraceExemplar, TraceSeries, TraceSummary, TraceTagValue, TraceTags, Trial, Tried, Unseen, Usage, UsageMeter,
};
use present::{Admin, Facts, PresentState, Tails};
use tokio::sync::watch;

/// Of the fixture `large matrix`.
pub(crate) const LARGE_SERIES: usize = 500;
pub(crate) const LARGE_POINTS: usize = 200;

pub(crate) struct Fake {
    fixture: String,
    pub(crate) asked: Mutex<Vec<String>>,
    /// A question was dropped before it was answered.
    pub(crate) dropped: Arc<AtomicBool>,
}

struct NoteDrop(Arc<AtomicBool>);

impl Drop for NoteDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Query for Fake {
    async fn query(&self, request: Request) -> Result<Answer> {
        self.asked.lock().unwrap().push(format!("{:?}", request.ask));
        if self.fixture == "hang" {
            let _note = NoteDrop(self.dropped.clone());
            std::future::pending::<()>().await;
        }
        if self.fixture == "slow" {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let fixture = match &request.ask {
                Ask::Sql { sql } if sql.contains("business_service") => "overview",
                Ask::Sql { sql } if !sql.contains("trace_id") => "words",
                Ask::Sql { .. } | Ask::Trace { .. } => "spans",
                Ask::Samples { .. } => "matrix",
                _ => "series",
            };
            return answer(fixture, &request.ask);
        }
        if self.fixture == "endless table" {
            let note = NoteDrop(self.dropped.clone());
            let batch = samples();
            let schema = batch.schema();
            let rows = futures::stream::repeat_with(move || {
                let _held = &note;
                Ok(batch.clone())
            });
            return Ok(Answer::new(Answered::Table { schema, rows: rows.boxed() }));
        }
        if let Ask::LogqlTail { .. } = &request.ask {
            return tail(&self.fixture);
        }
        answer(&self.fixture, &request.ask)
    }
}

/// Two lines that were there, and then what the fixture's name says.
fn tail(fixture: &str) -> Result<Answer> {
    let Answered::Streams(mut stored) = answer("streams", &Ask::Sql { sql: String::new() })?.data else { unreachable!() };
    stored.iter_mut().for_each(|stream| stream.entries.reverse());
    let lines = |first: i64, count: i64, bytes: usize| {
        let entry = |time_ns| LogEntry {
            time_ns,
            line: format!("{time_ns} {}", "x".repeat(bytes)),
            structured_metadata: Labels::empty(),
            parsed: Labels::empty(),
        };
        Ok(LogArrival::Lines(vec![LogStream { labels: labels(&[("app", "tv")]), entries: (first..first + count).map(entry).collect() }]))
    };
    let come: Vec<Result<LogArrival>> = match fixture {
        "only metrics" => return Err(Error::invalid("only log selector is supported")),
        "tail" => vec![lines(40, 2, 0), Ok(LogArrival::Skipped { rows: 7, last_ns: 39 }), lines(42, 1, 0)],
        "tail breaks" => vec![lines(40, 1, 0), Err(Error::internal(format!("cannot follow: {}", "é".repeat(100))))],
        // More than the kernel keeps for a client who does not read, and more than Tyto does.
        "tail floods" => (0..40).map(|at| lines(40 + at * 1000, 1000, 1000)).collect(),
        _ => vec![lines(40, 1, 0)],
    };
    let come = futures::stream::iter(come);
    let arriving = if fixture == "tail ends" { come.boxed() } else { come.chain(futures::stream::pending()).boxed() };
    let fails = fixture == "tail fails";
    let stored = async move { if fails { Err(Error::unavailable("cannot read the lake")) } else { Ok(stored) } };
    Ok(Answer::new(Answered::Tail(LogTail { stored: stored.boxed(), arriving })))
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

fn histogram() -> NativeHistogram {
    NativeHistogram {
        schema: 0,
        count: 9.0,
        sum: 12.5,
        zero_threshold: 0.001,
        zero_count: 2.0,
        positive: vec![(0, 1.0), (1, 0.0), (2, 3.0)],
        negative: vec![(0, 1.0), (3, 2.0)],
        ..NativeHistogram::default()
    }
}

fn custom_histogram() -> NativeHistogram {
    NativeHistogram {
        schema: -53,
        count: 6.0,
        sum: 1e21,
        positive: vec![(0, 1.0), (1, 2.0), (2, 3.0)],
        custom_bounds: vec![0.5, 10.0],
        ..NativeHistogram::default()
    }
}

fn answer(fixture: &str, ask: &Ask) -> Result<Answer> {
    let up = || labels(&[("__name__", "up"), ("job", "a\"b\\é\n")]);
    let sample = |value: f64, histogram: Option<NativeHistogram>| InstantSample {
        labels: up(),
        at_ms: 1_435_781_451_781,
        value,
        histogram: histogram.map(Box::new),
    };
    let data = match fixture {
        "vector" => Answered::Vector([1.0, f64::NAN, f64::NEG_INFINITY, 1e-7, 0.1].map(|value| sample(value, None)).to_vec()),
        "empty" => Answered::Vector(Vec::new()),
        "histogram" => Answered::Vector(vec![sample(0.0, Some(histogram())), sample(0.0, Some(custom_histogram()))]),
        "matrix" => Answered::Matrix(vec![
            RangeSeries { labels: up(), floats: vec![(1000, 1.0), (1500, 2.5), (-5, 1e300)], histograms: Vec::new() },
            RangeSeries { labels: labels(&[]), floats: Vec::new(), histograms: vec![(2000, NativeHistogram::default())] },
        ]),
        "large matrix" => {
            let floats: Vec<_> = (0..LARGE_POINTS as i64).map(|at| (at * 1000, at as f64 / 3.0)).collect();
            let series = RangeSeries { labels: up(), floats, histograms: Vec::new() };
            Answered::Matrix(vec![series; LARGE_SERIES])
        }
        "scalar" => Answered::Scalar { at_ms: 1, value: f64::INFINITY },
        "text" => Answered::Text { at_ms: 2050, value: "say \"hi\"".to_owned() },
        "streams" => {
            let entry = |time_ns: i64, line: &str, metadata: &[(&str, &str)], parsed: &[(&str, &str)]| LogEntry {
                time_ns,
                line: line.to_owned(),
                structured_metadata: labels(metadata),
                parsed: labels(parsed),
            };
            Answered::Streams(vec![
                LogStream {
                    labels: labels(&[("app", "player")]),
                    entries: vec![
                        entry(30, "third", &[], &[]),
                        entry(20, "second \"quoted\"", &[("trace_id", "ab")], &[]),
                        entry(10, "first", &[("trace_id", "ab")], &[("level", "info")]),
                    ],
                },
                LogStream { labels: labels(&[("app", "player"), ("trace_id", "ab")]), entries: vec![entry(25, "between", &[], &[])] },
            ])
        }
        "index" => match ask {
            Ask::Series { .. } => Answered::Series(vec![labels(&[("app", "player")])]),
            _ => Answered::Vector(vec![InstantSample { labels: labels(&[]), at_ms: 0, value: 1234.0, histogram: None }]),
        },
        "names" => Answered::Names(vec!["__name__".to_owned(), "instance".to_owned(), "job".to_owned()]),
        "series" => Answered::Series(vec![up(), labels(&[("a", "1"), ("b", "2")])]),
        "cardinality" => Answered::SeriesCounts(Box::new(SeriesCounts {
            series: 3,
            chunks: 4,
            label_pairs: 5,
            times: Some((1000, 2000)),
            series_by_metric: vec![("up".to_owned(), 2)],
            values_by_label: vec![("job".to_owned(), 2), ("__name__".to_owned(), 1)],
            bytes_by_label: vec![("job".to_owned(), 7)],
            series_by_pair: vec![("job=\"a".to_owned(), 2)],
        })),
        "detected fields" => {
            let field = |name: &str, kind, values: &[&str], parsers: &[&'static str], json_path: &[&str]| DetectedField {
                name: name.to_owned(),
                kind,
                values: values.iter().map(|value| ((*value).to_owned(), 2)).collect(),
                parsers: parsers.to_vec(),
                json_path: json_path.iter().map(|key| (*key).to_owned()).collect(),
            };
            Answered::DetectedFields(DetectedFields {
                fields: vec![
                    field("http_status", FieldKind::Int, &["200", "500"], &["json"], &["http", "status"]),
                    field("user", FieldKind::String, &["a\"b"], &[], &[]),
                ],
                lines: 4,
                sampled: true,
            })
        }
        "patterns" => Answered::LogPatterns(Box::new(LogPatterns {
            patterns: vec![LogPattern {
                id: 0xab,
                pattern: "said \"<_>\" in <_>".to_owned(),
                example: "said \"a\" in 5 ms".to_owned(),
                services: vec!["login".to_owned()],
                levels: vec![("error", 2), ("info", 3)],
                count: 5,
                count_before: 1,
                change: Some(PatternChange::Grew),
                first_ns: 1_700_000_000_000_000_001,
                last_ns: 1_700_000_060_000_000_000,
                samples: vec![("error", vec![(1_700_000_000, 2)]), ("info", vec![(1_700_000_000, 1), (1_700_000_060, 2)])],
            }],
            patterns_found: 3,
            others: 4,
            others_before: 2,
            lines: 9,
            lines_before: 3,
            sampled: false,
        })),
        "metadata" => {
            let family = |name: &str, kind: &str, help: &str| MetricFamily {
                name: name.to_owned(),
                kind: kind.to_owned(),
                unit: String::new(),
                help: help.to_owned(),
            };
            Answered::Metadata(vec![family("up", "gauge", "Is it up?"), family("hits", "", ""), family("up", "counter", "Other")])
        }
        "traces" => Answered::Traces(vec![TraceSummary {
            trace_id: "00000000000000000000000000000abc".to_owned(),
            root_service: "shop".to_owned(),
            root_name: "GET /".to_owned(),
            start_ns: 1_600_000_000_000_000_000,
            duration_ns: 1_500_000_000,
            spans: 3,
            errors: 1,
            services: vec![("shop".to_owned(), 2, 1), ("till".to_owned(), 1, 0)],
            span_sets: vec![SpanSet {
                spans: vec![FoundSpan {
                    span_id: "0000000000000001".to_owned(),
                    name: Some("GET /".to_owned()),
                    start_ns: 1_600_000_000_000_000_000,
                    duration_ns: 250_000_000,
                    attributes: vec![("a".to_owned(), SpanValue::Int(1)), ("b".to_owned(), SpanValue::List(vec![SpanValue::Bool(true)]))],
                }],
                matched: 2,
                attributes: vec![("count()".to_owned(), SpanValue::Int(2))],
            }],
        }]),
        "trace series" => Answered::TraceMetrics(vec![TraceSeries {
            labels: vec![
                ("resource.service.name".to_owned(), SpanValue::Text("a\"b".to_owned())),
                ("p".to_owned(), SpanValue::Double(0.9)),
            ],
            points: vec![(60_000, 1.5), (120_000, 0.0)],
            exemplars: vec![TraceExemplar { at_ms: 61_000, value: 0.25, trace_id: "0abc".to_owned(), span_id: "01".to_owned() }],
        }]),
        "trace tags" => Answered::TraceTags(TraceTags {
            scopes: vec![
                ("resource", vec!["service.name".to_owned()]),
                ("span", vec!["GET /".to_owned(), "it's".to_owned()]),
                ("event", vec![]),
            ],
        }),
        "trace values" => {
            let value = |kind, value: &str| TraceTagValue { kind, value: value.to_owned() };
            Answered::TraceTagValues(vec![value("int", "5"), value("string", "5"), value("string", "it's")])
        }
        "spans" => match ask {
            Ask::Sql { .. } => {
                let start = |at_ns: i64| Arc::new(Int64Array::from(vec![at_ns])) as ArrayRef;
                table(vec![
                    ("trace_id", texts(&["00000000000000000000000000000abc"])),
                    ("earliest", start(1_600_000_000_000_000_000)),
                    ("latest", start(1_600_000_000_250_000_000)),
                ])
            }
            _ => Answered::Spans(vec![spans()]),
        },
        "no spans" => Answered::Spans(Vec::new()),
        "too many spans" => {
            let whole = answer("spans", ask)?;
            return Ok(Answer {
                warnings: vec!["the trace is over query_memory_bytes_max = 9 bytes: the rest is missing".to_owned()],
                ..whole
            });
        }
        "dependencies" | "some dependencies" => {
            let call = |parent: &str, child: &str, calls| Dependency { parent: parent.to_owned(), child: child.to_owned(), calls };
            let calls = Answered::Dependencies(vec![call("shop", "db", 2), call("web", "shop", 7)]);
            let warnings = if fixture == "dependencies" { Vec::new() } else { vec!["one trace in 2, times 2".to_owned()] };
            return Ok(Answer { warnings, ..Answer::new(calls) });
        }
        "words" => table(vec![
            ("service_name", texts(&["api", "player"])),
            ("name", texts(&["GET /", "it's"])),
            ("kind", texts(&["server", "client"])),
            ("value", texts(&["v1", ""])),
        ]),
        "senders" => table(vec![
            ("attribute", Arc::new(Int64Array::from(vec![0, 0, 7, -1]))),
            ("value", texts(&["auth-old", "api2", "node", ""])),
            ("n", Arc::new(Int64Array::from(vec![5, 3, 1, 1]))),
            ("last", Arc::new(Int64Array::from(vec![1_600_000_000_500_000_000; 4]))),
        ]),
        "table" => rows(),
        "broken table" => {
            let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
            let failure = Error::unavailable("cannot read a file of the lake");
            Answered::Table { schema: batch.schema(), rows: futures::stream::iter([Ok(batch), Err(failure)]).boxed() }
        }
        "exemplars" => exemplars(),
        "overview" => overview(ask),
        "warnings" => {
            let mut answer = Answer::new(Answered::Vector(Vec::new()));
            answer.warnings = vec!["one source did not answer".to_owned()];
            answer.infos = vec!["metric might not be a counter".to_owned()];
            return Ok(answer);
        }
        other => return Err(error(other)),
    };
    Ok(Answer::new(data))
}

fn error(name: &str) -> Error {
    let code = match name {
        "invalid" => Code::Invalid,
        "too large" => Code::TooLarge,
        "not found" => Code::NotFound,
        "unauthenticated" => Code::Unauthenticated,
        "forbidden" => Code::Forbidden,
        "overloaded" => Code::Overloaded { retry_after_seconds: 7 },
        "limit" => Code::LimitExceeded,
        "timeout" => Code::Timeout,
        "cancelled" => Code::Cancelled,
        "unsupported" => Code::Unsupported,
        "corrupt" => Code::Corrupt,
        "unavailable" => Code::Unavailable,
        "internal" => Code::Internal,
        other => panic!("no fixture is called {other:?}"),
    };
    Error::new(code, "cannot answer").because(std::io::Error::other("the \"reason\""))
}

fn texts(items: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(items.to_vec()))
}

fn table(columns: Vec<(&str, ArrayRef)>) -> Answered {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    Answered::Table { schema: batch.schema(), rows: futures::stream::iter([Ok(batch)]).boxed() }
}

/// Every type that the canonical tables have.
fn rows() -> Answered {
    let samples = samples();
    let pick = |name: &str| samples.column_by_name(name).unwrap().clone();
    table(vec![
        ("name", pick("name")),
        ("big", Arc::new(Int64Array::from(vec![i64::MAX, i64::MIN]))),
        ("float", Arc::new(Float64Array::from(vec![Some(f64::NAN), None]))),
        ("labels", pick("labels")),
        ("timestamps", pick("timestamps")),
        ("values", pick("values")),
        ("exemplars", pick("exemplars")),
    ])
}

fn samples() -> RecordBatch {
    let mut builder = SamplesBuilder::default();
    builder.float(1000, f64::INFINITY);
    builder.float(2000, 0.5);
    let exemplar = |timestamp_ms| Exemplar { timestamp_ms, value: 0.25, trace_id: "abc", span_id: "", labels: &[("user", "x")] };
    builder.exemplar(&exemplar(1500));
    builder.exemplar(&exemplar(9500));
    builder.push_series(&SeriesRow { name: "up", ..SeriesRow::default() }, [("job", "a")].into_iter());
    builder.float(1000, 1.0);
    builder.push_series(&SeriesRow { name: "up", ..SeriesRow::default() }, [("job", "b")].into_iter());
    builder.finish()
}

fn exemplars() -> Answered {
    let batch = samples();
    Answered::Table { schema: batch.schema(), rows: futures::stream::iter([Ok(batch)]).boxed() }
}

fn spans() -> RecordBatch {
    let mut builder = SpansBuilder::default();
    let mut resource = Attributes::default();
    resource.set("service.name", AttributeValue::Text("shop"));
    resource.set("process.pid", AttributeValue::Int(7));
    let mut scope = Attributes::default();
    scope.set("lang", AttributeValue::Text("rust"));
    builder.attributes.push("ok", AttributeValue::Bool(true));
    builder.attributes.push("ratio", AttributeValue::Double(0.5));
    builder.attributes.push("raw", AttributeValue::Encoded(AttributeType::Bytes, "AQI="));
    builder.attributes.push("list", AttributeValue::Encoded(AttributeType::Array, r#"[{"intValue":"1"},{"stringValue":"a"}]"#));
    builder.attributes.push("map", AttributeValue::Encoded(AttributeType::Map, r#"[{"key":"k","value":{"boolValue":false}}]"#));
    builder.events.attributes.push("exception.type", AttributeValue::Text("NotFound"));
    builder.events.push(1_600_000_000_100_000_000, "exception");
    builder.links.push("000000000000000000000000000000ff", "00000000000000ff", "");
    let row = SpanRow {
        start_time_unix_nano: 1_600_000_000_000_000_000,
        end_time_unix_nano: 1_600_000_000_250_000_000,
        trace_id: "00000000000000000000000000000abc",
        span_id: "0000000000000001",
        name: "GET /",
        kind: "server",
        status_code: "error",
        status_message: "boom",
        service_name: "shop",
        scope_name: "http",
        scope_version: "1",
        ..SpanRow::default()
    };
    builder.push(&row, &resource, &scope);
    let child = SpanRow {
        span_id: "0000000000000002",
        parent_span_id: "0000000000000001",
        name: "query",
        kind: "client",
        status_code: "",
        status_message: "",
        ..row
    };
    builder.push(&child, &resource, &scope);
    builder.finish()
}

fn overview(ask: &Ask) -> Answered {
    let sql = match ask {
        Ask::Sql { sql } => sql,
        // Asked with every other route.
        Ask::LogPatterns { .. } => return Answered::LogPatterns(Box::default()),
        _ => return Answered::Vector(Vec::new()),
    };
    let longs = |items: &[i64]| Arc::new(Int64Array::from(items.to_vec())) as ArrayRef;
    let measures = |names: &[&str], buckets: &[i64], requests: &[i64], errors: &[i64], p95: &[f64]| {
        table(vec![
            ("business_service", texts(names)),
            ("bucket", longs(buckets)),
            ("requests", longs(requests)),
            ("errors", longs(errors)),
            ("p95", Arc::new(Float64Array::from(p95.to_vec())) as ArrayRef),
        ])
    };
    match sql {
        sql if sql.contains(", 0 AS bucket") => measures(&["payments"], &[0], &[120], &[6], &[2.5e8]),
        sql if sql.contains("AS bucket") => measures(&["payments", "payments"], &[0, 2], &[20, 100], &[0, 6], &[1e8, 3e8]),
        sql if sql.contains("DISTINCT business_service") => {
            table(vec![("business_service", texts(&["payments", "payments"])), ("service", texts(&["tax", "till"]))])
        }
        sql if sql.contains("FROM logs") => table(vec![("n", longs(&[11]))]),
        sql if sql.contains("FROM spans") => table(vec![("n", longs(&[22]))]),
        _ => table(vec![("n", longs(&[33]))]),
    }
}

pub(crate) struct Operator {
    pub(crate) ready: bool,
    pub(crate) flush_fails: bool,
    pub(crate) reload_fails: bool,
}

#[async_trait]
impl Admin for Operator {
    async fn flush(&self) -> Result<()> {
        match self.flush_fails {
            true => Err(Error::unavailable("cannot write to the lake")),
            false => Ok(()),
        }
    }

    fn ready(&self) -> bool {
        self.ready
    }

    fn reload(&self) -> Result<()> {
        match self.reload_fails {
            true => Err(Error::invalid("cannot use the catalogue:\nomd.yaml:3:5: cannot use key \"nme\": did you mean \"name\"?")),
            false => Ok(()),
        }
    }

    async fn erase(&self, order: ErasureOrder) -> Result<Erasure> {
        match order.tests.is_empty() {
            true => Err(Error::invalid("cannot erase: \"match\" has 0 tests; write 1 to 16")),
            false => Ok(erasure("8", order)),
        }
    }

    fn erasures(&self) -> Vec<Erasure> {
        let order = ErasureOrder {
            tables: vec![Table::Logs],
            tests: vec![FieldTest { field: "body".to_owned(), equals: Some("secret".to_owned()), contains: None }],
            start_unix_nano: None,
            end_unix_nano: None,
            reference: "case 7".to_owned(),
        };
        let erased = Erased { logs: 3, ..Erased::default() };
        vec![Erasure { state: ErasureState::Done, done_unix_ms: Some(9), erased, files_rewritten: 2, ..erasure("7", order) }]
    }

    fn metrics_text(&self) -> String {
        "tyto_build_info 1\n".to_owned()
    }

    fn reloaded(&self) -> (bool, SystemTime) {
        (!self.reload_fails, SystemTime::UNIX_EPOCH)
    }

    fn shards(&self) -> serde_json::Value {
        serde_json::json!({"shards": [{"name": "default"}]})
    }
}

fn erasure(id: &str, order: ErasureOrder) -> Erasure {
    Erasure {
        id: id.to_owned(),
        state: ErasureState::Pending,
        reference: order.reference,
        tables: order.tables,
        fields: order.tests.into_iter().map(|test| test.field).collect(),
        start_unix_nano: order.start_unix_nano,
        end_unix_nano: order.end_unix_nano,
        accepted_unix_ms: 5,
        done_unix_ms: None,
        erased: Erased::default(),
        files_rewritten: 0,
        hindered_by: None,
    }
}

struct Spent;

impl UsageMeter for Spent {
    fn usage(&self) -> Vec<(Identity, Table, Usage)> {
        vec![(Identity { business_service: "payments".to_owned(), ..Identity::default() }, Table::Logs, Usage { records: 3, bytes: 300 })]
    }
}

impl Cardinality for Spent {
    fn labels(&self, limit: usize) -> Vec<LabelCardinality> {
        let label = LabelCardinality {
            identity: Identity { business_service: "payments".to_owned(), ..Identity::default() },
            job: String::new(),
            label: "user".to_owned(),
            values: 120_034,
            values_max: 100_000,
            overflows: true,
            replaced_series: 20_100,
        };
        vec![label; limit.min(1)]
    }
}

/// One target that answers, one that does not, one that relabelling dropped.
struct Scraped;

impl Targets for Scraped {
    fn config(&self) -> String {
        "scrape_configs:\n  -\n    job_name: node\n".to_owned()
    }

    fn pools(&self) -> Vec<String> {
        vec!["node".to_owned(), "shop".to_owned()]
    }

    fn active(&self) -> Vec<ActiveTarget> {
        let target = |pool: &str, error: &str, time| ActiveTarget {
            discovered_labels: labels(&[("__address__", "host:9100"), ("job", pool)]),
            labels: labels(&[("instance", "host:9100"), ("job", pool)]),
            scrape_pool: pool.to_owned(),
            scrape_url: "http://host:9100/metrics".to_owned(),
            last_error: error.to_owned(),
            last_scrape_unix_ms: time,
            last_scrape_duration: Duration::from_millis(12),
            health: if time.is_none() {
                Health::Unknown
            } else if error.is_empty() {
                Health::Up
            } else {
                Health::Down
            },
            scrape_interval: "15s".to_owned(),
            scrape_timeout: "10s".to_owned(),
        };
        vec![
            target("node", "", Some(1_700_000_000_123)),
            target("shop", "cannot fetch: \"gone\"", Some(1_700_000_000_000)),
            target("shop", "", None),
        ]
    }

    fn dropped(&self) -> Vec<DroppedTarget> {
        vec![DroppedTarget { discovered_labels: labels(&[("__address__", "other:1")]), scrape_pool: "shop".to_owned() }]
    }

    fn dropped_counts(&self) -> Vec<(String, usize)> {
        vec![("node".to_owned(), 0), ("shop".to_owned(), 1)]
    }

    fn metadata(&self) -> Vec<(Labels, Vec<Arc<TargetFamily>>)> {
        let family = |name: &str, kind: &str| {
            Arc::new(TargetFamily { name: name.to_owned(), kind: kind.to_owned(), unit: String::new(), help: format!("Of {name}.") })
        };
        let of = |job| labels(&[("instance", "host:9100"), ("job", job)]);
        vec![(of("node"), vec![family("a_total", "counter"), family("b", "gauge")]), (of("shop"), vec![family("b", "")])]
    }
}

pub(crate) const BOARD: &str = r#"
title: The shop
business_service: login
range: 1h
tiles:
  - {number: Orders, good: up, promql: "sum(increase(orders_total[$range]))"}
  - {number: Refunds, compare: none, sql: "SELECT $start, $end"}
  - flow: Way
    steps: [{name: In, logql: "sum(count_over_time({a=`b`}[$range]))"}, {name: Out, promql: "1"}]
  - {feed: News, sentence: "{pod|a pod} says {missing|nothing}", logql: "{app=`web`}"}
  - {chart: Curve, look: bars, legend: "{job}", promql: "sum by (job) (rate(x[$step]))"}
"#;

const OMD: &str =
    "business_services: [{name: login, services: [{name: auth, components: [{name: api, match: [{service.name: auth-*}]}]}]}]";

/// The router over an engine that answers with `fixture`.
pub(crate) fn router(fixture: &str) -> (Router, Arc<Fake>) {
    let (stop, stopping) = watch::channel(false);
    // It never stops.
    std::mem::forget(stop);
    stopping_router(fixture, stopping)
}

/// One record that was set aside.
struct Aside;

#[async_trait]
impl Quarantine for Aside {
    async fn waiting(&self, selector: &Selector) -> Result<Waiting> {
        let group = Group {
            business_service: "pay".to_owned(),
            service: String::new(),
            component: String::new(),
            team: "till".to_owned(),
            contract: "pay".to_owned(),
            rule: selector.rule.clone().unwrap_or_else(|| "type".to_owned()),
            path: "amount".to_owned(),
            expected: "integer".to_owned(),
            found: "a boolean".to_owned(),
            at: "contracts/pay.json:7".to_owned(),
            records: 1,
            first_unix_nano: selector.start_unix_nano.unwrap_or(1),
            last_unix_nano: 2,
            trend: vec![1],
            examples: vec!["7".to_owned()],
        };
        Ok(Waiting { records: 1, groups: vec![group], groups_left_out: 0 })
    }

    async fn one(&self, id: &str) -> Result<SetAside> {
        if id != "7" {
            return Err(Error::new(Code::NotFound, format!("cannot find {id:?} in quarantine")));
        }
        Ok(SetAside {
            id: id.to_owned(),
            state: "quarantined".to_owned(),
            quarantined_at_unix_nano: 2,
            time_unix_nano: 1,
            business_service: "pay".to_owned(),
            service: String::new(),
            component: String::new(),
            contract: "pay".to_owned(),
            contract_version: "1".to_owned(),
            protocol: "otlp_http".to_owned(),
            violations: vec![Violation { path: "amount".to_owned(), rule: "type".to_owned(), ..Violation::default() }],
            attributes: [("amount".to_owned(), "a boolean")].into(),
        })
    }

    async fn replay(&self, selector: &Selector) -> Result<Settled> {
        Ok(Settled {
            selected: 2 + selector.ids.len() as u64,
            released: 1,
            kept: 1,
            why: vec!["amount breaks".to_owned()],
            ..Settled::default()
        })
    }

    async fn discard(&self, _: &Selector) -> Result<Settled> {
        Ok(Settled { selected: 1, discarded: 1, ..Settled::default() })
    }
}

/// The same, until it is told to stop.
pub(crate) fn stopping_router(fixture: &str, stopping: watch::Receiver<bool>) -> (Router, Arc<Fake>) {
    let fake = Arc::new(Fake { fixture: fixture.to_owned(), asked: Mutex::default(), dropped: Arc::default() });
    let state = PresentState {
        query: fake.clone(),
        admin: Arc::new(Operator {
            ready: fixture != "not ready",
            flush_fails: fixture == "flush fails",
            reload_fails: fixture == "reload fails",
        }),
        catalog: Arc::new(Live::of(declared(fixture))),
        history: Arc::new(NoHistory),
        usage: Arc::new(Spent),
        cardinality: Arc::new(Spent),
        targets: Arc::new(Scraped),
        topology: Arc::new(Drawn),
        scorecards: Arc::new(Scored),
        quarantine: Arc::new(Aside),
        contracts: Arc::new(Drafted),
        pipelines: Arc::new(Piped),
        tails: Tails::new(2, Duration::from_millis(if fixture == "tail expires" { 300 } else { 60_000 }), stopping),
        // Short only where it is waited for.
        limits: QueryLimits {
            timeout: Duration::from_millis(match fixture {
                "hang" | "endless table" => 200,
                "slow" => 300,
                _ => 60_000,
            }),
            ..QueryLimits::default()
        },
        started: SystemTime::UNIX_EPOCH,
        facts: Facts {
            features: if fixture == "features off" { Features::NONE } else { Features::ALL },
            flags: vec![("query.timeout", "1m".to_owned())],
            folder: "/srv".to_owned(),
            host: "owl".to_owned(),
            retention: "15d".to_owned(),
        },
    };
    (present::router(state), fake)
}

const PIPELINE: &str = "name: cards\nabout: Cards are nobody's business.\nmatch: {business_service: login}\nstages: [{mask: card}]\n";

/// Only of the fixture `contracts` somebody has one.
fn declared(fixture: &str) -> Catalog {
    let texts = [("omd.yaml", OMD), ("boards/shop.yaml", BOARD), ("pipelines/cards.yaml", PIPELINE)];
    if fixture != "contracts" {
        return Catalog::parse(&texts).unwrap();
    }
    let named = OMD.replace("name: auth,", "name: auth, contract: auth,");
    let texts = [("omd.yaml", named.as_str()), texts[1], texts[2], ("contracts/auth.json", "{\"title\": \"What auth logs\"}\n")];
    Catalog::parse(&texts).unwrap()
}

/// One pipeline has seen three records, and a trial gives back what it was given.
struct Piped;

#[async_trait]
impl Pipelines for Piped {
    fn counts(&self) -> Vec<PipelineCount> {
        let count = |stage: &str, what, count| PipelineCount {
            pipeline: "cards".to_owned(),
            stage: stage.to_owned(),
            what,
            reason: String::new(),
            business_service: "login".to_owned(),
            service: String::new(),
            component: String::new(),
            count,
        };
        vec![count("", "seen", 3), count("1 mask", "masked", 2)]
    }

    async fn try_draft(&self, _: String, _: String, _: Vec<(String, String)>, records: Vec<serde_json::Value>) -> Result<Trial> {
        let tried =
            |before: serde_json::Value| Tried { after: Some(before.clone()), before, matched: true, dropped: None, notes: Vec::new() };
        Ok(Trial { records: records.into_iter().map(tried).collect(), problems: Vec::new() })
    }
}

/// Two components, of which one calls the other, and says so of what it is asked.
/// Of whose records every second breaks the draft.
struct Drafted;

#[derive(Default)]
struct Judging {
    records: u64,
}

impl ContractTrials for Drafted {
    fn draft(&self, files: &[(String, String)], whom: &DraftFor) -> Result<Box<dyn ContractDraft>> {
        match whom.component.as_str() {
            "gone" => Err(Error::invalid(format!("cannot use the draft:\n{}: {whom:?}", files[0].0))),
            _ => Ok(Box::new(Judging::default())),
        }
    }
}

impl ContractDraft for Judging {
    fn contracts(&self) -> &[String] {
        static CONTRACTS: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| vec!["pay\"ments".to_owned()]);
        &CONTRACTS
    }

    fn business_services(&self) -> &[String] {
        static NAMES: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| vec!["it's".to_owned(), "pay".to_owned()]);
        &NAMES
    }

    fn judge(&mut self, records: &[serde_json::Value]) -> Result<()> {
        self.records += records.len() as u64;
        Ok(())
    }

    fn trial(&self) -> ContractTrial {
        ContractTrial { records: self.records, broken: self.records / 2, observed: self.records / 2, ..ContractTrial::default() }
    }
}

struct Scored;

#[async_trait]
impl Scorecards for Scored {
    async fn scorecard(&self, request: ScorecardRequest) -> Result<Scorecard> {
        if request.team == "nobody" {
            return Err(Error::new(Code::NotFound, "cannot find a component of team \"nobody\""));
        }
        let figures = Figures { logs: 90, spans: 30, without_environment: 12, quarantined: 10, ..Figures::default() };
        let lift = Lift { rule: "signals", level: 3, components: 1, of: 1, says: "1 of 1 component \"sends\" too little".to_owned() };
        let all = Summary {
            level: Some(2),
            components: 1,
            at_level: [0, 1, 0, 0],
            identity_ratio: figures.identity_ratio(),
            kept_ratio: figures.kept_ratio(),
            logs_per_span: figures.logs_per_span(),
            logs_per_point: figures.logs_per_point(),
            figures,
            lifts: vec![lift],
            ..Summary::default()
        };
        Ok(Scorecard {
            start: request.start_ms as f64 / 1000.0,
            end: request.end_ms as f64 / 1000.0,
            levels: LEVELS,
            records_least: 100,
            teams: vec![Summary { name: request.team.clone(), ..all.clone() }],
            business_services: vec![Summary { name: request.business_service, ..all.clone() }],
            all,
            unassigned: Figures::default(),
            components: Vec::new(),
            questions: vec![Question { asks: "Log records", language: "sql", query: "SELECT 1".to_owned() }],
            warnings: Vec::new(),
        })
    }
}

struct Drawn;

#[async_trait]
impl Topology for Drawn {
    async fn map(&self, request: MapRequest) -> Result<TopologyMap> {
        let entity = |name: &str| Entity {
            id: format!("component:payments/checkout/{name}"),
            kind: EntityKind::Component,
            name: name.to_owned(),
            business_service: Some("payments".to_owned()),
            service: Some("checkout".to_owned()),
            parent: Some("service:payments/checkout".to_owned()),
            requests_per_second: 0.5,
            errors_per_second: 0.0,
            p95_seconds: None,
            first_seen: Some(60.0),
            last_seen: Some(120.0),
            declared: true,
        };
        let (from, to) = (entity("a\"b"), entity("tax-service"));
        let edge = MapEdge {
            from: from.id.clone(),
            to: to.id.clone(),
            kind: EdgeKind::Call,
            requests_per_second: 0.5,
            errors_per_second: 0.25,
            p50_seconds: Some(0.1),
            p95_seconds: Some(0.2),
            first_seen: Some(60.0),
            last_seen: Some(120.0),
            declared: false,
            example_trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
        };
        Ok(TopologyMap {
            start: request.start_ms as f64 / 1000.0,
            end: request.end_ms as f64 / 1000.0,
            level: request.level,
            entities: vec![from, to],
            edges: vec![edge],
            warnings: vec![format!("only {:?} and {:?}", request.region, request.environment)],
        })
    }

    async fn drift(&self, start_ms: i64, end_ms: i64) -> Result<DriftReport> {
        let unseen = Unseen { from: "component:payments/checkout/old".to_owned(), to: None };
        let (start, end) = (start_ms as f64 / 1000.0, end_ms as f64 / 1000.0);
        Ok(DriftReport { start, end, drift: true, declared_never_seen: vec![unseen], ..DriftReport::default() })
    }
}
