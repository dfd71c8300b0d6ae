//! Which series are known already? Labels that come again, byte for byte, need not be read, checked, identified and metered
//! again: that was done when they came first, and the answer is kept under a fingerprint of their bytes.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use model::KnownSeries;
use parking_lot::{RwLock, RwLockReadGuard};
use siphasher::sip128::SipHasher13;

/// Series remembered at least; twice as many at most, at 37 bytes each.
const SERIES_MAX: usize = 2 << 20;

/// A hash of a series' labels that nobody can aim at another's: two that collide would be one series. SipHash under a key of
/// this process has 128 bits, so among a billion series no two meet. Refused: xxHash, five times as fast, for which
/// collisions can be made, and the bytes themselves, which take three times the memory of all else about a series.
pub(crate) type Fingerprint = u128;

/// Takes fingerprints under a key of its own.
pub(crate) struct Fingerprints([u64; 2]);

impl Default for Fingerprints {
    fn default() -> Self {
        // `RandomState` is where the standard library keeps the system's randomness.
        let random = RandomState::new();
        Self([random.hash_one(0), random.hash_one(1)])
    }
}

impl Fingerprints {
    pub(crate) fn of(&self, bytes: &[u8]) -> Fingerprint {
        SipHasher13::new_with_keys(self.0[0], self.0[1]).hash(bytes).as_u128()
    }
}

#[derive(Default)]
pub(crate) struct SeriesMemo {
    fingerprints: Fingerprints,
    known: RwLock<Known>,
}

/// What came lately and what came before that: when the young are too many, the old are forgotten.
#[derive(Default)]
pub(crate) struct Known {
    catalog_version: u64,
    young: HashTable<(Fingerprint, KnownSeries)>,
    old: HashTable<(Fingerprint, KnownSeries)>,
}

impl SeriesMemo {
    pub(crate) fn fingerprint(&self, labels: &[u8]) -> Fingerprint {
        self.fingerprints.of(labels)
    }

    pub(crate) fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read()
    }

    /// Remembers series as they were identified by that catalogue; what another one said is forgotten.
    pub(crate) fn learn(&self, catalog_version: u64, series: impl Iterator<Item = (Fingerprint, KnownSeries)>) {
        let mut series = series.peekable();
        if series.peek().is_none() {
            return;
        }
        let mut known = self.known.write();
        if known.catalog_version != catalog_version {
            *known = Known { catalog_version, ..Known::default() };
        }
        for (fingerprint, series) in series {
            known.insert(fingerprint, series, SERIES_MAX);
        }
    }
}

impl Known {
    pub(crate) fn catalog_version(&self) -> u64 {
        self.catalog_version
    }

    /// The series, and whether it should be learnt again to be remembered longer.
    pub(crate) fn get(&self, fingerprint: Fingerprint) -> Option<(KnownSeries, bool)> {
        let find = |table: &HashTable<(Fingerprint, KnownSeries)>| {
            table.find(fingerprint as u64, |(other, _)| *other == fingerprint).map(|(_, series)| *series)
        };
        find(&self.young).map(|series| (series, false)).or_else(|| find(&self.old).map(|series| (series, true)))
    }

    fn insert(&mut self, fingerprint: Fingerprint, series: KnownSeries, series_max: usize) {
        if self.young.len() >= series_max {
            self.old = std::mem::take(&mut self.young);
        }
        let entry = self.young.entry(fingerprint as u64, |(other, _)| *other == fingerprint, |(other, _)| *other as u64);
        entry.and_modify(|(_, held)| *held = series).or_insert((fingerprint, series));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(slot: u32) -> KnownSeries {
        KnownSeries { slot, ..KnownSeries::default() }
    }

    #[test]
    fn what_another_catalogue_said_is_forgotten() {
        let memo = SeriesMemo::default();
        let [one, two] = [b"one", b"two"].map(|labels| memo.fingerprint(labels));
        assert_ne!(one, two);
        memo.learn(0, [(one, series(1))].into_iter());
        memo.learn(0, [(two, series(2)), (two, series(3))].into_iter());
        assert_eq!((memo.known().get(one), memo.known().get(two)), (Some((series(1), false)), Some((series(3), false))));
        memo.learn(1, std::iter::empty());
        assert!(memo.known().get(one).is_some(), "nothing was learnt");
        memo.learn(1, [(two, series(4))].into_iter());
        assert_eq!((memo.known().get(one), memo.known().get(two)), (None, Some((series(4), false))));
        assert_eq!(memo.known().catalog_version(), 1);
    }

    #[test]
    fn memory_is_bounded_and_what_comes_again_stays() {
        let mut known = Known::default();
        for at in 0..1000 {
            known.insert(at, series(at as u32), 10);
            let (first, fading) = known.get(0).expect("asked for each time");
            if fading {
                known.insert(0, first, 10);
            }
        }
        assert!(known.young.len() + known.old.len() <= 20);
        assert!(known.get(999).is_some() && known.get(500).is_none());
    }
}
