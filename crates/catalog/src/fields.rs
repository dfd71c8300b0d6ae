//! Strict maps: every key is known and stands once, and whatever is wrong is told with its place.

use std::collections::HashMap;

use crate::problem::{Problem, closest};
use crate::yaml::{Node, Place, Value};

/// The known fields of a map.
pub(crate) type Fields<'n> = HashMap<&'static str, &'n Node>;

/// Gathers the problems of files while they are read.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) file: String,
    pub(crate) problems: Vec<Problem>,
}

impl Reader {
    pub(crate) fn problem(&mut self, place: Place, what: impl Into<String>) {
        self.problems.push(Problem { file: self.file.clone(), line: place.line, column: place.column, what: what.into() });
    }

    pub(crate) fn place(&self, place: Place) -> String {
        format!("{}:{}:{}", self.file, place.line, place.column)
    }

    /// The known fields of a map; unknown and repeated ones are problems.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&'static str]) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            self.problem(node.place, format!("cannot read {what} from {}: it is a map with {}", node.value.kind(), known.join(", ")));
            return None;
        };
        let mut fields = Fields::new();
        for (place, key, value) in entries {
            match known.iter().find(|name| *name == key) {
                Some(name) => {
                    if fields.insert(name, value).is_some() {
                        self.problem(*place, format!("cannot use key {key:?} twice in {what}"));
                    }
                }
                None => {
                    let hint = match closest(key, known) {
                        Some(name) => format!("did you mean {name:?}?"),
                        None => format!("{what} has {}", known.join(", ")),
                    };
                    self.problem(*place, format!("cannot use key {key:?} in {what}: {hint}"));
                }
            }
        }
        Some(fields)
    }

    pub(crate) fn required<'n>(&mut self, fields: &Fields<'n>, node: &Node, what: &str, name: &'static str) -> Option<&'n Node> {
        if !fields.contains_key(name) {
            self.problem(node.place, format!("cannot do without {name:?} in {what}"));
        }
        fields.get(name).copied()
    }

    pub(crate) fn text(&mut self, node: &Node, name: &str) -> Option<String> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            other => {
                self.problem(node.place, format!("cannot read {name:?} from {}: it is a text", other.kind()));
                None
            }
        }
    }

    pub(crate) fn optional_text(&mut self, fields: &Fields<'_>, name: &'static str) -> String {
        fields.get(name).and_then(|node| self.text(node, name)).unwrap_or_default()
    }

    pub(crate) fn list<'n>(&mut self, node: &'n Node, name: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            other => {
                self.problem(node.place, format!("cannot read {name:?} from {}: it is a list", other.kind()));
                &[]
            }
        }
    }

    pub(crate) fn optional_list<'n>(&mut self, fields: &Fields<'n>, name: &'static str) -> &'n [Node] {
        fields.get(name).map_or(&[][..], |&node| self.list(node, name))
    }
}
