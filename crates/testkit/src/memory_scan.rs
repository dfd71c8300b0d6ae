use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, MapArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use futures::StreamExt;
use model::schema::column;
use model::{AttributesView, Error, Filter, Order, Result, Scan, ScanRequest, ScanStream, Subject, Table, Test, TimeRange, origin};
use regex::Regex;

/// Batches in memory as a [`Scan`]: no index, no pruning, every filter applied to every row. What a real scan answers
/// can be compared with this.
#[derive(Default)]
pub struct MemoryScan {
    batch_rows: Option<usize>,
    stuck: bool,
    batches: Mutex<HashMap<Table, Vec<RecordBatch>>>,
    requests: Mutex<Vec<ScanRequest>>,
    batches_taken: Arc<AtomicUsize>,
}

impl MemoryScan {
    /// Gives its rows in batches so small that whoever reads meets their seams, and not all at once.
    pub fn in_batches_of(rows: usize) -> Self {
        Self { batch_rows: Some(rows), ..Self::default() }
    }

    /// Never gives a row.
    pub fn stuck() -> Self {
        Self { stuck: true, ..Self::default() }
    }

    /// Adds rows after those that are there.
    pub fn push(&self, table: Table, batch: RecordBatch) {
        let batch = origin::unpacked(table, &batch).expect("a batch that is packed has all columns");
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).entry(table).or_default().push(batch);
    }

    /// Every request that came.
    pub fn requests(&self) -> Vec<ScanRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Batches that readers took.
    pub fn batches_taken(&self) -> usize {
        self.batches_taken.load(Ordering::Relaxed)
    }

    pub fn clear(&self) {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[async_trait]
impl Scan for MemoryScan {
    fn schema(&self, table: Table) -> SchemaRef {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.get(&table).and_then(|batches| batches.first()).map_or_else(|| table.schema(), RecordBatch::schema)
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanStream> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        if self.stuck {
            return Ok(futures::stream::pending().boxed());
        }
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner).get(&request.table).cloned().unwrap_or_default();
        let filters = request.filters.iter().map(Compiled::of).collect::<Result<Vec<_>>>()?;
        let mut kept = Vec::new();
        for batch in &batches {
            let (scanned, bytes) = (batch.num_rows() as u64, batch.get_array_memory_size() as u64);
            let batch = filtered(batch, request.table, &request.time, &filters)?;
            {
                let mut stats = request.stats.lock().unwrap_or_else(PoisonError::into_inner);
                stats.rows_scanned += scanned;
                stats.bytes_scanned += bytes;
                stats.head_rows_scanned += scanned;
                stats.rows_returned += batch.num_rows() as u64;
            }
            if batch.num_rows() > 0 {
                kept.push(batch);
            }
        }
        let kept = ordered(kept, &request, self.batch_rows)?;
        let projected = kept.into_iter().map(|batch| match &request.columns {
            Some(columns) => projected(&batch, columns),
            None => Ok(batch),
        });
        // Now this way, now that: who asks for dictionaries takes both.
        let projected = projected.enumerate().map(|(at, batch)| match at % 2 {
            0 if request.order == Order::Any => encoded(&batch?, &request.dictionaries),
            _ => batch,
        });
        let taken = self.batches_taken.clone();
        let counted = futures::stream::iter(projected.collect::<Vec<_>>()).inspect(move |_| {
            taken.fetch_add(1, Ordering::Relaxed);
        });
        Ok(counted.boxed())
    }
}

