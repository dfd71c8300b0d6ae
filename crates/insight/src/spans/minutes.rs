//! What the map is drawn from: of each edge and each component what happened in each minute, in samples of their own.
//!
//! A sample holds the spans that ended in one minute and came since the last emission. So it belongs to the time that it is about,
//! however late it comes: history that is sent afterwards is history, and a restart loses no more than what was not told. Refused: reading the
//! map from the counters of the service graph, which say when spans came, cost twenty times the samples, and know no components.

use hashbrown::HashMap;
use model::{Identity, NativeHistogram};

use super::called::is_receive;
use super::registry::{Key, KeyRef};
use super::rows::{Example, SampleRows, Series};
use super::span::{Sender, Span};
use super::waiting::{Open, Side};

/// The samples, by name.
pub const EDGE_SECONDS: &str = "tyto_topology_edge_seconds";
pub const EDGE_ERRORS: &str = "tyto_topology_edge_errors";
pub const COMPONENT_SECONDS: &str = "tyto_topology_component_seconds";
pub const COMPONENT_ERRORS: &str = "tyto_topology_component_errors";

pub(crate) const MINUTE_MS: i64 = 60_000;

/// Labels of an edge, sorted. Of a component they are its own name alone: its identity says the rest.
pub(crate) const EDGE_LABELS: [&str; 9] = [
    "client",
    "client_business_service",
    "client_kind",
    "client_service",
    "connection",
    "server",
    "server_business_service",
    "server_kind",
    "server_service",
];
const COMPONENT_LABELS: [&str; 1] = ["service_name"];

/// Buckets grow by the eighth root of two: a quantile is right within five per cent.
const SCHEMA: i32 = 3;
/// Seconds; what is less is nothing.
const ZERO: f64 = 1e-9;

/// One end of an edge.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Sender(&'a Sender),
    Database(&'a str),
    Queue(&'a str),
    External(&'a str),
    User,
}

impl<'a> Place<'a> {
    fn kind(self) -> &'static str {
        match self {
            Self::Sender(_) => "component",
            Self::Database(_) => "database",
            Self::Queue(_) => "queue",
            Self::External(_) => "external",
            Self::User => "user",
        }
    }

    /// Name, business service, service.
    fn names(self) -> [&'a str; 3] {
        match self {
            Self::Sender(sender) => [component_of(sender), &sender.identity.business_service, &sender.identity.service],
            Self::Database(name) | Self::Queue(name) | Self::External(name) => [name, "", ""],
            Self::User => ["user", "", ""],
        }
    }

    fn identity(self) -> Option<&'a Identity> {
        match self {
            Self::Sender(sender) => Some(&sender.identity),
            _ => None,
        }
    }
}

/// Who nobody has claimed is known by the name that it gives itself.
fn component_of(sender: &Sender) -> &str {
    if sender.identity.component.is_empty() { &sender.name } else { &sender.identity.component }
}

/// What happened in a minute.
#[derive(Default)]
struct Minute {
    minute: i64,
    errors: u64,
    sum: f64,
    zeros: u64,
    /// By index of the native histogram's bucket, ascending.
    buckets: Vec<(i32, u64)>,
    /// With an error, where there was one.
    example: Option<(bool, Example)>,
}

pub(crate) struct Minutes {
    edges: HashMap<Key, Vec<Minute>>,
    components: HashMap<Key, Vec<Minute>>,
    held: usize,
    max: usize,
    /// Of the emission: where in a minute its samples lie, so that those of two emissions differ.
    turn: i64,
}

impl Minutes {
    /// `turn` is any number that differs from start to start.
    pub(crate) fn new(max: usize, turn: i64) -> Self {
        Self { edges: HashMap::new(), components: HashMap::new(), held: 0, max, turn }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.held >= self.max
    }

    /// A span that is all there is to know of the edge.
    pub(crate) fn edge(&mut self, from: Place<'_>, to: Place<'_>, span: Span<'_>, seconds: f64) {
        self.add_edge(from, to, (seconds, span.failed()), span.end_ns(), || span.example(seconds));
    }

    /// A call of which the client is known.
    pub(crate) fn paired(&mut self, open: &Open, client: &Side, to: Place<'_>) {
        let example = || Example {
            value: client.seconds,
            time_ms: client.end_ns / 1_000_000,
            trace_id: open.trace_id.clone(),
            span_id: open.span_id.clone(),
        };
        self.add_edge(Place::Sender(&client.sender), to, (client.seconds, open.failed), client.end_ns, example);
    }

