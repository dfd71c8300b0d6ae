use std::hash::{Hash, Hasher};

use hashbrown::{Equivalent, HashMap};
use model::{Identity, Labels};

use super::rows::Moment;

/// What stands in labels of all that found no room, as the pipeline writes it.
pub(crate) const OVERFLOW: &str = "__cardinality_overflow__";

/// A series that did not change is told again after this long: queries look five minutes back.
const REPEAT_MS: i64 = 60_000;

/// Whose a label set is, and its values in the order of the registry's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) owner: Identity,
    pub(crate) values: Box<[Box<str>]>,
}

/// A [`Key`] to look one up by.
#[derive(Clone, Copy)]
pub(crate) struct KeyRef<'a> {
    pub(crate) owner: &'a Identity,
    pub(crate) values: &'a [&'a str],
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.owner.hash(state);
        self.values.iter().for_each(|value| value.hash(state));
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.owner.hash(state);
        self.values.iter().for_each(|value| value.hash(state));
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.owner == key.owner && self.values.iter().copied().eq(key.values.iter().map(|value| &**value))
    }
}

impl From<&KeyRef<'_>> for Key {
    fn from(key: &KeyRef<'_>) -> Self {
        Self { owner: key.owner.clone(), values: key.values.iter().map(|value| (*value).into()).collect() }
    }
}

/// The label sets of one family, each with what it counts; as many as there is room for.
pub(crate) struct Registry<V> {
    family: &'static str,
    names: Vec<String>,
    held: HashMap<Key, Kept<V>>,
    max: usize,
}

struct Kept<V> {
    value: V,
    labels: Labels,
    since_ms: i64,
    touched_ms: i64,
    told_ms: Option<i64>,
    changed: bool,
}

impl<V: Default> Registry<V> {
    pub(crate) fn new(family: &'static str, names: Vec<String>, max: usize) -> Self {
        Self { family, names, held: HashMap::new(), max }
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// What this label set counts; past the limit what all further ones count together.
    pub(crate) fn touch(&mut self, key: KeyRef<'_>, now_ms: i64) -> &mut V {
        if self.held.len() >= self.max && !self.held.contains_key(&key) {
            metrics::counter!("tyto_insight_overflows_total", "family" => self.family).increment(1);
            let values: Vec<&str> = key.values.iter().map(|value| if value.is_empty() { "" } else { OVERFLOW }).collect();
            return self.at(KeyRef { owner: &Identity::default(), values: &values }, now_ms);
        }
        self.at(key, now_ms)
    }

    fn at(&mut self, key: KeyRef<'_>, now_ms: i64) -> &mut V {
        let names = &self.names;
        let kept = self.held.entry_ref(&key).or_insert_with(|| {
            let labels = Labels::from_pairs(names.iter().zip(key.values));
            Kept { value: V::default(), labels, since_ms: now_ms, touched_ms: now_ms, told_ms: None, changed: true }
        });
        kept.touched_ms = now_ms;
        kept.changed = true;
        &mut kept.value
    }

    /// Tells every series that has changed or was not told for a while; forgets those that nothing came for.
    pub(crate) fn tell(&mut self, now_ms: i64, idle_max_ms: i64, mut tell: impl FnMut(&Identity, &[(&str, &str)], &mut V, Moment)) {
        self.held.retain(|_, kept| now_ms.saturating_sub(kept.touched_ms) <= idle_max_ms || kept.changed);
        for (key, kept) in &mut self.held {
            let is_due = kept.changed || kept.told_ms.is_none_or(|told| now_ms.saturating_sub(told) >= REPEAT_MS);
            // Two points of a series are never of one instant.
            if !is_due || kept.told_ms.is_some_and(|told| told >= now_ms) {
                continue;
            }
            let moment = Moment { since_ms: kept.since_ms.min(now_ms - 1), now_ms, is_first: kept.told_ms.is_none() };
            kept.since_ms = moment.since_ms;
            kept.told_ms = Some(now_ms);
            kept.changed = false;
            let labels: Vec<(&str, &str)> = kept.labels.iter().collect();
            tell(&key.owner, &labels, &mut kept.value, moment);
        }
    }
}
