//! How much did each identity send?

use std::ops::Range;

use arrow::array::{Array, ListArray, RecordBatch, StringArray};
use catalog::Catalog;
use hashbrown::HashMap;
use metrics::Counter;
use model::origin::Origins;
use model::schema::column;
use model::{Identity, KnownPoints, KnownSeries, Result, Table, Usage, UsageMeter};
use parking_lot::Mutex;

/// Accounts of what nobody has declared, one per identity and table. Past it, what an identity sends goes to the account
/// of as much of it as the catalogue declares, which there always is room for, else to [`OVERFLOW`].
pub const ACCOUNTS_MAX: usize = 10_000;

/// The business service of all undeclared identities past [`ACCOUNTS_MAX`]. The catalogue refuses this name, and no
/// record can state it.
pub const OVERFLOW: &str = "__overflow__";

/// The usage of one batch, not yet booked.
pub(crate) struct Measured {
    table: Table,
    usage: Vec<(Identity, Usage)>,
    /// Of each series: whose it is, by place in `usage`, and its bytes besides its points.
    series: Vec<(usize, u32)>,
    /// Of points whose series are known, by account.
    known: Vec<(u32, Usage)>,
}

/// What a float is metered: time and value.
const POINT_BYTES: u64 = 16;

/// The usage booked since the start. The counters of `/metrics` leave out region, environment and team.
#[derive(Default)]
pub struct Meter {
    accounts: Mutex<Accounts>,
}

#[derive(Default)]
struct Accounts {
    open: Vec<Account>,
    /// By place in `open`, which is the account's number for as long as the process lives.
    by_owner: HashMap<(Identity, Table), usize>,
    undeclared: usize,
}

struct Account {
    owner: (Identity, Table),
    usage: Usage,
    records: Counter,
    bytes: Counter,
}

impl Account {
    fn open(owner: (Identity, Table)) -> Self {
        let (identity, table) = &owner;
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
            owner,
        }
    }

    fn add(&mut self, usage: Usage) {
        self.usage += usage;
        self.records.increment(usage.records);
        self.bytes.increment(usage.bytes);
    }
}

impl Meter {
    /// Books a batch; tells in `series`, one for each row of samples, what their next points are to be booked by.
    pub(crate) fn book(&self, measured: Measured, catalog: &Catalog, series: &mut [KnownSeries]) {
        let Measured { table, usage, series: rows, known } = measured;
        let mut accounts = self.accounts.lock();
        for (account, usage) in known {
            accounts.open[account as usize].add(usage);
        }
        let mut numbers = Vec::with_capacity(usage.len());
        for (identity, usage) in usage {
            let number = accounts.number(identity, table, catalog);
            accounts.open[number].add(usage);
            numbers.push(u32::try_from(number).expect("accounts are few"));
        }
        for (series, (owner, row_bytes)) in series.iter_mut().zip(rows) {
            *series = KnownSeries { account: numbers[owner], row_bytes, ..*series };
        }
    }
}

impl Accounts {
    /// The account that this identity is booked on, opened when it is new.
    fn number(&mut self, identity: Identity, table: Table, catalog: &Catalog) -> usize {
        let owner = self.owner(identity, table, catalog);
        if let Some(&number) = self.by_owner.get(&owner) {
            return number;
        }
        self.by_owner.insert(owner.clone(), self.open.len());
        self.open.push(Account::open(owner));
        self.open.len() - 1
    }

    /// Whose account it is.
    fn owner(&mut self, identity: Identity, table: Table, catalog: &Catalog) -> (Identity, Table) {
        let key = (identity, table);
        if self.by_owner.contains_key(&key) {
            return key;
        }
        let overflow = || Identity { business_service: OVERFLOW.to_owned(), ..Identity::default() };
        match catalog.declared(&key.0) {
            Some(declared) if declared == key.0 => key,
            _ if self.undeclared < ACCOUNTS_MAX => {
                self.undeclared += 1;
                key
            }
            declared => (declared.unwrap_or_else(overflow), table),
        }
    }
}

impl UsageMeter for Meter {
    fn usage(&self) -> Vec<(Identity, Table, Usage)> {
        let accounts = self.accounts.lock();
        let mut all: Vec<_> =
            accounts.open.iter().map(|Account { owner: (identity, table), usage, .. }| (identity.clone(), *table, *usage)).collect();
        all.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        all
    }
}

