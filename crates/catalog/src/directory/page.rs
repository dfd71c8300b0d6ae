//! All that is declared of one entry, with where it is said.

use std::collections::BTreeMap;

use super::{Entry, EntryKind, Level};
use crate::{Catalog, Dependency, Keep, Match, Origin, Owner};

/// A value, and the path of the entry that says it: this one, or one above.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    pub value: String,
    pub from: String,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HeldLink {
    pub title: String,
    pub url: String,
    pub from: String,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Page {
    pub entry: Entry,
    /// `tier`, `environment`, `cost_centre` and `contract`, as far as they are said.
    pub held: BTreeMap<&'static str, Held>,
    /// With their contacts; of a team itself.
    pub owners: Vec<Owner>,
    /// The entry that names them; empty without any.
    pub owners_from: String,
    pub links: Vec<HeldLink>,
    /// Its own and those of the levels above.
    pub runbooks: Vec<HeldLink>,
    /// By which its records are recognised; records that one of them fits are its.
    #[serde(rename = "match")]
    pub rules: Vec<Match>,
    /// None where it is not said.
    pub depends_on: Option<Vec<Dependency>>,
    /// Components that say that they depend on it.
    pub needed_by: Vec<String>,
    /// The entries below it; of a team what it owns.
    pub parts: Vec<Entry>,
    pub retention: Keep,
    pub declared_at: Option<Origin>,
}

impl Catalog {
    /// The level of that path, or the team of that name.
    pub fn page(&self, kind: Option<EntryKind>, path: &str) -> Option<Page> {
        match kind {
            Some(EntryKind::Team) => self.team_page(path),
            _ => {
                let level = self.levels().find(|level| level.path() == path && kind.is_none_or(|kind| level.kind() == kind))?;
                Some(self.level_page(&level))
            }
        }
    }

    fn level_page(&self, level: &Level<'_>) -> Page {
        let (outwards, path) = (level.outwards(), level.path());
        let mut held = BTreeMap::new();
        for (from, profile) in &outwards {
            let values = [
                ("tier", &profile.tier),
                ("environment", &profile.environment),
                ("cost_centre", &profile.cost_centre),
                ("contract", &profile.contract),
            ];
            for (key, value) in values.into_iter().filter(|(_, value)| !value.is_empty()) {
                held.entry(key).or_insert_with(|| Held { value: value.clone(), from: from.clone() });
            }
        }
        let owners = outwards.iter().find(|(_, profile)| !profile.owners.is_empty());
        let runbooks = outwards.iter().flat_map(|(from, profile)| profile.runbooks.iter().map(|link| held_link(link, from)));
        let own = outwards.first().map(|(_, profile)| *profile);
        let depends_on = level.component.and_then(|component| component.depends_on.clone());
        let below = |other: &Level<'_>| is_part(&other.path(), &path);
        Page {
            held,
            owners: owners.map(|(_, profile)| profile.owners.clone()).unwrap_or_default(),
            owners_from: owners.map(|(from, _)| from.clone()).unwrap_or_default(),
            links: own.into_iter().flat_map(|profile| &profile.links).map(|link| held_link(link, &path)).collect(),
            runbooks: runbooks.collect(),
            rules: level.rules().to_vec(),
            depends_on,
            needed_by: self.needing(&path),
            parts: self.levels().filter(below).map(|level| level.entry()).collect(),
            retention: own.map(|profile| profile.retention.clone()).unwrap_or_default(),
            declared_at: own.map(|profile| profile.declared_at.clone()),
            entry: level.entry(),
        }
    }

    fn team_page(&self, team: &str) -> Option<Page> {
        let owner = *self.contacts().get(team)?;
        let names_it =
            |level: &Level<'_>| level.outwards().first().is_some_and(|(_, profile)| profile.owners.iter().any(|owner| owner.team == team));
        let parts: Vec<Entry> = self.levels().filter(names_it).map(|level| level.entry()).collect();
        Some(Page {
            entry: super::team_entry(owner, parts.len()),
            held: BTreeMap::new(),
            owners: vec![owner.clone()],
            owners_from: String::new(),
            links: Vec::new(),
            runbooks: Vec::new(),
            rules: Vec::new(),
            depends_on: None,
            needed_by: Vec::new(),
            parts,
            retention: Keep::default(),
            declared_at: self.teams.iter().find(|listed| listed.owner.team == team).map(|listed| listed.declared_at.clone()),
        })
    }

    /// Components that name the one of this path among what they depend on.
    fn needing(&self, path: &str) -> Vec<String> {
        let names = |dependency: &Dependency| matches!(dependency, Dependency::Component(other) if other == path);
        let needs = |level: &Level<'_>| {
            level.component.and_then(|component| component.depends_on.as_ref()).is_some_and(|all| all.iter().any(names))
        };
        self.levels().filter(needs).map(|level| level.path()).collect()
    }
}

/// Whether `path` is one level below `of`.
fn is_part(path: &str, of: &str) -> bool {
    path.strip_prefix(of).and_then(|rest| rest.strip_prefix('/')).is_some_and(|rest| !rest.contains('/'))
}

fn held_link(link: &crate::Link, from: &str) -> HeldLink {
    HeldLink { title: link.title.clone(), url: link.url.clone(), from: from.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_from_where_each_value_is() {
        let file = "
teams: [{team: billing, on_call: 'https://duty.example.com/billing'}]
business_services:
  - name: payments
    owners: [{team: billing}]
    contract: core
    runbooks: [{title: Books, url: 'https://wiki.example.com/books'}]
    services:
      - name: checkout
        tier: 2
        components:
          - {name: api, tier: 1, depends_on: [ledger], match: [{service.name: api}]}
          - {name: ledger}
";
        let contract = r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}"#;
        let catalog = Catalog::parse(&[("omd.yaml", file), ("contracts/core.json", contract)]).unwrap();
        let page = catalog.page(None, "payments/checkout/api").unwrap();
        let held: Vec<_> = page.held.iter().map(|(key, held)| format!("{key} {} of {}", held.value, held.from)).collect();
        assert_eq!(held, ["contract core of payments", "tier 1 of payments/checkout/api"]);
        assert_eq!((page.owners_from.as_str(), page.owners[0].on_call.as_str()), ("payments", "https://duty.example.com/billing"));
        assert_eq!(page.runbooks[0].from, "payments");
        assert_eq!(page.depends_on, Some(vec![Dependency::Component("payments/checkout/ledger".to_owned())]));
        let ledger = catalog.page(Some(EntryKind::Component), "payments/checkout/ledger").unwrap();
        assert_eq!((ledger.needed_by, ledger.held["tier"].from.as_str()), (vec!["payments/checkout/api".to_owned()], "payments/checkout"));
        let parts = |page: Page| page.parts.into_iter().map(|entry| entry.path).collect::<Vec<_>>();
        assert_eq!(parts(catalog.page(None, "payments").unwrap()), ["payments/checkout"]);
        assert_eq!(parts(catalog.page(Some(EntryKind::Team), "billing").unwrap()), ["payments"]);
        assert!(catalog.page(Some(EntryKind::Team), "nobody").is_none() && catalog.page(None, "payments/gone").is_none());
    }
}
