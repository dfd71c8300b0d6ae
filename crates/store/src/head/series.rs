use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringBuilder};
use hashbrown::{HashMap, HashTable};
use model::samples::{SamplesBuilder, SamplesView, SeriesRow};
use model::schema::column;
use model::{Identity, Result, Table};

use super::chunk::{Chunk, Points};
use super::key::SeriesKey;

/// Bytes of a series besides its key and points: entry, chunk, index slot.
const SERIES_BYTES: usize = 200;
/// Bytes of a family besides its texts.
const FAMILY_BYTES: usize = 128;
/// Points, and rows, of one batch made from the head, so that a scan streams.
const BATCH_POINTS: usize = 256 << 10;
/// Bytes of one batch made from the head: a column of texts ends at 2 GiB.
const BATCH_BYTES: usize = 64 << 20;
/// Metric families remembered at a flush; those that nobody spoke of since the last one are forgotten first.
const FAMILIES_MAX: usize = 100_000;
/// Exemplars of one series between two flushes; further ones are counted and dropped.
const EXEMPLARS_PER_SERIES_MAX: usize = 1024;

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
pub(crate) struct Families {
    by_name: BTreeMap<String, Family>,
    /// Of those that changed since the last flush. The others are as many as `FAMILIES_MAX` allows, and a head that begins
    /// with them must not look full.
    changed_bytes: usize,
}

/// Samples: an open chunk per series, found by hash and compared whole: two series may share a `series_id`.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesHead {
    series: Vec<Series>,
    index: HashTable<u32>,
    /// The series of each metric name, which nearly every query gives.
    by_name: HashMap<Box<str>, Vec<u32>>,
    families: Arc<Families>,
    points: u64,
    /// Of series; families count their own.
    bytes: usize,
    /// Of one series and of families, none of stored rows: those are acknowledged.
    unbounded: bool,
    scratch: Vec<u8>,
}

/// Some series of a head as they were at one moment, and what is known of their families.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesSlice {
    pub(crate) series: Vec<Series>,
    pub(crate) families: Arc<Families>,
}

impl SeriesHead {
    /// For the rows of files, which no limit may thin out.
    pub(crate) fn unbounded() -> Self {
        Self { unbounded: true, ..Self::default() }
    }

    pub(crate) fn successor(&self) -> Self {
        Self { families: self.families.successor().into(), ..Self::default() }
    }

    pub(crate) fn push(&mut self, records: &RecordBatch) -> Result<()> {
        let view = SamplesView::of(records)?;
        let metadata: [&arrow::array::StringArray; 3] = [column(records, "type")?, column(records, "unit")?, column(records, "help")?];
        let mut unsettled = Vec::new();
        for row in 0..records.num_rows() {
            let [kind, unit, help] = metadata.map(|array| model::logs::text_or_empty(array, row));
            if !(kind.is_empty() && unit.is_empty() && help.is_empty()) {
                self.learn(model::logs::text_or_empty(view.name, row), kind, unit, help);
            }
            unsettled.extend(self.push_row(&view, row)?);
        }
        for at in unsettled {
            self.change(at, Chunk::settle);
        }
        Ok(())
    }

    /// Adds a row's points and exemplars; gives the series when its points must still be brought to their places.
    fn push_row(&mut self, view: &SamplesView<'_>, row: usize) -> Result<Option<usize>> {
        let (values, histograms) = (view.floats(row)?, view.histograms(row)?);
        let times = view.timestamps(row)?;
        let times = &times[..times.len().min(values.len().max(histograms.len()))];
        let mut exemplars = 0;
        if times.is_empty() {
            view.for_each_exemplar(row, |_| exemplars += 1)?;
            if exemplars == 0 {
                return Ok(None);
            }
        }
        let at = self.find_or_insert(view, row, !histograms.is_empty());
        let exemplars_max = if self.unbounded { usize::MAX } else { EXEMPLARS_PER_SERIES_MAX };
        let was_settled = self.series[at].chunk.is_settled();
        let mut dropped = 0;
        self.change(at, |chunk| {
            match histograms.is_empty() {
                true => chunk.floats(times, &values[..times.len()]),
                false => chunk.histograms(times, histograms),
            }
            view.for_each_exemplar(row, |exemplar| dropped += u64::from(!chunk.exemplar(exemplar, exemplars_max)))
        })?;
        if dropped > 0 {
            metrics::counter!("tyto_exemplars_dropped_total").increment(dropped);
        }
        Ok((was_settled && !self.series[at].chunk.is_settled()).then_some(at))
    }

