//! One file's tree to what it declares.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use model::{Table, parse_keep};

use crate::channels::{is_address, is_url};
use crate::checks::Check;
use crate::declared::{BusinessService, Component, Dependency, Keep, Link, Match, Owner, Pattern, Profile, Service};
use crate::fields::{Fields, Reader};
use crate::problem::Origin;
use crate::rules::anchored;
use crate::shape::{self, Shape};
use crate::yaml::{self, Node, Place, Value};

/// What has a name that is a part of a path, or of a file's.
const IN_PATHS: [&str; 4] = ["business service", "service", "component", "contract"];

/// A name that something else must have.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) at: Origin,
    pub(crate) name: String,
    pub(crate) wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// With the whole path of the component that calls it.
    Component {
        caller: String,
    },
    Contract,
    /// Of a board.
    BusinessService,
    /// One of those that are listed, if any are.
    Team,
}

/// A rule of a component.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) at: Origin,
    pub(crate) rule: Match,
    pub(crate) path: String,
}

/// What is to be a part of something that may be declared in another file.
#[derive(Clone, Debug)]
pub(crate) struct Added<T> {
    pub(crate) of: String,
    pub(crate) at: Origin,
    pub(crate) declared: T,
}

/// Reads every text to its end, so that one run shows all there is to fix.
#[derive(Default)]
pub(crate) struct OmdReader {
    pub(super) reader: Reader,
    pub(crate) business_services: Vec<BusinessService>,
    pub(super) services: Vec<Added<Service>>,
    pub(super) components: Vec<Added<Component>>,
    /// Of everybody for whom nothing more specific is declared.
    pub(crate) retention: Keep,
    retention_at: Option<Origin>,
    /// All mentions of teams with contacts; those of `teams` come with true.
    pub(super) teams: Vec<(Owner, Origin, bool)>,
    pub(super) references: Vec<Reference>,
    pub(super) claims: Vec<Claim>,
    /// Kind and path of everything that has a name, and where.
    pub(super) names: HashMap<(&'static str, String), Origin>,
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
    pub(crate) fn read(&mut self, file: &str, text: &str) {
        file.clone_into(&mut self.reader.file);
        match yaml::parse(text) {
            Ok(root) => self.file(&root),
            Err((place, what)) => self.problem(place, Check::Syntax, what),
        }
    }

    fn file(&mut self, root: &Node) {
        let Some(fields) = self.fields(root, &shape::OMD) else { return };
        if shape::OMD.any_of.iter().all(|key| !fields.contains_key(key)) {
            self.problem(root.place, Check::MissingKey, "cannot do without \"business_services\" in the file");
        }
        if let Some(node) = fields.get("retention") {
            match self.retention_at.clone() {
                Some(other) => {
                    let what = format!("cannot declare retention for everybody twice: it stands at {other}");
                    self.problem(node.place, Check::DuplicateName, what);
                }
                None => {
                    self.retention_at = Some(self.origin(node.place));
                    self.retention = self.keep(&fields);
                }
            }
        }
        self.owners(&fields, "teams");
        for node in self.optional_list(&fields, "business_services") {
            let declared = self.business_service(node);
            self.business_services.extend(declared);
        }
        for node in self.optional_list(&fields, "services") {
            let added = self.added(node, &shape::ADDED_SERVICE, Self::service);
            self.services.extend(added);
        }
        for node in self.optional_list(&fields, "components") {
            let added = self.added(node, &shape::ADDED_COMPONENT, Self::component);
            self.components.extend(added);
        }
    }

    fn business_service(&mut self, node: &Node) -> Option<BusinessService> {
        let fields = self.fields(node, &shape::BUSINESS_SERVICE)?;
        let named = self.name(&fields, "business service", "");
        let path = named.as_ref().map_or("", |(name, _)| name.as_str());
        let profile = self.profile(&fields);
        let services = self.parts(&fields, "services", &shape::SERVICE, path, Self::service);
        let (name, declared_at) = named?;
        Some(BusinessService { name, profile: Profile { declared_at, ..profile }, services })
    }

    fn service(&mut self, fields: &Fields<'_>, business: &str) -> Option<Service> {
        let named = self.name(fields, "service", business);
        let path = format!("{business}/{}", named.as_ref().map_or("", |(name, _)| name.as_str()));
        let profile = self.profile(fields);
        let components = self.parts(fields, "components", &shape::COMPONENT, &path, Self::component);
        let (name, declared_at) = named?;
        Some(Service { name, profile: Profile { declared_at, ..profile }, components })
    }

    fn component(&mut self, fields: &Fields<'_>, service: &str) -> Option<Component> {
        let named = self.name(fields, "component", service);
        let path = format!("{service}/{}", named.as_ref().map_or("", |(name, _)| name.as_str()));
        let profile = self.profile(fields);
        let mut matches = Vec::new();
        if let Some(&node) = fields.get("match") {
            let items = self.list(node, "match");
            if items.is_empty() && matches!(node.value, Value::List(_)) {
                self.problem(node.place, Check::BadMatch, "cannot use an empty match: name at least one attribute, or leave match out");
            }
            for item in items {
                if let Some(rule) = self.rule(item) {
                    let at = self.origin(item.place);
                    self.claims.push(Claim { at, rule: rule.clone(), path: path.clone() });
                    matches.push(rule);
                }
            }
        }
        let depends_on = fields.get("depends_on").map(|node| {
            let items = self.list(node, "depends_on");
            items.iter().filter_map(|item| self.dependency(item, &path)).collect()
        });
        let (name, declared_at) = named?;
        Some(Component { name, profile: Profile { declared_at, ..profile }, matches, depends_on })
    }

    /// What stands below its own parent.
    fn parts<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &'static str,
        shape: &Shape,
        path: &str,
        read: fn(&mut Self, &Fields<'_>, &str) -> Option<T>,
    ) -> Vec<T> {
        let mut parts = Vec::new();
        for node in self.optional_list(fields, key) {
            let part = self.fields(node, shape).and_then(|fields| read(self, &fields, path));
            parts.extend(part);
        }
        parts
    }

    /// What says itself whose part it is.
    fn added<T>(&mut self, node: &Node, shape: &Shape, read: fn(&mut Self, &Fields<'_>, &str) -> Option<T>) -> Option<Added<T>> {
        let fields = self.fields(node, shape)?;
        let of = fields.get("of").and_then(|node| Some((self.text(node, "of")?, self.origin(node.place))));
        let declared = read(self, &fields, of.as_ref().map_or("", |(of, _)| of.as_str()))?;
        let (of, at) = of?;
        Some(Added { of, at, declared })
    }

    /// What each level may say of itself, but where it is declared.
    fn profile(&mut self, fields: &Fields<'_>) -> Profile {
        let contract = self.label(fields, "contract");
        if let Some(node) = fields.get("contract").filter(|_| !contract.is_empty()) {
            let reference = Reference { at: self.origin(node.place), name: contract.clone(), wanted: Wanted::Contract };
            self.references.push(reference);
        }
        Profile {
            description: self.optional_text(fields, "description"),
            owners: self.owners(fields, "owners"),
            tier: self.tier(fields),
            environment: self.label(fields, "environment"),
            cost_centre: self.label(fields, "cost_centre"),
            contract,
            links: self.links(fields, "links"),
            runbooks: self.links(fields, "runbooks"),
            retention: self.keep(fields),
            declared_at: Origin::default(),
        }
    }

    fn tier(&mut self, fields: &Fields<'_>) -> String {
        let Some(node) = fields.get("tier") else { return String::new() };
        let Some(tier) = self.text(node, "tier") else { return String::new() };
        if !matches!(tier.as_bytes(), [b'0'..=b'4']) {
            let what = format!("cannot use {tier:?} as a tier: it is a number from 0 (everything hangs on it) to 4");
            self.problem(node.place, Check::BadValue, what);
        }
        tier
    }

    /// A name of something that is not declared here.
    fn label(&mut self, fields: &Fields<'_>, key: &'static str) -> String {
        let Some(node) = fields.get(key) else { return String::new() };
        self.text(node, key).and_then(|text| self.usable(node.place, text, &key.replace('_', " "))).unwrap_or_default()
    }

    fn links(&mut self, fields: &Fields<'_>, key: &'static str) -> Vec<Link> {
        let mut links = Vec::new();
        for node in self.optional_list(fields, key) {
            let Some(fields) = self.fields(node, &shape::LINK) else { continue };
            let (title, url) = (self.said(&fields, "title"), self.url(&fields, "url"));
            links.extend(title.zip(url).map(|(title, url)| Link { title, url }));
        }
        links
    }

    fn said(&mut self, fields: &Fields<'_>, key: &'static str) -> Option<String> {
        let node = *fields.get(key)?;
        let text = self.text(node, key)?;
        if text.trim().is_empty() {
            self.problem(node.place, Check::BadValue, format!("cannot use an empty {key:?}"));
            return None;
        }
        Some(text)
    }

    fn url(&mut self, fields: &Fields<'_>, key: &'static str) -> Option<String> {
        let node = *fields.get(key)?;
        let text = self.text(node, key)?;
        if !is_url(&text) {
            self.problem(
                node.place,
                Check::BadValue,
                format!("cannot open {text:?}: an address begins with https:// or http:// and a host"),
            );
            return None;
        }
        Some(text)
    }

    fn dependency(&mut self, node: &Node, caller: &str) -> Option<Dependency> {
        let (kind, named) = match &node.value {
            Value::Map(_) => {
                let fields = self.fields(node, &shape::DEPENDENCY)?;
                let kinds = shape::DEPENDENCY.one_of;
                let [kind] = kinds.iter().filter(|kind| fields.contains_key(*kind)).collect::<Vec<_>>()[..] else {
                    let what = format!("cannot read a dependency: it has one of {}", kinds.join(", "));
                    self.problem(node.place, Check::MissingKey, what);
                    return None;
                };
                (*kind, fields[kind])
            }
            _ => ("component", node),
        };
        let name = self.text(named, kind)?;
        if name.trim() != name || name.is_empty() {
            let what = format!("cannot depend on {name:?}: it is empty or begins or ends with a space");
            self.problem(named.place, Check::BadName, what);
            return None;
        }
        Some(match kind {
            "database" => Dependency::Database(name),
            "queue" => Dependency::Queue(name),
            "external" => Dependency::External(name),
            _ => {
                let (at, wanted) = (self.origin(named.place), Wanted::Component { caller: caller.to_owned() });
                self.references.push(Reference { at, name: name.clone(), wanted });
                Dependency::Component(name)
            }
        })
    }

    fn rule(&mut self, node: &Node) -> Option<Match> {
        let Value::Map(entries) = &node.value else {
            let kind = node.value.kind();
            self.problem(node.place, Check::WrongType, format!("cannot read a match rule from {kind}: write attribute: value"));
            return None;
        };
        if entries.is_empty() {
            self.problem(node.place, Check::BadMatch, "cannot use an empty match: name at least one attribute");
            return None;
        }
        let mut tests: Vec<(String, Pattern)> = Vec::new();
        for (place, key, value) in entries {
            if tests.iter().any(|(other, _)| other == key) {
                let what = format!("cannot name attribute {key:?} twice in one rule: write two rules");
                self.problem(*place, Check::RepeatedKey, what);
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
                self.problem(node.place, Check::BadMatch, "cannot match an empty value: a missing attribute has it too");
                None
            }
            Value::Text(text) if text.chars().all(|c| c == '*') => {
                let what = format!("cannot match {text:?}: it takes every value, so give the start or end of one");
                self.problem(node.place, Check::BadMatch, what);
                None
            }
            Value::Text(text) => Some(Pattern::of_text(text.clone())),
            Value::Map(_) => {
                let fields = self.fields(node, &shape::PATTERN)?;
                let regex = *fields.get("regex")?;
                let text = self.text(regex, "regex")?;
                self.regex(regex.place, text)
            }
            other => {
                let kind = other.kind();
                self.problem(node.place, Check::WrongType, format!("cannot match {kind}: write a value, a glob or {{regex: ...}}"));
                None
            }
        }
    }

    fn regex(&mut self, place: Place, text: String) -> Option<Pattern> {
        match anchored(&text) {
            Ok(compiled) if compiled.is_match("") => {
                let what = format!("cannot match with {text:?}: it takes the empty value, which a missing attribute has");
                self.problem(place, Check::BadMatch, what);
                None
            }
            Ok(_) => Some(Pattern::Regex(text)),
            Err(error) => {
                let why = error.to_string();
                let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.problem(place, Check::BadValue, format!("cannot compile regular expression {text:?}: {last}"));
                None
            }
        }
    }

    fn keep(&mut self, fields: &Fields<'_>) -> Keep {
        let Some(node) = fields.get("retention") else { return Keep::default() };
        let Some(fields) = self.fields(node, &shape::RETENTION_TIMES) else { return Keep::default() };
        if fields.is_empty() && matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
            let what = "cannot use an empty retention: name logs, spans, samples or quarantine, or leave it out";
            self.problem(node.place, Check::MissingKey, what);
        }
        let mut time = |table: Table| {
            let node = *fields.get(table.name())?;
            let text = self.text(node, table.name())?;
            match parse_keep(&text) {
                Ok(_) => Some(text),
                Err(why) => {
                    self.problem(node.place, Check::BadValue, why);
                    None
                }
            }
        };
        Keep { logs: time(Table::Logs), spans: time(Table::Spans), samples: time(Table::Samples), quarantine: time(Table::Quarantine) }
    }

    /// Those of one level, or all teams that there are.
    fn owners(&mut self, fields: &Fields<'_>, key: &'static str) -> Vec<Owner> {
        let mut owners: Vec<(Owner, Origin)> = Vec::new();
        for node in self.optional_list(fields, key) {
            let Some(fields) = self.fields(node, &shape::OWNER) else { continue };
            let team = fields.get("team").and_then(|node| {
                let text = self.text(node, "team")?;
                Some((self.usable(node.place, text, "team")?, self.origin(node.place)))
            });
            let owner = self.contacts(&fields);
            let Some((team, at)) = team else { continue };
            if let Some((_, other)) = owners.iter().find(|(other, _)| other.team == team) {
                let what = format!("cannot declare team {team:?} twice: it stands at {other}");
                self.problem(Place { line: at.line, column: at.column }, Check::DuplicateName, what);
                continue;
            }
            owners.push((Owner { team, ..owner }, at));
        }
        self.teams.extend(owners.iter().map(|(owner, at)| (owner.clone(), at.clone(), key == "teams")));
        if key == "owners" {
            let wanted = |(owner, at): &(Owner, Origin)| Reference { at: at.clone(), name: owner.team.clone(), wanted: Wanted::Team };
            self.references.extend(owners.iter().map(wanted));
        }
        owners.into_iter().map(|(owner, _)| owner).collect()
    }

    fn contacts(&mut self, fields: &Fields<'_>) -> Owner {
        let email = self.optional_text(fields, "email");
        if let Some(node) = fields.get("email").filter(|_| !email.is_empty() && !is_address(&email)) {
            self.problem(node.place, Check::BadValue, "cannot write to this address: an email is one name@host");
        }
        let slack = match fields.get("slack") {
            Some(node) if matches!(node.value, Value::Null) => {
                let what = "cannot read \"slack\" from nothing: a # begins a comment unless it stands in quotes, as in \"#payments\"";
                self.problem(node.place, Check::WrongType, what);
                String::new()
            }
            _ => self.said(fields, "slack").unwrap_or_default(),
        };
        let github = self.optional_text(fields, "github");
        if let Some(node) = fields.get("github") {
            let parts: Vec<_> = github.split('/').collect();
            // They become a part of an address that gets a token.
            let is_name =
                |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) && !part.trim_matches('.').is_empty();
            if !matches!(parts[..], [owner, name] if is_name(owner) && is_name(name)) {
                self.problem(node.place, Check::BadValue, format!("cannot file issues in {github:?}: a repository is owner/name"));
            }
        }
        let [webhook, on_call] = ["webhook", "on_call"].map(|key| self.url(fields, key).unwrap_or_default());
        Owner { team: String::new(), email, slack, github, webhook, on_call }
    }

