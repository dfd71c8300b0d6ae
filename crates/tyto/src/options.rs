//! What the user may write ([`ServeOptions`]: flag over environment over file), and what it comes to ([`Settings`]).

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use insight::SpanOptions;
use lang::promql::Features;
use model::{Error, Result, Retention, Table};
use pipeline::PseudonymKey;
use receive::{FluentSecurity, TlsFiles};
use serde::Deserialize;
use store::{LakePlace, Remote, RemoteOptions, ShardOptions, Tier, TierPlace, WalPlace};

use crate::wire::WireSettings;

/// A query that nobody waits for any longer than this is not worth its memory.
const QUERY_TIMEOUT_SECONDS_MAX: u64 = 86_400;

/// Each may hold some megabytes of lines for a client who is slow.
const TAILS_MAX: u32 = 1000;

/// A week.
const TAIL_DURATION_SECONDS_MAX: u64 = 604_800;

/// Shortest time between two puts of the log: each costs money, and senders wait for one round trip anyway.
const OBJECT_GROUP_INTERVAL: Duration = Duration::from_millis(100);

/// Every option is a flag, a key of the configuration file, and an environment variable.
#[derive(clap::Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServeOptions {
    /// A TOML file with these options as keys (`data_dir = "/var/lib/tyto"`).
    #[arg(long, env = "TYTO_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,

    /// Where logs, spans and samples are kept [default: ./tyto-data]
    #[arg(long, env = "TYTO_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Where the lake lies, if not in the data directory: `s3://bucket/prefix`. Credentials come from the standard AWS_* variables
    #[arg(long, env = "TYTO_LAKE", value_name = "URL")]
    pub(crate) lake: Option<String>,

    /// Where files go whose rows are all older than a time: `30d=s3://bucket/cold` or, of one table, `logs:7d=/mnt/cold`
    #[arg(long = "tier", env = "TYTO_TIERS", value_name = "[TABLE:]AGE=PLACE", value_delimiter = ',')]
    pub(crate) tiers: Vec<String>,

    /// Endpoint of an S3-compatible store, for example http://127.0.0.1:9000 [default: AWS_ENDPOINT_URL, or Amazon's own]
    #[arg(long, env = "TYTO_LAKE_ENDPOINT", value_name = "URL")]
    pub(crate) lake_endpoint: Option<String>,

    /// Region of the store [default: AWS_REGION]
    #[arg(long, env = "TYTO_LAKE_REGION", value_name = "NAME")]
    pub(crate) lake_region: Option<String>,

    /// Where the write-ahead log lies: on this node's disk, or as objects beside the lake [default: disk]
    #[arg(long, env = "TYTO_WAL", value_name = "PLACE")]
    pub(crate) wal: Option<Wal>,

    /// Bytes of remote files that are held in memory [default: 67108864]
    #[arg(long, env = "TYTO_CACHE_MEMORY_BYTES_MAX", value_name = "BYTES")]
    pub(crate) cache_memory_bytes_max: Option<u64>,

    /// Bytes of remote files that are held in the data directory [default: 4294967296]
    #[arg(long, env = "TYTO_CACHE_DISK_BYTES_MAX", value_name = "BYTES")]
    pub(crate) cache_disk_bytes_max: Option<u64>,

    /// Memory for the newest samples of files, so that dashboards of the last hours open none [default: 134217728]
    #[arg(long, env = "TYTO_RECENT_SAMPLES_BYTES_MAX", value_name = "BYTES")]
    pub(crate) recent_samples_bytes_max: Option<usize>,

    /// Address of the APIs and the page; port 0 picks a free one [default: 127.0.0.1:7070]
    #[arg(long, env = "TYTO_HTTP", value_name = "HOST:PORT")]
    pub(crate) http: Option<String>,

    /// Address that OTLP over gRPC comes in at [default: 127.0.0.1:4317]
    #[arg(long, env = "TYTO_OTLP_GRPC", value_name = "HOST:PORT")]
    pub(crate) otlp_grpc: Option<String>,

    /// Address that OTLP over HTTP comes in at, beside the main one [default: 127.0.0.1:4318]
    #[arg(long, env = "TYTO_OTLP_HTTP", value_name = "HOST:PORT")]
    pub(crate) otlp_http: Option<String>,

    /// Address of Elasticsearch's write API at its root, for senders that can be given no path; beside `/elasticsearch` on the
    /// main address [default: none; Elasticsearch's own is 127.0.0.1:9200]
    #[arg(long, env = "TYTO_ELASTICSEARCH", value_name = "HOST:PORT")]
    pub(crate) elasticsearch: Option<String>,

    /// Address of Zipkin's collector at a port of its own, beside `/api/v2/spans` on the main address
    /// [default: none; Zipkin's own is 127.0.0.1:9411]
    #[arg(long, env = "TYTO_ZIPKIN", value_name = "HOST:PORT")]
    pub(crate) zipkin: Option<String>,

    /// Address of Jaeger's collector for Thrift over HTTP, beside `/api/traces` on the main address
    /// [default: none; Jaeger's own is 127.0.0.1:14268]
    #[arg(long, env = "TYTO_JAEGER_HTTP", value_name = "HOST:PORT")]
    pub(crate) jaeger_http: Option<String>,

    /// Address of Jaeger's collector for gRPC, beside that of OTLP's [default: none; Jaeger's own is 127.0.0.1:14250]
    #[arg(long, env = "TYTO_JAEGER_GRPC", value_name = "HOST:PORT")]
    pub(crate) jaeger_grpc: Option<String>,

    /// Address that syslog comes in at as datagrams [default: none; syslog's own is 127.0.0.1:514]
    #[arg(long, env = "TYTO_SYSLOG_UDP", value_name = "HOST:PORT")]
    pub(crate) syslog_udp: Option<String>,

    /// Address that syslog comes in at over TCP [default: none; mostly 127.0.0.1:514 or :601]
    #[arg(long, env = "TYTO_SYSLOG_TCP", value_name = "HOST:PORT")]
    pub(crate) syslog_tcp: Option<String>,

    /// Address that syslog comes in at over TLS; needs --tls-cert [default: none; syslog's own is 127.0.0.1:6514]
    #[arg(long, env = "TYTO_SYSLOG_TLS", value_name = "HOST:PORT")]
    pub(crate) syslog_tls: Option<String>,

    /// Address that Fluentd's Forward protocol comes in at: Fluentd, Fluent Bit, FireLens, Docker [default: none; its own is 127.0.0.1:24224]
    #[arg(long, env = "TYTO_FLUENT", value_name = "HOST:PORT")]
    pub(crate) fluent: Option<String>,

    /// The same over TLS; needs --tls-cert [default: none]
    #[arg(long, env = "TYTO_FLUENT_TLS", value_name = "HOST:PORT")]
    pub(crate) fluent_tls: Option<String>,

    /// What clients of the Forward protocol must know. Say it by the environment or the file: others see the flags of a process
    #[arg(long, env = "TYTO_FLUENT_SHARED_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) fluent_shared_key: Option<Secret>,

    /// Users that clients of the Forward protocol must be, beside the shared key
    #[arg(long = "fluent-user", env = "TYTO_FLUENT_USERS", value_name = "NAME:PASSWORD", value_delimiter = ',', hide_env_values = true)]
    pub(crate) fluent_users: Vec<Secret>,

    /// The certificate that encrypted ports show, in PEM, with those between it and its authority; read again when it changes
    #[arg(long, env = "TYTO_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The certificate's private key, in PEM
    #[arg(long, env = "TYTO_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Serve encrypted ports only to clients with a certificate of one of these authorities, in PEM
    #[arg(long, env = "TYTO_TLS_CLIENT_CA", value_name = "FILE")]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// A name that browsers reach Tyto by, beside IP addresses and `localhost`: that of the proxy before it
    #[arg(long = "host-name", env = "TYTO_HOST_NAME", value_name = "NAME", value_delimiter = ',')]
    #[serde(rename = "host_name")]
    pub(crate) host_names: Vec<String>,

    /// Catalogue of business services, services and components: `omd.yaml` files or folders of them
    #[arg(long, env = "TYTO_CATALOG", value_name = "PATH", value_delimiter = ',')]
    pub(crate) catalog: Vec<PathBuf>,

    /// A PostgreSQL that several servers keep the catalogue's versions in: `postgres://user@host/database`. Say it by the environment or the
    /// file where it has a password [default: catalogue.sqlite in the data directory]
    #[arg(long, env = "TYTO_CATALOG_STORE", value_name = "URL", hide_env_values = true)]
    pub(crate) catalog_store: Option<Secret>,

    /// A repository whose catalogue files are followed: `https://host/team/repository#branch:folder`, or `user@host:team/repository`
    #[arg(
        long = "catalog-git",
        env = "TYTO_CATALOG_GIT",
        value_name = "URL[#[BRANCH][:FOLDER]]",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(crate) catalog_git: Vec<String>,

    /// Repositories, and the catalogue's store, are asked for something new after this many seconds, 1 to 3600 [default: 30]
    #[arg(long, env = "TYTO_CATALOG_POLL_INTERVAL_SECONDS", value_name = "SECONDS")]
    pub(crate) catalog_poll_interval_seconds: Option<u64>,

    /// The key that values become pseudonyms by where a pipeline hides them so: a file of 16 bytes or more, read once at the start
    #[arg(long, env = "TYTO_PSEUDONYM_KEY", value_name = "FILE")]
    pub(crate) pseudonym_key: Option<PathBuf>,

    /// Scrape what this Prometheus configuration file says; its other sections are not used
    #[arg(long, env = "TYTO_SCRAPE_CONFIG", value_name = "FILE")]
    pub(crate) scrape_config: Option<PathBuf>,

    /// Ask CloudWatch for what this configuration file of YACE (yet-another-cloudwatch-exporter) says
    #[arg(long, env = "TYTO_CLOUDWATCH_CONFIG", value_name = "FILE")]
    pub(crate) cloudwatch_config: Option<PathBuf>,

    /// Tell owners of records that break their contract by what this file says: mail server, Slack, GitHub, webhooks
    #[arg(long, env = "TYTO_NOTIFY_CONFIG", value_name = "FILE")]
    pub(crate) notify_config: Option<PathBuf>,

    /// CloudWatch is asked again after this many seconds; metrics of longer periods after these, at most an hour [default: 300]
    #[arg(long, env = "TYTO_CLOUDWATCH_INTERVAL_SECONDS", value_name = "SECONDS")]
    pub(crate) cloudwatch_interval_seconds: Option<u64>,

    /// Listen on addresses that others can reach although nobody is asked who they are
    #[arg(long, env = "TYTO_INSECURE", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) insecure: Option<bool>,

    /// Store Tyto's own metrics beside everybody else's, every 15 seconds
    #[arg(long, env = "TYTO_SELF_TELEMETRY", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) self_telemetry: Option<bool>,

    /// Refuse records older than this many seconds [default: records of any age are taken]
    #[arg(long, env = "TYTO_RECORD_AGE_MAX_SECONDS", value_name = "SECONDS")]
    pub(crate) record_age_max_seconds: Option<u64>,

    /// How long logs are kept where the catalogue does not say: 36h, 30d, 2w, 10y [default: for ever]
    #[arg(long, env = "TYTO_RETENTION_LOGS", value_name = "TIME")]
    pub(crate) retention_logs: Option<String>,

    /// How long spans are kept where the catalogue does not say [default: for ever]
    #[arg(long, env = "TYTO_RETENTION_SPANS", value_name = "TIME")]
    pub(crate) retention_spans: Option<String>,

    /// How long samples are kept where the catalogue does not say [default: for ever]
    #[arg(long, env = "TYTO_RETENTION_SAMPLES", value_name = "TIME")]
    pub(crate) retention_samples: Option<String>,

    /// How long log records that were set aside are kept where the catalogue does not say [default: for ever]
    #[arg(long, env = "TYTO_RETENTION_QUARANTINE", value_name = "TIME")]
    pub(crate) retention_quarantine: Option<String>,

    /// Largest request body, as it comes over the wire [default: 67108864]
    #[arg(long, env = "TYTO_REQUEST_BODY_BYTES_MAX", value_name = "BYTES")]
    pub(crate) request_body_bytes_max: Option<usize>,

    /// Memory of all requests being taken in at one time; further ones are told to come back [default: 536870912]
    #[arg(long, env = "TYTO_REQUESTS_INFLIGHT_BYTES_MAX", value_name = "BYTES")]
    pub(crate) requests_inflight_bytes_max: Option<usize>,

    /// New values of one label, of one owner's series, in an hour; the value of further ones is `__cardinality_overflow__` [default: 100000]
    #[arg(long, env = "TYTO_LABEL_VALUES_MAX", value_name = "COUNT")]
    pub(crate) label_values_max: Option<usize>,

    /// Compute span metrics, service graph and map from spans [default: true]
    #[arg(long, env = "TYTO_SPAN_METRICS", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) span_metrics: Option<bool>,

    /// Distance of the samples that are computed from spans, 1 to 60 [default: 15]
    #[arg(long, env = "TYTO_SPAN_METRICS_INTERVAL_SECONDS", value_name = "SECONDS")]
    pub(crate) span_metrics_interval_seconds: Option<u64>,

    /// How long one side of a call waits for the spans of the other, 1 to 600 [default: 10]
    #[arg(long, env = "TYTO_SERVICE_GRAPH_WAIT_SECONDS", value_name = "SECONDS")]
    pub(crate) service_graph_wait_seconds: Option<u64>,

    /// Sides of calls that wait at one time [default: 50000]
    #[arg(long, env = "TYTO_SERVICE_GRAPH_EDGES_WAITING_MAX", value_name = "COUNT")]
    pub(crate) service_graph_edges_waiting_max: Option<usize>,

    /// Label sets of span metrics, and as many of the service graph; what is beyond counts as `__cardinality_overflow__` [default: 10000]
    #[arg(long, env = "TYTO_SPAN_METRICS_SERIES_MAX", value_name = "COUNT")]
    pub(crate) span_metrics_series_max: Option<usize>,

    /// Tell spans apart by the messages of their status in span metrics, too
    #[arg(long, env = "TYTO_SPAN_METRICS_STATUS_MESSAGE", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) span_metrics_status_message: Option<bool>,

    /// Attributes of spans and resources that are labels of the service graph, too
    #[arg(long = "service-graph-dimension", env = "TYTO_SERVICE_GRAPH_DIMENSIONS", value_name = "ATTRIBUTE", value_delimiter = ',')]
    #[serde(rename = "service_graph_dimensions")]
    pub(crate) service_graph_dimensions: Vec<String>,

    /// A query is ended after this long, at most a day [default: 120]
    #[arg(long, env = "TYTO_QUERY_TIMEOUT_SECONDS", value_name = "SECONDS")]
    pub(crate) query_timeout_seconds: Option<u64>,

    /// Memory of one query [default: 1073741824]
    #[arg(long, env = "TYTO_QUERY_MEMORY_BYTES_MAX", value_name = "BYTES")]
    pub(crate) query_memory_bytes_max: Option<usize>,

    /// Samples that a PromQL query holds at once [default: 50000000]
    #[arg(long, env = "TYTO_QUERY_SAMPLES_MAX", value_name = "COUNT")]
    pub(crate) query_samples_max: Option<usize>,

    /// Live tails of logs at one time; further ones are refused [default: 32]
    #[arg(long, env = "TYTO_TAILS_MAX", value_name = "COUNT")]
    pub(crate) tails_max: Option<u32>,

    /// A live tail is ended after this long, and its client begins anew [default: 3600]
    #[arg(long, env = "TYTO_TAIL_DURATION_MAX_SECONDS", value_name = "SECONDS")]
    pub(crate) tail_duration_max_seconds: Option<u64>,

    /// What is on of that which Prometheus calls experimental in PromQL: `all`, `none`, or its names for features, with commas
    /// between [default: all but use-start-timestamps]
    #[arg(long, env = "TYTO_PROMQL_FEATURES", value_name = "LIST")]
    pub(crate) promql_features: Option<String>,
}

