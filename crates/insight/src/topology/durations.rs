use std::collections::BTreeMap;

use model::NativeHistogram;

/// Of the bounds of buckets: they grow by the eighth root of two, as those of the samples do.
const STEPS_PER_DOUBLING: f64 = 8.0;

/// Durations of requests, added up over samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Durations {
    pub(super) count: f64,
    zeros: f64,
    /// By the index of the upper bound.
    buckets: BTreeMap<i32, f64>,
}

impl Durations {
    pub(super) fn add(&mut self, histogram: &NativeHistogram) {
        self.count += histogram.count;
        self.zeros += histogram.zero_count;
        let steps = STEPS_PER_DOUBLING / f64::from(histogram.schema).exp2();
        for (index, count) in &histogram.positive {
            *self.buckets.entry((f64::from(*index) * steps).ceil() as i32).or_default() += count;
        }
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        self.count += other.count;
        self.zeros += other.zeros;
        for (index, count) in &other.buckets {
            *self.buckets.entry(*index).or_default() += count;
        }
    }

    /// The seconds that this share of the requests took at most; within a bucket as Prometheus has it, along the exponential.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let mut rank = share * self.count;
        // Of what metrics tell only the number is known.
        if self.count <= 0.0 || (self.zeros == 0.0 && self.buckets.is_empty()) {
            return None;
        }
        if rank <= self.zeros {
            return Some(0.0);
        }
        rank -= self.zeros;
        let mut last = 0.0;
        for (index, count) in self.buckets.iter().filter(|(_, count)| **count > 0.0) {
            let lower = f64::from(index - 1) / STEPS_PER_DOUBLING;
            if rank <= *count {
                return Some((lower + rank / count / STEPS_PER_DOUBLING).exp2());
            }
            rank -= count;
            last = (lower + 1.0 / STEPS_PER_DOUBLING).exp2();
        }
        Some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near_and_whatever_the_resolution() {
        let of = |schema: i32, seconds: &[f64]| {
            let mut durations = Durations::default();
            for value in seconds {
                let index = (value.log2() * f64::from(schema).exp2()).ceil() as i32;
                let one = NativeHistogram { schema, count: 1.0, positive: vec![(index, 1.0)], ..NativeHistogram::default() };
                durations.add(&one);
            }
            durations
        };
        let seconds: Vec<f64> = (1..=1000).map(|at| f64::from(at) / 1000.0).collect();
        let fine = of(3, &seconds);
        for share in [0.5, 0.95, 0.99] {
            let found = fine.quantile(share).unwrap();
            assert!((found / share - 1.0).abs() < 0.05, "{share}: {found}");
        }
        let (coarse, finer) = (of(0, &seconds).quantile(0.5).unwrap(), of(5, &seconds).quantile(0.5).unwrap());
        assert!((0.25..=1.0).contains(&coarse) && (finer / 0.5 - 1.0).abs() < 0.1, "{coarse} {finer}");
        assert_eq!(Durations::default().quantile(0.5), None);
        let zeros = NativeHistogram { count: 3.0, zero_count: 3.0, ..NativeHistogram::default() };
        let mut none = Durations::default();
        none.add(&zeros);
        assert_eq!(none.quantile(0.95), Some(0.0));
    }
}
