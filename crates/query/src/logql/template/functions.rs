//! The functions a template may call.

use std::borrow::Cow;

use regex::{Captures, Regex};

use super::Value;
use crate::logql::convert;
use crate::logql::row::Row;

type Call = fn(&Arguments<'_>, &Row<'_>) -> Result<Value, String>;

#[derive(Clone, Copy)]
pub(super) struct Function {
    name: &'static str,
    /// Fewest and most arguments.
    arity: (usize, usize),
    call: Call,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        let &(name, least, most, call) = FUNCTIONS.iter().find(|(found, ..)| *found == name)?;
        Some(Self { name, arity: (least, most), call })
    }

    /// Whether the first argument is a regular expression.
    pub(super) fn takes_regex(&self) -> bool {
        matches!(self.name, "regexReplaceAll" | "regexReplaceAllLiteral" | "count")
    }

    pub(super) fn call(&self, arguments: Vec<Value>, regex: Option<&Regex>, row: &Row<'_>) -> Result<Value, String> {
        let (least, most) = self.arity;
        if arguments.len() < least || arguments.len() > most {
            return Err(format!("{} cannot take {} arguments", self.name, arguments.len()));
        }
        let texts = arguments.iter().map(|value| value.clone().into_text(row)).collect();
        match (self.call)(&Arguments { values: arguments, texts, regex }, row)? {
            Value::Text(text) => within(text.len()).map(|()| Value::Text(text)),
            value => Ok(value),
        }
    }
}

/// The arguments as they are and as text.
struct Arguments<'r> {
    values: Vec<Value>,
    texts: Vec<String>,
    /// The first of them, compiled.
    regex: Option<&'r Regex>,
}

impl Arguments<'_> {
    fn text(&self, index: usize) -> &str {
        &self.texts[index]
    }

    fn int(&self, index: usize) -> i64 {
        match &self.values[index] {
            Value::Int(value) => *value,
            Value::Bool(value) => i64::from(*value),
            _ => self.float(index) as i64,
        }
    }

    fn float(&self, index: usize) -> f64 {
        match &self.values[index] {
            Value::Int(value) => *value as f64,
            Value::Float(value) => *value,
            // What is no number counts as nothing.
            _ => self.texts[index].trim().parse().unwrap_or(0.0),
        }
    }

    fn fold_int(&self, fold: fn(i64, i64) -> Option<i64>) -> Result<Value, String> {
        let rest = 1..self.values.len();
        let total = rest.map(|index| self.int(index)).try_fold(self.int(0), fold);
        total.map(Value::Int).ok_or_else(|| "integer divide by zero or overflow".to_owned())
    }

    fn fold_float(&self, fold: fn(f64, f64) -> f64) -> Result<Value, String> {
        Ok(Value::Float((1..self.values.len()).map(|index| self.float(index)).fold(self.float(0), fold)))
    }

    fn order(&self) -> Option<std::cmp::Ordering> {
        match (&self.values[0], &self.values[1]) {
            (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
            _ => self.float(0).partial_cmp(&self.float(1)),
        }
    }

    fn regex(&self) -> Result<Cow<'_, Regex>, String> {
        match self.regex {
            Some(regex) => Ok(Cow::Borrowed(regex)),
            None => lang::searching(self.text(0)).map(Cow::Owned).map_err(|error| error.to_string()),
        }
    }
}

/// Asked with a text's length before it is made, wherever it may be many times as long as what it is made from.
fn within(bytes: usize) -> Result<(), String> {
    match bytes <= super::RENDERED_BYTES_MAX {
        true => Ok(()),
        false => Err(format!("the text is longer than {} bytes", super::RENDERED_BYTES_MAX)),
    }
}

fn text(value: impl Into<String>) -> Result<Value, String> {
    Ok(Value::Text(value.into()))
}

const MANY: usize = 64;

