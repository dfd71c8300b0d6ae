//! OTLP's `AnyValue`, attributes, `Resource` and `InstrumentationScope`.

use std::fmt::{self, Write};

use base64::Engine;
use model::{AttributeType, AttributeValue, Attributes, AttributesBuilder, ReceiveLimits};

use crate::outcome::{ENTRY_BYTES, Fault, Outcome, Rules, shortened};
use crate::protobuf::{Malformed, Read, Reader};

/// An `AnyValue` with its parts still as bytes.
#[derive(Clone, Copy)]
pub(super) enum Any<'a> {
    Empty,
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    /// An `ArrayValue` message.
    Array(&'a [u8]),
    /// A `KeyValueList` message.
    Map(&'a [u8]),
}

impl<'a> Any<'a> {
    /// Of several members of the oneof the last counts, as protobuf has it.
    pub(super) fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut reader = Reader::new(bytes);
        let mut any = Self::Empty;
        while let Some((number, value)) = reader.next()? {
            any = match number {
                1 => Self::Text(value.bytes()?),
                2 => Self::Bool(value.varint()? != 0),
                3 => Self::Int(value.varint()?.cast_signed()),
                4 => Self::Double(value.double()?),
                5 => Self::Array(value.bytes()?),
                6 => Self::Map(value.bytes()?),
                7 => Self::Bytes(value.bytes()?),
                _ => continue,
            };
        }
        Ok(any)
    }
}

/// Bytes that cannot be read at all, or a value that is refused while its record is kept.
pub(super) enum Trouble {
    Malformed(Malformed),
    Fault(Fault),
}

impl From<Malformed> for Trouble {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Turns values into text within the limits; `text` is reused from value to value.
#[derive(Default)]
pub(super) struct Encoder {
    text: String,
}

impl Encoder {
    pub(super) fn encode<'s>(&'s mut self, any: Any<'s>, rules: &Rules<'_>, outcome: &mut Outcome) -> Result<AttributeValue<'s>, Trouble> {
        self.text.clear();
        let limits = rules.limits;
        let value = match any {
            Any::Text(bytes) | Any::Bytes(bytes) if bytes.len() > limits.value_bytes_max => {
                return Err(too_long(bytes.len(), limits.value_bytes_max).into());
            }
            Any::Empty => AttributeValue::Encoded(AttributeType::Empty, ""),
            Any::Bool(value) => AttributeValue::Bool(value),
            Any::Int(value) => AttributeValue::Int(value),
            Any::Double(value) => AttributeValue::Double(value),
            Any::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => AttributeValue::Text(text),
                Err(_) => {
                    self.text.push_str(&outcome.text(bytes));
                    AttributeValue::Text(&self.text)
                }
            },
            Any::Bytes(bytes) => {
                base64::engine::general_purpose::STANDARD.encode_string(bytes, &mut self.text);
                AttributeValue::Encoded(AttributeType::Bytes, &self.text)
            }
            Any::Array(values) => {
                write_array(values, limits, limits.depth_max, outcome, &mut self.text)?;
                AttributeValue::Encoded(AttributeType::Array, &self.text)
            }
            Any::Map(values) => {
                write_map(values, limits, limits.depth_max, outcome, &mut self.text)?;
                AttributeValue::Encoded(AttributeType::Map, &self.text)
            }
        };
        let max = limits.value_bytes_max;
        match value {
            AttributeValue::Text(text) | AttributeValue::Encoded(_, text) if text.len() > max => Err(too_long(text.len(), max).into()),
            value => Ok(value),
        }
    }
}

fn too_long(bytes: usize, max: usize) -> Fault {
    Fault::new("value_too_long", format!("the value has {bytes} bytes: value_bytes_max is {max}"))
}

fn deeper(depth_left: usize) -> Result<usize, Fault> {
    depth_left.checked_sub(1).ok_or_else(|| Fault::new("too_deep", "the value is nested deeper than depth_max: flatten it"))
}

