//! `POST /api/traces`, as Jaeger's collector has it.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use model::{Ack, Error, Result};

use super::decode_jaeger_thrift;
use crate::body::{self, Packing};
use crate::outcome::shortened;
use crate::state::{Receivers, accepted, count_request};

const PROTOCOL: &str = "jaeger_thrift";
const PACKINGS: [Packing; 3] = [Packing::Identity, Packing::Gzip, Packing::Zstd];
const CONTENT_TYPES: [&str; 2] = ["application/x-thrift", "application/vnd.apache.thrift.binary"];

pub fn jaeger_router(receivers: Receivers) -> Router {
    Router::new().route("/api/traces", post(move |request: Request| async move { answer(&receivers, request).await }))
}

async fn answer(receivers: &Receivers, request: Request) -> Response {
    let (bytes, result) = take(receivers, request).await;
    let response = accepted(result, "spans").unwrap_or_else(|| StatusCode::ACCEPTED.into_response());
    count_request(PROTOCOL, response.status().as_u16(), bytes);
    response
}

async fn take(receivers: &Receivers, request: Request) -> (usize, Result<Ack>) {
    let content_type = body::content_type(request.headers());
    if !CONTENT_TYPES.contains(&content_type.as_str()) {
        let what = format!("cannot accept Content-Type {}: send a Batch as {}", shortened(&content_type), CONTENT_TYPES.join(" or "));
        return (0, Err(Error::unsupported(what)));
    }
    let (bytes, body) = body::receive(request, Packing::Identity, &PACKINGS, &receivers.limits, &receivers.budget).await;
    match body {
        Ok(body) => (bytes, receivers.take(PROTOCOL, body, |body, rules, _| decode_jaeger_thrift(body, rules)).await),
        Err(error) => (bytes, Err(error)),
    }
}
