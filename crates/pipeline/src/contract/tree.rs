//! What contracts ask beyond one value: alternatives, conditions, what is nested. A record is judged so only where its contract asks
//! such a thing. Refused: the crate `jsonschema`, which turns on a slower parser of numbers in `serde_json` for the whole program.

use hashbrown::{HashMap, HashSet};
use regex::Regex;
use serde_json::Value as Json;

use super::plan::{Rule, RuleId};
use super::value::{Class, Value};

/// A schema's place among [`Tree::nodes`].
pub(crate) type NodeId = usize;

/// Schemas; a schema may lead back to itself for a value that is nested in its own.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Vec<Part>>,
}

/// One keyword of a schema.
#[derive(Debug)]
pub(crate) enum Part {
    Test(RuleId),
    /// `enum` and `const` of lists and maps.
    Values(RuleId, Vec<Json>),
    All(Vec<NodeId>),
    Any(RuleId, Vec<NodeId>),
    One(RuleId, Vec<NodeId>),
    Not(RuleId, NodeId),
    If {
        condition: NodeId,
        then: Option<NodeId>,
        otherwise: Option<NodeId>,
    },
    Properties(HashMap<String, NodeId>),
    Patterns(Vec<(Regex, NodeId)>),
    Additional {
        names: HashSet<String>,
        patterns: Vec<Regex>,
        schema: NodeId,
    },
    Names(RuleId, NodeId),
    Required(RuleId, String),
    DependentRequired(RuleId, String, Vec<String>),
    DependentSchema(String, NodeId),
    PropertyCount(RuleId, u64, u64),
    Prefix(Vec<NodeId>),
    Items {
        after: usize,
        schema: NodeId,
    },
    Contains {
        rule: RuleId,
        schema: NodeId,
        least: u64,
        most: u64,
    },
    ItemCount(RuleId, u64, u64),
    Unique(RuleId),
    UnevaluatedProperties(NodeId),
    UnevaluatedItems(NodeId),
}

/// A rule that a value breaks, and where the value is.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) rule: RuleId,
    pub(crate) path: String,
    pub(crate) class: Class,
}

/// What a schema and those within it have looked at of a value: the rest is unevaluated.
#[derive(Debug, Default)]
struct Seen<'j> {
    names: HashSet<&'j str>,
    items: HashSet<usize>,
}

impl Seen<'_> {
    fn merge(&mut self, other: Self) {
        self.names.extend(other.names);
        self.items.extend(other.items);
    }
}

struct Walk<'t, 'o> {
    tree: &'t Tree,
    rules: &'t [Rule],
    path: Vec<String>,
    /// None where only whether a schema holds is asked.
    broken: Option<&'o mut Vec<Broken>>,
}

impl Tree {
    /// Whether a value keeps a schema; adds the rules that it breaks. `path` is that of the value.
    pub(crate) fn holds(&self, rules: &[Rule], node: NodeId, json: &Json, path: &str, broken: &mut Vec<Broken>) -> bool {
        let path = if path.is_empty() { Vec::new() } else { vec![path.to_owned()] };
        Walk { tree: self, rules, path, broken: Some(broken) }.schema(node, json, &mut Seen::default())
    }
}

