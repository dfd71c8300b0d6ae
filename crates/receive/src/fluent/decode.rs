//! Messages to `logs` rows.
//!
//! A record goes through JSON, although it came as MessagePack: as JSON it is what every receiver of records reads, under the
//! same limits, and it is the body of a record that has no message. The price is a second reading of its bytes.

use std::io::Read as _;

use model::{Decoded, Result};

use super::msgpack::{Item, Reader, event_time};
use super::origin::Origin;
use crate::lines::joined::{Joined, Piece};
use crate::lines::{Field, Nesting, Rows, Said, fields};
use crate::outcome::{Fault, ITEM_BYTES, Outcome, Rules, unreadable};
use crate::protobuf::{Malformed, Read};

/// What came in some messages: the rows to store, and what to acknowledge once they are.
#[derive(Debug)]
pub struct Forwarded {
    pub decoded: Decoded,
    /// The names that clients gave their chunks, in MessagePack, as they came.
    pub chunks: Vec<Vec<u8>>,
}

/// Decodes messages, one after the other, of every mode.
pub fn decode_fluent(body: &[u8], rules: &Rules<'_>) -> Result<Forwarded> {
    let unpacked_bytes_left = rules.limits.decompressed_bytes_max;
    let mut messages = Messages { rows: Rows::new(rules), joined: Joined::default(), number: 0, unpacked_bytes_left, json: Vec::new() };
    let (mut reader, mut chunks) = (Reader::new(body), Vec::new());
    let mut read = || {
        while !reader.rest.is_empty() {
            chunks.extend(messages.message(&mut reader)?.map(<[u8]>::to_vec));
        }
        messages.joined.finish(&mut messages.rows)
    };
    read().map_err(|malformed| unreadable("forwarded messages", malformed))?;
    Ok(Forwarded { decoded: messages.rows.finish(), chunks })
}

struct Messages<'r> {
    rows: Rows<'r>,
    joined: Joined,
    /// Of entries so far, for messages about them.
    number: usize,
    unpacked_bytes_left: usize,
    /// Used again and again.
    json: Vec<u8>,
}

/// What stands behind the entries.
#[derive(Default)]
struct Options<'b> {
    /// In MessagePack.
    chunk: Option<&'b [u8]>,
    compressed: &'b [u8],
    /// Fluent Bit's: 0 is logs.
    signal: i64,
}

/// 8 MiB, whatever a frame claims to need.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

const NOT_FORWARD: Malformed = Malformed("a message is not [tag, time, record], [tag, entries] or nil, as the Forward protocol has it");

