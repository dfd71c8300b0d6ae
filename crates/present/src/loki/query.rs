use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use model::{Ask, Direction, Error, Result};

use super::format::{Encoding, result};
use super::{Failure, range as time_range};
use crate::params::Params;
use crate::prometheus::thousands;
use crate::selector::off_loop;
use crate::state::{Shared, now_ns};
use crate::{json, respond, times};

/// Lines of one answer, without and with a wish.
const ENTRIES_DEFAULT: usize = 100;
pub(super) const ENTRIES_MAX: usize = 5000;

/// Steps of a range query that names none.
const STEPS_DEFAULT: i64 = 250;

pub(super) async fn instant(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let encoding = encoding(request.headers());
    let params = Params::read(request).await?;
    let at_ns = params.parsed("time", "timestamp", times::loki_nanos)?.unwrap_or_else(now_ns);
    let (limit, direction) = (limit(&params)?, direction(&params)?);
    let ask = Ask::LogqlInstant { query: params.required("query")?.to_owned(), at_ns, limit, direction };
    Ok(result(state.ask(ask, timeout(&params)?).await?, encoding, direction)?)
}

pub(super) async fn range(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let encoding = encoding(request.headers());
    let params = Params::read(request).await?;
    let (start_ns, end_ns) = time_range(&params, 1)?;
    let step_ns = step(&params, start_ns, end_ns, state.limits.points_per_series_max)?;
    let (limit, direction) = (limit(&params)?, direction(&params)?);
    let ask = Ask::LogqlRange { query: params.required("query")?.to_owned(), start_ns, end_ns, step_ns, limit, direction };
    let mut answer = state.ask(ask, timeout(&params)?).await?;
    if let Some(interval) = params.parsed("interval", "duration", times::duration)?.filter(|interval| !interval.is_zero()) {
        thin_out(&mut answer.data, times::as_nanos(interval));
    }
    Ok(result(answer, encoding, direction)?)
}

/// The query's text in its canonical form, a long one broken into lines.
pub(super) async fn format(request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let query = params.required("query")?.to_owned();
    let pretty = off_loop(lang::is_brief(&query), move || {
        let expr = lang::logql::parse(&query).map_err(|error| Error::invalid("cannot read the LogQL query").because(error))?;
        Ok(expr.pretty())
    });
    let mut body = "{\"status\":\"success\",\"data\":".to_owned();
    json::text(&mut body, &pretty.await?);
    body.push('}');
    Ok(respond::json(StatusCode::OK, body))
}

/// `interval=`: of each stream's lines only those at least so far apart.
fn thin_out(data: &mut model::Answered, interval_ns: i64) {
    let model::Answered::Streams(streams) = data else { return };
    for stream in streams {
        let mut last = None;
        stream.entries.retain(|entry| {
            let keep = last.is_none_or(|last: i64| last.abs_diff(entry.time_ns) >= interval_ns.unsigned_abs());
            if keep {
                last = Some(entry.time_ns);
            }
            keep
        });
    }
}

pub(super) fn step(params: &Params, start_ns: i64, end_ns: i64, points_max: i64) -> Result<i64> {
    const SECOND_NS: i64 = 1_000_000_000;
    let span = end_ns.saturating_sub(start_ns);
    let default = (span / STEPS_DEFAULT / SECOND_NS).max(1) * SECOND_NS;
    let negative = params.get("step").and_then(|text| text.parse::<f64>().ok()).is_some_and(|seconds| seconds <= 0.0);
    let parse = |text: &str| if negative { Some(Duration::ZERO) } else { times::duration(text) };
    let step = params.parsed("step", "duration", parse)?.map_or(default, times::as_nanos);
    if step <= 0 {
        return Err(Error::invalid("zero or negative query resolution step widths are not accepted. Try a positive integer"));
    }
    if span / step > points_max {
        return Err(Error::invalid(format!(
            "exceeded maximum resolution of {} points per time series. Try increasing the value of the step parameter",
            thousands(points_max)
        )));
    }
    Ok(step)
}

pub(super) fn limit(params: &Params) -> Result<usize> {
    let limit = params.count("limit")?.unwrap_or(ENTRIES_DEFAULT);
    match limit {
        0 => Err(Error::invalid("limit must be a positive value")),
        limit if limit > ENTRIES_MAX => Err(Error::invalid(format!(
            "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {ENTRIES_MAX})"
        ))),
        limit => Ok(limit),
    }
}

fn direction(params: &Params) -> Result<Direction> {
    let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
        "backward" => Some(Direction::Backward),
        "forward" => Some(Direction::Forward),
        _ => None,
    };
    Ok(params.parsed("direction", "direction (forward or backward)", parse)?.unwrap_or_default())
}

fn timeout(params: &Params) -> Result<Option<Duration>> {
    params.parsed("timeout", "duration", times::duration)
}

/// Grafana asks to be told apart what a line's labels are.
pub(super) fn encoding(headers: &HeaderMap) -> Encoding {
    let flags = headers.get_all("x-loki-response-encoding-flags").iter().filter_map(|value| value.to_str().ok());
    match flags.flat_map(|value| value.split(',')).any(|flag| flag.trim() == "categorize-labels") {
        true => Encoding::Categorized,
        false => Encoding::Merged,
    }
}
