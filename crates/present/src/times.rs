//! Instants and durations as the query APIs spell them.

use std::time::Duration;

/// What Prometheus's own clients send for "since ever" and "for ever".
const MIN_TIME: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME: &str = "292277025-08-18T07:12:54.999999999Z";

/// The instants that make sense in nanoseconds, as milliseconds.
const MILLIS_MAX: i64 = i64::MAX / 1_000_000;

/// Unix seconds with fractions, or RFC 3339, to milliseconds. Instants past 2262 are the end of time.
pub(crate) fn millis(text: &str) -> Option<i64> {
    match text {
        MIN_TIME => return Some(-MILLIS_MAX),
        MAX_TIME => return Some(MILLIS_MAX),
        _ => {}
    }
    if let Some(seconds) = float(text) {
        // Prometheus refuses what is no 64-bit number of milliseconds.
        return (seconds.abs() <= i64::MAX as f64 / 1000.0).then(|| ((seconds * 1000.0).round() as i64).clamp(-MILLIS_MAX, MILLIS_MAX));
    }
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis().clamp(-MILLIS_MAX, MILLIS_MAX))
}

/// As Loki reads them: whole numbers of up to ten digits are seconds and longer ones nanoseconds; with a point they are
/// seconds; else RFC 3339.
pub(crate) fn loki_nanos(text: &str) -> Option<i64> {
    if text.contains('.')
        && let Some(seconds) = float(text)
    {
        let nanos = seconds.floor() * 1e9 + ((seconds - seconds.floor()) * 1e3).round() * 1e6;
        return (nanos.abs() < i64::MAX as f64).then_some(nanos as i64);
    }
    match text.parse::<i64>() {
        Ok(seconds) if text.len() <= 10 => seconds.checked_mul(1_000_000_000),
        Ok(nanos) => Some(nanos),
        Err(_) => chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt(),
    }
}

/// Whole Unix seconds, to nanoseconds.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    text.parse::<i64>().ok()?.checked_mul(1_000_000_000)
}

/// Whole Unix microseconds, to nanoseconds.
pub(crate) fn micros(text: &str) -> Option<i64> {
    text.parse::<i64>().ok()?.checked_mul(1000)
}

/// Seconds as a number, or `1h30m`, `1.5s`, `2d`; negative and empty ones are none. At most 292 years.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if let Some(seconds) = float(text) {
        return Duration::try_from_secs_f64(seconds).ok().filter(|duration| duration.as_nanos() <= i64::MAX as u128);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |at| digits + at);
        let seconds_each = match &rest[digits..unit_end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "y" => 31_536_000.0,
            _ => return None,
        };
        let amount: f64 = rest[..digits].parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(amount * seconds_each).ok()?)?;
        rest = &rest[unit_end..];
    }
    (!text.is_empty() && total.as_nanos() <= i64::MAX as u128).then_some(total)
}

/// The caller has checked the bound: [`duration`] gives no more than fits.
pub(crate) fn as_nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A finite number; not `inf`, not `nan`, which Rust would read.
fn float(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        for (text, expect) in [
            ("1435781451.781", Some(1_435_781_451_781)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T22:10:51.781+02:00", Some(1_435_781_451_781)),
            ("-1", Some(-1000)),
            ("0.0005", Some(1)),
            (MAX_TIME, Some(MILLIS_MAX)),
            ("1e300", None),
            ("NaN", None),
            ("inf", None),
            ("yesterday", None),
        ] {
            assert_eq!(millis(text), expect, "{text}");
        }
        for (text, expect) in [
            ("1600000000", Some(1_600_000_000_000_000_000)),
            ("1600000000000000001", Some(1_600_000_000_000_000_001)),
            ("1600000000.5", Some(1_600_000_000_500_000_000)),
            ("1970-01-01T00:00:01Z", Some(1_000_000_000)),
            ("99999999999999999999", None),
            ("9999999999", None),
            ("1e9.", None),
        ] {
            assert_eq!(loki_nanos(text), expect, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, expect_ms) in [
            ("15", Some(15_000)),
            ("0.5", Some(500)),
            ("1h30m", Some(5_400_000)),
            ("1.5s", Some(1500)),
            ("2d", Some(172_800_000)),
            ("100ms", Some(100)),
            ("-5", None),
            ("5m-", None),
            ("5 m", None),
            ("m", None),
            ("", None),
            ("NaN", None),
            ("999999y", None),
            ("1e300", None),
        ] {
            assert_eq!(duration(text).map(|duration| duration.as_millis()), expect_ms, "{text}");
        }
    }
}
