//! JSON as a tree in which every node knows its place. Refused: the YAML parser, which takes most of JSON, but not its
//! escapes, and takes much that is none.

use crate::yaml::{Fault, Node, Place, Value};

/// The value that the whole text is. A string is [`Value::Text`], and so is a number or a boolean, as it is written.
pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    // Whether it is JSON, and nested no deeper than a parser may go, others know better; then it only has to be walked.
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let (place, what) = (Place { line: error.line(), column: error.column().max(1) }, error.to_string());
        let what = what.split(" at line ").next().unwrap_or_default();
        return Err((place, format!("cannot parse JSON: {what}")));
    }
    Walk { text, at: 0, place: Place { line: 1, column: 1 } }.node()
}

struct Walk<'t> {
    text: &'t str,
    at: usize,
    place: Place,
}

impl Walk<'_> {
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }

    /// Goes on to a byte, which begins a character.
    fn advance(&mut self, to: usize) {
        for letter in self.text[self.at..to].chars() {
            match letter {
                '\n' => self.place = Place { line: self.place.line + 1, column: 1 },
                _ => self.place.column += 1,
            }
        }
        self.at = to;
    }

    /// Passes over what is between two values.
    fn skip(&mut self, also: &[u8]) {
        let rest = self.text.as_bytes()[self.at..].iter();
        let skipped = rest.take_while(|byte| byte.is_ascii_whitespace() || also.contains(byte)).count();
        self.advance(self.at + skipped);
    }

    fn node(&mut self) -> Result<Node, Fault> {
        self.skip(b"");
        let place = self.place;
        let plain = self.peek() != b'"';
        let value = match self.peek() {
            b'{' => self.map()?,
            b'[' => self.list()?,
            b'"' => Value::Text(self.string()?),
            _ => {
                let rest = self.text.as_bytes()[self.at..].iter();
                let end = self.at + rest.take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
                let word = &self.text[self.at..end];
                let value = if word == "null" { Value::Null } else { Value::Text(word.to_owned()) };
                self.advance(end);
                value
            }
        };
        Ok(Node { place, value, plain })
    }

    fn map(&mut self) -> Result<Value, Fault> {
        let mut entries = Vec::new();
        self.advance(self.at + 1);
        loop {
            self.skip(b",");
            if self.peek() == b'}' {
                self.advance(self.at + 1);
                return Ok(Value::Map(entries));
            }
            let (place, key) = (self.place, self.string()?);
            self.skip(b":");
            entries.push((place, key, self.node()?));
        }
    }

    fn list(&mut self) -> Result<Value, Fault> {
        let mut items = Vec::new();
        self.advance(self.at + 1);
        loop {
            self.skip(b",");
            if self.peek() == b']' {
                self.advance(self.at + 1);
                return Ok(Value::List(items));
            }
            items.push(self.node()?);
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        while let Some(byte) = bytes.get(end).filter(|byte| **byte != b'"') {
            end += if *byte == b'\\' { 2 } else { 1 };
        }
        let end = (end + 1).min(bytes.len());
        let read = serde_json::from_str(&self.text[self.at..end]).map_err(|error| (self.place, format!("cannot parse JSON: {error}")));
        self.advance(end);
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_places() {
        let root = parse("{\n\t\"gr\\u00f6ße\": [1.5e3, \"\\ud83d\\ude00\\\"\", {}],\n \"b\" : null}").unwrap();
        let Value::Map(entries) = root.value else { panic!("a map") };
        assert_eq!((entries[0].0, entries[0].1.as_str()), (Place { line: 2, column: 2 }, "größe"));
        let Value::List(items) = &entries[0].2.value else { panic!("a list") };
        assert!(matches!(&items[0].value, Value::Text(text) if text == "1.5e3"));
        assert!(matches!(&items[1].value, Value::Text(text) if text == "😀\""));
        assert_eq!(items[2].place, Place { line: 2, column: 42 });
        assert_eq!(entries[1].0, Place { line: 3, column: 2 });
        assert!(matches!(entries[1].2.value, Value::Null));
    }

    #[test]
    fn what_is_no_json_is_a_fault_with_its_place() {
        let deep = "[".repeat(5000);
        for text in ["", "{", "{\"a\": 1,}", "a: 1", "{} {}", "\"\\ud800\"", deep.as_str()] {
            let fault = parse(text).unwrap_err();
            assert!(fault.1.starts_with("cannot parse JSON: "), "{text:?}: {fault:?}");
        }
        assert_eq!(parse("{\n  \"a\": 1,\n}").unwrap_err().0, Place { line: 3, column: 1 });
    }
}
