//! A configuration file of YACE as people have it. Source:
//! <https://github.com/prometheus-community/yet-another-cloudwatch-exporter/blob/master/docs/configuration.md>.

use std::path::Path;
use std::sync::Arc;

use catalog::Problem;
use catalog::yaml::{Node, Value};
use regex::Regex;

use super::services::Service;
use super::window::Rhythm;
use crate::aws::Role;
use crate::scrape::{Fields, Reader, load};

/// In seconds, as YACE has them.
const PERIOD: u64 = 300;
const LENGTH: u64 = 300;
/// Of one metric: a year.
const SECONDS_MAX: u64 = 366 * 86_400;

/// What a configuration file says about CloudWatch.
#[derive(Clone, Debug, Default)]
pub struct CloudwatchConfig {
    pub(super) jobs: Vec<Arc<Job>>,
    /// Keys that are there and mean nothing to Tyto.
    pub(super) unused: Vec<String>,
}

/// Metrics of one namespace, as one role sees them in one region.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    /// How it is called in logs: which job of the file it is.
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) region: String,
    pub(super) role: Option<Role>,
    pub(super) sts_region: Option<String>,
    /// Labels of all its series.
    pub(super) custom_tags: Vec<(String, String)>,
    pub(super) metrics: Vec<Metric>,
    pub(super) found: Found,
    pub(super) recently_active: bool,
    /// Only metrics with exactly these dimensions; empty is all.
    pub(super) dimension_names: Vec<String>,
}

/// How a job comes to its series.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// Those of resources with these tags.
    Tagged { search: Vec<(String, Pattern)>, exported: Vec<String>, info_context: bool },
    /// All that CloudWatch lists.
    Listed { name: String },
    /// Those of these dimensions.
    Written { name: String, dimensions: Vec<(String, String)> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) statistics: Vec<String>,
    pub(super) rhythm: Rhythm,
    /// A period without a point counts as 0.
    pub(super) nil_to_zero: bool,
}

/// A regular expression that is found anywhere; equal when written alike.
#[derive(Clone, Debug)]
pub(super) struct Pattern(pub(super) Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

const OF_METRICS: [&str; 7] = ["statistics", "period", "length", "delay", "nilToZero", "addCloudwatchTimestamp", "exportAllDataPoints"];
const OF_JOBS: [&str; 4] = ["regions", "roles", "customTags", "metrics"];
const OF_LISTS: [&str; 3] = ["dimensionNameRequirements", "roundingPeriod", "recentlyActiveOnly"];

impl CloudwatchConfig {
    /// All or nothing: every problem comes back at once.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let (reader, root) = load(path)?;
        let mut reading = Reading { reader, sts_region: None, unused: Vec::new() };
        let jobs = reading.file(&root);
        if !reading.reader.problems.is_empty() {
            return Err(reading.reader.problems);
        }
        reading.unused.sort();
        reading.unused.dedup();
        Ok(Self { jobs: jobs.into_iter().map(Arc::new).collect(), unused: reading.unused })
    }
}

struct Reading {
    reader: Reader,
    sts_region: Option<String>,
    unused: Vec<String>,
}

/// What a job says of metrics that do not say it themselves.
#[derive(Default)]
struct Defaults {
    statistics: Vec<String>,
    period: Option<u64>,
    length: Option<u64>,
    delay: Option<u64>,
    nil_to_zero: Option<bool>,
}

