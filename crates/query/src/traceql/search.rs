//! Which traces have such spans?
//!
//! Spans that may be among them are read newest first; the traces they belong to are then read whole, some at a time, and asked,
//! until enough of them answer. So a search touches as much of the past as its answer needs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use lang::traceql::{Attribute, Intrinsic, Pipeline, Scope, Value};
use model::{
    Answer, Answered, Code, FoundSpan, Order, QueryLimits, Result, Scan, ScanRequest, ScanStream, SpanSet, SpanValue, Table, Test,
    TimeRange, TraceSummary,
};

use super::fields::{Field, Slots};
use super::pushdown::{Narrowed, candidate};
use super::sets::{Set, Sets, Span};
use super::source::{ALL_ATTRIBUTES, Columns, Row, columns, required};
use super::tree::{Node, places};
use crate::guard::{Charge, Guard, blocking};
use crate::trace::trace_filter;

/// Traces read at once.
const CHUNK_MAX: usize = 1024;
/// What a trace may take of the query's memory before any is read.
const TRACE_BYTES: usize = 64 << 10;

pub(crate) struct Wanted {
    pub(crate) range: TimeRange,
    pub(crate) limit: usize,
    pub(crate) spans_per_set: usize,
}

/// The newest by their newest span that may match, then sorted by start. Where a limit ends the search, those found until then and a warning:
/// nothing newer was passed over.
pub(crate) async fn newest(scan: &dyn Scan, pipeline: &Pipeline, wanted: &Wanted, reach: Duration, limits: &QueryLimits) -> Result<Answer> {
    let guard = Guard::new(limits);
    let _cancel = guard.cancel_on_drop();
    let limit = wanted.limit.min(limits.series_max);
    let reader = TraceReader::new(pipeline, reach, false, guard.clone())?;
    let mut candidates = reader.candidates(scan, pipeline, wanted.range).await?;
    let mut found: Vec<TraceSummary> = Vec::new();
    // Mostly all of them answer. Where they do not, more are asked at a time.
    let mut chunk_size = limit.min(CHUNK_MAX).min(limits.memory_bytes_max / TRACE_BYTES).max(1);
    let mut warnings = Vec::new();
    let mut waiting: Vec<Chunk> = Vec::new();
    while found.len() < limit {
        let next = match waiting.pop() {
            Some(chunk) => Ok(Some(chunk)),
            None => candidates.next(chunk_size).await,
        };
        let read = match next {
            Ok(None) => break,
            Ok(Some(chunk)) => summaries(scan, &reader, &chunk, wanted.spans_per_set).await.map_err(|error| (error, Some(chunk))),
            Err(error) => Err((error, None)),
        };
        match read {
            Ok(traces) => found.extend(traces),
            Err((error, Some(chunk))) if error.code == Code::LimitExceeded && chunk.trace_ids.len() > 1 => {
                // Fewer at a time may fit; the newer ones first.
                chunk_size = chunk.trace_ids.len().div_ceil(2);
                waiting.extend(chunk.halves());
                continue;
            }
            Err((error, _)) if error.code == Code::LimitExceeded && !found.is_empty() => {
                warnings.push(format!("older traces were not looked at: {}", error.chain()));
                break;
            }
            Err((error, _)) => return Err(error),
        }
        if waiting.is_empty() {
            chunk_size = (2 * chunk_size).min(CHUNK_MAX);
        }
    }
    found.truncate(limit);
    found.sort_by(|a, b| (b.start_ns, &a.trace_id).cmp(&(a.start_ns, &b.trace_id)));
    Ok(Answer { warnings, ..Answer::new(Answered::Traces(found)) })
}

/// What these traces give.
async fn summaries(scan: &dyn Scan, reader: &TraceReader, chunk: &Chunk, spans_per_set: usize) -> Result<Vec<TraceSummary>> {
    let (traces, plan) = (reader.read(scan, chunk).await?, reader.plan.clone());
    blocking(move || Ok(traces.0.iter().filter_map(|trace| plan.summary(trace, spans_per_set)).collect())).await
}

/// A compiled query and the attributes it needs.
pub(crate) struct Plan {
    pub(crate) slots: Slots,
    pub(crate) sets: Sets,
}

/// A whole trace, as far as a query needs it.
#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) id: String,
    root_service: String,
    root_name: String,
    start_ns: i64,
    end_ns: i64,
    errors: u64,
    services: BTreeMap<String, (u64, u64)>,
    pub(crate) spans: Vec<Span>,
}

