//! Draws the map at a level from what was seen and what is declared.

use std::collections::{BTreeMap, HashMap, HashSet};

use catalog::{Catalog, Dependency};
use model::{EdgeKind, Entity, EntityKind, MapEdge, MapLevel, MapRequest, TopologyMap, UNASSIGNED};

use super::seen::{End, Facts, Seen};

/// Of one map; those with the least traffic are left out, and a warning says so.
const EDGES_MAX: usize = 10_000;

/// What stands at one end of an edge, whatever the level.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Node {
    pub(super) kind: EntityKind,
    pub(super) business_service: String,
    pub(super) service: String,
    pub(super) name: String,
}

impl Node {
    pub(super) fn id(&self) -> String {
        let kind = match self.kind {
            EntityKind::BusinessService => "business_service",
            EntityKind::Service => "service",
            EntityKind::Component => "component",
            EntityKind::Database => "database",
            EntityKind::Queue => "queue",
            EntityKind::External => "external",
            EntityKind::User => "user",
        };
        let parts = [&self.business_service, &self.service, &self.name];
        let path: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        format!("{kind}:{}", path.join("/"))
    }

    /// `business service/service/component`, as the catalogue writes it.
    pub(super) fn path(&self) -> String {
        format!("{}/{}/{}", self.business_service, self.service, self.name)
    }

    pub(super) fn component(business_service: &str, service: &str, name: &str) -> Self {
        let [business_service, service, name] = [business_service, service, name].map(str::to_owned);
        Self { kind: EntityKind::Component, business_service, service, name }
    }

    fn alone(kind: EntityKind, name: &str) -> Self {
        Self { kind, business_service: String::new(), service: String::new(), name: name.to_owned() }
    }

    pub(super) fn is_claimed(&self) -> bool {
        self.kind == EntityKind::Component && self.business_service != UNASSIGNED
    }

    fn of(dependency: &Dependency) -> Self {
        match dependency {
            Dependency::Component(path) => {
                let mut parts = path.splitn(3, '/');
                let mut next = || parts.next().unwrap_or_default();
                Self::component(next(), next(), next())
            }
            Dependency::Database(name) => Self::alone(EntityKind::Database, name),
            Dependency::Queue(name) => Self::alone(EntityKind::Queue, name),
            Dependency::External(name) => Self::alone(EntityKind::External, name),
        }
    }

    fn parent(&self) -> Option<Self> {
        let (kind, service, name) = match self.kind {
            EntityKind::Component if !self.is_claimed() => return None,
            EntityKind::Component if !self.service.is_empty() => (EntityKind::Service, "", &self.service),
            EntityKind::Component | EntityKind::Service => (EntityKind::BusinessService, "", &self.business_service),
            _ => return None,
        };
        let business_service = if kind == EntityKind::Service { self.business_service.clone() } else { String::new() };
        Some(Self { kind, business_service, service: service.to_owned(), name: name.clone() })
    }

    /// What stands for it at a level. Whom nobody has claimed is a component at every one.
    fn at(&self, level: MapLevel) -> Self {
        let is_low = |node: &Self| match level {
            MapLevel::Component => false,
            MapLevel::Service => node.kind == EntityKind::Component,
            MapLevel::BusinessService => matches!(node.kind, EntityKind::Component | EntityKind::Service),
        };
        let mut node = self.clone();
        while is_low(&node) {
            match node.parent() {
                Some(parent) => node = parent,
                None => break,
            }
        }
        node
    }
}

/// An edge between components, or one and what is none.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) from: Node,
    pub(super) to: Node,
    pub(super) kind: EdgeKind,
    /// None for what is declared only.
    pub(super) facts: Option<Facts>,
    pub(super) declared: bool,
}

/// Everything, at the level of components.
pub(super) struct Fine {
    pub(super) edges: Vec<Edge>,
    /// With the teams that they name, each component; none for what is declared and was not seen.
    pub(super) components: BTreeMap<Node, Option<Facts>>,
    /// What is declared, components and what they depend on.
    pub(super) declared: HashSet<Node>,
}

