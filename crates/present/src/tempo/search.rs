use axum::extract::{Request, State};
use axum::response::Response;
use model::{Answer, Answered, Ask, Error, FoundSpan, QueryStats, Result, SpanSet, SpanValue, TimeRange, TraceSummary};

use super::{Failure, recent, tagged};
use crate::error::mismatch;
use crate::params::Params;
use crate::state::{PresentState, Shared};
use crate::{json, respond, times};

const TRACES_DEFAULT: usize = 20;
const TRACES_MAX: usize = 1000;

/// Spans of each set that are told.
const SPANS_DEFAULT: usize = 3;
const SPANS_MAX: usize = 100_000;

/// A search, by whatever protocol it came.
pub(crate) struct TraceSearch {
    /// TraceQL.
    pub(crate) query: String,
    pub(crate) range: TimeRange,
    pub(crate) limit: usize,
    /// Of each set that are told; all are counted.
    pub(crate) spans_per_set: usize,
}

impl TraceSearch {
    /// The limits of a protocol's own numbers: 0 traces are as many as it has by default, 0 spans are all.
    pub(crate) fn new(query: String, range: TimeRange, limit: Option<usize>, spans_per_set: Option<usize>) -> Result<Self> {
        let limit = match limit.unwrap_or_default() {
            0 => TRACES_DEFAULT,
            limit if limit > TRACES_MAX => {
                return Err(Error::invalid(format!("invalid parameter \"limit\": {limit} is over {TRACES_MAX}")));
            }
            limit => limit,
        };
        let spans_per_set = match spans_per_set.unwrap_or(SPANS_DEFAULT) {
            0 => SPANS_MAX,
            spans => spans.min(SPANS_MAX),
        };
        Ok(Self { query, range, limit, spans_per_set })
    }
}

impl PresentState {
    /// The newest traces of which the query gives spans, and what is missing, where something is.
    async fn search_traces(&self, search: TraceSearch) -> Result<(Vec<TraceSummary>, QueryStats, Option<String>)> {
        let TraceSearch { query, range, limit, spans_per_set } = search;
        let ask = Ask::TraceSearch { query, range, limit, spans_per_set };
        match self.ask(ask, None).await? {
            Answer { data: Answered::Traces(traces), stats, warnings, .. } => Ok((traces, stats, warnings.into_iter().next())),
            _ => Err(mismatch("traces")),
        }
    }
}

pub(super) async fn search(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let query = match params.get("q") {
        Some(query) => query.to_owned(),
        None => {
            let tags = tagged::tags_of(params.get("tags").unwrap_or_default());
            let tags = tags.map_err(|why| Error::invalid(format!("invalid parameter \"tags\": {why}")))?;
            let duration = |name: &str| params.parsed(name, "duration", times::duration);
            tagged::query(&tags, duration("minDuration")?, duration("maxDuration")?)
        }
    };
    let asked = TraceSearch::new(query, recent(&params)?, params.count("limit")?, params.count("spss")?)?;
    let (traces, stats, partial) = state.search_traces(asked).await?;
    let mut tail = format!("],\"metrics\":{}", metrics(&stats, traces.len(), partial.is_none()));
    if let Some(message) = partial {
        tail.push_str(",\"status\":\"PARTIAL\",\"message\":");
        json::text(&mut tail, &message);
    }
    tail.push('}');
    Ok(respond::joined("{\"traces\":[".to_owned(), traces, |out, found| trace(out, &found), tail))
}

/// What an answer cost, and whether it is whole, as Tempo tells it.
pub(super) fn metrics(stats: &QueryStats, traces: usize, complete: bool) -> String {
    let scan = stats.scan;
    format!(
        "{{\"inspectedTraces\":{traces},\"inspectedBytes\":\"{}\",\"inspectedSpans\":\"{}\",\"completedJobs\":{},\"totalJobs\":1}}",
        scan.bytes_scanned,
        scan.rows_scanned + scan.head_rows_scanned,
        u8::from(complete)
    )
}

fn trace(out: &mut String, found: &TraceSummary) {
    let fields = [
        ("traceID", found.trace_id.as_str()),
        ("rootServiceName", found.root_service.as_str()),
        ("rootTraceName", found.root_name.as_str()),
        ("startTimeUnixNano", &found.start_ns.to_string()),
    ];
    json::pairs(out, fields.into_iter());
    out.pop();
    json::push(
        out,
        format_args!(
            ",\"durationMs\":{},\"durationNanos\":\"{}\",\"spanCount\":{},\"errorCount\":{}",
            found.duration_ns / 1_000_000,
            found.duration_ns,
            found.spans,
            found.errors
        ),
    );
    if let Some(first) = found.span_sets.first() {
        out.push_str(",\"spanSet\":");
        span_set(out, first);
        out.push_str(",\"spanSets\":");
        json::list(out, &found.span_sets, span_set);
    }
    out.push_str(",\"serviceStats\":{");
    for (index, (service, spans, errors)) in found.services.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        json::text(out, service);
        json::push(out, format_args!(":{{\"spanCount\":{spans},\"errorCount\":{errors}}}"));
    }
    out.push_str("}}");
}

fn span_set(out: &mut String, set: &SpanSet) {
    out.push_str("{\"spans\":");
    json::list(out, &set.spans, span);
    json::push(out, format_args!(",\"matched\":{}", set.matched));
    if !set.attributes.is_empty() {
        out.push_str(",\"attributes\":");
        json::list(out, &set.attributes, attribute);
    }
    out.push('}');
}

fn span(out: &mut String, found: &FoundSpan) {
    out.push_str("{\"spanID\":");
    json::text(out, &found.span_id);
    if let Some(name) = &found.name {
        out.push_str(",\"name\":");
        json::text(out, name);
    }
    json::push(out, format_args!(",\"startTimeUnixNano\":\"{}\",\"durationNanos\":\"{}\"", found.start_ns, found.duration_ns));
    if !found.attributes.is_empty() {
        out.push_str(",\"attributes\":");
        json::list(out, &found.attributes, attribute);
    }
    out.push('}');
}

/// A name and a value in OTLP's JSON.
pub(super) fn attribute(out: &mut String, (key, found): &(String, SpanValue)) {
    out.push_str("{\"key\":");
    json::text(out, key);
    out.push_str(",\"value\":");
    value(out, found);
    out.push('}');
}

fn value(out: &mut String, found: &SpanValue) {
    match found {
        SpanValue::Nil => out.push_str("{}"),
        SpanValue::Bool(value) => json::push(out, format_args!("{{\"boolValue\":{value}}}")),
        SpanValue::Int(value) => json::push(out, format_args!("{{\"intValue\":\"{value}\"}}")),
        SpanValue::Double(value) => {
            out.push_str("{\"doubleValue\":");
            json::number(out, *value);
            out.push('}');
        }
        SpanValue::Text(text) => {
            out.push_str("{\"stringValue\":");
            json::text(out, text);
            out.push('}');
        }
        SpanValue::List(values) => {
            out.push_str("{\"arrayValue\":{\"values\":");
            json::list(out, values, value);
            out.push_str("}}");
        }
    }
}