    /// The name of what is declared below `parent`, and where it stands; it must be the only one of that name there.
    fn name(&mut self, fields: &Fields<'_>, kind: &'static str, parent: &str) -> Option<(String, Origin)> {
        let node = *fields.get("name")?;
        let text = self.text(node, "name")?;
        let name = self.usable(node.place, text, kind)?;
        let at = self.origin(node.place);
        let path = if kind == "business service" { name.clone() } else { format!("{parent}/{name}") };
        // Below what has no name itself, nobody can tell what is declared twice.
        if path.split('/').any(str::is_empty) {
            return Some((name, at));
        }
        if let Some(other) = self.names.get(&(kind, path.clone())) {
            let what = format!("cannot declare {kind} {name:?} twice: it stands at {other}");
            self.problem(node.place, Check::DuplicateName, what);
        } else {
            self.names.insert((kind, path), at.clone());
        }
        Some((name, at))
    }

    /// A text that something can be called.
    fn usable(&mut self, place: Place, text: String, kind: &str) -> Option<String> {
        let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        let why = match text.as_str() {
            text if text.trim() != text || text.is_empty() => "it is empty or begins or ends with a space",
            text if text == model::UNASSIGNED || text.starts_with("__") => "it means something to Tyto itself",
            text if text.contains('/') && IN_PATHS.contains(&kind) => "/ stands between the names of a path",
            _ => return Some(text),
        };
        self.problem(place, Check::BadName, format!("cannot use {text:?} as {article} {kind}: {why}"));
        None
    }
}
