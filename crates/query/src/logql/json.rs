//! Reads a line as JSON without building a tree: slices of the line come out.

use std::borrow::Cow;

use lang::logql::PathStep;

use super::row::Failure;

/// Objects inside objects.
const DEPTH_MAX: usize = 128;

#[derive(Debug)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    /// A number, `true` or `false`, as it is written.
    Plain(&'a str),
    Null,
    Object(&'a str),
    Array(&'a str),
}

impl<'a> Value<'a> {
    /// As a label's value: nested values stay JSON.
    fn into_label(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text,
            Self::Plain(raw) | Self::Object(raw) | Self::Array(raw) => Cow::Borrowed(raw),
            Self::Null => Cow::Borrowed(""),
        }
    }
}

type Read<T> = Result<T, &'static str>;
pub(super) type Sink<'s, 'a> = &'s mut dyn FnMut(Cow<'a, str>, Cow<'a, str>);

fn failure(why: &str) -> Failure {
    Failure::new("JSONParserErr", why)
}

/// `| json`: every scalar of the line's object, nested names joined by `_`, arrays left out.
pub(super) fn flatten<'a>(line: &'a str, sink: Sink<'_, 'a>) -> Result<(), Failure> {
    let whole = document(line).map_err(failure)?;
    let Value::Object(object) = whole else { return Err(failure("the line is no JSON object")) };
    flatten_object(object, "", sink).map_err(failure)
}

fn flatten_object<'a>(object: &'a str, prefix: &str, sink: Sink<'_, 'a>) -> Read<()> {
    let mut cursor = Cursor { text: object, at: 0, depth: 0 };
    cursor.members(&mut |key, value| {
        let name = if prefix.is_empty() { key } else { Cow::Owned(format!("{prefix}_{key}")) };
        match value {
            Value::Object(inner) => flatten_object(inner, &name, &mut *sink)?,
            Value::Array(_) | Value::Null => {}
            value => sink(name, value.into_label()),
        }
        Ok(true)
    })
}

/// Every scalar that [`flatten`] finds, with the names that lead to it.
pub(super) fn members<'a>(line: &'a str, sink: &mut dyn FnMut(&[String], Cow<'a, str>)) -> Result<(), Failure> {
    let Value::Object(object) = document(line).map_err(failure)? else { return Err(failure("the line is no JSON object")) };
    members_of(object, &mut Vec::new(), sink).map_err(failure)
}

fn members_of<'a>(object: &'a str, path: &mut Vec<String>, sink: &mut dyn FnMut(&[String], Cow<'a, str>)) -> Read<()> {
    Cursor { text: object, at: 0, depth: 0 }.members(&mut |key, value| {
        path.push(key.into_owned());
        match value {
            Value::Object(inner) => members_of(inner, path, sink)?,
            Value::Array(_) | Value::Null => {}
            value => sink(path, value.into_label()),
        }
        path.pop();
        Ok(true)
    })
}

/// `| json label="path"`: a path that leads nowhere gives the empty text.
pub(super) fn extract<'a>(line: &'a str, paths: &[(String, Vec<PathStep>)], sink: Sink<'_, 'a>) -> Result<(), Failure> {
    document(line).map_err(failure)?;
    for (label, path) in paths {
        let value = walk(line.trim(), path).map_err(failure)?;
        sink(Cow::Owned(label.clone()), value.map_or(Cow::Borrowed(""), Value::into_label));
    }
    Ok(())
}

fn walk<'a>(text: &'a str, path: &[PathStep]) -> Read<Option<Value<'a>>> {
    let mut value = document(text)?;
    for step in path {
        let mut found = None;
        match (&value, step) {
            (Value::Object(raw), PathStep::Key(wanted)) => Cursor { text: raw, at: 0, depth: 0 }.members(&mut |key, value| {
                if key != wanted.as_str() {
                    return Ok(true);
                }
                found = Some(value);
                Ok(false)
            })?,
            (Value::Array(raw), PathStep::Index(wanted)) => {
                let mut index = 0;
                Cursor { text: raw, at: 0, depth: 0 }.elements(&mut |value| {
                    let here = index == *wanted;
                    if here {
                        found = Some(value);
                    }
                    index += 1;
                    Ok(!here)
                })?;
            }
            _ => {}
        }
        match found {
            Some(found) => value = found,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// `| unpack`: the object's texts, and the line that was packed as `_entry`.
pub(super) fn unpack<'a>(line: &'a str, sink: Sink<'_, 'a>) -> Result<Option<Cow<'a, str>>, Failure> {
    let Value::Object(object) = document(line).map_err(failure)? else { return Err(failure("the line is no JSON object")) };
    let mut entry = None;
    let read = Cursor { text: object, at: 0, depth: 0 }.members(&mut |key, value| {
        if let Value::Text(text) = value {
            if key == "_entry" {
                entry = Some(text);
            } else {
                sink(key, text);
            }
        }
        Ok(true)
    });
    read.map_err(failure)?;
    Ok(entry)
}

