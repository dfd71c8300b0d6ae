//! Loki's JSON push body, in its form of today (`stream`, `values`) and the one before (`labels`, `entries`).
//! Source: <https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs>.

use std::borrow::Cow;
use std::fmt;

use chrono::DateTime;
use model::{Decoded, Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::labels;
use super::push::{Entry, Push};
use crate::outcome::{Fault, Rules, unreadable};
use crate::protobuf::Read;

pub fn decode_loki_json(body: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    let request: Request<'_> =
        serde_json::from_slice(body).map_err(|source| Error::invalid("cannot parse Loki push JSON").because(source))?;
    let mut push = Push::new(rules);
    for stream in request.streams {
        take(stream, &mut push).map_err(|malformed| unreadable("Loki push request", malformed))?;
        push.end_stream();
    }
    Ok(push.finish())
}

fn take(stream: Stream<'_>, push: &mut Push<'_>) -> Read<()> {
    let labels = match (stream.stream, stream.labels) {
        (Some(Pairs(pairs)), _) => Ok(pairs),
        (None, Some(text)) => labels::parse(&text).map_err(|why| Fault::new("invalid_labels", format!("couldn't parse labels: {why}"))),
        (None, None) => Ok(Vec::new()),
    };
    let entries = stream.values.into_iter().map(Value::into_entry).chain(stream.entries.into_iter().map(OldEntry::into_entry));
    if let Err(fault) = labels.and_then(|labels| push.begin_stream(labels)) {
        push.refuse_stream(entries.count() as u64, fault);
        return Ok(());
    }
    for (index, entry) in entries.enumerate() {
        push.entry(index, entry)?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    streams: Vec<Stream<'a>>,
}

#[derive(Deserialize)]
struct Stream<'a> {
    stream: Option<Pairs>,
    #[serde(borrow, default)]
    values: Vec<Value<'a>>,
    #[serde(borrow)]
    labels: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    entries: Vec<OldEntry<'a>>,
}

/// Labels of a stream. A value that is not text counts as its JSON text, as Loki has it.
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                    let value = match raw.get().starts_with('"') {
                        true => serde_json::from_str(raw.get()).map_err(A::Error::custom)?,
                        false => raw.get().to_owned(),
                    };
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }
        }
        json.deserialize_map(PairsVisitor)
    }
}

/// `["<nanoseconds>", "line"]`, with an object of structured metadata when there is any.
struct Value<'a> {
    time: Text<'a>,
    line: Text<'a>,
    metadata: Vec<(Text<'a>, Text<'a>)>,
}

/// Text that borrows from the body where it holds no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Value<'a> {
    fn into_entry(self) -> Entry<'a> {
        let time = self.time.0.trim().parse();
        let why = || Fault::new("invalid_timestamp", format!("timestamp {:?} is no number of nanoseconds since 1970", self.time.0));
        Entry {
            time: time.map_err(|_| why()),
            line: self.line.0,
            metadata: self.metadata.into_iter().map(|(name, value)| (name.0, value.0)).collect(),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[\"<nanoseconds>\", \"line\"] or the same with an object of structured metadata")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let time = list.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let line = list.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        let metadata: Option<Option<Metadata<'de>>> = list.next_element()?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value { time, line, metadata: metadata.flatten().map(|metadata| metadata.0).unwrap_or_default() })
    }
}

/// Kept in order, where a map type would sort or hash.
struct Metadata<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Metadata<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct MetadataVisitor;
        impl<'de> Visitor<'de> for MetadataVisitor {
            type Value = Metadata<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of structured metadata, all of it text")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Metadata(pairs))
            }
        }
        json.deserialize_map(MetadataVisitor)
    }
}

/// `{"ts": "2026-01-02T15:04:05.999Z", "line": "..."}`.
#[derive(Deserialize)]
struct OldEntry<'a> {
    #[serde(borrow)]
    ts: Cow<'a, str>,
    #[serde(borrow)]
    line: Cow<'a, str>,
}

impl<'a> OldEntry<'a> {
    fn into_entry(self) -> Entry<'a> {
        let time = DateTime::parse_from_rfc3339(&self.ts).ok().and_then(|time| time.timestamp_nanos_opt());
        let why = || Fault::new("invalid_timestamp", format!("timestamp {:?} is no RFC 3339 time", self.ts));
        Entry { time: time.ok_or_else(why), line: self.line, metadata: Vec::new() }
    }
}
