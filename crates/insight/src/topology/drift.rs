//! Where what teams declare and what their programs do differ.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use catalog::{BusinessService, Catalog, Component, Service};
use model::{DriftEdge, DriftReport, EdgeKind, EntityKind, Unseen, WrongOwner};

use super::map::{Edge, Fine, Node, unix_seconds};
use super::quiet::Present;
use super::seen::Seen;

/// `present` are components that something else than spans came from.
pub(super) fn report(fine: &Fine, seen: &Seen, catalog: &Catalog, present: &Present, (start_ms, end_ms): (i64, i64)) -> DriftReport {
    let held_to_it = held_to_it(catalog);
    let was_seen = |edge: &&Edge| edge.facts.as_ref().is_some_and(|facts| facts.last_ms > start_ms);
    let drift_edge = |edge: &Edge| {
        let facts = edge.facts.as_ref();
        DriftEdge {
            from: edge.from.id(),
            to: edge.to.id(),
            kind: edge.kind,
            requests_per_second: facts.map_or(0.0, |facts| facts.durations.count / seen.seconds),
            first_seen: facts.map(|facts| unix_seconds(facts.first_ms)),
            last_seen: facts.map(|facts| unix_seconds(facts.last_ms)),
        }
    };
    let undeclared = |edge: &&Edge| {
        let caller = if edge.from.kind == EntityKind::Queue { &edge.to } else { &edge.from };
        !edge.declared && held_to_it.contains(caller)
    };
    let unknown = |edge: &&Edge| {
        edge.from.kind == EntityKind::Component
            && !fine.declared.contains(&edge.from)
            && fine.declared.contains(&edge.to)
            && edge.from != edge.to
    };
    let mut report = DriftReport {
        start: unix_seconds(start_ms),
        end: unix_seconds(end_ms),
        drift: false,
        called_not_declared: fine.edges.iter().filter(was_seen).filter(undeclared).map(drift_edge).collect(),
        declared_never_seen: never_seen(fine, present, start_ms),
        unknown_callers: fine.edges.iter().filter(was_seen).filter(unknown).map(drift_edge).collect(),
        wrong_owner: wrong_owners(seen, catalog, fine, start_ms),
        components_without_dependencies: components(catalog).count() - held_to_it.len(),
        warnings: seen.warnings.clone(),
    };
    report.drift = !(report.called_not_declared.is_empty()
        && report.declared_never_seen.is_empty()
        && report.unknown_callers.is_empty()
        && report.wrong_owner.is_empty());
    report
}

/// Every declared component with what it is a part of.
fn components(catalog: &Catalog) -> impl Iterator<Item = (Node, &BusinessService, &Service, &Component)> {
    catalog.business_services.iter().flat_map(|business| {
        business.services.iter().flat_map(move |service| {
            let node = |name: &str| Node::component(&business.name, &service.name, name);
            service.components.iter().map(move |component| (node(&component.name), business, service, component))
        })
    })
}

/// Components that say what they depend on.
fn held_to_it(catalog: &Catalog) -> HashSet<Node> {
    components(catalog).filter(|(.., component)| component.depends_on.is_some()).map(|(node, ..)| node).collect()
}

fn never_seen(fine: &Fine, present: &Present, start_ms: i64) -> Vec<Unseen> {
    let gone = |node: &Node| match fine.components.get(node) {
        Some(Some(facts)) => facts.last_ms <= start_ms,
        _ => !fine
            .edges
            .iter()
            .any(|edge| edge.facts.as_ref().is_some_and(|facts| facts.last_ms > start_ms) && (edge.from == *node || edge.to == *node)),
    };
    let declared = fine.components.keys().filter(|node| fine.declared.contains(node) && !present.contains_key(node) && gone(node));
    let mut unseen: Vec<Unseen> = declared.map(|node| Unseen { from: node.id(), to: None }).collect();
    let edges = fine.edges.iter().filter(|edge| edge.declared && edge.facts.as_ref().is_none_or(|facts| facts.last_ms <= start_ms));
    unseen.extend(edges.map(|edge| match edge.from.kind {
        EntityKind::Queue => Unseen { from: edge.to.id(), to: Some(edge.from.id()) },
        _ => Unseen { from: edge.from.id(), to: Some(edge.to.id()) },
    }));
    debug_assert!(fine.edges.iter().all(|edge| edge.kind != EdgeKind::Declared || edge.facts.is_none()));
    unseen
}

/// Components that name a team that does not own them, or a place in the company where the catalogue does not have them.
fn wrong_owners(seen: &Seen, catalog: &Catalog, fine: &Fine, start_ms: i64) -> Vec<WrongOwner> {
    let mut owners: BTreeMap<Node, Vec<String>> = BTreeMap::new();
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (node, business, service, component) in components(catalog) {
        let profiles = [&component.profile, &service.profile, &business.profile];
        let teams = profiles.into_iter().flat_map(|profile| &profile.owners).map(|owner| owner.team.clone());
        places.entry(&component.name).or_default().push(node.path());
        owners.insert(node, teams.collect::<BTreeSet<_>>().into_iter().collect());
    }
    let mut wrong = Vec::new();
    for found in seen.components.iter().filter(|found| found.facts.last_ms > start_ms) {
        let node = found.node();
        match owners.get(&node) {
            Some(teams) if !found.team.is_empty() && !teams.is_empty() && !teams.contains(&found.team) => {
                wrong.push(WrongOwner { entity: node.id(), what: "team", seen: found.team.clone(), declared: teams.clone() });
            }
            Some(_) => {}
            None => {
                if let (true, Some(declared)) = (node.is_claimed() && !fine.declared.contains(&node), places.get(node.name.as_str())) {
                    wrong.push(WrongOwner { entity: node.id(), what: "place", seen: node.path(), declared: declared.clone() });
                }
            }
        }
    }
    wrong.sort_by(|a, b| (&a.entity, a.what, &a.seen).cmp(&(&b.entity, b.what, &b.seen)));
    wrong.dedup();
    wrong
}
