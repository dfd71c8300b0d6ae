//! The query's text itself: `format_query` and `parse_query`.

use axum::extract::{Request, State};
use axum::response::Response;
use lang::promql::{Expr, parse_with};
use model::{Error, Result};
use serde_json::Value;

use super::Failure;
use super::format::{Notes, success};
use super::tree;
use crate::params::Params;
use crate::selector::off_loop;
use crate::state::Shared;

/// In the canonical form, long ones broken into lines.
pub(super) async fn format_query(state: State<Shared>, request: Request) -> Result<Response, Failure> {
    answer(state, request, |expr| Value::String(expr.pretty())).await
}

/// As a tree.
pub(super) async fn parse_query(state: State<Shared>, request: Request) -> Result<Response, Failure> {
    answer(state, request, tree::of).await
}

async fn answer(State(state): State<Shared>, request: Request, write: fn(&Expr) -> Value) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let query = params.get("query").unwrap_or_default().to_owned();
    let features = state.facts.features;
    let data = off_loop(lang::is_brief(&query), move || {
        let expr = parse_with(&query, features).map_err(|error| Error::invalid(format!("invalid parameter \"query\": {error}")))?;
        Ok(write(&expr).to_string())
    });
    Ok(success(data.await?, &Notes::default()))
}
