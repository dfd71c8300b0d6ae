//! Which columns a query needs, and what rows of `spans` have for its attributes.

use std::collections::BTreeSet;

use arrow::array::{Array, Int64Array, ListArray, RecordBatch, StringArray};
use lang::traceql::{Attribute, Intrinsic, Kind, Scope, Status, Value};
use model::logs::text_or_empty;
use model::schema::column;
use model::spans::Nested;
use model::{AttributeType, AttributesView, Identity, Result, UNASSIGNED};

use super::fields::Fields;

/// Before the name of an identity's field among a resource's attributes.
const IDENTITY_PREFIX: &str = "omd.";

/// The columns in which an attribute may stand; none for what only the whole trace knows.
pub(super) fn columns_of(attribute: &Attribute) -> Vec<&'static str> {
    use Intrinsic::*;
    let mut columns: Vec<&'static str> = match attribute {
        Attribute::Intrinsic(intrinsic) => match intrinsic {
            Duration => vec!["duration_nano"],
            Name => vec!["name"],
            Status => vec!["status_code"],
            StatusMessage => vec!["status_message"],
            Kind => vec!["kind"],
            SpanId => vec!["span_id"],
            ParentId => vec!["parent_span_id"],
            TraceId => vec!["trace_id"],
            EventName => vec!["events"],
            EventTimeSinceStart => vec!["events", "start_time_unix_nano"],
            LinkTraceId | LinkSpanId => vec!["links"],
            ScopeName => vec!["scope_name"],
            ScopeVersion => vec!["scope_version"],
            ChildCount | Parent | NestedSetLeft | NestedSetRight | NestedSetParent | TraceDuration | RootName | RootService => vec![],
        },
        Attribute::Key { scope, .. } => {
            let span = ["attributes", "attribute_types"];
            let resource = ["resource_attributes", "resource_attribute_types"];
            match scope {
                Scope::Any => [span, resource].concat(),
                Scope::Span => span.to_vec(),
                Scope::Resource if is_service(attribute) => vec!["service_name"],
                Scope::Resource => resource.to_vec(),
                Scope::Event => vec!["events"],
                Scope::Link => vec!["links"],
                Scope::Instrumentation => vec!["scope_attributes", "scope_attribute_types"],
            }
        }
    };
    if let Some(field) = identity_field(attribute) {
        columns.push(field);
    }
    columns
}

/// The column of few texts that alone says what an attribute is; [`of_text`] reads it.
pub(super) fn repeating_column(attribute: &Attribute) -> Option<&'static str> {
    match attribute {
        Attribute::Intrinsic(Intrinsic::Name) => Some("name"),
        Attribute::Intrinsic(Intrinsic::Kind) => Some("kind"),
        Attribute::Intrinsic(Intrinsic::Status) => Some("status_code"),
        attribute => is_service(attribute).then_some("service_name"),
    }
}

pub(super) fn of_text<'a>(attribute: &Attribute, text: &'a str) -> Value<'a> {
    match attribute {
        Attribute::Intrinsic(Intrinsic::Kind) => Value::Kind(Kind::of_name(text)),
        Attribute::Intrinsic(Intrinsic::Status) => Value::Status(Status::of_name(text)),
        Attribute::Intrinsic(_) => Value::text(text),
        _ if text.is_empty() => Value::Nil,
        _ => Value::text(text),
    }
}

pub(super) fn is_service(attribute: &Attribute) -> bool {
    matches!(attribute, Attribute::Key { scope: Scope::Resource, name, .. } if name == "service.name")
}

/// The column of the identity's field that the attribute's name names: `omd.team`, or without a scope also `team`.
pub(super) fn identity_field(attribute: &Attribute) -> Option<&'static str> {
    let Attribute::Key { scope, name, .. } = attribute else { return None };
    let field = match (name.strip_prefix(IDENTITY_PREFIX), scope) {
        (Some(field), Scope::Any | Scope::Resource) => field,
        (None, Scope::Any) => name,
        _ => return None,
    };
    Identity::FIELDS.into_iter().find(|known| *known == field)
}

/// Each once.
pub(super) fn columns<'a>(attributes: impl IntoIterator<Item = &'a Attribute>, more: &[&'static str]) -> Vec<String> {
    let mut names: BTreeSet<&'static str> = more.iter().copied().collect();
    attributes.into_iter().for_each(|attribute| names.extend(columns_of(attribute)));
    names.into_iter().map(str::to_owned).collect()
}

/// Every column that may hold an attribute.
pub(super) const ALL_ATTRIBUTES: [&str; 13] = [
    "attributes",
    "attribute_types",
    "resource_attributes",
    "resource_attribute_types",
    "scope_attributes",
    "scope_attribute_types",
    "name",
    "kind",
    "status_code",
    "status_message",
    "service_name",
    "scope_name",
    "scope_version",
];

