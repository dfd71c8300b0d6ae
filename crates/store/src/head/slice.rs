use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringBuilder};
use model::samples::{SamplesBuilder, SeriesRow};
use model::{Identity, Result, Table};

use super::chunk::Chunk;
use super::families::{Families, Family};
use super::key::SeriesKey;

/// Points, and rows, of one batch made from the head, so that a scan streams.
const BATCH_POINTS: usize = 256 << 10;
/// Bytes of one batch made from the head: a column of texts ends at 2 GiB.
const BATCH_BYTES: usize = 64 << 20;

/// One series of a head and its points at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) key: SeriesKey,
    pub(crate) series_id: i64,
    pub(crate) chunk: Chunk,
}

/// Some series of a head as they were at one moment, and what is known of their families.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesSlice {
    pub(crate) series: Vec<Series>,
    pub(crate) families: Arc<Families>,
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
    /// Of the series at hand, unpacked.
    times_ms: Vec<i64>,
    values: Vec<f64>,
    starts_ms: Vec<i64>,
}

impl Rows {
    fn push(&mut self, series: &Series, family: Option<&Family>, chunk_points_max: usize) {
        let (key, chunk) = (&series.key, &series.chunk);
        let row = family.map_or(SeriesRow { name: key.name(), ..SeriesRow::default() }, |family| family.row(key.name()));
        let (mut unpacked, mut values, mut exemplars) =
            (std::mem::take(&mut self.times_ms), std::mem::take(&mut self.values), chunk.exemplars());
        let times = match chunk.as_histograms() {
            Some(histograms) => &histograms.times_ms,
            None => {
                chunk.unpack(&mut unpacked, &mut values);
                &unpacked
            }
        };
        chunk.unpack_starts(&mut self.starts_ms);
        // A series whose points are elsewhere has one row for its exemplars.
        for start in (0..times.len().max(1)).step_by(chunk_points_max.max(1)) {
            let range = start..times.len().min(start + chunk_points_max.max(1));
            match chunk.as_histograms() {
                None => self.builder.floats(&times[range.clone()], &values[range.clone()]),
                Some(histograms) => range.clone().for_each(|index| self.builder.histogram(times[index], &histograms.values[index])),
            }
            self.builder.starts(self.starts_ms.get(range.clone()).unwrap_or_default());
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
        (self.times_ms, self.values) = (unpacked, values);
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
