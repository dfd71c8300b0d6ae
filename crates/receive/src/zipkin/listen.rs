//! `POST /api/v2/spans`.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use model::{Ack, Error, Result};

use super::{decode_zipkin_json, decode_zipkin_proto};
use crate::body::{self, Packing};
use crate::outcome::shortened;
use crate::state::{Receivers, accepted, count_request};

const PROTOCOL: &str = "zipkin";
const PACKINGS: [Packing; 3] = [Packing::Identity, Packing::Gzip, Packing::Zstd];

pub fn zipkin_router(receivers: Receivers) -> Router {
    Router::new().route("/api/v2/spans", post(move |request: Request| async move { answer(&receivers, request).await }))
}

/// A port of its own, with what Zipkin's clients look at before they send.
pub fn zipkin_port(receivers: Receivers) -> Router {
    zipkin_router(receivers).route("/health", get(async || "{\"status\":\"UP\"}"))
}

async fn answer(receivers: &Receivers, request: Request) -> Response {
    let (bytes, result) = take(receivers, request).await;
    let response = accepted(result, "spans").unwrap_or_else(|| StatusCode::ACCEPTED.into_response());
    count_request(PROTOCOL, response.status().as_u16(), bytes);
    response
}

async fn take(receivers: &Receivers, request: Request) -> (usize, Result<Ack>) {
    let decode = match body::content_type(request.headers()).as_str() {
        "application/json" | "" => decode_zipkin_json,
        "application/x-protobuf" => decode_zipkin_proto,
        other => {
            let what = format!("cannot accept Content-Type {}: send application/json or application/x-protobuf", shortened(other));
            return (0, Err(Error::unsupported(what)));
        }
    };
    let (bytes, body) = body::receive(request, Packing::Identity, &PACKINGS, &receivers.limits, &receivers.budget).await;
    match body {
        Ok(body) => (bytes, receivers.take(PROTOCOL, body, move |body, rules, _| decode(body, rules)).await),
        Err(error) => (bytes, Err(error)),
    }
}
