//! A bounds-checked reader and a small writer of the protobuf wire format.
//!
//! Refused: generated message types. They build a tree of owned strings for every request, only to be walked once.
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use std::fmt;

/// Bytes that are no protobuf message of the expected shape: the whole request is unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

pub(crate) type Read<T> = Result<T, Malformed>;

const TRUNCATED: Malformed = Malformed("the message ends in the middle of a field");
const WRONG_TYPE: Malformed = Malformed("a field has another wire type than its schema says");
/// Unknown groups are skipped as deep as the reference implementations do.
const GROUP_DEPTH_MAX: usize = 100;

/// One field's value as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
    /// A skipped group: no schema of ours has one.
    Group,
}

impl<'a> Value<'a> {
    pub(crate) fn varint(self) -> Read<u64> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(WRONG_TYPE),
        }
    }

    /// A `sint32` or `sint64`.
    pub(crate) fn zigzag(self) -> Read<i64> {
        self.varint().map(unzigzag)
    }

    pub(crate) fn fixed64(self) -> Read<u64> {
        match self {
            Self::Fixed64(value) => Ok(value),
            _ => Err(WRONG_TYPE),
        }
    }

    pub(crate) fn double(self) -> Read<f64> {
        self.fixed64().map(f64::from_bits)
    }

    pub(crate) fn fixed32(self) -> Read<u32> {
        match self {
            Self::Fixed32(value) => Ok(value),
            _ => Err(WRONG_TYPE),
        }
    }

    pub(crate) fn bytes(self) -> Read<&'a [u8]> {
        match self {
            Self::Bytes(value) => Ok(value),
            _ => Err(WRONG_TYPE),
        }
    }

    /// Appends a repeated varint, packed or not.
    pub(crate) fn varints(self, mut each: impl FnMut(u64)) -> Read<()> {
        if let Self::Bytes(bytes) = self {
            let mut reader = Reader::new(bytes);
            while !reader.rest.is_empty() {
                each(reader.varint()?);
            }
            return Ok(());
        }
        self.varint().map(each)
    }

    /// Appends a repeated `fixed64` or `double`, packed or not.
    pub(crate) fn fixed64s(self, mut each: impl FnMut(u64)) -> Read<()> {
        if let Self::Bytes(bytes) = self {
            let (words, rest) = bytes.as_chunks::<8>();
            words.iter().for_each(|word| each(u64::from_le_bytes(*word)));
            return if rest.is_empty() { Ok(()) } else { Err(TRUNCATED) };
        }
        self.fixed64().map(each)
    }
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Walks the fields of one message in the order in which they came.
#[derive(Clone, Default)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field's number and value; none at the end of the message.
    #[inline]
    pub(crate) fn next(&mut self) -> Read<Option<(u32, Value<'a>)>> {
        // What requests are made of: fields below 16 of less than 128 bytes, and times.
        if let [tag @ 8..0x80, rest @ ..] = self.rest {
            if tag & 7 == 2
                && let [len @ ..0x80, rest @ ..] = rest
                && let Some((bytes, rest)) = rest.split_at_checked(usize::from(*len))
            {
                self.rest = rest;
                return Ok(Some((u32::from(tag >> 3), Value::Bytes(bytes))));
            }
            if tag & 7 == 1
                && let Some((bytes, rest)) = rest.split_first_chunk()
            {
                self.rest = rest;
                return Ok(Some((u32::from(tag >> 3), Value::Fixed64(u64::from_le_bytes(*bytes)))));
            }
        }
        if self.rest.is_empty() { Ok(None) } else { self.any().map(Some) }
    }

    #[inline(never)]
    fn any(&mut self) -> Read<(u32, Value<'a>)> {
        let (number, wire_type) = self.tag()?;
        let value = match wire_type {
            3 => {
                self.skip_group(number)?;
                Value::Group
            }
            4 => return Err(Malformed("a group ends that never began")),
            _ => self.value(wire_type)?,
        };
        Ok((number, value))
    }

    #[inline]
    fn tag(&mut self) -> Read<(u32, u32)> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Malformed("a field number is over 2^29"))?;
        match tag >> 3 {
            0 => Err(Malformed("a field has the number 0")),
            number => Ok((number, tag & 7)),
        }
    }

    #[inline]
    fn value(&mut self, wire_type: u32) -> Read<Value<'a>> {
        Ok(match wire_type {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| TRUNCATED)?;
                let (bytes, rest) = self.rest.split_at_checked(len).ok_or(TRUNCATED)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Malformed("a field has an unknown wire type")),
        })
    }

    fn skip_group(&mut self, number: u32) -> Read<()> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            match self.tag()? {
                (number, 3) if open.len() < GROUP_DEPTH_MAX => open.push(number),
                (_, 3) => return Err(Malformed("groups are nested too deep")),
                (number, 4) if number == innermost => drop(open.pop()),
                (_, 4) => return Err(Malformed("a group ends with another number than it began")),
                (_, wire_type) => drop(self.value(wire_type)?),
            }
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*array)
    }

    #[inline]
    fn varint(&mut self) -> Read<u64> {
        // Tags and most lengths.
        match self.rest {
            [byte @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [first, second @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(first & 0x7f) | u64::from(*second) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Read<u64> {
        let mut value = 0;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                if index == 9 && *byte > 1 {
                    return Err(Malformed("a varint is over 64 bits"));
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { TRUNCATED } else { Malformed("a varint is over ten bytes") })
    }
}

/// A varint and what follows it.
#[inline]
pub(crate) fn varint(bytes: &[u8]) -> Read<(u64, &[u8])> {
    let mut reader = Reader::new(bytes);
    Ok((reader.varint()?, reader.rest))
}

/// Writes the messages that we answer with, and those that JSON is turned into.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

/// What a length takes that is written before it is known: five times seven bits.
const LEN_BYTES: usize = 5;

impl Writer {
    fn tag(&mut self, number: u32, wire_type: u32) {
        self.raw_varint(u64::from(number << 3 | wire_type));
    }

    pub(crate) fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(crate) fn varint(&mut self, number: u32, value: u64) {
        self.tag(number, 0);
        self.raw_varint(value);
    }

    pub(crate) fn zigzag(&mut self, number: u32, value: i64) {
        self.varint(number, (value << 1 ^ value >> 63).cast_unsigned());
    }

    pub(crate) fn fixed64(&mut self, number: u32, value: u64) {
        self.tag(number, 1);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn fixed32(&mut self, number: u32, value: u32) {
        self.tag(number, 5);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, number: u32, value: &[u8]) {
        self.tag(number, 2);
        self.raw_varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Begins a nested message whose length is not known yet; hand the answer to [`Self::close`].
    pub(crate) fn open(&mut self, number: u32) -> usize {
        self.tag(number, 2);
        self.bytes.extend_from_slice(&[0x80, 0x80, 0x80, 0x80, 0]);
        self.bytes.len()
    }

    /// Ends the nested message that began at `start`. Its length is a varint padded to five bytes, which every reader accepts.
    pub(crate) fn close(&mut self, start: usize) {
        let mut len = self.bytes.len() - start;
        for (index, byte) in self.bytes[start - LEN_BYTES..start].iter_mut().enumerate() {
            let more = if index + 1 < LEN_BYTES { 0x80 } else { 0 };
            *byte = (len & 0x7f) as u8 | more;
            len >>= 7;
        }
        assert_eq!(len, 0, "a nested message is under 32 GiB: decompressed_bytes_max sees to it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::default();
        writer.varint(1, u64::MAX);
        writer.zigzag(2, -3);
        writer.fixed64(3, 7);
        let start = writer.open(4);
        writer.bytes(5, b"text");
        writer.close(start);
        writer.fixed32(6, 9);
        let mut reader = Reader::new(&writer.bytes);
        let mut next = || reader.next().expect("well formed");
        assert_eq!(next(), Some((1, Value::Varint(u64::MAX))));
        assert_eq!(next().map(|(_, value)| value.zigzag()), Some(Ok(-3)));
        assert_eq!(next(), Some((3, Value::Fixed64(7))));
        let Some((4, Value::Bytes(nested))) = next() else { panic!("a message") };
        assert_eq!(Reader::new(nested).next(), Ok(Some((5, Value::Bytes(b"text")))));
        assert_eq!(next(), Some((6, Value::Fixed32(9))));
        assert_eq!(next(), None);
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let refuse = |bytes: &[u8]| Reader::new(bytes).next().expect_err("malformed");
        assert_eq!(refuse(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]), TRUNCATED);
        assert_eq!(refuse(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), TRUNCATED);
        assert_eq!(refuse(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).0, "a varint is over 64 bits");
        assert_eq!(refuse(&[0x08, 0x80]), TRUNCATED);
        assert_eq!(refuse(&[0x09, 1, 2]), TRUNCATED);
        assert_eq!(refuse(&[0x00, 1]).0, "a field has the number 0");
        assert_eq!(refuse(&[0x0e]).0, "a field has an unknown wire type");
        assert_eq!(refuse(&[0x0c]).0, "a group ends that never began");
        assert_eq!(refuse(&[0x0b; 200]).0, "groups are nested too deep");
    }

    #[test]
    fn unknown_groups_are_skipped_and_packed_is_optional() {
        let mut reader = Reader::new(&[0x0b, 0x10, 1, 0x0c, 0x10, 5]);
        assert_eq!(reader.next(), Ok(Some((1, Value::Group))));
        assert_eq!(reader.next(), Ok(Some((2, Value::Varint(5)))));
        let mut seen = Vec::new();
        Value::Bytes(&[1, 0x80, 1]).varints(|value| seen.push(value)).expect("packed");
        Value::Varint(3).varints(|value| seen.push(value)).expect("single");
        assert_eq!(seen, [1, 128, 3]);
        assert_eq!(Value::Bytes(&[0; 9]).fixed64s(|_| {}), Err(TRUNCATED));
    }
}
