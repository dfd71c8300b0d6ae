//! Where rows come from, said once for the rows that share it.
//!
//! On their way from the receiver to the lake batches of logs and spans are *packed*: what a row has of its resource, its scope and its
//! owner ([`COLUMNS`]) is a place in a dictionary, the one column [`ORIGIN`]. So a resource is decoded, identified, logged and hashed once and not
//! once for each of its rows. Rows that a scan gives, and files, have the columns themselves. Refused: a dictionary for each column,
//! which would be thirteen places where one says the same.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int32Array, MapArray, RecordBatch, StringArray, StringBuilder, StructArray,
    new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use hashbrown::HashMap;

use crate::attributes::{Attributes, AttributesBuilder, Mark, is_same};
use crate::logs::append_text;
use crate::{Error, Identity, Result, Table};

/// The column of a packed batch.
pub const ORIGIN: &str = "origin";

const IDENTITY: usize = Identity::FIELDS.len();
/// The columns of logs and spans that are fields of it.
pub const COLUMNS: [&str; IDENTITY + 7] = {
    let [a, b, c, d, e, f] = Identity::FIELDS;
    let (scope, resource) = (["scope_attributes", "scope_attribute_types"], ["resource_attributes", "resource_attribute_types"]);
    [a, b, c, d, e, f, "service_name", "scope_name", "scope_version", scope[0], scope[1], resource[0], resource[1]]
};

/// What a row has of its resource and its scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) service_name: &'a str,
    pub(crate) scope_name: &'a str,
    pub(crate) scope_version: &'a str,
    pub(crate) scope: &'a Attributes,
    pub(crate) resource: &'a Attributes,
}

/// Collects the origins of rows that are built one by one. A row of the same origin as the one before takes four bytes; one whose origin was
/// seen earlier begins it anew, which costs less than to look for it.
pub(crate) struct OriginsBuilder {
    keys: Vec<i32>,
    last: Option<Last>,
    service_name: StringBuilder,
    scope_name: StringBuilder,
    scope_version: StringBuilder,
    scope: AttributesBuilder,
    resource: AttributesBuilder,
}

/// The origin of the row before.
#[derive(Default)]
struct Last {
    texts: [String; 3],
    scope: Attributes,
    resource: Attributes,
    /// Of the sets that these were copied from: rows that share theirs are told without a look at what is in them.
    marks: [Mark; 2],
}

impl Last {
    fn is(&self, origin: &Origin<'_>) -> bool {
        let Origin { service_name, scope_name, scope_version, scope, resource } = origin;
        self.texts.iter().zip([service_name, scope_name, scope_version]).all(|(own, text)| is_same(own, text))
            && (self.marks == [scope.mark(), resource.mark()] || self.scope.same(scope) && self.resource.same(resource))
    }

    fn set(&mut self, origin: &Origin<'_>) {
        let Origin { service_name, scope_name, scope_version, scope, resource } = origin;
        for (own, text) in self.texts.iter_mut().zip([*service_name, *scope_name, *scope_version]) {
            text.clone_into(own);
        }
        self.scope.clone_from(scope);
        self.resource.clone_from(resource);
        self.marks = [scope.mark(), resource.mark()];
    }
}

impl Default for OriginsBuilder {
    fn default() -> Self {
        let texts = StringBuilder::new;
        let (scope, resource) = (AttributesBuilder::new(), AttributesBuilder::new());
        Self { keys: Vec::new(), last: None, service_name: texts(), scope_name: texts(), scope_version: texts(), scope, resource }
    }
}

impl OriginsBuilder {
    pub(crate) fn push(&mut self, origin: Origin<'_>) {
        if !self.last.as_ref().is_some_and(|last| last.is(&origin)) {
            self.begin(origin);
        }
        let begun = self.service_name.offsets_slice().len() - 1;
        self.keys.push(i32::try_from(begun).expect("a request holds under 2^31 rows") - 1);
    }

    fn begin(&mut self, origin: Origin<'_>) {
        self.last.get_or_insert_default().set(&origin);
        let Origin { service_name, scope_name, scope_version, scope, resource } = origin;
        append_text(&mut self.service_name, service_name);
        append_text(&mut self.scope_name, scope_name);
        append_text(&mut self.scope_version, scope_version);
        for (builder, attributes) in [(&mut self.scope, scope), (&mut self.resource, resource)] {
            builder.append_all(attributes);
            builder.finish_row();
        }
    }

