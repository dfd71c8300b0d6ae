//! The map against the truth of simulated companies: spans go in as senders write them, through decoder, pipeline and the state that
//! watches spans, and the map comes out as anybody asks for it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use catalog::{Catalog, Live};
use insight::topology::TopologyEngine;
use insight::{SpanOptions, SpanWatch};
use model::samples::{SamplesBuilder, SeriesRow};
use model::{
    Ack, Decoded, EdgeKind, Ingest, KnownSeries, MapEdge, MapLevel, MapRequest, Placed, QueryLimits, ReceiveLimits, Result, Table,
    Topology, TopologyMap,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use pipeline::{CardinalityLimits, Pipeline};
use prost::Message;
use query::{Engine, EngineOptions};
use receive::Rules;
use sim::estate::Estate;
use sim::{Party, Telemetry, World, WorldOptions};
use testkit::memory_scan::MemoryScan;

const START: u64 = 1_759_996_500;

/// Keeps what comes where the engine looks, and spans for whoever watches them.
#[derive(Default)]
struct Kept {
    scan: Arc<MemoryScan>,
    spans: Mutex<Vec<RecordBatch>>,
}

#[async_trait]
impl Ingest<Placed> for Kept {
    async fn ingest(&self, batch: Placed) -> Result<Ack> {
        let series = vec![KnownSeries::NONE; if batch.table == Table::Samples { batch.records.num_rows() } else { 0 }];
        if batch.table == Table::Spans {
            self.spans.lock().unwrap().push(batch.records.clone());
        }
        self.scan.push(batch.table, batch.records);
        Ok(Ack { series, ..Ack::default() })
    }
}

struct Tyto {
    kept: Arc<Kept>,
    pipeline: Pipeline,
    watch: SpanWatch,
    topology: TopologyEngine,
    now_ms: Arc<AtomicI64>,
}

impl Tyto {
    fn new(files: &[(&str, &str)], options: &SpanOptions) -> Self {
        Self::with_turn(files, options, 7)
    }

    /// `turn` decides where in their minute samples lie.
    fn with_turn(files: &[(&str, &str)], options: &SpanOptions, turn: i64) -> Self {
        let catalog = Arc::new(Live::of(Catalog::parse(files).unwrap()));
        let kept = Arc::new(Kept::default());
        let now_ms = Arc::new(AtomicI64::new(0));
        let clock = {
            let now_ms = now_ms.clone();
            Arc::new(move || now_ms.load(Ordering::Relaxed))
        };
        let pipeline = Pipeline::new(catalog.clone(), CardinalityLimits::default(), clock.clone(), kept.clone());
        let engine = Arc::new(Engine::new(kept.scan.clone(), EngineOptions::default()));
        let topology = TopologyEngine::new(engine, catalog, QueryLimits::default(), clock);
        Self { kept, pipeline, watch: SpanWatch::new(options, turn), topology, now_ms }
    }

    async fn receive(&mut self, request: &ExportTraceServiceRequest, second: u64) {
        let limits = ReceiveLimits::default();
        let now_ms = second as i64 * 1000;
        self.now_ms.store(now_ms, Ordering::Relaxed);
        let rules = Rules { limits: &limits, now_unix_nano: now_ms * 1_000_000, protocol: "test" };
        let decoded = receive::otlp::decode_traces(&request.encode_to_vec(), &rules).unwrap();
        self.pipeline.ingest(decoded).await.unwrap();
        for batch in std::mem::take(&mut *self.kept.spans.lock().unwrap()) {
            self.watch.take(&batch, now_ms).unwrap();
        }
    }

    /// Gives the number of samples' rows.
    async fn emit(&mut self, second: u64) -> usize {
        let mut rows = 0;
        for batch in self.watch.emit(second as i64 * 1000) {
            rows += batch.records.num_rows();
            self.pipeline.ingest(batch).await.unwrap();
        }
        rows
    }

    async fn map(&self, level: MapLevel, start: u64, end: u64) -> TopologyMap {
        let (start_ms, end_ms) = (start as i64 * 1000, end as i64 * 1000);
        let request = MapRequest { start_ms, end_ms, level, region: String::new(), environment: String::new() };
        self.topology.map(request).await.unwrap()
    }
}

fn id(party: &Party) -> String {
    match party {
        Party::Component { business_service, name, .. } if business_service.is_empty() => format!("component:unassigned/{name}"),
        Party::Component { business_service, service, name } => format!("component:{business_service}/{service}/{name}"),
        Party::Database(host) => format!("database:{host}"),
        Party::Queue(name) => format!("queue:{name}"),
        Party::External(name) => format!("external:{name}"),
        Party::User => "user:user".to_owned(),
    }
}

fn pairs<'e>(edges: impl IntoIterator<Item = &'e MapEdge>) -> BTreeSet<(String, String)> {
    edges.into_iter().map(|edge| (edge.from.clone(), edge.to.clone())).collect()
}

