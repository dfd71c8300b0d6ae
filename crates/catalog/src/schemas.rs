//! The texts of contracts, for whoever compiles them: what stands at a place, and where a reference leads.

use std::collections::HashMap;

use serde_json::Value as Json;

use crate::problem::Origin;
use crate::references::{self, Holds};
use crate::yaml::{Node, Place, Value};

/// A contract's file, read.
#[derive(Debug)]
pub struct Document {
    pub name: String,
    pub(crate) file: String,
    pub(crate) root: Node,
    pub json: Json,
}

impl Document {
    /// Where the key, or the item of a list, stands that a JSON pointer leads to; as near as there is one.
    pub fn origin(&self, pointer: &str) -> Origin {
        let (mut node, mut place) = (&self.root, self.root.place);
        for token in pointer.split('/').skip(1) {
            let Some((at, inner)) = child(node, &token.replace("~1", "/").replace("~0", "~")) else { break };
            (node, place) = (inner, at);
        }
        Origin::new(&self.file, place)
    }
}

fn child<'n>(node: &'n Node, token: &str) -> Option<(Place, &'n Node)> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|(_, key, _)| key == token).map(|(place, _, node)| (*place, node)),
        Value::List(items) => items.get(token.parse::<usize>().ok()?).map(|node| (node.place, node)),
        _ => None,
    }
}

/// A key as part of a JSON pointer.
pub fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Every contract of a catalogue.
#[derive(Debug, Default)]
pub struct Schemas {
    documents: HashMap<String, Document>,
}

impl Schemas {
    pub(crate) fn of(documents: Vec<Document>) -> Self {
        Self { documents: documents.into_iter().map(|document| (document.name.clone(), document)).collect() }
    }

    pub fn get(&self, name: &str) -> Option<&Document> {
        self.documents.get(name)
    }

    /// The document of the file that a reference names: only its last part counts.
    pub fn of_file(&self, file: &str) -> Option<&Document> {
        let last = file.rsplit('/').next().unwrap_or_default();
        self.get(last.strip_suffix(".json").unwrap_or(last))
    }

    /// The document and the JSON pointer that a `$ref` of a document leads to.
    pub fn follow<'s>(&'s self, from: &'s Document, reference: &str) -> Option<(&'s Document, String)> {
        let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let document = if file.is_empty() { from } else { self.of_file(file).filter(|_| !file.contains("://"))? };
        let pointer = match fragment {
            fragment if fragment.is_empty() || fragment.starts_with('/') => fragment.to_owned(),
            anchor => anchored(&document.json, anchor, String::new())?,
        };
        document.json.pointer(&pointer)?;
        Some((document, pointer))
    }
}

/// The place of the schema with this `$anchor`.
fn anchored(schema: &Json, anchor: &str, pointer: String) -> Option<String> {
    let Json::Object(keywords) = schema else { return None };
    if keywords.get("$anchor").and_then(Json::as_str) == Some(anchor) {
        return Some(pointer);
    }
    keywords.iter().find_map(|(keyword, value)| {
        within(keyword, value).into_iter().find_map(|(end, schema)| anchored(schema, anchor, format!("{pointer}/{keyword}{end}")))
    })
}

/// The schemas that a keyword holds, each with the rest of its JSON pointer behind the keyword.
pub fn within<'j>(keyword: &str, value: &'j Json) -> Vec<(String, &'j Json)> {
    match (references::holds(keyword), value) {
        (Some(Holds::Schema), schema) => vec![(String::new(), schema)],
        (Some(Holds::List), Json::Array(items)) => items.iter().enumerate().map(|(at, schema)| (format!("/{at}"), schema)).collect(),
        (Some(Holds::Map), Json::Object(entries)) => entries.iter().map(|(key, schema)| (format!("/{}", escaped(key)), schema)).collect(),
        _ => Vec::new(),
    }
}