/// What must not be told by whoever tells the options.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("...")
    }
}

/// Where the write-ahead log lies.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wal {
    #[default]
    Disk,
    Object,
}

/// Where a shard is kept, as far as it is not the data directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct StorageSettings {
    pub(crate) lake: Option<String>,
    /// Of each table in ascending order of age.
    pub(crate) tiers: Vec<TierSettings>,
    pub(crate) lake_endpoint: Option<String>,
    pub(crate) lake_region: Option<String>,
    pub(crate) wal: Wal,
    pub(crate) cache_memory_bytes_max: Option<u64>,
    pub(crate) cache_disk_bytes_max: Option<u64>,
    pub(crate) recent_samples_bytes_max: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TierSettings {
    pub(crate) table: Table,
    pub(crate) age: Duration,
    /// A directory, or `s3://bucket/prefix`.
    pub(crate) place: String,
}

impl StorageSettings {
    /// How the shard of this name is kept under a data directory. Must be called in a Tokio runtime.
    pub(crate) fn shard(&self, name: &str, data_dir: &Path) -> Result<ShardOptions> {
        let folder = format!("shards/{name}");
        let mut options = ShardOptions::new(name, data_dir.join(&folder));
        options.cache_memory_bytes_max = self.cache_memory_bytes_max.unwrap_or(options.cache_memory_bytes_max);
        options.cache_disk_bytes_max = self.cache_disk_bytes_max.unwrap_or(options.cache_disk_bytes_max);
        options.recent_samples_bytes_max = self.recent_samples_bytes_max.unwrap_or(options.recent_samples_bytes_max);
        let (endpoint, region) = (self.lake_endpoint.clone(), self.lake_region.clone());
        options.remotes = RemoteOptions { endpoint, region, ..RemoteOptions::default() };
        if let Some(url) = &self.lake {
            options.lake = LakePlace::Remote(Remote::connect(url, &options.remotes)?.within(&folder));
        }
        for TierSettings { table, age, place } in self.tiers.clone() {
            let place = match place.contains("://") {
                true => TierPlace::Remote(Remote::connect(&place, &options.remotes)?),
                false => TierPlace::Dir(place.into()),
            };
            options.tiers.push(Tier { table, age, place });
        }
        if self.wal == Wal::Object {
            options.wal = WalPlace::Object;
            options.wal_group_interval = OBJECT_GROUP_INTERVAL;
        }
        Ok(options)
    }
}