/// The columns of a batch that are there.
pub(super) struct Columns<'a> {
    pub(super) start: Option<&'a Int64Array>,
    pub(super) end: Option<&'a Int64Array>,
    pub(super) duration: Option<&'a Int64Array>,
    texts: [Option<&'a StringArray>; TEXTS.len()],
    identity: [Option<&'a StringArray>; 6],
    /// Of the span, its resource, its scope.
    attributes: [Option<AttributesView<'a>>; 3],
    events: Option<&'a ListArray>,
    links: Option<&'a ListArray>,
}

const TEXTS: [&str; 10] = [
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "kind",
    "status_code",
    "status_message",
    "service_name",
    "scope_name",
    "scope_version",
];

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &'a RecordBatch) -> Self {
        let long = |name: &str| column::<Int64Array>(batch, name).ok();
        let text = |name: &str| column::<StringArray>(batch, name).ok();
        let list = |name: &str| column::<ListArray>(batch, name).ok();
        let map = |name: &str, types: &str| AttributesView::of(batch, name, Some(types)).ok();
        Self {
            start: long("start_time_unix_nano"),
            end: long("end_time_unix_nano"),
            duration: long("duration_nano"),
            texts: TEXTS.map(text),
            identity: Identity::FIELDS.map(text),
            attributes: [
                map("attributes", "attribute_types"),
                map("resource_attributes", "resource_attribute_types"),
                map("scope_attributes", "scope_attribute_types"),
            ],
            events: list("events"),
            links: list("links"),
        }
    }

    /// Of one of [`TEXTS`]; empty where there is none.
    pub(super) fn text(&self, name: &str, row: usize) -> &'a str {
        let column = TEXTS.iter().position(|text| *text == name).and_then(|at| self.texts[at]);
        column.map_or("", |column| text_or_empty(column, row))
    }

    pub(super) fn long(column: Option<&Int64Array>, row: usize) -> i64 {
        column.filter(|column| column.is_valid(row)).map_or(0, |column| column.value(row))
    }

    pub(super) fn value(&self, attribute: &Attribute, row: usize) -> Value<'a> {
        match attribute {
            Attribute::Intrinsic(intrinsic) => self.intrinsic(*intrinsic, row),
            Attribute::Key { parent: true, .. } => Value::Nil,
            Attribute::Key { scope, name, .. } => {
                let found = match scope {
                    Scope::Any => self.key(0, name, row).or_else(|| self.key(1, name, row)),
                    Scope::Span => self.key(0, name, row),
                    Scope::Resource if is_service(attribute) => {
                        Some(self.text("service_name", row)).filter(|name| !name.is_empty()).map(Value::text)
                    }
                    Scope::Resource => self.key(1, name, row),
                    Scope::Instrumentation => self.key(2, name, row),
                    Scope::Event => Some(self.nested(self.events, row, |nested, at| key_of(&nested.attributes, name, at))),
                    Scope::Link => Some(self.nested(self.links, row, |nested, at| key_of(&nested.attributes, name, at))),
                };
                found.or_else(|| self.identity(attribute, row)).unwrap_or(Value::Nil)
            }
        }
    }

    fn key(&self, of: usize, name: &str, row: usize) -> Option<Value<'a>> {
        key_of(self.attributes[of].as_ref()?, name, row)
    }

    fn identity(&self, attribute: &Attribute, row: usize) -> Option<Value<'a>> {
        let field = identity_field(attribute)?;
        let at = Identity::FIELDS.iter().position(|other| *other == field)?;
        let text = text_or_empty(self.identity[at]?, row);
        (!matches!(text, "" | UNASSIGNED)).then(|| Value::text(text))
    }

    fn intrinsic(&self, intrinsic: Intrinsic, row: usize) -> Value<'a> {
        use Intrinsic::*;
        let text = |name: &str| Value::text(self.text(name, row));
        let known = |value: &'a str| if value.is_empty() { Value::Nil } else { Value::text(value) };
        match intrinsic {
            Duration => Value::Duration(Self::long(self.duration, row)),
            Name => text("name"),
            Status => Value::Status(self::Status::of_name(self.text("status_code", row))),
            StatusMessage => text("status_message"),
            Kind => Value::Kind(self::Kind::of_name(self.text("kind", row))),
            SpanId => text("span_id"),
            ParentId => text("parent_span_id"),
            TraceId => text("trace_id"),
            ScopeName => known(self.text("scope_name", row)),
            ScopeVersion => known(self.text("scope_version", row)),
            EventName => self.nested_text(self.events, "name", row),
            LinkTraceId => self.nested_text(self.links, "trace_id", row),
            LinkSpanId => self.nested_text(self.links, "span_id", row),
            EventTimeSinceStart => {
                let start = Self::long(self.start, row);
                self.nested(self.events, row, |nested, at| {
                    let times = nested.long("time_unix_nano").ok()?;
                    times.is_valid(at).then(|| Value::Duration(times.value(at).saturating_sub(start)))
                })
            }
            ChildCount | Parent | NestedSetLeft | NestedSetRight | NestedSetParent | TraceDuration | RootName | RootService => Value::Nil,
        }
    }

    fn nested_text(&self, list: Option<&'a ListArray>, name: &str, row: usize) -> Value<'a> {
        self.nested(list, row, |nested, at| Some(Value::text(text_or_empty(nested.text(name).ok()?, at))))
    }

    /// What the events or links of a span have: one value, or several.
    fn nested(&self, list: Option<&'a ListArray>, row: usize, value: impl Fn(&Nested<'a>, usize) -> Option<Value<'a>>) -> Value<'a> {
        let Some(nested) = list.and_then(|list| Nested::of(list, row).ok()) else { return Value::Nil };
        let mut values = Vec::new();
        for at in nested.range.clone() {
            match value(&nested, at) {
                Some(Value::List(several)) => values.extend(several),
                Some(Value::Nil) | None => {}
                Some(one) => values.push(one),
            }
        }
        match values.len() {
            0 => Value::Nil,
            1 => values.remove(0),
            _ => Value::List(values),
        }
    }

    /// Everything that is said of a span alone, by the name that a query gives it.
    pub(super) fn each(&self, row: usize, mut told: impl FnMut(String, Value<'a>)) {
        use Intrinsic::*;
        for intrinsic in [Name, Kind, Status, StatusMessage, ScopeName, ScopeVersion] {
            match self.intrinsic(intrinsic, row) {
                Value::Nil => {}
                Value::Text(text) if text.is_empty() => {}
                value => told(intrinsic.name().to_owned(), value),
            }
        }
        for (view, scope) in self.attributes.iter().zip([Scope::Span, Scope::Resource, Scope::Instrumentation]) {
            let Some(view) = view else { continue };
            for (key, kind, text) in view.iter_typed(row) {
                let attribute = Attribute::Key { scope, parent: false, name: key.to_owned() };
                told(attribute.to_string(), typed(kind, text));
            }
        }
    }

    /// Names of the attributes of a row, by their scope.
    pub(super) fn names(&self, row: usize, mut told: impl FnMut(Scope, &'a str)) {
        for (view, scope) in self.attributes.iter().zip([Scope::Span, Scope::Resource, Scope::Instrumentation]) {
            view.iter().for_each(|view| view.iter(row).for_each(|(key, _)| told(scope, key)));
        }
        for (list, scope) in [(self.events, Scope::Event), (self.links, Scope::Link)] {
            let Some(nested) = list.and_then(|list| Nested::of(list, row).ok()) else { continue };
            nested.range.clone().for_each(|at| nested.attributes.iter(at).for_each(|(key, _)| told(scope, key)));
        }
    }
}

fn key_of<'a>(view: &AttributesView<'a>, name: &str, row: usize) -> Option<Value<'a>> {
    view.iter_typed(row).find(|(key, ..)| *key == name).map(|(_, kind, text)| typed(kind, text))
}

