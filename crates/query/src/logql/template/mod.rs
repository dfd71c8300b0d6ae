//! The templates of `line_format` and `label_format`: Go's `text/template` as far as lines need it. Fields are labels;
//! `if`, `with`, pipelines, parentheses and [`functions`]. Variables and `range` are refused when the query is read.

mod functions;
mod read;

use model::{Error, Result};
use regex::Regex;

use super::row::Row;

#[derive(Debug)]
enum Node {
    Text(String),
    Print(Pipe),
    /// Conditions in turn with their bodies, then the body of `else`. Under `with` the dot is the condition's value.
    If {
        with: bool,
        branches: Vec<(Pipe, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
}

/// Commands; the value of each is the last argument of the next.
type Pipe = Vec<Command>;

#[derive(Debug, Default)]
struct Command {
    function: Option<functions::Function>,
    operands: Vec<Operand>,
    /// What the first operand says, where that is a regular expression and no line can change it.
    regex: Option<Regex>,
}

#[derive(Debug)]
enum Operand {
    Dot,
    Field(String),
    Line,
    TimestampNs,
    Value(Value),
    Nested(Pipe),
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// The dot outside `with`: all labels.
    Labels,
}

impl Value {
    fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Bool(value) => *value,
            Self::Labels => true,
        }
    }

    fn into_text(self, row: &Row<'_>) -> String {
        match self {
            Self::Text(text) => text,
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Labels => {
                let mut labels: Vec<_> = row.labels().collect();
                labels.sort_unstable();
                let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("map[{}]", labels.join(" "))
            }
        }
    }
}

/// Bytes of a rendered text; a line is at most this long.
const RENDERED_BYTES_MAX: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Template {
    nodes: Vec<Node>,
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self> {
        match read::template(text) {
            Ok(nodes) => Ok(Self { nodes }),
            Err(why) => Err(Error::invalid(format!("cannot read template {text:?}: {why}"))),
        }
    }

    pub(super) fn render(&self, row: &Row<'_>) -> Result<String, String> {
        let mut out = String::new();
        render(&self.nodes, row, &Value::Labels, &mut out)?;
        Ok(out)
    }
}

fn render(nodes: &[Node], row: &Row<'_>, dot: &Value, out: &mut String) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print(pipe) => out.push_str(&run(pipe, row, dot)?.into_text(row)),
            Node::If { with, branches, otherwise } => {
                let mut taken = None;
                for (condition, body) in branches {
                    let value = run(condition, row, dot)?;
                    if value.is_true() {
                        taken = Some((value, body));
                        break;
                    }
                }
                match taken {
                    Some((value, body)) => render(body, row, if *with { &value } else { dot }, out)?,
                    None => render(otherwise, row, dot, out)?,
                }
            }
        }
        if out.len() > RENDERED_BYTES_MAX {
            return Err(format!("the text is longer than {RENDERED_BYTES_MAX} bytes"));
        }
    }
    Ok(())
}

fn run(pipe: &[Command], row: &Row<'_>, dot: &Value) -> Result<Value, String> {
    let mut piped = None;
    for command in pipe {
        let mut arguments = Vec::with_capacity(command.operands.len() + 1);
        for operand in &command.operands {
            arguments.push(match operand {
                Operand::Dot => dot.clone(),
                Operand::Field(name) => Value::Text(row.text(name).to_owned()),
                Operand::Line => Value::Text(row.line.clone().into_owned()),
                Operand::TimestampNs => Value::Int(row.time_ns),
                Operand::Value(value) => value.clone(),
                Operand::Nested(pipe) => run(pipe, row, dot)?,
            });
        }
        arguments.extend(piped.take());
        piped = match &command.function {
            Some(function) => Some(function.call(arguments, command.regex.as_ref(), row)?),
            None => arguments.into_iter().next(),
        };
    }
    piped.ok_or_else(|| "an action has no value".to_owned())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use model::Labels;

    use super::*;

    #[track_caller]
    fn check(template: &str, expect: &str) {
        let labels = Labels::from_pairs([("app", "tv"), ("took", "1.5s"), ("n", "7"), ("path", "/a/b")]);
        let mut row = Row::new(&labels);
        row.line = Cow::Borrowed("the line");
        let rendered = Template::parse(template).unwrap().render(&row);
        assert_eq!(rendered.unwrap_or_else(|why| format!("fails: {why}")), expect, "{template}");
    }

    #[test]
    fn fields_functions_and_pipelines() {
        check("{{.app}}-{{ .none }}|{{__line__}}", "tv-|the line");
        check(r#"{{ .app | ToUpper | printf "%s:%5d:%-4s|%q" "x" 3 }}"#, "fails: printf has more verbs than arguments");
        check(r#"{{ printf "%s %05.2f %d%% %-4s| %q %v" .app 1.5 42 "ab" .n true }}"#, r#"tv 01.50 42% ab  | "7" true"#);
        check(r#"{{ .path | replace "/" "." | trimPrefix "." }}"#, "a.b");
        check("{{ add (int .n) 3 }} {{ div 7 2 }} {{ mulf 1.5 2 }} {{ duration .took }}", "10 3 3 1.5");
        check(r#"{{ regexReplaceAll "/(\\w)" .path "<$1>" }} {{ substr 0 2 __line__ }} {{ default "d" .none }}"#, "<a><b> th d");
    }

    #[test]
    fn no_function_makes_a_text_without_end() {
        for template in [
            r#"{{ replace "" (repeat 1000 .path) (repeat 200000 .path) }}"#,
            r#"{{ Replace (repeat 200000 .path) "/" (repeat 1000 .path) -1 }}"#,
            r#"{{ regexReplaceAll "." (repeat 200000 .path) (repeat 1000 .path) }}"#,
            r#"{{ regexReplaceAll ".+" (repeat 200000 .path) "$0$0$0$0$0$0$0$0" }}"#,
            r#"{{ regexReplaceAllLiteral "/" (repeat 200000 .path) (repeat 1000 .path) }}"#,
            r#"{{ nindent 1000 (repeat 200000 "\n") }}"#,
            r#"{{ repeat 9999999999 .path }}"#,
            r#"{{ print (repeat 200000 .path) (repeat 200000 .path) }}"#,
            r#"{{ printf "%s%s" (repeat 200000 .path) (repeat 200000 .path) }}"#,
        ] {
            check(template, "fails: the text is longer than 1048576 bytes");
        }
        check(r#"{{ regexReplaceAll "(/)(.)" .path "$2$1" }}{{ replace "" "-" "ab" }}{{ indent 2 "a\nb" }}"#, "a/b/-a-b-  a\n  b");
    }

    #[test]
    fn conditions_and_trims() {
        check(r#"{{ if eq .app "radio" }}r{{ else if gt (len .path) 3 }}long{{ else }}short{{ end }}"#, "long");
        check(r#"a  {{- with .app }} {{ . }} {{ end -}}  b"#, "a tv b");
        check(r#"{{ if and (hasPrefix "t" .app) (not (contains "x" .app)) }}y{{ end }}{{/* gone */}}"#, "y");
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for text in
            ["{{ .a", "{{ nofunction .a }}", "{{ if .a }}", "{{ end }}", "{{ range .a }}{{ end }}", "{{ $x := 1 }}", "{{ \"a }}", "{{ }}"]
        {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
