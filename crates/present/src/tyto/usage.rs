use axum::extract::State;
use axum::response::Response;

use crate::state::Shared;
use crate::{json, respond};

/// What each identity has sent since this process started.
pub(super) async fn usage(State(state): State<Shared>) -> Response {
    let write = |out: &mut String, (identity, table, usage): (model::Identity, model::Table, model::Usage)| {
        json::pairs(out, model::Identity::FIELDS.into_iter().zip(identity.values()));
        out.pop();
        json::push(out, format_args!(",\"signal\":\"{}\",\"records\":{},\"bytes\":{}}}", table.name(), usage.records, usage.bytes));
    };
    respond::joined("{\"usage\":[".to_owned(), state.usage.usage(), write, "]}".to_owned())
}
