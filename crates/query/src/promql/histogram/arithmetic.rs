use model::NativeHistogram;

use super::super::functions::math::Kahan;
use super::buckets::exponential_bound;
use super::{CUSTOM, HINT_GAUGE, HINT_NO_RESET, HINT_RESET, HINT_UNKNOWN};

type Buckets = Vec<(i32, f64)>;

/// What joining histograms gave, and what is doubtful about it.
#[derive(Debug)]
pub(in super::super) struct Combined {
    pub(in super::super) histogram: NativeHistogram,
    pub(in super::super) bounds_reconciled: bool,
    pub(in super::super) reset_conflict: bool,
}

pub(in super::super) fn scaled(histogram: &NativeHistogram, factor: f64) -> NativeHistogram {
    let mut answer = map_counts(histogram, |count| count * factor);
    // A negative count cannot come from a counter.
    if factor < 0.0 {
        answer.reset_hint = HINT_GAUGE;
    }
    answer
}

pub(in super::super) fn divided(histogram: &NativeHistogram, divisor: f64) -> NativeHistogram {
    let mut answer = map_counts(histogram, |count| count / divisor);
    if divisor == 0.0 {
        // Every bucket would be NaN or infinite: Prometheus drops them.
        (answer.positive, answer.negative) = (Vec::new(), Vec::new());
    }
    if divisor < 0.0 {
        answer.reset_hint = HINT_GAUGE;
    }
    answer
}

fn map_counts(histogram: &NativeHistogram, map: impl Fn(f64) -> f64) -> NativeHistogram {
    let buckets = |buckets: &Buckets| buckets.iter().map(|&(index, count)| (index, map(count))).collect();
    NativeHistogram {
        count: map(histogram.count),
        sum: map(histogram.sum),
        zero_count: map(histogram.zero_count),
        positive: buckets(&histogram.positive),
        negative: buckets(&histogram.negative),
        custom_bounds: histogram.custom_bounds.clone(),
        ..*histogram
    }
}

/// `lhs + sign * rhs`; none when one has custom bounds and the other has not.
pub(in super::super) fn combine(lhs: &NativeHistogram, rhs: &NativeHistogram, sign: f64) -> Option<Combined> {
    if (lhs.schema == CUSTOM) != (rhs.schema == CUSTOM) {
        return None;
    }
    let hints = (lhs.reset_hint, rhs.reset_hint);
    let reset_conflict = matches!(hints, (HINT_RESET, HINT_NO_RESET) | (HINT_NO_RESET, HINT_RESET));
    let reset_hint = match hints {
        _ if sign < 0.0 => HINT_GAUGE,
        (left, right) if left == right => left,
        (HINT_GAUGE, _) | (_, HINT_GAUGE) => HINT_GAUGE,
        _ => HINT_UNKNOWN,
    };
    let (left, right, bounds_reconciled) = aligned(lhs, rhs);
    let histogram = NativeHistogram {
        schema: left.schema,
        count: lhs.count + sign * rhs.count,
        sum: lhs.sum + sign * rhs.sum,
        zero_threshold: left.zero_threshold,
        zero_count: left.zero_count + sign * right.zero_count,
        positive: add_buckets(&left.positive, &right.positive, sign),
        negative: add_buckets(&left.negative, &right.negative, sign),
        custom_bounds: left.custom_bounds,
        reset_hint,
    };
    Some(Combined { histogram, bounds_reconciled, reset_conflict })
}

/// The sum of all; none when they do not go together.
pub(in super::super) fn total(parts: &[&NativeHistogram]) -> Option<Combined> {
    let (first, rest) = parts.split_first()?;
    let mut total = Combined { histogram: (*first).clone(), bounds_reconciled: false, reset_conflict: false };
    let hints = |hint: i32| parts.iter().any(|part| part.reset_hint == hint);
    for part in rest {
        let next = combine(&total.histogram, part, 1.0)?;
        total.histogram = next.histogram;
        total.bounds_reconciled |= next.bounds_reconciled;
    }
    // Count and sum are added up once more with compensation: they are what cancels.
    let compensated = |field: fn(&NativeHistogram) -> f64| parts.iter().map(|part| field(part)).collect::<Kahan>().sum();
    total.histogram.count = compensated(|part| part.count);
    total.histogram.sum = compensated(|part| part.sum);
    total.reset_conflict = hints(HINT_RESET) && hints(HINT_NO_RESET);
    Some(total)
}

