use arrow::array::RecordBatch;
use async_trait::async_trait;

use crate::{Result, Table};

/// One item of a request that is refused while the rest is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// How many records this stands for: points of a refused series, spans of a refused scope.
    pub records: u64,
    /// Where, as a path in the sender's own words: `resourceLogs[0].scopeLogs[0].logRecords[3].traceId`.
    pub field: String,
    /// The rule it breaks and the fix, one sentence each.
    pub why: String,
    /// A short stable word for the counter: `invalid_label_name`, `value_too_long`.
    pub reason: &'static str,
}

/// A request as its receiver read it: canonical columns, identity columns still empty.
/// A request is one batch, one log frame, one acknowledgement: whole or not at all.
#[derive(Clone, Debug)]
pub struct Decoded {
    pub table: Table,
    pub records: RecordBatch,
    pub rejections: Vec<Rejection>,
    /// `otlp_grpc`, `otlp_http`, `remote_write`, `loki_push`: the label `protocol` of the counters.
    pub protocol: &'static str,
    pub naming: Naming,
    pub tally: Tally,
}

impl Decoded {
    /// Rows of which nothing was refused, named as the table's rows mostly are.
    pub fn new(table: Table, records: RecordBatch, protocol: &'static str) -> Self {
        let naming = if table == Table::Samples { Naming::Labels } else { Naming::Attributes };
        Self { table, records, rejections: Vec::new(), protocol, naming, tally: Tally::default() }
    }
}

/// How a sender names what it says about its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// OpenTelemetry's attributes: `service.name`, `omd.team`.
    Attributes,
    /// Labels of series and of Loki streams: `service_name`, `team`.
    Labels,
}

/// What a receiver dropped from records and repaired in them, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub dropped_parts: Vec<(&'static str, u64)>,
    pub repaired_values: Vec<(&'static str, u64)>,
}

/// Every row has its identity or says `unassigned`.
#[derive(Clone, Debug)]
pub struct Identified(pub Decoded);

/// Past the contract: nothing can be refused for its content any more.
#[derive(Clone, Debug)]
pub struct Admitted(pub Decoded);

/// Knows its shard.
#[derive(Clone, Debug)]
pub struct Placed {
    pub shard: String,
    pub table: Table,
    pub records: RecordBatch,
}

/// Given when every accepted record is durable and queryable.
#[derive(Clone, Debug, Default)]
pub struct Ack {
    pub accepted_records: u64,
    pub rejections: Vec<Rejection>,
}

/// Takes a batch: the pipeline before the shards, a shard, a remote node. `Batch` is the state it must be in.
#[async_trait]
pub trait Ingest<Batch: Send + 'static = Decoded>: Send + Sync {
    /// Returns when everything accepted is durable and queryable.
    async fn ingest(&self, batch: Batch) -> Result<Ack>;
}
