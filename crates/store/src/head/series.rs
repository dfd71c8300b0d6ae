use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use hashbrown::HashTable;
use model::samples::{SamplesBuilder, SamplesView, SeriesRow};
use model::schema::column;
use model::{Identity, Result, Table};

use super::chunk::{Chunk, Points};
use super::key::SeriesKey;

/// Bytes of a series besides its key and points: entry, chunk, index slot.
const SERIES_BYTES: usize = 160;
const FLOAT_BYTES: usize = 16;
const HISTOGRAM_BYTES: usize = 200;
const EXEMPLAR_BYTES: usize = 160;
/// Points of one batch made from the head, so that a scan streams.
const BATCH_POINTS: usize = 256 << 10;
/// Metric families remembered; more keep their metadata only on their own rows.
const FAMILIES_MAX: usize = 100_000;

/// One series of the head and its points so far. Cheap to clone: a scan takes clones, and the next point written to the
/// series then copies its chunk once.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) key: SeriesKey,
    pub(crate) series_id: i64,
    pub(crate) chunk: Arc<Chunk>,
}

/// What is known of a metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) unit: String,
    pub(crate) help: String,
    /// Heard of, or changed, since the last flush.
    changed: bool,
}

/// Metric families by name, sorted so that files come out the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Families(BTreeMap<String, Family>);

/// Samples: an open chunk per series, found by hash and compared whole: two series may share a `series_id`.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesHead {
    series: Vec<Series>,
    index: HashTable<u32>,
    families: Arc<Families>,
    points: u64,
    bytes: usize,
    scratch: Vec<u8>,
}

/// Some series of a head as they were at one moment, and what is known of their families.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesSlice {
    pub(crate) series: Vec<Series>,
    pub(crate) families: Arc<Families>,
}

impl SeriesHead {
    pub(crate) fn successor(&self) -> Self {
        let mut families = (*self.families).clone();
        families.0.values_mut().for_each(|family| family.changed = false);
        Self { families: families.into(), ..Self::default() }
    }

    pub(crate) fn push(&mut self, records: &RecordBatch) -> Result<()> {
        let view = SamplesView::of(records)?;
        let metadata: [&arrow::array::StringArray; 3] = [column(records, "type")?, column(records, "unit")?, column(records, "help")?];
        for row in 0..records.num_rows() {
            let [kind, unit, help] = metadata.map(|array| model::logs::text_or_empty(array, row));
            if !(kind.is_empty() && unit.is_empty() && help.is_empty()) {
                Arc::make_mut(&mut self.families).learn(model::logs::text_or_empty(view.name, row), kind, unit, help);
            }
            self.push_row(&view, row)?;
        }
        Ok(())
    }

    fn push_row(&mut self, view: &SamplesView<'_>, row: usize) -> Result<()> {
        let times = view.timestamps(row)?;
        if times.is_empty() {
            return Ok(());
        }
        let values = view.floats(row)?;
        let at = self.find_or_insert(view, row, values.is_empty());
        let chunk = Arc::make_mut(&mut self.series[at].chunk);
        let before = chunk.times_ms().len();
        match values.is_empty() {
            false => chunk.floats(times, values),
            true => chunk.histograms(times, view.histograms(row)?),
        }
        let added = chunk.times_ms().len() - before;
        let mut exemplars = 0;
        view.for_each_exemplar(row, |exemplar| exemplars += usize::from(chunk.exemplar(exemplar)))?;
        self.points += added as u64;
        self.bytes += added * if values.is_empty() { HISTOGRAM_BYTES } else { FLOAT_BYTES } + exemplars * EXEMPLAR_BYTES;
        Ok(())
    }

