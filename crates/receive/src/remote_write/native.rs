//! A `prometheus.Histogram` as a native histogram with sparse buckets and absolute counts.
//! Source: <https://prometheus.io/docs/specs/native_histograms/>.

use model::NativeHistogram;

use crate::outcome::Fault;
use crate::protobuf::{Read, Reader, unzigzag};

const CUSTOM_BUCKETS: i32 = -53;

/// One sign's buckets as the wire has them.
#[derive(Default)]
struct Side {
    /// Offset to the end of the span before, and length.
    spans: Vec<(i64, u64)>,
    /// Of an integer histogram: differences between neighbours.
    deltas: Vec<i64>,
    /// Of a float histogram.
    counts: Vec<f64>,
}

#[derive(Default)]
struct Wire {
    is_float: bool,
    schema: i64,
    positive: Side,
    negative: Side,
    rest: NativeHistogram,
    time: i64,
}

/// The timestamp in milliseconds and the histogram, or why it is refused.
pub(super) fn read(bytes: &[u8]) -> Read<Result<(i64, NativeHistogram), Fault>> {
    let mut wire = Wire::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => (wire.rest.count, wire.is_float) = (value.varint()? as f64, false),
            2 => (wire.rest.count, wire.is_float) = (value.double()?, true),
            3 => wire.rest.sum = value.double()?,
            4 => wire.schema = value.zigzag()?,
            5 => wire.rest.zero_threshold = value.double()?,
            6 => wire.rest.zero_count = value.varint()? as f64,
            7 => wire.rest.zero_count = value.double()?,
            8 => wire.negative.spans.push(read_span(value.bytes()?)?),
            9 => value.varints(|delta| wire.negative.deltas.push(unzigzag(delta)))?,
            10 => value.fixed64s(|count| wire.negative.counts.push(f64::from_bits(count)))?,
            11 => wire.positive.spans.push(read_span(value.bytes()?)?),
            12 => value.varints(|delta| wire.positive.deltas.push(unzigzag(delta)))?,
            13 => value.fixed64s(|count| wire.positive.counts.push(f64::from_bits(count)))?,
            14 => wire.rest.reset_hint = i32::try_from(value.varint()?).unwrap_or_default(),
            15 => wire.time = value.varint()?.cast_signed(),
            16 => value.fixed64s(|bound| wire.rest.custom_bounds.push(f64::from_bits(bound)))?,
            _ => {}
        }
    }
    let time = wire.time;
    Ok(wire.finish().map(|histogram| (time, histogram)))
}

fn read_span(bytes: &[u8]) -> Read<(i64, u64)> {
    let mut span = (0, 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => span.0 = value.zigzag()?,
            2 => span.1 = value.varint()?,
            _ => {}
        }
    }
    Ok(span)
}

impl Wire {
    fn finish(self) -> Result<NativeHistogram, Fault> {
        let schema = i32::try_from(self.schema).ok().filter(|schema| *schema == CUSTOM_BUCKETS || (-4..=8).contains(schema));
        let Some(schema) = schema else {
            let why = format!("schema {} is neither within -4 and 8 nor {CUSTOM_BUCKETS}", self.schema);
            return Err(Fault::new("invalid_histogram", why));
        };
        let rises = self.rest.custom_bounds.is_sorted_by(|a, b| a < b) && !self.rest.custom_bounds.iter().any(|bound| bound.is_nan());
        if !rises || (schema != CUSTOM_BUCKETS && !self.rest.custom_bounds.is_empty()) {
            return Err(Fault::new("invalid_histogram", "custom bounds must rise, and come only with schema -53"));
        }
        let positive = self.positive.sparse(self.is_float)?;
        let negative = self.negative.sparse(self.is_float)?;
        let bounds = self.rest.custom_bounds.len();
        let outside = |(index, _): &(i32, f64)| usize::try_from(*index).is_ok_and(|index| index > bounds) || *index < 0;
        if schema == CUSTOM_BUCKETS && (!negative.is_empty() || positive.iter().any(outside)) {
            return Err(Fault::new("invalid_histogram", "a bucket lies outside the custom bounds"));
        }
        Ok(NativeHistogram { schema, positive, negative, ..self.rest })
    }
}

impl Side {
    /// Buckets without the empty ones.
    fn sparse(&self, is_float: bool) -> Result<Vec<(i32, f64)>, Fault> {
        let invalid = |why: &str| Fault::new("invalid_histogram", why);
        let len = if is_float { self.counts.len() } else { self.deltas.len() };
        let spanned = self.spans.iter().try_fold(0_u64, |sum, (_, len)| sum.checked_add(*len));
        if spanned != Some(len as u64) {
            return Err(invalid("the spans' lengths do not add up to the number of buckets"));
        }
        let mut buckets = Vec::with_capacity(len);
        let (mut index, mut at, mut count) = (0_i64, 0, 0_i64);
        for (position, (offset, len)) in self.spans.iter().enumerate() {
            if position > 0 && *offset < 0 {
                return Err(invalid("a span goes back: its offset is negative"));
            }
            index = index.saturating_add(*offset);
            for _ in 0..*len {
                let value = if is_float {
                    self.counts[at]
                } else {
                    count = count
                        .checked_add(self.deltas[at])
                        .filter(|count| *count >= 0)
                        .ok_or_else(|| invalid("a bucket's count is negative"))?;
                    count as f64
                };
                if value.is_sign_negative() && value != 0.0 {
                    return Err(invalid("a bucket's count is negative"));
                }
                if value != 0.0 {
                    buckets.push((i32::try_from(index).map_err(|_| invalid("a bucket's index is over 31 bits"))?, value));
                }
                at += 1;
                index = index.saturating_add(1);
            }
        }
        Ok(buckets)
    }
}
