//! How often a team is told by a channel, and when again after a failure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::send::Failure;

const HOUR_MS: i64 = 3_600_000;
/// A message is given up after so many failures: by then an hour has passed.
const ATTEMPTS_MAX: u32 = 12;
const BACKOFF_MIN: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_secs(900);
/// Nobody may ask us to wait longer than this.
const ASKED_MAX: Duration = Duration::from_secs(3600);

/// One channel to one team. Times are milliseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// A message is under way.
    pub(crate) is_busy: bool,
    failures: u32,
    not_before_ms: i64,
    /// When messages of the last hour went out.
    sent: VecDeque<i64>,
}

/// What becomes of a message that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Again,
    GivenUp,
}

impl Lane {
    pub(crate) fn is_free(&mut self, now_ms: i64, per_hour_max: u32) -> bool {
        while self.sent.front().is_some_and(|sent| *sent <= now_ms - HOUR_MS) {
            self.sent.pop_front();
        }
        !self.is_busy && now_ms >= self.not_before_ms && self.sent.len() < per_hour_max as usize
    }

    /// Nothing that must be remembered.
    pub(crate) fn is_idle(&self, now_ms: i64) -> bool {
        !self.is_busy && now_ms >= self.not_before_ms && self.failures == 0 && self.sent.back().is_none_or(|sent| *sent <= now_ms - HOUR_MS)
    }

    pub(crate) fn sent(&mut self, now_ms: i64) {
        *self = Self { sent: std::mem::take(&mut self.sent), ..Self::default() };
        self.sent.push_back(now_ms);
    }

    /// `spread` is 0 to 1, by chance: those who failed together do not come back together.
    pub(crate) fn failed(&mut self, failure: &Failure, now_ms: i64, spread: f64) -> Verdict {
        self.is_busy = false;
        self.failures += 1;
        if !failure.is_passing || self.failures >= ATTEMPTS_MAX {
            self.failures = 0;
            // What is refused once is likely to be refused again, and the next message may be due at once.
            self.not_before_ms = now_ms + millis(BACKOFF_MIN);
            return Verdict::GivenUp;
        }
        let backoff = BACKOFF_MIN.saturating_mul(1 << (self.failures - 1).min(16)).min(BACKOFF_MAX).mul_f64(0.75 + spread / 4.0);
        let wait = failure.asked_to_wait.map_or(backoff, |asked| asked.min(ASKED_MAX).max(backoff));
        self.not_before_ms = now_ms + millis(wait);
        Verdict::Again
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> Failure {
        Failure::passing("unreachable", "nobody there")
    }

    #[test]
    fn a_channel_that_is_down_is_tried_again_ever_later_and_then_given_up() {
        let (mut lane, mut now_ms, mut waits) = (Lane::default(), 0, Vec::new());
        while lane.failed(&down(), now_ms, 1.0) == Verdict::Again {
            let since = now_ms;
            while !lane.is_free(now_ms, 6) {
                now_ms += 1000;
            }
            waits.push((now_ms - since) / 1000);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]);
        assert!(lane.is_free(now_ms + 5000, 6), "the next message is not punished");
    }

    #[test]
    fn what_is_refused_is_not_tried_again_and_who_asks_for_time_gets_it() {
        let mut lane = Lane::default();
        assert_eq!(lane.failed(&Failure::lasting("status_404", "no such hook"), 0, 0.0), Verdict::GivenUp);
        let busy = Failure { asked_to_wait: Some(Duration::from_secs(60)), ..down() };
        assert_eq!(lane.failed(&busy, 0, 0.0), Verdict::Again);
        assert!(!lane.is_free(59_000, 6) && lane.is_free(60_000, 6));
        let greedy = Failure { asked_to_wait: Some(Duration::from_secs(86_400)), ..down() };
        lane.failed(&greedy, 60_000, 0.0);
        assert!(lane.is_free(60_000 + HOUR_MS, 6));
    }

    #[test]
    fn an_hour_has_so_many_messages() {
        let mut lane = Lane::default();
        for minute in 0..3 {
            assert!(lane.is_free(minute * 60_000, 3));
            lane.sent(minute * 60_000);
        }
        assert!(!lane.is_free(3 * 60_000, 3) && !lane.is_idle(3 * 60_000));
        assert!(lane.is_free(HOUR_MS, 3), "the first is an hour old");
        assert!(lane.is_idle(2 * HOUR_MS));
    }
}
