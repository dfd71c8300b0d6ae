//! Of a record that says the same again and again the first is kept. What was seen counts only once its batch is stored: a batch that
//! comes again because nobody stored it is no repetition.

use std::hash::Hasher;

use catalog::Dedupe;
use hashbrown::HashMap;
use model::AttributeType;
use parking_lot::Mutex;

use super::record::Record;
use super::sample::hash_of_words;

/// Records that are remembered; past it, everything is kept.
const SEEN_MAX: usize = 100_000;
/// How many were not stored since, on the next one that is.
const REPEATED: &str = "dedupe.repeated";

#[derive(Clone, Copy, Debug)]
struct Once {
    until_ms: i64,
    repeated: u64,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    all: Mutex<HashMap<u64, Once>>,
}

/// What one batch brings.
#[derive(Debug, Default)]
pub(super) struct News {
    /// With whether it begins a window of its own.
    all: HashMap<u64, (Once, bool)>,
}

impl Seen {
    /// Whether the record is the first of its window, and so is kept.
    pub(super) fn is_first(&self, stage: Dedupe, number: u64, now_ms: i64, record: &mut Record<'_>, news: &mut News) -> bool {
        let mut hasher = hash_of_words(record);
        hasher.write_u64(number);
        let key = hasher.finish();
        if let Some((once, _)) = news.all.get_mut(&key) {
            once.repeated += 1;
            return false;
        }
        let before = self.all.lock().get(&key).copied();
        if let Some(before) = before.filter(|before| now_ms < before.until_ms) {
            news.all.insert(key, (Once { repeated: 1, ..before }, false));
            return false;
        }
        if let Some(before) = before.filter(|before| before.repeated > 0) {
            record.set(REPEATED, AttributeType::Int, before.repeated.to_string());
        }
        let until_ms = now_ms.saturating_add(i64::try_from(stage.window.as_millis()).unwrap_or(i64::MAX));
        news.all.insert(key, (Once { until_ms, repeated: 0 }, true));
        true
    }

    /// The batch is stored.
    pub(super) fn learn(&self, news: News, now_ms: i64) {
        if news.all.is_empty() {
            return;
        }
        let mut all = self.all.lock();
        if all.len() + news.all.len() > SEEN_MAX {
            all.retain(|_, once| now_ms < once.until_ms);
        }
        for (key, (once, begins)) in news.all {
            let room = all.len() < SEEN_MAX;
            match all.get_mut(&key) {
                Some(known) if begins => *known = once,
                Some(known) => known.repeated += once.repeated,
                None if room => drop(all.insert(key, once)),
                None => {}
            }
        }
    }
}
