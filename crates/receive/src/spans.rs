//! Rows of spans from protocols other than OTLP, within the limits.

use std::borrow::Cow;

use model::spans::{SpanRow, SpansBuilder};
use model::{AttributeValue, Attributes, Decoded, Naming, Table};

use crate::lines::{Field, Taker};
use crate::outcome::{ENTRY_BYTES, Fault, ITEM_BYTES, Outcome, ROW_BYTES, Rules};
use crate::protobuf::Read;

/// Events of one span, and links; further ones are dropped and counted.
pub(crate) const CHILDREN_MAX: usize = 1 << 16;

/// A span as its sender means it, in the store's words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span<'a> {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    /// 0: none.
    pub(crate) parent_span_id: u64,
    pub(crate) trace_state: Cow<'a, str>,
    pub(crate) sampled: bool,
    pub(crate) name: Cow<'a, str>,
    /// Empty: unspecified.
    pub(crate) kind: &'static str,
    pub(crate) status: Status<'a>,
    /// Nanoseconds since 1970.
    pub(crate) start: u64,
    /// In nanoseconds; below 0 as clocks that were set have it.
    pub(crate) duration: i64,
    pub(crate) service: Cow<'a, str>,
    pub(crate) scope_name: Cow<'a, str>,
    pub(crate) scope_version: Cow<'a, str>,
    /// Borrowed where a batch says it once for all of its spans.
    pub(crate) resource: Cow<'a, [Field<'a>]>,
    pub(crate) attributes: Vec<Field<'a>>,
    pub(crate) events: Vec<Event<'a>>,
    pub(crate) links: Vec<Link<'a>>,
    /// Attributes, events and links that are over a limit already.
    pub(crate) dropped: [u64; 3],
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Status<'a> {
    /// Empty: unset.
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'a, str>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Event<'a> {
    /// Nanoseconds since 1970.
    pub(crate) time: u64,
    pub(crate) name: Cow<'a, str>,
    pub(crate) attributes: Vec<Field<'a>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Link<'a> {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) attributes: Vec<Field<'a>>,
}

/// Adds to a list that has an end; what is over it is counted.
pub(crate) fn add<T>(list: &mut Vec<T>, item: T, max: usize, dropped: &mut u64) {
    match list.len() < max {
        true => list.push(item),
        false => *dropped += 1,
    }
}

/// An id in bytes, the most significant first; 0, which is no id, when it has more of them.
pub(crate) fn id_of(bytes: &[u8], bytes_max: usize) -> u128 {
    if bytes.len() > bytes_max { 0 } else { bytes.iter().fold(0, |id, byte| id << 8 | u128::from(*byte)) }
}

/// Collects the rows of one request.
pub(crate) struct SpanRows<'r> {
    pub(crate) rules: &'r Rules<'r>,
    pub(crate) outcome: Outcome,
    builder: SpansBuilder,
    /// Of the row under construction; used again and again.
    resource: Attributes,
    ids: [String; 3],
}

impl<'r> SpanRows<'r> {
    pub(crate) fn new(rules: &'r Rules<'r>) -> Self {
        let (builder, resource) = (SpansBuilder::default(), Attributes::default());
        Self { rules, outcome: Outcome::new(rules.limits), builder, resource, ids: Default::default() }
    }

    pub(crate) fn finish(mut self) -> Decoded {
        self.outcome.finish(self.rules, Table::Spans, Naming::Attributes, self.builder.finish_packed())
    }

    pub(crate) fn refuse(&mut self, fault: Fault, field: impl FnOnce() -> String) {
        self.outcome.reject(1, fault, field);
    }

