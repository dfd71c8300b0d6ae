//! Which messages are of one pattern: learned from one message after the other.
//!
//! Two patterns that differ in one place only are counted together with all others that differ there. When a place has had
//! enough different words it is a variable, and the patterns are one: it keeps the id of the oldest, of which those of the
//! younger are other names. How many are enough depends on how they look: names of things need fewer than plain words, and
//! more are needed where little else would be left, so that `starting` and `stopping` stay two.

use std::collections::BTreeMap;

use super::recent::{ByHash, Recent};
use super::tokens::{VARIABLE, is_name, is_word};

/// So many different words in one place are a variable; and of names, or beside what is a variable by its looks.
const WORDS_MAX: usize = 4;
const NAMES_MAX: usize = 2;
/// The same where one other word would be left, or in the first place.
const BARE_WORDS_MAX: usize = 12;
/// Places of a pattern that are looked at, from its start.
const PLACES_MAX: usize = 32;
/// Patterns with learned variables of which marks and spaces are the same.
const SIBLINGS_MAX: usize = 256;

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct PatternLimits {
    /// Patterns, of which those that were not seen for longest leave.
    pub patterns_max: usize,
    /// Ids that are other names of patterns, and shapes of messages whose pattern is known; twice as many at most.
    pub names_max: usize,
}

impl Default for PatternLimits {
    fn default() -> Self {
        Self { patterns_max: 10_000, names_max: 32_768 }
    }
}

/// What messages have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) id: u64,
    /// A hash for each, [`VARIABLE`] where anything may stand.
    pub(super) tokens: Box<[u64]>,
    /// Whether a place was learned to be a variable.
    pub(super) is_general: bool,
    /// Of its messages, in Unix nanoseconds.
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
    /// The order of births, and of the last uses.
    pub(super) born: u64,
    used: u64,
}

impl Pattern {
    pub(super) fn new(id: u64, tokens: &[u64], is_general: bool, (first_ns, last_ns): (i64, i64)) -> Self {
        Self { id, tokens: tokens.into(), is_general, first_ns, last_ns, born: 0, used: 0 }
    }

    fn seen(&mut self, (first_ns, last_ns): (i64, i64)) {
        self.first_ns = self.first_ns.min(first_ns);
        self.last_ns = self.last_ns.max(last_ns);
    }
}

/// The words that one place has had, each with the pattern that has it.
type Place = Vec<(u64, u64)>;

pub(super) struct Miner {
    limits: PatternLimits,
    /// By id.
    pub(super) patterns: ByHash<Pattern>,
    /// The id of the pattern with exactly these tokens.
    exact: ByHash<u64>,
    /// By what is around the place.
    places: ByHash<Place>,
    /// Of general patterns, by their marks and spaces.
    general: ByHash<Vec<u64>>,
    /// The older id of a pattern, by a younger.
    pub(super) older: Recent,
    /// The last number of a birth or a use.
    clock: u64,
    pub(super) evicted: u64,
}

impl Miner {
    pub(super) fn new(limits: PatternLimits) -> Self {
        let (patterns, exact, places, general) = Default::default();
        Self { limits, patterns, exact, places, general, older: Recent::new(limits.names_max), clock: 0, evicted: 0 }
    }

    /// The id that a pattern has now.
    pub(super) fn current(&self, mut id: u64) -> u64 {
        // A chain is as long as a message has places, at most.
        for _ in 0..=2 * PLACES_MAX {
            match self.older.peek(id) {
                Some(older) if older != id => id = older,
                _ => break,
            }
        }
        id
    }

    /// Notes that a known pattern was seen.
    pub(super) fn touch(&mut self, id: u64, time_ns: Option<i64>) -> Option<u64> {
        let id = if self.patterns.contains_key(&id) { id } else { self.current(id) };
        self.clock += 1;
        let pattern = self.patterns.get_mut(&id)?;
        pattern.used = self.clock;
        pattern.seen(times(time_ns));
        Some(id)
    }

    /// The id of the pattern that a message is of.
    pub(super) fn learn(&mut self, tokens: &[u64], time_ns: Option<i64>) -> u64 {
        let known = self.exact.get(&whole(tokens)).copied().or_else(|| self.fitting(tokens));
        if let Some(id) = known.and_then(|id| self.touch(id, time_ns)) {
            return id;
        }
        let birth = whole(tokens);
        let id = self.current(birth);
        if let Some(pattern) = self.patterns.get(&id) {
            let widened = widened(&pattern.tokens, tokens);
            return match widened {
                Some(tokens) => {
                    let id = self.generalise(vec![id], &tokens);
                    self.touch(id, time_ns).unwrap_or(id)
                }
                None => id,
            };
        }
        self.insert(Pattern::new(id, tokens, false, times(time_ns)));
        self.settle(id)
    }

