//! A message as words, marks and variables; what a variable is by its looks alone.
//!
//! The same for every message of one shape: what stands in a variable is not looked at.

use memchr::memmem;
use twox_hash::XxHash3_64;

use super::message::{Message, quoted_end};

/// Tokens that a message is read into before they are folded, and after; the rest of a longer one is one variable.
const RAW_MAX: usize = 384;
const TOKENS_MAX: usize = 128;
/// The longest unit whose repetitions are folded.
const UNIT_MAX: usize = 8;

/// In the place of a token's hash: anything may stand here.
pub(super) const VARIABLE: u64 = 0;
/// The lowest two bits of a hash.
const KIND: u64 = 3;
const MARK: u64 = 1;
const WORD: u64 = 2;
const NAME: u64 = 3;

const DAYS_AND_MONTHS: [&[u8]; 19] = [
    b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun", b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct",
    b"Nov", b"Dec",
];
const UNITS: [&[u8]; 19] = [
    b"b", b"kb", b"mb", b"gb", b"tb", b"kib", b"mib", b"gib", b"tib", b"bytes", b"ns", b"us", b"ms", b"s", b"sec", b"secs", b"seconds",
    b"min", b"h",
];
const NO_WORDS: [&[u8]; 7] = [b"true", b"false", b"null", b"nil", b"None", b"True", b"False"];

/// Letters and what belongs to them, rather than a mark, a space or a variable.
pub(super) fn is_word(hash: u64) -> bool {
    hash & KIND >= WORD
}

/// A word that looks like the name of a thing: `node-a`, `com.example.Main`, `camelCase`.
pub(super) fn is_name(hash: u64) -> bool {
    hash & KIND == NAME
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Of its text and kind; [`VARIABLE`] says neither.
    pub(super) hash: u64,
}

impl Token {
    fn of(text: &[u8], start: usize, end: usize, kind: u64) -> Self {
        Self { start, end, hash: XxHash3_64::oneshot(&text[start..end]) & !KIND | kind }
    }

    fn variable(start: usize, end: usize) -> Self {
        Self { start, end, hash: VARIABLE }
    }

    fn is_variable(self) -> bool {
        self.hash == VARIABLE
    }

    fn text(self, text: &[u8]) -> &[u8] {
        &text[self.start..self.end]
    }

    fn is_space(self, text: &[u8]) -> bool {
        !self.is_variable() && text[self.start].is_ascii_whitespace()
    }

    fn is_mark(self, text: &[u8], marks: &[u8]) -> bool {
        self.hash & KIND == MARK && marks.contains(&text[self.start])
    }
}

fn is_mark(byte: u8) -> bool {
    b"=,:;()[]{}\"'|@<>".contains(&byte)
}

fn ends_word(byte: u8) -> bool {
    byte.is_ascii_whitespace() || is_mark(byte)
}

/// The tokens of a message.
pub(super) fn read(message: Message<'_>) -> Vec<Token> {
    let text = message.text.as_bytes();
    let mut tokens = raw(text, message.is_document);
    if message.before {
        tokens.insert(0, Token::variable(0, 0));
    }
    if message.after {
        tokens.push(Token::variable(text.len(), text.len()));
    }
    mark_dates(text, &mut tokens);
    mark_measures(text, &mut tokens);
    let mut tokens = fold_repetitions(&fold_lists(text, tokens));
    even_spaces(text, &mut tokens);
    if tokens.len() > TOKENS_MAX {
        tokens.truncate(TOKENS_MAX);
        let start = tokens[TOKENS_MAX - 1].start;
        tokens[TOKENS_MAX - 1] = Token::variable(start, text.len());
    }
    tokens
}

