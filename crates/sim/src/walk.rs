//! One journey through the company: from the first request down the call tree, leaving spans, lines and measurements in every
//! pod it passes.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event as SpanEvent, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};

use crate::chance::Chance;
use crate::company::Component;
use crate::describe::{explanation, http_client_attributes, messaging_attributes, passed_on};
use crate::fault::Conditions;
use crate::line::{Line, Severity};
use crate::meter::{self, Tag};
use crate::operations::{Access, Call, Operation, RANK, System, Target};
use crate::pod::Pod;
use crate::visit::Visit;
use crate::wire::attribute;

pub(crate) const PROVIDER_HOST: &str = "api.paywise.example";
const STATEMENT_TIMEOUT_MS: f64 = 2_000.0;
/// W3C trace flags in the low byte, then OTLP's "whether remote is known" and "parent is remote".
const SAMPLED_LOCAL: u32 = 0x101;
const SAMPLED_REMOTE: u32 = 0x301;

pub(crate) type SpanId = [u8; 8];

/// What a caller learns from a call.
pub(crate) struct Reply {
    pub(crate) end: u64,
    /// As HTTP has it; below 400 all is well.
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
}

/// A message on its way to the consumer.
struct Letter {
    consumer: &'static Operation,
    arrives: u64,
    link: Link,
}

pub(crate) struct Walk<'w> {
    /// The pods of one site, by component.
    pub(crate) pods: &'w mut [Pod],
    pub(crate) conditions: Conditions,
    pub(crate) chance: Chance,
    pub(crate) visit: Visit,
    pub(crate) trace_id: [u8; 16],
    letters: Vec<Letter>,
}

impl<'w> Walk<'w> {
    pub(crate) fn new(pods: &'w mut [Pod], conditions: Conditions, visit: Visit, mut chance: Chance) -> Self {
        let trace_id = chance.trace_id();
        Self { pods, conditions, chance, visit, trace_id, letters: Vec::new() }
    }

    /// Walks the journey and then every message it left behind; each message begins a trace of its own, linked to its sender.
    pub(crate) fn run(mut self, root: &'static Operation, start: u64) {
        self.serve(root, None, start, Vec::new());
        while let Some(letter) = self.letters.pop() {
            self.trace_id = self.chance.trace_id();
            self.serve(letter.consumer, None, letter.arrives, vec![letter.link]);
        }
    }

    pub(crate) fn pod(&mut self, component: Component) -> &mut Pod {
        &mut self.pods[component as usize]
    }

    /// Nanoseconds of log-normal work; a crowd slows everybody down a little.
    fn work(&mut self, median_ms: f64, sigma: f64) -> u64 {
        let load = 1.0 + 0.12 * (self.conditions.surge - 1.0);
        (self.chance.log_normal(median_ms * load, sigma) * 1e6) as u64 + 1_000
    }

    fn serve(&mut self, operation: &'static Operation, parent: Option<SpanId>, start: u64, links: Vec<Link>) -> Reply {
        let span_id = self.chance.span_id();
        let work = self.work(operation.work_ms, 0.4);
        let reply = self.make_calls(operation, span_id, start + work / 2);
        let mut reply = Reply { end: reply.end + work - work / 2, ..reply };
        if reply.status < 400 && self.chance.happens(operation.failure * self.conditions.surge) {
            reply = Reply { status: 500, reason: "IllegalState", ..reply };
        }
        if operation.component == Component::TaxService {
            self.visit.misprice(self.conditions.tax_factor);
        }
        self.pod(operation.component).busy_seconds += work as f64 / 1e9;
        self.measure_service(operation, &reply, span_id, start);
        self.write_lines(operation, &reply, span_id, start);
        let attributes = self.server_attributes(operation, &reply);
        let kind = if operation.is_consumer() { SpanKind::Consumer } else { SpanKind::Server };
        let flags = if parent.is_some() { SAMPLED_REMOTE } else { SAMPLED_LOCAL };
        let failed = reply.status >= 500;
        let span = self.span(
            operation.span_name(),
            kind,
            flags,
            (span_id, parent),
            (start, reply.end),
            attributes,
            failed.then_some(reply.reason),
            links,
        );
        self.pod(operation.component).outbox.spans.push(span);
        reply
    }

