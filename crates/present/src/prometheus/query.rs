use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use model::{Answer, Ask, Error, QueryLimits, Result};

use super::Failure;
use super::format::{Notes, result};
use crate::params::Params;
use crate::state::{Shared, now_ns};
use crate::times;

pub(super) async fn instant(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let at_ms = params.parsed("time", "timestamp", times::millis)?.unwrap_or_else(|| now_ns() / 1_000_000);
    let ask = Ask::PromqlInstant { query: params.required("query")?.to_owned(), at_ms, lookback: lookback(&params)? };
    let limit = params.count("limit")?;
    let answer = state.ask(ask, timeout(&params)?).await?;
    Ok(write(answer, limit, &params)?)
}

pub(super) async fn range(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let (start_ms, end_ms, step_ms) = grid(&params, &state.limits)?;
    let query = params.required("query")?.to_owned();
    let ask = Ask::PromqlRange { query, start_ms, end_ms, step_ms, lookback: lookback(&params)? };
    let limit = params.count("limit")?;
    let answer = state.ask(ask, timeout(&params)?).await?;
    Ok(write(answer, limit, &params)?)
}

/// Start, end and step; the refusals are Prometheus's own words, which Grafana shows.
fn grid(params: &Params, limits: &QueryLimits) -> Result<(i64, i64, i64)> {
    let instant = |name: &str| {
        params.required(name)?;
        Ok::<_, Error>(params.parsed(name, "timestamp", times::millis)?.unwrap_or_default())
    };
    let (start_ms, end_ms) = (instant("start")?, instant("end")?);
    if end_ms < start_ms {
        return Err(Error::invalid("invalid parameter \"end\": end timestamp must not be before start time"));
    }
    let step = params.required("step")?;
    let negative = step.parse::<f64>().is_ok_and(|seconds| seconds <= 0.0);
    let step_ms = params.parsed("step", "duration", |text| if negative { Some(Duration::ZERO) } else { times::duration(text) })?;
    let step_ms = step_ms.map_or(0, |step| i64::try_from(step.as_millis()).unwrap_or(i64::MAX));
    if step_ms <= 0 {
        let why = "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(Error::invalid(why));
    }
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

pub(super) fn timeout(params: &Params) -> Result<Option<Duration>> {
    params.parsed("timeout", "duration", times::duration)
}

fn lookback(params: &Params) -> Result<Option<Duration>> {
    params.parsed("lookback_delta", "duration", times::duration).map(|found| found.filter(|duration| !duration.is_zero()))
}

fn write(answer: Answer, limit: Option<usize>, params: &Params) -> Result<Response> {
    let stats = params.get("stats").map(|_| answer.stats);
    result(answer.data, limit, Notes { warnings: answer.warnings, infos: answer.infos, stats })
}
