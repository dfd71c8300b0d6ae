//! AWS's answers in XML as a tree.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Of one element in another.
const DEPTH_MAX: usize = 32;

/// An element by its local name; `text` is empty where there are children.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The first element at a path like `placement/availabilityZone`.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |element, name| element.children.iter().find(|child| child.name == name))
    }

    /// The text at a path; empty when there is none.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.at(path).map_or("", |element| &element.text)
    }

    pub(crate) fn own_text(&self) -> &str {
        &self.text
    }

    /// The members of the list at a path.
    pub(crate) fn list(&self, path: &str) -> &[Self] {
        self.at(path).map_or(&[], |element| &element.children)
    }
}

/// The root element.
pub(crate) fn parse(text: &[u8]) -> Result<Element, quick_xml::Error> {
    let mut reader = Reader::from_reader(text);
    // From the outermost element that is open; before all of them one that holds the root.
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                if open.len() > DEPTH_MAX {
                    return Err(std::io::Error::other(format!("elements are nested deeper than depth_max, {DEPTH_MAX}")).into());
                }
                open.push(Element { name, ..Element::default() });
            }
            Event::Empty(empty) => {
                let name = String::from_utf8_lossy(empty.local_name().as_ref()).into_owned();
                if let Some(parent) = open.last_mut() {
                    parent.children.push(Element { name, ..Element::default() });
                }
            }
            Event::End(_) => {
                let mut closed = open.pop().unwrap_or_default();
                if !closed.children.is_empty() {
                    closed.text.clear();
                }
                if let Some(parent) = open.last_mut() {
                    parent.children.push(closed);
                }
            }
            Event::Text(text) => push(&mut open, &text.xml10_content()?),
            Event::CData(text) => push(&mut open, &text.xml10_content()?),
            Event::GeneralRef(reference) => match reference.resolve_char_ref()? {
                Some(character) => push(&mut open, character.encode_utf8(&mut [0; 4])),
                None => push(&mut open, quick_xml::escape::resolve_predefined_entity(&reference.decode()?).unwrap_or_default()),
            },
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => {}
        }
    }
    let root = open.into_iter().next().and_then(|outer| outer.children.into_iter().next());
    root.ok_or_else(|| std::io::Error::other("there is no element").into())
}

fn push(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_path() {
        let text = b"<?xml version=\"1.0\"?>\n<A xmlns=\"http://x/\">\n <list>\n  <item><k>a &amp; b &#x41;</k><v/></item>\n  <item/>\n </list>\n</A>";
        let root = parse(text).unwrap();
        assert_eq!(root.list("list").len(), 2);
        assert_eq!(root.text("list/item/k"), "a & b A");
        assert_eq!((root.text("list/item/v"), root.text("list"), root.text("none/at/all")), ("", "", ""));
        assert!(parse(b"").is_err() && parse(b"<a><b></a>").is_err());
        assert!(parse("<a>".repeat(40).as_bytes()).unwrap_err().to_string().contains("depth_max"));
    }
}
