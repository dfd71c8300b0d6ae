//! `POST /loki/api/v1/push`.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use http::header::RETRY_AFTER;
use model::{Ack, Error, Result};

use super::{decode_loki, decode_loki_json};
use crate::body::{self, Packing};
use crate::state::{Receivers, count_request, http_status, retry_after_seconds, summary};

const PROTOCOL: &str = "loki_push";

pub fn loki_router(receivers: Receivers) -> Router {
    Router::new().route("/loki/api/v1/push", post(move |request: Request| async move { answer(&receivers, request).await }))
}

async fn answer(receivers: &Receivers, request: Request) -> Response {
    let (bytes, result) = take(receivers, request).await;
    let response = match result {
        Ok(ack) => match summary(&ack.rejections) {
            (0, _) => StatusCode::NO_CONTENT.into_response(),
            // The rest of the request is stored; 400 tells the sender not to send it again.
            (refused, text) => (StatusCode::BAD_REQUEST, format!("{refused} entries were refused: {text}\n")).into_response(),
        },
        Err(error) => failure(&error),
    };
    count_request(PROTOCOL, response.status().as_u16(), bytes);
    response
}

async fn take(receivers: &Receivers, request: Request) -> (usize, Result<Ack>) {
    let limits = &receivers.limits;
    let (bytes, body, json) = match body::content_type(request.headers()).as_str() {
        "application/json" => {
            let packings = [Packing::Identity, Packing::Gzip, Packing::Zstd, Packing::Snappy];
            let (bytes, body) = body::receive(request, Packing::Identity, &packings, limits).await;
            (bytes, body, true)
        }
        "application/x-protobuf" => {
            let (bytes, body) = body::receive(request, Packing::Snappy, &[Packing::Snappy], limits).await;
            (bytes, body, false)
        }
        other => {
            let what = format!("cannot accept Content-Type {other:?}: send application/json or application/x-protobuf");
            return (0, Err(Error::unsupported(what)));
        }
    };
    let decoded = match body {
        Ok(body) => {
            let decode = if json { decode_loki_json } else { decode_loki };
            receivers.decode(PROTOCOL, body, move |body, rules, _| decode(body, rules)).await
        }
        Err(error) => Err(error),
    };
    match decoded {
        Ok(decoded) => (bytes, receivers.submit(decoded).await),
        Err(error) => (bytes, Err(error)),
    }
}

fn failure(error: &Error) -> Response {
    let mut response = (http_status(error), format!("{}\n", error.chain())).into_response();
    if let Some(seconds) = retry_after_seconds(error) {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
