//! What have the teams declared about their systems?
//!
//! Four kinds of file: `omd.yaml`, which says what business services there are, what they consist of, who owns them,
//! by which attributes their telemetry is recognised, and how long it is kept; contracts, JSON Schema of what log records look
//! like; boards, what people watch who ask no queries; and pipelines, what is done to log records before they are stored. The users' pages are
//! `docs/catalogue.md`, `docs/boards.md` and `docs/pipelines.md`.
//!
//! Path: `files.rs` (directories to texts) > `yaml.rs`, `json.rs` (text to a tree that knows its lines) > `omd/`, `contracts.rs` with `hints.rs`, `keywords.rs` and `references.rs`,
//! `boards.rs`, `pipelines/` over `programs/` (trees to declarations, strictly, every problem at once; over `fields.rs` and `shape.rs`, which knows all keys) > `declared.rs` (what everybody else
//! sees) > `rules.rs` (declarations to a compiled matcher) > `live.rs` (the one in force).
//! Beside that path: `directory/` (what is declared as people read and search it, with what is missing), `drafts.rs` (contracts that are not in force, and who would have them), `channels.rs` (the operator's file by which owners are told), `check.rs` (the same for CI, compared with a catalogue in force), `report/` (what it found as text, SARIF, JSON), `schema.rs` (the keys for
//! editors), `schemas.rs` (contracts for whoever compiles them), `texts.rs` (files as they were read, for whoever drafts new ones), `compat.rs` (what two versions of one have different), `conventions/` (what OpenTelemetry calls otherwise), `backstage/` (Backstage's files to ours), `weaver/` (registries of OpenTelemetry to contracts), `history.rs` (what was in force when: kept by the crate `registry`) with `changes.rs` (what two of them have different).
//!
//! When you add a key to `omd.yaml`, it goes to `shape.rs`; also touch `docs/catalogue.md` and `tests/cases/catalog/`. A new check goes to `checks.rs` and
//! `docs/check.md`. When you change how rules are ranked, also touch the section on ranking in `docs/catalogue.md`.
//!
//! This crate knows no socket, no batch and no storage of signals: it answers look-ups by name.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod backstage;
mod boards;
mod changes;
mod channels;
mod check;
mod checks;
mod compat;
mod contracts;
mod conventions;
mod declared;
mod directory;
mod drafts;
mod fields;
mod files;
mod hints;
mod history;
mod json;
mod keywords;
mod live;
mod omd;
mod pipelines;
mod problem;
pub mod programs;
mod references;
pub mod report;
mod rules;
mod schema;
mod schemas;
mod shape;
mod texts;
pub mod weaver;
pub mod yaml;

use std::collections::HashMap;
use std::path::Path;

pub use boards::{Board, BoardRange, Good, Language, Look, Question, Shows, Tile};
pub use changes::{Difference, Side, differences};
pub use channels::{Channels, Github, MailServer, MailTls, Secret, SlackHook, Webhook};
pub use check::{Change, CheckOptions, Checked, Published, check};
pub use checks::{Check, Level};
pub use compat::{FieldChange, compare};
pub use contracts::{CORE_FIELDS, Contract, keyword};
pub use declared::{BusinessService, Component, Dependency, Keep, Link, Match, Owner, Pattern, Profile, Service, Team};
pub use directory::{Entry, EntryKind, Gap, Held, HeldLink, Page, Wanted};
pub use files::{FILE_BYTES_MAX, texts};
pub use hints::Mode;
pub use history::{
    History, NoHistory, Outcome, Provenance, Replacement, SourceFile, SourceKind, SourceStatus, Status, Trouble, Verdict, Version, When,
    instant,
};
pub use live::Live;
pub use pipelines::{
    Dedupe, Does, Enrich, Extract, ExtractKind, Hidden, Kept, Mask, MaskKind, NamedPattern, Parse, ParseFormat, Pipeline, Places, SampleBy,
    Selector, Stage, Table as LookUp, draft,
};
pub use problem::{Diagnostic, Instead, Origin, Problem, closest};
pub use schema::{SCHEMAS, schema};
pub use schemas::{Document, Schemas, escaped, within};
pub use texts::Texts;

use model::{DeclaredFields, Identity, Retention, Table, UNASSIGNED, parse_keep};
use omd::{Declared, Known, OmdReader};
use rules::Rules;

/// Everything declared, and the rules compiled from it. Serialises as the API shows it.
#[derive(Debug, Default, serde::Serialize)]
pub struct Catalog {
    /// Of everybody for whom nothing more specific is declared.
    #[serde(skip_serializing_if = "Keep::is_empty")]
    pub retention: Keep,
    pub business_services: Vec<BusinessService>,
    /// Empty where no file lists them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<Team>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contracts: Vec<Contract>,
    /// Attributes of log records that contracts declare.
    #[serde(skip_serializing_if = "DeclaredFields::is_empty")]
    pub fields: DeclaredFields,
    /// The contracts' texts, read.
    #[serde(skip)]
    pub schemas: Schemas,
    #[serde(skip)]
    pub texts: Texts,
    /// Sorted by title. They have an API of their own.
    #[serde(skip)]
    pub boards: Vec<Board>,
    /// In the order in which a record goes through them. They have an API of their own.
    #[serde(skip)]
    pub pipelines: Vec<Pipeline>,
    #[serde(skip)]
    rules: Rules,
}

