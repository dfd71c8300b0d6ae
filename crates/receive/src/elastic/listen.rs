//! Elasticsearch's write API under `/elasticsearch`, and at the root of a port of its own.

use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Method, StatusCode};
use model::{Error, Result};

use super::decode::{Answers, Bulk, decode_bulk, decode_document};
use super::probes;
use super::reply;
use super::route::Call;
use crate::body::{self, Packing};
use crate::outcome::{Rules, shortened};
use crate::state::{Receivers, count_request, retry_after_seconds};

const PROTOCOL: &str = "elasticsearch";
const PREFIX: &str = "/elasticsearch";
const PACKINGS: [Packing; 3] = [Packing::Identity, Packing::Gzip, Packing::Zstd];
/// Official clients speak only to what says this of itself.
const PRODUCT: (HeaderName, HeaderValue) = (HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));
/// The media types of one document and of many lines, under their own names and Elasticsearch's.
const ACCEPTED: [&str; 4] =
    ["application/json", "application/x-ndjson", "application/vnd.elasticsearch+json", "application/vnd.elasticsearch+x-ndjson"];

/// Under `/elasticsearch`, for clients that can be given a path.
pub fn elasticsearch_router(receivers: Receivers) -> Router {
    let handler = any(move |request: Request| async move { answer(&receivers, request).await });
    Router::new().route(PREFIX, handler.clone()).route("/elasticsearch/", handler.clone()).route("/elasticsearch/{*rest}", handler)
}

/// At the root, for a port of its own: many clients know no path.
pub fn elasticsearch_port(receivers: Receivers) -> Router {
    Router::new().fallback(any(move |request: Request| async move { answer(&receivers, request).await }))
}

async fn answer(receivers: &Receivers, request: Request) -> Response {
    let (head, kept) = (request.method() == Method::HEAD, accepted(&request));
    let path = request.uri().path();
    let path = path.strip_prefix(PREFIX).unwrap_or(path).to_owned();
    let (bytes, status, json, text, retry_after) = match Call::of(request.method(), &path) {
        Call::Probe(probe) => {
            let host = body::header(request.headers(), &HOST).to_owned();
            let asked = format!("{} {path}", request.method());
            let (status, json, text) = probes::answer(&probe, &asked, &host, (receivers.clock)());
            (0, status, json, text, None)
        }
        call => {
            let (bytes, result) = take(receivers, call, request).await;
            let retry_after = result.as_ref().err().and_then(retry_after_seconds);
            let (status, text) = result.unwrap_or_else(|error| reply::error(&error));
            (bytes, status, true, text, retry_after)
        }
    };
    count_request(PROTOCOL, status.as_u16(), bytes);
    let content_type = if json { kept } else { HeaderValue::from_static("text/plain; charset=UTF-8") };
    let body = if head { String::new() } else { text };
    let mut response = (status, [PRODUCT, (CONTENT_TYPE, content_type)], body).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Clients that ask for the media type of a version get it back.
fn accepted(request: &Request) -> HeaderValue {
    let accept = body::header(request.headers(), &ACCEPT);
    let versioned = accept.split(',').find(|kind| kind.trim().starts_with("application/vnd.elasticsearch+json"));
    versioned.and_then(|kind| HeaderValue::from_str(kind.trim()).ok()).unwrap_or_else(|| HeaderValue::from_static("application/json"))
}

async fn take(receivers: &Receivers, call: Call, request: Request) -> (usize, Result<(StatusCode, String)>) {
    let content_type = body::content_type(request.headers());
    if !ACCEPTED.contains(&content_type.as_str()) {
        let what = format!("Content-Type header [{}] is not supported", shortened(&content_type).trim_matches('"'));
        return (0, Err(Error::unsupported(what)));
    }
    let pipeline = request.uri().query().and_then(|query| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(name, _)| name == "pipeline").map(|(_, value)| value.into_owned())
    });
    let (bytes, body) = body::receive(request, Packing::Identity, &PACKINGS, &receivers.limits, &receivers.budget).await;
    let body = match body {
        Ok(body) => body,
        Err(error) => return (bytes, Err(error)),
    };
    let began = Instant::now();
    let stored = receivers.to_the_end(async move |receivers| {
        let single = matches!(call, Call::Document { .. });
        let decode = move |body: &[u8], rules: &Rules<'_>, _: &_| read(&call, body, pipeline.as_deref(), rules);
        let (bulk, share) = receivers.decode(PROTOCOL, body, decode, |bulk| &bulk.decoded).await?;
        let Bulk { decoded, mut answers } = bulk;
        let ack = receivers.submit(decoded).await?;
        drop(share);
        answers.refuse(&ack.refused);
        Ok(told(&answers, single, began))
    });
    (bytes, stored.await)
}

fn read(call: &Call, body: &[u8], pipeline: Option<&str>, rules: &Rules<'_>) -> Result<Bulk> {
    match call {
        Call::Bulk { index } => decode_bulk(body, index.as_deref(), pipeline, rules),
        Call::Document { create, index, id } => decode_document(body, *create, index, id.as_deref(), pipeline, rules),
        Call::Probe(_) => unreachable!("a probe has no documents"),
    }
}

fn told(answers: &Answers, single: bool, began: Instant) -> (StatusCode, String) {
    if single {
        return answers.single();
    }
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    (StatusCode::OK, answers.bulk(took_ms))
}
