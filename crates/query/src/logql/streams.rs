//! Which stream does a row belong to?

use std::borrow::Cow;

use arrow::array::{RecordBatch, StringArray};
use hashbrown::HashMap;
use model::logs::text_or_empty;
use model::schema::column;
use model::{AttributesView, Code, Error, Identity, Labels, Result, UNASSIGNED, legal_name};

use crate::guard::{Charge, Guard, label_bytes};

pub(super) const SERVICE_NAME: &str = "service_name";
pub(super) const BUSINESS_SERVICE: &str = "business_service";

/// Columns that [`StreamCache::rows`] reads.
pub(crate) const COLUMNS: [&str; 8] =
    ["resource_attributes", "service_name", "business_service", "service", "component", "region", "environment", "team"];

/// Distinct streams that one query may meet.
const STREAMS_MAX: usize = 1_000_000;

/// Label sets met so far: rows of one resource share theirs, in all batches of a scan.
///
/// The one definition of a log row's stream labels: its resource attributes under legal names (of two attributes that get
/// one name, the one that had it wins, else the first), and over them what the columns say, see [`Columns::labels`].
pub(crate) struct StreamCache {
    by_key: HashMap<Vec<u8>, u32>,
    pub(crate) labels: Vec<Labels>,
    charge: Charge,
}

struct Columns<'a> {
    resource: AttributesView<'a>,
    service_name: &'a StringArray,
    identity: Vec<&'a StringArray>,
}

impl StreamCache {
    pub(crate) fn new(guard: &Guard) -> Self {
        Self { by_key: HashMap::new(), labels: Vec::new(), charge: guard.charge(0) }
    }

    /// The index in [`Self::labels`] of every row.
    pub(crate) fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u32>> {
        let columns = Columns {
            resource: AttributesView::of(batch, "resource_attributes", None)?,
            service_name: column(batch, SERVICE_NAME)?,
            identity: Identity::FIELDS.into_iter().map(|field| column(batch, field)).collect::<Result<_>>()?,
        };
        let mut rows: Vec<u32> = Vec::with_capacity(batch.num_rows());
        let mut key = Vec::new();
        for row in 0..batch.num_rows() {
            let index = match rows.last() {
                Some(&index) if columns.same(row - 1, row) => index,
                _ => {
                    columns.write_key(row, &mut key);
                    self.index(&columns, row, &key)?
                }
            };
            rows.push(index);
        }
        Ok(rows)
    }

    /// All rows as if they were of one stream without labels.
    pub(crate) fn one(&mut self, rows: usize) -> Vec<u32> {
        if self.labels.is_empty() {
            self.labels.push(Labels::empty());
        }
        vec![0; rows]
    }

    fn index(&mut self, columns: &Columns<'_>, row: usize, key: &[u8]) -> Result<u32> {
        if let Some(&index) = self.by_key.get(key) {
            return Ok(index);
        }
        if self.labels.len() >= STREAMS_MAX {
            let what =
                format!("cannot answer the query: it meets more than {STREAMS_MAX} streams; add a matcher or shorten the time range");
            return Err(Error::new(Code::LimitExceeded, what));
        }
        let index = u32::try_from(self.labels.len()).expect("STREAMS_MAX is under 2^32");
        let labels = columns.labels(row);
        self.charge.grow(label_bytes(&labels) + key.len());
        self.labels.push(labels);
        self.by_key.insert(key.to_vec(), index);
        Ok(index)
    }
}

