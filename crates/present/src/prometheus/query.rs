use axum::extract::{Request, State};
use axum::response::Response;
use model::{Answer, Ask, Error, QueryLimits, Result};

use super::format::{Notes, result};
use super::{Failure, params};
use crate::params::Params;
use crate::state::{Shared, now_ns};

pub(super) async fn instant(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let limit = params::limit(&params)?;
    let at_ms = params::optional_time(&params, "time")?.unwrap_or_else(|| now_ns() / 1_000_000);
    let timeout = params::timeout(&params)?;
    let ask = Ask::PromqlInstant { query: text(&params), at_ms, lookback: params::lookback(&params)? };
    let answer = state.ask(ask, timeout).await.map_err(Failure::of_query)?;
    Ok(write(answer, limit, &params)?)
}

pub(super) async fn range(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let limit = params::limit(&params)?;
    let (start_ms, end_ms, step_ms) = grid(&params, &state.limits)?;
    let timeout = params::timeout(&params)?;
    let ask = Ask::PromqlRange { query: text(&params), start_ms, end_ms, step_ms, lookback: params::lookback(&params)? };
    let answer = state.ask(ask, timeout).await.map_err(Failure::of_query)?;
    Ok(write(answer, limit, &params)?)
}

/// A missing query is an empty one, about which the parser has something to say.
fn text(params: &Params) -> String {
    params.get("query").unwrap_or_default().to_owned()
}

/// Start, end and step; the refusals are Prometheus's own words, which Grafana shows.
fn grid(params: &Params, limits: &QueryLimits) -> Result<(i64, i64, i64)> {
    let (start_ms, end_ms) = (params::time(params, "start")?, params::time(params, "end")?);
    if end_ms < start_ms {
        return Err(Error::invalid("invalid parameter \"end\": end timestamp must not be before start time"));
    }
    let step_ms = params::step(params)?;
    if (end_ms - start_ms) / step_ms > limits.points_per_series_max {
        return Err(Error::invalid(format!(
            "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
            thousands(limits.points_per_series_max)
        )));
    }
    Ok((start_ms, end_ms, step_ms))
}

/// `11,000`, as people read it.
pub(crate) fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn write(answer: Answer, limit: Option<usize>, params: &Params) -> Result<Response> {
    let mut notes = Notes { warnings: answer.warnings, infos: answer.infos, stats: None };
    if let Some(wanted) = params.get("stats") {
        notes.stats = Some(answer.stats);
        if !["true", "all"].contains(&wanted) {
            notes.warnings.push(format!(
                "value {wanted:?} for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\""
            ));
        }
    }
    result(answer.data, limit, notes)
}
