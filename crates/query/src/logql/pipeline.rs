//! The stages after the selector, compiled once and run on every line.

use std::borrow::Cow;

use lang::logql::{Conversion, Extraction, LabelSource, NameFilter, PathStep, Pattern, Stage, StageKind, parse_path};
use model::{Error, Result};
use regex::Regex;

use super::filters::{Condition, LineFilterStep, searching, text_test};
use super::json::{self, Sink};
use super::row::{Failure, Row, Source};
use super::template::Template;
use super::{convert, logfmt};
use crate::selector::TextTest;

enum Step {
    Line(LineFilterStep),
    Json,
    JsonPaths(Vec<(String, Vec<PathStep>)>),
    Logfmt {
        strict: bool,
        keep_empty: bool,
    },
    /// Label and key.
    LogfmtKeys {
        strict: bool,
        keep_empty: bool,
        keys: Vec<(String, String)>,
    },
    Pattern(Pattern),
    Regexp(Regex),
    Unpack,
    Label(Condition),
    LineFormat(Template),
    LabelFormat(Vec<(String, Format)>),
    Decolorize,
    Keep(Vec<(String, Option<TextTest>)>),
    Drop(Vec<(String, Option<TextTest>)>),
}

enum Format {
    Rename(String),
    Template(Template),
}

struct Unwrap {
    label: String,
    conversion: Option<Conversion>,
    /// Filters behind it: they see the label and a failed conversion.
    after: Vec<Step>,
}

pub(super) struct Pipeline {
    steps: Vec<Step>,
    unwrap: Option<Unwrap>,
}

impl Pipeline {
    pub(super) fn new<'q>(stages: impl IntoIterator<Item = &'q Stage>) -> Result<Self> {
        let mut pipeline = Self { steps: Vec::new(), unwrap: None };
        for stage in stages {
            if let StageKind::Unwrap { label, conversion } = &stage.kind {
                pipeline.unwrap = Some(Unwrap { label: label.clone(), conversion: *conversion, after: Vec::new() });
                continue;
            }
            let step = Step::new(&stage.kind)?;
            match &mut pipeline.unwrap {
                Some(unwrap) => unwrap.after.push(step),
                None => pipeline.steps.push(step),
            }
        }
        Ok(pipeline)
    }

    pub(super) fn stages(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.unwrap.is_none()
    }

    /// Whether a stage looks at the line's text.
    pub(super) fn reads_line(&self) -> bool {
        let plain = |step: &Step| matches!(step, Step::Label(_) | Step::Keep(_) | Step::Drop(_));
        !self.steps.iter().all(plain)
    }

    /// The label whose value is the sample; it is no label of the series.
    pub(super) fn unwrapped(&self) -> Option<&str> {
        self.unwrap.as_ref().map(|unwrap| unwrap.label.as_str())
    }

    /// Whether the line stays.
    pub(super) fn run(&self, row: &mut Row<'_>) -> bool {
        self.steps.iter().all(|step| step.run(row))
    }

    /// The sample that `unwrap` makes of a line that stayed; 1 without it. None when the line has none.
    pub(super) fn sample(&self, row: &mut Row<'_>) -> Option<f64> {
        let Some(unwrap) = &self.unwrap else { return Some(1.0) };
        let text = row.get(&unwrap.label).filter(|text| !text.is_empty())?;
        let value = match unwrap.conversion {
            None => convert::number(text),
            Some(Conversion::Bytes) => convert::bytes(text).map(|bytes| bytes as f64),
            Some(Conversion::Duration | Conversion::DurationSeconds) => convert::duration_ns(text).map(|nanos| nanos as f64 / 1e9),
        };
        let value = value.unwrap_or_else(|details| {
            row.fail(Failure::new("SampleExtractionErr", details));
            0.0
        });
        unwrap.after.iter().all(|step| step.run(row)).then_some(value)
    }
}

impl Step {
    fn new(kind: &StageKind) -> Result<Self> {
        Ok(match kind {
            StageKind::Line(filter) => Self::Line(LineFilterStep::new(filter)?),
            StageKind::Json(list) if list.is_empty() => Self::Json,
            StageKind::Json(list) => {
                let path = |extraction: &Extraction| Ok((extraction.label.clone(), parse_path(&extraction.path).map_err(Error::invalid)?));
                Self::JsonPaths(list.iter().map(path).collect::<Result<_>>()?)
            }
            StageKind::Logfmt { strict, keep_empty, extractions } if extractions.is_empty() => {
                Self::Logfmt { strict: *strict, keep_empty: *keep_empty }
            }
            StageKind::Logfmt { strict, keep_empty, extractions } => {
                let keys = extractions.iter().map(|extraction| (extraction.label.clone(), extraction.path.clone())).collect();
                Self::LogfmtKeys { strict: *strict, keep_empty: *keep_empty, keys }
            }
            StageKind::Pattern(text) => Self::Pattern(Pattern::parse_extracting(text).map_err(Error::invalid)?),
            StageKind::Regexp(text) => Self::Regexp(searching(text, "a regexp stage")?),
            StageKind::Unpack => Self::Unpack,
            StageKind::Label(filter) => Self::Label(Condition::new(filter)?),
            StageKind::LineFormat(text) => Self::LineFormat(Template::parse(text)?),
            StageKind::LabelFormat(list) => {
                let mut formats = Vec::with_capacity(list.len());
                for format in list {
                    let source = match &format.source {
                        LabelSource::Label(label) => Format::Rename(label.clone()),
                        LabelSource::Template(text) => Format::Template(Template::parse(text)?),
                    };
                    formats.push((format.label.clone(), source));
                }
                Self::LabelFormat(formats)
            }
            StageKind::Decolorize => Self::Decolorize,
            StageKind::Keep(list) => Self::Keep(name_tests(list)?),
            StageKind::Drop(list) => Self::Drop(name_tests(list)?),
            StageKind::Unwrap { .. } => unreachable!("Pipeline::new takes unwrap out"),
        })
    }

