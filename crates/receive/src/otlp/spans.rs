//! `ExportTraceServiceRequest` to `spans` rows.

use model::spans::{SpanRow, SpansBuilder};
use model::{Decoded, Naming, Table};

use super::value::{AttributeReader, Encoder, Id, SPAN_ID_BYTES, TRACE_ID_BYTES};
use super::walk::{Origin, Signal, non_zero, walk};
use crate::outcome::{Fault, Outcome, ROW_BYTES, Rules};
use crate::protobuf::{Read, Reader};

const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const STATUS_CODES: [&str; 3] = ["unset", "ok", "error"];
/// What an event and a link take apart from their texts.
const EVENT_BYTES: usize = 32;
const LINK_BYTES: usize = 96;

pub(super) fn decode(body: &[u8], rules: &Rules<'_>) -> Read<Decoded> {
    let mut spans = Spans { rules, builder: SpansBuilder::default(), outcome: Outcome::new(rules.limits), encoder: Encoder::default() };
    walk(body, rules, &mut spans)?;
    Ok(spans.outcome.finish(rules, Table::Spans, Naming::Attributes, spans.builder.finish_packed()))
}

struct Spans<'r> {
    rules: &'r Rules<'r>,
    builder: SpansBuilder,
    outcome: Outcome,
    encoder: Encoder,
}

/// A `Span` with its parts still as bytes.
#[derive(Default)]
struct Span<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    trace_state: &'a [u8],
    parent_span_id: &'a [u8],
    name: &'a [u8],
    kind: u64,
    start: u64,
    end: u64,
    flags: u32,
    status: Status<'a>,
    /// Of attributes, events and links, as the sender counted.
    dropped: [u64; 3],
}

#[derive(Default)]
struct Status<'a> {
    message: &'a [u8],
    code: u64,
}

impl<'a> Span<'a> {
    fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut span = Self::default();
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => span.trace_id = value.bytes()?,
                2 => span.span_id = value.bytes()?,
                3 => span.trace_state = value.bytes()?,
                4 => span.parent_span_id = value.bytes()?,
                5 => span.name = value.bytes()?,
                6 => span.kind = value.varint()?,
                7 => span.start = value.fixed64()?,
                8 => span.end = value.fixed64()?,
                10 => span.dropped[0] = value.varint()?,
                12 => span.dropped[1] = value.varint()?,
                14 => span.dropped[2] = value.varint()?,
                15 => span.status.merge(value.bytes()?)?,
                16 => span.flags = value.fixed32()?,
                _ => {}
            }
        }
        Ok(span)
    }

    /// What must hold for the span to be kept; the field at fault otherwise.
    fn check(&self, rules: &Rules<'_>) -> Result<Checked, (Fault, &'static str)> {
        let id = |bytes: &[u8], len: usize, field: &'static str| {
            Id::read(bytes, len).ok_or_else(|| {
                let why = format!("the id has {} bytes or is all zero: send {len} bytes that are not all zero", bytes.len());
                (Fault::new("invalid_id", why), field)
            })
        };
        // A parent that cannot be read would make this span a root; eight zero bytes are how some senders say "none".
        if !matches!(self.parent_span_id.len(), 0 | SPAN_ID_BYTES) {
            id(self.parent_span_id, SPAN_ID_BYTES, "parentSpanId")?;
        }
        let time = |time: u64, field: &'static str| rules.time_unix_nano(time).map_err(|fault| (fault, field));
        let checked = Checked {
            trace_id: id(self.trace_id, TRACE_ID_BYTES, "traceId")?,
            span_id: id(self.span_id, SPAN_ID_BYTES, "spanId")?,
            start: time(self.start, "startTimeUnixNano")?,
            end: i64::try_from(self.end).or_else(|_| time(self.end, "endTimeUnixNano"))?,
        };
        match std::str::from_utf8(self.name) {
            Ok(_) => Ok(checked),
            Err(_) => Err((Fault::new("invalid_name", "the span's name is not UTF-8: send UTF-8"), "name")),
        }
    }
}

struct Checked {
    trace_id: Id,
    span_id: Id,
    start: i64,
    end: i64,
}

