//! Entries of the journal's export format to `logs` rows.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{AttributeType, Decoded, Result};

use crate::lines::{Field, Level, Rows, Said, Value};
use crate::outcome::{Fault, ITEM_BYTES, Rules, SLICE_BYTES, unreadable};
use crate::protobuf::{Malformed, Read};

/// The most that journald itself takes of one entry.
const FIELDS_MAX: usize = 1024;
const TRUNCATED: Malformed = Malformed("it ends in the middle of a field");

/// Decodes whole entries. `more`: how many entries of the same body came before, for messages.
pub fn decode_journal(body: &[u8], more: usize, rules: &Rules<'_>) -> Result<Decoded> {
    let mut rows = Rows::new(rules);
    read_entries(body, more, &mut rows).map_err(|malformed| unreadable("journal entries", malformed))?;
    Ok(rows.finish())
}

fn read_entries(body: &[u8], more: usize, rows: &mut Rows<'_>) -> Read<()> {
    let (mut reader, mut number) = (Reader { rest: body }, more);
    let mut entry = Entry::default();
    loop {
        let next = reader.next()?;
        match next {
            Part::Field(name, value) => {
                rows.outcome.spend(2 * SLICE_BYTES)?;
                // One more is enough to refuse them.
                if entry.fields.len() <= FIELDS_MAX {
                    entry.fields.push((name, value));
                }
            }
            Part::Blank | Part::End => {
                if !entry.fields.is_empty() {
                    rows.outcome.spend(ITEM_BYTES)?;
                    let place = || format!("entry {number}");
                    if let Err(fault) = entry.take(rows, place)? {
                        rows.outcome.reject(1, fault, place);
                    }
                    number += 1;
                    entry.fields.clear();
                }
                if matches!(next, Part::End) {
                    return Ok(());
                }
            }
        }
    }
}

/// How many bytes of whole entries, each with the blank line behind it, the bytes begin with, and how many entries.
pub(super) fn whole_entries(bytes: &[u8]) -> Read<(usize, usize)> {
    let mut reader = Reader { rest: bytes };
    let (mut end, mut entries, mut fields) = (0, 0, 0);
    loop {
        match reader.next() {
            Ok(Part::Field(..)) if reader.ended(bytes) => fields += 1,
            Ok(Part::Blank) => {
                end = bytes.len() - reader.rest.len();
                entries += usize::from(fields > 0);
                fields = 0;
            }
            // The last field may not have come whole.
            Ok(Part::Field(..) | Part::End) | Err(TRUNCATED) => return Ok((end, entries)),
            Err(malformed) => return Err(malformed),
        }
    }
}

enum Part<'b> {
    Field(&'b [u8], &'b [u8]),
    /// Between two entries.
    Blank,
    End,
}

/// Walks `NAME=text` lines, and names whose value follows after its length.
struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn next(&mut self) -> Read<Part<'b>> {
        if self.rest.is_empty() {
            return Ok(Part::End);
        }
        let end = memchr::memchr(b'\n', self.rest);
        let (line, behind) = end.map_or((self.rest, &[][..]), |end| (&self.rest[..end], &self.rest[end + 1..]));
        if line.is_empty() {
            self.rest = behind;
            return Ok(Part::Blank);
        }
        let Some(equals) = memchr::memchr(b'=', line) else {
            end.ok_or(TRUNCATED)?;
            let (len, behind) = behind.split_first_chunk().ok_or(TRUNCATED)?;
            let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| Malformed("a field is longer than memory"))?;
            let (value, behind) = behind.split_at_checked(len).ok_or(TRUNCATED)?;
            let (newline, behind) = behind.split_first().ok_or(TRUNCATED)?;
            if *newline != b'\n' {
                return Err(Malformed("a binary field does not end where its length says"));
            }
            self.rest = behind;
            return Ok(Part::Field(line, value));
        };
        self.rest = behind;
        Ok(Part::Field(&line[..equals], &line[equals + 1..]))
    }

    /// Whether what was read last had its end of line.
    fn ended(&self, whole: &[u8]) -> bool {
        whole[..whole.len() - self.rest.len()].ends_with(b"\n")
    }
}

