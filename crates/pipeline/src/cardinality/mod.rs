//! Does a label bring more values than anybody can look at? A request's id in a label makes a series of each request, and
//! the store, every query and the bill grow with it. Over the limit only the offending label's value goes; the series, all
//! its other labels and its points stay.
//!
//! Values are counted per owner and label, in windows of an hour: as many new values are let in per window, and a value of
//! the window before is not new. So a label that has calmed down is whole again within the hour, by itself.

mod sketch;

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use hashbrown::{HashMap, HashSet};
use model::logs::text_or_empty;
use model::schema::column;
use model::{
    AttributeValue, AttributesBuilder, AttributesView, Cardinality, Identified, Identity, LabelCardinality, Result, Table, series_id,
};
use parking_lot::Mutex;
use twox_hash::XxHash3_64;

use sketch::Sketch;

/// What stands in the place of a value that is one too many.
pub const OVERFLOW_VALUE: &str = "__cardinality_overflow__";

/// What the guard allows.
#[derive(Clone, Copy, Debug)]
pub struct CardinalityLimits {
    /// New values of one label, of one owner, per window.
    pub label_values_max: usize,
    /// How long a window is.
    pub window_ms: i64,
    /// Values remembered of all labels together, some 20 bytes each. What goes beyond is let in uncounted, and a counter says so.
    pub values_held_max: usize,
    /// Labels of all owners together, likewise.
    pub labels_held_max: usize,
}

impl Default for CardinalityLimits {
    fn default() -> Self {
        Self { label_values_max: 100_000, window_ms: 3_600_000, values_held_max: 4 << 20, labels_held_max: 100_000 }
    }
}

/// A clock as milliseconds since the Unix epoch.
pub type NowMs = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Counts the values of labels and replaces those that are too many.
pub(crate) struct Guard {
    limits: CardinalityLimits,
    now_ms: NowMs,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    window_began_ms: i64,
    owners: HashMap<Owner, HashMap<Box<str>, Values>>,
    labels: usize,
    values: usize,
}

/// Whose series they are: business service, service, component; and the label `job` of series that nobody owns. Region and
/// environment are no owners: one release brings its labels to all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Owner([String; 4]);

type Hashes = HashSet<u64, BuildHasherDefault<Itself>>;

/// The values of one label.
#[derive(Default)]
struct Values {
    /// That were let in: in this window, and in the one before.
    young: Hashes,
    old: Hashes,
    /// How many of the old are among the young.
    again: usize,
    /// All that came since there were too many.
    all: Option<Sketch>,
    replaced_series: u64,
}

/// Of numbers that are hashes already.
#[derive(Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers of 64 bits are hashed")
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl Guard {
    pub(crate) fn new(limits: CardinalityLimits, now_ms: NowMs) -> Self {
        Self { limits, now_ms, state: Mutex::default() }
    }

    /// Replaces the values that are too many. Series that came before are not looked at: they are what was let in.
    pub(crate) fn guard(&self, batch: Identified) -> Result<Identified> {
        if batch.0.table != Table::Samples || batch.0.records.num_rows() == 0 {
            return Ok(batch);
        }
        let records = &batch.0.records;
        let (labels, identity) = (AttributesView::of(records, "labels", None)?, model::logs::identity_columns(records)?);
        // Rows and labels whose values go.
        let mut over: Vec<(usize, usize)> = Vec::new();
        let mut state = self.state.lock();
        state.turn((self.now_ms)(), self.limits.window_ms);
        for row in 0..records.num_rows() {
            let [business_service, service, component] = [0, 1, 2].map(|field| text_or_empty(identity[field], row));
            let is_owned = business_service != model::UNASSIGNED;
            let job = if is_owned { "" } else { labels.get_sorted(row, "job").unwrap_or_default() };
            let owner = OwnerRef([business_service, service, component, job]);
            let before = over.len();
            state.look_at(&self.limits, owner, labels.iter(row), |at| over.push((row, at)));
            if over.len() > before {
                metrics::counter!("tyto_cardinality_overflowed_series_total", "business_service" => business_service.to_owned())
                    .increment(1);
            }
        }
        drop(state);
        match over.is_empty() {
            true => Ok(batch),
            false => replaced(batch, &over),
        }
    }
}

impl State {
    /// Begins a new window when the last is over.
    fn turn(&mut self, now_ms: i64, window_ms: i64) {
        let passed = now_ms.saturating_sub(self.window_began_ms);
        if passed < window_ms && passed >= 0 {
            return;
        }
        self.window_began_ms = now_ms;
        // After a rest of two windows nothing is of the window before.
        let rested = !(0..2 * window_ms).contains(&passed);
        for labels in self.owners.values_mut() {
            for values in labels.values_mut() {
                let young = std::mem::take(&mut values.young);
                *values = Values { old: if rested { Hashes::default() } else { young }, ..Values::default() };
            }
            labels.retain(|_, values| !values.old.is_empty());
        }
        self.owners.retain(|_, labels| !labels.is_empty());
        self.labels = self.owners.values().map(HashMap::len).sum();
        self.values = self.owners.values().flat_map(HashMap::values).map(|values| values.old.len()).sum();
    }

