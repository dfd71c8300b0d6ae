use std::collections::HashSet;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayBuilder, ArrayRef, MapArray, RecordBatch, StringArray, StringBuilder, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use crate::Result;
use crate::decimal::Decimal;
use crate::schema::{column, map_entry_fields, map_type};

/// The type an attribute had before it became text. The types of a row's attributes are kept as one letter each, in the
/// order of the map's entries; null when all are text. Refused: a map per type (four look-ups for every reader, and no
/// order), and JSON text as value (`'"GET"'` in every query).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeType {
    Text,
    Bool,
    Int,
    Double,
    /// Base64 text.
    Bytes,
    /// JSON text in OTLP's own form, so that nested types survive: `[{"intValue":"1"}]`.
    Array,
    /// JSON text in OTLP's own form: `[{"key":"a","value":{"intValue":"1"}}]`.
    Map,
    /// No value at all.
    Empty,
}

impl AttributeType {
    pub fn letter(self) -> char {
        match self {
            Self::Text => 's',
            Self::Bool => 'b',
            Self::Int => 'i',
            Self::Double => 'd',
            Self::Bytes => 'y',
            Self::Array => 'a',
            Self::Map => 'm',
            Self::Empty => 'n',
        }
    }

    pub fn from_letter(letter: u8) -> Self {
        match letter {
            b'b' => Self::Bool,
            b'i' => Self::Int,
            b'd' => Self::Double,
            b'y' => Self::Bytes,
            b'a' => Self::Array,
            b'm' => Self::Map,
            b'n' => Self::Empty,
            _ => Self::Text,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttributeValue<'a> {
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    /// Already written as the type's text.
    Encoded(AttributeType, &'a str),
}

impl AttributeValue<'_> {
    pub fn kind(&self) -> AttributeType {
        match self {
            Self::Text(_) => AttributeType::Text,
            Self::Bool(_) => AttributeType::Bool,
            Self::Int(_) => AttributeType::Int,
            Self::Double(_) => AttributeType::Double,
            Self::Encoded(kind, _) => *kind,
        }
    }

    pub(crate) fn write_to(&self, out: &mut impl std::fmt::Write) {
        self.try_write_to(out).expect("writing to memory cannot fail");
    }

    pub(crate) fn try_write_to(&self, out: &mut impl std::fmt::Write) -> std::fmt::Result {
        match self {
            Self::Text(text) | Self::Encoded(_, text) => out.write_str(text),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Int(value) => write!(out, "{value}"),
            Self::Double(value) => match Decimal::of(*value) {
                Some(decimal) => out.write_str(decimal.as_str()),
                None => write!(out, "{value}"),
            },
        }
    }
}

/// Tells whether a row has a key already. A few keys are looked at one by one; of more their hashes are kept, so that a
/// row of a thousand attributes does not cost a million comparisons.
#[derive(Clone, Debug, Default)]
struct Seen {
    hashes: HashSet<u64>,
}

impl Seen {
    const LOOKED_AT_MAX: usize = 16;

    /// Whether `key` is among `keys`, all of which were asked for before it.
    fn holds<'k>(&mut self, key: &[u8], mut keys: impl ExactSizeIterator<Item = &'k [u8]> + Clone) -> bool {
        if keys.len() < Self::LOOKED_AT_MAX {
            return keys.any(|other| other == key);
        }
        if self.hashes.is_empty() {
            let hasher = self.hashes.hasher().clone();
            self.hashes.extend(keys.clone().map(|key| hasher.hash_one(key)));
        }
        let hash = self.hashes.hasher().hash_one(key);
        // Two keys may share a hash: only then are the keys looked at.
        !self.hashes.insert(hash) && keys.any(|other| other == key)
    }

    fn clear(&mut self) {
        self.hashes.clear();
    }
}

/// A set of attributes held aside to be appended to many rows: a resource's, a scope's.
#[derive(Debug, Default)]
pub struct Attributes {
    /// Keys and values one after the other: what is cleared and filled again allocates nothing.
    text: String,
    entries: Vec<Entry>,
    seen: Seen,
    /// Of the first attribute since it was empty; no other set ever has it.
    filling: u64,
}

/// Whether two texts are equal. Of two empty ones their addresses are none, and the C library compares no bytes there with an instruction
/// that then takes hundreds of cycles; a record has a dozen empty texts.
pub(crate) fn is_same(a: &str, b: &str) -> bool {
    a.len() == b.len() && (a.is_empty() || a == b)
}

/// Two sets of one mark are the same: attributes are only ever added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    filling: u64,
    len: usize,
}

