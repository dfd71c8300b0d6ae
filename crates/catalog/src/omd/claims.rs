//! Whether two components claim the same senders: by the same rule, or by two of which neither is the more specific one.

use std::collections::HashMap;

use crate::checks::Check;
use crate::declared::{Match, Pattern};
use crate::omd::read::Claim;
use crate::problem::{Diagnostic, Origin};
use crate::rules::{anchored, glob_matches, label_name, rank};

/// Pairs of rules that are looked at closely. What is beyond would be told apart by the order of the files, as it always was.
const COMPARED_MAX: usize = 5_000_000;

/// The keys of a rule and its rank: of two rules that agree in both either may be asked first.
type Alike = (Vec<String>, Rank);

/// What is claimed elsewhere came first and is never told.
pub(super) fn conflicts(claims: &[Claim], is_elsewhere: impl Fn(&Origin) -> bool) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut first: HashMap<Match, &Claim> = HashMap::new();
    let mut groups: HashMap<Alike, Group<'_>> = HashMap::new();
    for claim in claims {
        // Attributes are compared as samples spell them: a rule for `service.name` looks at `service_name` as well.
        let mut rule = Match(claim.rule.0.iter().map(|(key, pattern)| (label_name(key), pattern.clone())).collect());
        rule.0.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(other) = first.get(&rule) {
            // One component may well name both spellings.
            if (other.path != claim.path || other.rule == claim.rule) && !is_elsewhere(&claim.at) {
                let what = format!("cannot match the same attributes twice: {} at {} has this rule", other.path, other.at);
                diagnostics.push(Diagnostic::at(&claim.at, Check::DuplicateClaim, what));
            }
            continue;
        }
        first.insert(rule.clone(), claim);
        // Two rules of exact values overlap only if they are the same.
        if rule.0.iter().any(|(_, pattern)| !matches!(pattern, Pattern::Exact(_))) {
            let keys = rule.0.iter().map(|(key, _)| key.clone()).collect();
            groups.entry((keys, rank(&rule))).or_default().push((claim, rule));
        }
    }
    let mut left = COMPARED_MAX;
    for group in groups.into_values() {
        overlaps(group, &mut left, &is_elsewhere, &mut diagnostics);
    }
    diagnostics
}

type Rank = (usize, usize, usize);

/// Rules as samples spell their attributes.
type Group<'c> = Vec<(&'c Claim, Match)>;

/// Of rules for the same attributes and of the same rank.
fn overlaps(mut group: Group<'_>, left: &mut usize, is_elsewhere: &impl Fn(&Origin) -> bool, into: &mut Vec<Diagnostic>) {
    // Patterns whose literal beginnings differ have no value in common, and sorted by these the others stand side by side.
    let start = |rule: &Match| rule.0.first().map_or("", |(_, pattern)| literal_start(pattern)).to_owned();
    let sorted = |claim: &Claim| (claim.at.file.clone(), claim.at.line, claim.at.column);
    group.sort_by_cached_key(|(claim, rule)| (start(rule), sorted(claim)));
    for (position, (one, rule)) in group.iter().enumerate() {
        let start_of_one = start(rule);
        for (other, other_rule) in &group[position + 1..] {
            if *left == 0 || !start(other_rule).starts_with(&start_of_one) {
                break;
            }
            *left -= 1;
            if one.path == other.path || is_elsewhere(&one.at) && is_elsewhere(&other.at) {
                continue;
            }
            let Some(values) = rule.0.iter().zip(&other_rule.0).map(|((_, a), (_, b))| both(a, b)).collect::<Option<Vec<_>>>() else {
                continue;
            };
            // Whoever was there first keeps it.
            let (first, later) =
                if is_elsewhere(&other.at) || sorted(other) < sorted(one) && !is_elsewhere(&one.at) { (other, one) } else { (one, other) };
            let sender: Vec<String> = later
                .rule
                .0
                .iter()
                .map(|(key, _)| key)
                .zip(spelled(later, &values))
                .map(|(key, value)| format!("{key}={value:?}"))
                .collect();
            let what =
                format!("cannot tell whose {} is: {} at {} claims it with a rule of the same rank", sender.join(" "), first.path, first.at);
            into.push(Diagnostic::at(&later.at, Check::OverlappingClaims, what));
        }
    }
}

