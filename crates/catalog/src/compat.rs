//! Two versions of a contract, field by field: would a record that kept the old one break the new one?

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use crate::schemas::{Document, Schemas, escaped};

/// How deep contracts may take over each other.
const DEPTH_MAX: usize = 64;
/// Keywords that ask nothing of a record.
const SAYS_NOTHING: [&str; 15] = [
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "examples",
    "contentEncoding",
    "contentMediaType",
];

/// What has become of one thing that a contract says of one field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct FieldChange {
    /// Empty of what is said of the record as a whole.
    pub field: String,
    /// The keyword of JSON Schema, or of `x-tyto`.
    pub keyword: String,
    pub what: String,
    /// A record that kept the old contract may break the new one, or nobody can tell.
    pub breaking: bool,
}

/// All that a contract says: by field and keyword, with what it takes over. A keyword that is said twice of a field has both.
type Said = BTreeMap<(String, String), BTreeSet<String>>;

/// What is different, in the order of the fields.
pub fn compare((old, old_name): (&Schemas, &str), (new, new_name): (&Schemas, &str)) -> Vec<FieldChange> {
    let said = |schemas: &Schemas, name: &str| {
        let mut said = Said::new();
        if let Some(document) = schemas.get(name) {
            Reading { schemas, said: &mut said, depth: 0 }.record(document, "");
        }
        said
    };
    let (old, new) = (said(old, old_name), said(new, new_name));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let mut changes: Vec<FieldChange> = keys.into_iter().filter_map(|key| change(key, old.get(key), new.get(key))).collect();
    changes.sort();
    changes
}

fn change((field, keyword): &(String, String), old: Option<&BTreeSet<String>>, new: Option<&BTreeSet<String>>) -> Option<FieldChange> {
    if old == new {
        return None;
    }
    let all = |texts: &BTreeSet<String>| texts.iter().cloned().collect::<Vec<_>>().join(" and ");
    let what = match (old, new) {
        (None, Some(new)) if keyword == "required" => format!("is required now{}", if all(new) == "true" { "" } else { ", twice" }),
        (Some(_), None) if keyword == "required" => "is not required any more".to_owned(),
        (None, Some(new)) => format!("{keyword} {} is new", all(new)),
        (Some(old), None) => format!("{keyword} {} is gone", all(old)),
        (Some(old), Some(new)) => format!("{keyword} was {}, is {}", all(old), all(new)),
        (None, None) => return None,
    };
    let breaking = match (old, new) {
        // What happens to a record is no part of what is right.
        _ if keyword == "mode" || keyword == "percent" || keyword == "version" => false,
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => match (old.first().zip(new.first()), old.len() == 1 && new.len() == 1) {
            (Some((old, new)), true) => narrows(keyword, &json(old), &json(new)),
            _ => true,
        },
    };
    Some(FieldChange { field: field.clone(), keyword: keyword.clone(), what, breaking })
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_default()
}

/// Whether a keyword with its new value refuses what it took with the old one.
fn narrows(keyword: &str, old: &Json, new: &Json) -> bool {
    let raised = || new.as_f64().zip(old.as_f64()).is_none_or(|(new, old)| new > old);
    match keyword {
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => raised(),
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
            new.as_f64().zip(old.as_f64()).is_none_or(|(new, old)| new < old)
        }
        "enum" => members(old).iter().any(|member| !members(new).contains(member)),
        "type" => {
            let (old, new) = (members(old), members(new));
            let takes = |name: &Json| new.contains(&name) || *name == "integer" && new.iter().any(|other| *other == "number");
            !old.into_iter().all(takes)
        }
        _ => true,
    }
}

