use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use model::samples::{NO_START, SamplesBuilder, SamplesView};
use model::schema::column;
use model::{KnownSeries, Result};
use parking_lot::{RwLock, RwLockReadGuard};

use super::chunk::Chunk;
use super::families::Families;
use super::key::SeriesKey;
use super::registry::Registry;
use super::slice::{Series, SeriesSlice};

/// Bytes of a series' place here, besides its points.
const SERIES_BYTES: usize = size_of::<Held>() + size_of::<u32>();
/// Exemplars of one series between two flushes; further ones are counted and dropped.
const EXEMPLARS_PER_SERIES_MAX: usize = 1024;

/// Samples: an open chunk per series that came since the last flush. What a series is called stands in the registry, which
/// goes from head to head.
#[derive(Debug, Default)]
pub(crate) struct SeriesHead {
    registry: Arc<RwLock<Registry>>,
    /// By slot of the registry: where the series is in `held`, plus one; 0, or past the end, when it has no point here.
    places: Vec<u32>,
    held: Vec<Held>,
    families: Arc<Families>,
    points: u64,
    /// Of chunks; registry and families count their own.
    bytes: usize,
    /// Of one series and of families, none of stored rows: those are acknowledged.
    unbounded: bool,
}

#[derive(Debug)]
struct Held {
    slot: u32,
    chunk: Chunk,
}

impl Held {
    fn series(&self, registry: &Registry) -> Series {
        let (key, series_id) = registry.get(self.slot);
        Series { key: key.clone(), series_id, chunk: self.chunk.clone() }
    }
}

/// Series whose late points are not in their places yet.
#[derive(Default)]
struct Unsettled(Vec<usize>);

impl SeriesHead {
    /// For the rows of files, which no limit may thin out.
    pub(crate) fn unbounded() -> Self {
        Self { unbounded: true, ..Self::default() }
    }

    /// The head that takes over. The registry goes along, without the series that have had no point since `used_since_ms`
    /// or, where it has outgrown `registry_bytes_max`, in this head.
    pub(crate) fn successor(&self, now_ms: i64, used_since_ms: i64, registry_bytes_max: usize) -> Self {
        let mut registry = self.registry.write();
        self.held.iter().for_each(|held| registry.used(held.slot, now_ms));
        let full = registry.bytes() > registry_bytes_max;
        registry.forget_unused(if full { now_ms } else { used_since_ms.min(now_ms) });
        drop(registry);
        Self { registry: self.registry.clone(), families: self.families.successor().into(), ..Self::default() }
    }