fn is_the_truth(map: &TopologyMap, truth: &BTreeSet<(Party, Party)>) {
    let found = pairs(map.edges.iter().filter(|edge| edge.kind != EdgeKind::Declared));
    let truth: BTreeSet<(String, String)> = truth.iter().map(|(from, to)| (id(from), id(to))).collect();
    let (missed, invented): (Vec<_>, Vec<_>) = (truth.difference(&found).collect(), found.difference(&truth).collect());
    assert!(missed.is_empty() && invented.is_empty(), "missed {missed:#?}\ninvented {invented:#?}");
    assert_eq!(found.len(), map.edges.iter().filter(|edge| edge.kind != EdgeKind::Declared).count(), "a pair has one edge");
    assert!(map.warnings.is_empty(), "{:?}", map.warnings);
}

#[tokio::test]
async fn two_minutes_of_the_streaming_company_are_its_map() {
    let mut tyto = Tyto::new(&sim::CATALOGUE, &SpanOptions::default());
    let mut world = World::new(WorldOptions { journeys_per_second: 10.0, ..WorldOptions::new(7, START) });
    let (mut requests, mut errors) = (0, 0);
    for second in START + 1..=START + 120 {
        for telemetry in world.tick(second) {
            let Telemetry::Spans(request) = telemetry else { continue };
            for span in request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans) {
                // Server or consumer.
                requests += usize::from(matches!(span.kind, 2 | 5));
                errors += usize::from(matches!(span.kind, 2 | 5) && span.status.as_ref().is_some_and(|status| status.code == 2));
            }
            tyto.receive(&request, second).await;
        }
        if second % 15 == 0 {
            tyto.emit(second).await;
        }
    }
    // Those who wait for the other side wait no longer.
    tyto.emit(START + 140).await;
    let end = START + 140;
    let map = tyto.map(MapLevel::Component, START, end).await;
    is_the_truth(&map, &sim::truth());

    // Nothing is counted twice and nothing is lost, at no level.
    let seconds = (end - START) as f64 + (START % 60) as f64;
    let sum = |map: &TopologyMap, kind: &str| -> f64 {
        let of_kind = map.entities.iter().filter(|entity| entity.id.starts_with(kind));
        of_kind.map(|entity| entity.requests_per_second).sum::<f64>() * seconds
    };
    assert!((sum(&map, "component:") - requests as f64).abs() < 0.01, "{} of {requests}", sum(&map, "component:"));
    let failed =
        map.entities.iter().filter(|entity| entity.id.starts_with("component:")).map(|entity| entity.errors_per_second).sum::<f64>();
    assert!((failed * seconds - errors as f64).abs() < 0.01, "{} of {errors}", failed * seconds);
    let calls = map.edges.iter().find(|edge| edge.to.ends_with("/token-service") && edge.from.ends_with("/player-api")).unwrap();
    assert!(calls.p50_seconds.unwrap() > 0.0 && calls.p95_seconds >= calls.p50_seconds && calls.example_trace_id.is_some());
    assert!(calls.first_seen.unwrap() <= (START + 60) as f64 && calls.last_seen.unwrap() >= (START + 60) as f64, "{calls:?}");

    let services = tyto.map(MapLevel::Service, START, end).await;
    let businesses = tyto.map(MapLevel::BusinessService, START, end).await;
    let claimed = sum(&map, "component:") - sum(&services, "component:");
    assert!((sum(&services, "service:") - claimed).abs() < 0.01 && (sum(&businesses, "business_service:") - claimed).abs() < 0.01);
    assert!(businesses.edges.iter().any(|edge| edge.from == "business_service:login" && edge.to == "business_service:payments"));
    assert!(businesses.edges.iter().all(|edge| edge.from != edge.to));
    for map in [&map, &services, &businesses] {
        let ids: BTreeSet<&str> = map.entities.iter().map(|entity| entity.id.as_str()).collect();
        assert_eq!(ids.len(), map.entities.len(), "ids are unique");
        assert!(map.edges.iter().all(|edge| ids.contains(edge.from.as_str()) && ids.contains(edge.to.as_str())));
        assert!(map.entities.iter().all(|entity| entity.parent.as_ref().is_none_or(|parent| ids.contains(parent.as_str()))));
    }

    // An hour later everybody is silent and still known; before it began there was nobody.
    let later = tyto.map(MapLevel::Component, START + 3600, START + 7200).await;
    is_the_truth(&later, &sim::truth());
    let is_declared = |edge: &MapEdge| edge.kind == EdgeKind::Declared;
    assert!(later.edges.iter().all(|edge| edge.requests_per_second == 0.0 && edge.last_seen.is_some() != is_declared(edge)));
    let before = tyto.map(MapLevel::Component, START - 7200, START - 3600).await;
    assert!(before.edges.iter().all(is_declared) && before.entities.iter().all(|entity| entity.declared && entity.first_seen.is_none()));
}

