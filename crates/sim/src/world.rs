//! The whole company as one state machine: seconds go in, telemetry comes out.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::chance::Chance;
use crate::company::{Component, SITES};
use crate::fault::{Conditions, Fault, FaultKind};
use crate::hosts::Host;
use crate::legacy;
use crate::line::{Line, Severity};
use crate::operations::JOURNEYS;
use crate::pod::{Outbox, Pod, SCRAPE_SECONDS, version_text};
use crate::traffic;
use crate::visit::Visit;
use crate::walk::Walk;
use crate::wire::{LokiPush, WriteRequest, attribute};

const NANOS: u64 = 1_000_000_000;
/// An ordinary deployment, of one component after the other, at this rhythm.
const DEPLOY_EVERY_SECONDS: u64 = 5_400;
/// Production regions follow staging after this long, and each other after a minute.
const STAGING_LEAD_SECONDS: u64 = 600;

#[derive(Clone, Debug)]
pub struct WorldOptions {
    pub seed: u64,
    pub start_unix_seconds: u64,
    /// Journeys that begin per second over all regions, on average over a day. One leaves about eight spans.
    pub journeys_per_second: f64,
    pub faults: Vec<Fault>,
}

impl WorldOptions {
    pub fn new(seed: u64, start_unix_seconds: u64) -> Self {
        Self { seed, start_unix_seconds, journeys_per_second: 1.35, faults: Vec::new() }
    }
}

/// One payload of one sender: OTLP requests hold one resource, a remote-write request one host, a Loki push one agent.
#[derive(Clone, Debug, PartialEq)]
pub enum Telemetry {
    Logs(ExportLogsServiceRequest),
    Spans(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    RemoteWrite(WriteRequest),
    Loki(LokiPush),
}

/// The same options give the same bytes. What happens in a second depends on the seed and that second, never on how the ticks
/// are cut; only the grouping into payloads does. (Bytes hold for one platform: latencies go through its `ln`, `exp` and `cos`.)
#[derive(Clone, Debug)]
pub struct World {
    options: WorldOptions,
    now_unix_seconds: u64,
    /// By site, then by component.
    pods: Vec<Pod>,
    hosts: Vec<Host>,
    /// Of replaced pods, until everything they began has ended.
    retiring: Vec<Outbox>,
    /// What a rollback goes back to, by site.
    tax_versions: Vec<[u16; 3]>,
}

impl World {
    pub fn new(options: WorldOptions) -> Self {
        let (seed, start) = (options.seed, options.start_unix_seconds);
        // Everything has been running for a day when the story begins.
        let started = start.saturating_sub(86_400) * NANOS;
        let pods =
            (0..SITES.len()).flat_map(|site| Component::all().map(move |component| Pod::new(seed, component, site, started))).collect();
        Self {
            hosts: Host::all(seed, start),
            options,
            now_unix_seconds: start,
            pods,
            retiring: Vec::new(),
            tax_versions: vec![Component::TaxService.spec().version; SITES.len()],
        }
    }

    pub fn now_unix_seconds(&self) -> u64 {
        self.now_unix_seconds
    }

    pub fn schedule(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.options.faults.extend(faults);
    }

    /// Lives until `end_unix_seconds` and hands over what happened before it. A span leaves when it is over, so one that crosses the
    /// end comes with a later tick.
    pub fn tick(&mut self, end_unix_seconds: u64) -> Vec<Telemetry> {
        let mut told = Vec::new();
        while self.now_unix_seconds < end_unix_seconds {
            self.live_one_second(self.now_unix_seconds, &mut told);
            self.now_unix_seconds += 1;
        }
        let end = self.now_unix_seconds * NANOS;
        for outbox in self.retiring.iter_mut().chain(self.pods.iter_mut().map(|pod| &mut pod.outbox)) {
            let (logs, spans) = outbox.take(end);
            told.extend(logs.map(|logs| Telemetry::Logs(ExportLogsServiceRequest { resource_logs: vec![logs] })));
            told.extend(spans.map(|spans| Telemetry::Spans(ExportTraceServiceRequest { resource_spans: vec![spans] })));
        }
        self.retiring.retain(|outbox| !outbox.is_empty());
        told
    }

    fn live_one_second(&mut self, second: u64, told: &mut Vec<Telemetry>) {
        let production = Conditions::at(second, &self.options.faults);
        self.deploy(second);
        for (site_index, site) in SITES.iter().enumerate() {
            let conditions = if site.is_production() { production } else { Conditions::CALM };
            self.leak(site_index, second, &conditions);
            self.receive_members(site_index, second, &conditions);
            for pod in self.pods_of(site_index).iter_mut().filter(|pod| pod.is_scraped_at(second)) {
                let resource_metrics = vec![pod.scrape(second, &conditions)];
                told.push(Telemetry::Metrics(ExportMetricsServiceRequest { resource_metrics }));
            }
        }
        if second.is_multiple_of(SCRAPE_SECONDS) {
            let collected = self.hosts.iter_mut().map(|host| host.collect(second, SCRAPE_SECONDS, &production));
            told.extend(collected.map(Telemetry::RemoteWrite));
        }
        let push = legacy::lines(self.options.seed, second);
        if !push.streams.is_empty() {
            told.push(Telemetry::Loki(push));
        }
    }

