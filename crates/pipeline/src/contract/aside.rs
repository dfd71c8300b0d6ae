//! Rows of `quarantine`: records that were set aside, and what became of them later.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StructArray, new_null_array};
use arrow::compute::take;
use model::origin::{self, Origins};
use model::{Error, Result, Table};

/// What `quarantine` says of a record beside the record.
#[derive(Default)]
pub(crate) struct SetAside {
    pub(crate) ids: Vec<String>,
    pub(crate) violations: Vec<String>,
    pub(crate) contracts: Vec<String>,
    pub(crate) versions: Vec<String>,
}

/// Rows of logs as rows of `quarantine`.
pub(crate) fn set_aside(records: &RecordBatch, rows: &[u32], said: SetAside, protocol: &str, now_ns: i64) -> Result<RecordBatch> {
    let count = rows.len();
    let texts = |texts: Vec<String>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let same = |text: &str| Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, count))) as ArrayRef;
    let now = || Arc::new(Int64Array::from_value(now_ns, count)) as ArrayRef;
    let more: [(&str, ArrayRef); 8] = [
        ("quarantine_id", texts(said.ids)),
        ("quarantined_at_unix_nano", now()),
        ("violations", texts(said.violations)),
        ("contract", texts(said.contracts)),
        ("contract_version", texts(said.versions)),
        ("protocol", same(protocol)),
        ("state", same(model::quarantine::QUARANTINED)),
        ("state_unix_nano", now()),
    ];
    let rows = Int32Array::from_iter_values(rows.iter().map(|row| row.cast_signed()));
    let (origin, schema) = (origins_of(records, &rows)?, Table::Quarantine.packed_schema());
    let columns = schema.fields().iter().map(|field| {
        let name = field.name().as_str();
        match more.iter().find(|(other, _)| *other == name) {
            Some((_, column)) => Ok(column.clone()),
            None if name == origin::ORIGIN => Ok(origin.clone()),
            None => {
                let missing = || Error::internal(format!("cannot set records aside: they have no column {name:?}"));
                Ok(take(records.column_by_name(name).ok_or_else(missing)?, &rows, None)?)
            }
        }
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// The origins of these rows, and no others.
fn origins_of(records: &RecordBatch, rows: &Int32Array) -> Result<ArrayRef> {
    let origins = Origins::of(records).ok_or_else(|| Error::internal("cannot set records aside that are not packed"))?;
    let mut places: Vec<i32> = rows.values().iter().map(|row| origins.keys.value(*row as usize)).collect();
    let mut used = places.clone();
    used.sort_unstable();
    used.dedup();
    for place in &mut places {
        *place = used.binary_search(place).map_or(0, |at| at as i32);
    }
    let used = Int32Array::from(used);
    let columns = origins.each.columns().iter().map(|column| take(column, &used, None)).collect::<Result<Vec<_>, _>>()?;
    Ok(origin::column_of(places, StructArray::new(origins.each.fields().clone(), columns, None)))
}

/// Rows that say what became of records: each has of its record the identity and the times, so that it is kept exactly as long.
pub(crate) fn marks(set_aside: &RecordBatch, state: &str, now_ns: i64) -> Result<RecordBatch> {
    const KEPT: [&str; 5] = ["time_unix_nano", "quarantine_id", "quarantined_at_unix_nano", "contract", "contract_version"];
    let (count, schema) = (set_aside.num_rows(), set_aside.schema());
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        "state" => Ok(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(state, count))) as ArrayRef),
        "state_unix_nano" => Ok(Arc::new(Int64Array::from_value(now_ns, count)) as ArrayRef),
        name if KEPT.contains(&name) || model::Identity::FIELDS.contains(&name) => {
            let missing = || Error::internal(format!("cannot mark records of quarantine: they have no column {name:?}"));
            set_aside.column_by_name(name).cloned().ok_or_else(missing)
        }
        _ => Ok(new_null_array(field.data_type(), count)),
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}
