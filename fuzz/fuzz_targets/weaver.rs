#![no_main]

use catalog::{CheckOptions, weaver};
use libfuzzer_sys::fuzz_target;

// A registry, a registry that it depends on, and groups of it, a NUL between them. Whatever is made of them passes the check.
fuzz_target!(|text: &str| {
    let mut parts = text.split('\0');
    let (registry, dependency) = ([("a.yaml", parts.next().unwrap_or_default())], [("b.yaml", parts.next().unwrap_or_default())]);
    let groups: Vec<String> = parts.map(str::to_owned).collect();
    let Ok(imported) = weaver::import(&weaver::Wanted { registry: &registry, dependencies: &dependency, groups: &groups }) else { return };
    let checked = catalog::check(&[("contracts/a.json", &imported.contract)], &CheckOptions::default());
    assert!(checked.diagnostics.iter().all(|diagnostic| diagnostic.check.level() == catalog::Level::Note), "{:?}", checked.diagnostics);
});
