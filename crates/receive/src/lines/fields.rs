//! A JSON object's fields, as attributes keep them: arrays and objects as OTLP's own JSON text, so that types survive.

use std::borrow::Cow;
use std::fmt;

use model::{AttributeType, AttributeValue, ReceiveLimits};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::known;
use crate::outcome::Fault;

/// A name and a value that a sender gave a log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: Value<'a>,
}

impl<'a> Field<'a> {
    pub(crate) fn text(name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        Self { name: name.into(), value: Value::Text(value.into()) }
    }

    pub(crate) fn owned(&self) -> Field<'static> {
        let value = match &self.value {
            Value::Bool(value) => Value::Bool(*value),
            Value::Int(value) => Value::Int(*value),
            Value::Double(value) => Value::Double(*value),
            Value::Text(text) => Value::Text(text.clone().into_owned().into()),
            Value::Encoded(kind, text) => Value::Encoded(*kind, text.clone()),
        };
        Field { name: self.name.clone().into_owned().into(), value }
    }

    /// What it takes, apart from what every attribute takes.
    pub(crate) fn bytes(&self) -> usize {
        /// Of a number: a double is written without exponent.
        const NUMBER_BYTES: usize = 24;
        self.name.len() + self.value.as_text().map_or(NUMBER_BYTES, str::len)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    /// The text of that type, as [`AttributeType`] has it.
    Encoded(AttributeType, String),
}

impl Value<'_> {
    /// None of numbers and truth values.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Encoded(_, text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_attribute(&self) -> AttributeValue<'_> {
        match self {
            Self::Bool(value) => AttributeValue::Bool(*value),
            Self::Int(value) => AttributeValue::Int(*value),
            Self::Double(value) => AttributeValue::Double(*value),
            Self::Text(text) => AttributeValue::Text(text),
            Self::Encoded(kind, text) => AttributeValue::Encoded(*kind, text),
        }
    }
}

/// What an object within the object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nesting {
    /// One attribute, a map, as OTLP has it.
    Kept,
    /// As many attributes as it has fields, with points between the names: where `{"a": {"b": 1}}` and `{"a.b": 1}` are the
    /// same by the protocol's definition.
    Dotted,
}

/// The fields of one object.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Fields<'a> {
    pub(crate) own: Vec<Field<'a>>,
    /// Of objects that are kept as maps, those that [`known`] looks at, with points between the names.
    pub(crate) within: Vec<Field<'a>>,
}

/// Reads an object. What is no object, or nested deeper than `depth_max`, or has more fields than anybody can have meant, is
/// a fault of the whole.
pub(crate) fn read<'a>(json: &'a str, nesting: Nesting, limits: &ReceiveLimits) -> Result<Fields<'a>, Fault> {
    let mut reader = FieldsReader { nesting, limits, fields: Fields::default() };
    reader.object(json, &mut String::new(), limits.depth_max)?;
    Ok(reader.fields)
}

struct FieldsReader<'a, 'l> {
    nesting: Nesting,
    limits: &'l ReceiveLimits,
    fields: Fields<'a>,
}

