//! What all files declare to one catalogue: who is part of whom, what references lead to, how teams are reached.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::checks::Check;
use crate::declared::{BusinessService, Component, Dependency, Keep, Match, Owner, Profile, Service, Team};
use crate::omd::claims;
use crate::omd::read::{Added, Claim, OmdReader, Reference, Wanted};
use crate::problem::{Diagnostic, Origin, closest};

/// Origins of what others declare begin so: it is in no file that is being read.
const ELSEWHERE: &str = "server:";

/// Names that are compared to find out what was meant. A catalogue with more dangling references than that has another problem.
const HINTS_MAX: usize = 100;

/// What is declared beside the files that are being read, in a catalogue that is in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) business_services: Vec<BusinessService>,
    /// Parts of what is not known: the files that are being read may declare it.
    pub(crate) services: Vec<Added<Service>>,
    pub(crate) components: Vec<Added<Component>>,
    /// Names of contracts.
    pub(crate) contracts: Vec<String>,
    /// All teams, if they are listed.
    pub(crate) teams: Vec<Team>,
}

/// What all files together declare.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) business_services: Vec<BusinessService>,
    /// Of everybody for whom nothing more specific is declared.
    pub(crate) retention: Keep,
    /// Empty where they are not listed.
    pub(crate) teams: Vec<Team>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Origin {
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.file.starts_with(ELSEWHERE)
    }
}

impl Known {
    /// Takes over what `is_known` of a catalogue.
    pub(crate) fn keep(&mut self, tree: &[BusinessService], is_known: impl Fn(&Profile) -> bool) {
        for business in tree {
            let mut kept = BusinessService { services: Vec::new(), ..business.clone() };
            for service in &business.services {
                let of = format!("{}/{}", business.name, service.name);
                let components = service.components.iter().filter(|component| is_known(&component.profile)).cloned();
                if !is_known(&service.profile) {
                    let added = |declared: Component| Added { of: of.clone(), at: declared.profile.declared_at.clone(), declared };
                    self.components.extend(components.map(added));
                    continue;
                }
                let service = Service { components: components.collect(), ..service.clone() };
                if is_known(&business.profile) {
                    kept.services.push(service);
                } else {
                    let at = service.profile.declared_at.clone();
                    self.services.push(Added { of: business.name.clone(), at, declared: service });
                }
            }
            self.business_services.extend(is_known(&business.profile).then_some(kept));
        }
    }

    /// Marks what is known as declared elsewhere.
    pub(crate) fn elsewhere(mut self) -> Self {
        let mark = |origin: &mut Origin| origin.file.insert_str(0, ELSEWHERE);
        self.teams.iter_mut().for_each(|team| mark(&mut team.declared_at));
        for_each_profile(&mut self.business_services, |profile| mark(&mut profile.declared_at));
        for Added { at, declared, .. } in &mut self.services {
            mark(at);
            mark(&mut declared.profile.declared_at);
            declared.components.iter_mut().for_each(|component| mark(&mut component.profile.declared_at));
        }
        for Added { at, declared, .. } in &mut self.components {
            mark(at);
            mark(&mut declared.profile.declared_at);
        }
        self
    }
}

impl OmdReader {
    /// One that refuses what contradicts what is known.
    pub(crate) fn knowing(known: &Known) -> Self {
        let mut reader = Self::default();
        reader.teams.extend(known.teams.iter().map(|team| (team.owner.clone(), team.declared_at.clone(), true)));
        for business in &known.business_services {
            reader.knows("business service", &business.name, &business.profile);
            business.services.iter().for_each(|service| reader.knows_service(&business.name, service));
        }
        known.services.iter().for_each(|added| reader.knows_service(&added.of, &added.declared));
        known.components.iter().for_each(|added| reader.knows_component(&added.of, &added.declared));
        reader
    }

    fn knows(&mut self, kind: &'static str, path: &str, profile: &Profile) {
        let at = &profile.declared_at;
        self.names.insert((kind, path.to_owned()), at.clone());
        self.teams.extend(profile.owners.iter().map(|owner| (owner.clone(), at.clone(), false)));
        if !profile.contract.is_empty() {
            self.references.push(Reference { at: at.clone(), name: profile.contract.clone(), wanted: Wanted::Contract });
        }
    }

    fn knows_service(&mut self, business: &str, service: &Service) {
        let path = format!("{business}/{}", service.name);
        self.knows("service", &path, &service.profile);
        service.components.iter().for_each(|component| self.knows_component(&path, component));
    }

    fn knows_component(&mut self, service: &str, component: &Component) {
        let path = format!("{service}/{}", component.name);
        self.knows("component", &path, &component.profile);
        let at = &component.profile.declared_at;
        let claim = |rule: &Match| Claim { at: at.clone(), rule: rule.clone(), path: path.clone() };
        self.claims.extend(component.matches.iter().map(claim));
        for dependency in component.depends_on.iter().flatten() {
            if let Dependency::Component(name) = dependency {
                let wanted = Wanted::Component { caller: path.clone() };
                self.references.push(Reference { at: at.clone(), name: name.clone(), wanted });
            }
        }
    }
}

