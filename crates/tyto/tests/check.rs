//! `tyto check`, `tyto schema` and `tyto import` as CI and people meet them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const GOOD: &str = "business_services: [{name: shop, owners: [{team: till, slack: \"#till\"}]}]\n";
const BAD: &str = "business_services:\n  - name: shop\n    ownrs: [{team: till}]\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn tyto(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tyto"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TYTO_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder).output().expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error} in {}", stdout(output)))
}

fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }
    folder
}

#[test]
fn the_examples_are_green() {
    for company in ["streaming", "health", "photos"] {
        let checked = tyto(&root(), &["check", &format!("examples/{company}"), "--deny-warnings"]);
        assert!(checked.status.success() && stdout(&checked).starts_with("ok: "), "{company}: {}", stdout(&checked));
    }
}

#[test]
fn problems_are_told_as_a_compiler_does() {
    let folder = repository(&[("omd.yaml", BAD)]);
    let checked = tyto(folder.path(), &["check", "omd.yaml"]);
    assert_eq!(checked.status.code(), Some(1));
    let expected = "omd.yaml:3:5: error[unknown-key]: cannot use key \"ownrs\" in a business service: did you mean \"owners\"?\n   \
                    3 |     ownrs: [{team: till}]\n     |     ^^^^^\n     = fix: write \"owners\" instead of \"ownrs\"\n1 error, 0 warnings: 1 file, 0 components, 0 contracts\n";
    assert_eq!(stdout(&checked), expected);
}

#[test]
fn exit_codes_tell_problems_from_trouble() {
    let folder = repository(&[("omd.yaml", "business_services: [{name: shop, owners: [{team: till}]}]\n")]);
    // A team without a contact is a warning.
    assert_eq!(tyto(folder.path(), &["check", "."]).status.code(), Some(0));
    assert_eq!(tyto(folder.path(), &["check", ".", "--deny-warnings"]).status.code(), Some(1));
    for arguments in
        [&["check", "nowhere"][..], &["check", ".", "--against", "http://127.0.0.1:1"], &["check"], &["check", ".", "--format", "xml"]]
    {
        let trouble = tyto(folder.path(), arguments);
        assert!(trouble.status.code() == Some(2) && !trouble.stderr.is_empty() && trouble.stdout.is_empty(), "{arguments:?}: {trouble:?}");
    }
}

#[test]
fn sarif_has_what_code_scanning_needs() {
    let folder = repository(&[("a b/omd.yaml", BAD)]);
    let checked = tyto(folder.path(), &["check", ".", "--format", "sarif"]);
    assert_eq!(checked.status.code(), Some(1));
    let sarif = json(&checked);
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let result = &run["results"][0];
    let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
    assert_eq!((&rules[index]["id"], &result["ruleId"], &result["level"]), (&"unknown-key".into(), &"unknown-key".into(), &"error".into()));
    assert!(rules.iter().all(|rule| rule["help"]["text"].is_string() && rule["shortDescription"]["text"].is_string()));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20b/omd.yaml");
    assert_eq!((place["region"]["startLine"].as_u64(), place["region"]["startColumn"].as_u64()), (Some(3), Some(5)));
    let replacement = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_eq!((replacement["deletedRegion"]["endColumn"].as_u64(), &replacement["insertedContent"]["text"]), (Some(10), &"owners".into()));
    assert!(result["message"]["text"].as_str().is_some_and(|text| text.starts_with("cannot use key")));
}

#[test]
fn json_says_the_same_to_programs() {
    let folder = repository(&[("omd.yaml", BAD)]);
    let report = json(&tyto(folder.path(), &["check", ".", "--format", "json"]));
    assert_eq!((&report["version"], &report["ok"], &report["errors"]), (&1.into(), &false.into(), &1.into()));
    let problem = &report["problems"][0];
    assert_eq!(
        (&problem["check"], &problem["level"], &problem["line"], &problem["column"]),
        (&"unknown-key".into(), &"error".into(), &3.into(), &5.into())
    );
    assert_eq!(problem["instead"]["write"], "owners");
}

#[test]
fn every_check_and_every_option_is_on_its_page() {
    let page = fs::read_to_string(root().join("docs/check.md")).expect("docs/check.md");
    for check in catalog::Check::ALL {
        assert!(page.contains(&format!("`{}`", check.name())), "docs/check.md lacks {}", check.name());
    }
    let help = stdout(&tyto(&root(), &["check", "--help"]));
    for flag in help.split_whitespace().filter(|word| word.starts_with("--") && *word != "--help") {
        assert!(page.contains(flag.trim_end_matches([',', '.'])), "docs/check.md lacks {flag}");
    }
}