    /// The column, identity null; the builder is empty again.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        self.last = None;
        let origins = self.service_name.offsets_slice().len() - 1;
        let mut columns: Vec<ArrayRef> = Identity::FIELDS.map(|_| new_null_array(&DataType::Utf8, origins)).into();
        columns.extend(
            [&mut self.service_name, &mut self.scope_name, &mut self.scope_version].map(|texts| Arc::new(texts.finish()) as ArrayRef),
        );
        for builder in [&mut self.scope, &mut self.resource] {
            let (map, types) = builder.finish();
            columns.extend([map, types]);
        }
        let origins = StructArray::new(fields().clone(), columns, None);
        column_of(std::mem::take(&mut self.keys), origins)
    }
}

/// The fields of an origin.
fn fields() -> &'static Fields {
    static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
        let schema = Table::Logs.schema();
        COLUMNS.iter().map(|name| schema.field_with_name(name).expect("logs have every column of an origin").clone()).collect()
    });
    &FIELDS
}

/// The column of rows with these origins.
pub fn column_of(keys: Vec<i32>, origins: StructArray) -> ArrayRef {
    Arc::new(DictionaryArray::new(Int32Array::from(keys), Arc::new(origins)))
}

/// The schema of a table's packed batches: of samples the table's own.
pub(crate) fn packed_schema(table: Table) -> SchemaRef {
    static EACH: LazyLock<[SchemaRef; 3]> =
        LazyLock::new(|| [Table::Logs, Table::Spans, Table::Quarantine].map(|table| Arc::new(schema_of(&table.schema()))));
    match table {
        Table::Logs => EACH[0].clone(),
        Table::Spans => EACH[1].clone(),
        Table::Quarantine => EACH[2].clone(),
        Table::Samples => table.schema(),
    }
}

fn schema_of(flat: &Schema) -> Schema {
    let own = flat.fields().iter().filter(|field| !COLUMNS.contains(&field.name().as_str())).cloned();
    let origin = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Struct(fields().clone())));
    Schema::new(own.chain([Arc::new(Field::new(ORIGIN, origin, false))]).collect::<Vec<_>>())
}

/// The origins of a packed batch.
#[derive(Clone, Copy, Debug)]
pub struct Origins<'a> {
    /// Of each row its place in `each`.
    pub keys: &'a Int32Array,
    pub each: &'a StructArray,
}

impl<'a> Origins<'a> {
    /// None of a batch that is not packed.
    pub fn of(records: &'a RecordBatch) -> Option<Self> {
        let column = records.column_by_name(ORIGIN)?.as_any().downcast_ref::<DictionaryArray<Int32Type>>()?;
        Some(Self { keys: column.keys(), each: column.values().as_any().downcast_ref()? })
    }

    pub fn place(&self, row: usize) -> usize {
        self.keys.value(row) as usize
    }

    pub fn texts(&self, name: &str) -> Result<&'a StringArray> {
        let column = self.each.column_by_name(name).and_then(|column| column.as_string_opt());
        column.ok_or_else(|| Error::internal(format!("cannot find text {name:?} in the origins of a batch")))
    }

    pub fn map(&self, name: &str) -> Result<&'a MapArray> {
        let column = self.each.column_by_name(name).and_then(|column| column.as_map_opt());
        column.ok_or_else(|| Error::internal(format!("cannot find map {name:?} in the origins of a batch")))
    }

    /// The origins as rows of their own.
    pub fn rows(&self) -> RecordBatch {
        RecordBatch::from(self.each)
    }

    /// Of each origin how many rows have it.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.each.len()];
        self.keys.values().iter().for_each(|place| counts[*place as usize] += 1);
        counts
    }

    /// What holds of an origin holds of its rows.
    pub fn spread(&self, holds: &BooleanArray) -> BooleanArray {
        let keys = self.keys.values();
        BooleanArray::from(BooleanBuffer::collect_bool(keys.len(), |row| {
            let place = keys[row] as usize;
            holds.is_valid(place) && holds.value(place)
        }))
    }
}

/// The rows with these origins in place of their own, if they have any.
pub fn with_origins(records: &RecordBatch, keys: Vec<i32>, origins: StructArray) -> Result<RecordBatch, ArrowError> {
    let (schema, mut columns, _) = records.clone().into_parts();
    let origin = column_of(keys, origins);
    match schema.column_with_name(ORIGIN) {
        Some((at, _)) => {
            columns[at] = origin;
            RecordBatch::try_new(schema, columns)
        }
        None => {
            columns.push(origin);
            RecordBatch::try_new(Arc::new(schema_of(&schema)), columns)
        }
    }
}

/// A column of a packed batch or of any other, as a scan gives it.
pub fn flat_column(records: &RecordBatch, name: &str) -> Result<ArrayRef> {
    if let Some(own) = records.column_by_name(name) {
        return Ok(own.clone());
    }
    let origins = Origins::of(records);
    let column = origins.and_then(|origins| Some((origins.keys, origins.each.column_by_name(name)?)));
    let (keys, column) = column.ok_or_else(|| Error::internal(format!("cannot find column {name:?} in a record batch")))?;
    Ok(take(column, keys, None)?)
}