fn raw(text: &[u8], is_document: bool) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(48);
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if tokens.len() >= RAW_MAX {
            tokens.push(Token::variable(at, text.len()));
            break;
        }
        let end_of = |ends: fn(u8) -> bool| text[at..].iter().position(|byte| ends(*byte)).map_or(text.len(), |length| at + length);
        let before = at.checked_sub(1).map(|before| text[before]);
        if byte.is_ascii_whitespace() {
            let end = end_of(|byte| !byte.is_ascii_whitespace());
            tokens.push(Token::of(text, at, end, MARK));
            at = end;
        } else if let Some(end) = aside_end(text, at) {
            tokens.push(Token::variable(at, end));
            at = end;
        } else if is_mark(byte) {
            tokens.push(Token::of(text, at, at + 1, MARK));
            at += 1;
            let is_assignment = match byte {
                b'=' => before.is_some_and(|before| !before.is_ascii_whitespace()),
                b':' => is_document && before == Some(b'"'),
                _ => false,
            };
            if is_assignment {
                let start = if is_document { at + text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count() } else { at };
                let end = value_end(text, start);
                if end > start {
                    tokens.push(Token::variable(at, end));
                    at = end;
                }
            }
        } else {
            let end = end_of(ends_word);
            tokens.push(word(text, at, end));
            at = end;
        }
    }
    tokens
}

fn word(text: &[u8], start: usize, end: usize) -> Token {
    let word = &text[start..end];
    if is_variable(word) {
        return Token::variable(start, end);
    }
    Token::of(text, start, end, if looks_like_name(word) { NAME } else { WORD })
}

/// By its looks: a number or an id, a path, a long hexadecimal number, what stands for no or yes.
fn is_variable(word: &[u8]) -> bool {
    word.iter().any(u8::is_ascii_digit)
        || word[0] == b'/' && word.len() > 1
        || word[0] == b'\\'
        || word.iter().filter(|byte| **byte == b'/').count() >= 2
        || word.len() >= 8 && word.iter().all(u8::is_ascii_hexdigit)
        || NO_WORDS.contains(&word)
}

fn looks_like_name(word: &[u8]) -> bool {
    word.windows(2).any(|pair| match (pair[0], pair[1]) {
        (b'.' | b'_' | b'-' | b'/' | b'$' | b'\\', next) => next.is_ascii_alphanumeric() || next == b'_' || next >= 0x80,
        (before, next) => before.is_ascii_lowercase() && next.is_ascii_uppercase(),
    })
}

/// Where round brackets end that stand alone, around a name, a variable or nothing.
fn aside_end(text: &[u8], at: usize) -> Option<usize> {
    if text[at] != b'(' || at == 0 || !text[at - 1].is_ascii_whitespace() {
        return None;
    }
    let inside = &text[at + 1..];
    let word = &inside[..inside.iter().position(|byte| ends_word(*byte))?];
    let is_aside = word.is_empty() || is_variable(word) || looks_like_name(word);
    let end = at + 1 + word.len();
    (is_aside && text[end] == b')' && text.get(end + 1).is_none_or(u8::is_ascii_whitespace)).then_some(end + 1)
}

/// Where the value ends that begins here, after `=`.
fn value_end(text: &[u8], start: usize) -> usize {
    let word_end = || text[start..].iter().position(|byte| ends_word(*byte)).map_or(text.len(), |length| start + length);
    match text.get(start) {
        Some(&quote @ (b'"' | b'\'')) => return quoted_end(text, start + 1, quote).map_or(start, |end| end + 1),
        Some(b'\\') if text[start..].starts_with(b"\\\"") => {
            return memmem::find(&text[start + 2..], b"\\\"").map_or_else(word_end, |length| start + 2 + length + 2);
        }
        _ => {}
    }
    let mut closing = Vec::new();
    for (at, &byte) in text.iter().enumerate().skip(start) {
        match byte {
            b'(' => closing.push(b')'),
            b'[' => closing.push(b']'),
            b'{' => closing.push(b'}'),
            b')' | b']' | b'}' => {
                if closing.pop() != Some(byte) {
                    return if closing.is_empty() { at } else { word_end() };
                }
                if closing.is_empty() {
                    return at + 1;
                }
            }
            _ if !closing.is_empty() => {}
            b',' | b';' | b'"' | b'\'' | b'|' | b'=' | b'<' | b'>' => return at,
            _ if byte.is_ascii_whitespace() => return at,
            _ => {}
        }
    }
    if closing.is_empty() { text.len() } else { word_end() }
}

