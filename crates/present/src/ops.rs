//! Health, Tyto's own metrics, flush and reload.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use model::{Code, Error, Result};

use crate::error::Failure;
use crate::respond;
use crate::state::Shared;

/// Of `POST /-/flush`. The flush itself goes on when nobody waits for it any more.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(300);

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/-/healthy", get(async || respond::plain(StatusCode::OK, "Tyto is healthy.\n")))
        .route("/-/ready", get(ready))
        .route("/-/flush", post(flush))
        .route("/-/reload", post(reload).put(reload))
        .route("/metrics", get(metrics))
}

async fn ready(State(state): State<Shared>) -> Response {
    match state.admin.ready() {
        true => respond::plain(StatusCode::OK, readiness(&state.history.status().troubles())),
        false => respond::plain(StatusCode::SERVICE_UNAVAILABLE, "Tyto is not ready: it drains.\n"),
    }
}

/// An old catalogue keeps nobody from asking or sending; it is said.
fn readiness(troubles: &[String]) -> String {
    let told: String = troubles.iter().map(|trouble| format!("The catalogue may be old: {}\n", trouble.replace('\n', " "))).collect();
    format!("Tyto is ready.\n{told}")
}

async fn metrics(State(state): State<Shared>) -> Response {
    respond::typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", state.admin.metrics_text())
}

async fn flush(State(state): State<Shared>) -> Result<Response, Failure> {
    let admin = state.admin.clone();
    // A flush half done is worth finishing even when the client has gone.
    let work = tokio::spawn(async move { admin.flush().await });
    match tokio::time::timeout(FLUSH_TIMEOUT, work).await {
        Ok(Ok(Ok(()))) => Ok(respond::json(StatusCode::OK, "{\"status\":\"flushed\"}\n")),
        Ok(Ok(Err(error))) => Err(error.into()),
        Ok(Err(panic)) => Err(Error::internal("cannot flush: the flush broke off").because(panic).into()),
        Err(_) => Err(Error::new(Code::Timeout, format!("cannot wait longer than {FLUSH_TIMEOUT:?} for the flush, which goes on")).into()),
    }
}

async fn reload(State(state): State<Shared>) -> Result<Response, Failure> {
    let admin = state.admin.clone();
    let work = tokio::task::spawn_blocking(move || admin.reload());
    work.await.map_err(|panic| Error::internal("cannot reload the catalogue: the reload broke off").because(panic))??;
    Ok(respond::json(StatusCode::OK, "{\"status\":\"reloaded\"}\n"))
}
