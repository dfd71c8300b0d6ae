//! Whether the keywords of a contract have values that can be enforced: JSON Schema says what each may be.

use serde_json::Value as Json;

use crate::checks::Check;
use crate::fields::Reader;
use crate::rules::REGEX_BYTES_MAX;
use crate::schemas::{Document, escaped, within};

/// What the value of a keyword must be.
#[derive(Clone, Copy)]
enum Must {
    Number,
    Positive,
    /// A whole number, not negative.
    Count,
    Truth,
    Text,
    Pattern,
    Texts,
    Values,
    /// A list of texts for each key.
    TextsByKey,
}

fn must(keyword: &str) -> Option<Must> {
    Some(match keyword {
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => Must::Number,
        "multipleOf" => Must::Positive,
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minContains" | "maxContains" | "minProperties" | "maxProperties" => {
            Must::Count
        }
        "uniqueItems" | "deprecated" | "readOnly" | "writeOnly" => Must::Truth,
        "title" | "description" | "$comment" | "$ref" | "$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "format" => Must::Text,
        "pattern" => Must::Pattern,
        "required" => Must::Texts,
        "enum" => Must::Values,
        "dependentRequired" => Must::TextsByKey,
        _ => return None,
    })
}

impl Must {
    /// What is wrong with a value, if anything is.
    fn wrong(self, keyword: &str, value: &Json) -> Option<String> {
        let texts = |value: &Json| value.as_array().is_some_and(|items| items.iter().all(Json::is_string));
        let (fits, is) = match self {
            Self::Number => (value.is_number(), "a number"),
            Self::Positive => (value.as_f64().is_some_and(|number| number > 0.0), "a number above 0"),
            Self::Count => (value.as_u64().is_some(), "a whole number from 0"),
            Self::Truth => (value.is_boolean(), "true or false"),
            Self::Text => (value.is_string(), "a text"),
            Self::Texts => (texts(value), "a list of texts"),
            Self::Values => (value.as_array().is_some_and(|items| !items.is_empty()), "a list with a value at least"),
            Self::TextsByKey => (value.as_object().is_some_and(|entries| entries.values().all(texts)), "a map of lists of texts"),
            Self::Pattern => {
                let Some(text) = value.as_str() else { return Some(format!("cannot use this as {keyword:?}: it is a text")) };
                return pattern(text).err();
            }
        };
        (!fits).then(|| format!("cannot use {value} as {keyword:?}: it is {is}"))
    }
}

/// Refused: look-around and back-references, which JSON Schema's dialect has: nothing bounds the time that they take, and this is
/// asked of every record.
fn pattern(text: &str) -> Result<(), String> {
    match regex::RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build() {
        Ok(_) => Ok(()),
        Err(error) => {
            // Its first lines draw the place in the expression; the last one says what it is.
            let said = error.to_string();
            let why = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Err(format!("cannot use {text:?} as \"pattern\": {why}"))
        }
    }
}

pub(crate) fn check(document: &Document, reader: &mut Reader) {
    walk(document, &document.json, String::new(), reader);
}

fn walk(document: &Document, schema: &Json, pointer: String, reader: &mut Reader) {
    let Json::Object(keywords) = schema else { return };
    for (keyword, value) in keywords {
        let at = format!("{pointer}/{keyword}");
        if let Some(what) = must(keyword).and_then(|must| must.wrong(keyword, value)) {
            reader.diagnostics.push(crate::Diagnostic::at(&document.origin(&at), Check::BadValue, what));
        }
        let patterns = value.as_object().filter(|_| keyword == "patternProperties");
        for text in patterns.into_iter().flat_map(serde_json::Map::keys) {
            if let Err(what) = pattern(text) {
                let origin = document.origin(&format!("{at}/{}", escaped(text)));
                reader.diagnostics.push(crate::Diagnostic::at(&origin, Check::BadValue, what));
            }
        }
        for (end, schema) in within(keyword, value) {
            walk(document, schema, format!("{at}{end}"), reader);
        }
    }
}
