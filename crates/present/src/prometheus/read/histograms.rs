//! Native histograms as chunks of float histograms: one layout of buckets a chunk, and every number of a histogram as what
//! changed in its bits. Source: <https://github.com/prometheus/prometheus/blob/main/tsdb/docs/format/chunks.md>.

use std::collections::BTreeSet;

use model::NativeHistogram;
use model::samples::STALE_BITS;

use super::bits::{Bits, XorWindow};
use super::messages::{BucketSpan, Chunk, Count, FLOAT_HISTOGRAM, Histogram, ZeroCount};

/// Of a chunk. Prometheus cuts by bytes; as many histograms as floats are never too few to compress.
const HISTOGRAMS_MAX: usize = 120;
/// Of all buckets in a chunk's layout times its histograms, so that a chunk stays within some hundred KiB.
const NUMBERS_MAX: usize = 1 << 15;

const CUSTOM_SCHEMA: i32 = -53;

/// Reset hints: of the store, and in the head of a chunk.
const RESET: i32 = 1;
const NO_RESET: i32 = 2;
const GAUGE: i32 = 3;

/// Cuts a series into chunks, of which each holds one layout, one kind, and no reset but before its first.
pub(super) fn chunks(histograms: &[(i64, NativeHistogram)]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut rest = histograms;
    while let Some((_, first)) = rest.first() {
        let mut layout = Layout::of(first);
        let more = rest.windows(2).take(HISTOGRAMS_MAX - 1).take_while(|pair| goes_on(&pair[0].1, &pair[1].1));
        let mut length = 1;
        for pair in more {
            let grown = layout.with(&pair[1].1);
            if grown.len() * (length + 1) > NUMBERS_MAX {
                break;
            }
            (layout, length) = (grown, length + 1);
        }
        let (now, later) = rest.split_at(length);
        chunks.push(chunk(now, &layout));
        rest = later;
    }
    chunks
}

/// Whether the second histogram may stand in one chunk behind the first.
fn goes_on(before: &NativeHistogram, after: &NativeHistogram) -> bool {
    let gauge = |found: &NativeHistogram| found.reset_hint == GAUGE;
    let alike = before.schema == after.schema
        && before.zero_threshold.to_bits() == after.zero_threshold.to_bits()
        && before.custom_bounds == after.custom_bounds
        && gauge(before) == gauge(after);
    // A mark has no buckets: it stands alone.
    alike && !is_stale(before) && !is_stale(after) && (gauge(after) || counts_on(before, after))
}

fn is_stale(found: &NativeHistogram) -> bool {
    found.sum.to_bits() == STALE_BITS
}

/// Within a chunk of counters nothing gets less: its reader takes that for granted.
fn counts_on(before: &NativeHistogram, after: &NativeHistogram) -> bool {
    let grown = |before: &[(i32, f64)], after: &[(i32, f64)]| {
        before.iter().all(|(index, count)| {
            let now = after.binary_search_by_key(index, |(index, _)| *index).map_or(0.0, |place| after[place].1);
            now >= *count
        })
    };
    after.reset_hint != RESET
        && after.count >= before.count
        && after.zero_count >= before.zero_count
        && grown(&before.positive, &after.positive)
        && grown(&before.negative, &after.negative)
}

/// The buckets that a chunk has room for.
#[derive(Clone)]
struct Layout {
    positive: BTreeSet<i32>,
    negative: BTreeSet<i32>,
}

impl Layout {
    fn of(found: &NativeHistogram) -> Self {
        let indices = |buckets: &[(i32, f64)]| buckets.iter().map(|(index, _)| *index).collect();
        Self { positive: indices(&found.positive), negative: indices(&found.negative) }
    }

    fn with(&self, found: &NativeHistogram) -> Self {
        let mut grown = self.clone();
        grown.positive.extend(found.positive.iter().map(|(index, _)| *index));
        grown.negative.extend(found.negative.iter().map(|(index, _)| *index));
        grown
    }

    fn len(&self) -> usize {
        self.positive.len() + self.negative.len()
    }
}

