//! Builds and reads canonical `spans` batches.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, Int64Builder, ListArray, MapArray, RecordBatch, StringArray, StringBuilder, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Fields};

use crate::attributes::{Attributes, AttributesBuilder, AttributesView};
use crate::logs::{append_text, identity_columns};
use crate::origin::{self, Origin, OriginsBuilder};
use crate::schema::{Table, column, event_fields, link_fields, list_element};
use crate::{Error, Result};

/// The plain columns of one span; empty text and absent numbers become null.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpanRow<'a> {
    pub start_time_unix_nano: i64,
    pub end_time_unix_nano: i64,
    /// Lower-case hex, as every id here.
    pub trace_id: &'a str,
    pub span_id: &'a str,
    pub parent_span_id: &'a str,
    pub trace_state: &'a str,
    pub flags: Option<i64>,
    pub name: &'a str,
    /// `unspecified`, `internal`, `server`, `client`, `producer`, `consumer`.
    pub kind: &'a str,
    /// `unset`, `ok`, `error`.
    pub status_code: &'a str,
    pub status_message: &'a str,
    pub service_name: &'a str,
    pub scope_name: &'a str,
    pub scope_version: &'a str,
    pub dropped_attributes_count: Option<i64>,
    pub dropped_events_count: Option<i64>,
    pub dropped_links_count: Option<i64>,
}

/// Appends spans column by column. Fill [`Self::attributes`], [`Self::events`] and [`Self::links`] of a span first, then
/// call [`Self::push`].
pub struct SpansBuilder {
    pub attributes: AttributesBuilder,
    pub events: EventsBuilder,
    pub links: LinksBuilder,
    start: Int64Builder,
    end: Int64Builder,
    duration: Int64Builder,
    flags: Int64Builder,
    /// trace_id, span_id, parent_span_id, trace_state, name, kind, status_code, status_message.
    texts: [StringBuilder; 8],
    origins: OriginsBuilder,
    dropped: [Int64Builder; 3],
}

impl Default for SpansBuilder {
    fn default() -> Self {
        Self {
            attributes: AttributesBuilder::new(),
            events: EventsBuilder::default(),
            links: LinksBuilder::default(),
            start: Int64Builder::new(),
            end: Int64Builder::new(),
            duration: Int64Builder::new(),
            flags: Int64Builder::new(),
            texts: Default::default(),
            origins: OriginsBuilder::default(),
            dropped: Default::default(),
        }
    }
}

impl SpansBuilder {
    pub fn len(&self) -> usize {
        self.start.values_slice().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the span, which is of this resource and scope.
    pub fn push(&mut self, row: &SpanRow<'_>, resource: &Attributes, scope: &Attributes) {
        self.attributes.finish_row();
        self.events.finish_row();
        self.links.finish_row();
        self.start.append_value(row.start_time_unix_nano);
        self.end.append_value(row.end_time_unix_nano);
        self.duration.append_value(row.end_time_unix_nano.saturating_sub(row.start_time_unix_nano));
        self.flags.append_option(row.flags);
        let texts =
            [row.trace_id, row.span_id, row.parent_span_id, row.trace_state, row.name, row.kind, row.status_code, row.status_message];
        for (builder, text) in self.texts.iter_mut().zip(texts) {
            append_text(builder, text);
        }
        let SpanRow { service_name, scope_name, scope_version, .. } = *row;
        self.origins.push(Origin { service_name, scope_name, scope_version, scope, resource });
        let dropped = [row.dropped_attributes_count, row.dropped_events_count, row.dropped_links_count];
        for (builder, count) in self.dropped.iter_mut().zip(dropped) {
            builder.append_option(count);
        }
    }

    /// The batch as a scan gives it, identity columns null; the builder is empty again.
    pub fn finish(&mut self) -> RecordBatch {
        origin::unpacked(Table::Spans, &self.finish_packed()).expect("a builder's rows have all columns")
    }

    /// The batch, packed; the builder is empty again.
    pub fn finish_packed(&mut self) -> RecordBatch {
        let [trace_id, span_id, parent, state, name, kind, status, message] =
            self.texts.each_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let [dropped_attributes, dropped_events, dropped_links] =
            self.dropped.each_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let (attributes, attribute_types) = self.attributes.finish();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.start.finish()),
            Arc::new(self.end.finish()),
            Arc::new(self.duration.finish()),
            trace_id,
            span_id,
            parent,
            state,
            Arc::new(self.flags.finish()),
            name,
            kind,
            status,
            message,
            attributes,
            attribute_types,
            self.events.finish(),
            self.links.finish(),
            dropped_attributes,
            dropped_events,
            dropped_links,
            self.origins.finish(),
        ];
        RecordBatch::try_new(Table::Spans.packed_schema(), columns).expect("SpansBuilder fills every column")
    }
}

