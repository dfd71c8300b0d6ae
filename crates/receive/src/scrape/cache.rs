//! The series of one target, from scrape to scrape: which text of its exposition is which series, which of them the shard
//! knows by number, which have vanished.
//!
//! A text that came before costs a hash and a look-up: its labels are not read, relabelled or checked again. Two texts may
//! become one series by relabelling, so texts and series are kept apart. A scrape is all or nothing: what a failed one found
//! is not remembered as exposed.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::HashTable;
use model::samples::{SamplesBuilder, SeriesRow};
use model::{Ack, Decoded, KnownPoints, KnownSeries, Labels, Naming, NativeHistogram, Table, TargetFamily, series_id};

use crate::memo::{Fingerprint, Fingerprints};
use crate::outcome::{Outcome, Rules};
use crate::series::{OwnedExemplar, add_exemplar};

pub(super) const NAME: &str = "__name__";

/// Prometheus's mark that a series has ended.
pub(super) const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// A series' place in its target's cache.
pub(super) type Place = u32;

/// A text of the exposition.
struct Text {
    fingerprint: Fingerprint,
    /// None when relabelling dropped it.
    series: Option<Place>,
    seen: u32,
}

struct Held {
    /// With the name.
    labels: Labels,
    id: i64,
    known: Option<KnownSeries>,
    /// The last scrape that touched it, be it stored or not.
    seen: u32,
    /// Of its last point, where points bring their own times.
    last_ms: i64,
    /// Its last stored point was a value, so its end must be marked.
    alive: bool,
    /// Whether its end is marked: not that of a series which brings its own times.
    tracked: bool,
    /// `up` and its like, which no exposition holds.
    report: bool,
}

#[derive(Default)]
pub(super) struct SeriesCache {
    fingerprints: Fingerprints,
    texts: HashTable<Text>,
    held: Vec<Option<Held>>,
    free: Vec<Place>,
    by_labels: HashTable<Place>,
    /// Which catalogue identified the known ones.
    catalog_version: u64,
    scrape: u32,
    /// The last exemplar of those series that have any: targets send each until another takes its place.
    exemplars: std::collections::HashMap<Place, u64>,
    families: HashTable<(Arc<TargetFamily>, u32)>,
}

/// What one scrape says.
#[derive(Default)]
pub(super) struct Found {
    pub(super) floats: Vec<(Place, i64, f64)>,
    pub(super) histograms: Vec<(Place, i64, NativeHistogram)>,
    pub(super) exemplars: Vec<(Place, OwnedExemplar)>,
    /// Some series has several points, so they must be put in order.
    several: bool,
    /// What is to be told of families.
    pub(super) families: Vec<Arc<TargetFamily>>,
}

pub(super) enum Seen {
    /// What the text was made into; none when it was dropped.
    Before(Option<Place>),
    Never(Fingerprint),
}

impl SeriesCache {
    /// Begins a scrape; what it touches is remembered by its number.
    pub(super) fn begin(&mut self) {
        self.scrape = self.scrape.wrapping_add(1);
    }

    pub(super) fn look_up(&mut self, key: &[u8]) -> Seen {
        let fingerprint = self.fingerprints.of(key);
        match self.texts.find_mut(fingerprint as u64, |text| text.fingerprint == fingerprint) {
            Some(text) => {
                text.seen = self.scrape;
                Seen::Before(text.series)
            }
            None => Seen::Never(fingerprint),
        }
    }

    /// Remembers that this text is that series, or is dropped.
    pub(super) fn learn(&mut self, fingerprint: Fingerprint, labels: Option<Labels>, report: bool) -> Option<Place> {
        let series = labels.map(|labels| self.hold(labels, report));
        let text = Text { fingerprint, series, seen: self.scrape };
        self.texts.insert_unique(fingerprint as u64, text, |text| text.fingerprint as u64);
        series
    }

    fn hold(&mut self, labels: Labels, report: bool) -> Place {
        let id = series_id(labels.get(NAME).unwrap_or_default(), without_name(&labels));
        let same = |place: &Place| self.held[*place as usize].as_ref().is_some_and(|held| held.id == id && held.labels == labels);
        if let Some(place) = self.by_labels.find(id.cast_unsigned(), same) {
            return *place;
        }
        let seen = self.scrape.wrapping_sub(1);
        let held = Held { labels, id, known: None, seen, last_ms: i64::MIN, alive: false, tracked: true, report };
        let place = match self.free.pop() {
            Some(place) => {
                self.held[place as usize] = Some(held);
                place
            }
            None => {
                self.held.push(Some(held));
                Place::try_from(self.held.len() - 1).expect("batch_bytes_max allows fewer series")
            }
        };
        let ids = &self.held;
        self.by_labels.insert_unique(id.cast_unsigned(), place, |place| id_of(ids, *place));
        place
    }

