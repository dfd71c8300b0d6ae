//! Hides what nobody is to read: `find.rs` finds it by how it looks, `words.rs` by what stands before it, `hide.rs` says what takes its place.
//!
//! Most lines hold nothing of the kind. What they cost is one look for a few bytes (`@`, digits, parts of words such as `assw`), by the
//! vector instructions of `memchr` and `aho-corasick`, through whole columns at once (`suspects.rs`); a regular expression sees only the text that
//! such a byte was found in.

mod find;
mod hide;
mod suspects;
mod words;

use std::borrow::Cow;
use std::ops::Range;

use catalog::{Hidden, Mask, MaskKind};
use model::AttributeType;
use regex::Regex;

pub use hide::PseudonymKey;

use super::record::Record;
use words::Words;

/// A part of a text that is to be hidden, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found<'n> {
    at: Range<usize>,
    name: &'n str,
}

const FIELD: &str = "field";
const SECRET: &str = "secret";

/// A stage, compiled.
#[derive(Debug)]
pub(super) struct Masker {
    kinds: Kinds,
    /// Names of fields, and what stands before secrets.
    words: Option<Words>,
    fields: Vec<String>,
    patterns: Vec<(String, Regex)>,
    hidden: Hidden,
    body: bool,
    all_attributes: bool,
    attributes: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    secrets: bool,
    card: bool,
    email: bool,
    phone: bool,
    iban: bool,
}

impl Kinds {
    /// Whether any of them is known by its digits.
    fn counts(self) -> bool {
        self.card || self.phone || self.iban
    }
}

impl Masker {
    pub(super) fn new(mask: &Mask) -> Self {
        let has = |kind| mask.kinds.contains(&kind);
        let kinds = Kinds {
            secrets: has(MaskKind::Secrets),
            card: has(MaskKind::Card),
            email: has(MaskKind::Email),
            phone: has(MaskKind::Phone),
            iban: has(MaskKind::Iban),
        };
        Self {
            kinds,
            words: Words::new(kinds.secrets, &mask.fields),
            fields: mask.fields.clone(),
            patterns: mask.patterns.iter().map(|pattern| (pattern.name.clone(), pattern.regex.clone())).collect(),
            hidden: mask.hidden,
            body: mask.places.body,
            all_attributes: mask.places.all_attributes,
            attributes: mask.places.attributes.clone(),
        }
    }

    /// Gives how many parts were hidden.
    pub(super) fn apply(&self, record: &mut Record<'_>, key: Option<&PseudonymKey>) -> u64 {
        let mut count = 0;
        if self.body
            && let Some((text, parts)) = self.hide(record.body(), key)
        {
            // What was JSON of nested values is so still.
            record.edit.body = Some(text);
            count += parts;
        }
        if self.all_attributes || !self.attributes.is_empty() {
            let mut changed: Vec<(String, AttributeType, String)> = Vec::new();
            record.each_attribute(|name, kind, text| {
                if !self.all_attributes && !self.attributes.iter().any(|wanted| wanted == name) {
                    return;
                }
                if let Some((text, kind, parts)) = self.attribute(name, kind, text, key) {
                    count += parts;
                    changed.push((name.to_owned(), kind, text));
                }
            });
            changed.into_iter().for_each(|(name, kind, text)| record.set(&name, kind, text));
        }
        count
    }