    /// The id of the pattern that a message is of, or that it would be born with; nothing is learned.
    pub(super) fn find(&self, tokens: &[u64]) -> u64 {
        let known = self.exact.get(&whole(tokens)).copied().or_else(|| self.fitting(tokens));
        self.current(known.unwrap_or_else(|| whole(tokens)))
    }

    /// Takes a pattern in that is not there yet, and makes room for it.
    pub(super) fn insert(&mut self, mut pattern: Pattern) {
        if self.patterns.len() >= self.limits.patterns_max {
            self.evict();
        }
        self.clock += 1;
        (pattern.born, pattern.used) = (self.clock, self.clock);
        self.list(&pattern);
        self.patterns.insert(pattern.id, pattern);
    }

    /// The general pattern with the fewest variables that the message is of; of these the oldest.
    fn fitting(&self, tokens: &[u64]) -> Option<u64> {
        let fits = |pattern: &&Pattern| {
            let same = |(&wanted, &token): (&u64, &u64)| wanted == token || wanted == VARIABLE && is_word(token);
            pattern.tokens.len() == tokens.len() && pattern.tokens.iter().zip(tokens).all(same)
        };
        let variables = |pattern: &Pattern| pattern.tokens.iter().filter(|token| **token == VARIABLE).count();
        let siblings = self.general.get(&skeleton(tokens))?.iter().filter_map(|id| self.patterns.get(id));
        siblings.filter(fits).min_by_key(|pattern| (variables(pattern), pattern.born)).map(|pattern| pattern.id)
    }

    /// Merges for as long as a place of the pattern has had enough words. Gives the id that it has then.
    fn settle(&mut self, mut id: u64) -> u64 {
        while let Some((tokens, ids)) = self.patterns.get(&id).and_then(|pattern| self.merger(&pattern.tokens)) {
            id = self.generalise(ids, &tokens);
        }
        id
    }

    /// The first place that is a variable from now on: the tokens with it, and whose patterns become one.
    fn merger(&self, tokens: &[u64]) -> Option<(Vec<u64>, Vec<u64>)> {
        let words = tokens.iter().filter(|token| is_word(**token)).count();
        let first_word = tokens.iter().position(|token| is_word(*token)).filter(|first| *first <= 1);
        for (at, key) in places(tokens) {
            let Some(place) = self.places.get(&key).filter(|place| place.len() > 1) else { continue };
            let others = words - usize::from(is_word(tokens[at]));
            let has_variable = place.iter().any(|(token, _)| *token == VARIABLE);
            let are_names = place.iter().all(|(token, _)| *token == VARIABLE || is_name(*token));
            let mut enough = if has_variable || are_names { NAMES_MAX } else { WORDS_MAX };
            if others < 2 || first_word.is_some_and(|first| at <= first) {
                enough = enough.max(BARE_WORDS_MAX);
            }
            if place.len() >= enough {
                let mut merged = tokens.to_vec();
                merged[at] = VARIABLE;
                return Some((merged, place.iter().map(|(_, id)| *id).collect()));
            }
        }
        None
    }

    /// Makes one pattern with these tokens of all of these. Gives its id.
    fn generalise(&mut self, mut ids: Vec<u64>, tokens: &[u64]) -> u64 {
        ids.extend(self.exact.get(&whole(tokens)));
        let mut merged: Vec<Pattern> = ids.iter().filter_map(|id| self.remove(*id)).collect();
        merged.sort_by_key(|pattern| pattern.born);
        let mut merged = merged.into_iter();
        let Some(mut oldest) = merged.next() else { return whole(tokens) };
        for younger in merged {
            oldest.seen((younger.first_ns, younger.last_ns));
            oldest.used = oldest.used.max(younger.used);
            self.older.set(younger.id, oldest.id);
        }
        oldest.tokens = tokens.into();
        oldest.is_general = true;
        let id = oldest.id;
        self.list(&oldest);
        self.patterns.insert(id, oldest);
        id
    }

