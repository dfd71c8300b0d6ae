//! Declared attributes of logs as files hold them: each in a typed column of its own, the others in the map.
//!
//! A value whose text the column gives back moves to it and leaves the map; whatever else is sent under the key stays where it
//! was. So that a row's attributes come back in their order and with their types, `attribute_order` says how the columns and
//! what the map has left follow each other. A program's lines mostly have the same, so it is next to nothing.
//!
//! Refused: to sort attributes by key, which needs no such column, but gives senders another record than they sent, and costs
//! every request; to keep declared values in the map as well, which costs them twice.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, MapArray, RecordBatch, StringArray,
    StringBuilder, StructArray, UInt32Array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use hashbrown::HashMap;
use model::schema::column;
use model::{AttributeType, Code, DeclaredField, DeclaredFields, Error, FieldType, FieldValue, Result};
use parquet::file::metadata::{KeyValue, ParquetMetaData};

use super::columns::with;

pub(crate) const MAP: &str = "attributes";
pub(crate) const TYPES: &str = "attribute_types";
pub(crate) const ORDER: &str = "attribute_order";

/// A column's metadata, in the Delta log and in files: the attribute's key.
pub(crate) const KEY: &str = "tyto.attribute";
/// The footer's key for declared attributes of which some value stayed in the map.
const LEFT_KEY: &str = "tyto.leftInMap";

/// Between two entries of an order. No column's name has one of these.
const SEPARATOR: char = ' ';
/// Before the letter of what the attribute was, where that is not the column's own type.
const TYPE: char = '=';
/// Before a number of entries of the map.
const FROM_MAP: char = '+';

/// What files have of a declared attribute.
pub(crate) fn file_field(field: &DeclaredField) -> Field {
    field.field().with_metadata([(KEY.to_owned(), field.key.clone())].into())
}

pub(crate) fn order_field() -> Field {
    Field::new(ORDER, DataType::Utf8, true)
}

/// The attribute's key, where it is a column of a declared one.
pub(crate) fn key_of(field: &Field) -> Option<&str> {
    field.metadata().get(KEY).map(String::as_str)
}

/// The columns of a file that hold all there is of an attribute, by its key.
pub(crate) fn moved(footer: &ParquetMetaData, schema: &Schema) -> HashMap<String, String> {
    let pairs = footer.file_metadata().key_value_metadata();
    let said = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == LEFT_KEY)?.value.as_deref());
    let Some(left) = said.and_then(|said| serde_json::from_str::<std::collections::HashSet<String>>(said).ok()) else {
        return HashMap::new();
    };
    let columns = schema.fields().iter().filter_map(|field| Some((key_of(field)?.to_owned(), field.name().clone())));
    columns.filter(|(key, _)| !left.contains(key)).collect()
}

/// A row's letters, and whether its attributes may move: letters that no builder writes would not come back.
fn letters_of(types: &StringArray, row: usize, entries: usize) -> (Option<&[u8]>, bool) {
    if types.is_null(row) {
        return (None, true);
    }
    let letters = types.value(row).as_bytes();
    let is_known = |letter: &u8| AttributeType::from_letter(*letter).letter() == char::from(*letter);
    let is_usual = letters.len() == entries && letters.iter().any(|letter| *letter != b's') && letters.iter().all(is_known);
    (Some(letters), is_usual)
}

/// The map and its types as they lie in a batch.
struct Stored<'a> {
    map: &'a MapArray,
    keys: &'a StringArray,
    values: &'a StringArray,
    types: &'a StringArray,
}

impl<'a> Stored<'a> {
    fn of(records: &'a RecordBatch) -> Result<Self> {
        let map: &MapArray = column(records, MAP)?;
        Ok(Self { map, keys: map.keys().as_string(), values: map.values().as_string(), types: column(records, TYPES)? })
    }

    fn entries(&self, row: usize) -> std::ops::Range<usize> {
        let offsets = self.map.value_offsets();
        offsets[row] as usize..offsets[row + 1] as usize
    }

