//! Who calls whom, and where that differs from what teams declare.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use model::{Error, MapLevel, MapRequest, Result};
use serde::Serialize;

use crate::error::Failure;
use crate::params::Params;
use crate::state::{Shared, now_ns, within};
use crate::{respond, times};

/// Of the range without `start`, and of the map at one moment.
const RANGE_DEFAULT_MS: i64 = 3_600_000;
const MOMENT_MS: i64 = 300_000;
/// Of a range: what it reads is in proportion to it.
const RANGE_MAX_MS: i64 = 31 * 86_400_000;

/// The map of a time, or with `at` of the five minutes before a moment.
pub(super) async fn map(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let (start_ms, end_ms) = range(&params)?;
    let level = match params.get("level").unwrap_or("component") {
        "business_service" => MapLevel::BusinessService,
        "service" => MapLevel::Service,
        "component" => MapLevel::Component,
        _ => return Err(Error::invalid("invalid parameter \"level\": it is business_service, service or component").into()),
    };
    let text = |name: &str| params.get(name).unwrap_or_default().to_owned();
    let asked = MapRequest { start_ms, end_ms, level, region: text("region"), environment: text("environment") };
    answer(&within(state.limits.timeout, state.topology.map(asked)).await?)
}

pub(super) async fn drift(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let (start_ms, end_ms) = range(&Params::read(request).await?)?;
    answer(&within(state.limits.timeout, state.topology.drift(start_ms, end_ms)).await?)
}

fn range(params: &Params) -> Result<(i64, i64)> {
    let instant = |name: &str| params.parsed(name, "Unix time in seconds or RFC 3339", times::millis);
    let at = instant("at")?;
    let end_ms = at.or(instant("end")?).unwrap_or_else(|| now_ns() / 1_000_000).max(1);
    let default_ms = if at.is_some() { MOMENT_MS } else { RANGE_DEFAULT_MS };
    let start_ms = instant("start")?.unwrap_or_else(|| end_ms.saturating_sub(default_ms)).max(0);
    if start_ms >= end_ms || end_ms - start_ms > RANGE_MAX_MS {
        return Err(Error::invalid("invalid parameter \"start\": it is before the end, and at most 31 days"));
    }
    Ok((start_ms, end_ms))
}

fn answer(value: &impl Serialize) -> Result<Response, Failure> {
    let body = serde_json::to_vec(value).map_err(|error| Error::internal("cannot write a map as JSON").because(error))?;
    Ok(respond::json(StatusCode::OK, body))
}
