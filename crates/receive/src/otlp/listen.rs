//! OTLP over HTTP. Source: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use model::{Ack, Error, Result};

use super::{DeltaState, Encoding, SignalKind, reply};
use crate::body::{self, Packing};
use crate::outcome::{Rules, shortened};
use crate::state::{Receivers, count_request, http_status, retry_after_seconds};

const PROTOCOL: &str = "otlp_http";
const PACKINGS: [Packing; 3] = [Packing::Identity, Packing::Gzip, Packing::Zstd];

/// `POST /v1/logs`, `/v1/traces` and `/v1/metrics`.
pub fn otlp_http_router(receivers: Receivers) -> Router {
    let route = |signal| {
        let receivers = receivers.clone();
        post(move |request: Request| async move { answer(&receivers, signal, request).await })
    };
    Router::new()
        .route("/v1/logs", route(SignalKind::Logs))
        .route("/v1/traces", route(SignalKind::Traces))
        .route("/v1/metrics", route(SignalKind::Metrics))
}

async fn answer(receivers: &Receivers, signal: SignalKind, request: Request) -> Response {
    let encoding = match body::content_type(request.headers()).as_str() {
        "application/x-protobuf" => Ok(Encoding::Protobuf),
        "application/json" => Ok(Encoding::Json),
        other => {
            let other = shortened(other);
            Err(Error::unsupported(format!("cannot accept Content-Type {other}: send application/x-protobuf or application/json")))
        }
    };
    let (bytes, taken) = match &encoding {
        Ok(encoding) => take(receivers, signal, *encoding, request).await,
        Err(_) => (0, Ok(Ack::default())),
    };
    let (encoding, result) = match encoding {
        Ok(encoding) => (encoding, taken),
        Err(error) => (Encoding::Json, Err(error)),
    };
    let (status, body, retry_after) = match &result {
        Ok(ack) => (StatusCode::OK, reply::success(signal, encoding, &ack.rejections), None),
        Err(error) => (http_status(error), reply::failure(error, encoding), retry_after_seconds(error)),
    };
    count_request(PROTOCOL, status.as_u16(), bytes);
    respond(status, encoding, body, retry_after)
}

async fn take(receivers: &Receivers, signal: SignalKind, encoding: Encoding, request: Request) -> (usize, Result<Ack>) {
    let (bytes, body) = body::receive(request, Packing::Identity, &PACKINGS, &receivers.limits, &receivers.budget).await;
    let decode = move |body: &[u8], rules: &Rules<'_>, deltas: &DeltaState| signal.decode(body, encoding, rules, deltas);
    match body {
        Ok(body) => (bytes, receivers.take(PROTOCOL, body, decode).await),
        Err(error) => (bytes, Err(error)),
    }
}

fn respond(status: StatusCode, encoding: Encoding, body: Bytes, retry_after: Option<u32>) -> Response {
    let content_type = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    let mut response = Response::builder().status(status).header(CONTENT_TYPE, content_type);
    if let Some(seconds) = retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    response.body(Body::from(body)).expect("headers of digits and constants are valid")
}
