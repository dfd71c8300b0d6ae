//! What is a record, and who may ask for it?
//!
//! The words that every other crate speaks: canonical Arrow schemas ([`schema`]) and the builders that fill them
//! ([`logs`], [`spans`], [`samples`]), identity, labels, errors, usage, and the three traits that join the parts:
//!
//! - [`Ingest`]: a batch goes in, an acknowledgement comes out.
//! - [`Scan`]: predicates go in, a stream of canonical record batches comes out.
//! - [`Query`]: a question goes in, an answer comes out.
//!
//! Beside them stands what both ways of a record share: how a log line is split ([`variables`]) and what lines have in common
//! ([`patterns`]).
//!
//! A local shard, a remote node, a fan-out over many, a cache and a test fake all implement these.
//!
//! When you change a schema, also touch the builder and view beside it, `docs/formats/`, and the goldens in `store`.
//! This crate knows no I/O, no runtime, no protocol and no query engine.

mod anchored;
mod attributes;
mod batch;
mod breach;
mod cardinality;
mod contract_trial;
mod decimal;
mod declared;
mod erasure;
mod error;
mod histogram;
mod identity;
mod labels;
mod limits;
pub mod logs;
mod matcher;
pub mod origin;
pub mod patterns;
mod pipelines;
pub mod quarantine;
mod query;
mod retention;
mod row_bytes;
pub mod said;
pub mod samples;
mod scan;
pub mod schema;
mod scorecard;
pub mod spans;
mod targets;
mod time;
mod topology;
mod usage;
pub mod variables;

pub use anchored::AnchoredRegex;
pub use attributes::{AttributeType, AttributeValue, Attributes, AttributesBuilder, AttributesView};
pub use batch::{Ack, Admitted, Decoded, Identified, Ingest, KnownPoints, KnownSeries, Naming, Placed, RefusedRow, Rejection, Tally};
pub use breach::{Breach, Breaches, Broken, ByMode, Counted as CountedBreaches};
pub use cardinality::{Cardinality, LabelCardinality};
pub use contract_trial::{ContractDraft, ContractTrial, ContractTrials, DraftFor, TriedBreach};
pub use decimal::double;
pub use declared::{DeclaredField, DeclaredFields, FILE_COLUMNS_OF_LOGS, FieldType, FieldValue, Undeclarable};
pub use erasure::{Erased, Erasure, ErasureOrder, ErasureState, FieldTest};
pub use error::{Code, Error, Result};
pub use histogram::NativeHistogram;
pub use identity::{Identity, UNASSIGNED};
pub use labels::{Labels, LabelsBuilder, series_id};
pub use limits::{QueryLimits, ReceiveLimits};
pub use matcher::{MatchOp, Matcher};
pub use pipelines::{PipelineCount, Pipelines, RECORD_COLUMNS, Trial, Tried, TriedStage, records_of, records_sql};
pub use query::{
    Answer, Answered, Ask, Dependency, DetectedField, DetectedFields, Direction, FieldKind, FoundSpan, InstantSample, LogArrival, LogEntry,
    LogPattern, LogPatterns, LogStream, LogTail, MetricFamily, PatternChange, Query, QueryStats, RangeSeries, Request, SampleStats,
    SeriesCounts, SpanSet, SpanValue, TraceExemplar, TraceSeries, TraceSummary, TraceTagValue, TraceTags, VolumeBy,
};
pub use retention::{Retention, Scope, parse_keep};
pub use row_bytes::running_bytes;
pub use scan::{
    Arrival, ArrivalStream, Bound, Filter, Following, Order, Scan, ScanRequest, ScanStats, ScanStream, Subject, Test, legal_name,
};
pub use schema::Table;
pub use scorecard::{ComponentScore, Figures, LEVELS, Lift, Maturity, Question, Scorecard, ScorecardRequest, Scorecards, Summary, Verdict};
pub use targets::{ActiveTarget, DroppedTarget, Health, NoTargets, TargetFamily, Targets};
pub use time::TimeRange;
pub use topology::{
    DriftEdge, DriftReport, EdgeKind, Entity, EntityKind, MapEdge, MapLevel, MapRequest, Topology, TopologyMap, Unseen, WrongOwner,
};
pub use usage::{Usage, UsageMeter};