/// Name, fewest and most arguments, what it does.
const FUNCTIONS: &[(&str, usize, usize, Call)] = &[
    ("ToLower", 1, 1, |a, _| text(a.text(0).to_lowercase())),
    ("lower", 1, 1, |a, _| text(a.text(0).to_lowercase())),
    ("ToUpper", 1, 1, |a, _| text(a.text(0).to_uppercase())),
    ("upper", 1, 1, |a, _| text(a.text(0).to_uppercase())),
    ("title", 1, 1, |a, _| text(title(a.text(0)))),
    ("Replace", 4, 4, |a, _| match usize::try_from(a.int(3)) {
        Ok(times) => replaced(a.text(0), a.text(1), a.text(2), times),
        Err(_) => replaced(a.text(0), a.text(1), a.text(2), usize::MAX),
    }),
    ("replace", 3, 3, |a, _| replaced(a.text(2), a.text(0), a.text(1), usize::MAX)),
    ("Trim", 2, 2, |a, _| text(a.text(0).trim_matches(|c| a.text(1).contains(c)))),
    ("TrimLeft", 2, 2, |a, _| text(a.text(0).trim_start_matches(|c| a.text(1).contains(c)))),
    ("TrimRight", 2, 2, |a, _| text(a.text(0).trim_end_matches(|c| a.text(1).contains(c)))),
    ("TrimPrefix", 2, 2, |a, _| text(a.text(0).strip_prefix(a.text(1)).unwrap_or(a.text(0)))),
    ("TrimSuffix", 2, 2, |a, _| text(a.text(0).strip_suffix(a.text(1)).unwrap_or(a.text(0)))),
    ("TrimSpace", 1, 1, |a, _| text(a.text(0).trim())),
    ("trim", 1, 1, |a, _| text(a.text(0).trim())),
    ("trimAll", 2, 2, |a, _| text(a.text(1).trim_matches(|c| a.text(0).contains(c)))),
    ("trimPrefix", 2, 2, |a, _| text(a.text(1).strip_prefix(a.text(0)).unwrap_or(a.text(1)))),
    ("trimSuffix", 2, 2, |a, _| text(a.text(1).strip_suffix(a.text(0)).unwrap_or(a.text(1)))),
    ("contains", 2, 2, |a, _| Ok(Value::Bool(a.text(1).contains(a.text(0))))),
    ("hasPrefix", 2, 2, |a, _| Ok(Value::Bool(a.text(1).starts_with(a.text(0))))),
    ("hasSuffix", 2, 2, |a, _| Ok(Value::Bool(a.text(1).ends_with(a.text(0))))),
    ("default", 2, 2, |a, _| Ok(a.values[usize::from(a.values[1].is_true())].clone())),
    ("eq", 2, MANY, |a, _| Ok(Value::Bool(a.texts[1..].contains(&a.texts[0])))),
    ("ne", 2, 2, |a, _| Ok(Value::Bool(a.texts[0] != a.texts[1]))),
    ("lt", 2, 2, |a, _| Ok(Value::Bool(a.order().is_some_and(std::cmp::Ordering::is_lt)))),
    ("le", 2, 2, |a, _| Ok(Value::Bool(a.order().is_some_and(std::cmp::Ordering::is_le)))),
    ("gt", 2, 2, |a, _| Ok(Value::Bool(a.order().is_some_and(std::cmp::Ordering::is_gt)))),
    ("ge", 2, 2, |a, _| Ok(Value::Bool(a.order().is_some_and(std::cmp::Ordering::is_ge)))),
    ("and", 1, MANY, |a, _| Ok(a.values.iter().find(|value| !value.is_true()).unwrap_or(&a.values[a.values.len() - 1]).clone())),
    ("or", 1, MANY, |a, _| Ok(a.values.iter().find(|value| value.is_true()).unwrap_or(&a.values[a.values.len() - 1]).clone())),
    ("not", 1, 1, |a, _| Ok(Value::Bool(!a.values[0].is_true()))),
    ("len", 1, 1, |a, _| Ok(Value::Int(a.text(0).len() as i64))),
    ("add", 2, MANY, |a, _| a.fold_int(i64::checked_add)),
    ("sub", 2, 2, |a, _| a.fold_int(i64::checked_sub)),
    ("mul", 2, MANY, |a, _| a.fold_int(i64::checked_mul)),
    ("div", 2, 2, |a, _| a.fold_int(i64::checked_div)),
    ("mod", 2, 2, |a, _| a.fold_int(i64::checked_rem)),
    ("addf", 2, MANY, |a, _| a.fold_float(|x, y| x + y)),
    ("subf", 2, MANY, |a, _| a.fold_float(|x, y| x - y)),
    ("mulf", 2, MANY, |a, _| a.fold_float(|x, y| x * y)),
    ("divf", 2, MANY, |a, _| a.fold_float(|x, y| x / y)),
    ("min", 1, MANY, |a, _| a.fold_int(|x, y| Some(x.min(y)))),
    ("max", 1, MANY, |a, _| a.fold_int(|x, y| Some(x.max(y)))),
    ("minf", 1, MANY, |a, _| a.fold_float(f64::min)),
    ("maxf", 1, MANY, |a, _| a.fold_float(f64::max)),
    ("int", 1, 1, |a, _| Ok(Value::Int(a.int(0)))),
    ("float64", 1, 1, |a, _| Ok(Value::Float(a.float(0)))),
    ("floor", 1, 1, |a, _| Ok(Value::Float(a.float(0).floor()))),
    ("ceil", 1, 1, |a, _| Ok(Value::Float(a.float(0).ceil()))),
    ("round", 2, 2, |a, _| {
        let scale = 10f64.powi(a.int(1).clamp(-300, 300) as i32);
        Ok(Value::Float((a.float(0) * scale).round() / scale))
    }),
    ("substr", 3, 3, |a, _| {
        let (start, end) = (usize::try_from(a.int(0)).unwrap_or(0), usize::try_from(a.int(1)).unwrap_or(usize::MAX));
        text(a.text(2).chars().skip(start).take(end.saturating_sub(start)).collect::<String>())
    }),
    ("trunc", 2, 2, |a, _| {
        let (chars, count) = (a.text(1).chars(), a.int(0).unsigned_abs() as usize);
        let skip = if a.int(0) < 0 { chars.clone().count().saturating_sub(count) } else { 0 };
        text(chars.skip(skip).take(count).collect::<String>())
    }),
    ("repeat", 2, 2, |a, _| {
        let times = usize::try_from(a.int(0)).unwrap_or(0);
        within(times.saturating_mul(a.text(1).len()))?;
        text(a.text(1).repeat(times))
    }),
    ("indent", 2, 2, |a, _| indent(a)),
    ("nindent", 2, 2, |a, row| indent(a).map(|value| Value::Text(format!("\n{}", value.into_text(row))))),
    ("alignLeft", 2, 2, |a, _| {
        let width = a.int(0).clamp(0, 10_000) as usize;
        text(format!("{:<width$}", a.text(1).chars().take(width).collect::<String>()))
    }),
    ("alignRight", 2, 2, |a, _| {
        let width = a.int(0).clamp(0, 10_000) as usize;
        let skip = a.text(1).chars().count().saturating_sub(width);
        text(format!("{:>width$}", a.text(1).chars().skip(skip).collect::<String>()))
    }),
    ("regexReplaceAll", 3, 3, |a, _| regex_replaced(a, |found, out| found.expand(a.text(2), out)).map(Value::Text)),
    ("regexReplaceAllLiteral", 3, 3, |a, _| regex_replaced(a, |_, out| out.push_str(a.text(2))).map(Value::Text)),
    ("count", 2, 2, |a, _| Ok(Value::Int(a.regex()?.find_iter(a.text(1)).count() as i64))),
    ("bytes", 1, 1, |a, _| convert::bytes(a.text(0)).map(|bytes| Value::Float(bytes as f64))),
    ("duration", 1, 1, |a, _| convert::duration_ns(a.text(0)).map(|nanos| Value::Float(nanos as f64 / 1e9))),
    ("duration_seconds", 1, 1, |a, _| convert::duration_ns(a.text(0)).map(|nanos| Value::Float(nanos as f64 / 1e9))),
    ("print", 0, MANY, |a, _| text(a.texts.concat())),
    ("println", 0, MANY, |a, _| text(a.texts.join(" ") + "\n")),
    ("printf", 1, MANY, |a, _| printf(a).map(Value::Text)),
];

