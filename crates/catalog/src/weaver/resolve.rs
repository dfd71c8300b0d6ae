//! What is taken of a registry, and what each group names with all that it takes over.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::read::{Group, Named, Registry};
use crate::checks::Check;
use crate::problem::{Diagnostic, Origin, closest};
use crate::rules::glob_matches;

/// How far a group may take over what others take over.
const STEPS_MAX: usize = 32;

/// Attributes that all groups together name.
const NAMED_MAX: usize = 500_000;

/// Groups that are taken, each with all attributes that it names.
pub(super) struct Taken<'r> {
    pub(super) groups: Vec<(&'r Group, Vec<Named>)>,
    /// Nobody chose groups, so all attributes of the registry are wanted.
    pub(super) whole: bool,
}

pub(super) fn resolve<'r>(registry: &'r Registry, wanted: &[String]) -> Result<Taken<'r>, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let mut chosen: HashSet<&str> = HashSet::new();
    for glob in wanted {
        if !choose(registry, glob, &mut chosen) {
            let ids: Vec<&str> = registry.groups.iter().map(|group| group.id.as_str()).collect();
            let hint = closest(glob, &ids).map(|id| format!("; did you mean {id:?}?")).unwrap_or_default();
            diagnostics.push(Diagnostic::of_file(Path::new("--group"), format!("cannot find group {glob:?}{hint}")));
        }
    }
    let whole = wanted.is_empty();
    for (glob, at) in registry.imports.iter().filter(|_| whole) {
        if !choose(registry, glob, &mut chosen) {
            diagnostics.push(dangling(at, format!("cannot import {glob:?}"), None));
        }
    }
    let (mut groups, mut count) = (Vec::new(), 0);
    for group in &registry.groups {
        let is_taken = chosen.contains(group.id.as_str()) || whole && group.is_own;
        // A registry that leads nowhere is none to trust, also where it is not taken. What a dependency does is not its fault.
        if is_taken || group.is_own {
            let named = names(registry, group, &mut diagnostics);
            count += named.len();
            if count > NAMED_MAX {
                let what = format!("cannot take so many attributes over: all groups together name named_max, {NAMED_MAX}, at most");
                diagnostics.push(Diagnostic::at(&group.at, Check::BadValue, what));
                break;
            }
            groups.extend(is_taken.then_some((group, named)));
        }
    }
    let mut seen = BTreeSet::new();
    diagnostics
        .retain(|Diagnostic { problem, .. }| seen.insert((problem.file.clone(), problem.line, problem.column, problem.what.clone())));
    if diagnostics.is_empty() { Ok(Taken { groups, whole }) } else { Err(diagnostics) }
}

/// Whether there are any.
fn choose<'r>(registry: &'r Registry, glob: &str, chosen: &mut HashSet<&'r str>) -> bool {
    let found: Vec<&str> = registry.groups.iter().map(|group| group.id.as_str()).filter(|id| glob_matches(glob, id)).collect();
    chosen.extend(&found);
    !found.is_empty()
}

/// All attributes that a group names. What it says itself of one comes before what it takes over, the near before the far, and last what its definition
/// says.
fn names<'r>(registry: &'r Registry, group: &'r Group, diagnostics: &mut Vec<Diagnostic>) -> Vec<Named> {
    let (mut named, mut places): (Vec<Named>, HashMap<&str, usize>) = (Vec::new(), HashMap::new());
    let (mut step, mut seen) = (vec![group], HashSet::from([group.id.as_str()]));
    for _ in 0..STEPS_MAX {
        let mut next = Vec::new();
        for from in step {
            for attribute in &from.named {
                if registry.attribute(&attribute.key).is_some() {
                    let place = *places.entry(&attribute.key).or_insert(named.len());
                    match named.get_mut(place) {
                        Some(nearer) => nearer.take_over(attribute),
                        None => named.push(attribute.clone()),
                    }
                } else {
                    let near = near(&attribute.key, registry.by_key.keys(), diagnostics);
                    diagnostics.push(dangling(&attribute.at, format!("cannot find attribute {:?}", attribute.key), near));
                }
            }
            for (id, at) in &from.takes_over {
                match registry.group(id) {
                    None => {
                        let near = near(id, registry.by_id.keys(), diagnostics);
                        diagnostics.push(dangling(at, format!("cannot find group {id:?}"), near));
                    }
                    Some(other) if other.id == group.id => {
                        diagnostics.push(Diagnostic::at(at, Check::Circle, format!("cannot take over {id:?} in a circle")));
                    }
                    Some(other) => next.extend(seen.insert(&other.id).then_some(other)),
                }
            }
        }
        if next.is_empty() {
            for attribute in &mut named {
                let defined = registry.attribute(&attribute.key).and_then(|defined| defined.is_required);
                attribute.is_required = attribute.is_required.or(defined);
            }
            return named;
        }
        step = next;
    }
    let what = format!("cannot follow what {:?} takes over: that is more than steps_max, {STEPS_MAX}", group.id);
    diagnostics.push(Diagnostic::at(&group.at, Check::BadValue, what));
    named
}

/// What may be meant. Of problems beyond the first nobody reads the hint.
fn near<'r>(name: &str, known: impl Iterator<Item = &'r String>, diagnostics: &[Diagnostic]) -> Option<&'r str> {
    const HINTS_MAX: usize = 100;
    let known: Vec<&str> = known.filter(|_| diagnostics.len() < HINTS_MAX).map(String::as_str).collect();
    closest(name, &known)
}

fn dangling(at: &Origin, what: String, near: Option<&str>) -> Diagnostic {
    let hint = near.map(|near| format!("did you mean {near:?}?"));
    let hint = hint.unwrap_or_else(|| "no file has it; a registry that this one depends on is given by --dependency".to_owned());
    Diagnostic::at(at, Check::DanglingReference, format!("{what}: {hint}"))
}
