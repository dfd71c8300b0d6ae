//! Whose is this record? `sources.rs` decides it for one set of attributes; this file does so once per distinct set of
//! a batch; `stamp.rs` writes the answer onto series.

mod sources;
mod stamp;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, MapArray, RecordBatch, StringArray, StringBuilder};
use catalog::Catalog;
use hashbrown::HashMap;
use model::schema::column;
use model::{AttributesView, Decoded, Error, Identified, Identity, Naming, Result, Table};

pub(crate) fn identify(mut batch: Decoded, catalog: &Catalog) -> Result<Identified> {
    let found = match (batch.naming, batch.table) {
        (Naming::Settled, _) => settled(&batch.records)?,
        (_, Table::Samples) => of_samples(&batch.records, catalog)?,
        (_, Table::Logs | Table::Spans) => of_resources(&batch.records, catalog, batch.naming)?,
    };
    let mut columns = batch.records.columns().to_vec();
    let schema = batch.records.schema();
    let position = |name: &str| schema.index_of(name).map_err(Error::from);
    for (field, name) in Identity::FIELDS.into_iter().enumerate() {
        columns[position(name)?] = found.column(field);
    }
    if batch.table == Table::Samples
        && let Some(stamped) = stamp::stamp(&batch.records, &found)?
    {
        columns[position("labels")?] = stamped.labels;
        columns[position("series_id")?] = stamped.series_id;
    }
    batch.records = RecordBatch::try_new(schema, columns)?;
    Ok(Identified(batch))
}

/// The distinct identities of a batch, and which of them each row has.
#[derive(Default)]
struct Found {
    distinct: Vec<Identity>,
    rows: Vec<usize>,
}

impl Found {
    fn add(&mut self, identity: Identity) -> usize {
        self.distinct.push(identity);
        self.distinct.len() - 1
    }

    fn of_row(&self, row: usize) -> &Identity {
        &self.distinct[self.rows[row]]
    }

    fn column(&self, field: usize) -> ArrayRef {
        let texts: Vec<&str> = self.distinct.iter().map(|identity| identity.values()[field]).collect();
        let texts = || self.rows.iter().map(|&index| texts[index]);
        let mut builder = StringBuilder::with_capacity(self.rows.len(), texts().map(str::len).sum());
        for text in texts() {
            match text {
                "" => builder.append_null(),
                text => builder.append_value(text),
            }
        }
        Arc::new(builder.finish())
    }
}

/// Logs and spans: rows of one resource follow each other, so the row before is asked first, then what was decided for the
/// attributes that can decide it. A batch from many pods has nearly as many resources as rows, and few services.
fn of_resources(records: &RecordBatch, catalog: &Catalog, naming: Naming) -> Result<Found> {
    let resources = Entries::of(column(records, "resource_attributes")?);
    let own = Entries::of(column(records, "attributes")?);
    let own_states_identity = naming == Naming::Attributes && own.some_key_contains("omd.");
    let mut deciding: HashMap<&str, bool> = HashMap::new();
    let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut key = Vec::new();
    let mut found = Found::default();
    for row in 0..records.num_rows() {
        let states_own = own_states_identity && own.view.iter(row).any(|(key, _)| key.starts_with("omd."));
        let index = if states_own {
            let lookup = |key: &str| own.view.get(row, key).or_else(|| resources.view.get(row, key));
            found.add(sources::decide(lookup, catalog, naming))
        } else if row > 0 && !own_states_identity && resources.same(row - 1, row) {
            found.rows[row - 1]
        } else {
            key.clear();
            for (name, value) in resources.view.iter(row) {
                if *deciding.entry(name).or_insert_with(|| sources::can_decide(name, catalog)) {
                    for text in [name, value] {
                        key.extend_from_slice(&text.len().to_le_bytes());
                        key.extend_from_slice(text.as_bytes());
                    }
                }
            }
            match seen.get(&key) {
                Some(&index) => index,
                None => {
                    let index = found.add(sources::decide(|key: &str| resources.view.get(row, key), catalog, naming));
                    seen.insert(key.clone(), index);
                    index
                }
            }
        };
        found.rows.push(index);
    }
    Ok(found)
}

