//! Builds and reads canonical `samples` batches: a row is one series and a chunk of its points.
//!
//! A row holds floats (`values`) or native histograms (`histograms`), one per timestamp, never both; a series that
//! changes its kind has two rows. A row without timestamps and exemplars carries only a metric's type, unit and help.
//! Where a point says since when it counts, the row has a start per timestamp, [`NO_START`] for those that do not say.
//! Timestamps are milliseconds since the Unix epoch, the resolution of Prometheus: nanoseconds would cost three bytes
//! a sample for digits that nobody sent.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float64Array, Float64Builder, Int32Array, Int32Builder, Int64Array, Int64Builder, ListArray, MapArray, RecordBatch,
    StringArray, StringBuilder, StructArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use crate::attributes::{AttributeValue, AttributesBuilder, AttributesView};
use crate::logs::append_text;
use crate::schema::{Table, column, exemplar_fields, histogram_fields, list_element};
use crate::{Decoded, Error, Identity, Labels, Naming, NativeHistogram, Result, series_id};

/// The start timestamp of a point that does not say since when it counts, as in Prometheus.
pub const NO_START: i64 = 0;

/// What a series is called, apart from its labels.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeriesRow<'a> {
    pub name: &'a str,
    /// `counter`, `gauge`, `histogram`, `gaugehistogram`, `summary`, `info`, `stateset`; empty when not known.
    pub kind: &'a str,
    pub unit: &'a str,
    pub help: &'a str,
}

/// Appends series. Add points and exemplars first, then end the row with [`Self::push_series`].
#[derive(Default)]
pub struct SamplesBuilder {
    name: StringBuilder,
    labels: LabelsColumn,
    series_id: Int64Builder,
    kind: StringBuilder,
    unit: StringBuilder,
    help: StringBuilder,
    min_time: Vec<i64>,
    max_time: Vec<i64>,
    timestamps: Vec<i64>,
    timestamp_offsets: Offsets,
    values: Vec<f64>,
    value_offsets: Offsets,
    value_valid: Vec<bool>,
    histograms: HistogramsColumn,
    exemplars: ExemplarsColumn,
    starts: StartsColumn,
}

/// Start timestamps, of rows that have any.
#[derive(Default)]
struct StartsColumn {
    millis: Vec<i64>,
    offsets: Offsets,
    valid: Vec<bool>,
}

impl StartsColumn {
    fn row(&self) -> usize {
        self.millis.len() - self.offsets.last()
    }

    /// Ends a row of so many points.
    fn finish_row(&mut self, points: usize) {
        let is_told = self.row() > 0;
        self.millis.resize(self.offsets.last() + if is_told { points } else { 0 }, NO_START);
        self.valid.push(is_told);
        self.offsets.push(self.millis.len());
    }

    fn finish(&mut self) -> ArrayRef {
        let millis = Arc::new(Int64Array::from(std::mem::take(&mut self.millis)));
        let valid = NullBuffer::from(std::mem::take(&mut self.valid));
        Arc::new(ListArray::new(list_element(DataType::Int64), self.offsets.take(), millis, Some(valid)))
    }
}

/// A map column without types.
struct LabelsColumn(AttributesBuilder);

impl Default for LabelsColumn {
    fn default() -> Self {
        Self(AttributesBuilder::new())
    }
}

struct Offsets(Vec<i32>);

impl Default for Offsets {
    fn default() -> Self {
        Self(vec![0])
    }
}

impl Offsets {
    fn last(&self) -> usize {
        *self.0.last().expect("offsets start with 0") as usize
    }

    fn push(&mut self, end: usize) {
        self.0.push(i32::try_from(end).expect("a batch holds under 2^31 points: head and request limits see to it"));
    }

    fn take(&mut self) -> OffsetBuffer<i32> {
        OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.0, vec![0])))
    }
}

