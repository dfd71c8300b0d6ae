//! Floats as an XOR chunk: times as differences of differences, values as what changed in their bits.
//! Source: <https://github.com/prometheus/prometheus/blob/main/tsdb/docs/format/chunks.md>.

use super::bits::{Bits, XorWindow, fits};
use super::messages::{Chunk, XOR};

/// As many as Prometheus puts into a chunk.
pub(super) const SAMPLES_MAX: usize = 120;

/// Not empty, at most [`SAMPLES_MAX`], by time ascending.
pub(super) fn chunk(samples: &[(i64, f64)]) -> Chunk {
    let mut bits = Bits::with_capacity(64);
    bits.put(samples.len() as u64, 16);
    let mut window = XorWindow::default();
    let (mut before, mut step) = (samples[0], 0);
    bits.varint(before.0);
    bits.float(before.1);
    for (index, &(at, value)) in samples.iter().enumerate().skip(1) {
        let next = at.wrapping_sub(before.0);
        match index {
            1 => bits.uvarint(next.cast_unsigned()),
            _ => change(&mut bits, next.wrapping_sub(step)),
        }
        bits.xor(value, before.1, &mut window);
        (before, step) = ((at, value), next);
    }
    Chunk { min_time_ms: samples[0].0, max_time_ms: before.0, encoding: XOR, data: bits.finish() }
}

/// How much longer this step is than the one before.
fn change(bits: &mut Bits, value: i64) {
    let unsigned = value.cast_unsigned();
    match value {
        0 => bits.put(0, 1),
        value if fits(value, 14) => {
            bits.put(0b10, 2);
            bits.put(unsigned, 14);
        }
        value if fits(value, 17) => {
            bits.put(0b110, 3);
            bits.put(unsigned, 17);
        }
        value if fits(value, 20) => {
            bits.put(0b1110, 4);
            bits.put(unsigned, 20);
        }
        _ => {
            bits.put(0b1111, 4);
            bits.put(unsigned, 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Debian's Prometheus 2.42 answered for these samples over its own remote read.
    #[test]
    fn the_bytes_are_those_of_prometheus() {
        let steps = [(0, 1.0), (1000, 1.0), (2000, 2.0), (3500, 2.5), (99_000, -1.0), (4_999_000, 1e300), (4_999_001, 0.1)];
        let found = chunk(&steps.map(|(at, value)| (1_700_000_000_000 + at, value)));
        let hex: String = found.data.iter().map(|byte| format!("{byte:02x}")).collect();
        let theirs = "000780a0abfef9623ff0000000000000e8073097ffe07d3683e16f30c077ffbe0000000000929f29\
            83ec1c7e43c8800759fffffffffffed4ed870fd0639f6944667b0180";
        assert_eq!(hex, theirs);
        assert_eq!((found.min_time_ms, found.max_time_ms), (1_700_000_000_000, 1_700_004_999_001));
    }
}
