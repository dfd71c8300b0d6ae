//! Contracts: JSON Schema 2020-12 files that say what a log record's attributes look like. Read of them today is which
//! attributes there are and of which type, so that each gets a typed column; whatever else they say is checked to be JSON
//! Schema and enforced by nobody yet.

use std::collections::HashMap;

use model::{DeclaredFields, FieldType, Undeclarable};

use crate::json;
use crate::problem::{Problem, closest};
use crate::yaml::{Node, Place, Value};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
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

/// Reads every contract to its end, so that one run shows all there is to fix.
pub(crate) fn read(texts: &[(&str, &str)]) -> Result<DeclaredFields, Vec<Problem>> {
    let mut reader = Reader::default();
    for (file, text) in texts {
        reader.file = (*file).to_owned();
        match json::parse(text) {
            Ok(root) => reader.contract(&root),
            Err((place, what)) => reader.problem(place, what),
        }
    }
    match reader.problems.is_empty() {
        true => Ok(reader.fields),
        false => Err(reader.problems),
    }
}

#[derive(Default)]
struct Reader {
    file: String,
    problems: Vec<Problem>,
    fields: DeclaredFields,
    /// Where each attribute was declared first.
    places: HashMap<String, String>,
}

impl Reader {
    fn problem(&mut self, place: Place, what: impl Into<String>) {
        self.problems.push(Problem { file: self.file.clone(), line: place.line, column: place.column, what: what.into() });
    }

    fn contract(&mut self, root: &Node) {
        let Some(keywords) = self.keywords(root, "a contract") else { return };
        if let Some(node) = keywords.get("$schema")
            && !matches!(&node.value, Value::Text(dialect) if dialect.trim_end_matches('#') == DIALECT)
        {
            self.problem(node.place, format!("cannot read another dialect than {DIALECT:?}"));
        }
        if let Some(node) = keywords.get("type")
            && !matches!(&node.value, Value::Text(kind) if kind == "object")
        {
            self.problem(node.place, "cannot use a contract of another type than \"object\": it speaks of a record's attributes");
        }
        let Some(properties) = keywords.get("properties") else { return };
        let Value::Map(entries) = &properties.value else {
            self.problem(properties.place, format!("cannot read \"properties\" from {}: it is a map", properties.value.kind()));
            return;
        };
        let mut seen = HashMap::new();
        for (place, key, node) in entries {
            match seen.insert(key, *place) {
                Some(first) => self.problem(*place, format!("cannot declare {key:?} twice: it stands at {}:{}", first.line, first.column)),
                None => self.property(*place, key, node),
            }
        }
    }

    fn property(&mut self, place: Place, key: &str, node: &Node) {
        // A schema of `true` or `false` is one.
        if matches!(&node.value, Value::Text(text) if text == "true" || text == "false") {
            return;
        }
        let Some(keywords) = self.keywords(node, "a property") else { return };
        let Some(kind) = keywords.get("type").and_then(|node| self.field_type(node)) else { return };
        let stands_at = format!("{}:{}:{}", self.file, place.line, place.column);
        match self.fields.add(key, kind) {
            Ok(_) => drop(self.places.entry(key.to_owned()).or_insert(stands_at)),
            Err(why) => {
                let other = match &why {
                    Undeclarable::Type(_) => self.places.get(key),
                    Undeclarable::Taken(other) => self.places.get(other),
                    _ => None,
                };
                let at = other.map(|place| format!(", declared at {place}")).unwrap_or_default();
                self.problem(place, format!("cannot declare {key:?} as {}: {why}{at}", kind.name()));
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
            let Value::Text(name) = &node.value else {
                self.problem(node.place, format!("cannot read \"type\" from {}: it is a text", node.value.kind()));
                return None;
            };
            match FieldType::ALL.into_iter().find(|kind| kind.name() == name) {
                Some(kind) => kinds.push(Some(kind)),
                // What has no value is in no column anyway.
                None if name == "null" => {}
                None if OTHER_TYPES.contains(&name.as_str()) => kinds.push(None),
                None => {
                    let known: Vec<&'static str> = FieldType::ALL.into_iter().map(FieldType::name).chain(OTHER_TYPES).collect();
                    let hint = closest(name, &known).map(|name| format!("did you mean {name:?}?"));
                    let hint = hint.unwrap_or_else(|| format!("types are {}", known.join(", ")));
                    self.problem(node.place, format!("cannot use type {name:?}: {hint}"));
                    return None;
                }
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

    /// The keywords of a schema; what is none, or stands twice, is a problem.
    fn keywords<'n>(&mut self, node: &'n Node, what: &str) -> Option<HashMap<&'n str, &'n Node>> {
        let Value::Map(entries) = &node.value else {
            self.problem(node.place, format!("cannot read {what} from {}: it is a map of JSON Schema's keywords", node.value.kind()));
            return None;
        };
        let mut keywords = HashMap::new();
        for (place, key, value) in entries {
            if !KEYWORDS.contains(&key.as_str()) && !key.starts_with("x-") {
                let hint = closest(key, &KEYWORDS).map(|name| format!("did you mean {name:?}?"));
                let hint = hint.unwrap_or_else(|| "JSON Schema has no such keyword; one of your own begins with \"x-\"".to_owned());
                self.problem(*place, format!("cannot use keyword {key:?} in {what}: {hint}"));
            } else if keywords.insert(key.as_str(), value).is_some() {
                self.problem(*place, format!("cannot use keyword {key:?} twice in {what}"));
            }
        }
        Some(keywords)
    }
}
