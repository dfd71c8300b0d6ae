use model::NativeHistogram;
use model::samples::{Exemplar, NO_START};

use super::floats::Floats;

/// The points of one series, by time ascending, one per instant.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    points: Points,
    /// What most series do not have.
    extras: Option<Box<Extras>>,
}

#[derive(Clone, Debug)]
enum Points {
    Floats(Floats),
    Histograms(Box<Histograms>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Histograms {
    pub(crate) times_ms: Vec<i64>,
    pub(crate) values: Vec<NativeHistogram>,
    bytes: usize,
}

#[derive(Clone, Debug, Default)]
struct Extras {
    /// What came out of order since [`Chunk::settle`], as it came. Each point put in its place at once would move all behind
    /// it: a thousand late points of a long series would cost a thousand copies of it on the log's one thread.
    late: Vec<Late>,
    exemplars: Vec<OwnedExemplar>,
    exemplar_bytes: usize,
    /// Since when points count: from the point with that number on, until the next entry. Nothing is said before the first.
    starts: Vec<(u32, i64)>,
}

#[derive(Clone, Debug)]
struct Late {
    time_ms: i64,
    start_ms: i64,
    point: Point,
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
            true => Points::Histograms(Box::default()),
            false => Points::Floats(Floats::default()),
        };
        Self { points, extras: None }
    }

    /// The number of points.
    pub(crate) fn len(&self) -> usize {
        match &self.points {
            Points::Floats(floats) => floats.len(),
            Points::Histograms(histograms) => histograms.times_ms.len(),
        }
    }

    /// The histograms of a series of histograms.
    pub(crate) fn as_histograms(&self) -> Option<&Histograms> {
        match &self.points {
            Points::Floats(_) => None,
            Points::Histograms(histograms) => Some(histograms),
        }
    }

    /// The first and last point within these milliseconds, both ends included. Where `exact_first` is not asked for, the first may
    /// be later than that: the last, and whether there is a point, is mostly known without a look at all of them.
    pub(crate) fn range_within(&self, (first_ms, last_ms): (i64, i64), exact_first: bool) -> Option<(i64, i64)> {
        fn ends(times: impl Iterator<Item = i64>, (first_ms, last_ms): (i64, i64)) -> Option<(i64, i64)> {
            let mut within = times.skip_while(|time| *time < first_ms).take_while(|time| *time <= last_ms);
            let first = within.next()?;
            Some((first, within.last().unwrap_or(first)))
        }
        let (first, last) = self.points_range_ms()?;
        if last < first_ms || first > last_ms {
            return None;
        }
        if last <= last_ms && (first_ms <= first || !exact_first) {
            return Some((first.max(first_ms).min(last), last));
        }
        match &self.points {
            Points::Floats(floats) => ends(floats.iter().map(|(time, _)| time), (first_ms, last_ms)),
            Points::Histograms(histograms) => ends(histograms.times_ms.iter().copied(), (first_ms, last_ms)),
        }
    }

    /// Appends the floats of a series of floats that lie within these milliseconds, both ends included, to `times_ms` and
    /// `values`; gives the number of the first.
    pub(crate) fn unpack(&self, (first_ms, last_ms): (i64, i64), times_ms: &mut Vec<i64>, values: &mut Vec<f64>) -> usize {
        let Points::Floats(floats) = &self.points else { return 0 };
        let (mut before, mut points) = (0, floats.iter());
        let mut next = points.next();
        while let Some((time, _)) = next
            && time < first_ms
        {
            before += 1;
            next = points.next();
        }
        while let Some((time, value)) = next
            && time <= last_ms
        {
            times_ms.push(time);
            values.push(value);
            next = points.next();
        }
        before
    }

