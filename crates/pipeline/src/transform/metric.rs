//! Metrics that are counted from records: cumulative since the start of the process, told every [`TOLD_EVERY`].
//!
//! A record counts once its batch is stored. What is counted and not yet told is lost with the process, as with every program that counts.

use std::sync::Arc;
use std::time::Duration;

use catalog::{Extract, ExtractKind};
use hashbrown::HashMap;
use model::samples::{OwnedSamples, SeriesRow};
use model::{Decoded, Identity, Result, UNASSIGNED};
use parking_lot::Mutex;

use super::record::Record;

/// How often series get a new point.
pub const TOLD_EVERY: Duration = Duration::from_secs(15);
/// Of all metrics together; what would be a further one is counted as an error.
const SERIES_MAX: usize = 10_000;
/// A series that counts nothing for so long is forgotten.
const IDLE_MS_MAX: i64 = 3_600_000;
/// Rows of one batch.
const ROWS_MAX: usize = 20_000;
/// Of one label; the rest is cut off.
const LABEL_BYTES_MAX: usize = 1024;

/// Whose, which metric, and its labels, sorted by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    owner: Identity,
    name: String,
    labels: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
struct Sum {
    of: Arc<Extract>,
    count: u64,
    sum: f64,
    /// Of a histogram: how many are in each bucket, above the last included.
    buckets: Vec<u64>,
}

impl Sum {
    fn new(of: Arc<Extract>) -> Self {
        let buckets = match &of.kind {
            ExtractKind::Counter => 0,
            ExtractKind::Histogram(bounds) => bounds.len() + 1,
        };
        Self { of, count: 0, sum: 0.0, buckets: vec![0; buckets] }
    }

    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        if let ExtractKind::Histogram(bounds) = &self.of.kind {
            self.buckets[bounds.partition_point(|bound| *bound < value)] += 1;
        }
    }

    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, more)| *mine += more);
    }
}

/// What one batch counts.
#[derive(Debug, Default)]
pub(super) struct Counted {
    sums: HashMap<Key, Sum>,
}

/// Why a record counts nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uncounted {
    /// The attribute is not there.
    Absent,
    /// It is no number, or one below zero, of which no counter counts.
    NoNumber,
}

impl Counted {
    pub(super) fn add(&mut self, stage: &Arc<Extract>, record: &Record<'_>) -> std::result::Result<(), Uncounted> {
        let value = match stage.value.as_str() {
            "" => 1.0,
            name => {
                let text = record.named(name).ok_or(Uncounted::Absent)?;
                let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
                let least = if stage.kind == ExtractKind::Counter { 0.0 } else { f64::MIN };
                number.filter(|number| *number >= least).ok_or(Uncounted::NoNumber)?
            }
        };
        let labels = stage.labels.iter().filter_map(|(label, of)| {
            let text = record.named(of).filter(|text| !text.is_empty())?;
            Some((label.clone(), text[..text.floor_char_boundary(LABEL_BYTES_MAX)].to_owned()))
        });
        // What nobody has claimed gets no labels of its identity: it is one series, wherever it is from.
        let owner = match record.identity.is_assigned() {
            true => record.identity.clone(),
            false => Identity { business_service: UNASSIGNED.to_owned(), ..Identity::default() },
        };
        let key = Key { owner, name: stage.name.clone(), labels: labels.collect() };
        self.sums.entry(key).or_insert_with(|| Sum::new(stage.clone())).add(value);
        Ok(())
    }
}

#[derive(Debug)]
struct Series {
    sum: Sum,
    since_ms: i64,
    counted_ms: i64,
    is_first: bool,
}

/// All series since the start.
#[derive(Debug, Default)]
pub(super) struct Extracted {
    series: Mutex<HashMap<Key, Series>>,
}

impl Extracted {
    /// The batch is stored. Gives how many records count nothing because there are too many series.
    pub(super) fn learn(&self, counted: Counted, now_ms: i64) -> u64 {
        let mut uncounted = 0;
        if counted.sums.is_empty() {
            return uncounted;
        }
        let mut all = self.series.lock();
        for (key, sum) in counted.sums {
            let room = all.len() < SERIES_MAX;
            let begun = |sum| Series { sum, since_ms: now_ms, counted_ms: now_ms, is_first: true };
            match all.get_mut(&key) {
                // Other buckets are another histogram.
                Some(series) if series.sum.of.kind == sum.of.kind => {
                    series.sum.join(&sum);
                    series.counted_ms = now_ms;
                }
                Some(series) => *series = begun(sum),
                None if room => drop(all.insert(key, begun(sum))),
                None => uncounted += sum.count,
            }
        }
        uncounted
    }

    /// A point of every series, with its identity.
    pub(super) fn told(&self, now_ms: i64) -> Result<Vec<Decoded>> {
        let mut rows = Rows::default();
        let mut all = self.series.lock();
        all.retain(|_, series| now_ms.saturating_sub(series.counted_ms) < IDLE_MS_MAX);
        for (key, series) in all.iter_mut() {
            rows.series(key, series, now_ms)?;
            series.is_first = false;
        }
        rows.finish()
    }
}

#[derive(Default)]
struct Rows {
    samples: OwnedSamples,
    batches: Vec<Decoded>,
}

impl Rows {
    fn series(&mut self, key: &Key, series: &Series, now_ms: i64) -> Result<()> {
        let Sum { of, count, sum, buckets } = &series.sum;
        match &of.kind {
            ExtractKind::Counter => self.push(&key.name, "counter", &key.labels, (key, series, now_ms), *sum),
            ExtractKind::Histogram(bounds) => {
                let mut below = 0;
                for (bucket, count) in buckets.iter().enumerate() {
                    below += count;
                    let bound = bounds.get(bucket).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
                    let mut labels = key.labels.clone();
                    labels.push(("le".to_owned(), bound));
                    labels.sort();
                    self.push(&format!("{}_bucket", key.name), "histogram", &labels, (key, series, now_ms), below as f64);
                }
                self.push(&format!("{}_sum", key.name), "histogram", &key.labels, (key, series, now_ms), *sum);
                self.push(&format!("{}_count", key.name), "histogram", &key.labels, (key, series, now_ms), *count as f64);
            }
        }
        if self.samples.points.len() >= ROWS_MAX { self.end() } else { Ok(()) }
    }

    /// The first point of a series comes with a zero before it, so that what it counts already is an increase.
    fn push(&mut self, name: &str, kind: &str, labels: &[(String, String)], (key, series, now_ms): (&Key, &Series, i64), value: f64) {
        let since_ms = series.since_ms.min(now_ms - 1);
        if series.is_first {
            self.samples.points.float(since_ms, 0.0);
            self.samples.points.start(since_ms);
        }
        self.samples.points.float(now_ms, value);
        self.samples.points.start(since_ms);
        let row = SeriesRow { name, kind, help: &series.sum.of.help, unit: "" };
        self.samples.push_series(&row, labels.iter().map(|(name, value)| (name.as_str(), value.as_str())), &key.owner);
    }

    fn end(&mut self) -> Result<()> {
        self.batches.extend(self.samples.finish("pipeline")?);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Decoded>> {
        self.end()?;
        Ok(self.batches)
    }
}
