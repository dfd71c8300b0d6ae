//! What is declared, for people who read and search it: each business service, service, component and team as an entry, with what holds for it
//! and what nobody has said of it.
//!
//! Path: `mod.rs` (the entries, and the search) > `gaps.rs` (what is missing, in words) > `page.rs` (all that is known of one entry).

mod gaps;
mod page;

use std::collections::BTreeMap;

pub use gaps::Gap;
pub use page::{Held, HeldLink, Page};

use crate::{BusinessService, Catalog, Component, Match, Owner, Pattern, Profile, Service};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    BusinessService,
    Service,
    Component,
    Team,
}

impl EntryKind {
    pub const ALL: [Self; 4] = [Self::BusinessService, Self::Service, Self::Component, Self::Team];

    pub fn name(self) -> &'static str {
        match self {
            Self::BusinessService => "business_service",
            Self::Service => "service",
            Self::Component => "component",
            Self::Team => "team",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// As a list shows it. What the entry does not say itself is what the level above says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    pub kind: EntryKind,
    /// `payments/checkout/checkout-api`; of a team its name.
    pub path: String,
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Those that own it; of a team none.
    pub teams: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tier: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub environment: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub contract: String,
    /// Its services, the components of a service, what a team owns.
    pub parts: usize,
    /// How many things such an entry is expected to say, and which it does not.
    pub expected: usize,
    pub missing: Vec<Gap>,
}

/// Which entries are wanted; what is empty is anybody's.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Words that must all stand in its path, description, owners, contract or rules, in any case.
    pub search: String,
    pub kind: Option<EntryKind>,
    pub team: String,
    pub incomplete: bool,
}

/// One of the three levels, with what it is a part of.
#[derive(Clone, Copy)]
pub(crate) struct Level<'c> {
    business: &'c BusinessService,
    service: Option<&'c Service>,
    component: Option<&'c Component>,
}

impl<'c> Level<'c> {
    fn kind(&self) -> EntryKind {
        match (self.service, self.component) {
            (_, Some(_)) => EntryKind::Component,
            (Some(_), None) => EntryKind::Service,
            (None, None) => EntryKind::BusinessService,
        }
    }

    fn path(&self) -> String {
        let names = [Some(&self.business.name), self.service.map(|service| &service.name), self.component.map(|component| &component.name)];
        names.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("/")
    }

    fn name(&self) -> &'c str {
        let inner = self.component.map(|component| &component.name).or(self.service.map(|service| &service.name));
        inner.unwrap_or(&self.business.name)
    }

    /// The path and the profile of this level and those above, the finest first.
    fn outwards(&self) -> Vec<(String, &'c Profile)> {
        let Self { business, service, component } = *self;
        let mut levels = vec![(business.name.clone(), &business.profile)];
        if let Some(service) = service {
            levels.push((format!("{}/{}", business.name, service.name), &service.profile));
            if let Some(component) = component {
                levels.push((self.path(), &component.profile));
            }
        }
        levels.reverse();
        levels
    }

    fn profile(&self) -> Profile {
        let mut levels = self.outwards().into_iter().map(|(_, profile)| profile);
        let own = levels.next().cloned().unwrap_or_default();
        levels.fold(own, |inner, outer| inner.within(outer))
    }

    fn has_runbook(&self) -> bool {
        self.outwards().iter().any(|(_, profile)| !profile.runbooks.is_empty())
    }

    fn parts(&self) -> usize {
        match (self.service, self.component) {
            (None, _) => self.business.services.len(),
            (Some(service), None) => service.components.len(),
            _ => 0,
        }
    }

    fn rules(&self) -> &'c [Match] {
        self.component.map_or(&[], |component| &component.matches)
    }

    fn entry(&self) -> Entry {
        let profile = self.profile();
        let missing = gaps::of_level(self, &profile);
        Entry {
            kind: self.kind(),
            path: self.path(),
            name: self.name().to_owned(),
            description: profile.description.clone(),
            teams: profile.owners.iter().map(|owner| owner.team.clone()).collect(),
            parts: self.parts(),
            expected: gaps::expected(self.kind()).len(),
            missing,
            tier: profile.tier,
            environment: profile.environment,
            contract: profile.contract,
        }
    }
}

impl Catalog {
    /// Every entry that is wanted: the levels as they are declared, then the teams by name.
    pub fn entries(&self, wanted: &Wanted) -> Vec<Entry> {
        let words: Vec<String> = wanted.search.split_whitespace().map(str::to_lowercase).collect();
        let fits = |entry: &Entry, more: &str| {
            let team = wanted.team.is_empty()
                || entry.teams.contains(&wanted.team)
                || (entry.kind == EntryKind::Team && entry.name == wanted.team);
            let kind = wanted.kind.is_none_or(|kind| kind == entry.kind);
            kind && team && !(wanted.incomplete && entry.missing.is_empty()) && words.iter().all(|word| contains(entry, more, word))
        };
        let levels = self.levels().map(|level| (level.entry(), said_by(level.rules())));
        let owned = self.owned();
        let teams = self.contacts().into_values().map(|owner| {
            let contacts = [&owner.email, &owner.slack, &owner.github, &owner.on_call].map(String::as_str).join(" ");
            (team_entry(owner, owned.get(owner.team.as_str()).copied().unwrap_or_default()), contacts)
        });
        levels.chain(teams).filter(|(entry, more)| fits(entry, more)).map(|(entry, _)| entry).collect()
    }

