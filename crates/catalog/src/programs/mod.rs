//! Programs in VRL, the Vector Remap Language: compiled when files are read, so that a mistake is told with its line and never meets a record.
//!
//! `functions/` has what a program may call: nothing that knows a network, a file, the environment. `limits.rs` refuses before compiling what
//! could take more than its share later. A program sees one log record as [`FIELDS`]; `pipeline/src/transform/program.rs` runs it.

mod functions;
mod limits;

use std::fmt;

use vrl::compiler::{CompileConfig, TypeState, state::ExternalEnv};
use vrl::path::{OwnedSegment, OwnedTargetPath, OwnedValuePath, PathPrefix};
use vrl::value::Kind;
use vrl::value::kind::Collection;

use crate::problem::closest;

pub use functions::of_json;
pub use limits::{OPERATORS_MAX, PROGRAM_BYTES_MAX};

/// What a record is to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordField {
    Timestamp,
    ObservedTimestamp,
    SeverityNumber,
    SeverityText,
    Body,
    TraceId,
    SpanId,
    EventName,
    Attributes,
    Resource,
    Scope,
    Identity,
}

/// Name, and whether a program may change it.
pub const FIELDS: [(&str, RecordField, bool); 12] = [
    ("timestamp", RecordField::Timestamp, true),
    ("observed_timestamp", RecordField::ObservedTimestamp, false),
    ("severity_number", RecordField::SeverityNumber, true),
    ("severity_text", RecordField::SeverityText, true),
    ("body", RecordField::Body, true),
    ("trace_id", RecordField::TraceId, true),
    ("span_id", RecordField::SpanId, true),
    ("event_name", RecordField::EventName, true),
    ("attributes", RecordField::Attributes, true),
    ("resource", RecordField::Resource, false),
    ("scope", RecordField::Scope, false),
    ("identity", RecordField::Identity, false),
];

/// A set of [`RecordField`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordFields(u16);

impl RecordFields {
    pub const ALL: Self = Self((1 << FIELDS.len()) - 1);

    pub fn has(self, field: RecordField) -> bool {
        self.0 & (1 << field as u16) != 0
    }

    fn add(&mut self, field: RecordField) {
        self.0 |= 1 << field as u16;
    }
}

/// A program that is sound: it compiles, knows what it calls and handles what can fail.
#[derive(Clone)]
pub struct Program {
    /// As it stands in the file.
    pub source: String,
    pub compiled: vrl::compiler::Program,
    /// All that it may look at; what it changes is among it.
    pub fields: RecordFields,
    /// Whether it may change anything.
    pub changes: bool,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({:?})", self.fields)
    }
}

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It changes a record.
    Change,
    /// It says yes or no, and changes nothing.
    Condition,
}

/// Where in the program, in bytes, and what is wrong.
pub type ProgramFault = (usize, String);

/// Deep programs need a deep stack to be read; nobody else's stack is theirs.
const COMPILER_STACK_BYTES: usize = 64 << 20;

impl Program {
    pub fn compile(source: &str, purpose: Purpose) -> Result<Self, Vec<ProgramFault>> {
        limits::check(source).map_err(|fault| vec![fault])?;
        std::thread::scope(|scope| {
            let compiler = std::thread::Builder::new().name("compile program".to_owned()).stack_size(COMPILER_STACK_BYTES);
            match compiler.spawn_scoped(scope, || compile(source, purpose)).map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(compiled)) => compiled,
                Ok(Err(_)) => Err(vec![(0, "the compiler broke off; please report the program".to_owned())]),
                Err(error) => Err(vec![(0, format!("there is no thread to compile it: {error}"))]),
            }
        })
    }
}

fn compile(source: &str, purpose: Purpose) -> Result<Program, Vec<ProgramFault>> {
    let mut config = CompileConfig::default();
    match purpose {
        Purpose::Condition => config.set_read_only(),
        Purpose::Change => {
            for (name, _, writable) in FIELDS {
                if !writable {
                    config.set_read_only_path(OwnedTargetPath::event(OwnedValuePath::single_field(name)), true);
                }
            }
        }
    }
    let external = ExternalEnv::new_with_kind(record_kind(), Kind::object(Collection::empty()));
    let state = TypeState { external, ..TypeState::default() };
    let result = vrl::compiler::compile_with_state(source, functions::all(), &state, config).map_err(|diagnostics| {
        let faults = diagnostics.iter().filter(|diagnostic| diagnostic.is_problem()).map(fault);
        faults.collect::<Vec<_>>()
    })?;
    let program = result.program;
    let info = program.info().clone();
    let fields = looked_at(source, info.target_queries.iter().chain(&info.target_assignments))?;
    if purpose == Purpose::Condition {
        let kind = program.final_type_info().result;
        if !kind.is_boolean() {
            return Err(vec![(0, format!("a condition is true or false; this is {}", kind.kind()))]);
        }
    }
    // What is deleted is queried, so no list of assignments says that a program changes nothing.
    let changes = purpose == Purpose::Change;
    Ok(Program { source: source.to_owned(), compiled: program, fields, changes })
}

