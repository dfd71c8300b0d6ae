//! `GET /contracts`: the texts in force, and who names each. `POST /contracts/try`: what a draft of contracts would have done to records that came.
//! Nothing is stored.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use catalog::{Catalog, Contract};
use http::StatusCode;
use model::quarantine::{QUARANTINED, RELEASED};
use model::{ContractDraft, ContractTrial, DraftFor, Error, RECORD_COLUMNS, Result, Table, records_of};
use serde::Serialize;
use tokio::time::Instant;

use super::sql;
use crate::error::Failure;
use crate::params::read_body;
use crate::respond;
use crate::rows::quote;
use crate::state::{Shared, now_ns, within};

const BODY_BYTES_MAX: usize = 16 << 20;
/// Contracts of one draft.
const FILES_MAX: usize = 200;
const LAST_SECONDS_DEFAULT: u32 = 86_400;
const LAST_SECONDS_MAX: u32 = 31 * 86_400;
const ROWS_DEFAULT: usize = 20_000;
const ROWS_MAX: usize = 200_000;
/// Parts of the time, of each of which the newest records are looked at: mistakes come in waves.
const SLICES: usize = 24;
/// Records that are held at one time.
const HELD_ROWS_MAX: u64 = 10_000;
const TABLES: [Table; 2] = [Table::Logs, Table::Quarantine];
/// Of the time that a question may take: what is left is for the answer.
const BUDGET_PERCENT: u32 = 80;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    /// Texts by the names of their files.
    files: BTreeMap<String, String>,
    #[serde(default)]
    business_service: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    component: String,
    #[serde(default)]
    last_seconds: Option<u32>,
    #[serde(default)]
    rows_max: Option<usize>,
}

#[derive(Serialize)]
struct Tried {
    contracts: Vec<String>,
    /// Seconds since the Unix epoch.
    start: f64,
    end: f64,
    /// Records of the business services that have one of these contracts, in the time; stored, and set aside.
    came: u64,
    /// Whether only some of them were judged.
    sampled: bool,
    /// Back to when records were looked at: later than `start` where the time that a question may take was up.
    judged_from: f64,
    /// Of those that were judged, the part that breaks the draft; none when there are none.
    share: Option<f64>,
    #[serde(flatten)]
    trial: ContractTrial,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    contract: &'a Contract,
    text: Option<&'a str>,
    /// Who names it, from the business service down: `payments/cards`.
    named_by: Vec<String>,
}

pub(super) async fn all(State(state): State<Shared>) -> Result<Response, Failure> {
    let catalog = state.catalog.get();
    let shown = |contract| Shown::of(contract, &catalog);
    let contracts: Vec<Shown<'_>> = catalog.contracts.iter().map(shown).collect();
    let body = serde_json::to_vec(&serde_json::json!({ "contracts": contracts }));
    Ok(respond::json(StatusCode::OK, body.map_err(|error| Error::internal("cannot write the contracts").because(error))?))
}

impl<'a> Shown<'a> {
    fn of(contract: &'a Contract, catalog: &'a Catalog) -> Self {
        let mut named_by = Vec::new();
        let mut name = |path: &[&str], profile: &catalog::Profile| {
            if profile.contract == contract.name {
                named_by.push(path.join("/"));
            }
        };
        for business in &catalog.business_services {
            name(&[&business.name], &business.profile);
            for service in &business.services {
                name(&[&business.name, &service.name], &service.profile);
                for component in &service.components {
                    name(&[&business.name, &service.name, &component.name], &component.profile);
                }
            }
        }
        Self { contract, text: catalog.texts.get(&contract.declared_at.file), named_by }
    }
}

pub(super) async fn trial(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let body = read_body(request, "contract_body_bytes_max", BODY_BYTES_MAX).await?;
    let draft: Draft = serde_json::from_slice(&body).map_err(|error| {
        Error::invalid("cannot read the request: it is JSON like {\"files\": {\"payments.json\": \"…\"}}").because(error)
    })?;
    if draft.files.len() > FILES_MAX {
        return Err(Error::invalid(format!("cannot try {} files: contract_files_max is {FILES_MAX}", draft.files.len())).into());
    }
    let (last, rows) = (draft.last_seconds.unwrap_or(LAST_SECONDS_DEFAULT), draft.rows_max.unwrap_or(ROWS_DEFAULT));
    if !(1..=LAST_SECONDS_MAX).contains(&last) {
        return Err(Error::invalid(format!("cannot use last_seconds={last}: it is from 1 to {LAST_SECONDS_MAX}")).into());
    }
    if !(1..=ROWS_MAX).contains(&rows) {
        return Err(Error::invalid(format!("cannot use rows_max={rows}: it is from 1 to {ROWS_MAX}")).into());
    }
    let tried = within(state.limits.timeout, tried(&state, draft, i64::from(last), rows)).await?;
    let body = serde_json::to_vec(&tried).map_err(|error| Error::internal("cannot write the trial").because(error))?;
    Ok(respond::json(StatusCode::OK, body))
}

