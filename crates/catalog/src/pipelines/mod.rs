//! `pipelines/*.yaml`: what is done to log records before they are stored, one pipeline a file. `stages.rs` reads its stages, `tables.rs` the
//! look-up tables beside it. Programs, patterns and tables are compiled here: what is in force can be run.

mod stages;
mod tables;

use std::path::Path;
use std::sync::Arc;

use model::Identity;

use crate::checks::Check;
use crate::fields::{Fields, Reader};
use crate::omd::{Reference, Wanted};
use crate::problem::{Diagnostic, Origin};
use crate::programs::{Program, Purpose};
use crate::shape;
use crate::yaml::{self, Node, Place, Value};

pub use stages::{
    Dedupe, Does, Enrich, Extract, ExtractKind, Hidden, Kept, Mask, MaskKind, NamedPattern, Parse, ParseFormat, Places, SampleBy, Stage,
};
pub use tables::Table;
pub(crate) use tables::Tables;

/// The folder of pipelines in a directory.
pub(crate) const FOLDER: &str = "pipelines";
/// The folder of look-up tables in a folder of pipelines.
pub(crate) const TABLES: &str = "tables";

pub(crate) const STAGES_MAX: usize = 50;

/// What is done to the log records of somebody.
#[derive(Clone, Debug)]
pub struct Pipeline {
    pub name: String,
    pub about: String,
    pub selects: Selector,
    pub stages: Vec<Stage>,
    pub declared_at: Origin,
}

/// Whose records go through a pipeline; what is empty is anybody's.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    pub business_service: String,
    pub service: String,
    pub component: String,
    pub when: Option<Arc<Program>>,
}

impl Selector {
    /// Whether records of this identity may be meant.
    pub fn holds(&self, identity: &Identity) -> bool {
        let agrees = |wanted: &str, has: &str| wanted.is_empty() || wanted == has;
        agrees(&self.business_service, &identity.business_service)
            && agrees(&self.service, &identity.service)
            && agrees(&self.component, &identity.component)
    }

    /// How much of an identity it names.
    fn names(&self) -> usize {
        [&self.business_service, &self.service, &self.component].into_iter().filter(|name| !name.is_empty()).count()
    }
}

/// Whether a file is a pipeline: it lies in the folder of pipelines.
pub(crate) fn is_pipeline(file: &str) -> bool {
    in_folder(Path::new(file), FOLDER)
}

/// Whether a file is a look-up table.
pub(crate) fn is_table(file: &str) -> bool {
    let path = Path::new(file);
    in_folder(path, TABLES) && path.parent().is_some_and(|tables| in_folder(tables, FOLDER))
}

fn in_folder(path: &Path, name: &str) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|folder| folder == name)
}

#[derive(Default)]
pub(crate) struct Read {
    /// In the order in which a record goes through them: who names most of its identity comes first, so that what is said of everybody
    /// has the last word on what is stored.
    pub(crate) pipelines: Vec<Pipeline>,
    /// Whose they say they are.
    pub(crate) references: Vec<Reference>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

pub(crate) fn read(texts: &[(&str, &str)], tables: &[(&str, &str)]) -> Read {
    let mut reader = PipelineReader { reader: Reader::default(), text: "", tables: Tables::new(tables), references: Vec::new() };
    let mut pipelines = Vec::<Pipeline>::new();
    for (file, text) in texts {
        (*file).clone_into(&mut reader.reader.file);
        reader.text = text;
        let root = match yaml::parse(text) {
            Ok(root) => root,
            Err((place, what)) => {
                reader.reader.problem(place, Check::Syntax, what);
                continue;
            }
        };
        let Some(pipeline) = reader.pipeline(&root) else { continue };
        if let Some(other) = pipelines.iter().find(|other| other.name == pipeline.name) {
            let what = format!("cannot use two pipelines called {:?}: {} is one already", pipeline.name, other.declared_at.file);
            reader.reader.problem(root.place, Check::DuplicateName, what);
        }
        pipelines.push(pipeline);
    }
    pipelines.sort_by(|a, b| b.selects.names().cmp(&a.selects.names()).then_with(|| a.name.cmp(&b.name)));
    Read { pipelines, references: reader.references, diagnostics: reader.reader.diagnostics }
}

struct PipelineReader<'t> {
    reader: Reader,
    /// Of the file.
    text: &'t str,
    tables: Tables<'t>,
    references: Vec<Reference>,
}

