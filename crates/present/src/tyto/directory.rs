//! The catalogue as people read it: its entries with what is missing of each, and one entry with all that is known of it.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use catalog::{Entry, EntryKind, Gap, Wanted};
use http::StatusCode;
use model::{Code, Error, Result};
use serde::Serialize;
use serde_json::json;

use crate::error::Failure;
use crate::params::Params;
use crate::respond;
use crate::state::Shared;

/// Entries of one answer; the others are counted.
const ENTRIES_MAX: usize = 20_000;

#[derive(Serialize)]
struct Entries {
    entries: Vec<Entry>,
    /// Of those that are wanted, as many as did not fit.
    left_out: usize,
    /// What each key in `missing` means, and what to write.
    gaps: BTreeMap<&'static str, serde_json::Value>,
}

pub(super) async fn entries(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let text = |name: &str| params.get(name).unwrap_or_default().to_owned();
    let incomplete = params.parsed("incomplete", "true or false", |text| text.parse().ok())?.unwrap_or_default();
    let limit = params.count("limit")?.unwrap_or(ENTRIES_MAX).min(ENTRIES_MAX);
    let wanted = Wanted { search: text("search"), kind: kind(&params)?, team: text("team"), incomplete };
    let mut entries = state.catalog.get().entries(&wanted);
    let left_out = entries.len().saturating_sub(limit);
    entries.truncate(limit);
    answer(&Entries { entries, left_out, gaps: meanings() })
}

pub(super) async fn entry(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let path = params.required("path")?;
    let page =
        state.catalog.get().page(kind(&params)?, path).ok_or_else(|| {
            Error::new(Code::NotFound, format!("cannot find {path:?}: the catalogue in force declares nothing of that path"))
        })?;
    let mut body = serde_json::to_value(page).map_err(|error| Error::internal("cannot write an entry as JSON").because(error))?;
    body["gaps"] = json!(meanings());
    answer(&body)
}

fn kind(params: &Params) -> Result<Option<EntryKind>> {
    params.parsed("kind", "kind: business_service, service, component or team", EntryKind::named)
}

fn meanings() -> BTreeMap<&'static str, serde_json::Value> {
    Gap::ALL.into_iter().map(|gap| (gap.key(), json!({ "what": gap.what(), "fix": gap.fix() }))).collect()
}

fn answer(body: &impl Serialize) -> Result<Response, Failure> {
    let body = serde_json::to_vec(body).map_err(|error| Error::internal("cannot write the catalogue").because(error))?;
    Ok(respond::json(StatusCode::OK, body))
}