/// The one value of the text.
fn document(text: &str) -> Read<Value<'_>> {
    let mut cursor = Cursor { text, at: 0, depth: 0 };
    let value = cursor.value()?;
    cursor.blank();
    if cursor.at == text.len() { Ok(value) } else { Err("there is more after the JSON value") }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn accept(&mut self, byte: u8) -> bool {
        self.blank();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Calls `each` until it says no.
    fn members(&mut self, each: &mut dyn FnMut(Cow<'a, str>, Value<'a>) -> Read<bool>) -> Read<()> {
        if !self.accept(b'{') {
            return Err("an object must start with {");
        }
        if self.accept(b'}') {
            return Ok(());
        }
        loop {
            self.blank();
            let key = self.string()?;
            if !self.accept(b':') {
                return Err("a key must be followed by :");
            }
            let value = self.value()?;
            if !each(key, value)? {
                return Ok(());
            }
            if self.accept(b'}') {
                return Ok(());
            }
            if !self.accept(b',') {
                return Err("members must be separated by commas");
            }
        }
    }

    fn elements(&mut self, each: &mut dyn FnMut(Value<'a>) -> Read<bool>) -> Read<()> {
        if !self.accept(b'[') {
            return Err("an array must start with [");
        }
        if self.accept(b']') {
            return Ok(());
        }
        loop {
            let value = self.value()?;
            if !each(value)? {
                return Ok(());
            }
            if self.accept(b']') {
                return Ok(());
            }
            if !self.accept(b',') {
                return Err("elements must be separated by commas");
            }
        }
    }

    fn value(&mut self) -> Read<Value<'a>> {
        self.blank();
        let start = self.at;
        match self.peek() {
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(open @ (b'{' | b'[')) => {
                if self.depth >= DEPTH_MAX {
                    return Err("the JSON is nested too deeply");
                }
                self.depth += 1;
                match open {
                    b'{' => self.members(&mut |_, _| Ok(true))?,
                    _ => self.elements(&mut |_| Ok(true))?,
                }
                self.depth -= 1;
                let raw = &self.text[start..self.at];
                Ok(if open == b'{' { Value::Object(raw) } else { Value::Array(raw) })
            }
            Some(_) => {
                let member = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
                while self.peek().is_some_and(member) {
                    self.at += 1;
                }
                let raw = &self.text[start..self.at];
                match raw {
                    "null" => Ok(Value::Null),
                    "true" | "false" => Ok(Value::Plain(raw)),
                    _ if raw.starts_with(|c: char| c.is_ascii_digit() || c == '-') && raw.parse::<f64>().is_ok() => Ok(Value::Plain(raw)),
                    _ => Err("a JSON value is missing"),
                }
            }
            None => Err("the JSON ends early"),
        }
    }

    fn string(&mut self) -> Read<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return Err("a text must start with a quote");
        }
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut end = start;
        let mut escaped = false;
        loop {
            match bytes.get(end) {
                None => return Err("a text does not end"),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        let raw = &self.text[start..end];
        if escaped { unescape(raw).map(Cow::Owned) } else { Ok(Cow::Borrowed(raw)) }
    }
}

