use std::sync::Arc;

use arrow::array::{Array, Int64Array, ListArray, RecordBatch, StringArray};
use model::logs::text_or_empty;
use model::origin::Origins;
use model::schema::column;
use model::spans::Nested;
use model::{AttributesView, Identity, Result};

use super::asked::{Asked, Key, Told};
use super::rows::Example;

/// Who sent a span.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    /// `service.name`, or the component where that is missing.
    pub(crate) name: String,
    pub(crate) identity: Identity,
}

/// The columns of a batch. What rows share of resource and owner is looked at once for each origin, if the batch is packed.
pub(crate) struct Spans<'a> {
    start: &'a Int64Array,
    end: &'a Int64Array,
    trace_id: &'a StringArray,
    span_id: &'a StringArray,
    parent_span_id: &'a StringArray,
    name: &'a StringArray,
    kind: &'a StringArray,
    status_code: &'a StringArray,
    status_message: &'a StringArray,
    links: &'a ListArray,
    attributes: Told<'a>,
    resource_attributes: Told<'a>,
    /// Of each origin, or of each row.
    senders: Vec<Arc<Sender>>,
    origins: Option<Origins<'a>>,
    /// Running bytes of the rows in memory.
    bytes: Vec<u64>,
}

impl<'a> Spans<'a> {
    pub(crate) fn of(records: &'a RecordBatch, asked: &Asked) -> Result<Self> {
        let origins = Origins::of(records);
        let shared = |name: &str| match &origins {
            Some(origins) => origins.texts(name),
            None => column(records, name),
        };
        let resource = match &origins {
            Some(origins) => origins.map("resource_attributes")?,
            None => column(records, "resource_attributes")?,
        };
        let identity = Identity::FIELDS.map(shared).into_iter().collect::<Result<Vec<_>>>()?;
        Ok(Self {
            start: column(records, "start_time_unix_nano")?,
            end: column(records, "end_time_unix_nano")?,
            trace_id: column(records, "trace_id")?,
            span_id: column(records, "span_id")?,
            parent_span_id: column(records, "parent_span_id")?,
            name: column(records, "name")?,
            kind: column(records, "kind")?,
            status_code: column(records, "status_code")?,
            status_message: column(records, "status_message")?,
            links: column(records, "links")?,
            attributes: asked.read(AttributesView::of(records, "attributes", None)?),
            resource_attributes: asked.read(AttributesView::of_map(resource, None)),
            senders: senders(shared("service_name")?, &identity),
            origins,
            bytes: model::running_bytes(records)?,
        })
    }

    /// Every span, with the bytes that it takes in memory.
    pub(crate) fn each(&'a self) -> impl Iterator<Item = (Span<'a>, u64)> {
        self.bytes.windows(2).enumerate().map(|(row, bytes)| {
            let origin = self.origins.map_or(row, |origins| origins.place(row));
            (Span { spans: self, row, origin, sender: &self.senders[origin] }, bytes[1] - bytes[0])
        })
    }
}

/// Of rows or of origins; those of one sender mostly follow each other.
fn senders(service_name: &StringArray, identity: &[&StringArray]) -> Vec<Arc<Sender>> {
    let mut senders: Vec<Arc<Sender>> = Vec::with_capacity(service_name.len());
    for row in 0..service_name.len() {
        let mut values = [""; 6];
        values.iter_mut().zip(identity).for_each(|(value, column)| *value = text_or_empty(column, row));
        let service_name = text_or_empty(service_name, row);
        let name = if service_name.is_empty() { values[2] } else { service_name };
        let known = senders.last().filter(|last| last.name == name && last.identity.values() == values).cloned();
        senders.push(known.unwrap_or_else(|| {
            let [business_service, service, component, region, environment, team] = values.map(str::to_owned);
            let identity = Identity { business_service, service, component, region, environment, team };
            Arc::new(Sender { name: name.to_owned(), identity })
        }));
    }
    senders
}

/// One span of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Span<'a> {
    spans: &'a Spans<'a>,
    row: usize,
    origin: usize,
    pub(crate) sender: &'a Arc<Sender>,
}

impl<'a> Span<'a> {
    pub(crate) fn name(self) -> &'a str {
        text_or_empty(self.spans.name, self.row)
    }

    pub(crate) fn kind(self) -> &'a str {
        text_or_empty(self.spans.kind, self.row)
    }

    pub(crate) fn status(self) -> &'a str {
        text_or_empty(self.spans.status_code, self.row)
    }

    pub(crate) fn status_message(self) -> &'a str {
        text_or_empty(self.spans.status_message, self.row)
    }

    pub(crate) fn failed(self) -> bool {
        self.status() == "error"
    }

    pub(crate) fn trace_id(self) -> &'a str {
        text_or_empty(self.spans.trace_id, self.row)
    }

    pub(crate) fn span_id(self) -> &'a str {
        text_or_empty(self.spans.span_id, self.row)
    }

    pub(crate) fn parent_id(self) -> &'a str {
        text_or_empty(self.spans.parent_span_id, self.row)
    }

    pub(crate) fn start_ns(self) -> i64 {
        self.spans.start.value(self.row)
    }

    pub(crate) fn end_ns(self) -> i64 {
        self.spans.end.value(self.row)
    }

    /// Never negative: clocks are set back.
    pub(crate) fn seconds(self) -> f64 {
        seconds_between(self.start_ns(), self.end_ns())
    }

    /// An attribute of the span; one that is empty is none.
    pub(crate) fn own(self, key: Key) -> Option<&'a str> {
        self.spans.attributes.get(self.row, key)
    }

    /// An attribute of the resource, or of the span where that has none.
    pub(crate) fn any(self, key: Key) -> Option<&'a str> {
        self.spans.resource_attributes.get(self.origin, key).or_else(|| self.own(key))
    }

    /// `trace_id`, `span_id` and attributes of its links.
    pub(crate) fn links(self) -> Result<Nested<'a>> {
        Nested::of(self.spans.links, self.row)
    }

    pub(crate) fn example(self, value: f64) -> Example {
        Example { value, time_ms: self.end_ns() / 1_000_000, trace_id: self.trace_id().into(), span_id: self.span_id().into() }
    }
}

pub(crate) fn seconds_between(start_ns: i64, end_ns: i64) -> f64 {
    end_ns.saturating_sub(start_ns).max(0) as f64 / 1e9
}
