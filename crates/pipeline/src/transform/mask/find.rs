//! What is known by how it looks.

use std::sync::LazyLock;

use model::variables::{CHUNK, digits};
use regex::Regex;

use super::{Found, SECRET};

pub(super) const CARD_DIGITS_MIN: usize = 13;
pub(super) const PHONE_DIGITS_MIN: usize = 8;
pub(super) const IBAN_DIGITS_MIN: usize = 10;
const CARD_DIGITS_MAX: usize = 19;
const PHONE_DIGITS_MAX: usize = 15;

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern compiles")
}

/// An address of e-mail, or the password of a URL, around an `@`.
pub(super) fn around_at(text: &str, at: usize, email: bool, secrets: bool, found: &mut Vec<Found<'_>>) {
    let bytes = text.as_bytes();
    if secrets && let Some(found_at) = password_of_url(text, at) {
        found.push(Found { at: found_at, name: SECRET });
        return;
    }
    if !email {
        return;
    }
    let local = |byte: &u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(byte) || !byte.is_ascii();
    let start = at - bytes[..at].iter().rev().take_while(|byte| local(byte)).count();
    // Quotes and what begins a value are none of the address.
    let start = start + bytes[start..at].iter().take_while(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii()).count();
    // `to=ann@example.com`
    let start =
        bytes[start..at].iter().rposition(|byte| matches!(byte, b'=' | b'/' | b'{' | b'|' | b'\'')).map_or(start, |last| start + last + 1);
    let domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || !byte.is_ascii();
    let mut end = at + 1 + bytes[at + 1..].iter().take_while(|byte| domain(byte)).count();
    while end > at + 1 && matches!(bytes[end - 1], b'.' | b'-') {
        end -= 1;
    }
    let last_label = text[at + 1..end].rsplit_once('.').map_or("", |(_, label)| label);
    let is_top = last_label.chars().count() >= 2 && last_label.chars().all(char::is_alphabetic);
    if start < at && is_top {
        found.push(Found { at: start..end, name: "email" });
    }
}

/// `scheme://user:password@host`.
fn password_of_url(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let before = &text[..at];
    let start = before
        .rfind(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<'))
        .map_or(0, |blank| blank + before[blank..].chars().next().map_or(1, char::len_utf8));
    let user = start + before[start..].find("://")? + 3;
    let colon = user + before[user..].find(':')?;
    (colon + 1 < at && !before[user..colon].contains('/')).then_some(colon + 1..at)
}

/// Where a run of digits begins and ends.
pub(super) type Run = (usize, usize);

/// All runs of digits.
pub(super) fn runs(text: &str) -> Vec<Run> {
    let mut all = Vec::new();
    each_run(text.as_bytes(), |run| all.push(run));
    all
}

/// Whether a run may be a number that is hidden, or a part of one, by how long it is and by what stands around it: [`cards`], [`phones`] and [`ibans`] find
/// nothing where no run is so.
pub(super) fn may_be_number(text: &[u8], (start, end): Run) -> bool {
    let before = |back: usize| start.checked_sub(back).map_or(b' ', |at| text[at]);
    match end - start {
        // A card in one piece, and the first of its groups.
        CARD_DIGITS_MIN.. => true,
        // The last digits of a telephone number.
        4 if before(1) == b'-' || matches!(text.get(end), Some(b' ' | b'-')) => true,
        1 => before(1) == b'+',
        _ => before(1) == b'+' || before(1).is_ascii_uppercase() && before(2).is_ascii_uppercase(),
    }
}

/// Calls `found` for each run of digits.
pub(super) fn each_run(text: &[u8], mut found: impl FnMut(Run)) {
    let mut open = None;
    for (chunk, begin) in text.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        let mut last = [0; CHUNK];
        let is_digit = digits(chunk.first_chunk().unwrap_or_else(|| {
            last[..chunk.len()].copy_from_slice(chunk);
            &last
        }));
        let mut at = 0;
        while at < CHUNK as u32 {
            match open {
                None => {
                    let next = (is_digit >> at).trailing_zeros();
                    if next == CHUNK as u32 {
                        break;
                    }
                    at += next;
                    open = Some(begin + at as usize);
                }
                // One that goes to the end of the chunk may go on.
                Some(start) => {
                    at += (!(is_digit >> at)).trailing_zeros();
                    if at < CHUNK as u32 {
                        found((start, begin + at as usize));
                        open = None;
                    }
                }
            }
        }
    }
    if let Some(start) = open {
        found((start, text.len()));
    }
}