    /// What an entry is as a value of this type.
    fn parse(&self, entry: usize, letter: u8, kind: FieldType) -> Option<FieldValue<'a>> {
        let text = self.values.is_valid(entry).then(|| self.values.value(entry))?;
        kind.parse(AttributeType::from_letter(letter), text)
    }
}

/// The column of a declared attribute, of rows that have their attributes in the map: the first value of its key that the column can hold.
pub(crate) fn derive(records: &RecordBatch, field: &DeclaredField) -> Result<ArrayRef> {
    let stored = Stored::of(records)?;
    let mut built = Column::of(field.kind);
    for row in 0..records.num_rows() {
        let entries = stored.entries(row);
        let (letters, may_move) = letters_of(stored.types, row, entries.len());
        if !may_move {
            continue;
        }
        let value = entries.enumerate().find_map(|(at, entry)| match stored.keys.value(entry) == field.key {
            true => stored.parse(entry, letters.map_or(b's', |letters| letters[at]), field.kind),
            false => None,
        });
        if let Some(value) = value {
            built.push(row, value);
        }
    }
    Ok(built.finish(records.num_rows()))
}

/// Moves declared attributes of a file's rows to their columns while it is written.
pub(crate) struct FieldsWriter {
    fields: Vec<Writing>,
    places: HashMap<String, usize>,
}

struct Writing {
    field: DeclaredField,
    column: String,
    built: Column,
    /// Some value of the key stayed in the map.
    left: bool,
}

impl FieldsWriter {
    pub(crate) fn new(fields: &DeclaredFields) -> Self {
        let writing =
            |field: &DeclaredField| Writing { field: field.clone(), column: field.column(), built: Column::of(field.kind), left: false };
        Self {
            fields: fields.iter().map(writing).collect(),
            places: fields.iter().enumerate().map(|(place, field)| (field.key.clone(), place)).collect(),
        }
    }

    /// The rows as the file has them, with order and declared columns behind the others.
    pub(crate) fn pack(&mut self, records: RecordBatch) -> Result<RecordBatch> {
        if self.fields.is_empty() {
            return Ok(records);
        }
        let rest = self.split(&Stored::of(&records)?)?;
        let mut columns = records.columns().to_vec();
        columns[records.schema_ref().index_of(MAP)?] = rest.map;
        columns[records.schema_ref().index_of(TYPES)?] = rest.types;
        columns.push(rest.order);
        columns.extend(self.fields.iter_mut().map(|writing| writing.built.finish(records.num_rows())));
        let more = self.fields.iter().map(|writing| file_field(&writing.field));
        let schema = with(records.schema_ref(), std::iter::once(order_field()).chain(more));
        Ok(RecordBatch::try_new(schema, columns)?)
    }

    fn split(&mut self, stored: &Stored<'_>) -> Result<Rest> {
        let mut rest = Splitting::default();
        for row in 0..stored.map.len() {
            let entries = stored.entries(row);
            let (letters, may_move) = letters_of(stored.types, row, entries.len());
            for (at, entry) in entries.enumerate() {
                let letter = letters.and_then(|letters| letters.get(at)).copied().unwrap_or(b's');
                match self.place(row, entry, letter, may_move, stored) {
                    Some(writing) => rest.moved(&writing.column, letter, writing.field.kind),
                    None => rest.stays(entry, letter),
                }
            }
            rest.end_row(stored.types, row)?;
        }
        rest.finish(stored)
    }

    /// Puts an entry into its column; none when it stays.
    fn place(&mut self, row: usize, entry: usize, letter: u8, may_move: bool, stored: &Stored<'_>) -> Option<&Writing> {
        let writing = &mut self.fields[*self.places.get(stored.keys.value(entry))?];
        let value = stored.parse(entry, letter, writing.field.kind).filter(|_| may_move && !writing.built.has(row));
        match value {
            Some(value) => writing.built.push(row, value),
            None => writing.left = true,
        }
        value.is_some().then_some(writing)
    }