impl Messages<'_> {
    /// `[tag, time, record, options]`, `[tag, [[time, record], ...], options]`, `[tag, packed entries, options]`, or nil, which
    /// says nothing. Answers the chunk's name when it is to be acknowledged.
    fn message<'b>(&mut self, reader: &mut Reader<'b>) -> Read<Option<&'b [u8]>> {
        self.rows.outcome.spend(ITEM_BYTES)?;
        let members = match reader.next()? {
            Item::Nil => return Ok(None),
            Item::List(members @ 2..=4) => members,
            _ => return Err(NOT_FORWARD),
        };
        let (Item::Text(tag) | Item::Bytes(tag)) = reader.next()? else { return Err(NOT_FORWARD) };
        let depth_max = self.rows.rules.limits.depth_max;
        let body = reader.whole(depth_max)?;
        let record = match Reader::new(body).next()? {
            Item::Text(_) | Item::Bytes(_) => None,
            Item::List(_) if members < 4 && !is_stamp(body) => None,
            _ if members < 3 => return Err(NOT_FORWARD),
            _ => Some(reader.whole(depth_max)?),
        };
        let used = if record.is_some() { 3 } else { 2 };
        let options = match members - used {
            0 => Options::default(),
            1 => options(reader, depth_max)?,
            _ => return Err(NOT_FORWARD),
        };
        let tag = self.rows.outcome.text(tag).into_owned();
        match (record, Reader::new(body).next()?) {
            _ if options.signal != 0 => {
                let why = "metrics and traces of Fluent Bit are not read here: send them over OpenTelemetry's output";
                self.refuse(Fault::new("unsupported_signal", why));
            }
            (Some(record), _) => self.entry(&tag, Reader::new(body), Reader::new(record))?,
            (None, Item::Text(packed) | Item::Bytes(packed)) => match self.unpacked(packed, options.compressed) {
                Ok(Some(entries)) => self.entries(&tag, &entries)?,
                Ok(None) => self.entries(&tag, packed)?,
                Err(malformed) => return Err(malformed),
            },
            (None, _) => {
                let mut entries = Reader::new(body);
                entries.next()?;
                self.entries(&tag, entries.rest)?;
            }
        }
        Ok(options.chunk)
    }

    /// None when it is not compressed.
    fn unpacked(&mut self, packed: &[u8], compressed: &[u8]) -> Read<Option<Vec<u8>>> {
        let (mut unpacked, most) = (Vec::new(), (self.unpacked_bytes_left as u64).saturating_add(1));
        let read = match compressed {
            b"" | b"text" => return Ok(None),
            // Chunks that Fluentd joined are several members.
            b"gzip" => flate2::bufread::MultiGzDecoder::new(packed).take(most).read_to_end(&mut unpacked),
            b"zstd" => zstd::stream::read::Decoder::with_buffer(packed).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                decoder.take(most).read_to_end(&mut unpacked)
            }),
            _ => return Err(Malformed("entries are compressed by what is neither gzip nor zstd")),
        };
        read.map_err(|_| Malformed("compressed entries cannot be decompressed"))?;
        const TOO_LARGE: Malformed = Malformed("entries are over decompressed_bytes_max: send smaller chunks");
        self.unpacked_bytes_left = self.unpacked_bytes_left.checked_sub(unpacked.len()).ok_or(TOO_LARGE)?;
        Ok(Some(unpacked))
    }

    /// `[time, record]`, one after the other.
    fn entries(&mut self, tag: &str, entries: &[u8]) -> Read<()> {
        let mut reader = Reader::new(entries);
        while !reader.rest.is_empty() {
            let entry = reader.whole(self.rows.rules.limits.depth_max)?;
            let mut parts = Reader::new(entry);
            if parts.next()? != Item::List(2) {
                self.rows.outcome.spend(ITEM_BYTES)?;
                self.refuse(Fault::new("invalid_entry", "the entry is not [time, record]"));
                continue;
            }
            let time = parts.whole(self.rows.rules.limits.depth_max)?;
            self.entry(tag, Reader::new(time), parts)?;
        }
        Ok(())
    }

    fn refuse(&mut self, fault: Fault) {
        let number = self.number;
        self.number += 1;
        self.rows.outcome.reject(1, fault, || format!("entry {number}"));
    }

    fn entry(&mut self, tag: &str, time: Reader<'_>, mut record: Reader<'_>) -> Read<()> {
        // Each entry has a copy of the tag, also one that is joined to another and no row.
        self.rows.outcome.spend(ITEM_BYTES + tag.len())?;
        let depth_max = self.rows.rules.limits.depth_max;
        let Stamp { time_unix_nano, metadata } = match stamp(time, depth_max, &mut self.rows.outcome)? {
            Some(stamp) => stamp,
            None => return Ok(()),
        };
        if !matches!(Reader::new(record.rest).next()?, Item::Map(_)) {
            self.refuse(Fault::new("invalid_entry", "the record is no map"));
            return Ok(());
        }
        let mut json = std::mem::take(&mut self.json);
        json.clear();
        if record.write_json(&mut json, depth_max)? {
            self.rows.outcome.repair("invalid_utf8");
        }
        let text = std::str::from_utf8(&json).expect("JSON was written from texts");
        let done = self.record(tag, time_unix_nano, metadata, text);
        self.json = json;
        if let Err(fault) = done? {
            self.refuse(fault);
        } else {
            self.number += 1;
        }
        Ok(())
    }

    fn record(&mut self, tag: &str, time_unix_nano: Option<i64>, metadata: Option<String>, text: &str) -> Read<Result<(), Fault>> {
        let limits = self.rows.rules.limits;
        let mut fields = match fields::read(text, Nesting::Kept, limits) {
            Ok(fields) => fields,
            Err(fault) => return Ok(Err(fault)),
        };
        let Origin { resource, mut attributes, service, partial } = Origin::take(&mut fields.own, text, limits);
        attributes.push(Field::text("fluent.tag", tag));
        if let Some(metadata) = &metadata
            && let Ok(found) = fields::read(metadata, Nesting::Kept, limits)
        {
            attributes.extend(
                found.own.into_iter().map(|field| Field { name: format!("fluent.metadata.{}", field.name).into(), ..field.owned() }),
            );
        }
        let number = self.number;
        let said = Said { time_unix_nano, otherwise_service: &service, resource: &resource, attributes: &attributes, ..Said::default() };
        let (part, whole) = match &partial {
            Some(partial) => (Some(partial.id.as_str()), (partial.first, partial.last)),
            None => (None, (true, true)),
        };
        match Piece::of(&fields, &said, part, whole) {
            Some(piece) => self.joined.take(piece, number, &mut self.rows).map(Ok),
            None => self.rows.document(text, &fields, &said, || format!("entry {number}")),
        }
    }
}