impl Fine {
    pub(super) fn of(seen: &Seen, catalog: &Catalog) -> Self {
        let mut components: BTreeMap<Node, Option<Facts>> = BTreeMap::new();
        // Clients know a component by a name that it has for itself; one that several have is nobody's.
        let mut by_name: HashMap<&str, Option<Node>> = HashMap::new();
        for found in &seen.components {
            let node = found.node();
            let name = if found.component.is_empty() { &found.service_name } else { &found.component };
            for name in [name, &found.service_name] {
                let known = by_name.entry(name).or_insert_with(|| Some(node.clone()));
                if known.as_ref() != Some(&node) {
                    *known = None;
                }
            }
            match components.entry(node).or_default() {
                Some(facts) => facts.merge(&found.facts),
                none => *none = Some(found.facts.clone()),
            }
        }
        let end = |end: &End| match end.kind.as_str() {
            "component" => Node::component(&end.business_service, &end.service, &end.name),
            "database" => Node::alone(EntityKind::Database, &end.name),
            "queue" => Node::alone(EntityKind::Queue, &end.name),
            "user" => Node::alone(EntityKind::User, &end.name),
            _ => {
                let known = [end.name.as_str(), inner_name(&end.name)].into_iter().find_map(|name| by_name.get(name).cloned().flatten());
                known.unwrap_or_else(|| Node::alone(EntityKind::External, &end.name))
            }
        };
        let mut edges: BTreeMap<(Node, Node, EdgeKind), Facts> = BTreeMap::new();
        for edge in &seen.edges {
            let kind = match edge.connection.as_str() {
                "messaging" => EdgeKind::Messaging,
                "database" => EdgeKind::Database,
                _ => EdgeKind::Call,
            };
            let key = (end(&edge.client), end(&edge.server), kind);
            edges.entry(key).and_modify(|facts| facts.merge(&edge.facts)).or_insert_with(|| edge.facts.clone());
        }
        for node in edges.keys().flat_map(|(from, to, _)| [from, to]).filter(|node| node.kind == EntityKind::Component) {
            components.entry(node.clone()).or_default();
        }
        let mut fine = Self { edges: Vec::new(), components, declared: HashSet::new() };
        let mut wanted = fine.declare(catalog);
        for ((from, to, kind), facts) in edges {
            let declared = wanted.remove(&(from.clone(), to.clone()));
            fine.edges.push(Edge { from, to, kind, facts: Some(facts), declared });
        }
        // What comes out of a queue is taken by whoever depends on it, which is the other direction.
        let taken: HashSet<(Node, Node)> = fine
            .edges
            .iter_mut()
            .filter(|edge| edge.from.kind == EntityKind::Queue)
            .filter_map(|edge| {
                let key = (edge.to.clone(), edge.from.clone());
                edge.declared |= wanted.contains(&key);
                edge.declared.then_some(key)
            })
            .collect();
        wanted.retain(|pair| !taken.contains(pair));
        let mut unseen: Vec<_> = wanted.into_iter().collect();
        unseen.sort();
        fine.edges.extend(unseen.into_iter().map(|(from, to)| Edge { from, to, kind: EdgeKind::Declared, facts: None, declared: true }));
        fine
    }

    /// Notes what the catalogue declares; gives the dependencies.
    fn declare(&mut self, catalog: &Catalog) -> HashSet<(Node, Node)> {
        let mut wanted = HashSet::new();
        for business in &catalog.business_services {
            self.declared.insert(Node::alone(EntityKind::BusinessService, &business.name));
            for service in &business.services {
                let node = Node { business_service: business.name.clone(), ..Node::alone(EntityKind::Service, &service.name) };
                self.declared.insert(node);
                for component in &service.components {
                    let node = Node::component(&business.name, &service.name, &component.name);
                    self.components.entry(node.clone()).or_default();
                    for dependency in component.depends_on.iter().flatten() {
                        let to = Node::of(dependency);
                        self.declared.insert(to.clone());
                        wanted.insert((node.clone(), to));
                    }
                    self.declared.insert(node);
                }
            }
        }
        wanted
    }