    /// Makes a pattern found by its tokens.
    fn list(&mut self, pattern: &Pattern) {
        self.exact.insert(whole(&pattern.tokens), pattern.id);
        for (at, key) in places(&pattern.tokens) {
            let place = self.places.entry(key).or_insert_with(|| Vec::with_capacity(1));
            match place.iter().position(|(token, _)| *token == pattern.tokens[at]) {
                Some(known) => place[known].1 = pattern.id,
                // Where nothing has merged so many, more would say nothing new.
                None if place.len() < BARE_WORDS_MAX => place.push((pattern.tokens[at], pattern.id)),
                None => {}
            }
        }
        if pattern.is_general {
            let siblings = self.general.entry(skeleton(&pattern.tokens)).or_default();
            siblings.push(pattern.id);
            if siblings.len() > SIBLINGS_MAX {
                let used = |id: &u64| self.patterns.get(id).map_or(u64::MAX, |pattern| pattern.used);
                if let Some(idle) = siblings.iter().copied().min_by_key(used) {
                    self.evicted += u64::from(self.remove(idle).is_some());
                }
            }
        }
    }

    /// Takes a pattern out.
    fn remove(&mut self, id: u64) -> Option<Pattern> {
        let pattern = self.patterns.remove(&id)?;
        let key = whole(&pattern.tokens);
        if self.exact.get(&key) == Some(&id) {
            self.exact.remove(&key);
        }
        for (_, key) in places(&pattern.tokens) {
            forget(&mut self.places, key, |(_, owner)| *owner == id);
        }
        if pattern.is_general {
            forget(&mut self.general, skeleton(&pattern.tokens), |sibling| *sibling == id);
        }
        Some(pattern)
    }

    /// An eighth of the patterns leaves: those that were used longest ago.
    fn evict(&mut self) {
        let by_use: BTreeMap<u64, u64> = self.patterns.values().map(|pattern| (pattern.used, pattern.id)).collect();
        for id in by_use.into_values().take((self.limits.patterns_max / 8).max(1)) {
            self.remove(id);
            self.evicted += 1;
        }
    }

    /// Entries of all indexes, for tests of the bounds.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        let tokens: usize = self.patterns.values().map(|pattern| pattern.tokens.len()).sum();
        let places: usize = self.places.values().map(Vec::len).sum();
        tokens + places + self.exact.len() + self.general.values().map(Vec::len).sum::<usize>() + self.older.len()
    }
}

fn forget<T>(lists: &mut ByHash<Vec<T>>, key: u64, is_gone: impl Fn(&T) -> bool) {
    if let Some(list) = lists.get_mut(&key) {
        list.retain(|entry| !is_gone(entry));
        if list.is_empty() {
            lists.remove(&key);
        }
    }
}

/// The tokens with variables where the others differ; nothing where both do not go together.
fn widened(tokens: &[u64], others: &[u64]) -> Option<Vec<u64>> {
    let both = |(&token, &other): (&u64, &u64)| match token == other {
        true => Some(token),
        false => [token, other].iter().all(|token| *token == VARIABLE || is_word(*token)).then_some(VARIABLE),
    };
    if tokens.len() != others.len() {
        return None;
    }
    tokens.iter().zip(others).map(both).collect()
}

/// From the first to the last of one time; without it the last is before the first.
fn times(time_ns: Option<i64>) -> (i64, i64) {
    time_ns.map_or((i64::MAX, i64::MIN), |time_ns| (time_ns, time_ns))
}

fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 32).wrapping_mul(0x9fb2_1c65_1e98_df25);
    hash ^ hash >> 29
}

fn of_place(at: usize, token: u64) -> u64 {
    mixed(token ^ (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn sum(tokens: impl Iterator<Item = u64>) -> u64 {
    tokens.enumerate().fold(0, |sum, (at, token)| sum.wrapping_add(of_place(at, token)))
}

/// Of all tokens: the id of a pattern that is born with them.
fn whole(tokens: &[u64]) -> u64 {
    mixed(sum(tokens.iter().copied()).wrapping_add(tokens.len() as u64))
}

/// Of marks and spaces, and where there is something else.
fn skeleton(tokens: &[u64]) -> u64 {
    let is_open = |token: u64| token == VARIABLE || is_word(token);
    mixed(sum(tokens.iter().map(|token| if is_open(*token) { VARIABLE } else { *token })).wrapping_add(tokens.len() as u64))
}

/// The places that can be variables, where another word would be left; and what tells what is around each.
fn places(tokens: &[u64]) -> impl Iterator<Item = (usize, u64)> + '_ {
    let words = tokens.iter().filter(|token| is_word(**token)).count();
    let all = sum(tokens.iter().copied()).wrapping_add(tokens.len() as u64);
    let can_vary = move |&(_, token): &(usize, u64)| token == VARIABLE && words > 0 || is_word(token) && words > 1;
    let places = tokens.iter().copied().enumerate().filter(can_vary).take(PLACES_MAX);
    places.map(move |(at, token)| (at, mixed(all.wrapping_sub(of_place(at, token)).wrapping_add((at as u64) << 40 | 1))))
}
