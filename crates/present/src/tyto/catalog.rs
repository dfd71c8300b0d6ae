//! The catalogue: what is in force, what was, what was changed, and changing it.

use axum::extract::{Request, State};
use axum::response::Response;
use catalog::{Catalog, Outcome, Provenance, Replacement, SourceKind, Verdict, Version, When, report};
use http::StatusCode;
use model::{Code, Error, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::Failure;
use crate::params::{Params, read_body};
use crate::state::Shared;
use crate::{respond, times};

/// Of files that are sent, as JSON.
const BODY_BYTES_MAX: usize = 64 << 20;

const VERSIONS_DEFAULT: usize = 50;
const VERSIONS_MAX: usize = 1000;

/// Of what the sender says of himself.
const SAID_CHARS_MAX: usize = 1000;

#[derive(Serialize)]
struct Shown<'a> {
    version: Option<Version>,
    #[serde(flatten)]
    catalog: &'a Catalog,
}

/// What is in force; with `version` or `at`, what was.
pub(super) async fn one(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::of_address(request.uri())?;
    let Some(when) = when(&params)? else {
        return Ok(json_of(&Shown { version: state.history.status().version, catalog: &state.catalog.get() })?);
    };
    let version = state.history.version(when).await?;
    let version = version.ok_or_else(|| Error::new(Code::NotFound, "cannot find a version of the catalogue that was in force then"))?;
    let catalog = state.history.catalog(version.number).await?;
    Ok(json_of(&Shown { version: Some(version), catalog: &catalog })?)
}

fn when(params: &Params) -> Result<Option<When>> {
    let number = params.parsed("version", "number of a version", |text| text.parse().ok())?.map(When::Number);
    let at = params.parsed("at", "instant: RFC 3339 or Unix seconds", times::millis)?.map(When::At);
    match (number, at) {
        (Some(_), Some(_)) => Err(Error::invalid("cannot look for a version and an instant at one time: say one of them")),
        (number, at) => Ok(number.or(at)),
    }
}

pub(super) async fn status(State(state): State<Shared>) -> Result<Response, Failure> {
    Ok(json_of(&state.history.status())?)
}

/// The newest first, a page at a time: `next` is the `before` of the page that follows.
pub(super) async fn versions(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::of_address(request.uri())?;
    let limit = params.count("limit")?.unwrap_or(VERSIONS_DEFAULT);
    if !(1..=VERSIONS_MAX).contains(&limit) {
        return Err(Error::invalid(format!("cannot use limit={limit}: it is from 1 to {VERSIONS_MAX}")).into());
    }
    let before = params.parsed("before", "number of a version", |text| text.parse().ok())?;
    let versions = state.history.versions(before, limit).await?;
    let next = versions.last().map(|version| version.number).filter(|number| *number > 1);
    Ok(json_of(&json!({ "versions": versions, "next": next }))?)
}

/// What `to` has otherwise than `from`: by itself the newest, and the one before `to`.
pub(super) async fn differences(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::of_address(request.uri())?;
    let number = |name| params.parsed(name, "number of a version", |text| text.parse::<u64>().ok());
    let to = match number("to")? {
        Some(to) => to,
        None => state.history.version(When::Now).await?.map_or(0, |version| version.number),
    };
    let from = number("from")?.unwrap_or(to.saturating_sub(1));
    let differences = state.history.differences(from, to).await?;
    Ok(json_of(&json!({ "from": from, "to": to, "differences": differences }))?)
}

/// Files as whoever sends them writes them.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    source: String,
    /// All of them: what the source had before and is not here goes.
    files: Vec<WrittenFile>,
    #[serde(default)]
    from: String,
    #[serde(default)]
    commit: String,
    #[serde(default)]
    author: String,
    #[serde(default)]
    dry_run: bool,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    name: String,
    text: String,
}

pub(super) async fn apply(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let body = read_body(request, "catalog_bytes_max", BODY_BYTES_MAX).await?;
    let wanted = r#"{"source": "acme/payments", "files": [{"name": "omd.yaml", "text": "..."}]}"#;
    let written: Written = serde_json::from_slice(&body)
        .map_err(|error| Error::invalid(format!("cannot read the files: they are JSON like {wanted}")).because(error))?;
    drop(body);
    let said = |text: String| text.chars().filter(|c| !c.is_control()).take(SAID_CHARS_MAX).collect();
    let by = Provenance {
        source: written.source,
        kind: SourceKind::Apply,
        from: said(written.from),
        commit: said(written.commit),
        author: said(written.author),
    };
    let source = by.source.clone();
    let change = Replacement { by, files: written.files.into_iter().map(|file| (file.name, file.text)).collect() };
    let history = state.history.clone();
    // Whoever hangs up has changed it all the same, or not at all.
    let applied = tokio::spawn(async move { history.apply(change, written.dry_run).await }).await;
    let outcome = applied.map_err(|panic| Error::internal("cannot apply the files: applying them broke off").because(panic))??;
    let status = if outcome.verdict == Verdict::Refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(respond::json(status, told(&source, &outcome).to_string()))
}

fn told(source: &str, outcome: &Outcome) -> Value {
    let problems: Vec<Value> = outcome.diagnostics.iter().map(report::problem).collect();
    let mut told = json!({
        "verdict": outcome.verdict,
        "version": outcome.version,
        "differences": outcome.differences,
        "problems": problems,
    });
    if outcome.verdict == Verdict::Refused {
        let errors = outcome.problems();
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        let more = if errors.len() > 1 { format!(", and {} more problems", errors.len() - 1) } else { String::new() };
        told["error"] = format!("cannot use the files of {source}: {first}{more}").into();
    }
    told
}

fn json_of(body: &impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(body).map_err(|error| Error::internal("cannot write the catalogue as JSON").because(error))?;
    Ok(respond::json(StatusCode::OK, body))
}
