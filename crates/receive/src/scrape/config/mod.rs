//! A Prometheus configuration file as people have it, for the part that scrapes.
//!
//! Path: `catalog::yaml` (text to a tree that knows its lines) > `mod.rs` (the files and their sections) > `pool.rs` (one
//! scrape configuration; over `http.rs`, `relabel.rs`, `discovery.rs`, `kubernetes.rs`, `cloud.rs`) by means of `fields.rs` (strict maps) and `units.rs`.
//! `shown.rs` writes the file again without its secrets, for whoever asks what is in use.
//! What Tyto does not use is named once; what it does not have is refused with its place; nothing is passed over in silence.

mod cloud;
mod discovery;
mod fields;
mod http;
mod kubernetes;
mod pool;
mod relabel;
mod shown;
mod units;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use catalog::{FILE_BYTES_MAX, Problem, yaml};

pub(crate) use cloud::{AwsDiscovery, AwsTargets};
pub(crate) use discovery::{Discovery, Group, RecordType};
pub(crate) use fields::{Fields, Reader};
pub(crate) use http::{Auth, HttpOptions, Secret, TlsVersion};
pub(crate) use kubernetes::{KubernetesAccess, KubernetesAttach, KubernetesDiscovery, KubernetesRole};
pub(crate) use pool::{PoolConfig, Protocol};
pub(crate) use units::{duration, duration_text};

const SECTIONS: [&str; 3] = ["global", "scrape_configs", "scrape_config_files"];
/// Sections of a Prometheus configuration that say nothing about scraping.
const UNUSED_SECTIONS: [&str; 8] = ["alerting", "rule_files", "remote_write", "remote_read", "storage", "tracing", "otlp", "runtime"];

/// What a configuration file says about scraping.
#[derive(Clone, Debug, Default)]
pub struct ScrapeConfig {
    pub(crate) pools: Vec<Arc<PoolConfig>>,
    /// Sections and keys that are there and mean nothing to Tyto.
    pub unused: Vec<String>,
    /// What the file says of scraping, in YAML without secrets.
    pub(crate) shown: String,
}

impl ScrapeConfig {
    /// Reads the file, and those that it names in `scrape_config_files`. All or nothing: every problem comes back at once.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let text = read_text(path).map_err(|problem| vec![problem])?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Vec<Problem>> {
        let mut loading = Loading::default();
        let Some((mut reader, root)) = loading.open(path, text) else { return Err(loading.problems) };
        let known: Vec<&'static str> = SECTIONS.into_iter().chain(UNUSED_SECTIONS).collect();
        let empty = yaml::Node { place: root.place, value: yaml::Value::Map(Vec::new()), plain: false };
        let root = if matches!(root.value, yaml::Value::Null) { empty } else { root };
        let Some(fields) = reader.fields(&root, "the file", &known) else { return Err(reader.problems) };
        reader.unused.extend(UNUSED_SECTIONS.into_iter().filter(|name| fields.get(name).is_some()).map(str::to_owned));
        let global = fields.get("global").map_or_else(Default::default, |node| reader.global(node));
        loading.pools(&mut reader, reader_items(&fields), &global);
        let patterns = reader.texts(&fields, "scrape_config_files");
        let place = fields.place_of("scrape_config_files");
        for pattern in patterns {
            match matching(&reader.folder.join(&pattern)) {
                Some(files) => files.iter().for_each(|file| loading.further(file, &global)),
                None => reader.problem(place, format!("cannot use scrape_config_files {pattern:?}: a * stands in a path's last part only")),
            }
        }
        let shown = shown::shown(&root, &SECTIONS);
        loading.finish(reader).map(|config| ScrapeConfig { shown, ..config })
    }
}

fn reader_items<'n>(fields: &fields::Fields<'n>) -> Option<&'n yaml::Node> {
    fields.get("scrape_configs")
}

#[derive(Default)]
struct Loading {
    pools: Vec<Arc<PoolConfig>>,
    problems: Vec<Problem>,
    unused: Vec<String>,
    /// Where each job's name stands.
    names: HashMap<String, String>,
}