impl<'a> Status<'a> {
    fn merge(&mut self, bytes: &'a [u8]) -> Read<()> {
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match number {
                2 => self.message = value.bytes()?,
                3 => self.code = value.varint()?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Signal for Spans<'_> {
    const LEVELS: [&'static str; 2] = ["resourceSpans", "scopeSpans"];

    fn tools(&mut self) -> (&mut Outcome, &mut Encoder) {
        (&mut self.outcome, &mut self.encoder)
    }

    /// Everything that can refuse the span is looked at before its first part is taken: builders do not shrink.
    fn item(&mut self, index: usize, bytes: &[u8], origin: &Origin) -> Read<()> {
        let span = Span::read(bytes)?;
        let field = |name: &str| format!("{}.spans[{index}].{name}", origin.place);
        let checked = match span.check(self.rules) {
            Ok(checked) => checked,
            Err((fault, at)) => {
                self.outcome.reject(1, fault, || field(at));
                return Ok(());
            }
        };
        self.outcome.spend(ROW_BYTES + bytes.len() + origin.copied_bytes())?;
        let dropped = self.children(bytes, &field)?;
        let outcome = &mut self.outcome;
        if checked.end < checked.start {
            outcome.repair("end_before_start");
        }
        let [dropped_attributes, dropped_events, dropped_links] =
            std::array::from_fn(|part| non_zero(span.dropped[part].saturating_add(dropped[part])));
        let (trace_state, name) = (outcome.text(span.trace_state), outcome.text(span.name));
        let status_message = outcome.text(span.status.message);
        let parent_span_id = Id::read(span.parent_span_id, SPAN_ID_BYTES).unwrap_or(Id::NONE);
        let row = SpanRow {
            start_time_unix_nano: checked.start,
            // Kept as a span of no length: clocks of two machines differ, and a negative duration would poison every sum.
            end_time_unix_nano: checked.end.max(checked.start),
            trace_id: checked.trace_id.as_str(),
            span_id: checked.span_id.as_str(),
            parent_span_id: parent_span_id.as_str(),
            trace_state: &trace_state,
            flags: non_zero(u64::from(span.flags)),
            name: &name,
            kind: named(&KINDS, span.kind),
            status_code: named(&STATUS_CODES, span.status.code),
            status_message: &status_message,
            service_name: origin.resource.attributes.service_name(),
            scope_name: &origin.scope.name,
            scope_version: &origin.scope.version,
            dropped_attributes_count: dropped_attributes,
            dropped_events_count: dropped_events,
            dropped_links_count: dropped_links,
        };
        self.builder.push(&row, &origin.resource.attributes, &origin.scope.attributes);
        Ok(())
    }
}

/// An enum's name; a number that is not known yet counts as 0, as protobuf has it.
fn named(names: &[&'static str], number: u64) -> &'static str {
    usize::try_from(number).ok().and_then(|number| names.get(number)).unwrap_or(&names[0])
}

impl Spans<'_> {
    /// Takes attributes, events and links; answers how many of each were dropped.
    fn children(&mut self, bytes: &[u8], field: &impl Fn(&str) -> String) -> Read<[u64; 3]> {
        let mut reader = Reader::new(bytes);
        let mut dropped = [0; 3];
        let mut attributes = AttributeReader::new(self.rules, &mut self.outcome, &mut self.encoder);
        while let Some((number, value)) = reader.next()? {
            if number == 9 {
                attributes.read_into(value.bytes()?, &mut self.builder.attributes, || field("attributes"))?;
            }
        }
        dropped[0] = attributes.dropped;
        let mut reader = Reader::new(bytes);
        let (mut events, mut links) = (0, 0);
        while let Some((number, value)) = reader.next()? {
            match number {
                11 => {
                    dropped[1] += u64::from(!self.event(value.bytes()?, &|name| field(&format!("events[{events}]{name}")))?);
                    events += 1;
                }
                13 => {
                    dropped[2] += u64::from(!self.link(value.bytes()?, &|name| field(&format!("links[{links}]{name}")))?);
                    links += 1;
                }
                _ => {}
            }
        }
        Ok(dropped)
    }

    /// Answers whether the event was taken.
    fn event(&mut self, bytes: &[u8], field: &impl Fn(&str) -> String) -> Read<bool> {
        let (mut time, mut name) = (0, &[][..]);
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => time = value.fixed64()?,
                2 => name = value.bytes()?,
                _ => {}
            }
        }
        let Ok(time) = i64::try_from(time) else {
            let why = format!("the event's time {time} is after 2262, and the event is dropped: send nanoseconds since 1970");
            self.outcome.reject(0, Fault::new("invalid_timestamp", why), || field(".timeUnixNano"));
            return Ok(false);
        };
        self.outcome.spend(EVENT_BYTES)?;
        let mut attributes = AttributeReader::new(self.rules, &mut self.outcome, &mut self.encoder);
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            if number == 3 {
                attributes.read_into(value.bytes()?, &mut self.builder.events.attributes, || field(".attributes"))?;
            }
        }
        let name = self.outcome.text(name);
        self.builder.events.push(time, &name);
        Ok(true)
    }

    /// Answers whether the link was taken.
    fn link(&mut self, bytes: &[u8], field: &impl Fn(&str) -> String) -> Read<bool> {
        let (mut trace_id, mut span_id, mut trace_state) = (&[][..], &[][..], &[][..]);
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => trace_id = value.bytes()?,
                2 => span_id = value.bytes()?,
                3 => trace_state = value.bytes()?,
                _ => {}
            }
        }
        let (Some(trace_id), Some(span_id)) = (Id::read(trace_id, TRACE_ID_BYTES), Id::read(span_id, SPAN_ID_BYTES)) else {
            let fault = Fault::new("invalid_id", "the link is dropped: send a traceId of 16 bytes and a spanId of 8, not all zero");
            self.outcome.reject(0, fault, || field(""));
            return Ok(false);
        };
        self.outcome.spend(LINK_BYTES)?;
        let mut attributes = AttributeReader::new(self.rules, &mut self.outcome, &mut self.encoder);
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            if number == 4 {
                attributes.read_into(value.bytes()?, &mut self.builder.links.attributes, || field(".attributes"))?;
            }
        }
        let trace_state = self.outcome.text(trace_state);
        self.builder.links.push(trace_id.as_str(), span_id.as_str(), &trace_state);
        Ok(true)
    }
}
