//! `ExportLogsServiceRequest` to `logs` rows.

use model::logs::{LogRow, LogsBuilder};
use model::{AttributeType, AttributeValue, Decoded, Naming, Table};

use super::value::{Any, AttributeReader, Encoder, Id, SPAN_ID_BYTES, TRACE_ID_BYTES, Trouble, text_bytes};
use super::walk::{Origin, Signal, count, non_zero, walk};
use crate::outcome::{Fault, Outcome, ROW_BYTES, Rules};
use crate::protobuf::{Read, Reader};

/// Rows there is room for from the beginning, at most.
const RESERVED_ROWS_MAX: usize = 8192;

pub(super) fn decode(body: &[u8], rules: &Rules<'_>) -> Read<Decoded> {
    // A request of nothing but empty records has one for each two bytes.
    let rows = count(body).min(RESERVED_ROWS_MAX);
    let mut logs =
        Logs { rules, builder: LogsBuilder::with_capacity(rows), outcome: Outcome::new(rules.limits), encoder: Encoder::default() };
    walk(body, rules, &mut logs)?;
    Ok(logs.outcome.finish(rules, Table::Logs, Naming::Attributes, logs.builder.finish_packed()))
}

struct Logs<'r> {
    rules: &'r Rules<'r>,
    builder: LogsBuilder,
    outcome: Outcome,
    encoder: Encoder,
}

/// A `LogRecord` with its parts still as bytes.
#[derive(Default)]
struct Record<'a> {
    time: u64,
    observed_time: u64,
    severity_number: u64,
    severity_text: &'a [u8],
    body: Option<&'a [u8]>,
    dropped_attributes: u64,
    flags: u32,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a [u8],
    /// From the first attribute on, and how many there are.
    attributes: (Reader<'a>, usize),
}

impl<'a> Record<'a> {
    fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut record = Self::default();
        let mut reader = Reader::new(bytes);
        let mut here = reader.clone();
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => record.time = value.fixed64()?,
                2 => record.severity_number = value.varint()?,
                3 => record.severity_text = value.bytes()?,
                5 => record.body = Some(value.bytes()?),
                6 => {
                    if record.attributes.1 == 0 {
                        record.attributes.0 = here;
                    }
                    record.attributes.1 += 1;
                }
                7 => record.dropped_attributes = value.varint()?,
                8 => record.flags = value.fixed32()?,
                9 => record.trace_id = value.bytes()?,
                10 => record.span_id = value.bytes()?,
                11 => record.observed_time = value.fixed64()?,
                12 => record.event_name = value.bytes()?,
                _ => {}
            }
            here = reader.clone();
        }
        Ok(record)
    }

    /// The time it happened, else the time it was seen, else now; of these the first there is must not be too old.
    fn times(&self, rules: &Rules<'_>) -> Result<(i64, Option<i64>), (Fault, &'static str)> {
        let observed = |rules: &Rules<'_>| rules.time_unix_nano(self.observed_time).map_err(|fault| (fault, "observedTimeUnixNano"));
        match (self.time, self.observed_time) {
            (0, 0) => Ok((rules.now_unix_nano, None)),
            (0, _) => observed(rules).map(|time| (time, Some(time))),
            (time, observed_time) => {
                let time = rules.time_unix_nano(time).map_err(|fault| (fault, "timeUnixNano"))?;
                let any_age = Rules { now_unix_nano: i64::MIN, ..*rules };
                Ok((time, if observed_time == 0 { None } else { Some(observed(&any_age)?) }))
            }
        }
    }
}

impl Signal for Logs<'_> {
    const LEVELS: [&'static str; 2] = ["resourceLogs", "scopeLogs"];

    fn tools(&mut self) -> (&mut Outcome, &mut Encoder) {
        (&mut self.outcome, &mut self.encoder)
    }

    /// Everything that can refuse the record is looked at before the first attribute is taken: builders do not shrink.
    fn item(&mut self, index: usize, bytes: &[u8], origin: &Origin) -> Read<()> {
        let Self { rules, builder, outcome, encoder } = self;
        let field = |name: &str| format!("{}.logRecords[{index}].{name}", origin.place);
        let record = Record::read(bytes)?;
        let (time_unix_nano, observed_time_unix_nano) = match record.times(rules) {
            Ok(times) => times,
            Err((fault, at)) => {
                outcome.reject(1, fault, || field(at));
                return Ok(());
            }
        };
        let any = record.body.map_or(Ok(Any::Empty), Any::read)?;
        let mut body_encoder = Encoder::default();
        let body = match body_encoder.encode(any, rules, outcome) {
            Ok(body) => body,
            Err(Trouble::Malformed(malformed)) => return Err(malformed),
            Err(Trouble::Fault(fault)) => {
                outcome.reject(1, fault, || field("body"));
                return Ok(());
            }
        };
        outcome.spend(ROW_BYTES + bytes.len() + text_bytes(&body) + origin.copied_bytes())?;
        let mut attributes = AttributeReader::new(rules, outcome, encoder);
        let (mut reader, mut left) = record.attributes.clone();
        while left > 0
            && let Some((number, value)) = reader.next()?
        {
            if number == 6 {
                attributes.read_into(value.bytes()?, &mut builder.attributes, || field("attributes"))?;
                left -= 1;
            }
        }
        let dropped = record.dropped_attributes.saturating_add(attributes.dropped);
        let mut number = String::new();
        let (body, body_type) = body_text(body, &mut number);
        let (severity_text, event_name) = (outcome.text(record.severity_text), outcome.text(record.event_name));
        let trace_id = Id::read_optional(record.trace_id, TRACE_ID_BYTES, outcome);
        let span_id = Id::read_optional(record.span_id, SPAN_ID_BYTES, outcome);
        let row = LogRow {
            time_unix_nano,
            observed_time_unix_nano,
            severity_number: i32::try_from(record.severity_number).ok().filter(|number| *number != 0),
            severity_text: &severity_text,
            body,
            body_type,
            service_name: origin.resource.attributes.service_name(),
            trace_id: trace_id.as_str(),
            span_id: span_id.as_str(),
            event_name: &event_name,
            flags: non_zero(u64::from(record.flags)),
            scope_name: &origin.scope.name,
            scope_version: &origin.scope.version,
            dropped_attributes_count: non_zero(dropped),
        };
        builder.push(&row, &origin.resource.attributes, &origin.scope.attributes);
        Ok(())
    }
}

/// The text of a body and the letter of its type; a log without a body is the same as one with an empty text.
fn body_text<'b>(body: AttributeValue<'b>, number: &'b mut String) -> (&'b str, &'static str) {
    match body {
        AttributeValue::Text(text) => (text, ""),
        AttributeValue::Bool(value) => (if value { "true" } else { "false" }, "b"),
        AttributeValue::Int(value) => {
            *number = value.to_string();
            (number, "i")
        }
        AttributeValue::Double(value) => {
            *number = value.to_string();
            (number, "d")
        }
        AttributeValue::Encoded(AttributeType::Bytes, text) => (text, "y"),
        AttributeValue::Encoded(AttributeType::Array, text) => (text, "a"),
        AttributeValue::Encoded(AttributeType::Map, text) => (text, "m"),
        AttributeValue::Encoded(_, text) => (text, ""),
    }
}