impl Clone for Attributes {
    fn clone(&self) -> Self {
        let mut other = Self::default();
        other.clone_from(self);
        other
    }

    /// Both may grow apart, so the other is marked anew.
    fn clone_from(&mut self, source: &Self) {
        self.text.clone_from(&source.text);
        self.entries.clone_from(&source.entries);
        self.seen.hashes.clone_from(&source.seen.hashes);
        self.filling = if source.is_empty() { 0 } else { next_filling() };
    }
}

fn next_filling() -> u64 {
    static FILLINGS: AtomicU64 = AtomicU64::new(1);
    FILLINGS.fetch_add(1, Ordering::Relaxed)
}

/// Where in the text an attribute's key begins, its value begins, and it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    key: usize,
    value: usize,
    end: usize,
    kind: AttributeType,
}

impl Attributes {
    /// A key that is there already gets the new value.
    pub fn set(&mut self, key: &str, value: AttributeValue<'_>) {
        let before = std::mem::take(self);
        let mut value = Some(value);
        for (other, kind, text) in before.iter() {
            match value.take_if(|_| other == key) {
                Some(value) => self.add(key, value),
                None => self.add(other, AttributeValue::Encoded(kind, text)),
            };
        }
        if let Some(value) = value {
            self.add(key, value);
        }
    }

    /// Adds an attribute; of two with one key the first is kept. Returns whether it was added.
    pub fn add(&mut self, key: &str, value: AttributeValue<'_>) -> bool {
        let text = self.text.as_bytes();
        if self.seen.holds(key.as_bytes(), self.entries.iter().map(|entry| &text[entry.key..entry.value])) {
            return false;
        }
        if self.entries.is_empty() {
            self.filling = next_filling();
        }
        let start = self.text.len();
        self.text.push_str(key);
        value.write_to(&mut self.text);
        self.entries.push(Entry { key: start, value: start + key.len(), end: self.text.len(), kind: value.kind() });
        true
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(other, ..)| *other == key).map(|(.., text)| text)
    }

    /// What calls itself a service: `service.name`, else `service_name`; empty when neither says anything.
    pub fn service_name(&self) -> &str {
        ["service.name", "service_name"].into_iter().filter_map(|key| self.get(key)).find(|name| !name.is_empty()).unwrap_or_default()
    }

    /// Key, type and text of each, in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, AttributeType, &str)> {
        self.entries.iter().map(|&Entry { key, value, end, kind }| (&self.text[key..value], kind, &self.text[value..end]))
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { filling: self.filling, len: self.entries.len() }
    }

    /// Whether these are the same attributes in the same order.
    pub(crate) fn same(&self, other: &Self) -> bool {
        is_same(&self.text, &other.text) && self.entries == other.entries
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
        self.seen.clear();
        self.filling = 0;
    }
}

/// Builds a map column and its column of types, row by row.
#[derive(Default)]
pub struct AttributesBuilder {
    keys: StringBuilder,
    values: StringBuilder,
    offsets: Vec<i32>,
    /// Letters of the row under construction.
    letters: String,
    all_text: bool,
    /// Where the row's keys begin and end; only of those that [`Self::push`] added.
    row_keys: Vec<(usize, usize)>,
    seen: Seen,
    types: StringBuilder,
}

impl AttributesBuilder {
    pub fn new() -> Self {
        Self { offsets: vec![0], all_text: true, ..Self::default() }
    }

    /// Adds an entry to the row under construction. Of two entries with one key the first is kept: keys of a map are
    /// unique for every reader of the lake. Returns whether it was added.
    pub fn push(&mut self, key: &str, value: AttributeValue<'_>) -> bool {
        let keys = self.keys.values_slice();
        if self.seen.holds(key.as_bytes(), self.row_keys.iter().map(|&(start, end)| &keys[start..end])) {
            return false;
        }
        self.row_keys.push((keys.len(), keys.len() + key.len()));
        self.append(key, value);
        true
    }

    /// Adds an entry whose key the caller knows to be new to the row.
    pub fn append(&mut self, key: &str, value: AttributeValue<'_>) {
        self.keys.append_value(key);
        match value {
            AttributeValue::Text(text) | AttributeValue::Encoded(_, text) => self.values.append_value(text),
            other => {
                other.write_to(&mut self.values);
                self.values.append_value("");
            }
        }
        let kind = value.kind();
        self.all_text &= kind == AttributeType::Text;
        self.letters.push(kind.letter());
    }

