//! Answers use plain Arrow types only: a reader need not know views and dictionaries to read a column of text.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::arrow::compute::cast;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use model::{Result, ScanStream};

use super::errors::computing;

pub(super) fn rows(rows: SendableRecordBatchStream) -> (SchemaRef, ScanStream) {
    let from = rows.schema();
    let fields: Vec<FieldRef> = from.fields().iter().map(plain_field).collect();
    let schema = Arc::new(Schema::new(fields));
    let to = schema.clone();
    (schema, Box::pin(rows.map(move |batch| plain_batch(&batch.map_err(computing)?, &to))))
}

fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| match column.data_type() == field.data_type() {
        true => Ok(column.clone()),
        false => cast(column, field.data_type()),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_, _>>()?, &options)?)
}

fn plain_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), plain_type(field.data_type()), field.is_nullable()))
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::List(element) | DataType::LargeList(element) => DataType::List(plain_field(element)),
        DataType::Map(entry, sorted) => DataType::Map(plain_field(entry), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        other => other.clone(),
    }
}
