//! A `Histogram`, which is the same in both versions but for its start, as a native histogram with sparse buckets and absolute counts.
//! Source: <https://prometheus.io/docs/specs/native_histograms/>.

use model::NativeHistogram;

use crate::outcome::Fault;
use crate::protobuf::{Read, Reader, Value, unzigzag};
use crate::series::When;

const CUSTOM_BUCKETS: i32 = -53;

/// One sign's buckets as the wire has them.
#[derive(Clone, Default)]
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

#[derive(Clone, Copy)]
pub(crate) enum Sign {
    Positive,
    Negative,
}

/// Gathers a histogram from the fields of a message, whatever their numbers are in it. Takes no more memory than
/// `buckets_max` allows.
#[derive(Clone, Default)]
pub(crate) struct NativeReader {
    buckets_max: usize,
    over: bool,
    is_float: bool,
    schema: i64,
    positive: Side,
    negative: Side,
    rest: NativeHistogram,
}

/// When it was taken and the histogram, or why it is refused.
pub(super) fn read(bytes: &[u8], buckets_max: usize) -> Read<Result<(When, NativeHistogram), Fault>> {
    use Sign::{Negative, Positive};
    let mut histogram = NativeReader::new(buckets_max);
    let (mut reset_hint, mut when) = (0, When::from(0));
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => histogram.count(value.varint()? as f64, false),
            2 => histogram.count(value.double()?, true),
            3 => histogram.sum(value.double()?),
            4 => histogram.schema(value.zigzag()?),
            5 => histogram.zero_threshold(value.double()?),
            6 => histogram.zero_count(value.varint()? as f64),
            7 => histogram.zero_count(value.double()?),
            8 => histogram.span(Negative, value.bytes()?)?,
            9 => histogram.deltas(Negative, value)?,
            10 => histogram.counts(Negative, value)?,
            11 => histogram.span(Positive, value.bytes()?)?,
            12 => histogram.deltas(Positive, value)?,
            13 => histogram.counts(Positive, value)?,
            14 => reset_hint = value.varint()?,
            15 => when.time_ms = value.varint()?.cast_signed(),
            16 => histogram.custom_bounds(value)?,
            // Only 2.0 has it.
            17 => when.start_ms = value.varint()?.cast_signed(),
            _ => {}
        }
    }
    if !histogram.over && reset_hint > RESET_HINT_MAX {
        let why = format!("reset hint {reset_hint} is not defined: send 0 to {RESET_HINT_MAX}");
        return Ok(Err(Fault::new("invalid_histogram", why)));
    }
    histogram.rest.reset_hint = reset_hint as i32;
    Ok(histogram.finish().map(|histogram| (when, histogram)))
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

impl NativeReader {
    pub(crate) fn new(buckets_max: usize) -> Self {
        Self { buckets_max, ..Self::default() }
    }

    pub(crate) fn count(&mut self, count: f64, is_float: bool) {
        (self.rest.count, self.is_float) = (count, is_float);
    }

    pub(crate) fn sum(&mut self, sum: f64) {
        self.rest.sum = sum;
    }

    pub(crate) fn schema(&mut self, schema: i64) {
        self.schema = schema;
    }

    pub(crate) fn zero_threshold(&mut self, threshold: f64) {
        self.rest.zero_threshold = threshold;
    }

    pub(crate) fn zero_count(&mut self, count: f64) {
        self.rest.zero_count = count;
    }

    fn side(&mut self, sign: Sign) -> &mut Side {
        match sign {
            Sign::Positive => &mut self.positive,
            Sign::Negative => &mut self.negative,
        }
    }

    /// A `BucketSpan`: offset and length.
    pub(crate) fn span(&mut self, sign: Sign, bytes: &[u8]) -> Read<()> {
        let (span, max) = (read_span(bytes)?, self.buckets_max);
        self.over |= !add(&mut self.side(sign).spans, span, max);
        Ok(())
    }

    pub(crate) fn deltas(&mut self, sign: Sign, value: Value<'_>) -> Read<()> {
        let (max, mut over) = (self.buckets_max, false);
        let deltas = &mut self.side(sign).deltas;
        value.varints(|delta| over |= !add(deltas, unzigzag(delta), max))?;
        self.over |= over;
        Ok(())
    }

    pub(crate) fn counts(&mut self, sign: Sign, value: Value<'_>) -> Read<()> {
        let (max, mut over) = (self.buckets_max, false);
        let counts = &mut self.side(sign).counts;
        value.fixed64s(|count| over |= !add(counts, f64::from_bits(count), max))?;
        self.over |= over;
        Ok(())
    }

    fn custom_bounds(&mut self, value: Value<'_>) -> Read<()> {
        let (max, mut over) = (self.buckets_max, false);
        value.fixed64s(|bound| over |= !add(&mut self.rest.custom_bounds, f64::from_bits(bound), max))?;
        self.over |= over;
        Ok(())
    }

    /// The histogram, or why it is refused.
    pub(crate) fn finish(self) -> Result<NativeHistogram, Fault> {
        if self.over {
            let max = self.buckets_max;
            let why = format!("there are more buckets or spans of one sign than buckets_max, {max}: send a lower resolution");
            return Err(Fault::new("too_many_buckets", why));
        }
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
