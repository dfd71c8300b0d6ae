//! Which times of a series are asked for, and which of the answered points are new: none is stored twice, none is left out.
//! CloudWatch revises and completes what it has; asking for a longer time costs nothing more.

use std::collections::BTreeMap;

/// Times are asked for again for this long, though a shorter `length` is written: points come late.
const BACK_MIN_MS: i64 = 15 * 60_000;
/// The first question after a start reaches back this far: a restart leaves no hole.
const RESUMED_BACK_MS: i64 = 3 * 3_600_000;
/// After long failures no more than this is caught up.
const BACK_MAX_MS: i64 = 7 * 86_400_000;

/// How a metric is asked for, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rhythm {
    pub(super) period_ms: i64,
    pub(super) length_ms: i64,
    pub(super) delay_ms: i64,
}

/// From `start_ms` to before `end_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Window {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
}

/// What is remembered of a series.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Up to where all was asked for and stored; none before the first time.
    until_ms: Option<i64>,
    /// Stored points that may be answered again.
    recent: BTreeMap<i64, u64>,
}

impl Seen {
    /// What to ask for now. With `resumed` a series that is new here may have points from before the start.
    pub(super) fn window(&self, rhythm: &Rhythm, now_ms: i64, resumed: bool) -> Window {
        let Rhythm { period_ms, length_ms, delay_ms } = *rhythm;
        let whole = |time_ms: i64| time_ms - time_ms.rem_euclid(period_ms);
        // A period that is not over yet is not whole.
        let end_ms = whole(now_ms - delay_ms);
        let back_ms = length_ms.max(BACK_MIN_MS).max(period_ms);
        let start_ms = match self.until_ms {
            Some(until_ms) => until_ms.min(end_ms) - back_ms,
            None if resumed => end_ms - back_ms.max(RESUMED_BACK_MS),
            None => end_ms - back_ms,
        };
        Window { start_ms: whole(start_ms.max(end_ms - BACK_MAX_MS.max(back_ms))), end_ms }
    }

    /// Whether a point is new or another than was stored.
    pub(super) fn is_news(&self, time_ms: i64, value: f64) -> bool {
        self.recent.get(&time_ms) != Some(&value.to_bits())
    }

    pub(super) fn stored(&mut self, time_ms: i64, value: f64) {
        self.recent.insert(time_ms, value.to_bits());
    }

    /// Times of whole periods that have no point.
    pub(super) fn empty(&self, window: Window, period_ms: i64) -> Vec<i64> {
        let times = (0..).map(|number| window.start_ms + number * period_ms).take_while(|time| *time < window.end_ms);
        times.filter(|time| !self.recent.contains_key(time)).collect()
    }

    /// All of the window is answered and stored.
    pub(super) fn finish(&mut self, window: Window, rhythm: &Rhythm) {
        self.until_ms = Some(window.end_ms);
        let kept_from = window.end_ms - rhythm.length_ms.max(BACK_MIN_MS).max(rhythm.period_ms) - rhythm.period_ms;
        self.recent = self.recent.split_off(&kept_from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const RHYTHM: Rhythm = Rhythm { period_ms: MINUTE, length_ms: 20 * MINUTE, delay_ms: 2 * MINUTE };

    #[test]
    fn windows_join_and_failures_are_caught_up() {
        let mut seen = Seen::default();
        let now = 1000 * MINUTE + 7;
        assert_eq!(seen.window(&RHYTHM, now, true), Window { start_ms: (998 - 180) * MINUTE, end_ms: 998 * MINUTE });
        let first = seen.window(&RHYTHM, now, false);
        assert_eq!(first, Window { start_ms: 978 * MINUTE, end_ms: 998 * MINUTE });
        seen.finish(first, &RHYTHM);
        assert_eq!(seen.window(&RHYTHM, now + 5 * MINUTE, true), Window { start_ms: 978 * MINUTE, end_ms: 1003 * MINUTE });
        // Two hours of failures.
        assert_eq!(seen.window(&RHYTHM, now + 120 * MINUTE, true), Window { start_ms: 978 * MINUTE, end_ms: 1118 * MINUTE });
        let late = seen.window(&RHYTHM, now + 30 * 1440 * MINUTE, true);
        assert_eq!(late.end_ms - late.start_ms, BACK_MAX_MS);
        let daily = Rhythm { period_ms: 1440 * MINUTE, length_ms: 2880 * MINUTE, delay_ms: 0 };
        let window = Seen::default().window(&daily, 10 * 1440 * MINUTE + 5, false);
        assert_eq!(window, Window { start_ms: 8 * 1440 * MINUTE, end_ms: 10 * 1440 * MINUTE });
    }

    #[test]
    fn a_point_is_stored_once_and_again_when_it_is_revised() {
        let mut seen = Seen::default();
        let window = Window { start_ms: 0, end_ms: 3 * MINUTE };
        assert!(seen.is_news(MINUTE, 1.0));
        seen.stored(MINUTE, 1.0);
        assert!(!seen.is_news(MINUTE, 1.0) && seen.is_news(MINUTE, 2.0));
        assert_eq!(seen.empty(window, MINUTE), [0, 2 * MINUTE]);
        seen.finish(window, &RHYTHM);
        assert!(!seen.is_news(MINUTE, 1.0), "it may be answered again");
        seen.finish(Window { start_ms: 0, end_ms: 30 * MINUTE }, &RHYTHM);
        assert!(seen.recent.is_empty(), "it is asked for no more");
    }
}