    /// Writes since when each point counts over what was in `starts_ms`: nothing when no point says.
    pub(crate) fn unpack_starts(&self, starts_ms: &mut Vec<i64>) {
        starts_ms.clear();
        let runs = self.extras.as_deref().map_or(&[][..], |extras| &extras.starts);
        let mut until = runs.iter().skip(1).map(|(from, _)| *from as usize).chain([self.len()]);
        for (from, start_ms) in runs {
            starts_ms.resize(*from as usize, NO_START);
            starts_ms.resize(until.next().expect("as many ends as runs"), *start_ms);
        }
    }

    pub(crate) fn exemplars(&self) -> &[OwnedExemplar] {
        self.extras.as_deref().map_or(&[], |extras| &extras.exemplars)
    }

    /// Bytes of points and exemplars.
    pub(crate) fn bytes(&self) -> usize {
        let points = match &self.points {
            Points::Floats(floats) => floats.bytes(),
            Points::Histograms(histograms) => histograms.bytes,
        };
        points + self.extras.as_ref().map_or(0, |extras| extras.bytes())
    }

    /// The first and last instant of the points, of the exemplars where there is no point.
    pub(crate) fn range_ms(&self) -> (i64, i64) {
        self.points_range_ms().unwrap_or_else(|| {
            let time = |exemplar: Option<&OwnedExemplar>| exemplar.map_or(0, OwnedExemplar::timestamp_ms);
            (time(self.exemplars().first()), time(self.exemplars().last()))
        })
    }

    fn points_range_ms(&self) -> Option<(i64, i64)> {
        match &self.points {
            Points::Floats(floats) => floats.range_ms(),
            Points::Histograms(histograms) => histograms.times_ms.first().copied().zip(histograms.times_ms.last().copied()),
        }
    }

    /// Adds a float and since when it counts. One at an instant that is there already replaces it; a late one goes to its
    /// place, and both only once [`Self::settle`] is called.
    #[inline]
    pub(crate) fn float(&mut self, time_ms: i64, value: f64, start_ms: i64) {
        let Points::Floats(floats) = &mut self.points else { unreachable!("the key says which kind of points a series has") };
        let after = floats.last_ms().is_none_or(|last| last < time_ms);
        if after && start_ms == NO_START && self.extras.is_none() {
            return floats.push(time_ms, value);
        }
        let extras = self.extras.get_or_insert_default();
        // While late ones wait, nothing comes after all others: of one instant the point that came last stays.
        match after && extras.late.is_empty() {
            true => {
                extras.start(floats.len(), start_ms);
                floats.push(time_ms, value);
            }
            false => extras.late.push(Late { time_ms, start_ms, point: Point::Float(value) }),
        }
    }

    /// Adds a histogram, as [`Self::float`].
    pub(crate) fn histogram(&mut self, time_ms: i64, histogram: NativeHistogram, start_ms: i64) {
        let after = self.is_settled() && self.points_range_ms().is_none_or(|(_, last)| last < time_ms);
        let Points::Histograms(held) = &mut self.points else { unreachable!("the key says which kind of points a series has") };
        if !after {
            let late = Late { time_ms, start_ms, point: Point::Histogram(histogram) };
            return self.extras.get_or_insert_default().late.push(late);
        }
        if start_ms != NO_START || self.extras.is_some() {
            self.extras.get_or_insert_default().start(held.values.len(), start_ms);
        }
        held.times_ms.push(time_ms);
        held.bytes += histogram_bytes(&histogram);
        held.values.push(histogram);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.extras.as_ref().is_none_or(|extras| extras.late.is_empty())
    }

