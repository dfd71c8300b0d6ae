//! OTLP exponential histograms as Prometheus native histograms.
//! Source: <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#exponential-histograms>.

use model::NativeHistogram;

use crate::outcome::Fault;
use crate::protobuf::{Read, Reader};

/// The finest and coarsest resolutions that Prometheus knows.
const SCHEMA_MAX: i32 = 8;
const SCHEMA_MIN: i32 = -4;
/// No finite number lies in a bucket further out, and arithmetic on indices within it does not overflow.
const INDEX_MAX: i64 = 1 << 30;
/// Prometheus's own, where OTLP says nothing.
const ZERO_THRESHOLD_DEFAULT: f64 = 1e-128;

/// One sign's buckets as OTLP has them: consecutive from `offset`.
#[derive(Default)]
pub(super) struct Buckets {
    offset: i64,
    counts: Vec<u64>,
}

impl Buckets {
    /// Keeps one count more than `buckets_max` at most, which is enough to refuse them.
    pub(super) fn merge(&mut self, bytes: &[u8], buckets_max: usize) -> Read<()> {
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => self.offset = value.zigzag()?,
                2 => value.varints(|count| {
                    if self.counts.len() <= buckets_max {
                        self.counts.push(count);
                    }
                })?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Sparse buckets. OTLP's bucket i is (base^i, base^(i+1)], Prometheus's is (base^(i-1), base^i].
    fn sparse(&self, shift: u32) -> Result<Vec<(i32, f64)>, Fault> {
        let mut buckets: Vec<(i32, f64)> = Vec::new();
        for (position, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let index = self.offset.saturating_add(i64::try_from(position).unwrap_or(i64::MAX));
            let shifted = (index >> shift).saturating_add(1);
            if !(-INDEX_MAX..=INDEX_MAX).contains(&shifted) {
                return Err(Fault::new("invalid_buckets", format!("bucket index {index} is out of range: send 30 bits")));
            }
            push(&mut buckets, shifted as i32, *count as f64);
        }
        Ok(buckets)
    }
}

/// An `ExponentialHistogramDataPoint`'s numbers.
#[derive(Default)]
pub(super) struct Exponential {
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) scale: i64,
    pub(super) zero_count: u64,
    pub(super) zero_threshold: f64,
    pub(super) positive: Buckets,
    pub(super) negative: Buckets,
}

impl Exponential {
    pub(super) fn to_native(&self, buckets_max: usize) -> Result<NativeHistogram, Fault> {
        if self.positive.counts.len().max(self.negative.counts.len()) > buckets_max {
            return Err(too_many_buckets(buckets_max));
        }
        // Written so that NaN is refused too.
        if !(0.0..f64::INFINITY).contains(&self.zero_threshold) {
            let why = format!("zeroThreshold is {}: send a finite number from 0", self.zero_threshold);
            return Err(Fault::new("invalid_zero_threshold", why));
        }
        let scale = i32::try_from(self.scale).ok().filter(|scale| (SCHEMA_MIN..=1024).contains(scale)).ok_or_else(|| {
            Fault::new("invalid_scale", format!("scale {} is not within {SCHEMA_MIN} and 1024: send at least {SCHEMA_MIN}", self.scale))
        })?;
        let shift = u32::try_from(scale - SCHEMA_MAX).unwrap_or(0).min(63);
        Ok(NativeHistogram {
            schema: scale.min(SCHEMA_MAX),
            count: self.count as f64,
            sum: self.sum,
            zero_threshold: if self.zero_threshold > 0.0 { self.zero_threshold } else { ZERO_THRESHOLD_DEFAULT },
            zero_count: self.zero_count as f64,
            positive: self.positive.sparse(shift)?,
            negative: self.negative.sparse(shift)?,
            custom_bounds: Vec::new(),
            reset_hint: 0,
        })
    }
}

pub(super) fn too_many_buckets(max: usize) -> Fault {
    Fault::new("too_many_buckets", format!("there are more buckets of one sign than buckets_max, {max}: send a smaller scale"))
}

/// Adds to the last bucket when it has that index, else begins one.
fn push(buckets: &mut Vec<(i32, f64)>, index: i32, count: f64) {
    match buckets.last_mut() {
        Some(last) if last.0 == index => last.1 += count,
        _ => buckets.push((index, count)),
    }
}