    pub(crate) fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read()
    }

    /// Takes canonical rows; gives the series of each.
    pub(crate) fn push(&mut self, records: &RecordBatch, now_ms: i64) -> Result<Vec<KnownSeries>> {
        let (view, identity) = (SamplesView::of(records)?, model::logs::identity_columns(records)?);
        let metadata: [&StringArray; 3] = [column(records, "type")?, column(records, "unit")?, column(records, "help")?];
        let registry = self.registry.clone();
        let mut registry = registry.write();
        let (mut unsettled, mut key) = (Unsettled::default(), Vec::new());
        let mut series = Vec::with_capacity(records.num_rows());
        for row in 0..records.num_rows() {
            let [kind, unit, help] = metadata.map(|array| model::logs::text_or_empty(array, row));
            if !(kind.is_empty() && unit.is_empty() && help.is_empty()) {
                self.learn(model::logs::text_or_empty(view.name, row), kind, unit, help);
            }
            let histograms = view.histograms(row)?;
            SeriesKey::encode(&mut key, &view, identity, row, !histograms.is_empty());
            let mut find = || registry.find_or_insert(&key, view.series_id.value(row), now_ms);
            series.push(self.push_row(&view, row, histograms, &mut find, &mut unsettled)?);
        }
        self.settle(unsettled);
        Ok(series)
    }

    /// Whether a row is of a series that is not known.
    pub(crate) fn brings_series(&self, records: &RecordBatch) -> Result<bool> {
        let (view, identity) = (SamplesView::of(records)?, model::logs::identity_columns(records)?);
        let (registry, mut key) = (self.registry(), Vec::new());
        for row in 0..records.num_rows() {
            let mut is_series = !view.timestamps(row)?.is_empty();
            view.for_each_exemplar(row, |_| is_series = true)?;
            SeriesKey::encode(&mut key, &view, identity, row, !view.histograms(row)?.is_empty());
            if is_series && registry.find(&key, view.series_id.value(row)).is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds a row's points and exemplars; a row without either is no series.
    fn push_row(
        &mut self,
        view: &SamplesView<'_>,
        row: usize,
        histograms: Vec<model::NativeHistogram>,
        find: &mut dyn FnMut() -> KnownSeries,
        unsettled: &mut Unsettled,
    ) -> Result<KnownSeries> {
        let (times, values, starts) = (view.timestamps(row)?, view.floats(row)?, view.starts(row)?);
        let start = |at: usize| starts.get(at).copied().unwrap_or(NO_START);
        let times = &times[..times.len().min(values.len().max(histograms.len()))];
        let mut exemplars = 0;
        view.for_each_exemplar(row, |_| exemplars += 1)?;
        if times.is_empty() && exemplars == 0 {
            return Ok(KnownSeries::NONE);
        }
        let series = find();
        let at = self.place(series.slot, !histograms.is_empty());
        self.change(at, unsettled, |chunk| match histograms.is_empty() {
            true => (0..times.len()).for_each(|at| chunk.float(times[at], values[at], start(at))),
            false => times.iter().zip(histograms).enumerate().for_each(|(at, (&time, point))| chunk.histogram(time, point, start(at))),
        });
        if exemplars > 0 {
            let exemplars_max = if self.unbounded { usize::MAX } else { EXEMPLARS_PER_SERIES_MAX };
            let mut dropped = 0;
            self.change(at, unsettled, |chunk| {
                view.for_each_exemplar(row, |exemplar| dropped += u64::from(!chunk.exemplar(exemplar, exemplars_max)))
            })?;
            if dropped > 0 {
                metrics::counter!("tyto_exemplars_dropped_total").increment(dropped);
            }
        }
        Ok(series)
    }

    /// Takes floats of series that the registry holds, told by their slots.
    pub(crate) fn push_known(&mut self, points: impl Iterator<Item = (u32, i64, f64)>) {
        let mut unsettled = Unsettled::default();
        for (slot, time_ms, value) in points {
            let at = self.place(slot, false);
            self.change(at, &mut unsettled, |chunk| chunk.float(time_ms, value, NO_START));
        }
        self.settle(unsettled);
    }

    /// The slot of the series of that key, made when it is new: as the log defines it.
    pub(crate) fn define(&self, key: &[u8], series_id: i64, now_ms: i64) -> u32 {
        self.registry.write().find_or_insert(key, series_id, now_ms).slot
    }

    /// Where the series of a slot is held, from now on if it was not.
    fn place(&mut self, slot: u32, histograms: bool) -> usize {
        let index = slot as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, 0);
        }
        if self.places[index] == 0 {
            self.held.push(Held { slot, chunk: Chunk::new(histograms) });
            self.places[index] = u32::try_from(self.held.len()).expect("slots are u32");
            self.bytes += SERIES_BYTES;
        }
        self.places[index] as usize - 1
    }

    /// Changes a chunk and counts what that adds.
    fn change<R>(&mut self, at: usize, unsettled: &mut Unsettled, change: impl FnOnce(&mut Chunk) -> R) -> R {
        let chunk = &mut self.held[at].chunk;
        let (points, bytes, was_settled) = (chunk.len(), chunk.bytes(), chunk.is_settled());
        let changed = change(chunk);
        self.points = self.points + chunk.len() as u64 - points as u64;
        self.bytes = self.bytes + chunk.bytes() - bytes;
        if was_settled && !chunk.is_settled() {
            unsettled.0.push(at);
        }
        changed
    }

    fn settle(&mut self, Unsettled(places): Unsettled) {
        for at in places {
            self.change(at, &mut Unsettled::default(), Chunk::settle);
        }
    }

    fn learn(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        // Asked first: a scan may hold the families, and changing them then copies them all.
        if self.families.knows(name, kind, unit, help) || (self.families.is_full_for(name) && !self.unbounded) {
            return;
        }
        Arc::make_mut(&mut self.families).learn(name, kind, unit, help);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.families.changed().next().is_none()
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn points(&self) -> u64 {
        self.points
    }

    /// What a flush frees.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.families.changed_bytes()
    }

    fn held(&self, slot: u32) -> Option<&Held> {
        let place = *self.places.get(slot as usize)?;
        self.held.get((place as usize).checked_sub(1)?)
    }

    /// Every series, in the order of a lake file.
    pub(crate) fn sorted(&self) -> SeriesSlice {
        let registry = self.registry();
        SeriesSlice::sorted(self.held.iter().map(|held| held.series(&registry)).collect(), self.families.clone())
    }

    /// The series for which `keep` says yes, in no order; with `names` only those so called are asked about.
    pub(crate) fn slice(&self, names: Option<&[String]>, keep: impl Fn(&SeriesKey, &Chunk, &Families) -> bool) -> SeriesSlice {
        let registry = self.registry();
        let keep = |held: &&Held| keep(registry.get(held.slot).0, &held.chunk, &self.families);
        let series = |held: &Held| held.series(&registry);
        let series = match names {
            None => self.held.iter().filter(keep).map(series).collect(),
            Some(names) => {
                let slots = names.iter().flat_map(|name| registry.named(name));
                slots.filter_map(|&slot| self.held(slot)).filter(keep).map(series).collect()
            }
        };
        SeriesSlice::new(series, self.families.clone())
    }

    /// Families that changed since the last flush and have no series of their very name, as rows without points.
    pub(crate) fn family_rows(&self) -> Option<RecordBatch> {
        let registry = self.registry();
        let is_here = |name: &str| registry.named(name).iter().any(|&slot| self.held(slot).is_some());
        let mut builder = SamplesBuilder::default();
        for (name, family) in self.families.changed().filter(|(name, _)| !is_here(name)) {
            builder.push_series(&family.row(name), std::iter::empty());
        }
        (!builder.is_empty()).then(|| builder.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::super::families::{FAMILIES_MAX, FAMILY_BYTES};
    use super::super::slice::Parts;
    use super::*;
    use arrow::array::{Array, Int64Array};
    use model::samples::{Exemplar, SeriesRow};

    fn successor(head: &SeriesHead) -> SeriesHead {
        head.successor(0, 0, usize::MAX)
    }

    fn batch(name: &str, kind: &str, points: &[(i64, f64)]) -> RecordBatch {
        let mut builder = SamplesBuilder::default();
        points.iter().for_each(|&(time, value)| builder.float(time, value));
        if !points.is_empty() {
            builder.exemplar(&Exemplar { timestamp_ms: points[0].0, trace_id: "ab", ..Exemplar::default() });
        }
        builder.push_series(&SeriesRow { name, kind, ..SeriesRow::default() }, [("a", "1")].into_iter());
        builder.finish()
    }

    #[test]
    fn exemplars_without_points_are_kept_under_their_own_times() {
        let mut builder = SamplesBuilder::default();
        for timestamp_ms in [7, 5] {
            builder.exemplar(&Exemplar { timestamp_ms, trace_id: "ab", ..Exemplar::default() });
        }
        builder.push_series(&SeriesRow { name: "h_bucket", ..SeriesRow::default() }, [("le", "1")].into_iter());
        let mut head = SeriesHead::default();
        head.push(&builder.finish(), 0).unwrap();
        assert!(!head.is_empty() && head.points() == 0);
        let batch = head.slice(None, |_, _, _| true).batches(2, Parts::ALL).next().unwrap().unwrap();
        let (first, last): (&Int64Array, &Int64Array) =
            (column(&batch, "min_time_unix_nano").unwrap(), column(&batch, "max_time_unix_nano").unwrap());
        assert_eq!((first.values().to_vec(), last.values().to_vec()), (vec![5_000_000], vec![7_000_000]));
        let mut again = SeriesHead::unbounded();
        again.push(&batch, 0).unwrap();
        let mut times = Vec::new();
        let batch = again.slice(None, |_, _, _| true).batches(2, Parts::ALL).next().unwrap().unwrap();
        SamplesView::of(&batch).unwrap().for_each_exemplar(0, |exemplar| times.push(exemplar.timestamp_ms)).unwrap();
        assert_eq!(times, [5, 7]);
    }

    #[test]
    fn a_full_head_forgets_families_that_nobody_speaks_of() {
        let mut head = SeriesHead::default();
        for at in 0..FAMILIES_MAX {
            head.learn(&format!("family_{at}"), "gauge", "", "");
        }
        assert!(head.bytes() > FAMILIES_MAX * FAMILY_BYTES);
        head.learn("one_more", "gauge", "", "");
        assert!(head.families.of("one_more").is_none());
        let mut next = successor(&successor(&head));
        assert!(next.families.is_empty() && next.bytes() == 0);
        next.learn("one_more", "gauge", "", "");
        assert!(next.families.of("one_more").is_some());
    }

    #[test]
    fn points_of_a_series_gather_and_metadata_reaches_its_parts() {
        let mut head = SeriesHead::default();
        head.push(&batch("h_bucket", "", &[(1, 1.0), (3, 3.0)]), 0).unwrap();
        head.push(&batch("h_bucket", "", &[(2, 2.0)]), 0).unwrap();
        head.push(&batch("h", "histogram", &[]), 0).unwrap();
        head.push(&batch("other", "", &[(1, 1.0)]), 0).unwrap();
        assert_eq!((head.len(), head.points()), (2, 4));
        let slice = head.slice(Some(&["h_bucket".to_owned(), "none".to_owned()]), |_, _, _| true);
        let batches: Vec<_> = slice.batches(2, Parts::ALL).map(Result::unwrap).collect();
        assert_eq!(batches.len(), 1);
        let view = SamplesView::of(&batches[0]).unwrap();
        assert_eq!((view.timestamps(0).unwrap(), view.timestamps(1).unwrap()), (&[1, 2][..], &[3][..]));
        let kinds: &StringArray = column(&batches[0], "type").unwrap();
        assert_eq!((kinds.value(0), kinds.value(1)), ("histogram", "histogram"));
        let mut exemplars = 0;
        view.for_each_exemplar(0, |_| exemplars += 1).unwrap();
        view.for_each_exemplar(1, |_| exemplars += 10).unwrap();
        assert_eq!(exemplars, 2);

        let rows = head.family_rows().expect("h has no series of its own name");
        assert_eq!(rows.num_rows(), 1);
        assert!(successor(&head).family_rows().is_none() && successor(&head).is_empty());
        let kinds: &StringArray = column(&rows, "type").unwrap();
        assert!(kinds.is_valid(0) && kinds.value(0) == "histogram");
    }

    #[test]
    fn a_known_series_needs_only_its_slot_and_goes_from_head_to_head() {
        let mut head = SeriesHead::default();
        let known = head.push(&batch("up", "", &[(1, 1.0)]), 0).unwrap()[0];
        head.push_known([(known.slot, 3, 3.0), (known.slot, 2, 2.0), (known.slot, 3, 4.0)].into_iter());
        assert_eq!((head.len(), head.points()), (1, 3));
        let mut next = head.successor(1_000, 0, usize::MAX);
        assert!(next.is_empty() && next.registry().knows(known));
        assert_eq!(next.slice(Some(&["up".to_owned()]), |_, _, _| true).batches(9, Parts::ALL).count(), 0, "no point, no series");
        next.push_known([(known.slot, 9, 9.0)].into_iter());
        for (head, expect) in [(&head, &[1, 2, 3][..]), (&next, &[9])] {
            let batch = head.slice(Some(&["up".to_owned()]), |_, _, _| true).batches(9, Parts::ALL).next().unwrap().unwrap();
            assert_eq!(SamplesView::of(&batch).unwrap().timestamps(0).unwrap(), expect);
        }
        assert!(next.bytes() > 0 && successor(&next).bytes() == 0);
        let forgetting = next.successor(9_000, 0, 0);
        assert!(forgetting.registry().knows(known), "it was used in the head that ends");
        assert!(!forgetting.successor(10_000, 0, 0).registry().knows(known));
    }
}
