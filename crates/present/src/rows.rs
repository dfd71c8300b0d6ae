//! Small answers by SQL, read by column.

use std::time::Duration;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::DataType;
use futures::TryStreamExt;
use model::{Answered, Ask, Error, Result};

use crate::error::mismatch;
use crate::state::{PresentState, within};

/// A text literal.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(crate) struct Rows(RecordBatch);

impl PresentState {
    /// All rows at once: the SQL bounds them.
    pub(crate) async fn rows(&self, sql: String, timeout: Option<Duration>) -> Result<Rows> {
        let allowed = timeout.map_or(self.limits.timeout, |wanted| wanted.min(self.limits.timeout));
        within(allowed, async { gathered(self.ask(Ask::Sql { sql }, timeout).await?.data).await }).await
    }
}

pub(crate) async fn gathered(answered: Answered) -> Result<Rows> {
    let Answered::Table { schema, rows } = answered else { return Err(mismatch("a table")) };
    let batches: Vec<RecordBatch> = rows.try_collect().await?;
    Ok(Rows(concat_batches(&schema, &batches)?))
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.0.num_rows()
    }

    pub(crate) fn batch(&self) -> &RecordBatch {
        &self.0
    }

    pub(crate) fn texts(&self, name: &str) -> Result<StringArray> {
        self.typed(name, DataType::Utf8)
    }

    pub(crate) fn longs(&self, name: &str) -> Result<Int64Array> {
        self.typed(name, DataType::Int64)
    }

    pub(crate) fn doubles(&self, name: &str) -> Result<Float64Array> {
        self.typed(name, DataType::Float64)
    }

    /// The texts of one column that are there and not empty, in order.
    pub(crate) fn words(&self, name: &str) -> Result<Vec<String>> {
        let column = self.texts(name)?;
        Ok(column.iter().flatten().filter(|text| !text.is_empty()).map(str::to_owned).collect())
    }

    /// Engines differ in how wide a count is and how a text is held.
    fn typed<A: Array + Clone + 'static>(&self, name: &str, wanted: DataType) -> Result<A> {
        let column: &ArrayRef =
            self.0.column_by_name(name).ok_or_else(|| Error::internal(format!("cannot find column {name:?} in an answer")))?;
        let column = cast(column, &wanted)?;
        Ok(column.as_any().downcast_ref::<A>().expect("cast gives the type asked for").clone())
    }
}