    /// Takes a point of the exposition. False when the series has one at that time already: the first is kept.
    pub(super) fn touch(&mut self, place: Place, explicit_ms: Option<i64>, tracked: bool, found: &mut Found) -> bool {
        let scrape = self.scrape;
        let held = self.held_mut(place);
        let again = held.seen == scrape;
        let fits = explicit_ms.map_or(!again, |time| time > held.last_ms);
        (held.seen, held.tracked) = (scrape, tracked);
        found.several |= again;
        fits
    }

    fn held(&self, place: Place) -> &Held {
        self.held[place as usize].as_ref().expect("a place is given up only when no text leads to it")
    }

    fn held_mut(&mut self, place: Place) -> &mut Held {
        self.held[place as usize].as_mut().expect("a place is given up only when no text leads to it")
    }

    /// Whether the series' exemplar is another than last time.
    pub(super) fn is_new_exemplar(&mut self, place: Place, exemplar: &OwnedExemplar, has_time: bool) -> bool {
        let mut hasher = std::hash::DefaultHasher::new();
        (has_time.then_some(exemplar.timestamp_ms), exemplar.value.to_bits(), &exemplar.trace_id, &exemplar.span_id, &exemplar.labels)
            .hash(&mut hasher);
        let hash = hasher.finish();
        self.exemplars.insert(place, hash) != Some(hash)
    }

    /// Marks the end of every series that this scrape did not have; of all, when it failed.
    pub(super) fn mark_ends(&self, failed: bool, now_ms: i64, found: &mut Found) {
        let live = self.places().filter(|(_, held)| held.alive && held.tracked && !held.report);
        let ended = live.filter(|(_, held)| failed || held.seen != self.scrape);
        found.floats.extend(ended.map(|(place, _)| (place, now_ms, STALE)));
    }

    /// Marks the end of everything, the target's own series included: it is gone.
    pub(super) fn mark_gone(&self, now_ms: i64, found: &mut Found) {
        found.floats.extend(self.places().filter(|(_, held)| held.alive && held.tracked).map(|(place, _)| (place, now_ms, STALE)));
    }

    fn places(&self) -> impl Iterator<Item = (Place, &Held)> {
        self.held.iter().zip(0..).filter_map(|(held, place)| Some((place, held.as_ref()?)))
    }

    /// The rows and known points to store, and which series each row is. With `known` false everything is told whole.
    pub(super) fn batch(&self, found: &mut Found, known: bool, outcome: Outcome, rules: &Rules<'_>) -> (Decoded, Vec<Option<Place>>) {
        if found.several {
            found.floats.sort_by_key(|(place, time, _)| (*place, *time));
            found.floats.dedup_by_key(|(place, time, _)| (*place, *time));
        }
        found.exemplars.sort_by_key(|(place, exemplar)| (*place, exemplar.timestamp_ms));
        let mut points = KnownPoints { catalog_version: self.catalog_version, ..KnownPoints::default() };
        let (mut builder, mut rows) = (SamplesBuilder::default(), Vec::new());
        for run in found.floats.chunk_by(|a, b| a.0 == b.0) {
            let place = run[0].0;
            let held = self.held(place);
            let exemplars = found.of_series(place);
            match held.known.filter(|_| known && exemplars.is_empty()) {
                Some(series) => {
                    points.times_ms.extend(run.iter().map(|(_, time, _)| time));
                    points.values.extend(run.iter().map(|(_, _, value)| value));
                    points.series.push(series);
                    points.ends.push(u32::try_from(points.len()).expect("batch_bytes_max allows fewer points"));
                }
                None => {
                    run.iter().for_each(|(_, time, value)| builder.float(*time, *value));
                    exemplars.iter().for_each(|(_, exemplar)| add_exemplar(&mut builder, exemplar));
                    held.end_row(&mut builder, "");
                    rows.push(Some(place));
                }
            }
        }
        for (place, time, histogram) in &found.histograms {
            let held = self.held(*place);
            builder.histogram(*time, histogram);
            found.of_series(*place).iter().for_each(|(_, exemplar)| add_exemplar(&mut builder, exemplar));
            held.end_row(&mut builder, "histogram");
            rows.push(None);
        }
        for family in &found.families {
            let TargetFamily { name, kind, unit, help } = &**family;
            builder.push_series(&SeriesRow { name, kind, unit, help }, std::iter::empty());
            rows.push(None);
        }
        let decoded = outcome.finish(rules, Table::Samples, Naming::Labels, builder.finish());
        (Decoded { known: points, ..decoded }, rows)
    }

