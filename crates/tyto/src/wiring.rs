//! The flow, on one page.
//!
//! ```text
//! write: socket, or a scraped target -> receive -> pipeline (identify > contract > meter > route) -> shard (WAL, head, lake)
//! read:  socket -> present -> query (SQL, PromQL, LogQL, traces) -> shard
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use axum::Router;
use catalog::{Live, Problem};
use model::{Erasure, ErasureOrder, Error, Ingest, NoTargets, Query, ReceiveLimits, Result, Retention, Scan, Targets};
use pipeline::Pipeline;
use present::{Hosts, PresentState};
use receive::Receivers;
use receive::scrape::{ScrapeConfig, Scraper};
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
    pub(crate) scraper: Option<Arc<Scraper>>,
}

pub(crate) fn wire(settings: &Settings, declared: Declared, shard: Arc<Shard>, metrics: Metrics, stopping: watch::Receiver<bool>) -> Wired {
    let Declared { catalog, scrape } = declared;
    let pipeline = write_path(catalog.clone(), shard.clone());
    let query = read_path(shard.clone());
    let receivers = receivers(pipeline.clone(), settings.receive.clone());
    let scraper = scrape.map(|(path, config)| Scraper::start(&path, config, receivers.clone()));
    let admin = Admin {
        shard: shard.clone(),
        metrics,
        catalog: catalog.clone(),
        scraper: scraper.clone(),
        retention: settings.retention.clone(),
        stopping,
    };
    admin.retain();
    let admin = Arc::new(admin);
    let present = PresentState {
        query,
        admin: admin.clone(),
        catalog,
        usage: pipeline.usage(),
        targets: scraper.clone().map_or_else(|| Arc::new(NoTargets) as Arc<dyn Targets>, |scraper| scraper),
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
        scraper,
    }
}

/// What files say, read before anything is opened.
pub(crate) struct Declared {
    pub(crate) catalog: Arc<Live>,
    /// With the file that it was read from.
    pub(crate) scrape: Option<(PathBuf, ScrapeConfig)>,
}

impl Declared {
    pub(crate) fn read(settings: &Settings) -> Result<Self> {
        let catalog = Live::load(settings.catalog.clone()).map_err(|problems| unusable("the catalogue", &problems))?;
        let scrape = settings.scrape_config.as_ref().map(|path| match ScrapeConfig::load(path) {
            Ok(config) => Ok((path.clone(), config)),
            Err(problems) => Err(unusable("the scrape configuration", &problems)),
        });
        Ok(Self { catalog: Arc::new(catalog), scrape: scrape.transpose()? })
    }
}

/// Every problem of what was read on a line of its own, with file and line.
fn unusable(what: &str, problems: &[Problem]) -> Error {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Error::invalid(format!("cannot use {what}:\n{}", lines.join("\n")))
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
        targets: Arc::new(NoTargets),
        admin: Arc::new(Admin {
            shard,
            metrics,
            catalog: catalog.clone(),
            scraper: None,
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
    scraper: Option<Arc<Scraper>>,
    /// Where the catalogue does not say.
    retention: Retention,
    stopping: watch::Receiver<bool>,
}

impl Admin {
    /// Rows are kept for as long as the catalogue in force says.
    fn retain(&self) {
        self.shard.set_retention(self.catalog.get().retention(self.retention.clone()));
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
        let result = |ok: bool| if ok { "ok" } else { "refused" };
        let catalog = self.catalog.reload().map_err(|problems| unusable("the catalogue", &problems));
        metrics::counter!("tyto_catalog_reloads_total", "result" => result(catalog.is_ok())).increment(1);
        if catalog.is_ok() {
            self.retain();
        }
        let Some(scraper) = &self.scraper else { return catalog.map(drop) };
        let scrape = scraper.reload().map_err(|problems| unusable("the scrape configuration", &problems));
        metrics::counter!("tyto_scrape_reloads_total", "result" => result(scrape.is_ok())).increment(1);
        // Each is taken or left by itself; both are told.
        match (catalog, scrape) {
            (Err(catalog), Err(scrape)) => Err(Error::invalid(format!("{}\n{}", catalog.what, scrape.what))),
            (catalog, scrape) => catalog.map(drop).and(scrape),
        }
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
