//! Regular expressions that must match a whole text, as label matchers do.

use std::fmt;

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// Memory of one compiled expression.
const COMPILED_BYTES_MAX: usize = 10 << 20;
/// Alternatives of an expression that is looked for without one.
const GLOBS_MAX: usize = 64;

/// An expression that must match a whole text; `.` is any character.
///
/// Most that people write (`node_.*_bytes`, `10\.0\.0\.[1-3]:.*`, `GET|POST`) are literals with gaps between them. Those are
/// matched as that: they take microseconds to read, where an automaton takes a hundred to build.
#[derive(Clone)]
pub struct AnchoredRegex(Matches);

#[derive(Clone)]
enum Matches {
    AnyOf(Box<[Glob]>),
    Regex(Regex),
}

impl AnchoredRegex {
    /// Reads an expression in the syntax of the `regex` crate.
    pub fn new(pattern: &str) -> Result<Self, regex::Error> {
        let anchored = format!("^(?s:{pattern})$");
        let globs = regex_syntax::parse(&anchored).ok().and_then(|hir| globs(&hir));
        Ok(Self(match globs {
            Some(globs) => Matches::AnyOf(globs.into()),
            None => Matches::Regex(RegexBuilder::new(&anchored).size_limit(COMPILED_BYTES_MAX).build()?),
        }))
    }

    pub fn is_match(&self, text: &str) -> bool {
        match &self.0 {
            Matches::AnyOf(globs) => globs.iter().any(|glob| glob.is_match(text.as_bytes())),
            Matches::Regex(regex) => regex.is_match(text),
        }
    }
}

impl fmt::Debug for AnchoredRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Matches::AnyOf(globs) => write!(f, "AnchoredRegex({} globs)", globs.len()),
            Matches::Regex(regex) => write!(f, "AnchoredRegex({regex})"),
        }
    }
}

/// Runs of bytes with gaps between them. All of them are whole characters: no run is found inside of one.
#[derive(Clone, Default)]
struct Glob {
    first: Run,
    /// What follows: a gap of at least so many bytes, 0 or 1, and the run behind it.
    rest: Vec<(usize, Run)>,
}

/// Bytes that follow each other; some of them may be one of several ASCII letters.
#[derive(Clone, Default)]
struct Run {
    bytes: Vec<u8>,
    /// Where in `bytes` a letter of a set stands, and the set.
    sets: Vec<(usize, u128)>,
}

impl Glob {
    fn is_match(&self, text: &[u8]) -> bool {
        let Some(((last_gap, last), between)) = self.rest.split_last() else {
            return text.len() == self.first.bytes.len() && self.first.is_at(text, 0);
        };
        if !self.first.is_at(text, 0) {
            return false;
        }
        let mut at = self.first.bytes.len();
        for (gap, run) in between {
            // The leftmost leaves most to those that follow.
            match run.find(text, at + gap) {
                Some(found) => at = found + run.bytes.len(),
                None => return false,
            }
        }
        text.len().checked_sub(last.bytes.len()).is_some_and(|begin| at + last_gap <= begin && last.is_at(text, begin))
    }

    fn last_run(&mut self) -> &mut Run {
        self.rest.last_mut().map_or(&mut self.first, |(_, run)| run)
    }

    /// This and then the other; none where two gaps meet of which each must have something.
    fn then(&self, next: &Self) -> Option<Self> {
        let mut joined = self.clone();
        let run = joined.last_run();
        let moved = next.first.sets.iter().map(|(at, set)| (at + run.bytes.len(), *set));
        run.sets.extend(moved);
        run.bytes.extend_from_slice(&next.first.bytes);
        let mut rest = next.rest.iter();
        if next.first.bytes.is_empty()
            && let (Some((before, run)), Some((gap, behind))) = (joined.rest.last_mut(), next.rest.first())
            && run.bytes.is_empty()
        {
            if *before + gap > 1 {
                return None;
            }
            (*before, *run) = (*before + gap, behind.clone());
            rest.next();
        }
        joined.rest.extend(rest.cloned());
        Some(joined)
    }
}

impl Run {
    fn is_at(&self, text: &[u8], at: usize) -> bool {
        let Some(found) = text.get(at..).and_then(|text| text.get(..self.bytes.len())) else { return false };
        match self.sets.is_empty() {
            true => *found == *self.bytes,
            false => self.fits(found),
        }
    }

    /// Whether as many bytes are these.
    fn fits(&self, found: &[u8]) -> bool {
        let mut from = 0;
        for (at, set) in &self.sets {
            if found[from..*at] != self.bytes[from..*at] || !found[*at].is_ascii() || set & (1 << found[*at]) == 0 {
                return false;
            }
            from = at + 1;
        }
        found[from..] == self.bytes[from..]
    }

    fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let text_behind = text.get(from..)?;
        let found = match (&self.sets[..], self.bytes.is_empty()) {
            (_, true) => Some(0),
            ([], false) => memchr::memmem::find(text_behind, &self.bytes),
            _ => text_behind.windows(self.bytes.len()).position(|found| self.fits(found)),
        };
        found.map(|at| from + at)
    }
}

