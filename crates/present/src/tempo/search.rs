use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use model::{Answer, Answered, Ask, Error, Result, TimeRange};

use super::{Failure, recent};
use crate::error::mismatch;
use crate::params::{self, Params};
use crate::rows::quote;
use crate::state::{Shared, within};
use crate::{json, respond, times};

const TRACES_DEFAULT: usize = 20;
const TRACES_MAX: usize = 1000;

/// Names or values of one answer.
const WORDS_MAX: usize = 1000;

/// Columns that can be searched like tags.
const INTRINSICS: [&str; 4] = ["name", "kind", "status", "statusMessage"];

pub(super) async fn search(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    if let Some(query) = params.get("q")
        && !query.chars().all(|c| matches!(c, '{' | '}' | ' '))
    {
        return Err(Error::unsupported(format!("cannot run TraceQL yet: search with tags= instead of q={query:?}")).into());
    }
    let limit = match params.count("limit")?.unwrap_or(TRACES_DEFAULT) {
        0 => TRACES_DEFAULT,
        limit if limit > TRACES_MAX => {
            return Err(Error::invalid(format!("invalid parameter \"limit\": {limit} is over {TRACES_MAX}")).into());
        }
        limit => limit,
    };
    let tags =
        tags_of(params.get("tags").unwrap_or_default()).map_err(|why| Error::invalid(format!("invalid parameter \"tags\": {why}")))?;
    let ask = Ask::TraceSearch {
        tags,
        duration_min: params.parsed("minDuration", "duration", times::duration)?,
        duration_max: params.parsed("maxDuration", "duration", times::duration)?,
        range: recent(&params)?,
        limit,
    };
    let Answer { data: Answered::Traces(traces), stats, .. } = state.ask(ask, None).await? else { return Err(mismatch("traces").into()) };
    let scan = stats.scan;
    let tail = format!(
        "],\"metrics\":{{\"inspectedTraces\":{},\"inspectedBytes\":\"{}\",\"inspectedSpans\":\"{}\"}}}}",
        traces.len(),
        scan.bytes_scanned,
        scan.rows_scanned + scan.head_rows_scanned
    );
    let write = |out: &mut String, found: model::TraceSummary| {
        let fields = [
            ("traceID", found.trace_id.as_str()),
            ("rootServiceName", found.root_service.as_str()),
            ("rootTraceName", found.root_name.as_str()),
            ("startTimeUnixNano", &found.start_ns.to_string()),
        ];
        json::pairs(out, fields.into_iter());
        out.pop();
        json::push(
            out,
            format_args!(
                ",\"durationMs\":{},\"durationNanos\":\"{}\",\"spanCount\":{},\"errorCount\":{}}}",
                found.duration_ns / 1_000_000,
                found.duration_ns,
                found.spans,
                found.errors
            ),
        );
    };
    Ok(respond::joined("{\"traces\":[".to_owned(), traces, write, tail))
}

/// logfmt: `service.name=api http.status_code=500 name="GET /"`.
fn tags_of(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut tags = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(|| format!("{rest:?} has no ="))?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(format!("{name:?} is not a tag's name"));
        }
        let (value, after) = match after.strip_prefix('"') {
            None => {
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
            Some(quoted) => {
                let mut value = String::new();
                let mut characters = quoted.char_indices();
                let end = loop {
                    match characters.next() {
                        Some((at, '"')) => break at,
                        Some((_, '\\')) => value.extend(characters.next().map(|(_, c)| c)),
                        Some((_, c)) => value.push(c),
                        None => return Err(format!("{rest:?} has a quote that does not end")),
                    }
                };
                (value, &quoted[end + 1..])
            }
        };
        tags.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(tags)
}

fn time_filter(range: TimeRange) -> String {
    format!("start_time_unix_nano >= {} AND start_time_unix_nano < {}", range.start_ns.max(0), range.end_ns)
}

async fn names(state: &Shared, column: &str, range: TimeRange) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT DISTINCT name FROM (SELECT unnest(map_keys({column})) AS name FROM spans WHERE {}) ORDER BY name LIMIT {WORDS_MAX}",
        time_filter(range)
    );
    state.rows(sql, None).await?.words("name")
}

