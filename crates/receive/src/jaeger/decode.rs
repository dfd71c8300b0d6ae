//! The pure entries: bytes in, a batch out.

use model::{Decoded, Result};

use super::span::{JaegerSpan, Process};
use super::{batch, proto};
use crate::outcome::{Rules, unreadable};
use crate::protobuf::{Read, Reader};
use crate::spans::SpanRows;

/// Decodes a `jaeger.thrift` `Batch` in Thrift's binary protocol.
pub fn decode_jaeger_thrift(body: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    let decode = || -> Read<Decoded> {
        let (process, spans) = batch::read(body, rules.limits)?;
        let (mut rows, mut index) = (SpanRows::new(rules), 0);
        if let Some(mut spans) = spans {
            while let Some(bytes) = spans.next()? {
                let span = batch::read_span(bytes, rules.limits, &mut rows.outcome)?;
                push(&mut rows, span, &process, index, ["traceIdLow", "spanId", "startTime"])?;
                index += 1;
            }
        }
        Ok(rows.finish())
    };
    decode().map_err(|malformed| unreadable("Jaeger's Thrift", malformed))
}

/// Decodes a `jaeger.api_v2.PostSpansRequest`.
pub fn decode_jaeger_proto(body: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    let decode = || -> Read<Decoded> {
        let (mut rows, mut index) = (SpanRows::new(rules), 0);
        let mut request = Reader::new(body);
        while let Some((number, value)) = request.next()? {
            if number != 1 {
                continue;
            }
            // The process may stand behind its spans, so the batch is walked once for each.
            let batch = value.bytes()?;
            let (mut process, mut reader) = (Process::default(), Reader::new(batch));
            while let Some((number, value)) = reader.next()? {
                if number == 2 {
                    process = proto::read_process(value.bytes()?, rules.limits)?;
                }
            }
            reader = Reader::new(batch);
            while let Some((number, value)) = reader.next()? {
                if number == 1 {
                    let span = proto::read_span(value.bytes()?, rules.limits, &mut rows.outcome)?;
                    push(&mut rows, span, &process, index, ["traceId", "spanId", "startTime"])?;
                    index += 1;
                }
            }
        }
        Ok(rows.finish())
    };
    decode().map_err(|malformed| unreadable("Jaeger's spans", malformed))
}

fn push<'a>(rows: &mut SpanRows<'_>, span: JaegerSpan<'a>, process: &'a Process<'a>, index: usize, fields: [&str; 3]) -> Read<()> {
    rows.push(&span.into_span(process), fields, &|| format!("spans[{index}]"))
}