    /// Makes the row what `attributes` are, whose keys are unique already.
    pub fn append_all(&mut self, attributes: &Attributes) {
        for (key, kind, text) in attributes.iter() {
            self.append(key, AttributeValue::Encoded(kind, text));
        }
    }

    /// Ends the row.
    pub fn finish_row(&mut self) {
        let end = i32::try_from(self.keys.len()).expect("a request holds under 2^31 attributes: batch_bytes_max sees to it");
        self.offsets.push(end);
        match self.all_text {
            true => self.types.append_null(),
            false => self.types.append_value(&self.letters),
        }
        self.letters.clear();
        self.row_keys.clear();
        self.seen.clear();
        self.all_text = true;
    }

    /// The map column and the types column; the builder is empty again.
    pub fn finish(&mut self) -> (ArrayRef, ArrayRef) {
        let DataType::Map(entry, _) = map_type() else { unreachable!("map_type is a map") };
        let entries =
            StructArray::new(map_entry_fields(), vec![Arc::new(self.keys.finish()), Arc::new(self.values.finish())], None::<NullBuffer>);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])));
        let map = MapArray::new(entry, offsets, entries, None, false);
        (Arc::new(map), Arc::new(self.types.finish()))
    }
}

/// Reads a map column with its column of types.
#[derive(Clone, Copy)]
pub struct AttributesView<'a> {
    offsets: &'a [i32],
    keys: &'a StringArray,
    values: &'a StringArray,
    types: Option<&'a StringArray>,
}

impl<'a> AttributesView<'a> {
    /// The map column of that name, with the types column when both are there: `attributes` and `attribute_types`.
    pub fn of(batch: &'a RecordBatch, name: &str, types: Option<&str>) -> Result<Self> {
        let types = types.and_then(|types| column(batch, types).ok());
        Ok(Self::of_map(column(batch, name)?, types))
    }

    pub fn of_map(map: &'a MapArray, types: Option<&'a StringArray>) -> Self {
        let strings = |array: &'a ArrayRef| array.as_any().downcast_ref::<StringArray>().expect("maps hold text: schema::map_type");
        Self { offsets: map.value_offsets(), keys: strings(map.keys()), values: strings(map.values()), types }
    }

    pub fn len(&self, row: usize) -> usize {
        (self.offsets[row + 1] - self.offsets[row]) as usize
    }