/// `[{"intValue":"1"}]`, OTLP's own JSON.
fn write_array(bytes: &[u8], limits: &ReceiveLimits, depth_left: usize, outcome: &mut Outcome, out: &mut String) -> Result<(), Trouble> {
    let depth_left = deeper(depth_left)?;
    let mut reader = Reader::new(bytes);
    out.push('[');
    let mut comma = "";
    while let Some((number, value)) = reader.next()? {
        if number == 1 {
            out.push_str(comma);
            comma = ",";
            write_any(value.bytes()?, limits, depth_left, outcome, out)?;
        }
    }
    out.push(']');
    Ok(())
}

/// `[{"key":"a","value":{"intValue":"1"}}]`, OTLP's own JSON.
fn write_map(bytes: &[u8], limits: &ReceiveLimits, depth_left: usize, outcome: &mut Outcome, out: &mut String) -> Result<(), Trouble> {
    let depth_left = deeper(depth_left)?;
    let mut reader = Reader::new(bytes);
    out.push('[');
    let mut comma = "";
    while let Some((number, value)) = reader.next()? {
        if number == 1 {
            let (key, value) = read_key_value(value.bytes()?)?;
            write_out(out, format_args!("{comma}{{\"key\":"));
            comma = ",";
            check_room(key, limits, out)?;
            write_string(&outcome.text(key), out);
            out.push_str(",\"value\":");
            write_any(value.unwrap_or_default(), limits, depth_left, outcome, out)?;
            out.push('}');
        }
    }
    out.push(']');
    Ok(())
}

/// Looked at before each part is written: a value of a few bytes may be many as JSON, and is refused as soon as it is too long.
fn check_room(next: &[u8], limits: &ReceiveLimits, out: &str) -> Result<(), Fault> {
    let (bytes, max) = (out.len() + next.len(), limits.value_bytes_max);
    if bytes > max { Err(too_long(bytes, max)) } else { Ok(()) }
}

fn write_any(bytes: &[u8], limits: &ReceiveLimits, depth_left: usize, outcome: &mut Outcome, out: &mut String) -> Result<(), Trouble> {
    let any = Any::read(bytes)?;
    if let Any::Text(text) | Any::Bytes(text) = any {
        check_room(text, limits, out)?;
    }
    check_room(&[], limits, out)?;
    match any {
        Any::Empty => out.push_str("{}"),
        Any::Bool(value) => write_out(out, format_args!("{{\"boolValue\":{value}}}")),
        Any::Int(value) => write_out(out, format_args!("{{\"intValue\":\"{value}\"}}")),
        Any::Double(value) if value.is_finite() => write_out(out, format_args!("{{\"doubleValue\":{value}}}")),
        Any::Double(value) => {
            let name = if value.is_nan() { "NaN" } else { "Infinity" };
            let sign = if value == f64::NEG_INFINITY { "-" } else { "" };
            write_out(out, format_args!("{{\"doubleValue\":\"{sign}{name}\"}}"));
        }
        Any::Text(bytes) => {
            out.push_str("{\"stringValue\":");
            write_string(&outcome.text(bytes), out);
            out.push('}');
        }
        Any::Bytes(bytes) => {
            out.push_str("{\"bytesValue\":\"");
            base64::engine::general_purpose::STANDARD.encode_string(bytes, out);
            out.push_str("\"}");
        }
        Any::Array(values) => {
            out.push_str("{\"arrayValue\":{\"values\":");
            write_array(values, limits, depth_left, outcome, out)?;
            out.push_str("}}");
        }
        Any::Map(values) => {
            out.push_str("{\"kvlistValue\":{\"values\":");
            write_map(values, limits, depth_left, outcome, out)?;
            out.push_str("}}");
        }
    }
    Ok(())
}

fn write_out(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory cannot fail");
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("text is JSON"));
}

/// The key, and the `AnyValue` message when there is one.
pub(super) fn read_key_value(bytes: &[u8]) -> Read<(&[u8], Option<&[u8]>)> {
    let mut reader = Reader::new(bytes);
    let (mut key, mut any) = (&[][..], None);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => key = value.bytes()?,
            2 => any = Some(value.bytes()?),
            _ => {}
        }
    }
    Ok((key, any))
}