    /// Adds a span, or refuses it. `fields` are the sender's names of its trace id, its id and its time, `place` is the span's.
    /// Everything that can refuse it is looked at before its first attribute is taken: builders do not shrink.
    pub(crate) fn push(&mut self, span: &Span<'_>, fields: [&str; 3], place: &dyn Fn() -> String) -> Read<()> {
        self.outcome.spend(ITEM_BYTES)?;
        let (start, end) = match self.check(span) {
            Ok(times) => times,
            Err((fault, field)) => {
                self.refuse(fault, || format!("{}.{}", place(), fields[field]));
                return Ok(());
            }
        };
        self.outcome.spend(ROW_BYTES + bytes(span))?;
        if span.duration < 0 {
            self.outcome.repair("end_before_start");
        }
        let dropped = self.children(span, place)?;
        let [trace_id, span_id, parent_span_id] = &mut self.ids;
        *trace_id = format!("{:032x}", span.trace_id);
        *span_id = format!("{:016x}", span.span_id);
        *parent_span_id = if span.parent_span_id == 0 { String::new() } else { format!("{:016x}", span.parent_span_id) };
        let [dropped_attributes_count, dropped_events_count, dropped_links_count] =
            dropped.map(|count| i64::try_from(count).ok().filter(|count| *count > 0));
        let row = SpanRow {
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            trace_id,
            span_id,
            parent_span_id,
            trace_state: &span.trace_state,
            flags: span.sampled.then_some(1),
            name: &span.name,
            kind: if span.kind.is_empty() { "unspecified" } else { span.kind },
            status_code: if span.status.code.is_empty() { "unset" } else { span.status.code },
            status_message: &span.status.message,
            service_name: self.resource.service_name(),
            scope_name: &span.scope_name,
            scope_version: &span.scope_version,
            dropped_attributes_count,
            dropped_events_count,
            dropped_links_count,
        };
        self.builder.push(&row, &self.resource, &Attributes::default());
        Ok(())
    }

    /// Start and end, when nothing of the span breaks a rule; else the number of the field at fault.
    fn check(&self, span: &Span<'_>) -> Result<(i64, i64), (Fault, usize)> {
        let zero = |bytes: usize| {
            let why = format!("the id is missing or all zero: send up to {} hexadecimal digits that are not all zero", 2 * bytes);
            Fault::new("invalid_id", why)
        };
        if span.trace_id == 0 {
            return Err((zero(16), 0));
        }
        if span.span_id == 0 {
            return Err((zero(8), 1));
        }
        if i64::try_from(span.start).is_err() {
            let why = "the time is before 1970 or after 2262: send it in the protocol's unit, and look at the sender's clock";
            return Err((Fault::new("invalid_timestamp", why), 2));
        }
        let start = self.rules.time_unix_nano(span.start).map_err(|fault| (fault, 2))?;
        // A span of no length instead of a negative one, as OTLP's spans are taken.
        Ok((start, start.saturating_add(span.duration.max(0))))
    }

    /// Takes attributes, events and links; answers how many of each were dropped.
    fn children(&mut self, span: &Span<'_>, place: &dyn Fn() -> String) -> Read<[u64; 3]> {
        let Self { rules, outcome, builder, resource, .. } = self;
        let mut dropped = span.dropped;
        resource.clear();
        if !span.service.is_empty() {
            resource.add("service.name", AttributeValue::Text(&span.service));
        }
        let mut taker = Taker::new(rules, outcome);
        for field in &*span.resource {
            taker.take(field, place, |name, value| resource.add(name, value));
        }
        let mut of_owner = |fields: &[Field<'_>], attributes: &mut model::AttributesBuilder| {
            let mut taker = Taker::new(rules, outcome);
            fields.iter().for_each(|field| taker.take(field, place, |name, value| attributes.push(name, value)));
            taker.dropped
        };
        dropped[0] += of_owner(&span.attributes, &mut builder.attributes);
        for event in &span.events {
            of_owner(&event.attributes, &mut builder.events.attributes);
            // A time after 2262 is the end of time.
            builder.events.push(i64::try_from(event.time).unwrap_or(i64::MAX), &event.name);
        }
        for link in &span.links {
            of_owner(&link.attributes, &mut builder.links.attributes);
            builder.links.push(&format!("{:032x}", link.trace_id), &format!("{:016x}", link.span_id), "");
        }
        for (count, reason) in dropped.iter().zip(["", "too_many_events", "too_many_links"]).skip(1) {
            if *count > 0 {
                let why = format!("{count} are over the {CHILDREN_MAX} that a span may have: they are dropped");
                outcome.reject(0, Fault::new(reason, why), place);
            }
        }
        Ok(dropped)
    }
}

/// What the span's texts take.
fn bytes(span: &Span<'_>) -> usize {
    /// What an event and a link take apart from their texts.
    const CHILD_BYTES: usize = 96;
    let fields = |fields: &[Field<'_>]| fields.iter().map(|field| ENTRY_BYTES + field.bytes()).sum::<usize>();
    let texts = [&span.trace_state, &span.name, &span.status.message, &span.service, &span.scope_name, &span.scope_version];
    let events: usize = span.events.iter().map(|event| CHILD_BYTES + event.name.len() + fields(&event.attributes)).sum();
    let links: usize = span.links.iter().map(|link| CHILD_BYTES + fields(&link.attributes)).sum();
    texts.iter().map(|text| text.len()).sum::<usize>() + fields(&span.resource) + fields(&span.attributes) + events + links
}
