//! The flow, on one page.
//!
//! ```text
//! write: socket, a scraped target or CloudWatch -> receive -> pipeline (identify > transform > meter > route) -> shard (WAL, head, lake)
//!        what breaks contracts -> notify (owners are told)
//!        acknowledged spans -> insight (span metrics, service graph, the map's samples) -> pipeline
//!        files, git, `tyto apply` -> registry (versions) -> the catalogue in force, into which the pipeline and others look
//! read:  socket -> present -> query (SQL, PromQL, LogQL, traces) -> shard
//!        socket -> present -> insight (maps, scorecards) -> query
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ::notify::Notifier;
use async_trait::async_trait;
use axum::Router;
use catalog::{Catalog, Channels, History, Live, NoHistory, Problem};
use insight::scorecard::ScorecardEngine;
use insight::topology::TopologyEngine;
use insight::{Feed, NowMs, Overheard, SpanOptions};
use lang::promql::{Features, format_duration};
use model::patterns::Patterns;
use model::{Breaches, Erasure, ErasureOrder, Error, Ingest, NoTargets, Placed, Query, ReceiveLimits, Result, Scan, Table, Topology};
use pipeline::{CardinalityLimits, Pipeline, PseudonymKey, Quarantined};
use present::{Facts, Hosts, PresentState, Tails};
use query::promql::PromqlOptions;
use receive::Receivers;
use receive::cloudwatch::{Cloudwatch, CloudwatchConfig};
use receive::scrape::{ScrapeConfig, Scraper};
use registry::{Known, Registry};
use store::Shard;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::options::Settings;
use crate::patterns;
use crate::telemetry::Metrics;

