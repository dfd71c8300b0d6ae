use axum::extract::{Request, State};
use axum::response::Response;
use model::{Identity, LabelCardinality};

use crate::error::Failure;
use crate::params::Params;
use crate::state::Shared;
use crate::{json, respond};

/// Labels that are shown when the request does not say how many.
const LIMIT_DEFAULT: usize = 100;

/// How many values each label brings, those with the most first.
pub(super) async fn cardinality(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let limit = Params::read(request).await?.count("limit")?.unwrap_or(LIMIT_DEFAULT);
    Ok(respond::joined("{\"labels\":[".to_owned(), state.cardinality.labels(limit), write, "]}".to_owned()))
}

fn write(out: &mut String, label: LabelCardinality) {
    let LabelCardinality { identity, job, label, values, values_max, overflows, replaced_series } = label;
    let owner = Identity::FIELDS.into_iter().zip(identity.values()).take(3);
    json::pairs(out, owner.chain([("job", job.as_str()), ("label", label.as_str())]));
    out.pop();
    let counts =
        format_args!(",\"values\":{values},\"values_max\":{values_max},\"overflows\":{overflows},\"replaced_series\":{replaced_series}}}");
    json::push(out, counts);
}
