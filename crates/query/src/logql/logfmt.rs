//! Reads a line as `key=value key="quoted value" flag`.

use std::borrow::Cow;

use super::json::Sink;
use super::row::Failure;

/// Gives every pair in turn. A broken pair is skipped; when `strict`, it fails the line.
pub(super) fn pairs<'a>(line: &'a str, strict: bool, sink: Sink<'_, 'a>) -> Result<(), Failure> {
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(|c: char| c <= ' ');
        if rest.is_empty() {
            return Ok(());
        }
        let key_end = rest.find(|c: char| c <= ' ' || matches!(c, '=' | '"')).unwrap_or(rest.len());
        let (key, after) = rest.split_at(key_end);
        let read = match after.as_bytes().first() {
            Some(b'=') if !key.is_empty() => value(&after[1..]),
            Some(b'=') | Some(b'"') => Err("a key is missing or has a quote in it"),
            _ => Ok((Cow::Borrowed(""), after)),
        };
        rest = match read {
            Ok((value, after)) => {
                sink(Cow::Borrowed(key), value);
                after
            }
            Err(why) if strict => {
                let at = line.len() - rest.len();
                return Err(Failure::new("LogfmtParserErr", format!("logfmt syntax error at pos {at}: {why}")));
            }
            Err(_) => after.find(|c: char| c <= ' ').map_or("", |blank| &after[blank..]),
        };
    }
}

fn value(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c <= ' ' || matches!(c, '"' | '=')).unwrap_or(text.len());
        return match text.as_bytes().get(end) {
            Some(b'"') => Err("a plain value has a quote in it"),
            Some(b'=') => Err("a plain value has a = in it"),
            _ => Ok((Cow::Borrowed(&text[..end]), &text[end..])),
        };
    };
    let mut escaped = false;
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                escaped = true;
                chars.next();
            }
            '"' => {
                let raw = &quoted[..at];
                let value = if escaped { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) };
                return Ok((value, &quoted[at + 1..]));
            }
            _ => {}
        }
    }
    Err("a quoted value does not end")
}

fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        let c = match c {
            '\\' => match rest.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('u') => {
                    let digits: String = rest.as_str().chars().take(4).collect();
                    match u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32) {
                        Some(c) if digits.len() == 4 => {
                            rest = rest.as_str()[4..].chars();
                            c
                        }
                        _ => 'u',
                    }
                }
                Some(c) => c,
                None => '\\',
            },
            c => c,
        };
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expect: &str) {
        let mut out = Vec::new();
        pairs(line, false, &mut |name, value| out.push(format!("{name}={value}"))).unwrap();
        assert_eq!(out.join("|"), expect);
    }

    #[test]
    fn pairs_are_read_and_broken_ones_skipped() {
        check(r#"level=info msg="hi \"you\"" took=1.5s flag empty= "#, r#"level=info|msg=hi "you"|took=1.5s|flag=|empty="#);
        check(r#"good=1 bad="unterminated"#, "good=1");
        check(r#"=x a=b"c d=1 e"f"#, "d=1");
        check("", "");
        assert!(pairs(r#"bad="x"#, true, &mut |_, _| {}).is_err());
    }
}
