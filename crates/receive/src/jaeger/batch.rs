//! Jaeger's `Batch` in Thrift.
//! Source: <https://github.com/jaegertracing/jaeger-idl/blob/main/thrift/jaeger.thrift>.

use std::borrow::Cow;

use model::ReceiveLimits;

use super::span::{JaegerSpan, Log, Process, Reference, binary};
use super::thrift::{Reader, Structures, Value};
use crate::lines::{self, Field};
use crate::outcome::Outcome;
use crate::protobuf::Read;
use crate::spans::{CHILDREN_MAX, add};

/// The process and the spans, in whichever order they came.
pub(super) fn read<'a>(body: &'a [u8], limits: &ReceiveLimits) -> Read<(Process<'a>, Option<Structures<'a>>)> {
    let (mut process, mut spans) = (Process::default(), None);
    let mut reader = Reader::new(body);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => process = read_process(value.structure()?, limits)?,
            2 => spans = Some(value.structures()?),
            _ => {}
        }
    }
    Ok((process, spans))
}

/// More tags than one over the limit, which is told, are nobody's.
fn read_process<'a>(bytes: &'a [u8], limits: &ReceiveLimits) -> Read<Process<'a>> {
    let (mut process, mut dropped) = (Process::default(), 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => process.service = String::from_utf8_lossy(value.bytes()?),
            2 => read_tags(value, limits.attributes_max + 1, &mut process.tags, &mut dropped)?,
            _ => {}
        }
    }
    Ok(process.renamed())
}

pub(super) fn read_span<'a>(bytes: &'a [u8], limits: &ReceiveLimits, outcome: &mut Outcome) -> Read<JaegerSpan<'a>> {
    let mut span = JaegerSpan::default();
    let (mut low, mut high) = (0, 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => low = value.i64()?,
            2 => high = value.i64()?,
            3 => span.span_id = value.i64()?.cast_unsigned(),
            4 => span.parent_id = value.i64()?.cast_unsigned(),
            5 => span.operation = String::from_utf8_lossy(value.bytes()?),
            6 => {
                let mut references = value.structures()?;
                while let Some(bytes) = references.next()? {
                    add(&mut span.references, read_reference(bytes)?, CHILDREN_MAX, &mut span.dropped[2]);
                }
            }
            7 => span.flags = u64::from(value.i32()?.cast_unsigned()),
            8 => span.start = nanos(value.i64()?),
            9 => span.duration = value.i64()?.saturating_mul(1000),
            10 => read_tags(value, limits.attributes_max + 1, &mut span.tags, &mut span.dropped[0])?,
            11 => {
                let mut logs = value.structures()?;
                while let Some(bytes) = logs.next()? {
                    add(&mut span.logs, read_log(bytes, limits, outcome)?, CHILDREN_MAX, &mut span.dropped[1]);
                }
            }
            _ => {}
        }
    }
    span.trace_id = trace_id(high, low);
    Ok(span)
}

/// A time before 1970 becomes one that is refused.
fn nanos(micros: i64) -> u64 {
    u64::try_from(micros).map_or(u64::MAX, |micros| micros.saturating_mul(1000))
}

fn trace_id(high: i64, low: i64) -> u128 {
    u128::from(high.cast_unsigned()) << 64 | u128::from(low.cast_unsigned())
}

fn read_reference(bytes: &[u8]) -> Read<Reference> {
    let (mut reference, mut low, mut high) = (Reference::default(), 0, 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => reference.follows = value.i32()? == 1,
            2 => low = value.i64()?,
            3 => high = value.i64()?,
            4 => reference.span_id = value.i64()?.cast_unsigned(),
            _ => {}
        }
    }
    reference.trace_id = trace_id(high, low);
    Ok(reference)
}

fn read_log<'a>(bytes: &'a [u8], limits: &ReceiveLimits, outcome: &mut Outcome) -> Read<Log<'a>> {
    let (mut log, mut dropped) = (Log::default(), 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            // As in protobuf, one before 1970 is 1970: an event's time refuses nothing.
            1 => log.time = nanos(value.i64()?.max(0)),
            2 => read_tags(value, limits.attributes_max + 1, &mut log.fields, &mut dropped)?,
            _ => {}
        }
    }
    outcome.spend(log.bytes())?;
    Ok(log)
}

fn read_tags<'a>(list: Value<'a>, max: usize, into: &mut Vec<Field<'a>>, dropped: &mut u64) -> Read<()> {
    let mut tags = list.structures()?;
    while let Some(bytes) = tags.next()? {
        add(into, read_tag(bytes)?, max, dropped);
    }
    Ok(())
}

fn read_tag(bytes: &[u8]) -> Read<Field<'_>> {
    let (mut name, mut kind) = (Cow::default(), 0);
    let (mut text, mut double, mut truth, mut long, mut raw) = (Cow::default(), 0.0, false, 0, &[][..]);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => name = String::from_utf8_lossy(value.bytes()?),
            2 => kind = value.i32()?,
            3 => text = String::from_utf8_lossy(value.bytes()?),
            4 => double = value.double()?,
            5 => truth = value.bool()?,
            6 => long = value.i64()?,
            7 => raw = value.bytes()?,
            _ => {}
        }
    }
    let value = match kind {
        1 => lines::Value::Double(double),
        2 => lines::Value::Bool(truth),
        3 => lines::Value::Int(long),
        4 => binary(raw),
        _ => lines::Value::Text(text),
    };
    Ok(Field { name, value })
}
