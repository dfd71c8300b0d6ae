//! Sums of what the shard acknowledged, kept beside it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use model::logs::text_or_empty;
use model::samples::SamplesView;
use model::schema::column;
use model::{Ack, AttributesView, ErasureOrder, Ingest, Placed, Result, Retention, Table};
use store::Shard;

use crate::ERASED_ATTRIBUTE;

pub(crate) const HOUR_NS: i64 = 3_600_000_000_000;

/// Whose, when, and whether the record has the attribute that is erased.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) table: Table,
    pub(crate) hour: i64,
    pub(crate) scope: [String; 3],
    pub(crate) service_name: String,
    pub(crate) marked: bool,
    /// A point that is a native histogram.
    pub(crate) is_histogram: bool,
}

/// Records, and the sum of their hashes: equal for the same records in whatever order.
pub(crate) type Sums = BTreeMap<Key, (u64, u64)>;

#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Sums>>, Arc<Mutex<HashMap<(u32, u32), Series>>>);

/// A series as it was told whole: later points come by its number alone.
#[derive(Clone, Debug)]
struct Series {
    scope: [String; 3],
    name: String,
    labels: Vec<(String, String)>,
}

impl Series {
    fn count(&self, sums: &mut Sums, time_ms: i64, float: Option<f64>, histogram: Option<String>) {
        let marked = self.labels.iter().any(|(name, value)| *name == ERASED_ATTRIBUTE.0.replace('.', "_") && value == ERASED_ATTRIBUTE.1);
        let hour = (time_ms * 1_000_000).div_euclid(HOUR_NS);
        let is_histogram = histogram.is_some();
        let key = Key { table: Table::Samples, hour, scope: self.scope.clone(), service_name: String::new(), marked, is_histogram };
        let sum = sums.entry(key).or_default();
        let hash = hash_of(&(&self.name, &self.labels, time_ms, float.map(f64::to_bits), histogram));
        *sum = (sum.0 + 1, sum.1.wrapping_add(hash));
    }
}

impl Ledger {
    pub(crate) fn acknowledged(&self) -> u64 {
        self.0.lock().unwrap().values().map(|sum| sum.0).sum()
    }

    /// Takes out what an order erases; gives how many records of each table.
    pub(crate) fn erase(&self, order: &ErasureOrder) -> [u64; 3] {
        let mut gone = [0; 3];
        let (time, test) = (order.time(), &order.tests[0]);
        self.0.lock().unwrap().retain(|key, sum| {
            let matches = match test.field.as_str() {
                "business_service" => Some(&key.scope[0]) == test.equals.as_ref(),
                _ => key.marked,
            };
            let erased = matches && time.contains(key.hour * HOUR_NS);
            gone[key.table as usize] += if erased { sum.0 } else { 0 };
            !erased
        });
        gone
    }

    /// What must be held at this moment: whole hours that are not past their retention.
    pub(crate) fn kept(&self, retention: &Retention, now_ns: i64) -> Sums {
        kept(self.0.lock().unwrap().clone(), retention, now_ns)
    }
}

pub(crate) fn kept(mut sums: Sums, retention: &Retention, now_ns: i64) -> Sums {
    sums.retain(|key, _| key.hour * HOUR_NS >= cutoff(key, retention, now_ns));
    sums
}

pub(crate) fn cutoff(key: &Key, retention: &Retention, now_ns: i64) -> i64 {
    let keep = retention.of(key.table, key.scope.each_ref().map(String::as_str)).unwrap();
    now_ns - keep.as_nanos() as i64
}

/// The shard, and what it acknowledges is added up.
pub(crate) struct Counted {
    pub(crate) shard: Arc<Shard>,
    pub(crate) ledger: Ledger,
}

