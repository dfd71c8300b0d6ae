//! Runs and packed bits: how levels and places in a dictionary lie in a page.
//! Source: <https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE>.

/// Packed numbers come in groups of so many.
const GROUP: usize = 8;

/// The bits of numbers up to this one.
pub(super) fn bits(greatest: u32) -> u32 {
    u32::BITS - greatest.leading_zeros()
}

/// Appends numbers of at most so many bits. Eight that are the same, and all alike behind them, are a run; all else is packed.
pub(super) fn encode<N: Copy + Eq + Into<u32>>(numbers: &[N], bits: u32, out: &mut Vec<u8>) {
    let (mut from, mut at) = (0, 0);
    while let Some((group, rest)) = numbers[at..].split_first_chunk::<GROUP>() {
        let number = group[0];
        if group.iter().any(|other| *other != number) {
            at += GROUP;
            continue;
        }
        let run = GROUP + rest.iter().take_while(|other| **other == number).count();
        pack(&numbers[from..at], bits, out);
        varint((run as u64) << 1, out);
        out.extend_from_slice(&number.into().to_le_bytes()[..bits.div_ceil(u8::BITS) as usize]);
        at += run;
        from = at;
    }
    pack(&numbers[from..], bits, out);
}

fn pack<N: Copy + Into<u32>>(numbers: &[N], bits: u32, out: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    let groups = numbers.len().div_ceil(GROUP);
    varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * bits as usize;
    let (mut held, mut filled) = (0_u64, 0);
    for &number in numbers {
        held |= u64::from(number.into()) << filled;
        filled += bits;
        while filled >= u8::BITS {
            out.push(held as u8);
            held >>= u8::BITS;
            filled -= u8::BITS;
        }
    }
    if filled > 0 {
        out.push(held as u8);
    }
    // The last group is whole as well.
    out.resize(end, 0);
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads as the format says it.
    fn decode(mut bytes: &[u8], bits: u32, count: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let (mut header, mut shift) = (0_u64, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            let (taken, many) = match header & 1 {
                0 => (bits.div_ceil(8) as usize, 1),
                _ => ((header >> 1) as usize * bits as usize, (header >> 1) as usize * GROUP),
            };
            let bit = |at: usize| u32::from(bytes[at / 8] >> (at % 8) & 1);
            let number = |at: usize| (0..bits as usize).map(|place| bit(at * bits as usize + place) << place).sum::<u32>();
            match header & 1 {
                0 => numbers.extend(std::iter::repeat_n(number(0), (header >> 1) as usize)),
                _ => numbers.extend((0..many).map(number)),
            }
            bytes = &bytes[taken..];
        }
        assert!(bytes.is_empty());
        numbers.truncate(count);
        numbers
    }

    #[test]
    fn numbers_come_back_whatever_their_runs_are() {
        let mut state = 7_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for greatest in [0, 1, 2, 5, 255, 256, 70_000, u32::MAX] {
            for _ in 0..200 {
                let mut numbers: Vec<u32> = Vec::new();
                for _ in 0..next(12) {
                    let number = next(u64::from(greatest) + 1) as u32;
                    numbers.extend(std::iter::repeat_n(number, 1 + next(30) as usize * next(2) as usize));
                }
                let mut out = Vec::new();
                encode(&numbers, bits(greatest), &mut out);
                assert_eq!(decode(&out, bits(greatest), numbers.len()), numbers);
            }
        }
    }

    #[test]
    fn a_run_takes_a_few_bytes() {
        let mut out = Vec::new();
        encode(&[1_u8; 8192], 1, &mut out);
        assert_eq!(out, [0x80, 0x80, 0x01, 1]);
    }
}