fn list_of(fields: Fields, columns: Vec<ArrayRef>, offsets: &mut Vec<i32>) -> ArrayRef {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])));
    let elements = StructArray::new(fields.clone(), columns, None);
    Arc::new(ListArray::new(list_element(DataType::Struct(fields)), offsets, Arc::new(elements), None))
}

/// The events of spans. Fill [`Self::attributes`] of an event first, then call [`Self::push`].
pub struct EventsBuilder {
    pub attributes: AttributesBuilder,
    time: Int64Builder,
    name: StringBuilder,
    offsets: Vec<i32>,
}

impl Default for EventsBuilder {
    fn default() -> Self {
        Self { attributes: AttributesBuilder::new(), time: Int64Builder::new(), name: StringBuilder::new(), offsets: vec![0] }
    }
}

impl EventsBuilder {
    pub fn push(&mut self, time_unix_nano: i64, name: &str) {
        self.attributes.finish_row();
        self.time.append_value(time_unix_nano);
        append_text(&mut self.name, name);
    }

    fn finish_row(&mut self) {
        self.offsets.push(i32::try_from(self.time.values_slice().len()).expect("a request holds under 2^31 events"));
    }

    fn finish(&mut self) -> ArrayRef {
        let (attributes, types) = self.attributes.finish();
        let columns = vec![Arc::new(self.time.finish()) as ArrayRef, Arc::new(self.name.finish()), attributes, types];
        list_of(event_fields(), columns, &mut self.offsets)
    }
}

/// The links of spans. Fill [`Self::attributes`] of a link first, then call [`Self::push`].
pub struct LinksBuilder {
    pub attributes: AttributesBuilder,
    trace_id: StringBuilder,
    span_id: StringBuilder,
    trace_state: StringBuilder,
    offsets: Vec<i32>,
    len: i32,
}

impl Default for LinksBuilder {
    fn default() -> Self {
        Self {
            attributes: AttributesBuilder::new(),
            trace_id: StringBuilder::new(),
            span_id: StringBuilder::new(),
            trace_state: StringBuilder::new(),
            offsets: vec![0],
            len: 0,
        }
    }
}

impl LinksBuilder {
    pub fn push(&mut self, trace_id: &str, span_id: &str, trace_state: &str) {
        self.attributes.finish_row();
        append_text(&mut self.trace_id, trace_id);
        append_text(&mut self.span_id, span_id);
        append_text(&mut self.trace_state, trace_state);
        self.len += 1;
    }

    fn finish_row(&mut self) {
        self.offsets.push(self.len);
    }

    fn finish(&mut self) -> ArrayRef {
        self.len = 0;
        let (attributes, types) = self.attributes.finish();
        let columns = vec![
            Arc::new(self.trace_id.finish()) as ArrayRef,
            Arc::new(self.span_id.finish()),
            Arc::new(self.trace_state.finish()),
            attributes,
            types,
        ];
        list_of(link_fields(), columns, &mut self.offsets)
    }
}

/// The columns of whole spans; the batch must hold them all.
pub struct SpansView<'a> {
    pub start: &'a Int64Array,
    pub end: &'a Int64Array,
    pub duration: &'a Int64Array,
    pub trace_id: &'a StringArray,
    pub span_id: &'a StringArray,
    pub parent_span_id: &'a StringArray,
    pub trace_state: &'a StringArray,
    pub name: &'a StringArray,
    pub kind: &'a StringArray,
    pub status_code: &'a StringArray,
    pub status_message: &'a StringArray,
    pub service_name: &'a StringArray,
    pub scope_name: &'a StringArray,
    pub scope_version: &'a StringArray,
    pub resource_attributes: AttributesView<'a>,
    pub attributes: AttributesView<'a>,
    pub identity: [&'a StringArray; 6],
    events: &'a ListArray,
    links: &'a ListArray,
}

