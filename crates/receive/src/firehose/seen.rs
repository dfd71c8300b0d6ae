//! Remembers requests by their ids: Firehose sends a request again when it did not hear the answer.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

/// Firehose tries for two hours at most.
const AGE_MAX_NANOS: i64 = 130 * 60 * 1_000_000_000;
/// About 100 bytes each.
const REQUESTS_MAX: usize = 100_000;

#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    under_way: HashSet<String>,
    stored: HashSet<String>,
    /// With the time at which it was stored.
    order: VecDeque<(i64, String)>,
}

/// What is known of a request that comes in.
pub(super) enum Met {
    /// The first time: it is under way until the guard is gone.
    New(UnderWay),
    UnderWay,
    Stored,
}

/// A request that is being taken. Dropped without [`Self::stored`] it is forgotten, and may come again.
pub(super) struct UnderWay {
    seen: Seen,
    id: String,
}

impl Seen {
    pub(super) fn meet(&self, id: &str, now_unix_nano: i64) -> Met {
        let mut known = self.known.lock();
        let Known { stored, order, .. } = &mut *known;
        while order.len() > REQUESTS_MAX || order.front().is_some_and(|(time, _)| now_unix_nano - time > AGE_MAX_NANOS) {
            if let Some((_, oldest)) = order.pop_front() {
                stored.remove(&oldest);
            }
        }
        if known.stored.contains(id) {
            return Met::Stored;
        }
        if !known.under_way.insert(id.to_owned()) {
            return Met::UnderWay;
        }
        Met::New(UnderWay { seen: self.clone(), id: id.to_owned() })
    }
}

impl UnderWay {
    pub(super) fn stored(self, now_unix_nano: i64) {
        let mut known = self.seen.known.lock();
        known.stored.insert(self.id.clone());
        known.order.push_back((now_unix_nano, self.id.clone()));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.seen.known.lock().under_way.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(met: Met) -> UnderWay {
        match met {
            Met::New(under_way) => under_way,
            Met::UnderWay => panic!("under way"),
            Met::Stored => panic!("stored"),
        }
    }

    #[test]
    fn a_request_is_taken_once_and_again_when_it_failed() {
        let seen = Seen::default();
        let first = new(seen.meet("a", 0));
        assert!(matches!(seen.meet("a", 0), Met::UnderWay));
        drop(first);
        new(seen.meet("a", 0)).stored(0);
        assert!(matches!(seen.meet("a", AGE_MAX_NANOS), Met::Stored));
        drop(new(seen.meet("a", AGE_MAX_NANOS + 1)));
    }

    #[test]
    fn memory_is_bounded() {
        let seen = Seen::default();
        for number in 0..REQUESTS_MAX + 10 {
            new(seen.meet(&number.to_string(), 0)).stored(0);
        }
        assert!(seen.known.lock().stored.len() <= REQUESTS_MAX + 1);
        drop(new(seen.meet("0", 0)));
    }
}
