//! What is in force, and what keeps newer files from being so.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::{Provenance, SourceStatus, Status, Trouble, Version};

use crate::parts::Parts;

#[derive(Debug, Default)]
pub(crate) struct State {
    /// The newest version of the store that this process has seen.
    pub(crate) version: Option<Version>,
    /// Its files.
    pub(crate) kept: Arc<Parts>,
    /// The last one that each source brought.
    pub(crate) sources: BTreeMap<String, Version>,
    /// Of the store.
    pub(crate) store: Option<Trouble>,
    /// Of sources: where their newest files would come from, and why these are not in force.
    pub(crate) troubles: BTreeMap<String, (Provenance, Trouble)>,
    /// Files beside the server are in force that the store does not have yet.
    pub(crate) unkept: bool,
}

impl State {
    pub(crate) fn is_stale(&self) -> bool {
        self.store.is_some() || self.unkept || !self.troubles.is_empty()
    }

    pub(crate) fn status(&self, store: &'static str) -> Status {
        let counts = self.kept.counts();
        let status = |by: &Provenance, version: u64| SourceStatus {
            by: by.clone(),
            version,
            files: counts.get(by.source.as_str()).copied().unwrap_or_default(),
            trouble: self.troubles.get(&by.source).map(|(_, trouble)| trouble.clone()),
        };
        let there = self.sources.values().map(|version| status(&version.by, version.number));
        let never = self.troubles.values().map(|(by, _)| by).filter(|by| !self.sources.contains_key(&by.source));
        let mut sources: Vec<SourceStatus> = there.chain(never.map(|by| status(by, 0))).collect();
        // What is gone is history, not a source.
        sources.retain(|source| source.files > 0 || source.trouble.is_some());
        sources.sort_by(|a, b| a.by.source.cmp(&b.by.source));
        Status { version: self.version.clone(), stale: self.is_stale(), store, trouble: self.store.clone(), sources }
    }

    /// The trouble goes on from when it began.
    pub(crate) fn trouble(&mut self, by: &Provenance, trouble: Trouble) {
        let since_ms = self.troubles.get(&by.source).map_or(trouble.since_ms, |(_, before)| before.since_ms);
        self.troubles.insert(by.source.clone(), (by.clone(), Trouble { since_ms, ..trouble }));
    }

    /// Every change of what is told here comes with this.
    pub(crate) fn tell(&self) {
        metrics::gauge!("tyto_catalog_version").set(self.version.as_ref().map_or(0, |version| version.number) as f64);
        metrics::gauge!("tyto_catalog_stale").set(f64::from(u8::from(self.is_stale())));
        metrics::gauge!("tyto_catalog_store_up").set(f64::from(u8::from(self.store.is_none())));
        for source in self.sources.keys().chain(self.troubles.keys()) {
            let troubled = self.troubles.contains_key(source);
            metrics::gauge!("tyto_catalog_source_trouble", "source" => source.clone()).set(f64::from(u8::from(troubled)));
        }
    }
}
