//! The flow, on one page.
//!
//! ```text
//! write: socket -> receive -> pipeline (identify > contract > meter > route) -> shard (WAL, head, lake)
//! read:  socket -> present -> query (SQL, PromQL, LogQL, traces) -> shard
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use axum::Router;
use catalog::{Live, Problem};
use model::{Erasure, ErasureOrder, Error, Ingest, Query, ReceiveLimits, Result, Retention, Scan};
use pipeline::{CardinalityLimits, Pipeline};
use present::{Hosts, PresentState};
use receive::Receivers;
use store::Shard;
use tokio::sync::watch;

use crate::options::Settings;
use crate::telemetry::Metrics;

/// What stands when everything is joined; `serve` puts sockets before it.
pub(crate) struct Wired {
    /// The main port: receivers, query APIs, the page.
    pub(crate) http: Router,
    /// The OTLP port of its own.
    pub(crate) otlp_http: Router,
    pub(crate) otlp_grpc: tonic::service::Routes,
    pub(crate) shard: Arc<Shard>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) admin: Arc<Admin>,
}

pub(crate) fn wire(settings: &Settings, catalog: Arc<Live>, shard: Arc<Shard>, metrics: Metrics, stopping: watch::Receiver<bool>) -> Wired {
    let pipeline = write_path(catalog.clone(), settings.cardinality, shard.clone());
    let query = read_path(shard.clone());
    let receivers = receivers(pipeline.clone(), settings.receive.clone());
    let admin = Admin { shard: shard.clone(), metrics, catalog: catalog.clone(), retention: settings.retention.clone(), stopping };
    admin.apply_catalog();
    let admin = Arc::new(admin);
    let present = PresentState {
        query,
        admin: admin.clone(),
        catalog,
        usage: pipeline.usage(),
        cardinality: pipeline.cardinality(),
        limits: settings.query.clone(),
        started: SystemTime::now(),
    };

    let http = receive::otlp_http_router(receivers.clone())
        .merge(receive::remote_write_router(receivers.clone()))
        .merge(receive::loki_router(receivers.clone()))
        .merge(present::router(present));
    let hosts = |address: SocketAddr| Hosts::of(address.ip(), &settings.host_names);
    Wired {
        http: present::guarded(http, hosts(settings.http)),
        otlp_http: present::guarded(receive::otlp_http_router(receivers.clone()), hosts(settings.otlp_http)),
        otlp_grpc: receive::otlp_grpc_routes(receivers),
        shard,
        pipeline,
        admin,
    }
}

/// Every problem of the catalogue on a line of its own, with file and line.
pub(crate) fn unusable(problems: &[Problem]) -> Error {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Error::invalid(format!("cannot use the catalogue:\n{}", lines.join("\n")))
}

/// A decoded batch gets its identity, is counted, and goes to its shard.
fn write_path(catalog: Arc<Live>, cardinality: CardinalityLimits, shard: Arc<Shard>) -> Arc<Pipeline> {
    let now_ms = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    Arc::new(Pipeline::new(catalog, cardinality, Arc::new(now_ms), shard as Arc<dyn Ingest<model::Placed>>))
}

/// Every language over one scan of head and lake.
fn read_path(shard: Arc<Shard>) -> Arc<dyn Query> {
    Arc::new(query::Engine::new(shard as Arc<dyn Scan>, query::EngineOptions::default()))
}

fn receivers(pipeline: Arc<Pipeline>, limits: ReceiveLimits) -> Receivers {
    Receivers::new(pipeline as Arc<dyn Ingest<model::Decoded>>, limits)
}

/// The read path alone, over a folder that a server may be using: for `tyto sql --data-dir`.
pub(crate) fn wire_read_only(shard: Arc<Shard>, metrics: Metrics) -> Router {
    let catalog = Arc::new(Live::default());
    let pipeline = write_path(catalog.clone(), CardinalityLimits::default(), shard.clone());
    present::router(PresentState {
        query: read_path(shard.clone()),
        usage: pipeline.usage(),
        cardinality: pipeline.cardinality(),
        admin: Arc::new(Admin {
            shard,
            metrics,
            catalog: catalog.clone(),
            retention: Retention::default(),
            stopping: watch::channel(false).1,
        }),
        catalog,
        limits: model::QueryLimits::default(),
        started: SystemTime::now(),
    })
}

pub(crate) struct Admin {
    shard: Arc<Shard>,
    metrics: Metrics,
    catalog: Arc<Live>,
    /// Where the catalogue does not say.
    retention: Retention,
    stopping: watch::Receiver<bool>,
}

impl Admin {
    /// Rows are kept for as long as the catalogue in force says, and declared attributes have columns.
    fn apply_catalog(&self) {
        let catalog = self.catalog.get();
        self.shard.set_retention(catalog.retention(self.retention.clone()));
        self.shard.declare(&catalog.fields);
    }
}

#[async_trait]
impl present::Admin for Admin {
    async fn flush(&self) -> Result<()> {
        self.shard.flush().await
    }

    fn ready(&self) -> bool {
        // The sockets open after recovery: whoever can ask before the end begins is answered yes.
        !*self.stopping.borrow()
    }

    fn reload(&self) -> Result<()> {
        let read = self.catalog.reload().map_err(|problems| unusable(&problems));
        let result = if read.is_ok() { "ok" } else { "refused" };
        metrics::counter!("tyto_catalog_reloads_total", "result" => result).increment(1);
        read?;
        self.apply_catalog();
        Ok(())
    }

    async fn erase(&self, order: ErasureOrder) -> Result<Erasure> {
        self.shard.erase(order).await
    }

    fn erasures(&self) -> Vec<Erasure> {
        self.shard.erasures()
    }

    fn metrics_text(&self) -> String {
        self.metrics.text()
    }

    fn shards(&self) -> serde_json::Value {
        serde_json::json!([self.shard.stats()])
    }
}
