//! Loki's query API. Source: <https://grafana.com/docs/loki/latest/reference/loki-http-api/>. Errors are plain text, as
//! Loki has them.

mod backlog;
mod drilldown;
mod format;
mod labels;
mod query;
mod tail;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use model::Error;

use crate::error::PlainFailure as Failure;
use crate::params::Params;
use crate::state::{Shared, now_ns};
use crate::{respond, times};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/labels", get(labels::names).post(labels::names))
        .route("/label", get(labels::names).post(labels::names))
        .route("/label/{name}/values", get(labels::values).post(labels::values))
        .route("/series", get(labels::series).post(labels::series))
        .route("/index/stats", get(labels::index_stats).post(labels::index_stats))
        .route("/index/volume", get(drilldown::volume).post(drilldown::volume))
        .route("/index/volume_range", get(drilldown::volume_range).post(drilldown::volume_range))
        .route("/detected_labels", get(drilldown::labels).post(drilldown::labels))
        .route("/detected_fields", get(drilldown::fields).post(drilldown::fields))
        .route("/detected_field/{name}/values", get(drilldown::values).post(drilldown::values))
        .route("/patterns", get(drilldown::patterns).post(drilldown::patterns))
        .route("/drilldown-limits", get(drilldown::limits))
        .route("/tail", get(tail::tail))
        .route("/format_query", get(query::format).post(query::format))
        .route("/status/buildinfo", get(buildinfo))
}

/// The Loki whose query API this is; Grafana chooses what it asks by this number.
const LOKI_VERSION: &str = "3.5.0";

async fn buildinfo() -> Response {
    let body = format!(
        "{{\"version\":\"{LOKI_VERSION}\",\"revision\":\"tyto {}\",\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\"}}",
        env!("CARGO_PKG_VERSION")
    );
    respond::json(StatusCode::OK, body)
}

const HOUR_NS: i64 = 3600 * 1_000_000_000;

/// `start` and `end`; without them the last `since`, or the last so many hours.
fn range(params: &Params, hours: i64) -> Result<(i64, i64), Error> {
    let end = params.parsed("end", "timestamp", times::loki_nanos)?.unwrap_or_else(now_ns);
    let since = params.parsed("since", "duration", times::duration)?.map_or(hours * HOUR_NS, times::as_nanos);
    let start = params.parsed("start", "timestamp", times::loki_nanos)?.unwrap_or_else(|| end.saturating_sub(since));
    match end < start {
        true => Err(Error::invalid("end timestamp must not be before or equal to start time")),
        false => Ok((start, end)),
    }
}
