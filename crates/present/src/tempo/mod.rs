//! Tempo's API. Source: <https://grafana.com/docs/tempo/latest/api_docs/>. Errors are plain text, as Tempo has them.

mod by_id;
mod grpc;
mod messages;
pub(crate) mod metrics;
pub(crate) mod otlp;
pub(crate) mod search;
mod tagged;
pub(crate) mod tags;
pub(crate) mod write;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use model::{Error, Result, TimeRange};

use crate::error::PlainFailure as Failure;
use crate::params::Params;
use crate::state::{Shared, now_ns};
use crate::{respond, times};

pub(crate) use grpc::routes as grpc_routes;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/echo", get(async || respond::plain(StatusCode::OK, "echo")))
        .route("/status/buildinfo", get(buildinfo))
        .route("/traces/{id}", get(by_id::trace))
        .route("/v2/traces/{id}", get(by_id::trace_v2))
        .route("/search", get(search::search))
        .route("/search/tags", get(tags::tags))
        .route("/v2/search/tags", get(tags::tags_v2))
        .route("/search/tag/{name}/values", get(tags::values))
        .route("/v2/search/tag/{name}/values", get(tags::values_v2))
        .route("/metrics/query_range", get(metrics::query_range))
        .route("/metrics/query", get(metrics::query_instant))
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

/// 32 lower-case hexadecimal digits; shorter ids are those with zeros before them.
pub(crate) fn trace_id(text: &str) -> Result<String> {
    let valid = !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match valid {
        true => Ok(format!("{:0>32}", text.to_ascii_lowercase())),
        false => Err(Error::invalid(format!("cannot read trace id {text:?}: it has up to 32 hexadecimal digits"))),
    }
}
