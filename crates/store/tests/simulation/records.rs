//! Batches that name every record in them, and what a scan gave as records again.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use futures::{FutureExt, StreamExt, TryStreamExt};
use model::logs::{LogRow, LogsBuilder};
use model::samples::{NO_START, SamplesBuilder, SamplesView, SeriesRow};
use model::schema::column;
use model::spans::{SpanRow, SpansBuilder};
use model::{Arrival, ArrivalStream, Attributes, Following, KnownPoints, KnownSeries, Order, Scan, ScanRequest, Table, TimeRange};
use std::collections::HashMap;
use std::sync::Arc;
use store::Shard;

use crate::ledger::{Batch, Found, Record, State};
use crate::rng::Rng;

/// The series that several batches write at the same instants.
const CONTESTED: &str = "contested";
const INSTANTS: u64 = 4;
const SENDERS: u64 = 3;

/// A new batch: its number `id` makes its records different from all others.
pub fn batch(rng: &mut Rng, table: Table, id: u64, step: usize) -> Batch {
    let sender = rng.below(SENDERS);
    let rows = 1 + rng.below(4);
    // Some bodies reach over many sectors.
    let padding = if rng.in_100(15) { rng.below(3000) } else { 0 };
    let value = |row: u64| match table {
        Table::Samples => (id * 10 + row).to_string(),
        _ if row == 0 => noise(rng.clone(), padding),
        _ => String::new(),
    };
    let records: Vec<_> = (0..rows).map(|row| Record { key: format!("{sender}-{id}-{row}"), value: value(row) }).collect();
    let mut contested = Vec::new();
    if table == Table::Samples && rng.in_100(50) {
        contested.push((rng.below(INSTANTS) as i64, id));
    }
    Batch { table, records, contested, state: State::Gone, step }
}

fn noise(mut rng: Rng, bytes: u64) -> String {
    (0..bytes).map(|_| char::from(b'a' + rng.below(26) as u8)).collect()
}

/// A batch as a request: the points of series that the shard knows by their numbers, all else as rows.
pub struct Encoded {
    pub records: RecordBatch,
    pub known: KnownPoints,
    /// The series of each row, of samples only.
    pub series: Vec<String>,
}

/// The numbers under which the shard knows series.
pub type Known = HashMap<String, KnownSeries>;

pub fn encode(batch: &Batch, known: &Known) -> Encoded {
    let (mut points, mut series) = (KnownPoints::default(), Vec::new());
    let records = match batch.table {
        Table::Logs => logs(&batch.records),
        Table::Spans => spans(&batch.records),
        Table::Samples => samples(batch, known, &mut points, &mut series),
        Table::Quarantine => quarantine(&batch.records),
    };
    let records = model::origin::packed(batch.table, &identified(records)).expect("all columns are there");
    Encoded { records, known: points, series }
}

fn logs(records: &[Record]) -> RecordBatch {
    let mut builder = LogsBuilder::default();
    for (record, time_unix_nano) in records.iter().zip(1..) {
        let (service_name, trace_id, body) = (&record.key[..1], record.key.as_str(), record.value.as_str());
        let row = LogRow { time_unix_nano, service_name, trace_id, body, ..LogRow::default() };
        builder.push(&row, &Attributes::default(), &Attributes::default());
    }
    builder.finish()
}

/// Rows of logs with what else rows that were set aside have.
fn quarantine(records: &[Record]) -> RecordBatch {
    let (logs, schema) = (logs(records), Table::Quarantine.schema());
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        "quarantined_at_unix_nano" => Arc::new(Int64Array::from_iter_values(1..=records.len() as i64)) as ArrayRef,
        name => logs.column_by_name(name).cloned().unwrap_or_else(|| new_null_array(field.data_type(), records.len())),
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}

fn spans(records: &[Record]) -> RecordBatch {
    let mut builder = SpansBuilder::default();
    for (record, time) in records.iter().zip(1..) {
        let times = SpanRow { start_time_unix_nano: time, end_time_unix_nano: time + 1, ..SpanRow::default() };
        let row = SpanRow { span_id: &record.key, name: &record.value, ..times };
        builder.push(&row, &Attributes::default(), &Attributes::default());
    }
    builder.finish()
}

