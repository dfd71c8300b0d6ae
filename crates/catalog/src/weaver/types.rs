//! What is said of a value, as JSON Schema.

use serde_json::{Map, Value as Json, json};

use crate::checks::Check;
use crate::fields::Reader;
use crate::yaml::{Node, Value};

pub(super) type Schema = Map<String, Json>;

/// What is empty is not said.
pub(super) fn say(schema: &mut Schema, keyword: &str, value: impl Into<Json>) {
    let value = value.into();
    let is_empty = match &value {
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
        _ => false,
    };
    if !is_empty {
        schema.insert(keyword.to_owned(), value);
    }
}

/// Of attributes; the first four also as lists, with `[]` at the end.
const TYPES: [&str; 5] = ["string", "int", "double", "boolean", "any"];
/// Of bodies and their fields, beside [`TYPES`].
const BODY_TYPES: [&str; 4] = ["map", "enum", "bytes", "undefined"];

/// Texts about something, and whether it is out of use.
#[derive(Default)]
pub(super) struct Words {
    pub(super) text: String,
    pub(super) deprecated: bool,
}

impl Words {
    pub(super) fn write_to(&self, schema: &mut Schema) {
        say(schema, "description", self.text.as_str());
        if self.deprecated {
            say(schema, "deprecated", true);
        }
    }

    pub(super) fn add(&mut self, text: &str) {
        if !text.is_empty() {
            let gap = if self.text.is_empty() { "" } else { "\n\n" };
            self.text = format!("{}{gap}{text}", self.text);
        }
    }
}

/// A text without the spaces around it; empty where there is none.
pub(super) fn said(reader: &mut Reader, node: &Node, key: &str) -> String {
    match node.get(key).filter(|node| !matches!(node.value, Value::Null)) {
        Some(node) => reader.text(node, key).unwrap_or_default().trim().to_owned(),
        None => String::new(),
    }
}

/// Brief, note and deprecation.
pub(super) fn words(reader: &mut Reader, node: &Node) -> Words {
    let mut words = Words::default();
    for key in ["brief", "note"] {
        words.add(&said(reader, node, key));
    }
    if let Some(deprecated) = node.get("deprecated").filter(|node| !matches!(node.value, Value::Null)) {
        words.deprecated = true;
        words.add(&deprecation(reader, deprecated));
    }
    words
}

/// A text, or a map that says the reason.
fn deprecation(reader: &mut Reader, node: &Node) -> String {
    const REASONS: [&str; 4] = ["renamed", "obsoleted", "uncategorized", "unspecified"];
    if let Some(text) = node.text() {
        return format!("Deprecated: {}", text.trim());
    }
    let reason = said(reader, node, "reason");
    if !REASONS.contains(&reason.as_str()) {
        let place = node.get("reason").unwrap_or(node).place;
        let otherwise = format!("reasons are {}", REASONS.join(", "));
        reader.unknown((place, Check::BadValue), &reason, &format!("cannot use reason {reason:?}"), &REASONS, &otherwise);
    }
    let (renamed_to, note) = (said(reader, node, "renamed_to"), said(reader, node, "note"));
    if reason == "renamed" && renamed_to.is_empty() {
        reader.problem(node.place, Check::MissingKey, "cannot do without \"renamed_to\" in what is renamed");
    }
    let renamed = if renamed_to.is_empty() { String::new() } else { format!("renamed to {renamed_to}.") };
    let why = if note.is_empty() && renamed.is_empty() { format!("{reason}.") } else { note };
    format!("Deprecated: {}", [renamed, why].join(" ").trim())
}

/// Of an attribute; with whether it is the beginning of names rather than one.
pub(super) fn attribute(reader: &mut Reader, node: &Node) -> Option<(Schema, bool)> {
    let Some(of_type) = node.get("type") else {
        reader.problem(node.place, Check::MissingKey, "cannot do without \"type\" in an attribute");
        return None;
    };
    let name = of_type.text().and_then(|text| text.strip_prefix("template[")?.strip_suffix(']'));
    let mut schema = match (name, of_type.text()) {
        (Some(name), _) => named(reader, of_type, name, &TYPES)?,
        (None, Some(name)) => named(reader, of_type, name, &TYPES)?,
        (None, None) => members(reader, of_type)?,
    };
    words(reader, node).write_to(&mut schema);
    if name.is_none() {
        examples(node, &mut schema);
    }
    Some((schema, name.is_some()))
}