/// The options with every default filled in and every address resolved.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    pub(crate) storage: StorageSettings,
    pub(crate) http: SocketAddr,
    pub(crate) otlp_grpc: SocketAddr,
    pub(crate) otlp_http: SocketAddr,
    pub(crate) elasticsearch: Option<SocketAddr>,
    pub(crate) zipkin: Option<SocketAddr>,
    pub(crate) jaeger_http: Option<SocketAddr>,
    pub(crate) jaeger_grpc: Option<SocketAddr>,
    pub(crate) wire: WireSettings,
    pub(crate) host_names: Vec<String>,
    pub(crate) registry: registry::Options,
    pub(crate) pseudonym_key: Option<PseudonymKey>,
    pub(crate) scrape_config: Option<PathBuf>,
    pub(crate) cloudwatch_config: Option<PathBuf>,
    pub(crate) cloudwatch_interval: Duration,
    pub(crate) notify_config: Option<PathBuf>,
    pub(crate) self_telemetry: bool,
    /// Where the catalogue does not say.
    pub(crate) retention: Retention,
    pub(crate) receive: model::ReceiveLimits,
    pub(crate) cardinality: pipeline::CardinalityLimits,
    /// None: nothing is computed from spans.
    pub(crate) spans: Option<SpanOptions>,
    pub(crate) query: model::QueryLimits,
    pub(crate) tails_max: u32,
    pub(crate) tail_duration_max: Duration,
    pub(crate) promql_features: Features,
}

