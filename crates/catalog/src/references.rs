//! What the `$ref`s of contracts lead to: a contract may take over what another one says, and nothing is fetched from anywhere.

use std::collections::{HashMap, HashSet};

use crate::checks::Check;
use crate::contracts::DIALECT;
use crate::problem::{Diagnostic, Origin, closest};
use crate::schemas::{Document, escaped};
use crate::yaml::{Node, Value};

/// What a keyword of JSON Schema holds, of those that hold schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Schema,
    List,
    /// By names that are no keywords.
    Map,
}

pub(crate) fn holds(keyword: &str) -> Option<Holds> {
    match keyword {
        "not"
        | "if"
        | "then"
        | "else"
        | "items"
        | "contains"
        | "additionalProperties"
        | "propertyNames"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "contentSchema" => Some(Holds::Schema),
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Some(Holds::List),
        "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions" => Some(Holds::Map),
        _ => None,
    }
}

/// Keywords whose schemas speak of the very value that their own schema speaks of. A circle of these never ends; one through a
/// property does, with the value.
const OF_THE_SAME_VALUE: [&str; 8] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"];

/// Number of a document, and a JSON pointer into it.
type Spot = (usize, String);

#[derive(Default)]
struct Graph {
    /// Every schema, and those that speak of the same value; a `$ref` has a place.
    edges: HashMap<Spot, Vec<(Spot, Option<Origin>)>>,
    /// In the order of the files.
    schemas: Vec<Spot>,
    references: Vec<(Spot, Origin, String)>,
    /// By document and name.
    anchors: HashMap<(usize, String), String>,
}

/// `elsewhere` are names of contracts that are no file here: what is in them is not looked at.
pub(crate) fn check(documents: &[Document], elsewhere: &[String]) -> Vec<Diagnostic> {
    let mut graph = Graph::default();
    for (number, document) in documents.iter().enumerate() {
        graph.walk(&document.file, &document.root, (number, String::new()));
    }
    let names: HashMap<&str, usize> = documents.iter().enumerate().map(|(number, document)| (document.name.as_str(), number)).collect();
    let mut diagnostics = Vec::new();
    for (from, at, text) in std::mem::take(&mut graph.references) {
        match lead(&graph, &names, elsewhere, from.0, &text) {
            Ok(Some(to)) => graph.edges.entry(from).or_default().push((to, Some(at))),
            Ok(None) => {}
            Err(what) => {
                let others = names.iter().filter(|(_, number)| **number != from.0);
                let known: Vec<String> = others.map(|(name, _)| format!("{name}.json")).collect();
                let near = closest(&text, &known.iter().map(String::as_str).collect::<Vec<_>>());
                let hint = near.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
                diagnostics.push(Diagnostic::at(&at, Check::DanglingReference, format!("{what}{hint}")).meant(&text, near));
            }
        }
    }
    diagnostics.extend(graph.circles());
    diagnostics
}

/// Where a reference of a document leads; none: out of what is looked at.
fn lead(graph: &Graph, names: &HashMap<&str, usize>, elsewhere: &[String], from: usize, text: &str) -> Result<Option<Spot>, String> {
    let (file, fragment) = text.split_once('#').unwrap_or((text, ""));
    let document = match file {
        "" => from,
        file if file == DIALECT => return Ok(None),
        file if file.contains("://") => {
            return Err(format!("cannot follow {text:?}: nothing is fetched; put it into contracts/ and name its file"));
        }
        file => {
            let last = file.rsplit('/').next().unwrap_or_default();
            let name = last.strip_suffix(".json").unwrap_or(last);
            match names.get(name) {
                Some(number) => *number,
                None if elsewhere.iter().any(|other| other == name) => return Ok(None),
                None => {
                    return Err(format!("cannot follow {text:?}: there is no contracts/{name}.json"));
                }
            }
        }
    };
    let pointer = match fragment {
        fragment if fragment.is_empty() || fragment.starts_with('/') => fragment.to_owned(),
        anchor => graph
            .anchors
            .get(&(document, anchor.to_owned()))
            .cloned()
            .ok_or_else(|| format!("cannot follow {text:?}: there is no $anchor of that name"))?,
    };
    let spot = (document, pointer);
    if graph.edges.contains_key(&spot) { Ok(Some(spot)) } else { Err(format!("cannot follow {text:?}: there is no schema at that place")) }
}

impl Graph {
    fn walk(&mut self, file: &str, node: &Node, spot: Spot) {
        self.edges.entry(spot.clone()).or_default();
        self.schemas.push(spot.clone());
        let Value::Map(entries) = &node.value else { return };
        for (_, keyword, value) in entries {
            match (keyword.as_str(), &value.value) {
                ("$ref", Value::Text(text)) => self.references.push((spot.clone(), Origin::new(file, value.place), text.clone())),
                ("$anchor", Value::Text(name)) => drop(self.anchors.insert((spot.0, name.clone()), spot.1.clone())),
                _ => {}
            }
            let within: Vec<(String, &Node)> = match (holds(keyword), &value.value) {
                (Some(Holds::Schema), _) => vec![(String::new(), value)],
                (Some(Holds::List), Value::List(items)) => {
                    items.iter().enumerate().map(|(number, node)| (format!("/{number}"), node)).collect()
                }
                (Some(Holds::Map), Value::Map(entries)) => {
                    entries.iter().map(|(_, key, node)| (format!("/{}", escaped(key)), node)).collect()
                }
                _ => continue,
            };
            for (end, schema) in within {
                let inner = (spot.0, format!("{}/{keyword}{end}", spot.1));
                if OF_THE_SAME_VALUE.contains(&keyword.as_str()) {
                    self.edges.entry(spot.clone()).or_default().push((inner.clone(), None));
                }
                self.walk(file, schema, inner);
            }
        }
    }

    /// Every reference that closes a circle, once.
    fn circles(&self) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        let (mut done, mut open): (HashSet<&Spot>, HashSet<&Spot>) = (HashSet::new(), HashSet::new());
        for root in &self.schemas {
            // A way down, each step with how many of its edges were gone already. No recursion: contracts may refer on and on.
            let mut way: Vec<(&Spot, usize)> = Vec::new();
            if done.insert(root) {
                open.insert(root);
                way.push((root, 0));
            }
            while let Some((spot, next)) = way.last_mut() {
                let Some((to, at)) = self.edges.get(*spot).and_then(|edges| edges.get(*next)) else {
                    open.remove(*spot);
                    way.pop();
                    continue;
                };
                *next += 1;
                if open.contains(to) {
                    let what = "cannot follow \"$ref\" in a circle: what it leads to takes over this schema";
                    diagnostics.extend(at.as_ref().map(|at| Diagnostic::at(at, Check::Circle, what)));
                } else if done.insert(to) {
                    open.insert(to);
                    way.push((to, 0));
                }
            }
        }
        diagnostics
    }
}
