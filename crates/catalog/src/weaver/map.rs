//! A registry as a contract, and what has no place in one.

use std::collections::{BTreeMap, BTreeSet};

use model::{DeclaredFields, FieldType};
use serde_json::{Value as Json, json};

use super::read::{Attribute, Group, Kind, Named, Registry};
use super::resolve::Taken;
use super::types::{Schema, say};
use crate::contracts::{CORE_FIELDS, DIALECT};
use crate::hints::{self, Mode};

/// Attributes by their names.
type Attributes<'r> = BTreeMap<&'r str, &'r Attribute>;

pub(super) fn map(registry: &Registry, taken: &Taken<'_>, left_out: &mut Vec<String>) -> Json {
    let mut mapping = Mapping { registry, left_out };
    mapping.others(taken);
    let (mut columns, mut typed, mut resource) = (Attributes::new(), Attributes::new(), Attributes::new());
    for (group, named) in &taken.groups {
        let into = match group.kind {
            Kind::Entity => &mut resource,
            Kind::Attributes if taken.whole => &mut typed,
            Kind::Attributes | Kind::Event => &mut columns,
            Kind::Other(_) => continue,
        };
        into.extend(named.iter().filter_map(|named| Some((named.key.as_str(), registry.attribute(&named.key)?))));
    }
    if taken.whole {
        let own = registry.attributes.iter().filter(|attribute| attribute.is_own && !resource.contains_key(attribute.key.as_str()));
        typed.extend(own.map(|attribute| (attribute.key.as_str(), attribute)));
    }
    mapping.columns(&mut columns, &mut typed);
    mapping.contract(taken, &columns, &typed, &resource)
}

struct Mapping<'r, 'l> {
    registry: &'r Registry,
    left_out: &'l mut Vec<String>,
}

