//! Rows as a frame holds them before they are compressed.
//!
//! What is alike stands together: of each column its nulls, then the lengths of its texts, byte by byte of all rows, then the texts;
//! ids are bytes and not digits. zstd reads half of what Arrow's IPC stream has, of which offsets, times and ids were most.
//! `docs/formats/wal.md` says it byte by byte.
//!
//! Each array takes at least a bit for each of its entries: damage cannot ask for arrays that are longer than the stream has bits.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, MapArray, RecordBatch,
    RecordBatchOptions, StringArray, StructArray, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int32Type, Int64Type, Schema};
use model::{Code, Error, Result};

use crate::varint::{self, unzigzag, zigzag};

/// Whether an array has nulls.
const NO_NULLS: u8 = 0;
const NULLS: u8 = 1;
/// What texts are: as they are, or two digits a byte.
const PLAIN: u8 = 0;
const HEX: u8 = 1;
/// Texts are looked at so many bytes at a time.
const LOOK_BYTES: usize = 64;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The types that columns have.
const BOOLEAN: u8 = 0;
const INT: u8 = 1;
const LONG: u8 = 2;
const DOUBLE: u8 = 3;
const TEXT: u8 = 4;
const STRUCT: u8 = 5;
const LIST: u8 = 6;
const MAP: u8 = 7;
const DICTIONARY: u8 = 8;
/// Added to the type of a field that may be null.
const NULLABLE: u8 = 0x80;
/// Types are not nested more deeply.
const DEPTH_MAX: usize = 16;

/// Appends the rows.
pub(super) fn encode(records: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
    let mut encoder = Encoder { out, numbers: Vec::with_capacity(records.num_rows()) };
    encoder.fields(records.schema_ref().fields())?;
    varint::push(encoder.out, records.num_rows() as u64);
    records.columns().iter().try_for_each(|column| encoder.array(column))
}

fn unknown(kind: &DataType) -> Error {
    Error::internal(format!("cannot log rows with a column of type {kind}"))
}

struct Encoder<'o> {
    out: &'o mut Vec<u8>,
    numbers: Vec<u64>,
}

