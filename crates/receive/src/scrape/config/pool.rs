//! `global` and one entry of `scrape_configs`.

use std::time::Duration;

use catalog::yaml::{Node, Value};

use super::discovery::{BUILT, Discovery, NOT_BUILT};
use super::fields::{Fields, Reader};
use super::http::{self, HttpOptions};
use crate::scrape::exposition::{Format, Histograms};
use crate::scrape::reading::{Manner, SampleLimits};
use crate::scrape::relabel::{NameScheme, Rule};

/// What holds for a scrape configuration that does not say otherwise.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    interval: Duration,
    /// None: the smaller of [`TIMEOUT`] and the interval.
    timeout: Option<Duration>,
    protocols: Option<Vec<Protocol>>,
    histograms: Histograms,
    extra_metrics: bool,
    body_bytes_max: u64,
    targets_max: u64,
    dropped_targets_max: u64,
    limits: SampleLimits,
    names: NameScheme,
    escaping: Option<String>,
}

const INTERVAL: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(10);

impl Default for Defaults {
    fn default() -> Self {
        Self {
            interval: INTERVAL,
            timeout: None,
            protocols: None,
            histograms: Histograms::default(),
            extra_metrics: false,
            body_bytes_max: 0,
            targets_max: 0,
            dropped_targets_max: 0,
            limits: SampleLimits::default(),
            names: NameScheme::Utf8,
            escaping: None,
        }
    }
}

/// A form of exposition that a target may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    PrometheusProto,
    PrometheusText004,
    PrometheusText100,
    OpenMetrics001,
    OpenMetrics100,
}

impl Protocol {
    const ALL: [(&'static str, Self); 5] = [
        ("PrometheusProto", Self::PrometheusProto),
        ("PrometheusText0.0.4", Self::PrometheusText004),
        ("PrometheusText1.0.0", Self::PrometheusText100),
        ("OpenMetricsText0.0.1", Self::OpenMetrics001),
        ("OpenMetricsText1.0.0", Self::OpenMetrics100),
    ];
    const TEXTS_FIRST: [Self; 4] = [Self::OpenMetrics100, Self::OpenMetrics001, Self::PrometheusText100, Self::PrometheusText004];
    const PROTO_FIRST: [Self; 5] =
        [Self::PrometheusProto, Self::OpenMetrics100, Self::OpenMetrics001, Self::PrometheusText100, Self::PrometheusText004];

    fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, protocol)| protocol)
    }

    fn names() -> String {
        Self::ALL.map(|(name, _)| name).join(", ")
    }

    pub(crate) fn format(self) -> Format {
        match self {
            Self::PrometheusProto => Format::PrometheusProto,
            Self::PrometheusText004 | Self::PrometheusText100 => Format::PrometheusText,
            Self::OpenMetrics001 | Self::OpenMetrics100 => Format::OpenMetricsText,
        }
    }
}

/// One scrape configuration with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PoolConfig {
    pub(crate) job_name: String,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) metrics_path: String,
    pub(crate) scheme: String,
    pub(crate) params: Vec<(String, Vec<String>)>,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) fallback: Option<Protocol>,
    /// How names are asked to be written that older readers do not know: `allow-utf-8`, `underscores`, `dots`, `values`.
    pub(crate) escaping: String,
    pub(crate) enable_compression: bool,
    /// Unpacked; 0 is no limit of its own.
    pub(crate) body_bytes_max: u64,
    /// 0 is no limit.
    pub(crate) targets_max: u64,
    /// Dropped targets that are shown; 0 is no limit of its own.
    pub(crate) dropped_targets_max: u64,
    pub(crate) extra_metrics: bool,
    pub(crate) manner: Manner,
    pub(crate) relabel: Vec<Rule>,
    pub(crate) http: HttpOptions,
    pub(crate) discoveries: Vec<Discovery>,
}

const GLOBAL_KEYS: [&str; 22] = [
    "scrape_interval",
    "scrape_timeout",
    "scrape_protocols",
    "evaluation_interval",
    "rule_query_offset",
    "query_log_file",
    "scrape_failure_log_file",
    "external_labels",
    "body_size_limit",
    "sample_limit",
    "target_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "keep_dropped_targets",
    "metric_name_validation_scheme",
    "metric_name_escaping_scheme",
    "scrape_native_histograms",
    "convert_classic_histograms_to_nhcb",
    "always_scrape_classic_histograms",
    "extra_scrape_metrics",
    // Prometheus 2 had it.
    "scrape_classic_histograms",
];

const POOL_KEYS: [&str; 33] = [
    "job_name",
    "honor_labels",
    "honor_timestamps",
    "track_timestamps_staleness",
    "params",
    "scrape_interval",
    "scrape_timeout",
    "scrape_protocols",
    "fallback_scrape_protocol",
    "scrape_native_histograms",
    "always_scrape_classic_histograms",
    "scrape_classic_histograms",
    "convert_classic_histograms_to_nhcb",
    "scrape_failure_log_file",
    "metrics_path",
    "scheme",
    "enable_compression",
    "body_size_limit",
    "sample_limit",
    "target_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "native_histogram_bucket_limit",
    "native_histogram_min_bucket_factor",
    "keep_dropped_targets",
    "metric_name_validation_scheme",
    "metric_name_escaping_scheme",
    "extra_scrape_metrics",
    "relabel_configs",
    "metric_relabel_configs",
    "http_headers",
    "enable_http2",
];