/// Series that Tyto makes of what others sent: whose each is, is known already.
#[derive(Default)]
pub struct OwnedSamples {
    pub points: SamplesBuilder,
    owners: [StringBuilder; Identity::FIELDS.len()],
}

impl OwnedSamples {
    /// Ends the row with the points that were added.
    pub fn push_series<'a>(&mut self, row: &SeriesRow<'_>, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone, owner: &Identity) {
        self.points.push_series(row, labels);
        for (column, value) in self.owners.iter_mut().zip(owner.values()) {
            append_text(column, value);
        }
    }

    /// The batch, by the name of who made it; empty again. None when there is no row.
    pub fn finish(&mut self, maker: &'static str) -> Result<Option<Decoded>> {
        if self.points.is_empty() {
            return Ok(None);
        }
        let (schema, mut columns, _) = self.points.finish().into_parts();
        for (name, owners) in Identity::FIELDS.into_iter().zip(&mut self.owners) {
            columns[schema.index_of(name)?] = Arc::new(owners.finish()) as ArrayRef;
        }
        let records = RecordBatch::try_new(schema, columns)?;
        Ok(Some(Decoded { naming: Naming::Settled, ..Decoded::new(Table::Samples, records, maker) }))
    }
}

impl SamplesBuilder {
    /// Rows ended so far.
    pub fn len(&self) -> usize {
        self.min_time.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a float to the row under construction, which must hold no histogram.
    pub fn float(&mut self, timestamp_ms: i64, value: f64) {
        debug_assert!(self.histograms.row_is_empty(), "a row holds floats or histograms, never both");
        self.timestamps.push(timestamp_ms);
        self.values.push(value);
    }

    /// Says since when the point added last counts: milliseconds, or [`NO_START`].
    pub fn start(&mut self, start_ms: i64) {
        if start_ms != NO_START {
            self.starts.millis.resize(self.starts.offsets.last() + self.row_times().len() - 1, NO_START);
            self.starts.millis.push(start_ms);
        }
    }

    /// The same for all points of the row; `starts_ms` is empty when none of them says.
    pub fn starts(&mut self, starts_ms: &[i64]) {
        if starts_ms.iter().any(|start| *start != NO_START) {
            assert_eq!(starts_ms.len(), self.row_times().len(), "every point has its start");
            self.starts.millis.extend_from_slice(starts_ms);
        }
    }

    /// Adds many floats at once.
    pub fn floats(&mut self, timestamps_ms: &[i64], values: &[f64]) {
        assert_eq!(timestamps_ms.len(), values.len(), "every value has its timestamp");
        self.timestamps.extend_from_slice(timestamps_ms);
        self.values.extend_from_slice(values);
    }

    /// Times and floats of the row under construction, to be appended to, as many to the one as to the other.
    pub fn floats_mut(&mut self) -> (&mut Vec<i64>, &mut Vec<f64>) {
        (&mut self.timestamps, &mut self.values)
    }

    /// Adds a histogram to the row under construction, which must hold no float.
    pub fn histogram(&mut self, timestamp_ms: i64, histogram: &NativeHistogram) {
        debug_assert_eq!(self.values.len(), self.value_offsets.last(), "a row holds floats or histograms, never both");
        self.timestamps.push(timestamp_ms);
        self.histograms.push(histogram);
    }

    pub fn exemplar(&mut self, exemplar: &Exemplar<'_>) {
        self.exemplars.push(exemplar);
    }

    /// Times of the row under construction.
    pub fn row_times(&self) -> &[i64] {
        &self.timestamps[self.timestamp_offsets.last()..]
    }

    /// Makes room for so many points more.
    pub fn reserve_points(&mut self, points: usize) {
        self.timestamps.reserve(points);
        self.values.reserve(points);
    }

    /// Ends the row. `labels` are sorted by name, each name once, without `__name__`, without empty values.
    /// A row without points carries metadata only; its time is 0.
    pub fn push_series<'a>(&mut self, row: &SeriesRow<'_>, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
        self.push_numbered(row, series_id(row.name, labels.clone()), labels);
    }

