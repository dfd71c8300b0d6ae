//! `GET /pipelines`: what is done to log records, and how often it was. `POST /pipelines/try`: what a draft would do.

use axum::extract::{Request, State};
use axum::response::Response;
use catalog::{Does, Pipeline};
use http::StatusCode;
use model::{Error, PipelineCount, records_of, records_sql};
use serde_json::{Value, json};

use super::sql;
use crate::error::Failure;
use crate::params::read_body;
use crate::respond;
use crate::state::{Shared, now_ns, within};

const BODY_BYTES_MAX: usize = 4 << 20;
const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 1000;
const LAST_SECONDS_DEFAULT: u64 = 3600;
/// What the draft is called in messages.
const FILE: &str = "pipelines/draft.yaml";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    /// The file's text.
    pipeline: String,
    /// Look-up tables, by the names of their files.
    #[serde(default)]
    tables: std::collections::BTreeMap<String, String>,
    /// Records to try it on; else the newest of those that are chosen below.
    #[serde(default)]
    records: Option<Vec<Value>>,
    #[serde(default)]
    business_service: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    component: String,
    #[serde(default)]
    last_seconds: Option<u64>,
    #[serde(default)]
    limit: Option<usize>,
}

/// In the order in which records go through them.
pub(super) async fn all(State(state): State<Shared>) -> Response {
    let (catalog, counts) = (state.catalog.get(), state.pipelines.counts());
    let pipelines: Vec<Value> = catalog.pipelines.iter().map(|pipeline| shown(pipeline, &counts)).collect();
    respond::json(StatusCode::OK, json!({ "pipelines": pipelines }).to_string())
}

fn shown(pipeline: &Pipeline, counts: &[PipelineCount]) -> Value {
    let of = |stage: &str, what: &str| -> u64 {
        let mine = counts.iter().filter(|count| count.pipeline == pipeline.name && count.stage == stage && count.what == what);
        mine.map(|count| count.count).sum()
    };
    let stage = |stage: &catalog::Stage| {
        let does = match &stage.does {
            Does::Parse(_) => "parse",
            Does::Vrl(_) => "vrl",
            Does::Mask(_) => "mask",
            Does::Drop(_) => "drop",
            Does::Sample(_) => "sample",
            Does::Dedupe(_) => "dedupe",
            Does::Metric(_) => "metric",
            Does::Event(_) => "event",
            Does::Enrich(_) => "enrich",
            Does::Route(_) => "route",
        };
        let [dropped, failed, masked] = ["dropped", "failed", "masked"].map(|what| of(&stage.label, what));
        json!({ "stage": stage.label, "kind": does, "conditional": stage.when.is_some(), "dropped": dropped, "failed": failed, "masked": masked })
    };
    let selects = &pipeline.selects;
    json!({
        "name": pipeline.name,
        "about": pipeline.about,
        "business_service": selects.business_service,
        "service": selects.service,
        "component": selects.component,
        "conditional": selects.when.is_some(),
        "declared_at": pipeline.declared_at,
        "records": of("", "seen"),
        "stages": pipeline.stages.iter().map(stage).collect::<Vec<_>>(),
        "counts": counts.iter().filter(|count| count.pipeline == pipeline.name).collect::<Vec<_>>(),
    })
}

/// Nothing is stored.
pub(super) async fn trial(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let body = read_body(request, "pipeline_body_bytes_max", BODY_BYTES_MAX).await?;
    let draft: Draft = serde_json::from_slice(&body)
        .map_err(|error| Error::invalid("cannot read the request: it is JSON like {\"pipeline\": \"name: …\"}").because(error))?;
    let limit = draft.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Error::invalid(format!("cannot use limit={limit}: it is from 1 to {LIMIT_MAX}")).into());
    }
    let trial = async {
        let records = match draft.records {
            Some(records) => records,
            None => {
                let last =
                    i64::try_from(draft.last_seconds.unwrap_or(LAST_SECONDS_DEFAULT)).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
                let owner = [draft.business_service.as_str(), &draft.service, &draft.component];
                records_of(&sql::answered(&state, records_sql(owner, now_ns().saturating_sub(last).max(0), limit)).await?)
            }
        };
        let tables = draft.tables.into_iter().map(|(name, text)| (format!("pipelines/tables/{name}"), text)).collect();
        state.pipelines.try_draft(FILE.to_owned(), draft.pipeline, tables, records).await
    };
    let trial = within(state.limits.timeout, trial).await?;
    let body = serde_json::to_vec(&trial).map_err(|error| Error::internal("cannot write the trial").because(error))?;
    Ok(respond::json(StatusCode::OK, body))
}
