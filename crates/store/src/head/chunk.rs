use model::NativeHistogram;
use model::samples::Exemplar;

/// The points of one series, by time ascending, one per instant.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    times_ms: Vec<i64>,
    points: Points,
    exemplars: Vec<OwnedExemplar>,
}

#[derive(Clone, Debug)]
pub(crate) enum Points {
    Floats(Vec<f64>),
    Histograms(Vec<NativeHistogram>),
}

#[derive(Clone, Debug, PartialEq)]
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
        Self { times_ms: Vec::new(), points, exemplars: Vec::new() }
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

    /// Adds floats. A point at an instant that is there already replaces it; a late one goes to its place.
    pub(crate) fn floats(&mut self, times_ms: &[i64], values: &[f64]) {
        let Points::Floats(held) = &mut self.points else { unreachable!("the key says which kind of points a series has") };
        let after = self.times_ms.last().is_none_or(|last| times_ms.first().is_none_or(|first| last < first));
        if after && times_ms.is_sorted_by(|a, b| a < b) {
            self.times_ms.extend_from_slice(times_ms);
            held.extend_from_slice(values);
            return;
        }
        for (&time, &value) in times_ms.iter().zip(values) {
            place(&mut self.times_ms, held, time, value);
        }
    }

    /// Adds histograms, as [`Self::floats`].
    pub(crate) fn histograms(&mut self, times_ms: &[i64], histograms: Vec<NativeHistogram>) {
        let Points::Histograms(held) = &mut self.points else { unreachable!("the key says which kind of points a series has") };
        for (&time, histogram) in times_ms.iter().zip(histograms) {
            place(&mut self.times_ms, held, time, histogram);
        }
    }

    /// Adds an exemplar unless the very same is there: scrapes repeat them until there is a newer one.
    pub(crate) fn exemplar(&mut self, exemplar: &Exemplar<'_>) -> bool {
        let exemplar = OwnedExemplar {
            timestamp_ms: exemplar.timestamp_ms,
            value: exemplar.value,
            trace_id: exemplar.trace_id.into(),
            span_id: exemplar.span_id.into(),
            labels: exemplar.labels.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        };
        let new = !self.exemplars.contains(&exemplar);
        if new {
            let at = self.exemplars.partition_point(|other| other.timestamp_ms <= exemplar.timestamp_ms);
            self.exemplars.insert(at, exemplar);
        }
        new
    }
}

fn place<P>(times: &mut Vec<i64>, points: &mut Vec<P>, time: i64, point: P) {
    if times.last().is_none_or(|&last| last < time) {
        times.push(time);
        points.push(point);
        return;
    }
    match times.binary_search(&time) {
        Ok(index) => points[index] = point,
        Err(index) => {
            times.insert(index, time);
            points.insert(index, point);
        }
    }
}

impl OwnedExemplar {
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
        assert_eq!(chunk.times_ms(), [5, 10, 20, 25, 30, 40]);
        assert_eq!(floats(&chunk), [0.5, 1.0, 2.0, 2.5, 3.5, 4.5]);
    }

    #[test]
    fn a_repeated_exemplar_is_kept_once() {
        let mut chunk = Chunk::new(false);
        let exemplar = Exemplar { timestamp_ms: 5, value: 1.0, trace_id: "ab", ..Exemplar::default() };
        assert!(chunk.exemplar(&exemplar) && !chunk.exemplar(&exemplar));
        assert_eq!(chunk.exemplars().len(), 1);
    }
}
