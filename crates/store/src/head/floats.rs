use crate::varint::{self, unzigzag, zigzag};

/// The floats of one series as bytes: about five a point where they are counters or gauges of a scrape, and less where they
/// repeat.
///
/// A point is a control byte, then a varint when the time is not as far from the last as that was from the one before, then
/// the bytes in which the value differs from the last. Refused: bits in place of bytes, as Gorilla has them, which are a
/// third smaller and take three times as long to write; a point stays here for minutes, and the lake packs it anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Floats {
    bytes: Vec<u8>,
    count: u32,
    last: Last,
}

/// What the next point is told against.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    time_ms: i64,
    step_ms: i64,
    bits: u64,
}

/// In the control byte: how many bytes of the value follow, how many zero bytes come after them, and whether the time is
/// told.
const LENGTH: u8 = 0b1111;
const SHIFT_BIT: u32 = 4;
const TIMED: u8 = 0b1000_0000;
/// The lowest so many bytes of a number.
const MASKS: [u64; 16] = {
    let mut masks = [u64::MAX; 16];
    let mut length = 0;
    while length < 8 {
        masks[length] = (1 << (8 * length)) - 1;
        length += 1;
    }
    masks
};
/// Most bytes of a point: control byte, varint of 64 bits, value.
const POINT_BYTES_MAX: usize = 1 + 10 + 8;
/// By how much the bytes grow at least; twice the length, as `Vec` does, would leave a third of the memory empty.
const GROWTH_BYTES_MIN: usize = 32;

impl Floats {
    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// First and last instant; none without points.
    pub(crate) fn range_ms(&self) -> Option<(i64, i64)> {
        self.iter().next().map(|(first, _)| (first, self.last.time_ms))
    }

    /// Adds a point behind all others.
    #[inline]
    pub(crate) fn push(&mut self, time_ms: i64, value: f64) {
        let mut point = [0; POINT_BYTES_MAX];
        let (mut control, mut end) = (0, 1);
        let step_ms = time_ms.wrapping_sub(self.last.time_ms);
        if step_ms != self.last.step_ms {
            control |= TIMED;
            let mut rest = zigzag(step_ms.wrapping_sub(self.last.step_ms));
            while rest >= 0x80 {
                point[end] = rest as u8 | 0x80;
                rest >>= 7;
                end += 1;
            }
            point[end] = rest as u8;
            end += 1;
        }
        let bits = value.to_bits();
        let difference = bits ^ self.last.bits;
        if difference != 0 {
            let shift = difference.trailing_zeros() / 8;
            let length = 8 - shift - difference.leading_zeros() / 8;
            control |= (shift << SHIFT_BIT) as u8 | length as u8;
            point[end..end + 8].copy_from_slice(&(difference >> (8 * shift)).to_le_bytes());
            end += length as usize;
        }
        point[0] = control;
        let length = self.bytes.len() + end;
        if self.bytes.capacity() - self.bytes.len() < POINT_BYTES_MAX {
            self.bytes.reserve_exact(GROWTH_BYTES_MIN.max(self.bytes.len() / 4));
        }
        // The whole array, as its size is known when this is compiled, and then back to where the point ends.
        self.bytes.extend_from_slice(&point);
        self.bytes.truncate(length);
        self.count += 1;
        self.last = Last { time_ms, step_ms: if self.count == 1 { 0 } else { step_ms }, bits };
    }

    /// The last instant; none without points.
    pub(crate) fn last_ms(&self) -> Option<i64> {
        (self.count > 0).then_some(self.last.time_ms)
    }

    pub(crate) fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.bytes, last: Last::default(), is_first: true }
    }
}

pub(crate) struct Iter<'a> {
    rest: &'a [u8],
    last: Last,
    is_first: bool,
}

impl Iterator for Iter<'_> {
    type Item = (i64, f64);

    // In the loop of whoever reads the state then lies in registers, which makes it three times as fast.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (&control, mut rest) = self.rest.split_first()?;
        let last = &mut self.last;
        if control & TIMED != 0 {
            last.step_ms = last.step_ms.wrapping_add(unzigzag(varint::take(&mut rest)?));
        }
        let length = usize::from(control & LENGTH);
        let difference = match rest.first_chunk() {
            // Eight bytes at once and then those that count, as their number is not known when this is compiled.
            Some(bytes) => u64::from_le_bytes(*bytes) & MASKS[length],
            None => {
                let mut bytes = [0; 8];
                bytes[..length].copy_from_slice(&rest[..length]);
                u64::from_le_bytes(bytes)
            }
        };
        self.rest = &rest[length..];
        last.bits ^= difference << (8 * ((control & !TIMED) >> SHIFT_BIT));
        last.time_ms = last.time_ms.wrapping_add(last.step_ms);
        // The first step is from 1970, and tells nothing of the next.
        if std::mem::take(&mut self.is_first) {
            last.step_ms = 0;
        }
        Some((last.time_ms, f64::from_bits(last.bits)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    fn check(points: &[(i64, f64)]) -> Floats {
        let mut floats = Floats::default();
        points.iter().for_each(|&(time, value)| floats.push(time, value));
        let found: Vec<_> = floats.iter().map(|(time, value)| (time, value.to_bits())).collect();
        let expected: Vec<_> = points.iter().map(|(time, value)| (*time, value.to_bits())).collect();
        assert_eq!(found, expected);
        assert_eq!(floats.len(), points.len());
        assert_eq!(floats.range_ms(), points.first().map(|first| (first.0, points[points.len() - 1].0)));
        floats
    }

    #[test]
    fn every_float_comes_back_to_the_bit() {
        check(&[]);
        check(&[(i64::MIN, f64::NAN), (0, f64::from_bits(0x7ff0_0000_0000_0002)), (i64::MAX, -0.0)]);
        check(&[(5, 0.0), (6, f64::MIN_POSITIVE), (7, f64::INFINITY), (9, f64::from_bits(1)), (10, f64::from_bits(u64::MAX))]);
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..200 {
            let mut time = random.random_range(0..1 << 45);
            let points = (0..random.random_range(1..50)).map(|_| {
                let step_bits = random.random_range(1..40);
                time += random.random_range(1..1_i64 << step_bits);
                (time, f64::from_bits(random.random::<u64>() << random.random_range(0..64) >> random.random_range(0..64)))
            });
            check(&points.collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_repeats_takes_a_byte_and_what_counts_takes_few() {
        let constant: Vec<_> = (0..1000).map(|at| (at * 15_000, 4096.0)).collect();
        assert!(check(&constant).bytes.len() < 1020);
        let counter: Vec<_> = (0..1000).map(|at| (at * 15_000, 1_000_000.0 + (at * 37) as f64)).collect();
        assert!(check(&counter).bytes.len() < 4_100, "{}", check(&counter).bytes.len());
    }
}