/// Takes the attributes of one owner: a record, a resource, a scope, an event, a link. What breaks a rule is dropped and
/// counted in `dropped`; the record stays.
pub(super) struct AttributeReader<'r, 'o> {
    pub(super) rules: &'r Rules<'r>,
    pub(super) outcome: &'o mut Outcome,
    pub(super) encoder: &'o mut Encoder,
    /// Taken or not: what is dropped costs as much to look at.
    seen: usize,
    pub(super) dropped: u64,
    /// What the attributes take so far.
    bytes: usize,
}

/// What a value's text takes; numbers are rounded up. A double is written without exponent: 5e-324 has 326 characters.
pub(super) fn text_bytes(value: &AttributeValue<'_>) -> usize {
    match value {
        AttributeValue::Text(text) | AttributeValue::Encoded(_, text) => text.len(),
        AttributeValue::Double(value) if *value != 0.0 && !(1e-5..1e16).contains(&value.abs()) => 328,
        AttributeValue::Bool(_) | AttributeValue::Int(_) | AttributeValue::Double(_) => 24,
    }
}

impl<'r, 'o> AttributeReader<'r, 'o> {
    pub(super) fn new(rules: &'r Rules<'r>, outcome: &'o mut Outcome, encoder: &'o mut Encoder) -> Self {
        Self { rules, outcome, encoder, seen: 0, dropped: 0, bytes: 0 }
    }

    /// Reads one `KeyValue`; `add` answers whether the key was new.
    fn read(&mut self, bytes: &[u8], field: impl FnOnce() -> String, add: impl FnOnce(&str, AttributeValue<'_>) -> bool) -> Read<()> {
        let (key, any) = read_key_value(bytes)?;
        let any = any.map_or(Ok(Any::Empty), Any::read)?;
        let max = self.rules.limits.attributes_max;
        self.outcome.spend(ENTRY_BYTES)?;
        self.seen += 1;
        if self.seen > max + 1 {
            self.dropped += 1;
            self.outcome.drop_alike("too_many_attributes");
            return Ok(());
        }
        if self.seen > max {
            return self.refuse(Fault::new("too_many_attributes", format!("attributes_max is {max}: the rest is dropped")), field);
        }
        let key = match std::str::from_utf8(key) {
            Ok("") => return self.refuse(Fault::new("invalid_attribute_name", "an attribute has an empty key: name it"), field),
            Ok(key) => key,
            Err(_) => return self.refuse(Fault::new("invalid_attribute_name", "an attribute's key is not UTF-8: send UTF-8"), field),
        };
        let encoded = self.encoder.encode(any, self.rules, self.outcome);
        if let Ok(value) = &encoded {
            let bytes = key.len() + text_bytes(value);
            self.outcome.spend(bytes)?;
            self.bytes += ENTRY_BYTES + bytes;
        }
        match encoded {
            Ok(value) if add(key, value) => {}
            Ok(_) => {
                let fault = Fault::new("duplicate_attribute", format!("attribute {} comes twice: the first is kept", shortened(key)));
                return self.refuse(fault, field);
            }
            Err(Trouble::Malformed(malformed)) => return Err(malformed),
            Err(Trouble::Fault(mut fault)) => {
                fault.why = format!("attribute {} is dropped: {}", shortened(key), fault.why);
                return self.refuse(fault, field);
            }
        }
        Ok(())
    }

    fn refuse(&mut self, fault: Fault, field: impl FnOnce() -> String) -> Read<()> {
        self.dropped += 1;
        self.outcome.reject(0, fault, field);
        Ok(())
    }

    pub(super) fn read_into(&mut self, bytes: &[u8], builder: &mut AttributesBuilder, field: impl FnOnce() -> String) -> Read<()> {
        self.read(bytes, field, |key, value| builder.push(key, value))
    }

    pub(super) fn read_aside(&mut self, bytes: &[u8], attributes: &mut Attributes, field: impl FnOnce() -> String) -> Read<()> {
        self.read(bytes, field, |key, value| attributes.add(key, value))
    }
}

/// `resourceLogs[0].scopeLogs[2]`, for messages: written when there is one.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) levels: [&'static str; 2],
    pub(super) resource: usize,
    pub(super) scope: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [resource_level, scope_level] = self.levels;
        write!(f, "{resource_level}[{}]", self.resource)?;
        self.scope.map_or(Ok(()), |scope| write!(f, ".{scope_level}[{scope}]"))
    }
}