const ESCAPINGS: [&str; 4] = ["allow-utf-8", "underscores", "dots", "values"];

impl Reader {
    pub(super) fn global(&mut self, node: &Node) -> Defaults {
        let mut defaults = Defaults::default();
        if matches!(node.value, Value::Null) {
            return defaults;
        }
        let Some(fields) = self.fields(node, "global", &GLOBAL_KEYS) else { return defaults };
        let not_used = ["evaluation_interval", "rule_query_offset", "query_log_file", "scrape_failure_log_file", "external_labels"];
        self.unused.extend(not_used.into_iter().filter(|name| fields.get(name).is_some()).map(|name| format!("global.{name}")));
        for (name, _) in self.pairs(&fields, "external_labels") {
            if name.is_empty() {
                self.problem(fields.place_of("external_labels"), "cannot use an external label without a name");
            }
        }
        defaults.interval = self.duration(&fields, "scrape_interval").unwrap_or(INTERVAL);
        defaults.timeout = self.duration(&fields, "scrape_timeout");
        if defaults.timeout.is_some_and(|timeout| timeout > defaults.interval) {
            self.problem(fields.place_of("scrape_timeout"), "cannot use a scrape_timeout over scrape_interval");
        }
        defaults.protocols = self.protocols(&fields);
        self.common(&fields, &mut defaults);
        defaults
    }

    /// What may stand in `global` and in a scrape configuration alike.
    fn common(&mut self, fields: &Fields<'_>, defaults: &mut Defaults) {
        if self.flag(fields, "convert_classic_histograms_to_nhcb") == Some(true) {
            self.refuse(fields, "convert_classic_histograms_to_nhcb", "leave it out: classic histograms stay classic");
        }
        let histograms = &mut defaults.histograms;
        histograms.native = self.flag(fields, "scrape_native_histograms").unwrap_or(histograms.native);
        for name in ["scrape_classic_histograms", "always_scrape_classic_histograms"] {
            histograms.classic_too = self.flag(fields, name).unwrap_or(histograms.classic_too);
        }
        defaults.extra_metrics = self.flag(fields, "extra_scrape_metrics").unwrap_or(defaults.extra_metrics);
        defaults.body_bytes_max = self.size(fields, "body_size_limit").unwrap_or(defaults.body_bytes_max);
        for (name, limit) in [
            ("target_limit", &mut defaults.targets_max),
            ("keep_dropped_targets", &mut defaults.dropped_targets_max),
            ("sample_limit", &mut defaults.limits.samples_max),
            ("label_limit", &mut defaults.limits.labels_max),
            ("label_name_length_limit", &mut defaults.limits.label_name_bytes_max),
            ("label_value_length_limit", &mut defaults.limits.label_value_bytes_max),
        ] {
            *limit = self.limit(fields, name).unwrap_or(*limit);
        }
        let names = self.parsed(fields, "metric_name_validation_scheme", "utf8 or legacy", |text| match text {
            "utf8" => Some(NameScheme::Utf8),
            "legacy" => Some(NameScheme::Legacy),
            _ => None,
        });
        if let Some(names) = names {
            (defaults.names, defaults.escaping) = (names, None);
        }
        let known = |text: &str| ESCAPINGS.contains(&text).then(|| text.to_owned());
        if let Some(escaping) = self.parsed(fields, "metric_name_escaping_scheme", &ESCAPINGS.join(", "), known) {
            if escaping == ESCAPINGS[0] && defaults.names == NameScheme::Legacy {
                let place = fields.place_of("metric_name_escaping_scheme");
                self.problem(place, "cannot ask for names of any letters where metric_name_validation_scheme is legacy");
            }
            defaults.escaping = Some(escaping);
        }
    }

    fn protocols(&mut self, fields: &Fields<'_>) -> Option<Vec<Protocol>> {
        let place = fields.get("scrape_protocols")?.place;
        let mut protocols = Vec::new();
        for text in self.texts(fields, "scrape_protocols") {
            match Protocol::of(&text) {
                Some(protocol) if protocols.contains(&protocol) => self.problem(place, format!("cannot use scrape protocol {text} twice")),
                Some(protocol) => protocols.push(protocol),
                None => self.problem(place, format!("cannot use scrape protocol {text:?}: there are {}", Protocol::names())),
            }
        }
        if protocols.is_empty() {
            self.problem(place, format!("cannot use no scrape protocol: choose from {}", Protocol::names()));
        }
        Some(protocols)
    }

