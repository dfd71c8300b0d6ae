//! Relabelling: rules that rewrite, keep or drop a set of labels, with every action of Prometheus 3.
//! Source: <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>.

use std::borrow::Cow;

use md5::{Digest, Md5};
use model::Labels;
use regex::Regex;

/// A set of labels that is being written. Few enough to be searched one by one; a label with an empty value is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSet(Vec<(String, String)>);

impl LabelSet {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// An empty value takes the label away.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if value.is_empty() {
            return self.0.retain(|(other, _)| other != name);
        }
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, held)) => *held = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn to_labels(&self) -> Labels {
        Labels::from_pairs(self.iter())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for LabelSet {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Self {
        let mut set = Self::default();
        pairs.into_iter().for_each(|(name, value)| set.set(name, value));
        set
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

impl Action {
    pub(crate) const ALL: [(&'static str, Self); 11] = [
        ("replace", Self::Replace),
        ("keep", Self::Keep),
        ("drop", Self::Drop),
        ("keepequal", Self::KeepEqual),
        ("dropequal", Self::DropEqual),
        ("hashmod", Self::HashMod),
        ("labelmap", Self::LabelMap),
        ("labeldrop", Self::LabelDrop),
        ("labelkeep", Self::LabelKeep),
        ("lowercase", Self::Lowercase),
        ("uppercase", Self::Uppercase),
    ];
}

/// Which names metrics and labels may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NameScheme {
    /// Any text.
    #[default]
    Utf8,
    /// Letters, digits and underscores, as before Prometheus 3; a metric's name also has colons.
    Legacy,
}

impl NameScheme {
    pub(crate) fn allows_label(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => {
                !name.is_empty()
                    && !name.starts_with(|c: char| c.is_ascii_digit())
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            }
        }
    }

    pub(crate) fn allows_metric(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => {
                let part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':');
                !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(part)
            }
        }
    }
}

/// One rule. The configuration's reader has checked that its fields fit its action.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) action: Action,
    pub(crate) source_labels: Vec<String>,
    pub(crate) separator: String,
    /// Anchored at both ends.
    pub(crate) regex: Regex,
    pub(crate) modulus: u64,
    pub(crate) target_label: String,
    pub(crate) replacement: String,
    pub(crate) names: NameScheme,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        let texts = |rule: &Self| {
            let Self { action, source_labels, separator, regex, modulus, target_label, replacement, names } = rule.clone();
            (action, source_labels, separator, regex.as_str().to_owned(), modulus, target_label, replacement, names)
        };
        texts(self) == texts(other)
    }
}

/// Applies rules in their order. False when one of them drops the set.
pub(crate) fn relabel(rules: &[Rule], labels: &mut LabelSet) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

impl Rule {
    fn apply(&self, labels: &mut LabelSet) -> bool {
        match self.action {
            Action::Keep => return self.regex.is_match(&self.source(labels)),
            Action::Drop => return !self.regex.is_match(&self.source(labels)),
            Action::KeepEqual => return labels.get(&self.target_label) == self.source(labels),
            Action::DropEqual => return labels.get(&self.target_label) != self.source(labels),
            Action::Replace => self.replace(labels),
            Action::Lowercase => {
                let value = self.source(labels).to_lowercase();
                labels.set(&self.target_label, value);
            }
            Action::Uppercase => {
                let value = self.source(labels).to_uppercase();
                labels.set(&self.target_label, value);
            }
            Action::HashMod => {
                let hash: [u8; 16] = Md5::digest(self.source(labels).as_bytes()).into();
                // The last half, as Prometheus has it.
                let [.., a, b, c, d, e, f, g, h] = hash;
                let remainder = u64::from_be_bytes([a, b, c, d, e, f, g, h]) % self.modulus;
                labels.set(&self.target_label, remainder.to_string());
            }
            Action::LabelMap => {
                for (name, value) in labels.clone().iter().filter(|(name, _)| self.regex.is_match(name)) {
                    labels.set(&self.regex.replace_all(name, &self.replacement), value);
                }
            }
            Action::LabelDrop => labels.retain(|name| !self.regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name| self.regex.is_match(name)),
        }
        true
    }

