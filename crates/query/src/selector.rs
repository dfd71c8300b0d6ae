//! Label matchers as exact filters of a scan, and as tests on a value.

use model::{Error, MatchOp, Matcher, Result, Test};
use regex::Regex;

/// A matcher ready to run.
pub(crate) struct Compiled {
    pub(crate) name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

impl Compiled {
    pub(crate) fn new(matcher: &Matcher) -> Result<Self> {
        let regex = match matcher.op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored(&matcher.value).map_err(|error| {
                Error::invalid(format!("cannot parse the regular expression of matcher {}{}{:?}", matcher.name, matcher.op, matcher.value))
                    .because(error)
            })?),
        };
        Ok(Self { name: matcher.name.clone(), op: matcher.op, value: matcher.value.clone(), regex })
    }

    /// A missing label is the empty value.
    pub(crate) fn accepts(&self, value: &str) -> bool {
        let matches = self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => matches,
            MatchOp::NotRegex => !matches,
        }
    }

    pub(crate) fn test(&self) -> Test {
        let value = self.value.clone();
        match self.op {
            MatchOp::Equal => Test::Equal(value),
            MatchOp::NotEqual => Test::NotEqual(value),
            MatchOp::Regex => Test::Regex(value),
            MatchOp::NotRegex => Test::NotRegex(value),
        }
    }
}

/// As [`Test::Regex`] defines it.
pub(crate) fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?s:{pattern})$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_anchored_and_missing_is_empty() {
        let check = |op, pattern: &str, value: &str| Compiled::new(&Matcher::new("job", op, pattern)).unwrap().accepts(value);
        assert!(check(MatchOp::Regex, "a|b", "b") && !check(MatchOp::Regex, "a|b", "ab"));
        assert!(check(MatchOp::Regex, "a.c", "a\nc") && check(MatchOp::Regex, ".*", ""));
        assert!(check(MatchOp::NotRegex, ".+", "") && check(MatchOp::NotEqual, "x", ""));
        assert!(check(MatchOp::Equal, "", "") && !check(MatchOp::Equal, "a", ""));
        let Err(error) = Compiled::new(&Matcher::new("job", MatchOp::Regex, "(")) else { panic!("an open group is no pattern") };
        assert_eq!(error.what, r#"cannot parse the regular expression of matcher job=~"(""#);
    }
}
