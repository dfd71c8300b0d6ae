//! `POST /sql`: rows leave as they are made, as JSON or as an Arrow stream.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::StatusCode;
use http::header::ACCEPT;
use model::{Answered, Ask, Error, Result};
use tokio::time::{Instant, timeout_at};

use crate::error::{Failure, mismatch};
use crate::params::read_body;
use crate::state::{Shared, late};
use crate::{json, respond};

/// Of a request: queries are long when tools write them.
const SQL_BODY_BYTES_MAX: usize = 1 << 20;

const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    sql: String,
}

pub(super) async fn sql(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let deadline = Instant::now() + state.limits.timeout;
    let arrow = request.headers().get_all(ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(|accept| accept.contains(ARROW_STREAM)));
    let body = read_body(request, "sql_body_bytes_max", SQL_BODY_BYTES_MAX).await?;
    let question: Question = serde_json::from_slice(&body)
        .map_err(|error| Error::invalid("cannot read the request: it is JSON like {\"sql\": \"SELECT 1\"}").because(error))?;
    let Answered::Table { schema, mut rows } = state.ask(Ask::Sql { sql: question.sql }, None).await?.data else {
        return Err(mismatch("a table").into());
    };
    // Most failures come before the first rows, while there is still a status to say so with.
    let first = timeout_at(deadline, rows.next()).await.map_err(|_| late(state.limits.timeout))?.transpose()?;
    let (kind, writer): (_, Box<dyn Writer>) = match arrow {
        true => (ARROW_STREAM, Box::new(ArrowStream::new(&schema)?)),
        false => ("application/json", Box::new(JsonRows::new(schema))),
    };
    let rows = futures::stream::iter(first.map(Ok)).chain(rows);
    Ok(respond::typed(StatusCode::OK, kind, respond::pumped(written(rows, writer), deadline)))
}

/// The whole answer as the API writes it, for handlers that ask on somebody's behalf.
pub(super) async fn answered(state: &Shared, sql: String) -> Result<serde_json::Value> {
    let Answered::Table { schema, mut rows } = state.ask(Ask::Sql { sql }, None).await?.data else {
        return Err(Error::internal("cannot read the answer to a question in SQL: it is no table"));
    };
    let mut writer = JsonRows::new(schema);
    let mut text = Vec::new();
    while let Some(batch) = rows.next().await {
        text.extend_from_slice(&writer.batch(&batch?)?);
    }
    text.extend_from_slice(&writer.end()?);
    serde_json::from_slice(&text).map_err(|error| Error::internal("cannot read rows as JSON").because(error))
}

/// Turns batches into bytes.
trait Writer: Send {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Bytes>;
    fn end(&mut self) -> Result<Bytes>;
}

/// Every batch as bytes, then the end.
fn written(
    rows: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    writer: Box<dyn Writer>,
) -> impl Stream<Item = Result<Bytes>> + Send {
    let ends = rows.map(Some).chain(futures::stream::once(async { None }));
    ends.scan(writer, |writer, next| {
        std::future::ready(Some(match next {
            Some(batch) => batch.and_then(|batch| writer.batch(&batch)),
            None => writer.end(),
        }))
    })
}

struct ArrowStream(StreamWriter<Vec<u8>>);

impl ArrowStream {
    fn new(schema: &SchemaRef) -> Result<Self> {
        Ok(Self(StreamWriter::try_new(Vec::new(), schema)?))
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(self.0.get_mut()).into()
    }
}

impl Writer for ArrowStream {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Bytes> {
        self.0.write(batch)?;
        Ok(self.take())
    }

    fn end(&mut self) -> Result<Bytes> {
        self.0.finish()?;
        Ok(self.take())
    }
}

struct JsonRows {
    /// Written before the first row.
    head: String,
    first: bool,
}

