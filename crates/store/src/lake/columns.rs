//! The columns of files: a table's own, and behind them those that only files have. Who reads a file gets the table's own back.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use model::{Result, Table};

use super::{template, values};

/// What the files of a table hold.
pub(crate) fn file_schema(table: Table) -> SchemaRef {
    static LOGS: LazyLock<SchemaRef> = LazyLock::new(|| with(Table::Logs, template::fields()));
    static SAMPLES: LazyLock<SchemaRef> = LazyLock::new(|| with(Table::Samples, values::fields()));
    match table {
        Table::Logs => LOGS.clone(),
        Table::Spans => table.schema(),
        Table::Samples => SAMPLES.clone(),
    }
}

fn with<const MORE: usize>(table: Table, more: [Field; MORE]) -> SchemaRef {
    Arc::new(Schema::new(table.schema().fields().iter().cloned().chain(more.map(Arc::new)).collect::<Vec<_>>()))
}

/// The columns to read from a file for these columns of the table.
pub(crate) fn file_columns<'a>(columns: &[&'a str]) -> Vec<&'a str> {
    let more = |of: &str, more: [&'static str; 2]| columns.contains(&of).then_some(more).into_iter().flatten();
    columns.iter().copied().chain(more(template::BODY, template::COLUMNS)).chain(more(values::VALUES, values::COLUMNS)).collect()
}

/// A batch from a file, as the table has it.
pub(crate) fn unpack(records: RecordBatch) -> Result<RecordBatch> {
    values::unpack(template::unpack(records)?)
}