    /// The same for whoever knows the [`series_id`] of the name and the labels.
    pub fn push_numbered<'a>(&mut self, row: &SeriesRow<'_>, id: i64, labels: impl Iterator<Item = (&'a str, &'a str)>) {
        let times = self.row_times();
        let (first_ms, last_ms) = (times.iter().min().copied().unwrap_or(0), times.iter().max().copied().unwrap_or(0));
        self.push_timed(row, id, labels, (first_ms, last_ms));
    }

    /// The same for whoever knows the first and the last instant, of what is in the row or of what it is about.
    pub fn push_timed<'a>(
        &mut self,
        row: &SeriesRow<'_>,
        id: i64,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        (first_ms, last_ms): (i64, i64),
    ) {
        append_text(&mut self.name, row.name);
        append_text(&mut self.kind, row.kind);
        append_text(&mut self.unit, row.unit);
        append_text(&mut self.help, row.help);
        self.series_id.append_value(id);
        for (name, value) in labels {
            self.labels.0.append(name, AttributeValue::Text(value));
        }
        self.labels.0.finish_row();

        self.starts.finish_row(self.row_times().len());
        self.min_time.push(first_ms.saturating_mul(1_000_000));
        self.max_time.push(last_ms.saturating_mul(1_000_000));
        self.value_valid.push(self.values.len() > self.value_offsets.last());
        self.timestamp_offsets.push(self.timestamps.len());
        self.value_offsets.push(self.values.len());
        self.histograms.finish_row();
        self.exemplars.finish_row();
    }

    /// The batch, identity columns null; the builder is empty again.
    pub fn finish(&mut self) -> RecordBatch {
        let rows = self.len();
        let (labels, _) = self.labels.0.finish();
        let timestamps = ListArray::new(
            list_element(DataType::Int64),
            self.timestamp_offsets.take(),
            Arc::new(Int64Array::from(std::mem::take(&mut self.timestamps))),
            None,
        );
        let values = ListArray::new(
            list_element(DataType::Float64),
            self.value_offsets.take(),
            Arc::new(Float64Array::from(std::mem::take(&mut self.values))),
            Some(NullBuffer::from(std::mem::take(&mut self.value_valid))),
        );
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.name.finish())];
        columns.extend(Identity::FIELDS.map(|_| new_null_array(&DataType::Utf8, rows)));
        columns.extend([
            labels,
            Arc::new(self.series_id.finish()) as ArrayRef,
            Arc::new(self.kind.finish()),
            Arc::new(self.unit.finish()),
            Arc::new(self.help.finish()),
            Arc::new(Int64Array::from(std::mem::take(&mut self.min_time))),
            Arc::new(Int64Array::from(std::mem::take(&mut self.max_time))),
            Arc::new(timestamps),
            Arc::new(values),
            self.histograms.finish(),
            self.exemplars.finish(),
            self.starts.finish(),
        ]);
        RecordBatch::try_new(Table::Samples.schema(), columns).expect("SamplesBuilder fills every column of schema::samples")
    }
}

#[derive(Default)]
struct NumbersColumn {
    values: Float64Builder,
    offsets: Offsets,
}

#[derive(Default)]
struct IndicesColumn {
    values: Int32Builder,
    offsets: Offsets,
}

impl NumbersColumn {
    fn push(&mut self, values: impl Iterator<Item = f64>) {
        values.for_each(|value| self.values.append_value(value));
        self.offsets.push(self.values.values_slice().len());
    }

    fn finish(&mut self) -> ArrayRef {
        let values = Arc::new(self.values.finish());
        Arc::new(ListArray::new(list_element(DataType::Float64), self.offsets.take(), values, None))
    }
}