    /// The calls of one operation, in order; calls marked parallel begin with the one before. Ends early when one fails that matters.
    fn make_calls(&mut self, operation: &'static Operation, span_id: SpanId, start: u64) -> Reply {
        let (mut begin, mut end) = (start, start);
        for call in operation.calls {
            if !self.chance.happens(call.share) {
                continue;
            }
            if !call.parallel {
                begin = end + self.work(0.05, 0.3);
            }
            let mut reply = self.make_call(operation, call, span_id, begin, 0);
            for attempt in 1..call.attempts {
                if reply.status == 422 {
                    let pause = self.work(120.0, 0.2);
                    reply = self.make_call(operation, call, span_id, reply.end + pause, attempt);
                }
            }
            end = end.max(reply.end);
            if reply.status < 400 {
                continue;
            }
            if !call.optional {
                return Reply { end, status: passed_on(reply.status), reason: reply.reason };
            }
            let fields = vec![attribute("error.type", reply.reason), attribute("callee", call.target.peer())];
            self.write(
                operation.component,
                Severity::Warn,
                format!("going on without {}", call.target.peer()),
                fields,
                (span_id, reply.end),
            );
        }
        Reply { end, status: 200, reason: "" }
    }

    fn make_call(&mut self, caller: &'static Operation, call: &Call, parent: SpanId, start: u64, attempt: u32) -> Reply {
        match call.target {
            Target::Service(callee) => self.call_service(caller.component, callee, parent, start, attempt),
            Target::Store(access) => self.call_store(caller.component, access, parent, start),
            Target::Queue(consumer) => self.send(caller.component, consumer, parent, start),
            Target::Provider => self.call_provider(caller.component, parent, start),
        }
    }

    fn call_service(&mut self, caller: Component, callee: &'static Operation, parent: SpanId, start: u64, attempt: u32) -> Reply {
        let span_id = self.chance.span_id();
        let (there, back) = (self.work(0.25, 0.3), self.work(0.25, 0.3));
        let mut reply = self.serve(callee, Some(span_id), start + there, Vec::new());
        reply.end += back;
        let host = format!("{}.internal", callee.component.spec().name);
        let mut attributes = http_client_attributes(callee.method, &host, 8080, &self.visit.path(callee.route), reply.status);
        attributes.extend([attribute("url.template", callee.route), attribute("service.peer.name", callee.component.spec().name)]);
        if attempt > 0 {
            attributes.push(attribute("http.request.resend_count", i64::from(attempt)));
        }
        self.client_span(caller, callee.span_name(), (span_id, parent), start, &reply, attributes);
        reply
    }

    fn call_provider(&mut self, caller: Component, parent: SpanId, start: u64) -> Reply {
        let span_id = self.chance.span_id();
        let end = start + self.work(180.0, 0.35);
        let (status, reason) = if self.conditions.tax_factor > 1.0 && self.chance.happens(0.7) {
            (422, "amount_mismatch")
        } else if self.chance.happens(0.02) {
            (402, "card_declined")
        } else if self.chance.happens(0.001) {
            (503, "provider_unavailable")
        } else {
            (200, "")
        };
        let reply = Reply { end, status, reason };
        let mut attributes = http_client_attributes("POST", PROVIDER_HOST, 443, "/v2/charges", reply.status);
        attributes.push(attribute("service.peer.name", "paywise"));
        self.client_span(caller, "POST /v2/charges".to_owned(), (span_id, parent), start, &reply, attributes);
        reply
    }

    fn call_store(&mut self, caller: Component, access: &'static Access, parent: SpanId, start: u64) -> Reply {
        let span_id = self.chance.span_id();
        let slowdown = if access.system == System::Postgres { self.conditions.database_slowdown } else { 1.0 };
        let mut duration_ms = self.work(access.work_ms * slowdown, if slowdown > 1.0 { 0.9 } else { 0.45 }) as f64 / 1e6;
        let missing = self.conditions.missing_items && access.collection == "markers" && self.chance.happens(0.65);
        let (status, reason) = if missing {
            (404, "ResourceNotFoundException")
        } else if access.system == System::Postgres && duration_ms > STATEMENT_TIMEOUT_MS {
            duration_ms = STATEMENT_TIMEOUT_MS;
            (504, "57014")
        } else {
            (200, "")
        };
        let reply = Reply { end: start + (duration_ms * 1e6) as u64, status, reason };
        self.measure_store(caller, access, &reply, (span_id, duration_ms / 1e3));
        if status >= 400 {
            let fields = vec![
                attribute("db.collection.name", access.collection),
                attribute("error.type", reason),
                attribute("db.operation.name", access.operation),
            ];
            let message = format!("cannot {} {}: {}", access.operation, access.collection, explanation(reason));
            self.write(caller, Severity::Error, message, fields, (parent, reply.end));
        } else if access.system == System::Postgres && duration_ms > 400.0 {
            let fields = vec![attribute("db.query.text", access.query), attribute("duration_ms", duration_ms.round())];
            self.write(caller, Severity::Warn, format!("slow query on {}", access.collection), fields, (parent, reply.end));
        } else if access.system != System::Redis {
            let fields = vec![attribute("db.system.name", access.system.name()), attribute("db.collection.name", access.collection)];
            let message = format!("{} on {} took {duration_ms:.1} ms", access.operation, access.collection);
            self.write(caller, Severity::Debug, message, fields, (parent, reply.end));
        }
        let mut attributes = self.store_attributes(access, &reply);
        if status >= 400 {
            attributes.push(attribute("error.type", reason));
        }
        self.client_span(caller, access.span_name(), (span_id, parent), start, &reply, attributes);
        reply
    }

