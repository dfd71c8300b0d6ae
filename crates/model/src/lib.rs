//! What is a record, and who may ask for it?
//!
//! The words that every other crate speaks: canonical Arrow schemas ([`schema`]) and the builders that fill them
//! ([`logs`], [`spans`], [`samples`]), identity, labels, errors, usage, and the three traits that join the parts:
//!
//! - [`Ingest`]: a batch goes in, an acknowledgement comes out.
//! - [`Scan`]: predicates go in, a stream of canonical record batches comes out.
//! - [`Query`]: a question goes in, an answer comes out.
//!
//! A local shard, a remote node, a fan-out over many, a cache and a test fake all implement these.
//!
//! When you change a schema, also touch the builder and view beside it, `docs/formats/`, and the goldens in `store`.
//! This crate knows no I/O, no runtime, no protocol and no query engine.

mod attributes;
mod batch;
mod cardinality;
mod declared;
mod erasure;
mod error;
mod histogram;
mod identity;
mod labels;
mod limits;
pub mod logs;
mod matcher;
mod query;
mod retention;
pub mod samples;
mod scan;
pub mod schema;
pub mod spans;
mod targets;
mod time;
mod usage;

pub use attributes::{AttributeType, AttributeValue, Attributes, AttributesBuilder, AttributesView};
pub use batch::{Ack, Admitted, Decoded, Identified, Ingest, KnownPoints, KnownSeries, Naming, Placed, Rejection, Tally};
pub use cardinality::{Cardinality, LabelCardinality};
pub use declared::{DeclaredField, DeclaredFields, FILE_COLUMNS_OF_LOGS, FieldType, FieldValue, Undeclarable};
pub use erasure::{Erased, Erasure, ErasureOrder, ErasureState, FieldTest};
pub use error::{Code, Error, Result};
pub use histogram::NativeHistogram;
pub use identity::{Identity, UNASSIGNED};
pub use labels::{Labels, LabelsBuilder, series_id};
pub use limits::{QueryLimits, ReceiveLimits};
pub use matcher::{MatchOp, Matcher};
pub use query::{
    Answer, Answered, Ask, DetectedField, DetectedFields, Direction, FieldKind, InstantSample, LogEntry, LogStream, MetricFamily, Query,
    QueryStats, RangeSeries, Request, SeriesCounts, TraceSummary, VolumeBy,
};
pub use retention::{Retention, Scope, parse_keep};
pub use scan::{Bound, Filter, Order, Scan, ScanRequest, ScanStats, ScanStream, Subject, Test, legal_name};
pub use schema::Table;
pub use targets::{ActiveTarget, DroppedTarget, Health, NoTargets, TargetFamily, Targets};
pub use time::TimeRange;
pub use usage::{Usage, UsageMeter};