impl Loading {
    fn open(&mut self, path: &Path, text: &str) -> Option<(Reader, yaml::Node)> {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let mut reader = Reader { file: path.display().to_string(), folder, problems: Vec::new(), unused: Vec::new() };
        match yaml::parse_with_aliases(text) {
            Ok(root) => Some((reader, root)),
            Err((place, what)) => {
                reader.problem(place, what);
                self.problems.append(&mut reader.problems);
                None
            }
        }
    }

    fn pools(&mut self, reader: &mut Reader, list: Option<&yaml::Node>, global: &pool::Defaults) {
        let items = match list.map(|node| (node.place, &node.value)) {
            None | Some((_, yaml::Value::Null)) => return,
            Some((_, yaml::Value::List(items))) => items,
            Some((place, other)) => {
                return reader.problem(place, format!("cannot read \"scrape_configs\" from {}: it is a list", other.kind()));
            }
        };
        for node in items {
            let Some(pool) = reader.pool(node, global) else { continue };
            let place = format!("{}:{}:{}", reader.file, node.place.line, node.place.column);
            if let Some(other) = self.names.insert(pool.job_name.clone(), place) {
                reader.problem(node.place, format!("cannot use job_name {:?} twice: it stands at {other}", pool.job_name));
            }
            self.pools.push(Arc::new(pool));
        }
    }

    /// One of `scrape_config_files`.
    fn further(&mut self, path: &Path, global: &pool::Defaults) {
        let text = match read_text(path) {
            Ok(text) => text,
            Err(problem) => return self.problems.push(problem),
        };
        let Some((mut reader, root)) = self.open(path, &text) else { return };
        if !matches!(root.value, yaml::Value::Null)
            && let Some(fields) = reader.fields(&root, "a file of scrape configurations", &["scrape_configs"])
        {
            self.pools(&mut reader, reader_items(&fields), global);
        }
        self.problems.append(&mut reader.problems);
        self.unused.append(&mut reader.unused);
    }

    fn finish(mut self, mut reader: Reader) -> Result<ScrapeConfig, Vec<Problem>> {
        reader.problems.append(&mut self.problems);
        if !reader.problems.is_empty() {
            return Err(reader.problems);
        }
        self.unused.append(&mut reader.unused);
        self.unused.sort();
        self.unused.dedup();
        Ok(ScrapeConfig { pools: self.pools, unused: self.unused, shown: String::new() })
    }
}

/// The tree of a file, and what reads it strictly and gathers its problems.
pub(crate) fn load(path: &Path) -> Result<(Reader, yaml::Node), Vec<Problem>> {
    let text = read_text(path).map_err(|problem| vec![problem])?;
    let mut loading = Loading::default();
    loading.open(path, &text).ok_or(loading.problems)
}

fn read_text(path: &Path) -> Result<String, Problem> {
    let fail = |why: String| Problem::of_file(path, format!("cannot read configuration: {why}"));
    let metadata = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(fail(format!("{} bytes are over file_bytes_max, {FILE_BYTES_MAX}", metadata.len())));
    }
    std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))
}

/// The groups of targets in a discovered file's text.
pub(crate) fn read_groups(path: &Path, text: &str) -> Result<Vec<Group>, Vec<Problem>> {
    let mut loading = Loading::default();
    let Some((mut reader, root)) = loading.open(path, text) else { return Err(loading.problems) };
    let groups = match &root.value {
        yaml::Value::Null => Vec::new(),
        yaml::Value::List(items) => items.iter().filter_map(|node| reader.group(node)).collect(),
        other => {
            reader.problem(root.place, format!("cannot read targets from {}: it is a list of groups", other.kind()));
            Vec::new()
        }
    };
    if reader.problems.is_empty() { Ok(groups) } else { Err(reader.problems) }
}

/// The files that a path with at most one `*`, in its last part, names; sorted. None when the `*` stands elsewhere.
pub(crate) fn matching(pattern: &Path) -> Option<Vec<PathBuf>> {
    let name = pattern.file_name()?.to_string_lossy().into_owned();
    let folder = pattern.parent().map(Path::to_owned).unwrap_or_default();
    if folder.to_string_lossy().contains('*') {
        return None;
    }
    let Some((before, after)) = name.split_once('*') else {
        return Some(if pattern.exists() { vec![pattern.to_owned()] } else { Vec::new() });
    };
    if after.contains('*') {
        return None;
    }
    let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after) {
            found.push(entry.path());
        }
    }
    found.sort();
    Some(found)
}