impl IndicesColumn {
    fn push(&mut self, values: impl Iterator<Item = i32>) {
        values.for_each(|value| self.values.append_value(value));
        self.offsets.push(self.values.values_slice().len());
    }

    fn finish(&mut self) -> ArrayRef {
        let values = Arc::new(self.values.finish());
        Arc::new(ListArray::new(list_element(DataType::Int32), self.offsets.take(), values, None))
    }
}

#[derive(Default)]
struct HistogramsColumn {
    schema: Int32Builder,
    /// count, sum, zero_threshold, zero_count.
    numbers: [Float64Builder; 4],
    positive: (IndicesColumn, NumbersColumn),
    negative: (IndicesColumn, NumbersColumn),
    custom_bounds: NumbersColumn,
    reset_hint: Int32Builder,
    offsets: Offsets,
    valid: Vec<bool>,
}

impl HistogramsColumn {
    fn len(&self) -> usize {
        self.schema.values_slice().len()
    }

    fn row_is_empty(&self) -> bool {
        self.len() == self.offsets.last()
    }

    fn push(&mut self, histogram: &NativeHistogram) {
        self.schema.append_value(histogram.schema);
        let numbers = [histogram.count, histogram.sum, histogram.zero_threshold, histogram.zero_count];
        for (builder, number) in self.numbers.iter_mut().zip(numbers) {
            builder.append_value(number);
        }
        for (column, buckets) in [(&mut self.positive, &histogram.positive), (&mut self.negative, &histogram.negative)] {
            column.0.push(buckets.iter().map(|bucket| bucket.0));
            column.1.push(buckets.iter().map(|bucket| bucket.1));
        }
        self.custom_bounds.push(histogram.custom_bounds.iter().copied());
        self.reset_hint.append_value(histogram.reset_hint);
    }

    fn finish_row(&mut self) {
        self.valid.push(!self.row_is_empty());
        self.offsets.push(self.len());
    }

    fn finish(&mut self) -> ArrayRef {
        let [count, sum, zero_threshold, zero_count] = self.numbers.each_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let columns = vec![
            Arc::new(self.schema.finish()) as ArrayRef,
            count,
            sum,
            zero_threshold,
            zero_count,
            self.positive.0.finish(),
            self.positive.1.finish(),
            self.negative.0.finish(),
            self.negative.1.finish(),
            self.custom_bounds.finish(),
            Arc::new(self.reset_hint.finish()),
        ];
        let elements = StructArray::new(histogram_fields(), columns, None);
        let valid = NullBuffer::from(std::mem::take(&mut self.valid));
        Arc::new(ListArray::new(list_element(DataType::Struct(histogram_fields())), self.offsets.take(), Arc::new(elements), Some(valid)))
    }
}

/// A staleness mark is this NaN and no other: the value of a float, the sum of a histogram.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

#[derive(Clone, Copy, Debug, Default)]
pub struct Exemplar<'a> {
    pub timestamp_ms: i64,
    pub value: f64,
    pub trace_id: &'a str,
    pub span_id: &'a str,
    /// Without `trace_id` and `span_id`.
    pub labels: &'a [(&'a str, &'a str)],
}

#[derive(Default)]
struct ExemplarsColumn {
    timestamp: Int64Builder,
    value: Float64Builder,
    trace_id: StringBuilder,
    span_id: StringBuilder,
    labels: LabelsColumn,
    offsets: Offsets,
    valid: Vec<bool>,
}

impl ExemplarsColumn {
    fn push(&mut self, exemplar: &Exemplar<'_>) {
        self.timestamp.append_value(exemplar.timestamp_ms);
        self.value.append_value(exemplar.value);
        append_text(&mut self.trace_id, exemplar.trace_id);
        append_text(&mut self.span_id, exemplar.span_id);
        for (name, value) in exemplar.labels {
            self.labels.0.append(name, AttributeValue::Text(value));
        }
        self.labels.0.finish_row();
    }