    fn send(&mut self, caller: Component, consumer: &'static Operation, parent: SpanId, start: u64) -> Reply {
        let span_id = self.chance.span_id();
        let end = start + self.work(6.0, 0.4);
        let queue = consumer.route;
        let message_id = format!("{:016x}", self.chance.next());
        let mut attributes = messaging_attributes(queue, "SendMessage", "send");
        attributes.push(attribute("messaging.message.id", message_id.as_str()));
        attributes.push(attribute("server.address", "sqs.amazonaws.com"));
        let tags = vec![("messaging.destination.name", Tag::Text(queue)), ("messaging.operation.name", Tag::Text("SendMessage"))];
        self.pod(caller).meter.add(&meter::MESSAGES_SENT, tags, 1.0);
        let link = Link {
            trace_id: self.trace_id.to_vec(),
            span_id: span_id.to_vec(),
            attributes: vec![attribute("messaging.message.id", message_id)],
            flags: SAMPLED_REMOTE,
            ..Link::default()
        };
        let arrives = end + self.work(350.0 * self.conditions.surge, 0.6);
        self.letters.push(Letter { consumer, arrives, link });
        let span = self.span(
            format!("send {queue}"),
            SpanKind::Producer,
            SAMPLED_LOCAL,
            (span_id, Some(parent)),
            (start, end),
            attributes,
            None,
            Vec::new(),
        );
        self.pod(caller).outbox.spans.push(span);
        Reply { end, status: 200, reason: "" }
    }

    fn client_span(
        &mut self,
        caller: Component,
        name: String,
        ids: (SpanId, SpanId),
        start: u64,
        reply: &Reply,
        attributes: Vec<KeyValue>,
    ) {
        let failed = (reply.status >= 400).then_some(reply.reason);
        let ids = (ids.0, Some(ids.1));
        let span = self.span(name, SpanKind::Client, SAMPLED_LOCAL, ids, (start, reply.end), attributes, failed, Vec::new());
        self.pod(caller).outbox.spans.push(span);
    }

