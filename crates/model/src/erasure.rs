use serde::{Deserialize, Serialize};

use crate::{Table, TimeRange};

/// What shall be erased for good: the rows of these tables for which every test says yes, in this range of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasureOrder {
    /// None named: every table that has the fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    /// At least one; all must hold.
    #[serde(rename = "match")]
    pub tests: Vec<FieldTest>,
    /// Nanoseconds since the Unix epoch, half-open; a bound that is missing is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_unix_nano: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_unix_nano: Option<i64>,
    /// The asker's own name for this, a ticket or a case. It is kept for ever, so it must not name the person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
}

/// One field and what it must hold: exactly one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldTest {
    /// A text column of the table; `attributes.<key>`, an attribute or label wherever a record has one; or `body.<path>`, a
    /// member of a body that is JSON.
    pub field: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
}

impl ErasureOrder {
    pub fn time(&self) -> TimeRange {
        TimeRange::new(self.start_unix_nano.unwrap_or(i64::MIN), self.end_unix_nano.unwrap_or(i64::MAX))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErasureState {
    /// Accepted: it is durable, and no question is answered with these rows any more.
    Pending,
    /// Its rows are being taken out of files and the log.
    Running,
    /// No file of this shard holds its rows.
    Done,
}

/// How far an erasure is, and afterwards the proof that it was done. It never names the values that were erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    pub id: String,
    pub state: ErasureState,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// Those that the order looks at.
    pub tables: Vec<Table>,
    /// What was tested, without the values.
    pub fields: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_unix_nano: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_unix_nano: Option<i64>,
    pub accepted_unix_ms: i64,
    /// When the last file that held a row was gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_unix_ms: Option<i64>,
    /// Log records, spans and points of samples taken out of the lake.
    pub erased: Erased,
    /// Lake files that were written anew or removed.
    pub files_rewritten: u64,
    /// Why the last try did not end it; there will be another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hindered_by: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    pub logs: u64,
    pub spans: u64,
    pub samples: u64,
    #[serde(default, skip_serializing_if = "is_none")]
    pub quarantine: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Erased {
    pub fn of_mut(&mut self, table: Table) -> &mut u64 {
        match table {
            Table::Logs => &mut self.logs,
            Table::Spans => &mut self.spans,
            Table::Samples => &mut self.samples,
            Table::Quarantine => &mut self.quarantine,
        }
    }
}
