//! What the service graph counts: requests between a client and a server, by Tempo's names.

use model::legal_name;

use super::latency::{Bounds, Family, Latency};
use super::options::SpanOptions;
use super::registry::{KeyRef, Registry};
use super::rows::{Example, Moment, SampleRows, Series};
use super::span::{Sender, seconds_between};
use super::waiting::{Open, Side};

const SERVER: Family = Family {
    bucket: "traces_service_graph_request_server_seconds_bucket",
    sum: "traces_service_graph_request_server_seconds_sum",
    count: "traces_service_graph_request_server_seconds_count",
    help: "Time of requests as the server saw it.",
};
const CLIENT: Family = Family {
    bucket: "traces_service_graph_request_client_seconds_bucket",
    sum: "traces_service_graph_request_client_seconds_sum",
    count: "traces_service_graph_request_client_seconds_count",
    help: "Time of requests as the client saw it.",
};
const MESSAGING: Family = Family {
    bucket: "traces_service_graph_request_messaging_system_seconds_bucket",
    sum: "traces_service_graph_request_messaging_system_seconds_sum",
    count: "traces_service_graph_request_messaging_system_seconds_count",
    help: "Time between the end of sending a message and the begin of taking it.",
};

/// How two sides are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    Direct,
    Messaging,
    Database,
    /// The client sends no spans.
    VirtualClient,
    VirtualServer,
}

impl Connection {
    fn kind(self) -> &'static str {
        match self {
            Self::Direct => "",
            Self::Messaging => "messaging_system",
            Self::Database => "database",
            Self::VirtualClient | Self::VirtualServer => "virtual_node",
        }
    }

    fn virtual_node(self) -> &'static str {
        match self {
            Self::VirtualClient => "client",
            Self::VirtualServer => "server",
            _ => "",
        }
    }
}

#[derive(Default)]
struct Requests {
    count: u64,
    failed: u64,
    /// Which of the counters were told, in the order in which they are.
    is_told: [bool; 4],
    server: Latency,
    client: Latency,
    messaging: Latency,
    /// Spans whose other side never came.
    unpaired: u64,
    /// Spans that found no room to wait.
    dropped: u64,
}

pub(crate) struct GraphMetrics {
    requests: Registry<Requests>,
    shape: Shape,
}

/// What options make of it.
struct Shape {
    bounds: Bounds,
    dimensions: usize,
    client_server_prefix: bool,
    virtual_node_label: bool,
    messaging_latency: bool,
}

impl GraphMetrics {
    pub(crate) fn new(options: &SpanOptions) -> Self {
        let mut names: Vec<String> = ["client", "server", "connection_type"].map(str::to_owned).into();
        for dimension in &options.dimensions {
            match options.client_server_prefix {
                true => names.extend(["client_", "server_"].map(|prefix| legal_name(&format!("{prefix}{dimension}")).into_owned())),
                false => names.push(legal_name(dimension).into_owned()),
            }
        }
        if options.virtual_node_label {
            names.push("virtual_node".to_owned());
        }
        let shape = Shape {
            bounds: Bounds::new(options.graph_buckets.clone()),
            dimensions: options.dimensions.len(),
            client_server_prefix: options.client_server_prefix,
            virtual_node_label: options.virtual_node_label,
            messaging_latency: options.messaging_latency,
        };
        Self { requests: Registry::new("service_graph", names, options.series_max), shape }
    }

    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Counts a request. `client` and `server` name the sides, whether or not they sent spans.
    pub(crate) fn count(&mut self, open: &Open, (client, server): (&str, &str), connection: Connection, now_ms: i64) {
        let Some(owner) = owner(open) else { return };
        let (open_client, open_server) = (open.client.as_ref(), open.server.as_ref());
        let Self { requests, shape } = self;
        let requests = shape.of(requests, open, owner, (client, server), connection, now_ms);
        requests.count += 1;
        requests.failed += u64::from(open.failed);
        let seconds = |side: Option<&Side>| side.map_or(0.0, |side| side.seconds);
        let (client_seconds, mut server_seconds) = (seconds(open_client), seconds(open_server));
        if connection == Connection::Database {
            server_seconds = client_seconds;
        }
        let end_ns = open_client.or(open_server).map_or(0, |side| side.end_ns);
        let example =
            |value: f64| Example { value, time_ms: end_ns / 1_000_000, trace_id: open.trace_id.clone(), span_id: open.span_id.clone() };
        requests.server.observe(&shape.bounds, server_seconds, || example(server_seconds));
        requests.client.observe(&shape.bounds, client_seconds, || example(client_seconds));
        if let (true, Connection::Messaging, Some(sent), Some(taken)) = (shape.messaging_latency, connection, open_client, open_server) {
            let under_way = seconds_between(sent.end_ns, taken.start_ns);
            // Clocks differ: what was taken before it was sent tells nothing.
            if under_way > 0.0 {
                requests.messaging.observe(&shape.bounds, under_way, || example(under_way));
            }
        }
    }