/// Payment cards: 13 to 19 digits of a known issuer that Luhn's check holds for, in one run or grouped as cards are printed.
pub(super) fn cards(text: &str, runs: &[Run], found: &mut Vec<Found<'_>>) {
    const GROUPED: [&[usize]; 4] = [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3]];
    let bytes = text.as_bytes();
    let mut next = 0;
    while next < runs.len() {
        let (start, end) = runs[next];
        let glued = |from: usize, to: usize| to == from + 1 && matches!(bytes[from], b' ' | b'-');
        let grouped = GROUPED.iter().rev().find(|groups| {
            groups.len() <= runs.len() - next
                && groups.iter().enumerate().all(|(nth, length)| {
                    let (start, end) = runs[next + nth];
                    end - start == *length && (nth == 0 || glued(runs[next + nth - 1].1, start))
                })
        });
        let taken = match grouped {
            Some(groups) if is_card(text, start, runs[next + groups.len() - 1].1) => groups.len(),
            _ if (CARD_DIGITS_MIN..=CARD_DIGITS_MAX).contains(&(end - start)) && is_card(text, start, end) => 1,
            _ => 0,
        };
        if taken > 0 {
            found.push(Found { at: start..runs[next + taken - 1].1, name: "card" });
        }
        next += taken.max(1);
    }
}

fn is_card(text: &str, start: usize, end: usize) -> bool {
    let alone = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    let bytes = text.as_bytes();
    // A decimal fraction is no card, nor is a number below zero.
    let fraction = start >= 2 && bytes[start - 1] == b'.' && bytes[start - 2].is_ascii_digit();
    let has_fraction = bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
    let negative = start >= 2 && bytes[start - 1] == b'-' && matches!(bytes[start - 2], b':' | b',' | b'[' | b' ');
    if !alone(start.checked_sub(1).map(|before| &bytes[before])) || !alone(bytes.get(end)) || fraction || has_fraction || negative {
        return false;
    }
    let digits: Vec<u32> = bytes[start..end].iter().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0')).collect();
    // Issuers begin with 2 to 6: a time in milli- or nanoseconds begins with 1.
    (2..=6).contains(&digits[0]) && digits.iter().any(|digit| *digit != digits[0]) && luhn(&digits)
}

/// ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits.iter().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    sum.is_multiple_of(10)
}

/// Telephone numbers as people write them: with `+` and the country, or as in North America. Other runs of digits may be anything.
pub(super) fn phones(text: &str, runs: &[Run], found: &mut Vec<Found<'_>>) {
    static INTERNATIONAL: LazyLock<Regex> = LazyLock::new(|| compiled(r"\+[0-9](?:[ ./()-]{0,2}[0-9]){6,14}\b"));
    static AMERICAN: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ -])[0-9]{3}-[0-9]{4}\b"));
    let bytes = text.as_bytes();
    // What stands before it is none of it; what is hidden there will not be.
    let alone = |start: usize, ends: &[usize]| {
        start == 0
            || !bytes[start - 1].is_ascii_alphanumeric() && !matches!(bytes[start - 1], b'-' | b'.')
            || ends.binary_search(&start).is_ok()
    };
    let ends = |found: &[Found<'_>]| {
        let mut ends: Vec<usize> = found.iter().map(|part| part.at.end).collect();
        ends.sort_unstable();
        ends
    };
    // Only what has their form is worth an expression.
    if runs.iter().any(|(start, _)| *start > 0 && bytes[start - 1] == b'+') {
        let (hidden, mut last) = (ends(found), None);
        for part in INTERNATIONAL.find_iter(text) {
            let digits = part.as_str().bytes().filter(u8::is_ascii_digit).count();
            if (alone(part.start(), &hidden) || last == Some(part.start())) && (PHONE_DIGITS_MIN..=PHONE_DIGITS_MAX).contains(&digits) {
                last = Some(part.end());
                found.push(Found { at: part.range(), name: "phone" });
            }
        }
    }
    let long = |run: &Run| run.1 - run.0;
    if runs.windows(3).any(|three| three.iter().map(long).eq([3, 3, 4]) && three[2].0 == three[1].1 + 1 && bytes[three[1].1] == b'-') {
        let (hidden, mut last) = (ends(found), None);
        for part in AMERICAN.find_iter(text) {
            if alone(part.start(), &hidden) || last == Some(part.start()) {
                last = Some(part.end());
                found.push(Found { at: part.range(), name: "phone" });
            }
        }
    }
}

/// International bank account numbers, whose two check digits hold.
pub(super) fn ibans(text: &str, runs: &[Run], found: &mut Vec<Found<'_>>) {
    static IBAN: LazyLock<Regex> = LazyLock::new(|| compiled(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"));
    let bytes = text.as_bytes();
    let begins = |(start, end): &Run| *start >= 2 && end - start >= 2 && bytes[start - 2..*start].iter().all(u8::is_ascii_uppercase);
    if !runs.iter().any(begins) {
        return;
    }
    for part in IBAN.find_iter(text) {
        // The number may be followed by a word in capitals: it ends where its check holds.
        let ends = part.as_str().char_indices().rev().map(|(at, c)| part.start() + at + c.len_utf8());
        let end = ends.filter(|end| bytes.get(*end).is_none_or(|next| !next.is_ascii_alphanumeric()));
        if let Some(end) = end.into_iter().find(|end| is_iban(&text[part.start()..*end])) {
            found.push(Found { at: part.start()..end, name: "iban" });
        }
    }
}

/// ISO 13616: the number with its first four characters at its end, letters as 10 to 35, leaves 1 when divided by 97.
fn is_iban(text: &str) -> bool {
    let all: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    if !(15..=34).contains(&all.len()) {
        return false;
    }
    let rest = all[4..].iter().chain(&all[..4]).fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    rest == 1
}
