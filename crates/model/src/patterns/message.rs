//! Which part of a body is its message.

use memchr::{memchr, memchr2, memmem};

/// A longer message is looked at so far.
const MESSAGE_BYTES_MAX: usize = 2 << 10;
/// A document is searched for its message so far.
const DOCUMENT_BYTES_MAX: usize = 16 << 10;

/// The part of a body that its author wrote for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) text: &'a str,
    /// Whether the body has something before it, and something after it.
    pub(super) before: bool,
    pub(super) after: bool,
    /// It is a JSON document without a message: its keys are what it says.
    pub(super) is_document: bool,
}

impl<'a> Message<'a> {
    /// The field `msg` or `message` of a JSON object or of a logfmt line, else the first line.
    pub(super) fn of(body: &'a str) -> Self {
        let bytes = body.as_bytes();
        let is_document = bytes.first() == Some(&b'{');
        let field = if is_document { json_message(bytes) } else { logfmt_message(bytes) };
        let (start, end) = match field {
            Some(found) => found,
            None if is_document => (0, body.len()),
            None => (0, memchr(b'\n', bytes).unwrap_or(body.len())),
        };
        let end = body.floor_char_boundary(end.min(start + MESSAGE_BYTES_MAX));
        Self { text: &body[start..end], before: start > 0, after: end < body.len(), is_document: is_document && field.is_none() }
    }
}

fn is_message(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"msg") || name.eq_ignore_ascii_case(b"message")
}

/// Where a text that begins after its quote ends: at the next quote that no backslash takes.
pub(super) fn quoted_end(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start;
    loop {
        let found = at + memchr2(quote, b'\\', bytes.get(at..)?)?;
        if bytes[found] == quote {
            return Some(found);
        }
        at = found + 2;
    }
}

/// The first member of the outermost object that is called a message and is a text.
fn json_message(bytes: &[u8]) -> Option<(usize, usize)> {
    let bytes = &bytes[..bytes.len().min(DOCUMENT_BYTES_MAX)];
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b'"' => {
                let (start, end) = (at + 1, quoted_end(bytes, at + 1, b'"')?);
                at = end;
                if depth == 1 && is_message(&bytes[start..end]) {
                    let value = end + 1 + bytes[end + 1..].iter().position(|byte| !byte.is_ascii_whitespace() && *byte != b':')?;
                    if bytes[value] == b'"' && memchr(b':', &bytes[end..value]).is_some() {
                        let end = quoted_end(bytes, value + 1, b'"')?;
                        return (end > value + 1).then_some((value + 1, end));
                    }
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The value of `msg=` or `message=` in a line that begins with a key and its value.
fn logfmt_message(bytes: &[u8]) -> Option<(usize, usize)> {
    let line = &bytes[..memchr(b'\n', bytes).unwrap_or(bytes.len()).min(DOCUMENT_BYTES_MAX)];
    let first = memchr2(b'=', b' ', line).filter(|at| *at > 0)?;
    if line[first] != b'=' {
        return None;
    }
    for key in [&b"msg="[..], b"message="] {
        let starts_word = |at: &usize| *at == 0 || line[at - 1] == b' ';
        let Some(at) = memmem::find_iter(line, key).find(starts_word) else { continue };
        let start = at + key.len();
        let (start, end) = match line.get(start)? {
            b'"' => (start + 1, quoted_end(line, start + 1, b'"')?),
            _ => (start, memchr(b' ', &line[start..]).map_or(line.len(), |length| start + length)),
        };
        return (end > start).then_some((start, end));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_found_in_what_is_around_it() {
        let check = |body: &str, expect: (&str, bool, bool)| {
            let message = Message::of(body);
            assert_eq!((message.text, message.before, message.after), expect, "{body:?}");
        };
        check("", ("", false, false));
        check("plain text", ("plain text", false, false));
        check("first\n  at second", ("first", false, true));
        check(r#"{"level":"info","msg":"a \"b\" c","n":1}"#, (r#"a \"b\" c"#, true, true));
        check(r#"{ "in": {"msg":"not this"}, "Message" : "this"}"#, ("this", true, true));
        check(r#"{"msg":5,"message":"text"}"#, ("text", true, true));
        let none = r#"{"a":1,"b":["msg","x"]}"#;
        check(none, (none, false, false));
        assert!(Message::of(none).is_document && !Message::of("{\"msg\":\"x\"}").is_document);
        check(r#"ts=1 level=info msg="hello \"you\"" n=2"#, (r#"hello \"you\""#, true, true));
        check("msg=hello n=2", ("hello", true, true));
        check("level=info message=end", ("end", true, false));
        check("level=info errmsg=no", ("level=info errmsg=no", false, false));
        check("he said msg=this", ("he said msg=this", false, false));
        check(r#"a=1 msg="open"#, (r#"a=1 msg="open"#, false, false));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = "é".repeat(MESSAGE_BYTES_MAX);
        let body = format!("a{long}");
        let message = Message::of(&body);
        assert!(message.after && message.text.len() < MESSAGE_BYTES_MAX && long.starts_with(&message.text[1..]));
    }
}
