use axum::extract::State;
use axum::response::Response;

use super::format::{Notes, success};
use crate::json;
use crate::state::Shared;

/// The Prometheus whose query API this is; Grafana chooses what it asks by this number.
const PROMETHEUS_VERSION: &str = "3.5.0";

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

/// What a Go program says of its runtime is said of ours: tasks for goroutines, threads for `GOMAXPROCS`.
pub(super) async fn runtimeinfo(State(state): State<Shared>) -> Response {
    let written = |at: std::time::SystemTime| chrono::DateTime::<chrono::Utc>::from(at).to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    let (reloaded, reloaded_at) = state.admin.reloaded();
    let runtime = tokio::runtime::Handle::current().metrics();
    let data = serde_json::json!({
        "startTime": written(state.started),
        "CWD": state.facts.folder,
        "hostname": state.facts.host,
        "serverTime": written(std::time::SystemTime::now()),
        "reloadConfigSuccess": reloaded,
        "lastConfigTime": written(reloaded_at),
        "corruptionCount": 0,
        "goroutineCount": runtime.num_alive_tasks(),
        "GOMAXPROCS": runtime.num_workers(),
        "GOMEMLIMIT": i64::MAX,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": state.facts.retention,
    });
    success(data.to_string(), &Notes::default())
}

/// What the scrape configuration says; empty where none is in use.
pub(super) async fn config(State(state): State<Shared>) -> Response {
    success(serde_json::json!({ "yaml": state.targets.config() }).to_string(), &Notes::default())
}

/// Those of Prometheus's flags that Tyto has the like of, with its values.
pub(super) async fn flags(State(state): State<Shared>) -> Response {
    let mut data = String::new();
    json::pairs(&mut data, state.facts.flags.iter().map(|(name, value)| (*name, value.as_str())));
    success(data, &Notes::default())
}