/// `contracts` are their names, `more` references from other kinds of file.
pub(crate) fn join(reader: OmdReader, known: &Known, contracts: &[String], more: Vec<Reference>) -> Declared {
    let OmdReader { reader, business_services, services, components, retention, teams, mut references, claims, .. } = reader;
    let mut join = Join { tree: known.business_services.clone(), stray: Vec::new(), diagnostics: reader.diagnostics, hints: 0 };
    let local = business_services.len() + services.len() + components.len() > 0;
    join.tree.extend(business_services);
    for added in known.services.iter().cloned().chain(services) {
        match join.tree.iter_mut().find(|business| business.name == added.of) {
            Some(business) => business.services.push(added.declared),
            None => {
                let names: Vec<String> = join.tree.iter().map(|business| business.name.clone()).collect();
                let what = format!("cannot add to business service {:?}: nobody declares it", added.of);
                join.dangling(&added.at, &added.of, what, &names);
                join.stray.push(hollow_business(&added.of, added.declared));
            }
        }
    }
    for added in known.components.iter().cloned().chain(components) {
        let (name, service) = added.of.split_once('/').unwrap_or((&added.of, ""));
        let business = join.tree.iter_mut().find(|candidate| candidate.name == name);
        match business.and_then(|business| business.services.iter_mut().find(|candidate| candidate.name == service)) {
            Some(service) => service.components.push(added.declared),
            None => {
                let paths = join
                    .tree
                    .iter()
                    .flat_map(|business| business.services.iter().map(move |service| format!("{}/{}", business.name, service.name)));
                let paths: Vec<String> = paths.collect();
                let what = format!("cannot add to service {:?}: nobody declares it", added.of);
                join.dangling(&added.at, &added.of, what, &paths);
                let service = Service { name: service.to_owned(), profile: Profile::default(), components: vec![added.declared] };
                join.stray.push(hollow_business(name, service));
            }
        }
    }
    references.extend(more);
    join.refer(&references, contracts, known, &teams);
    join.diagnostics.extend(claims::conflicts(&claims, Origin::is_elsewhere));
    let teams = join.contacts(teams);
    if local {
        join.owned();
    }
    join.tree.extend(join.stray);
    Declared { business_services: join.tree, retention, teams, diagnostics: join.diagnostics }
}

/// Stands for a business service that nobody declares: it is declared nowhere.
fn hollow_business(name: &str, service: Service) -> BusinessService {
    BusinessService { name: name.to_owned(), profile: Profile::default(), services: vec![service] }
}

struct Join {
    tree: Vec<BusinessService>,
    /// What is a part of something that nobody declares.
    stray: Vec<BusinessService>,
    diagnostics: Vec<Diagnostic>,
    hints: usize,
}

/// Whole paths of components by their last name.
struct Paths(HashMap<String, Vec<String>>);

impl Paths {
    fn of(tree: &[BusinessService]) -> Self {
        let mut paths: HashMap<String, Vec<String>> = HashMap::new();
        for business in tree {
            for service in &business.services {
                for component in &service.components {
                    let path = format!("{}/{}/{}", business.name, service.name, component.name);
                    paths.entry(component.name.clone()).or_default().push(path);
                }
            }
        }
        Self(paths)
    }

    /// Those that end in the names.
    fn found(&self, names: &str) -> Vec<&str> {
        let last = names.rsplit('/').next().unwrap_or_default();
        let ends = |path: &&String| path.strip_suffix(names).is_some_and(|before| before.is_empty() || before.ends_with('/'));
        self.0.get(last).into_iter().flatten().filter(ends).map(String::as_str).collect()
    }
}

impl Join {
    fn dangling(&mut self, at: &Origin, name: &str, what: String, known: &[String]) {
        self.hints += 1;
        let near = if self.hints <= HINTS_MAX { closest(name, &known.iter().map(String::as_str).collect::<Vec<_>>()) } else { None };
        let hint = near.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        self.diagnostics.push(Diagnostic::at(at, Check::DanglingReference, format!("{what}{hint}")).meant(name, near));
    }