    /// What an attribute is hidden as by its name, whatever its value.
    fn whole(&self, name: &str) -> Option<&'static str> {
        match () {
            () if self.fields.iter().any(|field| field == name) => Some(FIELD),
            () if self.words.as_ref().is_some_and(|words| words.is_secret(name)) => Some(SECRET),
            () => None,
        }
    }

    /// None when nothing of it is hidden.
    fn attribute(&self, name: &str, kind: AttributeType, text: &str, key: Option<&PseudonymKey>) -> Option<(String, AttributeType, u64)> {
        if text.is_empty() {
            return None;
        }
        if let Some(called) = self.whole(name) {
            // What is hidden stays so, however often it goes through.
            let hidden = hide::is_hidden(text);
            return (!hidden).then(|| (hide::instead(called, text, self.hidden, key), AttributeType::Text, 1));
        }
        let (hidden, parts) = self.hide(text, key)?;
        let kind = if matches!(kind, AttributeType::Array | AttributeType::Map) { kind } else { AttributeType::Text };
        Some((hidden, kind, parts))
    }

    /// The text with everything hidden, and in how many parts; none when there is nothing to hide.
    pub(super) fn hide(&self, text: &str, key: Option<&PseudonymKey>) -> Option<(String, u64)> {
        let mut found = Vec::new();
        self.find(text, &mut found);
        if found.is_empty() {
            return None;
        }
        // Of parts that overlap the one that begins first is hidden, of those the longest, and then all of the others.
        found.sort_by(|a, b| a.at.start.cmp(&b.at.start).then(b.at.end.cmp(&a.at.end)));
        let mut joined: Vec<Found<'_>> = Vec::with_capacity(found.len());
        for part in found {
            match joined.last_mut() {
                Some(last) if part.at.start < last.at.end => last.at.end = last.at.end.max(part.at.end),
                _ => joined.push(part),
            }
        }
        let mut out = String::with_capacity(text.len());
        let (mut end, mut parts) = (0, 0);
        for Found { at, name } in joined {
            let part = &text[at.clone()];
            if hide::is_hidden(part) || hide::is_within_hidden(text, &at) {
                continue;
            }
            out.push_str(&text[end..at.start]);
            let instead = hide::instead(name, part, self.hidden, key);
            out.push_str(&as_json_if_needed(text, &at, &instead));
            end = at.end;
            parts += 1;
        }
        out.push_str(&text[end..]);
        (parts > 0).then_some((out, parts))
    }

    fn find<'s>(&'s self, text: &str, found: &mut Vec<Found<'s>>) {
        let Kinds { secrets, email, .. } = self.kinds;
        if let Some(words) = &self.words {
            words.find(text, found);
        }
        if email || secrets {
            let ats = memchr::memchr_iter(b'@', text.as_bytes());
            ats.for_each(|at| find::around_at(text, at, email, secrets, found));
        }
        if self.kinds.counts() {
            let runs = find::runs(text);
            let digits: usize = runs.iter().map(|(start, end)| end - start).sum();
            let Kinds { card, phone, iban, .. } = self.kinds;
            if card && digits >= find::CARD_DIGITS_MIN {
                find::cards(text, &runs, found);
            }
            if iban && digits >= find::IBAN_DIGITS_MIN {
                find::ibans(text, &runs, found);
            }
            if phone && digits >= find::PHONE_DIGITS_MIN {
                find::phones(text, &runs, found);
            }
        }
        for (name, pattern) in &self.patterns {
            for groups in pattern.captures_iter(text) {
                if let Some(part) = groups.name("value").or_else(|| groups.get(0)).filter(|part| !part.is_empty()) {
                    found.push(Found { at: part.range(), name });
                }
            }
        }
    }
}

/// A number of a JSON text cannot become a word that stands alone.
fn as_json_if_needed<'i>(text: &str, at: &Range<usize>, instead: &'i str) -> Cow<'i, str> {
    let before = text[..at.start].trim_end().bytes().next_back();
    let after = text[at.end..].trim_start().bytes().next();
    let is_value = matches!(before, Some(b':' | b',' | b'[')) && matches!(after, Some(b',' | b'}' | b']'));
    let is_json = || text.trim_start().starts_with(['{', '[']) && text.trim_end().ends_with(['}', ']']);
    if is_value && is_json() { Cow::Owned(format!("\"{instead}\"")) } else { Cow::Borrowed(instead) }
}

#[cfg(test)]
mod tests;
