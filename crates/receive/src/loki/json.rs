//! Loki's JSON push body, in its form of today (`stream`, `values`) and the one before (`labels`, `entries`).
//!
//! Streams are taken one by one as they are read, and of a stream entry by entry: a tree of the whole body would take ten
//! times its bytes. Labels may stand behind the entries, so a stream's parts are kept as the text that they are until then.
//! Source: <https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs>.

use std::borrow::Cow;
use std::fmt;

use chrono::DateTime;
use model::{Decoded, Result};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::labels;
use super::push::{Entry, Metadata, Push, add_metadata};
use crate::outcome::{Fault, Rules, shortened, unreadable, unreadable_json};
use crate::protobuf::{Malformed, Read};

pub fn decode_loki_json(body: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    let (mut push, mut stopped) = (Push::new(rules), None);
    let mut json = serde_json::Deserializer::from_slice(body);
    let walked = Walk { push: &mut push, stopped: &mut stopped }.request(&mut json).and_then(|()| json.end());
    match (stopped, walked) {
        (Some(malformed), _) => Err(unreadable("Loki push request", malformed)),
        (None, Err(source)) => Err(unreadable_json("Loki push JSON", &source)),
        (None, Ok(())) => Ok(push.finish()),
    }
}

/// Hands streams and entries to `push` while they are parsed.
struct Walk<'w, 'r> {
    push: &'w mut Push<'r>,
    /// What stopped it, when that was not the JSON.
    stopped: &'w mut Option<Malformed>,
}

#[derive(Deserialize)]
struct Stream<'a> {
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    values: Option<&'a RawValue>,
    #[serde(borrow)]
    labels: Option<Cow<'a, str>>,
    #[serde(borrow)]
    entries: Option<&'a RawValue>,
}

impl Walk<'_, '_> {
    fn request<'de, D: Deserializer<'de>>(&mut self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(RequestVisitor(self))
    }

    fn stream(&mut self, stream: &Stream<'_>) -> serde_json::Result<()> {
        let lists = [(stream.values, Form::Today), (stream.entries, Form::Old)];
        let lists = lists.into_iter().filter_map(|(list, form)| Some((list?, form)));
        if let Err(fault) = self.begin(stream)? {
            let counts = lists.map(|(list, _)| serde_json::from_str::<Vec<IgnoredAny>>(list.get()).map(|entries| entries.len()));
            let entries: usize = counts.sum::<serde_json::Result<_>>()?;
            self.push.refuse_stream(entries as u64, fault);
            return Ok(());
        }
        let mut index = 0;
        for (list, form) in lists {
            let mut json = serde_json::Deserializer::from_str(list.get());
            json.deserialize_seq(EntriesVisitor { walk: &mut *self, form, index: &mut index })?;
        }
        Ok(())
    }

    /// Remembers what stopped it, which no error of the parser can carry.
    fn go_on<E: serde::de::Error>(&mut self, done: Read<()>) -> Result<(), E> {
        done.map_err(|malformed| {
            *self.stopped = Some(malformed);
            E::custom(malformed)
        })
    }

    fn begin(&mut self, stream: &Stream<'_>) -> serde_json::Result<Result<(), Fault>> {
        let labels_max = self.push.rules.limits.labels_per_series_max;
        let labels = match (stream.stream, &stream.labels) {
            (Some(object), _) => Ok(serde_json::Deserializer::from_str(object.get()).deserialize_map(PairsVisitor { labels_max })?),
            (None, Some(text)) => {
                labels::parse(text, labels_max).map_err(|why| Fault::new("invalid_labels", format!("couldn't parse labels: {why}")))
            }
            (None, None) => Ok(Vec::new()),
        };
        Ok(labels.and_then(|labels| self.push.begin_stream(labels)))
    }
}

struct RequestVisitor<'v, 'w, 'r>(&'v mut Walk<'w, 'r>);