    #[expect(clippy::too_many_arguments, reason = "a span has this many parts, and every caller has all of them at hand")]
    fn span(
        &self,
        name: String,
        kind: SpanKind,
        flags: u32,
        (span_id, parent): (SpanId, Option<SpanId>),
        (start, end): (u64, u64),
        attributes: Vec<KeyValue>,
        failure: Option<&'static str>,
        links: Vec<Link>,
    ) -> Span {
        let status = failure.map(|reason| Status { message: explanation(reason).to_owned(), code: StatusCode::Error as i32 });
        let exception = |reason: &'static str| SpanEvent {
            time_unix_nano: end,
            name: "exception".to_owned(),
            attributes: vec![attribute("exception.type", reason), attribute("exception.message", explanation(reason))],
            dropped_attributes_count: 0,
        };
        Span {
            trace_id: self.trace_id.to_vec(),
            span_id: span_id.to_vec(),
            parent_span_id: parent.map(|id| id.to_vec()).unwrap_or_default(),
            flags,
            name,
            kind: kind as i32,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            events: failure.map(exception).into_iter().collect(),
            links,
            status,
            ..Span::default()
        }
    }

    fn server_attributes(&self, operation: &'static Operation, reply: &Reply) -> Vec<KeyValue> {
        if operation.is_consumer() {
            let mut attributes = messaging_attributes(operation.route, "process", "process");
            if reply.status >= 400 {
                attributes.push(attribute("error.type", reply.reason));
            }
            return attributes;
        }
        let mut attributes = vec![
            attribute("http.request.method", operation.method),
            attribute("http.route", operation.route),
            attribute("url.path", self.visit.path(operation.route)),
            attribute("url.scheme", "http"),
            attribute("http.response.status_code", i64::from(reply.status)),
        ];
        if reply.status >= 500 {
            attributes.push(attribute("error.type", reply.reason));
        }
        attributes
    }

    fn store_attributes(&self, access: &'static Access, reply: &Reply) -> Vec<KeyValue> {
        let mut attributes = vec![attribute("db.operation.name", access.operation), attribute("server.address", access.system.host())];
        match access.system {
            System::Postgres => attributes.extend([
                attribute("db.system.name", "postgresql"),
                attribute("db.namespace", "streaming"),
                attribute("db.collection.name", access.collection),
                attribute("db.query.summary", access.span_name()),
                attribute("db.query.text", access.query),
                attribute("server.port", 5432i64),
            ]),
            System::Redis => attributes.extend([
                attribute("db.system.name", "redis"),
                attribute("db.query.text", access.query),
                attribute("server.port", 6379i64),
            ]),
            System::DynamoDb => attributes.extend([
                attribute("db.system.name", "aws.dynamodb"),
                attribute("db.collection.name", access.collection),
                attribute("rpc.system.name", "aws-api"),
                attribute("rpc.method", format!("DynamoDB/{}", access.operation)),
                attribute("aws.dynamodb.table_names", [access.collection].as_slice()),
                attribute("aws.request_id", format!("{:016X}", self.visit.member.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
                attribute("http.response.status_code", i64::from(reply.status)),
            ]),
        }
        if access.system == System::Postgres && reply.status >= 400 {
            attributes.push(attribute("db.response.status_code", reply.reason));
        }
        attributes
    }

    fn write_lines(&mut self, operation: &'static Operation, reply: &Reply, span_id: SpanId, start: u64) {
        let lines = if std::ptr::eq(operation, &raw const RANK) { self.conditions.noise } else { 1 };
        for line in 0..lines {
            if lines == 1 && !self.chance.happens(0.8) {
                continue;
            }
            let number = 1 + self.chance.below(240);
            let severity = if operation.component == Component::RankingService || self.chance.happens(0.25) {
                Severity::Debug
            } else {
                Severity::Info
            };
            let message = self.visit.fill(operation.detail, number);
            let at = start + (reply.end - start) / u64::from(lines + 1) * u64::from(line + 1);
            self.write(operation.component, severity, message, Vec::new(), (span_id, at));
        }
        self.write_outcome(operation, reply, span_id, start);
        if let (Some(event), true) = (operation.event, reply.status < 400) {
            let (name, sentence, facts) = self.visit.tell(event, &mut self.chance);
            self.write_event(operation.component, name, sentence, facts, (span_id, reply.end));
        }
    }

    /// The access line, and the reason when it went wrong.
    fn write_outcome(&mut self, operation: &'static Operation, reply: &Reply, span_id: SpanId, start: u64) {
        let duration_ms = ((reply.end - start) as f64 / 1e4).round() / 100.0;
        let severity = match reply.status {
            0..400 => Severity::Info,
            400..500 => Severity::Warn,
            _ => Severity::Error,
        };
        let mut fields = if operation.is_consumer() {
            vec![attribute("messaging.destination.name", operation.route)]
        } else {
            vec![
                attribute("http.request.method", operation.method),
                attribute("http.route", operation.route),
                attribute("http.response.status_code", i64::from(reply.status)),
            ]
        };
        fields.push(attribute("duration_ms", duration_ms));
        let message = if reply.status < 400 {
            format!("{} {} done", operation.method, self.visit.path(operation.route))
        } else {
            fields.extend([attribute("error.type", reply.reason), attribute("error.message", explanation(reply.reason))]);
            format!("{} {} failed: {}", operation.method, self.visit.path(operation.route), explanation(reply.reason))
        };
        self.write(operation.component, severity, message, fields, (span_id, reply.end));
    }

    fn write(&mut self, component: Component, severity: Severity, message: String, fields: Vec<KeyValue>, at: (SpanId, u64)) {
        self.push_line(component, severity, "", message, fields, at);
    }

    fn write_event(&mut self, component: Component, event_name: &'static str, message: String, fields: Vec<KeyValue>, at: (SpanId, u64)) {
        self.push_line(component, Severity::Info, event_name, message, fields, at);
    }

    fn push_line(
        &mut self,
        component: Component,
        severity: Severity,
        event_name: &'static str,
        message: String,
        fields: Vec<KeyValue>,
        (span_id, time_unix_nano): (SpanId, u64),
    ) {
        let trace_id = self.trace_id.to_vec();
        let line = Line { time_unix_nano, severity, message, fields, event_name, trace_id, span_id: span_id.to_vec() };
        let record = line.into_record(component.spec().style);
        self.pod(component).outbox.logs.push(record);
    }
}
