//! Keeps what no compiler keeps: who may use whom, that every page of the book is found, that no file outgrows a reader.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Crate, and the crates of ours it may depend on. A new edge is a decision: argue for it in the commit.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("model", &[]),
    ("catalog", &["model"]),
    ("lang", &["model"]),
    // For scraping: a configuration file is read as the catalogue is, its regular expressions as those of queries.
    ("receive", &["model", "catalog", "lang"]),
    ("pipeline", &["model", "catalog"]),
    // Owners and channels are the catalogue's; what breaks contracts comes through `model`.
    ("notify", &["model", "catalog"]),
    // What is declared, and kept; nobody but the program knows where.
    ("registry", &["model", "catalog"]),
    ("store", &["model"]),
    ("query", &["model", "lang"]),
    ("insight", &["model", "lang", "catalog"]),
    ("present", &["model", "lang", "catalog"]),
    ("sim", &["model"]),
    ("testkit", &["model", "lang"]),
    ("tyto", &["model", "catalog", "lang", "receive", "pipeline", "notify", "registry", "store", "query", "insight", "present", "sim"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

#[test]
fn crates_use_only_whom_they_may() {
    let ours: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let mut crates = 0;
    for entry in fs::read_dir(root().join("crates")).expect("crates") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let allowed = MAY_USE.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name} is not in MAY_USE")).1;
        let manifest = read(&folder.join("Cargo.toml"));
        let shipped = manifest.split("[dependencies]").nth(1).expect("dependencies").split("\n[").next().expect("a section");
        for line in shipped.lines() {
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
            let forbidden = ours.contains(dependency) && !allowed.contains(&dependency);
            assert!(!forbidden, "{name} must not use {dependency}");
        }
        crates += 1;
    }
    assert_eq!(crates, MAY_USE.len(), "every crate of MAY_USE exists");
}

#[test]
fn every_page_is_in_the_book() {
    let docs = root().join("docs");
    let summary = read(&docs.join("SUMMARY.md"));
    let mut pages = Vec::new();
    files(&docs, "md", &mut pages);
    for page in &pages {
        let link = page.strip_prefix(&docs).expect("under docs").to_string_lossy().into_owned();
        assert!(link == "SUMMARY.md" || summary.contains(&format!("({link})")), "docs/SUMMARY.md lacks {link}");
    }
    for link in summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(docs.join(link).is_file(), "docs/SUMMARY.md links {link}, which is not there");
    }
}

#[test]
fn every_crate_says_what_it_is_for() {
    for (name, _) in MAY_USE {
        let source = root().join("crates").join(name).join("src");
        let head = if source.join("lib.rs").exists() { source.join("lib.rs") } else { source.join("main.rs") };
        let first = read(&head).lines().find(|line| line.starts_with("//!")).map(str::to_owned).unwrap_or_default();
        assert!(first.contains('?'), "{} must open with the question it answers, found {first:?}", head.display());
    }
}

#[test]
fn no_source_file_outgrows_its_reader() {
    const LINES_MAX: usize = 900;
    let mut sources = Vec::new();
    files(&root().join("crates"), "rs", &mut sources);
    for source in sources.iter().filter(|path| path.components().any(|part| part.as_os_str() == "src")) {
        let lines = read(source).lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines: it has more than one subject", source.display());
    }
}
