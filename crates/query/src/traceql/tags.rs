//! What attributes do spans have, and what values?

use std::collections::BTreeSet;

use lang::traceql::{Attribute, Intrinsic, Kind, Root, Scope, Status, Value};
use model::{Answer, Answered, Error, QueryLimits, Result, Scan, ScanRequest, Table, TimeRange, TraceTagValue, TraceTags};

use super::fields::{Field, Slots};
use super::pushdown::{Narrowed, candidate};
use super::search::plain_text;
use super::source::{Columns, Row, columns};
use crate::guard::{Guard, TRUNCATED, fold};

const NAME_COLUMNS: [&str; 5] = ["attributes", "resource_attributes", "scope_attributes", "events", "links"];

/// A question about spans that pass a filter.
struct Asked {
    request: ScanRequest,
    slots: Slots,
    rest: Option<Field>,
}

impl Asked {
    /// `query` narrows what is looked at as far as a span alone can tell. One that is still being typed and is no query yet narrows nothing.
    fn new(query: &str, range: TimeRange) -> Result<Self> {
        let mut narrowed = Narrowed::default();
        if let Ok(query) = lang::traceql::read(query)
            && let Root::Spans(pipeline) = query.root
        {
            narrowed = Narrowed::of(&candidate(&pipeline));
        }
        let mut slots = Slots::default();
        let rest = narrowed.rest.as_ref().map(|rest| Field::new(rest, &mut slots)).transpose()?;
        let mut request = ScanRequest::new(Table::Spans, range);
        request.filters = narrowed.filters;
        Ok(Self { request, slots, rest })
    }
}

/// Names of attributes by their scope.
pub(super) async fn names(scan: &dyn Scan, query: &str, range: TimeRange, limit: usize, limits: &QueryLimits) -> Result<Answer> {
    let guard = Guard::new(limits);
    let Asked { mut request, slots, rest } = Asked::new(query, range)?;
    request.columns = Some(columns(slots.attributes(), &NAME_COLUMNS));
    let rows = scan.scan(request).await?;
    let state = (vec![BTreeSet::<String>::new(); Scope::NAMED.len()], false, slots, rest, guard);
    let (found, cut, ..) = fold(rows, state, move |(found, cut, slots, rest, guard), batch| {
        let columns = Columns::of(batch);
        for row in 0..batch.num_rows() {
            guard.work(64)?;
            if rest.as_ref().is_some_and(|rest| !rest.passes(&Row { columns: &columns, attributes: slots.attributes(), row })) {
                continue;
            }
            columns.names(row, |scope, name| {
                let names = &mut found[Scope::NAMED.iter().position(|other| *other == scope).unwrap_or_default()];
                if names.contains(name) {
                    return;
                }
                if names.len() < limit {
                    names.insert(name.to_owned());
                } else {
                    *cut = true;
                }
            });
        }
        Ok(true)
    })
    .await?;
    let scopes = Scope::NAMED.into_iter().map(Scope::name).zip(found.into_iter().map(|names| names.into_iter().collect()));
    Ok(marked(Answer::new(Answered::TraceTags(TraceTags { scopes: scopes.collect() })), cut))
}

/// Values of an attribute, each with its type.
pub(super) async fn values(
    scan: &dyn Scan,
    attribute: &str,
    query: &str,
    range: TimeRange,
    limit: usize,
    limits: &QueryLimits,
) -> Result<Answer> {
    let attribute = lang::traceql::read_attribute(attribute)
        .map_err(|error| Error::invalid(format!("cannot read the attribute {attribute:?}")).because(error))?;
    if let Some(values) = enumerated(&attribute) {
        return Ok(Answer::new(Answered::TraceTagValues(values)));
    }
    // The names of roots are those of spans without a parent, as far as one look at each span tells.
    let (looked_at, of_roots) = match attribute {
        Attribute::Intrinsic(Intrinsic::RootName) => (Attribute::Intrinsic(Intrinsic::Name), true),
        Attribute::Intrinsic(Intrinsic::RootService) => {
            (Attribute::Key { scope: Scope::Resource, parent: false, name: "service.name".to_owned() }, true)
        }
        attribute => (attribute, false),
    };
    let guard = Guard::new(limits);
    let Asked { mut request, mut slots, rest } = Asked::new(query, range)?;
    let slot = slots.slot(&looked_at);
    request.columns = Some(columns(slots.attributes(), &["parent_span_id"]));
    let rows = scan.scan(request).await?;
    let state = (BTreeSet::<TraceTagValue>::new(), false, slots, rest, guard);
    let (found, cut, ..) = fold(rows, state, move |(found, cut, slots, rest, guard), batch| {
        let columns = Columns::of(batch);
        for row in 0..batch.num_rows() {
            guard.work(64)?;
            let fields = Row { columns: &columns, attributes: slots.attributes(), row };
            let left_out = rest.as_ref().is_some_and(|rest| !rest.passes(&fields));
            if left_out || of_roots && !columns.text("parent_span_id", row).is_empty() {
                continue;
            }
            each(columns.value(&slots.attributes()[slot], row), &mut |value| {
                if found.len() < limit || found.contains(&value) {
                    found.insert(value);
                } else {
                    *cut = true;
                }
            });
        }
        Ok(!*cut)
    })
    .await?;
    Ok(marked(Answer::new(Answered::TraceTagValues(found.into_iter().collect())), cut))
}

fn marked(mut answer: Answer, cut: bool) -> Answer {
    if cut {
        answer.warnings.push(TRUNCATED.to_owned());
    }
    answer
}

/// What has few values, which are known.
fn enumerated(attribute: &Attribute) -> Option<Vec<TraceTagValue>> {
    let keyword = |value: &str| TraceTagValue { kind: "keyword", value: value.to_owned() };
    Some(match attribute {
        Attribute::Intrinsic(Intrinsic::Status) => Status::ALL.map(|status| keyword(status.name())).to_vec(),
        Attribute::Intrinsic(Intrinsic::Kind) => Kind::ALL.map(|kind| keyword(kind.name())).to_vec(),
        // Every span has its own: nobody chooses from a list of them.
        Attribute::Intrinsic(
            Intrinsic::Duration
            | Intrinsic::TraceDuration
            | Intrinsic::EventTimeSinceStart
            | Intrinsic::SpanId
            | Intrinsic::ParentId
            | Intrinsic::TraceId
            | Intrinsic::LinkSpanId
            | Intrinsic::LinkTraceId
            | Intrinsic::ChildCount
            | Intrinsic::NestedSetLeft
            | Intrinsic::NestedSetRight
            | Intrinsic::NestedSetParent
            | Intrinsic::Parent,
        ) => Vec::new(),
        _ => return None,
    })
}

fn each(value: Value<'_>, told: &mut impl FnMut(TraceTagValue)) {
    let kind = match &value {
        Value::Nil => return,
        Value::Text(text) if text.is_empty() => return,
        Value::List(values) => return values.iter().for_each(|value| each(value.clone(), told)),
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Text(_) => "string",
        Value::Duration(_) => "duration",
        Value::Status(_) | Value::Kind(_) => "keyword",
    };
    told(TraceTagValue { kind, value: plain_text(&value) });
}
