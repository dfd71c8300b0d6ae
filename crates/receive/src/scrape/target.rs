//! From discovered labels to a target: what it is called, where it is fetched, how often.

use std::time::Duration;

use model::{Error, Labels, Result};
use url::Url;

use super::config::{PoolConfig, duration, duration_text};
use super::relabel::{LabelSet, relabel};

/// A target as its pool's configuration makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Before relabelling.
    pub(super) discovered: Labels,
    /// Those of its series.
    pub(super) labels: Labels,
    pub(super) url: String,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

/// What makes two targets one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TargetKey {
    pub(super) labels: Labels,
    pub(super) url: String,
    interval: Duration,
    timeout: Duration,
}

pub(super) enum Made {
    Target(Box<Target>),
    /// By relabelling; with the labels it had before.
    Dropped(Labels),
}

impl Target {
    pub(super) fn key(&self) -> TargetKey {
        TargetKey { labels: self.labels.clone(), url: self.url.clone(), interval: self.interval, timeout: self.timeout }
    }
}

/// `own` are the labels of the target, `group` those of its group: the former count where both have one.
pub(super) fn make(config: &PoolConfig, own: &[(String, String)], group: &[(String, String)]) -> Result<Made> {
    let mut labels = discovered(config, own, group);
    let before = labels.to_labels();
    if !relabel(&config.relabel, &mut labels) {
        return Ok(Made::Dropped(before));
    }
    let invalid = |why: String| Err(Error::invalid(format!("cannot scrape target {before}: {why}")));
    let address = labels.get("__address__").to_owned();
    if address.is_empty() {
        return invalid("it has no address".to_owned());
    }
    if address.contains('/') {
        return invalid(format!("{address:?} is no host:port"));
    }
    let time = |name: &str| duration(labels.get(name)).filter(|time| !time.is_zero());
    let (Some(interval), Some(timeout)) = (time("__scrape_interval__"), time("__scrape_timeout__")) else {
        return invalid("its __scrape_interval__ or __scrape_timeout__ is no duration over zero".to_owned());
    };
    if timeout > interval {
        return invalid(format!("its timeout of {} is over its interval of {}", duration_text(timeout), duration_text(interval)));
    }
    let Some(url) = url_of(config, &labels, &address) else {
        return invalid(format!("{}://{address} is no URL", labels.get("__scheme__")));
    };
    labels.retain(|name| !name.starts_with("__"));
    if labels.get("instance").is_empty() {
        labels.set("instance", address);
    }
    Ok(Made::Target(Box::new(Target { discovered: before, labels: labels.to_labels(), url, interval, timeout })))
}

fn discovered(config: &PoolConfig, own: &[(String, String)], group: &[(String, String)]) -> LabelSet {
    let of_group = group.iter().filter(|(name, _)| !own.iter().any(|(other, _)| other == name));
    let mut labels: LabelSet = own.iter().chain(of_group).map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let flag = |on: bool| if on { "true" } else { "false" }.to_owned();
    let histograms = &config.manner.histograms;
    let defaults = [
        ("job", config.job_name.clone()),
        ("__scrape_interval__", duration_text(config.interval)),
        ("__scrape_timeout__", duration_text(config.timeout)),
        ("__metrics_path__", config.metrics_path.clone()),
        ("__scheme__", config.scheme.clone()),
        ("__convert_classic_histograms_to_nhcb__", flag(false)),
        ("__always_scrape_classic_histograms__", flag(histograms.classic_too)),
        ("__scrape_native_histograms__", flag(histograms.native)),
    ];
    let params = config.params.iter().filter_map(|(name, values)| Some((format!("__param_{name}"), values.first()?.clone())));
    let defaults = defaults.into_iter().map(|(name, value)| (name.to_owned(), value));
    for (name, value) in defaults.chain(params) {
        if labels.get(&name).is_empty() {
            labels.set(&name, value);
        }
    }
    labels
}

/// The URL, with a port only where the address has one.
fn url_of(config: &PoolConfig, labels: &LabelSet, address: &str) -> Option<String> {
    let scheme = labels.get("__scheme__");
    let mut url = Url::parse(&format!("{scheme}://{address}")).ok().filter(|_| matches!(scheme, "http" | "https"))?;
    if !url.has_host() || !url.username().is_empty() || url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    url.set_path(labels.get("__metrics_path__"));
    let mut params = config.params.clone();
    for (name, value) in labels.iter().filter_map(|(name, value)| Some((name.strip_prefix("__param_")?, value))) {
        match params.iter_mut().find(|(other, _)| other == name) {
            Some((_, values)) if !values.is_empty() => values[0] = value.to_owned(),
            Some((_, values)) => values.push(value.to_owned()),
            None => params.push((name.to_owned(), vec![value.to_owned()])),
        }
    }
    params.sort();
    for (name, value) in params.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value))) {
        url.query_pairs_mut().append_pair(name, value);
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{scheme}://{address}{}{query}", url.path()))
}
