//! Which stream does a row belong to?

use std::borrow::Cow;

use arrow::array::{Array, RecordBatch, StringArray};
use hashbrown::HashMap;
use model::logs::text_or_empty;
use model::schema::column;
use model::{AttributesView, Code, Error, Identity, Labels, Result, UNASSIGNED};

/// Columns that [`StreamCache::rows`] reads.
pub(super) const COLUMNS: [&str; 8] =
    ["resource_attributes", "service_name", "business_service", "service", "component", "region", "environment", "team"];

/// Distinct streams that one query may meet.
const STREAMS_MAX: usize = 1_000_000;

/// The name as Prometheus and Loki accept it: letters, digits and `_`, no digit first.
pub fn legal_name(name: &str) -> Cow<'_, str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let digit_first = name.as_bytes().first().is_some_and(u8::is_ascii_digit);
    if !digit_first && name.bytes().all(legal) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 1);
    if digit_first {
        out.push('_');
    }
    out.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }));
    Cow::Owned(out)
}

/// The stream labels of a batch's rows: few distinct sets, and the index of its set for each row.
pub struct StreamLabels {
    pub distinct: Vec<Labels>,
    pub of_row: Vec<u32>,
}

impl StreamLabels {
    pub fn of(&self, row: usize) -> &Labels {
        &self.distinct[self.of_row[row] as usize]
    }
}

/// The one definition of a log row's stream labels: its resource attributes under legal names, then what the identity
/// columns know and no attribute says, then `service_name`. Of two attributes that get one name, the one that had it wins,
/// else the first.
pub fn stream_labels(batch: &RecordBatch) -> Result<StreamLabels> {
    let mut cache = StreamCache::default();
    let of_row = cache.rows(batch)?;
    Ok(StreamLabels { distinct: cache.labels, of_row })
}

/// Label sets met so far: rows of one resource share theirs, in all batches of a scan.
#[derive(Default)]
pub(super) struct StreamCache {
    by_key: HashMap<Vec<u8>, u32>,
    pub(super) labels: Vec<Labels>,
}

struct Columns<'a> {
    resource: AttributesView<'a>,
    service_name: &'a StringArray,
    identity: Vec<&'a StringArray>,
}

impl StreamCache {
    /// The index in [`Self::labels`] of every row.
    pub(super) fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u32>> {
        let columns = Columns {
            resource: AttributesView::of(batch, "resource_attributes", None)?,
            service_name: column(batch, "service_name")?,
            identity: Identity::FIELDS.into_iter().map(|field| column(batch, field)).collect::<Result<_>>()?,
        };
        let mut rows = Vec::with_capacity(batch.num_rows());
        let (mut key, mut last_key, mut last) = (Vec::new(), Vec::new(), None);
        for row in 0..batch.num_rows() {
            columns.write_key(row, &mut key);
            let index = match last {
                Some(index) if key == last_key => index,
                _ => self.index(&columns, row, &key)?,
            };
            rows.push(index);
            last = Some(index);
            std::mem::swap(&mut key, &mut last_key);
        }
        Ok(rows)
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
        self.labels.push(columns.labels(row));
        self.by_key.insert(key.to_vec(), index);
        Ok(index)
    }
}

impl Columns<'_> {
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
            let value = text_or_empty(column, row);
            if value != UNASSIGNED && labels.get(name).is_none() {
                labels.set(name, value);
            }
        }
        // Dotted names are what OpenTelemetry's resources have; nothing is added to a stream pushed as Loki's.
        let has_resource = self.resource.iter(row).any(|(name, _)| name.contains('.'));
        if has_resource && self.service_name.is_valid(row) && labels.get("service_name").is_none() {
            labels.set("service_name", self.service_name.value(row));
        }
        labels.build()
    }
}

#[cfg(test)]
mod tests {
    use model::logs::{LogRow, LogsBuilder};
    use model::{AttributeValue, Attributes};

    use super::*;

    #[test]
    fn resources_become_streams_once() {
        let mut builder = LogsBuilder::default();
        let mut resource = Attributes::default();
        for (name, value) in [("service.name", "player"), ("host_id", "own"), ("host.id", "dotted"), ("9x", "1"), ("empty", "")] {
            resource.set(name, AttributeValue::Text(value));
        }
        let mut pushed = Attributes::default();
        pushed.set("app", AttributeValue::Text("tv"));
        let row = LogRow { service_name: "player", ..LogRow::default() };
        for set in [&resource, &pushed, &resource] {
            builder.push(&row, set, &Attributes::default());
        }
        let streams = stream_labels(&builder.finish()).unwrap();
        assert_eq!(streams.of_row, [0, 1, 0]);
        assert_eq!(streams.of(0).to_string(), r#"{_9x="1", host_id="own", service_name="player"}"#);
        assert_eq!(streams.of(1).to_string(), r#"{app="tv"}"#);
    }

    #[test]
    fn identity_fills_what_no_attribute_says() {
        let mut builder = LogsBuilder::default();
        let mut resource = Attributes::default();
        resource.set("region", AttributeValue::Text("pushed"));
        builder.push(&LogRow::default(), &resource, &Attributes::default());
        builder.push(&LogRow::default(), &resource, &Attributes::default());
        let batch = builder.finish();
        let mut columns = batch.columns().to_vec();
        for (name, values) in [("business_service", ["playback", UNASSIGNED]), ("region", ["eu", "eu"]), ("team", ["video", ""])] {
            columns[batch.schema().index_of(name).unwrap()] = std::sync::Arc::new(StringArray::from(values.to_vec()));
        }
        let streams = stream_labels(&RecordBatch::try_new(batch.schema(), columns).unwrap()).unwrap();
        assert_eq!(streams.of(0).to_string(), r#"{business_service="playback", region="pushed", team="video"}"#);
        assert_eq!(streams.of(1).to_string(), r#"{region="pushed"}"#);
    }
}
