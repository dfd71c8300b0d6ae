//! One running instance of a component at a site: its resource, its instruments, and what waits to be sent.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use crate::chance::Chance;
use crate::company::{Component, NAMESPACE, SITES, Site, Spec};
use crate::fault::Conditions;
use crate::meter::{self, Meter, Tag};
use crate::operations::{JOURNEYS, Operation, System, Target};
use crate::wire::{SCHEMA_URL, attribute, scope};

pub(crate) const SCRAPE_SECONDS: u64 = 15;
const NANOS: u64 = 1_000_000_000;
const MIB: f64 = 1_048_576.0;
/// The container's limit: who uses more is killed.
const LEAK_LIMIT_MIB: f64 = 1_200.0;
const LEAK_MIB_PER_SECOND: f64 = 3.2;

/// Records of one process under one resource; those that have not happened yet wait here.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    resource: Resource,
    scope: String,
    pub(crate) spans: Vec<Span>,
    pub(crate) logs: Vec<LogRecord>,
}

impl Outbox {
    fn new(resource: Resource, scope: String) -> Self {
        Self { resource, scope, spans: Vec::new(), logs: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.logs.is_empty()
    }

    /// What has happened before `end_unix_nano`: a span leaves when it is over.
    pub(crate) fn take(&mut self, end_unix_nano: u64) -> (Option<ResourceLogs>, Option<ResourceSpans>) {
        let mut logs: Vec<_> = self.logs.extract_if(.., |log| log.time_unix_nano < end_unix_nano).collect();
        let mut spans: Vec<_> = self.spans.extract_if(.., |span| span.end_time_unix_nano < end_unix_nano).collect();
        logs.sort_by_key(|log| log.time_unix_nano);
        spans.sort_by_key(|span| span.end_time_unix_nano);
        let resource = || Some(self.resource.clone());
        let schema_url = SCHEMA_URL.to_owned();
        let logs = (!logs.is_empty()).then(|| ResourceLogs {
            resource: resource(),
            scope_logs: vec![ScopeLogs { scope: scope(&self.scope), log_records: logs, schema_url: String::new() }],
            schema_url: schema_url.clone(),
        });
        let spans = (!spans.is_empty()).then(|| ResourceSpans {
            resource: resource(),
            scope_spans: vec![ScopeSpans { scope: scope(&self.scope), spans, schema_url: String::new() }],
            schema_url,
        });
        (logs, spans)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) spec: &'static Spec,
    pub(crate) site: &'static Site,
    /// Among all pods; it also says when within the 15 s the metrics leave.
    pub(crate) index: usize,
    pub(crate) version: [u16; 3],
    pub(crate) started_unix_nano: u64,
    pub(crate) meter: Meter,
    pub(crate) outbox: Outbox,
    seed: u64,
    /// CPU seconds since the last collection.
    pub(crate) busy_seconds: f64,
    leaked_mib: f64,
    queues: Vec<&'static str>,
    uses_postgres: bool,
}

impl Pod {
    pub(crate) fn new(seed: u64, component: Component, site_index: usize, start_unix_nano: u64) -> Self {
        let (spec, site) = (component.spec(), &SITES[site_index]);
        let mut pod = Self {
            spec,
            site,
            index: site_index * Component::all().count() + component as usize,
            version: spec.version,
            started_unix_nano: start_unix_nano,
            meter: Meter::default(),
            outbox: Outbox::new(Resource::default(), format!("{NAMESPACE}/{}", spec.name)),
            seed,
            busy_seconds: 0.0,
            leaked_mib: 0.0,
            queues: Vec::new(),
            uses_postgres: false,
        };
        let mut operations = Vec::new();
        JOURNEYS.iter().for_each(|journey| operations_of(journey.root, component, &mut operations));
        for operation in operations {
            pod.uses_postgres |=
                operation.calls.iter().any(|call| matches!(call.target, Target::Store(access) if access.system == System::Postgres));
            if operation.is_consumer() {
                pod.queues.push(operation.route);
            }
        }
        pod.outbox.resource.attributes = pod.resource();
        pod
    }

    /// Replaces the pod by one of another version: a new name, new instruments. What the old one still has to say comes back.
    pub(crate) fn deploy(&mut self, version: [u16; 3], now_unix_nano: u64) -> Outbox {
        self.version = version;
        self.restart(now_unix_nano);
        let attributes = self.resource();
        let fresh = Outbox::new(Resource { attributes, ..Resource::default() }, self.outbox.scope.clone());
        std::mem::replace(&mut self.outbox, fresh)
    }

    /// The same pod with a new process: counters begin at zero.
    pub(crate) fn restart(&mut self, now_unix_nano: u64) {
        self.started_unix_nano = now_unix_nano;
        self.meter = Meter::default();
        self.leaked_mib = 0.0;
        self.busy_seconds = 0.0;
    }

    /// One second of leaking. True when the kernel's patience is over.
    pub(crate) fn leak(&mut self) -> bool {
        self.leaked_mib += LEAK_MIB_PER_SECOND;
        f64::from(self.spec.memory_mib) + self.leaked_mib > LEAK_LIMIT_MIB
    }

    pub(crate) fn has_leaked(&self) -> bool {
        self.leaked_mib > 0.0
    }