impl<'a> FieldsReader<'a, '_> {
    fn object(&mut self, json: &'a str, path: &mut String, depth_left: usize) -> Result<(), Fault> {
        let depth_left = deeper(depth_left)?;
        each_entry(json, |name, raw| {
            let before = path.len();
            // Each of its fields would have a copy of a name that is no name; as a map it is dropped, and told, with its name.
            let named = before + name.len() <= self.limits.label_name_bytes_max;
            let dotted = self.nesting == Nesting::Dotted && named && raw.starts_with('{') && !is_empty_object(raw);
            if dotted || before > 0 {
                push_name(path, &name);
            }
            let done = match dotted {
                true => self.object(raw, path, depth_left),
                false => {
                    let name = if before > 0 { Cow::Owned(path.clone()) } else { name };
                    self.field(name, raw, depth_left)
                }
            };
            path.truncate(before);
            done
        })
    }

    fn field(&mut self, name: Cow<'a, str>, raw: &'a str, depth_left: usize) -> Result<(), Fault> {
        let mut encoder = Encoder { out: String::new(), bytes_max: self.limits.value_bytes_max };
        let value = match raw.as_bytes().first() {
            Some(b'[') => {
                encoder.array(raw, depth_left)?;
                Value::Encoded(AttributeType::Array, encoder.out)
            }
            Some(b'{') => {
                if self.nesting == Nesting::Kept {
                    self.look_within(raw, &mut name.clone().into_owned(), depth_left)?;
                }
                encoder.map(raw, depth_left)?;
                Value::Encoded(AttributeType::Map, encoder.out)
            }
            _ => scalar(raw)?,
        };
        if self.fields.own.len() < FIELDS_MAX {
            self.fields.own.push(Field { name, value });
            return Ok(());
        }
        Err(Fault::new(
            "too_many_attributes",
            format!("the object has over {FIELDS_MAX} fields: attributes_max is {}", self.limits.attributes_max),
        ))
    }

    /// Only two levels are looked at: nobody names a trace deeper, and what is looked at is read twice.
    fn look_within(&mut self, json: &'a str, path: &mut String, depth_left: usize) -> Result<(), Fault> {
        let depth_left = deeper(depth_left)?;
        // Else it would be walked once for each field below it.
        if path.len() > known::NAME_BYTES_MAX {
            return Ok(());
        }
        each_entry(json, |name, raw| {
            let before = path.len();
            push_name(path, &name);
            match raw.as_bytes().first() {
                Some(b'{') if path.matches('.').count() < 2 => self.look_within(raw, path, depth_left)?,
                Some(b'{' | b'[') => {}
                _ if self.fields.within.len() < WITHIN_MAX && known::Role::of(path).is_some() => {
                    self.fields.within.push(Field { name: path.clone().into(), value: scalar(raw)? });
                }
                _ => {}
            }
            path.truncate(before);
            Ok(())
        })
    }
}

/// What is over `attributes_max` is dropped from the log; an object with more fields than this is refused, before it takes
/// more memory than its text.
const FIELDS_MAX: usize = 10_000;

/// There are not so many names that anybody looks for.
const WITHIN_MAX: usize = 64;

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

fn is_empty_object(raw: &str) -> bool {
    raw[1..].trim_start().starts_with('}')
}

fn deeper(depth_left: usize) -> Result<usize, Fault> {
    depth_left.checked_sub(1).ok_or_else(|| Fault::new("too_deep", "the object is nested deeper than depth_max: flatten it"))
}

fn scalar(raw: &str) -> Result<Value<'_>, Fault> {
    Ok(match raw.as_bytes().first() {
        Some(b'"') => Value::Text(text(raw)?),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') | None => Value::Encoded(AttributeType::Empty, String::new()),
        _ => number(raw),
    })
}

/// A whole number over 64 bits, or a number over the range of doubles, stays the text that it is.
fn number(raw: &str) -> Value<'_> {
    let whole = !raw.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    match (raw.parse(), raw.parse::<f64>()) {
        (Ok(value), _) if raw != "-0" => Value::Int(value),
        (_, Ok(value)) if value.is_finite() && !whole || raw == "-0" => Value::Double(value),
        _ => Value::Text(raw.into()),
    }
}

/// A JSON string's text, borrowed where it holds no escapes.
pub(crate) fn text(raw: &str) -> Result<Cow<'_, str>, Fault> {
    let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or_default();
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(inner.into());
    }
    serde_json::from_str::<String>(raw).map(Cow::Owned).map_err(|source| unreadable(&source))
}

/// Writes arrays and maps. It ends with the first part that makes the text longer than a value may be, and then the value is
/// too long.
struct Encoder {
    out: String,
    bytes_max: usize,
}

impl Encoder {
    /// `[{"intValue":"1"}]`.
    fn array(&mut self, raw: &str, depth_left: usize) -> Result<(), Fault> {
        let depth_left = deeper(depth_left)?;
        self.out.push('[');
        let mut comma = "";
        each_element(raw, |raw| {
            if self.is_over() {
                return Ok(());
            }
            self.out.push_str(comma);
            comma = ",";
            self.any(raw, depth_left)
        })?;
        self.out.push(']');
        Ok(())
    }

    /// `[{"key":"a","value":{"intValue":"1"}}]`.
    fn map(&mut self, raw: &str, depth_left: usize) -> Result<(), Fault> {
        let depth_left = deeper(depth_left)?;
        self.out.push('[');
        let mut comma = "";
        each_entry(raw, |name, raw| {
            if self.is_over() {
                return Ok(());
            }
            self.out.push_str(comma);
            comma = ",";
            self.out.push_str("{\"key\":");
            write_string(&name, &mut self.out);
            self.out.push_str(",\"value\":");
            self.any(raw, depth_left)?;
            self.out.push('}');
            Ok(())
        })?;
        self.out.push(']');
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.out.len() > self.bytes_max
    }

