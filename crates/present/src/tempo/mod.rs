//! Tempo's API. Source: <https://grafana.com/docs/tempo/latest/api_docs/>. Errors are plain text, as Tempo has them.

pub(crate) mod otlp;
mod search;
pub(crate) mod write;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use model::{Answered, Ask, Code, Error, Result, TimeRange};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, TracesData};
use prost::Message;

use crate::error::{PlainFailure as Failure, mismatch};
use crate::params::{self, Params};
use crate::state::{PresentState, Shared, now_ns};
use crate::{respond, times};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/echo", get(async || respond::plain(StatusCode::OK, "echo")))
        .route("/status/buildinfo", get(buildinfo))
        .route("/traces/{id}", get(trace))
        .route("/v2/traces/{id}", get(trace_v2))
        .route("/search", get(search::search))
        .route("/search/tags", get(search::tags))
        .route("/v2/search/tags", get(search::tags_v2))
        .route("/search/tag/{name}/values", get(search::values))
        .route("/v2/search/tag/{name}/values", get(search::values_v2))
}

/// The Tempo whose API this is.
const TEMPO_VERSION: &str = "2.8.0";

async fn buildinfo() -> Response {
    let revision = concat!("tyto ", env!("CARGO_PKG_VERSION"));
    respond::json(StatusCode::OK, format!("{{\"version\":\"{TEMPO_VERSION}\",\"revision\":\"{revision}\",\"branch\":\"\"}}"))
}

const SECOND_NS: i64 = 1_000_000_000;

/// How far back searches and look-ups go that name no time: as Tempo does, they see what is recent, never all history.
const RECENT_NS: i64 = 6 * 3600 * SECOND_NS;

/// `start` and `end` in seconds, both included; without them all time, for one trace by its id.
fn range(params: &Params) -> Result<TimeRange> {
    let instant = |name: &str| params.parsed(name, "Unix time in seconds", times::seconds);
    let (start, end) = (instant("start")?, instant("end")?);
    let range = TimeRange::new(start.unwrap_or(i64::MIN), end.map_or(i64::MAX, |end| end.saturating_add(SECOND_NS)));
    match range.is_empty() {
        true => Err(Error::invalid("invalid parameter \"end\": it is before start")),
        false => Ok(range),
    }
}

/// The same of a search: without a start the last hours before the end.
fn recent(params: &Params) -> Result<TimeRange> {
    let range = range(params)?;
    match params.get("start") {
        Some(_) => Ok(range),
        None => Ok(TimeRange { start_ns: range.end_ns.min(now_ns()).saturating_sub(RECENT_NS), ..range }),
    }
}

impl PresentState {
    /// A whole trace in OTLP's form; an error when there is none of it.
    pub(crate) async fn trace(&self, trace_id: String, range: TimeRange) -> Result<Vec<ResourceSpans>> {
        let Answered::Spans(batches) = self.ask(Ask::Trace { trace_id, range }, None).await?.data else { return Err(mismatch("a trace")) };
        let trace = otlp::resource_spans(&batches)?;
        match trace.is_empty() {
            true => Err(Error::new(Code::NotFound, "trace not found")),
            false => Ok(trace),
        }
    }
}

/// 32 lower-case hexadecimal digits; shorter ids are those with zeros before them.
pub(crate) fn trace_id(text: &str) -> Result<String> {
    let valid = !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match valid {
        true => Ok(format!("{:0>32}", text.to_ascii_lowercase())),
        false => Err(Error::invalid(format!("cannot read trace id {text:?}: it has up to 32 hexadecimal digits"))),
    }
}

async fn trace(State(state): State<Shared>, id: Result<Path<String>, PathRejection>, request: Request) -> Result<Response, Failure> {
    let protobuf = wants_protobuf(request.headers());
    let params = Params::read(request).await?;
    let trace = state.trace(trace_id(&params::path(id)?)?, range(&params)?).await?;
    // Tempo's `Trace` has its batches under the number of OTLP's `resource_spans`: the bytes are the same.
    Ok(match protobuf {
        true => respond::typed(StatusCode::OK, "application/protobuf", TracesData { resource_spans: trace }.encode_to_vec()),
        false => respond::joined("{\"batches\":[".to_owned(), trace, |out, spans| write::resource_spans(out, &spans), "]}".to_owned()),
    })
}

/// Tempo's `TraceByIDResponse`.
#[derive(Clone, PartialEq, Message)]
struct TraceById {
    #[prost(message, optional, tag = "1")]
    trace: Option<TracesData>,
}

async fn trace_v2(State(state): State<Shared>, id: Result<Path<String>, PathRejection>, request: Request) -> Result<Response, Failure> {
    let protobuf = wants_protobuf(request.headers());
    let params = Params::read(request).await?;
    let trace = state.trace(trace_id(&params::path(id)?)?, range(&params)?).await?;
    Ok(match protobuf {
        true => {
            let found = TraceById { trace: Some(TracesData { resource_spans: trace }) };
            respond::typed(StatusCode::OK, "application/protobuf", found.encode_to_vec())
        }
        false => {
            let head = "{\"trace\":{\"resourceSpans\":[".to_owned();
            respond::joined(head, trace, |out, spans| write::resource_spans(out, &spans), "]}}".to_owned())
        }
    })
}

fn wants_protobuf(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("application/protobuf")))
}
