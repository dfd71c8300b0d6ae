//! What a text says becomes attributes, time, level, message and trace.

use catalog::{Parse, ParseFormat};
use model::AttributeType;
use model::said::{pairs, severity, time};
use serde_json::Value as Json;

use super::record::Record;

/// That one stage adds to a record.
const ATTRIBUTES_MAX: usize = 256;
/// Objects within objects become names with points between.
const DEPTH_MAX: usize = 8;

/// Whether the text was what it should be.
pub(super) fn parse(stage: &Parse, record: &mut Record<'_>) -> bool {
    let text = match stage.from.as_str() {
        "" => record.body(),
        from => match record.attribute(from) {
            Some(text) => text,
            None => return false,
        },
    };
    let mut found = Found { fields: Vec::new(), record_time: record.time() };
    match &stage.format {
        ParseFormat::Json => {
            // What is no object is not worth a parser's error.
            if !text.trim_start().starts_with('{') {
                return false;
            }
            match serde_json::from_str::<Json>(text) {
                Ok(Json::Object(fields)) => fields.into_iter().for_each(|(key, value)| found.json(key, value, 0)),
                _ => return false,
            }
        }
        ParseFormat::Logfmt => found.fields = pairs(text).map(|(key, value)| text_field(key, &value)).collect(),
        ParseFormat::Regexp(pattern) => {
            let Some(groups) = pattern.captures(text) else { return false };
            let named = pattern.capture_names().flatten().filter_map(|name| Some(text_field(name, groups.name(name)?.as_str())));
            found.fields = named.collect();
        }
        ParseFormat::Timestamp => {
            let Some(unix_nano) = time::of_text(text, found.record_time) else { return false };
            record.edit.time = Some(unix_nano);
            return true;
        }
        ParseFormat::Severity => {
            let (text, number) = (text.to_owned(), level(text));
            if number.is_some() {
                (record.edit.severity_number, record.edit.severity_text) = (Some(number), Some(text));
            }
            return number.is_some();
        }
    }
    if found.fields.is_empty() {
        return false;
    }
    found.write(stage, record);
    true
}

type Field = (String, AttributeType, String);

fn text_field(key: &str, value: &str) -> Field {
    (key.to_owned(), AttributeType::Text, value.to_owned())
}

fn level(text: &str) -> Option<i32> {
    let text = text.trim();
    severity::number_of(text).or_else(|| severity::number_of_number(text.parse().ok()?))
}

struct Found {
    fields: Vec<Field>,
    record_time: i64,
}

impl Found {
    fn json(&mut self, key: String, value: Json, depth: usize) {
        let (kind, text) = match value {
            Json::Object(fields) if depth < DEPTH_MAX && !fields.is_empty() => {
                fields.into_iter().for_each(|(name, value)| self.json(format!("{key}.{name}"), value, depth + 1));
                return;
            }
            Json::String(text) => (AttributeType::Text, text),
            Json::Bool(yes) => (AttributeType::Bool, yes.to_string()),
            Json::Number(number) if number.is_i64() => (AttributeType::Int, number.to_string()),
            Json::Number(number) => (AttributeType::Double, number.to_string()),
            Json::Null => (AttributeType::Empty, String::new()),
            // As JSON says it: what is in a list has no name to ask for.
            nested => (AttributeType::Text, nested.to_string()),
        };
        self.fields.push((key, kind, text));
    }

    /// Fields that say something of the record itself do, if they can; the rest become attributes.
    fn write(self, stage: &Parse, record: &mut Record<'_>) {
        let mut left = ATTRIBUTES_MAX;
        for (key, kind, text) in self.fields {
            let is = |named: &str| !named.is_empty() && named == key;
            if is(&stage.message) {
                record.set_body(text);
            } else if let Some(unix_nano) = Some(&text).filter(|_| is(&stage.time)).and_then(|text| time::of_text(text, self.record_time)) {
                record.edit.time = Some(unix_nano);
            } else if let Some(number) = Some(&text).filter(|_| is(&stage.severity)).and_then(|text| level(text)) {
                (record.edit.severity_number, record.edit.severity_text) = (Some(Some(number)), Some(text));
            } else if is(&stage.trace_id) && text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                record.edit.trace_id = Some(text.to_ascii_lowercase());
            } else if left > 0 {
                left -= 1;
                record.set(&format!("{}{key}", stage.prefix), kind, text);
            }
        }
    }
}