/// Values stand in the order of the attributes as samples spell them, which may be another than that of the rule.
fn spelled<'v>(claim: &Claim, values: &'v [String]) -> Vec<&'v str> {
    let mut labels: Vec<String> = claim.rule.0.iter().map(|(key, _)| label_name(key)).collect();
    let own = labels.clone();
    labels.sort();
    let place = |label: &String| labels.iter().position(|other| other == label).and_then(|at| values.get(at));
    own.iter().map(|label| place(label).map_or("", String::as_str)).collect()
}

fn literal_start(pattern: &Pattern) -> &str {
    match pattern {
        Pattern::Exact(text) => text,
        Pattern::Glob(glob) => glob.split(['*', '?']).next().unwrap_or_default(),
        Pattern::Regex(_) => "",
    }
}

/// A value that both take. Whether two regular expressions have one is not looked for.
fn both(one: &Pattern, other: &Pattern) -> Option<String> {
    match (one, other) {
        (Pattern::Exact(a), Pattern::Exact(b)) => (a == b).then(|| a.clone()),
        (Pattern::Exact(text), Pattern::Glob(glob)) | (Pattern::Glob(glob), Pattern::Exact(text)) => {
            glob_matches(glob, text).then(|| text.clone())
        }
        (Pattern::Exact(text), Pattern::Regex(regex)) | (Pattern::Regex(regex), Pattern::Exact(text)) => {
            anchored(regex).is_ok_and(|regex| regex.is_match(text)).then(|| text.clone())
        }
        (Pattern::Glob(a), Pattern::Glob(b)) => common(a, b),
        (Pattern::Regex(a), Pattern::Regex(b)) => (a == b).then(|| a.clone()),
        (Pattern::Regex(_), Pattern::Glob(_)) | (Pattern::Glob(_), Pattern::Regex(_)) => None,
    }
}

/// A text that both globs take, by the table of which of their rests have one in common.
fn common(a: &str, b: &str) -> Option<String> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut meet = vec![vec![false; b.len() + 1]; a.len() + 1];
    for i in (0..=a.len()).rev() {
        for j in (0..=b.len()).rev() {
            meet[i][j] = match (a.get(i), b.get(j)) {
                (None, None) => true,
                (Some('*'), right) => meet[i + 1][j] || right.is_some() && meet[i][j + 1],
                (left, Some('*')) => meet[i][j + 1] || left.is_some() && meet[i + 1][j],
                (Some(left), Some(right)) => (left == right || *left == '?' || *right == '?') && meet[i + 1][j + 1],
                _ => false,
            };
        }
    }
    meet[0][0].then(|| walk(&a, &b, &meet))
}

fn walk(a: &[char], b: &[char], meet: &[Vec<bool>]) -> String {
    let (mut i, mut j, mut text) = (0, 0, String::new());
    let mut say = |c: char| text.push(if c == '?' { 'x' } else { c });
    while let (Some(_), _) | (_, Some(_)) = (a.get(i), b.get(j)) {
        match (a.get(i), b.get(j)) {
            (Some('*'), _) if meet[i + 1][j] => i += 1,
            (_, Some('*')) if meet[i][j + 1] => j += 1,
            (Some('*'), Some(right)) => {
                say(*right);
                j += 1;
            }
            (Some(left), Some('*')) => {
                say(*left);
                i += 1;
            }
            (Some(left), Some(right)) => {
                say(if *left == '?' { *right } else { *left });
                (i, j) = (i + 1, j + 1);
            }
            _ => unreachable!("the table says that the rests have a text in common"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_that_have_a_value_in_common() {
        for (a, b, expect) in [
            ("player-*", "*-web", Some("player-web")),
            ("a*c", "ab*", Some("abc")),
            ("a?c", "?b?", Some("abc")),
            ("a*", "b*", None),
            ("*a", "*b", None),
            ("a*b*c", "*x*", Some("axbc")),
            ("a?", "a", None),
            ("**", "?", Some("x")),
        ] {
            let found = common(a, b);
            assert_eq!(found.is_some(), expect.is_some(), "{a} and {b}: {found:?}");
            if let Some(text) = found {
                assert!(glob_matches(a, &text) && glob_matches(b, &text), "{a} and {b}: {text}");
            }
        }
    }
}
