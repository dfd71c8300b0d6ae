use model::NativeHistogram;
use model::samples::Exemplar;

/// The points of one series, by time ascending, one per instant.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    times_ms: Vec<i64>,
    points: Points,
    /// What came out of order since [`Self::settle`], as it came. Each point put in its place at once would move all behind
    /// it: a thousand late points of a long series would cost a thousand copies of it on the log's one thread.
    late: Vec<(i64, Point)>,
    exemplars: Vec<OwnedExemplar>,
    bytes: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Points {
    Floats(Vec<f64>),
    Histograms(Vec<NativeHistogram>),
}

#[derive(Clone, Debug)]
enum Point {
    Float(f64),
    Histogram(NativeHistogram),
}

#[derive(Clone, Debug)]
pub(crate) struct OwnedExemplar {
    timestamp_ms: i64,
    value: f64,
    trace_id: Box<str>,
    span_id: Box<str>,
    labels: Vec<(Box<str>, Box<str>)>,
}

impl Chunk {
    pub(crate) fn new(histograms: bool) -> Self {
        let points = match histograms {
            true => Points::Histograms(Vec::new()),
            false => Points::Floats(Vec::new()),
        };
        Self { times_ms: Vec::new(), points, late: Vec::new(), exemplars: Vec::new(), bytes: 0 }
    }

    pub(crate) fn times_ms(&self) -> &[i64] {
        &self.times_ms
    }

    pub(crate) fn points(&self) -> &Points {
        &self.points
    }

    pub(crate) fn exemplars(&self) -> &[OwnedExemplar] {
        &self.exemplars
    }

    /// Bytes of points and exemplars.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first and last instant of the points, of the exemplars where there is no point.
    pub(crate) fn range_ms(&self) -> (i64, i64) {
        match &self.times_ms[..] {
            [first, .., last] => (*first, *last),
            [only] => (*only, *only),
            [] => {
                let time = |exemplar: Option<&OwnedExemplar>| exemplar.map_or(0, OwnedExemplar::timestamp_ms);
                (time(self.exemplars.first()), time(self.exemplars.last()))
            }
        }
    }

    /// Adds floats. A point at an instant that is there already replaces it; a late one goes to its place, and both only
    /// once [`Self::settle`] is called.
    pub(crate) fn floats(&mut self, times_ms: &[i64], values: &[f64]) {
        let after = self.follows(times_ms);
        let Points::Floats(held) = &mut self.points else { unreachable!("the key says which kind of points a series has") };
        if after {
            self.times_ms.extend_from_slice(times_ms);
            held.extend_from_slice(values);
            self.bytes += size_of::<(i64, f64)>() * times_ms.len();
        } else {
            self.late.extend(times_ms.iter().zip(values).map(|(&time, &value)| (time, Point::Float(value))));
        }
    }

    /// Adds histograms, as [`Self::floats`].
    pub(crate) fn histograms(&mut self, times_ms: &[i64], histograms: Vec<NativeHistogram>) {
        let after = self.follows(times_ms);
        let Points::Histograms(held) = &mut self.points else { unreachable!("the key says which kind of points a series has") };
        if after {
            self.times_ms.extend_from_slice(times_ms);
            self.bytes += histograms.iter().map(histogram_bytes).sum::<usize>();
            held.extend(histograms);
        } else {
            self.late.extend(times_ms.iter().zip(histograms).map(|(&time, histogram)| (time, Point::Histogram(histogram))));
        }
    }

    /// Whether these points come strictly after all others. While late ones wait, nothing does: of one instant the point
    /// that came last stays.
    fn follows(&self, times_ms: &[i64]) -> bool {
        let after = self.times_ms.last().is_none_or(|last| times_ms.first().is_none_or(|first| last < first));
        self.late.is_empty() && after && times_ms.is_sorted_by(|a, b| a < b)
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.late.is_empty()
    }

    /// Brings late points to their places, all in one pass.
    pub(crate) fn settle(&mut self) {
        let mut late = std::mem::take(&mut self.late);
        late.sort_by_key(|(time, _)| *time);
        match &mut self.points {
            Points::Floats(held) => {
                merge(&mut self.times_ms, held, late, |point| if let Point::Float(value) = point { Some(value) } else { None });
                self.bytes = size_of::<(i64, f64)>() * held.len();
            }
            Points::Histograms(held) => {
                merge(&mut self.times_ms, held, late, |point| if let Point::Histogram(value) = point { Some(value) } else { None });
                self.bytes = held.iter().map(histogram_bytes).sum();
            }
        }
        self.bytes += self.exemplars.iter().map(OwnedExemplar::bytes).sum::<usize>();
    }

    /// Adds an exemplar unless the very same is there: scrapes repeat them until there is a newer one. False when there are
    /// as many as `max`.
    pub(crate) fn exemplar(&mut self, exemplar: &Exemplar<'_>, max: usize) -> bool {
        let time = exemplar.timestamp_ms;
        let start = self.exemplars.partition_point(|other| other.timestamp_ms < time);
        let same_time = self.exemplars[start..].partition_point(|other| other.timestamp_ms <= time);
        if self.exemplars[start..start + same_time].iter().any(|other| other.is(exemplar)) {
            return true;
        }
        if self.exemplars.len() >= max {
            return false;
        }
        let exemplar = OwnedExemplar::new(exemplar);
        self.bytes += exemplar.bytes();
        self.exemplars.insert(start + same_time, exemplar);
        true
    }
}