/// Adds `delta` to `sum`, at the coarser of both resolutions and the wider of both zero buckets.
pub(super) fn add(sum: &mut NativeHistogram, delta: &NativeHistogram) {
    let schema = sum.schema.min(delta.schema);
    let (shift_sum, shift_delta) = (shift_between(sum.schema, schema), shift_between(delta.schema, schema));
    sum.positive = merged(&coarser(&sum.positive, shift_sum), &coarser(&delta.positive, shift_delta));
    sum.negative = merged(&coarser(&sum.negative, shift_sum), &coarser(&delta.negative, shift_delta));
    sum.schema = schema;
    sum.count += delta.count;
    sum.sum += delta.sum;
    sum.zero_count += delta.zero_count;
    sum.zero_threshold = sum.zero_threshold.max(delta.zero_threshold);
    let first = first_outside(sum.zero_threshold, schema);
    for buckets in [&mut sum.positive, &mut sum.negative] {
        let inside = buckets.partition_point(|(index, _)| *index < first);
        sum.zero_count += buckets.drain(..inside).map(|(_, count)| count).sum::<f64>();
    }
}

fn shift_between(fine: i32, coarse: i32) -> u32 {
    (fine - coarse).unsigned_abs()
}

/// Prometheus's bucket i of the finer schema lies in bucket ceil(i / 2^shift) of the coarser.
fn coarser(buckets: &[(i32, f64)], shift: u32) -> Vec<(i32, f64)> {
    let mut merged = Vec::with_capacity(buckets.len());
    for (index, count) in buckets {
        push(&mut merged, ((index - 1) >> shift) + 1, *count);
    }
    merged
}

fn merged(a: &[(i32, f64)], b: &[(i32, f64)]) -> Vec<(i32, f64)> {
    let mut all = [a, b].concat();
    all.sort_by_key(|(index, _)| *index);
    let mut merged = Vec::with_capacity(all.len());
    all.into_iter().for_each(|(index, count)| push(&mut merged, index, count));
    merged
}

/// The first bucket whose upper bound, `2^(index * 2^-schema)`, is over the threshold; those below it lie in the zero bucket.
fn first_outside(zero_threshold: f64, schema: i32) -> i32 {
    let exact = zero_threshold.log2() * f64::from(schema).exp2();
    (exact.floor() as i32).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(scale: i64, offset: i64, counts: &[u64]) -> Exponential {
        Exponential { count: counts.iter().sum(), scale, positive: Buckets { offset, counts: counts.to_vec() }, ..Exponential::default() }
    }

    #[test]
    fn buckets_move_by_one_and_fine_scales_are_merged() {
        let native = point(0, -1, &[1, 0, 2]).to_native(8).expect("valid");
        assert_eq!((native.schema, native.positive), (0, vec![(0, 1.0), (2, 2.0)]));
        let native = point(10, -5, &[1, 1, 1, 1, 1, 1, 1, 1]).to_native(8).expect("valid");
        assert_eq!((native.schema, native.positive), (8, vec![(-1, 1.0), (0, 4.0), (1, 3.0)]));
        assert_eq!(point(-5, 0, &[1]).to_native(8).expect_err("too coarse").reason, "invalid_scale");
        assert_eq!(point(0, i64::MAX, &[1, 1]).to_native(8).expect_err("too far").reason, "invalid_buckets");
        assert_eq!(point(0, i64::from(i32::MIN) - 1, &[1, 1]).to_native(8).expect_err("too far").reason, "invalid_buckets");
        assert_eq!(point(0, 0, &[1; 9]).to_native(8).expect_err("too many").reason, "too_many_buckets");
        for zero_threshold in [f64::INFINITY, f64::NAN, -1.0] {
            let wrong = Exponential { zero_threshold, ..point(0, 0, &[1]) };
            assert_eq!(wrong.to_native(8).expect_err("no threshold").reason, "invalid_zero_threshold");
        }
    }

    #[test]
    fn sums_meet_at_the_coarser_schema_and_the_wider_zero_bucket() {
        let mut sum = point(1, 0, &[1, 2, 3]).to_native(8).expect("valid");
        let mut delta = point(0, 0, &[5]).to_native(8).expect("valid");
        add(&mut sum, &delta);
        assert_eq!((sum.schema, sum.count), (0, 11.0));
        assert_eq!(sum.positive, [(1, 8.0), (2, 3.0)]);
        delta.zero_threshold = 2.0;
        add(&mut sum, &delta);
        assert_eq!((sum.zero_count, &sum.positive[..]), (13.0, &[(2, 3.0)][..]));
    }
}