impl Catalog {
    /// Reads files and directories; `docs/catalogue.md` says which files of a directory. All or nothing: every problem of every file comes back at once.
    pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Self, Vec<Problem>> {
        let texts = texts(paths).map_err(problems)?;
        let texts: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        Self::parse(&texts)
    }

    /// The same from texts, each with the name that its problems carry. One whose name ends in `.json` is a contract, one in a folder
    /// `boards` a board, one in a folder `pipelines` a pipeline, one in `pipelines/tables` a look-up table.
    pub fn parse(texts: &[(&str, &str)]) -> Result<Self, Vec<Problem>> {
        let (catalog, mut diagnostics) = Self::judge(texts);
        diagnostics.retain(|diagnostic| diagnostic.check.level() == Level::Error);
        catalog.ok_or_else(|| problems(diagnostics))
    }

    /// The same, with everything that is to be said of the texts: none where one is an error.
    pub fn judge(texts: &[(&str, &str)]) -> (Option<Self>, Vec<Diagnostic>) {
        let (catalog, diagnostics) = read(texts, &Known::default());
        let sound = diagnostics.iter().all(|diagnostic| diagnostic.check.level() != Level::Error);
        (sound.then_some(catalog), diagnostics)
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
        declared.service = service.map(|service| service.name.clone()).unwrap_or_default();
        declared.component = component.map(|component| component.name.clone()).unwrap_or_default();
        declared.team = self.owner(identity).map(|owner| owner.team.clone()).unwrap_or_default();
        Some(declared)
    }

    /// The team that answers for what is declared of an identity, with its contacts.
    pub fn owner(&self, identity: &Identity) -> Option<&Owner> {
        let business = self.business_services.iter().find(|business| business.name == identity.business_service)?;
        let service = business.services.iter().find(|service| service.name == identity.service);
        let component = service.and_then(|service| service.components.iter().find(|component| component.name == identity.component));
        let profiles = [component.map(|component| &component.profile), service.map(|service| &service.profile), Some(&business.profile)];
        profiles.into_iter().flatten().find_map(|profile| profile.owners.first())
    }

    /// All teams that own something or are listed, with their contacts. What a team owns has all that any file says of it, so that comes first.
    pub fn owners(&self) -> impl Iterator<Item = &Owner> {
        let services = || self.business_services.iter().flat_map(|business| &business.services);
        let components = services().flat_map(|service| &service.components).map(|component| &component.profile);
        let profiles = self.business_services.iter().map(|business| &business.profile);
        let profiles = profiles.chain(services().map(|service| &service.profile)).chain(components);
        profiles.flat_map(|profile| &profile.owners).chain(self.teams.iter().map(|team| &team.owner))
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
            keep([&business.name, "", ""], &business.profile.retention);
            for service in &business.services {
                keep([&business.name, &service.name, ""], &service.profile.retention);
                for component in &service.components {
                    keep([&business.name, &service.name, &component.name], &component.profile.retention);
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

fn problems(diagnostics: Vec<Diagnostic>) -> Vec<Problem> {
    diagnostics.into_iter().map(|diagnostic| diagnostic.problem).collect()
}

/// What the texts declare, as far as they can be read, and everything that is wrong with them, in the order of the texts.
fn read(texts: &[(&str, &str)], known: &Known) -> (Catalog, Vec<Diagnostic>) {
    let (tables, files): (Vec<_>, Vec<_>) = texts.iter().partition(|(name, _)| pipelines::is_table(name));
    let (contracts, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, _)| name.ends_with(".json"));
    let (boards, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, _)| boards::is_board(name));
    let (pipelines, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, _)| pipelines::is_pipeline(name));
    let mut contracts = contracts::read(&contracts, &known.contracts);
    let boards = boards::read(&boards);
    let pipelines = pipelines::read(&pipelines, &tables);
    let mut reader = OmdReader::knowing(known);
    files.iter().for_each(|(file, text)| reader.read(file, text));
    let names: Vec<String> = contracts.contracts.iter().map(|contract| contract.name.clone()).collect();
    let references = boards.references.into_iter().chain(pipelines.references).collect();
    let Declared { business_services, retention, teams, mut diagnostics } = omd::join(reader, known, &names, references);
    diagnostics.append(&mut contracts.diagnostics);
    diagnostics.extend(boards.diagnostics);
    diagnostics.extend(pipelines.diagnostics);
    let order: HashMap<&str, usize> = texts.iter().enumerate().map(|(number, (name, _))| (*name, number)).collect();
    let position = |file: &str| order.get(file).copied().unwrap_or(usize::MAX);
    diagnostics.sort_by_key(|Diagnostic { problem, .. }| (position(&problem.file), problem.line, problem.column));
    // What cannot be read is not in force, so its rules need not compile.
    let sound = diagnostics.iter().all(|diagnostic| diagnostic.check.level() != Level::Error);
    let rules = if sound { Rules::compile(&business_services) } else { Rules::default() };
    let contracts::Read { fields, contracts, schemas, .. } = contracts;
    let (boards, pipelines) = (boards.boards, pipelines.pipelines);
    let texts = Texts::of(texts);
    (Catalog { retention, business_services, teams, contracts, fields, schemas, texts, boards, pipelines, rules }, diagnostics)
}
