//! What Grafana's Logs Drilldown asks beside queries: volumes, labels and fields that it finds by itself.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use model::{Answered, Ask, DetectedField, DetectedFields, Direction, Error, Matcher, Result, VolumeBy};

use super::format::{Encoding, result};
use super::labels::{of_query, time};
use super::query::{ENTRIES_MAX, step};
use super::{Failure, LOKI_VERSION, range};
use crate::error::mismatch;
use crate::params::{self, Params};
use crate::state::Shared;
use crate::{json, respond};

/// Volumes of an answer that names no limit, and at most.
const VOLUMES_DEFAULT: usize = 100;
const VOLUMES_MAX: usize = 5000;
/// Patterns of one answer.
const PATTERNS_MAX: usize = 1000;
/// Lines that are looked at for fields, and fields of an answer, when the request does not say.
const LINES_DEFAULT: usize = 1000;
const FIELDS_DEFAULT: usize = 1000;

pub(super) async fn volume(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    volumes(&state, &params, None).await
}

pub(super) async fn volume_range(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let (start_ns, end_ns) = range(&params, 1)?;
    let step_ns = step(&params, start_ns, end_ns, state.limits.points_per_series_max)?;
    volumes(&state, &params, Some(step_ns)).await
}

async fn volumes(state: &Shared, params: &Params, step_ns: Option<i64>) -> Result<Response, Failure> {
    params.required("query")?;
    let selectors = of_query(params, "query").await?;
    let matchers: Vec<Matcher> = selectors.into_iter().flatten().collect();
    let (start_ns, end_ns) = range(params, 1)?;
    let by = by(params, &matchers)?;
    let limit = params.count("limit")?.unwrap_or(VOLUMES_DEFAULT);
    if limit == 0 || limit > VOLUMES_MAX {
        return Err(Error::invalid(format!("invalid parameter \"limit\": {limit} is not between 1 and {VOLUMES_MAX}")).into());
    }
    let answer = state.ask(Ask::LogVolume { matchers, start_ns, end_ns, step_ns, by, limit }, None).await?;
    Ok(result(answer, Encoding::Merged, Direction::Backward)?)
}