impl Reading {
    fn file(&mut self, root: &Node) -> Vec<Job> {
        let known = ["apiVersion", "sts-region", "discovery", "static", "customNamespace"];
        let Some(fields) = self.reader.fields(root, "the file", &known) else { return Vec::new() };
        self.reader.parsed(&fields, "apiVersion", "v1alpha1", |text| (text == "v1alpha1").then_some(()));
        self.sts_region = self.reader.text(&fields, "sts-region").filter(|text| !text.is_empty());
        let mut jobs = Vec::new();
        if let Some(node) = fields.get("discovery").filter(|node| !matches!(node.value, Value::Null)) {
            self.discovery(node, &mut jobs);
        }
        for (number, node) in (1..).zip(self.reader.items(&fields, "customNamespace")) {
            self.custom(number, node, &mut jobs);
        }
        for (number, node) in (1..).zip(self.reader.items(&fields, "static")) {
            self.written(number, node, &mut jobs);
        }
        if jobs.is_empty() && self.reader.problems.is_empty() {
            self.reader.problem(root.place, "cannot ask CloudWatch for nothing: write jobs under discovery, static or customNamespace");
        }
        jobs
    }

    fn discovery(&mut self, node: &Node, jobs: &mut Vec<Job>) {
        let Some(fields) = self.reader.fields(node, "discovery", &["exportedTagsOnMetrics", "jobs"]) else { return };
        let exported = self.exported(&fields);
        for (number, node) in (1..).zip(self.reader.items(&fields, "jobs")) {
            let known =
                [&OF_METRICS[..], &OF_JOBS, &OF_LISTS, &["type", "searchTags", "includeContextOnInfoMetrics", "enhancedMetrics"]].concat();
            let Some(fields) = self.reader.fields(node, "a discovery job", &known) else { continue };
            self.reader.refuse(&fields, "enhancedMetrics", "CloudWatch's own metrics are taken");
            let kind = self.reader.text(&fields, "type").unwrap_or_default();
            if kind.is_empty() {
                self.reader.problem(fields.place_of("type"), "cannot discover without a type: write a namespace like AWS/EC2");
            }
            // An alias that is not in the table could be anything.
            let namespace = Service::of(&kind).map_or(kind.as_str(), |service| service.namespace).to_owned();
            if !kind.is_empty() && Service::of(&kind).is_none() && !kind.contains('/') {
                self.reader.problem(fields.place_of("type"), format!("cannot discover type {kind:?}: write its namespace, like AWS/EC2"));
            }
            let of_namespace = exported.iter().filter(|(name, _)| Service::of(name).map_or(name.as_str(), |s| s.namespace) == namespace);
            let found = Found::Tagged {
                search: self.search(&fields),
                exported: of_namespace.flat_map(|(_, tags)| tags.clone()).collect(),
                info_context: self.reader.flag(&fields, "includeContextOnInfoMetrics").unwrap_or(false),
            };
            self.job(format!("discovery job {number} ({namespace})"), namespace, &fields, found, jobs);
        }
    }

    fn custom(&mut self, number: usize, node: &Node, jobs: &mut Vec<Job>) {
        let known = [&OF_METRICS[..], &OF_JOBS, &OF_LISTS, &["name", "namespace"]].concat();
        let Some(fields) = self.reader.fields(node, "a custom namespace job", &known) else { return };
        let (name, namespace) = self.named(&fields);
        let job = format!("customNamespace job {number} ({name})");
        self.job(job, namespace, &fields, Found::Listed { name }, jobs);
    }

    fn written(&mut self, number: usize, node: &Node, jobs: &mut Vec<Job>) {
        let known = [&OF_JOBS[..], &["name", "namespace", "dimensions"]].concat();
        let Some(fields) = self.reader.fields(node, "a static job", &known) else { return };
        let (name, namespace) = self.named(&fields);
        let dimensions = self.pairs(&fields, "dimensions", "name", "a dimension");
        let found = Found::Written { name: name.clone(), dimensions };
        self.job(format!("static job {number} ({name})"), namespace, &fields, found, jobs);
    }

    fn named(&mut self, fields: &Fields<'_>) -> (String, String) {
        let (name, namespace) = (self.reader.text(fields, "name"), self.reader.text(fields, "namespace"));
        for (key, text) in [("name", &name), ("namespace", &namespace)] {
            if text.as_deref().unwrap_or_default().is_empty() {
                self.reader.problem(fields.place_of(key), format!("cannot do without a {key} in this job"));
            }
        }
        (name.unwrap_or_default(), namespace.unwrap_or_default())
    }

