use async_trait::async_trait;
use serde_json::Value;

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
    pub before: Value,
    /// Whether the pipeline is for it, by its condition.
    pub matched: bool,
    /// None where it would not be stored.
    pub after: Option<Value>,
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
    async fn try_draft(&self, file: String, text: String, tables: Vec<(String, String)>, records: Vec<Value>) -> Result<Trial>;
}

/// Columns of the SQL tables `logs` and `quarantine` that a record for [`Pipelines::try_draft`] and [`crate::ContractDraft::judge`] is made of.
pub const RECORD_COLUMNS: &str = "time_unix_nano, observed_time_unix_nano, severity_number, severity_text, body, body_type, trace_id, span_id, \
    event_name, flags, service_name, business_service, service, component, region, environment, team, attributes, attribute_types, \
    resource_attributes, resource_attribute_types, scope_name, scope_version";

/// The question for the newest records of somebody; of an identity what is empty is anybody's.
pub fn records_sql(owner: [&str; 3], start_unix_nano: i64, limit: usize) -> String {
    let quoted = |text: &str| text.replace('\'', "''");
    let mut sql = format!("SELECT {RECORD_COLUMNS} FROM logs WHERE time_unix_nano >= {start_unix_nano}");
    for (column, wanted) in ["business_service", "service", "component"].into_iter().zip(owner).filter(|(_, wanted)| !wanted.is_empty()) {
        sql.push_str(&format!(" AND {column} = '{}'", quoted(wanted)));
    }
    sql.push_str(&format!(" ORDER BY time_unix_nano DESC LIMIT {limit}"));
    sql
}

/// The rows of an answer of the SQL API as records.
pub fn records_of(answer: &Value) -> Vec<Value> {
    let names: Vec<&str> = answer["columns"].as_array().into_iter().flatten().filter_map(|column| column["name"].as_str()).collect();
    let record = |row: &Value| {
        let cells = row.as_array().into_iter().flatten().cloned();
        Value::Object(names.iter().map(|name| (*name).to_owned()).zip(cells).collect())
    };
    answer["rows"].as_array().into_iter().flatten().map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_quotes_what_it_is_given() {
        let sql = records_sql(["it's", "", "a"], 5, 20);
        assert!(
            sql.ends_with("time_unix_nano >= 5 AND business_service = 'it''s' AND component = 'a' ORDER BY time_unix_nano DESC LIMIT 20"),
            "{sql}"
        );
    }

    #[test]
    fn rows_become_records() {
        let answer = serde_json::json!({"columns": [{"name": "body"}, {"name": "attributes"}], "rows": [["x", {"a": "1"}]]});
        assert_eq!(records_of(&answer), [serde_json::json!({"body": "x", "attributes": {"a": "1"}})]);
    }
}
