//! The one map from [`Code`] to HTTP, and the error form of Tyto's own API. Prometheus's, Loki's, Tempo's and Jaeger's forms
//! stand in their folders.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use model::{Code, Error};

use crate::{json, respond};

pub(crate) fn status(code: Code) -> StatusCode {
    match code {
        Code::Invalid => StatusCode::BAD_REQUEST,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
        Code::LimitExceeded => StatusCode::UNPROCESSABLE_ENTITY,
        Code::Timeout | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        // What proxies write when the client closed the request; nobody is left to read it.
        Code::Cancelled => StatusCode::from_u16(499).expect("499 is a status"),
        Code::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Code::Corrupt | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Sets what every API's error carries apart from its body, and logs what the operator must see.
pub(crate) fn finish(error: &Error, mut response: Response) -> Response {
    *response.status_mut() = status(error.code);
    if let Code::Overloaded { retry_after_seconds } = error.code {
        response.headers_mut().insert(RETRY_AFTER, retry_after_seconds.into());
    }
    if matches!(error.code, Code::Internal | Code::Corrupt) {
        tracing::error!(error = error.chain(), "request failed");
    }
    response
}

/// `{"error": "..."}`.
pub(crate) fn plain_json(status: StatusCode, message: &str) -> Response {
    let mut body = String::from("{\"error\":");
    json::text(&mut body, message);
    body.push_str("}\n");
    respond::json(status, body)
}

/// An error in the form of Tyto's own API.
pub(crate) struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let response = plain_json(StatusCode::INTERNAL_SERVER_ERROR, &self.0.chain());
        finish(&self.0, response)
    }
}

/// The answer's kind is not what the question asks for.
pub(crate) fn mismatch(what: &str) -> Error {
    Error::internal(format!("cannot present {what}: the engine answered with something else"))
}
