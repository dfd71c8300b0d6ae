use model::samples::NO_START;

/// The times of points, and since when each counts where it says so.
///
/// A counter that tells its start begins anew when the start moves behind the point before, even where its value rose; and
/// at its start it was zero, so that nothing need be guessed before the first point.
#[derive(Clone, Copy)]
pub(super) struct Starts<'a> {
    times: &'a [i64],
    /// Empty when no point says, or when nobody wants to know.
    starts: &'a [i64],
}

impl<'a> Starts<'a> {
    pub(super) const NONE: Self = Self { times: &[], starts: &[] };

    pub(super) fn new(times: &'a [i64], starts: &'a [i64]) -> Self {
        Self { times, starts }
    }

    /// Whether some point may say since when it counts.
    pub(super) fn are_told(&self) -> bool {
        !self.starts.is_empty()
    }

    fn of(&self, at: usize) -> i64 {
        self.starts.get(at).copied().unwrap_or(NO_START)
    }

    /// Whether the counter began anew between a point and the one before it.
    ///
    /// One that starts just where the point before was taken says so too, as deltas do; but not when the point before had an
    /// unknown start: then it is the first of a counter whose start nobody knew, and told as its own.
    pub(super) fn is_reset(&self, at: usize) -> bool {
        let (before, start) = (at.checked_sub(1).map_or(NO_START, |before| self.of(before)), self.of(at));
        if start == NO_START || start >= self.times[at] {
            return false;
        }
        let time_before = self.times[at - 1];
        start > time_before || (start == time_before && before != NO_START && before < time_before)
    }

    /// Whether some point says it counts what the point before had counted already, though not from the same start.
    pub(super) fn overlap(&self) -> bool {
        let overlaps = |at: usize| {
            let start = self.of(at);
            start != NO_START && start < self.times[at - 1] && start != self.of(at - 1)
        };
        (1..self.starts.len()).any(overlaps)
    }

    /// When the counter was zero before the first point, if that is after `window_start`.
    pub(super) fn zero(&self, window_start: i64) -> Option<i64> {
        let start = self.of(0);
        (start != NO_START && window_start < start && start < self.times[0]).then_some(start)
    }
}