/// One entry's fields.
#[derive(Default)]
struct Entry<'b> {
    fields: Vec<(&'b [u8], &'b [u8])>,
}

impl Entry<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(other, _)| *other == name.as_bytes()).map(|(_, value)| *value)
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default()
    }

    fn take(&self, rows: &mut Rows<'_>, place: impl Fn() -> String) -> Read<Result<(), Fault>> {
        if self.fields.len() > FIELDS_MAX {
            return Ok(Err(Fault::new("too_many_fields", format!("the entry has over {FIELDS_MAX} fields"))));
        }
        let time = match self.time() {
            Ok(time) => time,
            Err(fault) => return Ok(Err(fault)),
        };
        let message = rows.outcome.text(self.get("MESSAGE").unwrap_or_default());
        let level = self.text("PRIORITY").parse().ok().and_then(Level::of_syslog);
        let (mut resource, mut attributes) = (Vec::new(), Vec::new());
        for (name, value) in &self.fields {
            // An address is of the journal it is in, a message and a time have columns.
            if matches!(*name, b"MESSAGE" | b"__CURSOR" | b"__REALTIME_TIMESTAMP" | b"__MONOTONIC_TIMESTAMP" | b"__SEQNUM" | b"__SEQNUM_ID")
            {
                continue;
            }
            let field = Field { name: String::from_utf8_lossy(name), value: value_of(value) };
            match said_of_sender(name) {
                Some(known) => resource.push(Field { name: known.into(), ..field }),
                None => attributes.push(field),
            }
        }
        let service = self.service();
        let said = Said { time_unix_nano: Some(time), level, service, resource: &resource, attributes: &attributes, ..Said::default() };
        rows.line(&message, &said, place)
    }

    /// When the sender says it happened, else when the journal got it, in microseconds since 1970.
    fn time(&self) -> Result<i64, Fault> {
        let text = match self.text("_SOURCE_REALTIME_TIMESTAMP") {
            "" => self.text("__REALTIME_TIMESTAMP"),
            text => text,
        };
        let time = text.parse().ok().and_then(|micros: i64| micros.checked_mul(1000));
        time.ok_or_else(|| Fault::new("invalid_timestamp", "the entry has no __REALTIME_TIMESTAMP in microseconds since 1970"))
    }

    /// The identifier that a program gives itself, else its unit, without what systemd adds.
    fn service(&self) -> &str {
        match self.text("SYSLOG_IDENTIFIER") {
            "" => self.text("_SYSTEMD_UNIT").trim_end_matches(".service"),
            name => name,
        }
    }
}

/// Bytes that are no text are kept as base64.
fn value_of(value: &[u8]) -> Value<'_> {
    match std::str::from_utf8(value) {
        Ok(text) => Value::Text(Cow::Borrowed(text)),
        Err(_) => Value::Encoded(AttributeType::Bytes, STANDARD.encode(value)),
    }
}

/// OpenTelemetry's name for a field that says who sent the entry.
fn said_of_sender(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"_HOSTNAME" => "host.name",
        b"_MACHINE_ID" => "host.id",
        b"_SYSTEMD_UNIT" => "systemd.unit",
        b"CONTAINER_NAME" => "container.name",
        b"CONTAINER_ID_FULL" => "container.id",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_entries_are_told_from_begun_ones() {
        let binary = [b"B\n".as_slice(), &3_u64.to_le_bytes(), b"a\n\n\n\n"].concat();
        let entries = [b"A=1\n\nA=2\n".as_slice(), &binary, b"A=3\n"].concat();
        let found: Vec<_> = (0..=entries.len()).map(|len| whole_entries(&entries[..len]).expect("well formed")).collect();
        let ends = [5, 9 + binary.len()];
        for (len, found) in found.into_iter().enumerate() {
            let expect = ends.iter().rposition(|end| len >= *end).map_or((0, 0), |at| (ends[at], at + 1));
            assert_eq!(found, expect, "{len} bytes");
        }
        let wrong = [b"B\n".as_slice(), &1_u64.to_le_bytes(), b"ab\n"].concat();
        assert_eq!(whole_entries(&wrong), Err(Malformed("a binary field does not end where its length says")));
    }
}