    /// One job for each region and role.
    fn job(&mut self, name: String, namespace: String, fields: &Fields<'_>, found: Found, jobs: &mut Vec<Job>) {
        let regions = self.reader.texts(fields, "regions");
        if regions.is_empty() {
            self.reader.problem(fields.place_of("regions"), "cannot ask CloudWatch without a region: write at least one in regions");
        }
        let defaults = self.defaults(fields);
        let nodes = self.reader.items(fields, "metrics");
        let metrics: Vec<Metric> = nodes.iter().filter_map(|node| self.metric(node, &defaults)).collect();
        if nodes.is_empty() {
            self.reader.problem(fields.place_of("metrics"), "cannot ask CloudWatch without a metric: write at least one in metrics");
        }
        if fields.get("roundingPeriod").is_some() {
            self.unused.push("roundingPeriod".to_owned());
        }
        let roles = self.roles(fields);
        let job = Job {
            name,
            namespace,
            region: String::new(),
            role: None,
            sts_region: self.sts_region.clone(),
            custom_tags: self.pairs(fields, "customTags", "key", "a custom tag"),
            metrics,
            found,
            recently_active: self.reader.flag(fields, "recentlyActiveOnly").unwrap_or(false),
            dimension_names: self.reader.texts(fields, "dimensionNameRequirements"),
        };
        for region in regions {
            jobs.extend(roles.iter().map(|role| Job { region: region.clone(), role: role.clone(), ..job.clone() }));
        }
    }

    /// None is whoever has the credentials.
    fn roles(&mut self, fields: &Fields<'_>) -> Vec<Option<Role>> {
        let nodes = self.reader.items(fields, "roles");
        let mut roles = Vec::new();
        for node in nodes {
            let Some(fields) = self.reader.fields(node, "a role", &["roleArn", "externalId"]) else { continue };
            let mut text = |name| self.reader.text(&fields, name).filter(|text| !text.is_empty());
            let (arn, external_id) = (text("roleArn"), text("externalId"));
            if arn.is_none() && external_id.is_some() {
                self.reader.problem(fields.place_of("externalId"), "cannot use externalId without roleArn");
            }
            roles.push(arn.map(|arn| Role { arn, external_id }));
        }
        if nodes.is_empty() { vec![None] } else { roles }
    }

    fn defaults(&mut self, fields: &Fields<'_>) -> Defaults {
        // All points are taken, at CloudWatch's times, whatever these say.
        self.reader.flag(fields, "addCloudwatchTimestamp");
        self.reader.flag(fields, "exportAllDataPoints");
        let mut seconds = |name| {
            let fits = |text: &str| text.parse().ok().filter(|seconds| *seconds <= SECONDS_MAX);
            self.reader.parsed(fields, name, "seconds, up to a year", fits).filter(|seconds| *seconds > 0)
        };
        let (period, length, delay) = (seconds("period"), seconds("length"), seconds("delay"));
        let nil_to_zero = self.reader.flag(fields, "nilToZero");
        Defaults { statistics: self.reader.texts(fields, "statistics"), period, length, delay, nil_to_zero }
    }

