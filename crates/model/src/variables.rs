//! What differs from line to line: the one split of log texts, for the store's columns and for patterns.

use std::iter;

/// Stands for a variable in a template.
pub const PLACEHOLDER: u8 = 0x1a;

/// Of a run's bytes: one at least is a letter, one a digit.
pub const LETTER: u8 = 1;
pub const DIGIT: u8 = 2;

const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if (byte as u8).is_ascii_alphabetic() {
            kinds[byte] = LETTER;
        } else if (byte as u8).is_ascii_digit() {
            kinds[byte] = DIGIT;
        }
        byte += 1;
    }
    kinds
};

/// Runs of letters and digits: where they begin and end, and which of the two are in them.
pub fn runs(text: &[u8]) -> impl Iterator<Item = (usize, usize, u8)> + '_ {
    let mut at = 0;
    iter::from_fn(move || {
        while *text.get(at).map(|&byte| &KINDS[usize::from(byte)])? == 0 {
            at += 1;
        }
        let (start, mut kinds) = (at, 0);
        while let Some(kind) = text.get(at).map(|&byte| KINDS[usize::from(byte)]).filter(|kind| *kind != 0) {
            kinds |= kind;
            at += 1;
        }
        Some((start, at, kinds))
    })
}

/// Where the variables of a text begin and end: runs of letters and digits with a digit; and which of the two are in them.
///
/// Sixty-four bytes are told apart at once, and of the runs only those with a digit are looked at: most of a line are words.
pub fn variables(text: &[u8]) -> impl Iterator<Item = (usize, usize, u8)> + '_ {
    let mut variables = Variables { text, begin: 0, runs: 0, digits: 0, open: None };
    variables.read();
    variables
}

/// The bytes of a chunk, a bit of each: those below `begin` are done.
struct Variables<'t> {
    text: &'t [u8],
    begin: usize,
    runs: u64,
    digits: u64,
    /// A run that goes to the end of the chunk before, with its kinds so far.
    open: Option<(usize, u8)>,
}

impl Variables<'_> {
    fn read(&mut self) {
        let rest = &self.text[self.begin.min(self.text.len())..];
        let mut last = [0; CHUNK];
        let chunk = rest.first_chunk::<CHUNK>().unwrap_or_else(|| {
            last[..rest.len()].copy_from_slice(rest);
            &last
        });
        (self.runs, self.digits) = (alphanumeric(chunk), digits(chunk));
    }

    /// The kinds of the bytes of a run within the chunk.
    fn kinds(&self, start: u32, end: u32) -> u8 {
        let within = |bits: u64| bits & (u64::MAX << start) & (u64::MAX >> (CHUNK as u32 - end)) != 0;
        (if within(self.runs & !self.digits) { LETTER } else { 0 }) | (if within(self.digits) { DIGIT } else { 0 })
    }
}

impl Iterator for Variables<'_> {
    type Item = (usize, usize, u8);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // The next run with a digit, or the one at the end of the chunk.
            let (start, kinds, from) = match self.open.take() {
                Some((start, kinds)) => (start, kinds, 0),
                None => {
                    let before = match self.digits {
                        0 => u64::MAX,
                        digits => (1 << digits.trailing_zeros()) - 1,
                    };
                    let from = CHUNK as u32 - (!self.runs & before).leading_zeros();
                    (self.begin + from as usize, 0, from)
                }
            };
            let end = if from == CHUNK as u32 { from } else { from + (!self.runs >> from).trailing_zeros().min(CHUNK as u32 - from) };
            let kinds = kinds | if end > from { self.kinds(from, end) } else { 0 };
            if end < CHUNK as u32 {
                self.digits &= u64::MAX << end;
                if kinds & DIGIT != 0 {
                    return Some((start, self.begin + end as usize, kinds));
                }
                continue;
            }
            // What follows is another chunk's. One that is not full ends none of its runs here.
            self.open = (start < self.begin + CHUNK).then_some((start, kinds));
            self.begin += CHUNK;
            if self.begin >= self.text.len() {
                self.begin = self.text.len();
                (self.runs, self.digits) = (0, 0);
                return self.open.take().filter(|(_, kinds)| kinds & DIGIT != 0).map(|(start, kinds)| (start, self.text.len(), kinds));
            }
            self.read();
        }
    }
}

/// Bytes that are told apart at once.
pub const CHUNK: usize = 64;

/// Which bytes are digits: a bit of each, that of the first the lowest.
pub fn digits(chunk: &[u8; CHUNK]) -> u64 {
    gathered(chunk.map(|byte| u8::from(byte.wrapping_sub(b'0') < 10)))
}

/// Which bytes are ASCII letters or digits, as [`digits`] tells.
pub fn alphanumeric(chunk: &[u8; CHUNK]) -> u64 {
    gathered(chunk.map(|byte| u8::from(byte.wrapping_sub(b'0') < 10) | u8::from((byte | 0x20).wrapping_sub(b'a') < 26)))
}

/// The lowest bit of each: a multiplication puts those of eight side by side.
fn gathered(flags: [u8; CHUNK]) -> u64 {
    let (eights, _) = flags.as_chunks::<8>();
    let bits = |eight: &[u8; 8]| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    eights.iter().rev().fold(0, |all, eight| all << 8 | bits(eight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn variables_are_runs_with_a_digit() {
        let mut random = StdRng::seed_from_u64(7);
        let bytes = b"ab9Zz0 -_/\xc3\xb6\x80`{@[:";
        for length in (0..200).chain([255, 256, 257, 1000]).cycle().take(6_000) {
            // Of few kinds the runs are long.
            let kinds = random.random_range(1..=bytes.len());
            let text: Vec<u8> = (0..length).map(|_| bytes[random.random_range(0..kinds)]).collect();
            let expected: Vec<_> = runs(&text).filter(|(_, _, kinds)| kinds & DIGIT != 0).collect();
            assert_eq!(variables(&text).collect::<Vec<_>>(), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn every_byte_has_its_bit() {
        for byte in 0..=u8::MAX {
            for at in 0..CHUNK {
                let mut chunk = [b'-'; CHUNK];
                chunk[at] = byte;
                assert_eq!(digits(&chunk), u64::from(byte.is_ascii_digit()) << at);
                assert_eq!(alphanumeric(&chunk), u64::from(byte.is_ascii_alphanumeric()) << at);
            }
        }
    }
}
