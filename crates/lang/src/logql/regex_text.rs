use std::borrow::Cow;

/// A regular expression as LogQL's users write it, for the `regex` crate: RE2 reads a `{` that opens no repetition as
/// itself (`{"level"`), the crate refuses it.
pub fn regex_text(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut copied, mut class, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        let literal_brace = c == '{' && !escaped && !class && (at == 0 || !repeats(&text[at..])) && !names_class(&text[..at]);
        match c {
            _ if escaped => {}
            '[' if !class => class = true,
            ']' => class = false,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if literal_brace {
            out.push_str(&text[copied..at]);
            out.push('\\');
            copied = at;
        }
    }
    if copied == 0 && out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Whether the text starts with `{n}`, `{n,}` or `{n,m}`.
fn repeats(text: &str) -> bool {
    let Some((inside, _)) = text[1..].split_once('}') else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, "0"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

/// `\p{Greek}`, `\x{10FFFF}`: the brace belongs to the escape before it.
fn names_class(before: &str) -> bool {
    before.ends_with("\\p") || before.ends_with("\\P") || before.ends_with("\\x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_braces_that_repeat_nothing_are_escaped() {
        for (text, expect) in [
            (r#"{"level":"error""#, r#"\{"level":"error""#),
            ("a{2,3}b{4}", "a{2,3}b{4}"),
            ("x{foo}", r"x\{foo}"),
            (r"[{]\{\p{Greek}", r"[{]\{\p{Greek}"),
        ] {
            assert_eq!(regex_text(text), expect);
            regex::Regex::new(expect).expect("the crate takes it");
        }
    }
}
