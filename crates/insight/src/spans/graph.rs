//! Who calls whom, from spans: the rules by which two spans are an edge. They are those of Tempo's metrics-generator, with one more:
//! a consumer's links name the producers of its messages, because a batch has many and a span one parent.
//! Source: <https://grafana.com/docs/tempo/latest/metrics-from-traces/service_graphs/>.

use model::Result;

use super::minutes::{Minutes, Place};
use super::options::SpanOptions;
use super::requests::{Connection, GraphMetrics};
use super::span::Span;
use super::waiting::{EdgeKey, Open, Side, Waiting};

/// Producers that one consumer's span is paired with.
const LINKS_MAX: usize = 128;

/// The client of a root span of a server, where nothing says who that is.
const USER: &str = "user";

/// Where the map finds the name of a side that sends no spans.
const ADDRESSES: [&str; 8] = [
    "peer.service",
    "service.peer.name",
    "server.address",
    "net.peer.name",
    "http.host",
    "network.peer.address",
    "net.peer.ip",
    "rpc.service",
];
const QUEUES: [&str; 7] = [
    "messaging.destination.name",
    "messaging.destination",
    "messaging.rabbitmq.destination.routing_key",
    "messaging.rabbitmq.routing_key",
    "server.address",
    "net.peer.name",
    "messaging.system",
];

pub(crate) struct Graph {
    waiting: Waiting,
    pub(crate) metrics: GraphMetrics,
    peer_attributes: Vec<String>,
    database_name_attributes: Vec<String>,
    dimensions: Vec<String>,
}

