//! One log record on its way through stages: what its columns hold, until a stage says otherwise.

use arrow::array::{Array, Int32Array, Int64Array, RecordBatch, StringArray};
use model::origin::Origins;
use model::schema::column;
use model::{AttributeType, AttributesView, Error, Identity, Result};

use crate::owners::Owners;

/// The columns that stages read, of one packed batch.
pub(super) struct Columns<'a> {
    pub(super) time: &'a Int64Array,
    pub(super) observed: &'a Int64Array,
    pub(super) severity_number: &'a Int32Array,
    pub(super) severity_text: &'a StringArray,
    pub(super) body: &'a StringArray,
    pub(super) body_type: &'a StringArray,
    pub(super) trace_id: &'a StringArray,
    pub(super) span_id: &'a StringArray,
    pub(super) event_name: &'a StringArray,
    pub(super) attributes: AttributesView<'a>,
    pub(super) origins: Origins<'a>,
    pub(super) resource: AttributesView<'a>,
    pub(super) scope: AttributesView<'a>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(records: &'a RecordBatch) -> Result<Self> {
        let origins = Origins::of(records).ok_or_else(|| Error::internal("cannot transform rows that are not packed"))?;
        Ok(Self {
            time: column(records, "time_unix_nano")?,
            observed: column(records, "observed_time_unix_nano")?,
            severity_number: column(records, "severity_number")?,
            severity_text: column(records, "severity_text")?,
            body: column(records, "body")?,
            body_type: column(records, "body_type")?,
            trace_id: column(records, "trace_id")?,
            span_id: column(records, "span_id")?,
            event_name: column(records, "event_name")?,
            attributes: AttributesView::of(records, "attributes", Some("attribute_types"))?,
            resource: AttributesView::of_map(origins.map("resource_attributes")?, Some(origins.texts("resource_attribute_types")?)),
            scope: AttributesView::of_map(origins.map("scope_attributes")?, Some(origins.texts("scope_attribute_types")?)),
            origins,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attribute {
    pub(super) key: String,
    pub(super) kind: AttributeType,
    pub(super) text: String,
}

/// What stages have written; what is none is as it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Edit {
    pub(super) time: Option<i64>,
    pub(super) severity_number: Option<Option<i32>>,
    pub(super) severity_text: Option<String>,
    pub(super) body: Option<String>,
    /// The body is text now, whatever it was.
    pub(super) plain_body: bool,
    pub(super) trace_id: Option<String>,
    pub(super) span_id: Option<String>,
    pub(super) event_name: Option<String>,
    pub(super) attributes: Option<Vec<Attribute>>,
}

pub(super) struct Record<'a> {
    pub(super) columns: &'a Columns<'a>,
    pub(super) row: usize,
    pub(super) edit: Edit,
    /// Whose it is, and the place of that among the owners of its batch.
    pub(super) identity: &'a Identity,
    pub(super) owner: usize,
}

fn or_empty(column: &StringArray, row: usize) -> &str {
    if column.is_null(row) { "" } else { column.value(row) }
}

impl<'a> Record<'a> {
    pub(super) fn of(owners: &'a Owners, columns: &'a Columns<'a>, row: usize) -> Self {
        let owner = owners.of_place[columns.origins.place(row)];
        Self { columns, row, edit: Edit::default(), identity: &owners.each[owner], owner }
    }

    pub(super) fn time(&self) -> i64 {
        self.edit.time.unwrap_or_else(|| self.columns.time.value(self.row))
    }

    pub(super) fn observed(&self) -> Option<i64> {
        self.columns.observed.is_valid(self.row).then(|| self.columns.observed.value(self.row))
    }

    pub(super) fn severity_number(&self) -> Option<i32> {
        let own = || self.columns.severity_number.is_valid(self.row).then(|| self.columns.severity_number.value(self.row));
        self.edit.severity_number.unwrap_or_else(own)
    }

    pub(super) fn severity_text(&self) -> &str {
        self.edit.severity_text.as_deref().unwrap_or_else(|| or_empty(self.columns.severity_text, self.row))
    }

    pub(super) fn body(&self) -> &str {
        self.edit.body.as_deref().unwrap_or_else(|| or_empty(self.columns.body, self.row))
    }

    pub(super) fn trace_id(&self) -> &str {
        self.edit.trace_id.as_deref().unwrap_or_else(|| or_empty(self.columns.trace_id, self.row))
    }

    pub(super) fn span_id(&self) -> &str {
        self.edit.span_id.as_deref().unwrap_or_else(|| or_empty(self.columns.span_id, self.row))
    }

    pub(super) fn event_name(&self) -> &str {
        self.edit.event_name.as_deref().unwrap_or_else(|| or_empty(self.columns.event_name, self.row))
    }

    /// Calls `each` with key, type and text of every attribute.
    pub(super) fn each_attribute(&self, mut each: impl FnMut(&str, AttributeType, &str)) {
        match &self.edit.attributes {
            Some(all) => all.iter().for_each(|attribute| each(&attribute.key, attribute.kind, &attribute.text)),
            None => self.columns.attributes.iter_typed(self.row).for_each(|(key, kind, text)| each(key, kind, text)),
        }
    }

    pub(super) fn attribute(&self, key: &str) -> Option<&str> {
        match &self.edit.attributes {
            Some(all) => all.iter().find(|attribute| attribute.key == key).map(|attribute| attribute.text.as_str()),
            None => self.columns.attributes.get(self.row, key),
        }
    }

    /// What has that name: an attribute, one of the resource, a field of the record or of its identity.
    pub(super) fn named(&self, name: &str) -> Option<&str> {
        let field = match name {
            "body" => self.body(),
            "severity_text" => self.severity_text(),
            "trace_id" => self.trace_id(),
            "span_id" => self.span_id(),
            "event_name" => self.event_name(),
            _ => "",
        };
        let place = self.columns.origins.place(self.row);
        let own = || self.attribute(name).or_else(|| self.columns.resource.get(place, name));
        let identity = || Identity::FIELDS.iter().position(|field| *field == name).map(|at| self.identity.values()[at]);
        Some(field).filter(|text| !text.is_empty()).or_else(own).or_else(identity)
    }

    /// The attributes to write to.
    pub(super) fn attributes_mut(&mut self) -> &mut Vec<Attribute> {
        self.edit.attributes.get_or_insert_with(|| {
            let all = self.columns.attributes.iter_typed(self.row);
            all.map(|(key, kind, text)| Attribute { key: key.to_owned(), kind, text: text.to_owned() }).collect()
        })
    }

    /// An attribute that is there gets the new value.
    pub(super) fn set(&mut self, key: &str, kind: AttributeType, text: String) {
        let all = self.attributes_mut();
        match all.iter_mut().find(|attribute| attribute.key == key) {
            Some(attribute) => (attribute.kind, attribute.text) = (kind, text),
            None => all.push(Attribute { key: key.to_owned(), kind, text }),
        }
    }

    pub(super) fn set_body(&mut self, body: String) {
        (self.edit.body, self.edit.plain_body) = (Some(body), true);
    }
}
