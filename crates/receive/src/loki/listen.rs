//! `POST /loki/api/v1/push`.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use model::{Ack, Error, Result};

use super::{decode_loki, decode_loki_json};
use crate::body::{self, Packing};
use crate::outcome::shortened;
use crate::state::{Receivers, accepted, count_request};

const PROTOCOL: &str = "loki_push";

pub fn loki_router(receivers: Receivers) -> Router {
    Router::new().route("/loki/api/v1/push", post(move |request: Request| async move { answer(&receivers, request).await }))
}

async fn answer(receivers: &Receivers, request: Request) -> Response {
    let (bytes, result) = take(receivers, request).await;
    let response = accepted(result, "entries").unwrap_or_else(|| StatusCode::NO_CONTENT.into_response());
    count_request(PROTOCOL, response.status().as_u16(), bytes);
    response
}

async fn take(receivers: &Receivers, request: Request) -> (usize, Result<Ack>) {
    let (limits, budget) = (&receivers.limits, &receivers.budget);
    let (bytes, body, json) = match body::content_type(request.headers()).as_str() {
        "application/json" => {
            let packings = [Packing::Identity, Packing::Gzip, Packing::Zstd, Packing::Snappy];
            let (bytes, body) = body::receive(request, Packing::Identity, &packings, limits, budget).await;
            (bytes, body, true)
        }
        "application/x-protobuf" => {
            let (bytes, body) = body::receive(request, Packing::Snappy, &[Packing::Snappy], limits, budget).await;
            (bytes, body, false)
        }
        other => {
            let what = format!("cannot accept Content-Type {}: send application/json or application/x-protobuf", shortened(other));
            return (0, Err(Error::unsupported(what)));
        }
    };
    let decode = if json { decode_loki_json } else { decode_loki };
    match body {
        Ok(body) => (bytes, receivers.take(PROTOCOL, body, move |body, rules, _| decode(body, rules)).await),
        Err(error) => (bytes, Err(error)),
    }
}
