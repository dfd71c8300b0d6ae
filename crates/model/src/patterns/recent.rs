//! A bounded memory of pairs of numbers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// For keys that are hashes already.
#[derive(Clone, Copy, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

pub(super) type ByHash<V> = HashMap<u64, V, BuildHasherDefault<Hashed>>;

/// Remembers at least the `entries_max` pairs that were used last, and at most twice as many: what was not used while as many
/// others came is forgotten.
pub(super) struct Recent {
    entries_max: usize,
    young: ByHash<u64>,
    old: ByHash<u64>,
}

impl Recent {
    pub(super) fn new(entries_max: usize) -> Self {
        Self { entries_max, young: ByHash::default(), old: ByHash::default() }
    }

    pub(super) fn get(&mut self, key: u64) -> Option<u64> {
        if let Some(&value) = self.young.get(&key) {
            return Some(value);
        }
        let value = self.old.remove(&key)?;
        self.set(key, value);
        Some(value)
    }

    /// Without making it younger.
    pub(super) fn peek(&self, key: u64) -> Option<u64> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    pub(super) fn set(&mut self, key: u64, value: u64) {
        if self.young.len() >= self.entries_max && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// The older ones first.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.old.iter().chain(&self.young).map(|(&key, &value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut recent = Recent::new(10);
        recent.set(1, 11);
        for other in 100..200 {
            assert_eq!(recent.get(1), Some(11));
            recent.set(other, 0);
            assert!(recent.len() <= 20);
        }
        assert_eq!((recent.peek(100), recent.peek(199)), (None, Some(0)));
    }
}
