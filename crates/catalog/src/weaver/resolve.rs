//! What is taken of a registry, and what each group names with all that it takes over.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::read::{Group, Named, Registry};
use crate::checks::Check;
use crate::problem::{Diagnostic, Origin, closest};
use crate::rules::glob_matches;

/// How far a group may take over what others take over.
const STEPS_MAX: usize = 32;

/// Groups that are taken, each with all attributes that it names.
pub(super) struct Taken<'r> {
    pub(super) groups: Vec<(&'r Group, Vec<&'r Named>)>,
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
    let mut groups = Vec::new();
    for group in &registry.groups {
        let is_taken = chosen.contains(group.id.as_str()) || whole && group.is_own;
        // A registry that leads nowhere is none to trust, also where it is not taken. What a dependency does is not its fault.
        if is_taken || group.is_own {
            let named = names(registry, group, &mut diagnostics);
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

/// All attributes that a group names. What it says itself of one comes before what it takes over, and the near before the far.
fn names<'r>(registry: &'r Registry, group: &'r Group, diagnostics: &mut Vec<Diagnostic>) -> Vec<&'r Named> {
    let (mut named, mut keys): (Vec<&Named>, HashSet<&str>) = (Vec::new(), HashSet::new());
    let (mut step, mut seen) = (vec![group], HashSet::from([group.id.as_str()]));
    for _ in 0..STEPS_MAX {
        let mut next = Vec::new();
        for from in step {
            for attribute in &from.named {
                if registry.attribute(&attribute.key).is_some() {
                    named.extend(keys.insert(&attribute.key).then_some(attribute));
                } else {
                    let known: Vec<&str> = registry.by_key.keys().map(String::as_str).collect();
                    let near = closest(&attribute.key, &known);
                    diagnostics.push(dangling(&attribute.at, format!("cannot find attribute {:?}", attribute.key), near));
                }
            }
            for (id, at) in &from.takes_over {
                match registry.group(id) {
                    None => {
                        let known: Vec<&str> = registry.by_id.keys().map(String::as_str).collect();
                        diagnostics.push(dangling(at, format!("cannot find group {id:?}"), closest(id, &known)));
                    }
                    Some(other) if other.id == group.id => {
                        diagnostics.push(Diagnostic::at(at, Check::Circle, format!("cannot take over {id:?} in a circle")));
                    }
                    Some(other) => next.extend(seen.insert(&other.id).then_some(other)),
                }
            }
        }
        if next.is_empty() {
            return named;
        }
        step = next;
    }
    let what = format!("cannot follow what {:?} takes over: that is more than steps_max, {STEPS_MAX}", group.id);
    diagnostics.push(Diagnostic::at(&group.at, Check::BadValue, what));
    named
}

fn dangling(at: &Origin, what: String, near: Option<&str>) -> Diagnostic {
    let hint = near.map(|near| format!("did you mean {near:?}?"));
    let hint = hint.unwrap_or_else(|| "no file has it; a registry that this one depends on is given by --dependency".to_owned());
    Diagnostic::at(at, Check::DanglingReference, format!("{what}: {hint}"))
}
