use lang::promql::{parse_duration, unquote};
use regex::Regex;

use super::series::{Line, parse_line};

pub(super) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

/// Series that start at time 0, a value every interval.
pub(super) struct Load {
    pub(super) interval_ms: i64,
    pub(super) lines: Vec<Line>,
    /// Classic histograms are loaded as native ones with custom bounds, too.
    pub(super) with_nhcb: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Times {
    Instant(i64),
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

pub(super) enum Message {
    Any,
    Exact(String),
    Matches(Regex),
}

impl Message {
    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(wanted) => text.contains(wanted.as_str()),
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}

pub(super) struct Eval {
    pub(super) query: String,
    pub(super) times: Times,
    pub(super) fails: Option<Message>,
    pub(super) ordered: bool,
    pub(super) text: Option<String>,
    warns: Vec<Message>,
    infos: Vec<Message>,
    no_warn: bool,
    no_info: bool,
    pub(super) lines: Vec<Line>,
    /// A bare number: the expected scalar.
    pub(super) scalar: Option<f64>,
}

impl Eval {
    pub(super) fn check_failure(&self, error: &str) -> Result<(), String> {
        match &self.fails {
            Some(message) if message.fits(error) => Ok(()),
            Some(_) => Err(format!("fails with another message: {error}")),
            None => Err(format!("fails: {error}")),
        }
    }

    pub(super) fn check_notes(&self, warnings: &[String], infos: &[String]) -> Result<(), String> {
        for (kind, wanted, none, found) in [("warning", &self.warns, self.no_warn, warnings), ("info", &self.infos, self.no_info, infos)] {
            if none && !found.is_empty() {
                return Err(format!("has an unexpected {kind}: {found:?}"));
            }
            if wanted.iter().any(|message| !found.iter().any(|text| message.fits(text))) {
                return Err(format!("lacks an expected {kind}, has {found:?}"));
            }
        }
        Ok(())
    }
}

/// The commands with the number of their first line.
pub(super) fn parse(text: &str) -> Vec<(usize, Result<Command, String>)> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let number = at + 1;
        at += 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let start = at;
        let has_body = line.starts_with("load") || line.starts_with("eval");
        while has_body && at < lines.len() && !lines[at].is_empty() {
            at += 1;
        }
        let body: Vec<&str> = lines[start..at].iter().copied().filter(|line| !line.starts_with('#')).collect();
        commands.push((number, command(line, &body)));
    }
    commands
}

fn command(line: &str, body: &[&str]) -> Result<Command, String> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match word {
        "clear" => Ok(Command::Clear),
        "load" | "load_with_nhcb" => {
            let interval_ms = millis(rest.trim())?;
            let lines = body.iter().map(|line| parse_line(line)).collect::<Result<Vec<_>, _>>()?;
            Ok(Command::Load(Load { interval_ms, lines, with_nhcb: word == "load_with_nhcb" }))
        }
        word if word.starts_with("eval") => eval(word, rest.trim(), body).map(|eval| Command::Eval(Box::new(eval))),
        _ => Err(format!("cannot read command {line:?}")),
    }
}

fn millis(text: &str) -> Result<i64, String> {
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |text| (-1.0, text));
    let seconds = parse_duration(text).or_else(|| text.parse().ok()).ok_or_else(|| format!("cannot read time {text:?}"))?;
    Ok((sign * seconds * 1000.0).round() as i64)
}

fn eval(word: &str, rest: &str, body: &[&str]) -> Result<Eval, String> {
    let (kind, rest) = rest.split_once(char::is_whitespace).ok_or("cannot read eval")?;
    let rest = rest.trim();
    let bad = || format!("cannot read eval {rest:?}");
    let (times, query) = match kind {
        "instant" => {
            let rest = rest.strip_prefix("at").ok_or_else(bad)?.trim();
            let (at, query) = rest.split_once(char::is_whitespace).ok_or_else(bad)?;
            (Times::Instant(millis(at)?), query)
        }
        _ => {
            let mut words = rest.splitn(7, char::is_whitespace);
            let mut next = || words.next().ok_or_else(bad);
            let (_, start, _, end, _, step, query) = (next()?, next()?, next()?, next()?, next()?, next()?, next()?);
            (Times::Range { start_ms: millis(start)?, end_ms: millis(end)?, step_ms: millis(step)? }, query)
        }
    };
    let mut eval = Eval {
        query: query.trim().to_owned(),
        times,
        fails: (word == "eval_fail").then_some(Message::Any),
        ordered: word == "eval_ordered",
        text: None,
        warns: Vec::new(),
        infos: Vec::new(),
        no_warn: false,
        no_info: false,
        lines: Vec::new(),
        scalar: None,
    };
    for line in body {
        match line.strip_prefix("expect ") {
            Some(expectation) => expect(&mut eval, expectation.trim())?,
            None => match line.parse::<f64>() {
                Ok(value) => eval.scalar = Some(value),
                Err(_) if line.starts_with("expected_fail") => {}
                Err(_) => eval.lines.push(parse_line(line)?),
            },
        }
    }
    Ok(eval)
}

fn expect(eval: &mut Eval, text: &str) -> Result<(), String> {
    let (what, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let message = || match (rest.strip_prefix("msg:"), rest.strip_prefix("regex:")) {
        (Some(exact), _) => Ok(Message::Exact(exact.trim().to_owned())),
        (_, Some(pattern)) => Regex::new(pattern.trim()).map(Message::Matches).map_err(|error| error.to_string()),
        _ => Ok(Message::Any),
    };
    match what {
        "fail" => eval.fails = Some(message()?),
        "warn" => eval.warns.push(message()?),
        "info" => eval.infos.push(message()?),
        "no_warn" => eval.no_warn = true,
        "no_info" => eval.no_info = true,
        "ordered" => eval.ordered = true,
        "string" => eval.text = Some(unquote(rest)?.0),
        // `expect range vector ...` names the times of a matrix answer; the lines after it say the same.
        "range" => {}
        _ => return Err(format!("cannot read expectation {text:?}")),
    }
    Ok(())
}
