//! YAML as a tree in which every node knows its place. Refused: deserialising straight into the declarations, which
//! stops at the first problem and cannot say where the other of two duplicates stands.
//! The readers of other configuration files use it too.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Nesting of maps and lists in one file.
const DEPTH_MAX: usize = 32;

/// Of one file with its aliases written out: a small file could be enormous.
pub const NODES_MAX: usize = 1_000_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    fn of(span: Span) -> Self {
        Self { line: span.start.line(), column: span.start.col() + 1 }
    }
}

#[derive(Clone, Debug)]
pub struct Node {
    pub place: Place,
    pub value: Value,
    /// Written without quotes: `8080` may be a number, `"8080"` is none.
    pub plain: bool,
}

#[derive(Clone, Debug)]
pub enum Value {
    Null,
    /// Numbers and booleans too, as they are written: a port in a `match` rule is the text "8080".
    Text(String),
    List(Vec<Node>),
    /// In file order; keys may repeat, the reader refuses that with both places.
    Map(Vec<Entry>),
}

/// Of a map: where its key stands, the key, the value.
pub type Entry = (Place, String, Node);

impl Value {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

pub type Fault = (Place, String);

/// The one document of the text; an empty text is [`Value::Null`].
pub fn parse(text: &str) -> Result<Node, Fault> {
    read(Events { parser: Parser::new_from_str(text), anchors: None, nodes_left: usize::MAX })
}

/// The same with aliases and merge keys (`<<`), for files that were written for other programs. All aliases written out make
/// at most [`NODES_MAX`] nodes.
pub fn parse_with_aliases(text: &str) -> Result<Node, Fault> {
    read(Events { parser: Parser::new_from_str(text), anchors: Some(HashMap::new()), nodes_left: NODES_MAX })
}

/// All documents of the text, with aliases, for files that were written for other programs.
pub fn parse_documents(text: &str) -> Result<Vec<Node>, Fault> {
    let mut events = Events { parser: Parser::new_from_str(text), anchors: Some(HashMap::new()), nodes_left: NODES_MAX };
    let mut documents = Vec::new();
    while let Some((event, place)) = events.document()? {
        documents.push(events.node(event, place, 0)?);
    }
    Ok(documents)
}

fn read(mut events: Events<'_>) -> Result<Node, Fault> {
    let Some((event, place)) = events.document()? else {
        return Ok(Node { place: Place { line: 1, column: 1 }, value: Value::Null, plain: true });
    };
    let root = events.node(event, place, 0)?;
    match events.document()? {
        Some((_, place)) => Err((place, "cannot read a second document: one file holds one".to_owned())),
        None => Ok(root),
    }
}

struct Events<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    /// What aliases stand for; none where they are not allowed.
    anchors: Option<HashMap<usize, Node>>,
    nodes_left: usize,
}

impl Node {
    /// What a map has under a key; none of what is no map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(_, name, _)| name == key).map(|(_, _, node)| node),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Those of a list; none of what is no list.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    fn count(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Text(_) => 0,
            Value::List(items) => items.iter().map(Self::count).sum(),
            Value::Map(entries) => entries.iter().map(|(_, _, node)| node.count()).sum(),
        }
    }
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

    /// What the next document begins with; none after the last.
    fn document(&mut self) -> Result<Option<(Event<'t>, Place)>, Fault> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(None),
                (Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {}
                begun => return Ok(Some(begun)),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, place: Place, depth: usize) -> Result<Node, Fault> {
        if depth > DEPTH_MAX {
            return Err((place, format!("cannot nest deeper than depth_max, {DEPTH_MAX}")));
        }
        let anchor = match &event {
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => *anchor,
            _ => 0,
        };
        let plain = matches!(&event, Event::Scalar(_, ScalarStyle::Plain, ..));
        let value = match event {
            Event::Alias(anchor) => return self.alias(anchor, place),
            Event::Scalar(text, ScalarStyle::Plain, ..) if matches!(&*text, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            other => unreachable!("the parser gives {other:?} only between documents"),
        };
        let node = Node { place, value, plain };
        if anchor > 0
            && let Some(anchors) = &mut self.anchors
        {
            anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Node, Fault> {
        let Some(anchors) = &self.anchors else {
            // Aliases could make a small file enormous, and a declaration that hides elsewhere is hard to review.
            return Err((place, "cannot use an alias: write the value out".to_owned()));
        };
        let node = anchors.get(&anchor).ok_or_else(|| (place, "cannot use an alias within what it stands for".to_owned()))?;
        let left = self.nodes_left.checked_sub(node.count());
        self.nodes_left = left.ok_or_else(|| (place, format!("cannot write out aliases: that makes over nodes_max, {NODES_MAX}")))?;
        Ok(node.clone())
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
        let (mut entries, mut merged) = (Vec::<Entry>::new(), Vec::<Entry>::new());
        loop {
            let (event, place) = self.next()?;
            let key = match event {
                Event::MappingEnd => {
                    // What the map says itself counts, and then the first of what is merged into it.
                    for entry in merged {
                        if !entries.iter().any(|(_, key, _)| *key == entry.1) {
                            entries.push(entry);
                        }
                    }
                    return Ok(Value::Map(entries));
                }
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err((place, "cannot use a list or a map as a key".to_owned())),
            };
            let (event, value_place) = self.next()?;
            let node = self.node(event, value_place, depth + 1)?;
            match key == "<<" && self.anchors.is_some() {
                true => merge(node, &mut merged)?,
                false => entries.push((place, key, node)),
            }
        }
    }
}

/// The entries of a merged map, or of each map of a list.
fn merge(node: Node, into: &mut Vec<Entry>) -> Result<(), Fault> {
    match node.value {
        Value::Map(entries) => into.extend(entries),
        Value::List(items) => items.into_iter().try_for_each(|item| merge(item, into))?,
        other => return Err((node.place, format!("cannot merge {} into a map", other.kind()))),
    }
    Ok(())
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
    fn aliases_and_merges_are_written_out_where_they_are_allowed() {
        let text = "base: &b {a: 1, c: 2}\nlist:\n- <<: *b\n  a: 3\n- *b\n- <<: [*b, {d: 4}]\n";
        assert!(parse(text).is_err());
        let Value::Map(entries) = parse_with_aliases(text).unwrap().value else { panic!("a map") };
        let Value::List(items) = &entries[1].2.value else { panic!("a list") };
        let shown: Vec<String> = items
            .iter()
            .map(|item| {
                let Value::Map(entries) = &item.value else { panic!("a map") };
                let text = |node: &Node| if let Value::Text(text) = &node.value { text.clone() } else { String::new() };
                entries.iter().map(|(_, key, node)| format!("{key}={} ", text(node))).collect()
            })
            .collect();
        assert_eq!(shown, ["a=3 c=2 ", "a=1 c=2 ", "a=1 c=2 d=4 "]);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        assert!(parse_with_aliases(&bomb).unwrap_err().1.contains("nodes_max"));
        assert!(parse_with_aliases("a: &a [*a]").is_err());
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
