//! The flow, on one page.
//!
//! ```text
//! write: socket -> receive -> pipeline (identify > contract > meter > route) -> shard (WAL, head, lake)
//! read:  socket -> present -> query (SQL, PromQL, LogQL, traces) -> shard
//! ```

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use axum::Router;
use catalog::Live;
use model::{Ingest, Query, ReceiveLimits, Result, Scan};
use pipeline::Pipeline;
use present::PresentState;
use receive::Receivers;
use store::Shard;

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
}

pub(crate) fn wire(settings: &Settings, catalog: Arc<Live>, shard: Arc<Shard>, metrics: Metrics) -> Wired {
    let pipeline = write_path(catalog.clone(), shard.clone());
    let query = read_path(shard.clone());
    let receivers = receivers(pipeline.clone(), settings.receive.clone());
    let present = PresentState {
        query,
        admin: Arc::new(Admin { shard: shard.clone(), metrics }),
        catalog,
        usage: pipeline.usage(),
        limits: settings.query.clone(),
        started: SystemTime::now(),
    };

    Wired {
        http: receive::otlp_http_router(receivers.clone())
            .merge(receive::remote_write_router(receivers.clone()))
            .merge(receive::loki_router(receivers.clone()))
            .merge(present::router(present)),
        otlp_http: receive::otlp_http_router(receivers.clone()),
        otlp_grpc: receive::otlp_grpc_routes(receivers),
        shard,
        pipeline,
    }
}

/// A decoded batch gets its identity, is counted, and goes to its shard.
fn write_path(catalog: Arc<Live>, shard: Arc<Shard>) -> Arc<Pipeline> {
    Arc::new(Pipeline::new(catalog, shard as Arc<dyn Ingest<model::Placed>>))
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
    present::router(PresentState {
        query: read_path(shard.clone()),
        usage: write_path(catalog.clone(), shard.clone()).usage(),
        admin: Arc::new(Admin { shard, metrics }),
        catalog,
        limits: model::QueryLimits::default(),
        started: SystemTime::now(),
    })
}

struct Admin {
    shard: Arc<Shard>,
    metrics: Metrics,
}

#[async_trait]
impl present::Admin for Admin {
    async fn flush(&self) -> Result<()> {
        self.shard.flush().await
    }

    fn ready(&self) -> bool {
        // The sockets open after recovery, so whoever can ask is answered yes.
        true
    }

    fn metrics_text(&self) -> String {
        self.metrics.text()
    }

    fn shards(&self) -> serde_json::Value {
        serde_json::json!([self.shard.stats()])
    }
}
