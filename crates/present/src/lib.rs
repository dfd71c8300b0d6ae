//! How do people and their tools ask?
//!
//! Path of a question: `guard.rs` (no page of another site may ask) > `lib.rs` (routes) > `<api>/mod.rs` (the API's routes
//! and its form of errors) > a handler, which reads its parameters (`params.rs`, `times.rs`, `selector.rs`), asks
//! (`state.rs`), and writes the answer (`<api>/format.rs` over `json.rs` and `respond.rs`) without building a tree of it.
//!
//! | folder | API | under |
//! |---|---|---|
//! | `prometheus/` | Prometheus's query API and federation | `/api/v1`, `/federate`, and both under `/prometheus` |
//! | `loki/` | Loki's query API | `/loki/api/v1` |
//! | `tempo/` | Tempo's trace API, and its gRPC for streaming | `/tempo/api`, `/tempopb.StreamingQuerier` |
//! | `jaeger/` | Jaeger's query API | `/jaeger/api` |
//! | `tyto/` | Tyto's own | `/api/tyto/v1` |
//! | `ops.rs` | health, metrics, flush, reload | `/-/...`, `/metrics` |
//! | `ui.rs` | the embedded web pages | everything else |
//!
//! `loki/tail.rs` goes on after its answer, over a WebSocket (`websocket.rs`), until the client or the server ends it (`tails.rs`).
//!
//! When you add a route, also touch `docs/api.md`; for one of Tyto's own also `tyto/openapi.json` (a test compares them).
//! When you add a `model::Code`, also touch `error.rs`. This crate knows no engine, no storage and no file: it asks
//! `model::Query` and [`Admin`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod guard;
mod jaeger;
mod json;
mod loki;
mod ops;
mod params;
mod prometheus;
mod respond;
mod rows;
mod selector;
mod state;
mod tails;
mod tempo;
mod times;
mod tyto;
mod ui;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode};
use tower_http::compression::CompressionLayer;

pub use guard::{Hosts, guarded};
pub use prometheus::decode_remote_read;
pub use state::{Admin, Facts, PresentState};
pub use tails::Tails;

/// Every question that can be asked over HTTP. Merge it with the receivers' routes; it brings the fallback.
pub fn router(state: PresentState) -> Router {
    Router::new()
        .nest("/api/v1", prometheus::routes())
        .nest("/prometheus/api/v1", prometheus::routes())
        .merge(prometheus::federation())
        .nest("/loki/api/v1", loki::routes())
        .nest("/tempo/api", tempo::routes())
        .merge(tempo::grpc_routes())
        .nest("/jaeger/api", jaeger::routes())
        .nest("/api/tyto/v1", tyto::routes())
        .merge(ops::routes())
        .fallback(ui::serve)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(observe))
        .layer(from_fn(harden))
        .layer(CompressionLayer::new())
        .with_state(Arc::new(state))
}

/// The router adds the header `Allow`.
async fn wrong_method(request: Request) -> Response {
    match *request.method() {
        Method::OPTIONS => respond::empty(StatusCode::NO_CONTENT),
        ref method => {
            let path = request.uri().path();
            error::plain_json(StatusCode::METHOD_NOT_ALLOWED, &format!("cannot {method} {path}: the header Allow names its methods"))
        }
    }
}

/// Nothing here is framed or runs foreign code, and no browser guesses a type. No CORS: another origin's page
/// has no business with telemetry.
async fn harden(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (
            CONTENT_SECURITY_POLICY,
            // Editors and chart libraries set styles from code; scripts come from here only.
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none'; \
             frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
        ),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn observe(request: Request, next: Next) -> Response {
    let api = ui::api_of(request.uri().path()).unwrap_or("ui");
    let started = std::time::Instant::now();
    let response = next.run(request).await;
    metrics::counter!("tyto_http_requests_total", "api" => api, "code" => response.status().as_str().to_owned()).increment(1);
    metrics::histogram!("tyto_http_request_duration_seconds", "api" => api).record(started.elapsed().as_secs_f64());
    response
}
