//! Files to a registry. The second form of files, `definition/2`, has a list for each kind of group, the first has one list of all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value as Json;

use super::types::{self, Schema, Words};
use crate::checks::Check;
use crate::fields::Reader;
use crate::problem::{Diagnostic, Origin};
use crate::yaml::{self, Node, Place, Value};

#[derive(Default)]
pub(super) struct Registry {
    /// Of the first manifest: what the registry is called, where it stands, and its version.
    pub(super) title: String,
    pub(super) url: String,
    pub(super) version: String,
    pub(super) attributes: Vec<Attribute>,
    /// Places in `attributes`.
    pub(super) by_key: HashMap<String, usize>,
    pub(super) groups: Vec<Group>,
    /// Places in `groups`.
    pub(super) by_id: HashMap<String, usize>,
    /// Ids of groups of dependencies that are taken, with `*` for any letters.
    pub(super) imports: Vec<(String, Origin)>,
}

/// As it is defined.
pub(super) struct Attribute {
    pub(super) key: String,
    pub(super) schema: Schema,
    /// It is the beginning of attributes' names.
    pub(super) is_template: bool,
    /// Where those who name it do not say; none where its definition does not either.
    pub(super) is_required: Option<bool>,
    pub(super) is_own: bool,
    pub(super) at: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Attributes,
    Entity,
    Event,
    /// What has no place in a contract, as it is called.
    Other(&'static str),
}

pub(super) struct Group {
    pub(super) kind: Kind,
    pub(super) id: String,
    /// That events have in records.
    pub(super) name: String,
    pub(super) words: Words,
    pub(super) named: Vec<Named>,
    /// Ids of groups whose attributes it names as well.
    pub(super) takes_over: Vec<(String, Origin)>,
    /// With whether it is required.
    pub(super) body: Option<(Schema, bool)>,
    pub(super) is_own: bool,
    pub(super) at: Origin,
}

/// An attribute that a group names; what is none it does not say.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) key: String,
    pub(super) is_required: Option<bool>,
    pub(super) identifies: Option<bool>,
    /// What is said of it there, and when it is required.
    pub(super) text: String,
    pub(super) at: Origin,
}

impl Named {
    /// What a farther group says of the same, where this one says nothing.
    pub(super) fn take_over(&mut self, farther: &Self) {
        self.is_required = self.is_required.or(farther.is_required);
        self.identifies = self.identifies.or(farther.identifies);
        if self.text.is_empty() {
            self.text.clone_from(&farther.text);
        }
    }
}

/// A list of groups in a file of the second form.
struct Section {
    key: &'static str,
    kind: Kind,
    /// The key of their names; what comes before these in ids, and before names that are referred to.
    name: &'static str,
    prefix: &'static str,
}

const fn section(key: &'static str, kind: Kind, name: &'static str, prefix: &'static str) -> Section {
    Section { key, kind, name, prefix }
}

const SECTIONS: [Section; 9] = [
    section("attribute_groups", Kind::Attributes, "id", ""),
    section("entities", Kind::Entity, "type", "entity."),
    section("events", Kind::Event, "name", "event."),
    section("metrics", Kind::Other("metrics"), "name", "metric."),
    section("spans", Kind::Other("spans"), "type", "span."),
    // A record does not say that it is of one of these.
    section("entity_refinements", Kind::Other("entity_refinements"), "id", "entity."),
    section("event_refinements", Kind::Other("event_refinements"), "id", "event."),
    section("metric_refinements", Kind::Other("metric_refinements"), "id", "metric."),
    section("span_refinements", Kind::Other("span_refinements"), "id", "span."),
];

const KINDS: [(&str, Kind); 8] = [
    ("attribute_group", Kind::Attributes),
    ("metric_group", Kind::Attributes),
    ("entity", Kind::Entity),
    ("resource", Kind::Entity),
    ("event", Kind::Event),
    ("metric", Kind::Other("metrics")),
    ("span", Kind::Other("spans")),
    ("scope", Kind::Other("scopes")),
];