/// Of a body, or of one of its fields; with whether it is required.
pub(super) fn body(reader: &mut Reader, node: &Node) -> Option<(Schema, bool)> {
    let Some(of_type) = node.get("type") else {
        reader.problem(node.place, Check::MissingKey, "cannot do without \"type\" in a body");
        return None;
    };
    let known: Vec<&str> = TYPES.into_iter().chain(BODY_TYPES).collect();
    let mut schema = match of_type.text() {
        Some("map") => fields(reader, node)?,
        Some("map[]") => list(fields(reader, node)?),
        Some("enum") => members(reader, node)?,
        // Bytes are strings in Base64.
        Some("bytes" | "byte[]") => named(reader, of_type, "string", &known)?,
        Some("undefined") => Schema::new(),
        Some(name) => named(reader, of_type, name, &known)?,
        None => members(reader, of_type)?,
    };
    let (is_required, when) = level(reader, node);
    let mut words = words(reader, node);
    words.add(&when);
    words.write_to(&mut schema);
    examples(node, &mut schema);
    Some((schema, is_required == Some(true)))
}

/// How much an attribute or a field is asked for: whether always, if anything is said, and in words when else.
pub(super) fn level(reader: &mut Reader, node: &Node) -> (Option<bool>, String) {
    const LEVELS: [&str; 3] = ["required", "recommended", "opt_in"];
    const WITH_WORDS: [(&str, &str); 3] =
        [("conditionally_required", "Required on a condition"), ("recommended", "Recommended"), ("opt_in", "Only for those who opt in")];
    let Some(level) = node.get("requirement_level") else { return (None, String::new()) };
    if let Value::Map(entries) = &level.value
        && let [(_, key, text)] = entries.as_slice()
        && let Some((_, beginning)) = WITH_WORDS.into_iter().find(|(name, _)| name == key)
    {
        let text = reader.text(text, key).unwrap_or_default();
        return (Some(false), format!("{beginning}: {}", text.trim()));
    }
    let text = level.text().unwrap_or_default();
    if !LEVELS.contains(&text) {
        let otherwise = "levels are required, recommended, opt_in, and a map with conditionally_required and the condition";
        reader.unknown((level.place, Check::BadValue), text, &format!("cannot use requirement_level {text:?}"), &LEVELS, otherwise);
    }
    (Some(text == "required"), String::new())
}

fn named(reader: &mut Reader, node: &Node, name: &str, known: &[&str]) -> Option<Schema> {
    let (one, is_list) = name.strip_suffix("[]").map_or((name, false), |one| (one, true));
    let of_type = match one {
        "string" => "string",
        "int" => "integer",
        "double" => "number",
        "boolean" => "boolean",
        "any" if !is_list => return Some(Schema::new()),
        _ => {
            let otherwise = format!("types are {}, lists as string[], template[string]", known.join(", "));
            reader.unknown((node.place, Check::BadValue), name, &format!("cannot use type {name:?}"), known, &otherwise);
            return None;
        }
    };
    let schema = Schema::from_iter([("type".to_owned(), json!(of_type))]);
    Some(if is_list { list(schema) } else { schema })
}

fn list(items: Schema) -> Schema {
    Schema::from_iter([("type".to_owned(), json!("array")), ("items".to_owned(), items.into())])
}

