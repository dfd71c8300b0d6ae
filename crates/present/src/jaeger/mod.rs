//! Jaeger's query API, as its UI and Grafana use it. Source: <https://www.jaegertracing.io/docs/latest/apis/>.

mod dependencies;
mod search;
mod write;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use model::{Error, Result, TimeRange};

use crate::params::{self, Params};
use crate::rows::quote;
use crate::state::{Shared, now_ns};
use crate::tempo::trace_id;
use crate::{error, json, respond, times};

/// Names of one answer.
const NAMES_MAX: usize = 10_000;

/// How far back a request looks that names no start: Jaeger's own default of two days, never all history.
const LOOKBACK_NS: i64 = 48 * 3600 * 1_000_000_000;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/services", get(services))
        .route("/services/{service}/operations", get(operations_of))
        .route("/operations", get(operations))
        .route("/traces", get(search::search))
        .route("/traces/{id}", get(trace))
        .route("/dependencies", get(dependencies::dependencies))
}

pub(crate) struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = error::status(&self.0);
        let mut body = format!("{{\"data\":null,\"total\":0,\"limit\":0,\"offset\":0,\"errors\":[{{\"code\":{},\"msg\":", status.as_u16());
        json::text(&mut body, &self.0.chain());
        body.push_str("}]}");
        error::finish(&self.0, respond::json(status, body))
    }
}

/// `start` and `end` in microseconds; all time where they are not said.
fn range(params: &Params) -> Result<TimeRange> {
    let instant = |name: &str| params.parsed(name, "Unix time in microseconds", times::micros);
    let (start, end) = (instant("start")?, instant("end")?);
    // An end of a microsecond holds all of it.
    Ok(TimeRange::new(start.unwrap_or(i64::MIN), end.map_or(i64::MAX, |end| end.saturating_add(1000))))
}

/// Beside data that is there: what it lacks.
fn tail_with_errors(errors: &[(String, Option<&str>)]) -> String {
    let mut out = String::from("],\"total\":0,\"limit\":0,\"offset\":0,\"errors\":");
    json::list(&mut out, errors, |out, (message, trace_id)| {
        out.push_str("{\"msg\":");
        json::text(out, message);
        if let Some(id) = trace_id {
            json::push(out, format_args!(",\"traceID\":\"{id}\""));
        }
        out.push('}');
    });
    out.push('}');
    out
}

fn tail(total: usize) -> String {
    format!("],\"total\":{total},\"limit\":0,\"offset\":0,\"errors\":null}}")
}

fn service(params: &Params) -> Result<&str> {
    params.get("service").ok_or_else(|| Error::invalid("parameter 'service' is required"))
}

/// These requests have no parameters of time.
fn recent() -> String {
    format!("start_time_unix_nano >= {}", now_ns().saturating_sub(LOOKBACK_NS))
}

async fn services(State(state): State<Shared>) -> Result<Response, Failure> {
    let recent = recent();
    let sql = format!(
        "SELECT DISTINCT service_name FROM spans WHERE service_name IS NOT NULL AND {recent} ORDER BY service_name LIMIT {NAMES_MAX}"
    );
    let names = state.rows(sql, None).await?.words("service_name")?;
    let tail = tail(names.len());
    Ok(respond::joined("{\"data\":[".to_owned(), names, |out, name| json::text(out, &name), tail))
}

async fn operations_of(State(state): State<Shared>, service: Result<Path<String>, PathRejection>) -> Result<Response, Failure> {
    let service = quote(&params::path(service)?);
    let recent = recent();
    let sql = format!("SELECT DISTINCT name FROM spans WHERE service_name = {service} AND {recent} ORDER BY name LIMIT {NAMES_MAX}");
    let names = state.rows(sql, None).await?.words("name")?;
    let tail = tail(names.len());
    Ok(respond::joined("{\"data\":[".to_owned(), names, |out, name| json::text(out, &name), tail))
}

async fn operations(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let mut filter = format!("service_name = {} AND {}", quote(service(&params)?), recent());
    if let Some(kind) = params.get("spanKind") {
        filter.push_str(&format!(" AND kind = {}", quote(&kind.to_ascii_lowercase())));
    }
    let rows =
        state.rows(format!("SELECT DISTINCT name, kind FROM spans WHERE {filter} ORDER BY name, kind LIMIT {NAMES_MAX}"), None).await?;
    let (names, kinds) = (rows.texts("name")?, rows.texts("kind")?);
    let all: Vec<_> =
        names.iter().zip(&kinds).map(|(name, kind)| (name.unwrap_or_default().to_owned(), kind.unwrap_or_default().to_owned())).collect();
    let write = |out: &mut String, (name, kind): (String, String)| {
        json::pairs(out, [("name", name.as_str()), ("spanKind", kind.as_str())].into_iter());
    };
    Ok(respond::joined("{\"data\":[".to_owned(), all, write, tail(rows.len())))
}

async fn trace(State(state): State<Shared>, id: Result<Path<String>, PathRejection>, request: Request) -> Result<Response, Failure> {
    let id = trace_id(&params::path(id)?)?;
    let trace = state.trace(id.clone(), range(&Params::read(request).await?)?).await?;
    // Span by span: a large trace is never there twice, and its text is made as the client takes it.
    let (head, tail) = (format!("{{\"data\":[{}", write::head(&id)), format!("{}{}", write::tail(&trace), tail(0)));
    let places = write::places(&trace);
    let write = move |out: &mut String, place: [usize; 3]| write::span_at(out, &id, &trace, place);
    Ok(respond::joined(head, places, write, tail))
}