    /// The entry of a component; none where it is not declared.
    pub fn component_entry(&self, [business_service, service, component]: [&str; 3]) -> Option<Entry> {
        let business = self.business_services.iter().find(|business| business.name == business_service)?;
        let service = business.services.iter().find(|other| other.name == service)?;
        let component = service.components.iter().find(|other| other.name == component)?;
        Some(Level { business, service: Some(service), component: Some(component) }.entry())
    }

    pub(crate) fn levels(&self) -> impl Iterator<Item = Level<'_>> {
        self.business_services.iter().flat_map(|business| {
            let own = std::iter::once(Level { business, service: None, component: None });
            own.chain(business.services.iter().flat_map(move |service| {
                let own = std::iter::once(Level { business, service: Some(service), component: None });
                own.chain(service.components.iter().map(move |component| Level {
                    business,
                    service: Some(service),
                    component: Some(component),
                }))
            }))
        })
    }

    /// Every team once, with all contacts that any file says.
    fn contacts(&self) -> BTreeMap<&str, &Owner> {
        let mut teams = BTreeMap::new();
        for owner in self.owners().filter(|owner| !owner.team.is_empty()) {
            teams.entry(owner.team.as_str()).or_insert(owner);
        }
        teams
    }

    /// How many entries name each team themselves.
    fn owned(&self) -> BTreeMap<&str, usize> {
        let mut owned = BTreeMap::new();
        for level in self.levels() {
            let own = level.outwards();
            for owner in own.first().into_iter().flat_map(|(_, profile)| &profile.owners) {
                *owned.entry(owner.team.as_str()).or_default() += 1;
            }
        }
        owned
    }
}

fn team_entry(owner: &Owner, parts: usize) -> Entry {
    Entry {
        kind: EntryKind::Team,
        path: owner.team.clone(),
        name: owner.team.clone(),
        description: String::new(),
        teams: Vec::new(),
        tier: String::new(),
        environment: String::new(),
        contract: String::new(),
        parts,
        expected: gaps::expected(EntryKind::Team).len(),
        missing: gaps::of_team(owner),
    }
}

fn contains(entry: &Entry, more: &str, word: &str) -> bool {
    let texts = [&entry.path, &entry.description, &entry.contract].into_iter().chain(&entry.teams).map(String::as_str);
    texts.chain([more]).any(|text| text.to_lowercase().contains(word))
}

/// Names and values of the rules, as they are searched.
fn said_by(rules: &[Match]) -> String {
    let texts = rules
        .iter()
        .flat_map(|rule| &rule.0)
        .map(|(name, Pattern::Exact(text) | Pattern::Glob(text) | Pattern::Regex(text))| format!("{name}={text}"));
    texts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
business_services:
  - name: payments
    description: Members pay
    owners: [{team: billing, email: b@example.com}]
    cost_centre: '4711'
    runbooks: [{title: Nothing is paid, url: 'https://wiki.example.com/pay'}]
    services:
      - name: checkout
        components:
          - name: checkout-api
            description: Takes the order
            tier: 1
            match: [{service.name: checkout-api}]
            depends_on: []
          - {name: cart, owners: [{team: cart}]}
      - name: empty
";

    fn catalog() -> Catalog {
        Catalog::parse(&[("omd.yaml", FILE)]).unwrap()
    }

    fn found(wanted: &Wanted) -> Vec<String> {
        catalog().entries(wanted).into_iter().map(|entry| format!("{} {}", entry.kind.name(), entry.path)).collect()
    }

    #[test]
    fn an_entry_says_what_holds_for_it_and_what_is_missing() {
        let entries = catalog().entries(&Wanted { kind: Some(EntryKind::Component), ..Wanted::default() });
        let said: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.teams.join(" "), entry.missing.clone())).collect();
        use Gap::{Contact, Contract, DependsOn, Description, Match, Tier};
        assert_eq!(
            said,
            [
                ("checkout-api", "billing".to_owned(), vec![Contract]),
                ("cart", "cart".to_owned(), vec![Description, Contact, Tier, Contract, Match, DependsOn]),
            ]
        );
        assert_eq!(catalog().component_entry(["payments", "checkout", "checkout-api"]).as_ref(), entries.first());
        assert_eq!(catalog().component_entry(["payments", "checkout", "gone"]), None);
    }

    #[test]
    fn a_search_looks_at_paths_owners_and_rules() {
        let search = |text: &str| found(&Wanted { search: text.to_owned(), ..Wanted::default() });
        assert_eq!(search("CHECKOUT api"), ["component payments/checkout/checkout-api"]);
        assert_eq!(search("service.name=checkout"), ["component payments/checkout/checkout-api"]);
        assert_eq!(search("b@example.com"), ["team billing"]);
        assert_eq!(search("nowhere"), [""; 0]);
        assert_eq!(found(&Wanted { team: "cart".to_owned(), ..Wanted::default() }), ["component payments/checkout/cart", "team cart"]);
    }

    #[test]
    fn a_level_without_parts_and_a_team_without_contacts_are_incomplete() {
        let entries = catalog().entries(&Wanted { incomplete: true, ..Wanted::default() });
        let missing = |path: &str| entries.iter().find(|entry| entry.path == path).map(|entry| entry.missing.clone());
        assert_eq!(missing("payments"), Some(vec![Gap::Contract]));
        assert_eq!(missing("payments/empty"), Some(vec![Gap::Description, Gap::Parts]));
        assert_eq!(missing("cart"), Some(vec![Gap::Contact, Gap::OnCall]));
        assert_eq!(entries.iter().find(|entry| entry.path == "billing").map(|entry| entry.parts), Some(1));
    }
}