/// An enumeration is open: what its members are, others may be too, in another version. Only one that says so itself is closed.
fn members(reader: &mut Reader, node: &Node) -> Option<Schema> {
    let Some(members) = node.get("members").filter(|members| !members.items().is_empty()) else {
        reader.problem(node.place, Check::MissingKey, "cannot read an enumeration without \"members\": they are a list");
        return None;
    };
    let (mut ids, mut values, mut current) = (Vec::new(), Vec::new(), Vec::new());
    for member in members.items() {
        let id = said(reader, member, "id");
        match ids.contains(&id) || id.is_empty() {
            true if id.is_empty() => reader.problem(member.place, Check::MissingKey, "cannot do without \"id\" in a member"),
            true => reader.problem(member.place, Check::DuplicateName, format!("cannot use two members called {id:?}")),
            false => {}
        }
        let value = member.get("value").map_or_else(|| json!(id), scalar);
        if !words(reader, member).deprecated {
            current.push(value.clone());
        }
        values.push(value);
        ids.push(id);
    }
    let mut types: Vec<&str> = values.iter().map(type_of).collect();
    if types.contains(&"number") {
        types.iter_mut().filter(|of_type| **of_type == "integer").for_each(|of_type| *of_type = "number");
    }
    let of_type = match types.iter().find(|of_type| **of_type != types[0]) {
        None => types[0],
        Some(other) => {
            let what = format!("cannot use members that are {} and {other}: they are of one type", types[0]);
            reader.problem(members.place, Check::BadValue, what);
            return None;
        }
    };
    let mut schema = Schema::from_iter([("type".to_owned(), json!(of_type))]);
    let is_closed = node.get("allow_custom_values").and_then(Node::text) == Some("false");
    let (keyword, values) = if is_closed { ("enum", values) } else { ("examples", current) };
    say(&mut schema, keyword, values);
    Some(schema)
}

/// A scalar as YAML has it.
fn scalar(node: &Node) -> Json {
    let text = node.text().unwrap_or_default();
    if !node.plain {
        return json!(text);
    }
    let is_number = |text: &str| text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'));
    match (text.parse::<i64>(), text.parse::<f64>(), text) {
        (Ok(number), ..) => json!(number),
        (_, Ok(number), _) if number.is_finite() && is_number(text) => json!(number),
        (.., "true" | "True" | "TRUE" | "false" | "False" | "FALSE") => json!(text.eq_ignore_ascii_case("true")),
        _ => json!(text),
    }
}

fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::Bool(_) => "boolean",
        _ => "string",
    }
}

/// What is no value of the type stays the text that it is: examples are for people. An enumeration's members are better ones.
fn examples(node: &Node, schema: &mut Schema) {
    let Some(node) = node.get("examples").filter(|_| !schema.contains_key("examples") && !schema.contains_key("enum")) else { return };
    let examples: Vec<Json> = match &node.value {
        Value::Null => return,
        Value::List(items) => items.iter().map(|item| example(item, schema)).collect(),
        _ => vec![example(node, schema)],
    };
    say(schema, "examples", examples);
}

fn example(node: &Node, schema: &Schema) -> Json {
    let text = match &node.value {
        Value::Text(text) => text,
        Value::Null => return Json::Null,
        Value::List(items) => {
            let none = Schema::new();
            let within = schema.get("items").and_then(Json::as_object).unwrap_or(&none);
            return items.iter().map(|item| example(item, within)).collect();
        }
        Value::Map(entries) => {
            let none = Schema::new();
            return entries.iter().map(|(_, key, node)| (key.clone(), example(node, &none))).collect::<Schema>().into();
        }
    };
    let typed = match schema.get("type").and_then(Json::as_str) {
        Some("integer") => text.parse::<i64>().ok().map(Json::from),
        Some("number") => text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Json::Number),
        Some("boolean") => text.parse::<bool>().ok().map(Json::Bool),
        _ => None,
    };
    typed.unwrap_or_else(|| json!(text))
}

fn fields(reader: &mut Reader, node: &Node) -> Option<Schema> {
    let Some(fields) = node.get("fields") else {
        reader.problem(node.place, Check::MissingKey, "cannot do without \"fields\" in a map");
        return None;
    };
    let (mut properties, mut required) = (Schema::new(), Vec::new());
    for field in reader.list(fields, "fields") {
        let id = said(reader, field, "id");
        let Some((schema, is_required)) = body(reader, field) else { continue };
        if is_required {
            required.push(json!(id));
        }
        match properties.insert(id.clone(), schema.into()) {
            _ if id.is_empty() => reader.problem(field.place, Check::MissingKey, "cannot do without \"id\" in a field"),
            Some(_) => reader.problem(field.place, Check::DuplicateName, format!("cannot use two fields called {id:?}")),
            None => {}
        }
    }
    let mut schema = Schema::from_iter([("type".to_owned(), json!("object"))]);
    say(&mut schema, "properties", properties);
    say(&mut schema, "required", required);
    Some(schema)
}