impl<'de> Visitor<'de> for RequestVisitor<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list of streams")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match &*key {
                "streams" => map.next_value_seed(Streams(&mut *self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            found |= key == "streams";
        }
        if found { Ok(()) } else { Err(A::Error::missing_field("streams")) }
    }
}

struct Streams<'v, 'w, 'r>(&'v mut Walk<'w, 'r>);

impl<'de> DeserializeSeed<'de> for Streams<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Streams<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of streams")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(stream) = list.next_element::<Stream<'de>>()? {
            let whole = |source| A::Error::custom(format_args!("{source} of this stream's list or object"));
            self.0.stream(&stream).map_err(whole)?;
            let ended = self.0.push.end_stream();
            self.0.go_on(ended)?;
        }
        Ok(())
    }
}

/// Labels of a stream. A value that is not text counts as its JSON text, as Loki has it; an empty one is no label.
struct PairsVisitor {
    labels_max: usize,
}

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of labels")
    }

    /// Keeps one label more than the limit at most, which is enough to refuse them.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
            let value = match raw.get().starts_with('"') {
                true => serde_json::from_str(raw.get()).map_err(A::Error::custom)?,
                false => raw.get().to_owned(),
            };
            if (name.is_empty() || !value.is_empty()) && pairs.len() <= self.labels_max {
                pairs.push((name, value));
            }
        }
        Ok(pairs)
    }
}

#[derive(Clone, Copy)]
enum Form {
    Today,
    Old,
}

struct EntriesVisitor<'v, 'w, 'r> {
    walk: &'v mut Walk<'w, 'r>,
    form: Form,
    index: &'v mut usize,
}

impl<'de> Visitor<'de> for EntriesVisitor<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { walk, form, index } = self;
        loop {
            let entry = match form {
                Form::Today => list.next_element_seed(ValueSeed { rules: walk.push.rules })?,
                Form::Old => list.next_element::<OldEntry<'de>>()?.map(OldEntry::into_entry),
            };
            let Some(entry) = entry else { return Ok(()) };
            let taken = walk.push.entry(*index, entry);
            walk.go_on(taken)?;
            *index += 1;
        }
    }
}

/// Text that borrows from the body where it holds no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// `["<nanoseconds>", "line"]`, with an object of structured metadata when there is any.
struct ValueSeed<'r> {
    rules: &'r Rules<'r>,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Entry<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Entry<'de>, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Entry<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[\"<nanoseconds>\", \"line\"] or the same with an object of structured metadata")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entry<'de>, A::Error> {
        let Text(time) = list.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let Text(line) = list.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        let metadata = list.next_element_seed(MetadataSeed { rules: self.rules })?.unwrap_or_default();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        let why = |_| Fault::new("invalid_timestamp", format!("timestamp {} is no number of nanoseconds since 1970", shortened(&time)));
        Ok(Entry { time: time.trim().parse().map_err(why), line, metadata })
    }
}

/// Kept in order, where a map type would sort or hash.
struct MetadataSeed<'r> {
    rules: &'r Rules<'r>,
}

impl<'de> DeserializeSeed<'de> for MetadataSeed<'_> {
    type Value = Metadata<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Metadata<'de>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MetadataSeed<'_> {
    type Value = Metadata<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of structured metadata, all of it text")
    }

    /// Null is none.
    fn visit_unit<E>(self) -> Result<Metadata<'de>, E> {
        Ok(Metadata::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata<'de>, A::Error> {
        let mut metadata = Metadata::new();
        while let Some((Text(name), Text(value))) = map.next_entry()? {
            add_metadata(&mut metadata, name, value, self.rules);
        }
        Ok(metadata)
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
        let why = || Fault::new("invalid_timestamp", format!("timestamp {} is no RFC 3339 time", shortened(&self.ts)));
        Entry { time: time.ok_or_else(why), line: self.line, metadata: Metadata::new() }
    }
}
