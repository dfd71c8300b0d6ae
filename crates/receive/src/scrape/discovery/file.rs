//! Targets in files, JSON or YAML. A file is looked at every few seconds, which also sees what a file system over the network
//! or a mounted Kubernetes volume does not announce; its text is read when its size or time has changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use catalog::FILE_BYTES_MAX;

use crate::scrape::config::{Group, matching, read_groups};

pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Files {
    patterns: Vec<PathBuf>,
    seen: BTreeMap<PathBuf, Seen>,
    told: bool,
}

struct Seen {
    sign: (u64, Option<SystemTime>),
    groups: Vec<Group>,
}

impl Files {
    pub(super) fn new(patterns: Vec<PathBuf>) -> Self {
        Self { patterns, seen: BTreeMap::new(), told: false }
    }

    /// All groups when there may be a change, and what could not be read. A file that cannot be read keeps its last groups.
    pub(super) fn look(&mut self, all: bool) -> (Option<Vec<Group>>, Vec<String>) {
        let paths: Vec<PathBuf> = self.patterns.iter().filter_map(|pattern| matching(pattern)).flatten().collect();
        let (before, mut failed, mut changed) = (self.seen.len(), Vec::new(), false);
        self.seen.retain(|path, _| paths.contains(path));
        changed |= self.seen.len() != before;
        for path in paths {
            let sign = std::fs::metadata(&path).map(|found| (found.len(), found.modified().ok())).unwrap_or_default();
            if !all && self.seen.get(&path).is_some_and(|seen| seen.sign == sign) {
                continue;
            }
            match read(&path, sign.0) {
                Ok(groups) => {
                    changed |= self.seen.get(&path).is_none_or(|seen| seen.groups != groups);
                    self.seen.insert(path, Seen { sign, groups });
                }
                Err(why) => {
                    failed.push(why);
                    // Not read again before it changes, or before all are.
                    self.seen.entry(path).or_insert_with(|| Seen { sign, groups: Vec::new() }).sign = sign;
                }
            }
        }
        let groups = (changed || !self.told).then(|| self.seen.values().flat_map(|seen| seen.groups.clone()).collect());
        self.told = true;
        (groups, failed)
    }
}

fn read(path: &Path, size: u64) -> Result<Vec<Group>, String> {
    if size > FILE_BYTES_MAX {
        return Err(format!("{}: cannot read targets: {size} bytes are over file_bytes_max, {FILE_BYTES_MAX}", path.display()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: cannot read targets: {error}", path.display()))?;
    // JSON is read as the YAML that it is, but for the tabs that people indent it with.
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let text = if is_json { text.replace('\t', " ") } else { text };
    let mut groups =
        read_groups(path, &text).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    for group in &mut groups {
        group.labels.push(("__meta_filepath".to_owned(), path.display().to_string()));
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_change_break_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let mut files = Files::new(vec![folder.path().join("*.json")]);
        assert_eq!(files.look(true), (Some(Vec::new()), Vec::new()), "nothing is told once");
        assert_eq!(files.look(false), (None, Vec::new()));
        std::fs::write(&path, "[\n\t{\"targets\": [\"a:1\", \"b:2\"], \"labels\": {\"env\": \"prod\"}}\n]").unwrap();
        let groups = files.look(false).0.unwrap();
        assert_eq!(groups[0].targets.len(), 2);
        assert_eq!(groups[0].labels, [("env".to_owned(), "prod".to_owned()), ("__meta_filepath".to_owned(), path.display().to_string())]);
        std::fs::write(&path, "[{\"targetz\": []}]").unwrap();
        let (groups, failed) = files.look(false);
        assert!(groups.is_none() && failed[0].contains("a.json:1:") && failed[0].contains("did you mean \"targets\"?"), "{failed:?}");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(files.look(false), (Some(Vec::new()), Vec::new()));
    }
}