impl ServeOptions {
    pub(crate) fn resolve(self) -> Result<Settings> {
        let file = match &self.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        let spans = spans(&self, &file)?;
        let mut receive = model::ReceiveLimits::default();
        receive.age_max = self.record_age_max_seconds.or(file.record_age_max_seconds).map(Duration::from_secs);
        receive.body_bytes_max = self.request_body_bytes_max.or(file.request_body_bytes_max).unwrap_or(receive.body_bytes_max);
        receive.inflight_bytes_max =
            self.requests_inflight_bytes_max.or(file.requests_inflight_bytes_max).unwrap_or(receive.inflight_bytes_max);
        let mut cardinality = pipeline::CardinalityLimits::default();
        cardinality.label_values_max = self.label_values_max.or(file.label_values_max).unwrap_or(cardinality.label_values_max);
        let mut query = model::QueryLimits::default();
        if let Some(seconds) = self.query_timeout_seconds.or(file.query_timeout_seconds) {
            query.timeout = query_timeout(seconds)?;
        }
        query.memory_bytes_max = self.query_memory_bytes_max.or(file.query_memory_bytes_max).unwrap_or(query.memory_bytes_max);
        query.samples_max = self.query_samples_max.or(file.query_samples_max).unwrap_or(query.samples_max);

        let promql_features = match self.promql_features.or(file.promql_features) {
            Some(list) => promql_features(&list)?,
            None => Features::default(),
        };

        let mut retention = Retention::default();
        for (table, given, of_file) in [
            (Table::Logs, self.retention_logs, file.retention_logs),
            (Table::Spans, self.retention_spans, file.retention_spans),
            (Table::Samples, self.retention_samples, file.retention_samples),
            (Table::Quarantine, self.retention_quarantine, file.retention_quarantine),
        ] {
            if let Some(text) = given.or(of_file) {
                let wrong = |why: String| Error::invalid(format!("cannot use retention_{}={text:?}", table.name())).because(why);
                retention.keep(table, [""; 3], model::parse_keep(&text).map_err(wrong)?);
            }
        }

        let data_dir = self.data_dir.or(file.data_dir).unwrap_or_else(|| "tyto-data".into());
        let settings = Settings {
            data_dir: data_dir.clone(),
            storage: StorageSettings {
                lake: self.lake.or(file.lake),
                tiers: tiers(if self.tiers.is_empty() { &file.tiers } else { &self.tiers })?,
                lake_endpoint: self.lake_endpoint.or(file.lake_endpoint),
                lake_region: self.lake_region.or(file.lake_region),
                wal: self.wal.or(file.wal).unwrap_or_default(),
                cache_memory_bytes_max: self.cache_memory_bytes_max.or(file.cache_memory_bytes_max),
                cache_disk_bytes_max: self.cache_disk_bytes_max.or(file.cache_disk_bytes_max),
                recent_samples_bytes_max: self.recent_samples_bytes_max.or(file.recent_samples_bytes_max),
            },
            http: address("http", self.http.or(file.http), "127.0.0.1:7070")?,
            otlp_grpc: address("otlp_grpc", self.otlp_grpc.or(file.otlp_grpc), "127.0.0.1:4317")?,
            otlp_http: address("otlp_http", self.otlp_http.or(file.otlp_http), "127.0.0.1:4318")?,
            elasticsearch: optional_address("elasticsearch", self.elasticsearch.or(file.elasticsearch), "127.0.0.1:9200")?,
            zipkin: optional_address("zipkin", self.zipkin.or(file.zipkin), "127.0.0.1:9411")?,
            jaeger_http: optional_address("jaeger_http", self.jaeger_http.or(file.jaeger_http), "127.0.0.1:14268")?,
            jaeger_grpc: optional_address("jaeger_grpc", self.jaeger_grpc.or(file.jaeger_grpc), "127.0.0.1:14250")?,
            wire: WireSettings {
                syslog_udp: optional_address("syslog_udp", self.syslog_udp.or(file.syslog_udp), "127.0.0.1:514")?,
                syslog_tcp: optional_address("syslog_tcp", self.syslog_tcp.or(file.syslog_tcp), "127.0.0.1:514")?,
                syslog_tls: optional_address("syslog_tls", self.syslog_tls.or(file.syslog_tls), "127.0.0.1:6514")?,
                fluent: optional_address("fluent", self.fluent.or(file.fluent), "127.0.0.1:24224")?,
                fluent_tls: optional_address("fluent_tls", self.fluent_tls.or(file.fluent_tls), "127.0.0.1:24224")?,
                fluent_security: fluent_security(
                    self.fluent_shared_key.or(file.fluent_shared_key),
                    if self.fluent_users.is_empty() { file.fluent_users } else { self.fluent_users },
                )?,
                tls: tls(self.tls_cert.or(file.tls_cert), self.tls_key.or(file.tls_key), self.tls_client_ca.or(file.tls_client_ca))?,
            },
            host_names: if self.host_names.is_empty() { file.host_names } else { self.host_names },
            registry: registry::Options {
                local: if self.catalog.is_empty() { file.catalog } else { self.catalog },
                git: repositories(if self.catalog_git.is_empty() { &file.catalog_git } else { &self.catalog_git })?,
                postgres: self.catalog_store.or(file.catalog_store).map(|Secret(url)| url),
                poll: catalog_poll(self.catalog_poll_interval_seconds.or(file.catalog_poll_interval_seconds))?,
                data_dir,
            },
            pseudonym_key: pseudonym_key(self.pseudonym_key.or(file.pseudonym_key))?,
            scrape_config: self.scrape_config.or(file.scrape_config),
            cloudwatch_config: self.cloudwatch_config.or(file.cloudwatch_config),
            notify_config: self.notify_config.or(file.notify_config),
            cloudwatch_interval: Duration::from_secs(
                self.cloudwatch_interval_seconds.or(file.cloudwatch_interval_seconds).unwrap_or(300).clamp(1, 86_400),
            ),
            self_telemetry: self.self_telemetry.or(file.self_telemetry).unwrap_or(false),
            retention,
            receive,
            cardinality,
            spans,
            query,
            tails_max: self.tails_max.or(file.tails_max).unwrap_or(32).min(TAILS_MAX),
            tail_duration_max: Duration::from_secs(
                self.tail_duration_max_seconds.or(file.tail_duration_max_seconds).unwrap_or(3600).clamp(1, TAIL_DURATION_SECONDS_MAX),
            ),
            promql_features,
        };
        let encrypted = [("syslog_tls", settings.wire.syslog_tls), ("fluent_tls", settings.wire.fluent_tls)];
        if let (None, Some((option, Some(address)))) = (&settings.wire.tls, encrypted.into_iter().find(|(_, address)| address.is_some())) {
            return Err(Error::invalid(format!("cannot listen at {option}={address}: say --tls-cert and --tls-key")));
        }
        if !self.insecure.or(file.insecure).unwrap_or(false) {
            settings.refuse_exposed_addresses()?;
        }
        Ok(settings)
    }