    pub(crate) fn finish(self) -> Option<KeyValue> {
        if self.fields.is_empty() {
            return None;
        }
        let left: Vec<String> = self.fields.into_iter().filter(|writing| writing.left).map(|writing| writing.field.key).collect();
        Some(KeyValue::new(LEFT_KEY.to_owned(), serde_json::to_string(&left).expect("a list of texts is JSON")))
    }
}

/// What a batch has beside its declared columns.
struct Rest {
    map: ArrayRef,
    types: ArrayRef,
    order: ArrayRef,
}

#[derive(Default)]
struct Splitting {
    /// Places of the entries that stay.
    kept: Vec<u32>,
    /// How many, up to the end of each row.
    ends: Vec<i32>,
    types: StringBuilder,
    orders: StringBuilder,
    /// Of the row: what is in columns, letters of what stays, and how much stays since the last that is in a column.
    order: String,
    letters: String,
    since: usize,
}

impl Splitting {
    fn moved(&mut self, column: &str, letter: u8, kind: FieldType) {
        if !self.order.is_empty() {
            self.order.push(SEPARATOR);
        }
        if self.since > 0 {
            let _ = write!(self.order, "{FROM_MAP}{}{SEPARATOR}", self.since);
            self.since = 0;
        }
        self.order.push_str(column);
        if char::from(letter) != kind.own().letter() {
            self.order.extend([TYPE, char::from(letter)]);
        }
    }

    fn stays(&mut self, entry: usize, letter: u8) {
        self.kept.push(u32::try_from(entry).unwrap_or(u32::MAX));
        self.letters.push(char::from(letter));
        self.since += 1;
    }

    fn end_row(&mut self, types: &StringArray, row: usize) -> Result<()> {
        let end = i32::try_from(self.kept.len()).map_err(|_| Error::internal("cannot hold more than 2^31 attributes in one batch"))?;
        self.ends.push(end);
        match self.order.is_empty() {
            true => {
                self.types.append_option(types.is_valid(row).then(|| types.value(row)));
                self.orders.append_null();
            }
            false => {
                append_letters(&mut self.types, &self.letters);
                self.orders.append_value(&self.order);
            }
        }
        self.order.clear();
        self.letters.clear();
        self.since = 0;
        Ok(())
    }

    fn finish(mut self, stored: &Stored<'_>) -> Result<Rest> {
        let kept = UInt32Array::from(self.kept);
        let (keys, values) = (take(stored.keys, &kept, None)?, take(stored.values, &kept, None)?);
        Ok(Rest {
            map: map_of(stored.map, &self.ends, keys, values)?,
            types: Arc::new(self.types.finish()),
            order: Arc::new(self.orders.finish()),
        })
    }
}

/// As a builder of attributes writes them: nothing where all are text.
fn append_letters(types: &mut StringBuilder, letters: &str) {
    types.append_option(letters.bytes().any(|letter| letter != b's').then_some(letters));
}

/// A map with other entries, of the same type.
fn map_of(like: &MapArray, ends: &[i32], keys: ArrayRef, values: ArrayRef) -> Result<ArrayRef> {
    let DataType::Map(entry, is_sorted) = like.data_type() else { unreachable!("a map array is a map") };
    let DataType::Struct(fields) = entry.data_type() else { unreachable!("entries of maps are structs") };
    let offsets: Vec<i32> = std::iter::once(0).chain(ends.iter().copied()).collect();
    let entries = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    let map = MapArray::try_new(entry.clone(), OffsetBuffer::new(ScalarBuffer::from(offsets)), entries, like.nulls().cloned(), *is_sorted)?;
    Ok(Arc::new(map))
}

