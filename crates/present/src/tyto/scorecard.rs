//! How well components can be watched, and what would lift them.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use model::{Error, ScorecardRequest};

use crate::error::Failure;
use crate::params::Params;
use crate::state::{Shared, now_ns, within};
use crate::{respond, times};

/// Of the range without `start`: a day has its night.
const RANGE_DEFAULT_MS: i64 = 86_400_000;
/// Of a range: every record of it is counted.
const RANGE_MAX_MS: i64 = 31 * 86_400_000;

pub(super) async fn scorecard(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let instant = |name: &str| params.parsed(name, "Unix time in seconds or RFC 3339", times::millis);
    let end_ms = instant("end")?.unwrap_or_else(|| now_ns() / 1_000_000).max(1);
    let start_ms = instant("start")?.unwrap_or_else(|| end_ms.saturating_sub(RANGE_DEFAULT_MS)).max(0);
    if start_ms >= end_ms || end_ms - start_ms > RANGE_MAX_MS {
        return Err(Error::invalid("invalid parameter \"start\": it is before the end, and at most 31 days").into());
    }
    let text = |name: &str| params.get(name).unwrap_or_default().to_owned();
    let asked = ScorecardRequest { start_ms, end_ms, team: text("team"), business_service: text("business_service") };
    let scorecard = within(state.limits.timeout, state.scorecards.scorecard(asked)).await?;
    let body = serde_json::to_vec(&scorecard).map_err(|error| Error::internal("cannot write a scorecard as JSON").because(error))?;
    Ok(respond::json(StatusCode::OK, body))
}
