//! Sample values as files hold them. Nearly every series has numbers that somebody wrote as decimals: a count of 8 is 8 / 10^0, 12.5
//! degrees are 125 / 10^1. A row of such numbers is stored as the differences of whole ones and the power of ten, which takes
//! two thirds of what its doubles take; any other row stays as it is. Either way the bits come back.
//!
//! The differences are doubles, too. Refused: long numbers, which take as much split by byte and which few other engines read so.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int8Array, ListArray, RecordBatch};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Float64Type};
use model::schema::column;
use model::{Code, Error, Result, Table};

use super::columns::file_schema;

pub(crate) const VALUES: &str = "values";
pub(crate) const DELTAS: &str = "value_deltas";
const SCALE: &str = "value_scale";
pub(crate) const COLUMNS: [&str; 2] = [DELTAS, SCALE];

/// Every whole number below it is a double of its own, and so is the difference of any two.
const WHOLE_END: f64 = (1_u64 << 52) as f64;
/// Powers of ten by scale, all of them exact. A double below one has up to 17 digits.
const POWERS: [f64; 18] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17];

/// What files have for `values`.
pub(crate) fn fields() -> [Field; 2] {
    let element = Arc::new(Field::new("element", DataType::Float64, true));
    [Field::new(DELTAS, DataType::List(element), true), Field::new(SCALE, DataType::Int8, true)]
}