    fn read(path: &PathBuf) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::invalid(format!("cannot read configuration file {}", path.display())).because(error))?;
        toml::from_str(&text).map_err(|error| Error::invalid(format!("cannot use configuration file {}", path.display())).because(error))
    }
}

impl Settings {
    /// Ports of one HTTP or gRPC protocol each, which are there only when they are asked for.
    pub(crate) fn own_ports(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let ports = [
            ("elasticsearch", self.elasticsearch),
            ("zipkin", self.zipkin),
            ("jaeger_http", self.jaeger_http),
            ("jaeger_grpc", self.jaeger_grpc),
        ];
        ports.into_iter().filter_map(|(option, address)| Some((option, address?)))
    }

    fn refuse_exposed_addresses(&self) -> Result<()> {
        let always = [("http", self.http), ("otlp_grpc", self.otlp_grpc), ("otlp_http", self.otlp_http)];
        let open = self.wire.addresses().filter(|(.., asked)| !asked).map(|(option, address, _)| (option, address));
        for (option, address) in always.into_iter().chain(self.own_ports()).chain(open) {
            if !address.ip().is_loopback() {
                return Err(Error::invalid(format!(
                    "cannot listen at {option}={address}: others can reach it and no authentication is configured. \
                     Listen on a loopback address behind a proxy that authenticates, or say --insecure"
                )));
            }
        }
        Ok(())
    }
}

