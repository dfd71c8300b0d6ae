//! How many members come at which time of day.

/// How much of the average traffic there is at a local time of day: quiet at five in the morning, a bump at noon, prime time at
/// half past eight in the evening; weekends are a little busier. The mean over a week is about one.
pub fn level(unix_seconds: u64, utc_offset_hours: i64) -> f64 {
    let local = unix_seconds.cast_signed() + utc_offset_hours * 3600;
    let hour = local.rem_euclid(86_400) as f64 / 3600.0;
    // Day 0 of the Unix epoch was a Thursday.
    let weekend = matches!(local.div_euclid(86_400).rem_euclid(7), 2 | 3);
    let bump = |centre: f64, width: f64| {
        let distance = (hour - centre + 12.0).rem_euclid(24.0) - 12.0;
        (-(distance / width).powi(2)).exp()
    };
    let shape = 0.28 + 2.05 * bump(20.5, 3.4) + 0.55 * bump(12.5, 3.2);
    shape * if weekend { 1.12 } else { 0.95 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenings_are_busy_nights_are_quiet_and_the_mean_is_one() {
        let at = |hour: u64| level(hour * 3600, 0);
        assert!(at(20) > 4.0 * at(4), "prime time {} night {}", at(20), at(4));
        assert!(at(12) > at(16) * 0.8 && at(12) < at(20));
        let week: f64 = (0..7 * 24 * 4).map(|quarter| level(quarter * 900, 3)).sum::<f64>() / (7.0 * 24.0 * 4.0);
        assert!((0.9..1.15).contains(&week), "mean {week}");
    }

    #[test]
    fn each_region_has_its_own_evening() {
        assert_eq!(level(20 * 3600, 0), level(11 * 3600, 9));
    }
}