fn options<'b>(reader: &mut Reader<'b>, depth_max: usize) -> Read<Options<'b>> {
    let mut options = Options::default();
    let members = match reader.next()? {
        Item::Nil => 0,
        Item::Map(members) => members,
        _ => return Err(Malformed("the options of a message are no map")),
    };
    for _ in 0..members {
        let name = reader.next()?;
        let value = reader.whole(depth_max)?;
        match (name, Reader::new(value).next()?) {
            (Item::Text(b"chunk"), Item::Text(_) | Item::Bytes(_)) => options.chunk = Some(value),
            (Item::Text(b"compressed"), Item::Text(compressed) | Item::Bytes(compressed)) => options.compressed = compressed,
            (Item::Text(b"fluent_signal"), Item::Int(signal)) => options.signal = signal,
            _ => {}
        }
    }
    Ok(options)
}

/// Whether a list is `[time, metadata]` and no list of entries.
fn is_stamp(list: &[u8]) -> bool {
    let mut reader = Reader::new(list);
    reader.next() == Ok(Item::List(2)) && !matches!(reader.next(), Ok(Item::List(_)))
}

struct Stamp {
    time_unix_nano: Option<i64>,
    /// As JSON.
    metadata: Option<String>,
}

/// A time as a number of seconds or as `EventTime`, alone or with Fluent Bit's metadata. None of what marks a group of entries
/// and is no log.
fn stamp(mut reader: Reader<'_>, depth_max: usize, outcome: &mut Outcome) -> Read<Option<Stamp>> {
    const SECOND: i64 = 1_000_000_000;
    let (mut time, mut metadata) = (reader.next()?, None);
    if time == Item::List(2) {
        time = reader.next()?;
        let mut json = Vec::new();
        if !matches!(Reader::new(reader.rest).next()?, Item::Map(0)) {
            reader.write_json(&mut json, depth_max)?;
            metadata = String::from_utf8(json).ok();
        }
    }
    let time_unix_nano = match (event_time(time), time) {
        (Some((-2..0, _)), _) | (None, Item::Int(-2..0)) => {
            outcome.drop_alike("group_marker");
            return Ok(None);
        }
        (Some((seconds, nanos)), _) => Some(i64::from(seconds.cast_unsigned()) * SECOND + i64::from(nanos)),
        (None, Item::Int(seconds)) => seconds.checked_mul(SECOND).filter(|time| *time >= 0),
        (None, Item::Float(seconds)) => Some((f64::from(seconds) * 1e9) as i64).filter(|time| *time > 0),
        (None, Item::Double(seconds)) => Some((seconds * 1e9) as i64).filter(|time| *time > 0),
        _ => None,
    };
    if time_unix_nano.is_none() {
        outcome.repair("invalid_timestamp");
    }
    Ok(Some(Stamp { time_unix_nano, metadata }))
}
