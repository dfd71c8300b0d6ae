//! What is known by the word before it: secrets by what people call them, fields by the names that the stage gives.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Input, MatchKind};
use regex::Regex;

use super::{FIELD, Found, SECRET};

/// Parts of words that secrets are called by, without the letters that are capitals in some spellings only. Few enough for the vector
/// instructions that look for all of them at once.
const NAMES: &str = "assw,ASSW,assphrase,ASSPHRASE,ecret,ECRET,oken,OKEN,redential,REDENTIAL,pi_key,pi-key,pi key,piKey,pikey,PI_KEY,PI-KEY,PIKEY,\
    ccess_key,ccess-key,ccessKey,ccesskey,CCESS_KEY,CCESSKEY,rivate_key,rivate-key,rivateKey,rivatekey,pwd,PWD,Pwd";
/// And of secrets that are known without.
const ALONE: &str = "RIVATE,earer ,EARER ,uthoriz,UTHORIZ,AKIA,ASIA,eyJ,ghp_,gho_,ghu_,ghs_,ghr_,xox";

#[derive(Debug)]
pub(super) struct Words {
    hints: AhoCorasick,
    /// By the number of a hint whether it is of a name, which is nothing without a value.
    names: Vec<bool>,
    secrets: bool,
    /// Names of fields, what stands between, and the value.
    fields: Option<Regex>,
}

/// In quotes, in quotes of a text within a text, or alone.
const VALUE: &str = r#"("(?:[^"\\]|\\.)*"|'[^']*'|\\+"[^"\\]*|(?:[^\s,;&"'}\])\\]|\\[^"\s])+)"#;
/// Behind a name: a quote of whatever depth, and what stands between name and value.
const IS: &str = r#"\\*["']?[ \t]*[:=]\s*"#;

impl Words {
    /// None when there is nothing to look for.
    pub(super) fn new(secrets: bool, fields: &[String]) -> Option<Self> {
        if !secrets && fields.is_empty() {
            return None;
        }
        let words = |words: &'static str| words.split(',').filter(move |_| secrets);
        // Of those that begin at one place the first is found: what is always looked at comes first.
        let always = fields.iter().map(String::as_str).chain(words(ALONE)).map(|hint| (hint, false));
        let hints = always.chain(words(NAMES).map(|hint| (hint, true)));
        let (hints, is_name): (Vec<&str>, Vec<bool>) = hints.unzip();
        // Only so its vector instructions are used.
        let hints = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(hints).expect("the catalogue bounds the names");
        let names: Vec<String> = fields.iter().map(|name| regex::escape(name)).collect();
        let named = format!(r#"(?:^|[\s,;&?{{("'])(?:{}){IS}{VALUE}"#, names.join("|"));
        let fields = (!names.is_empty()).then(|| Regex::new(&named).expect("the catalogue bounds the names"));
        Some(Self { hints, names: is_name, secrets, fields })
    }

    /// Whether what has this name is a secret whatever it looks like.
    pub(super) fn is_secret(&self, name: &str) -> bool {
        static NAMED: LazyLock<Regex> = LazyLock::new(|| compiled(&format!(r"(?i){CALLED}$|^(?:.*\.)?authorization$")));
        self.secrets && self.hints.is_match(name) && NAMED.is_match(name)
    }

    /// Where from `from` on anything of a name begins that may be one of a secret.
    pub(super) fn next_name(&self, text: &[u8], from: usize) -> Option<usize> {
        self.hints.find(Input::new(text).span(from..text.len())).map(|hint| hint.start())
    }

    /// Where from `from` on anything begins that may be a secret with its name, or alone.
    pub(super) fn next(&self, text: &[u8], mut from: usize) -> Option<usize> {
        loop {
            let hint = self.hints.find(Input::new(text).span(from..text.len()))?;
            if !self.names[hint.pattern().as_usize()] || may_have_value(&text[hint.end()..]) {
                return Some(hint.start());
            }
            from = hint.start() + 1;
        }
    }

    pub(super) fn find(&self, text: &str, found: &mut Vec<Found<'_>>) {
        if self.next(text.as_bytes(), 0).is_none() {
            return;
        }
        if let Some(fields) = &self.fields {
            fields.captures_iter(text).filter_map(|groups| value(text, &groups)).for_each(|at| found.push(Found { at, name: FIELD }));
        }
        if self.secrets {
            secrets(text, found);
        }
    }
}

/// What a name has at most behind its hint, generously: `assw` and `ord_value`. So a text of names alone is not read again for each of them.
const REST_BYTES_MAX: usize = 16;

/// Whether behind a part of a name and the rest of it stands what [`IS`] begins with: most lines only speak of tokens.
fn may_have_value(text: &[u8]) -> bool {
    let is_name = |byte: &&u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-');
    let rest = text.iter().take(REST_BYTES_MAX).take_while(is_name).count();
    let rest = text[rest..].iter().skip_while(|byte| **byte == b'\\');
    let mut rest = rest.skip_while(|byte| matches!(byte, b' ' | b'\t' | b'"' | b'\''));
    matches!(rest.next(), Some(b':' | b'='))
}

/// The value without its quotes; none of what says nothing. Of an object or a list it is all of that.
fn value(whole: &str, groups: &regex::Captures<'_>) -> Option<Range<usize>> {
    let value = groups.get(1)?;
    let (mut at, text) = (value.range(), value.as_str());
    match text.as_bytes().first()? {
        b'"' | b'\'' => at = at.start + 1..at.end - 1,
        b'\\' if text.contains('"') => at.start += text.find('"')? + 1,
        b'{' | b'[' => at.end = at.start + nested(&whole[at.start..]),
        _ => {}
    }
    let said = &whole[at.clone()];
    (!said.is_empty() && !matches!(said, "null" | "true" | "false" | "none" | "nil")).then_some(at)
}

/// How long the object or list is that the text begins with; of one that does not end, the text.
fn nested(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

const CALLED: &str =
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_ -]?key|access[_-]?key|private[_-]?key|credentials?)(?:[_-]?(?:key|value))?";

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern compiles")
}

