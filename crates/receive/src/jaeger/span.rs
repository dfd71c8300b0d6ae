//! Jaeger's span, and what it means.
//! Source: <https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/jaeger/>, read backwards as OpenTelemetry's collectors do.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::AttributeType;

use crate::lines::{Field, Value};
use crate::spans::{CHILDREN_MAX, Event, Link, Span, Status, add};

#[derive(Debug, Default)]
pub(super) struct Process<'a> {
    pub(super) service: Cow<'a, str>,
    pub(super) tags: Vec<Field<'a>>,
}

impl Process<'_> {
    /// With the host by OpenTelemetry's name.
    pub(super) fn renamed(mut self) -> Self {
        if !self.tags.iter().any(|tag| tag.name == "host.name")
            && let Some(host) = self.tags.iter_mut().find(|tag| tag.name == "hostname")
        {
            host.name = "host.name".into();
        }
        self
    }
}

#[derive(Debug, Default)]
pub(super) struct JaegerSpan<'a> {
    pub(super) trace_id: u128,
    pub(super) span_id: u64,
    /// 0: what the references say.
    pub(super) parent_id: u64,
    pub(super) operation: Cow<'a, str>,
    pub(super) references: Vec<Reference>,
    pub(super) flags: u64,
    /// Nanoseconds since 1970.
    pub(super) start: u64,
    pub(super) duration: i64,
    pub(super) tags: Vec<Field<'a>>,
    pub(super) logs: Vec<Log<'a>>,
    /// Of its own instead of the batch's.
    pub(super) process: Option<Process<'a>>,
    /// Tags, logs and references over their limits.
    pub(super) dropped: [u64; 3],
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reference {
    pub(super) follows: bool,
    pub(super) trace_id: u128,
    pub(super) span_id: u64,
}

#[derive(Debug, Default)]
pub(super) struct Log<'a> {
    /// Nanoseconds since 1970.
    pub(super) time: u64,
    pub(super) fields: Vec<Field<'a>>,
}

impl Log<'_> {
    /// What its fields take until they are a row's: each far more than the byte or two that it may come as.
    pub(super) fn bytes(&self) -> usize {
        self.fields.len() * size_of::<Field<'_>>()
    }
}

/// A binary tag's value.
pub(super) fn binary(bytes: &[u8]) -> Value<'static> {
    Value::Encoded(AttributeType::Bytes, STANDARD.encode(bytes))
}

impl<'a> JaegerSpan<'a> {
    pub(super) fn into_span(self, process: &'a Process<'a>) -> Span<'a> {
        let parent = self.parent();
        let (service, resource) = match self.process {
            Some(own) => (own.service, own.tags.into()),
            None => (Cow::Borrowed(&*process.service), Cow::Borrowed(&process.tags[..])),
        };
        let mut span = Span {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_span_id: parent.map_or(0, |parent| parent.span_id),
            sampled: self.flags & 1 != 0,
            name: self.operation,
            start: self.start,
            duration: self.duration,
            service,
            resource,
            dropped: self.dropped,
            ..Span::default()
        };
        // The parent is told by its column; that a span only follows from it is told beside it.
        let is_parent = |reference: &Reference| {
            parent.is_some_and(|parent| reference.trace_id == parent.trace_id && reference.span_id == parent.span_id && !reference.follows)
        };
        for reference in self.references.iter().filter(|reference| !is_parent(reference)) {
            let kind = if reference.follows { "follows_from" } else { "child_of" };
            let attributes = vec![Field::text("opentracing.ref_type", kind)];
            let link = Link { trace_id: reference.trace_id, span_id: reference.span_id, attributes };
            if link.trace_id != 0 && link.span_id != 0 {
                add(&mut span.links, link, CHILDREN_MAX, &mut span.dropped[2]);
            }
        }
        span.events = self.logs.into_iter().map(event).collect();
        take_tags(self.tags, &mut span);
        span
    }

    fn parent(&self) -> Option<Reference> {
        if self.parent_id != 0 {
            return Some(Reference { follows: false, trace_id: self.trace_id, span_id: self.parent_id });
        }
        let of = |follows: bool| self.references.iter().find(|other| other.trace_id == self.trace_id && other.follows == follows);
        of(false).or_else(|| of(true)).copied()
    }
}

fn event(log: Log<'_>) -> Event<'_> {
    let mut event = Event { time: log.time, name: Cow::Borrowed("log"), attributes: log.fields };
    let named = event.attributes.iter().position(|field| field.name == "event" && field.value.as_text().is_some());
    if let Some(Field { value: Value::Text(name), .. }) = named.map(|at| event.attributes.remove(at)) {
        event.name = name;
    }
    event
}

/// Tags are attributes, but for those that OpenTelemetry's exporters write for what Jaeger has no field for.
fn take_tags<'a>(tags: Vec<Field<'a>>, span: &mut Span<'a>) {
    let (mut failed, mut said, mut description, mut http) = (None, None, None, None);
    for Field { name, value } in tags {
        match (&*name, value) {
            ("span.kind", Value::Text(kind)) if self::kind(&kind).is_some() => span.kind = self::kind(&kind).unwrap_or_default(),
            ("w3c.tracestate", Value::Text(state)) => span.trace_state = state,
            ("otel.scope.name", Value::Text(scope)) => span.scope_name = scope,
            ("otel.scope.version", Value::Text(version)) => span.scope_version = version,
            ("otel.library.name", Value::Text(scope)) if span.scope_name.is_empty() => span.scope_name = scope,
            ("otel.library.version", Value::Text(version)) if span.scope_version.is_empty() => span.scope_version = version,
            ("otel.status_code", Value::Text(code)) => said = Some(code),
            ("otel.status_description", Value::Text(text)) => description = Some(text),
            ("error", Value::Bool(error)) => failed = Some(error),
            ("error", Value::Text(error)) if matches!(&*error, "true" | "false") => failed = Some(error == "true"),
            (_, value) => {
                let code = match &value {
                    Value::Int(code) => Some(*code),
                    // Every number of a JavaScript client is one.
                    Value::Double(code) => Some(*code as i64),
                    Value::Text(text) => text.parse().ok(),
                    _ => None,
                };
                if matches!(&*name, "http.status_code" | "http.response.status_code") {
                    http = code.or(http);
                }
                span.attributes.push(Field { name, value });
            }
        }
    }
    // The tag `error` is the truth; a status of HTTP speaks where nothing else does.
    let code = match (failed, said.as_deref()) {
        (Some(true), _) => "error",
        (_, Some(code)) if code.eq_ignore_ascii_case("error") => "error",
        (_, Some(code)) if code.eq_ignore_ascii_case("ok") => "ok",
        (None, None) if http.is_some_and(|code| code >= 500 || code >= 400 && span.kind == "client") => "error",
        _ => "",
    };
    span.status = Status { code, message: description.filter(|_| code == "error").unwrap_or_default() };
}

fn kind(word: &str) -> Option<&'static str> {
    ["client", "server", "producer", "consumer", "internal"].into_iter().find(|kind| kind.eq_ignore_ascii_case(word))
}