    pub fn get(&self, row: usize, key: &str) -> Option<&'a str> {
        self.entries(row).find(|&entry| self.keys.value(entry) == key).map(|entry| self.values.value(entry))
    }

    /// The entries of a row, for [`Self::value`].
    pub fn entries(&self, row: usize) -> Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }

    pub fn value(&self, entry: usize) -> &'a str {
        self.values.value(entry)
    }

    /// The first entry of the first row: rows may be some of a longer column.
    pub fn first_entry(&self) -> usize {
        self.offsets[0] as usize
    }

    /// The keys of all rows, from [`Self::first_entry`] on.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let keys = self.keys;
        (self.first_entry()..self.offsets[self.offsets.len() - 1] as usize).map(|entry| keys.value(entry))
    }

    /// The same where the row is sorted by key, as labels are.
    pub fn get_sorted(&self, row: usize, key: &str) -> Option<&'a str> {
        let (mut low, mut high) = (self.offsets[row] as usize, self.offsets[row + 1] as usize);
        while low < high {
            let middle = low.midpoint(high);
            match self.keys.value(middle).cmp(key) {
                std::cmp::Ordering::Equal => return Some(self.values.value(middle)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    pub fn iter(&self, row: usize) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let (keys, values) = (self.keys, self.values);
        (self.offsets[row] as usize..self.offsets[row + 1] as usize).map(move |entry| (keys.value(entry), values.value(entry)))
    }

    /// Keys and values of all rows, one behind the other, and perhaps of some before and after them.
    pub fn texts(&self) -> (&'a StringArray, &'a StringArray) {
        (self.keys, self.values)
    }

    /// The row that has an entry of [`Self::texts`]; none where it is of no row.
    pub fn row_of(&self, entry: usize) -> Option<usize> {
        let row = self.offsets.partition_point(|begin| *begin as usize <= entry).checked_sub(1)?;
        (row + 1 < self.offsets.len()).then_some(row)
    }

    pub fn iter_typed(&self, row: usize) -> impl Iterator<Item = (&'a str, AttributeType, &'a str)> + use<'a> {
        let letters = self.types.filter(|types| types.is_valid(row)).map(|types| types.value(row).as_bytes());
        self.iter(row).enumerate().map(move |(index, (key, value))| {
            let letter = letters.and_then(|letters| letters.get(index)).copied().unwrap_or(b's');
            (key, AttributeType::from_letter(letter), value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_is_one_content() {
        let mut one = Attributes::default();
        assert_eq!(one.mark(), Attributes::default().mark());
        one.add("a", AttributeValue::Int(1));
        let (before, mut other) = (one.mark(), one.clone());
        assert_ne!(other.mark(), before, "both may grow apart");
        assert!(other.same(&one));
        one.add("b", AttributeValue::Int(2));
        other.add("b", AttributeValue::Int(3));
        assert!(one.mark() != before && one.mark() != other.mark());
        one.clear();
        assert_eq!(one.mark(), Attributes::default().mark());
        one.add("a", AttributeValue::Int(1));
        assert_ne!(one.mark(), before, "filled again");
    }

    #[test]
    fn rows_keep_order_types_and_unique_keys() {
        let mut builder = AttributesBuilder::new();
        builder.push("http.status_code", AttributeValue::Int(404));
        builder.push("http.method", AttributeValue::Text("GET"));
        assert!(!builder.push("http.method", AttributeValue::Text("PUT")));
        builder.finish_row();
        builder.push("plain", AttributeValue::Text("x"));
        builder.finish_row();
        builder.finish_row();
        let (map, types) = builder.finish();
        let map = map.as_any().downcast_ref().expect("a map");
        let types: &StringArray = types.as_any().downcast_ref().expect("text");
        assert!(types.is_null(1) && types.is_null(2));
        let view = AttributesView::of_map(map, Some(types));
        let row: Vec<_> = view.iter_typed(0).collect();
        assert_eq!(row, [("http.status_code", AttributeType::Int, "404"), ("http.method", AttributeType::Text, "GET")]);
        assert_eq!(view.get(1, "plain"), Some("x"));
        assert_eq!(view.len(2), 0);
    }

    #[test]
    fn keys_are_unique_in_rows_of_any_length() {
        let (mut builder, mut attributes) = (AttributesBuilder::new(), Attributes::default());
        for round in 0..2 {
            for key in 0..100 {
                let key = format!("key {key}");
                assert_eq!(builder.push(&key, AttributeValue::Int(round)), round == 0, "{key}");
                assert_eq!(attributes.add(&key, AttributeValue::Int(round)), round == 0, "{key}");
            }
        }
        builder.finish_row();
        assert!(builder.push("key 1", AttributeValue::Int(2)), "another row");
        builder.finish_row();
        assert_eq!(attributes.len(), 100);
        let (map, _) = builder.finish();
        let view = AttributesView::of_map(map.as_any().downcast_ref().expect("a map"), None);
        assert_eq!((view.len(0), view.len(1), view.get(0, "key 99")), (100, 1, Some("0")));
    }

    #[test]
    fn a_set_value_takes_the_place_of_the_one_before() {
        let mut attributes = Attributes::default();
        [("a", 1), ("b", 2), ("a", 3), ("c", 4)].into_iter().for_each(|(key, value)| attributes.set(key, AttributeValue::Int(value)));
        let all: Vec<_> = attributes.iter().map(|(key, _, text)| (key, text)).collect();
        assert_eq!(all, [("a", "3"), ("b", "2"), ("c", "4")]);
        attributes.clear();
        assert!(attributes.is_empty() && attributes.get("a").is_none());
    }

    #[test]
    fn sorted_rows_are_searched() {
        let mut builder = AttributesBuilder::new();
        ["before", "z"].into_iter().for_each(|key| builder.append(key, AttributeValue::Text("other row")));
        builder.finish_row();
        ["b", "d", "f"].into_iter().for_each(|key| builder.append(key, AttributeValue::Text(key)));
        builder.finish_row();
        let (map, _) = builder.finish();
        let view = AttributesView::of_map(map.as_any().downcast_ref().expect("a map"), None);
        for key in ["a", "b", "c", "d", "e", "f", "g", "z"] {
            assert_eq!(view.get_sorted(1, key), view.get(1, key), "{key}");
        }
    }
}