    pub(crate) fn unpaired(&mut self, open: &Open, now_ms: i64) {
        self.of_sides(open, now_ms, |requests| requests.unpaired += 1);
    }

    pub(crate) fn dropped(&mut self, open: &Open, now_ms: i64) {
        self.of_sides(open, now_ms, |requests| requests.dropped += 1);
    }

    fn of_sides(&mut self, open: &Open, now_ms: i64, count: impl FnOnce(&mut Requests)) {
        let name = |side: &Option<Side>| side.as_ref().map_or("", |side| side.sender.name.as_str()).to_owned();
        if let Some(owner) = owner(open) {
            let (client, server) = (name(&open.client), name(&open.server));
            let connection = if open.is_messaging { Connection::Messaging } else { Connection::Direct };
            count(self.shape.of(&mut self.requests, open, owner, (&client, &server), connection, now_ms));
        }
    }

    pub(crate) fn tell(&mut self, rows: &mut SampleRows, now_ms: i64, idle_max_ms: i64) {
        self.requests.tell(now_ms, idle_max_ms, |owner, labels, requests, moment| {
            let counters = [
                ("traces_service_graph_request_total", "Requests between two nodes.", requests.count),
                ("traces_service_graph_request_failed_total", "Requests between two nodes that failed.", requests.failed),
                ("traces_service_graph_unpaired_spans_total", "Spans whose other side never came.", requests.unpaired),
                ("traces_service_graph_dropped_spans_total", "Spans that found no room to wait for their other side.", requests.dropped),
            ];
            let has_requests = requests.count > 0;
            for (at, (name, help, count)) in counters.into_iter().enumerate() {
                // That none has failed is worth a zero: a ratio of errors is none without it.
                if count > 0 || (at == 1 && has_requests) {
                    let moment = Moment { is_first: !std::mem::replace(&mut requests.is_told[at], true), ..moment };
                    rows.counter(&Series { name, kind: "counter", help, labels, owner }, moment, count as f64, None);
                }
            }
            for (family, latency) in
                [(&SERVER, &mut requests.server), (&CLIENT, &mut requests.client), (&MESSAGING, &mut requests.messaging)]
            {
                latency.tell(rows, family, &self.shape.bounds, (owner, labels), moment);
            }
        });
    }
}

impl Shape {
    /// What the label set of an edge counts.
    fn of<'a>(
        &self,
        requests: &'a mut Registry<Requests>,
        open: &'a Open,
        owner: &Sender,
        (client, server): (&'a str, &'a str),
        connection: Connection,
        now_ms: i64,
    ) -> &'a mut Requests {
        let mut values = vec![client, server, connection.kind()];
        for index in 0..self.dimensions {
            let of = |side: Option<&'a Side>| side.and_then(|side| side.dimensions[index].as_deref());
            let (of_client, of_server) = (of(open.client.as_ref()), of(open.server.as_ref()));
            match self.client_server_prefix {
                true => values.extend([of_client, of_server].map(Option::unwrap_or_default)),
                false => values.push(of_server.or(of_client).unwrap_or_default()),
            }
        }
        if self.virtual_node_label {
            values.push(connection.virtual_node());
        }
        requests.touch(KeyRef { owner: &owner.identity, values: &values }, now_ms)
    }
}

/// A series is that of the side which was seen, the client's where both were.
fn owner(open: &Open) -> Option<&Sender> {
    open.client.as_ref().or(open.server.as_ref()).map(|side| &*side.sender)
}
