//! Entities to our declarations, and what has no place in them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::entity::Entity;

/// The name in a reference: `component:default/web`, `default/web` and `web` are `web`.
fn name_of(reference: &str) -> &str {
    reference.rsplit(['/', ':']).next().unwrap_or(reference)
}

/// An `omd.yaml` as a tree, and what is left out.
pub(super) fn map(entities: &[Entity]) -> (Value, Vec<String>) {
    Mapping { entities, left_out: Vec::new(), counted: BTreeMap::new() }.whole()
}

struct Mapping<'e> {
    entities: &'e [Entity],
    left_out: Vec<String>,
    /// What is left out of many alike, and of whom.
    counted: BTreeMap<&'static str, BTreeSet<String>>,
}

/// Business service, and service.
type Place = (String, String);

impl<'e> Mapping<'e> {
    fn whole(mut self) -> (Value, Vec<String>) {
        let mut tree: BTreeMap<String, BTreeMap<String, Vec<Value>>> = BTreeMap::new();
        for domain in self.of("Domain") {
            tree.entry(domain.name.clone()).or_default();
        }
        for system in self.of("System") {
            let (business, service) = self.place_of_system(system);
            tree.entry(business).or_default().entry(service).or_default();
        }
        for component in self.of("Component") {
            let Some((business, service)) = self.place(component, 0) else {
                self.left_out
                    .push(format!("{}: component {:?} is left out: it is in no system, so in no service", component.at, component.name));
                continue;
            };
            let mapped = self.component(component);
            tree.entry(business).or_default().entry(service).or_default().push(mapped);
        }
        let business_services: Vec<Value> = tree.into_iter().map(|(name, services)| self.business_service(&name, services)).collect();
        for entity in self.entities {
            if !matches!(entity.kind.as_str(), "Domain" | "System" | "Component" | "Group" | "API" | "Resource") {
                self.left_out.push(format!("{}: {} {:?} is left out: it has no place in an omd.yaml", entity.at, entity.kind, entity.name));
            }
        }
        for (what, of) in &self.counted {
            self.left_out.push(format!("{what}: left out of {}", of.iter().cloned().collect::<Vec<_>>().join(", ")));
        }
        (json!({ "business_services": business_services }), self.left_out)
    }