    /// Brings late points to their places, all in one pass.
    pub(crate) fn settle(&mut self) {
        let mut starts_ms = Vec::new();
        self.unpack_starts(&mut starts_ms);
        starts_ms.resize(self.len(), NO_START);
        let Some(extras) = &mut self.extras else { return };
        let mut late = std::mem::take(&mut extras.late);
        late.sort_by_key(|late| late.time_ms);
        extras.starts.clear();
        match &mut self.points {
            Points::Floats(floats) => {
                let (mut times_ms, values): (Vec<_>, Vec<_>) = floats.iter().unzip();
                let mut points: Vec<_> = values.into_iter().zip(starts_ms).collect();
                merge(&mut times_ms, &mut points, late, |point| if let Point::Float(value) = point { Some(value) } else { None });
                *floats = Floats::default();
                for (time_ms, (value, start_ms)) in times_ms.into_iter().zip(points) {
                    extras.start(floats.len(), start_ms);
                    floats.push(time_ms, value);
                }
            }
            Points::Histograms(held) => {
                let take = |point| if let Point::Histogram(value) = point { Some(value) } else { None };
                let mut points: Vec<_> = std::mem::take(&mut held.values).into_iter().zip(starts_ms).collect();
                merge(&mut held.times_ms, &mut points, late, take);
                held.bytes = points.iter().map(|(histogram, _)| histogram_bytes(histogram)).sum();
                for (at, (histogram, start_ms)) in points.into_iter().enumerate() {
                    extras.start(at, start_ms);
                    held.values.push(histogram);
                }
            }
        }
        if extras.exemplars.is_empty() && extras.starts.is_empty() {
            self.extras = None;
        }
    }

    /// Adds an exemplar unless the very same is there: scrapes repeat them until there is a newer one. False when there are
    /// as many as `max`.
    pub(crate) fn exemplar(&mut self, exemplar: &Exemplar<'_>, max: usize) -> bool {
        let Extras { exemplars, exemplar_bytes, .. } = &mut **self.extras.get_or_insert_default();
        let time = exemplar.timestamp_ms;
        let start = exemplars.partition_point(|other| other.timestamp_ms < time);
        let same_time = exemplars[start..].partition_point(|other| other.timestamp_ms <= time);
        if exemplars[start..start + same_time].iter().any(|other| other.is(exemplar)) {
            return true;
        }
        if exemplars.len() >= max {
            return false;
        }
        let exemplar = OwnedExemplar::new(exemplar);
        *exemplar_bytes += exemplar.bytes();
        exemplars.insert(start + same_time, exemplar);
        true
    }
}

impl Extras {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.exemplar_bytes + self.starts.capacity() * size_of::<(u32, i64)>()
    }

    /// Notes since when the point counts that comes next, which has that number.
    fn start(&mut self, number: usize, start_ms: i64) {
        if self.starts.last().map_or(NO_START, |(_, start_ms)| *start_ms) != start_ms {
            self.starts.push((u32::try_from(number).expect("head_bytes_max allows fewer points"), start_ms));
        }
    }
}

