//! Zipkin's JSON, span by span: one that cannot be read costs only itself.

use std::borrow::Cow;

use model::ReceiveLimits;

use super::span::{Endpoint, ZipkinSpan, kind};
use crate::lines::fields::{each_element, each_entry, text};
use crate::outcome::{Fault, shortened};
use crate::spans::{CHILDREN_MAX, add};

/// Or what is wrong, and with which field.
pub(super) type Parsed<'a> = Result<ZipkinSpan<'a>, (Fault, Cow<'a, str>)>;

pub(super) fn read<'a>(json: &'a str, limits: &ReceiveLimits) -> Parsed<'a> {
    let (mut span, mut at) = (ZipkinSpan::default(), Cow::Borrowed(""));
    let done = each_entry(json, |name, raw| {
        at = name;
        if raw == "null" { Ok(()) } else { field(&mut span, &at, raw, limits) }
    });
    match done {
        Ok(()) => Ok(span),
        Err(fault) => Err((fault, at)),
    }
}

/// `debug` and what else is not known is for collectors that sample.
fn field<'a>(span: &mut ZipkinSpan<'a>, name: &str, raw: &'a str, limits: &ReceiveLimits) -> Result<(), Fault> {
    match name {
        "traceId" => span.trace_id = id(raw, 32)?,
        "id" => span.id = id(raw, 16)? as u64,
        "parentId" => span.parent_id = id(raw, 16)? as u64,
        "kind" => {
            let name = string(raw)?;
            let wrong = || Fault::new("invalid_kind", format!("{} is none of CLIENT, SERVER, PRODUCER, CONSUMER", shortened(&name)));
            span.kind = kind(&name).ok_or_else(wrong)?;
        }
        "name" => span.name = string(raw)?,
        "timestamp" => span.timestamp = micros(raw)?,
        "duration" => span.duration = micros(raw)?,
        "localEndpoint" => span.local = endpoint(raw)?,
        "remoteEndpoint" => span.remote = endpoint(raw)?,
        "shared" => span.shared = raw == "true",
        "annotations" => each_element(raw, |raw| {
            let (mut time, mut value) = (0, Cow::Borrowed(""));
            each_entry(raw, |name, raw| {
                match &*name {
                    "timestamp" => time = micros(raw)?,
                    "value" => value = lenient(raw)?,
                    _ => {}
                }
                Ok(())
            })?;
            add(&mut span.annotations, (time, value), CHILDREN_MAX, &mut span.dropped[1]);
            Ok(())
        })?,
        "tags" => each_entry(raw, |name, raw| {
            add(&mut span.tags, (name, lenient(raw)?), limits.attributes_max + 1, &mut span.dropped[0]);
            Ok(())
        })?,
        _ => {}
    }
    Ok(())
}

fn endpoint(raw: &str) -> Result<Endpoint<'_>, Fault> {
    let mut endpoint = Endpoint::default();
    each_entry(raw, |name, raw| {
        match &*name {
            _ if raw == "null" => {}
            "serviceName" => endpoint.service = string(raw)?,
            // Of a host that has both the first is its address.
            "ipv4" | "ipv6" if endpoint.address.is_empty() => endpoint.address = string(raw)?,
            "port" => endpoint.port = raw.trim_matches('"').parse().unwrap_or_default(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(endpoint)
}

fn string(raw: &str) -> Result<Cow<'_, str>, Fault> {
    match raw.starts_with('"') {
        true => text(raw),
        false => Err(Fault::new("invalid_type", format!("{} is no text: send it in quotes", shortened(raw)))),
    }
}

/// A value that should be text: numbers and truth values count as theirs.
fn lenient(raw: &str) -> Result<Cow<'_, str>, Fault> {
    if raw.starts_with('"') { text(raw) } else { Ok(Cow::Borrowed(if raw == "null" { "" } else { raw })) }
}

fn id(raw: &str, digits_max: usize) -> Result<u128, Fault> {
    let text = string(raw)?;
    let hex = (1..=digits_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let wrong = || Fault::new("invalid_id", format!("{} is no id: send 1 to {digits_max} hexadecimal digits", shortened(&text)));
    if hex { u128::from_str_radix(&text, 16).map_err(|_| wrong()) } else { Err(wrong()) }
}

/// A number, also as text and with fractions, as some clients have it.
fn micros(raw: &str) -> Result<u64, Fault> {
    let digits = raw.trim_matches('"');
    let fraction = || digits.parse::<f64>().ok().filter(|time| (0.0..1.8e19).contains(time)).map(|time| time.round() as u64);
    digits.parse().ok().or_else(fraction).ok_or_else(|| {
        Fault::new("invalid_timestamp", format!("{} is no time: send microseconds, since 1970 where it is an instant", shortened(raw)))
    })
}
