use std::borrow::Cow;

/// The `key=value` and `key="a \"value\""` of a line, as logfmt has them; words that are no pair are passed over.
pub fn pairs(line: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find('=')?;
            let key_start = rest[..at].rfind(|c: char| c <= ' ' || c == '"').map_or(0, |before| before + 1);
            let (key, value) = (&rest[key_start..at], &rest[at + 1..]);
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => unquoted(quoted),
                None => {
                    let end = value.find(|c: char| c <= ' ').unwrap_or(value.len());
                    (Cow::Borrowed(&value[..end]), &value[end..])
                }
            };
            rest = after;
            if !key.is_empty() {
                return Some((key, value));
            }
        }
    })
}

/// To the quote that ends it, else to the end of the line.
fn unquoted(text: &str) -> (Cow<'_, str>, &str) {
    let mut out = String::new();
    let mut plain = 0;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if plain == 0 && out.is_empty() => return (Cow::Borrowed(&text[..at]), &text[at + 1..]),
            '"' => {
                out.push_str(&text[plain..at]);
                return (Cow::Owned(out), &text[at + 1..]);
            }
            '\\' => {
                out.push_str(&text[plain..at]);
                let Some((escaped, c)) = chars.next() else { return (Cow::Owned(out), "") };
                match c {
                    'n' => out.push('\n'),
                    'r' => out.push('\r'),
                    't' => out.push('\t'),
                    other => out.push(other),
                }
                plain = escaped + c.len_utf8();
            }
            _ => {}
        }
    }
    out.push_str(&text[plain..]);
    (Cow::Owned(out), "")
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[track_caller]
    fn check(line: &str, expected: &[(&str, &str)]) {
        let found: Vec<_> = pairs(line).map(|(key, value)| (key, value.into_owned())).collect();
        let expected: Vec<_> = expected.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn pairs_of_lines() {
        check("", &[]);
        check("no pairs here", &[]);
        check("level=info msg=\"it is done\" took=5ms", &[("level", "info"), ("msg", "it is done"), ("took", "5ms")]);
        check(r#"a="x \"y\" \\ z\n" b= c=\"d"#, &[("a", "x \"y\" \\ z\n"), ("b", ""), ("c", "\\\"d")]);
        check(r#"open="never closed"#, &[("open", "never closed")]);
        check(r#"end="\"#, &[("end", "")]);
        check("=nameless x=1 y==2", &[("x", "1"), ("y", "=2")]);
        check("größe=5 é", &[("größe", "5")]);
    }
}