    /// Every reference leads to one thing, and a component is written with its whole path.
    fn refer(&mut self, references: &[Reference], contracts: &[String], known: &Known, teams: &[(Owner, Origin, bool)]) {
        let paths = Paths::of(&self.tree);
        let contracts: Vec<String> = contracts.iter().chain(&known.contracts).cloned().collect();
        let (has_contract, businesses) = (contracts.iter().collect::<HashSet<_>>(), self.tree.iter().map(|business| business.name.clone()));
        let businesses: Vec<String> = businesses.collect();
        let has_business: HashSet<&String> = businesses.iter().collect();
        let listed: Vec<String> = teams.iter().filter(|(_, _, listed)| *listed).map(|(owner, ..)| owner.team.clone()).collect();
        let has_team: HashSet<&String> = listed.iter().collect();
        let components: Vec<String> = paths.0.keys().cloned().collect();
        for Reference { at, name, wanted } in references {
            match wanted {
                Wanted::Component { caller } => match paths.found(name)[..] {
                    [path] if path == caller => {
                        let what =
                            format!("cannot depend on {name:?}: that is the component itself, and its calls to itself are its own affair");
                        self.diagnostics.push(Diagnostic::at(at, Check::Circle, what));
                    }
                    [_] => {}
                    [] => {
                        let what = format!("cannot depend on {name:?}: no component of that name is declared");
                        self.dangling(at, name, what, &components);
                    }
                    [one, other, ..] => {
                        let what = format!("cannot depend on {name:?}: it may be {one} or {other}");
                        self.diagnostics.push(Diagnostic::at(at, Check::AmbiguousReference, what));
                    }
                },
                Wanted::Contract if !has_contract.contains(name) => {
                    let what = format!("cannot find contract {name:?}: there is no contracts/{name}.json");
                    self.dangling(at, name, what, &contracts);
                }
                Wanted::BusinessService if !has_business.contains(name) => {
                    self.dangling(at, name, format!("cannot find business service {name:?}: nobody declares it"), &businesses);
                }
                Wanted::Team if !listed.is_empty() && !has_team.contains(name) => {
                    self.dangling(at, name, format!("cannot find team {name:?}: it is not one of the teams"), &listed);
                }
                _ => {}
            }
        }
        for business in &mut self.tree {
            let calls = business.services.iter_mut().flat_map(|service| &mut service.components);
            for dependency in calls.flat_map(|component| &mut component.depends_on).flatten() {
                if let Dependency::Component(name) = dependency
                    && let [path] = paths.found(name)[..]
                {
                    path.clone_into(name);
                }
            }
        }
    }

    /// A team's contacts are said once and hold wherever it owns something. Gives the teams that are listed.
    fn contacts(&mut self, mut teams: Vec<(Owner, Origin, bool)>) -> Vec<Team> {
        // Owners in a catalogue in force have contacts that were said elsewhere, and perhaps are said otherwise now: they contradict nobody.
        teams.sort_by_key(|(_, at, listed)| at.is_elsewhere() && !listed);
        let mut said: BTreeMap<(String, &'static str), (String, Origin)> = BTreeMap::new();
        let mut first: BTreeMap<String, Origin> = BTreeMap::new();
        let mut listed: Vec<(Owner, Origin)> = Vec::new();
        for (mut owner, at, is_listed) in teams {
            let team = owner.team.clone();
            if !at.is_elsewhere() {
                first.entry(team.clone()).or_insert_with(|| at.clone());
            }
            for (kind, contact) in owner.contacts().into_iter().filter(|(_, contact)| !contact.is_empty()) {
                match said.get(&(team.clone(), kind)) {
                    Some((other, place)) if other != contact && !at.is_elsewhere() => {
                        let what = format!("cannot give team {team:?} the {kind} {contact:?}: {place} gives it {other:?}");
                        self.diagnostics.push(Diagnostic::at(&at, Check::OwnershipConflict, what));
                    }
                    Some(_) => {}
                    None => drop(said.insert((team.clone(), kind), (contact.clone(), at.clone()))),
                }
            }
            if is_listed {
                if let Some((_, other)) = listed.iter().find(|(other, _)| other.team == team) {
                    let what = format!("cannot declare team {team:?} twice: it stands at {other}");
                    // Once in one list is told by the reader.
                    if other.file != at.file {
                        self.diagnostics.push(Diagnostic::at(&at, Check::DuplicateName, what));
                    }
                } else {
                    listed.push((owner, at));
                }
            }
        }
        let fill = |owner: &mut Owner| {
            let team = owner.team.clone();
            for (kind, contact) in owner.contacts() {
                if let Some((known, _)) = said.get(&(team.clone(), kind)).filter(|_| contact.is_empty()) {
                    contact.clone_from(known);
                }
            }
        };
        for_each_profile(&mut self.tree, |profile| profile.owners.iter_mut().for_each(fill));
        let reached: HashSet<&String> = said.keys().map(|(team, _)| team).collect();
        for (team, at) in first.iter().filter(|(team, _)| !reached.contains(team)) {
            self.diagnostics.push(Diagnostic::at(at, Check::NoContact, format!("cannot reach team {team:?}: no file says how")));
        }
        listed.into_iter().map(|(owner, declared_at)| Team { owner, declared_at }).collect()
    }

    /// Somebody answers for every component.
    fn owned(&mut self) {
        for business in &self.tree {
            for service in business.services.iter().filter(|_| business.profile.owners.is_empty()) {
                for component in service.components.iter().filter(|_| service.profile.owners.is_empty()) {
                    let Profile { owners, declared_at, .. } = &component.profile;
                    if owners.is_empty() && !declared_at.is_elsewhere() {
                        let what = format!("cannot tell who owns {:?}: nobody is named here or above", component.name);
                        self.diagnostics.push(Diagnostic::at(declared_at, Check::NoOwner, what));
                    }
                }
            }
        }
    }
}

fn for_each_profile(tree: &mut [BusinessService], mut each: impl FnMut(&mut Profile)) {
    for business in tree {
        each(&mut business.profile);
        for service in &mut business.services {
            each(&mut service.profile);
            service.components.iter_mut().for_each(|component| each(&mut component.profile));
        }
    }
}
