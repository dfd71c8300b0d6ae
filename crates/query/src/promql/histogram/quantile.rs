use model::NativeHistogram;

use super::CUSTOM;
use super::buckets::{Bucket, Kind, ascending};

/// The value below which the share `q` of the observations lies.
pub(in super::super) fn quantile(q: f64, histogram: &NativeHistogram) -> f64 {
    if q.is_nan() || histogram.count == 0.0 || histogram.count.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let buckets = located(histogram);
    // NaN observations are counted but stand in no bucket, as if beyond all others. Without them the upper half is
    // counted from above: at a boundary the bucket nearer to the edge speaks.
    let from_above = q >= 0.5 && !histogram.sum.is_nan();
    let rank = if from_above { (1.0 - q) * histogram.count } else { q * histogram.count };
    let ordered: Vec<&Bucket> = if from_above { buckets.iter().rev().collect() } else { buckets.iter().collect() };
    let (mut passed, mut found) = (0.0, None);
    for bucket in ordered {
        found = Some((bucket, passed));
        if passed + bucket.count >= rank {
            break;
        }
        passed += bucket.count;
    }
    let Some((bucket, passed)) = found else { return f64::NAN };
    if !from_above && rank > passed + bucket.count {
        // Beyond the last bucket: NaN observations, if the sum says that there are some.
        return if histogram.sum.is_nan() { f64::NAN } else { bucket.upper };
    }
    if histogram.schema == CUSTOM {
        if bucket.upper.is_infinite() && bucket.upper > 0.0 {
            return bucket.lower;
        }
        if bucket.lower.is_infinite() {
            return bucket.upper;
        }
    }
    let share = (rank - passed) / bucket.count;
    interpolate(bucket, if from_above { 1.0 - share } else { share })
}

/// Buckets with the bounds that interpolation uses: a zero bucket beside buckets of one sign only lies on that side,
/// and the first custom bucket with a positive bound starts at 0.
fn located(histogram: &NativeHistogram) -> Vec<Bucket> {
    let mut buckets = ascending(histogram);
    let filled = |buckets: &[(i32, f64)]| buckets.iter().any(|(_, count)| *count != 0.0);
    let (positive, negative) = (filled(&histogram.positive), filled(&histogram.negative));
    for bucket in &mut buckets {
        match bucket.kind {
            Kind::Zero if positive && !negative => bucket.lower = 0.0,
            Kind::Zero if negative && !positive => bucket.upper = 0.0,
            Kind::Custom if bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 && bucket.upper.is_finite() => bucket.lower = 0.0,
            _ => {}
        }
    }
    buckets
}

/// The value at a share of a bucket: exponential where bounds are, linear in custom and zero buckets.
fn interpolate(bucket: &Bucket, share: f64) -> f64 {
    let share = share.clamp(0.0, 1.0);
    match bucket.kind {
        Kind::Zero | Kind::Custom => bucket.lower + (bucket.upper - bucket.lower) * share,
        Kind::Positive => (bucket.lower.log2() + (bucket.upper.log2() - bucket.lower.log2()) * share).exp2(),
        Kind::Negative => {
            let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
            -(lower + (upper - lower) * share).exp2()
        }
    }
}

/// The share of a bucket that lies below `value`.
pub(super) fn share_below(bucket: &Bucket, value: f64) -> f64 {
    if value >= bucket.upper {
        return 1.0;
    }
    if value <= bucket.lower {
        return 0.0;
    }
    if bucket.lower.is_infinite() || bucket.upper.is_infinite() {
        return 0.0;
    }
    match bucket.kind {
        Kind::Zero | Kind::Custom => (value - bucket.lower) / (bucket.upper - bucket.lower),
        Kind::Positive => (value.log2() - bucket.lower.log2()) / (bucket.upper.log2() - bucket.lower.log2()),
        Kind::Negative => {
            let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
            (value.abs().log2() - lower) / (upper - lower)
        }
    }
}

/// The share of the observations between two values.
pub(in super::super) fn fraction(lower: f64, upper: f64, histogram: &NativeHistogram) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let buckets = located(histogram);
    // Nothing is known about where in a bucket without a lower bound its observations lie: it counts as outside.
    let below = |value: f64, is_lower: bool| -> f64 {
        match value {
            f64::INFINITY => buckets.iter().map(|bucket| bucket.count).sum(),
            f64::NEG_INFINITY => 0.0,
            value => buckets
                .iter()
                .map(|bucket| match is_lower && bucket.lower == f64::NEG_INFINITY && bucket.upper.is_finite() {
                    true => bucket.count,
                    false => bucket.count * share_below(bucket, value),
                })
                .sum(),
        }
    };
    (below(upper, false) - below(lower, true)).max(0.0) / histogram.count
}

/// The variance of the observations, each taken at the middle of its bucket.
pub(in super::super) fn variance(histogram: &NativeHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let spread: f64 = ascending(histogram)
        .iter()
        .map(|bucket| {
            let middle = match bucket.kind {
                Kind::Zero => 0.0,
                Kind::Custom if bucket.lower.is_infinite() && bucket.upper.is_infinite() => 0.0,
                Kind::Custom if bucket.lower.is_infinite() => bucket.upper / if bucket.upper > 0.0 { 2.0 } else { 1.0 },
                Kind::Custom if bucket.upper.is_infinite() => bucket.lower,
                Kind::Custom => (bucket.lower + bucket.upper) / 2.0,
                Kind::Positive => (bucket.lower * bucket.upper).sqrt(),
                Kind::Negative => -(bucket.lower * bucket.upper).sqrt(),
            };
            bucket.count * (middle - mean).powi(2)
        })
        .sum();
    spread / histogram.count
}