    fn metric(&mut self, node: &Node, of_job: &Defaults) -> Option<Metric> {
        let fields = self.reader.fields(node, "a metric", &[&OF_METRICS[..], &["name"]].concat())?;
        let name = self.reader.text(&fields, "name").unwrap_or_default();
        if name.is_empty() {
            self.reader.problem(fields.place_of("name"), "cannot ask for a metric without a name");
        }
        let own = self.defaults(&fields);
        let statistics = if own.statistics.is_empty() { of_job.statistics.clone() } else { own.statistics };
        if statistics.is_empty() || statistics.iter().any(String::is_empty) {
            self.reader.problem(
                fields.place_of("statistics"),
                format!("cannot ask for metric {name:?} without statistics: write Average, Sum, p90"),
            );
        }
        let period = own.period.or(of_job.period).unwrap_or(PERIOD);
        let length = own.length.or(of_job.length).unwrap_or(LENGTH);
        if length < period {
            let why = format!("cannot ask for metric {name:?}: its length of {length} s is smaller than its period of {period} s");
            self.reader.problem(fields.place_of("length"), why);
        }
        let milliseconds = |seconds: u64| i64::try_from(seconds * 1000).unwrap_or(i64::MAX);
        let delay = own.delay.or(of_job.delay).unwrap_or(0);
        let rhythm = Rhythm { period_ms: milliseconds(period), length_ms: milliseconds(length), delay_ms: milliseconds(delay) };
        Some(Metric { name, statistics, rhythm, nil_to_zero: own.nil_to_zero.or(of_job.nil_to_zero).unwrap_or(false) })
    }

