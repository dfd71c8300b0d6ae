//! The pure entries: bytes in, a batch out.

use std::collections::HashMap;

use memchr::memmem;
use model::{Decoded, Error, Result};

use super::json::{self, Parsed};
use super::proto;
use super::span::{ZipkinSpan, server_id};
use crate::lines::fields::each_element;
use crate::outcome::{Fault, ITEM_BYTES, Rules, unreadable};
use crate::protobuf::{Malformed, Read, Reader};
use crate::spans::SpanRows;

type Take<'t, 'b> = dyn FnMut(usize, Parsed<'b>) -> Read<()> + 't;

/// Decodes a list of spans in JSON.
pub fn decode_zipkin_json<'b>(body: &'b [u8], rules: &Rules<'_>) -> Result<Decoded> {
    let wrong = |why: String| Error::invalid("cannot parse Zipkin JSON").because(why);
    let text = std::str::from_utf8(body).map_err(|source| wrong(source.to_string()))?;
    let each = |take: &mut Take<'_, 'b>| {
        let (mut index, mut stopped) = (0, None);
        let walked = each_element(text, |raw| {
            let taken = take(index, json::read(raw, rules.limits));
            index += 1;
            taken.map_err(|malformed| {
                stopped = Some(malformed);
                Fault::new("stopped", "")
            })
        });
        match stopped {
            Some(malformed) => Err(unreadable("Zipkin JSON", malformed)),
            None => walked.map_err(|fault| wrong(fault.why)),
        }
    };
    decode(rules, memmem::find(body, b"\"shared\"").is_some(), each)
}

/// Decodes a `zipkin.proto3.ListOfSpans`.
pub fn decode_zipkin_proto<'b>(body: &'b [u8], rules: &Rules<'_>) -> Result<Decoded> {
    let each = |take: &mut Take<'_, 'b>| {
        let mut walk = || -> Result<(), Malformed> {
            let (mut index, mut reader) = (0, Reader::new(body));
            while let Some((number, value)) = reader.next()? {
                if number == 1 {
                    take(index, Ok(proto::read(value.bytes()?, rules.limits)?))?;
                    index += 1;
                }
            }
            Ok(())
        };
        walk().map_err(|malformed| unreadable("Zipkin spans", malformed))
    };
    decode(rules, true, each)
}

/// Trace and id of the spans that servers share with their clients, and the server's service.
type Shared = HashMap<(u128, u64), String>;

fn decode<'b>(rules: &Rules<'_>, may_share: bool, each: impl Fn(&mut Take<'_, 'b>) -> Result<()>) -> Result<Decoded> {
    let (mut rows, mut shared) = (SpanRows::new(rules), Shared::new());
    if may_share {
        each(&mut |_, span| {
            if let Ok(span) = span
                && span.shared
            {
                rows.outcome.spend(ITEM_BYTES + span.local.service.len())?;
                shared.insert((span.trace_id, span.id), span.local.service.into_owned());
            }
            Ok(())
        })?;
    }
    each(&mut |index, span| match span {
        Ok(mut span) => {
            tell_apart(&mut span, &shared);
            if span.timestamp == 0 && span.annotations.is_empty() {
                rows.outcome.repair("missing_timestamp");
            }
            let span = span.into_span(rules.now_unix_nano.unsigned_abs());
            rows.push(&span, ["traceId", "id", "timestamp"], &|| format!("spans[{index}]"))
        }
        Err((fault, field)) => {
            rows.outcome.spend(ITEM_BYTES)?;
            let dot = if field.is_empty() { "" } else { "." };
            rows.refuse(fault, || format!("spans[{index}]{dot}{field}"));
            Ok(())
        }
    })?;
    Ok(rows.finish())
}

/// Gives a server's span an id of its own below the client's, and what the server did meanwhile its parent, as far as that comes
/// in the same request: elsewhere it cannot be told from what the client did.
fn tell_apart(span: &mut ZipkinSpan<'_>, shared: &Shared) {
    if span.shared {
        (span.parent_id, span.id) = (span.id, server_id(span.id));
    } else if shared.get(&(span.trace_id, span.parent_id)).is_some_and(|service| *service == span.local.service) {
        span.parent_id = server_id(span.parent_id);
    }
}
