//! How much did each identity send?

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::{Array, AsArray, ListArray};
use arrow::datatypes::DataType;
use metrics::Counter;
use model::schema::column;
use model::{Admitted, Identity, Result, Table, Usage, UsageMeter};
use parking_lot::Mutex;

/// Identities counted apart; what further ones send is counted under [`OVERFLOW`].
pub const IDENTITIES_MAX: usize = 10_000;

/// The business service of all identities past [`IDENTITIES_MAX`]. The catalogue refuses this name.
pub const OVERFLOW: &str = "__overflow__";

/// The usage of one batch, not yet booked.
pub(crate) struct Measured {
    table: Table,
    usage: HashMap<Identity, Usage>,
}

/// The usage booked since the start. The counters of `/metrics` leave out region, environment and team.
#[derive(Default)]
pub struct Meter {
    accounts: Mutex<HashMap<(Identity, Table), Account>>,
}

struct Account {
    usage: Usage,
    records: Counter,
    bytes: Counter,
}

impl Account {
    fn open(identity: &Identity, table: Table) -> Self {
        let labels = [
            ("business_service", identity.business_service.clone()),
            ("service", identity.service.clone()),
            ("component", identity.component.clone()),
            ("signal", table.name().to_owned()),
        ];
        Self {
            usage: Usage::default(),
            records: metrics::counter!("tyto_usage_records_total", &labels),
            bytes: metrics::counter!("tyto_usage_bytes_total", &labels),
        }
    }
}

impl Meter {
    pub(crate) fn book(&self, measured: Measured) {
        let mut accounts = self.accounts.lock();
        for (identity, usage) in measured.usage {
            let mut key = (identity, measured.table);
            if accounts.len() >= IDENTITIES_MAX && !accounts.contains_key(&key) {
                key.0 = Identity { business_service: OVERFLOW.to_owned(), ..Identity::default() };
            }
            let account = accounts.entry(key).or_insert_with_key(|(identity, table)| Account::open(identity, *table));
            account.usage += usage;
            account.records.increment(usage.records);
            account.bytes.increment(usage.bytes);
        }
    }
}

impl UsageMeter for Meter {
    fn usage(&self) -> Vec<(Identity, Table, Usage)> {
        let accounts = self.accounts.lock();
        let mut all: Vec<_> = accounts.iter().map(|((identity, table), account)| (identity.clone(), *table, account.usage)).collect();
        all.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        all
    }
}

/// Counts a batch, run of rows by run of rows with one identity.
pub(crate) fn measure(Admitted(batch): &Admitted) -> Result<Measured> {
    let records = &batch.records;
    let mut columns = Vec::with_capacity(Identity::FIELDS.len());
    for name in Identity::FIELDS {
        columns.push(column::<arrow::array::StringArray>(records, name)?);
    }
    let same = |a: usize, b: usize| {
        columns.iter().all(|column| column.is_null(a) == column.is_null(b) && (column.is_null(a) || column.value(a) == column.value(b)))
    };
    let bytes = records.columns().iter().try_fold(vec![0; records.num_rows() + 1], |mut sum, column| {
        add_running_bytes(column.as_ref(), &mut sum)?;
        Ok::<_, model::Error>(sum)
    })?;
    let points = match batch.table {
        Table::Samples => Some(column::<ListArray>(records, "timestamps")?.value_offsets()),
        Table::Logs | Table::Spans => None,
    };
    let count = |rows: &Range<usize>| match points {
        Some(offsets) => (offsets[rows.end] - offsets[rows.start]) as u64,
        None => rows.len() as u64,
    };

    let mut usage: HashMap<Identity, Usage> = HashMap::new();
    let mut start = 0;
    while start < records.num_rows() {
        let end = (start + 1..records.num_rows()).find(|&row| !same(start, row)).unwrap_or(records.num_rows());
        let mut identity = Identity::default();
        for (name, column) in Identity::FIELDS.into_iter().zip(&columns) {
            let field = identity.value_mut(name).expect("FIELDS names the fields");
            model::logs::text_or_empty(column, start).clone_into(field);
        }
        *usage.entry(identity).or_default() += Usage { records: count(&(start..end)), bytes: bytes[end] - bytes[start] };
        start = end;
    }
    Ok(Measured { table: batch.table, usage })
}

/// Adds to `sum[i]` the bytes of the first `i` elements: of text its length, of numbers their width, of lists and maps
/// what is in them. Offsets are running sums already, so no row is looked at by itself.
fn add_running_bytes(array: &dyn Array, sum: &mut [u64]) -> Result<()> {
    match array.data_type() {
        DataType::Utf8 => add_offsets(array.as_string::<i32>().value_offsets(), sum),
        DataType::List(_) => add_nested(array.as_list::<i32>().value_offsets(), array.as_list::<i32>().values().as_ref(), sum)?,
        DataType::Map(..) => add_nested(array.as_map().value_offsets(), array.as_map().entries(), sum)?,
        DataType::Struct(_) => array.as_struct().columns().iter().try_for_each(|child| add_running_bytes(child.as_ref(), sum))?,
        other => {
            let width = other
                .primitive_width()
                .ok_or_else(|| model::Error::internal(format!("cannot measure a column of {other}: no canonical schema has one")))?;
            sum.iter_mut().enumerate().for_each(|(index, total)| *total += (index * width) as u64);
        }
    }
    Ok(())
}

fn add_offsets(offsets: &[i32], sum: &mut [u64]) {
    for (total, offset) in sum.iter_mut().zip(offsets) {
        *total += (offset - offsets[0]) as u64;
    }
}

fn add_nested(offsets: &[i32], elements: &dyn Array, sum: &mut [u64]) -> Result<()> {
    let mut inner = vec![0; elements.len() + 1];
    add_running_bytes(elements, &mut inner)?;
    for (total, offset) in sum.iter_mut().zip(offsets) {
        *total += inner[*offset as usize] - inner[offsets[0] as usize];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_bounded_and_nothing_goes_uncounted() {
        let meter = Meter::default();
        let one = |name: String| Measured {
            table: Table::Logs,
            usage: HashMap::from([(Identity { business_service: name, ..Identity::default() }, Usage { records: 1, bytes: 10 })]),
        };
        for index in 0..IDENTITIES_MAX + 5 {
            meter.book(one(format!("service {index:05}")));
        }
        meter.book(one("service 00000".to_owned()));
        let usage = meter.usage();
        assert_eq!(usage.len(), IDENTITIES_MAX + 1);
        assert_eq!((usage[0].0.business_service.as_str(), usage[0].2.records), (OVERFLOW, 5));
        assert_eq!(usage[1].2, Usage { records: 2, bytes: 20 });
        assert_eq!(usage.iter().map(|(.., usage)| usage.records).sum::<u64>(), IDENTITIES_MAX as u64 + 6);
    }
}