const GROUP_KEYS: [&str; 25] = [
    "id",
    "type",
    "name",
    "ref",
    "brief",
    "note",
    "stability",
    "deprecated",
    "extends",
    "attributes",
    "identity",
    "description",
    "body",
    "display_name",
    "visibility",
    "requirement_level",
    "entity_associations",
    "annotations",
    "metric_name",
    "instrument",
    "unit",
    "span_kind",
    "kind",
    "events",
    "prefix",
];
const ATTRIBUTE_KEYS: [&str; 15] = [
    "id",
    "key",
    "ref",
    "ref_group",
    "type",
    "brief",
    "note",
    "examples",
    "stability",
    "deprecated",
    "requirement_level",
    "sampling_relevant",
    "role",
    "tag",
    "annotations",
];
const MANIFESTS: [&str; 4] = ["manifest.yaml", "manifest.yml", "registry_manifest.yaml", "registry_manifest.yml"];

/// With what is left out.
pub(super) fn read(own: &[(&str, &str)], dependencies: &[(&str, &str)]) -> Result<(Registry, Vec<String>), Vec<Diagnostic>> {
    let mut reading = Reading::default();
    for (texts, is_own) in [(own, true), (dependencies, false)] {
        for (file, text) in texts {
            (*file).clone_into(&mut reading.reader.file);
            reading.is_own = is_own;
            match parse(text) {
                Ok(root) => reading.file(&root),
                Err((place, what)) => reading.reader.problem(place, Check::Syntax, what),
            }
        }
    }
    let Reading { reader, registry, unknown, .. } = reading;
    if !reader.diagnostics.is_empty() {
        return Err(reader.diagnostics);
    }
    let said = |(key, of): (String, BTreeSet<String>)| {
        format!("key {key:?}, which is not known: left out of {}", of.into_iter().collect::<Vec<_>>().join(", "))
    };
    Ok((registry, unknown.into_iter().map(said).collect()))
}

/// Lists that end as far to the left as they begin are no YAML, but Weaver reads them, and OpenTelemetry's registry has one.
fn parse(text: &str) -> Result<Node, yaml::Fault> {
    yaml::parse_with_aliases(text).or_else(|fault| {
        let is_end = |line: &str| line.trim_start().starts_with([']', '}']);
        let moved: Vec<String> = text.split('\n').map(|line| format!("{}{line}", if is_end(line) { " " } else { "" })).collect();
        yaml::parse_with_aliases(&moved.join("\n")).map_err(|_| fault)
    })
}

#[derive(Default)]
struct Reading {
    reader: Reader,
    registry: Registry,
    is_own: bool,
    /// Keys that Weaver does not have, or not yet, and what has them.
    unknown: BTreeMap<String, BTreeSet<String>>,
}

impl Reading {
    fn file(&mut self, root: &Node) {
        if matches!(root.value, Value::Null) {
            return;
        }
        let Value::Map(_) = &root.value else {
            let what = format!("cannot read a registry from {}: it is a map with groups or a file_format", root.value.kind());
            return self.reader.problem(root.place, Check::WrongType, what);
        };
        if MANIFESTS.iter().any(|name| self.reader.file.rsplit(['/', '\\']).next() == Some(*name)) {
            return self.manifest(root);
        }
        match root.get("file_format") {
            None => self.first_form(root),
            Some(format) => match format.text() {
                Some("definition/1") => self.first_form(root),
                Some("definition/2") => self.second_form(root),
                _ => {
                    let text = format.text().unwrap_or_default();
                    let what = format!("cannot read file_format {text:?}: definition/1 and definition/2 are read");
                    self.reader.problem(format.place, Check::BadValue, what);
                }
            },
        }
        if let Some(imports) = root.get("imports").filter(|_| self.is_own) {
            self.imports(imports);
        }
    }

    fn imports(&mut self, imports: &Node) {
        for (list, prefix) in [("attribute_groups", ""), ("entities", "entity."), ("events", "event.")] {
            for item in imports.get(list).map_or(&[][..], |items| self.reader.list(items, list)) {
                let glob = self.reader.text(item, list).unwrap_or_default();
                self.registry.imports.push((format!("{prefix}{glob}"), self.reader.origin(item.place)));
            }
        }
    }

    /// Only the first one of the registry itself counts.
    fn manifest(&mut self, root: &Node) {
        if !self.is_own || !self.registry.url.is_empty() {
            return;
        }
        let reader = &mut self.reader;
        let mut text = |key: &str| types::said(reader, root, key);
        let (name, description, url) = (text("name"), text("description"), text("schema_url"));
        let (base, version) = (text("schema_base_url"), text("semconv_version"));
        // The version is the address's end.
        let end = url.rsplit('/').next().unwrap_or_default().to_owned();
        let registry = &mut self.registry;
        registry.title = if name.is_empty() { description.lines().next().unwrap_or_default().to_owned() } else { name };
        registry.version = if version.is_empty() { end } else { version };
        registry.url = if url.is_empty() { base } else { url };
    }

