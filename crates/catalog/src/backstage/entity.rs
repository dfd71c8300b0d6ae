//! Documents to entities.

use crate::checks::Check;
use crate::fields::Reader;
use crate::problem::Diagnostic;
use crate::yaml::{self, Node, Value};

/// What Tyto makes use of in an entity.
#[derive(Clone, Debug, Default)]
pub(super) struct Entity {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) description: String,
    /// Of `spec`.
    pub(super) owner: String,
    pub(super) system: String,
    pub(super) domain: String,
    pub(super) subcomponent_of: String,
    pub(super) of_type: String,
    pub(super) lifecycle: String,
    pub(super) email: String,
    pub(super) depends_on: Vec<String>,
    pub(super) provides: Vec<String>,
    pub(super) consumes: Vec<String>,
    /// Title and address.
    pub(super) links: Vec<(String, String)>,
    pub(super) annotations: Vec<(String, String)>,
    pub(super) tags: Vec<String>,
    /// Where it stands.
    pub(super) at: String,
}

pub(super) fn read(texts: &[(&str, &str)]) -> Result<Vec<Entity>, Vec<Diagnostic>> {
    let (mut reader, mut entities) = (Reader::default(), Vec::new());
    for (file, text) in texts {
        (*file).clone_into(&mut reader.file);
        match yaml::parse_documents(text) {
            Ok(documents) => {
                // A document of nothing stands between two lines of `---`.
                for document in documents.iter().filter(|document| !matches!(document.value, Value::Null)) {
                    match entity(document, &reader) {
                        Some(entity) => entities.push(entity),
                        None => {
                            let what = "cannot read an entity: it has a kind and metadata with a name";
                            reader.problem(document.place, Check::MissingKey, what);
                        }
                    }
                }
            }
            Err((place, what)) => reader.problem(place, Check::Syntax, what),
        }
    }
    if reader.diagnostics.is_empty() { Ok(entities) } else { Err(reader.diagnostics) }
}

fn entity(document: &Node, reader: &Reader) -> Option<Entity> {
    let (metadata, spec) = (document.get("metadata")?, document.get("spec"));
    let spec = |key: &str| spec.and_then(|spec| spec.get(key));
    let text = |node: &Node| node.text().map(str::to_owned);
    let said = |node: Option<&Node>| node.and_then(text).unwrap_or_default();
    let texts = |node: Option<&Node>| node.map_or(&[][..], Node::items).iter().filter_map(text).collect();
    let link = |node: &Node| {
        let url = node.get("url").and_then(text)?;
        Some((node.get("title").and_then(text).unwrap_or_else(|| url.clone()), url))
    };
    let annotations = match metadata.get("annotations").map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().filter_map(|(_, key, node)| Some((key.clone(), text(node)?))).collect(),
        _ => Vec::new(),
    };
    Some(Entity {
        kind: document.get("kind").and_then(text)?,
        name: metadata.get("name").and_then(text).filter(|name| !name.trim().is_empty())?,
        description: said(metadata.get("description")),
        owner: said(spec("owner")),
        system: said(spec("system")),
        domain: said(spec("domain")),
        subcomponent_of: said(spec("subcomponentOf")),
        of_type: said(spec("type")),
        lifecycle: said(spec("lifecycle")),
        email: said(spec("profile").and_then(|profile| profile.get("email"))),
        depends_on: texts(spec("dependsOn")),
        provides: texts(spec("providesApis")),
        consumes: texts(spec("consumesApis")),
        links: metadata.get("links").map_or(&[][..], Node::items).iter().filter_map(link).collect(),
        annotations,
        tags: texts(metadata.get("tags")),
        at: reader.origin(document.place).to_string(),
    })
}
