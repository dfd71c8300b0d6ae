/// A piece of the text in `| pattern "..."` and `|> "..."`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternPart {
    Literal(String),
    /// `<name>`
    Capture(String),
    /// `<_>`
    Skip,
}

/// `<ip> - <_> "<method> <path>"`: literals and captures in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub parts: Vec<PatternPart>,
}

impl Pattern {
    /// The parts; or why two captures without a literal between them cannot be told apart.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts: Vec<PatternPart> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let part = match capture(rest) {
                Some((name, after)) => {
                    rest = after;
                    if matches!(parts.last(), Some(PatternPart::Capture(_) | PatternPart::Skip)) {
                        return Err(format!("found consecutive capture <{name}>: put a literal before it"));
                    }
                    if name == "_" { PatternPart::Skip } else { PatternPart::Capture(name.to_owned()) }
                }
                None => {
                    let end = rest.char_indices().skip(1).find(|(_, c)| *c == '<').map_or(rest.len(), |(at, _)| at);
                    let literal = &rest[..end];
                    rest = &rest[end..];
                    if let Some(PatternPart::Literal(before)) = parts.last_mut() {
                        before.push_str(literal);
                        continue;
                    }
                    PatternPart::Literal(literal.to_owned())
                }
            };
            parts.push(part);
        }
        Ok(Self { parts })
    }

    /// For `| pattern`: there must be something to extract, each name once.
    pub fn parse_extracting(text: &str) -> Result<Self, String> {
        let pattern = Self::parse(text)?;
        let mut names: Vec<_> = pattern.names().collect();
        if names.is_empty() {
            return Err("at least one capture is required".to_owned());
        }
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("duplicate capture name: {}", pair[0]));
        }
        Ok(pattern)
    }

    /// For `|>`: only `<_>`.
    pub fn parse_matching(text: &str) -> Result<Self, String> {
        let pattern = Self::parse(text)?;
        if let Some(name) = pattern.names().next() {
            return Err(format!("named captures are not allowed: <{name}>"));
        }
        Ok(pattern)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            PatternPart::Capture(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether the whole line has this shape; a capture holds one byte or more.
    pub fn matches(&self, line: &str) -> bool {
        let mut rest = line;
        let last = self.parts.len().saturating_sub(1);
        let mut captured = false;
        for (index, part) in self.parts.iter().enumerate() {
            let PatternPart::Literal(literal) = part else {
                captured = true;
                continue;
            };
            let found = match (captured, index == last) {
                (false, _) => rest.starts_with(literal.as_str()).then_some(0),
                (true, true) => rest.ends_with(literal.as_str()).then(|| rest.len() - literal.len()).filter(|&at| at > 0),
                // A capture in front takes one byte at least.
                (true, false) => rest.char_indices().nth(1).and_then(|(one, _)| Some(one + rest[one..].find(literal.as_str())?)),
            };
            let Some(found) = found else { return false };
            rest = &rest[found + literal.len()..];
            captured = false;
        }
        rest.is_empty() != captured
    }

    /// Gives each named capture's text. A line that ends early fills the leading captures only.
    pub fn extract<'a>(&self, line: &'a str, mut give: impl FnMut(&str, &'a str)) {
        let mut rest = line;
        let mut parts = self.parts.iter().peekable();
        if let Some(PatternPart::Literal(literal)) = parts.peek() {
            let Some(after) = rest.strip_prefix(literal.as_str()) else { return };
            rest = after;
            parts.next();
        }
        while let Some(part) = parts.next() {
            let (value, after) = match parts.next() {
                Some(PatternPart::Literal(literal)) => match rest.split_once(literal.as_str()) {
                    Some((value, after)) => (value, Some(after)),
                    None => (rest, None),
                },
                _ => (rest, None),
            };
            if let PatternPart::Capture(name) = part {
                give(name, value);
            }
            match after {
                Some(after) => rest = after,
                None => return,
            }
        }
    }
}

/// The name in `<name>` at the start of the text, and what follows it.
fn capture(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('<')?;
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let (name, after) = (&inside[..end], inside[end..].strip_prefix('>')?);
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_match_whole_lines() {
        let check = |pattern: &str, line: &str, expect: bool| {
            assert_eq!(Pattern::parse_matching(pattern).expect("a pattern").matches(line), expect, "{pattern} on {line}");
        };
        check("GET <_> 200", "GET /api 200", true);
        check("GET <_> 200", "GET /api 500", false);
        check("GET", "GET /api", false);
        check("<_>error<_>", "an error here", true);
        check("<_>error<_>", "error", false);
        check("<_>a", "aaa", true);
        check("<a b <_>", "<a b c", true);
    }

    #[test]
    fn captures_are_taken_in_turn() {
        let check = |pattern: &str, line: &str, expect: &[(&str, &str)]| {
            let mut found = Vec::new();
            let pattern = Pattern::parse_extracting(pattern).expect("a pattern");
            pattern.extract(line, |name, value| found.push((name.to_owned(), value)));
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            assert_eq!(found, expect);
        };
        check("<method> <_> <status>", "GET /home 200", &[("method", "GET"), ("status", "200")]);
        check("<method> <path> <status>", "GET /home", &[("method", "GET"), ("path", "/home")]);
        check("[<level>] <msg>", "(x) y", &[]);
    }

    #[test]
    fn ambiguous_and_empty_patterns_are_refused() {
        assert!(Pattern::parse_extracting("<a><b>").is_err());
        assert!(Pattern::parse_extracting("<a> <a>").is_err());
        assert!(Pattern::parse_extracting("plain <_>").is_err());
        assert!(Pattern::parse_matching("<verb> x").is_err());
    }
}
