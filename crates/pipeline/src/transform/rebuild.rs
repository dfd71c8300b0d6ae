//! The batch with what stages wrote. Columns that nobody wrote to are those that came.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int32Builder, Int64Builder, RecordBatch, StringArray, StringBuilder};
use arrow::compute::filter_record_batch;
use model::{AttributeValue, AttributesBuilder, Error, Result};

use super::record::{Columns, Edit};

/// An edit for each row that has one, in their order; `kept` is none when all rows are.
pub(super) fn rebuilt(
    records: &RecordBatch,
    columns: &Columns<'_>,
    edits: &[(usize, Edit)],
    kept: Option<Vec<bool>>,
) -> Result<RecordBatch> {
    let schema = records.schema();
    let mut all = records.columns().to_vec();
    let mut put = |name: &str, column: Option<ArrayRef>| -> Result<()> {
        if let Some(column) = column {
            let at = schema.index_of(name).map_err(Error::from)?;
            all[at] = column;
        }
        Ok(())
    };
    put("time_unix_nano", times(columns, edits))?;
    put("severity_number", severities(columns, edits))?;
    put("severity_text", texts(columns.severity_text, edits, |edit| edit.severity_text.as_deref().map(none_if_empty)))?;
    put("body", texts(columns.body, edits, |edit| edit.body.as_deref().map(Some)))?;
    put("body_type", texts(columns.body_type, edits, |edit| edit.plain_body.then_some(None)))?;
    put("trace_id", texts(columns.trace_id, edits, |edit| edit.trace_id.as_deref().map(none_if_empty)))?;
    put("span_id", texts(columns.span_id, edits, |edit| edit.span_id.as_deref().map(none_if_empty)))?;
    put("event_name", texts(columns.event_name, edits, |edit| edit.event_name.as_deref().map(none_if_empty)))?;
    if let Some((map, types)) = attributes(columns, edits) {
        put("attributes", Some(map))?;
        put("attribute_types", Some(types))?;
    }
    let records = RecordBatch::try_new(schema.clone(), all)?;
    match kept {
        Some(kept) => Ok(filter_record_batch(&records, &BooleanArray::from(kept))?),
        None => Ok(records),
    }
}

fn none_if_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// Every row with its edit, if it has one.
fn rows(count: usize, edits: &[(usize, Edit)]) -> impl Iterator<Item = (usize, Option<&Edit>)> {
    let mut edits = edits.iter().peekable();
    (0..count).map(move |row| (row, edits.next_if(|(at, _)| *at == row).map(|(_, edit)| edit)))
}

/// None when no edit writes to the column; of an edit that does, none within is null.
fn texts<'e>(column: &StringArray, edits: &'e [(usize, Edit)], of: impl Fn(&'e Edit) -> Option<Option<&'e str>>) -> Option<ArrayRef> {
    edits.iter().find_map(|(_, edit)| of(edit))?;
    let mut builder = StringBuilder::with_capacity(column.len(), column.value_data().len());
    for (row, edit) in rows(column.len(), edits) {
        let own = || column.is_valid(row).then(|| column.value(row));
        builder.append_option(edit.and_then(&of).unwrap_or_else(own));
    }
    Some(Arc::new(builder.finish()))
}

fn times(columns: &Columns<'_>, edits: &[(usize, Edit)]) -> Option<ArrayRef> {
    edits.iter().find_map(|(_, edit)| edit.time)?;
    let mut builder = Int64Builder::with_capacity(columns.time.len());
    for (row, edit) in rows(columns.time.len(), edits) {
        builder.append_value(edit.and_then(|edit| edit.time).unwrap_or_else(|| columns.time.value(row)));
    }
    Some(Arc::new(builder.finish()))
}

fn severities(columns: &Columns<'_>, edits: &[(usize, Edit)]) -> Option<ArrayRef> {
    edits.iter().find_map(|(_, edit)| edit.severity_number)?;
    let column = columns.severity_number;
    let mut builder = Int32Builder::with_capacity(column.len());
    for (row, edit) in rows(column.len(), edits) {
        let own = || column.is_valid(row).then(|| column.value(row));
        builder.append_option(edit.and_then(|edit| edit.severity_number).unwrap_or_else(own));
    }
    Some(Arc::new(builder.finish()))
}

fn attributes(columns: &Columns<'_>, edits: &[(usize, Edit)]) -> Option<(ArrayRef, ArrayRef)> {
    edits.iter().find(|(_, edit)| edit.attributes.is_some())?;
    let mut builder = AttributesBuilder::new();
    for (row, edit) in rows(columns.time.len(), edits) {
        match edit.and_then(|edit| edit.attributes.as_ref()) {
            Some(all) => {
                all.iter().for_each(|attribute| builder.append(&attribute.key, AttributeValue::Encoded(attribute.kind, &attribute.text)));
            }
            None => {
                for (key, kind, text) in columns.attributes.iter_typed(row) {
                    builder.append(key, AttributeValue::Encoded(kind, text));
                }
            }
        }
        builder.finish_row();
    }
    Some(builder.finish())
}