/// Counts a batch, run of rows by run of rows with one identity.
pub(crate) fn measure(table: Table, records: &RecordBatch, known: &KnownPoints) -> Result<Measured> {
    let origins = Origins::of(records);
    let identity_column = |name: &str| origins.map_or_else(|| column(records, name), |origins| origins.texts(name));
    let columns: Vec<&StringArray> = Identity::FIELDS.iter().map(|name| identity_column(name)).collect::<Result<_>>()?;
    let place_of = |row: usize| origins.map_or(row, |origins| origins.place(row));
    let same = |a: usize, b: usize| {
        let (a, b) = (place_of(a), place_of(b));
        let agree =
            |column: &&StringArray| column.is_null(a) == column.is_null(b) && (column.is_null(a) || column.value(a) == column.value(b));
        a == b && origins.is_some() || columns.iter().all(agree)
    };
    let bytes = model::running_bytes(records)?;
    let points = match table {
        Table::Samples => Some(column::<ListArray>(records, "timestamps")?.value_offsets()),
        Table::Logs | Table::Spans | Table::Quarantine => None,
    };
    let count = |rows: &Range<usize>| match points {
        Some(offsets) => (offsets[rows.end] - offsets[rows.start]) as u64,
        None => rows.len() as u64,
    };

    let (mut usage, mut series): (Vec<(Identity, Usage)>, _) = (Vec::new(), Vec::new());
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    let (mut start, mut key) = (0, Vec::new());
    while start < records.num_rows() {
        let end = (start + 1..records.num_rows()).find(|&row| !same(start, row)).unwrap_or(records.num_rows());
        let texts = columns.iter().map(|column| model::logs::text_or_empty(column, place_of(start)));
        key.clear();
        for text in texts.clone() {
            key.extend_from_slice(&text.len().to_le_bytes());
            key.extend_from_slice(text.as_bytes());
        }
        let place = *places.entry_ref(key.as_slice()).or_insert_with(|| {
            let mut identity = Identity::default();
            for (name, text) in Identity::FIELDS.into_iter().zip(texts) {
                text.clone_into(identity.value_mut(name).expect("FIELDS names the fields"));
            }
            usage.push((identity, Usage::default()));
            usage.len() - 1
        });
        usage[place].1 += Usage { records: count(&(start..end)), bytes: bytes[end] - bytes[start] };
        if points.is_some() {
            let row_bytes = |row: usize| (bytes[row + 1] - bytes[row]).saturating_sub(POINT_BYTES * count(&(row..row + 1)));
            series.extend((start..end).map(|row| (place, u32::try_from(row_bytes(row)).unwrap_or(u32::MAX))));
        }
        start = end;
    }
    Ok(Measured { table, usage, series, known: measure_known(known) })
}

/// Counts points of known series as their rows would be.
fn measure_known(known: &KnownPoints) -> Vec<(u32, Usage)> {
    let mut measured: Vec<(u32, Usage)> = Vec::new();
    for (series, range) in known.runs() {
        let usage = Usage { records: range.len() as u64, bytes: u64::from(series.row_bytes) + POINT_BYTES * range.len() as u64 };
        // Series that come together are mostly one target's.
        match measured.last_mut() {
            Some((account, sum)) if *account == series.account => *sum += usage,
            _ => measured.push((series.account, usage)),
        }
    }
    measured
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_bounded_and_nothing_goes_uncounted() {
        let catalog =
            Catalog::parse(&[("omd.yaml", "business_services: [{name: pay, owners: [{team: till}], services: [{name: cards}]}]")]);
        let catalog = catalog.unwrap();
        let meter = Meter::default();
        let one = |identity: Identity| {
            let usage = vec![(identity, Usage { records: 1, bytes: 10 })];
            meter.book(Measured { table: Table::Logs, usage, series: Vec::new(), known: Vec::new() }, &catalog, &mut []);
        };
        let of = |name: &str| Identity { business_service: name.to_owned(), ..Identity::default() };
        for index in 0..ACCOUNTS_MAX + 5 {
            one(of(&format!("service {index:05}")));
        }
        one(of("service 00000"));
        let cards = Identity { service: "cards".to_owned(), team: "till".to_owned(), ..of("pay") };
        one(cards.clone());
        one(Identity { region: "any".to_owned(), ..cards.clone() });
        one(Identity { service: "any".to_owned(), ..cards.clone() });
        one(Identity { region: "any".to_owned(), ..of("unassigned") });

        let usage = meter.usage();
        let records = |identity: &Identity| usage.iter().find(|(other, ..)| other == identity).map(|(.., usage)| usage.records);
        assert_eq!(records(&of(OVERFLOW)), Some(5));
        assert_eq!(records(&of("service 00000")), Some(2));
        assert_eq!(records(&cards), Some(2), "what is declared always has its account");
        assert_eq!(records(&Identity { service: String::new(), ..cards }), Some(1));
        assert_eq!(records(&of("unassigned")), Some(1));
        assert_eq!(usage.len(), ACCOUNTS_MAX + 4);
        assert_eq!(usage.iter().map(|(.., usage)| usage.records).sum::<u64>(), ACCOUNTS_MAX as u64 + 10);
    }
}
