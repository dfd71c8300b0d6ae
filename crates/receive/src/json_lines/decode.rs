//! Records and lines to `logs` rows.

use model::{Decoded, Result};
use serde_json::value::RawValue;

use crate::lines::{Field, Nesting, Rows, Said, fields, text};
use crate::outcome::{Fault, Rules, unreadable, unreadable_json};
use crate::protobuf::{Malformed, Read};

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One object a line: a line that is none costs no other.
    Lines,
    /// Objects, and lists of objects, one after the other.
    Json,
    /// Whatever is no JSON: each line a log, stack traces joined, containers' lines unwrapped.
    Text,
}

/// `resource`: names and values that every log gets as its resource attributes.
pub fn decode_json_lines(body: &[u8], form: Form, resource: &[(String, String)], rules: &Rules<'_>) -> Result<Decoded> {
    let resource: Vec<_> = resource.iter().map(|(name, value)| Field::text(name, value)).collect();
    let mut records = Records { rows: Rows::new(rules), resource: &resource };
    let done = match form {
        Form::Lines => records.lines(body),
        Form::Json => records.values(body)?,
        Form::Text => records.text(body),
    };
    done.map_err(|malformed| unreadable("logs", malformed))?;
    Ok(records.rows.finish())
}

struct Records<'r, 'f> {
    rows: Rows<'r>,
    resource: &'f [Field<'f>],
}

impl Records<'_, '_> {
    fn lines(&mut self, body: &[u8]) -> Read<()> {
        for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
            if !line.trim_ascii().is_empty() {
                let line = self.rows.outcome.text(line);
                self.record(line.trim_ascii(), || format!("line {}", index + 1))?;
            }
        }
        Ok(())
    }

    /// The outer error is of what is no JSON at all.
    fn values(&mut self, body: &[u8]) -> Result<Read<()>> {
        let unreadable = |source| unreadable_json("logs", &source);
        let mut number = 0;
        for value in serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>() {
            let value = value.map_err(unreadable)?.get();
            let mut take = |record: &str| {
                number += 1;
                self.record(record, || format!("record {number}"))
            };
            let mut stopped: Read<()> = Ok(());
            if value.starts_with('[') {
                let walked = fields::each_element(value, |record| {
                    stopped = take(record);
                    stopped.map_err(|Malformed(why)| Fault::new("stopped", why))
                });
                debug_assert_eq!(walked.is_ok(), stopped.is_ok(), "the list was read as JSON before");
            } else {
                stopped = take(value);
            }
            if stopped.is_err() {
                return Ok(stopped);
            }
        }
        Ok(Ok(()))
    }

    fn record(&mut self, record: &str, place: impl Fn() -> String) -> Read<()> {
        let said = Said { resource: self.resource, ..Said::default() };
        let done = match fields::read(record, Nesting::Kept, self.rows.rules.limits) {
            Ok(fields) => self.rows.document(record, &fields, &said, &place)?,
            Err(fault) => self.rows.outcome.spend(crate::outcome::ITEM_BYTES).map(|()| Err(fault))?,
        };
        if let Err(fault) = done {
            self.rows.outcome.reject(1, fault, place);
        }
        Ok(())
    }

    fn text(&mut self, body: &[u8]) -> Read<()> {
        let body = self.rows.outcome.text(body);
        let resource = self.resource;
        text::each(&body, self.rows.rules.limits.value_bytes_max, |entry| self.rows.entry(&entry, None, resource))
    }
}
