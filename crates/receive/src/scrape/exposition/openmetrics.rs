//! OpenMetrics text, 0.0.1 and 1.0.0, as Prometheus 3 reads it: lines are read strictly, but names and samples are not held
//! to what the specification asks of their families. `_created` is a series like any other.
//! Source: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use model::Result;

use super::lex::{Blanks, Lexer, unescaped};
use super::{Exemplar, Sample, Series, Sink, part_label};

const NO_END: &str = "the text does not end with # EOF";

pub(super) fn read(body: &str, sink: &mut impl Sink) -> Result<()> {
    let mut reader =
        Reader { lexer: Lexer { text: body, at: 0, blanks: Blanks::Single }, labels: Vec::new(), exemplar_labels: Vec::new(), kind: "" };
    while reader.lexer.at < body.len() {
        if reader.lexer.took("# EOF") {
            reader.lexer.took("\n");
            return match reader.lexer.at == body.len() {
                true => Ok(()),
                false => Err(reader.lexer.fail("there is text after # EOF")),
            };
        }
        match reader.lexer.took("# ") {
            true => reader.describe(sink)?,
            false => reader.series(sink)?,
        }
    }
    Err(reader.lexer.fail(NO_END))
}

struct Reader<'b> {
    lexer: Lexer<'b>,
    labels: Vec<(&'b str, &'b str)>,
    exemplar_labels: Vec<(&'b str, &'b str)>,
    kind: &'static str,
}

impl<'b> Reader<'b> {
    /// `HELP`, `TYPE` or `UNIT`: there are no other comments.
    fn describe(&mut self, sink: &mut impl Sink) -> Result<()> {
        let lexer = &mut self.lexer;
        let Some(word) = ["HELP ", "TYPE ", "UNIT "].into_iter().find(|word| lexer.took(word)) else {
            return Err(lexer.expected("HELP, TYPE, UNIT or EOF"));
        };
        let Some(name) = lexer.metric_name().or_else(|| lexer.quoted()) else {
            return Err(lexer.expected(&format!("a metric name after {word}")));
        };
        if !lexer.took(" ") {
            return Err(lexer.expected("a space and what is said of the metric"));
        }
        let text = lexer.rest_of_line();
        if !lexer.took("\n") {
            return Err(lexer.fail(NO_END));
        }
        match word {
            "HELP " => sink.help(name, &unescaped(text)),
            "UNIT " => {
                let fits = text.is_empty() || name.strip_suffix(text).is_some_and(|rest| rest.ends_with('_'));
                if !fits {
                    return Err(lexer.fail(&format!("unit {text:?} is not the end of the name of metric {name:?}")));
                }
                sink.unit(name, text)
            }
            _ => {
                const KINDS: [&str; 8] = ["counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"];
                let kind = KINDS.into_iter().find(|kind| *kind == text);
                self.kind = kind.ok_or_else(|| lexer.fail(&format!("there is no metric type {text:?}")))?;
                sink.kind(name, self.kind)
            }
        }
    }

    fn series(&mut self, sink: &mut impl Sink) -> Result<()> {
        let Self { lexer, labels, exemplar_labels, kind } = self;
        let start = lexer.at;
        labels.clear();
        let mut name = lexer.metric_name();
        if lexer.took("{") {
            lexer.labels(labels, Some(&mut name))?;
        } else if name.is_none() {
            return Err(lexer.expected("a metric name or # and a word"));
        }
        let Some(name) = name else { return Err(lexer.fail("the metric has no name")) };
        let key = &lexer.text.as_bytes()[start..lexer.at];
        let series = Series { key, name, labels, part: None, escaped: true, number: part_label(kind) };
        let value = value(lexer, "a space and a value")?;
        let mut time_ms = None;
        if !lexer.text[lexer.at..].starts_with(" # {") && lexer.peek() == Some(b' ') {
            time_ms = Some(time(lexer)?);
        }
        let mut exemplar = None;
        if lexer.took(" # {") {
            exemplar_labels.clear();
            lexer.labels(exemplar_labels, None)?;
            let value = self::value(lexer, "a space and the value of the exemplar")?;
            let time_ms = if lexer.peek() == Some(b' ') { Some(time(lexer)?) } else { None };
            exemplar = Some(Exemplar { labels: exemplar_labels, escaped: true, value, time_ms });
        }
        if !lexer.took("\n") {
            return Err(if lexer.peek().is_none() { lexer.fail(NO_END) } else { lexer.expected("the end of the line") });
        }
        sink.float(&series, &Sample { time_ms, value, exemplar })
    }
}

fn value(lexer: &mut Lexer<'_>, what: &str) -> Result<f64> {
    if !lexer.took(" ") {
        return Err(lexer.expected(what));
    }
    let text = lexer.until(|byte| matches!(byte, b' ' | b'\n'));
    lexer.value(text)
}

/// Seconds, as milliseconds.
fn time(lexer: &mut Lexer<'_>) -> Result<i64> {
    let seconds = value(lexer, "a timestamp")?;
    if !seconds.is_finite() {
        return Err(lexer.fail(&format!("{seconds} is no time")));
    }
    Ok((seconds * 1000.0) as i64)
}
