//! A `Histogram`, which is the same in both versions but for its start, as a native histogram with sparse buckets and absolute counts.
//! Source: <https://prometheus.io/docs/specs/native_histograms/>.

use model::NativeHistogram;

use crate::outcome::Fault;
use crate::protobuf::{Read, Reader, unzigzag};
use crate::series::When;

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

/// No finite number lies in a bucket further out, and arithmetic on indices within it does not overflow.
const INDEX_MAX: i64 = 1 << 30;
/// Of the reset hints that are defined.
const RESET_HINT_MAX: u64 = 3;

struct Wire {
    is_float: bool,
    schema: i64,
    positive: Side,
    negative: Side,
    rest: NativeHistogram,
    when: When,
}

/// When it was taken and the histogram, or why it is refused. Takes no more memory than `buckets_max` allows.
pub(super) fn read(bytes: &[u8], buckets_max: usize) -> Read<Result<(When, NativeHistogram), Fault>> {
    let mut wire = Wire {
        is_float: false,
        schema: 0,
        positive: Side::default(),
        negative: Side::default(),
        rest: NativeHistogram::default(),
        when: When::from(0),
    };
    let (mut reset_hint, mut over) = (0, false);
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
            8 => over |= !add(&mut wire.negative.spans, read_span(value.bytes()?)?, buckets_max),
            9 => value.varints(|delta| over |= !add(&mut wire.negative.deltas, unzigzag(delta), buckets_max))?,
            10 => value.fixed64s(|count| over |= !add(&mut wire.negative.counts, f64::from_bits(count), buckets_max))?,
            11 => over |= !add(&mut wire.positive.spans, read_span(value.bytes()?)?, buckets_max),
            12 => value.varints(|delta| over |= !add(&mut wire.positive.deltas, unzigzag(delta), buckets_max))?,
            13 => value.fixed64s(|count| over |= !add(&mut wire.positive.counts, f64::from_bits(count), buckets_max))?,
            14 => reset_hint = value.varint()?,
            15 => wire.when.time_ms = value.varint()?.cast_signed(),
            16 => value.fixed64s(|bound| over |= !add(&mut wire.rest.custom_bounds, f64::from_bits(bound), buckets_max))?,
            // Only 2.0 has it.
            17 => wire.when.start_ms = value.varint()?.cast_signed(),
            _ => {}
        }
    }
    if over {
        let why = format!("there are more buckets or spans of one sign than buckets_max, {buckets_max}: send a lower resolution");
        return Ok(Err(Fault::new("too_many_buckets", why)));
    }
    if reset_hint > RESET_HINT_MAX {
        let why = format!("reset hint {reset_hint} is not defined: send 0 to {RESET_HINT_MAX}");
        return Ok(Err(Fault::new("invalid_histogram", why)));
    }
    wire.rest.reset_hint = reset_hint as i32;
    let when = wire.when;
    Ok(wire.finish().map(|histogram| (when, histogram)))
}

/// False when `list` is full.
fn add<T>(list: &mut Vec<T>, item: T, max: usize) -> bool {
    let room = list.len() < max;
    if room {
        list.push(item);
    }
    room
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
        let numbers = [("count", self.rest.count), ("zero_count", self.rest.zero_count), ("zero_threshold", self.rest.zero_threshold)];
        if let Some((name, number)) = numbers.into_iter().find(|(_, number)| !number.is_finite() || *number < 0.0) {
            return Err(Fault::new("invalid_histogram", format!("{name} is {number}: send a number from 0")));
        }
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
                // Written so that NaN is refused too.
                if !(0.0..f64::INFINITY).contains(&value) {
                    return Err(invalid("a bucket's count is negative, infinite or no number"));
                }
                if value != 0.0 {
                    let within = (-INDEX_MAX..=INDEX_MAX).contains(&index).then_some(index as i32);
                    buckets.push((within.ok_or_else(|| invalid("a bucket's index is over 30 bits"))?, value));
                }
                at += 1;
                index = index.saturating_add(1);
            }
        }
        Ok(buckets)
    }
}
