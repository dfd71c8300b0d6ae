use model::NativeHistogram;

use super::super::aggregate::format_float;
use super::CUSTOM;

/// A bucket with its bounds; which of them belongs to it is told by the text form only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Bucket {
    pub(in super::super) lower: f64,
    pub(in super::super) upper: f64,
    pub(in super::super) count: f64,
    pub(in super::super) kind: Kind,
    /// The index in the list it comes from.
    pub(in super::super) index: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Negative,
    Zero,
    Positive,
    Custom,
}

/// The upper bound of an exponential bucket: `2^(index * 2^-schema)`.
pub(super) fn exponential_bound(index: i32, schema: i32) -> f64 {
    (f64::from(index) * f64::from(-schema).exp2()).exp2()
}

/// The upper bound of a custom bucket.
pub(super) fn custom_bound(bounds: &[f64], index: i32) -> f64 {
    match usize::try_from(index) {
        Err(_) => f64::NEG_INFINITY,
        Ok(index) => bounds.get(index).copied().unwrap_or(f64::INFINITY),
    }
}

pub(super) fn bounds(histogram: &NativeHistogram, index: i32) -> (f64, f64) {
    match histogram.schema {
        CUSTOM => (custom_bound(&histogram.custom_bounds, index.saturating_sub(1)), custom_bound(&histogram.custom_bounds, index)),
        schema => (exponential_bound(index.saturating_sub(1), schema), exponential_bound(index, schema)),
    }
}

/// Every bucket with something in it, from the smallest values to the largest.
pub(in super::super) fn ascending(histogram: &NativeHistogram) -> Vec<Bucket> {
    let mut buckets = Vec::with_capacity(histogram.positive.len() + histogram.negative.len() + 1);
    for &(index, count) in histogram.negative.iter().rev().filter(|(_, count)| *count != 0.0) {
        let (lower, upper) = bounds(histogram, index);
        buckets.push(Bucket { lower: -upper, upper: -lower, count, kind: Kind::Negative, index });
    }
    if histogram.zero_count != 0.0 {
        let (lower, upper) = (-histogram.zero_threshold, histogram.zero_threshold);
        buckets.push(Bucket { lower, upper, count: histogram.zero_count, kind: Kind::Zero, index: 0 });
    }
    let kind = if histogram.schema == CUSTOM { Kind::Custom } else { Kind::Positive };
    for &(index, count) in histogram.positive.iter().filter(|(_, count)| *count != 0.0) {
        let (lower, upper) = bounds(histogram, index);
        buckets.push(Bucket { lower, upper, count, kind, index });
    }
    buckets
}

/// `{count:3, sum:7, [-1,-0.5):1, [-0.1,0.1]:1, (0.5,1]:1}`, as Prometheus writes a histogram into a label.
pub(in super::super) fn text(histogram: &NativeHistogram) -> String {
    let mut out = format!("{{count:{}, sum:{}", format_float(histogram.count), format_float(histogram.sum));
    for bucket in ascending(histogram) {
        let (open, close) = match bucket.kind {
            Kind::Negative => ('[', ')'),
            Kind::Zero => ('[', ']'),
            Kind::Positive => ('(', ']'),
            Kind::Custom if bucket.lower == f64::NEG_INFINITY => ('[', ']'),
            Kind::Custom => ('(', ']'),
        };
        let (lower, upper, count) = (format_float(bucket.lower), format_float(bucket.upper), format_float(bucket.count));
        out.push_str(&format!(", {open}{lower},{upper}{close}:{count}"));
    }
    out.push('}');
    out
}
