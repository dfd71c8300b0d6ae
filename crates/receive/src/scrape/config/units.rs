//! Durations and sizes as Prometheus's configuration writes them.

use std::time::Duration;

/// From the largest: each may come once, in this order.
const UNITS: [(&str, u64); 7] =
    [("y", 365 * 86_400_000), ("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// `1h30m`, `15s`, `0`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut millis, mut from) = (text, 0_u64, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let at = from + UNITS[from..].iter().position(|(name, _)| *name == unit)?;
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(UNITS[at].1)?)?;
        (rest, from) = (after, at + 1);
    }
    // Prometheus holds nanoseconds in 63 bits.
    (!text.is_empty() && millis <= i64::MAX as u64 / 1_000_000).then(|| Duration::from_millis(millis))
}

/// As Prometheus writes it: `1m30s`. Years and weeks only where nothing is left over.
pub(crate) fn duration_text(duration: Duration) -> String {
    let mut left = duration.as_millis() as u64;
    let mut text = String::new();
    for (unit, millis) in UNITS {
        if left >= millis && (!matches!(unit, "y" | "w") || left.is_multiple_of(millis)) {
            text.push_str(&format!("{}{unit}", left / millis));
            left %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Bytes: `10MB`, `1GiB`, `512`; each step is 1024, with or without the `i`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_end_matches('B').trim_end_matches('i') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        "E" => 60,
        _ => return None,
    };
    if !matches!(unit, "" | "B") && !unit.ends_with('B') {
        return None;
    }
    let bytes = number.parse::<f64>().ok()? * (1_u64 << shift) as f64;
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_prometheus() {
        for (text, millis) in [("0", 0), ("15s", 15_000), ("1m30s", 90_000), ("100ms", 100), ("1h", 3_600_000), ("1y1w", 372 * 86_400_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "15", "s", "1s1m", "1m1m", "-1s", "1.5s", "1 s", "300y", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text:?}");
        }
        for text in ["0s", "15s", "1m30s", "100ms", "1h", "1d", "36h0m", "2w"] {
            let text = text.replace("36h0m", "1d12h");
            assert_eq!(duration_text(duration(&text).expect("a duration")), text);
        }
    }

    #[test]
    fn sizes_are_those_of_prometheus() {
        for (text, size) in [("0", 0), ("15MB", 15 << 20), ("1GiB", 1 << 30), ("1.5KB", 1536), ("10B", 10)] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "MB", "1mb", "1M", "-1B", "1XB"] {
            assert_eq!(bytes(text), None, "{text:?}");
        }
    }
}
