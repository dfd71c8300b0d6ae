use axum::extract::State;
use axum::response::Response;
use model::Result;

use super::Failure;
use super::format::{Notes, success};
use crate::json;
use crate::state::{Shared, now_ns, within};

/// The Prometheus whose query API this is; Grafana chooses what it asks by this number.
const PROMETHEUS_VERSION: &str = "3.5.0";

/// Of the head, as far back as the statistics look.
const HEAD_NS: i64 = 2 * 3600 * 1_000_000_000;

pub(super) async fn buildinfo() -> Response {
    let version = format!("tyto {}", env!("CARGO_PKG_VERSION"));
    let fields = [
        ("version", PROMETHEUS_VERSION),
        ("revision", version.as_str()),
        ("branch", ""),
        ("buildUser", ""),
        ("buildDate", ""),
        ("goVersion", ""),
    ];
    let mut data = String::new();
    json::pairs(&mut data, fields.into_iter());
    success(data, &Notes::default())
}

pub(super) async fn runtimeinfo(State(state): State<Shared>) -> Response {
    let started = chrono::DateTime::<chrono::Utc>::from(state.started).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let data = format!(
        "{{\"startTime\":\"{started}\",\"CWD\":\"\",\"hostname\":\"\",\"serverTime\":\"{now}\",\"reloadConfigSuccess\":true,\
         \"lastConfigTime\":\"{started}\",\"corruptionCount\":0,\"goroutineCount\":0,\"GOMAXPROCS\":{threads},\"GOMEMLIMIT\":0,\
         \"GOGC\":\"\",\"GODEBUG\":\"\",\"storageRetention\":\"\"}}"
    );
    success(data, &Notes::default())
}

/// Tyto has no Prometheus configuration file, and says so with an empty one.
pub(super) async fn config() -> Response {
    success("{\"yaml\":\"\"}".to_owned(), &Notes::default())
}

/// The limits that stand where Prometheus has flags.
pub(super) async fn flags(State(state): State<Shared>) -> Response {
    let limits = &state.limits;
    let (timeout, samples) = (format!("{}s", limits.timeout.as_secs()), limits.samples_max.to_string());
    let mut data = String::new();
    json::pairs(&mut data, [("query.timeout", timeout.as_str()), ("query.max-samples", samples.as_str())].into_iter());
    success(data, &Notes::default())
}

pub(super) async fn tsdb(State(state): State<Shared>) -> Result<Response, Failure> {
    let since = now_ns() - HEAD_NS;
    let recent = format!("FROM samples WHERE max_time_unix_nano >= {since}");
    let head = format!(
        "SELECT count(DISTINCT series_id) AS series, count(*) AS chunks, min(min_time_unix_nano) AS first, \
         max(max_time_unix_nano) AS last {recent}"
    );
    let top = format!("SELECT name, count(DISTINCT series_id) AS series {recent} GROUP BY name ORDER BY series DESC, name LIMIT 10");
    let both = async { Ok((state.rows(head, None).await?, state.rows(top, None).await?)) };
    let (head, top) = within(state.limits.timeout, both).await?;
    let value = |name: &str| Ok::<_, model::Error>(head.longs(name)?.iter().next().flatten().unwrap_or_default());
    let mut data = format!(
        "{{\"headStats\":{{\"numSeries\":{},\"chunkCount\":{},\"minTime\":{},\"maxTime\":{}}},\"seriesCountByMetricName\":",
        value("series")?,
        value("chunks")?,
        value("first")? / 1_000_000,
        value("last")? / 1_000_000
    );
    let (names, counts) = (top.texts("name")?, top.longs("series")?);
    json::list(&mut data, names.iter().zip(&counts), |out, (name, count)| {
        out.push_str("{\"name\":");
        json::text(out, name.unwrap_or_default());
        json::push(out, format_args!(",\"value\":{}}}", count.unwrap_or_default()));
    });
    data.push('}');
    Ok(success(data, &Notes::default()))
}