fn samples(batch: &Batch, known: &Known, points: &mut KnownPoints, series: &mut Vec<String>) -> RecordBatch {
    let mut builder = SamplesBuilder::default();
    let mut push = |name: &str, sender: &str, time: i64, value: f64| {
        let key = format!("{name} {sender}");
        if let Some(&known) = known.get(&key) {
            points.series.push(known);
            points.times_ms.push(time);
            points.values.push(value);
            points.ends.push(points.values.len() as u32);
            return;
        }
        builder.float(time, value);
        builder.start(if time % 2 == 0 { time - 1 } else { NO_START });
        builder.push_series(&SeriesRow { name, kind: "gauge", ..SeriesRow::default() }, [("sender", sender)].into_iter());
        series.push(key);
    };
    for record in &batch.records {
        let (sender, time) = record.key.split_once('-').unwrap();
        push("points", sender, point_time(time), record.value.parse().unwrap());
    }
    for &(time, id) in &batch.contested {
        push(CONTESTED, "all", time, id as f64);
    }
    if let Some((_, id)) = batch.contested.first() {
        // A family without a series has a row of its own.
        builder.push_series(&SeriesRow { name: "family", help: &id.to_string(), ..SeriesRow::default() }, std::iter::empty());
        series.push(String::new());
    }
    builder.finish()
}

/// `12-3` is the fourth record of the twelfth batch.
fn point_time(text: &str) -> i64 {
    let (id, row) = text.split_once('-').unwrap();
    id.parse::<i64>().unwrap() * 10 + row.parse::<i64>().unwrap()
}

/// As `pipeline` leaves it: every row has a business service.
fn identified(records: RecordBatch) -> RecordBatch {
    let at = records.schema_ref().index_of("business_service").unwrap();
    let mut columns = records.columns().to_vec();
    columns[at] = Arc::new(StringArray::from(vec!["unassigned"; records.num_rows()])) as ArrayRef;
    RecordBatch::try_new(records.schema(), columns).unwrap()
}

/// Everything that a table holds.
pub async fn scan(shard: &Shard, table: Table, order: Order) -> model::Result<Found> {
    let batches: Vec<RecordBatch> = shard.scan(request(table, order)).await?.try_collect().await?;
    found(table, &batches)
}

/// Somebody who looked at a table and reads on what comes.
pub struct Follower {
    table: Table,
    found: Found,
    arriving: ArrivalStream,
}

impl Follower {
    /// Logs and spans can be followed.
    pub async fn begin(shard: &Shard, table: Table, order: Order) -> model::Result<Self> {
        let Following { stored, arriving } = shard.follow(request(table, order)).await?;
        let batches: Vec<RecordBatch> = stored.try_collect().await?;
        Ok(Self { table, found: found(table, &batches)?, arriving })
    }

    /// What was there, and what has come since.
    pub fn found(&mut self) -> model::Result<&Found> {
        while let Some(Some(arrival)) = self.arriving.next().now_or_never() {
            let Arrival::Rows(records) = arrival? else { return Err(model::Error::internal("cannot be slow: it reads a few rows")) };
            self.found.records.extend(found(self.table, &[records])?.records);
        }
        Ok(&self.found)
    }
}

fn request(table: Table, order: Order) -> ScanRequest {
    let columns = match table {
        Table::Logs | Table::Quarantine => Some(["trace_id", "body"].map(str::to_owned).to_vec()),
        Table::Spans => Some(["span_id", "name"].map(str::to_owned).to_vec()),
        Table::Samples => None,
    };
    ScanRequest { columns, order, ..ScanRequest::new(table, TimeRange::ALL) }
}

fn found(table: Table, batches: &[RecordBatch]) -> model::Result<Found> {
    let mut found = Found::default();
    for records in batches {
        match table {
            Table::Samples => points(records, &mut found)?,
            _ => {
                let (keys, values) = (text(records, 0), text(records, 1));
                found.records.extend(keys.into_iter().zip(values).map(|(key, value)| Record { key, value }));
            }
        }
    }
    Ok(found)
}

fn text(records: &RecordBatch, at: usize) -> Vec<String> {
    let name = records.schema_ref().field(at).name().clone();
    let values: &StringArray = column(records, &name).unwrap();
    values.iter().map(|value| value.unwrap_or_default().to_owned()).collect()
}

fn points(records: &RecordBatch, found: &mut Found) -> model::Result<()> {
    let view = SamplesView::of(records)?;
    for row in 0..records.num_rows() {
        let points = view.timestamps(row)?.iter().zip(view.floats(row)?);
        match view.name.value(row) {
            CONTESTED => found.contested.extend(points.map(|(&time, &value)| (time, value as u64))),
            "points" => {
                let sender = view.labels.get(row, "sender").unwrap_or_default();
                // A start is told with points of series that were not known, and then it is this one.
                let starts = view.starts(row)?.iter().copied().chain(std::iter::repeat(NO_START));
                let mine = |(time, start): (i64, i64)| start == NO_START || (time % 2 == 0 && start == time - 1);
                let value =
                    |(&time, value): (&i64, &f64), start| if mine((time, start)) { value.to_string() } else { format!("start {start}") };
                found.records.extend(points.zip(starts).map(|(point, start)| Record {
                    key: format!("{sender}-{}-{}", point.0 / 10, point.0 % 10),
                    value: value(point, start),
                }));
            }
            _ => {}
        }
    }
    Ok(())
}