/// The kinds that each record has, whoever sent it: texts and numbers are there, if empty.
fn record_kind() -> Kind {
    let kind = |field| match field {
        RecordField::Timestamp => Kind::timestamp(),
        RecordField::ObservedTimestamp => Kind::timestamp().or_null(),
        RecordField::SeverityNumber => Kind::integer(),
        RecordField::SeverityText | RecordField::Body | RecordField::TraceId | RecordField::SpanId | RecordField::EventName => {
            Kind::bytes()
        }
        RecordField::Attributes | RecordField::Resource | RecordField::Scope => Kind::object(Collection::any()),
        RecordField::Identity => Kind::object(Collection::from_unknown(Kind::bytes().or_undefined())),
    };
    let known = FIELDS.into_iter().map(|(name, field, _)| (name.into(), kind(field)));
    // What is unknown may be anything, so that whoever looks at it is told its name and nothing of its kind.
    Kind::object(Collection::from_parts(known.collect(), Kind::any()))
}

/// The first place that a diagnostic points at, and its words on one line.
fn fault(diagnostic: &vrl::diagnostic::Diagnostic) -> ProgramFault {
    let mut labels: Vec<_> = diagnostic.labels.iter().collect();
    labels.sort_by_key(|label| !label.primary);
    let at = labels.first().map_or(0, |label| label.span.start());
    let said = labels.iter().map(|label| label.message.as_str()).filter(|text| !text.is_empty() && *text != diagnostic.message);
    let mut what = diagnostic.message.clone();
    for text in said.take(3) {
        what.push_str("; ");
        what.push_str(text);
    }
    (at, what.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The fields of paths; one that no record has is a fault, and so is the record as a whole: a program says what it touches.
fn looked_at<'a>(source: &str, paths: impl Iterator<Item = &'a OwnedTargetPath>) -> Result<RecordFields, Vec<ProgramFault>> {
    let (mut fields, mut faults) = (RecordFields::default(), Vec::new());
    let names: Vec<&str> = FIELDS.iter().map(|(name, ..)| *name).collect();
    for path in paths {
        if path.prefix == PathPrefix::Metadata {
            faults.push((source.find('%').unwrap_or(0), "a record has no metadata (%): what it has stands in its fields".to_owned()));
            continue;
        }
        let Some(first) = path.path.segments.first() else {
            let what = format!("a program uses fields, not the record as a whole: .{}", names.join(", ."));
            faults.push((whole(source), what));
            continue;
        };
        let OwnedSegment::Field(name) = first else {
            faults.push((whole(source), "a record is no list".to_owned()));
            continue;
        };
        match FIELDS.iter().find(|(known, ..)| *known == name.as_str()) {
            Some((_, field, _)) => fields.add(*field),
            None => {
                let hint = closest(name.as_str(), &names).map_or_else(
                    || format!("what a sender says of its own is .attributes.{}", name.as_str()),
                    |near| format!("did you mean .{near}?"),
                );
                let at = source.find(&format!(".{}", name.as_str())).unwrap_or(0);
                faults.push((at, format!("a record has no field .{}: {hint}", name.as_str())));
            }
        }
    }
    faults.dedup();
    if faults.is_empty() { Ok(fields) } else { Err(faults) }
}

/// Where a point stands alone.
fn whole(source: &str) -> usize {
    let bytes = source.as_bytes();
    let alone = |at: &usize| {
        bytes[*at] == b'.' && bytes.get(at + 1).is_none_or(|next| !next.is_ascii_alphanumeric() && !matches!(next, b'"' | b'_' | b'@'))
    };
    (0..bytes.len()).find(alone).unwrap_or(0)
}

#[cfg(test)]
mod tests;