    fn add_edge(&mut self, from: Place<'_>, to: Place<'_>, seen: (f64, bool), end_ns: i64, example: impl FnOnce() -> Example) {
        let Some(owner) = from.identity().or(to.identity()) else { return };
        let connection = match (from, to) {
            (Place::Queue(_), _) | (_, Place::Queue(_)) => "messaging",
            (_, Place::Database(_)) => "database",
            _ => "call",
        };
        let ([client, client_business, client_service], [server, server_business, server_service]) = (from.names(), to.names());
        let values = [client, client_business, from.kind(), client_service, connection, server, server_business, to.kind(), server_service];
        let minute = minute_in(&mut self.edges, &mut self.held, KeyRef { owner, values: &values }, end_ns);
        minute.add(seen, example);
    }

    /// A component was there; what it was asked for, if the span is of a request.
    pub(crate) fn component(&mut self, span: Span<'_>) {
        let values = [span.sender.name.as_str()];
        let key = KeyRef { owner: &span.sender.identity, values: &values };
        let minute = minute_in(&mut self.components, &mut self.held, key, span.end_ns());
        if span.kind() == "server" || (span.kind() == "consumer" && !is_receive(span)) {
            let seconds = span.seconds();
            minute.add((seconds, span.failed()), || span.example(seconds));
        }
    }

    /// Tells all, and holds nothing any more.
    pub(crate) fn tell(&mut self, rows: &mut SampleRows) {
        self.held = 0;
        self.turn += 1;
        // Never on the border of a minute, which belongs to both sides.
        let place_ms = 1 + self.turn.rem_euclid(MINUTE_MS - 1);
        let families = [
            (&mut self.edges, &EDGE_LABELS[..], EDGE_SECONDS, EDGE_ERRORS),
            (&mut self.components, &COMPONENT_LABELS[..], COMPONENT_SECONDS, COMPONENT_ERRORS),
        ];
        for (held, names, seconds, errors) in families {
            for (Key { owner, values }, mut minutes) in held.drain() {
                minutes.sort_by_key(|minute| minute.minute);
                let labels: Vec<(&str, &str)> =
                    names.iter().copied().zip(values.iter().map(|value| &**value)).filter(|(_, value)| !value.is_empty()).collect();
                let at = |minute: &Minute| minute.minute * MINUTE_MS + place_ms;
                let (labels, owner) = (&labels[..], &owner);
                let help = "Of the map: durations of requests, of each minute alone.";
                let example = |minute: &Minute| minute.example.clone().map(|(_, example)| example);
                let points = minutes.iter().map(|minute| (at(minute), minute.histogram(), example(minute)));
                rows.histograms(&Series { name: seconds, kind: "gaugehistogram", help, labels, owner }, points);
                let failed = || minutes.iter().filter(|minute| minute.errors > 0);
                if failed().next().is_some() {
                    let help = "Of the map: requests that failed, of each minute alone.";
                    let points = failed().map(|minute| (at(minute), minute.errors as f64, example(minute)));
                    rows.floats(&Series { name: errors, kind: "gauge", help, labels, owner }, points);
                }
            }
        }
    }
}

fn minute_in<'m>(held: &'m mut HashMap<Key, Vec<Minute>>, count: &mut usize, key: KeyRef<'_>, end_ns: i64) -> &'m mut Minute {
    let minutes = held.entry_ref(&key).or_default();
    let minute = end_ns.max(0) / 1_000_000 / MINUTE_MS;
    // Mostly the newest.
    let at = minutes.iter().rposition(|known| known.minute == minute).unwrap_or_else(|| {
        minutes.push(Minute { minute, ..Minute::default() });
        *count += 1;
        minutes.len() - 1
    });
    &mut minutes[at]
}

impl Minute {
    fn add(&mut self, (seconds, failed): (f64, bool), example: impl FnOnce() -> Example) {
        self.errors += u64::from(failed);
        self.sum += seconds;
        if seconds > ZERO {
            let index = (seconds.log2() * f64::from(1 << SCHEMA)).ceil() as i32;
            match self.buckets.binary_search_by_key(&index, |bucket| bucket.0) {
                Ok(at) => self.buckets[at].1 += 1,
                Err(at) => self.buckets.insert(at, (index, 1)),
            }
        } else {
            self.zeros += 1;
        }
        if self.example.as_ref().is_none_or(|(kept_failed, kept)| (failed, seconds) > (*kept_failed, kept.value)) {
            self.example = Some((failed, example()));
        }
    }

    fn histogram(&self) -> NativeHistogram {
        let zero_count = self.zeros as f64;
        NativeHistogram {
            schema: SCHEMA,
            count: zero_count + self.buckets.iter().map(|(_, count)| *count as f64).sum::<f64>(),
            sum: self.sum,
            zero_threshold: ZERO,
            zero_count,
            positive: self.buckets.iter().map(|(index, count)| (*index, *count as f64)).collect(),
            // A gauge: it stands for itself.
            reset_hint: 3,
            ..NativeHistogram::default()
        }
    }
}
