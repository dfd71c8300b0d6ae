//! Recognises points in time as loggers write them.
//!
//! A time that names no zone counts as UTC: nobody here knows the clock of the machine that wrote it. One that names no year
//! is of the year in which it is not over a day ahead of its arrival.

use chrono::{DateTime, Datelike, NaiveDate};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// How far into a line a time is looked for that does not stand at its beginning.
const LOOKED_AT_BYTES: usize = 256;

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, whichever makes it a time of these centuries: of seconds
/// 1973 to 5138. Smaller numbers are durations or counts. The text is that of a JSON number without exponent.
pub fn of_decimal(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    let unit = match number {
        ..100_000_000 => return None,
        100_000_000..100_000_000_000 => SECOND,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1000,
        _ => 1,
    };
    let (mut nanos, mut place) = (number.checked_mul(unit)?, unit);
    for digit in fraction.bytes() {
        place /= 10;
        nanos = nanos.checked_add(i64::from(digit - b'0') * place)?;
    }
    Some(nanos)
}

/// The time that the whole text is.
pub fn of_text(text: &str, now_unix_nano: i64) -> Option<i64> {
    let text = text.trim();
    if let Some(time) = of_decimal(text) {
        return Some(time);
    }
    let (time, end) = at(text.as_bytes(), now_unix_nano)?;
    (end == text.len()).then_some(time)
}

/// The time that the text begins with, and where it ends.
pub fn leading(text: &str, now_unix_nano: i64) -> Option<(i64, usize)> {
    at(text.as_bytes(), now_unix_nano)
}

/// The time that a line begins with, or says as `time=`, `ts=` or in brackets near its beginning.
pub fn in_line(line: &str, now_unix_nano: i64) -> Option<i64> {
    let bytes = &line.as_bytes()[..line.len().min(LOOKED_AT_BYTES)];
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let first = |at: usize| self::at(&bytes[at..], now_unix_nano).map(|(time, end)| (time, at + end));
    let ends = |&(_, end): &(i64, usize)| bytes.get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    if let Some((time, _)) = first(start).filter(ends).or_else(|| squid(&bytes[start..])) {
        return Some(time);
    }
    let named = ["time=", "ts=", "timestamp="].into_iter().find_map(|name| {
        let at = memchr::memmem::find(bytes, name.as_bytes())?;
        let at = at + name.len();
        let at = at + usize::from(bytes.get(at) == Some(&b'"'));
        (at < bytes.len()).then(|| first(at)).flatten()
    });
    let (time, _) = named.or_else(|| memchr::memchr_iter(b'[', bytes).find_map(first))?;
    Some(time)
}

/// `1763805600.123` before a space: with a fraction a number at a line's beginning is a time.
fn squid(bytes: &[u8]) -> Option<(i64, usize)> {
    let end = bytes.iter().position(u8::is_ascii_whitespace)?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    text.contains('.').then(|| of_decimal(text))?.map(|time| (time, end))
}

