//! Who calls whom, from spans: the rules by which two spans are an edge. They are those of Tempo's metrics-generator, with one more:
//! a consumer's links name the producers of its messages, because a batch has many and a span one parent.
//! Source: <https://grafana.com/docs/tempo/latest/metrics-from-traces/service_graphs/>.

use model::Result;

use super::asked::{Asked, Key, key};
use super::called::{self, Called};
use super::minutes::{Minutes, Place};
use super::nested::{Layer, Nested};
use super::options::SpanOptions;
use super::requests::{Connection, GraphMetrics};
use super::span::Span;
use super::waiting::{EdgeKey, Open, Side, Waiting};

/// Producers that one consumer's span is paired with.
const LINKS_MAX: usize = 128;

/// The client of a root span of a server, where nothing says who that is.
const USER: &str = "user";

/// What says where a database is, by Tempo's rules.
const PEER_SERVICE: Key = key("peer.service");
const ADDRESS: Key = key("server.address");
const PEER: Key = key("network.peer.address");
const PORT: Key = key("network.peer.port");

pub(crate) struct Graph {
    waiting: Waiting,
    nested: Nested,
    pub(crate) metrics: GraphMetrics,
    peer_attributes: Vec<Key>,
    database_name_attributes: Vec<Key>,
    dimensions: Vec<Key>,
}

impl Graph {
    /// The names that options ask for get their numbers from `asked`.
    pub(crate) fn new(options: &SpanOptions, asked: &mut Asked) -> Self {
        let wait_ms = i64::try_from(options.wait.as_millis()).unwrap_or(i64::MAX);
        Self {
            waiting: Waiting::new(wait_ms, options.edges_waiting_max),
            nested: Nested::new(wait_ms, options.edges_waiting_max),
            metrics: GraphMetrics::new(options),
            peer_attributes: asked.ask(&options.peer_attributes),
            database_name_attributes: asked.ask(&options.database_name_attributes),
            dimensions: asked.ask(&options.dimensions),
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
        let called = Called::by(span, &self.database_name_attributes);
        open.host = called::address(span).map(Into::into);
        open.within = (!span.parent_id().is_empty()).then(|| EdgeKey::new(span.trace_id(), span.parent_id()));
        if called != Called::Unknown {
            let layer = Layer { sender: span.sender.clone(), host: open.host.clone() };
            self.nested.call(key, layer, now_ms);
        }
        match (called, open.peer.as_deref()) {
            (Called::Database(name), _) => minutes.edge(Place::Sender(span.sender), Place::Database(&name), span, span.seconds()),
            (Called::Sends(queue), _) if is_producer => {
                minutes.edge(Place::Sender(span.sender), Place::Queue(&queue), span, span.seconds())
            }
            (Called::Receives(queue, true), _) => minutes.edge(Place::Queue(&queue), Place::Sender(span.sender), span, span.seconds()),
            (Called::Unknown, Some(peer)) if !is_producer => open.called = Called::External(peer.into()),
            (waits, _) => open.called = waits,
        }
        if let Some(database) = self.database(span) {
            return self.complete(&open, (&span.sender.name, &database), Connection::Database, now_ms);
        }
        self.pair_or_wait(key, open, minutes, now_ms);
    }

    fn take_server(&mut self, span: Span<'_>, is_late: bool, minutes: &mut Minutes, now_ms: i64) -> Result<()> {
        let is_consumer = span.kind() == "consumer";
        if is_consumer {
            self.take_messages(span, minutes, now_ms);
        }
        let mut keys = Vec::new();
        if !span.parent_id().is_empty() {
            keys.push(EdgeKey::new(span.trace_id(), span.parent_id()));
        }
        if is_consumer {
            let links = span.links()?;
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

    fn take_messages(&mut self, span: Span<'_>, minutes: &mut Minutes, now_ms: i64) {
        if let Called::Receives(queue, true) = Called::by_consumer(span) {
            minutes.edge(Place::Queue(&queue), Place::Sender(span.sender), span, span.seconds());
        }
        // What lies below other consumers is what they do with a message.
        if called::is_receive(span) && called::aws_service(span).is_some() {
            let layer = Layer { sender: span.sender.clone(), host: None };
            self.nested.call(EdgeKey::new(span.trace_id(), span.span_id()), layer, now_ms);
        }
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
        let dimensions = self.dimensions.iter().map(|key| span.any(*key).map(Into::into)).collect();
        Side { sender: span.sender.clone(), seconds: span.seconds(), start_ns: span.start_ns(), end_ns: span.end_ns(), dimensions }
    }

    fn peer(&self, span: Span<'_>) -> Option<Box<str>> {
        self.peer_attributes.iter().find_map(|key| span.own(*key)).map(Into::into)
    }

    /// The name of the database that a client's span is about, if it is about one.
    fn database(&self, span: Span<'_>) -> Option<String> {
        let name = self.database_name_attributes.iter().find_map(|key| span.any(*key))?;
        if let Some(name) = span.any(PEER_SERVICE).or_else(|| span.any(ADDRESS)) {
            return Some(name.to_owned());
        }
        Some(match (span.any(PEER), span.any(PORT)) {
            (Some(address), Some(port)) => format!("{address}:{port}"),
            (Some(address), None) => address.to_owned(),
            (None, _) => name.to_owned(),
        })
    }

    fn pair_or_wait(&mut self, key: EdgeKey, open: Open, minutes: &mut Minutes, now_ms: i64) {
        if let (Some(client), Some(server)) = (&open.client, &open.server) {
            if let Called::Sends(queue) = &open.called {
                minutes.paired(&open, client, Place::Queue(queue));
            } else if !open.is_messaging {
                minutes.paired(&open, client, Place::Sender(&server.sender));
                if let Some(within) = open.within {
                    self.nested.arrived(within, open.layer(client), now_ms);
                }
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
            if let (Some(client), Some(place)) = (&open.client, open.called.place()) {
                let layer = open.layer(client);
                let is_inner = open.within.is_some_and(|within| self.nested.is_inner(within, &layer));
                if !is_inner && !self.nested.is_outer(EdgeKey::new(&open.trace_id, &open.span_id), &layer) {
                    minutes.paired(&open, client, place);
                }
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
