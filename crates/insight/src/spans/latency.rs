use model::Identity;

use super::rows::{Example, Moment, SampleRows, Series};

/// The bounds of classic buckets, as numbers and as the label `le` has them.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    seconds: Vec<f64>,
    les: Vec<String>,
}

impl Bounds {
    pub(crate) fn new(seconds: Vec<f64>) -> Self {
        let les = seconds.iter().map(f64::to_string).chain(["+Inf".to_owned()]).collect();
        Self { seconds, les }
    }
}

/// A classic histogram of seconds.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    /// Of each bucket alone, the last without an upper bound; empty before the first observation.
    counts: Vec<u64>,
    sum: f64,
    /// The slowest since it was told last.
    example: Option<Example>,
    is_told: bool,
}

/// The names of a classic histogram's series.
pub(crate) struct Family {
    pub(crate) bucket: &'static str,
    pub(crate) sum: &'static str,
    pub(crate) count: &'static str,
    pub(crate) help: &'static str,
}

impl Latency {
    pub(crate) fn observe(&mut self, bounds: &Bounds, seconds: f64, example: impl FnOnce() -> Example) {
        self.counts.resize(bounds.les.len(), 0);
        self.counts[bounds.seconds.partition_point(|bound| *bound < seconds)] += 1;
        self.sum += seconds;
        if self.example.as_ref().is_none_or(|kept| kept.value < seconds) {
            self.example = Some(example());
        }
    }

    pub(crate) fn tell(
        &mut self,
        rows: &mut SampleRows,
        family: &Family,
        bounds: &Bounds,
        (owner, labels): (&Identity, &[(&str, &str)]),
        moment: Moment,
    ) {
        if self.counts.is_empty() {
            return;
        }
        let moment = Moment { is_first: !std::mem::replace(&mut self.is_told, true), ..moment };
        let example = self.example.take();
        let place = example.as_ref().map(|example| bounds.seconds.partition_point(|bound| *bound < example.value));
        let at = labels.partition_point(|(name, _)| *name < "le");
        let mut with_le = labels.to_vec();
        with_le.insert(at, ("le", ""));
        let (kind, help) = ("histogram", family.help);
        let mut count = 0;
        for (index, (le, own)) in bounds.les.iter().zip(&self.counts).enumerate() {
            count += own;
            with_le[at].1 = le;
            let series = Series { name: family.bucket, kind, help, labels: &with_le, owner };
            rows.counter(&series, moment, count as f64, example.as_ref().filter(|_| place == Some(index)));
        }
        rows.counter(&Series { name: family.sum, kind, help, labels, owner }, moment, self.sum, None);
        rows.counter(&Series { name: family.count, kind, help, labels, owner }, moment, count as f64, None);
    }
}