#[tokio::test]
async fn two_minutes_of_three_hundred_components_are_their_map_and_little_memory() {
    let mut estate = Estate::new(3, 300);
    let truth = estate.truth();
    assert!(truth.len() > 600, "{} pairs", truth.len());
    let mut tyto = Tyto::new(&[("omd.yaml", &estate.omd_yaml(true))], &SpanOptions::default());
    let mut rows = Vec::new();
    for second in START + 1..=START + 120 {
        for request in estate.second(second) {
            tyto.receive(&request, second).await;
        }
        if second % 15 == 0 {
            rows.push(tyto.emit(second).await);
        }
    }
    tyto.emit(START + 140).await;
    is_the_truth(&tyto.map(MapLevel::Component, START, START + 140).await, &truth);
    // Every series of every component and pair, and no more of them as time goes on.
    assert!(rows.iter().all(|rows| *rows < 60_000), "{rows:?}");

    let range = (START as i64 * 1000, (START as i64 + 140) * 1000);
    let report = tyto.topology.drift(range.0, range.1).await.unwrap();
    assert!(!report.drift && report.components_without_dependencies == 0, "{report:#?}");
}

#[tokio::test]
async fn a_moment_shows_its_minute_wherever_in_it_samples_lie() {
    for turn in [0, 30_000, 59_990] {
        let mut estate = Estate::new(3, 6);
        let mut tyto = Tyto::with_turn(&[("omd.yaml", &estate.omd_yaml(true))], &SpanOptions::default(), turn);
        for request in estate.second(START) {
            tyto.receive(&request, START + 1).await;
        }
        tyto.emit(START + 20).await;
        is_the_truth(&tyto.map(MapLevel::Component, START - 295, START + 5).await, &estate.truth());
    }
}

