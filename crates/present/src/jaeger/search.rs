use axum::extract::{Request, State};
use axum::response::Response;
use futures::{StreamExt, TryStreamExt};
use model::{Code, Error, Result, TimeRange};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use super::{Failure, LOOKBACK_NS, range, service, tail, tail_with_errors, write};
use crate::params::Params;
use crate::rows::{Rows, quote};
use crate::state::{Shared, now_ns, within};
use crate::tempo::trace_id;
use crate::{respond, times};

const TRACES_DEFAULT: usize = 20;
/// Each is fetched whole.
const TRACES_MAX: usize = 200;

/// Read at the same time.
const TRACES_AT_ONCE_MAX: usize = 4;

/// How far the rest of a trace may lie from its spans that were found.
const SLACK_NS: i64 = 3600 * 1_000_000_000;

pub(super) async fn search(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let span = range(&params)?;
    let named = params.all("traceID").map(|id| Ok((trace_id(id)?, span))).collect::<Result<Vec<_>>>()?;
    if named.len() > TRACES_MAX {
        let count = named.len();
        return Err(Error::invalid(format!("invalid parameter \"traceID\": {count} are more than {TRACES_MAX}")).into());
    }
    let (by_name, ids) = (!named.is_empty(), named.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>());
    let work = async {
        let wanted = if by_name { named } else { found(&state.rows(sql(&params)?, None).await?)? };
        let read = wanted.into_iter().map(|(id, range)| read(state.clone(), id, range));
        futures::stream::iter(read)
            .buffered(TRACES_AT_ONCE_MAX)
            .try_filter_map(|trace| std::future::ready(Ok(trace)))
            .try_collect::<Vec<_>>()
            .await
    };
    let traces = within(state.limits.timeout, work).await?;
    // Of traces asked for by their ids Jaeger tells which are not there; one that was found and has gone since nobody asked for.
    let missing = ids.iter().filter(|id| !traces.iter().any(|(found, _)| found == *id));
    let missing: Vec<_> = missing.map(|id| ("trace not found".to_owned(), Some(id.as_str()))).collect();
    let tail = if missing.is_empty() { tail(0) } else { tail_with_errors(&missing) };
    let write = |out: &mut String, (id, trace): (String, Vec<_>)| write::trace(out, &id, &trace);
    Ok(respond::joined("{\"data\":[".to_owned(), traces, write, tail))
}

/// The ids, each with the times within which the whole trace is looked for.
fn found(rows: &Rows) -> Result<Vec<(String, TimeRange)>> {
    let (ids, first, last) = (rows.texts("trace_id")?, rows.longs("earliest")?, rows.longs("latest")?);
    let all = ids.iter().zip(first.iter().zip(&last)).filter_map(|(id, (first, last))| {
        let range = TimeRange::new(first?.saturating_sub(SLACK_NS), last?.saturating_add(SLACK_NS));
        Some((id?.to_owned(), range))
    });
    Ok(all.collect())
}

async fn read(state: Shared, id: String, range: TimeRange) -> Result<Option<(String, Vec<ResourceSpans>)>> {
    match state.trace(id.clone(), range).await {
        Ok(trace) => Ok(Some((id, trace))),
        // Retention may have taken it since.
        Err(error) if error.code == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The newest traces with one span that has all that is asked, as Jaeger's stores have it.
fn sql(params: &Params) -> Result<String> {
    let mut filter = format!("service_name = {}", quote(service(params)?));
    let mut and = |condition: String| {
        filter.push_str(" AND ");
        filter.push_str(&condition);
    };
    let now = now_ns();
    let end = params.parsed("end", "Unix time in microseconds", times::micros)?.unwrap_or(now);
    let lookback =
        params.parsed("lookback", "duration", |text| if text == "custom" { Some(None) } else { times::duration(text).map(Some) })?;
    let lookback_ns = lookback.flatten().map_or(LOOKBACK_NS, times::as_nanos);
    let start = params.parsed("start", "Unix time in microseconds", times::micros)?.unwrap_or_else(|| end.saturating_sub(lookback_ns));
    and(format!("start_time_unix_nano >= {start}"));
    and(format!("start_time_unix_nano <= {end}"));
    if let Some(operation) = params.get("operation").filter(|operation| *operation != "all") {
        and(format!("name = {}", quote(operation)));
    }
    let duration = |name: &str| params.parsed(name, "duration", times::duration);
    let (shortest, longest) = (duration("minDuration")?, duration("maxDuration")?);
    if longest.is_some_and(|longest| shortest.is_some_and(|shortest| longest < shortest)) {
        return Err(Error::invalid("'maxDuration' should be greater than 'minDuration'"));
    }
    for (duration, compare) in [(shortest, ">="), (longest, "<=")] {
        if let Some(duration) = duration {
            and(format!("duration_nano {compare} {}", times::as_nanos(duration)));
        }
    }
    for (key, value) in tags(params)? {
        and(condition(&key, &value));
    }
    let limit = match params.count("limit")?.unwrap_or(TRACES_DEFAULT) {
        0 => TRACES_DEFAULT,
        limit if limit > TRACES_MAX => return Err(Error::invalid(format!("invalid parameter \"limit\": {limit} is over {TRACES_MAX}"))),
        limit => limit,
    };
    Ok(format!(
        "SELECT trace_id, min(start_time_unix_nano) AS earliest, max(start_time_unix_nano) AS latest FROM spans WHERE {filter} \
         GROUP BY trace_id ORDER BY latest DESC LIMIT {limit}"
    ))
}

/// What Jaeger's own form of a trace shows as tags is found by them, wherever it is kept.
fn condition(key: &str, value: &str) -> String {
    let text = quote(value);
    match key {
        "error" => format!("status_code {} 'error'", if value == "true" { "=" } else { "!=" }),
        "span.kind" => format!("kind = {text}"),
        "otel.status_code" => format!("status_code = {}", quote(&value.to_ascii_lowercase())),
        "otel.status_description" => format!("status_message = {text}"),
        "otel.scope.name" => format!("scope_name = {text}"),
        "otel.scope.version" => format!("scope_version = {text}"),
        "w3c.tracestate" => format!("trace_state = {text}"),
        _ => {
            let key = quote(key);
            format!("(attributes[{key}] = {text} OR resource_attributes[{key}] = {text})")
        }
    }
}

/// `tags={"http.status_code":"500"}`, or `tag=http.status_code:500` as often as wished.
fn tags(params: &Params) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for text in params.all("tags").filter(|text| !text.is_empty()) {
        let fail = || Error::invalid(format!("invalid parameter \"tags\": cannot parse {text:?} to a valid JSON object of texts"));
        let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(|_| fail())?;
        for (key, value) in json {
            let value = match value {
                serde_json::Value::String(text) => text,
                value @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_)) => value.to_string(),
                _ => return Err(fail()),
            };
            all.push((key, value));
        }
    }
    for tag in params.all("tag") {
        let (key, value) = tag.split_once(':').ok_or_else(|| Error::invalid(format!("invalid parameter \"tag\": {tag:?} has no colon")))?;
        all.push((key.to_owned(), value.to_owned()));
    }
    Ok(all)
}