    /// Counts the labels of one series, and names those whose values are too many by their places.
    fn look_at<'l>(
        &mut self,
        limits: &CardinalityLimits,
        owner: OwnerRef<'_>,
        labels: impl Iterator<Item = (&'l str, &'l str)>,
        mut refuse: impl FnMut(usize),
    ) {
        let Self { owners, labels: labels_held, values: values_held, .. } = self;
        // One look-up for all labels of the series.
        let has_room = *labels_held < limits.labels_held_max && *values_held < limits.values_held_max;
        if has_room && !owners.contains_key(&owner) {
            owners.insert(Owner(owner.0.map(str::to_owned)), HashMap::new());
        }
        let Some(held) = owners.get_mut(&owner) else {
            return labels.for_each(|_| uncounted());
        };
        for (at, (name, value)) in labels.enumerate() {
            let is_full = *values_held >= limits.values_held_max;
            if !held.contains_key(name) {
                if is_full || *labels_held >= limits.labels_held_max {
                    uncounted();
                    continue;
                }
                held.insert(name.into(), Values::default());
                *labels_held += 1;
            }
            let Some(values) = held.get_mut(name) else { continue };
            match values.add(XxHash3_64::oneshot(value.as_bytes()), limits.label_values_max, is_full) {
                Added::Held => {}
                Added::New => *values_held += 1,
                Added::Uncounted => uncounted(),
                Added::TooMany => refuse(at),
            }
        }
    }
}

/// What became of a value.
enum Added {
    Held,
    New,
    Uncounted,
    TooMany,
}

impl Values {
    fn add(&mut self, hash: u64, max: usize, is_full: bool) -> Added {
        if self.young.contains(&hash) {
            return Added::Held;
        }
        let (has_room, is_old) = (self.young.len() < max, self.old.contains(&hash));
        if is_old || (has_room && !is_full) {
            self.young.insert(hash);
            self.again += usize::from(is_old);
            return Added::New;
        }
        if has_room {
            return Added::Uncounted;
        }
        let young = &self.young;
        let all = self.all.get_or_insert_with(|| {
            let mut all = Sketch::default();
            young.iter().for_each(|hash| all.add(*hash));
            all
        });
        all.add(hash);
        self.replaced_series += 1;
        Added::TooMany
    }

    /// Of this window, and those of the window before that did not come again yet.
    fn count(&self) -> u64 {
        match &self.all {
            Some(all) => all.estimate(),
            None => (self.young.len() + self.old.len() - self.again) as u64,
        }
    }
}

/// There is no room to count it: nobody is punished for what others bring.
fn uncounted() {
    metrics::counter!("tyto_cardinality_uncounted_values_total").increment(1);
}

/// An [`Owner`] to look one up by.
#[derive(Clone, Copy, Hash)]
struct OwnerRef<'a>([&'a str; 4]);

impl hashbrown::Equivalent<Owner> for OwnerRef<'_> {
    fn equivalent(&self, owner: &Owner) -> bool {
        self.0.iter().zip(&owner.0).all(|(asked, held)| *asked == held)
    }
}

/// The batch with other values at these rows and labels, which are in order.
fn replaced(mut batch: Identified, over: &[(usize, usize)]) -> Result<Identified> {
    let records = &batch.0.records;
    let labels = AttributesView::of(records, "labels", None)?;
    let (names, ids): (&StringArray, &Int64Array) = (column(records, "name")?, column(records, "series_id")?);
    let (mut builder, mut new_ids) = (AttributesBuilder::new(), Vec::with_capacity(records.num_rows()));
    let mut over = over.iter().peekable();
    for row in 0..records.num_rows() {
        let mut pairs: Vec<(&str, &str)> = labels.iter(row).collect();
        let mut changed = false;
        while let Some((_, at)) = over.next_if(|(over, _)| *over == row) {
            pairs[*at].1 = OVERFLOW_VALUE;
            changed = true;
        }
        pairs.iter().for_each(|(name, value)| builder.append(name, AttributeValue::Text(value)));
        builder.finish_row();
        new_ids.push(if changed { series_id(text_or_empty(names, row), pairs.iter().copied()) } else { ids.value(row) });
    }
    let schema = records.schema();
    let mut columns = records.columns().to_vec();
    columns[schema.index_of("labels")?] = builder.finish().0;
    columns[schema.index_of("series_id")?] = Arc::new(Int64Array::from(new_ids)) as ArrayRef;
    batch.0.records = RecordBatch::try_new(schema, columns)?;
    Ok(batch)
}

impl Cardinality for Guard {
    fn labels(&self, limit: usize) -> Vec<LabelCardinality> {
        let mut state = self.state.lock();
        state.turn((self.now_ms)(), self.limits.window_ms);
        let mut all: Vec<(u64, &Owner, &str, &Values)> = Vec::with_capacity(state.labels);
        for (owner, labels) in &state.owners {
            all.extend(labels.iter().map(|(label, values)| (values.count(), owner, &**label, values)));
        }
        all.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| (&a.1.0, a.2).cmp(&(&b.1.0, b.2))));
        let label = |(count, Owner([business_service, service, component, job]), label, values): (u64, &Owner, &str, &Values)| {
            let (business_service, service, component) = (business_service.clone(), service.clone(), component.clone());
            LabelCardinality {
                identity: Identity { business_service, service, component, ..Identity::default() },
                job: job.clone(),
                label: label.to_owned(),
                values: count,
                values_max: self.limits.label_values_max as u64,
                overflows: values.all.is_some(),
                replaced_series: values.replaced_series,
            }
        };
        all.into_iter().take(limit).map(label).collect()
    }
}

#[cfg(test)]
mod tests;