/// What is computed from spans: none where that is switched off.
fn spans(given: &ServeOptions, file: &ServeOptions) -> Result<Option<SpanOptions>> {
    let mut spans = SpanOptions::default();
    let seconds = |option: &str, given: Option<u64>, max: u64, default| match given {
        None => Ok(default),
        Some(seconds) if (1..=max).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        Some(seconds) => Err(Error::invalid(format!("cannot use {option} = {seconds}: it is 1 to {max}"))),
    };
    let interval = given.span_metrics_interval_seconds.or(file.span_metrics_interval_seconds);
    spans.emit_interval = seconds("span_metrics_interval_seconds", interval, 60, spans.emit_interval)?;
    let wait = given.service_graph_wait_seconds.or(file.service_graph_wait_seconds);
    spans.wait = seconds("service_graph_wait_seconds", wait, 600, spans.wait)?;
    let waiting = given.service_graph_edges_waiting_max.or(file.service_graph_edges_waiting_max);
    spans.edges_waiting_max = waiting.unwrap_or(spans.edges_waiting_max);
    spans.series_max = given.span_metrics_series_max.or(file.span_metrics_series_max).unwrap_or(spans.series_max);
    spans.status_message = given.span_metrics_status_message.or(file.span_metrics_status_message).unwrap_or(false);
    let of = if given.service_graph_dimensions.is_empty() { file } else { given };
    spans.dimensions.clone_from(&of.service_graph_dimensions);
    Ok(given.span_metrics.or(file.span_metrics).unwrap_or(true).then_some(spans))
}

fn repositories(texts: &[String]) -> Result<Vec<registry::Address>> {
    texts.iter().map(|text| registry::Address::parse(text)).collect()
}

fn catalog_poll(seconds: Option<u64>) -> Result<Duration> {
    match seconds.unwrap_or(30) {
        seconds @ 1..=3600 => Ok(Duration::from_secs(seconds)),
        seconds => Err(Error::invalid(format!("cannot use catalog_poll_interval_seconds = {seconds}: it is 1 to 3600"))),
    }
}

fn pseudonym_key(path: Option<PathBuf>) -> Result<Option<PseudonymKey>> {
    let Some(path) = path else { return Ok(None) };
    let cannot = || Error::invalid(format!("cannot use pseudonym_key={}", path.display()));
    let bytes = std::fs::read(&path).map_err(|error| cannot().because(error))?;
    Ok(Some(PseudonymKey::new(&bytes).map_err(|error| cannot().because(error))?))
}

fn promql_features(list: &str) -> Result<Features> {
    Features::named(list).map_err(|unknown| {
        let all = Features::ALL;
        Error::invalid(format!("cannot use promql_features={list:?}: {unknown:?} is no feature; write all, none, or of {all}"))
    })
}

/// Of `[TABLE:]AGE=PLACE` each; what names no table is for all of them.
fn tiers(texts: &[String]) -> Result<Vec<TierSettings>> {
    let mut tiers: Vec<TierSettings> = Vec::new();
    for text in texts {
        let cannot = |why: String| Error::invalid(format!("cannot use tier={text:?}")).because(why);
        let form = || cannot("write [TABLE:]AGE=PLACE, for example 30d=s3://bucket/cold or logs:7d=/mnt/cold".to_owned());
        let (when, place) = text.split_once('=').filter(|(_, place)| !place.is_empty()).ok_or_else(form)?;
        let (only, age) = when.split_once(':').map_or((None, when), |(table, age)| (Some(table), age));
        if only.is_some_and(|only| Table::ALL.iter().all(|table| table.name() != only)) {
            return Err(cannot(format!("there is no table {:?}: write logs, spans, samples or quarantine", only.unwrap_or_default())));
        }
        if place.contains("://") && !place.starts_with("s3://") {
            return Err(cannot("a place is a directory or s3://bucket/prefix".to_owned()));
        }
        let age = model::parse_keep(age)
            .map_err(|_| cannot(format!("{age:?} is no age: write a whole number of h, d, w or y, from 1h to 10y")))?;
        let place = place.trim_end_matches('/').to_owned();
        for table in Table::ALL.into_iter().filter(|table| only.is_none_or(|only| only == table.name())) {
            let others = || tiers.iter().filter(|tier| tier.table == table);
            if others().any(|tier| tier.age >= age) {
                return Err(cannot(format!(
                    "{} have a tier of that age or an older one before it: write the youngest first",
                    table.name()
                )));
            }
            if others().any(|tier| tier.place == place) {
                return Err(cannot(format!("{} have a tier at that place already", table.name())));
            }
            tiers.push(TierSettings { table, age, place: place.clone() });
        }
    }
    Ok(tiers)
}

