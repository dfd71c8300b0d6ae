//! What a program may be before anybody compiles it. VRL has no loops, and what runs is stopped by a clock between two expressions; what
//! is left is one expression that takes all memory (a text times a number), and a program so deep that its reader has no stack left.

use super::ProgramFault;

/// Of one program.
pub const PROGRAM_BYTES_MAX: usize = 16 << 10;
/// Characters of a program that can nest one expression in another.
pub const OPERATORS_MAX: usize = 512;

pub(super) fn check(source: &str) -> Result<(), ProgramFault> {
    if source.len() > PROGRAM_BYTES_MAX {
        return Err((0, format!("{} bytes are over program_bytes_max, {PROGRAM_BYTES_MAX}", source.len())));
    }
    let (mut operators, mut before) = (0, "");
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let at = source.len() - rest.len();
        let token = &rest[..token_len(rest, before)];
        rest = &rest[token.len()..];
        match first {
            ' ' | '\t' | '\n' | '\r' | '#' => continue,
            '*' => {
                if !is_decimal(before) && !is_decimal(rest.trim_start()) {
                    let what = "one side of * is a number with a decimal point (2.0): a text times a number could take all memory";
                    return Err((at, what.to_owned()));
                }
                operators += 1;
            }
            '+' | '-' | '/' | '%' | '&' | '|' | '=' | '!' | '<' | '>' | '?' | '(' | '[' | '{' => operators += 1,
            _ if matches!(token, "else" | "if" | "abort" | "return") => operators += 1,
            _ => {}
        }
        if operators > OPERATORS_MAX {
            return Err((at, format!("the program has more than operators_max, {OPERATORS_MAX}: spread it over stages")));
        }
        before = token;
    }
    Ok(())
}

/// A text with its quotes, a comment, a word or a number, else one character.
fn token_len(rest: &str, before: &str) -> usize {
    let bytes = rest.as_bytes();
    match bytes[0] {
        b'#' => rest.find('\n').unwrap_or(rest.len()),
        b'"' => quoted(bytes, 0, b'"'),
        // r'..', s'..', t'..'; a word may end in these letters.
        b'r' | b's' | b't' if bytes.get(1) == Some(&b'\'') && before != "." => quoted(bytes, 1, b'\''),
        first if first.is_ascii_alphanumeric() || first == b'_' => {
            let number = first.is_ascii_digit();
            let inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || number && *byte == b'.';
            bytes.iter().take_while(|byte| inside(byte)).count()
        }
        _ => rest.chars().next().map_or(1, char::len_utf8),
    }
}

/// To the end of what is quoted, or of the text.
fn quoted(bytes: &[u8], open: usize, quote: u8) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Whether the text begins with a number that has a decimal point.
fn is_decimal(text: &str) -> bool {
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'_').count();
    digits > 0 && text.as_bytes().get(digits) == Some(&b'.') && text.as_bytes().get(digits + 1).is_some_and(u8::is_ascii_digit)
}
