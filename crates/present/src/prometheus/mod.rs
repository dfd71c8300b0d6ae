//! Prometheus's query API. Source: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

mod exemplars;
mod federate;
mod format;
mod language;
mod params;
mod query;
mod read;
mod rules;
mod series;
mod status;
mod targets;
mod tree;
mod tsdb;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use model::{Code, Error};

use crate::state::Shared;
use crate::{error, json, respond};

pub(crate) use query::thousands;
pub use read::decode_remote_read;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_exemplars", get(exemplars::exemplars).post(exemplars::exemplars))
        .route("/format_query", get(language::format_query).post(language::format_query))
        .route("/parse_query", get(language::parse_query).post(language::parse_query))
        .route("/series", get(series::series).post(series::series))
        .route("/labels", get(series::labels).post(series::labels))
        .route("/label/{name}/values", get(series::label_values))
        .route("/metadata", get(series::metadata))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(rules::alerts))
        .route("/alertmanagers", get(rules::alertmanagers))
        .route("/read", post(read::read))
        .merge(targets::routes())
        .route("/status/buildinfo", get(status::buildinfo))
        .route("/status/runtimeinfo", get(status::runtimeinfo))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/tsdb", get(tsdb::tsdb))
}

/// The one address that Prometheus has beside its API.
pub(crate) fn federation() -> Router<Shared> {
    let federate = || get(federate::federate);
    Router::new().route("/federate", federate()).route("/prometheus/federate", federate())
}

pub(crate) struct Failure {
    error: Error,
    /// When it is not what the error's code says.
    kind: Option<(&'static str, StatusCode)>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, kind: None }
    }
}

impl Failure {
    /// Of a question that was asked: a request that was wrong names its parameter, and whatever else does not fit has come up
    /// while the query ran, which Prometheus calls its execution.
    fn of_query(error: Error) -> Self {
        let of_request = error.code != Code::Invalid || error.what.starts_with("invalid parameter");
        let kind = (!of_request).then_some(("execution", StatusCode::UNPROCESSABLE_ENTITY));
        Self { error, kind }
    }
}

/// Prometheus's word for the kind of failure.
fn error_type(code: Code) -> &'static str {
    match code {
        Code::Invalid | Code::TooLarge => "bad_data",
        Code::NotFound => "not_found",
        Code::Unauthenticated => "unauthorized",
        Code::Forbidden => "forbidden",
        Code::Overloaded { .. } => "too_many_requests",
        Code::LimitExceeded => "execution",
        Code::Timeout => "timeout",
        Code::Cancelled => "canceled",
        Code::Unsupported => "not_implemented",
        Code::Unavailable => "unavailable",
        Code::Corrupt | Code::Internal => "internal",
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let kind = self.kind.map_or_else(|| error_type(self.error.code), |(kind, _)| kind);
        let mut response = error::finish(&self.error, failure(kind, &self.error.chain()));
        if let Some((_, status)) = self.kind {
            *response.status_mut() = status;
        }
        response
    }
}

pub(crate) fn failure(error_type: &str, message: &str) -> Response {
    let mut body = format!("{{\"status\":\"error\",\"errorType\":\"{error_type}\",\"error\":");
    json::text(&mut body, message);
    body.push('}');
    respond::json(StatusCode::INTERNAL_SERVER_ERROR, body)
}