impl Columns<'_> {
    /// Neighbours mostly are of one stream.
    fn same(&self, left: usize, right: usize) -> bool {
        let texts = self.identity.iter().chain([&self.service_name]);
        texts.into_iter().all(|values| text_or_empty(values, left) == text_or_empty(values, right))
            && self.resource.len(left) == self.resource.len(right)
            && self.resource.iter(left).eq(self.resource.iter(right))
    }

    fn write_key(&self, row: usize, key: &mut Vec<u8>) {
        key.clear();
        let mut part = |text: &str| {
            key.extend_from_slice(&(text.len() as u32).to_le_bytes());
            key.extend_from_slice(text.as_bytes());
        };
        for column in &self.identity {
            part(text_or_empty(column, row));
        }
        part(text_or_empty(self.service_name, row));
        for (name, value) in self.resource.iter(row) {
            part(name);
            part(value);
        }
    }

    /// `business_service` and `service_name` are their columns, whatever an attribute says; the other fields of the identity
    /// their columns where they say something, else the attribute. [`UNASSIGNED`] is shown nowhere.
    fn labels(&self, row: usize) -> Labels {
        let attributes = || self.resource.iter(row).filter(|(_, value)| !value.is_empty());
        let mut labels = Labels::from_pairs(attributes().filter(|(name, _)| matches!(legal_name(name), Cow::Borrowed(_)))).to_builder();
        for (name, value) in attributes() {
            let name = legal_name(name);
            if labels.get(&name).is_none() {
                labels.set(&name, value);
            }
        }
        for (name, column) in Identity::FIELDS.into_iter().zip(&self.identity) {
            let value = Some(text_or_empty(column, row)).filter(|value| *value != UNASSIGNED).unwrap_or_default();
            if name == BUSINESS_SERVICE || !value.is_empty() {
                labels.set(name, value);
            }
        }
        labels.set(SERVICE_NAME, text_or_empty(self.service_name, row));
        labels.build()
    }
}

#[cfg(test)]
mod tests {
    use model::logs::{LogRow, LogsBuilder};
    use model::{AttributeValue, Attributes};

    use super::*;

    fn streams(batch: &RecordBatch) -> (Vec<String>, Vec<u32>) {
        let mut cache = StreamCache::new(&Guard::new(&model::QueryLimits::default()));
        let of_row = cache.rows(batch).unwrap();
        (cache.labels.iter().map(ToString::to_string).collect(), of_row)
    }

    #[test]
    fn resources_become_streams_once() {
        let mut builder = LogsBuilder::default();
        let mut resource = Attributes::default();
        for (name, value) in [("service.name", "player"), ("host_id", "own"), ("host.id", "dotted"), ("9x", "1"), ("empty", "")] {
            resource.set(name, AttributeValue::Text(value));
        }
        let mut pushed = Attributes::default();
        pushed.set("app", AttributeValue::Text("tv"));
        for (set, service_name) in [(&resource, "player"), (&pushed, ""), (&resource, "player"), (&resource, "player")] {
            builder.push(&LogRow { service_name, ..LogRow::default() }, set, &Attributes::default());
        }
        let (labels, of_row) = streams(&builder.finish());
        assert_eq!(of_row, [0, 1, 0, 0]);
        assert_eq!(labels, [r#"{_9x="1", host_id="own", service_name="player"}"#, r#"{app="tv"}"#]);
    }

    #[test]
    fn columns_go_before_attributes() {
        let mut builder = LogsBuilder::default();
        let mut resource = Attributes::default();
        for name in ["region", "environment", "business_service"] {
            resource.set(name, AttributeValue::Text("pushed"));
        }
        builder.push(&LogRow::default(), &resource, &Attributes::default());
        builder.push(&LogRow::default(), &resource, &Attributes::default());
        let batch = builder.finish();
        let mut columns = batch.columns().to_vec();
        for (name, values) in [("business_service", ["playback", UNASSIGNED]), ("region", ["eu", "eu"]), ("team", ["video", ""])] {
            columns[batch.schema().index_of(name).unwrap()] = std::sync::Arc::new(StringArray::from(values.to_vec()));
        }
        let (labels, _) = streams(&RecordBatch::try_new(batch.schema(), columns).unwrap());
        let assigned = r#"{business_service="playback", environment="pushed", region="eu", team="video"}"#;
        assert_eq!(labels, [assigned, r#"{environment="pushed", region="eu"}"#]);
    }
}
