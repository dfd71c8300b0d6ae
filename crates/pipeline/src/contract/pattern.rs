//! A `pattern` of a contract. Most say what a number or an id is made of, `^[0-9a-f]{32}$`: they are asked byte by byte, a tenth of what
//! a regular expression takes for a text so short. All others are regular expressions.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// None where the pattern is no [`Sequence`].
    sequence: Option<Sequence>,
}

impl Pattern {
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        let regex = Regex::new(pattern).ok()?;
        Some(Self { regex, sequence: regex_syntax::parse(pattern).ok().and_then(|hir| Sequence::of(&hir)) })
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        match &self.sequence {
            Some(sequence) => sequence.is_match(text.as_bytes()),
            None => self.regex.is_match(text),
        }
    }

    /// Whether it surely matches every text; `texts` are all of them one behind the other, and between `least` and `most` bytes long.
    pub(crate) fn matches_all(&self, texts: &[u8], least: usize, most: usize) -> bool {
        self.sequence.as_ref().is_some_and(|sequence| {
            sequence.runs.is_empty()
                && (sequence.least..=sequence.most).contains(&least)
                && most <= sequence.most
                && sequence.last.hold(texts)
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        self.regex.as_str()
    }
}

/// From the beginning to the end of a text: so many bytes of each kind, of the last kind as many as it says.
#[derive(Debug)]
struct Sequence {
    runs: Vec<(u32, Bytes)>,
    last: Box<Bytes>,
    least: usize,
    most: usize,
}

/// More of one kind are left to the regular expression, and so are more kinds.
const RUN_MAX: u32 = 256;
const RUNS_MAX: usize = 64;

impl Sequence {
    /// None of what needs more than one look at a byte.
    fn of(hir: &Hir) -> Option<Self> {
        let HirKind::Concat(parts) = hir.kind() else { return None };
        let [begin, parts @ .., end] = parts.as_slice() else { return None };
        if !matches!(begin.kind(), HirKind::Look(Look::Start)) || !matches!(end.kind(), HirKind::Look(Look::End)) {
            return None;
        }
        let mut runs = Vec::new();
        let (last, before) = parts.split_last()?;
        for part in before {
            let (bytes, least, most) = run(part, &mut runs)?;
            if most != Some(least) || least > RUN_MAX || runs.len() >= RUNS_MAX {
                return None;
            }
            runs.push((least, bytes));
        }
        let (last, least, most) = run(last, &mut runs)?;
        Some(Self { runs, last: Box::new(last), least: least as usize, most: most.map_or(usize::MAX, |most| most as usize) })
    }

    fn is_match(&self, mut text: &[u8]) -> bool {
        for (count, bytes) in &self.runs {
            let Some((run, rest)) = text.split_at_checked(*count as usize) else { return false };
            if !bytes.hold(run) {
                return false;
            }
            text = rest;
        }
        (self.least..=self.most).contains(&text.len()) && self.last.hold(text)
    }
}

/// One kind and how often it stands there; all but the last byte of a literal are put into `runs`.
fn run(hir: &Hir, runs: &mut Vec<(u32, Bytes)>) -> Option<(Bytes, u32, Option<u32>)> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let (last, before) = literal.0.split_last().filter(|(_, before)| before.len() < RUNS_MAX)?;
            runs.extend(before.iter().map(|byte| (1, Bytes::one(*byte))));
            Some((Bytes::one(*last), 1, Some(1)))
        }
        HirKind::Class(class) => Some((Bytes::of(class)?, 1, Some(1))),
        HirKind::Repetition(repetition) => {
            let bytes = match repetition.sub.kind() {
                HirKind::Class(class) => Bytes::of(class)?,
                HirKind::Literal(literal) if literal.0.len() == 1 => Bytes::one(literal.0[0]),
                _ => return None,
            };
            Some((bytes, repetition.min, repetition.max))
        }
        _ => None,
    }
}

/// A kind of byte.
struct Bytes {
    all: [bool; 256],
    /// The same as first bytes and how many follow, where two ranges say it.
    ranges: Option<[(u8, u8); 2]>,
}

impl Bytes {
    fn one(byte: u8) -> Self {
        Self::of_ranges(&[(byte, byte)])
    }

    fn of_ranges(ranges: &[(u8, u8)]) -> Self {
        let mut all = [false; 256];
        ranges.iter().for_each(|(first, last)| all[usize::from(*first)..=usize::from(*last)].fill(true));
        let length = |(first, last): (u8, u8)| (first, last - first);
        let ranges = match *ranges {
            [one] => Some([length(one); 2]),
            [one, other] => Some([length(one), length(other)]),
            _ => None,
        };
        Self { all, ranges }
    }

    /// None where characters are more than a byte.
    fn of(class: &Class) -> Option<Self> {
        let Class::Unicode(class) = class else { return None };
        let ranges =
            class.iter().map(|range| Some((u8::try_from(range.start()).ok()?, u8::try_from(range.end()).ok().filter(u8::is_ascii)?)));
        Some(Self::of_ranges(&ranges.collect::<Option<Vec<_>>>()?))
    }

    /// Without a look at whether one is wrong already: nearly always none is.
    fn hold(&self, text: &[u8]) -> bool {
        match self.ranges {
            // The compiler makes it sixteen bytes at a time.
            Some([(first, more), (other, others)]) => {
                text.iter().fold(true, |held, byte| held & ((byte.wrapping_sub(first) <= more) | (byte.wrapping_sub(other) <= others)))
            }
            None => text.iter().fold(true, |held, byte| held & self.all[usize::from(*byte)]),
        }
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries((0..=u8::MAX).filter(|byte| self.all[usize::from(*byte)]).map(char::from)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_says_what_its_expression_says() {
        let sequences = [
            "^[0-9a-f]{32}$",
            "^[A-Z]{3}$",
            "^[A-Z]{2}-[0-9]{4}$",
            "^ord_[a-z0-9]+$",
            "^[a-z]*$",
            "^v[0-9]{1,3}$",
            "^abc$",
            "^x{2}y?$",
            "^[ -~]$",
        ];
        let others = [
            "[0-9]",
            "^[0-9]+",
            "[0-9]+$",
            "^[a-z]+[0-9]$",
            "^(a|bc)$",
            r"^\d+$",
            r"^\w{3}$",
            "^.{3}$",
            "^[^a]$",
            "^é{2}$",
            "^(?:ab){2}$",
            "^$",
            "(?m)^a$",
            "^a$|^b$",
        ];
        let texts = [
            "",
            "a",
            "b",
            "aa",
            "abc",
            "ab",
            "abab",
            "EUR",
            "EURO",
            "eur",
            "DE-1234",
            "DE-123",
            "DE_1234",
            "ord_",
            "ord_a1",
            "ord_A",
            "v1",
            "v123",
            "v1234",
            "xx",
            "xxy",
            "xxyy",
            "~",
            "0123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdeF",
            "0123456789abcdef0123456789abcde",
            "é",
            "éé",
            "a\n",
            "AF",
            "x1",
            "٣",
        ];
        for (pattern, is_sequence) in sequences.map(|pattern| (pattern, true)).into_iter().chain(others.map(|pattern| (pattern, false))) {
            let compiled = Pattern::new(pattern).unwrap();
            assert_eq!(compiled.sequence.is_some(), is_sequence, "{pattern}");
            for text in texts {
                assert_eq!(compiled.is_match(text), compiled.regex.is_match(text), "{pattern} of {text:?}");
            }
        }
        assert!(Pattern::new("(").is_none());
    }
}