fn members(json: &Json) -> Vec<&Json> {
    match json {
        Json::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

struct Reading<'s> {
    schemas: &'s Schemas,
    said: &'s mut Said,
    depth: usize,
}

impl Reading<'_> {
    fn say(&mut self, field: &str, keyword: &str, value: &Json) {
        self.said.entry((field.to_owned(), keyword.to_owned())).or_default().insert(value.to_string());
    }

    fn hints(&mut self, field: &str, hints: &Json) {
        for (name, value) in hints.as_object().into_iter().flatten() {
            self.say(field, name, value);
        }
    }

    fn record(&mut self, document: &Document, pointer: &str) {
        let Some(Json::Object(schema)) = document.json.pointer(pointer) else { return };
        for (keyword, value) in schema {
            let below = format!("{pointer}/{keyword}");
            match keyword.as_str() {
                "$ref" => self.follow(document, value, |reading, document, pointer| reading.record(document, pointer)),
                "allOf" => (0..value.as_array().map_or(0, Vec::len)).for_each(|at| self.record(document, &format!("{below}/{at}"))),
                "properties" => {
                    for name in value.as_object().into_iter().flat_map(Map::keys) {
                        self.property(document, &format!("{below}/{}", escaped(name)), name);
                    }
                }
                "required" => {
                    for name in value.as_array().into_iter().flatten().filter_map(Json::as_str) {
                        self.say(name, "required", &Json::Bool(true));
                    }
                }
                "x-tyto" => self.hints("", value),
                "type" => {}
                keyword if SAYS_NOTHING.contains(&keyword) || keyword.starts_with("x-") => {}
                keyword => self.say("", keyword, value),
            }
        }
    }

    fn property(&mut self, document: &Document, pointer: &str, name: &str) {
        let schema = match document.json.pointer(pointer) {
            Some(Json::Object(schema)) => schema,
            Some(Json::Bool(false)) => return self.say(name, "false", &Json::Bool(false)),
            _ => return,
        };
        for (keyword, value) in schema {
            let below = format!("{pointer}/{keyword}");
            match keyword.as_str() {
                "$ref" => self.follow(document, value, |reading, document, pointer| reading.property(document, pointer, name)),
                "allOf" => (0..value.as_array().map_or(0, Vec::len)).for_each(|at| self.property(document, &format!("{below}/{at}"), name)),
                "x-tyto" => self.hints(name, value),
                keyword if SAYS_NOTHING.contains(&keyword) || keyword.starts_with("x-") => {}
                keyword => self.say(name, keyword, value),
            }
        }
    }

    fn follow(&mut self, document: &Document, reference: &Json, then: impl FnOnce(&mut Self, &Document, &str)) {
        let schemas = self.schemas;
        if self.depth < DEPTH_MAX
            && let Some((to, pointer)) = reference.as_str().and_then(|reference| schemas.follow(document, reference))
        {
            self.depth += 1;
            then(self, to, &pointer);
            self.depth -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;

    fn check(old: &str, new: &str, expect: &[&str]) {
        let core = r#"{"properties": {"at": {"type": "string"}}, "$defs": {"c": {"pattern": "^[A-Z]{2}$"}}}"#;
        let of = |text: &str| Catalog::parse(&[("contracts/core.json", core), ("contracts/pay.json", text)]).unwrap();
        let (old, new) = (of(old), of(new));
        let changes = compare((&old.schemas, "pay"), (&new.schemas, "pay"));
        let lines: Vec<String> =
            changes.iter().map(|change| format!("{}{} {}", if change.breaking { "! " } else { "" }, change.field, change.what)).collect();
        assert_eq!(lines, expect);
    }

    #[test]
    fn what_refuses_more_than_before_is_breaking() {
        let old = r#"{"x-tyto": {"mode": "observe"}, "required": ["a"], "properties": {
          "a": {"type": "integer", "minimum": 0, "title": "A"}, "b": {"enum": ["x", "y"]}, "c": {"maxLength": 9}, "d": {"type": ["integer", "null"]}}}"#;
        check(old, old, &[]);
        let wider = r#"{"x-tyto": {"mode": "reject"}, "properties": {
          "a": {"type": "number", "minimum": -1, "title": "a"}, "b": {"enum": ["y", "x", "z"]}, "c": {"maxLength": 10}, "d": {"type": ["null", "number"]}}}"#;
        check(
            old,
            wider,
            &[
                r#" mode was "observe", is "reject""#,
                "a minimum was 0, is -1",
                "a is not required any more",
                r#"a type was "integer", is "number""#,
                r#"b enum was ["x","y"], is ["y","x","z"]"#,
                "c maxLength was 9, is 10",
                r#"d type was ["integer","null"], is ["null","number"]"#,
            ],
        );
        check(
            wider,
            old,
            &[
                r#" mode was "reject", is "observe""#,
                "! a minimum was -1, is 0",
                "! a is required now",
                r#"! a type was "number", is "integer""#,
                r#"! b enum was ["y","x","z"], is ["x","y"]"#,
                "! c maxLength was 10, is 9",
                r#"! d type was ["null","number"], is ["integer","null"]"#,
            ],
        );
    }

    #[test]
    fn what_is_taken_over_counts() {
        check(
            "{}",
            r##"{"allOf": [{"$ref": "core.json"}], "properties": {"land": {"$ref": "core.json#/$defs/c"}}, "oneOf": [{}]}"##,
            &["!  oneOf [{}] is new", r#"! at type "string" is new"#, r#"! land pattern "^[A-Z]{2}$" is new"#],
        );
        check(
            r#"{"properties": {"a": {"pattern": "x"}}}"#,
            r#"{"properties": {"a": false}}"#,
            &["! a false false is new", r#"a pattern "x" is gone"#],
        );
    }
}