/// Merges sorted late points into the held ones, each with its start. Of one instant the last late point stays.
fn merge<P>(times: &mut Vec<i64>, points: &mut Vec<(P, i64)>, late: Vec<Late>, take: impl Fn(Point) -> Option<P>) {
    let Some(first) = late.first().map(|late| late.time_ms) else { return };
    let from = times.partition_point(|&time| time < first);
    let mut behind = times.split_off(from).into_iter().zip(points.split_off(from)).peekable();
    for Late { time_ms, start_ms, point } in late {
        while let Some((held_time, held)) = behind.next_if(|(held, _)| *held < time_ms) {
            times.push(held_time);
            points.push(held);
        }
        // The held point of this instant is replaced.
        behind.next_if(|(held, _)| *held == time_ms);
        let Some(point) = take(point) else { unreachable!("late points are of the chunk's kind") };
        match times.last() {
            Some(&last) if last == time_ms => *points.last_mut().expect("as many points as times") = (point, start_ms),
            _ => {
                times.push(time_ms);
                points.push((point, start_ms));
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

    fn push(chunk: &mut Chunk, points: &[(i64, f64)]) {
        points.iter().for_each(|&(time, value)| chunk.float(time, value, NO_START));
    }

    #[test]
    fn late_points_find_their_place_and_the_last_of_an_instant_stays() {
        let mut chunk = Chunk::new(false);
        push(&mut chunk, &[(10, 1.0), (20, 2.0), (30, 3.0)]);
        push(&mut chunk, &[(25, 2.5), (5, 0.5), (30, 3.5)]);
        push(&mut chunk, &[(40, 4.0), (40, 4.5)]);
        // In order by itself, but the points of its instants that wait came before.
        push(&mut chunk, &[(40, 4.7), (50, 5.0)]);
        assert!(!chunk.is_settled());
        chunk.settle();
        assert!(chunk.is_settled());
        let (mut times, mut values) = (Vec::new(), Vec::new());
        chunk.unpack((i64::MIN, i64::MAX), &mut times, &mut values);
        assert_eq!(times, [5, 10, 20, 25, 30, 40, 50]);
        assert_eq!(values, [0.5, 1.0, 2.0, 2.5, 3.5, 4.7, 5.0]);
        assert_eq!((chunk.len(), chunk.range_ms()), (7, (5, 50)));
        assert_eq!(chunk.unpack((20, 30), &mut times, &mut values), 2);
        assert_eq!((&times[7..], &values[7..]), (&[20, 25, 30][..], &[2.0, 2.5, 3.5][..]));
        let ranges = [(i64::MIN, 4), (0, 5), (11, 19), (11, 24), (22, 60), (51, i64::MAX), (0, 60)];
        let found = [None, Some((5, 5)), None, Some((20, 20)), Some((25, 50)), None, Some((5, 50))];
        assert_eq!(ranges.map(|range| chunk.range_within(range, true)), found);
        assert_eq!(chunk.range_within((22, 60), false), Some((22, 50)));
        assert_eq!(chunk.range_within((22, 40), false), Some((25, 40)));
    }

    #[test]
    fn starts_follow_their_points() {
        let starts = |chunk: &Chunk| {
            let mut starts = Vec::new();
            chunk.unpack_starts(&mut starts);
            starts
        };
        let mut chunk = Chunk::new(false);
        push(&mut chunk, &[(10, 1.0), (20, 2.0)]);
        assert!(starts(&chunk).is_empty());
        [(30, 5), (40, 5), (50, NO_START)].into_iter().for_each(|(time, start)| chunk.float(time, 0.0, start));
        assert_eq!(starts(&chunk), [0, 0, 5, 5, 0]);
        // One that is replaced, one between, one with nothing to tell where something was told.
        [(20, 19), (35, 34), (40, NO_START)].into_iter().for_each(|(time, start)| chunk.float(time, 9.0, start));
        chunk.settle();
        assert_eq!(starts(&chunk), [0, 19, 5, 34, 0, 0]);
        [(10, 0), (20, 0), (30, 0), (35, 0)].into_iter().for_each(|(time, start)| chunk.float(time, 9.0, start));
        chunk.settle();
        assert!(starts(&chunk).is_empty() && chunk.extras.is_none());

        let mut chunk = Chunk::new(true);
        [(20, 10), (40, 20), (30, 10), (10, NO_START)]
            .into_iter()
            .for_each(|(time, start)| chunk.histogram(time, NativeHistogram::default(), start));
        chunk.settle();
        assert_eq!(starts(&chunk), [0, 10, 10, 20]);
    }

    #[test]
    fn a_histogram_is_counted_by_its_buckets() {
        let mut chunk = Chunk::new(true);
        let histogram = |buckets: i32| NativeHistogram { positive: (0..buckets).map(|at| (at, 1.0)).collect(), ..Default::default() };
        chunk.histogram(1, histogram(160), NO_START);
        assert!(chunk.bytes() >= 160 * 16);
        chunk.histogram(1, histogram(1), NO_START);
        chunk.settle();
        assert!(chunk.len() == 1 && chunk.bytes() < 1000, "the smaller one has replaced it: {}", chunk.bytes());
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
