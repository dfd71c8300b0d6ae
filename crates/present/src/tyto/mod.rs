//! Tyto's own API; `openapi.json` describes it to machines, `docs/api.md` to people.

mod boards;
mod cardinality;
mod catalog;
mod contracts;
mod directory;
mod erasures;
mod overview;
mod patterns;
mod pipelines;
mod quarantine;
mod scorecard;
mod senders;
mod sql;
mod stages;
mod topology;
mod usage;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;

use crate::respond;
use crate::state::Shared;

const OPENAPI: &str = include_str!("openapi.json");

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/sql", post(sql::sql))
        .route("/overview", get(overview::overview))
        .route("/catalog", get(catalog::one))
        .route("/catalog/status", get(catalog::status))
        .route("/catalog/versions", get(catalog::versions))
        .route("/catalog/diff", get(catalog::differences))
        .route("/catalog/apply", post(catalog::apply))
        .route("/catalog/entries", get(directory::entries))
        .route("/catalog/entry", get(directory::entry))
        .route("/catalog/unknown", get(senders::unknown))
        .route("/schemas/omd.json", get(async || schema("omd")))
        .route("/schemas/board.json", get(async || schema("board")))
        .route("/schemas/pipeline.json", get(async || schema("pipeline")))
        .route("/schemas/contract.json", get(async || schema("contract")))
        .route("/schemas/notify.json", get(async || schema("notify")))
        .route("/boards", get(boards::all))
        .route("/boards/{name}", get(boards::one))
        .route("/topology", get(topology::map))
        .route("/topology/drift", get(topology::drift))
        .route("/scorecard", get(scorecard::scorecard))
        .route("/usage", get(usage::usage))
        .route("/cardinality", get(cardinality::cardinality))
        .route("/patterns", get(patterns::patterns))
        .route("/pipelines", get(pipelines::all))
        .route("/pipelines/try", post(pipelines::trial))
        .route("/contracts", get(contracts::all))
        .route("/contracts/try", post(contracts::trial))
        .route("/erasures", get(erasures::all))
        .route("/erasures", post(erasures::accept))
        .route("/erasures/{id}", get(erasures::one))
        .route("/quarantine", get(quarantine::waiting))
        .route("/quarantine/{id}", get(quarantine::one))
        .route("/quarantine/replay", post(quarantine::replay))
        .route("/quarantine/discard", post(quarantine::discard))
        .route("/shards", get(shards))
        .route("/openapi.json", get(async || respond::json(StatusCode::OK, OPENAPI)))
}

/// Of a kind of file in the catalogue, for editors.
fn schema(kind: &str) -> Response {
    let schema = ::catalog::schema(kind).expect("the routes name kinds that there are");
    respond::json(StatusCode::OK, schema.to_string())
}

async fn shards(State(state): State<Shared>) -> Response {
    respond::json(StatusCode::OK, state.admin.shards().to_string())
}
