//! Runs `tests/cases/catalog/*.test`. A case is `# name`, the file, then `---- problems` with what must be said (nothing
//! for a good file), `---- identify` with lines `attribute=value ... -> business/service/component team`, or `---- retention`
//! with lines `table business/service/component -> hours`, or
//! `---- dependencies` with what each component depends on. Files in `contracts.test` are contracts, and `---- fields` says what they
//! declare: attribute, type, column. Files in `boards.test` are boards, and `---- board` says what was read; those in `pipelines.test` are pipelines.
//! Files in `weaver.test` are registries of OpenTelemetry Weaver (of another registry in a folder `dependency`), and `---- contract` says what is made of
//! them and what is left out; words of the case's name after `--group` choose groups.
//! After `---- file NAME` stands another file of the same catalogue, and `---- checked` has what is told by `tyto check`, warnings and checks included.
//! `UPDATE=1` rewrites the expectations.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;

use catalog::{Catalog, weaver};

const REGISTRY: &str = "registry.yaml";

/// The files of a case, with their names.
fn files(name: &str, text: &str) -> Vec<(String, String)> {
    let mut parts = text.split("\n---- file ");
    let first = parts.next().unwrap();
    // The name of the case is no JSON.
    let first = if name.ends_with(".json") { format!("\n{}", first.split_once('\n').unwrap().1) } else { first.to_owned() };
    let others =
        parts.map(|part| part.split_once('\n').map_or((part.to_owned(), String::new()), |(name, text)| (name.to_owned(), text.to_owned())));
    let mut files: Vec<_> = std::iter::once((name.to_owned(), first)).chain(others).collect();
    // Whose a board is has to be somebody.
    if name.starts_with("boards/") || name.starts_with("pipelines/") {
        files.push(("omd.yaml".to_owned(), "business_services: [{name: login, owners: [{team: identity, slack: x}]}]".to_owned()));
    }
    files
}

/// What is made of a registry passes the check, whatever it was.
fn imported(texts: &[(&str, &str)], groups: &[String]) -> String {
    let (dependencies, registry): (Vec<_>, Vec<_>) = texts.iter().partition(|(name, _)| name.starts_with("dependency/"));
    let imported = match weaver::import(&weaver::Wanted { registry: &registry, dependencies: &dependencies, groups }) {
        Ok(imported) => imported,
        Err(diagnostics) => return diagnostics.iter().map(|diagnostic| format!("{}\n", diagnostic.problem)).collect(),
    };
    let checked = catalog::check(&[("contracts/one.json", &imported.contract)], &catalog::CheckOptions::default());
    assert_eq!(checked.diagnostics, [], "{}", imported.contract);
    imported.contract + &imported.left_out.iter().map(|said| format!("{said}\n")).collect::<String>()
}

fn answer(name: &str, text: &str, kind: &str, expected: &str) -> String {
    let files = files(name, text);
    let texts: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let mut out = String::new();
    if name == REGISTRY {
        assert_eq!(kind, "contract");
        let words = text.lines().next().unwrap_or_default().split_once("--group ").map_or("", |(_, words)| words);
        return imported(&texts, &words.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    }
    if kind == "checked" {
        for diagnostic in catalog::check(&texts, &catalog::CheckOptions::default()).diagnostics {
            let instead = diagnostic.instead.map(|instead| format!(" ({:?} for {:?})", instead.write, instead.of)).unwrap_or_default();
            writeln!(out, "{}: {}{instead}", diagnostic.check.name(), diagnostic.problem).unwrap();
        }
        return out;
    }
    let loaded = Catalog::parse(&texts);
    match (kind, loaded) {
        ("problems", Ok(_)) => {}
        (_, Err(problems)) => problems.iter().for_each(|problem| writeln!(out, "{problem}").unwrap()),
        ("identify", Ok(catalog)) => {
            for line in expected.lines() {
                let (attributes, _) = line.split_once(" ->").expect("a line is `attribute=value ... -> expectation`");
                let pairs: Vec<_> = attributes.split(' ').filter_map(|pair| pair.split_once('=')).collect();
                let found = catalog.identify(|key| pairs.iter().find(|pair| pair.0 == key).map(|pair| pair.1));
                let found = found.map_or("nobody".to_owned(), |identity| {
                    format!("{}/{}/{} {}", identity.business_service, identity.service, identity.component, identity.team)
                });
                writeln!(out, "{attributes} -> {}", found.trim_end()).unwrap();
            }
        }
        ("fields", Ok(catalog)) => {
            let lines = catalog.fields.iter().map(|field| format!("{} {} {}\n", field.key, field.kind.name(), field.column()));
            let mut lines: Vec<String> = lines.collect();
            lines.sort();
            out = lines.concat();
        }
        ("dependencies", Ok(catalog)) => {
            let services = catalog.business_services.iter().flat_map(|business| &business.services);
            for component in services.flat_map(|service| &service.components) {
                writeln!(out, "{}: {}", component.name, serde_json::to_string(&component.depends_on).unwrap()).unwrap();
            }
        }
        ("board", Ok(catalog)) => catalog.boards.iter().for_each(|board| writeln!(out, "{board:#?}").unwrap()),
        ("pipeline", Ok(catalog)) => catalog.pipelines.iter().for_each(|pipeline| writeln!(out, "{pipeline:#?}").unwrap()),
        ("retention", Ok(catalog)) => {
            let retention = catalog.retention(model::Retention::default());
            for line in expected.lines() {
                let (asked, _) = line.split_once(" ->").expect("a line is `table business/service/component -> expectation`");
                let (table, path) = asked.split_once(' ').expect("a table and a path");
                let mut path = path.split('/');
                let scope = std::array::from_fn(|_| path.next().unwrap_or_default());
                let hours = retention.of(table.parse().unwrap(), scope).map(|time| format!("{} h", time.as_secs() / 3600));
                writeln!(out, "{asked} -> {}", hours.as_deref().unwrap_or("for ever")).unwrap();
            }
        }
        (other, Ok(_)) => panic!("no such section: {other}"),
    }
    out
}

#[test]
fn cases() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/catalog");
    let (mut ran, mut refused) = (0, 0);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "test") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut rewritten = String::new();
        for case in text.split_inclusive("\n====\n") {
            let body = case.trim_end_matches("====\n");
            let (yaml, rest) = body.rsplit_once("\n---- ").expect("a case has a ---- section");
            let (kind, expected) = rest.split_once('\n').expect("a section has a line of its own");
            let name = match path.file_name().and_then(|name| name.to_str()) {
                Some(name) if name.starts_with("contracts") => "one.json",
                Some(name) if name.starts_with("boards") => "boards/one.yaml",
                Some(name) if name.starts_with("pipelines") => "pipelines/one.yaml",
                Some(name) if name.starts_with("weaver") => REGISTRY,
                _ => "omd.yaml",
            };
            let actual = answer(name, yaml, kind, expected.trim_end());
            if std::env::var_os("UPDATE").is_none() {
                assert_eq!(actual.trim_end(), expected.trim_end(), "{} in {}", yaml.lines().next().unwrap(), path.display());
            }
            let end = if case.ends_with("====\n") { "====\n" } else { "" };
            write!(rewritten, "{yaml}\n---- {kind}\n{actual}{end}").unwrap();
            ran += 1;
            refused += usize::from(path.to_string_lossy().contains("refused") && !actual.is_empty());
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, rewritten).unwrap();
        }
    }
    assert!(ran >= 120 && refused >= 125, "the cases are there: {ran}, {refused} of them refused");
}

