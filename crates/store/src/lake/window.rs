use super::files::LakeFile;
use model::{Table, TimeRange};

const DAY_NS: i64 = 86_400_000_000_000;
/// A window of so many days is for rows that are ten times as old, so that nothing stays longer than a tenth over its time
/// because of its neighbours in a file.
const DAYS: [i64; 4] = [10_000, 1_000, 100, 10];
const AGE_FACTOR: i64 = 10;
/// How long after its end a window may still get rows in the ordinary course of things.
const LATE_NS: i64 = 3_600_000_000_000;

/// Time as compaction cuts it: rows of two windows end in two files, so that retention can drop whole ones. A day of the
/// last hundred, ten days of the last thousand, and so on, each the union of smaller ones; all that lies ahead is one window.
/// Ten years are 230 windows.
pub(crate) fn window(now_ns: i64, time_ns: i64) -> TimeRange {
    let ahead = aligned(now_ns, DAY_NS).end_ns.saturating_add(DAY_NS);
    if time_ns >= ahead {
        return TimeRange::new(ahead, i64::MAX);
    }
    let lengths = DAYS.map(|days| days * DAY_NS);
    let old_enough = |range: &TimeRange, length: i64| now_ns.saturating_sub(range.end_ns) >= length.saturating_mul(AGE_FACTOR);
    let larger = lengths.into_iter().map(|length| (aligned(time_ns, length), length)).find(|(range, length)| old_enough(range, *length));
    larger.map_or_else(|| aligned(time_ns, DAY_NS), |(range, _)| range)
}

fn aligned(time_ns: i64, length: i64) -> TimeRange {
    let start = time_ns.div_euclid(length).saturating_mul(length);
    TimeRange::new(start, start.saturating_add(length))
}

/// The windows that have an instant between these two, both included.
pub(crate) fn windows(now_ns: i64, first_ns: i64, last_ns: i64) -> impl Iterator<Item = TimeRange> {
    let mut next = Some(window(now_ns, first_ns));
    std::iter::from_fn(move || {
        let range = next.take_if(|range| range.start_ns <= last_ns)?;
        next = (range.end_ns < i64::MAX).then(|| window(now_ns, range.end_ns));
        Some(range)
    })
}

/// Whether no more rows are expected.
pub(crate) fn is_over(now_ns: i64, window: TimeRange) -> bool {
    window.end_ns.saturating_add(LATE_NS) <= now_ns
}

/// First and last instant of a file; of one without statistics all time.
pub(crate) fn time_of(table: Table, file: &LakeFile) -> (i64, i64) {
    file.stats.time(table).unwrap_or((i64::MIN, i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_grow_with_age_and_leave_no_gap() {
        let now = 20_000 * DAY_NS + 12 * 3600 * 1_000_000_000;
        let days = |age: i64| {
            let range = window(now, now - age * DAY_NS);
            (range.end_ns - range.start_ns) / DAY_NS
        };
        assert_eq!([0, 1, 99, 120, 999, 1_200, 9_999, 12_000].map(days), [1, 1, 1, 10, 10, 100, 100, 1_000]);
        assert_eq!(window(now, now + 400 * DAY_NS), window(now, i64::MAX), "one window ahead");
        let all: Vec<_> = windows(now, now - 3_660 * DAY_NS, i64::MAX).collect();
        assert!(all.windows(2).all(|pair| pair[0].end_ns == pair[1].start_ns), "each begins where the last one ends");
        assert_eq!(all.last().unwrap().end_ns, i64::MAX);
        assert!((200..240).contains(&all.len()), "{}", all.len());
        for range in &all {
            assert_eq!((window(now, range.start_ns), window(now, range.end_ns - 1)), (*range, *range));
        }
        assert_eq!(windows(now, i64::MIN, i64::MIN).count(), 1);
    }
}
