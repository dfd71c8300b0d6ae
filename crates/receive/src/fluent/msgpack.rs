//! Reads MessagePack. Nothing is allocated for what a length only claims, and nothing recurses deeper than it is told.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::protobuf::{Malformed, Read};

const TRUNCATED: Malformed = Malformed("it ends in the middle of a value");
const TOO_DEEP: Malformed = Malformed("a value is nested deeper than depth_max");

/// A value, or the head of a list or a map: their members follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Item<'b> {
    Nil,
    Bool(bool),
    Int(i64),
    /// Over `i64::MAX`.
    Large(u64),
    Float(f32),
    Double(f64),
    Text(&'b [u8]),
    Bytes(&'b [u8]),
    Extension(i8, &'b [u8]),
    List(u32),
    Map(u32),
}

impl Item<'_> {
    fn members(self) -> u64 {
        match self {
            Self::List(len) => len.into(),
            Self::Map(len) => 2 * u64::from(len),
            _ => 0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'b> {
    pub(super) rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, len: usize) -> Read<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number of so many bytes, the most significant first.
    fn number(&mut self, len: usize) -> Read<u64> {
        Ok(self.take(len)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn len(&mut self, len: usize) -> Read<usize> {
        usize::try_from(self.number(len)?).map_err(|_| TRUNCATED)
    }

    fn count(&mut self, len: usize) -> Read<u32> {
        u32::try_from(self.number(len)?).map_err(|_| TRUNCATED)
    }

    fn extension(&mut self, len: usize) -> Read<Item<'b>> {
        let kind = self.number(1)?.to_be_bytes()[7].cast_signed();
        Ok(Item::Extension(kind, self.take(len)?))
    }

    pub(super) fn next(&mut self) -> Read<Item<'b>> {
        let signed = |number: u64, bits: u32| (number << (64 - bits)).cast_signed() >> (64 - bits);
        let head = self.take(1)?[0];
        Ok(match head {
            0x00..=0x7f => Item::Int(head.into()),
            0x80..=0x8f => Item::Map((head & 0x0f).into()),
            0x90..=0x9f => Item::List((head & 0x0f).into()),
            0xa0..=0xbf => Item::Text(self.take(usize::from(head & 0x1f))?),
            0xc0 => Item::Nil,
            0xc1 => return Err(Malformed("a byte is no MessagePack")),
            0xc2 | 0xc3 => Item::Bool(head == 0xc3),
            0xc4..=0xc6 => {
                let len = self.len(1 << (head - 0xc4))?;
                Item::Bytes(self.take(len)?)
            }
            0xc7..=0xc9 => {
                let len = self.len(1 << (head - 0xc7))?;
                self.extension(len)?
            }
            0xca => Item::Float(f32::from_bits(self.count(4)?)),
            0xcb => Item::Double(f64::from_bits(self.number(8)?)),
            0xcc..=0xcf => {
                let number = self.number(1 << (head - 0xcc))?;
                i64::try_from(number).map_or(Item::Large(number), Item::Int)
            }
            0xd0..=0xd3 => Item::Int(signed(self.number(1 << (head - 0xd0))?, 8 << (head - 0xd0))),
            0xd4..=0xd8 => self.extension(1 << (head - 0xd4))?,
            0xd9..=0xdb => {
                let len = self.len(1 << (head - 0xd9))?;
                Item::Text(self.take(len)?)
            }
            0xdc | 0xdd => Item::List(self.count(2 << (head - 0xdc))?),
            0xde | 0xdf => Item::Map(self.count(2 << (head - 0xde))?),
            0xe0..=0xff => Item::Int(head.cast_signed().into()),
        })
    }

    /// The bytes of the next value, whatever it is.
    pub(super) fn whole(&mut self, depth_max: usize) -> Read<&'b [u8]> {
        let end = Scanner::new(depth_max).scan(self.rest)?.ok_or(TRUNCATED)?;
        self.take(end)
    }

    /// Appends the next value as JSON. What JSON cannot say is a text: bytes in base64, numbers that are none by their names.
    /// Answers whether some text was no UTF-8.
    pub(super) fn write_json(&mut self, out: &mut Vec<u8>, depth_left: usize) -> Read<bool> {
        let item = self.next()?;
        let deeper = if item.members() > 0 { depth_left.checked_sub(1).ok_or(TOO_DEEP)? } else { 0 };
        let mut repaired = false;
        match item {
            Item::List(len) => {
                out.push(b'[');
                for index in 0..len {
                    out.extend((index > 0).then_some(b','));
                    repaired |= self.write_json(out, deeper)?;
                }
                out.push(b']');
            }
            Item::Map(len) => {
                out.push(b'{');
                for index in 0..len {
                    out.extend((index > 0).then_some(b','));
                    repaired |= self.write_name(out)?;
                    out.push(b':');
                    repaired |= self.write_json(out, deeper)?;
                }
                out.push(b'}');
            }
            scalar => repaired = write_scalar(scalar, out),
        }
        Ok(repaired)
    }

    fn write_name(&mut self, out: &mut Vec<u8>) -> Read<bool> {
        match self.next()? {
            Item::List(_) | Item::Map(_) => Err(Malformed("a field's name is a list or a map")),
            Item::Text(text) | Item::Bytes(text) => Ok(write_text(text, out)),
            other => {
                let mut name = Vec::new();
                write_scalar(other, &mut name);
                Ok(write_text(String::from_utf8_lossy(&name).trim_matches('"').as_bytes(), out))
            }
        }
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) -> bool {
    let lossy = String::from_utf8_lossy(text);
    serde_json::to_writer(out, &*lossy).expect("text is JSON");
    matches!(lossy, std::borrow::Cow::Owned(_))
}

fn write_scalar(item: Item<'_>, out: &mut Vec<u8>) -> bool {
    match item {
        Item::Nil => out.extend_from_slice(b"null"),
        Item::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Item::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Item::Large(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Item::Float(value) if value.is_finite() => out.extend_from_slice(format!("{value:?}").as_bytes()),
        Item::Double(value) if value.is_finite() => out.extend_from_slice(format!("{value:?}").as_bytes()),
        Item::Float(value) => return write_text(value.to_string().as_bytes(), out),
        Item::Double(value) => return write_text(value.to_string().as_bytes(), out),
        Item::Text(text) => return write_text(text, out),
        // Ruby has one type for both, so that text arrives as bytes where nobody said its encoding.
        Item::Bytes(bytes) if std::str::from_utf8(bytes).is_ok() => return write_text(bytes, out),
        Item::Bytes(bytes) => return write_text(STANDARD.encode(bytes).as_bytes(), out),
        Item::Extension(..) => match event_time(item) {
            Some((seconds, nanos)) => out.extend_from_slice(format!("{seconds}.{nanos:09}").as_bytes()),
            None => {
                let Item::Extension(_, bytes) = item else { return false };
                return write_text(STANDARD.encode(bytes).as_bytes(), out);
            }
        },
        Item::List(_) => out.extend_from_slice(b"[]"),
        Item::Map(_) => out.extend_from_slice(b"{}"),
    }
    false
}

/// Seconds and nanoseconds of Fluentd's `EventTime`: extension 0. The seconds are signed where Fluent Bit marks groups.
pub(super) fn event_time(item: Item<'_>) -> Option<(i32, u32)> {
    let Item::Extension(0, &[a, b, c, d, e, f, g, h]) = item else { return None };
    Some((i32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])))
}

/// Finds where a value ends in bytes that are still coming, and looks at none of them twice.
#[derive(Debug)]
pub(super) struct Scanner {
    depth_max: usize,
    at: usize,
    /// Members that are still to come, of every list and map that is open.
    open: Vec<u64>,
}

impl Scanner {
    pub(super) fn new(depth_max: usize) -> Self {
        // One for the list that a message is, and one for that of its entries.
        Self { depth_max: depth_max + 4, at: 0, open: Vec::new() }
    }

    /// The end of the first value of the bytes, which have grown since the last call; none when it has not come whole.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Read<Option<usize>> {
        loop {
            let mut reader = Reader { rest: bytes.get(self.at..).unwrap_or_default() };
            let item = match reader.next() {
                Ok(item) => item,
                Err(TRUNCATED) => return Ok(None),
                Err(malformed) => return Err(malformed),
            };
            self.at = bytes.len() - reader.rest.len();
            match item.members() {
                0 => {}
                _ if self.open.len() >= self.depth_max => return Err(TOO_DEEP),
                members => {
                    self.open.push(members);
                    continue;
                }
            }
            while let Some(left) = self.open.last_mut() {
                *left -= 1;
                if *left > 0 {
                    break;
                }
                self.open.pop();
            }
            if self.open.is_empty() {
                return Ok(Some(std::mem::take(&mut self.at)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: &str) {
        let (mut out, mut reader) = (Vec::new(), Reader::new(bytes));
        reader.write_json(&mut out, 4).expect("well formed");
        assert_eq!((String::from_utf8_lossy(&out).as_ref(), reader.rest), (expect, &[][..]), "{}", bytes.escape_ascii());
        for len in 0..bytes.len() {
            assert_eq!(Scanner::new(4).scan(&bytes[..len]), Ok(None), "{len} bytes of {expect}");
            assert_eq!(Reader::new(&bytes[..len]).write_json(&mut Vec::new(), 4), Err(TRUNCATED), "{len} bytes of {expect}");
        }
        let mut scanner = Scanner::new(4);
        let found: Vec<_> = (1..=bytes.len()).filter_map(|len| scanner.scan(&bytes[..len]).expect("well formed")).collect();
        assert_eq!(found, [bytes.len()], "{expect}");
    }

    #[test]
    fn every_type_is_read() {
        check(b"\x05", "5");
        check(b"\xff", "-1");
        check(b"\xc0", "null");
        check(b"\xc3", "true");
        check(b"\xcc\xff", "255");
        check(b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615");
        check(b"\xd0\x80", "-128");
        check(b"\xd1\x80\x00", "-32768");
        check(b"\xd3\xff\xff\xff\xff\xff\xff\xff\xfe", "-2");
        check(b"\xca\x3d\xcc\xcc\xcd", "0.1");
        check(b"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", "1.0");
        check(b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", "\"NaN\"");
        check(b"\xa2hi", "\"hi\"");
        check(b"\xd9\x02hi", "\"hi\"");
        check(b"\xda\x00\x02hi", "\"hi\"");
        check(b"\xdb\x00\x00\x00\x02hi", "\"hi\"");
        check(b"\xc4\x02hi", "\"hi\"");
        check(b"\xc5\x00\x01\xff", "\"/w==\"");
        check(b"\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02", "1.000000002");
        check(b"\xd4\x05x", "\"eA==\"");
        check(b"\xc7\x01\x05x", "\"eA==\"");
        check(b"\x92\x01\x80", "[1,{}]");
        check(b"\xdc\x00\x01\x01", "[1]");
        check(b"\x82\xa1a\x91\x02\x07\xc2", "{\"a\":[2],\"7\":false}");
        check(b"\xdf\x00\x00\x00\x01\xc4\x01a\xa1\xff", "{\"a\":\"\u{fffd}\"}");
    }

    #[test]
    fn bombs_are_refused_before_they_take_anything() {
        let deep = vec![0x91; 1 << 20];
        assert_eq!(Scanner::new(4).scan(&deep), Err(TOO_DEEP));
        assert_eq!(Reader::new(&deep).write_json(&mut Vec::new(), 4), Err(TOO_DEEP));
        for claims in [b"\xdd\xff\xff\xff\xff".as_slice(), b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xffx"] {
            assert_eq!(Scanner::new(4).scan(claims), Ok(None));
            assert_eq!(Reader::new(claims).write_json(&mut Vec::new(), 4), Err(TRUNCATED));
        }
        assert!(Scanner::new(4).scan(b"\xc1").is_err());
        assert!(Reader::new(b"\x81\x90\x01").write_json(&mut Vec::new(), 4).is_err());
    }
}