/// The rows as a scan gives them.
pub fn unpacked(table: Table, records: &RecordBatch) -> Result<RecordBatch> {
    if Origins::of(records).is_none() {
        return Ok(records.clone());
    }
    let schema = table.schema();
    let columns = schema.fields().iter().map(|field| flat_column(records, field.name())).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// The rows packed: rows that follow each other and agree share an origin. Of samples they stay as they are.
pub fn packed(table: Table, records: &RecordBatch) -> Result<RecordBatch> {
    if table == Table::Samples || Origins::of(records).is_some() {
        return Ok(records.clone());
    }
    let columns = COLUMNS
        .iter()
        .map(|name| records.column_by_name(name).ok_or_else(|| Error::internal(format!("cannot pack rows without column {name:?}"))))
        .collect::<Result<Vec<_>>>()?;
    let told: Vec<Told<'_>> = columns.iter().map(|column| Told::of(column)).collect();
    let (mut firsts, mut keys) = (Vec::new(), Vec::with_capacity(records.num_rows()));
    let (mut text, mut before) = (Vec::new(), Vec::new());
    for row in 0..records.num_rows() {
        text.clear();
        told.iter().for_each(|column| column.write_row(row, &mut text));
        if row == 0 || text != before {
            firsts.push(row as i32);
            std::mem::swap(&mut text, &mut before);
        }
        keys.push(firsts.len() as i32 - 1);
    }
    let firsts = Int32Array::from(firsts);
    let origins = columns.iter().map(|column| take(column, &firsts, None)).collect::<Result<Vec<_>, _>>()?;
    let origin = column_of(keys, StructArray::new(fields().clone(), origins, None));
    let own = (0..records.num_columns()).filter(|at| !COLUMNS.contains(&records.schema_ref().field(*at).name().as_str()));
    let columns = own.map(|at| records.column(at).clone()).chain([origin]).collect();
    Ok(RecordBatch::try_new(Arc::new(schema_of(records.schema_ref())), columns)?)
}

/// The origins of packed batches together, each once, and of each row of each batch its place among them.
pub fn united(batches: &[RecordBatch]) -> Result<(StructArray, Vec<Vec<i32>>)> {
    let missing = || Error::internal("cannot unite origins: a batch is not packed");
    let all = batches.iter().map(|batch| Origins::of(batch).ok_or_else(missing)).collect::<Result<Vec<_>>>()?;
    let mut places: HashMap<Vec<u8>, i32> = HashMap::new();
    let (mut firsts, mut keys, mut text) = (Vec::new(), Vec::with_capacity(all.len()), Vec::new());
    let mut begin = 0;
    for origins in &all {
        let mut known = Vec::with_capacity(origins.each.len());
        let columns: Vec<Told<'_>> = origins.each.columns().iter().map(Told::of).collect();
        for place in 0..origins.each.len() {
            text.clear();
            columns.iter().for_each(|column| column.write_row(place, &mut text));
            let next = firsts.len() as i32;
            known.push(*places.entry_ref(text.as_slice()).or_insert_with(|| {
                firsts.push(begin + place as i32);
                next
            }));
        }
        begin += origins.each.len() as i32;
        keys.push(origins.keys.values().iter().map(|place| known[*place as usize]).collect());
    }
    let each: Vec<&dyn Array> = all.iter().map(|origins| origins.each as &dyn Array).collect();
    if each.is_empty() {
        return Ok((StructArray::new_null(fields().clone(), 0), keys));
    }
    let (joined, firsts) = (concat(&each)?, Int32Array::from(firsts));
    let columns = joined.as_struct().columns().iter().map(|column| take(column, &firsts, None)).collect::<Result<Vec<_>, _>>()?;
    Ok((StructArray::new(fields().clone(), columns, None), keys))
}

/// Packed batches as one.
pub fn joined(batches: &[RecordBatch]) -> Result<RecordBatch> {
    let (origins, keys) = united(batches)?;
    let schema = batches.first().map(RecordBatch::schema).ok_or_else(|| Error::internal("cannot join no batches"))?;
    let origin = column_of(keys.concat(), origins);
    let own = |at: usize| {
        let each: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(at).as_ref()).collect();
        concat(&each)
    };
    let columns = schema.fields().iter().enumerate().map(|(at, field)| if field.name() == ORIGIN { Ok(origin.clone()) } else { own(at) });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// A column of origins, as it is told from others.
enum Told<'a> {
    /// Of no row anything.
    Nothing,
    Text(&'a StringArray),
    Map {
        offsets: &'a [i32],
        texts: [&'a StringArray; 2],
    },
}

/// Stands for the length of a text that is null.
const NO_TEXT: u32 = u32::MAX;

impl<'a> Told<'a> {
    fn of(column: &'a ArrayRef) -> Self {
        match column.as_string_opt() {
            Some(texts) if texts.null_count() == texts.len() => Self::Nothing,
            Some(texts) => Self::Text(texts),
            None => {
                let map = column.as_map();
                Self::Map { offsets: map.value_offsets(), texts: [map.keys(), map.values()].map(|texts| texts.as_string()) }
            }
        }
    }

    /// A row as bytes that no other row has.
    fn write_row(&self, row: usize, out: &mut Vec<u8>) {
        let (offsets, texts) = match self {
            Self::Nothing => return out.extend_from_slice(&NO_TEXT.to_le_bytes()),
            Self::Text(texts) => {
                write_length(texts, row, out);
                return out.extend_from_slice(text_bytes(texts, row..row + 1));
            }
            Self::Map { offsets, texts } => (offsets, texts),
        };
        let entries = offsets[row] as usize..offsets[row + 1] as usize;
        out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
        for texts in texts {
            // The lengths first, so that the texts can be taken at once.
            entries.clone().for_each(|entry| write_length(texts, entry, out));
            match texts.null_count() {
                0 => out.extend_from_slice(text_bytes(texts, entries.clone())),
                _ => entries.clone().for_each(|entry| out.extend_from_slice(text_bytes(texts, entry..entry + 1))),
            }
        }
    }
}

fn write_length(texts: &StringArray, row: usize, out: &mut Vec<u8>) {
    let length = if texts.is_valid(row) { texts.value_length(row) as u32 } else { NO_TEXT };
    out.extend_from_slice(&length.to_le_bytes());
}

/// The texts of rows, one behind the other; nothing of one that is null.
fn text_bytes(texts: &StringArray, rows: std::ops::Range<usize>) -> &[u8] {
    if rows.len() == 1 && texts.is_null(rows.start) {
        return &[];
    }
    let ends = texts.value_offsets();
    &texts.value_data()[ends[rows.start] as usize..ends[rows.end] as usize]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::AttributeValue;
    use crate::logs::{LogRow, LogsBuilder};

    /// Rows of these resources.
    fn rows(resources: &[&str]) -> RecordBatch {
        let (mut builder, scope) = (LogsBuilder::default(), Attributes::default());
        for (at, name) in resources.iter().enumerate() {
            let mut resource = Attributes::default();
            resource.set("service.name", AttributeValue::Text(name));
            resource.set("replicas", AttributeValue::Int(3));
            builder.push(&LogRow { time_unix_nano: at as i64, body: name, service_name: name, ..LogRow::default() }, &resource, &scope);
        }
        builder.finish_packed()
    }

    fn origins(records: &RecordBatch) -> (usize, Vec<i32>) {
        let origins = Origins::of(records).unwrap();
        (origins.each.len(), origins.keys.values().to_vec())
    }

    #[test]
    fn rows_that_follow_each_other_share_their_origin() {
        let records = rows(&["web", "web", "pay", "", "", "web"]);
        assert_eq!(origins(&records), (4, vec![0, 0, 1, 2, 2, 3]));
        let flat = unpacked(Table::Logs, &records).unwrap();
        assert_eq!(flat.schema(), Table::Logs.schema());
        assert_eq!(packed(Table::Logs, &flat).unwrap(), records);
        assert_eq!(unpacked(Table::Logs, &flat.slice(2, 3)).unwrap(), unpacked(Table::Logs, &records.slice(2, 3)).unwrap());
        assert_eq!(packed(Table::Logs, &rows(&[])).unwrap().num_rows(), 0);
    }

    #[test]
    fn batches_are_joined_and_each_origin_is_there_once() {
        let batches = [rows(&["web", "pay"]), rows(&[]), rows(&["pay", "web", "pay"]).slice(1, 2), rows(&["new"])];
        let together = joined(&batches).unwrap();
        assert_eq!(origins(&together), (3, vec![0, 1, 0, 1, 2]));
        let flat: Vec<RecordBatch> = batches.iter().map(|batch| unpacked(Table::Logs, batch).unwrap()).collect();
        let expected = arrow::compute::concat_batches(&Table::Logs.schema(), &flat).unwrap();
        assert_eq!(unpacked(Table::Logs, &together).unwrap(), expected);
    }

    #[test]
    fn a_packed_row_takes_as_many_bytes_as_an_unpacked_one() {
        let records = rows(&["web", "pay", "pay"]);
        let (packed, flat) =
            (crate::running_bytes(&records).unwrap(), crate::running_bytes(&unpacked(Table::Logs, &records).unwrap()).unwrap());
        assert_eq!(packed, flat);
    }
}
