use async_trait::async_trait;
use serde::Serialize;

use crate::Result;

/// How finely a map is drawn. What is no component of the company (databases, queues, externals, users) stands in every one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MapLevel {
    BusinessService,
    Service,
    #[default]
    Component,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    BusinessService,
    Service,
    Component,
    Database,
    Queue,
    External,
    User,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    Call,
    Messaging,
    Database,
    /// The catalogue declares it, and nobody has seen it.
    Declared,
}

/// What a map is asked about. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapRequest {
    pub start_ms: i64,
    pub end_ms: i64,
    pub level: MapLevel,
    /// Only what these regions and environments say of themselves; empty: all.
    pub region: String,
    pub environment: String,
}

/// Who calls whom: what was seen by the end of a time, with what happened in that time. Serialises as the API shows it; times are
/// seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopologyMap {
    pub start: f64,
    pub end: f64,
    pub level: MapLevel,
    /// Of the level and, so that it can be folded, of the levels above.
    pub entities: Vec<Entity>,
    pub edges: Vec<MapEdge>,
    /// What is doubtful about it.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entity {
    /// `component:payments/checkout/checkout-api`, `database:ledger-db.internal`; stays the same from map to map.
    pub id: String,
    pub kind: EntityKind,
    pub name: String,
    pub business_service: Option<String>,
    pub service: Option<String>,
    /// The id of the entity that it is a part of.
    pub parent: Option<String>,
    /// Requests that it served.
    pub requests_per_second: f64,
    pub errors_per_second: f64,
    /// Of what it served; none without requests.
    pub p95_seconds: Option<f64>,
    /// None for what is declared and was never seen.
    pub first_seen: Option<f64>,
    pub last_seen: Option<f64>,
    pub declared: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MapEdge {
    /// Ids of entities.
    pub from: String,
    pub to: String,
    pub kind: EdgeKind,
    pub requests_per_second: f64,
    pub errors_per_second: f64,
    /// As the caller saw it; none without requests.
    pub p50_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
    pub first_seen: Option<f64>,
    pub last_seen: Option<f64>,
    pub declared: bool,
    /// Of the time that was asked for; one with an error, if there was any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example_trace_id: Option<String>,
}

/// Where what is declared and what is seen differ.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DriftReport {
    pub start: f64,
    pub end: f64,
    /// Whether there is any drift.
    pub drift: bool,
    /// Calls of components that declare what they depend on, to what they do not declare.
    pub called_not_declared: Vec<DriftEdge>,
    pub declared_never_seen: Vec<Unseen>,
    /// Callers of declared components that nobody has declared.
    pub unknown_callers: Vec<DriftEdge>,
    pub wrong_owner: Vec<WrongOwner>,
    /// Components that do not say what they depend on: their calls are compared with nothing.
    pub components_without_dependencies: usize,
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftEdge {
    pub from: String,
    pub to: String,
    pub kind: EdgeKind,
    pub requests_per_second: f64,
    pub first_seen: Option<f64>,
    pub last_seen: Option<f64>,
}

/// A declared component of which nothing came, or (with `to`) a declared dependency that was not used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unseen {
    pub from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WrongOwner {
    pub entity: String,
    /// What is wrong: `team`, or the `place` of the component in the company.
    pub what: &'static str,
    pub seen: String,
    pub declared: Vec<String>,
}

/// Knows who calls whom.
#[async_trait]
pub trait Topology: Send + Sync {
    async fn map(&self, request: MapRequest) -> Result<TopologyMap>;

    /// Compares what was seen in a time, milliseconds since the Unix epoch, with what the catalogue declares.
    async fn drift(&self, start_ms: i64, end_ms: i64) -> Result<DriftReport>;
}
