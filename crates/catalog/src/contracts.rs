//! Contracts: JSON Schema 2020-12 files that say what a log record looks like, and in `x-tyto` what happens to one that does not. Read
//! here is which attributes there are and of which type, so that each gets a typed column; that all of it is JSON Schema, with
//! references that lead somewhere, is checked. `pipeline/src/contract/` compiles and enforces it.

use std::collections::HashMap;
use std::path::Path;

use model::{DeclaredFields, FieldType, Undeclarable};

use crate::checks::Check;
use crate::fields::Reader;
use crate::hints::{self, Hints, Mode};
use crate::problem::{Diagnostic, Origin};
use crate::references;
use crate::schemas::{Document, Schemas};
use crate::yaml::{Node, Place, Value};
use crate::{conventions, json, keywords};

/// The two kinds of schema that say what happens to who breaks them.
const CONTRACT: &str = "a contract";
const PROPERTY: &str = "a property";

pub(crate) const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The types of JSON Schema that a column can have stand in [`FieldType`]. Attributes of these stay as they are.
const OTHER_TYPES: [&str; 3] = ["object", "array", "null"];

/// Every keyword of JSON Schema 2020-12. Those that begin with `x-` are anybody's.
const KEYWORDS: [&str; 60] = [
    "$schema",
    "$id",
    "$ref",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$vocabulary",
    "$comment",
    "$defs",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "prefixItems",
    "items",
    "contains",
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "type",
    "enum",
    "const",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxContains",
    "minContains",
    "maxProperties",
    "minProperties",
    "required",
    "dependentRequired",
    "title",
    "description",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "examples",
    "format",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "definitions",
    "dependencies",
    "$recursiveRef",
];

/// The keyword as the list has it; none when JSON Schema has no such.
pub fn keyword(name: &str) -> Option<&'static str> {
    KEYWORDS.into_iter().find(|keyword| *keyword == name)
}

/// A contract is called as its file, without `.json`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Contract {
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// As its authors number it; empty where they do not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// None where it does not say, which is [`Mode::Observe`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Of a hundred records, for how many the mode holds; the others are observed.
    #[serde(default = "all_of_them", skip_serializing_if = "is_all_of_them")]
    pub percent: u8,
    pub declared_at: Origin,
}

fn all_of_them() -> u8 {
    100
}

fn is_all_of_them(percent: &u8) -> bool {
    *percent == all_of_them()
}

/// What a property of a contract speaks of when it is no attribute: the columns of `logs` that a record always may have.
pub const CORE_FIELDS: [&str; 20] = [
    "time_unix_nano",
    "observed_time_unix_nano",
    "severity_number",
    "severity_text",
    "body",
    "trace_id",
    "span_id",
    "event_name",
    "flags",
    "business_service",
    "service",
    "component",
    "region",
    "environment",
    "team",
    "service_name",
    "scope_name",
    "scope_version",
    "scope_attributes",
    "resource_attributes",
];

