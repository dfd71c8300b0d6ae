//! How many series there are and who causes them, as Prometheus tells it of its head: here the last two hours.

use axum::extract::{Request, State};
use axum::response::Response;
use model::{Answered, Ask, Error, Result, SeriesCounts, TimeRange};

use super::Failure;
use super::format::{Notes, success};
use crate::error::mismatch;
use crate::json;
use crate::params::Params;
use crate::state::{Shared, now_ns};

/// As far back as Prometheus's head reaches.
const HEAD_NS: i64 = 2 * 3600 * 1_000_000_000;

const TOP_DEFAULT: usize = 10;
const TOP_MAX: usize = 10_000;

pub(super) async fn tsdb(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let top = match params.get("limit").map(str::parse::<usize>) {
        None => TOP_DEFAULT,
        Some(Ok(0) | Err(_)) => return Err(Error::invalid("limit must be a positive number").into()),
        Some(Ok(top)) if top > TOP_MAX => return Err(Error::invalid(format!("limit must not exceed {TOP_MAX}")).into()),
        Some(Ok(top)) => top,
    };
    let now = now_ns();
    let ask = Ask::SeriesCounts { range: TimeRange::new(now.saturating_sub(HEAD_NS), i64::MAX), top };
    let Answered::SeriesCounts(found) = state.ask(ask, None).await?.data else { return Err(mismatch("cardinalities").into()) };
    Ok(success(written(&found), &Notes::default()))
}

fn written(found: &SeriesCounts) -> String {
    // What an empty head of Prometheus says.
    let (first, last) = found.times.unwrap_or((i64::MAX, i64::MIN));
    let mut data = format!(
        "{{\"headStats\":{{\"numSeries\":{},\"numLabelPairs\":{},\"chunkCount\":{},\"minTime\":{first},\"maxTime\":{last}}}",
        found.series, found.label_pairs, found.chunks
    );
    for (name, list) in [
        ("seriesCountByMetricName", &found.series_by_metric),
        ("labelValueCountByLabelName", &found.values_by_label),
        ("memoryInBytesByLabelName", &found.bytes_by_label),
        ("seriesCountByLabelValuePair", &found.series_by_pair),
    ] {
        json::push(&mut data, format_args!(",\"{name}\":"));
        json::list(&mut data, list, |out, (name, count)| {
            out.push_str("{\"name\":");
            json::text(out, name);
            json::push(out, format_args!(",\"value\":{count}}}"));
        });
    }
    data.push('}');
    data
}
