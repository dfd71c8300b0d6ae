//! What is said of a breach, in plain words, and how names that senders chose are made harmless before they are said.

use chrono::{DateTime, SecondsFormat};
use model::{Breach, ByMode};

use crate::ledger::OTHERS;
use crate::message::{Item, Kind, Message};

/// Of what one name or sentence says; what a sender chose may be of any length.
pub(crate) const TEXT_CHARS_MAX: usize = 300;
/// Of a title, a subject.
const TITLE_CHARS_MAX: usize = 150;
/// Attributes of a sample that are said.
const SAMPLE_MAX: usize = 12;

/// Without what would end a line, turn the direction of reading, or be seen by nobody, and not too long.
pub(crate) fn clean(text: &str, chars_max: usize) -> String {
    let is_hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    let mut clean: String = text.chars().take(chars_max).map(|c| if c.is_control() || is_hidden(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(chars_max).is_some() {
        clean.push('…');
    }
    clean
}

/// A line that says what the message is about.
pub(crate) fn title(message: &Message) -> String {
    let (breaks, are) = if message.kind == Kind::Fixed { ("broke", "were") } else { ("breaks", "are") };
    let what = match (&message.items[..], message.more) {
        ([], _) => format!("Tyto can tell {} what breaks its contracts", message.team),
        ([one], 0) => format!("{}: {} {breaks} contract {} ({})", one.component(), one.breach.path, one.breach.contract, one.breach.rule),
        (items, more) => {
            let mut components: Vec<String> = items.iter().map(Item::component).collect();
            components.sort();
            components.dedup();
            format!("{} rules of contracts {are} broken by {}", items.len() + more, components.join(", "))
        }
    };
    let prefix = match message.kind {
        Kind::First | Kind::Test => "",
        Kind::Digest => "Still: ",
        Kind::Fixed => "Fixed: ",
    };
    clean(&format!("{prefix}{what}"), TITLE_CHARS_MAX)
}

/// What is said below the title, before the breaches.
pub(crate) fn opening(message: &Message) -> String {
    match message.kind {
        Kind::First => "Records of yours break their contract. The sender has to be fixed, or the contract.".to_owned(),
        Kind::Digest => "Records of yours break their contract still.".to_owned(),
        Kind::Fixed => {
            "No record has broken this any more for a while, so you will hear no more of it. Records that were set aside wait until they are let in or thrown away.".to_owned()
        }
        Kind::Test => "A test that somebody asked for: what breaks your contracts will be told here.".to_owned(),
    }
}

/// What is said of a breach: a word, and what stands beside it.
pub(crate) fn rows(item: &Item, kind: Kind) -> Vec<(&'static str, String)> {
    let (breach, broken) = (&item.breach, &item.broken);
    let mut rows = vec![("Component", item.component()), ("Contract", format!("{} {}", breach.contract, broken.version).trim().to_owned())];
    rows.push(("Attribute", breach.path.clone()));
    rows.push(("Rule", format!("{} at {}", breach.rule, broken.at)));
    if kind != Kind::Fixed {
        rows.push(("Expected", broken.expected.clone()));
        rows.push(("Found", broken.found.clone()));
    }
    rows.push(("Records", format!("{} since {}", records(broken.records), instant(item.first_ms))));
    if kind == Kind::Digest {
        rows.push(("New", records(item.since_told)));
    }
    rows.push(("Last", instant(item.last_ms)));
    if kind != Kind::Fixed {
        rows.push(("Fix", fix(breach, &broken.expected, &broken.at)));
        if !broken.sample.is_empty() {
            rows.push(("A record", sample(item)));
        }
    }
    rows.into_iter().map(|(word, text)| (word, clean(&text, TEXT_CHARS_MAX))).collect()
}

/// `12 (10 quarantined, 2 rejected)`.
fn records(records: ByMode) -> String {
    let parts = [(records.observed, "observed"), (records.quarantined, "quarantined"), (records.rejected, "rejected")];
    let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    match &parts[..] {
        [] => "none".to_owned(),
        [one] => one.clone(),
        more => format!("{} ({})", records.all(), more.join(", ")),
    }
}

/// In UTC, to the second.
pub(crate) fn instant(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}

/// The record by the kinds of its values.
fn sample(item: &Item) -> String {
    let mut parts: Vec<String> =
        item.broken.sample.iter().take(SAMPLE_MAX).map(|(name, kind)| format!("{}: {kind}", clean(name, 40))).collect();
    if item.broken.sample.len() > SAMPLE_MAX {
        parts.push(format!("{} more", item.broken.sample.len() - SAMPLE_MAX));
    }
    parts.join("; ")
}

/// What whoever sends the records, or keeps the contract, can do.
pub(crate) fn fix(breach: &Breach, expected: &str, at: &str) -> String {
    // The end of the sentence must not fall to a long list.
    let (path, expected) = (clean(&breach.path, 60), clean(expected, 80));
    let widen = format!("or, where the records are right, change the rule at {at}");
    match breach.rule.as_str() {
        OTHERS => "Look at the quarantine page: more is wrong with this component's records than is told one by one.".to_owned(),
        "required" | "dependentRequired" | "minProperties" => format!("Send {path} with every record, {widen}."),
        "type" | "format" | "pattern" | "minLength" | "maxLength" | "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum"
        | "multipleOf" | "minItems" | "maxItems" | "uniqueItems" => format!("Send {path} as {expected}, {widen}."),
        "enum" | "const" => format!("Send {path} as {expected}, or add the new value at {at}."),
        "additionalProperties" | "unevaluatedProperties" | "propertyNames" | "maxProperties" => {
            format!("Do not send {path}, or declare it in the contract at {at}.")
        }
        "not" | "false" => format!("Do not send {path}, {widen}."),
        _ => format!("Send {path} as the contract says, {widen}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sender_chose_is_made_harmless() {
        assert_eq!(clean("a\r\nBcc: b\u{202e}c\u{0}", 99), "a\u{fffd}\u{fffd}Bcc: b\u{fffd}c\u{fffd}");
        assert_eq!(clean(&"é".repeat(500), 10), format!("{}…", "é".repeat(10)));
        assert_eq!(clean("exactly 10", 10), "exactly 10");
    }

    #[test]
    fn the_fix_is_said_by_rule() {
        let breach = |rule: &str| Breach { rule: rule.into(), path: "payment.method".into(), ..Breach::default() };
        let said = |rule: &str| fix(&breach(rule), "one of [\"card\"]", "contracts/pay.json:9");
        assert_eq!(said("enum"), "Send payment.method as one of [\"card\"], or add the new value at contracts/pay.json:9.");
        assert!(said("required").starts_with("Send payment.method with every record, or, where the records are right,"));
        assert!(said("additionalProperties").starts_with("Do not send payment.method, or declare it"));
        assert!(said("contains").starts_with("Send payment.method as the contract says"));
    }

    #[test]
    fn records_are_counted_by_what_happened_to_them() {
        assert_eq!(records(ByMode { observed: 0, quarantined: 2, rejected: 0 }), "2 quarantined");
        assert_eq!(records(ByMode { observed: 1, quarantined: 2, rejected: 3 }), "6 (1 observed, 2 quarantined, 3 rejected)");
    }
}
