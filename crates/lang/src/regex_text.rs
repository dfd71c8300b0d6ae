//! Regular expressions as the askers of both languages write them: RE2's syntax, run by the `regex` crate.

use std::borrow::Cow;

use model::AnchoredRegex;
use regex::{Regex, RegexBuilder};

/// Memory of one compiled expression.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Compiles an expression that may match anywhere in a text.
pub fn searching(text: &str) -> Result<Regex, regex::Error> {
    compile(&regex_text(text))
}

/// Reads an expression that must match the whole text, as label matchers do.
pub fn whole(text: &str) -> Result<AnchoredRegex, regex::Error> {
    AnchoredRegex::new(&regex_text(text))
}

/// The same for whoever wants to know what its groups are.
pub fn anchored(text: &str) -> Result<Regex, regex::Error> {
    compile(&format!("^(?s:{})$", regex_text(text)))
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(COMPILED_BYTES_MAX).build()
}

/// Whether a query's text is read in a moment, its expressions compiled: it is short, and has no repetition by number and no
/// class of letters of the world, which make automata large.
pub fn is_brief(query: &str) -> bool {
    const BYTES_MAX: usize = 1 << 10;
    let repeats = || query.as_bytes().windows(2).any(|pair| pair[0] == b'{' && pair[1].is_ascii_digit());
    query.len() <= BYTES_MAX && !repeats() && !["\\p", "\\P", "(?"].iter().any(|sign| query.contains(sign))
}

/// The expression in the syntax of the `regex` crate. RE2 differs in four ways: `\w`, `\d`, `\s` and `\b` know ASCII only;
/// a `{` that opens no repetition is itself (`{"level"`); inside a class `[`, `&&`, `--` and `~~` are plain letters; and
/// `\Q...\E` quotes.
pub fn regex_text(text: &str) -> Cow<'_, str> {
    if !text.contains(['\\', '{', '[']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let (mut rest, mut class) = (text, false);
    while let Some(c) = rest.chars().next() {
        let (at_start, from_here) = (rest.len() == text.len(), rest);
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => rest = escape(rest, class, &mut out),
            '{' if !class && (at_start || !repeats(from_here)) => out.push_str("\\{"),
            '[' if !class => {
                class = true;
                out.push('[');
                // A bracket right after the opening one closes nothing.
                for (sign, written) in [('^', "^"), (']', "\\]")] {
                    if let Some(after) = rest.strip_prefix(sign) {
                        rest = after;
                        out.push_str(written);
                    }
                }
            }
            '[' => match from_here.find(":]").filter(|_| rest.starts_with(':')) {
                Some(end) => {
                    out.push_str(&from_here[..end + 2]);
                    rest = &from_here[end + 2..];
                }
                None => out.push_str("\\["),
            },
            '&' | '~' if class => out.extend(['\\', c]),
            '-' if class && out.ends_with('-') => out.push_str("\\-"),
            ']' => {
                class = false;
                out.push(']');
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Writes the escape whose backslash was read; gives what follows it.
fn escape<'a>(rest: &'a str, class: bool, out: &mut String) -> &'a str {
    let Some(c) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let after = &rest[c.len_utf8()..];
    let (ranges, negated) = match c.to_ascii_lowercase() {
        'd' => ("0-9", c == 'D'),
        's' => (r"\t\n\f\r ", c == 'S'),
        'w' => ("0-9A-Za-z_", c == 'W'),
        _ => ("", false),
    };
    match c {
        _ if !ranges.is_empty() && negated => out.push_str(&format!("[^{ranges}]")),
        _ if !ranges.is_empty() && class => out.push_str(ranges),
        _ if !ranges.is_empty() => out.push_str(&format!("[{ranges}]")),
        'b' | 'B' if !class => out.push_str(&format!("(?-u:\\{c})")),
        'Q' if !class => {
            let (quoted, after) = after.split_once("\\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(quoted));
            return after;
        }
        // The crate's signs for the edges of words.
        '<' | '>' => out.push(c),
        'p' | 'P' | 'x' if after.starts_with('{') => {
            let end = after.find('}').map_or(after.len(), |end| end + 1);
            out.extend(['\\', c]);
            out.push_str(&after[..end]);
            return &after[end..];
        }
        _ => out.extend(['\\', c]),
    }
    after
}

/// Whether the text starts with `{n}`, `{n,}` or `{n,m}`.
fn repeats(text: &str) -> bool {
    let Some((inside, _)) = text[1..].split_once('}') else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, "0"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_re2_reads_otherwise_is_rewritten() {
        for (text, expect) in [
            (r#"{"level":"error""#, r#"\{"level":"error""#),
            ("a{2,3}b{4}", "a{2,3}b{4}"),
            ("x{foo}", r"x\{foo}"),
            (r"[{]\{\p{Greek}\x{41}", r"[{]\{\p{Greek}\x{41}"),
            (r"\d+\W\S", r"[0-9]+[^0-9A-Za-z_][^\t\n\f\r ]"),
            (r"[\w.\D]", "[0-9A-Za-z_.[^0-9]]"),
            (r"\bfoo\B", r"(?-u:\b)foo(?-u:\B)"),
            (r"[]a][^]a][[:alpha:][]", r"[\]a][^\]a][[:alpha:]\[]"),
            (r"[a&&b~~c+--]", r"[a\&\&b\~\~c+-\-]"),
            (r"\Qa.b{\E.\<\\d", r"a\.b\{.<\\d"),
            ("plain.*", "plain.*"),
        ] {
            assert_eq!(regex_text(text), expect);
            searching(text).expect("the crate takes it");
        }
    }

    #[test]
    fn classes_are_ascii() {
        let check = |pattern: &str, text: &str, expect: bool| assert_eq!(anchored(pattern).unwrap().is_match(text), expect, "{pattern}");
        check(r"\d+", "12", true);
        check(r"\d+", "\u{663}", false);
        check(r"\w+", "é", false);
        check(r"[^\w]", "é", true);
        check(r"a\b.b", "aéb", true);
        check(r"\s", "\u{a0}", false);
        check(r"(?i)STRASSE|x\.y", "x.y", true);
    }

    #[test]
    fn what_takes_its_time_is_not_brief() {
        assert!(["up", r#"{a=~"b.*|c", d!~"[^/]+"}"#].into_iter().all(is_brief));
        let long = "a".repeat(2000);
        assert!(![r#"{a=~"(b{1,100}){1,100}"}"#, r#"{a=~"\\p{Greek}"}"#, r#"{a=~"(?i)x"}"#, &long].into_iter().any(is_brief));
    }

    #[test]
    fn no_expression_takes_all_memory() {
        assert!(searching("((a{1,100}){1,100}){1,100}").is_err());
    }
}