    fn finish_row(&mut self) {
        let len = self.timestamp.values_slice().len();
        self.valid.push(len > self.offsets.last());
        self.offsets.push(len);
    }

    fn finish(&mut self) -> ArrayRef {
        let columns = vec![
            Arc::new(self.timestamp.finish()) as ArrayRef,
            Arc::new(self.value.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            self.labels.0.finish().0,
        ];
        let elements = StructArray::new(exemplar_fields(), columns, None);
        let valid = NullBuffer::from(std::mem::take(&mut self.valid));
        Arc::new(ListArray::new(list_element(DataType::Struct(exemplar_fields())), self.offsets.take(), Arc::new(elements), Some(valid)))
    }
}

/// The columns that reading series needs; the batch must hold them all.
pub struct SamplesView<'a> {
    pub name: &'a StringArray,
    pub labels: AttributesView<'a>,
    pub series_id: &'a Int64Array,
    timestamps: &'a ListArray,
    values: &'a ListArray,
    histograms: &'a ListArray,
    /// None when they were not asked for; starts also in rows of a log from before they were kept.
    exemplars: Option<&'a ListArray>,
    starts: Option<&'a ListArray>,
}

/// Columns that not every reader needs: [`SamplesView::for_each_exemplar`] and [`SamplesView::starts`].
pub const EXEMPLARS: &str = "exemplars";
pub const START_TIMESTAMPS: &str = "start_timestamps";

impl<'a> SamplesView<'a> {
    /// The columns that every view needs.
    pub const COLUMNS: [&'static str; 6] = ["name", "labels", "series_id", "timestamps", "values", "histograms"];

    pub fn of(batch: &'a RecordBatch) -> Result<Self> {
        Ok(Self {
            name: column(batch, "name")?,
            labels: AttributesView::of(batch, "labels", None)?,
            series_id: column(batch, "series_id")?,
            timestamps: column(batch, "timestamps")?,
            values: column(batch, "values")?,
            histograms: column(batch, "histograms")?,
            exemplars: column_if_there(batch, EXEMPLARS)?,
            starts: column_if_there(batch, START_TIMESTAMPS)?,
        })
    }

    /// The label set with `__name__`, as Prometheus has it. (Identity labels are among the labels: `pipeline` stamps them.)
    pub fn label_set(&self, row: usize) -> Labels {
        let name = ("__name__", crate::logs::text_or_empty(self.name, row));
        let mut labels = self.labels.iter(row).peekable();
        match labels.peek() {
            // As nearly always, the name's label comes first, and then all are in order.
            Some((first, _)) if *first > name.0 && !name.1.is_empty() => Labels::from_sorted(std::iter::once(name).chain(labels)),
            _ => Labels::from_pairs(std::iter::once(name).chain(labels)),
        }
    }

    /// Milliseconds since the Unix epoch, as many as values or histograms.
    pub fn timestamps(&self, row: usize) -> Result<&'a [i64]> {
        let values: &Int64Array = elements(self.timestamps)?;
        Ok(&values.values()[list_range(self.timestamps, row)])
    }

    /// Times and floats of some points of a row of floats, by their numbers, as they lie in the batch.
    pub fn shared_floats(&self, row: usize, points: Range<usize>) -> Result<(ScalarBuffer<i64>, ScalarBuffer<f64>)> {
        let (times, values): (&Int64Array, &Float64Array) = (elements(self.timestamps)?, elements(self.values)?);
        let from = |list: &ListArray| list_range(list, row).start + points.start;
        Ok((times.values().slice(from(self.timestamps), points.len()), values.values().slice(from(self.values), points.len())))
    }

