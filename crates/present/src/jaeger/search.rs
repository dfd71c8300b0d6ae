use axum::extract::{Request, State};
use axum::response::Response;
use model::{Code, Error, Result, TimeRange};

use super::{Failure, tail, write};
use crate::params::Params;
use crate::rows::quote;
use crate::state::{Shared, now_ns};
use crate::{respond, times};

const TRACES_DEFAULT: usize = 20;
/// Each is fetched whole.
const TRACES_MAX: usize = 200;

pub(super) async fn search(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let ids: Vec<String> = match params.all("traceID").next() {
        Some(_) => params.all("traceID").take(TRACES_MAX).map(crate::tempo::trace_id).collect::<Result<_>>()?,
        None => state.rows(sql(&params)?, None).await?.words("trace_id")?,
    };
    let mut traces = Vec::with_capacity(ids.len());
    for id in ids {
        match state.trace(id.clone(), TimeRange::ALL).await {
            Ok(trace) => traces.push((id, trace)),
            // Retention may have taken it since.
            Err(error) if error.code == Code::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let write = |out: &mut String, (id, trace): (String, Vec<_>)| write::trace(out, &id, &trace);
    Ok(respond::joined("{\"data\":[".to_owned(), traces, write, tail(0)))
}

/// The newest traces with one span that has all that is asked, as Jaeger's stores have it.
fn sql(params: &Params) -> Result<String> {
    let mut filter = format!("service_name = {}", quote(params.required("service")?));
    let mut and = |condition: String| {
        filter.push_str(" AND ");
        filter.push_str(&condition);
    };
    let now = now_ns();
    let end = params.parsed("end", "Unix time in microseconds", times::micros)?.unwrap_or(now);
    let lookback =
        params.parsed("lookback", "duration", |text| if text == "custom" { Some(None) } else { times::duration(text).map(Some) })?;
    let start = match (params.parsed("start", "Unix time in microseconds", times::micros)?, lookback.flatten()) {
        (Some(start), _) => Some(start),
        (None, Some(lookback)) => Some(end.saturating_sub(times::as_nanos(lookback))),
        (None, None) => None,
    };
    if let Some(start) = start {
        and(format!("start_time_unix_nano >= {start}"));
    }
    and(format!("start_time_unix_nano <= {end}"));
    if let Some(operation) = params.get("operation").filter(|operation| *operation != "all") {
        and(format!("name = {}", quote(operation)));
    }
    for (name, compare) in [("minDuration", ">="), ("maxDuration", "<=")] {
        if let Some(duration) = params.parsed(name, "duration", times::duration)? {
            and(format!("duration_nano {compare} {}", times::as_nanos(duration)));
        }
    }
    for (key, value) in tags(params)? {
        match key.as_str() {
            "error" => and(format!("status_code {} 'error'", if value == "true" { "=" } else { "!=" })),
            "span.kind" => and(format!("kind = {}", quote(&value))),
            _ => {
                let (key, value) = (quote(&key), quote(&value));
                and(format!("(attributes[{key}] = {value} OR resource_attributes[{key}] = {value})"));
            }
        }
    }
    let limit = match params.count("limit")?.unwrap_or(TRACES_DEFAULT) {
        0 => TRACES_DEFAULT,
        limit if limit > TRACES_MAX => return Err(Error::invalid(format!("invalid parameter \"limit\": {limit} is over {TRACES_MAX}"))),
        limit => limit,
    };
    Ok(format!(
        "SELECT trace_id, max(start_time_unix_nano) AS latest FROM spans WHERE {filter} GROUP BY trace_id ORDER BY latest DESC LIMIT {limit}"
    ))
}

/// `tags={"http.status_code":"500"}`, or `tag=http.status_code:500` as often as wished.
fn tags(params: &Params) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    if let Some(text) = params.get("tags") {
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
