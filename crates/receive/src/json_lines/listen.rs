//! `POST /api/tyto/v1/logs`.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use model::{Ack, Error, Result};
use serde_json::{Value, json};

use super::{Form, decode_json_lines};
use crate::body::{self, Held, Packing};
use crate::outcome::shortened;
use crate::state::{Receivers, count_request, http_status, retry_after_seconds, told};

const PROTOCOL: &str = "json_lines";
const PACKINGS: [Packing; 3] = [Packing::Identity, Packing::Gzip, Packing::Zstd];

/// The address's query names resource attributes: `?service.name=cart`.
pub fn json_lines_router(receivers: Receivers) -> Router {
    Router::new().route("/api/tyto/v1/logs", post(move |request: Request| async move { answer(&receivers, request).await }))
}

async fn answer(receivers: &Receivers, request: Request) -> Response {
    let (bytes, result) = take(receivers, request).await;
    let (status, body, retry_after) = match &result {
        Ok(ack) => {
            let rejected: u64 = ack.rejections.iter().map(|rejection| rejection.records).sum();
            let errors: Vec<Value> = ack
                .rejections
                .iter()
                .map(|rejection| json!({ "at": rejection.field, "count": rejection.records, "why": rejection.why }))
                .collect();
            (StatusCode::OK, json!({ "accepted": ack.accepted_records, "rejected": rejected, "errors": errors }), None)
        }
        Err(error) => (http_status(error), json!({ "error": told(error) }), retry_after_seconds(error)),
    };
    count_request(PROTOCOL, status.as_u16(), bytes);
    let mut response = (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

async fn take(receivers: &Receivers, request: Request) -> (usize, Result<Ack>) {
    let content_type = body::content_type(request.headers());
    let said = match content_type.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => Some(Form::Lines),
        "application/json" => Some(Form::Json),
        "text/plain" => Some(Form::Text),
        // What curl says of anything.
        "" | "application/x-www-form-urlencoded" | "application/octet-stream" => None,
        other => {
            let what =
                format!("cannot accept Content-Type {}: send application/x-ndjson, application/json or text/plain", shortened(other));
            return (0, Err(Error::unsupported(what)));
        }
    };
    let query = request.uri().query().unwrap_or_default();
    let resource: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let (bytes, body) = body::receive(request, Packing::Identity, &PACKINGS, &receivers.limits, &receivers.budget).await;
    let body = match body {
        Ok(body) => body,
        Err(error) => return (bytes, Err(error)),
    };
    let form = said.unwrap_or_else(|| form_of(&body));
    (bytes, receivers.take(PROTOCOL, body, move |body, rules, _| decode_json_lines(body, form, &resource, rules)).await)
}

/// By its first character, for senders that do not say it.
fn form_of(body: &Held) -> Form {
    match body.bytes.trim_ascii_start().first() {
        Some(b'{') => Form::Lines,
        Some(b'[') if body.bytes.trim_ascii_start()[1..].trim_ascii_start().starts_with(b"{") => Form::Json,
        _ => Form::Text,
    }
}