    /// Changes a chunk and counts what that adds.
    fn change<R>(&mut self, at: usize, change: impl FnOnce(&mut Chunk) -> R) -> R {
        let chunk = Arc::make_mut(&mut self.series[at].chunk);
        let (points, bytes) = (chunk.times_ms().len(), chunk.bytes());
        let changed = change(chunk);
        self.points = self.points + chunk.times_ms().len() as u64 - points as u64;
        self.bytes = self.bytes + chunk.bytes() - bytes;
        changed
    }

    fn learn(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        // Asked first: a scan may hold the families, and changing them then copies them all.
        if self.families.knows(name, kind, unit, help) || (self.families.is_full_for(name) && !self.unbounded) {
            return;
        }
        Arc::make_mut(&mut self.families).learn(name, kind, unit, help);
    }

    fn find_or_insert(&mut self, view: &SamplesView<'_>, row: usize, histograms: bool) -> usize {
        let Self { series, index, by_name, scratch, bytes, .. } = self;
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
        by_name.entry_ref(model::logs::text_or_empty(view.name, row)).or_default().push(at);
        series.push(Series { key: SeriesKey::new(scratch), series_id, chunk: Arc::new(Chunk::new(histograms)) });
        at as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty() && !self.families.by_name.values().any(|family| family.changed)
    }

    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn points(&self) -> u64 {
        self.points
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.families.changed_bytes
    }

    /// The series for which `keep` says yes, in no order; with `names` only those so called are asked about.
    pub(crate) fn slice(&self, names: Option<&[String]>, mut keep: impl FnMut(&Series, &Families) -> bool) -> SeriesSlice {
        let mut keep = |series: &&Series| keep(series, &self.families);
        let series = match names {
            None => self.series.iter().filter(&mut keep).cloned().collect(),
            Some(names) => {
                let named = names.iter().filter_map(|name| self.by_name.get(name.as_str())).flatten();
                named.map(|&at| &self.series[at as usize]).filter(&mut keep).cloned().collect()
            }
        };
        SeriesSlice { series, families: self.families.clone() }
    }

    /// Families that changed since the last flush and have no series of their very name, as rows without points.
    pub(crate) fn family_rows(&self) -> Option<RecordBatch> {
        let changed: Vec<_> = self.families.by_name.iter().filter(|(_, family)| family.changed).collect();
        if changed.is_empty() {
            return None;
        }
        let mut builder = SamplesBuilder::default();
        for (name, family) in changed.into_iter().filter(|(name, _)| !self.by_name.contains_key(name.as_str())) {
            builder.push_series(&family.row(name), std::iter::empty());
        }
        (!builder.is_empty()).then(|| builder.finish())
    }
}

impl Families {
    fn knows(&self, name: &str, kind: &str, unit: &str, help: &str) -> bool {
        self.by_name.get(name).is_some_and(|known| known.kind == kind && known.unit == unit && known.help == help)
    }

    fn is_full_for(&self, name: &str) -> bool {
        self.by_name.len() >= FAMILIES_MAX && !self.by_name.contains_key(name)
    }

    fn learn(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let family = Family { kind: kind.to_owned(), unit: unit.to_owned(), help: help.to_owned(), changed: true };
        self.changed_bytes += family.bytes(name);
        if let Some(before) = self.by_name.insert(name.to_owned(), family).filter(|before| before.changed) {
            self.changed_bytes -= before.bytes(name);
        }
    }

    /// What the next head knows from the start. One that is full keeps only what was new in this one: else the first
    /// families that were ever heard of would keep out all others.
    fn successor(&self) -> Self {
        let full = self.by_name.len() >= FAMILIES_MAX;
        let kept = self.by_name.iter().filter(|(_, family)| family.changed || !full);
        Self { by_name: kept.map(|(name, family)| (name.clone(), Family { changed: false, ..family.clone() })).collect(), changed_bytes: 0 }
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
        self.by_name.get(name).or_else(|| {
            PARTS.iter().find_map(|(suffix, kinds)| {
                let family = self.by_name.get(name.strip_suffix(suffix)?)?;
                kinds.contains(&family.kind.as_str()).then_some(family)
            })
        })
    }
}

impl Family {
    fn bytes(&self, name: &str) -> usize {
        FAMILY_BYTES + name.len() + self.kind.len() + self.unit.len() + self.help.len()
    }

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
                && rows.bytes < BATCH_BYTES
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
    /// First and last instant of each row.
    times: [Vec<i64>; 2],
    /// Points; a row without any counts as one.
    points: usize,
    bytes: usize,
}