/// What an expression between `^` and `$` stands for; none where it takes an automaton.
fn globs(hir: &Hir) -> Option<Vec<Glob>> {
    let HirKind::Concat(parts) = hir.kind() else { return None };
    let [start, inner @ .., end] = &parts[..] else { return None };
    match (start.kind(), end.kind()) {
        (HirKind::Look(Look::Start), HirKind::Look(Look::End)) => concat(inner),
        _ => None,
    }
}

fn concat(parts: &[Hir]) -> Option<Vec<Glob>> {
    let mut joined = vec![Glob::default()];
    for part in parts {
        let next = alternatives(part)?;
        if joined.len() * next.len() > GLOBS_MAX {
            return None;
        }
        joined = joined.iter().flat_map(|before| next.iter().map(|next| before.then(next))).collect::<Option<_>>()?;
    }
    Some(joined)
}

fn alternatives(hir: &Hir) -> Option<Vec<Glob>> {
    let of_run = |bytes: Vec<u8>, sets| vec![Glob { first: Run { bytes, sets }, rest: Vec::new() }];
    Some(match hir.kind() {
        HirKind::Empty => vec![Glob::default()],
        HirKind::Literal(literal) if std::str::from_utf8(&literal.0).is_ok() => of_run(literal.0.to_vec(), Vec::new()),
        HirKind::Class(class) => of_run(vec![0], vec![(0, ascii_set(class)?)]),
        HirKind::Capture(capture) => alternatives(&capture.sub)?,
        HirKind::Concat(parts) => concat(parts)?,
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(alternatives(branch)?);
                if all.len() > GLOBS_MAX {
                    return None;
                }
            }
            all
        }
        HirKind::Repetition(repetition) => match (repetition.min, repetition.max) {
            (least @ 0..=1, None) if is_any_character(&repetition.sub) => {
                vec![Glob { first: Run::default(), rest: vec![(least as usize, Run::default())] }]
            }
            (0, Some(1)) => std::iter::once(Glob::default()).chain(alternatives(&repetition.sub)?).collect(),
            _ => return None,
        },
        HirKind::Literal(_) | HirKind::Look(_) => return None,
    })
}

fn is_any_character(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Class(Class::Unicode(class))
        if matches!(class.ranges(), [all] if (all.start(), all.end()) == ('\0', char::MAX)))
}

/// A class of ASCII letters as bits.
fn ascii_set(class: &Class) -> Option<u128> {
    let Class::Unicode(class) = class else { return None };
    class.ranges().iter().try_fold(0, |set, range| {
        let (start, end) = (u32::from(range.start()), u32::from(range.end()));
        (end < 128).then(|| (start..=end).fold(set, |set, letter| set | 1 << letter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_glob(pattern: &str) -> bool {
        matches!(AnchoredRegex::new(pattern).expect(pattern).0, Matches::AnyOf(_))
    }

    /// Texts made of the letters that the patterns have.
    fn texts() -> Vec<String> {
        let letters = ["", "a", "b", "ab", "é", "\n", "1", "9", ".", "ba", "aé"];
        let mut texts = Vec::new();
        for first in letters {
            for second in letters {
                for third in letters {
                    texts.push(format!("{first}{second}{third}"));
                }
            }
        }
        texts
    }

    #[test]
    fn what_needs_no_automaton_answers_as_one_does() {
        let patterns = [
            "",
            "a",
            "a|b",
            "a|b|",
            ".*",
            ".+",
            "a.*",
            ".*a",
            ".+a",
            "a.+",
            "a.*b",
            "a.+b",
            ".*a.*",
            ".+a.+",
            "a.*b.*a",
            ".*ab.*b",
            "[ab]",
            "[ab].*",
            "a[0-9]b?",
            ".*[0-9]",
            "(a|b)(1|9)?.*",
            "a?b?",
            "é.*",
            ".*é.*a",
            ".*.*",
            ".*.+",
            "(?i)A.*",
            r"a\.b",
            "(a.*|.*b)1",
            "a.*|.*b",
            "((a|b).*)+|1",
            "[ab]+",
            "a{2}",
            ".",
            "a.b",
            "(?-s:.*)",
            "[^a]",
            "[aé]",
            ".+.+",
            "a$|b",
            "^a",
            "a)|(b",
            r"\d",
        ];
        for pattern in patterns {
            let ours = AnchoredRegex::new(pattern).expect(pattern);
            let theirs = Regex::new(&format!("^(?s:{pattern})$")).expect(pattern);
            for text in texts() {
                assert_eq!(ours.is_match(&text), theirs.is_match(&text), "{pattern:?} on {text:?}");
            }
        }
    }

    #[test]
    fn usual_expressions_need_no_automaton() {
        let usual = ["node_memory_.*_bytes", r"10\.0\.0\.[1-3]:.*", "GET|POST|(PUT|PATCH)", "api-(eu|us)-.+", ".*", "", "5..?|4[0-9]?"];
        let found: Vec<_> = usual.into_iter().filter(|pattern| !is_glob(pattern)).collect();
        assert_eq!(found, ["5..?|4[0-9]?"]);
        assert!(!is_glob("[a-z]+") && !is_glob(&"(ab|c)".repeat(7)));
    }

    #[test]
    fn what_is_no_expression_is_told_as_before() {
        assert!(AnchoredRegex::new("(").expect_err("an open group is no expression").to_string().contains("unclosed group"));
        assert!(AnchoredRegex::new("((a{1,100}){1,100}){1,100}").is_err());
    }
}