fn secrets(text: &str, found: &mut Vec<Found<'_>>) {
    // Names are ASCII: Unicode knows more than two forms of k and s.
    static NAMED: LazyLock<Regex> = LazyLock::new(|| compiled(&format!(r#"(?i-u:{CALLED}){IS}{VALUE}"#)));
    static AUTHORIZATION: LazyLock<Regex> = LazyLock::new(|| {
        compiled(
            r#"(?i)(?:\bbearer\s+([a-z0-9._~+/=-]{16,})|\bauthorization["']?\s*[:=]\s*["']?(?:basic|digest|token|bearer)\s+([^\s"',]+))"#,
        )
    });
    static ALONE: LazyLock<Regex> = LazyLock::new(|| {
        compiled(concat!(
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
            r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
            r"|\bgh[pousr]_[A-Za-z0-9]{36,}",
            r"|\bxox[abprs]-[A-Za-z0-9-]{10,}",
            r"|(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
        ))
    });
    NAMED.captures_iter(text).filter_map(|groups| value(text, &groups)).for_each(|at| found.push(Found { at, name: SECRET }));
    for groups in AUTHORIZATION.captures_iter(text) {
        if let Some(part) = groups.get(1).or_else(|| groups.get(2)) {
            found.push(Found { at: part.range(), name: SECRET });
        }
    }
    found.extend(ALONE.find_iter(text).map(|part| Found { at: part.range(), name: SECRET }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_over_holds_no_secret() {
        const PARTS: [&str; 30] = [
            "token",
            "Token",
            "TOKEN",
            "secret",
            "passw",
            "ord",
            "passphrase",
            "pwd",
            "api key",
            "apiKey",
            "access-key",
            "private_key",
            "credentials",
            "_value",
            "-key",
            "diagnosis",
            "diagnosis.code",
            "=",
            ": ",
            "\\\"",
            "\"",
            "'",
            " ",
            "\t",
            "x1y2",
            "Bearer ",
            "AKIAIOSFODNN7EXAMPLE",
            "authorization",
            ".",
            "é",
        ];
        let words = Words::new(true, &["diagnosis".to_owned(), "diagnosis.code".to_owned(), "x1".to_owned()]).unwrap();
        let mut random = 0x853c_49e6_748f_ea9bu64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let (mut passed, mut hidden) = (0, 0);
        for _ in 0..30_000 {
            let text: String = (0..1 + next(6)).map(|_| PARTS[next(PARTS.len())]).collect();
            let mut found = Vec::new();
            secrets(&text, &mut found);
            let is_named =
                words.fields.as_ref().is_some_and(|fields| fields.captures_iter(&text).any(|groups| value(&text, &groups).is_some()));
            hidden += u32::from(is_named || !found.is_empty());
            if words.next(text.as_bytes(), 0).is_none() {
                passed += 1;
                assert!(!is_named && found.is_empty(), "{text:?}");
            }
        }
        assert!(passed > 3000 && hidden > 1000, "{passed} {hidden}");
    }

    /// Were each read to the end of the text, this would not end.
    #[test]
    fn a_text_of_names_alone_is_read_once() {
        let words = Words::new(true, &[]).unwrap();
        assert_eq!(words.next("token".repeat(1 << 20).as_bytes(), 0), None);
        assert_eq!(words.next("token_value: ".repeat(2).as_bytes(), 1), Some(1));
        assert_eq!(words.next(b"passphrase-value\\\" = x", 0), Some(1));
    }
}