/// The mean of all, also where the sum would overflow; none when they do not go together.
pub(in super::super) fn average(parts: &[&NativeHistogram]) -> Option<Combined> {
    let count = parts.len() as f64;
    let mut answer = total(parts)?;
    let infinite = |histogram: &NativeHistogram| {
        let mut buckets = histogram.positive.iter().chain(&histogram.negative);
        histogram.count.is_infinite() || histogram.sum.is_infinite() || buckets.any(|(_, count)| count.is_infinite())
    };
    if infinite(&answer.histogram) && !parts.iter().any(|part| infinite(part)) {
        let shares: Vec<NativeHistogram> = parts.iter().map(|part| divided(part, count)).collect();
        answer.histogram = total(&shares.iter().collect::<Vec<_>>())?.histogram;
    } else {
        answer.histogram = divided(&answer.histogram, count);
    }
    Some(answer)
}

/// Equal field by field, empty buckets apart.
pub(in super::super) fn equal(lhs: &NativeHistogram, rhs: &NativeHistogram) -> bool {
    let same = |left: f64, right: f64| left.to_bits() == right.to_bits() || left == right;
    let filled = |buckets: &Buckets| buckets.iter().copied().filter(|(_, count)| *count != 0.0).collect::<Buckets>();
    lhs.schema == rhs.schema
        && same(lhs.count, rhs.count)
        && same(lhs.sum, rhs.sum)
        && lhs.zero_threshold == rhs.zero_threshold
        && same(lhs.zero_count, rhs.zero_count)
        && lhs.custom_bounds == rhs.custom_bounds
        && filled(&lhs.positive) == filled(&rhs.positive)
        && filled(&lhs.negative) == filled(&rhs.negative)
}

/// Whether the counter started anew between `previous` and `current`.
pub(in super::super) fn is_reset(previous: &NativeHistogram, current: &NativeHistogram) -> bool {
    match current.reset_hint {
        HINT_RESET => return true,
        HINT_NO_RESET | HINT_GAUGE => return false,
        _ => {}
    }
    if current.count < previous.count {
        return true;
    }
    if (current.schema == CUSTOM) != (previous.schema == CUSTOM) {
        return true;
    }
    if current.schema == CUSTOM {
        // With other bounds a bucket may have less in it without a reset: compare on the bounds that both have.
        let (before, now, _) = aligned(previous, current);
        return has_less(&before.positive, &now.positive);
    }
    // A finer resolution or a smaller zero bucket only comes with a new start.
    if current.schema > previous.schema || current.zero_threshold < previous.zero_threshold {
        return true;
    }
    let (before, now, _) = aligned(previous, current);
    if before.zero_threshold != current.zero_threshold {
        // A filled bucket of before lies across the edge of the new zero bucket.
        return true;
    }
    now.zero_count < before.zero_count || has_less(&before.positive, &now.positive) || has_less(&before.negative, &now.negative)
}

fn has_less(before: &Buckets, now: &Buckets) -> bool {
    add_buckets(now, before, -1.0).iter().any(|(_, count)| *count < 0.0)
}

/// Both histograms in one layout: the coarser schema and the wider zero bucket, or the bounds that both have.
fn aligned(lhs: &NativeHistogram, rhs: &NativeHistogram) -> (NativeHistogram, NativeHistogram, bool) {
    let (mut left, mut right) = (lhs.clone(), rhs.clone());
    if lhs.schema == CUSTOM {
        if lhs.custom_bounds == rhs.custom_bounds {
            return (left, right, false);
        }
        let common: Vec<f64> = lhs.custom_bounds.iter().copied().filter(|bound| rhs.custom_bounds.contains(bound)).collect();
        rebound(&mut left, &common);
        rebound(&mut right, &common);
        return (left, right, true);
    }
    let comparable = !left.zero_threshold.is_nan() && !right.zero_threshold.is_nan();
    while comparable && left.zero_threshold != right.zero_threshold {
        let wider = left.zero_threshold.max(right.zero_threshold);
        let narrow = if left.zero_threshold < wider { &mut left } else { &mut right };
        widen_zero(narrow, wider);
    }
    let schema = left.schema.min(right.schema);
    coarsen(&mut left, schema);
    coarsen(&mut right, schema);
    (left, right, false)
}

