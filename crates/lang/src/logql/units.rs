//! Durations and byte sizes, as a query writes them and as it prints them.

const DURATION_UNITS: [(&str, i64); 11] = [
    ("y", 365 * 86_400_000_000_000),
    ("w", 7 * 86_400_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ns", 1),
];

/// The duration that a text begins with, and its length: the longest run of characters that durations have is one, or there is none.
pub(crate) fn leading_duration(text: &str) -> Option<(i64, usize)> {
    leading(text, |c| c.is_ascii_digit() || ".nuµμmshdwy".contains(c), parse_duration)
}

/// The same of a size.
pub(super) fn leading_bytes(text: &str) -> Option<(u64, usize)> {
    leading(text, |c| c.is_ascii_digit() || ".BikKMGTPE".contains(c), parse_bytes)
}

fn leading<T>(text: &str, member: impl Fn(char) -> bool, read: impl Fn(&str) -> Option<T>) -> Option<(T, usize)> {
    /// Nobody writes a longer one. Of `1.1.1.1` every token would look at all of the rest.
    const BYTES_MAX: usize = 64;
    let head = &text[..text.floor_char_boundary(BYTES_MAX)];
    let run = head.find(|c| !member(c)).unwrap_or(head.len());
    let whole = run < head.len() || head.len() == text.len();
    read(&head[..run]).filter(|_| whole).map(|value| (value, run))
}

/// `1h30m`, `1.5s`, `2w`. Years, weeks and days take whole numbers only and stand in falling order, as in Prometheus.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0i64;
    let (mut last, mut calendar, mut fraction) = (i64::MAX, false, false);
    let mut falling = true;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(length);
        let &(name, nanos) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
        calendar |= matches!(name, "y" | "w" | "d");
        fraction |= number.contains('.');
        falling &= nanos < last;
        last = nanos;
        let part = match number.parse::<i64>() {
            Ok(whole) => whole.checked_mul(nanos)?,
            Err(_) => (number.parse::<f64>().ok()? * nanos as f64).round() as i64,
        };
        total = total.checked_add(part)?;
        rest = after;
    }
    (!text.is_empty() && !(calendar && (fraction || !falling))).then_some(total)
}

/// In the largest units that give whole numbers: `1h30m`.
pub(crate) fn print_duration(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    if nanos < 0 {
        text.push('-');
    }
    let mut rest = nanos.unsigned_abs();
    for unit in ["h", "m", "s", "ms", "us", "ns"] {
        let size = DURATION_UNITS.iter().find(|(name, _)| *name == unit).map_or(1, |(_, nanos)| nanos.unsigned_abs());
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    text
}

/// Exact spellings only: a query's literal minds its case.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 15] = [
        ("B", 1),
        ("kB", 1_000),
        ("KB", 1_000),
        ("KiB", 1 << 10),
        ("MB", 1_000_000),
        ("MiB", 1 << 20),
        ("GB", 1_000_000_000),
        ("GiB", 1 << 30),
        ("TB", 1_000_000_000_000),
        ("TiB", 1 << 40),
        ("PB", 1_000_000_000_000_000),
        ("PiB", 1 << 50),
        ("EB", 1_000_000_000_000_000_000),
        ("EiB", 1 << 60),
        ("kiB", 1 << 10),
    ];
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(split);
    let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let value = number.parse::<f64>().ok()? * *size as f64;
    (value < u64::MAX as f64).then_some(value as u64)
}

/// Go's number syntax as far as its `ParseFloat` takes it: decimal, or hexadecimal with a binary exponent.
pub(super) fn parse_number(text: &str) -> Option<f64> {
    let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
        let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
        return plain.then(|| text.parse().ok()).flatten().filter(|value: &f64| value.is_finite());
    };
    let (mantissa, exponent) = hex.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let shift = exponent.parse::<i32>().ok()?.checked_sub(4 * i32::try_from(fraction.len()).ok()?)?;
    let value = u64::from_str_radix(&digits, 16).ok()? as f64 * f64::from(2).powi(shift);
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print() {
        for (text, nanos) in [("1h30m", 5_400_000_000_000), ("1.5s", 1_500_000_000), ("1d", 86_400_000_000_000), ("3µs", 3_000)] {
            assert_eq!(parse_duration(text), Some(nanos), "{text}");
        }
        for text in ["", "5", "1.5d", "1h1d", "m", "1x", "99999999y"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(print_duration(5_400_000_000_000), "1h30m");
        assert_eq!(print_duration(-1_500_000_000), "-1s500ms");
        assert_eq!(print_duration(0), "0s");
    }

    #[test]
    fn a_run_without_end_is_not_walked_from_each_of_its_tokens() {
        assert_eq!(leading_duration("1h30m)"), Some((5_400_000_000_000, 5)));
        assert_eq!(leading_bytes("2.5KiB"), Some((2560, 6)));
        assert_eq!(leading_duration(&"1s".repeat(30)), Some((30_000_000_000, 60)));
        for long in ["1s".repeat(40), "1µs".repeat(40), "1s".repeat(40) + ")"] {
            assert_eq!(leading_duration(&long), None, "{long}");
        }
        assert_eq!(leading_duration("1.1"), None);
    }

    #[test]
    fn numbers_and_sizes() {
        assert_eq!(parse_number("0x1.8p3"), Some(12.0));
        assert_eq!(parse_number("1.5e3"), Some(1500.0));
        for text in ["0x1A", "1_000", "1e999", "0x1p9999"] {
            assert_eq!(parse_number(text), None, "{text}");
        }
        assert_eq!(parse_bytes("2.5KiB"), Some(2560));
        assert_eq!(parse_bytes("1mb"), None);
    }
}