    fn any(&mut self, raw: &str, depth_left: usize) -> Result<(), Fault> {
        match raw.as_bytes().first() {
            Some(b'[') => {
                self.out.push_str("{\"arrayValue\":{\"values\":");
                self.array(raw, depth_left)?;
                self.out.push_str("}}");
            }
            Some(b'{') => {
                self.out.push_str("{\"kvlistValue\":{\"values\":");
                self.map(raw, depth_left)?;
                self.out.push_str("}}");
            }
            _ => self.scalar(&scalar(raw)?).expect("writing to memory cannot fail"),
        }
        Ok(())
    }

    fn scalar(&mut self, value: &Value<'_>) -> fmt::Result {
        use fmt::Write;
        let out = &mut self.out;
        match value {
            Value::Bool(value) => write!(out, "{{\"boolValue\":{value}}}"),
            Value::Int(value) => write!(out, "{{\"intValue\":\"{value}\"}}"),
            Value::Double(value) => write!(out, "{{\"doubleValue\":{value}}}"),
            Value::Encoded(..) => write!(out, "{{}}"),
            Value::Text(text) => {
                out.push_str("{\"stringValue\":");
                write_string(text, out);
                out.push('}');
                Ok(())
            }
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("text is JSON"));
}

fn unreadable(source: &serde_json::Error) -> Fault {
    Fault::new("invalid_json", crate::outcome::unreadable_json("the object", source).chain())
}

/// Walks the object that the text is, name by name. What `each` refuses ends it.
pub(crate) fn each_entry<'a>(json: &'a str, each: impl FnMut(Cow<'a, str>, &'a str) -> Result<(), Fault>) -> Result<(), Fault> {
    let (mut fault, mut reader) = (None, serde_json::Deserializer::from_str(json));
    let walked = reader.deserialize_map(Entries { each, fault: &mut fault }).and_then(|()| reader.end());
    fault.map_or_else(|| walked.map_err(|source| unreadable(&source)), Err)
}

/// Walks the list that the text is.
pub(crate) fn each_element<'a>(json: &'a str, each: impl FnMut(&'a str) -> Result<(), Fault>) -> Result<(), Fault> {
    let (mut fault, mut reader) = (None, serde_json::Deserializer::from_str(json));
    let walked = reader.deserialize_seq(Elements { each, fault: &mut fault }).and_then(|()| reader.end());
    fault.map_or_else(|| walked.map_err(|source| unreadable(&source)), Err)
}

/// An error of the walk, which no error of the parser can carry.
fn stop<E: serde::de::Error>(fault: &mut Option<Fault>, done: Result<(), Fault>) -> Result<(), E> {
    done.map_err(|refused| {
        *fault = Some(refused);
        E::custom("refused")
    })
}

struct Entries<'f, F> {
    each: F,
    fault: &'f mut Option<Fault>,
}

impl<'de, F: FnMut(Cow<'de, str>, &'de str) -> Result<(), Fault>> Visitor<'de> for Entries<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Name(name), raw)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            let done = (self.each)(name, raw.get());
            stop(self.fault, done)?;
        }
        Ok(())
    }
}

struct Elements<'f, F> {
    each: F,
    fault: &'f mut Option<Fault>,
}

impl<'de, F: FnMut(&'de str) -> Result<(), Fault>> Visitor<'de> for Elements<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(raw) = list.next_element::<&'de RawValue>()? {
            let done = (self.each)(raw.get());
            stop(self.fault, done)?;
        }
        Ok(())
    }
}

/// Borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(json: &str, nesting: Nesting) -> String {
        let limits = ReceiveLimits { depth_max: 4, ..ReceiveLimits::default() };
        match read(json, nesting, &limits) {
            Err(fault) => format!("{}: {}", fault.reason, fault.why),
            Ok(fields) => {
                let print = |field: &Field<'_>| {
                    let mut text = String::new();
                    let mut builder = model::Attributes::default();
                    builder.set(&field.name, field.value.as_attribute());
                    for (name, kind, value) in builder.iter() {
                        text = format!("{name}:{}={value}", kind.letter());
                    }
                    text
                };
                fields
                    .own
                    .iter()
                    .map(print)
                    .chain(fields.within.iter().map(|field| format!("({})", print(field))))
                    .collect::<Vec<_>>()
                    .join(" ")
            }
        }
    }

    #[test]
    fn types_survive() {
        let json = r#"{"t": "x\u00e9\n", "i": -5, "d": 1.50, "e": 1e3, "b": true, "n": null, "big": 18446744073709551616, "huge": 1e999, "z": -0}"#;
        let expect = "t:s=x\u{e9}\n i:i=-5 d:d=1.5 e:d=1000 b:b=true n:n= big:s=18446744073709551616 huge:s=1e999 z:d=-0";
        assert_eq!(printed(json, Nesting::Kept), expect);
        assert_eq!(
            printed(r#"{"a": [1, "x", {"k": null}]}"#, Nesting::Kept),
            r#"a:a=[{"intValue":"1"},{"stringValue":"x"},{"kvlistValue":{"values":[{"key":"k","value":{}}]}}]"#
        );
    }

    #[test]
    fn objects_are_maps_or_dotted() {
        let json = r#"{"log": {"level": "warn", "file": {"path": "/a"}}, "x.y": {"z": {}}}"#;
        let kept = r#"log:m=[{"key":"level","value":{"stringValue":"warn"}},{"key":"file","value":{"kvlistValue":{"values":[{"key":"path","value":{"stringValue":"/a"}}]}}}] x.y:m=[{"key":"z","value":{"kvlistValue":{"values":[]}}}] (log.level:s=warn)"#;
        assert_eq!(printed(json, Nesting::Kept), kept);
        assert_eq!(printed(json, Nesting::Dotted), "log.level:s=warn log.file.path:s=/a x.y.z:m=[]");
    }

    #[test]
    fn a_name_that_is_no_name_is_not_copied_onto_each_field_below_it() {
        let limits = ReceiveLimits::default();
        let read_under = |name: usize| {
            let json = format!("{{\"{}\": {{\"b\": 1, \"c\": {{\"d\": 2}}}}}}", "a".repeat(name));
            let fields = read(&json, Nesting::Dotted, &limits).expect("an object").own;
            fields.iter().map(|field| field.name.len()).collect::<Vec<_>>()
        };
        assert_eq!(read_under(limits.label_name_bytes_max - 2), [limits.label_name_bytes_max, limits.label_name_bytes_max + 2]);
        assert_eq!(read_under(limits.label_name_bytes_max + 1), [limits.label_name_bytes_max + 1]);
    }

    /// It would take minutes.
    #[test]
    fn a_long_name_is_not_walked_for_each_field_below_it() {
        let json = format!("{{\"{}\": {{{}}}}}", "a".repeat(8 << 20), vec!["\"b\":{}"; 200_000].join(","));
        let fields = read(&json, Nesting::Kept, &ReceiveLimits::default()).expect("an object");
        assert_eq!((fields.own.len(), fields.within), (1, Vec::new()));
    }

    #[test]
    fn a_value_that_is_too_long_is_not_written_on() {
        let limits = ReceiveLimits { value_bytes_max: 100, ..ReceiveLimits::default() };
        for json in [format!("{{\"a\": {{{}}}}}", vec!["\"\":1"; 1000].join(",")), format!("{{\"a\": [{}]}}", vec!["[]"; 1000].join(","))] {
            let fields = read(&json, Nesting::Kept, &limits).expect("an object").own;
            let len = fields[0].value.as_text().map_or(0, str::len);
            assert!((101..200).contains(&len), "{len}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (json, why) in [
            ("[]", "invalid_json: cannot parse the object: invalid type: sequence, expected an object at line 1 column 0"),
            ("{\"a\": 1} x", "invalid_json: cannot parse the object: trailing characters at line 1 column 10"),
            ("{\"a\": \"\\ud800\"}", "invalid_json: cannot parse the object: unexpected end of hex escape at line 1 column 8"),
            ("{\"a\": [[[[1]]]]}", "too_deep: the object is nested deeper than depth_max: flatten it"),
            ("{\"a\": {\"a\": {\"a\": {\"a\": {}}}}}", "too_deep: the object is nested deeper than depth_max: flatten it"),
        ] {
            assert_eq!(printed(json, Nesting::Kept), why, "{json}");
        }
        assert!(printed("{\"a\": {\"a\": {\"a\": {\"a\": {\"b\": 1}}}}}", Nesting::Dotted).starts_with("too_deep"));
    }
}