/// A declared column while it is filled, row after row; rows that are passed over are null.
enum Column {
    Text(StringBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
}

impl Column {
    fn of(kind: FieldType) -> Self {
        match kind {
            FieldType::String => Self::Text(StringBuilder::new()),
            FieldType::Integer => Self::Int(Int64Builder::new()),
            FieldType::Number => Self::Double(Float64Builder::new()),
            FieldType::Boolean => Self::Bool(BooleanBuilder::new()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(built) => built.len(),
            Self::Int(built) => built.len(),
            Self::Double(built) => built.len(),
            Self::Bool(built) => built.len(),
        }
    }

    fn has(&self, row: usize) -> bool {
        self.len() > row
    }

    fn pad(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.len());
        match self {
            Self::Text(built) => (0..missing).for_each(|_| built.append_null()),
            Self::Int(built) => built.append_nulls(missing),
            Self::Double(built) => built.append_nulls(missing),
            Self::Bool(built) => built.append_nulls(missing),
        }
    }

    /// The value of a row behind all others.
    fn push(&mut self, row: usize, value: FieldValue<'_>) {
        self.pad(row);
        match (self, value) {
            (Self::Text(built), FieldValue::Text(text)) => built.append_value(text),
            (Self::Int(built), FieldValue::Int(value)) => built.append_value(value),
            (Self::Double(built), FieldValue::Double(value)) => built.append_value(value),
            (Self::Bool(built), FieldValue::Bool(value)) => built.append_value(value),
            _ => unreachable!("a type gives values of its own"),
        }
    }

    /// The column of so many rows; empty again.
    fn finish(&mut self, rows: usize) -> ArrayRef {
        self.pad(rows);
        match self {
            Self::Text(built) => Arc::new(built.finish()),
            Self::Int(built) => Arc::new(built.finish()),
            Self::Double(built) => Arc::new(built.finish()),
            Self::Bool(built) => Arc::new(built.finish()),
        }
    }
}

/// The value in a row of a declared column; none of null, and of what is no such column.
pub(crate) fn value_at(array: &dyn Array, row: usize) -> Option<FieldValue<'_>> {
    if array.is_null(row) {
        return None;
    }
    Some(match FieldType::of(array.data_type())? {
        FieldType::String => FieldValue::Text(array.as_string::<i32>().value(row)),
        FieldType::Integer => FieldValue::Int(array.as_primitive::<Int64Type>().value(row)),
        FieldType::Number => FieldValue::Double(array.as_primitive::<Float64Type>().value(row)),
        FieldType::Boolean => FieldValue::Bool(array.as_boolean().value(row)),
    })
}

/// The texts of a declared column's values.
pub(crate) fn texts_of(array: &dyn Array) -> StringArray {
    let mut texts = StringBuilder::new();
    let mut text = String::new();
    for row in 0..array.len() {
        text.clear();
        let value = value_at(array, row);
        texts.append_option(value.map(|value| {
            value.write_to(&mut text);
            text.as_str()
        }));
    }
    texts.finish()
}

/// A batch from a file with its attributes in the map again; one that was read without their order is as it was. Declared columns stay.
pub(crate) fn unpack(records: RecordBatch) -> Result<RecordBatch> {
    let schema = records.schema();
    let Some((at, _)) = schema.column_with_name(ORDER) else { return Ok(records) };
    let without: Vec<usize> = (0..schema.fields().len()).filter(|&other| other != at).collect();
    let orders: &StringArray = column(&records, ORDER)?;
    if orders.null_count() == orders.len() {
        return Ok(records.project(&without)?);
    }
    let (map, types) = Joining::of(&records)?.join(orders)?;
    let mut columns = records.columns().to_vec();
    columns[schema.index_of(MAP)?] = map;
    columns[schema.index_of(TYPES)?] = types;
    Ok(RecordBatch::try_new(schema, columns)?.project(&without)?)
}

fn damaged() -> Error {
    Error::new(Code::Corrupt, "cannot put attributes together: their order does not fit the columns and the map")
}

/// An entry of an order.
enum Place<'a> {
    FromMap(usize),
    Column { key: &'a str, values: &'a dyn Array, letter: u8 },
}

struct Joining<'a> {
    stored: Stored<'a>,
    /// By the column's name: the attribute's key, and the values.
    declared: HashMap<&'a str, (&'a str, &'a dyn Array)>,
    keys: StringBuilder,
    values: StringBuilder,
    ends: Vec<i32>,
    types: StringBuilder,
    letters: String,
}