fn query_timeout(seconds: u64) -> Result<Duration> {
    match seconds {
        1..=QUERY_TIMEOUT_SECONDS_MAX => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::invalid(format!("cannot use query_timeout_seconds={seconds}: write 1 to {QUERY_TIMEOUT_SECONDS_MAX}, a day"))),
    }
}

fn address(option: &str, given: Option<String>, default: &str) -> Result<SocketAddr> {
    let text = given.as_deref().unwrap_or(default);
    let not_an_address = || Error::invalid(format!("cannot use {option}={text:?}: write HOST:PORT, for example {default}"));
    text.to_socket_addrs().map_err(|error| not_an_address().because(error))?.next().ok_or_else(not_an_address)
}

fn optional_address(option: &str, given: Option<String>, example: &str) -> Result<Option<SocketAddr>> {
    given.map(|given| address(option, Some(given), example)).transpose()
}

fn fluent_security(key: Option<Secret>, users: Vec<Secret>) -> Result<Option<Arc<FluentSecurity>>> {
    let Some(Secret(shared_key)) = key.filter(|Secret(key)| !key.is_empty()) else {
        let nobody = users.is_empty().then_some(None);
        return nobody.ok_or_else(|| Error::invalid("cannot use fluent_users without fluent_shared_key: clients prove both at once"));
    };
    let pair = |Secret(user): Secret| user.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()));
    let users: Option<Vec<_>> = users.into_iter().map(pair).collect();
    let users = users.ok_or_else(|| Error::invalid("cannot use fluent_users: write NAME:PASSWORD for each"))?;
    Ok(Some(Arc::new(FluentSecurity { shared_key, users })))
}

