use async_trait::async_trait;

use crate::Result;

/// What the pipelines did to somebody's log records since the start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct PipelineCount {
    pub pipeline: String,
    /// Its number and its kind: `2 mask`; empty of the pipeline as a whole.
    pub stage: String,
    /// `seen`, `dropped`, `failed`, `masked`
    pub what: &'static str,
    pub reason: String,
    pub business_service: String,
    pub service: String,
    pub component: String,
    pub count: u64,
}

/// A record before and after a pipeline that is not in force.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Tried {
    pub before: serde_json::Value,
    /// None where it would not be stored.
    pub after: Option<serde_json::Value>,
    pub dropped: Option<TriedStage>,
    /// What stages could not do, and what they hid.
    pub notes: Vec<TriedStage>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct TriedStage {
    pub stage: String,
    pub what: &'static str,
    pub reason: String,
}

/// What was drafted, and what it does.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Trial {
    pub records: Vec<Tried>,
    /// `file:line:column: what`; the draft does not run with any.
    pub problems: Vec<String>,
}

/// Whoever runs pipelines over log records.
#[async_trait]
pub trait Pipelines: Send + Sync {
    fn counts(&self) -> Vec<PipelineCount>;

    /// Runs the text of a file over records as `docs/pipelines.md` writes them, and stores nothing.
    async fn try_draft(&self, file: String, text: String, tables: Vec<(String, String)>, records: Vec<serde_json::Value>) -> Result<Trial>;
}
