use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use model::{Answer, Answered, Ask, Error, Result, Table, TimeRange};

use super::format::{Notes, success, success_list};
use super::{Failure, params};
use crate::error::mismatch;
use crate::json;
use crate::params::Params;
use crate::state::Shared;

/// From `start` to `end`, both included; without them all time.
pub(super) fn range(params: &Params) -> Result<TimeRange> {
    let start = params::optional_time(params, "start")?.unwrap_or(i64::MIN);
    let end = params::optional_time(params, "end")?.unwrap_or(i64::MAX);
    // As in Prometheus a range that ends before it starts holds nothing, and is no error.
    Ok(TimeRange::of_millis_inclusive(start, end.max(start.saturating_sub(1))))
}

/// One more than the limit is asked for, so that a cut shows.
fn ask_limit(limit: Option<usize>) -> Option<usize> {
    limit.map(|limit| limit.saturating_add(1))
}

fn cut<T>(items: &mut Vec<T>, limit: Option<usize>, warnings: &mut Vec<String>) {
    if let Some(limit) = limit.filter(|&limit| items.len() > limit) {
        const CUT: &str = "results truncated due to limit";
        items.truncate(limit);
        // The engine says so too when it had more than the one that was asked for beyond the limit.
        if !warnings.iter().any(|warning| warning == CUT) {
            warnings.push(CUT.to_owned());
        }
    }
}

pub(super) async fn series(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    if params.all("match[]").next().is_none() {
        return Err(Error::invalid("no match[] parameter provided").into());
    }
    let limit = params::limit(&params)?;
    let range = range(&params)?;
    let selectors = params::selectors(&params, true).await?;
    let ask = Ask::Series { table: Table::Samples, selectors, range, limit: ask_limit(limit) };
    let Answer { data: Answered::Series(mut all), mut warnings, infos, .. } = state.ask(ask, params::timeout(&params)?).await? else {
        return Err(mismatch("series").into());
    };
    cut(&mut all, limit, &mut warnings);
    Ok(success_list(all, |out, labels| json::labels(out, &labels), &Notes { warnings, infos, stats: None }))
}

pub(super) async fn labels(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let limit = params::limit(&params)?;
    let range = range(&params)?;
    let selectors = params::selectors(&params, false).await?;
    let ask = Ask::LabelNames { table: Table::Samples, selectors, range, limit: ask_limit(limit) };
    names(state.ask(ask, params::timeout(&params)?).await?, limit)
}

pub(super) async fn label_values(
    State(state): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let name = unescape(&crate::params::path(name)?);
    if name.is_empty() {
        return Err(Error::invalid("invalid label name: \"\"").into());
    }
    let limit = params::limit(&params)?;
    let range = range(&params)?;
    let selectors = params::selectors(&params, false).await?;
    let ask = Ask::LabelValues { table: Table::Samples, name, selectors, range, limit: ask_limit(limit) };
    names(state.ask(ask, params::timeout(&params)?).await?, limit)
}

fn names(answer: Answer, limit: Option<usize>) -> Result<Response, Failure> {
    let Answer { data: Answered::Names(mut names), mut warnings, infos, .. } = answer else { return Err(mismatch("names").into()) };
    cut(&mut names, limit, &mut warnings);
    Ok(success_list(names, |out, name| json::text(out, &name), &Notes { warnings, infos, stats: None }))
}

/// Prometheus's spelling of any name with legal letters only: `U__a_2e_b` is `a.b`, `__` is `_`.
fn unescape(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(more) = rest.strip_prefix('_') {
            out.push('_');
            rest = more;
            continue;
        }
        let code = rest.split_once('_').filter(|(code, _)| code.len() <= 6);
        let Some((Some(c), more)) = code.map(|(code, more)| (u32::from_str_radix(code, 16).ok().and_then(char::from_u32), more)) else {
            return name.to_owned();
        };
        out.push(c);
        rest = more;
    }
    out + rest
}

pub(super) async fn metadata(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    // 0 metrics may be asked for; less than none is all.
    let limit = params::plain_number(&params, "limit")?.and_then(|limit| usize::try_from(limit).ok());
    let per_metric = params::plain_number(&params, "limit_per_metric")?.filter(|&limit| limit > 0);
    let per_metric = per_metric.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    // A metric may have several entries: how many entries so many metrics have is not known before.
    let ask = Ask::Metadata { metric: params.get("metric").map(str::to_owned), limit: None };
    let Answered::Metadata(mut families) = state.ask(ask, None).await?.data else { return Err(mismatch("metadata").into()) };
    // One metric may be known with several types; they stand together.
    families.sort_by(|a, b| a.name.cmp(&b.name));
    let metrics: Vec<_> = families.chunk_by(|a, b| a.name == b.name).take(limit.unwrap_or(usize::MAX)).collect();
    let mut data = "{".to_owned();
    for (index, same_name) in metrics.into_iter().enumerate() {
        if index > 0 {
            data.push(',');
        }
        json::text(&mut data, &same_name[0].name);
        data.push(':');
        json::list(&mut data, same_name.iter().take(per_metric), |out, family| {
            let kind = if family.kind.is_empty() { "unknown" } else { &family.kind };
            json::pairs(out, [("type", kind), ("help", family.help.as_str()), ("unit", family.unit.as_str())].into_iter());
        });
    }
    data.push('}');
    Ok(success(data, &Notes::default()))
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escaped_names() {
        for (escaped, name) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U__a_1f989_", "a🦉"),
            ("U__broken_zz_", "U__broken_zz_"),
            ("U__a_2e", "U__a_2e"),
            ("U__a_d800_", "U__a_d800_"),
        ] {
            assert_eq!(unescape(escaped), name);
        }
    }
}
