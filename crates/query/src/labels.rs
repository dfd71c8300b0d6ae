//! The stream labels of log rows: resource attributes under Prometheus-legal names, and the row's identity beside them.

use std::borrow::Cow;

use arrow::array::{Array, RecordBatch, StringArray};
use model::schema::column;
use model::{AttributesView, Identity, Labels, Result, UNASSIGNED};

/// The columns of `logs` that stream labels are made of.
pub(crate) fn stream_columns() -> impl Iterator<Item = &'static str> {
    std::iter::once("resource_attributes").chain(Identity::FIELDS)
}

/// Gives the stream labels of each row of a batch. Neighbours mostly share them, so those of the row before are kept.
pub(crate) struct StreamLabels<'a> {
    resource: AttributesView<'a>,
    identity: [&'a StringArray; 6],
    last: Option<(usize, Labels)>,
}

impl<'a> StreamLabels<'a> {
    pub(crate) fn of(batch: &'a RecordBatch) -> Result<Self> {
        let [a, b, c, d, e, f] = Identity::FIELDS;
        let identity = [column(batch, a)?, column(batch, b)?, column(batch, c)?, column(batch, d)?, column(batch, e)?, column(batch, f)?];
        Ok(Self { resource: AttributesView::of(batch, "resource_attributes", None)?, identity, last: None })
    }

    /// `None` when the row has the labels of the row asked for before.
    pub(crate) fn next(&mut self, row: usize) -> Option<&Labels> {
        if self.last.as_ref().is_some_and(|(before, _)| self.same(*before, row)) {
            return None;
        }
        let labels = self.build(row);
        Some(&self.last.insert((row, labels)).1)
    }

    fn same(&self, left: usize, right: usize) -> bool {
        self.identity.iter().all(|values| text(values, left) == text(values, right))
            && self.resource.len(left) == self.resource.len(right)
            && self.resource.iter(left).eq(self.resource.iter(right))
    }

    fn build(&self, row: usize) -> Labels {
        let mut labels = model::LabelsBuilder::default();
        for (key, value) in self.resource.iter(row) {
            let name = legal_name(key);
            if labels.get(&name).is_none() {
                labels.set(&name, value);
            }
        }
        for (name, values) in Identity::FIELDS.into_iter().zip(self.identity) {
            let value = text(values, row);
            if value != UNASSIGNED && labels.get(name).is_none() {
                labels.set(name, value);
            }
        }
        labels.build()
    }
}

fn text(values: &StringArray, row: usize) -> &str {
    if values.is_null(row) { "" } else { values.value(row) }
}

/// Every character outside `[a-zA-Z0-9_]` becomes `_`, and a leading digit gets a `_` before it.
pub(crate) fn legal_name(key: &str) -> Cow<'_, str> {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let digit = key.starts_with(|letter: char| letter.is_ascii_digit());
    if !digit && key.chars().all(legal) {
        return Cow::Borrowed(key);
    }
    let letters = key.chars().map(|letter| if legal(letter) { letter } else { '_' });
    Cow::Owned(digit.then_some('_').into_iter().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::legal_name;

    #[test]
    fn names_become_legal() {
        let check = |key: &str, name: &str| assert_eq!(legal_name(key), name);
        check("service.name", "service_name");
        check("k8s.pod/uid", "k8s_pod_uid");
        check("3scale", "_3scale");
        check("größe", "gr__e");
        check("plain_1", "plain_1");
    }
}