/// A text that is not of its type stays text, as it does for every reader.
fn typed(kind: AttributeType, text: &str) -> Value<'_> {
    let value = match kind {
        AttributeType::Text | AttributeType::Bytes | AttributeType::Map => None,
        AttributeType::Empty => return Value::Nil,
        AttributeType::Bool => text.parse().ok().map(Value::Bool),
        AttributeType::Int => text.parse().ok().map(Value::Int),
        AttributeType::Double => text.parse().ok().map(Value::Float),
        AttributeType::Array => array(text).map(Value::List),
    };
    value.unwrap_or_else(|| Value::text(text))
}

/// Of OTLP's JSON; what is no plain value in it is left out.
fn array(text: &str) -> Option<Vec<Value<'static>>> {
    let json: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
    let value = |json: &serde_json::Value| {
        let (kind, value) = json.as_object()?.iter().next()?;
        match kind.as_str() {
            "stringValue" => Some(Value::text(value.as_str()?.to_owned())),
            "boolValue" => value.as_bool().map(Value::Bool),
            "intValue" => value.as_i64().or_else(|| value.as_str()?.parse().ok()).map(Value::Int),
            "doubleValue" => value.as_f64().or_else(|| value.as_str()?.parse().ok()).map(Value::Float),
            _ => None,
        }
    };
    Some(json.iter().filter_map(value).collect())
}

/// One row, as far as it is known without the others of its trace.
pub(super) struct Row<'a> {
    pub(super) columns: &'a Columns<'a>,
    pub(super) attributes: &'a [Attribute],
    pub(super) row: usize,
}

impl Fields for Row<'_> {
    fn value(&self, slot: usize) -> Value<'_> {
        self.columns.value(&self.attributes[slot], self.row)
    }
}

/// The text of a required column.
pub(super) fn required<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    column(batch, name)
}