    /// The map at the level that is asked for.
    pub(super) fn draw(self, request: &MapRequest, seconds: f64, mut warnings: Vec<String>) -> TopologyMap {
        let level = request.level;
        let mut nodes: BTreeMap<Node, Option<Facts>> = BTreeMap::new();
        let mut add = |node: Node, facts: Option<&Facts>| {
            let known = nodes.entry(node).or_default();
            match (known.as_mut(), facts) {
                (Some(known), Some(facts)) => known.merge(facts),
                (None, Some(facts)) => *known = Some(facts.clone()),
                (_, None) => {}
            }
        };
        for (node, facts) in &self.components {
            let mut next = Some(node.at(level));
            while let Some(node) = next {
                next = node.parent();
                add(node, facts.as_ref());
            }
        }
        let mut edges: BTreeMap<(Node, Node, EdgeKind), (Option<Facts>, bool)> = BTreeMap::new();
        for edge in &self.edges {
            for (node, serves) in [(&edge.from, false), (&edge.to, true)].into_iter().filter(|(node, _)| node.kind != EntityKind::Component)
            {
                let was_there = edge.facts.as_ref().map(|facts| match serves {
                    true => facts.clone(),
                    false => Facts { first_ms: facts.first_ms, last_ms: facts.last_ms, ..Facts::default() },
                });
                add(node.clone(), was_there.as_ref());
            }
            let (from, to) = (edge.from.at(level), edge.to.at(level));
            // Within what is drawn as one there is no edge; a component that calls itself does so.
            if from == to && edge.from != edge.to {
                continue;
            }
            let known = edges.entry((from, to, edge.kind)).or_default();
            known.1 |= edge.declared;
            match (known.0.as_mut(), edge.facts.as_ref()) {
                (Some(known), Some(facts)) => known.merge(facts),
                (None, Some(facts)) => known.0 = Some(facts.clone()),
                (_, None) => {}
            }
        }
        // At a higher level something else may have been seen between the two.
        let seen: HashSet<(Node, Node)> =
            edges.iter().filter(|(_, (facts, _))| facts.is_some()).map(|((from, to, _), _)| (from.clone(), to.clone())).collect();
        edges.retain(|(from, to, kind), _| *kind != EdgeKind::Declared || !seen.contains(&(from.clone(), to.clone())));
        let mut edges: Vec<_> = edges.into_iter().collect();
        if edges.len() > EDGES_MAX {
            warnings
                .push(format!("{} edges are more than edges_max, {EDGES_MAX}: those with the fewest requests are left out", edges.len()));
            let count = |facts: &Option<Facts>| facts.as_ref().map_or(0.0, |facts| facts.durations.count);
            edges.sort_by(|a, b| count(&b.1.0).total_cmp(&count(&a.1.0)));
            edges.truncate(EDGES_MAX);
        }
        TopologyMap {
            start: request.start_ms as f64 / 1000.0,
            end: request.end_ms as f64 / 1000.0,
            level,
            entities: nodes
                .into_iter()
                .map(|(node, facts)| entity(&node, facts.as_ref(), self.declared.contains(&node), seconds))
                .collect(),
            edges: edges.into_iter().map(|(key, (facts, declared))| map_edge(key, facts.as_ref(), declared, seconds)).collect(),
            warnings,
        }
    }
}

/// What a host inside the company is called: the name before its port, and before the domain where that is one of a cluster's or a
/// network's own. The server's span may have come too late to say it.
fn inner_name(host: &str) -> &str {
    // More than one colon is an IPv6 address.
    let is_port = |(host, port): &(&str, &str)| !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit());
    let host = host.rsplit_once(':').filter(is_port).map_or(host, |(host, _)| host);
    match host.split_once('.') {
        Some((name, _)) if [".svc", ".cluster.local", ".internal", ".local"].iter().any(|own| host.ends_with(own)) => name,
        _ => host,
    }
}

pub(super) fn unix_seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn entity(node: &Node, facts: Option<&Facts>, declared: bool, seconds: f64) -> Entity {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    let (business_service, service) = match node.kind {
        EntityKind::BusinessService => (some(&node.name), None),
        EntityKind::Service => (some(&node.business_service), some(&node.name)),
        _ => (some(&node.business_service), some(&node.service)),
    };
    Entity {
        id: node.id(),
        kind: node.kind,
        name: node.name.clone(),
        business_service,
        service,
        parent: node.parent().map(|parent| parent.id()),
        requests_per_second: facts.map_or(0.0, |facts| facts.durations.count / seconds),
        errors_per_second: facts.map_or(0.0, |facts| facts.errors / seconds),
        p95_seconds: facts.and_then(|facts| facts.durations.quantile(0.95)),
        first_seen: facts.map(|facts| unix_seconds(facts.first_ms)),
        last_seen: facts.map(|facts| unix_seconds(facts.last_ms)),
        declared,
    }
}

fn map_edge((from, to, kind): (Node, Node, EdgeKind), facts: Option<&Facts>, declared: bool, seconds: f64) -> MapEdge {
    MapEdge {
        from: from.id(),
        to: to.id(),
        kind,
        requests_per_second: facts.map_or(0.0, |facts| facts.durations.count / seconds),
        errors_per_second: facts.map_or(0.0, |facts| facts.errors / seconds),
        p50_seconds: facts.and_then(|facts| facts.durations.quantile(0.5)),
        p95_seconds: facts.and_then(|facts| facts.durations.quantile(0.95)),
        first_seen: facts.map(|facts| unix_seconds(facts.first_ms)),
        last_seen: facts.map(|facts| unix_seconds(facts.last_ms)),
        declared,
        example_trace_id: facts.and_then(|facts| facts.example.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::inner_name;

    #[test]
    fn only_hosts_of_our_own_have_a_name_inside() {
        for (host, name) in [
            ("cart", "cart"),
            ("cart:8080", "cart"),
            ("cart.shop.svc.cluster.local", "cart"),
            ("cart.shop.svc:80", "cart"),
            ("cart.internal", "cart"),
            ("api.paywise.example", "api.paywise.example"),
            ("10.0.0.7:443", "10.0.0.7"),
            ("::1", "::1"),
            ("", ""),
        ] {
            assert_eq!(inner_name(host), name, "{host}");
        }
    }
}
