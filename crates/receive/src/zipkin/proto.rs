//! Zipkin's protobuf: `zipkin.proto3.ListOfSpans`.
//! Source: <https://github.com/openzipkin/zipkin-api/blob/master/zipkin.proto>.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use model::ReceiveLimits;

use super::span::{Endpoint, ZipkinSpan};
use crate::protobuf::{Read, Reader};
use crate::spans::{CHILDREN_MAX, add, id_of};

const KINDS: [&str; 5] = ["", "client", "server", "producer", "consumer"];

pub(super) fn read<'a>(bytes: &'a [u8], limits: &ReceiveLimits) -> Read<ZipkinSpan<'a>> {
    let mut span = ZipkinSpan::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => span.trace_id = id_of(value.bytes()?, 16),
            2 => span.parent_id = id_of(value.bytes()?, 8) as u64,
            3 => span.id = id_of(value.bytes()?, 8) as u64,
            4 => span.kind = usize::try_from(value.varint()?).ok().and_then(|kind| KINDS.get(kind)).copied().unwrap_or_default(),
            5 => span.name = String::from_utf8_lossy(value.bytes()?),
            6 => span.timestamp = value.fixed64()?,
            7 => span.duration = value.varint()?,
            8 => span.local = endpoint(value.bytes()?)?,
            9 => span.remote = endpoint(value.bytes()?)?,
            10 => add(&mut span.annotations, annotation(value.bytes()?)?, CHILDREN_MAX, &mut span.dropped[1]),
            11 => add(&mut span.tags, tag(value.bytes()?)?, limits.attributes_max + 1, &mut span.dropped[0]),
            13 => span.shared = value.varint()? != 0,
            _ => {}
        }
    }
    Ok(span)
}

fn endpoint(bytes: &[u8]) -> Read<Endpoint<'_>> {
    let mut endpoint = Endpoint::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => endpoint.service = String::from_utf8_lossy(value.bytes()?),
            2 => {
                if let Ok(address) = <[u8; 4]>::try_from(value.bytes()?) {
                    endpoint.address = Ipv4Addr::from(address).to_string().into();
                }
            }
            3 => {
                if let Ok(address) = <[u8; 16]>::try_from(value.bytes()?)
                    && endpoint.address.is_empty()
                {
                    endpoint.address = Ipv6Addr::from(address).to_string().into();
                }
            }
            4 => endpoint.port = u16::try_from(value.varint()?).unwrap_or_default(),
            _ => {}
        }
    }
    Ok(endpoint)
}

fn annotation(bytes: &[u8]) -> Read<(u64, Cow<'_, str>)> {
    let (mut time, mut text) = (0, Cow::default());
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => time = value.fixed64()?,
            2 => text = String::from_utf8_lossy(value.bytes()?),
            _ => {}
        }
    }
    Ok((time, text))
}

fn tag(bytes: &[u8]) -> Read<(Cow<'_, str>, Cow<'_, str>)> {
    let (mut key, mut text) = Default::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => key = String::from_utf8_lossy(value.bytes()?),
            2 => text = String::from_utf8_lossy(value.bytes()?),
            _ => {}
        }
    }
    Ok((key, text))
}
