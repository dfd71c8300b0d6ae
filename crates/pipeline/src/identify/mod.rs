//! Whose is this record? `sources.rs` decides it for one set of attributes; `origins.rs` does so once for each origin of logs and spans, this
//! file for each series; `stamp.rs` writes the answer onto series.

mod origins;
mod sources;
mod stamp;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, StringBuilder};
use catalog::Catalog;
use model::schema::column;
use model::{AttributesView, Decoded, Error, Identified, Identity, Naming, Result, Table, origin};

pub(crate) fn identify(mut batch: Decoded, catalog: &Catalog) -> Result<Identified> {
    batch.records = match batch.table {
        Table::Samples => series(&batch.records, catalog, batch.naming)?,
        Table::Logs | Table::Spans | Table::Quarantine => {
            let records = origin::packed(batch.table, &batch.records)?;
            origins::identify(&records, catalog, batch.naming)?
        }
    };
    Ok(Identified(batch))
}

/// The identity of each series, in its columns and on its labels.
fn series(records: &RecordBatch, catalog: &Catalog, naming: Naming) -> Result<RecordBatch> {
    let found = match naming {
        Naming::Settled => settled(records)?,
        Naming::Attributes | Naming::Labels => of_samples(records, catalog)?,
    };
    let mut columns = records.columns().to_vec();
    let schema = records.schema();
    let position = |name: &str| schema.index_of(name).map_err(Error::from);
    for (field, name) in Identity::FIELDS.into_iter().enumerate() {
        columns[position(name)?] = found.column(field);
    }
    if let Some(stamped) = stamp::stamp(records, &found)? {
        columns[position("labels")?] = stamped.labels;
        columns[position("series_id")?] = stamped.series_id;
    }
    Ok(RecordBatch::try_new(schema, columns)?)
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