pub(super) async fn tags(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let range = recent(&Params::read(request).await?)?;
    let both = async { Ok((names(&state, "resource_attributes", range).await?, names(&state, "attributes", range).await?)) };
    let (mut all, more) = within(state.limits.timeout, both).await?;
    all.extend(more);
    all.sort();
    all.dedup();
    let mut body = "{\"tagNames\":".to_owned();
    json::texts(&mut body, all);
    body.push('}');
    Ok(respond::json(StatusCode::OK, body))
}

pub(super) async fn tags_v2(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let range = recent(&params)?;
    let scope = params.get("scope").unwrap_or("none");
    let wanted = |name: &str| matches!(scope, "none" | "all") || scope == name;
    let work = async {
        let mut scopes: Vec<(&str, Vec<String>)> = Vec::new();
        for (name, column) in [("resource", "resource_attributes"), ("span", "attributes")] {
            if wanted(name) {
                scopes.push((name, names(&state, column, range).await?));
            }
        }
        Ok(scopes)
    };
    let mut scopes = within(state.limits.timeout, work).await?;
    if wanted("intrinsic") {
        scopes.push(("intrinsic", INTRINSICS.map(str::to_owned).to_vec()));
    }
    let mut body = "{\"scopes\":".to_owned();
    json::list(&mut body, scopes, |out, (name, tags)| {
        json::push(out, format_args!("{{\"name\":\"{name}\",\"tags\":"));
        json::texts(out, tags);
        out.push('}');
    });
    body.push('}');
    Ok(respond::json(StatusCode::OK, body))
}

async fn values_of(state: &Shared, name: String, request: Request) -> Result<Vec<String>> {
    let range = recent(&Params::read(request).await?)?;
    let scoped = |prefix: &str| name.strip_prefix(prefix).map(quote);
    let sources: Vec<String> = match name.as_str() {
        "name" | "kind" | "service.name" | "resource.service.name" => {
            vec![if name.ends_with("service.name") { "service_name".to_owned() } else { name.clone() }]
        }
        "status" => vec!["status_code".to_owned()],
        "statusMessage" => vec!["status_message".to_owned()],
        _ => match (scoped("resource."), scoped("span.")) {
            (Some(key), _) => vec![format!("resource_attributes[{key}]")],
            (_, Some(key)) => vec![format!("attributes[{key}]")],
            _ => {
                let key = quote(name.trim_start_matches('.'));
                vec![format!("resource_attributes[{key}]"), format!("attributes[{key}]")]
            }
        },
    };
    let work = async {
        let mut all = Vec::new();
        for source in sources {
            let sql = format!("SELECT DISTINCT {source} AS value FROM spans WHERE {} ORDER BY value LIMIT {WORDS_MAX}", time_filter(range));
            all.extend(state.rows(sql, None).await?.words("value")?);
        }
        Ok(all)
    };
    let mut all = within(state.limits.timeout, work).await?;
    all.sort();
    all.dedup();
    Ok(all)
}

pub(super) async fn values(
    State(state): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let all = values_of(&state, params::path(name)?, request).await?;
    let mut body = "{\"tagValues\":".to_owned();
    json::texts(&mut body, all);
    body.push('}');
    Ok(respond::json(StatusCode::OK, body))
}

pub(super) async fn values_v2(
    State(state): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let name = params::path(name)?;
    // Grafana writes these two without quotes.
    let kind = if matches!(name.as_str(), "kind" | "status") { "keyword" } else { "string" };
    let all = values_of(&state, name, request).await?;
    let mut body = "{\"tagValues\":".to_owned();
    json::list(&mut body, &all, |out, value| json::pairs(out, [("type", kind), ("value", value.as_str())].into_iter()));
    body.push('}');
    Ok(respond::json(StatusCode::OK, body))
}

#[cfg(test)]
mod tests {
    use super::tags_of;

    #[test]
    fn tags_are_logfmt() {
        let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(tags_of(r#" a.b=1  name="GET \"/\"" c= "#).unwrap(), [tag("a.b", "1"), tag("name", "GET \"/\""), tag("c", "")]);
        for bad in ["a", "=b", "a=\"b", "a b=c"] {
            tags_of(bad).unwrap_err();
        }
    }
}