/// Reads traces whole.
pub(crate) struct TraceReader {
    pub(crate) plan: Arc<Plan>,
    reach_ns: i64,
    /// Every attribute of each span is kept.
    all: bool,
    guard: Guard,
}

impl TraceReader {
    pub(crate) fn new(pipeline: &Pipeline, reach: Duration, all: bool, guard: Guard) -> Result<Self> {
        let mut slots = Slots::default();
        let sets = Sets::new(pipeline, &mut slots)?;
        let reach_ns = i64::try_from(reach.as_nanos()).unwrap_or(i64::MAX);
        Ok(Self { plan: Arc::new(Plan { slots, sets }), reach_ns, all, guard })
    }

    /// The traces that may be an answer: those of which a span overlaps the range and passes what can be asked of it alone.
    pub(crate) async fn candidates(&self, scan: &dyn Scan, pipeline: &Pipeline, range: TimeRange) -> Result<Candidates> {
        let narrowed = Narrowed::of(&candidate(pipeline));
        let mut slots = Slots::default();
        let rest = narrowed.rest.as_ref().map(|rest| Field::new(rest, &mut slots)).transpose()?;
        // A span that began before the range may last into it.
        let time = TimeRange::new(range.start_ns.saturating_sub(self.reach_ns), range.end_ns);
        let mut request = ScanRequest::new(Table::Spans, time);
        request.filters = narrowed.filters;
        request.columns = Some(columns(slots.attributes(), &["trace_id", "start_time_unix_nano", "end_time_unix_nano"]));
        request.order = Order::NewestFirst;
        let rows = scan.scan(request).await?;
        let guard = self.guard.clone();
        Ok(Candidates {
            rows,
            slots,
            rest,
            start_ns: range.start_ns,
            seen: HashSet::new(),
            charge: guard.charge(0),
            guard,
            batch: None,
            row: 0,
        })
    }

    /// In the order of the chunk. The charge is for what the traces hold.
    pub(crate) async fn read(&self, scan: &dyn Scan, chunk: &Chunk) -> Result<(Vec<Trace>, Charge)> {
        let range =
            TimeRange::new(chunk.first_ns.saturating_sub(self.reach_ns), chunk.last_ns.saturating_add(self.reach_ns).saturating_add(1));
        let mut request = ScanRequest::new(Table::Spans, range);
        request.filters.push(trace_filter(Test::OneOf(chunk.trace_ids.clone())));
        let mut more = TRACE_COLUMNS.to_vec();
        if self.all {
            more.extend(ALL_ATTRIBUTES);
        }
        request.columns = Some(columns(self.plan.slots.attributes(), &more));
        let mut gathered: HashMap<&str, Gathered> = chunk.trace_ids.iter().map(|id| (id.as_str(), Gathered::default())).collect();
        let mut rows = scan.scan(request).await?;
        let mut charge = self.guard.charge(0);
        while let Some(batch) = rows.try_next().await? {
            let trace_id = required(&batch, "trace_id")?;
            let columns = Columns::of(&batch);
            for row in 0..batch.num_rows() {
                let Some(trace) = gathered.get_mut(model::logs::text_or_empty(trace_id, row)) else { continue };
                charge.grow(trace.add(&columns, row, self.plan.slots.attributes(), self.all));
            }
            self.guard.check()?;
        }
        let slots = self.plan.slots.attributes();
        let traces = chunk.trace_ids.iter().filter_map(|id| Some(gathered.remove(id.as_str())?.trace(id, slots)));
        Ok((traces.collect(), charge))
    }
}

const TRACE_COLUMNS: [&str; 10] = [
    "trace_id",
    "span_id",
    "parent_span_id",
    "service_name",
    "name",
    "kind",
    "status_code",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "duration_nano",
];

/// Ids of traces with a span that may match, newest such span first, each once.
pub(crate) struct Candidates {
    rows: ScanStream,
    slots: Slots,
    rest: Option<Field>,
    start_ns: i64,
    seen: HashSet<String>,
    charge: Charge,
    guard: Guard,
    batch: Option<RecordBatch>,
    row: usize,
}

pub(crate) struct Chunk {
    trace_ids: Vec<String>,
    first_ns: i64,
    last_ns: i64,
}

