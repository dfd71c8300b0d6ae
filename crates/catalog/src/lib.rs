//! What have the teams declared about their systems?
//!
//! Three kinds of file: `omd.yaml`, which says what business services there are, what they consist of, who owns them,
//! by which attributes their telemetry is recognised, and how long it is kept; contracts, JSON Schema of what log records look
//! like; and boards, what people watch who ask no queries. The users' pages are `docs/catalogue.md` and `docs/boards.md`.
//!
//! Path: `yaml.rs`, `json.rs` (text to a tree that knows its lines) > `omd.rs`, `contracts.rs`, `boards.rs` (tree to declarations, strictly, every
//! problem at once; over `fields.rs`) > `rules.rs` (declarations to a compiled matcher) > `live.rs` (the one in force, and its replacement).
//!
//! When you add a field to `omd.yaml`, also touch `docs/catalogue.md`, `tests/cases/catalog/` and, when it is shown,
//! `docs/api.md`. When you change how rules are ranked, also touch the section on ranking in `docs/catalogue.md`.
//!
//! This crate knows no socket, no batch and no storage of signals: it answers look-ups by name.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod boards;
mod contracts;
mod fields;
mod json;
mod live;
mod omd;
mod problem;
mod rules;
pub mod yaml;

use std::path::{Path, PathBuf};

pub use boards::{Board, BoardRange, Good, Language, Look, Question, Shows, Tile};
pub use live::Live;
pub use omd::{BusinessService, Component, Dependency, Keep, Match, Owner, Pattern, Service};
pub use problem::{Problem, closest};

use model::{DeclaredFields, Identity, Retention, Table, UNASSIGNED, parse_keep};
use omd::Declared;
use rules::Rules;

/// Of one file.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// Everything declared, and the rules compiled from it. Serialises as the API shows it.
#[derive(Debug, Default, serde::Serialize)]
pub struct Catalog {
    /// Of everybody for whom nothing more specific is declared.
    #[serde(skip_serializing_if = "Keep::is_empty")]
    pub retention: Keep,
    pub business_services: Vec<BusinessService>,
    /// Attributes of log records that contracts declare.
    #[serde(skip_serializing_if = "DeclaredFields::is_empty")]
    pub fields: DeclaredFields,
    /// Sorted by title. They have an API of their own.
    #[serde(skip)]
    pub boards: Vec<Board>,
    #[serde(skip)]
    rules: Rules,
}

impl Catalog {
    /// Reads files, and of directories the `*.yaml` and `*.yml` the contracts, `contracts/*.json`, and the boards, `boards/*.yaml`, in the order of their names. All or
    /// nothing: every problem of every file comes back at once.
    pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut texts = Vec::new();
        for path in paths {
            match files_of(path.as_ref()).and_then(|files| files.into_iter().map(read).collect::<Result<Vec<_>, _>>()) {
                Ok(more) => texts.extend(more),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let texts: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        Self::parse(&texts)
    }

    /// The same from texts, each with the name that its problems carry. One whose name ends in `.json` is a contract, one in a folder
    /// `boards` a board.
    pub fn parse(texts: &[(&str, &str)]) -> Result<Self, Vec<Problem>> {
        let (contracts, files): (Vec<_>, Vec<_>) = texts.iter().partition(|(name, _)| name.ends_with(".json"));
        let (boards, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, _)| boards::is_board(name));
        match (omd::read(&files), contracts::read(&contracts), boards::read(&boards)) {
            (Ok(Declared { business_services, retention }), Ok(fields), Ok(boards)) => {
                let rules = Rules::compile(&business_services);
                Ok(Self { retention, business_services, fields, boards, rules })
            }
            (read, fields, boards) => Err([read.err(), fields.err(), boards.err()].into_iter().flatten().flatten().collect()),
        }
    }

    /// Whose is the record that has these attributes or labels? A rule for `service.name` also looks at `service_name`,
    /// as the name is spelled on samples. Region and environment stay empty: the catalogue does not declare them.
    pub fn identify<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> Option<Identity> {
        self.rules.first_match(&lookup)
    }

    /// Whether [`Self::identify`] may ask for the attribute or label.
    pub fn looks_at(&self, name: &str) -> bool {
        self.rules.names.contains(name)
    }

    /// As much of an identity as is declared, with the team that owns that; `unassigned` is declared by everybody.
    pub fn declared(&self, identity: &Identity) -> Option<Identity> {
        let mut declared = Identity { business_service: identity.business_service.clone(), ..Identity::default() };
        if identity.business_service == UNASSIGNED {
            return Some(declared);
        }
        let business = self.business_services.iter().find(|business| business.name == identity.business_service)?;
        let service = business.services.iter().find(|service| service.name == identity.service);
        let component = service.and_then(|service| service.components.iter().find(|component| component.name == identity.component));
        let owner = component.and_then(|component| component.owners.first()).or(business.owners.first());
        declared.service = service.map(|service| service.name.clone()).unwrap_or_default();
        declared.component = component.map(|component| component.name.clone()).unwrap_or_default();
        declared.team = owner.map(|owner| owner.team.clone()).unwrap_or_default();
        Some(declared)
    }

    /// How long everybody's rows are kept: what is declared, over `otherwise`.
    pub fn retention(&self, mut otherwise: Retention) -> Retention {
        let mut keep = |scope: [&str; 3], declared: &Keep| {
            for table in Table::ALL {
                if let Some(time) = declared.of(table).and_then(|text| parse_keep(text).ok()) {
                    otherwise.keep(table, scope, time);
                }
            }
        };
        keep([""; 3], &self.retention);
        for business in &self.business_services {
            keep([&business.name, "", ""], &business.retention);
            for service in &business.services {
                keep([&business.name, &service.name, ""], &service.retention);
                for component in &service.components {
                    keep([&business.name, &service.name, &component.name], &component.retention);
                }
            }
        }
        otherwise
    }

    /// Without a rule nothing can match, so nothing need be looked up.
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }
}

/// The folder of contracts in a directory.
const CONTRACTS: &str = "contracts";

fn files_of(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    let metadata = std::fs::metadata(path).map_err(|error| Problem::of_file(path, format!("cannot read catalogue: {error}")))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = listed(path, &["yaml", "yml"])?;
    let contracts = path.join(CONTRACTS);
    if contracts.is_dir() {
        files.extend(listed(&contracts, &["json"])?);
    }
    let boards = path.join(boards::FOLDER);
    if boards.is_dir() {
        files.extend(listed(&boards, &["yaml", "yml"])?);
    }
    match files.is_empty() {
        true => Err(Problem::of_file(
            path,
            "cannot find a catalogue: the directory holds no .yaml, no .yml, no contracts/*.json and no boards/*.yaml file",
        )),
        false => Ok(files),
    }
}

/// The files of a directory with one of these extensions.
fn listed(path: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Problem> {
    let cannot_list = |error: std::io::Error| Problem::of_file(path, format!("cannot list catalogue: {error}"));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot_list)? {
        let path = entry.map_err(cannot_list)?.path();
        if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: PathBuf) -> Result<(String, String), Problem> {
    let fail = |what: String| Err(Problem::of_file(&path, what));
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
            fail(format!("cannot read catalogue: {} bytes are over file_bytes_max, {FILE_BYTES_MAX}", metadata.len()))
        }
        Ok(_) => match std::fs::read_to_string(&path) {
            Ok(text) => Ok((path.display().to_string(), text)),
            Err(error) => fail(format!("cannot read catalogue: {error}")),
        },
        Err(error) => fail(format!("cannot read catalogue: {error}")),
    }
}