    fn first_form(&mut self, root: &Node) {
        self.keys(root, "a file", &["groups", "imports", "file_format"]);
        let Some(groups) = root.get("groups") else {
            if root.get("imports").is_none() {
                let what = "cannot read a registry without \"groups\" or \"file_format\"";
                self.reader.problem(root.place, Check::MissingKey, what);
            }
            return;
        };
        for group in self.reader.list(groups, "groups") {
            if let Some(kind) = self.kind(group) {
                self.group(group, kind, "id", "");
            }
        }
    }

    fn kind(&mut self, group: &Node) -> Option<Kind> {
        if !self.keys(group, "a group", &GROUP_KEYS) {
            return None;
        }
        let Some(node) = group.get("type") else {
            self.reader.problem(group.place, Check::MissingKey, "cannot do without \"type\" in a group");
            return None;
        };
        let of_type = self.reader.text(node, "type")?;
        let kind = KINDS.into_iter().find(|(name, _)| *name == of_type).map(|(_, kind)| kind);
        if kind.is_none() {
            let known = KINDS.map(|(name, _)| name);
            let otherwise = format!("types are {}", known.join(", "));
            self.reader.unknown((node.place, Check::BadValue), &of_type, &format!("cannot use type {of_type:?}"), &known, &otherwise);
        }
        kind
    }

    fn second_form(&mut self, root: &Node) {
        let known: Vec<&str> = ["file_format", "attributes", "imports"].into_iter().chain(SECTIONS.map(|section| section.key)).collect();
        self.keys(root, "a file", &known);
        for attribute in root.get("attributes").map_or(&[][..], |list| self.reader.list(list, "attributes")) {
            if self.keys(attribute, "an attribute", &ATTRIBUTE_KEYS) {
                self.define(attribute, "key");
            }
        }
        for Section { key, kind, name, prefix } in &SECTIONS {
            for group in root.get(key).map_or(&[][..], |list| self.reader.list(list, key)) {
                if self.keys(group, "a group", &GROUP_KEYS) {
                    self.group(group, *kind, name, prefix);
                }
            }
        }
    }

    fn group(&mut self, node: &Node, kind: Kind, name_key: &str, prefix: &str) {
        let called = types::said(&mut self.reader, node, name_key);
        if called.is_empty() {
            return self.reader.problem(node.place, Check::MissingKey, format!("cannot do without {name_key:?} in a group"));
        }
        if let Some(prefix) = node.get("prefix").filter(|prefix| prefix.text() != Some("")) {
            let what = "cannot read \"prefix\", which Weaver has no more: write whole names in \"id\"";
            self.reader.problem(prefix.place, Check::BadValue, what);
        }
        let id = if name_key == "id" { called } else { format!("{prefix}{called}") };
        let name = if kind == Kind::Event { types::said(&mut self.reader, node, "name") } else { String::new() };
        if kind == Kind::Event && name.is_empty() {
            self.reader.problem(node.place, Check::MissingKey, format!("cannot do without \"name\" in event {id:?}"));
        }
        if let Some(first) = self.registry.by_id.insert(id.clone(), self.registry.groups.len()) {
            let what = format!("cannot use two groups called {id:?}: the other one is at {}", self.registry.groups[first].at);
            self.reader.problem(node.place, Check::DuplicateName, what);
        }
        let (named, takes_over) = self.members(node, prefix);
        let body = node.get("body").and_then(|body| types::body(&mut self.reader, body));
        let words = types::words(&mut self.reader, node);
        let at = self.reader.origin(node.place);
        self.registry.groups.push(Group { kind, id, name, words, named, takes_over, body, is_own: self.is_own, at });
    }

