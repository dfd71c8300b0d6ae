//! YAML as a tree in which every node knows its place. Refused: deserialising straight into the declarations, which
//! stops at the first problem and cannot say where the other of two duplicates stands.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Nesting of maps and lists in one file.
const DEPTH_MAX: usize = 32;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    fn of(span: Span) -> Self {
        Self { line: span.start.line(), column: span.start.col() + 1 }
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    /// Numbers and booleans too, as they are written: a port in a `match` rule is the text "8080".
    Text(String),
    List(Vec<Node>),
    /// In file order; keys may repeat, the reader refuses that with both places.
    Map(Vec<(Place, String, Node)>),
}

impl Value {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

pub(crate) type Fault = (Place, String);

/// The one document of the text; an empty text is [`Value::Null`].
pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    let mut events = Events { parser: Parser::new_from_str(text) };
    let mut root = None;
    loop {
        let (event, place) = events.next()?;
        match event {
            Event::StreamEnd => return Ok(root.unwrap_or(Node { place: Place { line: 1, column: 1 }, value: Value::Null })),
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            _ if root.is_some() => return Err((place, "cannot read a second document: one file holds one".to_owned())),
            event => root = Some(events.node(event, place, 0)?),
        }
    }
}

struct Events<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
}

impl<'t> Events<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Place), Fault> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, Place::of(span))),
            Some(Err(error)) => {
                let place = Place { line: error.marker().line(), column: error.marker().col() + 1 };
                Err((place, format!("cannot parse YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, place: Place, depth: usize) -> Result<Node, Fault> {
        if depth > DEPTH_MAX {
            return Err((place, format!("cannot nest deeper than depth_max, {DEPTH_MAX}")));
        }
        let value = match event {
            // Aliases could make a small file enormous, and a declaration that hides elsewhere is hard to review.
            Event::Alias(_) => return Err((place, "cannot use an alias: write the value out".to_owned())),
            Event::Scalar(text, ScalarStyle::Plain, ..) if matches!(&*text, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            other => unreachable!("the parser gives {other:?} only between documents"),
        };
        Ok(Node { place, value })
    }

    fn list(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, place) => items.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut entries = Vec::new();
        loop {
            let (event, place) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Map(entries)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err((place, "cannot use a list or a map as a key".to_owned())),
            };
            let (event, value_place) = self.next()?;
            let node = self.node(event, value_place, depth + 1)?;
            entries.push((place, key, node));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_places() {
        let root = parse("a: 1\nb:\n  - x\n  - {c: ~}\n").unwrap();
        let Value::Map(entries) = root.value else { panic!("a map") };
        assert_eq!(entries[1].0, Place { line: 2, column: 1 });
        let Value::List(items) = &entries[1].2.value else { panic!("a list") };
        assert_eq!(items[0].place, Place { line: 3, column: 5 });
        assert!(matches!(&items[1].value, Value::Map(entries) if matches!(entries[0].2.value, Value::Null)));
    }

    #[test]
    fn hostile_texts_are_faults() {
        let deep = "[".repeat(5000);
        for text in ["a: &x 1\nb: *x\n", "a: [1\n", "--- 1\n--- 2\n", "[a]: b\n", deep.as_str(), "\u{0}", "a: b: c"] {
            let fault = parse(text).unwrap_err();
            assert!(fault.1.starts_with("cannot ") && fault.0.line > 0, "{text:?}: {fault:?}");
        }
    }
}
