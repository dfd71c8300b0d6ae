use model::NativeHistogram;

use super::buckets::{Bucket, Kind, ascending};
use super::quantile::share_below;

/// The histogram without the observations above (`upper`) or below `cut`. A bucket across the cut is divided as for
/// quantiles; the sum is what the middles of the remaining buckets say.
pub(in super::super) fn trimmed(histogram: &NativeHistogram, cut: f64, upper: bool) -> NativeHistogram {
    let keeps_all = if upper { cut == f64::INFINITY } else { cut == f64::NEG_INFINITY };
    if keeps_all {
        return histogram.clone();
    }
    let filled = |buckets: &[(i32, f64)]| buckets.iter().any(|(_, count)| *count != 0.0);
    let (positive, negative) = (filled(&histogram.positive), filled(&histogram.negative));
    let mut answer = NativeHistogram {
        count: 0.0,
        sum: 0.0,
        zero_count: 0.0,
        positive: Vec::new(),
        negative: Vec::new(),
        custom_bounds: histogram.custom_bounds.clone(),
        ..*histogram
    };
    let mut untouched = true;
    for bucket in ascending(histogram) {
        let mut bucket = bucket;
        match bucket.kind {
            Kind::Zero if positive && !negative => bucket.lower = 0.0,
            Kind::Zero if negative && !positive => bucket.upper = 0.0,
            // A first bucket is taken to start at 0, unless what is below some negative value shall go.
            Kind::Custom
                if bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 && bucket.upper.is_finite() && (upper || cut >= 0.0) =>
            {
                bucket.lower = 0.0;
            }
            _ => {}
        }
        let (share, middle) = kept(&bucket, cut, upper);
        untouched &= share == 1.0;
        if share == 0.0 {
            continue;
        }
        let count = bucket.count * share;
        answer.count += count;
        answer.sum += count * middle;
        match bucket.kind {
            Kind::Zero => answer.zero_count = count,
            Kind::Negative => answer.negative.insert(0, (bucket.index, count)),
            Kind::Positive | Kind::Custom => answer.positive.push((bucket.index, count)),
        }
    }
    if untouched {
        return histogram.clone();
    }
    answer
}

/// The share of a bucket that stays, and the middle of what stays.
fn kept(bucket: &Bucket, cut: f64, upper: bool) -> (f64, f64) {
    if bucket.kind == Kind::Custom && (bucket.lower.is_infinite() || bucket.upper.is_infinite()) {
        return kept_open(bucket, cut, upper);
    }
    let below = share_below(bucket, cut);
    let (share, low, high) = match upper {
        true => (below, bucket.lower, bucket.upper.min(cut)),
        false => (1.0 - below, bucket.lower.max(cut), bucket.upper),
    };
    if share == 0.0 {
        return (0.0, 0.0);
    }
    let middle = match bucket.kind {
        Kind::Zero | Kind::Custom => (low + high) / 2.0,
        Kind::Positive => (low * high).sqrt(),
        Kind::Negative => -(low * high).sqrt(),
    };
    (share, middle)
}

/// A custom bucket without a lower or an upper bound stays whole or goes whole.
fn kept_open(bucket: &Bucket, cut: f64, upper: bool) -> (f64, f64) {
    match (bucket.lower.is_infinite(), bucket.upper.is_infinite()) {
        (true, true) => (0.0, 0.0),
        // No lower bound: it stays below any cut, and goes when something is cut from below.
        (true, false) if upper => (1.0, bucket.upper.min(cut)),
        (true, false) => (0.0, 0.0),
        // No upper bound: it goes for any upper cut, and stays above any lower one.
        _ if upper || cut == f64::INFINITY => (0.0, 0.0),
        _ => (1.0, bucket.lower.max(cut)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CUSTOM;
    use super::*;

    #[test]
    fn a_cut_on_a_bound_takes_whole_buckets() {
        let histogram = NativeHistogram {
            schema: CUSTOM,
            count: 15.0,
            sum: 172.5,
            positive: vec![(0, 1.0), (1, 6.0), (2, 4.0), (3, 3.0), (4, 1.0)],
            custom_bounds: vec![5.0, 10.0, 15.0, 20.0],
            ..NativeHistogram::default()
        };
        let below = trimmed(&histogram, 15.0, true);
        assert_eq!((below.count, below.sum, below.positive.len()), (11.0, 97.5, 3));
        let above = trimmed(&histogram, 15.0, false);
        assert_eq!((above.count, above.sum), (4.0, 72.5));
        assert_eq!(trimmed(&histogram, 0.0, false), histogram);
    }
}
