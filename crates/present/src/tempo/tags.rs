use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use model::{Answered, Ask, Result, TimeRange, TraceTagValue};

use super::{Failure, recent, tagged};
use crate::error::mismatch;
use crate::params::{self, Params};
use crate::state::{PresentState, Shared};
use crate::{json, respond};

/// Names or values of one answer.
const WORDS_DEFAULT: usize = 1000;
const WORDS_MAX: usize = 10_000;

/// What is known of every span, in Tempo's order.
pub(crate) const INTRINSICS: [&str; 22] = [
    "duration",
    "event:name",
    "event:timeSinceStart",
    "instrumentation:name",
    "instrumentation:version",
    "kind",
    "name",
    "rootName",
    "rootServiceName",
    "span:duration",
    "span:id",
    "span:kind",
    "span:name",
    "span:status",
    "span:statusMessage",
    "status",
    "statusMessage",
    "trace:duration",
    "trace:id",
    "trace:rootName",
    "trace:rootService",
    "traceDuration",
];

impl PresentState {
    /// Names of attributes by scope; `query` may be empty, or TraceQL that is still being typed.
    pub(crate) async fn trace_tags(&self, query: String, range: TimeRange, limit: usize) -> Result<Vec<(&'static str, Vec<String>)>> {
        match self.ask(Ask::TraceTags { query, range, limit }, None).await?.data {
            Answered::TraceTags(tags) => Ok(tags.scopes),
            _ => Err(mismatch("tags")),
        }
    }

    /// Values of an attribute that is named as people name tags: with or without a scope.
    pub(crate) async fn trace_tag_values(&self, tag: &str, query: String, range: TimeRange, limit: usize) -> Result<Vec<TraceTagValue>> {
        let attribute = tagged::attribute(&decoded(tag)).to_string();
        match self.ask(Ask::TraceTagValues { attribute, query, range, limit }, None).await?.data {
            Answered::TraceTagValues(values) => Ok(values),
            _ => Err(mismatch("tag values")),
        }
    }
}

/// Clients encode names twice, since proxies decode paths.
fn decoded(name: &str) -> String {
    match name.contains('%') {
        true => params::decode_part(name.replace('+', "%2B").as_bytes()).unwrap_or_else(|_| name.to_owned()),
        false => name.to_owned(),
    }
}

fn limit(params: &Params) -> Result<usize> {
    Ok(params.count("limit")?.filter(|limit| *limit > 0).unwrap_or(WORDS_DEFAULT).min(WORDS_MAX))
}

fn query(params: &Params) -> String {
    params.get("q").unwrap_or_default().to_owned()
}

pub(super) async fn tags(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let scope = params.get("scope").unwrap_or("none");
    let wanted = |name: &str| matches!(scope, "none" | "all" | "") || scope == name;
    let scopes = match scope {
        "intrinsic" => Vec::new(),
        _ => state.trace_tags(query(&params), recent(&params)?, limit(&params)?).await?,
    };
    let mut all: Vec<String> = scopes.into_iter().filter(|(name, _)| wanted(name)).flat_map(|(_, names)| names).collect();
    if scope == "intrinsic" {
        all.extend(INTRINSICS.map(str::to_owned));
    }
    all.sort();
    all.dedup();
    let mut body = "{\"tagNames\":".to_owned();
    json::texts(&mut body, all);
    body.push('}');
    Ok(respond::json(StatusCode::OK, body))
}

pub(super) async fn tags_v2(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let scope = params.get("scope").unwrap_or("none");
    let wanted = |name: &str| matches!(scope, "none" | "all") || scope == name;
    let mut scopes = match scope {
        "intrinsic" => Vec::new(),
        _ => state.trace_tags(query(&params), recent(&params)?, limit(&params)?).await?,
    };
    scopes.retain(|(name, tags)| wanted(name) && !tags.is_empty());
    if wanted("intrinsic") {
        scopes.push(("intrinsic", INTRINSICS.map(str::to_owned).to_vec()));
    }
    let mut body = "{\"scopes\":".to_owned();
    json::list(&mut body, scopes, |out, (name, tags)| {
        json::push(out, format_args!("{{\"name\":\"{name}\",\"tags\":"));
        json::texts(out, tags);
        out.push('}');
    });
    body.push('}');
    Ok(respond::json(StatusCode::OK, body))
}

async fn values_of(state: &Shared, name: Result<Path<String>, PathRejection>, request: Request) -> Result<Vec<TraceTagValue>> {
    let name = params::path(name)?;
    let params = Params::read(request).await?;
    state.trace_tag_values(&name, query(&params), recent(&params)?, limit(&params)?).await
}

pub(super) async fn values(
    State(state): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let mut all: Vec<String> = values_of(&state, name, request).await?.into_iter().map(|found| found.value).collect();
    all.sort();
    all.dedup();
    let mut body = "{\"tagValues\":".to_owned();
    json::texts(&mut body, all);
    body.push('}');
    Ok(respond::json(StatusCode::OK, body))
}

pub(super) async fn values_v2(
    State(state): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let all = values_of(&state, name, request).await?;
    let mut body = "{\"tagValues\":".to_owned();
    json::list(&mut body, &all, |out, found| json::pairs(out, [("type", found.kind), ("value", found.value.as_str())].into_iter()));
    body.push('}');
    Ok(respond::json(StatusCode::OK, body))
}
