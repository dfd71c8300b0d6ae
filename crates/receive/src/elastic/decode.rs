//! Bulk requests and single documents to `logs` rows, with a result for every item.

use std::borrow::Cow;
use std::sync::Arc;

use model::{Code, Decoded, Error, RefusedRow, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::reply;
use crate::lines::known::time_of;
use crate::lines::{Field, Nesting, Rows, Said, fields};
use crate::outcome::{Fault, Rules, shortened, unreadable};
use crate::protobuf::Read;

/// What a client wants done with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Index,
    Create,
    Update,
    Delete,
}

impl Action {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// What became of one item of a bulk request.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) action: Action,
    pub(super) index: Arc<str>,
    /// As the client gives it.
    pub(super) id: Option<Box<str>>,
    pub(super) done: Result<(), Fault>,
}

/// A request that was read: the rows to store, and what to answer for each item once they are.
#[derive(Debug)]
pub struct Bulk {
    pub decoded: Decoded,
    pub(super) answers: Answers,
}

impl Bulk {
    /// Apart from the rows, the answer to a bulk request of which all rows are stored; `took_ms` milliseconds later.
    pub fn answer(self, took_ms: u64) -> (Decoded, String) {
        (self.decoded, self.answers.bulk(took_ms))
    }
}

/// What became of each item.
#[derive(Debug)]
pub(super) struct Answers {
    items: Vec<Item>,
    now_unix_nano: i64,
}

impl Answers {
    /// Takes note of rows that were refused after they were read. Rows are the items that were not refused before, in their order.
    pub(super) fn refuse(&mut self, refused: &[RefusedRow]) {
        let mut refused = refused.iter().peekable();
        for (row, item) in self.items.iter_mut().filter(|item| item.done.is_ok()).enumerate() {
            if let Some(RefusedRow { why, .. }) = refused.next_if(|refused| refused.row == row) {
                item.done = Err(Fault::new("contract_violation", format!("failed to parse: {why}")));
            }
        }
    }

    pub(super) fn bulk(&self, took_ms: u64) -> String {
        reply::bulk(&self.items, self.now_unix_nano, took_ms)
    }

    /// Status and answer to a request with one document.
    pub(super) fn single(&self) -> (http::StatusCode, String) {
        let item = self.items.first().expect("a single document is one item");
        reply::document(item, self.now_unix_nano)
    }
}

/// Each item has a text in the answer, which the budget does not know of.
const ITEMS_MAX: usize = 200_000;
/// Items of a request cost at least this, be they taken or refused: the answer has a text for each.
const ITEM_BYTES: usize = 192;

/// Decodes the lines of a bulk request. `index` is that of the address, for items that name none; `pipeline` likewise.
pub fn decode_bulk(body: &[u8], index: Option<&str>, pipeline: Option<&str>, rules: &Rules<'_>) -> Result<Bulk> {
    if !body.ends_with(b"\n") {
        return Err(Error::invalid("The bulk request must be terminated by a newline [\\n]"));
    }
    let mut documents = Documents::new(rules, pipeline);
    let mut default: Option<Arc<str>> = index.map(Into::into);
    let mut lines = body.split(|byte| *byte == b'\n').enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if documents.items.len() == ITEMS_MAX {
            return Err(Error::new(
                Code::TooLarge,
                format!("cannot accept bulk request: it has over {ITEMS_MAX} items, send smaller ones"),
            ));
        }
        let (action, meta) =
            action(line).map_err(|why| Error::invalid(format!("Malformed action/metadata line [{}], {why}", number + 1)))?;
        let index = match (meta.index, &default) {
            (Some(name), Some(default)) if *name == **default => default.clone(),
            (Some(name), _) => {
                let name: Arc<str> = name.as_ref().into();
                // Mostly the next item has the same.
                default = default.or(index.is_none().then(|| name.clone()));
                name
            }
            (None, Some(default)) if index.is_some() => default.clone(),
            (None, _) => return Err(Error::invalid(format!("Validation Failed: {}: index is missing;", documents.items.len() + 1))),
        };
        let source = match action {
            Action::Delete => &[][..],
            _ => lines.next().map_or(&[][..], |(_, line)| line),
        };
        let wanted = Wanted { action, index, id: meta.id.map(id_text), pipeline: meta.pipeline };
        documents.add(source, wanted).map_err(|malformed| unreadable("bulk request", malformed))?;
    }
    if documents.items.is_empty() {
        return Err(Error::invalid("request body is required"));
    }
    Ok(documents.finish())
}

/// Decodes a request that is one document.
pub fn decode_document(
    body: &[u8],
    create: bool,
    index: &str,
    id: Option<&str>,
    pipeline: Option<&str>,
    rules: &Rules<'_>,
) -> Result<Bulk> {
    let mut documents = Documents::new(rules, pipeline);
    let action = if create { Action::Create } else { Action::Index };
    let wanted = Wanted { action, index: index.into(), id: id.map(Into::into), pipeline: None };
    documents.add(body, wanted).map_err(|malformed| unreadable("document", malformed))?;
    Ok(documents.finish())
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(rename = "_index", borrow, default)]
    index: Option<Cow<'a, str>>,
    #[serde(rename = "_id", borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pipeline: Option<Cow<'a, str>>,
}

