//! Strict maps: every key is known and stands once, those that must be there are, and whatever is wrong is told with its place.

use std::collections::HashMap;

use crate::checks::Check;
use crate::problem::{Diagnostic, Origin, closest};
use crate::shape::Shape;
use crate::yaml::{Node, Place, Value};

/// The known fields of a map.
pub(crate) type Fields<'n> = HashMap<&'static str, &'n Node>;

/// Gathers what is wrong with files while they are read.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) file: String,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Reader {
    pub(crate) fn problem(&mut self, place: Place, check: Check, what: impl Into<String>) {
        let diagnostic = Diagnostic::at(&self.origin(place), check, what);
        self.diagnostics.push(diagnostic);
    }

    /// A text that is none of the known ones; `otherwise` is the hint when it is near to none.
    pub(crate) fn unknown(&mut self, (place, check): (Place, Check), text: &str, what: &str, known: &[&str], otherwise: &str) {
        let near = closest(text, known);
        let hint = near.map_or_else(|| otherwise.to_owned(), |name| format!("did you mean {name:?}?"));
        let diagnostic = Diagnostic::at(&self.origin(place), check, format!("{what}: {hint}")).meant(text, near);
        self.diagnostics.push(diagnostic);
    }

    pub(crate) fn origin(&self, place: Place) -> Origin {
        Origin::new(&self.file, place)
    }

    /// The known fields of a map; unknown, repeated and missing ones are problems.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, shape: &Shape) -> Option<Fields<'n>> {
        let what = shape.what;
        let known: Vec<&'static str> = shape.keys().collect();
        let Value::Map(entries) = &node.value else {
            let kind = node.value.kind();
            self.problem(node.place, Check::WrongType, format!("cannot read {what} from {kind}: it is a map with {}", known.join(", ")));
            return None;
        };
        let mut fields = Fields::new();
        for (place, key, value) in entries {
            match known.iter().find(|name| *name == key) {
                Some(name) => {
                    if fields.insert(name, value).is_some() {
                        self.problem(*place, Check::RepeatedKey, format!("cannot use key {key:?} twice in {what}"));
                    }
                }
                None => {
                    let otherwise = format!("{what} has {}", known.join(", "));
                    self.unknown((*place, Check::UnknownKey), key, &format!("cannot use key {key:?} in {what}"), &known, &otherwise);
                }
            }
        }
        for field in shape.fields.iter().filter(|field| field.required && !fields.contains_key(field.key)) {
            self.problem(node.place, Check::MissingKey, format!("cannot do without {:?} in {what}", field.key));
        }
        Some(fields)
    }

    pub(crate) fn text(&mut self, node: &Node, name: &str) -> Option<String> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            other => {
                let kind = other.kind();
                self.problem(node.place, Check::WrongType, format!("cannot read {name:?} from {kind}: it is a text"));
                None
            }
        }
    }

    pub(crate) fn optional_text(&mut self, fields: &Fields<'_>, name: &'static str) -> String {
        fields.get(name).and_then(|node| self.text(node, name)).unwrap_or_default()
    }

    pub(crate) fn list<'n>(&mut self, node: &'n Node, name: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            other => {
                let kind = other.kind();
                self.problem(node.place, Check::WrongType, format!("cannot read {name:?} from {kind}: it is a list"));
                &[]
            }
        }
    }

    pub(crate) fn optional_list<'n>(&mut self, fields: &Fields<'n>, name: &'static str) -> &'n [Node] {
        fields.get(name).map_or(&[][..], |&node| self.list(node, name))
    }
}