#[test]
fn schemas_are_printed_and_backstage_is_imported() {
    let schema = json(&tyto(&root(), &["schema", "omd"]));
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(tyto(&root(), &["schema", "nothing"]).status.code(), Some(2));
    let imported = tyto(&root(), &["import", "backstage", "tests/cases/catalog/backstage"]);
    assert!(imported.status.success());
    assert_eq!(stdout(&imported), fs::read_to_string(root().join("tests/cases/catalog/backstage/omd.yaml")).expect("there"));
    assert!(String::from_utf8_lossy(&imported.stderr).contains("pagerduty.com/integration-key"));
    let folder = repository(&[("omd.yaml", &stdout(&imported))]);
    assert_eq!(tyto(folder.path(), &["check", "."]).status.code(), Some(0));
}

#[test]
fn a_registry_of_weaver_is_imported_whole_or_in_part() {
    let folder = "tests/cases/catalog/weaver";
    let imported = tyto(&root(), &["import", "weaver", folder]);
    assert!(imported.status.success());
    assert_eq!(stdout(&imported), fs::read_to_string(root().join(folder).join("contract.json")).expect("there"));
    assert!(String::from_utf8_lossy(&imported.stderr).contains("tyto: metrics (1) are left out"));
    let contracts = repository(&[("omd.yaml", GOOD), ("contracts/shop.json", &stdout(&imported))]);
    assert!(stdout(&tyto(contracts.path(), &["check", "."])).starts_with("ok: 2 files"));
    let part = json(&tyto(&root(), &["import", "weaver", folder, "--group", "event.shop.order.p*"]));
    assert_eq!(part["properties"]["event_name"]["examples"], serde_json::json!(["shop.order.placed"]));
    // Of a dependency comes only what is named, and only what is of the registry itself has to be found.
    let [orders, couriers] = ["orders", "couriers"].map(|name| format!("{folder}/{name}.yaml"));
    let dependent = tyto(&root(), &["import", "weaver", &orders, "--dependency", &couriers]);
    assert!(dependent.status.success() && !stdout(&dependent).contains("vehicle"));
    let alone = tyto(&root(), &["import", "weaver", &couriers, "--dependency", &orders]);
    assert!(String::from_utf8_lossy(&alone.stderr).contains("cannot find attribute \"shop.vehicle.plate\"") && !alone.status.success());
}

#[test]
fn names_that_opentelemetry_has_otherwise_are_notes_and_refuse_nothing() {
    let folder = repository(&[("omd.yaml", GOOD), ("contracts/a.json", "{\"properties\": {\"http.method\": {\"type\": \"string\"}}}")]);
    let checked = tyto(folder.path(), &["check", ".", "--deny-warnings"]);
    let text = stdout(&checked);
    assert!(checked.status.success() && text.contains("contracts/a.json:1:17: note[other-name]: cannot take \"http.method\""), "{text}");
    assert!(text.ends_with("ok, with 1 note: 2 files, 0 components, 1 contract\n"), "{text}");
    let sarif = json(&tyto(folder.path(), &["check", ".", "--format", "sarif"]));
    assert_eq!(sarif["runs"][0]["results"][0]["level"], "note");
    let report = json(&tyto(folder.path(), &["check", ".", "--format", "json"]));
    assert_eq!((&report["ok"], &report["notes"], &report["problems"][0]["level"]), (&true.into(), &1.into(), &"note".into()));
}

#[test]
fn the_hook_refuses_what_is_staged_and_not_what_lies_about() {
    let folder = repository(&[("omd.yaml", BAD)]);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]).args(arguments);
        command.env("TYTO", env!("CARGO_BIN_EXE_tyto")).env_remove("TYTO_CHECK_ARGS").current_dir(folder.path()).output().expect("git runs")
    };
    assert!(git(&["init", "-q"]).status.success());
    fs::create_dir_all(folder.path().join(".git/hooks")).expect("made");
    fs::copy(root().join("deploy/git-hooks/pre-commit"), folder.path().join(".git/hooks/pre-commit")).expect("copied");
    git(&["add", "."]);
    let refused = git(&["commit", "-qm", "bad"]);
    let told = format!("{}{}", stdout(&refused), String::from_utf8_lossy(&refused.stderr));
    assert!(!refused.status.success() && told.contains("omd.yaml:3:5: error[unknown-key]"), "{told}");
    // What is staged is good, what lies in the folder is not: the commit is of the first.
    fs::write(folder.path().join("omd.yaml"), GOOD).expect("written");
    git(&["add", "."]);
    fs::write(folder.path().join("omd.yaml"), BAD).expect("written");
    let taken = git(&["commit", "-qm", "good"]);
    assert!(taken.status.success(), "{}{}", stdout(&taken), String::from_utf8_lossy(&taken.stderr));
    fs::write(folder.path().join("notes.txt"), "no catalogue").expect("written");
    git(&["add", "notes.txt"]);
    assert!(git(&["commit", "-qm", "notes"]).status.success());
}
