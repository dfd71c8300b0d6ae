//! Prometheus's query API. Source: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

mod exemplars;
mod format;
mod query;
mod series;
mod status;
mod targets;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use model::{Code, Error};

use crate::state::Shared;
use crate::{error, json, respond};

pub(crate) use query::thousands;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_exemplars", get(exemplars::exemplars).post(exemplars::exemplars))
        .route("/series", get(series::series).post(series::series))
        .route("/labels", get(series::labels).post(series::labels))
        .route("/label/{name}/values", get(series::label_values))
        .route("/metadata", get(series::metadata))
        .merge(targets::routes())
        .route("/format_query", get(not_built).post(not_built))
        .route("/parse_query", get(not_built).post(not_built))
        .route("/status/buildinfo", get(status::buildinfo))
        .route("/status/runtimeinfo", get(status::runtimeinfo))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/tsdb", get(status::tsdb))
}

async fn not_built(uri: http::Uri) -> Failure {
    Error::unsupported(format!("cannot serve {}: Tyto does not have this part of Prometheus's API yet", uri.path().trim_start_matches('/')))
        .into()
}

pub(crate) struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
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
        error::finish(&self.0, failure(error_type(self.0.code), &self.0.chain()))
    }
}

pub(crate) fn failure(error_type: &str, message: &str) -> Response {
    let mut body = format!("{{\"status\":\"error\",\"errorType\":\"{error_type}\",\"error\":");
    json::text(&mut body, message);
    body.push('}');
    respond::json(StatusCode::INTERNAL_SERVER_ERROR, body)
}
