//! Relabelling rules as they are written.

use catalog::yaml::{Node, Value};

use super::fields::{Fields, Reader};
use crate::scrape::relabel::{Action, NameScheme, Rule};

const KNOWN: [&str; 7] = ["source_labels", "separator", "regex", "modulus", "target_label", "replacement", "action"];

impl Reader {
    pub(super) fn rules(&mut self, fields: &Fields<'_>, name: &str, names: NameScheme) -> Vec<Rule> {
        self.items(fields, name).iter().filter_map(|node| self.rule(node, names)).collect()
    }

    fn rule(&mut self, node: &Node, names: NameScheme) -> Option<Rule> {
        if matches!(node.value, Value::Null) {
            self.problem(node.place, "cannot use an empty relabelling rule: write an action, or leave it out");
            return None;
        }
        let fields = self.fields(node, "a relabelling rule", &KNOWN)?;
        let action = match fields.get("action") {
            None => Action::Replace,
            Some(node) => {
                let text = self.text_of(node, "action").to_ascii_lowercase();
                let known = Action::ALL.map(|(name, _)| name);
                let found = Action::ALL.into_iter().find(|(name, _)| *name == text);
                if found.is_none() {
                    let hint = catalog::closest(&text, &known).map_or_else(|| known.join(", "), |name| format!("did you mean {name:?}?"));
                    self.problem(node.place, format!("cannot relabel by action {text:?}: {hint}"));
                }
                found?.1
            }
        };
        let regex = self.text(&fields, "regex").unwrap_or_else(|| "(.*)".to_owned());
        let regex = match lang::anchored(&regex) {
            Ok(regex) => regex,
            Err(error) => {
                let why = error.to_string();
                let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.problem(fields.place_of("regex"), format!("cannot compile regular expression {regex:?}: {last}"));
                return None;
            }
        };
        let rule = Rule {
            action,
            source_labels: self.texts(&fields, "source_labels"),
            separator: self.text(&fields, "separator").unwrap_or_else(|| ";".to_owned()),
            regex,
            modulus: self.number(&fields, "modulus").unwrap_or(0),
            target_label: self.text(&fields, "target_label").unwrap_or_default(),
            replacement: self.text(&fields, "replacement").unwrap_or_else(|| "$1".to_owned()),
            names,
        };
        match fault(&rule, &fields) {
            None => Some(rule),
            Some((key, why)) => {
                let name = Action::ALL.iter().find(|(_, other)| *other == action).map_or("", |(name, _)| name);
                self.problem(fields.place_of(key), format!("cannot relabel by action {name}: {why}"));
                None
            }
        }
    }
}

/// The key that does not fit the rule's action, and why.
fn fault(rule: &Rule, fields: &Fields<'_>) -> Option<(&'static str, String)> {
    use Action::*;
    let target = &rule.target_label;
    if matches!(rule.action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual) && target.is_empty() {
        return Some(("action", "it needs a target_label".to_owned()));
    }
    let template_fits = |text: &str| match rule.names {
        NameScheme::Utf8 => !text.is_empty(),
        NameScheme::Legacy => is_template(text),
    };
    let target_fits = match rule.action {
        Replace if target.contains('$') => template_fits(target),
        Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual => rule.names.allows_label(target),
        _ => true,
    };
    if !target_fits {
        return Some(("target_label", format!("{target:?} is no label's name")));
    }
    if rule.action == HashMod && rule.modulus == 0 {
        return Some(("action", "it needs a modulus over 0".to_owned()));
    }
    if matches!(rule.action, Lowercase | Uppercase) && rule.replacement != "$1" {
        return Some(("replacement", "it takes no replacement".to_owned()));
    }
    if rule.action == LabelMap && !template_fits(&rule.replacement) {
        return Some(("replacement", format!("{:?} is no label's name", rule.replacement)));
    }
    let allowed: &[&str] = match rule.action {
        LabelDrop | LabelKeep => &["regex", "action"],
        KeepEqual | DropEqual => &["source_labels", "target_label", "action"],
        _ => return None,
    };
    let other = KNOWN.into_iter().find(|key| fields.get(key).is_some() && !allowed.contains(key))?;
    Some((other, format!("it takes {} and nothing else", allowed.join(", "))))
}

/// A label's name with places for what the expression found: `${1}_x`.
fn is_template(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        let after = &after[1..];
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = match after.strip_prefix('{') {
            Some(inner) => match inner.find('}') {
                Some(end) if end > 0 && inner[..end].chars().all(word) => end + 2,
                _ => return false,
            },
            None => after.find(|c| !word(c)).unwrap_or(after.len()),
        };
        if end == 0 || !before.chars().all(word) {
            return false;
        }
        rest = &after[end..];
    }
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