    pub(super) fn pool(&mut self, node: &Node, global: &Defaults) -> Option<PoolConfig> {
        if matches!(node.value, Value::Null) {
            self.problem(node.place, "cannot use an empty scrape configuration: write a job_name, or leave it out");
            return None;
        }
        let known: Vec<&'static str> =
            POOL_KEYS.into_iter().chain(http::scrape_keys().iter().copied()).chain(BUILT).chain(NOT_BUILT).collect();
        let fields = self.fields(node, "a scrape configuration", &known)?;
        let job_name = self.text(&fields, "job_name").unwrap_or_default();
        if job_name.is_empty() {
            self.problem(fields.place_of("job_name"), "cannot do without a job_name in a scrape configuration");
        }
        for name in ["native_histogram_bucket_limit", "native_histogram_min_bucket_factor"] {
            if self.text(&fields, name).is_some_and(|text| text.parse::<f64>().is_ok_and(|limit| limit > 0.0)) {
                self.refuse(&fields, name, "leave it out: histograms are kept as they are exposed");
            }
        }
        if fields.get("scrape_failure_log_file").is_some() {
            self.unused.push("scrape_failure_log_file".to_owned());
        }
        let mut own = global.clone();
        self.common(&fields, &mut own);
        let (interval, timeout) = self.times(&fields, global);
        let protocols = self.protocols(&fields).or(global.protocols.clone()).unwrap_or_else(|| match own.histograms.native {
            true => Protocol::PROTO_FIRST.to_vec(),
            false => Protocol::TEXTS_FIRST.to_vec(),
        });
        let escaping = own.escaping.clone().unwrap_or_else(|| ESCAPINGS[usize::from(own.names == NameScheme::Legacy)].to_owned());
        let manner = Manner {
            honor_labels: self.flag(&fields, "honor_labels").unwrap_or(false),
            honor_timestamps: self.flag(&fields, "honor_timestamps").unwrap_or(true),
            track_timestamps_staleness: self.flag(&fields, "track_timestamps_staleness").unwrap_or(false),
            metric_relabel: self.rules(&fields, "metric_relabel_configs", own.names),
            names: own.names,
            histograms: own.histograms,
            limits: own.limits,
        };
        let relabel = self.rules(&fields, "relabel_configs", own.names);
        let discoveries = self.discoveries(&fields);
        self.check_addresses(&fields, &discoveries, &relabel);
        Some(PoolConfig {
            job_name,
            interval,
            timeout,
            metrics_path: self.text(&fields, "metrics_path").unwrap_or_else(|| "/metrics".to_owned()),
            scheme: self.scheme(&fields),
            params: self.params(&fields),
            protocols,
            fallback: self.parsed(&fields, "fallback_scrape_protocol", &Protocol::names(), Protocol::of),
            escaping,
            enable_compression: self.flag(&fields, "enable_compression").unwrap_or(true),
            body_bytes_max: own.body_bytes_max,
            targets_max: own.targets_max,
            dropped_targets_max: own.dropped_targets_max,
            extra_metrics: own.extra_metrics,
            manner,
            relabel,
            http: self.http(&fields),
            discoveries,
        })
    }

    fn times(&mut self, fields: &Fields<'_>, global: &Defaults) -> (Duration, Duration) {
        let interval = self.duration(fields, "scrape_interval").unwrap_or(global.interval);
        let timeout = self.duration(fields, "scrape_timeout");
        if timeout.is_some_and(|timeout| timeout > interval) {
            self.problem(fields.place_of("scrape_timeout"), "cannot use a scrape_timeout over scrape_interval");
        }
        (interval, timeout.unwrap_or_else(|| global.timeout.unwrap_or(TIMEOUT).min(interval)))
    }

    fn scheme(&mut self, fields: &Fields<'_>) -> String {
        let scheme = |text: &str| matches!(text, "http" | "https").then(|| text.to_owned());
        self.parsed(fields, "scheme", "http or https", scheme).unwrap_or_else(|| "http".to_owned())
    }

    fn params(&mut self, fields: &Fields<'_>) -> Vec<(String, Vec<String>)> {
        let Some(node) = fields.get("params") else { return Vec::new() };
        match &node.value {
            Value::Null => Vec::new(),
            Value::Map(entries) => {
                let mut params = Vec::new();
                for (_, name, node) in entries {
                    let values = match &node.value {
                        Value::List(items) => items.iter().map(|item| self.text_of(item, name)).collect(),
                        _ => vec![self.text_of(node, name)],
                    };
                    params.push((name.clone(), values));
                }
                params
            }
            other => {
                self.problem(node.place, format!("cannot read \"params\" from {}: it is a map of lists", other.kind()));
                Vec::new()
            }
        }
    }

    /// Without relabelling an address is asked as it is written, so it must not be a URL.
    fn check_addresses(&mut self, fields: &Fields<'_>, discoveries: &[Discovery], relabel: &[Rule]) {
        if !relabel.is_empty() {
            return;
        }
        for discovery in discoveries {
            let Discovery::Static(groups) = discovery else { continue };
            for (_, address) in groups.iter().flat_map(|group| &group.targets).flatten().filter(|(_, address)| address.contains('/')) {
                let place = fields.place_of("static_configs");
                self.problem(place, format!("cannot scrape {address:?}: write host:port; scheme and metrics_path stand for themselves"));
            }
        }
    }
}