fn unescape(raw: &str) -> Read<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some(c @ ('"' | '\\' | '/')) => out.push(c),
            Some('b') => out.push('\x08'),
            Some('f') => out.push('\x0c'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let high = hex4(&mut rest)?;
                let code = if (0xd800..0xdc00).contains(&high) && rest.as_str().starts_with("\\u") {
                    let mut ahead = rest.clone();
                    ahead.nth(1);
                    let low = hex4(&mut ahead)?;
                    if (0xdc00..0xe000).contains(&low) {
                        rest = ahead;
                        0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                    } else {
                        high
                    }
                } else {
                    high
                };
                // Half of a pair is no character.
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            _ => return Err("a text has an unknown escape"),
        }
    }
    Ok(out)
}

fn hex4(rest: &mut std::str::Chars<'_>) -> Read<u32> {
    (0..4).try_fold(0, |value, _| {
        let digit = rest.next().and_then(|c| c.to_digit(16)).ok_or("\\u needs four hexadecimal digits")?;
        Ok(value * 16 + digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(line: &str) -> Result<String, String> {
        let mut out = Vec::new();
        flatten(line, &mut |name, value| out.push(format!("{name}={value}"))).map_err(|failure| failure.details)?;
        Ok(out.join(" "))
    }

    #[test]
    fn objects_flatten_to_scalars() {
        let line = r#" {"a": {"b": 1.50, "c": [1, {"x": 2}]}, "d": "q\"\u00e9\ud83d\ude00", "e": null, "f": true, "g": {}} "#;
        assert_eq!(flat(line).unwrap(), "a_b=1.50 d=q\"é😀 f=true");
    }

    #[test]
    fn broken_lines_are_told() {
        for line in ["", "plain", "[1]", "{", r#"{"a"}"#, r#"{"a":1"#, r#"{"a":1}x"#, r#"{"a":01x}"#, r#"{"a":"\q"}"#, r#"{"a":"\"#] {
            assert!(flat(line).is_err(), "{line}");
        }
        assert!(flat(&"{\"a\":".repeat(500)).is_err());
    }

    #[test]
    fn paths_lead_to_values() {
        let path = |text: &str| lang::logql::parse_path(text).unwrap();
        let paths = ["user.id", "tags[1]", "tags", "none.x"].map(|text| (text.to_owned(), path(text)));
        let mut out = Vec::new();
        extract(r#"{"user":{"id":"u1"},"tags":["x",{"y":1}]}"#, &paths, &mut |_, value| out.push(value.into_owned())).unwrap();
        assert_eq!(out, ["u1", r#"{"y":1}"#, r#"["x",{"y":1}]"#, ""]);
    }

    fn texts(value: &serde_json::Value, name: &str, out: &mut Vec<(String, String)>) {
        match value {
            serde_json::Value::String(text) => out.push((name.to_owned(), text.clone())),
            serde_json::Value::Object(members) => {
                for (key, value) in members {
                    let name = if name.is_empty() { key.clone() } else { format!("{name}_{key}") };
                    texts(value, &name, out);
                }
            }
            _ => {}
        }
    }

    /// Whatever another reader takes for an object, this one does, with the same texts; nothing makes it panic.
    #[test]
    fn mutants_agree_with_another_reader() {
        let seed: Vec<char> =
            r#"{"a":{"b":"x\"\u00e9\ud83d\ude00\n","c":[1,{"d":null}]},"e":-1.5e3,"f":true,"µ":"v","g":{"h":{}}}"#.chars().collect();
        let mut state = 7u64;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below.max(1)
        };
        let mut taken = 0;
        for _ in 0..5_000 {
            let mut text = seed.clone();
            for _ in 0..=random(2) {
                let (at, from) = (random(text.len()), random(seed.len()));
                let end = (at + random(4)).min(text.len());
                let piece = seed[from..(from + random(6)).min(seed.len())].iter().copied();
                drop(text.splice(at..end, piece));
            }
            let text: String = text.into_iter().collect();
            let mut found = Vec::new();
            let read = flatten(&text, &mut |name, value| found.push((name.into_owned(), value.into_owned())));
            let Ok(other @ serde_json::Value::Object(_)) = serde_json::from_str(&text) else { continue };
            taken += 1;
            assert_eq!(read, Ok(()), "{text}");
            let mut wanted = Vec::new();
            texts(&other, "", &mut wanted);
            wanted.iter().for_each(|pair| assert!(found.contains(pair), "{text}: {pair:?}"));
        }
        assert!(taken > 200, "only {taken} mutants were objects: the test says little");
    }
}
