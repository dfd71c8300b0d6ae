//! A registry of OpenTelemetry Weaver as a contract: <https://github.com/open-telemetry/weaver/tree/main/schemas>.
//!
//! An attribute is a property, an event a rule for records of its name, an entity's attributes are those of resources. Path: `read.rs` (files
//! of both forms to attributes and groups) with `types.rs` (what is said of a value, as JSON Schema) > `resolve.rs` (what a group names, with
//! what it takes over from others) > `map.rs` (the contract, and what is left out).

mod map;
mod read;
mod resolve;
mod types;

use crate::files;
use crate::problem::Diagnostic;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// A file for `contracts/`.
    pub contract: String,
    /// What has no place in it, a sentence each.
    pub left_out: Vec<String>,
}

/// What is imported, and of it what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'t> {
    pub registry: &'t [(&'t str, &'t str)],
    /// Registries that it refers to: of these comes only what it names.
    pub dependencies: &'t [(&'t str, &'t str)],
    /// Ids of groups, `*` for any letters; empty: the whole registry.
    pub groups: &'t [String],
}

/// The texts of files, and of all YAML files in directories and below them.
pub fn texts<P: AsRef<std::path::Path>>(paths: &[P]) -> Result<Vec<(String, String)>, Vec<Diagnostic>> {
    files::texts_below(paths, "YAML file", |_| true)
}

/// All files together: groups refer to each other.
pub fn import(wanted: &Wanted<'_>) -> Result<Imported, Vec<Diagnostic>> {
    let (registry, mut left_out) = read::read(wanted.registry, wanted.dependencies)?;
    let taken = resolve::resolve(&registry, wanted.groups)?;
    let contract = map::map(&registry, &taken, &mut left_out);
    Ok(Imported { contract: format!("{contract:#}\n"), left_out })
}
