/// The per-second increase of a counter over `(start, end]`, as Prometheus extrapolates it: resets are added back, and
/// the increase is stretched towards the window's edges, half an interval at most when a sample is far from its edge, and
/// never below the counter's zero. None with less than two samples.
pub(super) fn extrapolated_rate(samples: &[(i64, f64)], start_ns: i64, end_ns: i64) -> Option<f64> {
    let (&(first_ns, first), &(last_ns, last)) = (samples.first()?, samples.last()?);
    if samples.len() < 2 || first_ns == last_ns {
        return None;
    }
    let resets: f64 = samples.windows(2).map(|pair| if pair[1].1 < pair[0].1 { pair[0].1 } else { 0.0 }).sum();
    let increase = last - first + resets;
    let seconds = |nanos: i64| nanos as f64 / 1e9;
    let sampled = seconds(last_ns - first_ns);
    let interval = sampled / (samples.len() - 1) as f64;
    let capped = |gap: f64| if gap >= interval * 1.1 { interval / 2.0 } else { gap };
    let mut before = capped(seconds(first_ns - start_ns));
    if increase > 0.0 && first >= 0.0 {
        before = before.min(sampled * (first / increase));
    }
    let after = capped(seconds(end_ns - last_ns));
    Some(increase * ((sampled + before + after) / sampled) / seconds(end_ns - start_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_and_resets() {
        let second = 1_000_000_000;
        let check = |samples: &[(i64, f64)], start: i64, end: i64, expect: Option<f64>| {
            let samples: Vec<_> = samples.iter().map(|&(at, value)| (at * second, value)).collect();
            assert_eq!(extrapolated_rate(&samples, start * second, end * second), expect);
        };
        check(&[(75, 30.0), (105, 90.0)], 45, 105, Some(1.5));
        check(&[(30, 30.0), (60, 60.0), (90, 90.0), (120, 30.0), (150, 60.0)], 30, 150, Some(1.0));
        check(&[(150, 600.0), (180, 660.0)], 90, 240, Some(0.8));
        check(&[(75, 30.0)], 45, 105, None);
    }
}
