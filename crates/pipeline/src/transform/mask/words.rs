//! What is known by the word before it: secrets by what people call them, fields by the names that the stage gives.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use regex::Regex;

use super::{FIELD, Found, SECRET};

/// Parts of what a line with a secret holds, without the letters that are capitals in some spellings only. Few enough for the vector
/// instructions that look for all of them at once.
const HINTS: &[&str] = &[
    "assw",
    "ASSW",
    "assphrase",
    "ASSPHRASE",
    "ecret",
    "ECRET",
    "oken",
    "OKEN",
    "redential",
    "REDENTIAL",
    "pi_key",
    "pi-key",
    "pi key",
    "piKey",
    "pikey",
    "PI_KEY",
    "PI-KEY",
    "ccess_key",
    "ccess-key",
    "ccessKey",
    "CCESS_KEY",
    "rivate_key",
    "rivateKey",
    "RIVATE",
    "earer ",
    "EARER ",
    "uthoriz",
    "UTHORIZ",
    "pwd",
    "PWD",
    "AKIA",
    "ASIA",
    "eyJ",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "xox",
];

#[derive(Debug)]
pub(super) struct Words {
    hints: AhoCorasick,
    secrets: bool,
    /// Names of fields, what stands between, and the value.
    fields: Option<Regex>,
}

const VALUE: &str = r#"("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&"'}\])]+)"#;

impl Words {
    /// None when there is nothing to look for.
    pub(super) fn new(secrets: bool, fields: &[String]) -> Option<Self> {
        if !secrets && fields.is_empty() {
            return None;
        }
        let hints = HINTS.iter().copied().filter(|_| secrets).chain(fields.iter().map(String::as_str));
        let hints = AhoCorasick::builder().build(hints).ok()?;
        let names: Vec<String> = fields.iter().map(|name| regex::escape(name)).collect();
        let named = format!(r#"(?:^|[\s,;&?{{("'])(?:{})["']?\s*[:=]\s*{VALUE}"#, names.join("|"));
        let fields = (!names.is_empty()).then(|| Regex::new(&named).ok()).flatten();
        Some(Self { hints, secrets, fields })
    }

    pub(super) fn find(&self, text: &str, found: &mut Vec<Found<'_>>) {
        if self.hints.find(text).is_none() {
            return;
        }
        if let Some(fields) = &self.fields {
            fields.captures_iter(text).filter_map(|groups| value(&groups)).for_each(|at| found.push(Found { at, name: FIELD }));
        }
        if self.secrets {
            secrets(text, found);
        }
    }
}

/// The value without its quotes; none of what says nothing.
fn value(groups: &regex::Captures<'_>) -> Option<std::ops::Range<usize>> {
    let value = groups.get(1)?;
    let mut at = value.range();
    if value.as_str().starts_with(['"', '\'']) {
        at = at.start + 1..at.end - 1;
    }
    let text = value.as_str().trim_matches(['"', '\'']);
    (!text.is_empty() && !matches!(text, "null" | "true" | "false" | "none" | "nil")).then_some(at)
}

const CALLED: &str =
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_ -]?key|access[_-]?key|private[_-]?key|credentials?)(?:[_-]?(?:key|value))?";

/// Whether what has this name is a secret whatever it looks like.
pub(super) fn is_secret(name: &str) -> bool {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| compiled(&format!(r"(?i){CALLED}$|^(?:.*\.)?authorization$")));
    NAMED.is_match(name)
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern compiles")
}

fn secrets(text: &str, found: &mut Vec<Found<'_>>) {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| compiled(&format!(r#"(?i)[a-z0-9_.-]*{CALLED}["']?\s*[:=]\s*{VALUE}"#)));
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
    NAMED.captures_iter(text).filter_map(|groups| value(&groups)).for_each(|at| found.push(Found { at, name: SECRET }));
    for groups in AUTHORIZATION.captures_iter(text) {
        if let Some(part) = groups.get(1).or_else(|| groups.get(2)) {
            found.push(Found { at: part.range(), name: SECRET });
        }
    }
    found.extend(ALONE.find_iter(text).map(|part| Found { at: part.range(), name: SECRET }));
}