    pub(crate) fn is_scraped_at(&self, second: u64) -> bool {
        (second + self.index as u64).is_multiple_of(SCRAPE_SECONDS)
    }

    pub(crate) fn scrape(&mut self, second: u64, conditions: &Conditions) -> ResourceMetrics {
        let mut chance = Chance::of(self.seed, &[second, self.index as u64, 0x5c7a]);
        let now = second * NANOS;
        self.observe_process(now, &mut chance);
        for queue in self.queues.clone() {
            let depth = chance.poisson(1.5 * conditions.surge * conditions.surge * conditions.database_slowdown.sqrt());
            self.meter.set(&meter::QUEUE_DEPTH, vec![("messaging.destination.name", Tag::Text(queue))], depth as f64);
        }
        if self.uses_postgres {
            let used = (chance.poisson(1.4 * conditions.surge.sqrt() * conditions.database_slowdown) as f64).min(20.0);
            for (state, count) in [("used", used), ("idle", 20.0 - used)] {
                let tags = vec![("db.client.connection.pool.name", Tag::Text("primary")), ("db.client.connection.state", Tag::Text(state))];
                self.meter.set(&meter::CONNECTIONS, tags, count);
            }
        }
        ResourceMetrics {
            resource: Some(self.outbox.resource.clone()),
            scope_metrics: vec![ScopeMetrics {
                scope: scope(&self.outbox.scope),
                metrics: self.meter.collect(self.started_unix_nano, now),
                schema_url: String::new(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        }
    }

    fn observe_process(&mut self, now: u64, chance: &mut Chance) {
        let uptime = now.saturating_sub(self.started_unix_nano) as f64 / NANOS as f64;
        let busy = self.busy_seconds + SCRAPE_SECONDS as f64 * chance.between(0.004, 0.008);
        self.busy_seconds = 0.0;
        self.meter.add(&meter::CPU_TIME, vec![("cpu.mode", Tag::Text("user"))], busy * 0.82);
        self.meter.add(&meter::CPU_TIME, vec![("cpu.mode", Tag::Text("system"))], busy * 0.18);
        self.meter.set(&meter::CPU_UTILIZATION, vec![], busy / SCRAPE_SECONDS as f64);
        self.meter.set(&meter::UPTIME, vec![], uptime);
        // A process warms up for some minutes, then breathes with its garbage collector.
        let warm = 0.72 + 0.28 * (uptime / 600.0).min(1.0);
        let own = f64::from(self.spec.memory_mib) * warm * (1.0 + 0.02 * chance.normal().clamp(-3.0, 3.0));
        self.meter.set(&meter::MEMORY, vec![], ((own + self.leaked_mib) * MIB).round());
        self.meter.set(&meter::THREADS, vec![], (f64::from(self.spec.memory_mib) / 16.0).ceil() + chance.below(4) as f64);
    }

    pub(crate) fn version_text(&self) -> String {
        version_text(self.version)
    }

    fn resource(&self) -> Vec<KeyValue> {
        let Spec { name, owner, explicit, language, .. } = self.spec;
        let Site { region, environment, .. } = self.site;
        let mut chance =
            Chance::of(self.seed, &[self.index as u64, self.started_unix_nano, u64::from(self.version[1]), u64::from(self.version[2])]);
        let replica_set = format!("{:010x}", chance.next() >> 24);
        let pod_name = format!("{name}-{replica_set}-{:05x}", chance.next() >> 44);
        let (high, low) = (chance.next(), chance.next());
        // The form of a random UUID, version 4.
        let instance = format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 50),
            low & 0xffff_ffff_ffff
        );
        let mut attributes = vec![
            attribute("service.name", *name),
            attribute("service.namespace", NAMESPACE),
            attribute("service.version", version_text(self.version)),
            attribute("service.instance.id", instance),
            attribute("deployment.environment.name", *environment),
            attribute("cloud.provider", "aws"),
            attribute("cloud.platform", "aws_eks"),
            attribute("cloud.region", *region),
            attribute("k8s.cluster.name", format!("{environment}-{region}")),
            attribute("k8s.namespace.name", owner.map_or("default", |owner| owner.business_service)),
            attribute("k8s.pod.name", pod_name),
            attribute("telemetry.sdk.name", "opentelemetry"),
            attribute("telemetry.sdk.language", *language),
            attribute("telemetry.sdk.version", "1.44.0"),
        ];
        if let (true, Some(owner)) = (explicit, owner) {
            attributes.extend([
                attribute("omd.business_service", owner.business_service),
                attribute("omd.service", owner.service),
                attribute("omd.component", *name),
                attribute("omd.region", *region),
                attribute("omd.environment", *environment),
                attribute("omd.team", owner.team),
            ]);
        }
        attributes
    }
}

pub(crate) fn version_text([major, minor, patch]: [u16; 3]) -> String {
    format!("{major}.{minor}.{patch}")
}

fn operations_of(operation: &'static Operation, component: Component, found: &mut Vec<&'static Operation>) {
    if operation.component == component && !found.iter().any(|other| std::ptr::eq(*other, operation)) {
        found.push(operation);
    }
    for call in operation.calls {
        if let Target::Service(next) | Target::Queue(next) = call.target {
            operations_of(next, component, found);
        }
    }
}
