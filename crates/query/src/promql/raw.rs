use model::samples::STALE_BITS;
use model::{Answer, Answered, Matcher, NativeHistogram, QueryLimits, RangeSeries, Result};

use super::value::Points;
use super::{PromqlEngine, range_series, sorted, source};
use crate::guard::{Guard, blocking};
use crate::selector::Compiled;

impl PromqlEngine {
    /// Every stored sample from the first to the last millisecond, staleness marks among them, by label set.
    pub async fn samples(&self, matchers: &[Matcher], first_ms: i64, last_ms: i64, limits: &QueryLimits) -> Result<Answer> {
        for matcher in matchers {
            // The scan must not be the first to find out that an expression is broken.
            Compiled::new(matcher)?;
        }
        let guard = Guard::new(limits);
        let _cancel = guard.cancel_on_drop();
        let work = async {
            let decoder = source::read(&self.scan, matchers, &[(first_ms, last_ms)], false, &guard).await?;
            blocking(move || {
                let (points, _charge) = decoder.finish();
                Ok(sorted(points.into_iter().map(with_marks).collect()))
            })
            .await
        };
        let series = tokio::time::timeout(limits.timeout, work).await.map_err(|_| guard.timed_out())??;
        Ok(Answer::new(Answered::Matrix(series)))
    }
}

/// A mark stands among samples of the kind that it ends.
fn with_marks(mut points: Points) -> RangeSeries {
    let marks = std::mem::take(&mut points.stale_times);
    let RangeSeries { labels, floats, histograms } = range_series(points);
    let stale = f64::from_bits(STALE_BITS);
    let (mut marked_floats, mut marked_histograms) = (Vec::with_capacity(floats.len()), Vec::with_capacity(histograms.len()));
    let (mut floats, mut histograms) = (floats.into_iter().peekable(), histograms.into_iter().peekable());
    for mark in marks {
        marked_floats.extend(std::iter::from_fn(|| floats.next_if(|(at, _)| *at < mark)));
        marked_histograms.extend(std::iter::from_fn(|| histograms.next_if(|(at, _)| *at < mark)));
        let newest = (marked_floats.last().map(|(at, _)| *at), marked_histograms.last().map(|(at, _)| *at));
        let of_floats = match newest {
            // Before everything else: it is of the kind that follows.
            (None, None) => histograms.peek().is_none(),
            (float, histogram) => float > histogram,
        };
        match of_floats {
            true => marked_floats.push((mark, stale)),
            false => marked_histograms.push((mark, NativeHistogram { sum: stale, ..NativeHistogram::default() })),
        }
    }
    marked_floats.extend(floats);
    marked_histograms.extend(histograms);
    RangeSeries { labels, floats: marked_floats, histograms: marked_histograms }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_mark_ends_what_is_before_it() {
        let points = Points {
            float_times: vec![10, 40].into(),
            floats: vec![1.0, 2.0].into(),
            histogram_times: vec![20],
            histograms: vec![Arc::default()],
            stale_times: vec![15, 30, 50],
            ..Points::default()
        };
        let series = with_marks(points);
        let stale = |value: f64| value.to_bits() == STALE_BITS;
        let floats: Vec<_> = series.floats.iter().map(|(at, value)| (*at, stale(*value))).collect();
        assert_eq!(floats, [(10, false), (15, true), (40, false), (50, true)]);
        let histograms: Vec<_> = series.histograms.iter().map(|(at, found)| (*at, stale(found.sum))).collect();
        assert_eq!(histograms, [(20, false), (30, true)]);
    }
}
