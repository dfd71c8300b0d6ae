//! Declarations compiled for look-up. Of all rules that match, the highest in rank wins: more attributes first, then
//! more exact values, then more literal characters in globs, then the order of the files.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use model::Identity;
use regex::Regex;

use crate::declared::{BusinessService, Match, Pattern};

#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Highest rank first.
    rules: Vec<Rule>,
    /// Attribute, then value, to the rules whose first exact test it is: a company has thousands of exact rules.
    exact: HashMap<String, (String, HashMap<String, Vec<usize>>)>,
    /// The rules without an exact test.
    open: Vec<usize>,
    /// All attributes and labels that a test looks at.
    pub(crate) names: HashSet<String>,
}

#[derive(Debug)]
struct Rule {
    tests: Vec<Test>,
    identity: Identity,
}

#[derive(Debug)]
struct Test {
    key: String,
    /// The key as samples spell it; empty when that is the same.
    label: String,
    value: ValueTest,
}

#[derive(Debug)]
enum ValueTest {
    Exact(String),
    Glob(String),
    Regex(Regex),
}

impl Rules {
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(crate) fn compile(business_services: &[BusinessService]) -> Self {
        let mut ranked = Vec::new();
        for business in business_services {
            for service in &business.services {
                for component in &service.components {
                    let profile = component.profile.within(&service.profile.within(&business.profile));
                    let identity = Identity {
                        business_service: business.name.clone(),
                        service: service.name.clone(),
                        component: component.name.clone(),
                        environment: profile.environment,
                        team: profile.owners.into_iter().next().map(|owner| owner.team).unwrap_or_default(),
                        ..Identity::default()
                    };
                    ranked.extend(component.matches.iter().map(|rule| (rank(rule), Rule::compile(rule, identity.clone()))));
                }
            }
        }
        ranked.sort_by_key(|(rank, _)| Reverse(*rank));
        let mut rules = Self { rules: ranked.into_iter().map(|(_, rule)| rule).collect(), ..Self::default() };
        rules.index();
        let tests = || rules.rules.iter().flat_map(|rule| &rule.tests);
        rules.names = tests().flat_map(|test| [&test.key, &test.label]).filter(|name| !name.is_empty()).cloned().collect();
        rules
    }

    fn index(&mut self) {
        for (position, rule) in self.rules.iter().enumerate() {
            let first = rule.tests.iter().find_map(|test| match &test.value {
                ValueTest::Exact(value) => Some((test, value)),
                _ => None,
            });
            match first {
                Some((test, value)) => {
                    let (_, values) = self.exact.entry(test.key.clone()).or_insert_with(|| (test.label.clone(), HashMap::new()));
                    values.entry(value.clone()).or_default().push(position);
                }
                None => self.open.push(position),
            }
        }
    }

    pub(crate) fn first_match<'a>(&self, lookup: &impl Fn(&str) -> Option<&'a str>) -> Option<Identity> {
        let mut best = usize::MAX;
        let mut consider = |candidates: &[usize]| {
            // Candidates ascend, so the first that matches is the best of them.
            if let Some(&found) = candidates.iter().take_while(|&&position| position < best).find(|&&at| self.rules[at].matches(lookup)) {
                best = found;
            }
        };
        for (key, (label, values)) in &self.exact {
            if let Some(candidates) = value_of(key, label, lookup).and_then(|value| values.get(value)) {
                consider(candidates);
            }
        }
        consider(&self.open);
        self.rules.get(best).map(|rule| rule.identity.clone())
    }
}

/// More is higher: attributes, exact values, literal characters of globs.
pub(crate) fn rank(rule: &Match) -> (usize, usize, usize) {
    let exact = rule.0.iter().filter(|(_, pattern)| matches!(pattern, Pattern::Exact(_))).count();
    let literal = |pattern: &Pattern| match pattern {
        Pattern::Glob(glob) => glob.chars().filter(|c| !matches!(c, '*' | '?')).count(),
        _ => 0,
    };
    (rule.0.len(), exact, rule.0.iter().map(|(_, pattern)| literal(pattern)).sum())
}

fn value_of<'a>(key: &str, label: &str, lookup: &impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    lookup(key).or_else(|| if label.is_empty() { None } else { lookup(label) })
}

impl Rule {
    fn compile(rule: &Match, identity: Identity) -> Self {
        let test = |(key, pattern): &(String, Pattern)| {
            let legal = label_name(key);
            let value = match pattern {
                Pattern::Exact(value) => ValueTest::Exact(value.clone()),
                Pattern::Glob(glob) => ValueTest::Glob(glob.clone()),
                Pattern::Regex(regex) => {
                    ValueTest::Regex(anchored(regex).expect("omd.rs reads no regular expression that does not compile"))
                }
            };
            Test { label: if legal == *key { String::new() } else { legal }, key: key.clone(), value }
        };
        Self { tests: rule.0.iter().map(test).collect(), identity }
    }

    fn matches<'a>(&self, lookup: &impl Fn(&str) -> Option<&'a str>) -> bool {
        self.tests.iter().all(|test| {
            value_of(&test.key, &test.label, lookup).is_some_and(|value| match &test.value {
                ValueTest::Exact(wanted) => value == wanted,
                ValueTest::Glob(glob) => glob_matches(glob, value),
                ValueTest::Regex(regex) => regex.is_match(value),
            })
        })
    }
}

/// Bytes of one compiled expression.
pub(crate) const REGEX_BYTES_MAX: usize = 1 << 20;

pub(crate) fn anchored(regex: &str) -> Result<Regex, regex::Error> {
    regex::RegexBuilder::new(&format!("^(?s:{regex})$")).size_limit(REGEX_BYTES_MAX).build()
}

/// An attribute's name as a Prometheus label: every character outside `[a-zA-Z0-9_]` becomes `_`.
pub(crate) fn label_name(key: &str) -> String {
    let mut name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// `*` is any text, `?` any one character. On a mismatch only the last star is tried again, so the time is at most the
/// product of the lengths.
pub(crate) fn glob_matches(glob: &str, text: &str) -> bool {
    let (mut glob, mut text) = (glob.chars(), text.chars());
    let mut retry = None;
    loop {
        match glob.next() {
            Some('*') => retry = Some((glob.clone(), text.clone())),
            None if text.as_str().is_empty() => return true,
            wanted => {
                let found = text.next();
                if wanted.is_some() && found.is_some() && (wanted == Some('?') || wanted == found) {
                    continue;
                }
                let Some((after_star, rest)) = &mut retry else { return false };
                if rest.next().is_none() {
                    return false;
                }
                (glob, text) = (after_star.clone(), rest.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (glob, text, expect) in [
            ("player-*", "player-web", true),
            ("player-*", "player-", true),
            ("player-*", "my-player-web", false),
            ("*", "", true),
            ("*-api-?", "eu-api-v-api-2", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*b*c", "axxbyyb", false),
            ("a*b*c", "axxbyybc", true),
            ("é*", "école", true),
        ] {
            assert_eq!(glob_matches(glob, text), expect, "{glob} on {text}");
        }
    }
}
