//! Records that break their contract, set aside: what can be asked about them, and ordered.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Result, TimeRange};

/// What a row of `quarantine` says in `state`: it is set aside. An id whose only row says so waits still.
pub const QUARANTINED: &str = "quarantined";
/// It was let in, with the frame that has this row.
pub const RELEASED: &str = "released";
/// It was thrown away.
pub const DISCARDED: &str = "discarded";

/// Which records of those that wait; everything said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    pub business_service: Option<String>,
    pub service: Option<String>,
    pub component: Option<String>,
    pub contract: Option<String>,
    /// The keyword of a rule that it breaks.
    pub rule: Option<String>,
    /// What breaks it: the attribute, or a path below one.
    pub path: Option<String>,
    /// When it was set aside, nanoseconds since the Unix epoch, half-open.
    pub start_unix_nano: Option<i64>,
    pub end_unix_nano: Option<i64>,
    /// None named: whatever they are called.
    pub ids: Vec<String>,
}

impl Selector {
    pub fn time(&self) -> TimeRange {
        TimeRange::new(self.start_unix_nano.unwrap_or(i64::MIN), self.end_unix_nano.unwrap_or(i64::MAX))
    }
}

/// Records that wait, of one component and with one thing wrong: the first that was told of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    pub business_service: String,
    pub service: String,
    pub component: String,
    pub team: String,
    pub contract: String,
    pub rule: String,
    pub path: String,
    pub expected: String,
    pub found: String,
    /// Where the rule stands: `file:line`.
    pub at: String,
    pub records: u64,
    pub first_unix_nano: i64,
    pub last_unix_nano: i64,
    /// How many came in each of so many equal parts of the time asked about.
    pub trend: Vec<u64>,
    /// A few ids, the newest first.
    pub examples: Vec<String>,
}

/// What waits, in groups, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Of all groups.
    pub records: u64,
    pub groups: Vec<Group>,
    /// Smaller ones that are not told.
    #[serde(skip_serializing_if = "is_none")]
    pub groups_left_out: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A rule of a contract, and how a record breaks it. As JSON it stands in the column `violations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Violation {
    /// The attribute or column, or what is below it.
    pub path: String,
    /// The keyword of JSON Schema.
    pub rule: String,
    pub expected: String,
    /// Of what kind the value is, never the value.
    pub found: String,
    pub mode: String,
    /// Where the rule stands: `file:line`.
    pub at: String,
}

/// One record that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetAside {
    pub id: String,
    /// `quarantined`, `released` or `discarded`.
    pub state: String,
    pub quarantined_at_unix_nano: i64,
    pub time_unix_nano: i64,
    pub business_service: String,
    pub service: String,
    pub component: String,
    pub contract: String,
    pub contract_version: String,
    pub protocol: String,
    pub violations: Vec<Violation>,
    /// What the record's attributes are called, and of what kind their values are. The values are asked for in SQL, by who may.
    pub attributes: BTreeMap<String, &'static str>,
}

/// What became of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// Of how many that waited, for all that was selected.
    pub selected: u64,
    pub released: u64,
    pub discarded: u64,
    /// That break their contract still, and wait on.
    pub kept: u64,
    /// What they break, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// Asks about records that wait, and settles them.
#[async_trait]
pub trait Quarantine: Send + Sync {
    async fn waiting(&self, selector: &Selector) -> Result<Waiting>;
    async fn one(&self, id: &str) -> Result<SetAside>;
    /// Sends them through the pipeline and the contract of now, with the time and identity that they came with. Each is let in once, whatever
    /// happens meanwhile.
    async fn replay(&self, selector: &Selector) -> Result<Settled>;
    async fn discard(&self, selector: &Selector) -> Result<Settled>;
}