    fn find_or_insert(&mut self, view: &SamplesView<'_>, row: usize, histograms: bool) -> usize {
        let Self { series, index, scratch, bytes, .. } = self;
        SeriesKey::encode(scratch, view, row, histograms);
        let series_id = view.series_id.value(row);
        // `series_id` is a good 64-bit hash already.
        let hash = series_id.cast_unsigned();
        let found = index.find(hash, |&at| {
            let candidate = &series[at as usize];
            candidate.series_id == series_id && candidate.key.is(scratch)
        });
        if let Some(&at) = found {
            return at as usize;
        }
        let at = u32::try_from(series.len()).expect("head_bytes_max keeps a head under 2^32 series");
        index.insert_unique(hash, at, |&at| series[at as usize].series_id.cast_unsigned());
        *bytes += SERIES_BYTES + scratch.len();
        series.push(Series { key: SeriesKey::new(scratch), series_id, chunk: Arc::new(Chunk::new(histograms)) });
        at as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty() && !self.families.0.values().any(|family| family.changed)
    }

    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn points(&self) -> u64 {
        self.points
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The series for which `keep` says yes, in no order.
    pub(crate) fn slice(&self, mut keep: impl FnMut(&Series, &Families) -> bool) -> SeriesSlice {
        let series = self.series.iter().filter(|series| keep(series, &self.families)).cloned().collect();
        SeriesSlice { series, families: self.families.clone() }
    }

    /// Families that changed since the last flush and have no series of their very name, as rows without points.
    pub(crate) fn family_rows(&self) -> Option<RecordBatch> {
        let changed: Vec<_> = self.families.0.iter().filter(|(_, family)| family.changed).collect();
        if changed.is_empty() {
            return None;
        }
        let named: HashSet<&str> = self.series.iter().map(|series| series.key.name()).collect();
        let mut builder = SamplesBuilder::default();
        for (name, family) in changed.into_iter().filter(|(name, _)| !named.contains(name.as_str())) {
            builder.push_series(&family.row(name), std::iter::empty());
        }
        (!builder.is_empty()).then(|| builder.finish())
    }
}

impl Families {
    fn learn(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        match self.0.get(name) {
            Some(known) if known.kind == kind && known.unit == unit && known.help == help => {}
            None if self.0.len() >= FAMILIES_MAX => {}
            _ => {
                let family = Family { kind: kind.to_owned(), unit: unit.to_owned(), help: help.to_owned(), changed: true };
                self.0.insert(name.to_owned(), family);
            }
        }
    }

    /// The family of a series' name: its own, or for the parts of histograms, summaries and counters that of their whole.
    pub(crate) fn of(&self, name: &str) -> Option<&Family> {
        const PARTS: [(&str, &[&str]); 6] = [
            ("_bucket", &["histogram", "gaugehistogram"]),
            ("_count", &["histogram", "gaugehistogram", "summary"]),
            ("_sum", &["histogram", "gaugehistogram", "summary"]),
            ("_total", &["counter"]),
            ("_created", &["counter", "histogram", "summary"]),
            ("_info", &["info"]),
        ];
        self.0.get(name).or_else(|| {
            PARTS.iter().find_map(|(suffix, kinds)| {
                let family = self.0.get(name.strip_suffix(suffix)?)?;
                kinds.contains(&family.kind.as_str()).then_some(family)
            })
        })
    }
}

impl Family {
    fn row<'a>(&'a self, name: &'a str) -> SeriesRow<'a> {
        SeriesRow { name, kind: &self.kind, unit: &self.unit, help: &self.help }
    }
}

impl SeriesSlice {
    /// In the order of a lake file.
    pub(crate) fn sort(&mut self) {
        self.series.sort_by(|a, b| a.key.name().cmp(b.key.name()).then(a.series_id.cmp(&b.series_id)).then_with(|| a.key.cmp(&b.key)));
    }

