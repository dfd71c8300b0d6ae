//! Label matchers of both languages, as filters of a scan and as tests on a value. A missing label is the empty value.

use lang::regex_text;
use model::{AnchoredRegex, Error, MatchOp, Matcher, Result, Test};

/// A comparison of one text, ready to run.
pub(crate) enum TextTest {
    Equal(String),
    NotEqual(String),
    Regex(AnchoredRegex),
    NotRegex(AnchoredRegex),
}

impl TextTest {
    pub(crate) fn new(op: MatchOp, value: &str) -> Result<Self, regex::Error> {
        Ok(match op {
            MatchOp::Equal => Self::Equal(value.to_owned()),
            MatchOp::NotEqual => Self::NotEqual(value.to_owned()),
            MatchOp::Regex => Self::Regex(lang::whole(value)?),
            MatchOp::NotRegex => Self::NotRegex(lang::whole(value)?),
        })
    }

    pub(crate) fn passes(&self, text: &str) -> bool {
        match self {
            Self::Equal(value) => text == value,
            Self::NotEqual(value) => text != value,
            Self::Regex(regex) => regex.is_match(text),
            Self::NotRegex(regex) => !regex.is_match(text),
        }
    }
}

/// A matcher ready to run.
pub(crate) struct Compiled {
    pub(crate) name: String,
    test: TextTest,
}

impl Compiled {
    pub(crate) fn new(matcher: &Matcher) -> Result<Self> {
        let Matcher { name, op, value } = matcher;
        let test = TextTest::new(*op, value).map_err(|error| {
            Error::invalid(format!("cannot parse the regular expression of matcher {name}{op}{value:?}")).because(error)
        })?;
        Ok(Self { name: name.clone(), test })
    }

    pub(crate) fn accepts(&self, value: &str) -> bool {
        self.test.passes(value)
    }
}

/// The same for a scan.
pub(crate) fn scan_test(op: MatchOp, value: &str) -> Test {
    match op {
        MatchOp::Equal => Test::Equal(value.to_owned()),
        MatchOp::NotEqual => Test::NotEqual(value.to_owned()),
        MatchOp::Regex => Test::Regex(regex_text(value).into_owned()),
        MatchOp::NotRegex => Test::NotRegex(regex_text(value).into_owned()),
    }
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
