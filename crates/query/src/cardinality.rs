//! Who causes how many series?

use std::collections::BinaryHeap;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use hashbrown::{HashMap, HashSet};
use model::logs::text_or_empty;
use model::schema::column;
use model::{Answer, Answered, AttributesView, QueryLimits, Result, Scan, ScanRequest, SeriesCounts, Table, TimeRange};

use crate::guard::{Charge, Guard, fold};

/// Exact, from one scan over the labels of the time's rows; what it remembers counts as the query's memory.
pub(crate) async fn count(scan: &dyn Scan, range: TimeRange, top: usize, limits: &QueryLimits) -> Result<Answer> {
    let mut request = ScanRequest::new(Table::Samples, range);
    let columns = ["name", "labels", "series_id", "min_time_unix_nano", "max_time_unix_nano"];
    request.columns = Some(columns.map(str::to_owned).to_vec());
    let guard = Guard::new(limits);
    let _cancel = guard.cancel_on_drop();
    let counts = Counts { charge: guard.charge(0), guard, chunks: 0, times: None, seen: HashSet::new(), labels: HashMap::new() };
    let counts = fold(scan.scan(request).await?, counts, |counts, batch| counts.add(batch).map(|()| true)).await?;
    Ok(Answer::new(Answered::SeriesCounts(Box::new(counts.finish(top)))))
}

struct Counts {
    guard: Guard,
    charge: Charge,
    chunks: u64,
    times: Option<(i64, i64)>,
    /// Identities of series.
    seen: HashSet<i64>,
    /// Series by label and value.
    labels: HashMap<String, HashMap<String, u64>>,
}

/// What an entry of a map takes beside its text.
const ENTRY_BYTES: usize = 64;

impl Counts {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let (name, id): (&StringArray, &Int64Array) = (column(batch, "name")?, column(batch, "series_id")?);
        let (first, last): (&Int64Array, &Int64Array) = (column(batch, "min_time_unix_nano")?, column(batch, "max_time_unix_nano")?);
        let labels = AttributesView::of(batch, "labels", None)?;
        for row in 0..batch.num_rows() {
            self.chunks += 1;
            let (from, until) = self.times.unwrap_or((i64::MAX, i64::MIN));
            self.times = Some((from.min(first.value(row)), until.max(last.value(row))));
            if !self.seen.insert(id.value(row)) {
                continue;
            }
            self.charge.grow(size_of::<i64>());
            self.pair("__name__", text_or_empty(name, row));
            labels.iter(row).for_each(|(label, value)| self.pair(label, value));
        }
        self.guard.check()
    }

    fn pair(&mut self, label: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let values = self.labels.entry_ref(label).or_insert_with(|| {
            self.charge.grow(label.len() + ENTRY_BYTES);
            HashMap::new()
        });
        let count = values.entry_ref(value).or_insert_with(|| {
            self.charge.grow(value.len() + ENTRY_BYTES);
            0
        });
        *count += 1;
    }

    fn finish(self, top: usize) -> SeriesCounts {
        let millis = |at_ns: i64| at_ns.div_euclid(1_000_000);
        let pairs = || self.labels.iter().flat_map(|(label, values)| values.iter().map(move |(value, count)| (label, value, *count)));
        let bytes = |values: &HashMap<String, u64>| values.iter().map(|(value, count)| value.len() as u64 * count).sum();
        let metrics = self.labels.get("__name__").into_iter();
        SeriesCounts {
            series: self.seen.len() as u64,
            chunks: self.chunks,
            label_pairs: pairs().count() as u64,
            times: self.times.map(|(first, last)| (millis(first), millis(last))),
            series_by_metric: named(largest(metrics.flatten().map(|(name, count)| (*count, name)), top)),
            values_by_label: named(largest(self.labels.iter().map(|(label, values)| (values.len() as u64, label)), top)),
            bytes_by_label: named(largest(self.labels.iter().map(|(label, values)| (bytes(values), label)), top)),
            series_by_pair: largest(pairs().map(|(label, value, count)| (count, (label, value))), top)
                .into_iter()
                .map(|(count, (label, value))| (format!("{label}={value}"), count))
                .collect(),
        }
    }
}

fn named(list: Vec<(u64, &String)>) -> Vec<(String, u64)> {
    list.into_iter().map(|(count, name)| (name.clone(), count)).collect()
}

/// The `top` largest, by count and then by name.
fn largest<T: Ord>(items: impl Iterator<Item = (u64, T)>, top: usize) -> Vec<(u64, T)> {
    use std::cmp::Reverse;
    // The smallest of what is kept lies on top.
    let mut kept: BinaryHeap<(Reverse<u64>, T)> = BinaryHeap::new();
    for (count, item) in items {
        kept.push((Reverse(count), item));
        if kept.len() > top {
            kept.pop();
        }
    }
    kept.into_sorted_vec().into_iter().map(|(Reverse(count), item)| (count, item)).collect()
}

#[cfg(test)]
mod tests {
    use super::largest;

    #[test]
    fn the_largest_come_first_and_equals_by_name() {
        let items = [(3, "c"), (9, "z"), (3, "a"), (1, "x"), (3, "b")];
        assert_eq!(largest(items.into_iter(), 3), [(9, "z"), (3, "a"), (3, "b")]);
        assert_eq!(largest(items.into_iter(), 0), []);
    }
}