impl Chunk {
    /// The older half, and the newer one.
    fn halves(mut self) -> [Self; 2] {
        let older = self.trace_ids.split_off(self.trace_ids.len().div_ceil(2));
        [Self { trace_ids: older, ..self }, self]
    }
}

impl Candidates {
    pub(crate) async fn next(&mut self, size: usize) -> Result<Option<Chunk>> {
        let mut chunk = Chunk { trace_ids: Vec::new(), first_ns: i64::MAX, last_ns: i64::MIN };
        while chunk.trace_ids.len() < size {
            if self.batch.as_ref().is_none_or(|batch| self.row == batch.num_rows()) {
                self.batch = self.rows.try_next().await?;
                self.row = 0;
                self.guard.check()?;
            }
            let Some(batch) = &self.batch else { break };
            let columns = Columns::of(batch);
            while self.row < batch.num_rows() && chunk.trace_ids.len() < size {
                let row = self.row;
                self.row += 1;
                let (id, start) = (columns.text("trace_id", row), Columns::long(columns.start, row));
                if id.is_empty() || start < self.start_ns && Columns::long(columns.end, row) < self.start_ns || self.seen.contains(id) {
                    continue;
                }
                let fields = Row { columns: &columns, attributes: self.slots.attributes(), row };
                if self.rest.as_ref().is_none_or(|rest| rest.passes(&fields)) {
                    self.charge.grow(2 * id.len() + 64);
                    self.seen.insert(id.to_owned());
                    chunk.trace_ids.push(id.to_owned());
                    chunk.first_ns = chunk.first_ns.min(start);
                    chunk.last_ns = chunk.last_ns.max(start);
                }
            }
        }
        Ok((!chunk.trace_ids.is_empty()).then_some(chunk))
    }
}

/// The spans of a trace as they come.
#[derive(Default)]
struct Gathered {
    trace: Trace,
    /// Parent's id and whether it is a server, of each span.
    nodes: Vec<(String, bool)>,
    /// Whether it has a parent, and the start, of the root so far: the earliest span without a parent, or the earliest.
    root: Option<(bool, i64)>,
}

impl Gathered {
    /// Gives the bytes that are held more.
    fn add(&mut self, columns: &Columns<'_>, row: usize, attributes: &[Attribute], all: bool) -> usize {
        let (start_ns, end_ns) = (Columns::long(columns.start, row), Columns::long(columns.end, row));
        let text = |name: &str| columns.text(name, row);
        let (parent, service) = (text("parent_span_id"), text("service_name"));
        let trace = &mut self.trace;
        let rank = (!parent.is_empty(), start_ns);
        if self.root.is_none_or(|root| rank < root) {
            self.root = Some(rank);
            trace.root_service = service.to_owned();
            trace.root_name = text("name").to_owned();
        }
        (trace.start_ns, trace.end_ns) = match trace.spans.is_empty() {
            true => (start_ns, end_ns),
            false => (trace.start_ns.min(start_ns), trace.end_ns.max(end_ns)),
        };
        let is_error = text("status_code") == "error";
        trace.errors += u64::from(is_error);
        match trace.services.get_mut(service) {
            Some((spans, errors)) => (*spans, *errors) = (*spans + 1, *errors + u64::from(is_error)),
            None => drop(trace.services.insert(service.to_owned(), (1, u64::from(is_error)))),
        }
        let mut span = Span {
            id: text("span_id").to_owned(),
            start_ns,
            duration_ns: Columns::long(columns.duration, row),
            values: attributes.iter().map(|attribute| columns.value(attribute, row).into_owned()).collect(),
            ..Span::default()
        };
        if all {
            columns.each(row, |name, value| span.all.push((name, value.into_owned())));
        }
        let size = span.values.iter().chain(span.all.iter().map(|(_, value)| value)).map(value_bytes).sum::<usize>();
        trace.spans.push(span);
        self.nodes.push((parent.to_owned(), text("kind") == "server"));
        size + size_of::<Span>() + 96
    }

