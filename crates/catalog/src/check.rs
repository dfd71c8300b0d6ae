//! The catalogue for CI: what is wrong with files, and what they would change in a catalogue that is in force.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use serde_json::Value;

use crate::checks::{Check, Level};
use crate::contracts::Contract;
use crate::declared::{BusinessService, Match, Profile, Team};
use crate::omd::Known;
use crate::problem::{Diagnostic, Origin};
use crate::read;

/// A catalogue in force, as `GET /api/tyto/v1/catalog` gives it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Published {
    pub business_services: Vec<BusinessService>,
    pub contracts: Vec<Contract>,
    pub teams: Vec<Team>,
}

#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// What is in force, of which the files are a part.
    pub against: Option<Published>,
    /// Ends of names of files in force that the files replace; empty: found by what they declare.
    pub mine: Vec<String>,
    /// The files are a part of a catalogue, and what they refer to may be declared in another.
    pub part: bool,
}

#[derive(Debug, Default, serde::Serialize)]
pub struct Checked {
    /// In the order of the files and of their lines.
    pub diagnostics: Vec<Diagnostic>,
    /// What the files would change in what is in force; empty where there is nothing to compare with.
    pub changes: Vec<Change>,
    pub files: usize,
    pub components: usize,
    pub contracts: usize,
    /// References that were taken to lead into files that are not here.
    pub references_unchecked: usize,
}

/// What would be in force otherwise than it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum Change {
    Added {
        kind: &'static str,
        path: String,
    },
    Removed {
        kind: &'static str,
        path: String,
    },
    Moved {
        kind: &'static str,
        path: String,
        from: String,
    },
    /// With the keys that say something else.
    Changed {
        kind: &'static str,
        path: String,
        keys: Vec<String>,
    },
}

/// A line that says it.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { kind, path } => write!(f, "{kind} {path} is new"),
            Self::Removed { kind, path } => write!(f, "{kind} {path} is gone"),
            Self::Moved { kind, path, from } => write!(f, "{kind} {path} was {from}"),
            Self::Changed { kind, path, keys } => write!(f, "{kind} {path}: {} changed", keys.join(", ")),
        }
    }
}

impl Checked {
    pub fn count(&self, level: Level) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.check.level() == level).count()
    }
}

/// The texts as [`crate::Catalog::parse`] takes them.
pub fn check(texts: &[(&str, &str)], options: &CheckOptions) -> Checked {
    let (mut known, mut before) = (Known::default(), Before::default());
    if let Some(published) = &options.against {
        let (catalog, _) = read(texts, &known);
        let teams: HashSet<String> = catalog.teams.into_iter().map(|team| team.owner.team).collect();
        (known, before) = published.without_mine(&Declared::of(&catalog.business_services), &teams, &options.mine);
    }
    let (catalog, mut diagnostics) = read(texts, &known.elsewhere());
    let mut references_unchecked = 0;
    if options.part {
        let all = diagnostics.len();
        diagnostics.retain(|diagnostic| diagnostic.check != Check::DanglingReference);
        references_unchecked = all - diagnostics.len();
        // How to reach a team may be said in another file, too.
        diagnostics.retain(|diagnostic| diagnostic.check != Check::NoContact);
    }
    let mut now = Declared::of(&catalog.business_services);
    now.0.retain(|_, one| !one.is_elsewhere);
    let mut changes = Vec::new();
    if options.against.is_some() {
        let contracts: BTreeSet<String> = catalog.contracts.iter().map(|contract| contract.name.clone()).collect();
        changes = before.declared.changes(&now);
        changes.extend(contracts.difference(&before.contracts).map(|name| Change::Added { kind: CONTRACT, path: name.clone() }));
        changes.extend(before.contracts.difference(&contracts).map(|name| Change::Removed { kind: CONTRACT, path: name.clone() }));
    }
    Checked {
        diagnostics,
        changes,
        files: texts.len(),
        components: now.0.keys().filter(|(kind, _)| *kind == COMPONENT).count(),
        contracts: catalog.contracts.len(),
        references_unchecked,
    }
}

pub(crate) const BUSINESS_SERVICE: &str = "business service";
pub(crate) const SERVICE: &str = "service";
pub(crate) const COMPONENT: &str = "component";
pub(crate) const CONTRACT: &str = "contract";