    fn pods_of(&mut self, site_index: usize) -> &mut [Pod] {
        let components = Component::all().count();
        &mut self.pods[site_index * components..(site_index + 1) * components]
    }

    fn receive_members(&mut self, site_index: usize, second: u64, conditions: &Conditions) {
        let (seed, mean) = (self.options.seed, self.options.journeys_per_second);
        let site = &SITES[site_index];
        let pods = self.pods_of(site_index);
        let total: f64 = JOURNEYS.iter().map(|journey| journey.share).sum();
        for (index, journey) in JOURNEYS.iter().enumerate() {
            let mut chance = Chance::of(seed, &[second, site_index as u64, index as u64]);
            let surge = if journey.surges { conditions.surge } else { 1.0 };
            let expected = mean * site.share * traffic::level(second, site.utc_offset_hours) * surge * journey.share / total;
            for number in 0..chance.poisson(expected) {
                let mut own = Chance::of(seed, &[second, site_index as u64, index as u64, number]);
                let start = second * NANOS + own.below(NANOS);
                let visit = Visit::new(site, surge, &mut own);
                Walk::new(pods, *conditions, visit, own).run(journey.root, start);
            }
        }
    }

    fn leak(&mut self, site_index: usize, second: u64, conditions: &Conditions) {
        let pod = &mut self.pods_of(site_index)[Component::SearchApi as usize];
        if conditions.leaking && pod.leak() {
            let message = format!("{} was killed: out of memory (exit code 137), restarting", pod.spec.name);
            let fields =
                vec![attribute("k8s.container.status.last_terminated_reason", "OOMKilled"), attribute("process.exit.code", 137i64)];
            announce(pod, second, Severity::Fatal, "process.killed", message, fields);
            pod.restart(second * NANOS);
        } else if !conditions.leaking && pod.has_leaked() {
            pod.restart(second * NANOS);
        }
    }

    fn deploy(&mut self, second: u64) {
        for index in 0..self.options.faults.len() {
            let fault = self.options.faults[index];
            if fault.kind != FaultKind::WrongTaxRate {
                continue;
            }
            for site_index in (0..SITES.len()).filter(|site| SITES[*site].is_production()) {
                if second == fault.start_unix_seconds {
                    let version = self.pods_of(site_index)[Component::TaxService as usize].version;
                    self.tax_versions[site_index] = version;
                    self.deploy_component(site_index, Component::TaxService, [version[0], version[1] + 1, 0], second, "new rates table");
                } else if second == fault.end_unix_seconds() {
                    let version = self.tax_versions[site_index];
                    self.deploy_component(site_index, Component::TaxService, version, second, "rollback of the new rates table");
                }
            }
        }
        for (site_index, site) in SITES.iter().enumerate() {
            let lag = if site.is_production() { STAGING_LEAD_SECONDS + 60 * site_index as u64 } else { 0 };
            let Some(planned) = second.checked_sub(lag).filter(|planned| planned.is_multiple_of(DEPLOY_EVERY_SECONDS)) else { continue };
            let components: Vec<Component> = Component::all().collect();
            let component = *Chance::of(self.options.seed, &[planned, 0xde91]).pick(&components);
            let [major, minor, patch] = self.pods_of(site_index)[component as usize].version;
            self.deploy_component(site_index, component, [major, minor, patch + 1], second, "weekly release");
        }
    }

    fn deploy_component(&mut self, site_index: usize, component: Component, version: [u16; 3], second: u64, why: &str) {
        let seed = self.options.seed;
        let pod = &mut self.pods_of(site_index)[component as usize];
        let before = pod.version;
        let old = pod.deploy(version, second * NANOS);
        let (name, site) = (pod.spec.name, pod.site);
        let message = format!(
            "Deployed {name} {} to {} {} (before: {}): {why}",
            pod.version_text(),
            site.environment,
            site.region,
            version_text(before)
        );
        let mut chance = Chance::of(seed, &[second, component as u64, 0xdeb1]);
        let fields = vec![
            attribute("deployment.id", format!("{:012x}", chance.next() >> 16)),
            attribute("deployment.name", format!("{name} {}", version_text(version))),
            attribute("deployment.status", "succeeded"),
            attribute("deployment.previous_version", version_text(before)),
            attribute("vcs.ref.head.revision", format!("{:016x}{:016x}{:08x}", chance.next(), chance.next(), chance.next() >> 32)),
        ];
        announce(pod, second, Severity::Info, "deployment", message, fields);
        self.retiring.push(old);
    }
}

/// A line that belongs to no trace.
fn announce(
    pod: &mut Pod,
    second: u64,
    severity: Severity,
    event_name: &'static str,
    message: String,
    fields: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>,
) {
    let line = Line { time_unix_nano: second * NANOS, severity, message, fields, event_name, trace_id: Vec::new(), span_id: Vec::new() };
    pod.outbox.logs.push(line.into_record(pod.spec.style));
}