/// What stands when everything is joined; `serve` puts sockets before it.
pub(crate) struct Wired {
    /// The main port: receivers, query APIs, the page.
    pub(crate) http: Router,
    /// The OTLP port of its own.
    pub(crate) otlp_http: Router,
    /// Protocols at the root of a port of their own, by the names of their options: of those that are asked for.
    pub(crate) own_ports: Vec<(&'static str, SocketAddr, Router)>,
    pub(crate) otlp_grpc: tonic::service::Routes,
    /// For ports that are no HTTP (`wire.rs`).
    pub(crate) receivers: Receivers,
    pub(crate) shard: Arc<Shard>,
    pub(crate) pipeline: Arc<Pipeline>,
    /// Spans that the shard has acknowledged, for what is computed from them, and by which options.
    pub(crate) feed: Option<(Feed, SpanOptions)>,
    pub(crate) admin: Arc<Admin>,
    pub(crate) patterns: Arc<Patterns>,
    pub(crate) scraper: Option<Arc<Scraper>>,
    pub(crate) cloudwatch: Option<Arc<Cloudwatch>>,
    pub(crate) notifier: Option<Arc<Notifier>>,
    /// Whoever follows logs takes leave before the end.
    pub(crate) tails: Tails,
}

pub(crate) fn wire(
    settings: &Settings,
    declared: Declared,
    registry: Arc<Registry>,
    shard: Arc<Shard>,
    metrics: Metrics,
    stopping: watch::Receiver<bool>,
) -> Wired {
    let Declared { scrape, cloudwatch, channels } = declared;
    let catalog = registry.live();
    let patterns = patterns::load(&settings.data_dir);
    let (store, feed) = overheard(shard.clone(), settings.spans.clone());
    let notifier = channels.map(|(path, channels)| Arc::new(Notifier::new(&path, channels, catalog.clone(), &settings.data_dir, now_ms())));
    let breaches = notifier.as_ref().map(|notifier| notifier.breaches());
    let pipeline = write_path(catalog.clone(), settings.cardinality, patterns.clone(), settings.pseudonym_key.clone(), breaches, store);
    let query = read_path(shard.clone(), settings.promql_features, patterns.clone());
    let receivers = receivers(pipeline.clone(), settings.receive.clone());
    let scraper = scrape.map(|(path, config)| Scraper::start(&path, config, receivers.clone()));
    let interval = settings.cloudwatch_interval;
    let cloudwatch = cloudwatch.map(|(path, config)| Cloudwatch::start(&path, config, interval, receivers.clone()));
    let admin = Admin {
        shard: shard.clone(),
        metrics,
        registry: Some(registry.clone()),
        scraper: scraper.clone(),
        cloudwatch: cloudwatch.clone(),
        notifier: notifier.clone(),
        reloads: Mutex::new((true, SystemTime::now())),
        stopping: stopping.clone(),
    };
    let tails = Tails::new(settings.tails_max, settings.tail_duration_max, stopping);
    let admin = Arc::new(admin);
    let topology = topology(query.clone(), catalog.clone(), settings.query.clone());
    let scorecards = scorecards(query.clone(), topology.clone(), catalog.clone(), settings.query.clone());
    let quarantine = Arc::new(Quarantined::new(pipeline.clone(), shard.clone()));
    let present = PresentState {
        quarantine,
        query,
        topology,
        scorecards,
        pipelines: pipeline.clone(),
        contracts: pipeline.clone(),
        admin: admin.clone(),
        catalog,
        history: registry as Arc<dyn History>,
        usage: pipeline.usage(),
        cardinality: pipeline.cardinality(),
        targets: match &scraper {
            Some(scraper) => scraper.clone(),
            None => Arc::new(NoTargets),
        },
        tails: tails.clone(),
        limits: settings.query.clone(),
        started: SystemTime::now(),
        facts: facts(settings),
    };

    let http = receive::otlp_http_router(receivers.clone())
        .merge(receive::remote_write_router(receivers.clone()))
        .merge(receive::loki_router(receivers.clone()))
        .merge(receive::json_lines_router(receivers.clone()))
        .merge(receive::elasticsearch_router(receivers.clone()))
        .merge(receive::splunk_router(receivers.clone()))
        .merge(receive::firehose_router(receivers.clone()))
        .merge(receive::journal_router(receivers.clone()))
        .merge(receive::zipkin_router(receivers.clone()))
        .merge(receive::jaeger_router(receivers.clone()))
        .merge(present::router(present));
    let hosts = |address: SocketAddr| Hosts::of(address.ip(), &settings.host_names);
    let own_ports = [
        ("elasticsearch", settings.elasticsearch, receive::elasticsearch_port(receivers.clone())),
        ("zipkin", settings.zipkin, receive::zipkin_port(receivers.clone())),
        ("jaeger_http", settings.jaeger_http, receive::jaeger_router(receivers.clone())),
    ];
    let own_ports = own_ports.into_iter().filter_map(|(option, address, router)| {
        let address = address?;
        Some((option, address, present::guarded(router, hosts(address))))
    });
    let own_ports = own_ports.collect();
    Wired {
        http: present::guarded(http, hosts(settings.http)),
        otlp_http: present::guarded(receive::otlp_http_router(receivers.clone()), hosts(settings.otlp_http)),
        own_ports,
        otlp_grpc: receive::jaeger_grpc_routes(receive::otlp_grpc_routes(receivers.clone()), receivers.clone()),
        receivers,
        shard,
        pipeline,
        feed,
        admin,
        patterns,
        scraper,
        cloudwatch,
        notifier,
        tails,
    }
}

/// What files say, read before anything is opened.
pub(crate) struct Declared {
    /// With the file that it was read from.
    pub(crate) scrape: Option<(PathBuf, ScrapeConfig)>,
    /// The same.
    pub(crate) cloudwatch: Option<(PathBuf, CloudwatchConfig)>,
    /// The same: by which owners are told.
    pub(crate) channels: Option<(PathBuf, Channels)>,
}

impl Declared {
    pub(crate) fn read(settings: &Settings) -> Result<Self> {
        let scrape = settings.scrape_config.as_ref().map(|path| match ScrapeConfig::load(path) {
            Ok(config) => Ok((path.clone(), config)),
            Err(problems) => Err(unusable("the scrape configuration", &problems)),
        });
        let cloudwatch = settings.cloudwatch_config.as_ref().map(|path| match CloudwatchConfig::load(path) {
            Ok(config) => Ok((path.clone(), config)),
            Err(problems) => Err(unusable("the CloudWatch configuration", &problems)),
        });
        let channels = settings.notify_config.as_ref().map(|path| match Channels::load(path) {
            Ok(channels) => Ok((path.clone(), channels)),
            Err(problems) => Err(unusable("the notification configuration", &problems)),
        });
        let (scrape, cloudwatch, channels) = (scrape.transpose()?, cloudwatch.transpose()?, channels.transpose()?);
        Ok(Self { scrape, cloudwatch, channels })
    }
}

/// Every problem of what was read on a line of its own, with file and line.
pub(crate) fn unusable(what: &str, problems: &[Problem]) -> Error {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Error::invalid(format!("cannot use {what}:\n{}", lines.join("\n")))
}

/// The catalogue in force. By each that comes, rows are kept for as long as it says, and declared attributes have columns.
pub(crate) async fn registry(settings: &Settings, shard: Arc<Shard>) -> Result<Arc<Registry>> {
    // Where the catalogue does not say.
    let retention = settings.retention.clone();
    let on_change = move |catalog: &Catalog, known: Known| {
        // Until all is known, rows are kept: what is deleted does not come back.
        if known == Known::All {
            shard.set_retention(catalog.retention(retention.clone()));
        }
        shard.declare(&catalog.fields);
    };
    let registry = Registry::new(settings.registry.clone(), Box::new(on_change), now_ms())?;
    registry.start().await?;
    Ok(Arc::new(registry))
}

/// A decoded batch gets its identity, is counted, and goes to its shard.
fn write_path(
    catalog: Arc<Live>,
    cardinality: CardinalityLimits,
    patterns: Arc<Patterns>,
    pseudonyms: Option<PseudonymKey>,
    breaches: Option<Arc<Breaches>>,
    shard: Arc<dyn Ingest<Placed>>,
) -> Arc<Pipeline> {
    let pipeline = Pipeline::new(catalog, cardinality, now_ms(), shard);
    Arc::new(pipeline.with_patterns(patterns).with_pseudonyms(pseudonyms).with_breaches(breaches))
}

/// The shard, and behind it the spans that it acknowledges, where something is to be computed from them.
fn overheard(shard: Arc<Shard>, options: Option<SpanOptions>) -> (Arc<dyn Ingest<Placed>>, Option<(Feed, SpanOptions)>) {
    let Some(options) = options else { return (shard, None) };
    let (overheard, feed) = Overheard::new(shard);
    (Arc::new(overheard), Some((feed, options)))
}

/// Milliseconds since the Unix epoch, by the system's clock.
pub(crate) fn now_ms() -> NowMs {
    Arc::new(|| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64))
}