impl Encoder<'_> {
    fn fields(&mut self, fields: &Fields) -> Result<()> {
        varint::push(self.out, fields.len() as u64);
        fields.iter().try_for_each(|field| self.field(field))
    }

    fn field(&mut self, field: &Field) -> Result<()> {
        self.kind(field.data_type(), field.is_nullable())?;
        varint::push(self.out, field.name().len() as u64);
        self.out.extend_from_slice(field.name().as_bytes());
        Ok(())
    }

    fn kind(&mut self, kind: &DataType, is_nullable: bool) -> Result<()> {
        let code = match kind {
            DataType::Boolean => BOOLEAN,
            DataType::Int32 => INT,
            DataType::Int64 => LONG,
            DataType::Float64 => DOUBLE,
            DataType::Utf8 => TEXT,
            DataType::Struct(_) => STRUCT,
            DataType::List(_) => LIST,
            DataType::Map(_, false) => MAP,
            DataType::Dictionary(key, _) if **key == DataType::Int32 => DICTIONARY,
            other => return Err(unknown(other)),
        };
        self.out.push(code | if is_nullable { NULLABLE } else { 0 });
        match kind {
            DataType::Struct(fields) => self.fields(fields),
            DataType::List(of) | DataType::Map(of, _) => self.field(of),
            DataType::Dictionary(_, of) => self.kind(of, false),
            _ => Ok(()),
        }
    }

    fn array(&mut self, array: &ArrayRef) -> Result<()> {
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => self.out.push(NO_NULLS),
            Some(nulls) => {
                self.out.push(NULLS);
                self.bits(nulls.inner());
                if nulls.null_count() == array.len() && !array.data_type().is_nested() {
                    return Ok(());
                }
            }
        }
        match array.data_type() {
            DataType::Boolean => self.bits(array.as_boolean().values()),
            DataType::Int32 => self.small(array.as_primitive::<Int32Type>()),
            DataType::Int64 => self.large(array.as_primitive::<Int64Type>()),
            DataType::Float64 => {
                let values = array.as_primitive::<Float64Type>().values();
                values.iter().for_each(|value| self.out.extend_from_slice(&value.to_le_bytes()));
            }
            DataType::Utf8 => self.texts(array.as_string()),
            DataType::Struct(_) => array.as_struct().columns().iter().try_for_each(|column| self.array(column))?,
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let (start, length) = self.lengths(list.value_offsets());
                self.array(&list.values().slice(start, length))?;
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let (start, length) = self.lengths(map.value_offsets());
                let entries: ArrayRef = Arc::new(map.entries().slice(start, length));
                self.array(&entries)?;
            }
            DataType::Dictionary(key, _) if **key == DataType::Int32 => {
                let dictionary = array.as_dictionary::<Int32Type>();
                self.small(dictionary.keys());
                varint::push(self.out, dictionary.values().len() as u64);
                self.array(dictionary.values())?;
            }
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    fn bits(&mut self, bits: &BooleanBuffer) {
        let bytes = bits.sliced();
        self.out.extend_from_slice(&bytes.as_slice()[..bits.len().div_ceil(8)]);
    }

    fn small(&mut self, numbers: &Int32Array) {
        self.planes(numbers.values().iter().map(|number| u64::from(number.cast_unsigned())));
    }

    /// As differences: times hardly differ.
    fn large(&mut self, numbers: &Int64Array) {
        let mut last = 0_i64;
        match numbers.nulls() {
            None => self.planes(numbers.values().iter().map(|number| zigzag(number.wrapping_sub(std::mem::replace(&mut last, *number))))),
            Some(_) => self.planes(numbers.iter().map(|number| {
                let number = number.unwrap_or(last);
                zigzag(number.wrapping_sub(std::mem::replace(&mut last, number)))
            })),
        }
    }

    fn texts(&mut self, texts: &StringArray) {
        let (start, length) = self.lengths(texts.value_offsets());
        let data = &texts.value_data()[start..start + length];
        match is_hex(data) {
            true => {
                self.out.push(HEX);
                let digit = |byte: u8| (byte & 0xf) + 9 * (byte >> 6);
                let (pairs, _) = data.as_chunks::<2>();
                self.out.extend(pairs.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)));
            }
            false => {
                self.out.push(PLAIN);
                self.out.extend_from_slice(data);
            }
        }
    }

    /// Gives where what they are lengths of begins, and how long it is.
    fn lengths(&mut self, offsets: &[i32]) -> (usize, usize) {
        self.planes(offsets.windows(2).map(|pair| u64::from((pair[1] - pair[0]).cast_unsigned())));
        let at = |offset: Option<&i32>| offset.map_or(0, |offset| *offset as usize);
        (at(offsets.first()), at(offsets.last()) - at(offsets.first()))
    }

    /// How many bytes the largest has, and the lowest byte of each, the next of each, up to the highest.
    fn planes(&mut self, numbers: impl Iterator<Item = u64>) {
        self.numbers.clear();
        self.numbers.extend(numbers);
        let all = self.numbers.iter().fold(0, |all, number| all | number);
        let count = 8 - (all | 1).leading_zeros() / 8;
        self.out.push(count as u8);
        for plane in 0..count {
            self.out.extend(self.numbers.iter().map(|number| (number >> (8 * plane)) as u8));
        }
    }
}

/// Whether a text is such that two of its bytes are one.
fn is_hex(text: &[u8]) -> bool {
    let digit = |byte: &u8| byte.wrapping_sub(b'0') < 10 || byte.wrapping_sub(b'a') < 6;
    !text.is_empty()
        && text.len().is_multiple_of(2)
        && text.chunks(LOOK_BYTES).all(|part| part.iter().fold(true, |all, byte| all & digit(byte)))
}

/// The rows, from a stream of nothing else.
pub(super) fn decode(stream: &[u8]) -> Result<RecordBatch> {
    let mut decoder = Decoder { rest: stream };
    let schema = Arc::new(Schema::new(decoder.fields(0)?));
    let rows = decoder.number()?;
    let columns = schema.fields().iter().map(|field| decoder.array(field.data_type(), rows)).collect::<Result<Vec<_>>>()?;
    if !decoder.rest.is_empty() {
        return Err(damaged("what stands behind the last column"));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(|error| damaged("its columns").because(error))
}

fn damaged(what: &str) -> Error {
    Error::new(Code::Corrupt, format!("cannot decode logged rows by {what}"))
}

struct Decoder<'s> {
    rest: &'s [u8],
}