fn title(words: &str) -> String {
    let mut start = true;
    let upper = |c: char| {
        let first = std::mem::replace(&mut start, !c.is_alphanumeric());
        if first { c.to_uppercase().collect::<String>() } else { c.to_string() }
    };
    words.chars().map(upper).collect()
}

fn replaced(within_text: &str, from: &str, to: &str, times: usize) -> Result<Value, String> {
    let count = within_text.matches(from).take(times).count();
    within(within_text.len().saturating_add(count.saturating_mul(to.len())))?;
    text(within_text.replacen(from, to, times))
}

fn regex_replaced(a: &Arguments<'_>, replace: impl Fn(&Captures<'_>, &mut String)) -> Result<String, String> {
    let (regex, whole) = (a.regex()?, a.text(1));
    // A replacement is at most as long as it is written, with the whole match for every `$` in it.
    let (written, groups) = (a.text(2).len(), a.text(2).matches('$').count());
    let (mut out, mut copied) = (String::new(), 0);
    for found in regex.captures_iter(whole) {
        let all = found.get_match();
        out.push_str(&whole[copied..all.start()]);
        within(out.len().saturating_add(written).saturating_add(groups.saturating_mul(all.len())))?;
        replace(&found, &mut out);
        copied = all.end();
    }
    Ok(out + &whole[copied..])
}

