//! Prometheus's text format, 0.0.4 and 1.0.0, as Prometheus 3 reads it.
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>, and where that is silent, Prometheus's own lexer.

use model::Result;

use super::lex::{Blanks, Lexer, unescaped_help};
use super::{Sample, Series, Sink, part_label};

pub(super) fn read<'b>(body: &'b str, sink: &mut impl Sink) -> Result<()> {
    let mut lexer = Lexer { text: body, at: 0, blanks: Blanks::Anywhere };
    let mut labels: Vec<(&'b str, &'b str)> = Vec::new();
    let mut kind = "";
    loop {
        lexer.skip_blanks();
        match lexer.peek() {
            // As Prometheus has it, a NUL where a line begins ends the text.
            None | Some(0) => return Ok(()),
            Some(b'\n') => lexer.at += 1,
            Some(b'#') => comment(&mut lexer, &mut kind, sink)?,
            Some(_) => series(&mut lexer, &mut labels, kind, sink)?,
        }
    }
}

/// A `# HELP`, a `# TYPE`, or what is for people only.
fn comment(lexer: &mut Lexer<'_>, kind: &mut &'static str, sink: &mut impl Sink) -> Result<()> {
    lexer.at += 1;
    let spaced = matches!(lexer.peek(), Some(b' ' | b'\t'));
    lexer.skip_blanks();
    let start = lexer.at;
    let word = lexer.metric_name().unwrap_or_default();
    if !spaced || !matches!(word, "HELP" | "TYPE") || !matches!(lexer.peek(), Some(b' ' | b'\t')) {
        lexer.at = start;
        lexer.rest_of_line();
        return Ok(());
    }
    lexer.skip_blanks();
    let Some(name) = lexer.metric_name().or_else(|| lexer.quoted()) else {
        return Err(lexer.expected(&format!("a metric name after {word}")));
    };
    let rest = lexer.rest_of_line();
    // One character parts the name from what is said of it.
    let text = rest.chars().next().map_or("", |first| &rest[first.len_utf8()..]);
    if word == "HELP" {
        return sink.help(name, &unescaped_help(text));
    }
    *kind = match text {
        "counter" => "counter",
        "gauge" => "gauge",
        "histogram" => "histogram",
        "summary" => "summary",
        "untyped" => "unknown",
        other => return Err(lexer.fail(&format!("there is no metric type {other:?}"))),
    };
    sink.kind(name, kind)
}

fn series<'b>(lexer: &mut Lexer<'b>, labels: &mut Vec<(&'b str, &'b str)>, kind: &str, sink: &mut impl Sink) -> Result<()> {
    let start = lexer.at;
    labels.clear();
    let mut name = lexer.metric_name();
    let mut end = lexer.at;
    lexer.skip_blanks();
    if lexer.took("{") {
        lexer.labels(labels, Some(&mut name))?;
        end = lexer.at;
    } else if name.is_none() {
        return Err(lexer.expected("a metric name"));
    }
    let Some(name) = name else { return Err(lexer.fail("the metric has no name")) };
    let series = Series { key: &lexer.text.as_bytes()[start..end], name, labels, part: None, escaped: true, number: part_label(kind) };
    lexer.skip_blanks();
    let value = lexer.until(|byte| matches!(byte, b'{' | b' ' | b'\t' | b'\n'));
    if value.is_empty() {
        return Err(lexer.expected("a value"));
    }
    let value = lexer.value(value)?;
    lexer.skip_blanks();
    let time = lexer.until(|byte| !byte.is_ascii_digit());
    let time_ms = match time {
        "" => None,
        digits => Some(digits.parse().map_err(|_| lexer.fail(&format!("timestamp {digits} is over 63 bits")))?),
    };
    lexer.skip_blanks();
    if !matches!(lexer.peek(), None | Some(b'\n')) {
        return Err(lexer.expected(if time_ms.is_some() { "the end of the line" } else { "a timestamp or the end of the line" }));
    }
    sink.float(&series, &Sample { time_ms, value, exemplar: None })
}
