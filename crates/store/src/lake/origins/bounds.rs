//! Least and greatest text of a page or a column, cut to what statistics are worth.

/// A longer bound is cut, as Parquet's own writer does.
const BYTES_MAX: usize = 64;

/// No greater than the text; and whether it is the text.
pub(super) fn least(text: &str) -> (&[u8], bool) {
    let bound = cut(text);
    (bound.as_bytes(), bound.len() == text.len())
}

/// No less than the text; and whether it is the text.
pub(super) fn greatest(text: &str) -> (Vec<u8>, bool) {
    let mut bound = cut(text).to_owned();
    if bound.len() == text.len() {
        return (bound.into_bytes(), true);
    }
    while let Some(last) = bound.pop() {
        if let Some(next) = next_char(last) {
            bound.push(next);
            return (bound.into_bytes(), false);
        }
    }
    (text.as_bytes().to_vec(), true)
}

fn cut(text: &str) -> &str {
    let end = (0..=BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// Surrogates are no characters.
fn next_char(character: char) -> Option<char> {
    match character {
        '\u{d7ff}' => Some('\u{e000}'),
        other => char::from_u32(u32::from(other) + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_lies_between_its_bounds() {
        let long = |character: &str| character.repeat(90);
        for text in [long("a"), long("ä"), long("\u{d7ff}"), long("\u{10ffff}"), format!("{}\u{10ffff}{}", "b".repeat(60), "b".repeat(9))]
        {
            let ((low, is_least), (high, is_greatest)) = (least(&text), greatest(&text));
            assert!(low < text.as_bytes() && text.as_bytes() <= &high[..] && !is_least, "{text}");
            assert!(std::str::from_utf8(low).is_ok() && std::str::from_utf8(&high).is_ok());
            assert_eq!(is_greatest, high == text.as_bytes());
            assert!(low.len() <= BYTES_MAX && (is_greatest || high.len() <= BYTES_MAX + 3));
        }
        let short = "c".repeat(BYTES_MAX);
        assert_eq!((least(&short), greatest(&short)), ((short.as_bytes(), true), (short.as_bytes().to_vec(), true)));
        assert_eq!((least(""), greatest("")), ((&b""[..], true), (Vec::new(), true)));
    }
}