impl Graph {
    pub(crate) fn new(options: &SpanOptions) -> Self {
        let wait_ms = i64::try_from(options.wait.as_millis()).unwrap_or(i64::MAX);
        Self {
            waiting: Waiting::new(wait_ms, options.edges_waiting_max),
            metrics: GraphMetrics::new(options),
            peer_attributes: options.peer_attributes.clone(),
            database_name_attributes: options.database_name_attributes.clone(),
            dimensions: options.dimensions.clone(),
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn take(&mut self, span: Span<'_>, is_late: bool, minutes: &mut Minutes, now_ms: i64) -> Result<()> {
        match span.kind() {
            "client" | "producer" => self.take_client(span, is_late, minutes, now_ms),
            "server" | "consumer" => self.take_server(span, is_late, minutes, now_ms)?,
            _ => {}
        }
        Ok(())
    }

    fn take_client(&mut self, span: Span<'_>, is_late: bool, minutes: &mut Minutes, now_ms: i64) {
        let key = EdgeKey::new(span.trace_id(), span.span_id());
        let mut open = self.waiting.take(key).unwrap_or_default();
        let is_producer = span.kind() == "producer";
        self.mark(&mut open, span, is_late);
        open.span_id = span.span_id().into();
        open.client = Some(self.side(span));
        open.is_messaging |= is_producer;
        open.peer = self.peer(span);
        if let Some(database) = self.database(span) {
            minutes.edge(Place::Sender(span.sender), Place::Database(&database), span, span.seconds());
            return self.complete(&open, (&span.sender.name, &database), Connection::Database, now_ms);
        }
        if is_producer {
            if let Some(queue) = first(span, &QUEUES) {
                minutes.edge(Place::Sender(span.sender), Place::Queue(queue), span, span.seconds());
            }
        } else {
            open.address = first(span, &ADDRESSES).map(Into::into);
        }
        self.pair_or_wait(key, open, minutes, now_ms);
    }

    fn take_server(&mut self, span: Span<'_>, is_late: bool, minutes: &mut Minutes, now_ms: i64) -> Result<()> {
        let is_consumer = span.kind() == "consumer";
        if let (true, Some(queue)) = (is_consumer, first(span, &QUEUES)) {
            minutes.edge(Place::Queue(queue), Place::Sender(span.sender), span, span.seconds());
        }
        let mut keys = Vec::new();
        if !span.parent_id().is_empty() {
            keys.push(EdgeKey::new(span.trace_id(), span.parent_id()));
        }
        if is_consumer {
            let links = span.view.links(span.row)?;
            let (traces, spans) = (links.text("trace_id")?, links.text("span_id")?);
            for index in links.range.clone().take(LINKS_MAX) {
                let [trace, id] = [traces, spans].map(|column| model::logs::text_or_empty(column, index));
                let key = EdgeKey::new(trace, id);
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        if keys.is_empty() {
            self.take_root(span, is_late, minutes, now_ms);
        }
        for key in keys {
            let mut open = self.waiting.take(key).unwrap_or_default();
            self.mark(&mut open, span, is_late);
            open.server = Some(self.side(span));
            open.is_messaging |= is_consumer;
            self.pair_or_wait(key, open, minutes, now_ms);
        }
        Ok(())
    }

    /// Nobody who sends spans has called: a person with a browser, a scheduler, another company.
    fn take_root(&mut self, span: Span<'_>, is_late: bool, minutes: &mut Minutes, now_ms: i64) {
        let mut open = Open::default();
        self.mark(&mut open, span, is_late);
        open.span_id = span.span_id().into();
        open.server = Some(self.side(span));
        let peer = self.peer(span);
        if span.kind() == "server" {
            let from = peer.as_deref().map_or(Place::User, Place::External);
            minutes.edge(from, Place::Sender(span.sender), span, span.seconds());
        }
        self.complete(&open, (peer.as_deref().unwrap_or(USER), &span.sender.name), Connection::VirtualClient, now_ms);
    }

    fn mark(&self, open: &mut Open, span: Span<'_>, is_late: bool) {
        if open.trace_id.is_empty() {
            open.trace_id = span.trace_id().into();
        }
        open.failed |= span.failed();
        open.is_late |= is_late;
    }

    fn side(&self, span: Span<'_>) -> Side {
        let dimensions = self.dimensions.iter().map(|key| span.any(key).map(Into::into)).collect();
        Side { sender: span.sender.clone(), seconds: span.seconds(), start_ns: span.start_ns(), end_ns: span.end_ns(), dimensions }
    }

    fn peer(&self, span: Span<'_>) -> Option<Box<str>> {
        self.peer_attributes.iter().find_map(|key| span.own(key)).map(Into::into)
    }

    /// The name of the database that a client's span is about, if it is about one.
    fn database(&self, span: Span<'_>) -> Option<String> {
        let name = self.database_name_attributes.iter().find_map(|key| span.any(key))?;
        if let Some(name) = span.any("peer.service").or_else(|| span.any("server.address")) {
            return Some(name.to_owned());
        }
        Some(match (span.any("network.peer.address"), span.any("network.peer.port")) {
            (Some(address), Some(port)) => format!("{address}:{port}"),
            (Some(address), None) => address.to_owned(),
            (None, _) => name.to_owned(),
        })
    }

    fn pair_or_wait(&mut self, key: EdgeKey, open: Open, minutes: &mut Minutes, now_ms: i64) {
        if let (Some(client), Some(server)) = (&open.client, &open.server) {
            if !open.is_messaging {
                minutes.paired(&open, client, Place::Sender(&server.sender));
            }
            let connection = if open.is_messaging { Connection::Messaging } else { Connection::Direct };
            return self.complete(&open, (&client.sender.name, &server.sender.name), connection, now_ms);
        }
        if let Some(refused) = self.waiting.put(key, open, now_ms) {
            metrics::counter!("tyto_insight_spans_lost_total", "reason" => "too_many_edges_waiting").increment(1);
            self.metrics.dropped(&refused, now_ms);
        }
    }

    fn complete(&mut self, open: &Open, names: (&str, &str), connection: Connection, now_ms: i64) {
        if !open.is_late {
            self.metrics.count(open, names, connection, now_ms);
        }
    }

    /// Ends the waiting of all whose time is over.
    pub(crate) fn expire(&mut self, minutes: &mut Minutes, now_ms: i64) {
        while let Some(open) = self.waiting.expired(now_ms) {
            let client = open.client.as_ref().filter(|_| !open.is_messaging);
            if let (Some(client), Some(address)) = (client, open.address.as_deref().or(open.peer.as_deref())) {
                minutes.paired(&open, client, Place::External(address));
            }
            match (&open.client, open.peer.as_deref()) {
                (Some(client), Some(peer)) => {
                    let names = (client.sender.name.as_str(), peer);
                    self.complete(&open, names, Connection::VirtualServer, now_ms);
                }
                _ if open.is_late => {}
                _ => self.metrics.unpaired(&open, now_ms),
            }
        }
    }
}

fn first<'a>(span: Span<'a>, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| span.own(key))
}
