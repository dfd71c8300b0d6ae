//! What loggers call the same things: the message, its time, its level, its trace, the service.

use super::fields::{Field, Fields, Value};
use super::severity::{self, Level};
use super::time;

/// What a field says, with its rank among those that say the same: 0 is the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Message(u8),
    Time(u8),
    Level(u8),
    TraceId,
    SpanId,
    /// `00-<trace>-<span>-01`, as W3C has it.
    TraceParent,
    Service(u8),
}

/// No name that anybody looks for is longer.
pub(super) const NAME_BYTES_MAX: usize = 64;

impl Role {
    /// Of a field's name, in any case; with points between the names of objects.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let mut lower = [0; NAME_BYTES_MAX];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"message" => Self::Message(0),
            b"msg" => Self::Message(1),
            b"log" => Self::Message(2),
            b"body" => Self::Message(3),
            b"@message" => Self::Message(4),
            b"short_message" => Self::Message(5),
            b"@m" => Self::Message(6),
            b"textpayload" => Self::Message(7),
            b"event.original" => Self::Message(8),

            b"@timestamp" => Self::Time(0),
            b"timestamp" => Self::Time(1),
            b"time" => Self::Time(2),
            b"ts" => Self::Time(3),
            b"datetime" => Self::Time(4),
            b"eventtime" | b"event_time" => Self::Time(5),
            b"@t" => Self::Time(6),
            b"date" => Self::Time(7),

            b"log.level" => Self::Level(0),
            b"severity_text" | b"severitytext" => Self::Level(1),
            b"severity" => Self::Level(2),
            b"level" => Self::Level(3),
            b"loglevel" | b"log_level" => Self::Level(4),
            b"levelname" => Self::Level(5),
            b"lvl" => Self::Level(6),
            b"@l" => Self::Level(7),
            b"priority" => Self::Level(8),

            b"trace.id" | b"trace_id" | b"traceid" | b"oteltraceid" => Self::TraceId,
            b"span.id" | b"span_id" | b"spanid" | b"otelspanid" => Self::SpanId,
            b"traceparent" => Self::TraceParent,

            b"service.name" => Self::Service(0),
            b"service_name" | b"servicename" => Self::Service(1),
            b"service" => Self::Service(2),
            b"kubernetes.labels.app_kubernetes_io/name" | b"kubernetes.labels.app.kubernetes.io/name" => Self::Service(3),
            b"kubernetes.labels.app" => Self::Service(4),
            b"kubernetes.container.name" | b"kubernetes.container_name" | b"k8s.container.name" => Self::Service(5),
            b"ecs_task_definition" => Self::Service(6),
            b"container.name" | b"container_name" => Self::Service(7),
            _ => return None,
        })
    }
}

/// What the fields of a log say.
#[derive(Debug, Default)]
pub(crate) struct Known<'f> {
    /// Which of the log's own fields is its message.
    pub(crate) message: Option<usize>,
    /// The time, and which of its own fields it is, unless it lies deeper.
    pub(crate) time: Option<(i64, Option<usize>)>,
    pub(crate) level: Option<Level<'f>>,
    /// Lower-case hex.
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) service: &'f str,
}

/// The strongest of what says the same, so far.
struct Strongest<T> {
    found: Option<(u8, T)>,
}

impl<T> Strongest<T> {
    const NONE: Self = Self { found: None };

    fn offer(&mut self, rank: u8, value: Option<T>) {
        if let Some(value) = value
            && self.found.as_ref().is_none_or(|(best, _)| rank < *best)
        {
            self.found = Some((rank, value));
        }
    }

    fn take(self) -> Option<T> {
        self.found.map(|(_, value)| value)
    }
}

impl<'f> Known<'f> {
    pub(crate) fn of(fields: &'f Fields<'_>, now_unix_nano: i64) -> Self {
        let (mut message, mut time, mut level, mut service) = (Strongest::NONE, Strongest::NONE, Strongest::NONE, Strongest::NONE);
        let (mut trace_id, mut span_id) = (String::new(), String::new());
        let own = fields.own.iter().enumerate().map(|(index, field)| (Some(index), field));
        for (index, Field { name, value }) in own.chain(fields.within.iter().map(|field| (None, field))) {
            let text = if let Value::Text(text) = value { Some(&**text) } else { None };
            match Role::of(name) {
                None => {}
                Some(Role::Message(rank)) => message.offer(rank, index.filter(|_| text.is_some_and(|text| !text.is_empty()))),
                Some(Role::Time(rank)) => time.offer(rank, time_of(value, now_unix_nano).map(|time| (time, index))),
                Some(Role::Level(rank)) => level.offer(rank, level_of(name, value)),
                Some(Role::TraceId) => set_id(&mut trace_id, text, 32),
                Some(Role::SpanId) => set_id(&mut span_id, text, 16),
                Some(Role::TraceParent) => {
                    let mut parts = text.unwrap_or_default().split('-').skip(1);
                    set_id(&mut trace_id, parts.next(), 32);
                    set_id(&mut span_id, parts.next(), 16);
                }
                Some(Role::Service(rank)) => service.offer(rank, text.filter(|text| !text.is_empty()).map(|text| service_of(name, text))),
            }
        }
        let (message, time, level) = (message.take(), time.take(), level.take());
        Self { message, time, level, trace_id, span_id, service: service.take().unwrap_or_default() }
    }
}

