//! Builds and reads canonical `logs` batches.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, Int32Builder, Int64Array, Int64Builder, RecordBatch, StringArray, StringBuilder};

use crate::attributes::{Attributes, AttributesBuilder, AttributesView};
use crate::origin::{self, Origin, OriginsBuilder};
use crate::schema::{Table, column};
use crate::{Identity, Result};

/// The plain columns of one log record; empty text and absent numbers become null.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRow<'a> {
    pub time_unix_nano: i64,
    pub observed_time_unix_nano: Option<i64>,
    pub severity_number: Option<i32>,
    pub severity_text: &'a str,
    pub body: &'a str,
    /// A letter of [`crate::AttributeType`] when the body was not text.
    pub body_type: &'a str,
    pub service_name: &'a str,
    /// Lower-case hex.
    pub trace_id: &'a str,
    pub span_id: &'a str,
    pub event_name: &'a str,
    pub flags: Option<i64>,
    pub scope_name: &'a str,
    pub scope_version: &'a str,
    pub dropped_attributes_count: Option<i64>,
}

/// Appends log records column by column. Fill [`Self::attributes`] first, then call [`Self::push`].
pub struct LogsBuilder {
    /// Of the record under construction.
    pub attributes: AttributesBuilder,
    time: Int64Builder,
    observed: Int64Builder,
    severity_number: Int32Builder,
    severity_text: StringBuilder,
    body: StringBuilder,
    body_type: StringBuilder,
    trace_id: StringBuilder,
    span_id: StringBuilder,
    event_name: StringBuilder,
    flags: Int64Builder,
    origins: OriginsBuilder,
    dropped_attributes: Int64Builder,
}

impl Default for LogsBuilder {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

pub(crate) fn append_text(builder: &mut StringBuilder, text: &str) {
    match text.is_empty() {
        true => builder.append_null(),
        false => builder.append_value(text),
    }
}

impl LogsBuilder {
    /// With room for so many records, but for their texts: what grows is copied.
    pub fn with_capacity(rows: usize) -> Self {
        let texts = |bytes: usize| StringBuilder::with_capacity(rows, rows * bytes);
        Self {
            attributes: AttributesBuilder::new(),
            time: Int64Builder::with_capacity(rows),
            observed: Int64Builder::with_capacity(rows),
            severity_number: Int32Builder::with_capacity(rows),
            severity_text: texts(4),
            body: texts(0),
            body_type: texts(0),
            trace_id: texts(32),
            span_id: texts(16),
            event_name: texts(0),
            flags: Int64Builder::with_capacity(rows),
            origins: OriginsBuilder::default(),
            dropped_attributes: Int64Builder::with_capacity(rows),
        }
    }

    pub fn len(&self) -> usize {
        self.time.values_slice().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the record, which is of this resource and scope.
    pub fn push(&mut self, row: &LogRow<'_>, resource: &Attributes, scope: &Attributes) {
        self.attributes.finish_row();
        self.time.append_value(row.time_unix_nano);
        self.observed.append_option(row.observed_time_unix_nano);
        self.severity_number.append_option(row.severity_number);
        append_text(&mut self.severity_text, row.severity_text);
        self.body.append_value(row.body);
        append_text(&mut self.body_type, row.body_type);
        append_text(&mut self.trace_id, row.trace_id);
        append_text(&mut self.span_id, row.span_id);
        append_text(&mut self.event_name, row.event_name);
        self.flags.append_option(row.flags);
        self.dropped_attributes.append_option(row.dropped_attributes_count);
        let LogRow { service_name, scope_name, scope_version, .. } = *row;
        self.origins.push(Origin { service_name, scope_name, scope_version, scope, resource });
    }

    /// The batch as a scan gives it, identity columns null; the builder is empty again.
    pub fn finish(&mut self) -> RecordBatch {
        origin::unpacked(Table::Logs, &self.finish_packed()).expect("a builder's rows have all columns")
    }

    /// The batch, packed; the builder is empty again.
    pub fn finish_packed(&mut self) -> RecordBatch {
        let (attributes, attribute_types) = self.attributes.finish();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.time.finish()),
            Arc::new(self.observed.finish()),
            Arc::new(self.severity_number.finish()),
            Arc::new(self.severity_text.finish()),
            Arc::new(self.body.finish()),
            Arc::new(self.body_type.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.event_name.finish()),
            Arc::new(self.flags.finish()),
            attributes,
            attribute_types,
            Arc::new(self.dropped_attributes.finish()),
            self.origins.finish(),
        ];
        RecordBatch::try_new(Table::Logs.packed_schema(), columns).expect("LogsBuilder fills every column")
    }
}