impl<'s> Decoder<'s> {
    fn number(&mut self) -> Result<usize> {
        let number = varint::take(&mut self.rest).and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| damaged("a number that is cut"))
    }

    fn take(&mut self, bytes: usize) -> Result<&'s [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or_else(|| damaged("an end that comes too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn fields(&mut self, depth: usize) -> Result<Fields> {
        let count = self.number()?;
        if count > self.rest.len() {
            return Err(damaged("how many fields it has"));
        }
        (0..count).map(|_| self.field(depth)).collect()
    }

    fn field(&mut self, depth: usize) -> Result<Field> {
        let (kind, is_nullable) = self.kind(depth)?;
        let length = self.number()?;
        let name = str::from_utf8(self.take(length)?).map_err(|error| damaged("the name of a field").because(error))?;
        Ok(Field::new(name, kind, is_nullable))
    }

    fn kind(&mut self, depth: usize) -> Result<(DataType, bool)> {
        let code = self.byte()?;
        let kind = match code & !NULLABLE {
            _ if depth > DEPTH_MAX => return Err(damaged("the depth of its types")),
            BOOLEAN => DataType::Boolean,
            INT => DataType::Int32,
            LONG => DataType::Int64,
            DOUBLE => DataType::Float64,
            TEXT => DataType::Utf8,
            STRUCT => DataType::Struct(self.fields(depth + 1)?),
            LIST => DataType::List(Arc::new(self.field(depth + 1)?)),
            MAP => DataType::Map(Arc::new(self.field(depth + 1)?), false),
            DICTIONARY => DataType::Dictionary(Box::new(DataType::Int32), Box::new(self.kind(depth + 1)?.0)),
            _ => return Err(damaged("the type of a field")),
        };
        Ok((kind, code & NULLABLE != 0))
    }

    fn array(&mut self, kind: &DataType, length: usize) -> Result<ArrayRef> {
        if length.div_ceil(8) > self.rest.len() {
            return Err(damaged("an array that is longer than what is left"));
        }
        let nulls = match self.byte()? {
            NO_NULLS => None,
            NULLS => Some(NullBuffer::new(self.bits(length)?)),
            _ => return Err(damaged("the mark of nulls")),
        };
        if length > 0 && nulls.as_ref().is_some_and(|nulls| nulls.null_count() == length) && !kind.is_nested() {
            return Ok(new_null_array(kind, length));
        }
        let failed = |error| damaged("an array").because(error);
        Ok(match kind {
            DataType::Boolean => Arc::new(BooleanArray::new(self.bits(length)?, nulls)),
            DataType::Int32 => Arc::new(Int32Array::try_new(self.small(length)?, nulls).map_err(failed)?),
            DataType::Int64 => Arc::new(Int64Array::try_new(self.large(length)?, nulls).map_err(failed)?),
            DataType::Float64 => {
                let (eights, _) = self.take(length.saturating_mul(8))?.as_chunks::<8>();
                let values: ScalarBuffer<f64> = eights.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
                Arc::new(Float64Array::try_new(values, nulls).map_err(failed)?)
            }
            DataType::Utf8 => {
                let (offsets, bytes) = self.offsets(length)?;
                let data = self.text_bytes(bytes)?;
                Arc::new(StringArray::try_new(offsets, data, nulls).map_err(failed)?)
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().map(|field| self.array(field.data_type(), length)).collect::<Result<Vec<_>>>()?;
                Arc::new(StructArray::try_new(fields.clone(), columns, nulls).map_err(failed)?)
            }
            DataType::List(field) => {
                let (offsets, length) = self.offsets(length)?;
                Arc::new(ListArray::try_new(field.clone(), offsets, self.array(field.data_type(), length)?, nulls).map_err(failed)?)
            }
            DataType::Map(field, is_sorted) => {
                let (offsets, length) = self.offsets(length)?;
                let entries = self.array(field.data_type(), length)?;
                let entries = entries.as_struct_opt().ok_or_else(|| damaged("the entries of a map"))?.clone();
                Arc::new(MapArray::try_new(field.clone(), offsets, entries, nulls, *is_sorted).map_err(failed)?)
            }
            DataType::Dictionary(key, value) if **key == DataType::Int32 => {
                let keys = Int32Array::try_new(self.small(length)?, nulls).map_err(failed)?;
                let values = self.number()?;
                Arc::new(DictionaryArray::<Int32Type>::try_new(keys, self.array(value, values)?).map_err(failed)?)
            }
            _ => return Err(damaged("a column of a type that no table has")),
        })
    }

    fn bits(&mut self, length: usize) -> Result<BooleanBuffer> {
        let bytes = self.take(length.div_ceil(8))?;
        Ok(BooleanBuffer::new(Buffer::from(bytes), 0, length))
    }

    fn small(&mut self, length: usize) -> Result<ScalarBuffer<i32>> {
        let numbers = self.planes(length)?;
        Ok(numbers.into_iter().map(|number| (number as u32).cast_signed()).collect())
    }

    fn large(&mut self, length: usize) -> Result<ScalarBuffer<i64>> {
        let mut last = 0_i64;
        let numbers = self.planes(length)?.into_iter().map(|number| {
            last = last.wrapping_add(unzigzag(number));
            last
        });
        Ok(numbers.collect())
    }

    /// Where each of so many begins and ends, and how long all of them are.
    fn offsets(&mut self, length: usize) -> Result<(OffsetBuffer<i32>, usize)> {
        let mut end = 0_i32;
        let mut offsets = Vec::with_capacity(length + 1);
        offsets.push(end);
        for length in self.planes(length)? {
            let longer = i32::try_from(length).ok().and_then(|length| end.checked_add(length));
            end = longer.ok_or_else(|| damaged("lengths of over 2 GiB"))?;
            offsets.push(end);
        }
        Ok((OffsetBuffer::new(offsets.into()), end as usize))
    }

    fn text_bytes(&mut self, length: usize) -> Result<Buffer> {
        match self.byte()? {
            PLAIN => Ok(Buffer::from(self.take(length)?)),
            HEX => {
                let pairs = self.take(length / 2)?.iter().map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]);
                Ok(Buffer::from(pairs.collect::<Vec<_>>().into_flattened()))
            }
            _ => Err(damaged("what its texts are")),
        }
    }

    fn planes(&mut self, length: usize) -> Result<Vec<u64>> {
        let count = usize::from(self.byte()?);
        if !(1..=8).contains(&count) {
            return Err(damaged("how many bytes a number has"));
        }
        let bytes = self.take(count.saturating_mul(length))?;
        let mut numbers = vec![0; length];
        for plane in 0..count {
            let bytes = &bytes[plane * length..(plane + 1) * length];
            numbers.iter_mut().zip(bytes).for_each(|(number, byte)| *number |= u64::from(*byte) << (8 * plane));
        }
        Ok(numbers)
    }
}

