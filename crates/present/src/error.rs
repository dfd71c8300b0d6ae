//! The one map from [`Code`] to HTTP, and the error form of Tyto's own API. Prometheus's, Loki's, Tempo's and Jaeger's forms
//! stand in their folders.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use model::{Code, Error};

use crate::{json, respond};

/// Why a request's body was not waited for any longer: a timeout that is the client's.
#[derive(Debug)]
pub(crate) struct SlowBody(pub(crate) Duration);

impl std::fmt::Display for SlowBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "it did not arrive within {:?}", self.0)
    }
}

impl std::error::Error for SlowBody {}

pub(crate) fn status(error: &Error) -> StatusCode {
    match error.code {
        Code::Timeout if error.source.as_ref().is_some_and(|source| source.is::<SlowBody>()) => StatusCode::REQUEST_TIMEOUT,
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
    *response.status_mut() = status(error);
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
        let mut response = finish(&self.0, plain_json(StatusCode::INTERNAL_SERVER_ERROR, &self.0.chain()));
        // Prometheus has 503 for a query that took too long; here that is told apart from a peer that failed.
        if self.0.code == Code::Timeout && response.status() == StatusCode::SERVICE_UNAVAILABLE {
            *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
        }
        response
    }
}

/// An error as plain text, as Loki and Tempo have it.
pub(crate) struct PlainFailure(Error);

impl From<Error> for PlainFailure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for PlainFailure {
    fn into_response(self) -> Response {
        finish(&self.0, respond::plain(StatusCode::INTERNAL_SERVER_ERROR, self.0.chain()))
    }
}

/// The answer's kind is not what the question asks for.
pub(crate) fn mismatch(what: &str) -> Error {
    Error::internal(format!("cannot present {what}: the engine answered with something else"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_body_is_the_clients_timeout() {
        let late = || Error::new(Code::Timeout, "cannot wait");
        let slow = late().because(SlowBody(Duration::from_secs(30)));
        assert_eq!(Failure(slow).into_response().status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(Failure(late()).into_response().status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(PlainFailure(late()).into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
