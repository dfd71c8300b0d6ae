//! What the user may write ([`ServeOptions`]: flag over environment over file), and what it comes to ([`Settings`]).

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lang::promql::Features;
use model::{Error, Result, Retention, Table};
use serde::Deserialize;
use store::{LakePlace, Remote, RemoteOptions, ShardOptions, Tier, TierPlace, WalPlace};

/// A query that nobody waits for any longer than this is not worth its memory.
const QUERY_TIMEOUT_SECONDS_MAX: u64 = 86_400;

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

    /// A name that browsers reach Tyto by, beside IP addresses and `localhost`: that of the proxy before it
    #[arg(long = "host-name", env = "TYTO_HOST_NAME", value_name = "NAME", value_delimiter = ',')]
    #[serde(rename = "host_name")]
    pub(crate) host_names: Vec<String>,

    /// Catalogue of business services, services and components: `omd.yaml` files or folders of them
    #[arg(long, env = "TYTO_CATALOG", value_name = "PATH", value_delimiter = ',')]
    pub(crate) catalog: Vec<PathBuf>,

    /// Scrape what this Prometheus configuration file says; its other sections are not used
    #[arg(long, env = "TYTO_SCRAPE_CONFIG", value_name = "FILE")]
    pub(crate) scrape_config: Option<PathBuf>,

    /// Ask CloudWatch for what this configuration file of YACE (yet-another-cloudwatch-exporter) says
    #[arg(long, env = "TYTO_CLOUDWATCH_CONFIG", value_name = "FILE")]
    pub(crate) cloudwatch_config: Option<PathBuf>,

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

    /// Largest request body, as it comes over the wire [default: 67108864]
    #[arg(long, env = "TYTO_REQUEST_BODY_BYTES_MAX", value_name = "BYTES")]
    pub(crate) request_body_bytes_max: Option<usize>,

    /// Memory of all requests being taken in at one time; further ones are told to come back [default: 536870912]
    #[arg(long, env = "TYTO_REQUESTS_INFLIGHT_BYTES_MAX", value_name = "BYTES")]
    pub(crate) requests_inflight_bytes_max: Option<usize>,

    /// New values of one label, of one owner's series, in an hour; the value of further ones is `__cardinality_overflow__` [default: 100000]
    #[arg(long, env = "TYTO_LABEL_VALUES_MAX", value_name = "COUNT")]
    pub(crate) label_values_max: Option<usize>,

    /// A query is ended after this long, at most a day [default: 120]
    #[arg(long, env = "TYTO_QUERY_TIMEOUT_SECONDS", value_name = "SECONDS")]
    pub(crate) query_timeout_seconds: Option<u64>,

    /// Memory of one query [default: 1073741824]
    #[arg(long, env = "TYTO_QUERY_MEMORY_BYTES_MAX", value_name = "BYTES")]
    pub(crate) query_memory_bytes_max: Option<usize>,

    /// Samples that a PromQL query holds at once [default: 50000000]
    #[arg(long, env = "TYTO_QUERY_SAMPLES_MAX", value_name = "COUNT")]
    pub(crate) query_samples_max: Option<usize>,

    /// What is on of that which Prometheus calls experimental in PromQL: `all`, `none`, or its names for features, with commas
    /// between [default: all but use-start-timestamps]
    #[arg(long, env = "TYTO_PROMQL_FEATURES", value_name = "LIST")]
    pub(crate) promql_features: Option<String>,
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
    pub(crate) host_names: Vec<String>,
    pub(crate) catalog: Vec<PathBuf>,
    pub(crate) scrape_config: Option<PathBuf>,
    pub(crate) cloudwatch_config: Option<PathBuf>,
    pub(crate) cloudwatch_interval: Duration,
    pub(crate) self_telemetry: bool,
    /// Where the catalogue does not say.
    pub(crate) retention: Retention,
    pub(crate) receive: model::ReceiveLimits,
    pub(crate) cardinality: pipeline::CardinalityLimits,
    pub(crate) query: model::QueryLimits,
    pub(crate) promql_features: Features,
}

impl ServeOptions {
    pub(crate) fn resolve(self) -> Result<Settings> {
        let file = match &self.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
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
        ] {
            if let Some(text) = given.or(of_file) {
                let wrong = |why: String| Error::invalid(format!("cannot use retention_{}={text:?}", table.name())).because(why);
                retention.keep(table, [""; 3], model::parse_keep(&text).map_err(wrong)?);
            }
        }

        let settings = Settings {
            data_dir: self.data_dir.or(file.data_dir).unwrap_or_else(|| "tyto-data".into()),
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
            elasticsearch: match self.elasticsearch.or(file.elasticsearch) {
                Some(given) => Some(address("elasticsearch", Some(given), "127.0.0.1:9200")?),
                None => None,
            },
            host_names: if self.host_names.is_empty() { file.host_names } else { self.host_names },
            catalog: if self.catalog.is_empty() { file.catalog } else { self.catalog },
            scrape_config: self.scrape_config.or(file.scrape_config),
            cloudwatch_config: self.cloudwatch_config.or(file.cloudwatch_config),
            cloudwatch_interval: Duration::from_secs(
                self.cloudwatch_interval_seconds.or(file.cloudwatch_interval_seconds).unwrap_or(300).clamp(1, 86_400),
            ),
            self_telemetry: self.self_telemetry.or(file.self_telemetry).unwrap_or(false),
            retention,
            receive,
            cardinality,
            query,
            promql_features,
        };
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
    fn refuse_exposed_addresses(&self) -> Result<()> {
        let always = [("http", self.http), ("otlp_grpc", self.otlp_grpc), ("otlp_http", self.otlp_http)];
        for (option, address) in always.into_iter().chain(self.elasticsearch.map(|address| ("elasticsearch", address))) {
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
            return Err(cannot(format!("there is no table {:?}: write logs, spans or samples", only.unwrap_or_default())));
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
        assert_eq!(said, [first, cold(Table::Logs), cold(Table::Spans), cold(Table::Samples)]);
        for (given, why) in [
            (r#"["30d"]"#, "write [TABLE:]AGE=PLACE"),
            (r#"["30d="]"#, "write [TABLE:]AGE=PLACE"),
            (r#"["a month=/mnt/cold"]"#, "\"a month\" is no age"),
            (r#"["traces:30d=/mnt/cold"]"#, "there is no table \"traces\": write logs, spans or samples"),
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
