//! OTLP JSON to OTLP protobuf, so that one decoder gives both their meaning: equal requests make equal batches by
//! construction. JSON is the slow way in any case; the extra pass over protobuf is a few percent of parsing it.
//! Refused: a second decoder over parsed JSON, which would have to be kept equal by tests alone.
//! Source: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use model::{Code, Error, ReceiveLimits, Result};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use super::schema::{Field, Kind, Message};
use crate::outcome::{shortened, unreadable_json};
use crate::protobuf::Writer;

const ANY_PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);
/// Stands for an id that is no hex: no id has one byte, so the decoder refuses the record and not the request.
const NO_ID: &[u8] = &[0];

/// The same request in protobuf. serde_json bounds the nesting at 128. JSON of many small things is shorter than its protobuf,
/// which is therefore held to `decompressed_bytes_max` as well.
pub(super) fn to_protobuf(body: &[u8], message: &'static Message, limits: &ReceiveLimits) -> Result<Vec<u8>> {
    let max = limits.decompressed_bytes_max;
    let mut writer = Writer::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = MessageSeed { message, bytes_max: max, writer: &mut writer }.deserialize(&mut json).and_then(|()| json.end());
    match parsed {
        Ok(()) => Ok(writer.bytes),
        Err(_) if writer.bytes.len() > max => {
            Err(Error::new(Code::TooLarge, format!("cannot accept body: as protobuf it is over decompressed_bytes_max, {max} bytes")))
        }
        Err(source) => Err(unreadable_json("OTLP JSON", &source)),
    }
}

struct MessageSeed<'w> {
    message: &'static Message,
    bytes_max: usize,
    writer: &'w mut Writer,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(KeySeed { message: self.message })? {
            match field {
                Some(field) => {
                    let bytes_max = self.bytes_max;
                    map.next_value_seed(FieldSeed { field, in_list: false, bytes_max, writer: &mut *self.writer })?;
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Finds a key's field without keeping the key.
struct KeySeed {
    message: &'static Message,
}

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.message.field(key))
    }
}

/// One value, or a list of values of a repeated field.
struct FieldSeed<'w> {
    field: &'static Field,
    in_list: bool,
    bytes_max: usize,
    writer: &'w mut Writer,
}

impl FieldSeed<'_> {
    /// A number of any integer field. A time that does not fit saturates, and is refused with its record.
    fn integer<E: serde::de::Error>(self, value: i128) -> Result<(), E> {
        let number = self.field.number;
        let name = self.field.name;
        let unfit = |rule: &str| E::custom(format_args!("{name} cannot be {value}: send {rule}"));
        let signed = || i64::try_from(value).map_err(|_| unfit("an integer of 64 bits"));
        let unsigned = || u64::try_from(value).map_err(|_| unfit("an integer from 0, of 64 bits"));
        let short = || u32::try_from(value).map_err(|_| unfit("an integer from 0, of 32 bits"));
        match self.field.kind {
            Kind::Int => self.writer.varint(number, signed()?.cast_unsigned()),
            Kind::Uint32 => self.writer.varint(number, u64::from(short()?)),
            Kind::Uint64 => self.writer.varint(number, unsigned()?),
            Kind::Enum(_) | Kind::Zigzag => {
                let value = i32::try_from(value).map_err(|_| unfit("an integer of 32 bits"))?;
                match self.field.kind {
                    Kind::Zigzag => self.writer.zigzag(number, i64::from(value)),
                    _ => self.writer.varint(number, i64::from(value).cast_unsigned()),
                }
            }
            Kind::Fixed64 => self.writer.fixed64(number, unsigned()?),
            Kind::Sfixed64 => self.writer.fixed64(number, signed()?.cast_unsigned()),
            Kind::Fixed32 => self.writer.fixed32(number, short()?),
            Kind::Time => self.writer.fixed64(number, u64::try_from(value).unwrap_or(u64::MAX)),
            Kind::Double => self.writer.fixed64(number, (value as f64).to_bits()),
            _ => return Err(self.wrong(Unexpected::Other("a number"))),
        }
        Ok(())
    }

    fn wrong<E: serde::de::Error>(&self, found: Unexpected<'_>) -> E {
        E::custom(format_args!("{} cannot be {found}", self.field.name))
    }

    fn wrong_text<E: serde::de::Error>(&self, text: &str) -> E {
        self.wrong(Unexpected::Other(&format!("text {}", shortened(text))))
    }

    fn text<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let number = self.field.number;
        match &self.field.kind {
            Kind::Text => self.writer.bytes(number, text.as_bytes()),
            Kind::Id => self.writer.bytes(number, &from_hex(text).unwrap_or_else(|| NO_ID.to_vec())),
            Kind::Bytes => {
                let bytes = BASE64.decode(text).or_else(|_| BASE64_URL.decode(text));
                self.writer.bytes(number, &bytes.map_err(|_| self.wrong(Unexpected::Other("text that is not base64")))?);
            }
            Kind::Double => {
                // Rust reads "inf" and "nan" too, and in any case; JSON has three names for what it cannot write.
                let value = match text {
                    "NaN" => f64::NAN,
                    "Infinity" => f64::INFINITY,
                    "-Infinity" => f64::NEG_INFINITY,
                    text if text.bytes().all(|byte| b"+-.eE0123456789".contains(&byte)) => {
                        text.parse().map_err(|_| self.wrong_text(text))?
                    }
                    text => return Err(self.wrong_text(text)),
                };
                self.writer.fixed64(number, value.to_bits());
            }
            Kind::Enum(names) => {
                let name = text.strip_prefix(names.prefix).unwrap_or(text);
                match (names.names.iter().position(|other| *other == name), text.parse()) {
                    (Some(value), _) => self.writer.varint(number, value as u64),
                    (None, Ok(value)) => return self.integer(value),
                    (None, Err(_)) => return Err(self.wrong_text(text)),
                }
            }
            Kind::Bool | Kind::Message(_) => return Err(self.wrong_text(text)),
            Kind::Int | Kind::Uint32 | Kind::Uint64 | Kind::Zigzag | Kind::Fixed64 | Kind::Sfixed64 | Kind::Fixed32 | Kind::Time => {
                match text.parse() {
                    Ok(value) => return self.integer(value),
                    Err(_) => return Err(self.wrong_text(text)),
                }
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        if self.writer.bytes.len() > self.bytes_max {
            return Err(D::Error::custom("it is too large"));
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of {}", self.field.name)
    }

    /// Null is an absent field.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => self.writer.varint(self.field.number, u64::from(value)),
            _ => return Err(self.wrong(Unexpected::Bool(value))),
        }
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.integer(i128::from(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.integer(i128::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.writer.fixed64(self.field.number, value.to_bits()),
            _ if value.fract() == 0.0 => return self.integer(value as i128),
            _ => return Err(self.wrong(Unexpected::Float(value))),
        }
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { field, in_list, bytes_max, writer } = self;
        if in_list {
            return Err(A::Error::custom(format_args!("{} cannot be a list of lists", field.name)));
        }
        while list.next_element_seed(FieldSeed { field, in_list: true, bytes_max, writer: &mut *writer })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else { return Err(self.wrong(Unexpected::Map)) };
        let start = self.writer.open(self.field.number);
        MessageSeed { message, bytes_max: self.bytes_max, writer: &mut *self.writer }.visit_map(map)?;
        self.writer.close(start);
        Ok(())
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()).collect()
}