    /// Since when each point counts, in milliseconds; empty when none of them says.
    pub fn starts(&self, row: usize) -> Result<&'a [i64]> {
        let Some(starts) = self.starts else { return Ok(&[]) };
        let values: &Int64Array = elements(starts)?;
        Ok(&values.values()[list_range(starts, row)])
    }

    /// Empty when the row holds histograms.
    pub fn floats(&self, row: usize) -> Result<&'a [f64]> {
        let values: &Float64Array = elements(self.values)?;
        Ok(&values.values()[list_range(self.values, row)])
    }

    /// Empty when the row holds floats.
    pub fn histograms(&self, row: usize) -> Result<Vec<NativeHistogram>> {
        let range = list_range(self.histograms, row);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let reader = HistogramsReader::of(elements(self.histograms)?)?;
        range.map(|index| reader.read(index)).collect()
    }

    /// Calls `each` with every exemplar of the row.
    pub fn for_each_exemplar(&self, row: usize, mut each: impl FnMut(&Exemplar<'_>)) -> Result<()> {
        let Some(exemplars) = self.exemplars else { return Ok(()) };
        let range = list_range(exemplars, row);
        if range.is_empty() {
            return Ok(());
        }
        let all: &StructArray = elements(exemplars)?;
        let labels = AttributesView::of_map(field::<MapArray>(all, 4)?, None);
        let (timestamp, value): (&Int64Array, &Float64Array) = (field(all, 0)?, field(all, 1)?);
        let (trace_id, span_id): (&StringArray, &StringArray) = (field(all, 2)?, field(all, 3)?);
        for index in range {
            let pairs: Vec<_> = labels.iter(index).collect();
            each(&Exemplar {
                timestamp_ms: timestamp.value(index),
                value: value.value(index),
                trace_id: crate::logs::text_or_empty(trace_id, index),
                span_id: crate::logs::text_or_empty(span_id, index),
                labels: &pairs,
            });
        }
        Ok(())
    }
}

fn column_if_there<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<Option<&'a A>> {
    batch.column_by_name(name).map(|_| column(batch, name)).transpose()
}

fn list_range(list: &ListArray, row: usize) -> Range<usize> {
    match list.is_null(row) {
        true => 0..0,
        false => list.value_offsets()[row] as usize..list.value_offsets()[row + 1] as usize,
    }
}

fn elements<A: Array + 'static>(list: &ListArray) -> Result<&A> {
    list.values().as_any().downcast_ref().ok_or_else(|| Error::internal("cannot read a list column: its elements have another type"))
}

fn field<A: Array + 'static>(elements: &StructArray, index: usize) -> Result<&A> {
    elements
        .column(index)
        .as_any()
        .downcast_ref()
        .ok_or_else(|| Error::internal(format!("cannot read field {index} of a nested column: it has another type")))
}