impl<'f> Known<'f> {
    /// Takes what the message says where the record says nothing.
    pub(crate) fn add(&mut self, message: Known<'f>) {
        self.time = self.time.or(message.time.map(|(time, _)| (time, None)));
        self.level = self.level.or(message.level);
        if self.service.is_empty() {
            self.service = message.service;
        }
        if self.trace_id.is_empty() {
            (self.trace_id, self.span_id) = (message.trace_id, message.span_id);
        }
    }
}

/// The time that a value is.
pub(crate) fn time_of(value: &Value<'_>, now_unix_nano: i64) -> Option<i64> {
    match value {
        Value::Text(text) => time::of_text(text, now_unix_nano),
        Value::Int(number) => time::of_decimal(&number.to_string()),
        // The shortest text that reads back as this double is the text that was sent, of up to 15 digits.
        Value::Double(number) => time::of_decimal(&number.to_string()),
        _ => None,
    }
}

fn level_of<'f>(name: &str, value: &'f Value<'_>) -> Option<Level<'f>> {
    let syslog = name.eq_ignore_ascii_case("priority");
    let number = |number: i64| if syslog { severity::number_of_syslog(number) } else { severity::number_of_number(number) };
    match value {
        Value::Text(text) if text.is_empty() => None,
        Value::Text(text) => {
            let level = Level::named(text);
            Some(Level { number: level.number.or_else(|| number(text.parse().ok()?)), ..level })
        }
        Value::Int(level) => Some(Level { text: "", number: Some(number(*level)?) }),
        _ => None,
    }
}

/// The first that is one is kept.
fn set_id(id: &mut String, text: Option<&str>, digits: usize) {
    if let Some(text) = text
        && id.is_empty()
        && is_id(text, digits)
    {
        *id = text.to_ascii_lowercase();
    }
}

fn is_id(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.bytes().any(|byte| byte != b'0')
}

/// Amazon ECS says `family:revision`; a service's name outlives a revision.
fn service_of<'t>(name: &str, text: &'t str) -> &'t str {
    match text.rsplit_once(':') {
        Some((family, _)) if name.eq_ignore_ascii_case("ecs_task_definition") => family,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::fields::{Nesting, read};

    /// Message, seconds, level, trace, span and service.
    type Found<'f> = (Option<&'f str>, Option<i64>, Option<(&'f str, Option<i32>)>, &'f str, &'f str, &'f str);

    fn check(json: &str, expect: Found<'_>) {
        let limits = model::ReceiveLimits::default();
        let fields = read(json, Nesting::Kept, &limits).expect("an object");
        let known = Known::of(&fields, 1_795_348_800_000_000_000);
        let message = known.message.and_then(|index| fields.own[index].value.as_text());
        let level = known.level.map(|level| (level.text, level.number));
        let found = (message, known.time.map(|(time, _)| time / 1_000_000_000), level, &*known.trace_id, &*known.span_id, known.service);
        assert_eq!(found, expect, "{json}");
    }

    #[test]
    fn the_strongest_of_each_is_taken() {
        check(
            r#"{"msg": "b", "message": "a", "time": "2026-11-22T10:00:00Z", "level": "warn", "severity": "ERROR"}"#,
            (Some("a"), Some(1_795_341_600), Some(("ERROR", Some(17))), "", "", ""),
        );
        check(
            r#"{"log": {"level": "info"}, "trace": {"id": "0102030405060708090A0B0C0D0E0F10"}, "service": {"name": "cart"}, "message": ""}"#,
            (None, None, Some(("info", Some(9))), "0102030405060708090a0b0c0d0e0f10", "", "cart"),
        );
        check(
            r#"{"level": 30, "time": 1795341600123, "pid": 5, "hostname": "h", "msg": "up"}"#,
            (Some("up"), Some(1_795_341_600), Some(("", Some(9))), "", "", ""),
        );
        check(r#"{"PRIORITY": "4", "MESSAGE": "x"}"#, (Some("x"), None, Some(("4", Some(13))), "", "", ""));
        check(
            r#"{"time": 0.5, "level": "loud", "traceparent": "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01"}"#,
            (None, None, Some(("loud", None)), "0102030405060708090a0b0c0d0e0f10", "0102030405060708", ""),
        );
        check(
            r#"{"log": "line\n", "kubernetes": {"labels": {"app": "shop"}, "container_name": "c"}, "ecs_task_definition": "f:3"}"#,
            (Some("line\n"), None, None, "", "", "shop"),
        );
        check(
            r#"{"ecs_task_definition": "f:3", "trace_id": "00000000000000000000000000000000", "span_id": 5}"#,
            (None, None, None, "", "", "f"),
        );
    }
}