/// Names of days and months beside a variable or each other are parts of a time.
fn mark_dates(text: &[u8], tokens: &mut [Token]) {
    for at in 0..tokens.len() {
        let is_date = |token: &Token| token.is_variable() || DAYS_AND_MONTHS.contains(&token.text(text));
        let near = [at.checked_add(2), at.checked_sub(2), at.checked_add(1), at.checked_sub(1)];
        if DAYS_AND_MONTHS.contains(&tokens[at].text(text)) && near.into_iter().flatten().any(|near| tokens.get(near).is_some_and(is_date))
        {
            tokens[at].hash = VARIABLE;
        }
    }
}

/// Units behind a variable belong to it, and so do two hexadecimal digits with a colon before or after it.
fn mark_measures(text: &[u8], tokens: &mut [Token]) {
    let is_pair = |token: Token| token.end - token.start == 2 && token.text(text).iter().all(u8::is_ascii_hexdigit);
    for at in 2..tokens.len() {
        let [before, between, token] = [tokens[at - 2], tokens[at - 1], tokens[at]];
        if token.is_variable() || !before.is_variable() {
            continue;
        }
        let is_unit = || UNITS.iter().any(|unit| unit.eq_ignore_ascii_case(token.text(text)));
        if between.is_space(text) && is_unit() || between.is_mark(text, b":") && is_pair(token) {
            tokens[at].hash = VARIABLE;
        }
    }
    for at in (0..tokens.len().saturating_sub(2)).rev() {
        let [token, between, after] = [tokens[at], tokens[at + 1], tokens[at + 2]];
        if !token.is_variable() && after.is_variable() && between.is_mark(text, b":") && is_pair(token) {
            tokens[at].hash = VARIABLE;
        }
    }
}

/// Variables with only a separator between them become one.
fn fold_lists(text: &[u8], tokens: Vec<Token>) -> Vec<Token> {
    let mut folded: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens {
        folded.push(token);
        if !token.is_variable() {
            continue;
        }
        let start_of_list = match folded.as_slice() {
            [.., before, _] if before.is_variable() => Some(1),
            [.., before, between, _] if before.is_variable() && (between.is_mark(text, b":@,|") || between.is_space(text)) => Some(2),
            [.., before, between, space, _] if before.is_variable() && between.is_mark(text, b",:") && space.is_space(text) => Some(3),
            _ => None,
        };
        if let Some(back) = start_of_list {
            folded.truncate(folded.len() - back);
            if let Some(variable) = folded.last_mut() {
                variable.end = token.end;
            }
        }
    }
    folded
}

/// What comes several times in turn, with variables in it, stands once, and a variable for the rest.
fn fold_repetitions(tokens: &[Token]) -> Vec<Token> {
    let mut folded = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    let same = |a: &[Token], b: &[Token]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.hash == b.hash);
    'tokens: while let Some((&first, others)) = rest.split_first() {
        for length in 2..=UNIT_MAX.min(rest.len() / 2) {
            let (unit, after) = rest.split_at(length);
            if !unit.iter().any(|token| token.is_variable()) {
                continue;
            }
            let again = after.chunks(length).take_while(|chunk| same(chunk, unit)).count() * length;
            if again > 0 {
                folded.extend_from_slice(unit);
                folded.push(Token::variable(after[0].start, after[again - 1].end));
                rest = &after[again..];
                continue 'tokens;
            }
        }
        folded.push(first);
        rest = others;
    }
    folded
}

/// Numbers are often aligned: how many blanks are beside a variable says nothing.
fn even_spaces(text: &[u8], tokens: &mut [Token]) {
    for at in 0..tokens.len() {
        let beside = |near: Option<usize>| near.and_then(|near| tokens.get(near)).is_some_and(|token| token.is_variable());
        if is_blank(text, tokens[at]) && (beside(at.checked_sub(1)) || beside(at.checked_add(1))) {
            tokens[at].hash = XxHash3_64::oneshot(b" ") & !KIND | MARK;
        }
    }
}