impl PipelineReader<'_> {
    fn pipeline(&mut self, root: &Node) -> Option<Pipeline> {
        let fields = self.reader.fields(root, &shape::PIPELINE)?;
        let name = fields.get("name").and_then(|node| self.name(node, "name"));
        let about = self.reader.optional_text(&fields, "about");
        let selects = fields.get("match").and_then(|node| self.selector(node));
        let list = fields.get("stages").map_or(&[][..], |node| self.reader.list(node, "stages"));
        if fields.contains_key("stages") && (list.is_empty() || list.len() > STAGES_MAX) {
            let what = format!("cannot use {} stages: a pipeline has 1 to {STAGES_MAX}", list.len());
            self.reader.problem(fields["stages"].place, Check::BadValue, what);
        }
        let stages: Vec<_> = list.iter().enumerate().map(|(at, node)| self.stage(node, at + 1)).collect();
        let declared_at = self.reader.origin(root.place);
        Some(Pipeline { name: name?, about, selects: selects?, stages: stages.into_iter().collect::<Option<_>>()?, declared_at })
    }

    fn selector(&mut self, node: &Node) -> Option<Selector> {
        let fields = self.reader.fields(node, &shape::PIPELINE_MATCH)?;
        if fields.is_empty() {
            let what = "cannot tell whose records these are: there is at least one of business_service, service, component, when";
            self.reader.problem(node.place, Check::MissingKey, what);
        }
        let mut selector = Selector::default();
        for (key, field) in [
            ("business_service", &mut selector.business_service),
            ("service", &mut selector.service),
            ("component", &mut selector.component),
        ] {
            *field = fields.get(key).and_then(|node| said(&mut self.reader, node, key)).unwrap_or_default();
        }
        if let Some(node) = fields.get("business_service").filter(|_| !selector.business_service.is_empty()) {
            let (at, name) = (self.reader.origin(node.place), selector.business_service.clone());
            self.references.push(Reference { at, name, wanted: Wanted::BusinessService });
        }
        selector.when = self.condition(&fields, "when")?;
        Some(selector)
    }

    /// The condition of that key, if there is one that does not always hold; none of all where it does not compile.
    fn condition(&mut self, fields: &Fields<'_>, key: &'static str) -> Option<Option<Arc<Program>>> {
        let Some(node) = fields.get(key) else { return Some(None) };
        let program = self.program(node, key, Purpose::Condition)?;
        let always = self.reader.text(node, key).is_some_and(|source| source.trim() == "true");
        Some((!always).then_some(program))
    }

    /// What is wrong with a program stands where it stands in the file.
    fn program(&mut self, node: &Node, key: &str, purpose: Purpose) -> Option<Arc<Program>> {
        let source = self.reader.text(node, key)?;
        if source.trim().is_empty() {
            self.reader.problem(node.place, Check::BadValue, format!("cannot use an empty {key:?}"));
            return None;
        }
        match Program::compile(&source, purpose) {
            Ok(program) => Some(Arc::new(program)),
            Err(faults) => {
                for (at, what) in faults {
                    let place = place_within(self.text, node.place, &source, at);
                    self.reader.problem(place, Check::BadProgram, format!("cannot compile {key:?}: {what}"));
                }
                None
            }
        }
    }

    /// A name that stands in labels and addresses.
    fn name(&mut self, node: &Node, key: &str) -> Option<String> {
        let name = said(&mut self.reader, node, key)?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) || name.len() > 100 {
            let what = format!("cannot use {name:?} as {key:?}: it has up to 100 letters, digits, -, _ and .");
            self.reader.problem(node.place, Check::BadName, what);
            return None;
        }
        Some(name)
    }
}

/// Where in the file a byte of a scalar's text stands: of `|` blocks exactly, of what is quoted or folded nearly so.
fn place_within(file: &str, scalar: Place, source: &str, at: usize) -> Place {
    let before = &source[..source.floor_char_boundary(at)];
    let (row, column) = (before.matches('\n').count(), before.rsplit('\n').next().unwrap_or_default().chars().count());
    let line = |number: usize| file.lines().nth(number.saturating_sub(1)).unwrap_or_default();
    let head: String = line(scalar.line).chars().skip(scalar.column.saturating_sub(1)).collect();
    if head.starts_with('|') {
        let first = scalar.line + 1;
        let indent = (first..).map(line).take(1000).find(|text| !text.trim().is_empty());
        let indent = indent.map_or(0, |text| text.chars().take_while(|c| *c == ' ').count());
        return Place { line: first + row, column: indent + column + 1 };
    }
    let quote = usize::from(head.starts_with(['"', '\'']));
    let column = scalar.column + quote + column;
    // What was folded out of several lines is longer than the one that it begins in.
    let is_there = row == 0 && column <= line(scalar.line).chars().count() + 1;
    if is_there { Place { line: scalar.line, column } } else { scalar }
}

/// A text that says something.
fn said(reader: &mut Reader, node: &Node, name: &str) -> Option<String> {
    let text = reader.text(node, name)?.trim().to_owned();
    if text.is_empty() {
        reader.problem(node.place, Check::BadValue, format!("cannot use an empty {name:?}"));
        return None;
    }
    Some(text)
}

/// A node's only entry, where a map is a kind and what it needs.
fn only_entry(node: &Node) -> Option<(&Place, &str, &Node)> {
    match &node.value {
        Value::Map(entries) => match entries.as_slice() {
            [(place, key, value)] => Some((place, key, value)),
            _ => None,
        },
        _ => None,
    }
}

/// One pipeline by itself, as it would be read from this file; whose it says it is may be declared elsewhere.
pub fn draft(file: &str, text: &str, tables: &[(&str, &str)]) -> Result<Pipeline, Vec<crate::Problem>> {
    let Read { mut pipelines, diagnostics, .. } = read(&[(file, text)], tables);
    match (pipelines.pop(), diagnostics.is_empty()) {
        (Some(pipeline), true) => Ok(pipeline),
        _ => Err(diagnostics.into_iter().map(|diagnostic| diagnostic.problem).collect()),
    }
}
