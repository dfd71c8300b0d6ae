//! What stands where something is hidden.

use std::ops::Range;

use catalog::Hidden;
use model::{Error, Result};
use ring::hmac;

use super::SECRET;

/// What only the operator knows: without it nobody can try out which value a pseudonym stands for.
#[derive(Clone)]
pub struct PseudonymKey(hmac::Key);

/// Shorter ones can be tried out.
const KEY_BYTES_MIN: usize = 16;
/// Of a pseudonym: as many as tell the values of a company apart.
const PSEUDONYM_BYTES: usize = 8;

impl PseudonymKey {
    /// Of a file's bytes; what blank space ends it is none of it.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.trim_ascii();
        if bytes.len() < KEY_BYTES_MIN {
            return Err(Error::invalid(format!("cannot use a pseudonym key of {} bytes: it has {KEY_BYTES_MIN} or more", bytes.len())));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }
}

impl std::fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PseudonymKey")
    }
}

/// Whether the part is what stands for something hidden.
pub(super) fn is_hidden(part: &str) -> bool {
    part.trim_matches(['"', '\'']).starts_with("[masked:")
}

/// What may stand between the brackets at most: a name, and the domain of an address.
const HIDDEN_BYTES_MAX: usize = 512;

/// Whether the part lies within what stands for something hidden: a pseudonym's digits may look like anything. A bracket that is never
/// closed hides nothing.
pub(super) fn is_within_hidden(text: &str, part: &Range<usize>) -> bool {
    let Some(open) = text[..part.start].rfind("[masked:") else { return false };
    let close = text[open..].find(']').map(|close| open + close);
    close.is_some_and(|close| close >= part.end && close - open <= HIDDEN_BYTES_MAX)
}

/// Secrets are never shown in part; without a key there are no pseudonyms.
pub(super) fn instead(name: &str, part: &str, hidden: Hidden, key: Option<&PseudonymKey>) -> String {
    match (hidden, key) {
        (Hidden::Pseudonym, Some(PseudonymKey(key))) => {
            let mut context = hmac::Context::with_key(key);
            context.update(name.as_bytes());
            context.update(&[0]);
            context.update(normal(name, part).as_bytes());
            let tag = context.sign();
            let digits: String = tag.as_ref().iter().take(PSEUDONYM_BYTES).map(|byte| format!("{byte:02x}")).collect();
            format!("[masked:{name}:{digits}]")
        }
        (Hidden::Partial, _) if name != SECRET => partial(name, part),
        _ => format!("[masked:{name}]"),
    }
}

/// One value, however it is written.
fn normal(name: &str, part: &str) -> String {
    match name {
        "card" | "phone" | "iban" => part.chars().filter(char::is_ascii_alphanumeric).collect(),
        "email" => part.to_lowercase(),
        _ => part.to_owned(),
    }
}

const SHOWN: usize = 4;

fn partial(name: &str, part: &str) -> String {
    if let ("email", Some((local, domain))) = (name, part.rsplit_once('@')) {
        let first: String = local.chars().take(1).collect();
        return format!("[masked:email:{first}*** at {domain}]");
    }
    let all: Vec<char> = part.chars().filter(|c| c.is_alphanumeric()).collect();
    // Of what is short nothing is left over.
    let shown: String = if all.len() >= 3 * SHOWN { all[all.len() - SHOWN..].iter().collect() } else { String::new() };
    format!("[masked:{name}:****{shown}]")
}
