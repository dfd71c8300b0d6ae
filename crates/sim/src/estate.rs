//! A company of any size, in spans alone: who calls whom is drawn by the seed, and every pair is visited in turn.

use std::collections::BTreeSet;
use std::fmt::Write;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, status::StatusCode};

use crate::chance::Chance;
use crate::truth::Party;
use crate::wire::{attribute, scope};

const NANOS: u64 = 1_000_000_000;
const COMPONENTS_PER_SERVICE: usize = 5;
const SERVICES_PER_BUSINESS: usize = 6;
/// Pairs that are visited in a second.
const VISITS_PER_SECOND: usize = 20;
/// How often the last call of a visit fails.
const FAILURE: f64 = 0.05;

/// What a component calls.
#[derive(Clone, Copy, Debug)]
enum Called {
    Component(usize),
    Database(usize),
    /// A queue, and who takes from it.
    Queue(usize, usize),
    External(usize),
}

/// The company, and how far its visits are.
#[derive(Clone, Debug)]
pub struct Estate {
    seed: u64,
    components: usize,
    /// By whom each component is reached first; none of the first, whom users call.
    reached_by: Vec<Option<usize>>,
    pairs: Vec<(usize, Called)>,
    next: usize,
}

impl Estate {
    /// Of at least two components.
    pub fn new(seed: u64, components: usize) -> Self {
        let mut chance = Chance::of(seed, &[components as u64]);
        let (mut pairs, mut reached_by) = (Vec::new(), vec![None]);
        for component in 1..components {
            // Callers come before those they call: nobody goes in circles.
            let first = chance.below(component as u64) as usize;
            reached_by.push(Some(first));
            pairs.push((first, Called::Component(component)));
            for _ in 0..chance.below(3) {
                let other = chance.below(component as u64) as usize;
                if !pairs.iter().any(|(from, to)| *from == other && matches!(to, Called::Component(to) if *to == component)) {
                    pairs.push((other, Called::Component(component)));
                }
            }
            match component % 7 {
                0 | 3 => pairs.push((component, Called::Database(component / 10))),
                1 => pairs.push((component, Called::Queue(component, first))),
                2 => pairs.push((component, Called::External(component % 4))),
                _ => {}
            }
        }
        Self { seed, components, reached_by, pairs, next: 0 }
    }

    fn name(component: usize) -> String {
        format!("component-{component:03}")
    }

    fn place(component: usize) -> (String, String) {
        let service = component / COMPONENTS_PER_SERVICE;
        (format!("business-{:02}", service / SERVICES_PER_BUSINESS), format!("service-{service:03}"))
    }

    fn party(component: usize) -> Party {
        let (business_service, service) = Self::place(component);
        Party::Component { business_service, service, name: Self::name(component) }
    }

    /// Its `omd.yaml`: every component, recognised by its `service.name`, with what it calls when that is asked for.
    pub fn omd_yaml(&self, with_dependencies: bool) -> String {
        let mut yaml = "business_services:\n".to_owned();
        let mut last = (String::new(), String::new());
        for component in 0..self.components {
            let place = Self::place(component);
            if place.0 != last.0 {
                write!(yaml, "  - name: {0}\n    owners: [{{team: team-{0}}}]\n    services:\n", place.0).expect("memory");
            }
            if place != last {
                write!(yaml, "      - name: {}\n        components:\n", place.1).expect("memory");
            }
            let name = Self::name(component);
            write!(yaml, "          - name: {name}\n            match: [{{service.name: {name}}}]\n").expect("memory");
            if with_dependencies {
                let own = self.pairs.iter().filter(|(from, _)| *from == component).map(|(_, called)| match called {
                    Called::Component(to) => Self::name(*to),
                    Called::Database(number) => format!("{{database: {}}}", database(*number)),
                    Called::Queue(number, _) => format!("{{queue: queue-{number:03}}}"),
                    Called::External(number) => format!("{{external: {}}}", external(*number)),
                });
                let taken = self.pairs.iter().filter_map(|(_, called)| match called {
                    Called::Queue(number, to) if *to == component => Some(format!("{{queue: queue-{number:03}}}")),
                    _ => None,
                });
                let all: Vec<String> = own.chain(taken).collect();
                writeln!(yaml, "            depends_on: [{}]", all.join(", ")).expect("memory");
            }
            last = place;
        }
        yaml
    }