    fn run(&self, row: &mut Row<'_>) -> bool {
        match self {
            Self::Line(filter) => return filter.passes(&row.line),
            Self::Label(condition) => return condition.passes(row),
            Self::Json => parse(row, |line, sink| json::flatten(line, sink)),
            Self::JsonPaths(paths) => parse(row, |line, sink| json::extract(line, paths, sink)),
            Self::Logfmt { strict, keep_empty } => parse(row, |line, sink| {
                logfmt::pairs(line, *strict, &mut |key, value| {
                    if *keep_empty || !value.is_empty() {
                        sink(key, value);
                    }
                })
            }),
            Self::LogfmtKeys { strict, keep_empty, keys } => parse(row, |line, sink| {
                let mut seen = vec![false; keys.len()];
                let read = logfmt::pairs(line, *strict, &mut |key, value| {
                    for (index, (label, wanted)) in keys.iter().enumerate() {
                        if *wanted == key && (*keep_empty || !value.is_empty()) {
                            seen[index] = true;
                            sink(Cow::Owned(label.clone()), value.clone());
                        }
                    }
                });
                let missing = keys.iter().zip(seen).filter(|(_, seen)| !seen);
                missing.for_each(|((label, _), _)| sink(Cow::Owned(label.clone()), Cow::Borrowed("")));
                read
            }),
            Self::Pattern(pattern) => parse(row, |line, sink| {
                pattern.extract(line, |name, value| sink(Cow::Owned(name.to_owned()), Cow::Borrowed(value)));
                Ok(())
            }),
            Self::Regexp(regex) => parse(row, |line, sink| {
                let Some(captures) = regex.captures(line) else { return Ok(()) };
                for name in regex.capture_names().flatten() {
                    let value = captures.name(name).map_or("", |found| found.as_str());
                    sink(Cow::Owned(name.to_owned()), Cow::Borrowed(value));
                }
                Ok(())
            }),
            Self::Unpack => unpack(row),
            Self::LineFormat(template) => match template.render(row) {
                Ok(line) => row.line = Cow::Owned(line),
                Err(why) => row.fail(Failure::new("TemplateFormatErr", why)),
            },
            Self::LabelFormat(formats) => formats.iter().for_each(|(label, format)| match format {
                Format::Rename(from) => row.rename(from, label),
                Format::Template(template) => match template.render(row) {
                    Ok(value) => row.set(label, value, Source::Parsed),
                    Err(why) => row.fail(Failure::new("TemplateFormatErr", why)),
                },
            }),
            Self::Decolorize => {
                if row.line.contains('\x1b') {
                    row.line = Cow::Owned(without_colours(&row.line));
                }
            }
            Self::Keep(tests) => {
                let keeps = |name: &str, value: &str| {
                    tests.iter().any(|(wanted, test)| wanted == name && test.as_ref().is_none_or(|test| test.passes(value)))
                };
                row.keep(keeps);
            }
            Self::Drop(tests) => {
                for (name, test) in tests {
                    if test.as_ref().is_none_or(|test| test.passes(row.text(name))) {
                        row.remove(name);
                    }
                }
            }
        }
        true
    }
}

fn name_tests(list: &[NameFilter]) -> Result<Vec<(String, Option<TextTest>)>> {
    list.iter()
        .map(|filter| {
            let test = filter.matcher.as_ref().map(|(op, value)| text_test(*op, value)).transpose()?;
            Ok((filter.name.clone(), test))
        })
        .collect()
}

/// Runs a parser on the line and adds what it finds; borrowed from the batch as long as the line is.
fn parse<'a>(row: &mut Row<'a>, parser: impl for<'x> Fn(&'x str, Sink<'_, 'x>) -> Result<(), Failure>) {
    row.start_stage();
    let line = std::mem::take(&mut row.line);
    let read = match &line {
        Cow::Borrowed(line) => parser(line, &mut |name, value| row.add_parsed(name, value)),
        Cow::Owned(line) => parser(line, &mut |name, value| row.add_parsed(Cow::Owned(name.into_owned()), Cow::Owned(value.into_owned()))),
    };
    row.line = line;
    if let Err(failure) = read {
        row.fail(failure);
    }
}

fn unpack(row: &mut Row<'_>) {
    let mut entry = None;
    row.start_stage();
    let line = std::mem::take(&mut row.line);
    match json::unpack(&line, &mut |name, value| row.add_parsed(Cow::Owned(name.into_owned()), Cow::Owned(value.into_owned()))) {
        Ok(found) => entry = found.map(Cow::into_owned),
        Err(failure) => row.fail(failure),
    }
    row.line = entry.map_or(line, Cow::Owned);
}

/// The text without ANSI's colour codes: escape, bracket, numbers, `m`.
fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("\x1b[") {
        let code = &rest[at + 2..];
        let end = code.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(code.len());
        let whole = code[end..].starts_with(|c: char| c.is_ascii_alphabetic());
        out.push_str(&rest[..at]);
        if !whole {
            out.push_str("\x1b[");
        }
        rest = if whole { &code[end + 1..] } else { code };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_text_stays() {
        assert_eq!(without_colours("\x1b[31;1mred\x1b[0m plain \x1b[x \x1b["), "red plain  \x1b[");
    }
}
