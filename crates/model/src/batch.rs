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

/// A row of a batch, by its place as its receiver gave it, that was refused while others were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    pub row: usize,
    /// The rule it breaks, in a sentence.
    pub why: String,
}

/// A series that the shard has met, so that its next points need no labels, no identity and no account looked up.
/// Whoever ingests a batch gives one for each of its rows; nobody else reads anything out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownSeries {
    /// The shard's number for it, and how many series had that number before.
    pub slot: u32,
    pub generation: u32,
    /// Who pays for its points.
    pub account: u32,
    /// What a row of it is metered besides its points.
    pub row_bytes: u32,
}

impl KnownSeries {
    /// Of a row that is no series: it carries metadata only.
    pub const NONE: Self = Self { slot: u32::MAX, generation: u32::MAX, account: 0, row_bytes: 0 };
}

/// Floats of known series: one run of points for each entry of `series`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownPoints {
    /// Of the catalogue by which the series were identified; after a reload they must be told whole again.
    pub catalog_version: u64,
    pub series: Vec<KnownSeries>,
    /// Where the points of each series end.
    pub ends: Vec<u32>,
    pub times_ms: Vec<i64>,
    pub values: Vec<f64>,
}

impl KnownPoints {
    /// The number of points.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Bytes that they take in memory.
    pub fn bytes(&self) -> usize {
        self.series.len() * (size_of::<KnownSeries>() + size_of::<u32>()) + self.len() * (size_of::<i64>() + size_of::<f64>())
    }

    /// Every series with the range of its points.
    pub fn runs(&self) -> impl Iterator<Item = (KnownSeries, std::ops::Range<usize>)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        self.series.iter().zip(starts.zip(&self.ends)).map(|(series, (start, &end))| (*series, start as usize..end as usize))
    }
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
    /// Points beside the rows of `records`; of `samples` only.
    pub known: KnownPoints,
}

impl Decoded {
    /// The rows as a scan gives them.
    pub fn rows(&self) -> Result<RecordBatch> {
        crate::origin::unpacked(self.table, &self.records)
    }

    /// Rows of which nothing was refused, named as the table's rows mostly are.
    pub fn new(table: Table, records: RecordBatch, protocol: &'static str) -> Self {
        let naming = if table == Table::Samples { Naming::Labels } else { Naming::Attributes };
        Self { table, records, rejections: Vec::new(), protocol, naming, tally: Tally::default(), known: KnownPoints::default() }
    }
}

/// How a sender names what it says about its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// OpenTelemetry's attributes: `service.name`, `omd.team`.
    Attributes,
    /// Labels of series and of Loki streams: `service_name`, `team`.
    Labels,
    /// Nothing is said: the identity columns are filled, by whoever made these records of others.
    Settled,
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
pub struct Admitted {
    pub batch: Decoded,
    /// Rows of `quarantine`: records of the same request that break their contract.
    pub aside: Option<RecordBatch>,
}

/// Knows its shard.
#[derive(Clone, Debug)]
pub struct Placed {
    pub shard: String,
    pub table: Table,
    pub records: RecordBatch,
    pub known: KnownPoints,
    /// Rows of `quarantine`, durable with those of `records` or not at all.
    pub aside: Option<RecordBatch>,
}

/// Given when every accepted record is durable and queryable.
#[derive(Clone, Debug, Default)]
pub struct Ack {
    pub accepted_records: u64,
    pub rejections: Vec<Rejection>,
    /// Every single row that was refused, for protocols that answer for each item; `rejections` has them, too.
    pub refused: Vec<RefusedRow>,
    /// The series of each row of a batch of samples.
    pub series: Vec<KnownSeries>,
    /// By which catalogue they were identified.
    pub catalog_version: u64,
    /// A series of `known` is known no more. Nothing was taken: the request must come again with all series told whole.
    pub forgotten: bool,
}

/// Takes a batch: the pipeline before the shards, a shard, a remote node. `Batch` is the state it must be in.
#[async_trait]
pub trait Ingest<Batch: Send + 'static = Decoded>: Send + Sync {
    /// Returns when everything accepted is durable and queryable.
    async fn ingest(&self, batch: Batch) -> Result<Ack>;
}
