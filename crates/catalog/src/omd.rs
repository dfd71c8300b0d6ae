//! `omd.yaml`: business services, their services and components, owners, the rules that recognise their telemetry, and how
//! long it is kept.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use model::{Table, parse_keep};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::fields::{Fields, Reader};
use crate::problem::Problem;
use crate::rules::anchored;
use crate::yaml::{self, Node, Place, Value};

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BusinessService {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub owners: Vec<Owner>,
    #[serde(skip_serializing_if = "Keep::is_empty")]
    pub retention: Keep,
    pub services: Vec<Service>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Owner {
    pub team: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub slack: String,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Service {
    pub name: String,
    #[serde(skip_serializing_if = "Keep::is_empty")]
    pub retention: Keep,
    pub components: Vec<Component>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Component {
    pub name: String,
    /// Empty: those of the business service.
    pub owners: Vec<Owner>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tier: String,
    #[serde(skip_serializing_if = "Keep::is_empty")]
    pub retention: Keep,
    #[serde(rename = "match")]
    pub matches: Vec<Match>,
    /// What it calls; none when it does not say, which is not the same as nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<Dependency>>,
}

/// What a component calls. Serialises as its kind and its name: `{"database": "orders"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dependency {
    /// `business service/service/component`.
    Component(String),
    Database(String),
    Queue(String),
    /// What is no part of the company.
    External(String),
}

/// How long rows are kept, as it is written in the file; a table that is not named is left to the level above.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Keep {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spans: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<String>,
}

impl Keep {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn of(&self, table: Table) -> Option<&str> {
        match table {
            Table::Logs => self.logs.as_deref(),
            Table::Spans => self.spans.as_deref(),
            Table::Samples => self.samples.as_deref(),
        }
    }
}

/// What all files together declare.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) business_services: Vec<BusinessService>,
    /// Of everybody for whom nothing more specific is declared.
    pub(crate) retention: Keep,
}

/// All of these must hold, sorted by attribute. Serialises as it is written in the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Match(pub Vec<(String, Pattern)>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    Exact(String),
    /// With `*` and `?`.
    Glob(String),
    /// Anchored at both ends.
    Regex(String),
}

impl Serialize for Match {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, pattern)| (key, pattern)))
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exact(text) | Self::Glob(text) => serializer.serialize_str(text),
            Self::Regex(regex) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("regex", regex)?;
                map.end()
            }
        }
    }
}

/// Reads every text to its end, so that one run shows all there is to fix.
pub(crate) fn read(texts: &[(&str, &str)]) -> Result<Declared, Vec<Problem>> {
    let mut reader = OmdReader::default();
    let mut all = Declared::default();
    let mut names = Names::new("business service");
    for (file, text) in texts {
        reader.file = (*file).to_owned();
        match yaml::parse(text) {
            Ok(root) => reader.root(&root, &mut names, &mut all),
            Err((place, what)) => reader.problem(place, what),
        }
    }
    reader.resolve(&mut all);
    match reader.problems.is_empty() {
        true => Ok(all),
        false => Err(reader.reader.problems),
    }
}

#[derive(Default)]
struct OmdReader {
    reader: Reader,
    /// Who already claims exactly these attributes, and where.
    claims: HashMap<Match, String>,
    /// Where everybody's retention is declared.
    retention: Option<String>,
    /// Components that others depend on, with the place that says so: they may be declared later.
    called: Vec<(Problem, String)>,
}

/// Names that must be unique among siblings, each with the place that has it.
struct Names {
    kind: &'static str,
    seen: HashMap<String, String>,
}

impl Names {
    fn new(kind: &'static str) -> Self {
        Self { kind, seen: HashMap::new() }
    }
}

impl Deref for OmdReader {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl DerefMut for OmdReader {
    fn deref_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }
}

impl OmdReader {
    fn root(&mut self, root: &Node, names: &mut Names, all: &mut Declared) {
        let Some(fields) = self.fields(root, "the file", &["business_services", "retention"]) else { return };
        if let Some(node) = fields.get("retention") {
            let place = self.place(node.place);
            match self.retention.replace(place) {
                Some(other) => self.problem(node.place, format!("cannot declare retention for everybody twice: it stands at {other}")),
                None => all.retention = self.keep(&fields),
            }
        } else {
            self.required(&fields, root, "the file", "business_services");
        }
        let items = self.optional_list(&fields, "business_services");
        all.business_services.extend(items.iter().filter_map(|item| self.business_service(item, names)));
    }

    fn business_service(&mut self, node: &Node, names: &mut Names) -> Option<BusinessService> {
        let fields = self.fields(node, "a business service", &["name", "description", "owners", "retention", "services"])?;
        let name = self.name(&fields, node, "a business service", names);
        let description = self.optional_text(&fields, "description");
        let owners = self.owners(&fields);
        let retention = self.keep(&fields);
        let mut services = Names::new("service");
        let services =
            self.optional_list(&fields, "services").iter().filter_map(|item| self.service(item, &mut services, name.as_deref())).collect();
        Some(BusinessService { name: name?, description, owners, retention, services })
    }