impl Mapping<'_, '_> {
    fn others(&mut self, taken: &Taken<'_>) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (group, _) in &taken.groups {
            if let Kind::Other(what) = group.kind {
                *counts.entry(what).or_default() += 1;
            }
        }
        for (what, count) in counts {
            self.left_out.push(format!("{what} ({count}) are left out: no log record says that it is of one"));
        }
    }

    /// Leaves those that can have columns; others are only `typed`, or left out.
    fn columns<'r>(&mut self, columns: &mut Attributes<'r>, typed: &mut Attributes<'r>) {
        for key in CORE_FIELDS {
            let (one, other) = (columns.remove(key), typed.remove(key));
            if one.or(other).is_some() {
                self.left_out
                    .push(format!("attribute {key:?} is left out: a contract that says {key:?} speaks of the record's own column"));
            }
        }
        typed.retain(|key, _| !columns.contains_key(key));
        if !typed.is_empty() {
            let what = "no event names them; for columns, choose their groups by --group";
            self.left_out.push(format!("attributes of which only the types are checked: {}, {what}", typed.len()));
        }
        let mut fields = DeclaredFields::default();
        columns.retain(|key, attribute| {
            let Some(kind) = FieldType::ALL.into_iter().find(|kind| Some(kind.name()) == attribute.of_type()) else { return true };
            if attribute.is_template {
                return true;
            }
            let added = fields.add(key, kind);
            if let Err(why) = &added {
                self.left_out.push(format!("attribute {key:?} gets no column: {why}"));
                typed.insert(key, attribute);
            }
            added.is_ok()
        });
    }

    fn contract(&mut self, taken: &Taken<'_>, columns: &Attributes<'_>, typed: &Attributes<'_>, resource: &Attributes<'_>) -> Json {
        let Registry { title, url, version, .. } = self.registry;
        let (mut contract, mut hints) = (Schema::new(), Schema::new());
        say(&mut contract, "$schema", DIALECT);
        if !url.is_empty() {
            say(&mut contract, "$comment", format!("Made of {url} by tyto import weaver."));
        }
        say(&mut contract, "title", if title.is_empty() { "A registry of OpenTelemetry Weaver" } else { title });
        say(&mut hints, "mode", Mode::Observe.name());
        say(&mut hints, "version", version.as_str());
        say(&mut contract, hints::KEYWORD, hints);
        say(&mut contract, "type", "object");
        let of_kind = |kind| taken.groups.iter().filter(move |(group, _)| group.kind == kind);
        let names: BTreeSet<&str> = of_kind(Kind::Event).map(|(group, _)| group.name.as_str()).collect();
        let (mut event_name, mut of_resource) = (Schema::new(), Schema::new());
        say(&mut event_name, "examples", names.into_iter().collect::<Vec<_>>());
        say(&mut of_resource, "properties", properties(resource));
        say(&mut of_resource, "patternProperties", patterns(resource));
        say(&mut of_resource, "allOf", of_kind(Kind::Entity).filter_map(|(_, named)| self.entity(named)).collect::<Vec<_>>());
        let mut attributes = properties(columns);
        say(&mut attributes, "event_name", event_name);
        say(&mut attributes, "resource_attributes", of_resource);
        say(&mut contract, "properties", attributes);
        say(&mut contract, "patternProperties", patterns(columns).into_iter().chain(patterns(typed)).collect::<Schema>());
        // A type that is said here gives no column.
        let mut without_columns = Schema::new();
        say(&mut without_columns, "properties", properties(typed));
        let mut rules = if without_columns.is_empty() { Vec::new() } else { vec![without_columns.into()] };
        rules.extend(of_kind(Kind::Event).filter_map(|(group, named)| self.event(group, named)));
        say(&mut contract, "allOf", rules);
        contract.into()
    }

    /// What a record of an event must have; none where it may be anything.
    fn event(&mut self, group: &Group, named: &[Named]) -> Option<Json> {
        let (mut properties, mut required) = (Schema::new(), Vec::new());
        for attribute in named.iter().filter(|attribute| !CORE_FIELDS.contains(&attribute.key.as_str())) {
            let is_template = self.is_template(attribute);
            match attribute.is_required == Some(true) {
                true if is_template => {
                    let what = format!("{}: attribute {:?} of event {:?} is not required", attribute.at, attribute.key, group.name);
                    self.left_out.push(format!("{what}: it is the beginning of names, of which none must be there"));
                }
                true => required.push(json!(attribute.key)),
                false => {}
            }
            if !attribute.text.is_empty() && !is_template {
                properties.insert(attribute.key.clone(), json!({"description": attribute.text}));
            }
        }
        required.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
        let is_typed = group.body.as_ref().is_some_and(|(body, _)| body.contains_key("type"));
        if let Some((body, is_required)) = &group.body {
            properties.insert("body".to_owned(), body.clone().into());
            required.extend(is_required.then(|| json!("body")));
        }
        if required.is_empty() && !is_typed {
            self.left_out.push(format!("{}: event {:?} has no rule: it requires nothing of its records", group.at, group.name));
            return None;
        }
        let mut then = Schema::new();
        group.words.write_to(&mut then);
        say(&mut then, "required", required);
        say(&mut then, "properties", properties);
        Some(json!({"if": {"properties": {"event_name": {"const": group.name}}, "required": ["event_name"]}, "then": then}))
    }

    /// Who has what identifies an entity is one, and has what is required of it.
    fn entity(&self, named: &[Named]) -> Option<Json> {
        let whole = named.iter().filter(|attribute| !self.is_template(attribute));
        let (identity, others): (Vec<&Named>, Vec<&Named>) = whole.partition(|attribute| attribute.identifies != Some(false));
        let keys = |of: Vec<&Named>| of.into_iter().map(|attribute| attribute.key.clone()).collect::<BTreeSet<_>>();
        let (identity, required) =
            (keys(identity), keys(others.into_iter().filter(|attribute| attribute.is_required == Some(true)).collect()));
        (!identity.is_empty() && !required.is_empty()).then(|| json!({"if": {"required": identity}, "then": {"required": required}}))
    }

    fn is_template(&self, named: &Named) -> bool {
        self.registry.attribute(&named.key).is_some_and(|attribute| attribute.is_template)
    }
}

fn properties(attributes: &Attributes<'_>) -> Schema {
    let whole = attributes.iter().filter(|(_, attribute)| !attribute.is_template);
    whole.map(|(key, attribute)| ((*key).to_owned(), attribute.schema.clone().into())).collect()
}

fn patterns(attributes: &Attributes<'_>) -> Schema {
    let templates = attributes.iter().filter(|(_, attribute)| attribute.is_template);
    templates.map(|(key, attribute)| (format!("^{}\\..", regex::escape(key)), attribute.schema.clone().into())).collect()
}