    /// Who calls whom.
    pub fn truth(&self) -> BTreeSet<(Party, Party)> {
        let mut truth = BTreeSet::from([(Party::User, Self::party(0))]);
        for (from, called) in &self.pairs {
            let to = match called {
                Called::Component(to) => Self::party(*to),
                Called::Database(number) => Party::Database(database(*number)),
                Called::External(number) => Party::External(external(*number)),
                Called::Queue(number, to) => {
                    let queue = Party::Queue(format!("queue-{number:03}"));
                    truth.insert((queue.clone(), Self::party(*to)));
                    queue
                }
            };
            truth.insert((Self::party(*from), to));
        }
        truth
    }

    /// What the visits of a second leave behind, a request for each component that has something to say.
    pub fn second(&mut self, unix_seconds: u64) -> Vec<ExportTraceServiceRequest> {
        let mut spans: Vec<Vec<Span>> = vec![Vec::new(); self.components];
        let mut chance = Chance::of(self.seed, &[unix_seconds, 0xe57a]);
        for _ in 0..VISITS_PER_SECOND {
            let (from, called) = self.pairs[self.next];
            self.next = (self.next + 1) % self.pairs.len();
            self.visit(from, called, unix_seconds * NANOS, &mut chance, &mut spans);
        }
        let told = spans.into_iter().enumerate().filter(|(_, spans)| !spans.is_empty());
        told.map(|(component, spans)| {
            let name = Self::name(component);
            let resource = Some(Resource { attributes: vec![attribute("service.name", name.as_str())], ..Resource::default() });
            let scope_spans = vec![ScopeSpans { scope: scope(&name), spans, ..ScopeSpans::default() }];
            ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }] }
        })
        .collect()
    }

    /// From the user through those by whom `from` is reached, and from there to what it calls.
    fn visit(&self, from: usize, called: Called, start: u64, chance: &mut Chance, spans: &mut [Vec<Span>]) {
        let mut way = vec![from];
        while let Some(before) = self.reached_by[way[way.len() - 1]] {
            way.push(before);
        }
        way.reverse();
        let (trace, took) = (chance.trace_id(), 1_000_000 + chance.below(50_000_000));
        let failed = chance.happens(FAILURE);
        let mut tell = |of: usize, kind: SpanKind, ids: ([u8; 8], Option<[u8; 8]>), attributes: Vec<KeyValue>, failed: bool| {
            spans[of].push(Span {
                trace_id: trace.to_vec(),
                span_id: ids.0.to_vec(),
                parent_span_id: ids.1.map(|id| id.to_vec()).unwrap_or_default(),
                name: "work".to_owned(),
                kind: kind as i32,
                start_time_unix_nano: start,
                end_time_unix_nano: start + took,
                attributes,
                status: failed.then(|| Status { code: StatusCode::Error as i32, ..Status::default() }),
                ..Span::default()
            });
        };
        let mut parent = None;
        for (at, component) in way.iter().enumerate() {
            let server = chance.span_id();
            tell(*component, SpanKind::Server, (server, parent), Vec::new(), false);
            if at + 1 < way.len() {
                let client = chance.span_id();
                tell(*component, SpanKind::Client, (client, Some(server)), Vec::new(), false);
                parent = Some(client);
            } else {
                parent = Some(server);
            }
        }
        let client = chance.span_id();
        match called {
            Called::Component(to) => {
                tell(from, SpanKind::Client, (client, parent), Vec::new(), failed);
                tell(to, SpanKind::Server, (chance.span_id(), Some(client)), Vec::new(), failed);
            }
            Called::Database(number) => {
                let attributes = vec![attribute("db.system.name", "postgresql"), attribute("server.address", database(number))];
                tell(from, SpanKind::Client, (client, parent), attributes, failed);
            }
            Called::External(number) => {
                let attributes = vec![attribute("server.address", external(number)), attribute("server.port", 443_i64)];
                tell(from, SpanKind::Client, (client, parent), attributes, failed);
            }
            Called::Queue(number, to) => {
                let attributes =
                    || vec![attribute("messaging.system", "kafka"), attribute("messaging.destination.name", format!("queue-{number:03}"))];
                tell(from, SpanKind::Producer, (client, parent), attributes(), false);
                let link = Link { trace_id: trace.to_vec(), span_id: client.to_vec(), ..Link::default() };
                // A trace of its own, as most instrumentations have it.
                spans[to].push(Span {
                    trace_id: chance.trace_id().to_vec(),
                    span_id: chance.span_id().to_vec(),
                    name: "process".to_owned(),
                    kind: SpanKind::Consumer as i32,
                    start_time_unix_nano: start + took,
                    end_time_unix_nano: start + 2 * took,
                    attributes: attributes(),
                    links: vec![link],
                    ..Span::default()
                });
            }
        }
    }
}

fn database(number: usize) -> String {
    format!("db-{number:02}.internal")
}

fn external(number: usize) -> String {
    format!("api-{number}.partner.example")
}
