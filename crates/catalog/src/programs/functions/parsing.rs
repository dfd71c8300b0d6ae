//! Formats: JSON, logfmt, regular expressions, base64.

use model::said::pairs;
use vrl::compiler::prelude::kind::{ANY, ARRAY, BOOLEAN, BYTES, FLOAT, INTEGER, NULL, OBJECT, REGEX};
use vrl::value::{ObjectMap, Value};

use super::{Arguments, Given, Row, TEXT, TEXT_BYTES_MAX, VALUE, may_fail, short, sure, takes, text, value, wrong};

const ANYTHING: u16 = BYTES | INTEGER | FLOAT | BOOLEAN | OBJECT | ARRAY | NULL;

pub(super) static ROWS: &[Row] = &[
    may_fail("parse_json", &TEXT, ANYTHING, |given| {
        let json: serde_json::Value = serde_json::from_str(&text(given, 0)?).map_err(|error| error.to_string())?;
        Ok(of_json(&json))
    }),
    sure("encode_json", &VALUE, BYTES, |given| {
        let mut out = Limited(Vec::new());
        serde_json::to_writer(&mut out, value(given, 0)).map_err(|error| error.to_string())?;
        short(String::from_utf8_lossy(&out.0).into_owned())
    }),
    may_fail("parse_key_value", &TEXT, OBJECT, parse_key_value),
    may_fail("parse_logfmt", &TEXT, OBJECT, parse_key_value),
    may_fail("parse_regex", &[takes("value", BYTES), takes("pattern", REGEX)], OBJECT, |given| {
        let (whole, pattern) = (text(given, 0)?, value(given, 1));
        let pattern = pattern.as_regex().ok_or_else(|| wrong(pattern, "a regular expression"))?;
        let found = pattern.captures(&whole).ok_or("the text does not match")?;
        let named = pattern.capture_names().flatten().map(|name| {
            let value = found.name(name).map_or(Value::Null, |part| part.as_str().into());
            (name.into(), value)
        });
        Ok(Value::Object(named.collect()))
    }),
    may_fail("parse_severity", &[takes("value", ANY)], INTEGER, |given| {
        let number = match value(given, 0) {
            Value::Integer(level) => model::said::severity::number_of_number(*level),
            _ => model::said::severity::number_of(&text(given, 0)?),
        };
        number.map(Value::from).ok_or_else(|| "it is no level".to_owned())
    }),
];

/// Writes no more than a text may have.
struct Limited(Vec<u8>);

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > TEXT_BYTES_MAX {
            return Err(std::io::Error::other(format!("the text is over text_bytes_max, {TEXT_BYTES_MAX}")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn parse_key_value(given: &Arguments<'_>) -> Given {
    let whole = text(given, 0)?;
    let fields: ObjectMap = pairs(&whole).map(|(key, value)| (key.into(), Value::from(&*value))).collect();
    if fields.is_empty() { Err("there is no key=value in the text".to_owned()) } else { Ok(Value::Object(fields)) }
}

/// A number beyond 64 bits becomes a float.
pub fn of_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(yes) => (*yes).into(),
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Number(number) => {
            number.as_i64().map_or_else(|| Value::from_f64_or_zero(number.as_f64().unwrap_or_default()), Value::Integer)
        }
        serde_json::Value::Array(items) => Value::Array(items.iter().map(of_json).collect()),
        serde_json::Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.as_str().into(), of_json(value))).collect())
        }
    }
}