    fn trace(self, id: &str, slots: &[Attribute]) -> Trace {
        let Self { mut trace, nodes, .. } = self;
        trace.id = id.to_owned();
        let nodes: Vec<Node<'_>> = trace
            .spans
            .iter()
            .zip(&nodes)
            .map(|(span, (parent, is_server))| Node { id: &span.id, parent, is_server: *is_server })
            .collect();
        let places = places(&nodes);
        let duration = Value::Duration(trace.end_ns.saturating_sub(trace.start_ns));
        for (span, (place, children)) in trace.spans.iter_mut().zip(places) {
            span.place = place;
            for (slot, attribute) in slots.iter().enumerate() {
                use Intrinsic::*;
                let Attribute::Intrinsic(intrinsic) = attribute else { continue };
                span.values[slot] = match intrinsic {
                    ChildCount => Value::Int(children),
                    NestedSetLeft => Value::Int(place.left),
                    NestedSetRight => Value::Int(place.right),
                    NestedSetParent => Value::Int(place.parent),
                    TraceDuration => duration.clone(),
                    RootName => Value::text(trace.root_name.clone()),
                    RootService => Value::text(trace.root_service.clone()),
                    _ => continue,
                };
            }
        }
        trace
    }
}

fn value_bytes(value: &Value<'_>) -> usize {
    size_of::<Value<'_>>()
        + match value {
            Value::Text(text) => text.len(),
            Value::List(values) => values.iter().map(value_bytes).sum(),
            _ => 0,
        }
}

impl Plan {
    /// What the query gives of a trace.
    pub(crate) fn run(&self, trace: &Trace) -> Vec<Set> {
        self.sets.run(&trace.spans, vec![Set { spans: (0..trace.spans.len()).collect(), ..Set::default() }])
    }

    /// None when it gives nothing.
    fn summary(&self, trace: &Trace, spans_per_set: usize) -> Option<TraceSummary> {
        let sets = self.run(trace);
        if sets.is_empty() {
            return None;
        }
        let services = trace.services.iter().map(|(service, (spans, errors))| (service.clone(), *spans, *errors));
        Some(TraceSummary {
            trace_id: trace.id.clone(),
            root_service: trace.root_service.clone(),
            root_name: trace.root_name.clone(),
            start_ns: trace.start_ns,
            duration_ns: trace.end_ns.saturating_sub(trace.start_ns),
            spans: trace.spans.len() as u64,
            errors: trace.errors,
            services: services.collect(),
            span_sets: sets.into_iter().map(|set| self.told(trace, set, spans_per_set)).collect(),
        })
    }

    fn told(&self, trace: &Trace, set: Set, spans_per_set: usize) -> SpanSet {
        let matched = set.spans.len() as u64;
        let span = |&at: &usize| {
            let Span { id, start_ns, duration_ns, values, .. } = &trace.spans[at];
            let mut found = FoundSpan { span_id: id.clone(), start_ns: *start_ns, duration_ns: *duration_ns, ..FoundSpan::default() };
            for (attribute, value) in self.slots.attributes().iter().zip(values) {
                match (attribute, value) {
                    (_, Value::Nil) => {}
                    (Attribute::Intrinsic(Intrinsic::Name), value) => found.name = Some(plain_text(value)),
                    (
                        Attribute::Intrinsic(Intrinsic::TraceDuration | Intrinsic::RootName | Intrinsic::RootService | Intrinsic::TraceId),
                        _,
                    ) => {}
                    (attribute, value) => found.attributes.push((key(attribute), span_value(value))),
                }
            }
            found
        };
        SpanSet {
            spans: set.spans.iter().take(spans_per_set).map(span).collect(),
            matched,
            attributes: set.attributes.iter().map(|(name, value)| (name.clone(), span_value(value))).collect(),
        }
    }
}

/// As senders name it: the query's scope tells nothing more.
fn key(attribute: &Attribute) -> String {
    match attribute {
        Attribute::Key { scope: Scope::Any | Scope::Span | Scope::Resource | Scope::Instrumentation, name, .. } => name.clone(),
        attribute => attribute.to_string(),
    }
}

/// The value without quotes.
pub(super) fn plain_text(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.clone().into_owned(),
        value => value.to_string(),
    }
}

pub(super) fn span_value(value: &Value<'_>) -> SpanValue {
    match value {
        Value::Nil => SpanValue::Nil,
        Value::Bool(value) => SpanValue::Bool(*value),
        Value::Int(value) => SpanValue::Int(*value),
        Value::Float(value) => SpanValue::Double(*value),
        Value::List(values) => SpanValue::List(values.iter().map(span_value).collect()),
        value => SpanValue::Text(plain_text(value)),
    }
}