/// A batch of the table as a file holds it.
pub(crate) fn pack(table: Table, records: &RecordBatch) -> Result<RecordBatch> {
    if table != Table::Samples {
        return Ok(records.clone());
    }
    let list: &ListArray = column(records, VALUES)?;
    let values = list.values().as_primitive::<Float64Type>().values();
    let (mut deltas, mut left) = (Lists::with_capacity(list.len(), values.len()), Lists::with_capacity(list.len(), 0));
    let mut scales = Vec::with_capacity(list.len());
    for row in 0..list.len() {
        let values = &values[range_of(list, row)];
        let scale = if values.is_empty() { None } else { push_deltas(values, &mut deltas.elements) };
        if scale.is_none() {
            left.elements.extend_from_slice(values);
        }
        deltas.end_row(scale.is_some())?;
        left.end_row(scale.is_none() && list.is_valid(row))?;
        scales.push(scale);
    }
    let schema = file_schema(table);
    let mut columns = records.columns().to_vec();
    let at = schema.index_of(VALUES)?;
    columns[at] = left.finish::<Float64Array>(schema.field(at))?;
    columns.push(deltas.finish::<Float64Array>(schema.field(columns.len()))?);
    columns.push(Arc::new(Int8Array::from(scales)));
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// A batch from a file, as the table has it; one without packed values is as it was.
pub(crate) fn unpack(records: RecordBatch) -> Result<RecordBatch> {
    let schema = records.schema();
    let Some((at, _)) = schema.column_with_name(DELTAS) else { return Ok(records) };
    let (values, deltas): (&ListArray, &ListArray) = (column(&records, VALUES)?, records.column(at).as_list());
    let mut kept: Vec<usize> = (0..schema.fields().len()).collect();
    kept.retain(|&at| !COLUMNS.contains(&schema.field(at).name().as_str()));
    if deltas.null_count() == deltas.len() {
        return Ok(records.project(&kept)?);
    }
    let scales: &Int8Array = column(&records, SCALE)?;
    let whole = deltas.values().as_primitive::<Float64Type>().values();
    let doubles = values.values().as_primitive::<Float64Type>().values();
    let mut all = Lists::with_capacity(values.len(), whole.len() + doubles.len());
    for row in 0..values.len() {
        match deltas.is_valid(row) {
            true => push_doubles(&whole[range_of(deltas, row)], power_of(scales, row)?, &mut all.elements),
            false => all.elements.extend_from_slice(&doubles[range_of(values, row)]),
        }
        all.end_row(deltas.is_valid(row) || values.is_valid(row))?;
    }
    let at = schema.index_of(VALUES)?;
    let mut columns = records.columns().to_vec();
    columns[at] = all.finish::<Float64Array>(schema.field(at))?;
    Ok(RecordBatch::try_new(schema, columns)?.project(&kept)?)
}

fn power_of(scales: &Int8Array, row: usize) -> Result<f64> {
    let scale = scales.is_valid(row).then(|| scales.value(row));
    let power = scale.and_then(|scale| POWERS.get(usize::try_from(scale).ok()?));
    power.copied().ok_or_else(|| Error::new(Code::Corrupt, format!("cannot read sample values: their scale is {scale:?}")))
}

fn range_of(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = list.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

/// Appends the differences of the values times 10 to the power that it gives, the least by which all are whole. None, and
/// nothing is appended, when there is no such power: the first value that fails ends the search.
fn push_deltas(values: &[f64], out: &mut Vec<f64>) -> Option<i8> {
    let start = out.len();
    let scale = push_whole(values, out);
    if scale.is_none() {
        out.truncate(start);
    }
    let mut before = 0.0;
    for number in &mut out[start..] {
        (before, *number) = (*number, *number - before);
    }
    scale.and_then(|scale| i8::try_from(scale).ok())
}

fn push_whole(values: &[f64], out: &mut Vec<f64>) -> Option<usize> {
    let (start, mut scale, mut greatest) = (out.len(), 0, 0_f64);
    for &value in values {
        let (own, number) = (scale..POWERS.len()).find_map(|scale| Some((scale, whole(value, POWERS[scale])?)))?;
        if own > scale {
            // Above and below the line ten times as much: the same fraction, hence the same double.
            let factor = POWERS[own - scale];
            greatest *= factor;
            if greatest >= WHOLE_END {
                return None;
            }
            out[start..].iter_mut().for_each(|number| *number *= factor);
            scale = own;
        }
        greatest = greatest.max(number.abs());
        out.push(number);
    }
    Some(scale)
}

/// The whole number that divided by the power gives this very double; none for the negative zero and all that is no number.
fn whole(value: f64, power: f64) -> Option<f64> {
    // Through a long number, for which a zero has no sign.
    let number = (value * power).round() as i64 as f64;
    (number.abs() < WHOLE_END && (number / power).to_bits() == value.to_bits()).then_some(number)
}

/// The inverse of [`push_deltas`].
fn push_doubles(deltas: &[f64], power: f64, out: &mut Vec<f64>) {
    let mut number = 0.0;
    out.extend(deltas.iter().map(|delta| {
        number += delta;
        number / power
    }));
}

/// A column of lists under construction.
struct Lists<T> {
    elements: Vec<T>,
    offsets: Vec<i32>,
    valid: Vec<bool>,
}

impl<T> Lists<T> {
    fn with_capacity(rows: usize, elements: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { elements: Vec::with_capacity(elements), offsets, valid: Vec::with_capacity(rows) }
    }

    fn end_row(&mut self, valid: bool) -> Result<()> {
        let end = i32::try_from(self.elements.len());
        self.offsets.push(end.map_err(|_| Error::internal("cannot bring sample values together: a batch has over 2^31"))?);
        self.valid.push(valid);
        Ok(())
    }

    fn finish<A: Array + From<Vec<T>> + 'static>(self, field: &Field) -> Result<ArrayRef> {
        let DataType::List(element) = field.data_type() else {
            return Err(Error::internal(format!("cannot make {} from lists: it is {}", field.name(), field.data_type())));
        };
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let elements = Arc::new(A::from(self.elements));
        Ok(Arc::new(ListArray::try_new(element.clone(), offsets, elements, Some(NullBuffer::from(self.valid)))?))
    }
}

#[cfg(test)]
mod tests {
    use model::samples::{SamplesBuilder, SamplesView, SeriesRow};
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

    /// The scale of the values, and their differences.
    fn check(values: &[f64], expect: Option<(i8, &[f64])>) {
        let mut deltas = vec![7.0];
        let scale = push_deltas(values, &mut deltas);
        assert_eq!(scale.map(|scale| (scale, &deltas[1..])), expect, "{values:?}");
        assert_eq!(deltas[0], 7.0, "what was there stays");
        assert!(scale.is_some() || deltas.len() == 1, "what fails leaves nothing");
    }

    #[test]
    fn decimals_are_whole_numbers_over_a_power_of_ten() {
        check(&[8.0, 9.0, 7.0], Some((0, &[8.0, 1.0, -2.0])));
        check(&[0.5, 12.0, -0.25], Some((2, &[50.0, 1150.0, -1225.0])));
        check(&[0.1 + 0.2], None);
        check(&[4_503_599_627_370_495.0, -4_503_599_627_370_495.0], Some((0, &[4_503_599_627_370_495.0, -9_007_199_254_740_990.0])));
        check(&[4_503_599_627_370_496.0], None);
        check(&[1e17, 1.0], None);
        check(&[450_359_962_737_049.0, 0.5], Some((1, &[4_503_599_627_370_490.0, -4_503_599_627_370_485.0])));
        check(&[450_359_962_737_050.0, 0.5], None);
        check(&[1e-17], Some((17, &[1.0])));
        check(&[1e-18], None);
        for odd in [-0.0, f64::NAN, STALE, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1.0 / 3.0] {
            check(&[1.0, odd], None);
            check(&[odd, 1.0], None);
        }
    }

    fn records(rows: &[Vec<f64>]) -> RecordBatch {
        let mut builder = SamplesBuilder::default();
        for values in rows {
            (0..).zip(values).for_each(|(at, &value)| builder.float(at, value));
            builder.push_series(&SeriesRow { name: "x", ..SeriesRow::default() }, std::iter::empty());
        }
        builder.finish()
    }

    fn bits(records: &RecordBatch) -> Vec<Vec<u64>> {
        let view = SamplesView::of(records).unwrap();
        (0..records.num_rows()).map(|row| view.floats(row).unwrap().iter().map(|value| value.to_bits()).collect()).collect()
    }

    /// Values as senders have them, and as nobody has them.
    fn any_row(random: &mut StdRng) -> Vec<f64> {
        let (kind, digits, size) = (random.random_range(0..7), random.random_range(0..19), random.random_range(1..16));
        let count = random.random_range(0..40);
        let odd = [-0.0, f64::NAN, STALE, f64::INFINITY, 4_503_599_627_370_497.0, -4_503_599_627_370_495.0, 5e-324, f64::MAX];
        let mut value = || match kind {
            0 => f64::from_bits(random.random()),
            1 => random.random_range(0.0..1.0),
            2 => random.random_range(0..10_i64.pow(size)) as f64,
            3 => odd[random.random_range(0..odd.len())],
            4 if random.random_range(0..20) == 0 => odd[random.random_range(0..odd.len())],
            // As a reader of text makes them.
            _ => format!("{}e-{}", random.random_range(-10_i64.pow(size)..10_i64.pow(size)), random.random_range(0..=digits))
                .parse()
                .unwrap(),
        };
        (0..count).map(|_| value()).collect()
    }

    #[test]
    fn bits_come_back_from_rows_of_any_kind() {
        let mut random = StdRng::seed_from_u64(7);
        let mut packed_rows = 0;
        for _ in 0..300 {
            let rows: Vec<_> = (0..random.random_range(0..12)).map(|_| any_row(&mut random)).collect();
            let records = records(&rows);
            let packed = pack(Table::Samples, &records).unwrap();
            assert_eq!(packed.schema(), file_schema(Table::Samples));
            packed_rows += packed.num_rows() - packed.column_by_name(DELTAS).unwrap().null_count();
            for (row, values) in rows.iter().enumerate() {
                let held = [VALUES, DELTAS].map(|name| usize::from(packed.column_by_name(name).unwrap().is_valid(row)));
                assert_eq!(held[0] + held[1], usize::from(!values.is_empty()), "a row lies in one of the columns");
            }
            // What a reader gives may begin inside of its arrays.
            let start = random.random_range(0..=packed.num_rows());
            let (slice, expect) = (packed.slice(start, packed.num_rows() - start), records.slice(start, records.num_rows() - start));
            let unpacked = unpack(slice).unwrap();
            assert_eq!(bits(&unpacked), bits(&expect));
            assert_eq!(unpacked.schema(), records.schema());
            assert_eq!(bits(&unpack(records.clone()).unwrap()), bits(&records), "from a file without the columns");
        }
        assert!(packed_rows > 500, "{packed_rows}");
    }

    #[test]
    fn a_scale_that_nobody_writes_is_damage() {
        let packed = pack(Table::Samples, &records(&[vec![1.0]])).unwrap();
        let at = packed.schema().index_of(SCALE).unwrap();
        for scale in [Some(18), Some(-1), None] {
            let mut columns = packed.columns().to_vec();
            columns[at] = Arc::new(Int8Array::from(vec![scale]));
            let error = unpack(RecordBatch::try_new(packed.schema(), columns).unwrap()).unwrap_err();
            assert_eq!(error.code, Code::Corrupt);
        }
    }
}