/// The time that the bytes begin with, and where it ends.
fn at(bytes: &[u8], now_unix_nano: i64) -> Option<(i64, usize)> {
    let mut cursor = Cursor { bytes, at: 0 };
    let bracket = cursor.eat(b'[');
    let forms: &[fn(&mut Cursor<'_>, i64) -> Option<i64>] = match *bytes.get(cursor.at)? {
        b'0'..=b'9' => &[dashed, compact, day_first, year_first],
        b'I' | b'W' | b'E' | b'F' | b'D' if bytes.get(cursor.at + 1).is_some_and(u8::is_ascii_digit) => &[klog],
        b'A'..=b'Z' | b'a'..=b'z' => &[month_first, weekday_first],
        _ => return None,
    };
    let start = cursor.at;
    forms.iter().find_map(|form| {
        cursor.at = start;
        let time = form(&mut cursor, now_unix_nano)?;
        (!bracket || cursor.eat(b']')).then_some((time, cursor.at))
    })
}

/// `2026-11-22T10:00:00.123456789+01:00` (RFC 3339), `2026-11-22 10:00:00,123`, `2026/11/22 10:00:00`.
fn dashed(cursor: &mut Cursor<'_>, _: i64) -> Option<i64> {
    let year = cursor.digits(4, 4)?;
    let dash = cursor.eat_one(b"-/.")?;
    let month = cursor.digits(2, 2)?;
    cursor.eat(dash).then_some(())?;
    let day = cursor.digits(2, 2)?;
    cursor.eat_one(b"Tt _")?;
    let (clock, offset) = (cursor.clock()?, cursor.zone().unwrap_or_default());
    instant(i32::try_from(year).ok()?, month, day, clock, offset)
}

/// `20261122T100000Z`, `20261122T100000.123`.
fn compact(cursor: &mut Cursor<'_>, _: i64) -> Option<i64> {
    let (year, month, day) = (cursor.digits(4, 4)?, cursor.digits(2, 2)?, cursor.digits(2, 2)?);
    cursor.eat_one(b"T")?;
    let (hour, minute, second) = (cursor.digits(2, 2)?, cursor.digits(2, 2)?, cursor.digits(2, 2)?);
    let clock = Clock { hour, minute, second, nanos: cursor.fraction() };
    let offset = cursor.zone().unwrap_or_default();
    instant(i32::try_from(year).ok()?, month, day, clock, offset)
}

/// `22/Nov/2026:10:00:00 +0000` (Apache, nginx), `22 Nov 2026 10:00:00 GMT`, `22-Nov-2026 10:00:00.123`.
fn day_first(cursor: &mut Cursor<'_>, _: i64) -> Option<i64> {
    let day = cursor.digits(1, 2)?;
    let between = cursor.eat_one(b"/ -")?;
    let month = cursor.month()?;
    cursor.eat(between).then_some(())?;
    let year = cursor.digits(4, 4)?;
    cursor.eat_one(b": ")?;
    let (clock, offset) = (cursor.clock()?, cursor.zone().unwrap_or_default());
    instant(i32::try_from(year).ok()?, month, day, clock, offset)
}

/// `2026 Nov 22 10:00:00.123 UTC` (Cisco's switches).
fn year_first(cursor: &mut Cursor<'_>, _: i64) -> Option<i64> {
    let year = cursor.digits(4, 4)?;
    cursor.spaces()?;
    let month = cursor.month()?;
    cursor.spaces()?;
    let day = cursor.digits(1, 2)?;
    cursor.spaces()?;
    let (clock, offset) = (cursor.clock()?, cursor.zone().unwrap_or_default());
    instant(i32::try_from(year).ok()?, month, day, clock, offset)
}

/// `Nov 22 10:00:00`, `Nov  2 10:00:00.123`, `Nov 22 2026 10:00:00` (syslog of RFC 3164, and of Cisco).
fn month_first(cursor: &mut Cursor<'_>, now_unix_nano: i64) -> Option<i64> {
    let month = cursor.month()?;
    cursor.spaces()?;
    let day = cursor.digits(1, 2)?;
    cursor.spaces()?;
    let before = cursor.at;
    if let Some(year) = cursor.digits(4, 4)
        && cursor.spaces().is_some()
    {
        let (clock, offset) = (cursor.clock()?, cursor.zone().unwrap_or_default());
        return instant(i32::try_from(year).ok()?, month, day, clock, offset);
    }
    cursor.at = before;
    let clock = cursor.clock()?;
    // `date` and C's `asctime` write the zone and the year behind.
    let behind = cursor.at;
    let offset = cursor.zone();
    if cursor.spaces().is_some()
        && let Some(year) = cursor.digits(4, 4)
        && !cursor.here().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':' | b'.'))
    {
        return instant(i32::try_from(year).ok()?, month, day, clock, offset.unwrap_or_default());
    }
    cursor.at = behind;
    yearless(month, day, clock, cursor.zone().unwrap_or_default(), now_unix_nano)
}

/// `Sun, 22 Nov 2026 10:00:00 +0000` (RFC 2822), `Sun Nov 22 10:00:00.123456 2026` (Apache's errors), `Sunday, 22-Nov-2026 ...`.
fn weekday_first(cursor: &mut Cursor<'_>, now_unix_nano: i64) -> Option<i64> {
    let name = cursor.letters(9);
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let known = name.get(..3).is_some_and(|short| DAYS.iter().any(|day| day.as_bytes().eq_ignore_ascii_case(short)));
    known.then_some(())?;
    cursor.eat(b',');
    cursor.spaces()?;
    match cursor.here()? {
        b'0'..=b'9' => day_first(cursor, now_unix_nano),
        _ => month_first(cursor, now_unix_nano),
    }
}

