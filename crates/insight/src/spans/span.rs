use std::sync::Arc;

use arrow::array::RecordBatch;
use model::logs::text_or_empty;
use model::spans::SpansView;
use model::{Identity, Result};

use super::rows::Example;

/// Who sent a span.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    /// `service.name`, or the component where that is missing.
    pub(crate) name: String,
    pub(crate) identity: Identity,
}

/// The senders of a batch: rows of one follow each other.
pub(crate) fn senders(view: &SpansView<'_>, rows: usize) -> Vec<Arc<Sender>> {
    let mut senders: Vec<Arc<Sender>> = Vec::with_capacity(rows);
    for row in 0..rows {
        let values = view.identity.map(|column| text_or_empty(column, row));
        let service_name = text_or_empty(view.service_name, row);
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
    pub(crate) view: &'a SpansView<'a>,
    pub(crate) row: usize,
    pub(crate) sender: &'a Arc<Sender>,
}

impl<'a> Span<'a> {
    /// Calls `each` with every span, its place, and the bytes that it takes in memory.
    pub(crate) fn each(records: &RecordBatch, mut each: impl FnMut(Span<'_>, u64) -> Result<()>) -> Result<()> {
        let (view, bytes) = (SpansView::of(records)?, model::running_bytes(records)?);
        for (row, sender) in senders(&view, records.num_rows()).iter().enumerate() {
            each(Span { view: &view, row, sender }, bytes[row + 1] - bytes[row])?;
        }
        Ok(())
    }

    pub(crate) fn name(self) -> &'a str {
        text_or_empty(self.view.name, self.row)
    }

    pub(crate) fn kind(self) -> &'a str {
        text_or_empty(self.view.kind, self.row)
    }

    pub(crate) fn status(self) -> &'a str {
        text_or_empty(self.view.status_code, self.row)
    }

    pub(crate) fn failed(self) -> bool {
        self.status() == "error"
    }

    pub(crate) fn trace_id(self) -> &'a str {
        text_or_empty(self.view.trace_id, self.row)
    }

    pub(crate) fn span_id(self) -> &'a str {
        text_or_empty(self.view.span_id, self.row)
    }

    pub(crate) fn parent_id(self) -> &'a str {
        text_or_empty(self.view.parent_span_id, self.row)
    }

    pub(crate) fn start_ns(self) -> i64 {
        self.view.start.value(self.row)
    }

    pub(crate) fn end_ns(self) -> i64 {
        self.view.end.value(self.row)
    }

    /// Never negative: clocks are set back.
    pub(crate) fn seconds(self) -> f64 {
        seconds_between(self.start_ns(), self.end_ns())
    }

    /// An attribute of the span; one that is empty is none.
    pub(crate) fn own(self, key: &str) -> Option<&'a str> {
        self.view.attributes.get(self.row, key).filter(|value| !value.is_empty())
    }

    /// An attribute of the resource, or of the span where that has none.
    pub(crate) fn any(self, key: &str) -> Option<&'a str> {
        self.view.resource_attributes.get(self.row, key).filter(|value| !value.is_empty()).or_else(|| self.own(key))
    }

    pub(crate) fn example(self, value: f64) -> Example {
        Example { value, time_ms: self.end_ns() / 1_000_000, trace_id: self.trace_id().into(), span_id: self.span_id().into() }
    }
}

pub(crate) fn seconds_between(start_ns: i64, end_ns: i64) -> f64 {
    end_ns.saturating_sub(start_ns).max(0) as f64 / 1e9
}