    /// The attributes that a group names itself, and the ids of the groups that it takes others from.
    fn members(&mut self, node: &Node, prefix: &str) -> (Vec<Named>, Vec<(String, Origin)>) {
        let mut takes_over = Vec::new();
        for (key, prefix) in [("extends", ""), ("ref", prefix)] {
            if let Some(other) = node.get(key) {
                let text = self.reader.text(other, key).unwrap_or_default();
                takes_over.push((format!("{prefix}{text}"), self.reader.origin(other.place)));
            }
        }
        let mut named = Vec::new();
        for (key, identifies) in [("attributes", None), ("identity", Some(true)), ("description", Some(false))] {
            for item in node.get(key).map_or(&[][..], |list| self.reader.list(list, key)) {
                if !self.keys(item, "an attribute", &ATTRIBUTE_KEYS) {
                    continue;
                }
                match item.get("ref_group") {
                    Some(group) => {
                        let text = self.reader.text(group, "ref_group").unwrap_or_default();
                        takes_over.push((text, self.reader.origin(group.place)));
                    }
                    None => named.extend(self.named(item, identifies)),
                }
            }
        }
        (named, takes_over)
    }

    /// An attribute in a group: named where it is defined elsewhere, else defined.
    fn named(&mut self, node: &Node, identifies: Option<bool>) -> Option<Named> {
        let (is_required, when) = types::level(&mut self.reader, node);
        let role = node.get("role").and_then(Node::text).map(|role| role != "descriptive");
        let identifies = if identifies == Some(false) { identifies } else { role.or(identifies) };
        let (key, place, mut words) = match node.get("ref") {
            Some(key) => (self.reader.text(key, "ref")?, key.place, types::words(&mut self.reader, node)),
            None => {
                let key = self.define(node, "id")?;
                self.registry.attributes.last_mut().into_iter().for_each(|defined| defined.is_required = is_required);
                (key, node.place, Words::default())
            }
        };
        words.add(&when);
        Some(Named { key, is_required, identifies, text: words.text, at: self.reader.origin(place) })
    }

    /// Its key, unless that is missing.
    fn define(&mut self, node: &Node, name_key: &str) -> Option<String> {
        let key = types::said(&mut self.reader, node, name_key);
        let place = node.get(name_key).unwrap_or(node).place;
        if key.is_empty() {
            self.reader.problem(place, Check::MissingKey, format!("cannot do without {name_key:?} in an attribute"));
            return None;
        }
        if key.len() > model::DeclaredFields::KEY_BYTES_MAX {
            let what = format!("cannot use a name of over {} bytes", model::DeclaredFields::KEY_BYTES_MAX);
            self.reader.problem(place, Check::BadName, what);
        }
        let (schema, is_template) = types::attribute(&mut self.reader, node)?;
        if let Some(first) = self.registry.by_key.insert(key.clone(), self.registry.attributes.len()) {
            let what = format!("cannot define attribute {key:?} twice: it stands at {}", self.registry.attributes[first].at);
            self.reader.problem(place, Check::DuplicateName, what);
        }
        let at = self.reader.origin(place);
        self.registry.attributes.push(Attribute { key: key.clone(), schema, is_template, is_required: None, is_own: self.is_own, at });
        Some(key)
    }

    /// Whether it is a map at all. Keys stand once; unknown ones are no problem: the forms grow.
    fn keys(&mut self, node: &Node, what: &str, known: &[&str]) -> bool {
        let Value::Map(entries) = &node.value else {
            let kind = node.value.kind();
            self.reader.problem(node.place, Check::WrongType, format!("cannot read {what} from {kind}: it is a map"));
            return false;
        };
        let mut seen: HashMap<&str, Place> = HashMap::new();
        for (place, key, _) in entries {
            if let Some(first) = seen.insert(key, *place) {
                let text = format!("cannot use key {key:?} twice in {what}: it stands at {}:{}", first.line, first.column);
                self.reader.problem(*place, Check::RepeatedKey, text);
            }
            if !known.contains(&key.as_str()) {
                let name = ["id", "key", "ref", "name", "type"].into_iter().find_map(|name| node.get(name)?.text());
                self.unknown.entry(key.clone()).or_default().insert(name.unwrap_or(&self.reader.file).to_owned());
            }
        }
        true
    }
}

impl Registry {
    pub(super) fn attribute(&self, key: &str) -> Option<&Attribute> {
        self.by_key.get(key).map(|&place| &self.attributes[place])
    }

    pub(super) fn group(&self, id: &str) -> Option<&Group> {
        self.by_id.get(id).map(|&place| &self.groups[place])
    }
}

impl Attribute {
    /// The type as JSON Schema calls it; none of a list of them, or where anything goes.
    pub(super) fn of_type(&self) -> Option<&str> {
        self.schema.get("type").and_then(Json::as_str)
    }
}