    fn of(&self, kind: &str) -> Vec<&'e Entity> {
        self.entities.iter().filter(|entity| entity.kind == kind).collect()
    }

    fn find(&self, kind: &str, name: &str) -> Option<&'e Entity> {
        self.entities.iter().find(|entity| entity.kind == kind && entity.name == name)
    }

    fn business_service(&mut self, name: &str, services: BTreeMap<String, Vec<Value>>) -> Value {
        let entity = self.find("Domain", name).or_else(|| self.find("System", name));
        let mut business = self.profile(name, entity);
        let is_domain = self.find("Domain", name).is_some();
        let services = services.into_iter().map(|(name, components)| {
            // A system without a domain says what it says once, as the business service.
            let entity = self.find("System", &name).filter(|_| is_domain);
            let mut service = self.profile(&name, entity);
            service.insert("components".to_owned(), components.into());
            service.into()
        });
        business.insert("services".to_owned(), services.collect::<Vec<Value>>().into());
        business.into()
    }

    fn place_of_system(&self, system: &Entity) -> Place {
        let business = if system.domain.is_empty() { &system.name } else { name_of(&system.domain) };
        (business.to_owned(), system.name.clone())
    }

    fn place(&self, component: &Entity, depth: usize) -> Option<Place> {
        /// Of components that are parts of components; they may be so in a circle.
        const DEPTH_MAX: usize = 10;
        if !component.system.is_empty() {
            let name = name_of(&component.system);
            return Some(
                self.find("System", name).map_or_else(|| (name.to_owned(), name.to_owned()), |system| self.place_of_system(system)),
            );
        }
        let whole = self.find("Component", name_of(&component.subcomponent_of)).filter(|_| depth < DEPTH_MAX)?;
        self.place(whole, depth + 1)
    }

    fn component(&mut self, entity: &'e Entity) -> Value {
        let mut component = self.profile(&entity.name, Some(entity));
        component.insert("match".to_owned(), json!([{"service.name": entity.name}]));
        let depends_on = self.depends_on(entity);
        if !depends_on.is_empty() {
            component.insert("depends_on".to_owned(), depends_on.into());
        }
        component.into()
    }

    fn depends_on(&mut self, entity: &'e Entity) -> Vec<Value> {
        let mut all = Vec::new();
        for reference in &entity.depends_on {
            let name = name_of(reference);
            let kind = reference.split_once(':').map_or("component", |(kind, _)| kind).to_lowercase();
            match (kind.as_str(), self.find("Resource", name).map(|resource| resource.of_type.to_lowercase())) {
                ("component", _) if self.find("Component", name).is_some_and(|other| self.place(other, 0).is_some()) => {
                    all.push(json!(name))
                }
                ("component", _) => all.push(json!({"external": name})),
                ("resource", Some(of_type)) if of_type.contains("queue") || of_type.contains("topic") => all.push(json!({"queue": name})),
                ("resource", Some(of_type)) if of_type.contains("database") || of_type.contains("cache") => {
                    all.push(json!({"database": name}))
                }
                ("resource", _) => all.push(json!({"external": name})),
                _ => {
                    let said = format!(
                        "{}: dependency of {:?} on {reference:?} is left out: it is no component and no resource",
                        entity.at, entity.name
                    );
                    self.left_out.push(said);
                }
            }
        }
        for reference in &entity.consumes {
            let name = name_of(reference);
            let provides = |other: &&Entity| other.kind == "Component" && other.provides.iter().any(|api| name_of(api) == name);
            match self.entities.iter().find(provides) {
                // Who provides an API is who is called.
                Some(provider) if provider.name != entity.name && self.place(provider, 0).is_some() => all.push(json!(provider.name)),
                Some(_) => {}
                None => {
                    let said = format!("{}: API {name:?} that {:?} consumes is left out: no component provides it", entity.at, entity.name);
                    self.left_out.push(said);
                }
            }
        }
        let mut seen = BTreeSet::new();
        all.retain(|dependency| seen.insert(dependency.to_string()));
        all
    }

    fn profile(&mut self, name: &str, entity: Option<&Entity>) -> Map<String, Value> {
        let mut profile = Map::new();
        profile.insert("name".to_owned(), json!(name.replace('/', "-")));
        let Some(entity) = entity else { return profile };
        if !entity.description.trim().is_empty() {
            profile.insert("description".to_owned(), json!(entity.description.trim()));
        }
        if !entity.owner.is_empty() {
            let team = name_of(&entity.owner);
            let mut owner = json!({"team": team});
            if let Some(group) = self.find("Group", team).filter(|group| group.email.contains('@')) {
                owner["email"] = json!(group.email);
            }
            profile.insert("owners".to_owned(), json!([owner]));
        }
        let links = self.links(entity);
        if !links.is_empty() {
            profile.insert("links".to_owned(), links.into());
        }
        for (what, said) in
            [("lifecycle", !entity.lifecycle.is_empty()), ("tags", !entity.tags.is_empty()), ("type", !entity.of_type.is_empty())]
        {
            if said {
                self.counted.entry(what).or_default().insert(entity.name.clone());
            }
        }
        profile
    }

    fn links(&mut self, entity: &Entity) -> Vec<Value> {
        let mut links = entity.links.clone();
        for (key, value) in &entity.annotations {
            let link = match key.as_str() {
                "backstage.io/source-location" => value.strip_prefix("url:").map(|url| ("Source".to_owned(), url.to_owned())),
                "backstage.io/view-url" => Some(("In Backstage".to_owned(), value.clone())),
                "github.com/project-slug" => Some(("GitHub".to_owned(), format!("https://github.com/{value}"))),
                _ => None,
            };
            match link {
                Some(link) => links.push(link),
                None => self
                    .left_out
                    .push(format!("{}: annotation {key:?} of {:?} is left out: it has no place in an omd.yaml", entity.at, entity.name)),
            }
        }
        let opens = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        let mut mapped = Vec::new();
        for (title, url) in links {
            if opens(&url) && !url.contains(char::is_whitespace) {
                mapped.push(json!({"title": title, "url": url}));
            } else {
                self.left_out.push(format!("{}: link {url:?} of {:?} is left out: it is no address", entity.at, entity.name));
            }
        }
        mapped
    }
}