fn action(line: &[u8]) -> Result<(Action, Meta<'_>), String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line<'a> {
        #[serde(borrow)]
        index: Option<Meta<'a>>,
        #[serde(borrow)]
        create: Option<Meta<'a>>,
        #[serde(borrow)]
        update: Option<Meta<'a>>,
        #[serde(borrow)]
        delete: Option<Meta<'a>>,
    }
    let wrong = |found: &str| format!("expected one of [create, delete, index, update]: {found}");
    let line: Line<'_> = serde_json::from_slice(line).map_err(|source| wrong(&crate::outcome::unreadable_json("it", &source).chain()))?;
    let named = [(Action::Index, line.index), (Action::Create, line.create), (Action::Update, line.update), (Action::Delete, line.delete)];
    let mut named = named.into_iter().filter_map(|(action, meta)| Some((action, meta?)));
    match (named.next(), named.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(wrong("found none")),
        (Some(_), Some(_)) => Err(wrong("found more than one")),
    }
}

/// Text as it is; a number as its digits.
fn id_text(raw: &RawValue) -> Box<str> {
    match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => text.into(),
        Err(_) => raw.get().into(),
    }
}

struct Wanted<'a> {
    action: Action,
    index: Arc<str>,
    id: Option<Box<str>>,
    pipeline: Option<Cow<'a, str>>,
}

struct Documents<'r, 'p> {
    rows: Rows<'r>,
    pipeline: Option<&'p str>,
    items: Vec<Item>,
}

impl<'r, 'p> Documents<'r, 'p> {
    fn new(rules: &'r Rules<'r>, pipeline: Option<&'p str>) -> Self {
        Self { rows: Rows::new(rules), pipeline, items: Vec::new() }
    }

    fn finish(self) -> Bulk {
        let now_unix_nano = self.rows.rules.now_unix_nano;
        Bulk { decoded: self.rows.finish(), answers: Answers { items: self.items, now_unix_nano } }
    }

    fn add(&mut self, source: &[u8], wanted: Wanted<'_>) -> Read<()> {
        let id_bytes = wanted.id.as_ref().map_or(0, |id| id.len());
        self.rows.outcome.spend(ITEM_BYTES + 2 * (wanted.index.len() + id_bytes))?;
        let done = match checked(&wanted, source) {
            Ok(text) => self.row(text, &wanted)?,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = &done {
            let number = self.items.len();
            self.rows.outcome.reject(1, fault.clone(), || format!("items[{number}]"));
        }
        let Wanted { action, index, id, .. } = wanted;
        self.items.push(Item { action, index, id, done });
        Ok(())
    }

    fn row(&mut self, text: &str, wanted: &Wanted<'_>) -> Read<Result<(), Fault>> {
        // To Elasticsearch `{"a": {"b": 1}}` and `{"a.b": 1}` are one field.
        let fields = match fields::read(text, Nesting::Dotted, self.rows.rules.limits) {
            Ok(fields) => fields,
            Err(fault) => return Ok(Err(fault)),
        };
        if let Some(field) = fields.own.iter().find(|field| field.name == "@timestamp")
            && time_of(&field.value, self.rows.rules.now_unix_nano).is_none()
        {
            let said = shortened(field.value.as_text().unwrap_or_default());
            return Ok(Err(Fault::new(
                "invalid_timestamp",
                format!("failed to parse field [@timestamp] of type [date]: {said} is no time"),
            )));
        }
        let resource = [Field::text("elasticsearch.index", &*wanted.index)];
        let pipeline = wanted.pipeline.as_deref().or(self.pipeline).filter(|pipeline| !matches!(*pipeline, "" | "_none"));
        let id = wanted.id.as_deref().map(|id| Field::text("elasticsearch.document_id", id));
        let attributes: Vec<_> = id.into_iter().chain(pipeline.map(|name| Field::text("elasticsearch.ingest_pipeline", name))).collect();
        let said = Said { resource: &resource, attributes: &attributes, ..Said::default() };
        let number = self.items.len();
        self.rows.document(text, &fields, &said, || format!("items[{number}]"))
    }
}

/// The document's text, unless the item cannot be done whatever the document says.
fn checked<'s>(wanted: &Wanted<'_>, source: &'s [u8]) -> Result<&'s str, Fault> {
    const NAME_BYTES_MAX: usize = 255;
    const ID_BYTES_MAX: usize = 512;
    if let Action::Update | Action::Delete = wanted.action {
        let what = wanted.action.name();
        return Err(Fault::new(
            "unsupported_action",
            format!("cannot {what} a document: Tyto keeps logs as they came; send index or create"),
        ));
    }
    if wanted.index.is_empty() || wanted.index.len() > NAME_BYTES_MAX {
        let name = shortened(&wanted.index);
        return Err(Fault::new("invalid_index_name", format!("Invalid index name [{name}], it is empty or over {NAME_BYTES_MAX} bytes")));
    }
    if wanted.id.as_ref().is_some_and(|id| id.len() > ID_BYTES_MAX) {
        return Err(Fault::new("invalid_document_id", format!("the document's id is over {ID_BYTES_MAX} bytes")));
    }
    std::str::from_utf8(source.trim_ascii()).map_err(|_| Fault::new("invalid_utf8", "failed to parse: the document is not UTF-8"))
}
