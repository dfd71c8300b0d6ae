/// Reads the quoted text at the start of the input, in Go's escapes: its value and the length of what was read.
/// A byte escape that makes no UTF-8 (`\\xFF`) becomes U+FFFD, which no stored label can hold.
pub fn unquote(input: &str) -> Result<(String, usize), String> {
    let quote = input.as_bytes()[0];
    if quote == b'`' {
        let end = input[1..].find('`').ok_or("unterminated raw string")?;
        let value = &input[1..1 + end];
        return match value.contains('\u{fffd}') {
            true => Err("invalid UTF-8 rune".to_owned()),
            false => Ok((value.to_owned(), end + 2)),
        };
    }
    let (mut at, mut bytes) = (1, Vec::new());
    loop {
        let c = input[at..].chars().next().ok_or("unterminated quoted string")?;
        at += c.len_utf8();
        match c {
            '\n' => return Err("unterminated quoted string".to_owned()),
            '\u{fffd}' => return Err("invalid UTF-8 rune".to_owned()),
            '\\' => at += escape(&input[at..], quote, &mut bytes)?,
            c if c == char::from(quote) => return Ok((String::from_utf8_lossy(&bytes).into_owned(), at)),
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Reads what follows a backslash; the length of what was read.
fn escape(text: &str, quote: u8, bytes: &mut Vec<u8>) -> Result<usize, String> {
    let c = text.chars().next().ok_or("escape sequence not terminated")?;
    let plain = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        c if c == char::from(quote) => quote,
        'x' => return numeric(text, 1, 2, 16, bytes),
        '0'..='7' => return numeric(text, 0, 3, 8, bytes),
        'u' => return numeric(text, 1, 4, 16, bytes),
        'U' => return numeric(text, 1, 8, 16, bytes),
        c => return Err(format!("unknown escape sequence U+{:04X} {c:?}", c as u32)),
    };
    bytes.push(plain);
    Ok(1)
}

/// `skip` letters, then `digits` digits of the base: a byte, or a code point after `u` and `U`.
fn numeric(text: &str, skip: usize, digits: usize, base: u32, bytes: &mut Vec<u8>) -> Result<usize, String> {
    let mut value = 0;
    let mut chars = text[skip..].chars();
    for _ in 0..digits {
        let c = chars.next().ok_or("escape sequence not terminated")?;
        let digit = c.to_digit(base).ok_or_else(|| format!("illegal character U+{:04X} {c:?} in escape sequence", c as u32))?;
        value = value * base + digit;
    }
    match (digits, u8::try_from(value)) {
        (2 | 3, Ok(byte)) => bytes.push(byte),
        (2 | 3, Err(_)) => return Err("escape sequence is an invalid byte".to_owned()),
        _ => {
            let c = char::from_u32(value).ok_or("escape sequence is an invalid Unicode code point")?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok(skip + digits)
}

/// The text in double quotes, as Prometheus prints it.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            '\u{fffd}' => out.push_str("\\ufffd"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_ascii() || is_printable(c) => out.push(c),
            c if (c as u32) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out.push('"');
    out
}

/// Whether the standard library, and so Go's, shows the character as it is; marks that join the one before are shown.
fn is_printable(c: char) -> bool {
    let mut after_a_letter = String::from('a');
    after_a_letter.push(c);
    after_a_letter.escape_debug().nth(1) == Some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_written() {
        assert_eq!(unquote(r#""a\n\x41\101\u00e9" rest"#), Ok(("a\nAA\u{e9}".to_owned(), 19)));
        assert_eq!(unquote(r"'it\'s'"), Ok(("it's".to_owned(), 7)));
        assert_eq!(unquote(r"`a\n`"), Ok((r"a\n".to_owned(), 5)));
        assert!(unquote(r#""\c""#).is_err() && unquote("\"open").is_err());
        assert_eq!(quote("a\"\\\n"), r#""a\"\\\n""#);
        assert_eq!(quote("\u{7}\u{7f}\u{a0}\u{200b}e\u{301}üü🦉"), "\"\\a\\x7f\\u00a0\\u200be\u{301}üü🦉\"");
    }
}
