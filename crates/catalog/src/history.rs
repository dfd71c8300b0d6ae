//! What was declared when, and by whom: as whoever asks for it sees it. The crate `registry` keeps it.

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use model::{Code, Error, Result};
use serde::{Deserialize, Serialize, Serializer};

use crate::changes::Difference;
use crate::problem::{Diagnostic, Problem};
use crate::{Catalog, Level};

/// How the files of a source come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Files and folders beside the server.
    #[default]
    Local,
    /// A repository that the server follows.
    Git,
    /// Sent by `tyto apply`.
    Apply,
}

impl SourceKind {
    pub const ALL: [Self; 3] = [Self::Local, Self::Git, Self::Apply];

    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Git => "git",
            Self::Apply => "apply",
        }
    }
}

/// Who changes which part of the catalogue, and from where. A part is called by its source, and has one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    pub source: String,
    pub kind: SourceKind,
    /// Paths, or the address of a repository.
    pub from: String,
    /// Of git, where it is known.
    pub commit: String,
    /// Of the commit, or who sent the files; as they say.
    pub author: String,
}

/// A catalogue that came into force. It never changes, but for the moment in which the next one supersedes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// From 1, without gaps.
    pub number: u64,
    #[serde(rename = "in_force_from", serialize_with = "rfc3339", deserialize_with = "of_rfc3339")]
    pub in_force_from_ms: i64,
    /// None: it is in force still.
    #[serde(rename = "superseded", serialize_with = "rfc3339_if", deserialize_with = "of_rfc3339_if", default)]
    pub superseded_ms: Option<i64>,
    /// The change that made it of the one before.
    #[serde(flatten)]
    pub by: Provenance,
    /// SHA-256 of all files with their names.
    pub content_hash: String,
}

/// One file of a part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceFile {
    pub source: String,
    pub name: String,
    pub text: String,
}

/// All files of one part, anew; none: the part goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replacement {
    pub by: Provenance,
    /// Name and text.
    pub files: Vec<(String, String)>,
}

/// What became of a change.
#[derive(Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    /// The newest one when this was decided; none: nothing was ever declared.
    pub version: Option<Version>,
    /// What is in force otherwise than before, or would be.
    pub differences: Vec<Difference>,
    /// Those in the part's own files come first and have the names that these were sent with.
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is in force, and kept.
    Applied,
    /// It is what was in force before.
    Unchanged,
    /// It could be; nobody asked for more.
    WouldApply,
    Refused,
}

impl Outcome {
    /// Why it was refused.
    pub fn problems(&self) -> Vec<Problem> {
        let errors = self.diagnostics.iter().filter(|diagnostic| diagnostic.check.level() == Level::Error);
        errors.map(|diagnostic| diagnostic.problem.clone()).collect()
    }
}

/// Which version is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Now,
    Number(u64),
    /// Milliseconds since the Unix epoch.
    At(i64),
}

/// Why what is in force may not be the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    #[serde(rename = "since", serialize_with = "rfc3339")]
    pub since_ms: i64,
    pub what: String,
    /// In files, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// Of the files that are not in force.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub commit: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
}

/// A part of the catalogue, and the last change that it brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceStatus {
    #[serde(flatten)]
    pub by: Provenance,
    /// 0: none of its files ever was in force.
    pub version: u64,
    pub files: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// How the catalogue in force stands to what is declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    pub version: Option<Version>,
    /// What is in force may not be the newest: the store or one of the sources has trouble.
    pub stale: bool,
    /// `sqlite` or `postgres`.
    pub store: &'static str,
    /// Of the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    pub sources: Vec<SourceStatus>,
}

impl Status {
    /// Every trouble in a sentence.
    pub fn troubles(&self) -> Vec<String> {
        let sources = self.sources.iter().filter_map(|source| Some((&source.by.source, source.trouble.as_ref()?)));
        let told = sources.map(|(source, trouble)| format!("source {source}: {}", trouble.what));
        self.trouble.iter().map(|trouble| trouble.what.clone()).chain(told).collect()
    }
}

/// The catalogues that were in force, and the way to the next one.
#[async_trait]
pub trait History: Send + Sync {
    fn status(&self) -> Status;
    /// None: no such version, or nothing was declared then.
    async fn version(&self, when: When) -> Result<Option<Version>>;
    /// The newest first; with `before`, those of lower numbers.
    async fn versions(&self, before: Option<u64>, limit: usize) -> Result<Vec<Version>>;
    /// What was declared in a version that there is.
    async fn catalog(&self, number: u64) -> Result<Catalog>;
    /// What the second has otherwise than the first; 0 is the time before anything was declared.
    async fn differences(&self, from: u64, to: u64) -> Result<Vec<Difference>>;
    /// Checks everything that would be declared then. When that can be used and this is no dry run, it is durable, and in force, when this returns.
    async fn apply(&self, change: Replacement, dry_run: bool) -> Result<Outcome>;
}

/// Milliseconds since the Unix epoch, as an instant in UTC.
pub fn instant(ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn rfc3339<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instant(*ms))
}

fn rfc3339_if<S: Serializer>(ms: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    ms.map(instant).serialize(serializer)
}

fn of_rfc3339<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    DateTime::parse_from_rfc3339(&text).map(|at| at.timestamp_millis()).map_err(serde::de::Error::custom)
}

fn of_rfc3339_if<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    struct Instant(#[serde(deserialize_with = "of_rfc3339")] i64);
    Ok(Option::<Instant>::deserialize(deserializer)?.map(|Instant(ms)| ms))
}

/// Nothing is kept: of a process that only reads a folder.
#[derive(Debug)]
pub struct NoHistory;

#[async_trait]
impl History for NoHistory {
    fn status(&self) -> Status {
        Status::default()
    }

    async fn version(&self, _: When) -> Result<Option<Version>> {
        Ok(None)
    }

    async fn versions(&self, _: Option<u64>, _: usize) -> Result<Vec<Version>> {
        Ok(Vec::new())
    }

    async fn catalog(&self, number: u64) -> Result<Catalog> {
        Err(Error::new(Code::NotFound, format!("cannot find version {number} of the catalogue: none is kept here")))
    }

    async fn differences(&self, from: u64, to: u64) -> Result<Vec<Difference>> {
        if from == to { Ok(Vec::new()) } else { self.catalog(from.max(to)).await.map(|_| Vec::new()) }
    }

    async fn apply(&self, _: Replacement, _: bool) -> Result<Outcome> {
        Err(Error::unsupported("cannot apply a catalogue here: nothing is kept"))
    }
}