/// The identities that stand in the columns.
fn settled(records: &RecordBatch) -> Result<Found> {
    let columns = model::logs::identity_columns(records)?;
    let mut found = Found::default();
    for row in 0..records.num_rows() {
        let values = columns.map(|column| model::logs::text_or_empty(column, row));
        let index = match found.distinct.last() {
            Some(last) if last.values() == values => found.distinct.len() - 1,
            _ => {
                let mut identity = Identity::default();
                for (name, value) in Identity::FIELDS.into_iter().zip(values) {
                    value.clone_into(identity.value_mut(name).expect("FIELDS names the fields"));
                }
                if identity.business_service.is_empty() {
                    model::UNASSIGNED.clone_into(&mut identity.business_service);
                }
                found.add(identity)
            }
        };
        found.rows.push(index);
    }
    Ok(found)
}

/// Samples: nearly every row has other labels, so remembering them would cost more than it saves.
fn of_samples(records: &RecordBatch, catalog: &Catalog) -> Result<Found> {
    let labels = AttributesView::of(records, "labels", None)?;
    let names: &StringArray = column(records, "name")?;
    let mut found = Found::default();
    for row in 0..records.num_rows() {
        let lookup = |key: &str| match key {
            "__name__" => Some(model::logs::text_or_empty(names, row)),
            key => labels.get_sorted(row, key).or_else(|| of_target(key, labels, row)),
        };
        let identity = sources::decide(lookup, catalog, Naming::Labels);
        // Series that come together are mostly one target's.
        let index = match found.distinct.last() {
            Some(last) if *last == identity => found.distinct.len() - 1,
            _ => found.add(identity),
        };
        found.rows.push(index);
    }
    Ok(found)
}

/// The resource attributes that a series' labels stand for, so that one rule on `service.name` claims a service's logs,
/// spans and series alike: the label of that name where the sender gives one, else what the target's labels say. Source:
/// OpenTelemetry's compatibility specification for Prometheus.
fn of_target<'a>(attribute: &str, labels: AttributesView<'a>, row: usize) -> Option<&'a str> {
    let job = || labels.get_sorted(row, "job");
    match attribute {
        "service.name" => {
            labels.get_sorted(row, "service_name").or_else(|| job().map(|job| job.rsplit_once('/').map_or(job, |(_, name)| name)))
        }
        "service.namespace" => {
            labels.get_sorted(row, "service_namespace").or_else(|| job()?.rsplit_once('/').map(|(namespace, _)| namespace))
        }
        "service.instance.id" => labels.get_sorted(row, "service_instance_id").or_else(|| labels.get_sorted(row, "instance")),
        _ => None,
    }
}

/// A map column's rows as stretches of bytes, to compare whole rows at once.
struct Entries<'a> {
    view: AttributesView<'a>,
    offsets: &'a [i32],
    columns: [&'a StringArray; 2],
}

impl<'a> Entries<'a> {
    fn of(map: &'a MapArray) -> Self {
        let columns = [map.keys().as_string(), map.values().as_string()];
        Self { view: AttributesView::of_map(map, None), offsets: map.value_offsets(), columns }
    }

    fn some_key_contains(&self, part: &str) -> bool {
        let bytes = self.columns[0].value_data();
        // Keys are text, one after the other; a match across two of them costs a closer look and no more.
        std::str::from_utf8(bytes).is_ok_and(|text| text.contains(part))
    }

    /// The bytes of a row's keys or values, and where each ends.
    fn stretch(&self, column: &'a StringArray, row: usize) -> (&'a [u8], &'a [i32]) {
        let ends = &column.value_offsets()[self.offsets[row] as usize..=self.offsets[row + 1] as usize];
        (&column.value_data()[ends[0] as usize..ends[ends.len() - 1] as usize], ends)
    }

    fn same(&self, a: usize, b: usize) -> bool {
        self.columns.iter().all(|column| {
            let ((bytes_a, ends_a), (bytes_b, ends_b)) = (self.stretch(column, a), self.stretch(column, b));
            let lengths = |ends: &'a [i32]| ends.iter().map(move |end| end - ends[0]);
            bytes_a == bytes_b && ends_a.len() == ends_b.len() && lengths(ends_a).eq(lengths(ends_b))
        })
    }
}