async fn tried(state: &Shared, draft: Draft, last_seconds: i64, rows_max: usize) -> Result<Tried> {
    let until = Instant::now() + state.limits.timeout * BUDGET_PERCENT / 100;
    let Draft { files, business_service, service, component, .. } = draft;
    let whom = DraftFor { business_service, service, component };
    let files: Vec<(String, String)> = files.into_iter().collect();
    // Compiling is for threads that may block, as judging is.
    let (contracts, asked) = (state.contracts.clone(), whom.clone());
    let mut draft = blocking(move || contracts.draft(&files, &asked)).await?;
    let end_ns = now_ns();
    let start_ns = end_ns.saturating_sub(last_seconds.saturating_mul(1_000_000_000)).max(0);
    let owners = owners(&*draft, &whom);
    let step_ns = ((end_ns - start_ns) / SLICES as i64).max(1);
    let counts = counts(state, &owners, [start_ns, end_ns], step_ns).await?;
    let came: u64 = counts.iter().flatten().sum();
    let all = came <= rows_max as u64;
    let (mut looked_at, mut judged_from_ns) = (0, start_ns);
    'slices: for (slice, counts) in counts.into_iter().enumerate() {
        let to = end_ns - slice as i64 * step_ns;
        let from = if slice == SLICES - 1 { start_ns } else { to - step_ns };
        for (table, there) in TABLES.into_iter().zip(counts).filter(|(_, there)| *there > 0) {
            // As many of each part as it has of all, so that a share of the sample is one of all.
            let room = if all { there } else { (there as u128 * rows_max as u128).div_ceil(came.into()) as u64 }.min(HELD_ROWS_MAX);
            let question = format!(
                "SELECT {RECORD_COLUMNS} FROM {} WHERE {} ORDER BY {} DESC LIMIT {room}",
                table.name(),
                condition(table, &owners, from, to),
                table.time_columns().0
            );
            let records = records_of(&sql::answered(state, question).await?);
            looked_at += records.len() as u64;
            draft = blocking(move || draft.judge(&records).map(|()| draft)).await?;
            if Instant::now() >= until {
                judged_from_ns = from;
                break 'slices;
            }
        }
    }
    let trial = draft.trial();
    let seconds = |ns: i64| ns as f64 / 1e9;
    Ok(Tried {
        contracts: draft.contracts().to_vec(),
        start: seconds(start_ns),
        end: seconds(end_ns),
        came,
        sampled: looked_at < came,
        judged_from: seconds(judged_from_ns),
        share: (trial.records > 0).then(|| trial.broken as f64 / trial.records as f64),
        trial,
    })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| Error::internal("cannot finish the trial: it broke off").because(panic))?
}

/// Whose records are looked at.
fn owners(draft: &dyn ContractDraft, whom: &DraftFor) -> String {
    if whom.business_service.is_empty() {
        let names: Vec<String> = draft.business_services().iter().map(|name| quote(name)).collect();
        return format!("business_service IN ({})", names.join(", "));
    }
    let levels = [("business_service", &whom.business_service), ("service", &whom.service), ("component", &whom.component)];
    let named = levels.into_iter().filter(|(_, name)| !name.is_empty()).map(|(column, name)| format!("{column} = {}", quote(name)));
    named.collect::<Vec<_>>().join(" AND ")
}

fn condition(table: Table, owners: &str, from_ns: i64, to_ns: i64) -> String {
    let time = table.time_columns().0;
    let more = match table {
        // What was let in is in `logs`.
        Table::Quarantine => format!(
            " AND state = '{QUARANTINED}' AND quarantine_id NOT IN \
             (SELECT quarantine_id FROM quarantine WHERE state = '{RELEASED}' AND {time} >= {from_ns} AND {time} < {to_ns})"
        ),
        _ => String::new(),
    };
    format!("{owners} AND {time} >= {from_ns} AND {time} < {to_ns}{more}")
}

/// How many records each slice of the time has in each table, the newest first.
async fn counts(state: &Shared, owners: &str, [from_ns, to_ns]: [i64; 2], step_ns: i64) -> Result<[[u64; TABLES.len()]; SLICES]> {
    let mut counts = [[0; TABLES.len()]; SLICES];
    for (place, table) in TABLES.into_iter().enumerate() {
        let time = table.time_columns().0;
        let question = format!(
            "SELECT ({} - {time}) / {step_ns} AS slice, count(*) AS n FROM {} WHERE {} GROUP BY 1",
            to_ns - 1,
            table.name(),
            condition(table, owners, from_ns, to_ns)
        );
        let rows = state.rows(question, None).await?;
        for (slice, n) in rows.longs("slice")?.iter().zip(&rows.longs("n")?) {
            // What is left of the division is of the oldest.
            let slice = slice.and_then(|slice| usize::try_from(slice).ok()).unwrap_or_default().min(SLICES - 1);
            counts[slice][place] += n.unwrap_or_default().unsigned_abs();
        }
    }
    Ok(counts)
}