/// Without `targetLabels` streams are told apart by the labels that the selector names.
fn by(params: &Params, matchers: &[Matcher]) -> Result<VolumeBy> {
    let targets: Vec<String> = params
        .all("targetLabels")
        .flat_map(|names| names.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    match params.get("aggregateBy") {
        None | Some("series") if targets.is_empty() => Ok(VolumeBy::Series(matchers.iter().map(|matcher| matcher.name.clone()).collect())),
        None | Some("series") => Ok(VolumeBy::Series(targets)),
        Some("labels") => Ok(VolumeBy::Labels(targets)),
        Some(other) => Err(Error::invalid(format!("invalid parameter \"aggregateBy\": {other:?} is neither series nor labels"))),
    }
}

/// Labels of streams, and how many values each has.
pub(super) async fn labels(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let ask =
        Ask::Series { table: model::Table::Logs, selectors: of_query(&params, "query").await?, range: time(&params, 1)?, limit: None };
    let Answered::Series(streams) = state.ask(ask, None).await?.data else { return Err(mismatch("streams").into()) };
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in streams.iter().flat_map(model::Labels::iter) {
        values.entry(name).or_default().insert(value);
    }
    let mut body = "{\"detectedLabels\":".to_owned();
    json::list(&mut body, values, |out, (name, values)| {
        out.push_str("{\"label\":");
        json::text(out, name);
        json::push(out, format_args!(",\"cardinality\":{}}}", values.len()));
    });
    body.push('}');
    Ok(respond::json(StatusCode::OK, body))
}

async fn detected(state: &Shared, params: &Params) -> Result<DetectedFields, Failure> {
    let (start_ns, end_ns) = range(params, 1)?;
    let lines_max = params.count("line_limit")?.unwrap_or(LINES_DEFAULT);
    if lines_max == 0 || lines_max > ENTRIES_MAX {
        return Err(Error::invalid(format!("invalid parameter \"line_limit\": {lines_max} is not between 1 and {ENTRIES_MAX}")).into());
    }
    let ask = Ask::DetectedFields { query: params.required("query")?.to_owned(), start_ns, end_ns, lines_max };
    match state.ask(ask, None).await?.data {
        Answered::DetectedFields(found) => Ok(found),
        _ => Err(mismatch("fields").into()),
    }
}

/// How many fields, or values, are wanted.
fn wanted(params: &Params) -> Result<usize> {
    Ok(params.count("limit")?.filter(|limit| *limit > 0).unwrap_or(FIELDS_DEFAULT))
}

pub(super) async fn fields(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let limit = wanted(&params)?;
    let found = detected(&state, &params).await?;
    let mut body = "{\"fields\":".to_owned();
    json::list(&mut body, found.fields.iter().take(limit), field);
    end(&mut body, limit, &found, found.fields.len() > limit);
    Ok(respond::json(StatusCode::OK, body))
}

fn field(out: &mut String, field: &DetectedField) {
    out.push_str("{\"label\":");
    json::text(out, &field.name);
    json::push(out, format_args!(",\"type\":\"{}\",\"cardinality\":{},\"parsers\":", field.kind.name(), field.values.len()));
    match field.parsers.is_empty() {
        true => out.push_str("null"),
        false => json::texts(out, &field.parsers),
    }
    if !field.json_path.is_empty() {
        out.push_str(",\"jsonPath\":");
        json::texts(out, &field.json_path);
    }
    out.push('}');
}

pub(super) async fn values(
    State(state): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let name = params::path(name)?;
    let params = Params::read(request).await?;
    let limit = wanted(&params)?;
    let found = detected(&state, &params).await?;
    let values = found.fields.iter().find(|field| field.name == name).map_or(&[][..], |field| &field.values);
    let mut body = "{\"values\":".to_owned();
    json::texts(&mut body, values.iter().take(limit).map(|(value, _)| value));
    end(&mut body, limit, &found, values.len() > limit);
    Ok(respond::json(StatusCode::OK, body))
}

/// Says what was looked at, and what was left out: fields are of the newest lines only.
fn end(body: &mut String, limit: usize, found: &DetectedFields, cut: bool) {
    let DetectedFields { lines, sampled, .. } = found;
    json::push(body, format_args!(",\"limit\":{limit},\"tyto\":{{\"lines\":{lines},\"sampled\":{sampled},\"cut\":{cut}}}}}"));
}

/// Patterns of lines by level and step, the most frequent first.
pub(super) async fn patterns(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let query = params.required("query")?.to_owned();
    let (start_ns, end_ns) = range(&params, 1)?;
    let step_ns = step(&params, start_ns, end_ns, state.limits.points_per_series_max)?.max(1_000_000_000);
    let ask = Ask::LogPatterns { query, start_ns, end_ns, step_ns, before: None, limit: PATTERNS_MAX };
    let Answered::LogPatterns(found) = state.ask(ask, None).await?.data else { return Err(mismatch("patterns").into()) };
    let mut body = "{\"status\":\"success\",\"data\":".to_owned();
    let of_levels = found.patterns.iter().flat_map(|found| found.samples.iter().map(|(level, steps)| (&found.pattern, *level, steps)));
    json::list(&mut body, of_levels, |out, (pattern, level, steps)| {
        out.push_str("{\"pattern\":");
        json::text(out, pattern);
        json::push(out, format_args!(",\"level\":\"{level}\",\"samples\":"));
        json::list(out, steps, |out, (seconds, lines)| json::push(out, format_args!("[{seconds},{lines}]")));
        out.push('}');
    });
    body.push('}');
    Ok(respond::json(StatusCode::OK, body))
}

/// What Drilldown may ask for.
pub(super) async fn limits(State(state): State<Shared>) -> Response {
    let limits = &state.limits;
    let body = serde_json::json!({
        "limits": {
            "discover_log_levels": true,
            "discover_service_name": ["service.name", "service_name"],
            "max_entries_limit_per_query": ENTRIES_MAX,
            "max_query_bytes_read": format!("{}B", limits.scanned_bytes_max),
            "max_query_series": limits.series_max,
            "metric_aggregation_enabled": false,
            "pattern_persistence_enabled": true,
            "query_timeout": format!("{}s", limits.timeout.as_secs()),
            "volume_enabled": true,
            "volume_max_series": VOLUMES_MAX,
        },
        "pattern_ingester_enabled": true,
        "version": LOKI_VERSION,
    });
    respond::json(StatusCode::OK, body.to_string())
}
