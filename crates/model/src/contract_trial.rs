use serde::Serialize;
use serde_json::Value;

use crate::Result;
use crate::breach::{Breach, Broken};

/// Whom a draft is for where nobody names it yet; what is empty leaves a level open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DraftFor {
    pub business_service: String,
    pub service: String,
    pub component: String,
}

/// What a draft of contracts would have done to records that came.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ContractTrial {
    /// Records that have one of these contracts, and how many of them break it.
    pub records: u64,
    pub broken: u64,
    /// Of those that break it, what the draft does to them: as many as break it would be set aside, or refused, if it said so.
    pub observed: u64,
    pub quarantined: u64,
    pub rejected: u64,
    /// By component and rule, those that most records break first. A record that breaks two rules is in both.
    pub breaches: Vec<TriedBreach>,
    /// Records that broke rules of further ones.
    pub breaches_left_out: u64,
}

/// One rule that records of one component break. Of values it tells only the kinds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TriedBreach {
    #[serde(flatten)]
    pub breach: Breach,
    #[serde(flatten)]
    pub broken: Broken,
}

/// Whoever compiles contracts and judges records by them.
pub trait ContractTrials: Send + Sync {
    /// Contracts that are not in force, from the texts of files as the catalogue reads them. An error names every problem with its file and line.
    fn draft(&self, files: &[(String, String)], whom: &DraftFor) -> Result<Box<dyn ContractDraft>>;
}

/// A draft, compiled, and what it did so far. Nothing is stored, and nobody is told.
pub trait ContractDraft: Send {
    /// Names of its contracts that somebody has.
    fn contracts(&self) -> &[String];

    /// Of which records may have one of them.
    fn business_services(&self) -> &[String];

    /// Judges rows of the SQL table `logs`, as [`crate::records_of`] gives them.
    fn judge(&mut self, records: &[Value]) -> Result<()>;

    fn trial(&self) -> ContractTrial;
}