    fn service(&mut self, node: &Node, names: &mut Names, business: Option<&str>) -> Option<Service> {
        let fields = self.fields(node, "a service", &["name", "retention", "components"])?;
        let name = self.name(&fields, node, "a service", names);
        let retention = self.keep(&fields);
        let path = format!("{}/{}", business.unwrap_or_default(), name.as_deref().unwrap_or_default());
        let mut components = Names::new("component");
        let components =
            self.optional_list(&fields, "components").iter().filter_map(|item| self.component(item, &mut components, &path)).collect();
        Some(Service { name: name?, retention, components })
    }

    fn component(&mut self, node: &Node, names: &mut Names, path: &str) -> Option<Component> {
        let fields = self.fields(node, "a component", &["name", "owners", "tier", "retention", "match", "depends_on"])?;
        let name = self.name(&fields, node, "a component", names);
        let owners = self.owners(&fields);
        let tier = self.optional_text(&fields, "tier");
        let retention = self.keep(&fields);
        let path = format!("{path}/{}", name.as_deref().unwrap_or_default());
        let mut matches = Vec::new();
        if let Some(&node) = fields.get("match") {
            let items = self.list(node, "match");
            if items.is_empty() && matches!(node.value, Value::List(_)) {
                self.problem(node.place, "cannot use an empty match: name at least one attribute, or leave match out");
            }
            for item in items {
                if let Some(rule) = self.rule(item) {
                    self.claim(item.place, &rule, &path);
                    matches.push(rule);
                }
            }
        }
        let depends_on = fields.get("depends_on").map(|node| {
            let items = self.list(node, "depends_on");
            items.iter().filter_map(|item| self.dependency(item)).collect()
        });
        Some(Component { name: name?, owners, tier, retention, matches, depends_on })
    }

    fn dependency(&mut self, node: &Node) -> Option<Dependency> {
        const KINDS: [&str; 4] = ["component", "database", "queue", "external"];
        let (kind, named) = match &node.value {
            Value::Map(_) => {
                let fields = self.fields(node, "a dependency", &KINDS)?;
                let [kind] = KINDS.into_iter().filter(|kind| fields.contains_key(kind)).collect::<Vec<_>>()[..] else {
                    self.problem(node.place, format!("cannot read a dependency: it has one of {}", KINDS.join(", ")));
                    return None;
                };
                (kind, fields[kind])
            }
            _ => ("component", node),
        };
        let name = self.text(named, kind)?;
        if name.trim() != name || name.is_empty() {
            self.problem(named.place, format!("cannot depend on {name:?}: it is empty or begins or ends with a space"));
            return None;
        }
        Some(match kind {
            "database" => Dependency::Database(name),
            "queue" => Dependency::Queue(name),
            "external" => Dependency::External(name),
            _ => {
                let (file, Place { line, column }) = (self.file.clone(), named.place);
                self.called.push((Problem { file, line, column, what: String::new() }, name.clone()));
                Dependency::Component(name)
            }
        })
    }

