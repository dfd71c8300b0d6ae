//! A bounds-checked reader of Thrift's binary protocol.
//! Source: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-binary-protocol.md>.

use crate::protobuf::{Malformed, Read};

const TRUNCATED: Malformed = Malformed("the message ends in the middle of a field");
const WRONG_TYPE: Malformed = Malformed("a field has another type than its schema says");
const NEGATIVE: Malformed = Malformed("a length is below 0");
const UNKNOWN_TYPE: Malformed = Malformed("a field has an unknown type");
/// Unknown structures are skipped this deep.
const DEPTH_MAX: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Byte,
    Double,
    I16,
    I32,
    I64,
    Binary,
    Struct,
    Map,
    Set,
    List,
}

impl Type {
    fn of(number: u8) -> Read<Self> {
        Ok(match number {
            2 => Self::Bool,
            3 => Self::Byte,
            4 => Self::Double,
            6 => Self::I16,
            8 => Self::I32,
            10 => Self::I64,
            11 => Self::Binary,
            12 => Self::Struct,
            13 => Self::Map,
            14 => Self::Set,
            15 => Self::List,
            _ => return Err(UNKNOWN_TYPE),
        })
    }

    /// The fewest bytes that a value of it takes: what a list can hold is known before it is read.
    fn bytes_min(self) -> usize {
        match self {
            Self::Bool | Self::Byte | Self::Struct => 1,
            Self::I16 => 2,
            Self::I32 | Self::Binary => 4,
            Self::Double | Self::I64 => 8,
            Self::Set | Self::List => 5,
            Self::Map => 6,
        }
    }
}

/// A field's value. Structures and lists are the bytes that they take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Bool(bool),
    I32(i32),
    I64(i64),
    Double(f64),
    Binary(&'a [u8]),
    Struct(&'a [u8]),
    List(List<'a>),
    /// Of a type that no schema of ours has.
    Other,
}

impl<'a> Value<'a> {
    pub(super) fn bool(self) -> Read<bool> {
        if let Self::Bool(value) = self { Ok(value) } else { Err(WRONG_TYPE) }
    }

    pub(super) fn i32(self) -> Read<i32> {
        if let Self::I32(value) = self { Ok(value) } else { Err(WRONG_TYPE) }
    }

    pub(super) fn i64(self) -> Read<i64> {
        if let Self::I64(value) = self { Ok(value) } else { Err(WRONG_TYPE) }
    }

    pub(super) fn double(self) -> Read<f64> {
        if let Self::Double(value) = self { Ok(value) } else { Err(WRONG_TYPE) }
    }

    pub(super) fn bytes(self) -> Read<&'a [u8]> {
        if let Self::Binary(value) = self { Ok(value) } else { Err(WRONG_TYPE) }
    }

    pub(super) fn structure(self) -> Read<&'a [u8]> {
        if let Self::Struct(value) = self { Ok(value) } else { Err(WRONG_TYPE) }
    }

    /// The structures of a list.
    pub(super) fn structures(self) -> Read<Structures<'a>> {
        match self {
            Self::List(List { of: Type::Struct, len, bytes }) => Ok(Structures { left: len, reader: Reader::new(bytes) }),
            // Some writers give an empty list any type.
            Self::List(List { len: 0, .. }) => Ok(Structures { left: 0, reader: Reader::new(&[]) }),
            _ => Err(WRONG_TYPE),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct List<'a> {
    of: Type,
    len: usize,
    bytes: &'a [u8],
}

pub(super) struct Structures<'a> {
    left: usize,
    reader: Reader<'a>,
}

impl<'a> Structures<'a> {
    pub(super) fn next(&mut self) -> Read<Option<&'a [u8]>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.reader.taken(|reader| reader.skip(Type::Struct, DEPTH_MAX)).map(Some)
    }
}