/// Not empty; every histogram has the first one's schema, zero bucket and bounds, and no bucket outside the layout.
fn chunk(histograms: &[(i64, NativeHistogram)], layout: &Layout) -> Chunk {
    let (first_ms, first) = &histograms[0];
    let mut bits = Bits::with_capacity(256);
    bits.put(histograms.len() as u64, 16);
    bits.byte(match first.reset_hint {
        RESET => 0b1000_0000,
        NO_RESET => 0b0100_0000,
        GAUGE => 0b1100_0000,
        _ => 0,
    });
    zero_threshold(&mut bits, first.zero_threshold);
    bits.varbit_int(i64::from(first.schema));
    for indices in [&layout.positive, &layout.negative] {
        let spans = spans(indices.iter().copied());
        bits.varbit_uint(spans.len() as u64);
        for span in spans {
            bits.varbit_uint(u64::from(span.length));
            bits.varbit_int(i64::from(span.offset));
        }
    }
    if first.schema == CUSTOM_SCHEMA {
        bits.varbit_uint(first.custom_bounds.len() as u64);
        first.custom_bounds.iter().for_each(|bound| custom_bound(&mut bits, *bound));
    }
    let mut before = numbers(first, layout);
    bits.varbit_int(*first_ms);
    before.iter().for_each(|number| bits.float(*number));
    let mut windows = vec![XorWindow::default(); before.len()];
    let (mut last_ms, mut step) = (*first_ms, 0);
    for (at_ms, found) in &histograms[1..] {
        let next = at_ms.wrapping_sub(last_ms);
        bits.varbit_int(next.wrapping_sub(step));
        let now = numbers(found, layout);
        for ((now, before), window) in now.iter().zip(&before).zip(&mut windows) {
            bits.xor(*now, *before, window);
        }
        (last_ms, step, before) = (*at_ms, next, now);
    }
    Chunk { min_time_ms: *first_ms, max_time_ms: last_ms, encoding: FLOAT_HISTOGRAM, data: bits.finish() }
}

/// Count, zero count, sum, and every bucket of the layout.
fn numbers(found: &NativeHistogram, layout: &Layout) -> Vec<f64> {
    let mut numbers = vec![found.count, found.zero_count, found.sum];
    for (indices, buckets) in [(&layout.positive, &found.positive), (&layout.negative, &found.negative)] {
        let mut buckets = buckets.iter().peekable();
        numbers.extend(indices.iter().map(|index| buckets.next_if(|(bucket, _)| bucket == index).map_or(0.0, |(_, count)| *count)));
    }
    numbers
}

fn spans(indices: impl Iterator<Item = i32>) -> Vec<BucketSpan> {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut next = 0i32;
    for index in indices {
        match spans.last_mut() {
            Some(last) if index == next => last.length += 1,
            _ => spans.push(BucketSpan { offset: index.wrapping_sub(next), length: 1 }),
        }
        next = index.wrapping_add(1);
    }
    spans
}

/// One byte for 0 and for usual powers of two, nine for others.
fn zero_threshold(bits: &mut Bits, threshold: f64) {
    // A power of two has no fraction: its exponent says all.
    let exponent = ((threshold.to_bits() >> 52) & 0x7ff) as i64 - 1022;
    let is_power = threshold > 0.0 && threshold.to_bits() & ((1 << 52) - 1) == 0;
    match threshold {
        0.0 => bits.byte(0),
        _ if is_power && (-242..=11).contains(&exponent) => bits.byte((exponent + 243) as u8),
        threshold => {
            bits.byte(255);
            bits.float(threshold);
        }
    }
}

/// Few bits for a multiple of a thousandth, 65 for others.
fn custom_bound(bits: &mut Bits, bound: f64) {
    let thousandths = bound * 1000.0;
    let short = (0.0..=33_554_430.0).contains(&thousandths) && thousandths.round() / 1000.0 == bound;
    match short {
        true => bits.varbit_uint(thousandths.round() as u64 + 1),
        false => {
            bits.put(0, 1);
            bits.float(bound);
        }
    }
}

