/// The instants at which an expression is evaluated, milliseconds since the Unix epoch, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) start: i64,
    pub(super) end: i64,
    /// At least 1; of no meaning for a single instant.
    pub(super) step: i64,
}

impl Grid {
    pub(super) fn instant(at: i64) -> Self {
        Self { start: at, end: at, step: 1 }
    }

    pub(super) fn len(&self) -> usize {
        match self.end < self.start {
            true => 0,
            false => usize::try_from(self.end.saturating_sub(self.start) / self.step).map_or(usize::MAX, |last| last.saturating_add(1)),
        }
    }

    pub(super) fn at(&self, index: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(index as i64))
    }

    pub(super) fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let grid = *self;
        (0..grid.len()).map(move |index| grid.at(index))
    }

    /// The grid of a subquery: multiples of its own step after `start - range`, up to the end.
    pub(super) fn of_subquery(start: i64, end: i64, range: i64, step: i64) -> Self {
        let first = start.saturating_sub(range);
        let mut aligned = step * (first / step);
        if aligned <= first {
            aligned = aligned.saturating_add(step);
        }
        Self { start: aligned, end, step }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subqueries_stand_on_multiples_of_their_step() {
        let grid = Grid::of_subquery(100, 100, 50, 20);
        assert_eq!(grid.times().collect::<Vec<_>>(), [60, 80, 100]);
        assert_eq!(Grid::of_subquery(i64::MIN, i64::MAX, i64::MAX, 1).len(), i64::MAX as usize + 1);
        let before_epoch = Grid::of_subquery(-10, -10, 50, 20);
        assert_eq!(before_epoch.times().collect::<Vec<_>>(), [-40, -20]);
    }
}