    /// What was found is stored: remembers it, and gives up what has ended.
    pub(super) fn stored(&mut self, found: &Found, rows: &[Option<Place>], ack: &Ack, failed: bool) {
        if self.catalog_version != ack.catalog_version {
            self.catalog_version = ack.catalog_version;
            self.held.iter_mut().flatten().for_each(|held| held.known = None);
        }
        for (place, series) in rows.iter().zip(&ack.series) {
            if let Some(place) = place {
                self.held_mut(*place).known = Some(*series);
            }
        }
        for (place, time, value) in &found.floats {
            let held = self.held_mut(*place);
            (held.last_ms, held.alive) = (*time, value.to_bits() != STALE.to_bits());
        }
        for (place, time, _) in &found.histograms {
            let held = self.held_mut(*place);
            (held.last_ms, held.alive) = (*time, true);
        }
        if !failed {
            self.forget_unseen();
        }
    }

    fn forget_unseen(&mut self) {
        let scrape = self.scrape;
        self.texts.retain(|text| text.seen == scrape);
        // A series whose sample was refused has a text and no point: what a text leads to stays.
        let mut led_to = vec![false; self.held.len()];
        self.texts.iter().filter_map(|text| text.series).for_each(|place| led_to[place as usize] = true);
        for place in (0..).zip(led_to).filter(|(_, stays)| !stays).map(|(place, _)| place) {
            let Some(held) = &self.held[place as usize] else { continue };
            let id = held.id.cast_unsigned();
            if let Ok(entry) = self.by_labels.find_entry(id, |other| *other == place) {
                entry.remove();
            }
            self.held[place as usize] = None;
            self.free.push(place);
            self.exemplars.remove(&place);
        }
        self.families.retain(|(_, seen)| *seen == scrape);
        // A target that once exposed far more gives the memory back.
        if self.held.len() > 1024 && self.free.len() > self.held.len() / 2 && self.held.last().is_some_and(Option::is_none) {
            let len = self.held.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
            self.held.truncate(len);
            self.held.shrink_to_fit();
            self.free.retain(|place| (*place as usize) < len);
            self.free.shrink_to_fit();
        }
    }

    /// Texts may mean other series now; those that stay keep their numbers, the others end with the next scrape.
    pub(super) fn relearn(&mut self) {
        self.texts.clear();
    }

    /// What is said of a family, kept from scrape to scrape; true when it is not what was said before.
    pub(super) fn describe(&mut self, name: &str, same: impl Fn(&TargetFamily) -> bool, change: impl FnOnce(&mut TargetFamily)) -> bool {
        let (hash, scrape) = (hash_of(name), self.scrape);
        if let Some((family, seen)) = self.families.find_mut(hash, |(family, _)| family.name == name) {
            *seen = scrape;
            if same(family) {
                return false;
            }
            change(Arc::make_mut(family));
            return true;
        }
        let mut family = TargetFamily { name: name.to_owned(), ..TargetFamily::default() };
        change(&mut family);
        self.families.insert_unique(hash, (Arc::new(family), scrape), |(family, _)| hash_of(&family.name));
        true
    }

    /// Every family of the last scrape; `share` may give an equal one that other targets use too.
    pub(super) fn share_families(&mut self, mut share: impl FnMut(&mut Arc<TargetFamily>)) {
        let scrape = self.scrape;
        self.families.iter_mut().filter(|(_, seen)| *seen == scrape).for_each(|(family, _)| share(family));
    }

    pub(super) fn families(&self) -> Vec<Arc<TargetFamily>> {
        let mut families: Vec<_> = self.families.iter().map(|(family, _)| family.clone()).collect();
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families
    }
}

impl Held {
    fn end_row(&self, builder: &mut SamplesBuilder, kind: &str) {
        let row = SeriesRow { name: self.labels.get(NAME).unwrap_or_default(), kind, ..SeriesRow::default() };
        builder.push_numbered(&row, self.id, without_name(&self.labels));
    }
}

impl Found {
    fn of_series(&self, place: Place) -> &[(Place, OwnedExemplar)] {
        let start = self.exemplars.partition_point(|(other, _)| *other < place);
        let rest = &self.exemplars[start..];
        &rest[..rest.iter().take_while(|(other, _)| *other == place).count()]
    }
}

fn id_of(held: &[Option<Held>], place: Place) -> u64 {
    held[place as usize].as_ref().map_or(0, |held| held.id.cast_unsigned())
}

fn hash_of(name: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn without_name(labels: &Labels) -> impl Iterator<Item = (&str, &str)> + Clone {
    labels.iter().filter(|(name, _)| *name != NAME)
}