#[tokio::test]
async fn what_is_declared_and_what_is_done_are_compared() {
    let omd = "
business_services:
  - name: shop
    owners: [{team: shop}]
    services:
      - name: front
        components:
          - name: component-000
            match: [{service.name: component-000}]
            depends_on: [component-002, {external: never.example}]
          - name: component-002
            match: [{service.name: component-002}]
          - name: silent
            match: [{service.name: silent}]
          - name: batch
            match: [{service.name: batch}]
            depends_on: [{database: db.internal}]
";
    let mut estate = Estate::new(3, 6);
    let mut tyto = Tyto::new(&[("omd.yaml", omd)], &SpanOptions::default());
    for second in START..START + 20 {
        for request in estate.second(second) {
            tyto.receive(&request, second).await;
        }
    }
    let stray = |attributes: &[(&str, &str)]| {
        let mut request = Estate::new(3, 2).second(START)[0].clone();
        let resource = request.resource_spans[0].resource.as_mut().unwrap();
        resource.attributes = attributes.iter().map(|(key, value)| sim::wire::attribute(key, *value)).collect();
        request
    };
    let misplaced =
        [("service.name", "x"), ("omd.business_service", "login"), ("omd.service", "front"), ("omd.component", "component-002")];
    tyto.receive(&stray(&misplaced), START + 20).await;
    tyto.receive(&stray(&[("service.name", "component-002"), ("omd.team", "strangers")]), START + 20).await;
    // One that sends no spans, and says by its metrics that it asks a database.
    let mut samples = SamplesBuilder::default();
    for second in [0, 15, 30] {
        samples.float((START as i64 + second) * 1000, second as f64);
    }
    let labels = [("db_system_name", "postgresql"), ("job", "batch"), ("server_address", "db.internal")];
    let row = SeriesRow { name: "db_client_operation_duration_seconds_count", kind: "histogram", ..SeriesRow::default() };
    samples.push_series(&row, labels.into_iter());
    tyto.pipeline.ingest(Decoded::new(Table::Samples, samples.finish(), "test")).await.unwrap();
    tyto.emit(START + 60).await;
    let map = tyto.map(MapLevel::Component, START, START + 60).await;
    let asked = map.edges.iter().find(|edge| edge.from == "component:shop/front/batch").unwrap();
    assert_eq!((asked.to.as_str(), asked.kind, asked.declared), ("database:db.internal", EdgeKind::Database, true));
    assert!((asked.requests_per_second * 60.0 - 30.0).abs() < 16.0 && asked.p95_seconds.is_none(), "{asked:?}");
    let (start_ms, end_ms) = (START as i64 * 1000, (START as i64 + 60) * 1000);
    let report = tyto.topology.drift(start_ms, end_ms).await.unwrap();
    assert!(report.drift);
    let calls: BTreeSet<(String, String)> = report.called_not_declared.iter().map(|edge| (edge.from.clone(), edge.to.clone())).collect();
    let front = "component:shop/front/component-000".to_owned();
    let mut own: BTreeSet<(String, String)> = estate
        .truth()
        .iter()
        .map(|(from, to)| (id(from), id(to)))
        .filter(|(from, to)| from.ends_with("/component-000") && !to.ends_with("/component-002"))
        .map(|(_, to)| (front.clone(), to.replace("component:business-00/service-000/", "component:unassigned/")))
        .collect();
    own.extend(
        estate
            .truth()
            .iter()
            .map(|(from, to)| (id(from), id(to)))
            .filter(|(from, to)| from.starts_with("queue:") && to.ends_with("/component-000"))
            .map(|(from, _)| (from, front.clone())),
    );
    assert_eq!(calls, own);
    assert!(!calls.is_empty());
    let unseen: BTreeSet<(String, Option<String>)> =
        report.declared_never_seen.iter().map(|unseen| (unseen.from.clone(), unseen.to.clone())).collect();
    assert!(unseen.contains(&("component:shop/front/silent".to_owned(), None)), "{unseen:?}");
    assert!(unseen.iter().all(|(from, _)| !from.ends_with("/batch")), "{unseen:?}");
    assert!(unseen.contains(&(front, Some("external:never.example".to_owned()))), "{unseen:?}");
    assert!(
        report.unknown_callers.iter().all(|edge| edge.from.starts_with("component:unassigned/") && edge.to.starts_with("component:shop/"))
    );
    assert_eq!(report.components_without_dependencies, 2);
    let wrong: BTreeSet<(&str, &str)> = report.wrong_owner.iter().map(|wrong| (wrong.what, wrong.seen.as_str())).collect();
    assert_eq!(wrong, BTreeSet::from([("place", "login/front/component-002"), ("team", "strangers")]), "{report:#?}");
}
