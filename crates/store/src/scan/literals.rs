//! Which texts must a text have that an expression matches?

use regex_syntax::hir::{Class, Hir, HirKind};

/// Alternatives that are followed; an expression with more is not helped by any of them.
const ALTERNATIVES_MAX: usize = 64;
/// Bytes of a literal from which on it has a gram.
const LITERAL_BYTES_MIN: usize = 3;

/// Of every list one literal is in each text that the expression matches, the case of ASCII letters apart. Nothing of an
/// expression that is none.
pub(crate) fn required(pattern: &str) -> Vec<Vec<Vec<u8>>> {
    let Ok(hir) = regex_syntax::Parser::new().parse(pattern) else { return Vec::new() };
    let mut found = Found::default();
    found.walk(&hir);
    found.end_run();
    found.all
}

#[derive(Default)]
struct Found {
    all: Vec<Vec<Vec<u8>>>,
    /// Bytes that follow each other, the last of them just before what is looked at.
    run: Vec<u8>,
}

impl Found {
    fn walk(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => self.run.extend_from_slice(&literal.0),
            HirKind::Class(class) => match one_letter(class) {
                Some(letter) => self.run.push(letter),
                None => self.end_run(),
            },
            HirKind::Capture(capture) => self.walk(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.walk(part)),
            HirKind::Repetition(repetition) => {
                self.end_run();
                if repetition.min > 0 {
                    self.walk(&repetition.sub);
                    self.end_run();
                }
            }
            HirKind::Alternation(branches) => {
                self.end_run();
                self.all.extend(any_of(branches));
            }
        }
    }

    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        if run.len() >= LITERAL_BYTES_MIN {
            self.all.push(vec![run]);
        }
    }
}

/// What a class stands for that is one ASCII letter in both its cases.
fn one_letter(class: &Class) -> Option<u8> {
    let ranges: Vec<(u32, u32)> = match class {
        Class::Unicode(class) => class.iter().map(|range| (range.start().into(), range.end().into())).collect(),
        Class::Bytes(class) => class.iter().map(|range| (range.start().into(), range.end().into())).collect(),
    };
    let letters: Vec<u8> = match ranges.as_slice() {
        [(upper, also_upper), (lower, also_lower)] if upper == also_upper && lower == also_lower => {
            [upper, lower].into_iter().map(|letter| u8::try_from(*letter)).collect::<Result<_, _>>().ok()?
        }
        _ => return None,
    };
    (letters[0].is_ascii_uppercase() && letters[0].to_ascii_lowercase() == letters[1]).then(|| letters[1])
}

/// A literal of each branch; none when a branch needs none.
fn any_of(branches: &[Hir]) -> Option<Vec<Vec<u8>>> {
    let mut literals = Vec::new();
    for branch in branches {
        let mut found = Found::default();
        found.walk(branch);
        found.end_run();
        let longest = found.all.into_iter().max_by_key(|list| list.iter().map(Vec::len).min());
        literals.extend(longest?);
        if literals.len() > ALTERNATIVES_MAX {
            return None;
        }
    }
    Some(literals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expect: &[&[&str]]) {
        let found: Vec<Vec<String>> =
            required(pattern).into_iter().map(|list| list.into_iter().map(|text| String::from_utf8(text).unwrap()).collect()).collect();
        assert_eq!(found, expect, "{pattern}");
    }

    #[test]
    fn literals_that_every_match_has() {
        check("timeout", &[&["timeout"]]);
        check("^user [0-9]+ in (\\d+) ms$", &[&["user "], &[" in "], &[" ms"]]);
        check("(?:timeout|connection reset)", &[&["timeout", "connection reset"]]);
        check("a(bc)+d|xyz", &[]);
        check("(abc)+def", &[&["abc"], &["def"]]);
        check("(abc)*def", &[&["def"]]);
        check("foo.*bar.?baz", &[&["foo"], &["bar"], &["baz"]]);
        check("x{3}(abc){2}", &[&["abc"]]);
        check("\\bgröße\\b", &[&["größe"]]);
        check("(", &[]);
        check("", &[]);
    }

    /// Ignoring case, `k` is the Kelvin sign as well and `s` a long one: there a literal ends.
    #[test]
    fn letters_of_any_case_are_literals_in_lower_case() {
        check("(?i)error", &[&["error"]]);
        check("(?i)disk full", &[&[" full"]]);
        check("(?i-u)disk", &[&["disk"]]);
        check("[eE]rr[oO]r", &[&["error"]]);
        check("[ex]rror", &[&["rror"]]);
    }
}