/// `I1122 10:00:00.123456` (klog, glog): month and day without a year.
fn klog(cursor: &mut Cursor<'_>, now_unix_nano: i64) -> Option<i64> {
    cursor.at += 1;
    let (month, day) = (cursor.digits(2, 2)?, cursor.digits(2, 2)?);
    cursor.spaces()?;
    yearless(month, day, cursor.clock()?, 0, now_unix_nano)
}

#[derive(Clone, Copy)]
struct Clock {
    hour: u32,
    minute: u32,
    second: u32,
    nanos: i64,
}

/// Nanoseconds since 1970; the offset is in seconds east of Greenwich. The 60th second is the next minute's first.
fn instant(year: i32, month: u32, day: u32, clock: Clock, offset_seconds: i64) -> Option<i64> {
    let leap = i64::from(clock.second == 60);
    let second = clock.second - u32::from(clock.second == 60);
    let time = NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(clock.hour, clock.minute, second)?;
    let seconds = time.and_utc().timestamp() + leap - offset_seconds;
    seconds.checked_mul(SECOND)?.checked_add(clock.nanos).filter(|time| *time >= 0)
}

fn yearless(month: u32, day: u32, clock: Clock, offset_seconds: i64, now_unix_nano: i64) -> Option<i64> {
    let year = DateTime::from_timestamp_nanos(now_unix_nano).year();
    // The 29th of February may lie up to eight years back.
    (0..=8)
        .map(|back| year + 1 - back)
        .find_map(|year| instant(year, month, day, clock, offset_seconds).filter(|time| *time <= now_unix_nano.saturating_add(DAY)))
}

struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Cursor<'b> {
    fn here(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.eat_one(&[byte]).is_some()
    }

    fn eat_one(&mut self, of: &[u8]) -> Option<u8> {
        let byte = self.here().filter(|byte| of.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    fn spaces(&mut self) -> Option<()> {
        let start = self.at;
        while self.eat(b' ') {}
        (self.at > start).then_some(())
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        let (start, mut number) = (self.at, 0);
        while let Some(digit @ b'0'..=b'9') = self.here()
            && self.at - start < most
        {
            number = number * 10 + u32::from(digit - b'0');
            self.at += 1;
        }
        (self.at - start >= least).then_some(number)
    }

    fn letters(&mut self, most: usize) -> &'b [u8] {
        let start = self.at;
        while self.at - start < most && self.here().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            self.at += 1;
        }
        &self.bytes[start..self.at]
    }

    fn month(&mut self) -> Option<u32> {
        const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
        let name = self.letters(9);
        let month = MONTHS.iter().position(|month| name.len() == 3 && month.as_bytes().eq_ignore_ascii_case(name))?;
        u32::try_from(month + 1).ok()
    }

    /// `10:00:00`, with a fraction after a point or a comma, of which nanoseconds count.
    fn clock(&mut self) -> Option<Clock> {
        let hour = self.digits(2, 2)?;
        self.eat(b':').then_some(())?;
        let minute = self.digits(2, 2)?;
        self.eat(b':').then_some(())?;
        let second = self.digits(2, 2)?;
        Some(Clock { hour, minute, second, nanos: self.fraction() })
    }

    fn fraction(&mut self) -> i64 {
        let more = self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit);
        if !more || self.eat_one(b".,").is_none() {
            return 0;
        }
        let (mut nanos, mut place) = (0, SECOND);
        while let Some(digit @ b'0'..=b'9') = self.here() {
            place /= 10;
            nanos += i64::from(digit - b'0') * place;
            self.at += 1;
        }
        nanos
    }

    /// Seconds east of Greenwich of `Z`, `+01:00`, `-0130`, `+01`, `UTC`, `GMT`, with or without a space before.
    fn zone(&mut self) -> Option<i64> {
        let start = self.at;
        self.eat(b' ');
        let zone = self.zone_here();
        if zone.is_none() {
            self.at = start;
        }
        zone
    }

    fn zone_here(&mut self) -> Option<i64> {
        if let Some(sign) = self.eat_one(b"+-") {
            let hours = self.digits(2, 2)?;
            self.eat(b':');
            let minutes = self.digits(2, 2).unwrap_or(0);
            let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
            return (hours < 24 && minutes < 60).then_some(if sign == b'-' { -seconds } else { seconds });
        }
        matches!(self.letters(4), b"Z" | b"z" | b"UTC" | b"GMT").then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 12:00:00.
    const NOW: i64 = 1_795_348_800 * SECOND;
    /// 2026-11-22 10:00:00.
    const TEN: i64 = NOW - 7200 * SECOND;

    #[test]
    fn the_usual_forms_are_times() {
        for (text, expect) in [
            ("2026-11-22T10:00:00Z", TEN),
            ("2026-11-22t11:30:00.5+01:30", TEN + SECOND / 2),
            ("2026-11-22T10:00:00.1234567891Z", TEN + 123_456_789),
            ("2026-11-22 10:00:00,123", TEN + 123_000_000),
            ("2026-11-22 10:00:00.123 UTC", TEN + 123_000_000),
            ("2026-11-22 05:00:00 -0500", TEN),
            ("2026/11/22 10:00:00", TEN),
            ("20261122T100000Z", TEN),
            ("22/Nov/2026:10:00:00 +0000", TEN),
            ("[22/Nov/2026:12:00:00 +0200]", TEN),
            ("22 Nov 2026 10:00:00 GMT", TEN),
            ("Sun, 22 Nov 2026 10:00:00 +0000", TEN),
            ("Sun Nov 22 10:00:00 2026", TEN),
            ("Sun Nov 22 10:00:00 UTC 2026", TEN),
            ("[Sun Nov 22 10:00:00.000001 2026]", TEN + 1000),
            ("Nov 22 10:00:00", TEN),
            ("Nov 22 2026 10:00:00", TEN),
            ("2026 Nov 22 10:00:00.5 UTC", TEN + SECOND / 2),
            ("Nov 24 10:00:00", TEN - 363 * DAY),
            ("I1122 10:00:00.000001", TEN + 1000),
            ("1795341600", TEN),
            ("1795341600.25", TEN + SECOND / 4),
            ("1795341600123", TEN + 123_000_000),
            ("1795341600123456", TEN + 123_456_000),
            ("1795341600123456789", TEN + 123_456_789),
            ("2016-12-31T23:59:60Z", 1_483_228_800 * SECOND),
        ] {
            assert_eq!(of_text(text, NOW), Some(expect), "{text}");
        }
        for text in [
            "",
            "soon",
            "12",
            "0.5",
            "2026-13-01T00:00:00Z",
            "2026-11-22",
            "10:00:00",
            "2026-11-22T10:00:00Zebra",
            "Feb 30 10:00:00",
            "99999999999999999999",
            "2026-11-22T10:00:00Z x",
            "[2026-11-22T10:00:00Z",
            "1e9",
            "-1795341600",
            "9999-11-22T10:00:00Z",
            "\u{e9}2026",
        ] {
            assert_eq!(of_text(text, NOW), None, "{text}");
        }
    }

    #[test]
    fn a_line_says_its_time_at_its_beginning() {
        for (line, expect) in [
            ("2026-11-22T10:00:00Z hello", Some(TEN)),
            ("  2026-11-22 10:00:00,5: hello", Some(TEN + SECOND / 2)),
            ("127.0.0.1 - frank [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5", Some(TEN)),
            ("time=\"2026-11-22T10:00:00Z\" level=info", Some(TEN)),
            ("level=info ts=2026-11-22T10:00:00Z msg=x", Some(TEN)),
            ("E1122 10:00:00.000000   1 main.go:3] gone", Some(TEN)),
            ("1795341600.000    12 10.0.0.1 TCP_MISS/200", Some(TEN)),
            ("1795341600 sheep", None),
            ("May the force", None),
            ("meet me at 2026-11-22T10:00:00Z", None),
            ("[info] nothing", None),
            ("", None),
        ] {
            assert_eq!(in_line(line, NOW), expect, "{line}");
        }
    }
}