fn tls(certificate: Option<PathBuf>, key: Option<PathBuf>, client_authorities: Option<PathBuf>) -> Result<Option<TlsFiles>> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key, client_authorities })),
        (None, None) if client_authorities.is_none() => Ok(None),
        _ => Err(Error::invalid("cannot use a part of tls_cert, tls_key and tls_client_ca: a certificate needs its key, and the reverse")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> ServeOptions {
        toml::from_str(text).expect("valid TOML")
    }

    #[test]
    fn defaults_are_local() {
        let settings = ServeOptions::default().resolve().expect("defaults stand");
        assert_eq!(settings.http.to_string(), "127.0.0.1:7070");
        assert_eq!(settings.data_dir, PathBuf::from("tyto-data"));
    }

    #[test]
    fn an_exposed_address_needs_insecure() {
        let refused = options(r#"http = "0.0.0.0:7070""#).resolve().expect_err("exposed");
        assert!(refused.what.contains("http=0.0.0.0:7070") && refused.what.contains("--insecure"), "{refused}");
        let refused = options(r#"elasticsearch = "0.0.0.0:9200""#).resolve().expect_err("exposed");
        assert!(refused.what.contains("elasticsearch=0.0.0.0:9200"), "{refused}");
        options("http = \"0.0.0.0:7070\"\ninsecure = true").resolve().expect("said so");
        let refused = options(r#"syslog_udp = "0.0.0.0:514""#).resolve().expect_err("exposed");
        assert!(refused.what.contains("syslog_udp=0.0.0.0:514"), "{refused}");
    }

    #[test]
    fn an_encrypted_port_needs_its_files_and_may_be_exposed_to_known_clients() {
        let refused = options(r#"syslog_tls = "127.0.0.1:6514""#).resolve().expect_err("no certificate");
        assert!(refused.what.contains("--tls-cert"), "{refused}");
        let refused = options(r#"tls_cert = "a.pem""#).resolve().expect_err("no key");
        assert!(refused.what.contains("tls_key"), "{refused}");
        let exposed = "syslog_tls = \"0.0.0.0:6514\"\ntls_cert = \"a.pem\"\ntls_key = \"b.pem\"";
        let refused = options(exposed).resolve().expect_err("anybody may come");
        assert!(refused.what.contains("syslog_tls=0.0.0.0:6514"), "{refused}");
        options(&format!("{exposed}\ntls_client_ca = \"c.pem\"")).resolve().expect("they are asked for their certificates");
    }

    #[test]
    fn a_shared_key_guards_an_exposed_port_and_is_not_told() {
        let exposed = "fluent = \"0.0.0.0:24224\"";
        assert!(options(exposed).resolve().expect_err("anybody may come").what.contains("fluent=0.0.0.0:24224"));
        let keyed = options(&format!("{exposed}\nfluent_shared_key = \"hush\"\nfluent_users = [\"ann:pass\"]"));
        assert!(!format!("{keyed:?}").contains("hush") && !format!("{keyed:?}").contains("pass"));
        let settings = keyed.resolve().expect("they are asked for the key");
        assert!(!format!("{settings:?}").contains("hush"));
        assert_eq!(settings.wire.fluent_security.expect("a key").users, [("ann".to_owned(), "pass".to_owned())]);
        for (given, why) in
            [("fluent_users = [\"ann:pass\"]", "without"), ("fluent_shared_key = \"k\"\nfluent_users = [\"ann\"]", "NAME:PASSWORD")]
        {
            assert!(options(given).resolve().expect_err(given).what.contains(why), "{given}");
        }
    }

    #[test]
    fn a_flag_wins_over_the_file_and_unknown_keys_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tyto.toml");
        std::fs::write(&path, "http = \"127.0.0.1:1\"\notlp_http = \"127.0.0.1:2\"").expect("written");
        let flags = ServeOptions { config: Some(path.clone()), http: Some("127.0.0.1:3".into()), ..ServeOptions::default() };
        let settings = flags.clone().resolve().expect("both stand");
        assert_eq!((settings.http.port(), settings.otlp_http.port()), (3, 2));

        std::fs::write(&path, "htpp = 1").expect("written");
        let refused = flags.resolve().expect_err("unknown key");
        assert!(refused.chain().contains("htpp"), "{}", refused.chain());
    }

    #[tokio::test]
    async fn a_lake_elsewhere_needs_no_more_than_its_url() {
        let settings =
            options("lake = \"s3://bucket/tyto\"\nlake_endpoint = \"http://127.0.0.1:1\"\nwal = \"object\"").resolve().expect("stands");
        let shard = settings.storage.shard("default", &settings.data_dir).expect("a place");
        let LakePlace::Remote(remote) = shard.lake else { panic!("the lake is local") };
        assert_eq!((remote.url(), shard.wal), ("s3://bucket/tyto/shards/default", WalPlace::Object));
        assert!(shard.wal_group_interval >= Duration::from_millis(100));
        let nowhere = options("lake = \"bucket\"").resolve().expect("stands").storage.shard("default", Path::new("data"));
        assert!(nowhere.expect_err("no URL").what.contains("\"bucket\""));
        assert!(toml::from_str::<ServeOptions>("wal = \"tape\"").is_err());
    }

    #[tokio::test]
    async fn a_tier_is_for_all_tables_or_for_one_and_the_youngest_comes_first() {
        let text = r#"tiers = ["logs:7d=/mnt/cold/", "30d=s3://bucket/cold"]"#;
        let settings = options(text).resolve().expect("stands");
        let shard = settings.storage.shard("default", &settings.data_dir).expect("places");
        let said: Vec<_> = shard.tiers.iter().map(|tier| (tier.table, tier.age.as_secs() / 86_400, format!("{:?}", tier.place))).collect();
        let cold = |table| (table, 30, "Remote(Remote(s3://bucket/cold))".to_owned());
        let first = (Table::Logs, 7, "Dir(\"/mnt/cold\")".to_owned());
        assert_eq!(said, [first, cold(Table::Logs), cold(Table::Spans), cold(Table::Samples), cold(Table::Quarantine)]);
        for (given, why) in [
            (r#"["30d"]"#, "write [TABLE:]AGE=PLACE"),
            (r#"["30d="]"#, "write [TABLE:]AGE=PLACE"),
            (r#"["a month=/mnt/cold"]"#, "\"a month\" is no age"),
            (r#"["traces:30d=/mnt/cold"]"#, "there is no table \"traces\": write logs, spans, samples or quarantine"),
            (r#"["30d=gs://bucket"]"#, "a directory or s3://bucket/prefix"),
            (r#"["30d=/a", "logs:7d=/b"]"#, "logs have a tier of that age or an older one before it"),
            (r#"["30d=/a", "60d=/a/"]"#, "have a tier at that place already"),
        ] {
            let refused = options(&format!("tiers = {given}")).resolve().expect_err(given);
            assert!(refused.what.starts_with("cannot use tier=") && refused.chain().contains(why), "{}", refused.chain());
        }
    }

    #[test]
    fn a_query_ends_within_a_day() {
        for seconds in [0, 86_401, u64::MAX] {
            let options = ServeOptions { query_timeout_seconds: Some(seconds), ..ServeOptions::default() };
            let refused = options.resolve().expect_err("out of bounds");
            assert!(refused.what.contains("query_timeout_seconds") && refused.what.contains("86400"), "{refused}");
        }
    }

    #[test]
    fn a_time_to_keep_names_its_option() {
        let settings = options("retention_logs = \"30d\"").resolve().expect("a time");
        assert_eq!(settings.retention.of(Table::Logs, ["a", "", ""]), Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(settings.retention.of(Table::Spans, ["a", "", ""]), None);
        let refused = options("retention_spans = \"a week\"").resolve().expect_err("no time");
        assert!(refused.chain().contains("retention_spans=\"a week\"") && refused.chain().contains("30d"), "{}", refused.chain());
    }

    #[test]
    fn features_are_named_as_prometheus_names_them() {
        let settings = options("promql_features = \"promql-duration-expr\"").resolve().expect("a feature");
        assert_eq!(settings.promql_features.to_string(), "promql-duration-expr");
        assert_eq!(options("").resolve().expect("defaults").promql_features, Features::default());
        let refused = options("promql_features = \"promql-duration-expr,native-histograms\"").resolve().expect_err("no such feature");
        assert!(
            refused.what.contains("\"native-histograms\" is no feature") && refused.what.contains("promql-binop-fill-modifiers"),
            "{refused}"
        );
    }

    #[test]
    fn an_address_without_a_port_names_the_option() {
        let refused = options(r#"otlp_grpc = "localhost""#).resolve().expect_err("no port");
        assert!(refused.what.contains("otlp_grpc=\"localhost\""), "{refused}");
    }
}
