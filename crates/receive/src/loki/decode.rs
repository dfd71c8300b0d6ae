//! `logproto.PushRequest`, unpacked, to `logs` rows.

use model::{Decoded, Result};

use super::labels;
use super::push::{Entry, Push, add_metadata};
use crate::outcome::{Fault, Outcome, Rules, unreadable};
use crate::protobuf::{Read, Reader};

/// Decodes a `PushRequest` that is not compressed any more.
pub fn decode_loki(body: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    let mut push = Push::new(rules);
    read_request(body, &mut push).map_err(|malformed| unreadable("Loki push request", malformed))?;
    Ok(push.finish())
}

fn read_request(body: &[u8], push: &mut Push<'_>) -> Read<()> {
    let mut reader = Reader::new(body);
    while let Some((number, value)) = reader.next()? {
        if number == 1 {
            read_stream(value.bytes()?, push)?;
            push.end_stream()?;
        }
    }
    Ok(())
}

/// The labels may stand after the entries on the wire, so the stream is walked twice.
fn read_stream(bytes: &[u8], push: &mut Push<'_>) -> Read<()> {
    let (mut text, mut entries) = (&[][..], 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => text = value.bytes()?,
            2 => entries += 1,
            _ => {}
        }
    }
    let invalid = |why: String| Fault::new("invalid_labels", format!("couldn't parse labels: {why}"));
    let labels = std::str::from_utf8(text)
        .map_err(|_| invalid("they are not UTF-8".to_owned()))
        .and_then(|text| labels::parse(text, push.rules.limits.labels_per_series_max).map_err(invalid));
    if let Err(fault) = labels.and_then(|labels| push.begin_stream(labels)) {
        push.refuse_stream(entries, fault);
        return Ok(());
    }
    let mut reader = Reader::new(bytes);
    let mut index = 0;
    while let Some((number, value)) = reader.next()? {
        if number == 2 {
            let entry = read_entry(value.bytes()?, push.rules, &mut push.outcome)?;
            push.entry(index, entry)?;
            index += 1;
        }
    }
    Ok(())
}

fn read_entry<'e>(bytes: &'e [u8], rules: &Rules<'_>, outcome: &mut Outcome) -> Read<Entry<'e>> {
    let mut entry = Entry { time: Ok(0), line: "".into(), metadata: Vec::new() };
    // Whatever else the entry says, and in whatever order.
    let mut fault = None;
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => entry.time = read_timestamp(value.bytes()?)?,
            2 => entry.line = outcome.text(value.bytes()?),
            3 => {
                let (mut name, mut text) = (&[][..], &[][..]);
                let mut reader = Reader::new(value.bytes()?);
                while let Some((number, value)) = reader.next()? {
                    match number {
                        1 => name = value.bytes()?,
                        2 => text = value.bytes()?,
                        _ => {}
                    }
                }
                match std::str::from_utf8(name) {
                    Ok(name) => add_metadata(&mut entry.metadata, name.into(), outcome.text(text), rules),
                    Err(_) => fault = Some(Fault::new("invalid_attribute_name", "a structured metadata name is not UTF-8: send UTF-8")),
                }
            }
            _ => {}
        }
    }
    entry.time = fault.map_or(entry.time, Err);
    Ok(entry)
}

/// A `google.protobuf.Timestamp` as nanoseconds.
fn read_timestamp(bytes: &[u8]) -> Read<Result<i64, Fault>> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => seconds = value.varint()?.cast_signed(),
            2 => nanos = value.varint()?.cast_signed(),
            _ => {}
        }
    }
    let time = seconds.checked_mul(1_000_000_000).and_then(|time| time.checked_add(nanos)).filter(|_| (0..1_000_000_000).contains(&nanos));
    Ok(time.ok_or_else(|| {
        Fault::new("invalid_timestamp", format!("timestamp {seconds} s {nanos} ns is out of range: send the time since 1970"))
    }))
}