impl Rows {
    fn push(&mut self, series: &Series, family: Option<&Family>, chunk_points_max: usize) {
        let (key, chunk) = (&series.key, &*series.chunk);
        let row = family.map_or(SeriesRow { name: key.name(), ..SeriesRow::default() }, |family| family.row(key.name()));
        let (times, mut exemplars) = (chunk.times_ms(), chunk.exemplars());
        // A series whose points are elsewhere has one row for its exemplars.
        for start in (0..times.len().max(1)).step_by(chunk_points_max.max(1)) {
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
            let (first, last) = match &times[range] {
                [] => chunk.range_ms(),
                points => (points[0], points[points.len() - 1]),
            };
            self.times[0].push(first.saturating_mul(1_000_000));
            self.times[1].push(last.saturating_mul(1_000_000));
            self.bytes += key.len() + row.help.len();
            for (field, builder) in self.identity.iter_mut().enumerate() {
                match key.identity(field) {
                    "" => builder.append_null(),
                    text => builder.append_value(text),
                }
            }
        }
        self.points += times.len().max(1);
        self.bytes += chunk.bytes();
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let records = self.builder.finish();
        let mut columns = records.columns().to_vec();
        for (name, mut builder) in Identity::FIELDS.into_iter().zip(self.identity) {
            let at = Table::Samples.schema().index_of(name)?;
            columns[at] = Arc::new(builder.finish()) as ArrayRef;
        }
        let (first, last) = Table::Samples.time_columns();
        for (name, times) in [first, last].into_iter().zip(self.times) {
            columns[Table::Samples.schema().index_of(name)?] = Arc::new(Int64Array::from(times)) as ArrayRef;
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
    fn exemplars_without_points_are_kept_under_their_own_times() {
        let mut builder = SamplesBuilder::default();
        for timestamp_ms in [7, 5] {
            builder.exemplar(&Exemplar { timestamp_ms, trace_id: "ab", ..Exemplar::default() });
        }
        builder.push_series(&SeriesRow { name: "h_bucket", ..SeriesRow::default() }, [("le", "1")].into_iter());
        let mut head = SeriesHead::default();
        head.push(&builder.finish()).unwrap();
        assert!(!head.is_empty() && head.points() == 0);
        let batch = head.slice(None, |_, _| true).batches(2).next().unwrap().unwrap();
        let (first, last): (&Int64Array, &Int64Array) =
            (column(&batch, "min_time_unix_nano").unwrap(), column(&batch, "max_time_unix_nano").unwrap());
        assert_eq!((first.values().to_vec(), last.values().to_vec()), (vec![5_000_000], vec![7_000_000]));
        let mut again = SeriesHead::unbounded();
        again.push(&batch).unwrap();
        let mut times = Vec::new();
        let batch = again.slice(None, |_, _| true).batches(2).next().unwrap().unwrap();
        SamplesView::of(&batch).unwrap().for_each_exemplar(0, |exemplar| times.push(exemplar.timestamp_ms)).unwrap();
        assert_eq!(times, [5, 7]);
    }

    #[test]
    fn a_full_head_forgets_families_that_nobody_speaks_of() {
        let mut head = SeriesHead::default();
        for at in 0..FAMILIES_MAX {
            head.learn(&format!("family_{at}"), "gauge", "", "");
        }
        assert!(head.bytes() > FAMILIES_MAX * FAMILY_BYTES);
        head.learn("one_more", "gauge", "", "");
        assert!(head.families.of("one_more").is_none());
        let mut next = head.successor().successor();
        assert!(next.families.by_name.is_empty() && next.bytes() == 0);
        next.learn("one_more", "gauge", "", "");
        assert!(next.families.of("one_more").is_some());
    }

    #[test]
    fn points_of_a_series_gather_and_metadata_reaches_its_parts() {
        let mut head = SeriesHead::default();
        head.push(&batch("h_bucket", "", &[(1, 1.0), (3, 3.0)])).unwrap();
        head.push(&batch("h_bucket", "", &[(2, 2.0)])).unwrap();
        head.push(&batch("h", "histogram", &[])).unwrap();
        head.push(&batch("other", "", &[(1, 1.0)])).unwrap();
        assert_eq!((head.len(), head.points()), (2, 4));
        let mut slice = head.slice(Some(&["h_bucket".to_owned(), "none".to_owned()]), |_, _| true);
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