    fn source<'l>(&self, labels: &'l LabelSet) -> Cow<'l, str> {
        match &self.source_labels[..] {
            [] => Cow::Borrowed(""),
            [name] => Cow::Borrowed(labels.get(name)),
            names => Cow::Owned(names.iter().map(|name| labels.get(name)).collect::<Vec<_>>().join(&self.separator)),
        }
    }

    fn replace(&self, labels: &mut LabelSet) {
        let source = self.source(labels);
        let Some(found) = self.regex.captures(&source) else { return };
        let (mut target, mut value) = (String::new(), String::new());
        found.expand(&self.target_label, &mut target);
        found.expand(&self.replacement, &mut value);
        if self.names.allows_label(&target) {
            labels.set(&target, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: Action) -> Rule {
        Rule {
            action,
            source_labels: vec!["a".to_owned()],
            separator: ";".to_owned(),
            regex: lang::anchored("(.*)").unwrap(),
            modulus: 0,
            target_label: "d".to_owned(),
            replacement: "$1".to_owned(),
            names: NameScheme::Utf8,
        }
    }

    fn regex(text: &str) -> Regex {
        lang::anchored(text).unwrap()
    }

    /// The labels after the rules; none when they were dropped.
    fn check(labels: &[(&str, &str)], rules: &[Rule], expected: Option<&[(&str, &str)]>) {
        let mut set: LabelSet = labels.iter().copied().collect();
        let kept = relabel(rules, &mut set).then(|| set.to_labels());
        assert_eq!(kept, expected.map(|labels| Labels::from_pairs(labels.iter().copied())));
    }

    #[test]
    fn every_action_does_what_prometheus_documents() {
        let abc = [("a", "foo"), ("b", "bar"), ("c", "baz")];
        let with = |more: &[(&'static str, &'static str)]| [&abc[..], more].concat();
        check(
            &abc,
            &[Rule { regex: regex("f(.*)"), replacement: "ch${1}-ch${1}".into(), ..rule(Action::Replace) }],
            Some(&with(&[("d", "choo-choo")])),
        );
        let joined = Rule {
            source_labels: vec!["a".into(), "b".into()],
            regex: regex("f(.*);(.*)r"),
            replacement: "b${1}${2}m".into(),
            ..rule(Action::Replace)
        };
        check(&abc, &[joined], Some(&with(&[("d", "boobam")])));
        check(&abc, &[Rule { regex: regex("f"), ..rule(Action::Replace) }], Some(&abc));
        check(&abc, &[Rule { replacement: String::new(), target_label: "c".into(), ..rule(Action::Replace) }], Some(&abc[..2]));
        check(
            &abc,
            &[Rule { target_label: "${1}_new".into(), replacement: "v".into(), ..rule(Action::Replace) }],
            Some(&with(&[("foo_new", "v")])),
        );
        check(&abc, &[Rule { regex: regex(".*o.*"), ..rule(Action::Drop) }], None);
        check(&abc, &[Rule { regex: regex("no-match"), ..rule(Action::Drop) }], Some(&abc));
        check(&abc, &[Rule { regex: regex("fo"), ..rule(Action::Keep) }], None);
        check(&[("a", "x"), ("d", "x")], &[rule(Action::KeepEqual)], Some(&[("a", "x"), ("d", "x")]));
        check(&abc, &[rule(Action::KeepEqual)], None);
        check(&[("a", "x"), ("d", "x")], &[rule(Action::DropEqual)], None);
        check(&abc, &[rule(Action::DropEqual)], Some(&abc));
        // Numbers from Prometheus's own tests.
        check(&abc, &[Rule { source_labels: vec!["c".into()], modulus: 1000, ..rule(Action::HashMod) }], Some(&with(&[("d", "976")])));
        check(&[("a", "foo\nbar")], &[Rule { modulus: 1000, ..rule(Action::HashMod) }], Some(&[("a", "foo\nbar"), ("d", "734")]));
        check(
            &abc,
            &[Rule { regex: regex("(b.*|c)"), replacement: "bar_${1}".into(), ..rule(Action::LabelMap) }],
            Some(&with(&[("bar_b", "bar"), ("bar_c", "baz")])),
        );
        check(&abc, &[Rule { regex: regex("[ab]"), ..rule(Action::LabelDrop) }], Some(&abc[2..]));
        check(&abc, &[Rule { regex: regex("[ab]"), ..rule(Action::LabelKeep) }], Some(&abc[..2]));
        check(&[("a", "bAr123Foo")], &[rule(Action::Lowercase)], Some(&[("a", "bAr123Foo"), ("d", "bar123foo")]));
        check(&[("a", "bAr123Foo")], &[rule(Action::Uppercase)], Some(&[("a", "bAr123Foo"), ("d", "BAR123FOO")]));
    }

    #[test]
    fn names_are_checked_after_they_are_made() {
        let made = Rule { target_label: "${1}".into(), replacement: "v".into(), ..rule(Action::Replace) };
        check(&[("a", "0x.y")], std::slice::from_ref(&made), Some(&[("a", "0x.y"), ("0x.y", "v")]));
        check(&[("a", "0x.y")], &[Rule { names: NameScheme::Legacy, ..made }], Some(&[("a", "0x.y")]));
        assert!(NameScheme::Legacy.allows_metric("a:b") && !NameScheme::Legacy.allows_label("a:b"));
    }
}