/// Everything that has a path, by kind and path.
#[derive(Debug, Default)]
pub(crate) struct Declared(BTreeMap<(&'static str, String), One>);

#[derive(Clone, Debug)]
struct One {
    name: String,
    file: String,
    is_elsewhere: bool,
    matches: Vec<Match>,
    /// What it says, without its parts.
    says: Value,
}

/// What the files replace in what is in force.
#[derive(Default)]
struct Before {
    declared: Declared,
    contracts: BTreeSet<String>,
}

impl Declared {
    pub(crate) fn of(tree: &[BusinessService]) -> Self {
        let mut all = BTreeMap::new();
        let mut add = |kind, path: &str, name: &str, profile: &Profile, matches: &[Match], mut says: Value| {
            if let Value::Object(map) = &mut says {
                ["name", "services", "components", "declared_at"].iter().for_each(|key| drop(map.remove(*key)));
            }
            let Origin { file, .. } = profile.declared_at.clone();
            let one =
                One { name: name.to_owned(), is_elsewhere: profile.declared_at.is_elsewhere(), file, matches: matches.to_vec(), says };
            // What only stands for something that is declared elsewhere has no place.
            if profile.declared_at.line > 0 {
                all.insert((kind, path.to_owned()), one);
            }
        };
        for business in tree {
            let own = BusinessService { services: Vec::new(), ..business.clone() };
            add(BUSINESS_SERVICE, &business.name, &business.name, &business.profile, &[], json(&own));
            for service in &business.services {
                let path = format!("{}/{}", business.name, service.name);
                add(SERVICE, &path, &service.name, &service.profile, &[], json(&service.profile));
                for component in &service.components {
                    let path = format!("{path}/{}", component.name);
                    add(COMPONENT, &path, &component.name, &component.profile, &component.matches, json(component));
                }
            }
        }
        Self(all)
    }

    /// What each says, without its parts.
    pub(crate) fn says(self) -> impl Iterator<Item = ((&'static str, String), Value)> {
        self.0.into_iter().map(|(key, one)| (key, one.says))
    }

    /// Whether it has the same thing, if at another path.
    fn has(&self, kind: &'static str, path: &str, one: &One) -> bool {
        self.0.contains_key(&(kind, path.to_owned()))
            || kind == COMPONENT
                && !one.matches.is_empty()
                && self.0.iter().any(|((other, _), it)| *other == kind && it.name == one.name && it.matches == one.matches)
    }

    pub(crate) fn changes(&self, now: &Self) -> Vec<Change> {
        let mut added: Vec<_> = now.0.iter().filter(|(key, _)| !self.0.contains_key(*key)).collect();
        let mut changes = Vec::new();
        for ((kind, path), before) in &self.0 {
            let (kind, path) = (*kind, path.clone());
            match now.0.get(&(kind, path.clone())) {
                Some(after) => {
                    let keys = differing(&before.says, &after.says);
                    if !keys.is_empty() {
                        changes.push(Change::Changed { kind, path, keys });
                    }
                }
                None => match added.iter().position(|((other, _), after)| *other == kind && after.name == before.name) {
                    Some(at) => {
                        let ((_, to), _) = added.remove(at);
                        changes.push(Change::Moved { kind, path: to.clone(), from: path });
                    }
                    None => changes.push(Change::Removed { kind, path }),
                },
            }
        }
        changes.extend(added.into_iter().map(|((kind, path), _)| Change::Added { kind, path: path.clone() }));
        changes.sort();
        changes
    }
}

fn json(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

/// The keys whose values are not the same.
pub(crate) fn differing(before: &Value, after: &Value) -> Vec<String> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return Vec::new() };
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

impl Published {
    /// What others declare, and what stands in files that `declared` replaces: those that are named, or those of which at least half
    /// is declared here.
    fn without_mine(&self, declared: &Declared, teams: &HashSet<String>, named: &[String]) -> (Known, Before) {
        let mut all = Declared::of(&self.business_services);
        let mut shares: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for ((kind, path), one) in &all.0 {
            let (here, there) = shares.entry(&one.file).or_default();
            *here += usize::from(declared.has(kind, path, one));
            *there += 1;
        }
        for team in &self.teams {
            let (here, there) = shares.entry(&team.declared_at.file).or_default();
            *here += usize::from(teams.contains(&team.owner.team));
            *there += 1;
        }
        let is_named = |file: &str| named.iter().any(|end| file.ends_with(end.as_str()));
        let is_mine = |file: &str, (here, there): (usize, usize)| if named.is_empty() { here * 2 >= there } else { is_named(file) };
        let mine: HashSet<String> =
            shares.into_iter().filter(|(file, share)| is_mine(file, *share)).map(|(file, _)| file.to_owned()).collect();
        // Contracts lie in a folder beside the file.
        let folder = |file: &str| file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let folders: HashSet<String> = mine.iter().map(|file| folder(file)).collect();
        let (replaced, others): (Vec<_>, Vec<_>) = self.contracts.iter().partition(|contract| {
            let file = &contract.declared_at.file;
            folders.contains(&folder(&folder(file))) || is_named(file)
        });
        all.0.retain(|_, one| mine.contains(&one.file));
        let names = |contracts: &[&Contract]| contracts.iter().map(|contract| contract.name.clone()).collect::<Vec<_>>();
        let before = Before { declared: all, contracts: names(&replaced).into_iter().collect() };
        let mut known = Known { contracts: names(&others), ..Known::default() };
        known.teams = self.teams.iter().filter(|team| !mine.contains(&team.declared_at.file)).cloned().collect();
        known.keep(&self.business_services, |profile| !mine.contains(&profile.declared_at.file));
        (known, before)
    }
}