/// The batch with these columns of texts as dictionaries.
fn encoded(batch: &RecordBatch, columns: &[String]) -> Result<RecordBatch> {
    let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let (mut fields, mut arrays) = (batch.schema().fields().to_vec(), batch.columns().to_vec());
    for (field, array) in fields.iter_mut().zip(&mut arrays).filter(|(field, _)| columns.contains(field.name())) {
        *field = Arc::new(field.as_ref().clone().with_data_type(kind.clone()));
        *array = arrow::compute::cast(array, &kind)?;
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

struct Compiled<'a> {
    filter: &'a Filter,
    regex: Option<Regex>,
}

impl<'a> Compiled<'a> {
    fn of(filter: &'a Filter) -> Result<Self> {
        let pattern = match &filter.test {
            Test::Regex(pattern) | Test::NotRegex(pattern) => Some(format!("^(?s:{pattern})$")),
            Test::Search(pattern) | Test::NotSearch(pattern) => Some(pattern.clone()),
            _ => None,
        };
        let compile =
            |pattern: String| Regex::new(&pattern).map_err(|error| Error::invalid("cannot read regular expression").because(error));
        Ok(Self { filter, regex: pattern.map(compile).transpose()? })
    }

    fn keeps(&self, batch: &RecordBatch, subject: &Subject, row: usize) -> Result<bool> {
        Ok(match subject {
            Subject::AnyOf(subjects) => {
                subjects.iter().map(|subject| self.keeps(batch, subject, row)).collect::<Result<Vec<_>>>()?.contains(&true)
            }
            Subject::Label { column: map, name } => {
                let view = AttributesView::of_map(column::<MapArray>(batch, map)?, None);
                let named: Vec<_> = view.iter(row).filter(|(key, _)| model::legal_name(key) == *name).collect();
                named.iter().any(|(_, value)| self.passes(value)) || named.is_empty() && self.passes("")
            }
            subject => self.passes(&text(batch, subject, row)?),
        })
    }

    fn passes(&self, value: &str) -> bool {
        let found = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match &self.filter.test {
            Test::Equal(wanted) => value == wanted,
            Test::NotEqual(unwanted) => value != unwanted,
            Test::OneOf(wanted) => wanted.iter().any(|wanted| wanted == value),
            Test::Regex(_) | Test::Search(_) => found(),
            Test::NotRegex(_) | Test::NotSearch(_) => !found(),
            Test::Contains(part) => value.contains(part.as_str()),
            Test::NotContains(part) => !value.contains(part.as_str()),
            Test::Integers(least, greatest) => value.parse().is_ok_and(|value: i64| (*least..=*greatest).contains(&value)),
            Test::Numbers(least, greatest) => {
                value.parse().is_ok_and(|value: f64| least.0.total_cmp(&value).is_le() && value.total_cmp(&greatest.0).is_le())
            }
        }
    }
}

fn filtered(batch: &RecordBatch, table: Table, time: &TimeRange, filters: &[Compiled<'_>]) -> Result<RecordBatch> {
    let (first, last) = table.time_columns();
    let (first, last): (&Int64Array, &Int64Array) = (column(batch, first)?, column(batch, last)?);
    let mut keep = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut kept = !time.is_empty() && time.overlaps(first.value(row), last.value(row));
        for filter in filters {
            kept = kept && filter.keeps(batch, &filter.filter.subject, row)?;
        }
        keep.push(kept);
    }
    Ok(filter_record_batch(batch, &BooleanArray::from(keep))?)
}

/// The text that a filter looks at; empty for null and for a missing key.
fn text<'a>(batch: &'a RecordBatch, subject: &Subject, row: usize) -> Result<Cow<'a, str>> {
    match subject {
        Subject::Column(name) => {
            let array = batch.column_by_name(name).ok_or_else(|| Error::invalid(format!("cannot find column {name:?}")))?;
            if array.is_null(row) {
                return Ok("".into());
            }
            Ok(match array.data_type() {
                DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string().into(),
                DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_string().into(),
                DataType::Boolean => array.as_boolean().value(row).to_string().into(),
                _ => column::<StringArray>(batch, name)?.value(row).into(),
            })
        }
        Subject::Entry { column: name, key } => {
            let map: &MapArray = column(batch, name)?;
            Ok(AttributesView::of_map(map, None).get(row, key).unwrap_or_default().into())
        }
        Subject::FirstOf(subjects) => {
            for inner in subjects {
                let text = self::text(batch, inner, row)?;
                if !text.is_empty() {
                    return Ok(text);
                }
            }
            Ok("".into())
        }
        Subject::Label { .. } | Subject::AnyOf(_) => Err(Error::invalid("cannot take one text of several")),
    }
}

fn ordered(batches: Vec<RecordBatch>, request: &ScanRequest, batch_rows: Option<usize>) -> Result<Vec<RecordBatch>> {
    let Some(first) = batches.first() else { return Ok(batches) };
    let all = concat_batches(&first.schema(), &batches)?;
    let times: &Int64Array = column(&all, request.table.time_columns().0)?;
    let mut rows: Vec<usize> = (0..all.num_rows()).collect();
    match request.order {
        Order::Any => {}
        Order::NewestFirst => rows.sort_by_key(|&row| std::cmp::Reverse(times.value(row))),
        Order::OldestFirst => rows.sort_by_key(|&row| times.value(row)),
    }
    rows.truncate(request.limit.unwrap_or(usize::MAX));
    let rows: Vec<u32> = rows.into_iter().map(|row| u32::try_from(row).expect("a fake holds under 2^32 rows")).collect();
    let chunks = rows.chunks(batch_rows.unwrap_or(usize::MAX));
    chunks.map(|rows| Ok(take_record_batch(&all, &UInt32Array::from(rows.to_vec()))?)).collect()
}

fn projected(batch: &RecordBatch, columns: &[String]) -> Result<RecordBatch> {
    let indices = columns.iter().map(|name| batch.schema().index_of(name)).collect::<Result<Vec<_>, _>>()?;
    Ok(batch.project(&indices)?)
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use futures::executor::block_on;
    use model::samples::{SamplesBuilder, SeriesRow};

    use super::*;

    fn count(filter: Filter) -> usize {
        let mut builder = SamplesBuilder::default();
        for (name, job) in [("up", "a"), ("up", "ab"), ("down", "")] {
            builder.float(1000, 1.0);
            builder.push_series(
                &SeriesRow { name, ..SeriesRow::default() },
                [("job", job)].into_iter().filter(|(_, value)| !value.is_empty()),
            );
        }
        let scan = MemoryScan::default();
        scan.push(Table::Samples, builder.finish());
        let mut request = ScanRequest::new(Table::Samples, TimeRange::of_millis_inclusive(1000, 1000));
        request.filters = vec![filter];
        let batches: Vec<RecordBatch> = block_on(async { scan.scan(request).await.unwrap().try_collect().await }).unwrap();
        batches.iter().map(RecordBatch::num_rows).sum()
    }

    #[test]
    fn filters_are_exact() {
        let job = || Subject::Entry { column: "labels".to_owned(), key: "job".to_owned() };
        let name = || Subject::Column("name".to_owned());
        assert_eq!(count(Filter { subject: job(), test: Test::Equal("a".to_owned()) }), 1);
        assert_eq!(count(Filter { subject: job(), test: Test::Equal(String::new()) }), 1);
        assert_eq!(count(Filter { subject: job(), test: Test::Regex("a".to_owned()) }), 1);
        assert_eq!(count(Filter { subject: job(), test: Test::Search("a".to_owned()) }), 2);
        assert_eq!(count(Filter { subject: name(), test: Test::NotContains("ow".to_owned()) }), 2);
        assert_eq!(count(Filter { subject: Subject::FirstOf(vec![job(), name()]), test: Test::Equal("down".to_owned()) }), 1);
    }
}
