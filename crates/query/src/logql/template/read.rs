//! Text to nodes.

use super::functions::Function;
use super::{Command, Node, Operand, Pipe, Value};

/// `if` inside `if`, parentheses inside parentheses.
const DEPTH_MAX: usize = 64;

type Read<T> = Result<T, String>;

/// Where a list of nodes ended.
#[derive(PartialEq)]
enum Stop {
    Text,
    End,
    Else(String),
}

pub(super) fn template(text: &str) -> Read<Vec<Node>> {
    let mut reader = Reader { rest: text, depth: 0 };
    match reader.nodes()? {
        (nodes, Stop::Text) => Ok(nodes),
        _ => Err("an {{end}} or {{else}} belongs to no {{if}}".to_owned()),
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn nodes(&mut self) -> Read<(Vec<Node>, Stop)> {
        let mut nodes = Vec::new();
        loop {
            let (text, action) = match self.rest.split_once("{{") {
                Some((text, action)) => (text, Some(action)),
                None => (self.rest, None),
            };
            let trims = action.is_some_and(|action| action.starts_with("- "));
            let text = if trims { text.trim_end() } else { text };
            if !text.is_empty() {
                nodes.push(Node::Text(text.to_owned()));
            }
            let Some(action) = action else {
                self.rest = "";
                return Ok((nodes, Stop::Text));
            };
            let action = self.action(if trims { &action[1..] } else { action })?;
            let (word, arguments) = action.split_once(char::is_whitespace).unwrap_or((&action, ""));
            match word {
                _ if action.starts_with("/*") => {}
                "end" => return Ok((nodes, Stop::End)),
                "else" => return Ok((nodes, Stop::Else(arguments.trim().to_owned()))),
                "if" | "with" => nodes.push(self.condition(word == "with", arguments)?),
                "range" | "define" | "template" | "block" | "break" | "continue" => return Err(format!("{word} is not supported here")),
                _ => nodes.push(Node::Print(pipe(&action)?)),
            }
        }
    }

    /// The inside of an action that starts here; the reader stands behind it afterwards.
    fn action(&mut self, text: &str) -> Read<String> {
        let start = self.rest.len() - text.len();
        let mut quote = None;
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match (quote, c) {
                (Some('"'), '\\') => drop(chars.next()),
                (Some(open), _) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '"' | '`') if !text.trim_start().starts_with("/*") => quote = Some(c),
                (None, '}') if text[at..].starts_with("}}") => {
                    let inside = &text[..at];
                    self.rest = &self.rest[start + at + 2..];
                    let trimmed = inside.strip_suffix('-').filter(|inside| inside.ends_with(char::is_whitespace));
                    if trimmed.is_some() {
                        self.rest = self.rest.trim_start();
                    }
                    return Ok(trimmed.unwrap_or(inside).trim().to_owned());
                }
                _ => {}
            }
        }
        Err("an action does not end with }}".to_owned())
    }

    fn condition(&mut self, with: bool, first: &str) -> Read<Node> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("conditions are nested deeper than {DEPTH_MAX}"));
        }
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        let mut condition = pipe(first)?;
        loop {
            let (body, end) = self.nodes()?;
            branches.push((condition, body));
            match end {
                Stop::Text => return Err("an {{end}} is missing".to_owned()),
                Stop::End => break,
                Stop::Else(next) => match next.strip_prefix(if with { "with " } else { "if " }) {
                    Some(next) => condition = pipe(next)?,
                    None if next.is_empty() => {
                        let (body, end) = self.nodes()?;
                        if end != Stop::End {
                            return Err("an {{else}} must be followed by {{end}}".to_owned());
                        }
                        otherwise = body;
                        break;
                    }
                    None => return Err(format!("cannot read {{{{else {next}}}}}")),
                },
            }
        }
        self.depth -= 1;
        Ok(Node::If { with, branches, otherwise })
    }
}

fn pipe(text: &str) -> Read<Pipe> {
    let mut rest = text;
    let pipe = commands(&mut rest, 0)?;
    if rest.is_empty() { Ok(pipe) } else { Err(format!("unexpected {rest:?}")) }
}

fn commands(rest: &mut &str, depth: usize) -> Read<Pipe> {
    if depth > DEPTH_MAX {
        return Err(format!("parentheses are nested deeper than {DEPTH_MAX}"));
    }
    let mut pipe = vec![Command::default()];
    loop {
        *rest = rest.trim_start();
        let command = pipe.last_mut().expect("a pipe starts with a command");
        let empty = command.function.is_none() && command.operands.is_empty();
        let Some(first) = rest.chars().next() else { break };
        match first {
            ')' => break,
            '|' if empty => return Err("a command is missing before |".to_owned()),
            '|' => {
                *rest = &rest[1..];
                pipe.push(Command::default());
                continue;
            }
            _ if command.function.is_none() && !empty => return Err("only a function takes arguments".to_owned()),
            '(' => {
                *rest = &rest[1..];
                let nested = commands(rest, depth + 1)?;
                *rest = rest.strip_prefix(')').ok_or("a ) is missing")?;
                command.operands.push(Operand::Nested(nested));
            }
            '"' | '`' => command.operands.push(Operand::Value(Value::Text(quoted(rest)?))),
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|')).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                *rest = after;
                match operand(word) {
                    Some(operand) => command.operands.push(operand),
                    None => match Function::named(word) {
                        Some(function) if empty => command.function = Some(function),
                        Some(_) => return Err(format!("put parentheses around {word} and its arguments")),
                        None => return Err(format!("function {word:?} not defined")),
                    },
                }
            }
        }
    }
    for command in &mut pipe {
        if let (Some(function), Some(Operand::Value(Value::Text(text)))) = (&command.function, command.operands.first())
            && function.takes_regex()
        {
            // A broken one is told by the lines, as Loki does.
            command.regex = lang::searching(text).ok();
        }
    }
    match pipe.last() {
        Some(Command { function: None, operands, .. }) if operands.is_empty() => Err("a command is missing".to_owned()),
        _ => Ok(pipe),
    }
}

fn operand(word: &str) -> Option<Operand> {
    Some(match word {
        "." => Operand::Dot,
        "__line__" => Operand::Line,
        "__timestamp__" => Operand::TimestampNs,
        "true" | "false" => Operand::Value(Value::Bool(word == "true")),
        _ => match word.strip_prefix('.') {
            Some(field) if !field.is_empty() && !field.starts_with(|c: char| c.is_ascii_digit()) => Operand::Field(field.to_owned()),
            _ if !word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) => return None,
            _ => Operand::Value(word.parse().map(Value::Int).or_else(|_| word.parse().map(Value::Float)).ok()?),
        },
    })
}

/// A literal at the start of the text, which is moved behind it.
fn quoted(rest: &mut &str) -> Read<String> {
    let mut chars = rest.chars();
    let quote = chars.next();
    let mut value = String::new();
    loop {
        match chars.next() {
            None => return Err("a text does not end".to_owned()),
            c if c == quote => break,
            Some('\\') if quote == Some('"') => value.push(match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('x') => {
                    let digits: String = chars.by_ref().take(2).collect();
                    u8::from_str_radix(&digits, 16).map(char::from).map_err(|_| "\\x needs two hexadecimal digits".to_owned())?
                }
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                    code.ok_or_else(|| "\\u needs four hexadecimal digits".to_owned())?
                }
                Some(c @ ('\\' | '"' | '\'')) => c,
                _ => return Err("a text has an unknown escape".to_owned()),
            }),
            Some(c) => value.push(c),
        }
    }
    *rest = chars.as_str();
    Ok(value)
}