fn indent(a: &Arguments<'_>) -> Result<Value, String> {
    let pad = " ".repeat(a.int(0).clamp(0, 1_000) as usize);
    within(a.text(1).len().saturating_add(a.text(1).lines().count().saturating_mul(pad.len())))?;
    text(a.text(1).lines().map(|line| format!("{pad}{line}")).collect::<Vec<_>>().join("\n"))
}

/// Go's `Sprintf` with the verbs that lines need: `%s %v %d %f %g %e %t %q %x %%`, flags `-`, `0`, `+`, width, precision.
fn printf(a: &Arguments<'_>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = a.text(0).chars().peekable();
    let mut next = 1;
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let (mut left, mut zero, mut plus) = (false, false, false);
        while let Some(flag) = rest.next_if(|c| matches!(c, '-' | '0' | '+' | ' ' | '#')) {
            (left, zero, plus) = (left || flag == '-', zero || flag == '0', plus || flag == '+');
        }
        let mut number = || {
            let mut value = None;
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                value = Some((value.unwrap_or(0) * 10 + digit.to_digit(10).unwrap_or(0) as usize).min(10_000));
            }
            value
        };
        let width = number().unwrap_or(0);
        let precision = if rest.next_if_eq(&'.').is_some() {
            let mut value = 0;
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                value = (value * 10 + digit.to_digit(10).unwrap_or(0) as usize).min(1_000);
            }
            Some(value)
        } else {
            None
        };
        let verb = rest.next().ok_or("printf ends with %")?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        if next >= a.values.len() {
            return Err("printf has more verbs than arguments".to_owned());
        }
        let index = next;
        next += 1;
        let value = match verb {
            's' | 'v' => a.text(index).chars().take(precision.unwrap_or(usize::MAX)).collect(),
            'd' => a.int(index).to_string(),
            'f' => format!("{:.*}", precision.unwrap_or(6), a.float(index)),
            'g' => a.float(index).to_string(),
            'e' => format!("{:.*e}", precision.unwrap_or(6), a.float(index)),
            't' => a.values[index].is_true().to_string(),
            'q' => format!("{:?}", a.text(index)),
            'x' => match a.values[index] {
                Value::Int(value) => format!("{value:x}"),
                _ => a.text(index).bytes().map(|byte| format!("{byte:02x}")).collect(),
            },
            _ => return Err(format!("printf does not know the verb %{verb}")),
        };
        within(out.len().saturating_add(value.len()).saturating_add(width))?;
        let value: String = if plus && matches!(verb, 'd' | 'f') && !value.starts_with('-') { format!("+{value}") } else { value };
        match (left, zero && !left && matches!(verb, 'd' | 'f')) {
            (true, _) => out.push_str(&format!("{value:<width$}")),
            (_, true) => {
                let (sign, digits) = value.split_at(value.len() - value.trim_start_matches(['-', '+']).len());
                let width = width.saturating_sub(sign.len());
                out.push_str(&format!("{sign}{digits:0>width$}"));
            }
            _ => out.push_str(&format!("{value:>width$}")),
        }
    }
    Ok(out)
}