    /// Canonical batches, at most `chunk_points_max` points per row.
    pub(crate) fn batches(self, chunk_points_max: usize) -> impl Iterator<Item = Result<RecordBatch>> + Send {
        let mut series = self.series.into_iter().peekable();
        let families = self.families;
        std::iter::from_fn(move || {
            series.peek()?;
            let mut rows = Rows::default();
            while rows.points < BATCH_POINTS
                && let Some(next) = series.next()
            {
                rows.push(&next, families.of(next.key.name()), chunk_points_max);
            }
            Some(rows.finish())
        })
    }
}

/// Builds canonical rows from series; identity columns included.
#[derive(Default)]
struct Rows {
    builder: SamplesBuilder,
    identity: [StringBuilder; 6],
    points: usize,
}

impl Rows {
    fn push(&mut self, series: &Series, family: Option<&Family>, chunk_points_max: usize) {
        let (key, chunk) = (&series.key, &*series.chunk);
        let row = family.map_or(SeriesRow { name: key.name(), ..SeriesRow::default() }, |family| family.row(key.name()));
        let (times, mut exemplars) = (chunk.times_ms(), chunk.exemplars());
        for start in (0..times.len()).step_by(chunk_points_max.max(1)) {
            let range = start..times.len().min(start + chunk_points_max.max(1));
            match chunk.points() {
                Points::Floats(values) => self.builder.floats(&times[range.clone()], &values[range.clone()]),
                Points::Histograms(histograms) => {
                    range.clone().for_each(|index| self.builder.histogram(times[index], &histograms[index]));
                }
            }
            // Exemplars go with the row of their time; the last row takes what is left.
            let until = times.get(range.end).copied().unwrap_or(i64::MAX);
            let here = exemplars.partition_point(|exemplar| until == i64::MAX || exemplar.timestamp_ms() < until);
            exemplars[..here].iter().for_each(|exemplar| exemplar.with(|exemplar| self.builder.exemplar(exemplar)));
            exemplars = &exemplars[here..];
            self.builder.push_series(&row, key.labels());
            for (field, builder) in self.identity.iter_mut().enumerate() {
                match key.identity(field) {
                    "" => builder.append_null(),
                    text => builder.append_value(text),
                }
            }
        }
        self.points += times.len();
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let records = self.builder.finish();
        let mut columns = records.columns().to_vec();
        for (name, mut builder) in Identity::FIELDS.into_iter().zip(self.identity) {
            let at = Table::Samples.schema().index_of(name)?;
            columns[at] = Arc::new(builder.finish()) as ArrayRef;
        }
        Ok(RecordBatch::try_new(records.schema(), columns)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, StringArray};
    use model::samples::Exemplar;

    fn batch(name: &str, kind: &str, points: &[(i64, f64)]) -> RecordBatch {
        let mut builder = SamplesBuilder::default();
        points.iter().for_each(|&(time, value)| builder.float(time, value));
        if !points.is_empty() {
            builder.exemplar(&Exemplar { timestamp_ms: points[0].0, trace_id: "ab", ..Exemplar::default() });
        }
        builder.push_series(&SeriesRow { name, kind, ..SeriesRow::default() }, [("a", "1")].into_iter());
        builder.finish()
    }

    #[test]
    fn points_of_a_series_gather_and_metadata_reaches_its_parts() {
        let mut head = SeriesHead::default();
        head.push(&batch("h_bucket", "", &[(1, 1.0), (3, 3.0)])).unwrap();
        head.push(&batch("h_bucket", "", &[(2, 2.0)])).unwrap();
        head.push(&batch("h", "histogram", &[])).unwrap();
        head.push(&batch("other", "", &[(1, 1.0)])).unwrap();
        assert_eq!((head.len(), head.points()), (2, 4));
        let mut slice = head.slice(|series, _| series.key.name() == "h_bucket");
        slice.sort();
        let batches: Vec<_> = slice.batches(2).map(Result::unwrap).collect();
        assert_eq!(batches.len(), 1);
        let view = SamplesView::of(&batches[0]).unwrap();
        assert_eq!((view.timestamps(0).unwrap(), view.timestamps(1).unwrap()), (&[1, 2][..], &[3][..]));
        let kinds: &StringArray = column(&batches[0], "type").unwrap();
        assert_eq!((kinds.value(0), kinds.value(1)), ("histogram", "histogram"));
        let mut exemplars = 0;
        view.for_each_exemplar(0, |_| exemplars += 1).unwrap();
        view.for_each_exemplar(1, |_| exemplars += 10).unwrap();
        assert_eq!(exemplars, 2);

        let rows = head.family_rows().expect("h has no series of its own name");
        assert_eq!(rows.num_rows(), 1);
        assert!(head.successor().family_rows().is_none() && head.successor().is_empty());
        let kinds: &StringArray = column(&rows, "type").unwrap();
        assert!(kinds.is_valid(0) && kinds.value(0) == "histogram");
    }
}
