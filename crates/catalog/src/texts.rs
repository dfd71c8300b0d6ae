use std::collections::BTreeMap;

use crate::pipelines;

/// The texts that drafts are begun from, by the names that their problems have: pipelines, look-up tables and contracts in force.
#[derive(Debug, Default)]
pub struct Texts {
    files: BTreeMap<String, String>,
}

impl Texts {
    pub(crate) fn of(texts: &[(&str, &str)]) -> Self {
        let wanted = |name: &str| name.ends_with(".json") || pipelines::is_table(name) || pipelines::is_pipeline(name);
        let files = texts.iter().filter(|(name, _)| wanted(name)).map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Self { files: files.collect() }
    }

    pub fn get(&self, file: &str) -> Option<&str> {
        self.files.get(file).map(String::as_str)
    }

    /// Look-up tables, name and text.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter(|(name, _)| pipelines::is_table(name)).map(|(name, text)| (name.as_str(), text.as_str()))
    }
}