#[test]
fn contracts_in_a_folder_agree_with_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let contracts = folder.path().join("contracts");
    std::fs::create_dir(&contracts).unwrap();
    let write = |name: &str, kind: &str| {
        let text = format!("{{\"properties\": {{\n  \"took.ms\": {{\"type\": \"{kind}\"}}}}}}");
        std::fs::write(contracts.join(name), text).unwrap();
    };
    write("a.json", "number");
    write("b.json", "number");
    std::fs::write(contracts.join("README.md"), "no contract").unwrap();
    let fields = Catalog::load(&[folder.path()]).unwrap().fields;
    assert_eq!(serde_json::to_value(&fields).unwrap(), serde_json::json!({"took.ms": "number"}));
    write("c.json", "integer");
    let problems = Catalog::load(&[folder.path()]).unwrap_err();
    let (a, c) = (contracts.join("a.json"), contracts.join("c.json"));
    let expect = format!(
        "{}:2:3: cannot declare \"took.ms\" as integer: its column is of type number, declared at {}:2:3",
        c.display(),
        a.display()
    );
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [expect]);
    let many: Vec<String> = (0..=model::DeclaredFields::FIELDS_MAX).map(|at| format!("\"f{at}\": {{\"type\": \"string\"}}")).collect();
    let text = format!("{{\"properties\": {{{}}}}}", many.join(","));
    let problems = Catalog::parse(&[("many.json", &text)]).unwrap_err();
    assert!(problems[0].what.contains("there are fields_max, 512") && problems.len() == 1, "{problems:?}");
}

#[test]
fn groups_take_over_only_so_far() {
    let chain = |length: usize| -> String {
        let groups = (1..length).map(|at| format!("  - {{id: g{at}, type: attribute_group, extends: g{}}}\n", at - 1));
        format!("groups:\n  - {{id: g0, type: attribute_group}}\n{}", groups.collect::<String>())
    };
    assert!(imported(&[(REGISTRY, &chain(32))], &[]).starts_with('{'));
    let expect = "registry.yaml:34:5: cannot follow what \"g32\" takes over: that is more than steps_max, 32\n";
    assert_eq!(imported(&[(REGISTRY, &chain(33))], &[]), expect);
}

#[test]
fn a_registry_in_a_folder_is_a_contract() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/catalog/weaver");
    let texts = weaver::texts(&[&folder]).unwrap();
    let named = |name: &str| std::path::Path::new(name).file_name().unwrap().to_string_lossy().into_owned();
    let texts: Vec<(String, &str)> = texts.iter().map(|(name, text)| (named(name), text.as_str())).collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let imported = weaver::import(&weaver::Wanted { registry: &texts, ..Default::default() }).unwrap();
    for (name, actual) in [("contract.json", &imported.contract), ("left-out.txt", &(imported.left_out.join("\n") + "\n"))] {
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(folder.join(name), actual).unwrap();
        }
        assert_eq!(*actual, std::fs::read_to_string(folder.join(name)).unwrap(), "{name}");
    }
    assert_eq!(catalog::check(&[("contracts/shop.json", &imported.contract)], &catalog::CheckOptions::default()).diagnostics, []);
}
