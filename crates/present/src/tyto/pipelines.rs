//! `GET /pipelines`: what is done to log records, and how often it was. `POST /pipelines/try`: what a draft would do.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::response::Response;
use catalog::{Catalog, Pipeline, Problem};
use http::StatusCode;
use model::{Error, PipelineCount, Trial, records_of, records_sql};
use serde::Serialize;
use serde_json::{Value, json};

use super::{sql, stages};
use crate::error::Failure;
use crate::params::read_body;
use crate::respond;
use crate::state::{Shared, now_ns, within};

const BODY_BYTES_MAX: usize = 4 << 20;
const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 1000;
const LAST_SECONDS_DEFAULT: u64 = 3600;
/// What a draft is called in messages that is of no file in force.
const FILE: &str = "pipelines/draft.yaml";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    /// The file's text.
    pipeline: String,
    /// The file in force that it is a draft of: its tables are those beside that.
    #[serde(default)]
    file: Option<String>,
    /// Look-up tables, by the names of their files; others are those in force.
    #[serde(default)]
    tables: BTreeMap<String, String>,
    /// Records to try it on; else the newest of those that are chosen below, or that the draft is for.
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

#[derive(Serialize)]
struct Tried {
    /// What was drafted, as [`described`] shows it; none where it cannot be used.
    pipeline: Option<Value>,
    #[serde(flatten)]
    trial: Trial,
}

/// In the order in which records go through them.
pub(super) async fn all(State(state): State<Shared>) -> Response {
    let (catalog, counts) = (state.catalog.get(), state.pipelines.counts());
    let pipelines: Vec<Value> = catalog.pipelines.iter().map(|pipeline| shown(pipeline, &catalog, &counts)).collect();
    let since = state.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    respond::json(StatusCode::OK, json!({ "since": since, "pipelines": pipelines }).to_string())
}

fn shown(pipeline: &Pipeline, catalog: &Catalog, counts: &[PipelineCount]) -> Value {
    let of = |stage: &str, what: &str| -> u64 {
        let mine = counts.iter().filter(|count| count.pipeline == pipeline.name && count.stage == stage && count.what == what);
        mine.map(|count| count.count).sum()
    };
    let mut shown = described(pipeline);
    for (stage, shown) in pipeline.stages.iter().zip(shown["stages"].as_array_mut().into_iter().flatten()) {
        for what in ["dropped", "failed", "masked"] {
            shown[what] = of(&stage.label, what).into();
        }
    }
    shown["declared_at"] = json!(pipeline.declared_at);
    shown["text"] = json!(catalog.texts.get(&pipeline.declared_at.file));
    shown["records"] = of("", "seen").into();
    shown["counts"] = json!(counts.iter().filter(|count| count.pipeline == pipeline.name).collect::<Vec<_>>());
    shown
}

/// Whose records it is for, and what each stage does.
fn described(pipeline: &Pipeline) -> Value {
    let selects = &pipeline.selects;
    let when = selects.when.as_ref().map(|when| &when.source);
    json!({
        "name": pipeline.name,
        "about": pipeline.about,
        "business_service": selects.business_service,
        "service": selects.service,
        "component": selects.component,
        "conditional": when.is_some(),
        "when": when,
        "stages": pipeline.stages.iter().map(stages::shown).collect::<Vec<_>>(),
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
    let tried = within(state.limits.timeout, tried(&state, draft, limit)).await?;
    let body = serde_json::to_vec(&tried).map_err(|error| Error::internal("cannot write the trial").because(error))?;
    Ok(respond::json(StatusCode::OK, body))
}

async fn tried(state: &Shared, mut draft: Draft, limit: usize) -> model::Result<Tried> {
    let tables = tables(&state.catalog.get(), &mut draft);
    let file = draft.file.unwrap_or_else(|| FILE.to_owned());
    // A draft that cannot be used needs no records.
    let pipeline = match compiled(&file, &draft.pipeline, &tables).await? {
        Ok(pipeline) => pipeline,
        Err(problems) => {
            let problems = problems.iter().map(ToString::to_string).collect();
            return Ok(Tried { pipeline: None, trial: Trial { problems, ..Trial::default() } });
        }
    };
    let records = match draft.records {
        Some(records) => records,
        None => {
            let seconds = i64::try_from(draft.last_seconds.unwrap_or(LAST_SECONDS_DEFAULT)).unwrap_or(i64::MAX);
            let start_ns = now_ns().saturating_sub(seconds.saturating_mul(1_000_000_000)).max(0);
            let asked = [draft.business_service.as_str(), &draft.service, &draft.component];
            let selects = &pipeline.selects;
            let matched = [selects.business_service.as_str(), &selects.service, &selects.component];
            let owner = if asked.iter().all(|name| name.is_empty()) { matched } else { asked };
            records_of(&sql::answered(state, records_sql(owner, start_ns, limit)).await?)
        }
    };
    let trial = state.pipelines.try_draft(file, draft.pipeline, tables, records).await?;
    Ok(Tried { pipeline: Some(described(&pipeline)), trial })
}

/// Those that come with the draft, and of the others those in force beside its file; beside any where it is of none.
fn tables(catalog: &Catalog, draft: &mut Draft) -> Vec<(String, String)> {
    let folder = Path::new(draft.file.as_deref().unwrap_or(FILE)).parent().unwrap_or(Path::new("")).join("tables");
    let beside = |file: &str| folder.join(file).display().to_string();
    let mut tables: BTreeMap<String, String> = BTreeMap::new();
    for (name, text) in catalog.texts.tables() {
        let path = Path::new(name);
        if (draft.file.is_none() || path.parent() == Some(&folder))
            && let Some(file) = path.file_name().and_then(|file| file.to_str())
        {
            tables.insert(beside(file), text.to_owned());
        }
    }
    tables.extend(std::mem::take(&mut draft.tables).into_iter().map(|(file, text)| (beside(&file), text)));
    tables.into_iter().collect()
}

/// Programs are compiled on threads that may block.
async fn compiled(file: &str, text: &str, tables: &[(String, String)]) -> model::Result<Result<Pipeline, Vec<Problem>>> {
    let (file, text, tables) = (file.to_owned(), text.to_owned(), tables.to_vec());
    let compiled = move || {
        let tables: Vec<(&str, &str)> = tables.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        catalog::draft(&file, &text, &tables)
    };
    let compiled = tokio::task::spawn_blocking(compiled).await;
    compiled.map_err(|panic| Error::internal("cannot finish the trial: it broke off").because(panic))
}