#[derive(Default)]
pub(crate) struct Read {
    pub(crate) fields: DeclaredFields,
    /// In the order of the files.
    pub(crate) contracts: Vec<Contract>,
    pub(crate) schemas: Schemas,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Reads every contract to its end, so that one run shows all there is to fix. `elsewhere` are names of contracts in force.
pub(crate) fn read(texts: &[(&str, &str)], elsewhere: &[String]) -> Read {
    let mut contracts = Contracts::default();
    let mut documents = Vec::new();
    for (file, text) in texts {
        contracts.reader.file = (*file).to_owned();
        let name = name_of(file);
        let root = match json::parse(text) {
            Ok(root) => root,
            Err((place, what)) => {
                contracts.reader.problem(place, Check::Syntax, what);
                Node { place: Place { line: 1, column: 1 }, value: Value::Null, plain: true }
            }
        };
        let said = if matches!(root.value, Value::Null) { Said::default() } else { contracts.contract(&root) };
        contracts.called(&root, name.clone(), said);
        let json = serde_json::from_str(text).unwrap_or_default();
        let document = Document { file: (*file).to_owned(), name, root, json };
        keywords::check(&document, &mut contracts.reader);
        conventions::check(&document.root, &mut contracts.reader);
        documents.push(document);
    }
    contracts.reader.diagnostics.extend(references::check(&documents, elsewhere));
    let schemas = Schemas::of(documents);
    Read { fields: contracts.fields, contracts: contracts.all, schemas, diagnostics: contracts.reader.diagnostics }
}

fn name_of(file: &str) -> String {
    Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

#[derive(Default)]
struct Contracts {
    reader: Reader,
    fields: DeclaredFields,
    all: Vec<Contract>,
    /// Where each attribute was declared first.
    places: HashMap<String, Origin>,
}

/// What a contract says of itself.
#[derive(Default)]
struct Said {
    title: String,
    hints: Hints,
}

type Keywords<'n> = HashMap<&'n str, &'n Node>;

impl Contracts {
    fn called(&mut self, root: &Node, name: String, Said { title, hints }: Said) {
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
            let what = format!("cannot call a contract {name:?}: its file's name has letters, digits, -, _ and . only");
            self.reader.problem(root.place, Check::BadName, what);
        }
        if let Some(other) = self.all.iter().find(|other| other.name == name) {
            let what = format!("cannot use two contracts called {name:?}: {} is one already", other.declared_at.file);
            self.reader.problem(root.place, Check::DuplicateName, what);
            return;
        }
        let declared_at = self.reader.origin(root.place);
        let Hints { mode, percent, version } = hints;
        self.all.push(Contract { name, title, version, mode, percent, declared_at });
    }

    fn contract(&mut self, root: &Node) -> Said {
        let Some(keywords) = self.schema(root, CONTRACT) else { return Said::default() };
        if let Some(node) = keywords.get("$schema")
            && !matches!(&node.value, Value::Text(dialect) if dialect.trim_end_matches('#') == DIALECT)
        {
            self.reader.problem(node.place, Check::BadValue, format!("cannot read another dialect than {DIALECT:?}"));
        }
        if let Some(node) = keywords.get("type")
            && !matches!(&node.value, Value::Text(kind) if kind == "object")
        {
            let what = "cannot use a contract of another type than \"object\": it speaks of a record's attributes";
            self.reader.problem(node.place, Check::BadValue, what);
        }
        if let Some(Node { value: Value::Map(entries), .. }) = keywords.get("properties") {
            let mut seen = HashMap::new();
            for (place, key, node) in entries {
                match seen.insert(key, *place) {
                    Some(first) => {
                        let what = format!("cannot declare {key:?} twice: it stands at {}:{}", first.line, first.column);
                        self.reader.problem(*place, Check::RepeatedKey, what);
                    }
                    None => self.property(*place, key, node),
                }
            }
        }
        let title = match keywords.get("title").map(|node| &node.value) {
            Some(Value::Text(title)) => title.clone(),
            _ => String::new(),
        };
        Said { title, hints: keywords.get(hints::KEYWORD).map(|node| hints::of_contract(&mut self.reader, node)).unwrap_or_default() }
    }

    fn property(&mut self, place: Place, key: &str, node: &Node) {
        // The record's own columns are there already.
        if CORE_FIELDS.contains(&key) {
            return;
        }
        let Value::Map(entries) = &node.value else { return };
        let Some((.., kind)) = entries.iter().find(|(_, key, _)| key == "type") else { return };
        let Some(kind) = self.field_type(kind) else { return };
        match self.fields.add(key, kind) {
            Ok(_) => drop(self.places.entry(key.to_owned()).or_insert_with(|| self.reader.origin(place))),
            Err(why) => {
                let other = match &why {
                    Undeclarable::Type(_) => self.places.get(key),
                    Undeclarable::Taken(other) => self.places.get(other),
                    _ => None,
                };
                let at = other.map(|place| format!(", declared at {place}")).unwrap_or_default();
                let what = format!("cannot declare {key:?} as {}: {why}{at}", kind.name());
                self.reader.problem(place, Check::FieldConflict, what);
            }
        }
    }

    /// The type of a column; none where it has to stay an attribute.
    fn field_type(&mut self, node: &Node) -> Option<FieldType> {
        let named = match &node.value {
            Value::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        let mut kinds = Vec::new();
        for node in named {
            let Value::Text(name) = &node.value else { return None };
            match FieldType::ALL.into_iter().find(|kind| kind.name() == name) {
                Some(kind) => kinds.push(Some(kind)),
                // What has no value is in no column anyway.
                None if name == "null" => {}
                None if OTHER_TYPES.contains(&name.as_str()) => kinds.push(None),
                None => return None,
            }
        }
        match kinds.as_slice() {
            [one] => *one,
            [Some(FieldType::Integer), Some(FieldType::Number)] | [Some(FieldType::Number), Some(FieldType::Integer)] => {
                Some(FieldType::Number)
            }
            _ => None,
        }
    }

    /// A schema and those within it: every keyword is one, and stands once.
    fn schema<'n>(&mut self, node: &'n Node, what: &str) -> Option<Keywords<'n>> {
        let Value::Map(entries) = &node.value else {
            let kind = node.value.kind();
            self.reader.problem(
                node.place,
                Check::WrongType,
                format!("cannot read {what} from {kind}: it is a map of JSON Schema's keywords"),
            );
            return None;
        };
        let mut keywords = Keywords::new();
        for (place, key, value) in entries {
            if !KEYWORDS.contains(&key.as_str()) && !key.starts_with("x-") {
                let otherwise = "JSON Schema has no such keyword; one of your own begins with \"x-\"";
                self.reader.unknown(
                    (*place, Check::UnknownKey),
                    key,
                    &format!("cannot use keyword {key:?} in {what}"),
                    &KEYWORDS,
                    otherwise,
                );
            } else if keywords.insert(key.as_str(), value).is_some() {
                self.reader.problem(*place, Check::RepeatedKey, format!("cannot use keyword {key:?} twice in {what}"));
            }
        }
        if let Some(node) = keywords.get("type") {
            self.types(node);
        }
        match keywords.get(hints::KEYWORD) {
            Some(node) if what == PROPERTY => drop(hints::of_property(&mut self.reader, node)),
            Some(node) if what != CONTRACT => {
                let what = format!("cannot use {:?} in {what}: it stands in a contract, or in one of its properties", hints::KEYWORD);
                self.reader.problem(node.place, Check::UnknownKey, what);
            }
            _ => {}
        }
        for (_, key, value) in entries {
            self.within(key, value);
        }
        Some(keywords)
    }