/// Events or links of all spans of a batch; ask [`Self::range`] for one span's.
pub struct Nested<'a> {
    pub range: std::ops::Range<usize>,
    elements: &'a StructArray,
    pub attributes: AttributesView<'a>,
}

impl<'a> Nested<'a> {
    /// Of the column `events` or `links`.
    pub fn of(list: &'a ListArray, row: usize) -> Result<Self> {
        let elements: &StructArray =
            list.values().as_any().downcast_ref().ok_or_else(|| Error::internal("cannot read span children: not a struct"))?;
        let offsets = list.value_offsets();
        let range = match list.is_null(row) {
            true => 0..0,
            false => offsets[row] as usize..offsets[row + 1] as usize,
        };
        let map: &MapArray = child(elements, "attributes")?;
        let attributes = AttributesView::of_map(map, child(elements, "attribute_types").ok());
        Ok(Self { range, elements, attributes })
    }

    pub fn text(&self, name: &str) -> Result<&'a StringArray> {
        child(self.elements, name)
    }

    pub fn long(&self, name: &str) -> Result<&'a Int64Array> {
        child(self.elements, name)
    }
}

fn child<'a, A: Array + 'static>(elements: &'a StructArray, name: &str) -> Result<&'a A> {
    elements
        .column_by_name(name)
        .and_then(|array| array.as_any().downcast_ref())
        .ok_or_else(|| Error::internal(format!("cannot find field {name:?} in a nested column")))
}

impl<'a> SpansView<'a> {
    pub fn of(batch: &'a RecordBatch) -> Result<Self> {
        Ok(Self {
            start: column(batch, "start_time_unix_nano")?,
            end: column(batch, "end_time_unix_nano")?,
            duration: column(batch, "duration_nano")?,
            trace_id: column(batch, "trace_id")?,
            span_id: column(batch, "span_id")?,
            parent_span_id: column(batch, "parent_span_id")?,
            trace_state: column(batch, "trace_state")?,
            name: column(batch, "name")?,
            kind: column(batch, "kind")?,
            status_code: column(batch, "status_code")?,
            status_message: column(batch, "status_message")?,
            service_name: column(batch, "service_name")?,
            scope_name: column(batch, "scope_name")?,
            scope_version: column(batch, "scope_version")?,
            resource_attributes: AttributesView::of(batch, "resource_attributes", Some("resource_attribute_types"))?,
            attributes: AttributesView::of(batch, "attributes", Some("attribute_types"))?,
            identity: identity_columns(batch)?,
            events: column(batch, "events")?,
            links: column(batch, "links")?,
        })
    }

    /// `time_unix_nano`, `name` and attributes of the span's events.
    pub fn events(&self, row: usize) -> Result<Nested<'a>> {
        Nested::of(self.events, row)
    }

    /// `trace_id`, `span_id`, `trace_state` and attributes of the span's links.
    pub fn links(&self, row: usize) -> Result<Nested<'a>> {
        Nested::of(self.links, row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AttributeValue;

    #[test]
    fn a_span_comes_back_with_its_events_and_links() {
        let mut builder = SpansBuilder::default();
        let none = Attributes::default();
        builder.push(&SpanRow { name: "first", ..SpanRow::default() }, &none, &none);
        builder.events.attributes.push("exception.type", AttributeValue::Text("NotFound"));
        builder.events.push(15, "exception");
        builder.links.push("aa", "bb", "");
        let row = SpanRow { start_time_unix_nano: 10, end_time_unix_nano: 30, name: "GetItem", ..SpanRow::default() };
        builder.push(&row, &none, &none);
        let batch = builder.finish();
        let view = SpansView::of(&batch).expect("canonical");
        assert_eq!((view.name.value(1), view.duration.value(1)), ("GetItem", 20));
        assert!(view.events(0).expect("events").range.is_empty());
        let events = view.events(1).expect("events");
        assert_eq!(events.range, 0..1);
        assert_eq!(events.text("name").expect("name").value(0), "exception");
        assert_eq!(events.attributes.get(0, "exception.type"), Some("NotFound"));
        assert_eq!(view.links(1).expect("links").text("span_id").expect("id").value(0), "bb");
    }
}
