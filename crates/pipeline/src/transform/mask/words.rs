//! What is known by the word before it: secrets by what people call them, fields by the names that the stage gives.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;

use super::{FIELD, Found, SECRET};

/// Parts of what a line with a secret holds, without the letters that are capitals in some spellings only. Few enough for the vector
/// instructions that look for all of them at once.
const HINTS: &str = "assw,ASSW,assphrase,ASSPHRASE,ecret,ECRET,oken,OKEN,redential,REDENTIAL,pi_key,pi-key,pi key,piKey,pikey,PI_KEY,PI-KEY,PIKEY,\
    ccess_key,ccess-key,ccessKey,ccesskey,CCESS_KEY,CCESSKEY,rivate_key,rivate-key,rivateKey,rivatekey,RIVATE,earer ,EARER ,\
    uthoriz,UTHORIZ,pwd,PWD,Pwd,AKIA,ASIA,eyJ,ghp_,gho_,ghu_,ghs_,ghr_,xox";

#[derive(Debug)]
pub(super) struct Words {
    pub(super) hints: AhoCorasick,
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
        let hints = HINTS.split(',').filter(|_| secrets).chain(fields.iter().map(String::as_str));
        // Only so its vector instructions are used.
        let hints = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(hints).expect("the catalogue bounds the names");
        let names: Vec<String> = fields.iter().map(|name| regex::escape(name)).collect();
        let named = format!(r#"(?:^|[\s,;&?{{("'])(?:{}){IS}{VALUE}"#, names.join("|"));
        let fields = (!names.is_empty()).then(|| Regex::new(&named).expect("the catalogue bounds the names"));
        Some(Self { hints, secrets, fields })
    }

    /// Whether what has this name is a secret whatever it looks like.
    pub(super) fn is_secret(&self, name: &str) -> bool {
        static NAMED: LazyLock<Regex> = LazyLock::new(|| compiled(&format!(r"(?i){CALLED}$|^(?:.*\.)?authorization$")));
        self.secrets && self.hints.is_match(name) && NAMED.is_match(name)
    }

    pub(super) fn find(&self, text: &str, found: &mut Vec<Found<'_>>) {
        if self.hints.find(text).is_none() {
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