    /// The schemas that a keyword holds.
    fn within(&mut self, keyword: &str, value: &Node) {
        let what = if keyword == "properties" { PROPERTY } else { "a schema" };
        let schemas: Vec<&Node> = match (references::holds(keyword), &value.value) {
            (Some(references::Holds::Schema), _) => vec![value],
            (Some(references::Holds::List), Value::List(items)) => items.iter().collect(),
            (Some(references::Holds::Map), Value::Map(entries)) => entries.iter().map(|(_, _, node)| node).collect(),
            (Some(references::Holds::List | references::Holds::Map), other) => {
                let is = if references::holds(keyword) == Some(references::Holds::List) { "list" } else { "map" };
                let text = format!("cannot read {keyword:?} from {}: it is a {is}", other.kind());
                self.reader.problem(value.place, Check::WrongType, text);
                return;
            }
            (None, _) => return,
        };
        for schema in schemas {
            // A schema of `true` or `false` is one.
            if !matches!(&schema.value, Value::Text(text) if text == "true" || text == "false") {
                self.schema(schema, what);
            }
        }
    }

    fn types(&mut self, node: &Node) {
        let named = match &node.value {
            Value::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        for node in named {
            let Value::Text(name) = &node.value else {
                let kind = node.value.kind();
                self.reader.problem(node.place, Check::WrongType, format!("cannot read \"type\" from {kind}: it is a text"));
                return;
            };
            let known: Vec<&'static str> = FieldType::ALL.into_iter().map(FieldType::name).chain(OTHER_TYPES).collect();
            if !known.contains(&name.as_str()) {
                let otherwise = format!("types are {}", known.join(", "));
                self.reader.unknown((node.place, Check::BadValue), name, &format!("cannot use type {name:?}"), &known, &otherwise);
            }
        }
    }
}
