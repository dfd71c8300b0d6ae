//! Writes the identity of a series onto its labels, so that PromQL sees it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use model::schema::column;
use model::{AttributeValue, AttributesBuilder, AttributesView, Identity, Result, series_id};

use super::Found;

pub(super) struct Stamped {
    pub(super) labels: ArrayRef,
    pub(super) series_id: ArrayRef,
}

/// The fields in the order of their names, which is the order of labels.
const SORTED: [usize; 6] = [0, 2, 4, 3, 1, 5];

/// None when no row gets a label. Rows stay sorted by label name; a label that is there is never changed; a series
/// that nobody has claimed stays as it came.
pub(super) fn stamp(records: &RecordBatch, found: &Found) -> Result<Option<Stamped>> {
    if !found.distinct.iter().any(Identity::is_assigned) {
        return Ok(None);
    }
    let labels = AttributesView::of(records, "labels", None)?;
    let names: &StringArray = column(records, "name")?;
    let ids: &Int64Array = column(records, "series_id")?;
    let mut stamped = AttributesBuilder::new();
    let mut stamped_ids = Vec::with_capacity(records.num_rows());
    for row in 0..records.num_rows() {
        let identity = found.of_row(row);
        let values = identity.values();
        let missing = |field: &usize| !values[*field].is_empty() && labels.get_sorted(row, Identity::FIELDS[*field]).is_none();
        let mut added = SORTED.into_iter().filter(missing).filter(|_| identity.is_assigned()).peekable();
        let changed = added.peek().is_some();
        let mut merged: Vec<(&str, &str)> = Vec::with_capacity(labels.len(row) + 6);
        for (name, value) in labels.iter(row) {
            while let Some(field) = added.next_if(|&field| Identity::FIELDS[field] < name) {
                merged.push((Identity::FIELDS[field], values[field]));
            }
            merged.push((name, value));
        }
        merged.extend(added.map(|field| (Identity::FIELDS[field], values[field])));
        for (name, value) in &merged {
            stamped.append(name, AttributeValue::Text(value));
        }
        stamped.finish_row();
        stamped_ids.push(match changed {
            true => series_id(model::logs::text_or_empty(names, row), merged.iter().copied()),
            false => ids.value(row),
        });
    }
    let (labels, _) = stamped.finish();
    Ok(Some(Stamped { labels, series_id: Arc::new(Int64Array::from(stamped_ids)) }))
}
