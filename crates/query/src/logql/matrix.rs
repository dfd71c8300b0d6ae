//! Series at the steps of a query.

use model::Labels;

/// The instants at which a metric query is evaluated: `start`, `start + step`, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) start_ns: i64,
    pub(super) step_ns: i64,
    pub(super) count: usize,
}

impl Steps {
    pub(super) fn at_ns(&self, step: usize) -> i64 {
        self.start_ns.saturating_add(self.step_ns.saturating_mul(step as i64))
    }

    pub(super) fn at_ms(&self, step: usize) -> i64 {
        self.at_ns(step).div_euclid(1_000_000)
    }

    pub(super) fn last_ns(&self) -> i64 {
        self.at_ns(self.count.saturating_sub(1))
    }

    /// The steps whose window `(t - range, t]`, moved back by `offset`, holds that instant.
    pub(super) fn holding(&self, time_ns: i64, range_ns: i64, offset_ns: i64) -> std::ops::Range<usize> {
        let from_start = i128::from(time_ns) + i128::from(offset_ns) - i128::from(self.start_ns);
        let step = i128::from(self.step_ns);
        let clamp = |step: i128| usize::try_from(step.max(0)).unwrap_or(usize::MAX).min(self.count);
        let first = (from_start + step - 1).div_euclid(step);
        let end = (from_start + i128::from(range_ns) - 1).div_euclid(step) + 1;
        clamp(first)..clamp(end)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) labels: Labels,
    /// One per step; None where the series has no value.
    pub(super) values: Vec<Option<f64>>,
}

pub(super) type Matrix = Vec<Series>;

/// What an expression comes to.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Number(f64),
    Matrix(Matrix),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_exclude_their_lower_edge() {
        let steps = Steps { start_ns: 60, step_ns: 30, count: 3 };
        let check = |time, range, offset, expect: std::ops::Range<usize>| {
            let brute = (0..3).filter(|&step| (steps.at_ns(step) - offset - range..steps.at_ns(step) - offset).contains(&(time - 1)));
            assert_eq!(brute.collect::<Vec<_>>(), expect.clone().collect::<Vec<_>>());
            assert_eq!(steps.holding(time, range, offset), expect);
        };
        check(60, 30, 0, 0..1);
        check(61, 30, 0, 1..2);
        check(60, 60, 0, 0..2);
        check(30, 30, 30, 0..1);
        check(120, 1000, 0, 2..3);
        assert!(steps.holding(121, 30, 0).is_empty() && steps.holding(0, 30, 0).is_empty());
    }
}
