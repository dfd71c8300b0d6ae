//! `/dependencies`: who calls whom, computed from the spans of the time.

use axum::extract::{Request, State};
use axum::response::Response;
use model::{Answer, Answered, Ask, Dependency, Error, Result, TimeRange};

use super::{Failure, tail, tail_with_errors};
use crate::error::mismatch;
use crate::params::Params;
use crate::state::{Shared, now_ns};
use crate::{json, respond};

/// Jaeger's own.
const LOOKBACK_DEFAULT_MS: i64 = 24 * 3600 * 1000;

pub(super) async fn dependencies(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let ask = Ask::Dependencies { range: range(&params)? };
    let Answer { data: Answered::Dependencies(mut calls), warnings, .. } = state.ask(ask, None).await? else {
        return Err(mismatch("dependencies").into());
    };
    if let Some(service) = params.get("service") {
        calls.retain(|call| call.parent == service || call.child == service);
    }
    let write = |out: &mut String, call: Dependency| {
        out.push_str("{\"parent\":");
        json::text(out, &call.parent);
        out.push_str(",\"child\":");
        json::text(out, &call.child);
        json::push(out, format_args!(",\"callCount\":{}}}", call.calls));
    };
    let warnings: Vec<_> = warnings.into_iter().map(|warning| (warning, None)).collect();
    let tail = if warnings.is_empty() { tail(0) } else { tail_with_errors(&warnings) };
    Ok(respond::joined("{\"data\":[".to_owned(), calls, write, tail))
}

/// `lookback` milliseconds up to `endTs`, which is in milliseconds too.
fn range(params: &Params) -> Result<TimeRange> {
    const MS_NS: i64 = 1_000_000;
    let whole = |name: &str, wanted: &str| params.parsed(name, wanted, |text| text.parse::<i64>().ok()?.checked_mul(MS_NS));
    let end = whole("endTs", "Unix time in milliseconds")?.unwrap_or_else(now_ns);
    let lookback = whole("lookback", "number of milliseconds")?.unwrap_or(LOOKBACK_DEFAULT_MS * MS_NS);
    if lookback < 0 {
        return Err(Error::invalid("invalid parameter \"lookback\": it is below 0"));
    }
    Ok(TimeRange::new(end.saturating_sub(lookback), end))
}
