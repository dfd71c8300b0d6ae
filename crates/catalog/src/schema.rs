//! The keys of each file as JSON Schema 2020-12, for editors.

use serde_json::{Map, Value, json};

use crate::contracts::DIALECT;
use crate::shape::{self, Field, Kind, Shape};

/// Kinds of file that there is a schema of.
pub const SCHEMAS: [&str; 5] = ["omd", "board", "pipeline", "contract", "notify"];

/// The schema of a kind of file; none of what is no kind.
pub fn schema(kind: &str) -> Option<Value> {
    let schema = match kind {
        "omd" => of_shape(&shape::OMD),
        "board" => of_shape(&shape::BOARD),
        "pipeline" => of_shape(&shape::PIPELINE),
        "notify" => of_shape(&shape::NOTIFY),
        "contract" => json!({
            "$ref": DIALECT,
            "type": "object",
            "properties": {
                "$schema": {"enum": [DIALECT, format!("{DIALECT}#")]},
                "type": {"const": "object"},
                "x-tyto": of_shape(&shape::CONTRACT_HINTS),
                "properties": {"additionalProperties": {"properties": {"x-tyto": of_shape(&shape::PROPERTY_HINTS)}}},
            },
        }),
        _ => return None,
    };
    let mut whole = Map::new();
    whole.insert("$schema".to_owned(), json!(DIALECT));
    whole.insert("$id".to_owned(), json!(format!("urn:tyto:schema:{kind}")));
    whole.insert("title".to_owned(), json!(format!("Tyto: {kind}")));
    if let Value::Object(schema) = schema {
        whole.extend(schema);
    }
    Some(Value::Object(whole))
}

fn of_shape(shape: &Shape) -> Value {
    let property = |field: &Field| {
        let mut schema = of_kind(&field.kind);
        schema["description"] = json!(field.about);
        (field.key.to_owned(), schema)
    };
    let properties: Map<String, Value> = shape.fields.iter().map(property).collect();
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    let required: Vec<_> = shape.fields.iter().filter(|field| field.required).map(|field| field.key).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    for (keyword, keys) in [("oneOf", shape.one_of), ("anyOf", shape.any_of)] {
        if !keys.is_empty() {
            schema[keyword] = keys.iter().map(|key| json!({"required": [key]})).collect();
        }
    }
    schema
}

fn text(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

/// Editors read `8080` as a number, and the catalogue as the text that it is written as.
fn scalar() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text => scalar(),
        Kind::Said => json!({"type": ["string", "number", "boolean"], "pattern": r"\S"}),
        Kind::Name => json!({"type": ["string", "number", "boolean"], "pattern": r"^(?!__)(?!unassigned$)\S(.*\S)?$"}),
        Kind::Path => text("^[^/]+/[^/]+$"),
        Kind::Email => text(r#"^[^\s<>,;:\\"()]+@[^\s@<>,;:\\"()]+$"#),
        Kind::Url => text(r"^https?://[^/\s]\S*$"),
        Kind::Repository => text(r"^(?!\.+/)[A-Za-z0-9._-]+/(?!\.+$)[A-Za-z0-9._-]+$"),
        Kind::Tier => json!({"type": ["integer", "string"], "minimum": 0, "maximum": 4, "pattern": "^[0-4]$"}),
        Kind::Keep => text("^[0-9]+[hdwy]$"),
        Kind::Duration => text("^(today|[0-9]+[smhdwy])$"),
        Kind::Count(least, most) => {
            json!({"type": ["integer", "string"], "minimum": least, "maximum": most, "pattern": "^[0-9]+$"})
        }
        Kind::Words(words) => json!({"enum": words}),
        Kind::List(item, count) => {
            let mut schema = json!({"type": "array", "items": of_kind(item)});
            if let Some((least, most)) = count {
                (schema["minItems"], schema["maxItems"]) = (json!(least), json!(most));
            }
            schema
        }
        Kind::Map(shape) => of_shape(shape),
        Kind::OneOf(shapes) => json!({"oneOf": shapes.iter().map(of_shape).collect::<Vec<_>>()}),
        Kind::TextOr(shape) => json!({"anyOf": [scalar(), of_shape(shape)]}),
        Kind::Texts => json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"], "pattern": r"\S"}}),
        Kind::Rule => json!({
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"anyOf": [
                {"type": ["string", "number", "boolean"], "pattern": r"[^*]"},
                of_shape(&shape::PATTERN),
            ]},
        }),
    }
}