struct HistogramsReader<'a> {
    schema: &'a Int32Array,
    numbers: [&'a Float64Array; 4],
    lists: [&'a ListArray; 5],
    reset_hint: &'a Int32Array,
}

impl<'a> HistogramsReader<'a> {
    fn of(all: &'a StructArray) -> Result<Self> {
        Ok(Self {
            schema: field(all, 0)?,
            numbers: [field(all, 1)?, field(all, 2)?, field(all, 3)?, field(all, 4)?],
            lists: [field(all, 5)?, field(all, 6)?, field(all, 7)?, field(all, 8)?, field(all, 9)?],
            reset_hint: field(all, 10)?,
        })
    }

    fn read(&self, index: usize) -> Result<NativeHistogram> {
        let indices = |list: &'a ListArray| -> Result<&'a [i32]> { Ok(&elements::<Int32Array>(list)?.values()[list_range(list, index)]) };
        let numbers = |list: &'a ListArray| -> Result<&'a [f64]> { Ok(&elements::<Float64Array>(list)?.values()[list_range(list, index)]) };
        let buckets = |at: usize| -> Result<Vec<(i32, f64)>> {
            Ok(indices(self.lists[at])?.iter().copied().zip(numbers(self.lists[at + 1])?.iter().copied()).collect())
        };
        let [count, sum, zero_threshold, zero_count] = self.numbers.map(|array| array.value(index));
        Ok(NativeHistogram {
            schema: self.schema.value(index),
            count,
            sum,
            zero_threshold,
            zero_count,
            positive: buckets(0)?,
            negative: buckets(2)?,
            custom_bounds: numbers(self.lists[4])?.to_vec(),
            reset_hint: self.reset_hint.value(index),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_histograms_and_exemplars_come_back() {
        let mut builder = SamplesBuilder::default();
        builder.float(2000, 1.5);
        builder.float(1000, f64::NAN);
        let exemplar = Exemplar { timestamp_ms: 2000, value: 1.5, trace_id: "ab", labels: &[("k", "v")], ..Exemplar::default() };
        builder.exemplar(&exemplar);
        builder.push_series(&SeriesRow { name: "m", kind: "gauge", ..SeriesRow::default() }, [("a", "1")].into_iter());
        let histogram = NativeHistogram {
            schema: 2,
            count: 3.0,
            sum: 7.5,
            positive: vec![(-1, 1.0), (4, 2.0)],
            custom_bounds: vec![],
            ..NativeHistogram::default()
        };
        builder.histogram(3000, &histogram);
        builder.push_series(&SeriesRow { name: "h", ..SeriesRow::default() }, std::iter::empty());
        assert_eq!(builder.len(), 2);
        let batch = builder.finish();

        let view = SamplesView::of(&batch).expect("canonical");
        assert!(view.starts(0).expect("starts").is_empty());
        assert_eq!(view.label_set(0).to_string(), r#"{__name__="m", a="1"}"#);
        assert_eq!(view.timestamps(0).expect("ts"), [2000, 1000]);
        assert_eq!(view.floats(0).expect("floats")[0], 1.5);
        assert!(view.histograms(0).expect("histograms").is_empty() && view.floats(1).expect("floats").is_empty());
        assert_eq!(view.histograms(1).expect("histograms"), [histogram]);
        let times: (&Int64Array, &Int64Array) =
            (column(&batch, "min_time_unix_nano").expect("min"), column(&batch, "max_time_unix_nano").expect("max"));
        assert_eq!((times.0.value(0), times.1.value(0)), (1_000_000_000, 2_000_000_000));
        let mut seen = Vec::new();
        view.for_each_exemplar(0, |exemplar| seen.push((exemplar.trace_id.to_owned(), exemplar.labels.len()))).expect("exemplars");
        assert_eq!(seen, [("ab".to_owned(), 1)]);
    }

    #[test]
    fn starts_stand_beside_the_points_that_tell_them() {
        let mut builder = SamplesBuilder::default();
        for (time, start) in [(1000, NO_START), (2000, 1500), (3000, NO_START)] {
            builder.float(time, 1.0);
            builder.start(start);
        }
        builder.push_series(&SeriesRow { name: "a", ..SeriesRow::default() }, std::iter::empty());
        builder.floats(&[1000, 2000], &[1.0, 2.0]);
        builder.starts(&[]);
        builder.push_series(&SeriesRow { name: "b", ..SeriesRow::default() }, std::iter::empty());
        builder.histogram(3000, &NativeHistogram::default());
        builder.start(-7);
        builder.push_series(&SeriesRow { name: "c", ..SeriesRow::default() }, std::iter::empty());
        let batch = builder.finish();
        let view = SamplesView::of(&batch).expect("canonical");
        let starts: Vec<_> = (0..3).map(|row| view.starts(row).expect("starts").to_vec()).collect();
        assert_eq!(starts, [vec![0, 1500, 0], vec![], vec![-7]]);
        let before = batch.project(&(0..batch.num_columns() - 1).collect::<Vec<_>>()).expect("without the last column");
        assert!(SamplesView::of(&before).expect("of old logs").starts(0).expect("starts").is_empty());
    }
}
