//! What clients ask before they send: Beats, Logstash, rsyslog, Fluent Bit, Vector, the language clients.

use http::StatusCode;
use serde_json::json;

use super::reply::failure;
use super::route::Probe;

/// The Elasticsearch whose write API this is. Clients refuse to speak to what names no version, or one that is too old.
const VERSION: &str = "9.0.0";

/// The answer: its status, whether it is JSON, and its text. `host` is how the client reached us.
pub(super) fn answer(probe: &Probe, request: &str, host: &str, now_unix_nano: i64) -> (StatusCode, bool, String) {
    let (status, body) = match probe {
        Probe::CatHealth => return (StatusCode::OK, false, cat_health(now_unix_nano)),
        Probe::Root => (StatusCode::OK, root()),
        Probe::Health => (StatusCode::OK, health()),
        Probe::License => {
            let license =
                json!({ "status": "active", "uid": "tyto", "type": "basic", "mode": "basic", "issued_to": "tyto", "issuer": "tyto" });
            (StatusCode::OK, json!({ "license": license }).to_string())
        }
        Probe::Xpack => (StatusCode::OK, json!({ "build": {}, "license": null, "features": {}, "tagline": "You know, for X" }).to_string()),
        Probe::Nodes => (StatusCode::OK, nodes(host)),
        Probe::Exists => (StatusCode::NOT_FOUND, not_found(request)),
        Probe::Make { index: None } => (StatusCode::OK, json!({ "acknowledged": true }).to_string()),
        Probe::Make { index: Some(index) } => {
            (StatusCode::OK, json!({ "acknowledged": true, "shards_acknowledged": true, "index": index }).to_string())
        }
        Probe::MakePipeline => {
            let status = StatusCode::BAD_REQUEST;
            let why = "cannot take a pipeline: Tyto runs no ingest pipelines, documents are kept as they come";
            (status, failure(status, "illegal_argument_exception", why))
        }
        // What is acknowledged can be asked for already.
        Probe::Refresh => (StatusCode::OK, json!({ "_shards": { "total": 1, "successful": 1, "failed": 0 } }).to_string()),
        Probe::Other => {
            let status = StatusCode::NOT_IMPLEMENTED;
            let why = format!("cannot {request}: Tyto takes Elasticsearch's documents in, it is asked in LogQL and SQL");
            (status, failure(status, "unsupported_operation_exception", &why))
        }
    };
    (status, true, body)
}

fn root() -> String {
    let version = json!({
        "number": VERSION, "build_flavor": "default", "build_type": "tyto", "build_hash": env!("CARGO_PKG_VERSION"), "build_snapshot": false,
        "minimum_wire_compatibility_version": "8.18.0", "minimum_index_compatibility_version": "8.0.0",
    });
    // Clients look at the tagline, too.
    json!({ "name": "tyto", "cluster_name": "tyto", "cluster_uuid": "tyto", "version": version, "tagline": "You Know, for Search" })
        .to_string()
}

fn health() -> String {
    json!({
        "cluster_name": "tyto", "status": "green", "timed_out": false, "number_of_nodes": 1, "number_of_data_nodes": 1,
        "active_primary_shards": 1, "active_shards": 1, "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0,
        "active_shards_percent_as_number": 100.0,
    })
    .to_string()
}

/// `epoch timestamp cluster status node.total node.data ...`.
fn cat_health(now_unix_nano: i64) -> String {
    let seconds = now_unix_nano / 1_000_000_000;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{seconds} {hour:02}:{minute:02}:{second:02} tyto green 1 1 1 1 0 0 0 0 - 100.0%\n")
}

fn nodes(host: &str) -> String {
    let node = json!({ "name": "tyto", "version": VERSION, "roles": ["data", "ingest", "master"], "http": { "publish_address": host } });
    json!({ "_nodes": { "total": 1, "successful": 1, "failed": 0 }, "cluster_name": "tyto", "nodes": { "tyto": node } }).to_string()
}

fn not_found(request: &str) -> String {
    failure(StatusCode::NOT_FOUND, "resource_not_found_exception", &format!("cannot {request}: there is none, and none is needed"))
}