/// A resource or scope, held aside to be copied onto its records.
#[derive(Default)]
pub(super) struct Owner {
    pub(super) attributes: Attributes,
    pub(super) name: String,
    pub(super) version: String,
    /// What a copy of it costs.
    pub(super) bytes: usize,
}

impl Owner {
    /// Becomes the message of that field number in its container, wherever among the other fields it stands.
    pub(super) fn read(
        &mut self,
        container: &[u8],
        kind: OwnerKind,
        rules: &Rules<'_>,
        outcome: &mut Outcome,
        encoder: &mut Encoder,
        place: Place,
    ) -> Read<()> {
        self.clear();
        let mut attributes = AttributeReader::new(rules, outcome, encoder);
        let mut reader = Reader::new(container);
        while let Some((number, value)) = reader.next()? {
            if number == 1 {
                self.merge(value.bytes()?, kind, &mut attributes, place)?;
            }
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.attributes.clear();
        self.name.clear();
        self.version.clear();
        self.bytes = 0;
    }

    fn merge(&mut self, bytes: &[u8], kind: OwnerKind, attributes: &mut AttributeReader<'_, '_>, place: Place) -> Read<()> {
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match (kind, number) {
                (OwnerKind::Resource, 1) => {
                    attributes.read_aside(value.bytes()?, &mut self.attributes, || format!("{place}.resource.attributes"))?;
                }
                (OwnerKind::Scope, 1) => attributes.outcome.text(value.bytes()?).as_ref().clone_into(&mut self.name),
                (OwnerKind::Scope, 2) => attributes.outcome.text(value.bytes()?).as_ref().clone_into(&mut self.version),
                (OwnerKind::Scope, 3) => {
                    attributes.read_aside(value.bytes()?, &mut self.attributes, || format!("{place}.scope.attributes"))?;
                }
                _ => {}
            }
        }
        self.bytes = attributes.bytes + self.name.len() + self.version.len();
        Ok(())
    }
}

#[derive(Clone, Copy)]
pub(super) enum OwnerKind {
    Resource,
    Scope,
}

/// An id as lower-case hex, on the stack.
#[derive(Clone, Copy)]
pub(super) struct Id {
    hex: [u8; 32],
    len: usize,
}

impl Id {
    pub(super) const NONE: Self = Self { hex: [0; 32], len: 0 };

    /// None when it has another length or is all zero, which OTLP calls invalid.
    pub(super) fn read(bytes: &[u8], len: usize) -> Option<Self> {
        if bytes.len() != len || bytes.iter().all(|byte| *byte == 0) {
            return None;
        }
        let mut hex = [0; 32];
        let (pairs, _) = hex.as_chunks_mut::<2>();
        pairs.iter_mut().zip(bytes).for_each(|(pair, byte)| *pair = DIGITS[usize::from(*byte)]);
        Some(Self { hex, len: 2 * len })
    }

    /// An id that a record can do without: absent when empty, absent and counted when invalid.
    pub(super) fn read_optional(bytes: &[u8], len: usize, outcome: &mut Outcome) -> Self {
        Self::read(bytes, len).unwrap_or_else(|| {
            if !bytes.is_empty() {
                outcome.repair("invalid_id");
            }
            Self::NONE
        })
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.hex[..self.len]).expect("hex digits are ASCII")
    }
}

/// The two digits of each byte.
const DIGITS: [[u8; 2]; 256] = {
    let (mut all, mut byte) = ([[0; 2]; 256], 0);
    while byte < 256 {
        all[byte] = [b"0123456789abcdef"[byte >> 4], b"0123456789abcdef"[byte & 15]];
        byte += 1;
    }
    all
};

pub(super) const TRACE_ID_BYTES: usize = 16;
pub(super) const SPAN_ID_BYTES: usize = 8;