/// In the form of samples.
pub(super) fn message(at_ms: i64, found: &NativeHistogram) -> Histogram {
    let indices = |buckets: &[(i32, f64)]| spans(buckets.iter().map(|(index, _)| *index));
    let counts = |buckets: &[(i32, f64)]| buckets.iter().map(|(_, count)| *count).collect();
    Histogram {
        count: Some(Count::Float(found.count)),
        sum: found.sum,
        schema: found.schema,
        zero_threshold: found.zero_threshold,
        zero_count: Some(ZeroCount::Float(found.zero_count)),
        negative_spans: indices(&found.negative),
        negative_counts: counts(&found.negative),
        positive_spans: indices(&found.positive),
        positive_counts: counts(&found.positive),
        reset_hint: found.reset_hint,
        timestamp: at_ms,
        custom_values: found.custom_bounds.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(count: f64, zero_count: f64, sum: f64, positive: [f64; 3], negative: f64) -> NativeHistogram {
        NativeHistogram {
            schema: 1,
            count,
            sum,
            zero_threshold: 1e-3,
            zero_count,
            positive: [-2, -1, 3].into_iter().zip(positive).collect(),
            negative: vec![(0, negative)],
            ..NativeHistogram::default()
        }
    }

    fn counters() -> Vec<(i64, NativeHistogram)> {
        let at = |millis: i64| 1_700_000_000_000 + millis;
        vec![
            (at(0), histogram(10.5, 1.0, 3.25, [1.0, 2.0, 3.0], 3.5)),
            (at(15_000), histogram(20.5, 2.0, 9.5, [4.0, 4.0, 3.0], 7.5)),
            (at(30_000), histogram(21.0, 2.0, 9.75, [4.0, 4.5, 3.0], 7.5)),
            (at(45_001), histogram(31.0, 12.0, 9.75, [4.0, 4.5, 3.0], 7.5)),
        ]
    }

    /// What Debian's Prometheus 2.42 answered for these histograms over its own remote read; it sets room for an empty bucket
    /// between filled ones apart, as we do.
    #[test]
    fn the_bytes_are_those_of_prometheus() {
        let chunks = chunks(&counters());
        let hex: Vec<String> = chunks.iter().map(|chunk| chunk.data.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
        let theirs = "000400ff3f50624dd2f1a9fc8ca568ce317f0000c5e7f2b40020128000000000001ff800000000000020050000\
            000000001ff80000000000002000000000000000200400000000000020060000000000007c1d4c6b1a3c25fffd\
            435384afff5836b12506e00db819194d41d000";
        assert_eq!(hex, [theirs]);
    }

    #[test]
    fn a_chunk_ends_where_its_reader_could_not_follow() {
        let lengths = |histograms: &[(i64, NativeHistogram)]| -> Vec<u8> { chunks(histograms).iter().map(|chunk| chunk.data[1]).collect() };
        let changed = |change: fn(&mut NativeHistogram)| {
            let mut all = counters();
            change(&mut all[2].1);
            all
        };
        assert_eq!(lengths(&counters()), [4]);
        assert_eq!(lengths(&changed(|found| found.count = 1.0)), [2, 2]);
        assert_eq!(lengths(&changed(|found| found.positive[1].1 = 0.0)), [2, 2]);
        assert_eq!(lengths(&changed(|found| found.reset_hint = RESET)), [2, 2]);
        assert_eq!(lengths(&changed(|found| found.reset_hint = GAUGE)), [2, 1, 1]);
        assert_eq!(lengths(&changed(|found| found.schema = 0)), [2, 1, 1]);
        assert_eq!(lengths(&changed(|found| found.zero_threshold = 0.0)), [2, 1, 1]);
        assert_eq!(lengths(&changed(|found| found.sum = f64::from_bits(STALE_BITS))), [2, 1, 1]);
        // A bucket more fits in: those before have nothing in it. One that has gone is a reset.
        assert_eq!(lengths(&changed(|found| found.positive.insert(2, (0, 1.0)))), [3, 1]);
        assert_eq!(lengths(&vec![counters()[0].clone(); 300]), [120, 120, 60]);
    }

    #[test]
    fn far_buckets_make_spans() {
        assert_eq!(spans([i32::MIN, -1, 0, i32::MAX].into_iter()).len(), 3);
        assert_eq!(spans([3, 4, 9].into_iter()), [BucketSpan { offset: 3, length: 2 }, BucketSpan { offset: 4, length: 1 }]);
    }
}