/// Reads rows, and writes what it read.
#[cfg(fuzzing)]
pub fn read_and_write(stream: &[u8]) {
    let Ok(records) = decode(stream) else { return };
    let mut again = Vec::new();
    if encode(&records, &mut again).is_ok() {
        assert_eq!(decode(&again).expect("what was written is read").num_rows(), records.num_rows());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Builder, ListBuilder, StringBuilder};
    use arrow::datatypes::SchemaRef;
    use model::Table;
    use rand::rngs::StdRng;
    use rand::{Rng, RngExt, SeedableRng};

    /// An array of a type, of any values, with nulls where it may have some.
    fn random_array(random: &mut StdRng, field: &Field, length: usize) -> ArrayRef {
        let few = random.random_range(0..4);
        let has_null = |random: &mut StdRng| field.is_nullable() && (few == 3 || few > 0 && random.random_bool(0.3));
        let nulls: NullBuffer = (0..length).map(|_| !has_null(random)).collect();
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        let offsets = |random: &mut StdRng| {
            let lengths =
                (0..length).map(|row| if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) { 0 } else { random.random_range(0..4) });
            OffsetBuffer::<i32>::from_lengths(lengths.collect::<Vec<usize>>())
        };
        match field.data_type() {
            DataType::Boolean => Arc::new(BooleanArray::new((0..length).map(|_| random.random_bool(0.5)).collect(), nulls)),
            DataType::Int32 => Arc::new(Int32Array::new((0..length).map(|_| random.random_range(-3..300)).collect(), nulls)),
            DataType::Int64 => {
                let large = [0, 1, -1, i64::MAX, i64::MIN, 1_700_000_000_000_000_000];
                Arc::new(Int64Array::new((0..length).map(|_| large[random.random_range(0..large.len())]).collect(), nulls))
            }
            DataType::Float64 => Arc::new(Float64Array::new((0..length).map(|_| f64::from_bits(random.next_u64() >> 2)).collect(), nulls)),
            DataType::Utf8 => {
                let texts = [
                    ["", "0123456789abcdef", "00", "ffee"],
                    ["größe", "0", "ABCDEF", "lines of 64 bytes and more, of which the last one is no digit: 0"],
                ];
                let texts = texts[random.random_range(0..2)];
                let texts: StringArray = (0..length).map(|_| Some(texts[random.random_range(0..4)])).collect();
                let cleared = (0..length).map(|row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)).then(|| texts.value(row)));
                Arc::new(cleared.collect::<StringArray>())
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().map(|field| random_array(random, field, length)).collect();
                Arc::new(StructArray::new(fields.clone(), columns, nulls))
            }
            DataType::List(of) => {
                let offsets = offsets(random);
                let values = random_array(random, of, *offsets.last().unwrap() as usize);
                Arc::new(ListArray::new(of.clone(), offsets, values, nulls))
            }
            DataType::Map(of, _) => {
                let offsets = offsets(random);
                let entries = random_array(random, of, *offsets.last().unwrap() as usize);
                Arc::new(MapArray::new(of.clone(), offsets, entries.as_struct().clone(), nulls, false))
            }
            DataType::Dictionary(_, of) => {
                let values = random_array(random, &Field::new("", (**of).clone(), false), 5);
                let keys = (0..length).map(|_| random.random_range(0..5)).collect();
                Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::new(keys, None), values))
            }
            other => panic!("no table has a column of type {other}"),
        }
    }

    fn random_rows(random: &mut StdRng, schema: &SchemaRef, rows: usize) -> RecordBatch {
        let columns = schema.fields().iter().map(|field| random_array(random, field, rows)).collect();
        RecordBatch::try_new(schema.clone(), columns).unwrap()
    }

    #[test]
    fn rows_of_every_table_come_back() {
        let mut random = StdRng::seed_from_u64(7);
        for table in Table::ALL {
            for schema in [table.schema(), table.packed_schema()] {
                for rows in (0..9).chain([63, 64, 65, 300]) {
                    // Requests are cut into slices.
                    let records = random_rows(&mut random, &schema, rows + 5);
                    for records in [records.slice(3, rows), records] {
                        let mut stream = Vec::new();
                        encode(&records, &mut stream).unwrap();
                        assert_eq!(decode(&stream).unwrap(), records, "{table:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn damage_is_told_and_asks_for_no_memory() {
        let mut random = StdRng::seed_from_u64(8);
        for table in Table::ALL {
            let mut stream = Vec::new();
            encode(&random_rows(&mut random, &table.packed_schema(), 9), &mut stream).unwrap();
            for end in 0..stream.len() {
                assert_eq!(decode(&stream[..end]).unwrap_err().code, Code::Corrupt);
            }
            for _ in 0..5_000 {
                let mut damaged = stream.clone();
                let at = random.random_range(0..damaged.len());
                damaged[at] = random.random_range(0..=255);
                // It is damage or other rows: which of them is for the checksum to say.
                let _ = decode(&damaged);
            }
        }
    }

    /// Text under a null is none, whatever a list has there.
    #[test]
    fn what_a_null_hides_is_not_kept() {
        let mut lists = ListBuilder::new(Int32Builder::new());
        lists.append_value([Some(1), None, Some(3)]);
        lists.append(false);
        let mut texts = StringBuilder::new();
        texts.append_null();
        texts.append_value("abcd");
        let (lists, texts) = (lists.finish(), texts.finish());
        let fields = vec![Field::new("lists", lists.data_type().clone(), true), Field::new("texts", DataType::Utf8, true)];
        let records = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(lists), Arc::new(texts)]).unwrap();
        let mut stream = Vec::new();
        encode(&records, &mut stream).unwrap();
        assert_eq!(decode(&stream).unwrap(), records);
    }
}