impl<'t> Walk<'t, '_> {
    fn schema<'j>(&mut self, node: NodeId, json: &'j Json, seen: &mut Seen<'j>) -> bool {
        let (tree, mut own, mut holds) = (self.tree, Seen::default(), true);
        // What is unevaluated is known when all else has been looked at.
        let is_last = |part: &&Part| matches!(part, Part::UnevaluatedProperties(_) | Part::UnevaluatedItems(_));
        for part in tree.nodes[node].iter().filter(|part| !is_last(part)).chain(tree.nodes[node].iter().filter(is_last)) {
            holds &= self.part(part, json, &mut own);
            if !holds && self.broken.is_none() {
                return false;
            }
        }
        if holds {
            seen.merge(own);
        }
        holds
    }

    /// Whether a schema holds, of which nothing more is told.
    fn quietly<'j>(&mut self, node: NodeId, json: &'j Json, seen: &mut Seen<'j>) -> bool {
        Walk { tree: self.tree, rules: self.rules, path: Vec::new(), broken: None }.schema(node, json, seen)
    }

    fn below(&mut self, step: impl ToString, node: NodeId, json: &Json) -> bool {
        if self.broken.is_none() {
            return self.schema(node, json, &mut Seen::default());
        }
        self.path.push(step.to_string());
        let holds = self.schema(node, json, &mut Seen::default());
        self.path.pop();
        holds
    }

    fn tell(&mut self, rule: RuleId, holds: bool, class: impl FnOnce() -> Class, step: Option<&str>) -> bool {
        if let Some(broken) = self.broken.as_mut().filter(|_| !holds) {
            let path: Vec<&str> = self.path.iter().map(String::as_str).chain(step).collect();
            broken.push(Broken { rule, path: path.join("/"), class: class() });
        }
        holds
    }

    fn part<'j>(&mut self, part: &'t Part, json: &'j Json, seen: &mut Seen<'j>) -> bool {
        let class = || Value::of_json(json).class();
        match part {
            Part::Test(rule) => self.tell(*rule, self.rules[*rule as usize].test.holds(&Value::of_json(json)), class, None),
            Part::Values(rule, values) => self.tell(*rule, values.iter().any(|value| same(value, json)), class, None),
            Part::All(nodes) => {
                let mut holds = true;
                for node in nodes {
                    holds &= self.schema(*node, json, seen);
                }
                holds
            }
            Part::Any(rule, nodes) => {
                let holding = nodes.iter().filter(|node| self.quietly(**node, json, seen)).count();
                self.tell(*rule, holding > 0, class, None)
            }
            Part::One(rule, nodes) => {
                let holding = nodes.iter().filter(|node| self.quietly(**node, json, seen)).count();
                self.tell(*rule, holding == 1, class, None)
            }
            Part::Not(rule, node) => {
                let holds = !self.quietly(*node, json, &mut Seen::default());
                self.tell(*rule, holds, class, None)
            }
            Part::If { condition, then, otherwise } => match (self.quietly(*condition, json, seen), then, otherwise) {
                (true, Some(node), _) | (false, _, Some(node)) => self.schema(*node, json, seen),
                _ => true,
            },
            _ => match json {
                Json::Object(fields) => self.of_object(part, fields, seen),
                Json::Array(items) => self.of_array(part, items, seen),
                _ => true,
            },
        }
    }

    fn of_object<'j>(&mut self, part: &'t Part, fields: &'j serde_json::Map<String, Json>, seen: &mut Seen<'j>) -> bool {
        let mut holds = true;
        match part {
            Part::Properties(nodes) => {
                for (name, json) in fields {
                    if let Some(node) = nodes.get(name) {
                        seen.names.insert(name);
                        holds &= self.below(name, *node, json);
                    }
                }
            }
            Part::Patterns(nodes) => {
                for (name, json) in fields {
                    for (_, node) in nodes.iter().filter(|(pattern, _)| pattern.is_match(name)) {
                        seen.names.insert(name);
                        holds &= self.below(name, *node, json);
                    }
                }
            }
            Part::Additional { names, patterns, schema } => {
                for (name, json) in fields {
                    if !names.contains(name) && !patterns.iter().any(|pattern| pattern.is_match(name)) {
                        seen.names.insert(name);
                        holds &= self.below(name, *schema, json);
                    }
                }
            }
            Part::Names(rule, node) => {
                for name in fields.keys() {
                    let fits = self.quietly(*node, &Json::String(name.clone()), &mut Seen::default());
                    holds &= self.tell(*rule, fits, || Value::Text(name).class(), Some(name));
                }
            }
            Part::Required(rule, name) => holds = self.tell(*rule, fields.contains_key(name), || Class::Missing, Some(name)),
            Part::DependentRequired(rule, name, needed) => {
                let missing = needed.iter().filter(|_| fields.contains_key(name)).find(|needed| !fields.contains_key(*needed));
                holds = self.tell(*rule, missing.is_none(), || Class::Missing, missing.map(String::as_str));
            }
            Part::DependentSchema(name, node) if fields.contains_key(name) => {
                // The same value as this schema's own.
                let whole = Json::Object(fields.clone());
                let mut evaluated = Seen::default();
                holds = self.schema(*node, &whole, &mut evaluated);
                let known = |name: &&str| fields.get_key_value(*name).map(|(own, _)| own.as_str());
                seen.names.extend(evaluated.names.iter().filter_map(known));
            }
            Part::PropertyCount(rule, least, most) => {
                holds = self.tell(*rule, (*least..=*most).contains(&(fields.len() as u64)), || Class::Object, None);
            }
            Part::UnevaluatedProperties(node) => {
                for (name, json) in fields {
                    if seen.names.insert(name) {
                        holds &= self.below(name, *node, json);
                    }
                }
            }
            _ => {}
        }
        holds
    }

    fn of_array<'j>(&mut self, part: &'t Part, items: &'j [Json], seen: &mut Seen<'j>) -> bool {
        let mut holds = true;
        match part {
            Part::Prefix(nodes) => {
                for (at, (node, item)) in nodes.iter().zip(items).enumerate() {
                    seen.items.insert(at);
                    holds &= self.below(at, *node, item);
                }
            }
            Part::Items { after, schema } => {
                for (at, item) in items.iter().enumerate().skip(*after) {
                    seen.items.insert(at);
                    holds &= self.below(at, *schema, item);
                }
            }
            Part::Contains { rule, schema, least, most } => {
                let fitting: Vec<usize> = (0..items.len()).filter(|at| self.quietly(*schema, &items[*at], &mut Seen::default())).collect();
                holds = self.tell(*rule, (*least..=*most).contains(&(fitting.len() as u64)), || Class::Array, None);
                seen.items.extend(fitting);
            }
            Part::ItemCount(rule, least, most) => {
                holds = self.tell(*rule, (*least..=*most).contains(&(items.len() as u64)), || Class::Array, None);
            }
            Part::Unique(rule) => {
                let is_unique = (1..items.len()).all(|at| !items[..at].iter().any(|other| same(other, &items[at])));
                holds = self.tell(*rule, is_unique, || Class::Array, None);
            }
            Part::UnevaluatedItems(node) => {
                for (at, item) in items.iter().enumerate() {
                    if seen.items.insert(at) {
                        holds &= self.below(at, *node, item);
                    }
                }
            }
            _ => {}
        }
        holds
    }
}

/// JSON Schema's equality: 1 is 1.0, and the order of keys means nothing.
fn same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => one == other,
            _ => one.as_f64() == other.as_f64(),
        },
        (Json::Array(one), Json::Array(other)) => one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other)),
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}