fn is_blank(text: &[u8], token: Token) -> bool {
    token.end > token.start && !token.is_variable() && token.text(text).iter().all(|byte| *byte == b' ')
}

/// The text of a pattern: of the message's tokens those that are no variables by `pattern`, `<_>` for each other.
///
/// As LogQL's `|>` reads it, it finds every message of the pattern.
pub(super) fn text_of(message: &str, tokens: &[Token], pattern: &[u64]) -> String {
    let bytes = message.as_bytes();
    let is_variable = |at: usize| tokens.get(at).is_some_and(|token| token.is_variable()) || pattern.get(at) == Some(&VARIABLE);
    let mut text = String::with_capacity(message.len());
    let variable = |text: &mut String| {
        if !text.ends_with("<_>") {
            text.push_str("<_>");
        }
    };
    for (at, &token) in tokens.iter().enumerate() {
        let beside_variable = || at > 0 && is_variable(at - 1) || at + 1 < tokens.len() && is_variable(at + 1);
        // What would be read as a capture is none of the text.
        let opens_capture =
            || token.is_mark(bytes, b"<") && bytes.get(token.end).is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_');
        if is_variable(at) || opens_capture() {
            variable(&mut text);
        } else if is_blank(bytes, token) && beside_variable() {
            text.push(' ');
        } else {
            text.push_str(&message[token.start..token.end]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(body: &str) -> String {
        let message = Message::of(body);
        text_of(message.text, &read(message), &[])
    }

    #[test]
    fn variables_are_known_by_their_looks() {
        let check = |body: &str, expect: &str| assert_eq!(shape(body), expect, "{body:?}");
        check("", "");
        check("session opened for user root", "session opened for user root");
        check("took 12.5ms of 30", "took <_> of <_>");
        check("size    5 kB", "size <_>");
        check("from 10.0.0.7:80, 10.0.0.8 to host", "from <_> to host");
        check("at /var/log/x and a/b/c", "at <_> and <_>");
        check("id deadbeef is true", "id <_> is <_>");
        check("at Sun Jul 10 03:55:15 2005", "at <_>");
        check("May I come in", "May I come in");
        check("uid=0 tty=NODEVssh ruser= name=\"a b\" x={a {b} c}!", "uid=<_> tty=<_> ruser= name=<_> x=<_>!");
        check("from 1.2.3.4 () at 5", "from <_> at <_>");
        check("from 1.2.3.4 (a.example.com) at 5", "from <_> at <_>");
        check("init() done (really)", "init() done (really)");
        check("node-1 2 <ok> and a < b", "<_> <_>ok> and a < b");
        check("mac FF:0A:EA:13 up", "mac <_> up");
        check(r#"{"a":1,"b":{"c":[2]}, "d": "e f"}"#, r#"{"a":<_>,"b":<_>, "d":<_>}"#);
        check(r#"{"msg":"user 5 left","n":1}"#, "<_>user <_> left<_>");
        check("first 1\nsecond", "first <_>");
        check("first\nsecond", "first<_>");
    }

    #[test]
    fn repetitions_stand_once() {
        let check = |body: &str, expect: &str| assert_eq!(shape(body), expect, "{body:?}");
        check("fans 1 2 3 4", "fans <_>");
        check("a=1 ok a=2 ok a=3 ok", "a=<_> ok <_>a=<_> ok");
        check("x: 1; y x: 1; y x: 1; y x: 1; y ", "x: <_>; y <_>");
        check("ha ha ha ha", "ha ha ha ha");
    }

    #[test]
    fn a_message_has_no_more_tokens_than_it_may() {
        let many = "a b ".repeat(RAW_MAX);
        assert_eq!(read(Message::of(&many)).len(), TOKENS_MAX);
        assert!(shape(&many).ends_with("<_>"));
    }
}