#[async_trait]
impl Ingest<Placed> for Counted {
    async fn ingest(&self, batch: Placed) -> Result<Ack> {
        let (table, records, known) = (batch.table, batch.records.clone(), batch.known.clone());
        let ack = self.shard.ingest(batch).await?;
        if ack.forgotten {
            return Ok(ack);
        }
        let mut sums = self.ledger.0.lock().unwrap();
        add(table, &records, &mut sums);
        let mut told = self.ledger.1.lock().unwrap();
        for (series, range) in known.runs() {
            let series = &told[&(series.slot, series.generation)];
            range.for_each(|at| series.count(&mut sums, known.times_ms[at], Some(known.values[at]), None));
        }
        for (row, series) in ack.series.iter().enumerate() {
            told.insert((series.slot, series.generation), series_of(&records, row));
        }
        Ok(ack)
    }
}

pub(crate) fn add(table: Table, records: &RecordBatch, sums: &mut Sums) {
    if table == Table::Samples {
        let view = SamplesView::of(records).unwrap();
        for row in 0..records.num_rows() {
            let (times, values) = (view.timestamps(row).unwrap(), view.floats(row).unwrap());
            let histograms = view.histograms(row).unwrap();
            let series = series_of(records, row);
            for (at, &time_ms) in times.iter().enumerate() {
                series.count(sums, time_ms, values.get(at).copied(), histograms.get(at).map(|histogram| format!("{histogram:?}")));
            }
        }
        return;
    }
    let records = &model::origin::unpacked(table, records).unwrap();
    let text = |name: &str| column::<StringArray>(records, name).unwrap();
    let scope = ["business_service", "service", "component"].map(text);
    let service_name = text("service_name");
    let mut count = |row: usize, time_ns: i64, marked: bool, hash: u64| {
        let key = Key {
            table,
            hour: time_ns.div_euclid(HOUR_NS),
            scope: scope.map(|column| text_or_empty(column, row).to_owned()),
            service_name: text_or_empty(service_name, row).to_owned(),
            marked,
            is_histogram: false,
        };
        let sum = sums.entry(key).or_default();
        *sum = (sum.0 + 1, sum.1.wrapping_add(hash));
    };
    let times: &Int64Array = column(records, table.time_columns().0).unwrap();
    let maps = ["resource_attributes", "attributes"].map(|name| AttributesView::of(records, name, None).unwrap());
    let texts: &[&str] = match table {
        Table::Logs => &["body", "severity_text", "trace_id", "span_id", "event_name", "team"],
        _ => &["trace_id", "span_id", "parent_span_id", "name", "kind", "status_code", "team"],
    };
    let texts: Vec<_> = texts.iter().map(|name| text(name)).collect();
    for row in 0..records.num_rows() {
        let attributes: Vec<_> = maps.iter().flat_map(|map| map.iter(row)).collect();
        let fields: Vec<_> = texts.iter().map(|column| text_or_empty(column, row)).collect();
        let marked = attributes.contains(&ERASED_ATTRIBUTE) || (table == Table::Spans && in_lists(records, row));
        let end = records.column_by_name("end_time_unix_nano").map(|ends| ends.as_primitive::<Int64Type>().value(row));
        count(row, times.value(row), marked, hash_of(&(times.value(row), end, fields, attributes)));
    }
}

fn series_of(records: &RecordBatch, row: usize) -> Series {
    let text = |name: &str| text_or_empty(column::<StringArray>(records, name).unwrap(), row).to_owned();
    let labels = SamplesView::of(records).unwrap().labels;
    Series {
        scope: ["business_service", "service", "component"].map(text),
        name: text("name"),
        labels: labels.iter(row).map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

/// Whether an event or a link of a span has the attribute.
fn in_lists(records: &RecordBatch, row: usize) -> bool {
    ["events", "links"].into_iter().any(|name| {
        let elements = records.column_by_name(name).unwrap().as_list::<i32>().value(row);
        let map = elements.as_struct().column_by_name("attributes").unwrap();
        let view = AttributesView::of_map(map.as_map(), None);
        (0..elements.len()).any(|at| view.iter(at).any(|pair| pair == ERASED_ATTRIBUTE))
    })
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