/// Walks the fields of one structure.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field's number and value; none at the structure's end.
    pub(super) fn next(&mut self) -> Read<Option<(i16, Value<'a>)>> {
        let [kind] = self.array()?;
        if kind == 0 {
            return Ok(None);
        }
        let (kind, number) = (Type::of(kind)?, i16::from_be_bytes(self.array()?));
        let value = match kind {
            Type::Bool => Value::Bool(self.array::<1>()? != [0]),
            Type::I32 => Value::I32(i32::from_be_bytes(self.array()?)),
            Type::I64 => Value::I64(i64::from_be_bytes(self.array()?)),
            Type::Double => Value::Double(f64::from_be_bytes(self.array()?)),
            Type::Binary => Value::Binary(self.binary()?),
            Type::Struct => Value::Struct(self.taken(|reader| reader.skip(Type::Struct, DEPTH_MAX))?),
            Type::List => {
                let (of, len) = self.list()?;
                let bytes = self.taken(|reader| (0..len).try_for_each(|_| reader.skip(of, DEPTH_MAX)))?;
                Value::List(List { of, len, bytes })
            }
            other => {
                self.skip(other, DEPTH_MAX)?;
                Value::Other
            }
        };
        Ok(Some((number, value)))
    }

    /// What `walk` walks over.
    fn taken(&mut self, walk: impl FnOnce(&mut Self) -> Read<()>) -> Read<&'a [u8]> {
        let before = self.rest;
        walk(self)?;
        Ok(&before[..before.len() - self.rest.len()])
    }

    fn skip(&mut self, kind: Type, depth_left: usize) -> Read<()> {
        let depth_left = depth_left.checked_sub(1).ok_or(Malformed("structures are nested too deep"))?;
        match kind {
            Type::Bool | Type::Byte => self.array::<1>().map(drop),
            Type::I16 => self.array::<2>().map(drop),
            Type::I32 => self.array::<4>().map(drop),
            Type::I64 | Type::Double => self.array::<8>().map(drop),
            Type::Binary => self.binary().map(drop),
            Type::Struct => loop {
                let [kind] = self.array()?;
                if kind == 0 {
                    return Ok(());
                }
                self.array::<2>()?;
                self.skip(Type::of(kind)?, depth_left)?;
            },
            Type::Set | Type::List => {
                let (of, len) = self.list()?;
                (0..len).try_for_each(|_| self.skip(of, depth_left))
            }
            Type::Map => {
                let [key, value] = self.array()?;
                let len = usize::try_from(i32::from_be_bytes(self.array()?)).map_err(|_| NEGATIVE)?;
                if len == 0 {
                    return Ok(());
                }
                let (key, value) = (Type::of(key)?, Type::of(value)?);
                (0..len).try_for_each(|_| {
                    self.skip(key, depth_left)?;
                    self.skip(value, depth_left)
                })
            }
        }
    }

    fn list(&mut self) -> Read<(Type, usize)> {
        let ([kind], len) = (self.array()?, i32::from_be_bytes(self.array()?));
        let len = usize::try_from(len).map_err(|_| NEGATIVE)?;
        if len == 0 {
            return Ok((Type::Byte, 0));
        }
        let kind = Type::of(kind)?;
        if len > self.rest.len() / kind.bytes_min() { Err(TRUNCATED) } else { Ok((kind, len)) }
    }

    fn binary(&mut self) -> Read<&'a [u8]> {
        let len = usize::try_from(i32::from_be_bytes(self.array()?)).map_err(|_| NEGATIVE)?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: Read<Option<(i16, Value<'_>)>>) {
        assert_eq!(Reader::new(bytes).next(), expect, "{bytes:x?}");
    }

    #[test]
    fn fields_are_read() {
        check(&[0], Ok(None));
        check(&[2, 0, 5, 1], Ok(Some((5, Value::Bool(true)))));
        check(&[8, 0, 1, 0xff, 0xff, 0xff, 0xff], Ok(Some((1, Value::I32(-1)))));
        check(&[11, 0, 1, 0, 0, 0, 2, b'a', b'b'], Ok(Some((1, Value::Binary(b"ab")))));
        check(&[12, 0, 1, 10, 0, 9, 0, 0, 0, 0, 0, 0, 0, 7, 0], Ok(Some((1, Value::Struct(&[10, 0, 9, 0, 0, 0, 0, 0, 0, 0, 7, 0])))));
        check(&[13, 0, 1, 3, 3, 0, 0, 0, 1, 5, 6], Ok(Some((1, Value::Other))));
        let mut reader = Reader::new(&[15, 0, 1, 12, 0, 0, 0, 2, 0, 3, 0, 1, 9, 0, 0]);
        let mut list = reader.next().expect("a list").expect("a field").1.structures().expect("structures");
        assert_eq!((list.next(), list.next(), list.next()), (Ok(Some(&[0][..])), Ok(Some(&[3, 0, 1, 9, 0][..])), Ok(None)));
        assert_eq!(reader.next(), Ok(None));
    }

    #[test]
    fn hostile_bytes_are_refused() {
        check(&[], Err(TRUNCATED));
        check(&[1, 0, 1, 0], Err(UNKNOWN_TYPE));
        check(&[11, 0, 1, 0xff, 0xff, 0xff, 0xff], Err(NEGATIVE));
        check(&[11, 0, 1, 0x7f, 0xff, 0xff, 0xff, b'a'], Err(TRUNCATED));
        check(&[15, 0, 1, 3, 0x7f, 0xff, 0xff, 0xff, 1, 2], Err(TRUNCATED));
        let deep: Vec<u8> = [12, 0, 1].repeat(100);
        check(&deep, Err(Malformed("structures are nested too deep")));
    }
}