/// Merges sorted late points into the held ones. Of one instant the last late point stays.
fn merge<P>(times: &mut Vec<i64>, points: &mut Vec<P>, late: Vec<(i64, Point)>, take: impl Fn(Point) -> Option<P>) {
    let Some(&(first, _)) = late.first() else { return };
    let from = times.partition_point(|&time| time < first);
    let mut behind = times.split_off(from).into_iter().zip(points.split_off(from)).peekable();
    for (time, point) in late {
        while let Some((held_time, held)) = behind.next_if(|(held, _)| *held < time) {
            times.push(held_time);
            points.push(held);
        }
        // The held point of this instant is replaced.
        behind.next_if(|(held, _)| *held == time);
        let Some(point) = take(point) else { unreachable!("late points are of the chunk's kind") };
        match times.last() {
            Some(&last) if last == time => *points.last_mut().expect("as many points as times") = point,
            _ => {
                times.push(time);
                points.push(point);
            }
        }
    }
    for (time, held) in behind {
        times.push(time);
        points.push(held);
    }
}

fn histogram_bytes(histogram: &NativeHistogram) -> usize {
    let buckets = histogram.positive.len() + histogram.negative.len();
    size_of::<(i64, NativeHistogram)>() + size_of::<(i32, f64)>() * buckets + size_of::<f64>() * histogram.custom_bounds.len()
}

impl OwnedExemplar {
    fn new(exemplar: &Exemplar<'_>) -> Self {
        Self {
            timestamp_ms: exemplar.timestamp_ms,
            value: exemplar.value,
            trace_id: exemplar.trace_id.into(),
            span_id: exemplar.span_id.into(),
            labels: exemplar.labels.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        }
    }

    /// Equal to the bit: a NaN repeats itself.
    fn is(&self, other: &Exemplar<'_>) -> bool {
        let labels = self.labels.iter().map(|(name, value)| (&**name, &**value));
        self.timestamp_ms == other.timestamp_ms
            && self.value.to_bits() == other.value.to_bits()
            && *self.trace_id == *other.trace_id
            && *self.span_id == *other.span_id
            && labels.eq(other.labels.iter().copied())
    }

    fn bytes(&self) -> usize {
        let labels = self.labels.iter().map(|(name, value)| size_of::<(Box<str>, Box<str>)>() + name.len() + value.len());
        size_of::<Self>() + self.trace_id.len() + self.span_id.len() + labels.sum::<usize>()
    }

    pub(crate) fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&Exemplar<'_>) -> R) -> R {
        let labels: Vec<(&str, &str)> = self.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        use_it(&Exemplar {
            timestamp_ms: self.timestamp_ms,
            value: self.value,
            trace_id: &self.trace_id,
            span_id: &self.span_id,
            labels: &labels,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(chunk: &Chunk) -> &[f64] {
        match chunk.points() {
            Points::Floats(values) => values,
            Points::Histograms(_) => panic!("floats"),
        }
    }

    #[test]
    fn late_points_find_their_place_and_the_last_of_an_instant_stays() {
        let mut chunk = Chunk::new(false);
        chunk.floats(&[10, 20, 30], &[1.0, 2.0, 3.0]);
        chunk.floats(&[25, 5, 30], &[2.5, 0.5, 3.5]);
        chunk.floats(&[40, 40], &[4.0, 4.5]);
        // In order by itself, but the points of its instants that wait came before.
        chunk.floats(&[40, 50], &[4.7, 5.0]);
        assert!(!chunk.is_settled());
        chunk.settle();
        assert!(chunk.is_settled());
        assert_eq!(chunk.times_ms(), [5, 10, 20, 25, 30, 40, 50]);
        assert_eq!(floats(&chunk), [0.5, 1.0, 2.0, 2.5, 3.5, 4.7, 5.0]);
        assert_eq!((chunk.bytes(), chunk.range_ms()), (7 * 16, (5, 50)));
    }

    #[test]
    fn a_histogram_is_counted_by_its_buckets() {
        let mut chunk = Chunk::new(true);
        let histogram = |buckets: i32| NativeHistogram { positive: (0..buckets).map(|at| (at, 1.0)).collect(), ..Default::default() };
        chunk.histograms(&[1], vec![histogram(160)]);
        assert!(chunk.bytes() >= 160 * 16);
        chunk.histograms(&[1], vec![histogram(1)]);
        chunk.settle();
        assert!(chunk.times_ms() == [1] && chunk.bytes() < 1000, "the smaller one has replaced it: {}", chunk.bytes());
    }

    #[test]
    fn a_repeated_exemplar_is_kept_once_and_their_number_is_bounded() {
        let mut chunk = Chunk::new(false);
        let exemplar = |timestamp_ms, value| Exemplar { timestamp_ms, value, trace_id: "ab", ..Exemplar::default() };
        assert!(chunk.exemplar(&exemplar(5, f64::NAN), 2) && chunk.exemplar(&exemplar(5, f64::NAN), 2));
        assert_eq!(chunk.exemplars().len(), 1);
        assert!(chunk.exemplar(&exemplar(4, 1.0), 2));
        assert!(!chunk.exemplar(&exemplar(6, 1.0), 2), "two are enough");
        assert!(chunk.exemplar(&exemplar(4, 1.0), 2), "one that is there takes no place");
        assert_eq!(chunk.range_ms(), (4, 5));
    }
}
