use std::sync::Arc;
use std::time::Duration;

use crate::Labels;

/// Whether the last scrape of a target went well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    Up,
    Down,
}

/// A target that is scraped.
#[derive(Clone, Debug)]
pub struct ActiveTarget {
    /// Before relabelling.
    pub discovered_labels: Labels,
    /// Those that its series carry.
    pub labels: Labels,
    /// The `job_name` of its scrape configuration.
    pub scrape_pool: String,
    pub scrape_url: String,
    /// Empty when the last scrape went well.
    pub last_error: String,
    /// None before the first scrape.
    pub last_scrape_unix_ms: Option<i64>,
    pub last_scrape_duration: Duration,
    pub health: Health,
    /// As Prometheus writes durations: `15s`.
    pub scrape_interval: String,
    pub scrape_timeout: String,
}

/// A target that relabelling dropped.
#[derive(Clone, Debug)]
pub struct DroppedTarget {
    pub discovered_labels: Labels,
    pub scrape_pool: String,
}

/// What a target says of one of its metric families.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TargetFamily {
    pub name: String,
    /// `counter`, `gauge`, ...; empty when it is not said.
    pub kind: String,
    pub unit: String,
    pub help: String,
}

/// Who is scraped, and how that goes.
pub trait Targets: Send + Sync {
    /// The configuration in use as Prometheus writes it, in YAML without secrets; empty where there is none.
    fn config(&self) -> String;
    /// Names of the scrape configurations, sorted.
    fn pools(&self) -> Vec<String>;
    /// Of every pool, by its name and the target's address.
    fn active(&self) -> Vec<ActiveTarget>;
    fn dropped(&self) -> Vec<DroppedTarget>;
    /// How many targets of each pool were dropped: more than [`Self::dropped`] shows, where it is limited.
    fn dropped_counts(&self) -> Vec<(String, usize)>;
    /// The labels of each active target with its families, in the order of [`Self::active`].
    fn metadata(&self) -> Vec<(Labels, Vec<Arc<TargetFamily>>)>;
}

/// Where nobody is scraped.
pub struct NoTargets;

impl Targets for NoTargets {
    fn config(&self) -> String {
        String::new()
    }

    fn pools(&self) -> Vec<String> {
        Vec::new()
    }

    fn active(&self) -> Vec<ActiveTarget> {
        Vec::new()
    }

    fn dropped(&self) -> Vec<DroppedTarget> {
        Vec::new()
    }

    fn dropped_counts(&self) -> Vec<(String, usize)> {
        Vec::new()
    }

    fn metadata(&self) -> Vec<(Labels, Vec<Arc<TargetFamily>>)> {
        Vec::new()
    }
}
