//! Values counted by buckets that grow evenly on a logarithmic scale.

/// The upper ends of the finest buckets of one doubling: a value is in the first whose end is no less.
const PER_DOUBLING: usize = 16;

/// How often a value fell into each bucket. They lie in a row, from the least that has a value to the greatest: to find one costs
/// nothing, and values of one kind are within a few doublings of each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    /// Values that are not above zero.
    lowest: u64,
    first: i32,
    counts: Vec<u64>,
}

impl Buckets {
    /// Gives the bytes that are held more.
    pub(super) fn add(&mut self, bucket: Option<i32>) -> usize {
        let Some(bucket) = bucket else {
            self.lowest += 1;
            return 0;
        };
        let before = self.counts.len();
        if self.counts.is_empty() {
            self.first = bucket;
        }
        if bucket < self.first {
            let more = self.first.abs_diff(bucket) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.first = bucket;
        }
        let at = bucket.abs_diff(self.first) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
        (self.counts.len() - before) * size_of::<u64>()
    }

    /// Those with a value, from the least; the one of what is not above zero has no number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Option<i32>, u64)> + '_ {
        let numbered = (self.first..).map(Some).zip(self.counts.iter().copied());
        std::iter::once((None, self.lowest)).chain(numbered).filter(|(_, count)| *count > 0)
    }
}

/// The bucket of a value above zero: the least n with `value <= 2^(n/16)`; `coarse`, the least with `value <= 2^n`.
///
/// By the bits of the double, as a logarithm of each span took longer than all else that is done with it.
pub(super) fn bucket(value: f64, coarse: bool) -> Option<i32> {
    const ENDS: [f64; PER_DOUBLING] = ends();
    const FRACTION: u64 = (1 << 52) - 1;
    if value.is_nan() || value <= 0.0 {
        return None;
    }
    let exponent = (value.to_bits() >> 52) as i32 - 1023;
    let fraction = f64::from_bits(value.to_bits() & FRACTION | 1.0_f64.to_bits());
    match coarse {
        true => Some(exponent + i32::from(fraction > 1.0)),
        false => Some(exponent * PER_DOUBLING as i32 + ENDS.iter().map(|end| i32::from(fraction > *end)).sum::<i32>()),
    }
}

/// 2^(n/16) of each n below 16.
const fn ends() -> [f64; PER_DOUBLING] {
    const SIXTEENTH: f64 = 1.044_273_782_427_413_8;
    let mut ends = [1.0; PER_DOUBLING];
    let mut at = 1;
    while at < PER_DOUBLING {
        ends[at] = ends[at - 1] * SIXTEENTH;
        at += 1;
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_the_logarithm() {
        for step in 1..40_000 {
            let value = 1e-9 * 1.0007_f64.powi(step);
            assert_eq!(bucket(value, false), Some((value.log2() * 16.0).ceil() as i32), "{value}");
            assert_eq!(bucket(value, true), Some(value.log2().ceil() as i32), "{value}");
        }
        assert_eq!([bucket(1.0, false), bucket(2.0, false), bucket(0.5, true), bucket(8.0, true)], [Some(0), Some(16), Some(-1), Some(3)]);
        assert_eq!([bucket(0.0, false), bucket(-1.0, false), bucket(f64::NAN, true)], [None; 3]);
        assert!(bucket(f64::INFINITY, false) <= Some(1024 * 16) && bucket(f64::MIN_POSITIVE, false) >= Some(-1023 * 16));
    }

    #[test]
    fn they_grow_to_both_sides() {
        let mut buckets = Buckets::default();
        let grown: usize = [Some(3), None, Some(-2), Some(3), Some(5)].into_iter().map(|bucket| buckets.add(bucket)).sum();
        assert_eq!(buckets.iter().collect::<Vec<_>>(), [(None, 1), (Some(-2), 1), (Some(3), 2), (Some(5), 1)]);
        assert_eq!(grown, 8 * 8);
    }
}