impl JsonRows {
    fn new(schema: SchemaRef) -> Self {
        let mut head = "{\"columns\":".to_owned();
        json::list(&mut head, schema.fields(), |out, field: &Arc<Field>| {
            json::pairs(out, [("name", field.name().as_str()), ("type", &type_name(field.data_type()))].into_iter());
        });
        head.push_str(",\"rows\":[");
        Self { head, first: true }
    }
}

impl Writer for JsonRows {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Bytes> {
        let mut out = std::mem::take(&mut self.head);
        for row in 0..batch.num_rows() {
            if !std::mem::take(&mut self.first) {
                out.push(',');
            }
            let mut failed = None;
            json::list(&mut out, batch.columns(), |out, column| {
                if let Err(error) = cell(out, column, row) {
                    failed = Some(error);
                }
            });
            failed.map_or(Ok(()), Err)?;
        }
        Ok(out.into())
    }

    fn end(&mut self) -> Result<Bytes> {
        Ok((std::mem::take(&mut self.head) + "]}").into())
    }
}

/// Short lower-case words: `int64`, `text`, `map`; what has none is Arrow's own word.
fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "binary".to_owned(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "list".to_owned(),
        DataType::Map(..) => "map".to_owned(),
        DataType::Struct(_) => "struct".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Dictionary(_, value) => type_name(value),
        other => other.to_string().to_lowercase(),
    }
}

/// One value: 64-bit integers are JSON numbers, floats that JSON has no number for are text, maps and structs are
/// objects, lists are arrays, bytes are base64, and everything else is text as Arrow writes it.
fn cell(out: &mut String, array: &ArrayRef, row: usize) -> Result<()> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Boolean => json::push(out, format_args!("{}", array.as_boolean().value(row))),
        DataType::Float64 => json::number(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            match value.is_finite() {
                true => json::push(out, format_args!("{value:?}")),
                false => json::number(out, f64::from(value)),
            }
        }
        DataType::Utf8 => json::text(out, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => json::text(out, array.as_string::<i64>().value(row)),
        DataType::Utf8View => json::text(out, array.as_string_view().value(row)),
        DataType::Binary => base64(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => base64(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => base64(out, array.as_binary_view().value(row)),
        DataType::List(_) => elements(out, &array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => elements(out, &array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(..) => elements(out, &array.as_fixed_size_list().value(row))?,
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            object(out, entries.len(), |out, index| formatted(out, keys, index, true), |out, index| cell(out, values, index))?;
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let name = |out: &mut String, index: usize| {
                json::text(out, fields[index].name());
                Ok(())
            };
            object(out, columns.len(), name, |out, index| cell(out, &columns[index], row))?;
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            cell(out, dictionary.values(), dictionary.normalized_keys()[row])?;
        }
        kind => formatted(out, array, row, !kind.is_integer())?,
    }
    Ok(())
}

fn base64(out: &mut String, bytes: &[u8]) {
    json::push(out, format_args!("\"{}\"", STANDARD.encode(bytes)));
}

fn elements(out: &mut String, values: &ArrayRef) -> Result<()> {
    out.push('[');
    for index in 0..values.len() {
        if index > 0 {
            out.push(',');
        }
        cell(out, values, index)?;
    }
    out.push(']');
    Ok(())
}

fn object(
    out: &mut String,
    len: usize,
    name: impl Fn(&mut String, usize) -> Result<()>,
    value: impl Fn(&mut String, usize) -> Result<()>,
) -> Result<()> {
    out.push('{');
    for index in 0..len {
        if index > 0 {
            out.push(',');
        }
        name(out, index)?;
        out.push(':');
        value(out, index)?;
    }
    out.push('}');
    Ok(())
}

fn formatted(out: &mut String, array: &ArrayRef, row: usize, quoted: bool) -> Result<()> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options)?;
    match quoted {
        true => json::text(out, &formatter.value(row).to_string()),
        false => json::push(out, format_args!("{}", formatter.value(row))),
    }
    Ok(())
}