impl<'a> Joining<'a> {
    fn of(records: &'a RecordBatch) -> Result<Self> {
        let fields = records.schema_ref().fields().iter().zip(records.columns());
        Ok(Self {
            stored: Stored::of(records)?,
            declared: fields.filter_map(|(field, array)| Some((field.name().as_str(), (key_of(field)?, array.as_ref())))).collect(),
            keys: StringBuilder::new(),
            values: StringBuilder::new(),
            ends: Vec::with_capacity(records.num_rows()),
            types: StringBuilder::new(),
            letters: String::new(),
        })
    }

    fn join(mut self, orders: &'a StringArray) -> Result<(ArrayRef, ArrayRef)> {
        let mut known: HashMap<&str, Vec<Place<'a>>> = HashMap::new();
        for row in 0..orders.len() {
            match orders.is_valid(row) {
                false => self.copy(row),
                true => {
                    let order = orders.value(row);
                    if !known.contains_key(order) {
                        known.insert(order, self.places(order)?);
                    }
                    self.join_row(row, &known[order])?;
                }
            }
            self.ends.push(i32::try_from(self.keys.len()).map_err(|_| damaged())?);
        }
        let map = map_of(self.stored.map, &self.ends, Arc::new(self.keys.finish()), Arc::new(self.values.finish()))?;
        Ok((map, Arc::new(self.types.finish())))
    }

