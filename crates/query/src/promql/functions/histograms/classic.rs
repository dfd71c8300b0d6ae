/// A cumulative bucket: how many observations are at most `upper`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    pub(super) upper: f64,
    pub(super) count: f64,
}

/// Counts that fall by less than this share are the rounding of a sum of rates, not a mistake.
const TOLERANCE: f64 = 1e-12;

/// Sorted by bound, one bucket per bound, counts that never fall; whether one had to be raised.
fn prepare(buckets: &mut Vec<Bucket>) -> bool {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    let mut kept: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets.drain(..) {
        match kept.last_mut() {
            Some(last) if last.upper == bucket.upper => last.count += bucket.count,
            _ => kept.push(bucket),
        }
    }
    *buckets = kept;
    let mut forced = false;
    let Some(first) = buckets.first() else { return false };
    let mut most = first.count;
    for bucket in buckets.iter_mut().skip(1) {
        let near = (bucket.count - most).abs() <= TOLERANCE * (bucket.count.abs() + most.abs());
        if bucket.count > most && !near {
            most = bucket.count;
        } else if bucket.count < most {
            forced |= !near;
            bucket.count = most;
        } else {
            bucket.count = most;
        }
    }
    forced
}

/// The quantile, and whether counts had to be forced to rise.
pub(super) fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if q > 1.0 {
        return (f64::INFINITY, false);
    }
    let forced = prepare(buckets);
    let [.., second_last, last] = buckets.as_slice() else { return (f64::NAN, false) };
    if last.upper != f64::INFINITY {
        return (f64::NAN, false);
    }
    let total = last.count;
    if total == 0.0 || total.is_nan() {
        return (f64::NAN, forced);
    }
    let rank = q * total;
    let found = buckets[..buckets.len() - 1].partition_point(|bucket| bucket.count < rank);
    if found == buckets.len() - 1 {
        return (second_last.upper, forced);
    }
    if found == 0 && buckets[0].upper <= 0.0 {
        return (buckets[0].upper, forced);
    }
    let (lower, below) = match found {
        0 => (0.0, 0.0),
        found => (buckets[found - 1].upper, buckets[found - 1].count),
    };
    let Bucket { upper, count } = buckets[found];
    (lower + (upper - lower) * ((rank - below) / (count - below)), forced)
}

/// The share of the observations between two values.
pub(super) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    prepare(buckets);
    let Some(last) = buckets.last().copied() else { return f64::NAN };
    if last.upper != f64::INFINITY || last.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    // Nothing is known about where in a bucket without a lower bound its observations lie: it counts as outside.
    let below = |value: f64, is_lower: bool| -> f64 {
        if value == f64::NEG_INFINITY {
            return 0.0;
        }
        if value == f64::INFINITY {
            return last.count;
        }
        let place = buckets.partition_point(|bucket| bucket.upper < value);
        let (start, before) = match place {
            0 if buckets[0].upper > 0.0 => (0.0, 0.0),
            0 => (f64::NEG_INFINITY, 0.0),
            place => (buckets[place - 1].upper, buckets[place - 1].count),
        };
        let bucket = buckets[place];
        if value == bucket.upper {
            return bucket.count;
        }
        if is_lower && start.is_infinite() {
            return bucket.count;
        }
        if value <= start || start.is_infinite() || bucket.upper.is_infinite() {
            return before;
        }
        before + (bucket.count - before) * (value - start) / (bucket.upper - start)
    };
    (below(upper, false) - below(lower, true)).max(0.0) / last.count
}
