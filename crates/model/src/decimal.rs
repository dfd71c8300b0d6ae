//! Doubles of few decimals and their texts, without the general algorithms: most numbers that programs log are such.

use std::fmt;

use crate::AttributeValue;

/// The text that `Display` gives a double of few decimals, found without its general algorithm: that took a third of
/// the time of a log record with one such attribute.
pub(crate) struct Decimal {
    text: [u8; Self::LEN_MAX],
    start: usize,
}

impl Decimal {
    /// Sign, digits, point, and a zero in front of it.
    const LEN_MAX: usize = 18;
    /// No two numbers of so many digits are the same double, so the one that is it, is its shortest text.
    const DIGITS_END: f64 = 1e15;
    /// By places behind the point.
    const SCALES: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

    pub(crate) fn of(value: f64) -> Option<Self> {
        let magnitude = value.abs();
        let (places, whole) = Self::SCALES.into_iter().enumerate().find_map(|(places, scale)| {
            let whole = (magnitude * scale).round();
            (whole < Self::DIGITS_END && whole / scale == magnitude).then_some((places, whole as u64))
        })?;
        let (mut text, mut start, mut rest) = ([0; Self::LEN_MAX], Self::LEN_MAX, whole);
        let mut put = |byte| {
            start -= 1;
            text[start] = byte;
        };
        for place in 0.. {
            if place == places && place > 0 {
                put(b'.');
            }
            if place > places && rest == 0 {
                break;
            }
            put(b'0' + (rest % 10) as u8);
            rest /= 10;
        }
        if value.is_sign_negative() {
            put(b'-');
        }
        Some(Self { text, start })
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[self.start..]).expect("digits are ASCII")
    }

    /// The number that [`Self::of`] writes just so; none of any other text.
    fn read(text: &str) -> Option<f64> {
        let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
        let (mut whole, mut places) = (0u64, None);
        if digits.len() >= Self::LEN_MAX {
            return None;
        }
        for byte in digits {
            match (byte, &mut places) {
                (b'0'..=b'9', places) => {
                    whole = whole * 10 + u64::from(byte - b'0');
                    *places = places.map(|places| places + 1);
                }
                (b'.', None) => places = Some(0),
                _ => return None,
            }
        }
        // Nothing in front that need not be there, nor behind a point.
        let begins = matches!(digits, [b'0'] | [b'0', b'.', ..] | [b'1'..=b'9', ..]);
        let ends = places.is_none() || digits.last().is_some_and(|last| !matches!(last, b'0' | b'.'));
        let scale = *Self::SCALES.get(places.unwrap_or(0))?;
        let magnitude = whole as f64;
        (begins && ends && magnitude < Self::DIGITS_END)
            .then(|| (magnitude / scale).copysign(if text.len() > digits.len() { -1.0 } else { 1.0 }))
    }
}

/// The double that a text is.
pub fn double(text: &str) -> Option<f64> {
    Decimal::read(text).or_else(|| text.parse().ok())
}

/// The finite double that is written so.
pub(crate) fn own_double(text: &str) -> Option<f64> {
    Decimal::read(text).or_else(|| {
        // What a word begins with is no number, and an exponent is never written.
        text.as_bytes().last().filter(|last| last.is_ascii_digit())?;
        let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
        let mut own = Own { rest: text };
        (AttributeValue::Double(value).try_write_to(&mut own).is_ok() && own.rest.is_empty()).then_some(value)
    })
}

/// Takes what is written only as long as it is this text.
struct Own<'a> {
    rest: &'a str,
}

impl fmt::Write for Own<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.rest = self.rest.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_display_writes_them() {
        let edges = [
            0.0,
            -0.0,
            0.5,
            -0.001,
            1e15,
            1e15 - 1.0,
            999_999_999_999_999.9,
            1e-6,
            1e-7,
            0.1 + 0.2,
            1.0 / 3.0,
            f64::MAX,
            f64::MIN_POSITIVE,
        ];
        let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        // Decimals, sums of them, and any bits at all, from one multiplicative sequence.
        let many = (1..200_000u64).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).flat_map(|bits| {
            let decimal = (bits >> 30) as f64 / 10f64.powi((bits % 9) as i32);
            [decimal, -decimal, decimal + 0.1, f64::from_bits(bits)]
        });
        let mut text = String::new();
        for value in edges.into_iter().chain(special).chain(many) {
            text.clear();
            AttributeValue::Double(value).write_to(&mut text);
            assert_eq!(text, value.to_string(), "{:x}", value.to_bits());
        }
    }

    #[test]
    fn a_decimal_reads_as_what_is_written_so_and_nothing_else_does() {
        let mut random = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let (mut read, mut left) = (0, 0);
        for _ in 0..200_000 {
            let length = 1 + next(20);
            let kinds = if next(4) == 0 { 13 } else { 11 };
            let text: String = (0..length).map(|_| char::from(b"00123456789.-"[next(kinds)])).collect();
            let text = if length > 3 && next(2) == 0 { format!("{}.{}", &text[..length / 2], &text[length / 2..]) } else { text };
            let parsed = text.parse::<f64>();
            match Decimal::read(&text) {
                Some(value) => {
                    assert_eq!(Ok(value.to_bits()), parsed.map(f64::to_bits), "{text}");
                    assert_eq!(value.to_string(), text);
                    read += 1;
                }
                None => {
                    let is_own = parsed.is_ok_and(|value| Decimal::of(value).is_some_and(|decimal| decimal.as_str() == text));
                    assert!(!is_own, "{text} is what is written");
                    left += 1;
                }
            }
            assert_eq!(double(&text).map(f64::to_bits), text.parse::<f64>().ok().map(f64::to_bits), "{text}");
        }
        assert!(read > 10_000 && left > 10_000, "{read} {left}");
        for text in [
            "",
            "-",
            ".",
            "-0",
            "0",
            "1.",
            ".5",
            "00",
            "1e3",
            "inf",
            "NaN",
            "-0.000001",
            "0.0000001",
            "+1",
            "999999999999999",
            "1000000000000000",
        ] {
            assert_eq!(
                own_double(text).is_some(),
                text.parse::<f64>().is_ok_and(|value| value.is_finite() && value.to_string() == text),
                "{text}"
            );
        }
    }
}