    fn places(&self, order: &str) -> Result<Vec<Place<'a>>> {
        let place = |entry: &str| {
            if let Some(count) = entry.strip_prefix(FROM_MAP) {
                return Some(Place::FromMap(count.parse().ok()?));
            }
            let (name, letter) = match entry.split_once(TYPE) {
                Some((name, letter)) => (name, Some(*letter.as_bytes().first()?)),
                None => (entry, None),
            };
            let &(key, values) = self.declared.get(name)?;
            let own = u8::try_from(FieldType::of(values.data_type())?.own().letter()).ok()?;
            Some(Place::Column { key, values, letter: letter.unwrap_or(own) })
        };
        order.split(SEPARATOR).map(|entry| place(entry).ok_or_else(damaged)).collect()
    }

    /// A row of which nothing has moved.
    fn copy(&mut self, row: usize) {
        let types = self.stored.types;
        self.stored.entries(row).for_each(|entry| self.take(entry));
        self.types.append_option(types.is_valid(row).then(|| types.value(row)));
    }

    fn take(&mut self, entry: usize) {
        self.keys.append_value(self.stored.keys.value(entry));
        self.values.append_option(self.stored.values.is_valid(entry).then(|| self.stored.values.value(entry)));
    }

    fn join_row(&mut self, row: usize, places: &[Place<'a>]) -> Result<()> {
        let (types, mut left) = (self.stored.types, self.stored.entries(row));
        let first = left.start;
        let letters = types.is_valid(row).then(|| types.value(row).as_bytes());
        let letter_of = |entry: usize| letters.map_or(Some(b's'), |letters| letters.get(entry - first).copied());
        self.letters.clear();
        // What the map still has behind the last column comes last.
        for place in places.iter().chain(&[Place::FromMap(usize::MAX)]) {
            match place {
                Place::FromMap(count) => {
                    for entry in left.by_ref().take(*count) {
                        self.take(entry);
                        self.letters.push(char::from(letter_of(entry).ok_or_else(damaged)?));
                    }
                }
                Place::Column { key, values, letter } => {
                    self.keys.append_value(key);
                    match value_at(*values, row).ok_or_else(damaged)? {
                        FieldValue::Text(text) => self.values.append_value(text),
                        value => {
                            let mut text = String::new();
                            value.write_to(&mut text);
                            self.values.append_value(text);
                        }
                    }
                    self.letters.push(char::from(*letter));
                }
            }
        }
        append_letters(&mut self.types, &self.letters);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::logs::{LogRow, LogsBuilder};
    use model::{AttributeValue, Attributes};
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    const KEYS: [&str; 6] = ["status", "took.ms", "flag", "name", "rest", "größe"];

    fn declared() -> DeclaredFields {
        let kinds = [FieldType::Integer, FieldType::Number, FieldType::Boolean, FieldType::String];
        let mut fields = DeclaredFields::default();
        for (key, kind) in KEYS.into_iter().zip(kinds) {
            fields.add(key, kind).unwrap();
        }
        fields
    }

    fn value(random: &mut StdRng) -> AttributeValue<'static> {
        use AttributeValue::{Bool, Double, Encoded, Int, Text};
        let kinds = [AttributeType::Int, AttributeType::Double, AttributeType::Array, AttributeType::Bytes, AttributeType::Empty];
        let texts = ["", "7", "007", "-0", "1e400", "NaN", "0.5", "true", "+3", "a=i b", "9223372036854775808", "9007199254740993"];
        let text = texts[random.random_range(0..texts.len())];
        match random.random_range(0..6) {
            0 => Text(text),
            1 => Int([0, 7, i64::MAX, i64::MIN][random.random_range(0..4)]),
            2 => Double([0.0, -0.0, 0.5, 1e300, f64::NAN, f64::INFINITY][random.random_range(0..6)]),
            3 => Bool(random.random_bool(0.5)),
            _ => Encoded(kinds[random.random_range(0..kinds.len())], text),
        }
    }

    /// Rows of any values in any order, some with a key several times.
    fn random_rows(random: &mut StdRng, rows: usize) -> RecordBatch {
        let mut builder = LogsBuilder::default();
        for _ in 0..rows {
            for _ in 0..random.random_range(0..8) {
                builder.attributes.append(KEYS[random.random_range(0..KEYS.len())], value(random));
            }
            builder.push(&LogRow::default(), &Attributes::default(), &Attributes::default());
        }
        builder.finish()
    }

    #[test]
    fn every_attribute_comes_back_with_its_type_in_its_place() {
        let mut random = StdRng::seed_from_u64(7);
        let mut writer = FieldsWriter::new(&declared());
        let (mut moved, mut stayed) = (0, 0);
        for _ in 0..200 {
            // Rows are written as slices of longer batches.
            let records = random_rows(&mut random, 60).slice(20, 30);
            let packed = writer.pack(records.clone()).unwrap();
            for field in declared().iter() {
                let (column, derived) = (packed.column_by_name(&field.column()).unwrap(), derive(&records, field).unwrap());
                assert_eq!(column, &derived, "{field:?}");
                moved += column.len() - column.null_count();
            }
            stayed += column::<MapArray>(&packed, MAP).unwrap().keys().len();
            let back = unpack(packed).unwrap();
            for name in [MAP, TYPES] {
                assert_eq!(back.column_by_name(name).unwrap(), records.column_by_name(name).unwrap(), "{name}");
            }
        }
        assert!(moved > 2_000 && stayed > 2_000, "{moved} {stayed}");
        let left = writer.finish().unwrap().value.unwrap();
        assert_eq!(serde_json::from_str::<Vec<String>>(&left).unwrap().len(), 4);
    }

    #[test]
    fn an_order_that_does_not_fit_is_damage() {
        let packed = FieldsWriter::new(&declared()).pack(random_rows(&mut StdRng::seed_from_u64(8), 1)).unwrap();
        for order in ["nobody", "status", "+x", "", "status=", " "] {
            let (schema, mut columns, _) = packed.clone().into_parts();
            columns[schema.index_of(ORDER).unwrap()] = Arc::new(StringArray::from(vec![order]));
            columns[schema.index_of("status").unwrap()] = arrow::array::new_null_array(&DataType::Int64, 1);
            let error = unpack(RecordBatch::try_new(schema, columns).unwrap()).unwrap_err();
            assert_eq!(error.code, Code::Corrupt, "{order:?}");
        }
    }
}
