use hashbrown::{HashMap, HashTable};
use model::KnownSeries;

use super::key::SeriesKey;

/// Bytes of a series besides its key: entry, both indexes.
const ENTRY_BYTES: usize = size_of::<Entry>() + 24;

/// The series that a shard has met lately, each with a slot that it keeps while it is remembered. Points of a series that
/// is known need nothing of it but its slot; what it is called is held once, however often heads change.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: Vec<Entry>,
    /// Slots whose series were forgotten.
    free: Vec<u32>,
    /// By `series_id`, compared whole: two series may share one.
    index: HashTable<u32>,
    /// The series of each metric name, which nearly every query gives.
    by_name: HashMap<Box<str>, Vec<u32>>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    /// None in a free slot.
    key: Option<SeriesKey>,
    series_id: i64,
    /// How often the slot changed hands: whoever still knows it by an earlier number means another series.
    generation: u32,
    /// Seconds since the Unix epoch, as of the end of the head that saw it last.
    used_s: u32,
}

impl Registry {
    /// The series of that key, made when it is new.
    pub(crate) fn find_or_insert(&mut self, key: &[u8], series_id: i64, now_ms: i64) -> KnownSeries {
        if let Some(slot) = self.find(key, series_id) {
            return KnownSeries { slot, generation: self.entries[slot as usize].generation, ..KnownSeries::default() };
        }
        let Self { entries, free, index, by_name, bytes } = self;
        let slot = free.pop().unwrap_or_else(|| {
            entries.push(Entry { key: None, series_id, generation: 0, used_s: 0 });
            u32::try_from(entries.len() - 1).expect("head_bytes_max keeps a shard under 2^32 series")
        });
        let key = SeriesKey::new(key);
        by_name.entry_ref(key.name()).or_default().push(slot);
        *bytes += ENTRY_BYTES + key.len();
        let entry = &mut entries[slot as usize];
        *entry = Entry { key: Some(key), series_id, generation: entry.generation, used_s: seconds(now_ms) };
        let known = KnownSeries { slot, generation: entry.generation, ..KnownSeries::default() };
        index.insert_unique(series_id.cast_unsigned(), slot, |&slot| entries[slot as usize].series_id.cast_unsigned());
        known
    }

    /// The slot of the series of that key.
    pub(crate) fn find(&self, key: &[u8], series_id: i64) -> Option<u32> {
        let is = |entry: &Entry| entry.series_id == series_id && entry.key.as_ref().is_some_and(|held| held.is(key));
        // `series_id` is a good 64-bit hash already.
        self.index.find(series_id.cast_unsigned(), |&slot| is(&self.entries[slot as usize])).copied()
    }

    /// Whether the slot still means the series that it was given out for.
    pub(crate) fn knows(&self, series: KnownSeries) -> bool {
        self.entries.get(series.slot as usize).is_some_and(|entry| entry.generation == series.generation && entry.key.is_some())
    }

    /// Key and `series_id` of a slot that is not free.
    pub(crate) fn get(&self, slot: u32) -> (&SeriesKey, i64) {
        let entry = &self.entries[slot as usize];
        (entry.key.as_ref().expect("a slot in use has a key"), entry.series_id)
    }

    pub(crate) fn named(&self, name: &str) -> &[u32] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn used(&mut self, slot: u32, now_ms: i64) {
        self.entries[slot as usize].used_s = seconds(now_ms);
    }

    /// Forgets the series that were not used since. Their slots may mean other series from then on.
    pub(crate) fn forget_unused(&mut self, since_ms: i64) {
        let since_s = seconds(since_ms);
        let Self { entries, free, index, by_name, bytes } = self;
        let mut names_changed = Vec::new();
        for (slot, entry) in entries.iter_mut().enumerate() {
            let Some(key) = entry.key.take_if(|_| entry.used_s < since_s) else { continue };
            let slot = u32::try_from(slot).expect("slots are u32");
            if let Ok(found) = index.find_entry(entry.series_id.cast_unsigned(), |&other| other == slot) {
                found.remove();
            }
            entry.generation = entry.generation.wrapping_add(1);
            *bytes -= ENTRY_BYTES + key.len();
            free.push(slot);
            names_changed.push(key);
        }
        names_changed.sort_by(|a, b| a.name().cmp(b.name()));
        names_changed.dedup_by(|a, b| a.name() == b.name());
        for key in names_changed {
            if let Some(slots) = by_name.get_mut(key.name()) {
                slots.retain(|&slot| entries[slot as usize].key.is_some());
                slots.shrink_to_fit();
                if slots.is_empty() {
                    by_name.remove(key.name());
                }
            }
        }
    }
}

fn seconds(unix_ms: i64) -> u32 {
    u32::try_from((unix_ms / 1000).max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of a name and nothing else.
    fn key(name: &str) -> Vec<u8> {
        let mut key = vec![0, u8::try_from(name.len()).unwrap()];
        key.extend_from_slice(name.as_bytes());
        key.extend_from_slice(&[0; 6]);
        key
    }

    #[test]
    fn a_forgotten_series_leaves_its_slot_and_no_garbage() {
        let mut registry = Registry::default();
        let old = registry.find_or_insert(&key("old"), 1, 0);
        let kept = registry.find_or_insert(&key("kept"), 1, 5_000);
        assert_ne!(old.slot, kept.slot, "the same id is not the same series");
        assert_eq!(registry.find_or_insert(&key("old"), 1, 9_000), old);
        let bytes = registry.bytes();
        registry.forget_unused(5_000);
        assert!(!registry.knows(old) && registry.knows(kept));
        assert_eq!((registry.len(), registry.named("old"), registry.named("kept")), (1, &[][..], &[kept.slot][..]));
        let new = registry.find_or_insert(&key("new"), 7, 9_000);
        assert_eq!((new.slot, registry.bytes()), (old.slot, bytes));
        assert!(registry.knows(new) && !registry.knows(old), "the slot is another's");
        assert_eq!(registry.get(new.slot).0.name(), "new");
        for at in 0..10_000 {
            registry.find_or_insert(&key(&format!("churn{at}")), at, 10_000 + at);
            if at % 100 == 0 {
                registry.used(kept.slot, 20_000);
                registry.forget_unused(20_000);
            }
        }
        assert!(registry.entries.len() < 200, "{}", registry.entries.len());
    }
}
