//! The columns of files: a table's own, and behind them those that only files have. Who reads a file gets the table's own back.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use model::{DeclaredField, DeclaredFields, FieldType, Result, Table};

use super::{ends, fields, template, values};

/// What the files of a table hold beside declared attributes.
pub(crate) fn file_schema(table: Table) -> SchemaRef {
    static LOGS: LazyLock<SchemaRef> = LazyLock::new(|| with(&Table::Logs.schema(), template::fields()));
    static SPANS: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(ends::schema_with(&Table::Spans.schema(), true)));
    static SAMPLES: LazyLock<SchemaRef> = LazyLock::new(|| with(&Table::Samples.schema(), values::fields()));
    match table {
        Table::Logs => LOGS.clone(),
        Table::Spans => SPANS.clone(),
        Table::Quarantine => table.schema(),
        Table::Samples => SAMPLES.clone(),
    }
}

/// Attributes that have columns without anybody's declaring them: those of OpenTelemetry's conventions by which spans are looked for
/// and counted, and whose texts are most of a span's bytes.
pub(crate) fn usual(table: Table) -> DeclaredFields {
    const SPANS: [(&str, FieldType); 7] = [
        ("http.request.method", FieldType::String),
        ("http.route", FieldType::String),
        ("url.path", FieldType::String),
        ("http.response.status_code", FieldType::Integer),
        ("server.address", FieldType::String),
        ("db.system.name", FieldType::String),
        ("db.query.text", FieldType::String),
    ];
    let mut fields = DeclaredFields::default();
    if table == Table::Spans {
        SPANS.into_iter().for_each(|(key, kind)| drop(fields.add(key, kind)));
    }
    fields
}

/// What the files of a table hold with columns for declared attributes.
pub(crate) fn schema_with(table: Table, declared: &DeclaredFields) -> SchemaRef {
    match declared.is_empty() {
        true => file_schema(table),
        false => with(&file_schema(table), std::iter::once(fields::order_field()).chain(declared.iter().map(fields::file_field))),
    }
}

/// What a scan of a table can give.
pub(crate) fn wide_schema(table: Table, declared: &DeclaredFields) -> SchemaRef {
    match declared.is_empty() {
        true => table.schema(),
        false => with(&table.schema(), declared.iter().map(DeclaredField::field)),
    }
}

/// The schema with more columns behind its own.
pub(crate) fn with(schema: &Schema, more: impl IntoIterator<Item = Field>) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().cloned().chain(more.into_iter().map(Arc::new)).collect::<Vec<_>>()))
}

/// The columns to read from a file with this schema for these columns: the table's own, or of declared attributes.
pub(crate) fn file_columns<'a>(file: &'a Schema, columns: &[&'a str], declared: &DeclaredFields) -> Vec<&'a str> {
    let more = |of: &str, more: [&'static str; 2]| columns.contains(&of).then_some(more).into_iter().flatten();
    let mut all: Vec<&str> =
        columns.iter().copied().chain(more(template::BODY, template::COLUMNS)).chain(more(values::VALUES, values::COLUMNS)).collect();
    if columns.contains(&ends::END) && file.field_with_name(ends::END).is_ok_and(Field::is_nullable) {
        all.extend(ends::COLUMNS);
    }
    let is_derived = |name: &str| declared.of_column(name).is_some() && file.field_with_name(name).is_err();
    if columns.iter().any(|name| [fields::MAP, fields::TYPES].contains(name) || is_derived(name)) {
        all.extend([fields::MAP, fields::TYPES, fields::ORDER]);
        all.extend(file.fields().iter().filter(|field| fields::key_of(field).is_some()).map(|field| field.name().as_str()));
    }
    all
}

/// A batch of the table as a file holds it, but for what a file's writer keeps count of: bodies and declared attributes.
pub(crate) fn pack(table: Table, records: &RecordBatch) -> Result<RecordBatch> {
    ends::pack(table, values::pack(table, records)?)
}

/// A batch from a file, as the table has it; columns of declared attributes stay.
pub(crate) fn unpack(records: RecordBatch) -> Result<RecordBatch> {
    ends::unpack(values::unpack(template::unpack(fields::unpack(records)?)?)?)
}

/// Without the columns of declared attributes.
pub(crate) fn without_declared(records: RecordBatch) -> Result<RecordBatch> {
    let schema = records.schema();
    let kept: Vec<usize> = (0..schema.fields().len()).filter(|&at| fields::key_of(schema.field(at)).is_none()).collect();
    match kept.len() == schema.fields().len() {
        true => Ok(records),
        false => Ok(records.project(&kept)?),
    }
}

/// With columns of these declared attributes, as far as it lacks them: made of the attributes.
pub(crate) fn widened(records: RecordBatch, columns: &[&str], declared: &DeclaredFields) -> Result<RecordBatch> {
    // A column may be both filtered by and wanted.
    let missing: BTreeSet<&str> = columns.iter().copied().filter(|name| records.column_by_name(name).is_none()).collect();
    let missing: Vec<_> = missing.into_iter().filter_map(|name| declared.of_column(name)).collect();
    if missing.is_empty() {
        return Ok(records);
    }
    let schema = with(records.schema_ref(), missing.iter().map(|field| field.field()));
    let mut all = records.columns().to_vec();
    for field in missing {
        all.push(fields::derive(&records, field)?);
    }
    Ok(RecordBatch::try_new(schema, all)?)
}