    /// Writes the whole path of each component that others depend on, which may have been named by the end of its path.
    fn resolve(&mut self, all: &mut Declared) {
        let mut paths = Vec::new();
        for business in &all.business_services {
            for service in &business.services {
                paths.extend(service.components.iter().map(|component| format!("{}/{}/{}", business.name, service.name, component.name)));
            }
        }
        let found = |name: &str| -> Vec<&String> {
            paths.iter().filter(|path| path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('/'))).collect()
        };
        for (place, name) in std::mem::take(&mut self.called) {
            let what = match found(&name)[..] {
                [_] => continue,
                [] => format!("cannot depend on {name:?}: no component of that name is declared"),
                [one, other, ..] => format!("cannot depend on {name:?}: it may be {one} or {other}"),
            };
            self.problems.push(Problem { what, ..place });
        }
        let resolve = |dependency: &mut Dependency| {
            if let Dependency::Component(name) = dependency
                && let [path] = found(name)[..]
            {
                name.clone_from(path);
            }
        };
        let services = all.business_services.iter_mut().flat_map(|business| &mut business.services);
        services.flat_map(|service| &mut service.components).flat_map(|component| &mut component.depends_on).flatten().for_each(resolve);
    }

    /// Two components that claim the very same attributes would be told apart by file order alone.
    fn claim(&mut self, place: Place, rule: &Match, path: &str) {
        let claim = format!("{path} at {}", self.place(place));
        if let Some(other) = self.claims.insert(rule.clone(), claim) {
            self.problem(place, format!("cannot match the same attributes twice: {other} has this rule"));
        }
    }

    fn rule(&mut self, node: &Node) -> Option<Match> {
        let Value::Map(entries) = &node.value else {
            self.problem(node.place, format!("cannot read a match rule from {}: write attribute: value", node.value.kind()));
            return None;
        };
        if entries.is_empty() {
            self.problem(node.place, "cannot use an empty match: name at least one attribute");
            return None;
        }
        let mut tests: Vec<(String, Pattern)> = Vec::new();
        for (place, key, value) in entries {
            if tests.iter().any(|(other, _)| other == key) {
                self.problem(*place, format!("cannot name attribute {key:?} twice in one rule: write two rules"));
            } else if let Some(pattern) = self.pattern(value) {
                tests.push((key.clone(), pattern));
            }
        }
        tests.sort_by(|a, b| a.0.cmp(&b.0));
        (tests.len() == entries.len()).then_some(Match(tests))
    }

    fn pattern(&mut self, node: &Node) -> Option<Pattern> {
        match &node.value {
            Value::Text(text) if text.is_empty() => {
                self.problem(node.place, "cannot match an empty value: a missing attribute has it too");
                None
            }
            Value::Text(text) if text.contains(['*', '?']) => {
                if text.chars().all(|c| c == '*') {
                    self.problem(node.place, format!("cannot match {text:?}: it takes every value, so give the start or end of one"));
                    return None;
                }
                Some(Pattern::Glob(text.clone()))
            }
            Value::Text(text) => Some(Pattern::Exact(text.clone())),
            Value::Map(_) => {
                let fields = self.fields(node, "a pattern", &["regex"])?;
                let regex = self.required(&fields, node, "a pattern", "regex")?;
                let text = self.text(regex, "regex")?;
                match anchored(&text) {
                    Ok(compiled) if compiled.is_match("") => {
                        self.problem(
                            regex.place,
                            format!("cannot match with {text:?}: it takes the empty value, which a missing attribute has"),
                        );
                        None
                    }
                    Ok(_) => Some(Pattern::Regex(text)),
                    Err(error) => {
                        let why = error.to_string();
                        let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                        self.problem(regex.place, format!("cannot compile regular expression {text:?}: {last}"));
                        None
                    }
                }
            }
            other => {
                self.problem(node.place, format!("cannot match {}: write a value, a glob or {{regex: ...}}", other.kind()));
                None
            }
        }
    }

    fn keep(&mut self, fields: &Fields<'_>) -> Keep {
        let Some(node) = fields.get("retention") else { return Keep::default() };
        let Some(fields) = self.fields(node, "retention", &Table::ALL.map(Table::name)) else { return Keep::default() };
        if fields.is_empty() && matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
            self.problem(node.place, "cannot use an empty retention: name logs, spans or samples, or leave it out");
        }
        let mut time = |name| {
            let node = *fields.get(name)?;
            let text = self.text(node, name)?;
            match parse_keep(&text) {
                Ok(_) => Some(text),
                Err(why) => {
                    self.problem(node.place, why);
                    None
                }
            }
        };
        Keep { logs: time("logs"), spans: time("spans"), samples: time("samples") }
    }

    fn owners(&mut self, fields: &Fields<'_>) -> Vec<Owner> {
        let mut teams = Names::new("team");
        let mut owners = Vec::new();
        for node in self.optional_list(fields, "owners") {
            let Some(fields) = self.fields(node, "an owner", &["team", "email", "slack"]) else { continue };
            let team = self.required(&fields, node, "an owner", "team").and_then(|team| self.unique(team, "team", &mut teams));
            let (email, slack) = (self.optional_text(&fields, "email"), self.optional_text(&fields, "slack"));
            if let Some(email) = fields.get("email").filter(|_| !email.is_empty() && !email.contains('@')) {
                self.problem(email.place, "cannot write to this address: an email holds an @");
            }
            owners.extend(team.map(|team| Owner { team, email, slack }));
        }
        owners
    }

    fn name(&mut self, fields: &Fields<'_>, node: &Node, what: &str, names: &mut Names) -> Option<String> {
        let node = self.required(fields, node, what, "name")?;
        self.unique(node, "name", names)
    }

    fn unique(&mut self, node: &Node, field: &str, names: &mut Names) -> Option<String> {
        let text = self.text(node, field)?;
        if text.trim() != text || text.is_empty() {
            self.problem(node.place, format!("cannot use {text:?} as a {}: it is empty or begins or ends with a space", names.kind));
            return None;
        }
        if text == model::UNASSIGNED || text.starts_with("__") {
            self.problem(node.place, format!("cannot use {text:?} as a {}: it means something to Tyto itself", names.kind));
            return None;
        }
        let place = self.place(node.place);
        if let Some(other) = names.seen.get(&text) {
            self.problem(node.place, format!("cannot declare {} {text:?} twice: it stands at {other}", names.kind));
        }
        names.seen.entry(text.clone()).or_insert(place);
        Some(text)
    }
}