    /// A list of maps of which each has a value under `key`.
    fn pairs(&mut self, fields: &Fields<'_>, list: &str, key: &'static str, what: &str) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for node in self.reader.items(fields, list) {
            let Some(fields) = self.reader.fields(node, what, &[key, "value"]) else { continue };
            let (name, value) =
                (self.reader.text(&fields, key).unwrap_or_default(), self.reader.text(&fields, "value").unwrap_or_default());
            if name.is_empty() {
                self.reader.problem(fields.place_of(key), format!("cannot use {what} without a {key}"));
            }
            pairs.push((name, value));
        }
        pairs
    }

    fn search(&mut self, fields: &Fields<'_>) -> Vec<(String, Pattern)> {
        let place = fields.place_of("searchTags");
        let mut search = Vec::new();
        for (key, value) in self.pairs(fields, "searchTags", "key", "a search tag") {
            match Regex::new(&value) {
                Ok(regex) => search.push((key, Pattern(regex))),
                Err(_) => self.reader.problem(place, format!("cannot search by tag {key:?}: {value:?} is no regular expression")),
            }
        }
        search
    }

    /// Tags by namespace.
    fn exported(&mut self, fields: &Fields<'_>) -> Vec<(String, Vec<String>)> {
        let Some(node) = fields.get("exportedTagsOnMetrics") else { return Vec::new() };
        let entries = match &node.value {
            Value::Null => return Vec::new(),
            Value::Map(entries) => entries,
            other => {
                self.reader
                    .problem(node.place, format!("cannot read \"exportedTagsOnMetrics\" from {}: it is a map of lists", other.kind()));
                return Vec::new();
            }
        };
        let mut exported = Vec::new();
        for (place, namespace, node) in entries {
            match &node.value {
                Value::List(items) => {
                    exported.push((namespace.clone(), items.iter().map(|item| self.reader.text_of(item, namespace)).collect()))
                }
                Value::Null => {}
                other => {
                    self.reader.problem(*place, format!("cannot export the tags of {namespace} from {}: they are a list", other.kind()))
                }
            }
        }
        exported
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<CloudwatchConfig, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("yace.yml");
        std::fs::write(&path, text).unwrap();
        let said = |problem: Problem| problem.to_string().rsplit("yace.yml:").next().unwrap_or_default().to_owned();
        CloudwatchConfig::load(&path).map_err(|problems| problems.into_iter().map(said).collect())
    }

    #[test]
    fn a_file_of_yace_is_read() {
        let config = load(
            "apiVersion: v1alpha1\nsts-region: eu-west-1\ndiscovery:\n  exportedTagsOnMetrics: {ec2: [Name], AWS/S3: [x]}\n  jobs:\n  - type: AWS/EC2\n    \
             regions: [eu-west-1, us-east-1]\n    roles: [{roleArn: 'arn:r', externalId: x}, {}]\n    period: 60\n    length: 600\n    statistics: [Average]\n    \
             searchTags: [{key: env, value: '^prod$'}]\n    customTags: [{key: team, value: web}]\n    roundingPeriod: 300\n    \
             metrics: [{name: CPUUtilization}, {name: NetworkIn, statistics: [Sum, p90], period: 300, delay: 120, nilToZero: true}]\n\
             static: [{name: asg, namespace: AWS/AutoScaling, regions: [eu-west-1], dimensions: [{name: AutoScalingGroupName, value: g}], metrics: \
             [{name: GroupInServiceInstances, statistics: [Minimum]}]}]\n\
             customNamespace: [{name: mine, namespace: CWAgent, regions: [eu-west-1], recentlyActiveOnly: true, dimensionNameRequirements: [host], \
             metrics: [{name: disk, statistics: [Average], addCloudwatchTimestamp: true}]}]\n",
        )
        .unwrap();
        let names: Vec<_> = config.jobs.iter().map(|job| (job.name.as_str(), job.region.as_str(), job.role.is_some())).collect();
        let first = "discovery job 1 (AWS/EC2)";
        let expected = [
            (first, "eu-west-1", true),
            (first, "eu-west-1", false),
            (first, "us-east-1", true),
            (first, "us-east-1", false),
            ("customNamespace job 1 (mine)", "eu-west-1", false),
            ("static job 1 (asg)", "eu-west-1", false),
        ];
        assert_eq!((names, config.unused), (expected.to_vec(), vec!["roundingPeriod".to_owned()]));
        let job = &config.jobs[0];
        let rhythm =
            |period: i64, length: i64, delay: i64| Rhythm { period_ms: period * 1000, length_ms: length * 1000, delay_ms: delay * 1000 };
        assert_eq!((job.metrics[0].rhythm, job.metrics[1].rhythm), (rhythm(60, 600, 0), rhythm(300, 600, 120)));
        assert_eq!((job.metrics[0].statistics.len(), job.metrics[1].statistics.len(), job.metrics[1].nil_to_zero), (1, 2, true));
        let Found::Tagged { search, exported, .. } = &job.found else { panic!("{job:?}") };
        assert_eq!((search.len(), exported.as_slice()), (1, &["Name".to_owned()][..]));
        assert_eq!(config.jobs[4].dimension_names, ["host"]);
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_place() {
        let problems = |text: &str| load(text).unwrap_err();
        let head = "discovery:\n  jobs:\n  - type: ec2\n    regions: [x]\n    metrics: [{name: a, statistics: [Sum]}]\n";
        assert!(load(head).is_ok(), "an alias names its namespace");
        assert_eq!(
            problems(&format!("{head}    searchTag: []\n"))[0],
            "6:5: cannot use key \"searchTag\" in a discovery job: did you mean \"searchTags\"?"
        );
        assert_eq!(
            problems(&format!("{head}    enhancedMetrics: [{{name: ItemCount}}]\n"))[0],
            "6:22: cannot use enhancedMetrics: Tyto does not have it yet; CloudWatch's own metrics are taken"
        );
        assert_eq!(
            problems(&head.replace("statistics: [Sum]", "length: 60")),
            [
                "5:15: cannot ask for metric \"a\" without statistics: write Average, Sum, p90",
                "5:33: cannot ask for metric \"a\": its length of 60 s is smaller than its period of 300 s"
            ]
        );
        assert_eq!(problems(&head.replace("ec2", "ec3"))[0], "3:11: cannot discover type \"ec3\": write its namespace, like AWS/EC2");
        assert!(problems(&format!("apiVersion: v2\n{head}"))[0].starts_with("1:13: cannot use apiVersion: \"v2\": write v1alpha1"));
        assert!(problems("apiVersion: v1alpha1\n")[0].contains("cannot ask CloudWatch for nothing"));
    }
}
