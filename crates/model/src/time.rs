/// A half-open range of time, nanoseconds since the Unix epoch: `start <= t < end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    pub start_ns: i64,
    pub end_ns: i64,
}

impl TimeRange {
    pub const ALL: Self = Self { start_ns: i64::MIN, end_ns: i64::MAX };

    pub fn new(start_ns: i64, end_ns: i64) -> Self {
        Self { start_ns, end_ns }
    }

    /// The range that holds every millisecond from `start_ms` to `end_ms`, both included, as Prometheus counts.
    pub fn of_millis_inclusive(start_ms: i64, end_ms: i64) -> Self {
        let nanos = |ms: i64| ms.saturating_mul(1_000_000);
        Self { start_ns: nanos(start_ms), end_ns: nanos(end_ms.saturating_add(1)) }
    }

    pub fn contains(&self, time_ns: i64) -> bool {
        self.start_ns <= time_ns && (time_ns < self.end_ns || self.end_ns == i64::MAX)
    }

    /// Whether a block whose first and last instants are these (both included) can hold a row of the range.
    pub fn overlaps(&self, first_ns: i64, last_ns: i64) -> bool {
        first_ns < self.end_ns && self.start_ns <= last_ns
    }

    pub fn is_empty(&self) -> bool {
        self.start_ns >= self.end_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_half_open() {
        let range = TimeRange::new(10, 20);
        assert!(range.contains(10) && range.contains(19) && !range.contains(20));
        assert!(range.overlaps(0, 10) && range.overlaps(19, 30));
        assert!(!range.overlaps(0, 9) && !range.overlaps(20, 30));
    }

    #[test]
    fn a_millisecond_range_saturates() {
        let range = TimeRange::of_millis_inclusive(i64::MIN, i64::MAX);
        assert!(range.contains(0) && range.contains(i64::MAX));
    }
}
