//! What fields do these lines have?

use std::borrow::Cow;
use std::collections::BTreeMap;

use hashbrown::HashMap;
use lang::logql::{Expr, LogExpr, StageKind};
use model::{Answer, Answered, DetectedField, DetectedFields, Error, FieldKind, Order, Result, Scan, TimeRange, legal_name};

use super::row::{Failure, Row, Source};
use super::source::{Needs, Plan, Reader, Wanted};
use super::{convert, json, logfmt, parse};
use crate::guard::{Charge, Guard, blocking, fold};

/// Fields of one answer; lines with random keys would have any number.
const FIELDS_MAX: usize = 10_000;

/// Looks at the newest lines. A line is read as JSON, else as logfmt, unless the query has parsed it already.
pub(super) async fn answer(scan: &dyn Scan, query: &str, time: TimeRange, lines_max: usize, guard: &Guard) -> Result<Answer> {
    let Expr::Log(log) = parse(query).await? else {
        return Err(Error::invalid("cannot detect the fields of a metric: ask for lines"));
    };
    let parser = parser_of(&log);
    let plan = blocking(move || Plan::new(&log)).await?;
    let scan_limit = plan.is_exact().then_some(lines_max);
    let reader = Reader::new(plan, Needs { stream: true, line: true, metadata: Wanted::All }, guard);
    let fields =
        Fields { parser, lines_max, lines: 0, fields: HashMap::new(), too_many: false, charge: guard.charge(0), guard: guard.clone() };
    if time.is_empty() || lines_max == 0 {
        return Ok(fields.answer());
    }
    let rows = scan.scan(reader.request(time, Order::NewestFirst, scan_limit)).await?;
    let (_, fields) = fold(rows, (reader, fields), |(reader, fields), batch| reader.lines(batch, |_, row, _| fields.add(row))).await?;
    Ok(fields.answer())
}

/// The parser that the query itself has.
fn parser_of(log: &LogExpr) -> Option<&'static str> {
    log.stages.iter().find_map(|stage| match stage.kind {
        StageKind::Json(_) => Some("json"),
        StageKind::Logfmt { .. } => Some("logfmt"),
        StageKind::Pattern(_) => Some("pattern"),
        StageKind::Regexp(_) => Some("regexp"),
        StageKind::Unpack => Some("unpack"),
        _ => None,
    })
}

struct Fields {
    parser: Option<&'static str>,
    lines_max: usize,
    lines: usize,
    fields: HashMap<String, Found>,
    too_many: bool,
    guard: Guard,
    charge: Charge,
}

#[derive(Default)]
struct Found {
    kind: Option<FieldKind>,
    values: BTreeMap<String, u64>,
    parsers: Vec<&'static str>,
    json_path: Vec<String>,
}

impl Fields {
    /// Whether more lines are wanted.
    fn add(&mut self, row: &Row<'_>) -> Result<bool> {
        self.lines += 1;
        let mut parsed = false;
        for extra in row.extra.iter().filter(|extra| extra.source != Source::Stream) {
            let parser = if extra.source == Source::Parsed { self.parser } else { None };
            parsed |= extra.source == Source::Parsed;
            self.value(&extra.name, &extra.value, parser, &[])?;
        }
        if !parsed && self.parser.is_none() {
            let mut members = Vec::new();
            match json::members(&row.line, &mut |path, value| members.push((path.to_vec(), value))) {
                Ok(()) => {
                    for (path, value) in members {
                        self.own(row, &path.join("_"), &value, "json", &path)?;
                    }
                }
                Err(Failure { .. }) => {
                    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
                    // A word is no field: a key has a value.
                    let _ = logfmt::pairs(&row.line, false, &mut |name, value| pairs.push((name, value)));
                    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
                        self.own(row, name, value, "logfmt", &[])?;
                    }
                }
            }
        }
        self.guard.fits(0)?;
        Ok(self.lines < self.lines_max)
    }

    /// A field of the line itself, under the name that a parser would give it.
    fn own(&mut self, row: &Row<'_>, name: &str, value: &str, parser: &'static str, path: &[String]) -> Result<()> {
        let name = legal_name(name);
        match row.get(&name) {
            Some(_) => self.value(&format!("{name}_extracted"), value, Some(parser), path),
            None => self.value(&name, value, Some(parser), path),
        }
    }

    fn value(&mut self, name: &str, value: &str, parser: Option<&'static str>, path: &[String]) -> Result<()> {
        if name.is_empty() || value.is_empty() {
            return Ok(());
        }
        if self.fields.len() >= FIELDS_MAX && !self.fields.contains_key(name) {
            self.too_many = true;
            return Ok(());
        }
        let found = self.fields.entry_ref(name).or_default();
        let kind = kind_of(value);
        found.kind = Some(found.kind.map_or(kind, |before| both(before, kind)));
        if let Some(parser) = parser.filter(|parser| !found.parsers.contains(parser)) {
            found.parsers.push(parser);
        }
        if found.json_path.is_empty() {
            found.json_path = path.to_vec();
        }
        match found.values.get_mut(value) {
            Some(lines) => *lines += 1,
            None => {
                self.charge.grow(value.len() + 4 * size_of::<usize>());
                found.values.insert(value.to_owned(), 1);
            }
        }
        self.guard.work(value.len())
    }

    fn answer(self) -> Answer {
        let sampled = self.too_many || self.lines >= self.lines_max;
        let field = |(name, found): (String, Found)| {
            let mut values: Vec<_> = found.values.into_iter().collect();
            values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            DetectedField { name, kind: found.kind.unwrap_or_default(), values, parsers: found.parsers, json_path: found.json_path }
        };
        let mut fields: Vec<_> = self.fields.into_iter().map(field).collect();
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        Answer::new(Answered::DetectedFields(DetectedFields { fields, lines: self.lines, sampled }))
    }
}

fn kind_of(value: &str) -> FieldKind {
    let digit = |c: u8| c.is_ascii_digit() || matches!(c, b'-' | b'+' | b'.');
    match value {
        "true" | "false" => FieldKind::Boolean,
        // Neither `inf` nor `nan`, which are words before they are numbers.
        _ if !value.as_bytes().first().is_some_and(|first| digit(*first)) => FieldKind::String,
        _ if value.parse::<i64>().is_ok() => FieldKind::Int,
        _ if value.parse::<f64>().is_ok() => FieldKind::Float,
        _ if convert::duration_ns(value).is_ok() => FieldKind::Duration,
        _ if convert::bytes(value).is_ok() => FieldKind::Bytes,
        _ => FieldKind::String,
    }
}

/// What values of two kinds are together.
fn both(one: FieldKind, other: FieldKind) -> FieldKind {
    match (one, other) {
        (one, other) if one == other => one,
        (FieldKind::Int, FieldKind::Float) | (FieldKind::Float, FieldKind::Int) => FieldKind::Float,
        _ => FieldKind::String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_all_values() {
        let check = |values: &[&str], expect| {
            assert_eq!(values.iter().map(|value| kind_of(value)).reduce(both), Some(expect), "{values:?}");
        };
        check(&["1", "-20"], FieldKind::Int);
        check(&["1", "2.5", "1e3"], FieldKind::Float);
        check(&["true", "false"], FieldKind::Boolean);
        check(&["1.5s", "20ms"], FieldKind::Duration);
        check(&["20KB", "3MiB"], FieldKind::Bytes);
        check(&["20ms", "3MiB"], FieldKind::String);
        check(&["1", "x"], FieldKind::String);
        check(&["nan", "inf"], FieldKind::String);
        check(&["-"], FieldKind::String);
    }
}