/// Maps are drawn from what the read path answers.
fn topology(query: Arc<dyn Query>, catalog: Arc<Live>, limits: model::QueryLimits) -> Arc<dyn Topology> {
    Arc::new(TopologyEngine::new(query, catalog, limits, now_ms()))
}

/// Scores are found from what the read path answers, and from the map.
fn scorecards(
    query: Arc<dyn Query>,
    topology: Arc<dyn Topology>,
    catalog: Arc<Live>,
    limits: model::QueryLimits,
) -> Arc<dyn model::Scorecards> {
    Arc::new(ScorecardEngine::new(query, topology, catalog, limits))
}

/// Every language over one scan of head and lake.
fn read_path(shard: Arc<Shard>, features: Features, patterns: Arc<Patterns>) -> Arc<dyn Query> {
    let promql = PromqlOptions { features, ..PromqlOptions::default() };
    Arc::new(query::Engine::new(shard as Arc<dyn Scan>, query::EngineOptions { promql, patterns, ..query::EngineOptions::default() }))
}

/// What Prometheus's status pages ask of a program.
fn facts(settings: &Settings) -> Facts {
    let duration = |duration: Duration| format_duration(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    let retention = settings.retention.of(Table::Samples, [""; 3]).map(duration).unwrap_or_default();
    let (promql, engine) = (PromqlOptions::default(), query::EngineOptions::default());
    let flags = vec![
        ("enable-feature", settings.promql_features.to_string()),
        ("query.lookback-delta", duration(promql.lookback)),
        ("query.max-concurrency", engine.queries_max.to_string()),
        ("query.max-samples", settings.query.samples_max.to_string()),
        ("query.timeout", duration(settings.query.timeout)),
        ("storage.remote.read-concurrent-limit", engine.queries_max.to_string()),
        ("storage.remote.read-sample-limit", settings.query.samples_max.to_string()),
        ("storage.tsdb.path", settings.data_dir.display().to_string()),
        ("storage.tsdb.retention.time", if retention.is_empty() { "0s".to_owned() } else { retention.clone() }),
        ("web.enable-admin-api", "false".to_owned()),
        ("web.enable-lifecycle", "true".to_owned()),
        ("web.enable-otlp-receiver", "true".to_owned()),
        ("web.enable-remote-write-receiver", "true".to_owned()),
        ("web.listen-address", settings.http.to_string()),
    ];
    let folder = std::env::current_dir().map(|folder| folder.display().to_string()).unwrap_or_default();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_default();
    Facts { features: settings.promql_features, flags, folder, host, retention }
}

fn receivers(pipeline: Arc<Pipeline>, limits: ReceiveLimits) -> Receivers {
    Receivers::new(pipeline as Arc<dyn Ingest<model::Decoded>>, limits)
}

/// The read path alone, over a folder that a server may be using: for `tyto sql --data-dir`.
pub(crate) fn wire_read_only(data_dir: &Path, shard: Arc<Shard>, metrics: Metrics) -> Router {
    let catalog = Arc::new(Live::default());
    let patterns = patterns::load(data_dir);
    let pipeline = write_path(catalog.clone(), CardinalityLimits::default(), patterns.clone(), None, None, shard.clone());
    let query = read_path(shard.clone(), Features::default(), patterns);
    let topology = topology(query.clone(), catalog.clone(), model::QueryLimits::default());
    present::router(PresentState {
        scorecards: scorecards(query.clone(), topology.clone(), catalog.clone(), model::QueryLimits::default()),
        topology,
        query,
        usage: pipeline.usage(),
        cardinality: pipeline.cardinality(),
        quarantine: Arc::new(Quarantined::new(pipeline.clone(), shard.clone())),
        pipelines: pipeline.clone(),
        contracts: pipeline,
        targets: Arc::new(NoTargets),
        tails: Tails::new(0, Duration::ZERO, watch::channel(false).1),
        admin: Arc::new(Admin {
            shard,
            metrics,
            registry: None,
            scraper: None,
            cloudwatch: None,
            notifier: None,
            reloads: Mutex::new((true, SystemTime::now())),
            stopping: watch::channel(false).1,
        }),
        catalog,
        history: Arc::new(NoHistory),
        limits: model::QueryLimits::default(),
        started: SystemTime::now(),
        facts: Facts::default(),
    })
}

pub(crate) struct Admin {
    shard: Arc<Shard>,
    metrics: Metrics,
    /// None where nothing is kept.
    registry: Option<Arc<Registry>>,
    scraper: Option<Arc<Scraper>>,
    cloudwatch: Option<Arc<Cloudwatch>>,
    notifier: Option<Arc<Notifier>>,
    /// Whether the last reading of the files succeeded, and when one last did.
    reloads: Mutex<(bool, SystemTime)>,
    stopping: watch::Receiver<bool>,
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
        let catalog = self.registry.as_ref().map_or(Ok(()), |registry| Handle::current().block_on(registry.take_local()));
        metrics::counter!("tyto_catalog_reloads_total", "result" => result(catalog.is_ok())).increment(1);
        let scrape = self.scraper.as_ref().map_or(Ok(()), |scraper| scraper.reload());
        let scrape = scrape.map_err(|problems| unusable("the scrape configuration", &problems));
        if self.scraper.is_some() {
            metrics::counter!("tyto_scrape_reloads_total", "result" => result(scrape.is_ok())).increment(1);
        }
        let cloudwatch = self.cloudwatch.as_ref().map_or(Ok(()), |cloudwatch| cloudwatch.reload());
        let cloudwatch = cloudwatch.map_err(|problems| unusable("the CloudWatch configuration", &problems));
        if self.cloudwatch.is_some() {
            metrics::counter!("tyto_cloudwatch_reloads_total", "result" => result(cloudwatch.is_ok())).increment(1);
        }
        let channels = self.notifier.as_ref().map_or(Ok(()), |notifier| notifier.reload());
        let channels = channels.map_err(|problems| unusable("the notification configuration", &problems));
        if self.notifier.is_some() {
            metrics::counter!("tyto_notification_reloads_total", "result" => result(channels.is_ok())).increment(1);
        }
        let ok = catalog.is_ok() && scrape.is_ok() && cloudwatch.is_ok() && channels.is_ok();
        let mut reloads = self.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        *reloads = (ok, if ok { SystemTime::now() } else { reloads.1 });
        drop(reloads);
        // Each is taken or left by itself; all are told.
        let wrong: Vec<String> = [catalog, scrape, cloudwatch, channels].into_iter().filter_map(|read| Some(read.err()?.what)).collect();
        if wrong.is_empty() { Ok(()) } else { Err(Error::invalid(wrong.join("\n"))) }
    }

    async fn erase(&self, order: ErasureOrder) -> Result<Erasure> {
        self.shard.erase(order).await
    }

    fn reloaded(&self) -> (bool, SystemTime) {
        *self.reloads.lock().unwrap_or_else(PoisonError::into_inner)
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
