use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use model::{Answered, Ask, Direction, Matcher, Result, Table, TimeRange};

use super::{Failure, HOUR_NS, range};
use crate::error::mismatch;
use crate::params::{self, Params};
use crate::selector::of_streams;
use crate::state::{Shared, within};
use crate::{json, respond};

/// Of label names, values and series, when the request gives no time.
const LABELS_HOURS: i64 = 6;
const SERIES_HOURS: i64 = 1;

pub(super) fn time(params: &Params, hours: i64) -> Result<TimeRange> {
    let (start, end) = range(params, hours)?;
    Ok(TimeRange::new(start, end.saturating_add(1)))
}

/// `{}` selects everything, as no selector does.
pub(super) async fn of_query(params: &Params, name: &str) -> Result<Vec<Vec<Matcher>>> {
    let selectors = params.selectors(name, of_streams).await?;
    Ok(if selectors.iter().any(Vec::is_empty) { Vec::new() } else { selectors })
}

pub(super) async fn names(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let selectors = of_query(&params, "query").await?;
    let ask = Ask::LabelNames { table: Table::Logs, selectors, range: time(&params, LABELS_HOURS)?, limit: None };
    let Answered::Names(names) = state.ask(ask, None).await?.data else { return Err(mismatch("label names").into()) };
    Ok(list(names, |out, name| json::text(out, &name)))
}

pub(super) async fn values(
    State(state): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let ask = Ask::LabelValues {
        table: Table::Logs,
        name: params::path(name)?,
        selectors: of_query(&params, "query").await?,
        range: time(&params, LABELS_HOURS)?,
        limit: None,
    };
    let Answered::Names(names) = state.ask(ask, None).await?.data else { return Err(mismatch("label values").into()) };
    Ok(list(names, |out, name| json::text(out, &name)))
}

pub(super) async fn series(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let mut all = of_query(&params, "match[]").await?;
    all.extend(of_query(&params, "match").await?);
    let ask = Ask::Series { table: Table::Logs, selectors: all, range: time(&params, SERIES_HOURS)?, limit: None };
    let Answered::Series(series) = state.ask(ask, None).await?.data else { return Err(mismatch("streams").into()) };
    Ok(list(series, |out, labels| json::labels(out, &labels)))
}

fn list<T: Send + 'static>(items: Vec<T>, write: impl FnMut(&mut String, T) + Send + 'static) -> Response {
    respond::joined("{\"status\":\"success\",\"data\":[".to_owned(), items, write, "]}".to_owned())
}

/// Entries and bytes are counted by LogQL over the range. Tyto has no chunks, so their number is 0.
pub(super) async fn index_stats(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let query = params.required("query")?;
    let matchers = params.selectors("query", of_streams).await?;
    let (start, end) = range(&params, LABELS_HOURS)?;
    let ask = Ask::Series { table: Table::Logs, selectors: matchers, range: TimeRange::new(start, end), limit: None };
    let seconds = end.saturating_sub(start).max(1).unsigned_abs().div_ceil(HOUR_NS.unsigned_abs() / 3600);
    let count = async |function: &str| {
        let query = format!("sum({function}({query}[{seconds}s]))");
        let ask = Ask::LogqlInstant { query, at_ns: end, limit: 1, direction: Direction::Backward };
        match state.ask(ask, None).await?.data {
            Answered::Vector(samples) => Ok(samples.first().map_or(0.0, |sample| sample.value)),
            _ => Err(mismatch("a count")),
        }
    };
    let work = async {
        let Answered::Series(streams) = state.ask(ask, None).await?.data else { return Err(mismatch("streams")) };
        Ok((streams.len(), count("count_over_time").await?, count("bytes_over_time").await?))
    };
    let (streams, entries, bytes) = within(state.limits.timeout, work).await?;
    let body = format!("{{\"streams\":{streams},\"chunks\":0,\"entries\":{},\"bytes\":{}}}", entries as u64, bytes as u64);
    Ok(respond::json(StatusCode::OK, body))
}
