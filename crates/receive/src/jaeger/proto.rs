//! Jaeger's `Batch` in protobuf: `jaeger.api_v2`.
//! Source: <https://github.com/jaegertracing/jaeger-idl/blob/main/proto/api_v2/model.proto>.

use std::borrow::Cow;

use model::ReceiveLimits;

use super::span::{JaegerSpan, Log, Process, Reference, binary};
use crate::lines::{Field, Value};
use crate::outcome::Outcome;
use crate::protobuf::{Read, Reader};
use crate::spans::{CHILDREN_MAX, add, id_of};

pub(super) fn read_process<'a>(bytes: &'a [u8], limits: &ReceiveLimits) -> Read<Process<'a>> {
    let (mut process, mut dropped) = (Process::default(), 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => process.service = String::from_utf8_lossy(value.bytes()?),
            2 => add(&mut process.tags, read_tag(value.bytes()?)?, limits.attributes_max + 1, &mut dropped),
            _ => {}
        }
    }
    Ok(process.renamed())
}

pub(super) fn read_span<'a>(bytes: &'a [u8], limits: &ReceiveLimits, outcome: &mut Outcome) -> Read<JaegerSpan<'a>> {
    let mut span = JaegerSpan::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => span.trace_id = id_of(value.bytes()?, 16),
            2 => span.span_id = id_of(value.bytes()?, 8) as u64,
            3 => span.operation = String::from_utf8_lossy(value.bytes()?),
            4 => add(&mut span.references, read_reference(value.bytes()?)?, CHILDREN_MAX, &mut span.dropped[2]),
            5 => span.flags = value.varint()?,
            6 => span.start = u64::try_from(read_time(value.bytes()?)?).unwrap_or(u64::MAX),
            7 => span.duration = read_time(value.bytes()?)?,
            8 => add(&mut span.tags, read_tag(value.bytes()?)?, limits.attributes_max + 1, &mut span.dropped[0]),
            9 => add(&mut span.logs, read_log(value.bytes()?, limits, outcome)?, CHILDREN_MAX, &mut span.dropped[1]),
            10 => span.process = Some(read_process(value.bytes()?, limits)?),
            _ => {}
        }
    }
    Ok(span)
}

/// A `Timestamp` or `Duration` in nanoseconds.
fn read_time(bytes: &[u8]) -> Read<i64> {
    let (mut seconds, mut nanos) = (0_i64, 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => seconds = value.varint()?.cast_signed(),
            2 => nanos = value.varint()?.cast_signed(),
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

fn read_reference(bytes: &[u8]) -> Read<Reference> {
    let mut reference = Reference::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => reference.trace_id = id_of(value.bytes()?, 16),
            2 => reference.span_id = id_of(value.bytes()?, 8) as u64,
            3 => reference.follows = value.varint()? == 1,
            _ => {}
        }
    }
    Ok(reference)
}

fn read_log<'a>(bytes: &'a [u8], limits: &ReceiveLimits, outcome: &mut Outcome) -> Read<Log<'a>> {
    let (mut log, mut dropped) = (Log::default(), 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => log.time = u64::try_from(read_time(value.bytes()?)?).unwrap_or_default(),
            2 => add(&mut log.fields, read_tag(value.bytes()?)?, limits.attributes_max + 1, &mut dropped),
            _ => {}
        }
    }
    outcome.spend(log.bytes())?;
    Ok(log)
}

fn read_tag(bytes: &[u8]) -> Read<Field<'_>> {
    let (mut name, mut kind) = (Cow::default(), 0);
    let (mut text, mut truth, mut long, mut double, mut raw) = (Cow::default(), false, 0, 0.0, &[][..]);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => name = String::from_utf8_lossy(value.bytes()?),
            2 => kind = value.varint()?,
            3 => text = String::from_utf8_lossy(value.bytes()?),
            4 => truth = value.varint()? != 0,
            5 => long = value.varint()?.cast_signed(),
            6 => double = value.double()?,
            7 => raw = value.bytes()?,
            _ => {}
        }
    }
    let value = match kind {
        1 => Value::Bool(truth),
        2 => Value::Int(long),
        3 => Value::Double(double),
        4 => binary(raw),
        _ => Value::Text(text),
    };
    Ok(Field { name, value })
}
