//! Lines that come as records of their own, joined: the parts that Docker cuts a long line into, and stack traces.
//!
//! As in `text.rs`, within one request only: a line is never held back for one that may come later.

use super::fields::{Field, Fields, Value};
use super::join::Joiner;
use super::rows::{Rows, Said};
use crate::protobuf::Read;

/// A record that is one line of a container, or a part of one: its line is the field `log`, as Docker, CRI and all that reads
/// theirs call it.
#[derive(Debug)]
pub(crate) struct Piece {
    source: Source,
    within: Vec<Field<'static>>,
    line: String,
    service: String,
    time_unix_nano: Option<i64>,
    /// The name of the line that this is a part of.
    part: Option<String>,
    first: bool,
    last: bool,
}

/// What is the same of all lines of a log.
#[derive(Debug, PartialEq)]
struct Source {
    resource: Vec<Field<'static>>,
    attributes: Vec<Field<'static>>,
    fields: Vec<Field<'static>>,
}

impl Piece {
    /// None when the record is not a line. `part`: what all parts of the line share; (`first`, `last`): whether it is one of these.
    pub(crate) fn of(fields: &Fields<'_>, said: &Said<'_>, part: Option<&str>, (first, last): (bool, bool)) -> Option<Self> {
        let is_line = |field: &&Field<'_>| field.name == "log" && matches!(field.value, Value::Text(_));
        let line = fields.own.iter().find(is_line)?.value.as_text()?;
        if fields.own.iter().any(|field| matches!(&*field.name, "message" | "msg")) {
            return None;
        }
        let owned = |fields: &[Field<'_>]| fields.iter().map(Field::owned).collect::<Vec<_>>();
        let line = line.strip_suffix('\n').filter(|_| last).unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line).to_owned();
        let others = fields.own.iter().filter(|field| !is_line(field)).map(Field::owned).collect();
        Some(Self {
            source: Source { resource: owned(said.resource), attributes: owned(said.attributes), fields: others },
            within: owned(&fields.within),
            line,
            service: said.otherwise_service.to_owned(),
            time_unix_nano: said.time_unix_nano,
            part: part.map(str::to_owned),
            first,
            last,
        })
    }
}

/// Logs whose next line may still come.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    piece: Piece,
    joiner: Joiner,
    lines: usize,
    /// Of its first line.
    number: usize,
}

/// As many sources at one time; of more, the oldest log is done.
const OPEN_MAX: usize = 32;
/// As in `text.rs`.
const LINES_MAX: usize = 1000;

impl Joined {
    /// Takes the line; what it does not continue becomes a row.
    pub(crate) fn take(&mut self, piece: Piece, number: usize, rows: &mut Rows<'_>) -> Read<()> {
        let bytes_max = rows.rules.limits.value_bytes_max;
        if let Some(at) = self.open.iter().position(|open| open.piece.source == piece.source) {
            if self.open[at].takes(&piece, bytes_max) {
                return Ok(());
            }
            self.open.remove(at).store(rows)?;
        }
        if self.open.len() >= OPEN_MAX {
            self.open.remove(0).store(rows)?;
        }
        let joiner = Joiner::begin(&piece.line);
        self.open.push(Open { piece, joiner, lines: 1, number });
        Ok(())
    }

    pub(crate) fn finish(&mut self, rows: &mut Rows<'_>) -> Read<()> {
        self.open.drain(..).try_for_each(|open| open.store(rows))
    }
}

impl Open {
    fn takes(&mut self, next: &Piece, bytes_max: usize) -> bool {
        let mine = &mut self.piece;
        if mine.line.len() + 1 + next.line.len() > bytes_max || self.lines >= LINES_MAX {
            return false;
        }
        if mine.part.is_some() && !mine.last {
            if mine.part != next.part {
                return false;
            }
            mine.line.push_str(&next.line);
            mine.last = next.last;
            if mine.last && self.lines == 1 {
                self.joiner = Joiner::begin(&mine.line);
            }
            return true;
        }
        if next.part.is_some() || next.line.is_empty() || !self.joiner.continues(&next.line) {
            return false;
        }
        mine.line.push('\n');
        mine.line.push_str(&next.line);
        self.lines += 1;
        true
    }

    fn store(self, rows: &mut Rows<'_>) -> Read<()> {
        let Self { piece, number, .. } = self;
        let Source { resource, mut attributes, fields: mut own } = piece.source;
        // What is only a part says of which line.
        if let Some(part) = piece.part.filter(|_| !piece.first || !piece.last) {
            attributes.push(Field::text("partial_id", part));
        }
        own.push(Field::text("log", piece.line));
        let said = Said {
            time_unix_nano: piece.time_unix_nano,
            otherwise_service: &piece.service,
            resource: &resource,
            attributes: &attributes,
            ..Said::default()
        };
        let place = || format!("entry {number}");
        if let Err(fault) = rows.document("", &Fields { own, within: piece.within }, &said, place)? {
            rows.outcome.reject(1, fault, place);
        }
        Ok(())
    }
}
