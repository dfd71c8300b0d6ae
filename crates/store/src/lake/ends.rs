//! Ends of spans as files hold them: none where the end is the start and the duration together, as it nearly always is. A column of
//! ends beside the two says nothing more and is a tenth of a span's bytes.
//!
//! Refused: to leave out durations, which are what people ask the lake for; to drop the column, because a span whose end is so far
//! away that the duration was cut would come back as another.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{Field, Schema};
use model::schema::column;
use model::{Code, Error, Result, Table};

pub(crate) const END: &str = "end_time_unix_nano";
/// What says the end where the column does not.
pub(crate) const COLUMNS: [&str; 2] = ["start_time_unix_nano", "duration_nano"];

/// A batch of the table as a file holds it.
pub(crate) fn pack(table: Table, records: RecordBatch) -> Result<RecordBatch> {
    if table != Table::Spans {
        return Ok(records);
    }
    let (ends, said) = (column::<Int64Array>(&records, END)?, sums(&records)?);
    let left: Int64Array = ends.values().iter().zip(said).map(|(&end, said)| (said != Some(end)).then_some(end)).collect();
    with_ends(&records, Arc::new(left), true)
}

/// A batch from a file, as the table has it; one without ends, or with all of them, is as it was.
pub(crate) fn unpack(records: RecordBatch) -> Result<RecordBatch> {
    let schema = records.schema();
    let Some((at, field)) = schema.column_with_name(END) else { return Ok(records) };
    if !field.is_nullable() {
        return Ok(records);
    }
    let ends = column::<Int64Array>(&records, END)?;
    let filled = (0..ends.len()).zip(sums(&records)?).map(|(row, said)| if ends.is_valid(row) { Some(ends.value(row)) } else { said });
    let filled = filled.collect::<Option<Vec<i64>>>();
    let filled = filled.ok_or_else(|| Error::new(Code::Corrupt, format!("cannot read column {at}: a span's end is nowhere")))?;
    with_ends(&records, Arc::new(Int64Array::from(filled)), false)
}

/// Start and duration together; none where that is no time.
fn sums(records: &RecordBatch) -> Result<impl Iterator<Item = Option<i64>>> {
    let [starts, durations] = COLUMNS.map(|name| column::<Int64Array>(records, name));
    Ok(starts?.values().iter().zip(durations?.values()).map(|(start, duration)| start.checked_add(*duration)))
}

fn with_ends(records: &RecordBatch, ends: ArrayRef, nullable: bool) -> Result<RecordBatch> {
    let mut columns = records.columns().to_vec();
    columns[records.schema_ref().index_of(END)?] = ends;
    Ok(RecordBatch::try_new(Arc::new(schema_with(records.schema_ref(), nullable)), columns)?)
}

/// The schema with ends that may be missing, or may not.
pub(crate) fn schema_with(schema: &Schema, nullable: bool) -> Schema {
    let field = |field: &Arc<Field>| match field.name() == END {
        true => Arc::new(field.as_ref().clone().with_nullable(nullable)),
        false => field.clone(),
    };
    Schema::new_with_metadata(schema.fields().iter().map(field).collect::<Vec<_>>(), schema.metadata().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Attributes;
    use model::spans::{SpanRow, SpansBuilder};

    #[test]
    fn ends_come_back_also_where_a_duration_was_cut() {
        let mut builder = SpansBuilder::default();
        for (start, end) in [(10, 30), (5, 5), (i64::MIN, i64::MAX), (-7, 7)] {
            let row = SpanRow { start_time_unix_nano: start, end_time_unix_nano: end, ..SpanRow::default() };
            builder.push(&row, &Attributes::default(), &Attributes::default());
        }
        let records = builder.finish();
        let packed = pack(Table::Spans, records.clone()).unwrap();
        let left: &Int64Array = column(&packed, END).unwrap();
        assert_eq!(left.iter().collect::<Vec<_>>(), [None, None, Some(i64::MAX), None]);
        assert_eq!(unpack(packed).unwrap(), records);
        assert_eq!(unpack(records.clone()).unwrap(), records, "from a file of version 1");
    }
}
