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
pub fn variables(text: &[u8]) -> impl Iterator<Item = (usize, usize, u8)> + '_ {
    runs(text).filter(|(_, _, kinds)| kinds & DIGIT != 0)
}
