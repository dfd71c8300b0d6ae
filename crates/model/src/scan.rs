use std::borrow::Cow;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::Stream;

use crate::{Error, Result, Table, TimeRange};

/// What a filter looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A text column; null is the empty text. A declared column of another type counts as the texts of its values.
    Column(String),
    /// A key of a map column; a missing key is the empty text.
    Entry { column: String, key: String },
    /// The first of these columns and entries that is not empty.
    FirstOf(Vec<Subject>),
    /// Every entry of a map column whose key becomes this name by [`legal_name`]: the row is kept when one of them passes.
    /// None is the empty text.
    Label { column: String, name: String },
    /// The row is kept when one of these passes.
    AnyOf(Vec<Subject>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    Equal(String),
    NotEqual(String),
    OneOf(Vec<String>),
    /// Anchored at both ends (`^(?s:...)$`), syntax of the `regex` crate.
    Regex(String),
    NotRegex(String),
    /// The bytes occur somewhere.
    Contains(String),
    NotContains(String),
    /// Unanchored.
    Search(String),
    NotSearch(String),
    /// The value of a column of integers, the table's or a declared one, lies between these, both included. Null does not.
    Integers(i64, i64),
    /// The same of a declared column of numbers.
    Numbers(Bound, Bound),
}

/// A double as the end of a range, in the order of [`f64::total_cmp`].
#[derive(Clone, Copy, Debug)]
pub struct Bound(pub f64);

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Bound {}

impl std::hash::Hash for Bound {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// A row is kept when every filter of the request says yes. The scan applies them exactly, so the reader need not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    pub subject: Subject,
    pub test: Test,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// As it lies.
    #[default]
    Any,
    NewestFirst,
    OldestFirst,
}

#[derive(Clone, Debug)]
pub struct ScanRequest {
    pub table: Table,
    /// On the table's time column; a samples row is kept when its chunk overlaps (its points are not cut).
    pub time: TimeRange,
    pub filters: Vec<Filter>,
    /// Names of top-level columns, in the order wanted, declared ones among them; none means all of [`Table::schema`]. Filters may
    /// name others.
    pub columns: Option<Vec<String>>,
    /// Text columns that may come as dictionaries (`Dictionary<Int32, Utf8>`) where they lie so: who asks takes them either way, in
    /// each batch. Only without an order.
    pub dictionaries: Vec<String>,
    pub order: Order,
    /// With an order: the first so many rows in it.
    pub limit: Option<usize>,
    /// Where the scan counts what it did; shared by all scans of one query.
    pub stats: Arc<Mutex<ScanStats>>,
}

impl ScanRequest {
    pub fn new(table: Table, time: TimeRange) -> Self {
        Self {
            table,
            time,
            filters: Vec::new(),
            columns: None,
            dictionaries: Vec::new(),
            order: Order::Any,
            limit: None,
            stats: Arc::default(),
        }
    }
}

/// The name as Prometheus and Loki accept it: letters, digits and `_`, no digit first.
pub fn legal_name(name: &str) -> Cow<'_, str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let digit_first = name.as_bytes().first().is_some_and(u8::is_ascii_digit);
    if !digit_first && name.bytes().all(legal) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 1);
    if digit_first {
        out.push('_');
    }
    out.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }));
    Cow::Owned(out)
}

/// What a scan read and what it could skip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ScanStats {
    pub files_total: u64,
    pub files_skipped: u64,
    pub row_groups_total: u64,
    pub row_groups_skipped: u64,
    /// Blocks of rows in the row groups that were not skipped, and those of them that were.
    pub blocks_total: u64,
    pub blocks_skipped: u64,
    pub bytes_scanned: u64,
    pub rows_scanned: u64,
    pub rows_returned: u64,
    /// Rows looked at in memory: of the head, and of samples those of files that are there still.
    pub head_rows_scanned: u64,
}

pub type ScanStream = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

/// What [`Scan::follow`] gives: no row is in both, and none that is durable in neither.
pub struct Following {
    /// As [`Scan::scan`] answers the request.
    pub stored: ScanStream,
    /// Ends when the store does.
    pub arriving: ArrivalStream,
}

pub type ArrivalStream = Pin<Box<dyn Stream<Item = Result<Arrival>> + Send>>;

#[derive(Debug)]
pub enum Arrival {
    /// Rows that pass the request's filters, with its columns, in the order in which they became durable.
    Rows(RecordBatch),
    /// The reader was too slow: so many rows went unread, and whether they pass the filters nobody knows.
    Skipped {
        rows: u64,
        /// The latest instant among them, nanoseconds since the Unix epoch.
        last_ns: i64,
    },
}

/// Reads stored rows: each exactly once, from one consistent moment, head and lake together.
#[async_trait]
pub trait Scan: Send + Sync {
    /// The table's schema as it is now; declared fields make it wider than the canonical one.
    fn schema(&self, table: Table) -> SchemaRef;

    /// Streams; dropping the stream stops the work.
    async fn scan(&self, request: ScanRequest) -> Result<ScanStream>;

    /// The same, and from the same moment on every row that becomes durable, whatever its time: the request's time, order and
    /// limit are for what is stored. Dropping the stream of arrivals ends it; a reader that is slow loses the oldest and is told.
    async fn follow(&self, request: ScanRequest) -> Result<Following> {
        Err(Error::unsupported(format!("cannot follow {}: what is stored here is known, what arrives is not", request.table.name())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_legal() {
        let check = |key: &str, name: &str| assert_eq!(legal_name(key), name);
        check("service.name", "service_name");
        check("k8s.pod/uid", "k8s_pod_uid");
        check("3scale", "_3scale");
        check("größe", "gr__e");
        check("plain_1", "plain_1");
    }
}