/// Takes buckets into the zero bucket until it reaches `threshold`, or past it when a filled bucket lies across.
fn widen_zero(histogram: &mut NativeHistogram, threshold: f64) {
    let schema = histogram.schema;
    let mut reached = threshold;
    for buckets in [&histogram.positive, &histogram.negative] {
        for &(index, count) in buckets {
            if count != 0.0 && exponential_bound(index.saturating_sub(1), schema) < reached {
                reached = reached.max(exponential_bound(index, schema));
            }
        }
    }
    for buckets in [&mut histogram.positive, &mut histogram.negative] {
        buckets.retain(|&(index, count)| {
            let inside = exponential_bound(index, schema) <= reached;
            if inside {
                histogram.zero_count += count;
            }
            !inside
        });
    }
    histogram.zero_threshold = reached;
}

fn coarsen(histogram: &mut NativeHistogram, schema: i32) {
    let shift = histogram.schema.saturating_sub(schema).min(31);
    if shift <= 0 {
        return;
    }
    for buckets in [&mut histogram.positive, &mut histogram.negative] {
        let moved = buckets.iter().map(|&(index, count)| ((index.saturating_sub(1) >> shift) + 1, count));
        *buckets = merged(moved.collect());
    }
    histogram.schema = schema;
}

/// Puts custom buckets into those of fewer bounds.
fn rebound(histogram: &mut NativeHistogram, bounds: &[f64]) {
    let place = |index: i32| {
        let upper = super::buckets::custom_bound(&histogram.custom_bounds, index);
        i32::try_from(bounds.partition_point(|bound| *bound < upper)).unwrap_or(i32::MAX)
    };
    let moved = histogram.positive.iter().map(|&(index, count)| (place(index), count)).collect();
    histogram.positive = merged(moved);
    histogram.custom_bounds = bounds.to_vec();
}

/// Joins neighbours with one index; the input ascends.
fn merged(buckets: Buckets) -> Buckets {
    let mut merged: Buckets = Vec::with_capacity(buckets.len());
    for (index, count) in buckets {
        match merged.last_mut() {
            Some(last) if last.0 == index => last.1 += count,
            _ => merged.push((index, count)),
        }
    }
    merged
}

fn add_buckets(lhs: &Buckets, rhs: &Buckets, sign: f64) -> Buckets {
    let mut answer = Vec::with_capacity(lhs.len() + rhs.len());
    let (mut left, mut right) = (lhs.iter().peekable(), rhs.iter().peekable());
    loop {
        match (left.peek(), right.peek()) {
            (None, None) => return answer,
            (Some(&&bucket), other) if other.is_none_or(|other| bucket.0 < other.0) => {
                answer.push(bucket);
                left.next();
            }
            (other, Some(&&(index, count))) if other.is_none_or(|other| index < other.0) => {
                answer.push((index, sign * count));
                right.next();
            }
            (Some(&&(index, count)), Some(&&(_, other))) => {
                answer.push((index, count + sign * other));
                left.next();
                right.next();
            }
            _ => unreachable!("one of two ascending lists has the smaller index, or both have it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_sender_should_send_ends() {
        let odd = |zero_threshold: f64, schema: i32, index: i32| NativeHistogram {
            zero_threshold,
            schema,
            positive: vec![(index, 1.0)],
            ..NativeHistogram::default()
        };
        let (nan, plain) = (odd(f64::NAN, 0, i32::MIN), odd(0.5, 8, i32::MAX));
        for (left, right) in [(&nan, &plain), (&plain, &nan), (&nan, &nan)] {
            assert!(combine(left, right, 1.0).is_some());
        }
        assert!(combine(&odd(0.0, i32::MAX, 1), &odd(0.0, i32::MIN, 1), 1.0).is_some());
    }
}
