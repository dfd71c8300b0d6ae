//! As a compiler tells it: place, check, message, the line, the fix.

use std::fmt::{self, Write};

use crate::check::{Change, Checked};
use crate::checks::Level;
use crate::problem::{Diagnostic, Problem};

/// Of a line that is shown. A file may be one line of megabytes.
const SHOWN_CHARS_MAX: usize = 160;

/// `texts` are those that were checked.
pub fn text(checked: &Checked, texts: &[(&str, &str)]) -> String {
    let mut out = String::new();
    write(&mut out, checked, texts).expect("a text takes what is written to it");
    out
}

fn write(out: &mut String, checked: &Checked, texts: &[(&str, &str)]) -> fmt::Result {
    for diagnostic in &checked.diagnostics {
        let text = texts.iter().find(|(name, _)| *name == diagnostic.problem.file).map(|(_, text)| *text);
        told(out, diagnostic, text)?;
    }
    for change in &checked.changes {
        match change {
            Change::Added { kind, path } => writeln!(out, "  + {kind} {path}")?,
            Change::Removed { kind, path } => writeln!(out, "  - {kind} {path}")?,
            Change::Moved { kind, path, from } => writeln!(out, "  > {kind} {path}, moved from {from}")?,
            Change::Changed { kind, path, keys } => writeln!(out, "  ~ {kind} {path}: {}", keys.join(", "))?,
        }
    }
    if checked.references_unchecked > 0 {
        writeln!(
            out,
            "{} not looked up: declared in other files, perhaps; --against a server looks",
            count(checked.references_unchecked, "reference")
        )?;
    }
    let [errors, warnings, notes] = [Level::Error, Level::Warning, Level::Note].map(|level| checked.count(level));
    let what = [count(checked.files, "file"), count(checked.components, "component"), count(checked.contracts, "contract")].join(", ");
    let found = [(errors, "error"), (warnings, "warning"), (notes, "note")].into_iter();
    let found = found.filter(|(number, what)| *number > 0 || *what == "warning" && errors > 0);
    let found = found.map(|(number, what)| count(number, what)).collect::<Vec<_>>().join(", ");
    match errors {
        0 if found.is_empty() => writeln!(out, "ok: {what}"),
        0 => writeln!(out, "ok, with {found}: {what}"),
        _ => writeln!(out, "{found}: {what}"),
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn told(out: &mut String, diagnostic: &Diagnostic, text: Option<&str>) -> fmt::Result {
    let Problem { file, line, column, what } = &diagnostic.problem;
    let place = if *line == 0 { file.clone() } else { format!("{file}:{line}:{column}") };
    writeln!(out, "{place}: {}[{}]: {what}", diagnostic.check.level().name(), diagnostic.check.name())?;
    if let Some(shown) = text.and_then(|text| text.lines().nth(line.wrapping_sub(1))) {
        // The caret stands below the very column, so tabs are shown as spaces and a long line from a little before.
        let start = column.saturating_sub(SHOWN_CHARS_MAX / 2).max(1) - 1;
        let shown: String = shown.chars().skip(start).take(SHOWN_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let gutter = line.to_string().len().max(4);
        writeln!(out, "{line:>gutter$} | {}", shown.trim_end())?;
        let width = diagnostic.instead.as_ref().map_or(1, |instead| instead.of.chars().count().max(1));
        writeln!(out, "{:>gutter$} | {}{}", "", " ".repeat(column - 1 - start), "^".repeat(width))?;
    }
    let fix = match &diagnostic.instead {
        Some(instead) => format!("write {:?} instead of {:?}", instead.write, instead.of),
        None => diagnostic.check.fix().to_owned(),
    };
    writeln!(out, "     = fix: {fix}")
}
