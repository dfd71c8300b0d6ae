//! Reads maps strictly: every key is known, every value is of its kind, every problem is told with its place.

use std::path::PathBuf;
use std::time::Duration;

use catalog::yaml::{Node, Place, Value};
use catalog::{Problem, closest};

use super::units;

/// Gathers problems of one file.
pub(crate) struct Reader {
    pub(crate) file: String,
    /// What relative paths are relative to.
    pub(crate) folder: PathBuf,
    pub(crate) problems: Vec<Problem>,
    /// Keys that are accepted and mean nothing to Tyto.
    pub(crate) unused: Vec<String>,
}

/// The entries of a map whose keys are all known.
pub(crate) struct Fields<'n> {
    pub(crate) place: Place,
    entries: Vec<(Place, &'n str, &'n Node)>,
}

impl Reader {
    pub(crate) fn problem(&mut self, place: Place, what: impl Into<String>) {
        self.problems.push(Problem { file: self.file.clone(), line: place.line, column: place.column, what: what.into() });
    }

    /// None when the node is no map, which is told.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&'static str]) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            self.problem(node.place, format!("cannot read {what} from {}: it is a map", node.value.kind()));
            return None;
        };
        let mut fields = Fields { place: node.place, entries: Vec::new() };
        for (place, key, value) in entries {
            if !known.contains(&key.as_str()) {
                let hint = closest(key, known).map_or_else(|| format!("{what} does not have it"), |name| format!("did you mean {name:?}?"));
                self.problem(*place, format!("cannot use key {key:?} in {what}: {hint}"));
            } else if fields.get(key).is_some() {
                self.problem(*place, format!("cannot use key {key:?} twice in {what}"));
            } else {
                fields.entries.push((*place, key, value));
            }
        }
        Some(fields)
    }

    pub(crate) fn items<'n>(&mut self, fields: &Fields<'n>, name: &str) -> &'n [Node] {
        match fields.get(name).map(|node| (node.place, &node.value)) {
            None | Some((_, Value::Null)) => &[],
            Some((_, Value::List(items))) => items,
            Some((place, other)) => {
                self.problem(place, format!("cannot read {name:?} from {}: it is a list", other.kind()));
                &[]
            }
        }
    }

    /// A text; nothing written is an empty one.
    pub(crate) fn text_of(&mut self, node: &Node, name: &str) -> String {
        match &node.value {
            Value::Text(text) => text.clone(),
            Value::Null => String::new(),
            other => {
                self.problem(node.place, format!("cannot read {name:?} from {}: it is a text", other.kind()));
                String::new()
            }
        }
    }

    /// None when the key is not there.
    pub(crate) fn text(&mut self, fields: &Fields<'_>, name: &str) -> Option<String> {
        fields.get(name).map(|node| self.text_of(node, name))
    }

    pub(crate) fn texts(&mut self, fields: &Fields<'_>, name: &str) -> Vec<String> {
        self.items(fields, name).iter().map(|node| self.text_of(node, name)).collect()
    }

    /// A map of texts.
    pub(crate) fn pairs(&mut self, fields: &Fields<'_>, name: &str) -> Vec<(String, String)> {
        match fields.get(name).map(|node| (node.place, &node.value)) {
            None | Some((_, Value::Null)) => Vec::new(),
            Some((_, Value::Map(entries))) => entries.iter().map(|(_, key, node)| (key.clone(), self.text_of(node, key))).collect(),
            Some((place, other)) => {
                self.problem(place, format!("cannot read {name:?} from {}: it is a map", other.kind()));
                Vec::new()
            }
        }
    }

    /// What `read` makes of a text; empty texts and absent keys are none.
    pub(crate) fn parsed<T>(&mut self, fields: &Fields<'_>, name: &str, form: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let node = fields.get(name)?;
        let text = self.text_of(node, name);
        if text.is_empty() {
            return None;
        }
        let value = read(&text);
        if value.is_none() {
            self.problem(node.place, format!("cannot use {name}: {text:?}: write {form}"));
        }
        value
    }

    pub(crate) fn flag(&mut self, fields: &Fields<'_>, name: &str) -> Option<bool> {
        self.parsed(fields, name, "true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        })
    }

    pub(crate) fn number(&mut self, fields: &Fields<'_>, name: &str) -> Option<u64> {
        self.parsed(fields, name, "a number from 0", |text| text.parse().ok())
    }

    /// A limit: 0 is none of its own.
    pub(crate) fn limit(&mut self, fields: &Fields<'_>, name: &str) -> Option<u64> {
        self.number(fields, name).filter(|limit| *limit > 0)
    }

    pub(crate) fn size(&mut self, fields: &Fields<'_>, name: &str) -> Option<u64> {
        self.parsed(fields, name, "a size like 10MB", units::bytes).filter(|limit| *limit > 0)
    }

    /// A duration over zero.
    pub(crate) fn duration(&mut self, fields: &Fields<'_>, name: &str) -> Option<Duration> {
        self.parsed(fields, name, "a duration like 15s or 1m30s", units::duration).filter(|duration| !duration.is_zero())
    }

    /// A path, relative to the configuration file.
    pub(crate) fn path(&mut self, fields: &Fields<'_>, name: &str) -> Option<PathBuf> {
        let text = self.text(fields, name).filter(|text| !text.is_empty())?;
        Some(self.folder.join(text))
    }

    /// Refuses a key that means something which is not built.
    pub(crate) fn refuse(&mut self, fields: &Fields<'_>, name: &str, instead: &str) {
        if let Some(node) = fields.get(name).filter(|node| !matches!(node.value, Value::Null)) {
            self.problem(node.place, format!("cannot use {name}: Tyto does not have it yet; {instead}"));
        }
    }
}

impl<'n> Fields<'n> {
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(_, key, _)| *key == name).map(|(.., node)| *node)
    }

    /// Where a key's value stands, else the map.
    pub(crate) fn place_of(&self, name: &str) -> Place {
        self.get(name).map_or(self.place, |node| node.place)
    }

    /// With the place of each.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (Place, &'n str)> {
        self.entries.iter().map(|(place, key, _)| (*place, *key))
    }
}