/// The columns that reading a log line needs; the batch must hold them all.
pub struct LogsView<'a> {
    pub time: &'a Int64Array,
    pub severity_number: &'a Int32Array,
    pub severity_text: &'a StringArray,
    pub body: &'a StringArray,
    pub service_name: &'a StringArray,
    pub trace_id: &'a StringArray,
    pub span_id: &'a StringArray,
    pub resource_attributes: AttributesView<'a>,
    pub attributes: AttributesView<'a>,
    /// In the order of [`Identity::FIELDS`].
    pub identity: [&'a StringArray; 6],
}

impl<'a> LogsView<'a> {
    /// The columns to ask a scan for.
    pub const COLUMNS: [&'static str; 17] = [
        "time_unix_nano",
        "severity_number",
        "severity_text",
        "body",
        "service_name",
        "trace_id",
        "span_id",
        "resource_attributes",
        "resource_attribute_types",
        "attributes",
        "attribute_types",
        "business_service",
        "service",
        "component",
        "region",
        "environment",
        "team",
    ];

    pub fn of(batch: &'a RecordBatch) -> Result<Self> {
        Ok(Self {
            time: column(batch, "time_unix_nano")?,
            severity_number: column(batch, "severity_number")?,
            severity_text: column(batch, "severity_text")?,
            body: column(batch, "body")?,
            service_name: column(batch, "service_name")?,
            trace_id: column(batch, "trace_id")?,
            span_id: column(batch, "span_id")?,
            resource_attributes: AttributesView::of(batch, "resource_attributes", Some("resource_attribute_types"))?,
            attributes: AttributesView::of(batch, "attributes", Some("attribute_types"))?,
            identity: identity_columns(batch)?,
        })
    }
}

/// The identity columns in the order of [`Identity::FIELDS`].
pub fn identity_columns(batch: &RecordBatch) -> Result<[&StringArray; 6]> {
    let [a, b, c, d, e, f] = Identity::FIELDS;
    Ok([column(batch, a)?, column(batch, b)?, column(batch, c)?, column(batch, d)?, column(batch, e)?, column(batch, f)?])
}

/// The value, or the empty text where it is null.
pub fn text_or_empty(array: &StringArray, row: usize) -> &str {
    if array.is_null(row) { "" } else { array.value(row) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AttributeValue;

    #[test]
    fn a_record_comes_back() {
        let mut builder = LogsBuilder::default();
        let mut resource = Attributes::default();
        resource.set("service.name", AttributeValue::Text("player"));
        builder.attributes.push("video.id", AttributeValue::Int(7));
        let row = LogRow { time_unix_nano: 5, severity_text: "INFO", body: "hello", service_name: "player", ..LogRow::default() };
        builder.push(&row, &resource, &Attributes::default());
        let batch = builder.finish();
        assert!(builder.is_empty());
        let view = LogsView::of(&batch).expect("canonical");
        assert_eq!((view.time.value(0), view.body.value(0)), (5, "hello"));
        assert_eq!(view.attributes.get(0, "video.id"), Some("7"));
        assert_eq!(view.resource_attributes.get(0, "service.name"), Some("player"));
        assert!(view.identity[0].is_null(0) && view.trace_id.is_null(0));
    }
}
