//! The label set of an OTLP data point, put together from attributes, resource and scope.

use model::{AttributeValue, Attributes};

use super::names;
use super::value::{Any, Encoder, Trouble, read_key_value};
use crate::outcome::{Fault, Outcome, Rules};
use crate::protobuf::Read;

/// Who wins when two labels have one name: the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// What the mapping itself says: `job`, `instance`, `otel_scope_name`.
    Fixed,
    Attribute,
    /// Identity from the resource, where the point itself says nothing.
    Promoted,
}

#[derive(Clone, Copy)]
struct Pair {
    start: usize,
    name_end: usize,
    end: usize,
    rank: Rank,
}

/// One label set under construction; its memory is reused from point to point.
#[derive(Default)]
pub(super) struct LabelSet {
    text: String,
    pairs: Vec<Pair>,
}

impl LabelSet {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.pairs.clear();
    }

    /// An empty value is no label, as Prometheus has it.
    pub(super) fn push(&mut self, name: &str, value: &str, rank: Rank) {
        if !value.is_empty() {
            let start = self.text.len();
            self.text.push_str(name);
            self.end_pair(start, value, rank);
        }
    }

    fn end_pair(&mut self, start: usize, value: &str, rank: Rank) {
        let name_end = self.text.len();
        self.text.push_str(value);
        self.pairs.push(Pair { start, name_end, end: self.text.len(), rank });
    }

    /// Adds attributes, given as `KeyValue` messages, under their Prometheus names.
    pub(super) fn push_attributes(
        &mut self,
        messages: &[&[u8]],
        rules: &Rules<'_>,
        outcome: &mut Outcome,
        encoder: &mut Encoder,
    ) -> Read<Result<(), Fault>> {
        let max = rules.limits.attributes_max;
        if messages.len() > max {
            let why = format!("there are {} attributes: attributes_max is {max}", messages.len());
            return Ok(Err(Fault::new("too_many_attributes", why)));
        }
        let mut attributes = Vec::with_capacity(messages.len());
        for message in messages {
            attributes.push(read_key_value(message)?);
        }
        // Values of keys that become one name are joined in the order of the keys.
        attributes.sort_by_key(|(key, _)| *key);
        attributes.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                outcome.repair("duplicate_attribute");
            }
            same
        });
        for (key, any) in attributes {
            let Ok(key) = std::str::from_utf8(key) else {
                return Ok(Err(Fault::new("invalid_label_name", "an attribute's key is not UTF-8: send UTF-8")));
            };
            if key.is_empty() {
                return Ok(Err(Fault::new("invalid_label_name", "an attribute has an empty key: name it or leave it out")));
            }
            let any = any.map_or(Ok(Any::Empty), Any::read)?;
            let pushed = match encoder.encode(any, rules, outcome) {
                Ok(value) => self.push_attribute(key, &value, rules),
                Err(Trouble::Malformed(malformed)) => return Err(malformed),
                Err(Trouble::Fault(fault)) => Err(fault),
            };
            if let Err(fault) = pushed {
                return Ok(Err(fault));
            }
        }
        Ok(Ok(()))
    }

    /// A value that no label may have is refused at once: what is joined later is then bounded by the number of attributes.
    fn push_attribute(&mut self, key: &str, value: &AttributeValue<'_>, rules: &Rules<'_>) -> Result<(), Fault> {
        let number;
        let text = match value {
            AttributeValue::Text(text) | AttributeValue::Encoded(_, text) => *text,
            AttributeValue::Bool(value) => {
                if *value {
                    "true"
                } else {
                    "false"
                }
            }
            AttributeValue::Int(value) => {
                number = value.to_string();
                &number
            }
            AttributeValue::Double(value) => {
                number = value.to_string();
                &number
            }
        };
        if text.is_empty() {
            return Ok(());
        }
        rules.check_label_value(key, text)?;
        let start = self.text.len();
        names::label_name(key, &mut self.text);
        self.end_pair(start, text, Rank::Attribute);
        Ok(())
    }

    /// Adds attributes that are text already.
    pub(super) fn push_texts(&mut self, attributes: &[(String, String)], rules: &Rules<'_>) -> Result<(), Fault> {
        let mut attributes: Vec<_> = attributes.iter().collect();
        attributes.sort();
        attributes.into_iter().try_for_each(|(key, text)| self.push_attribute(key, &AttributeValue::Text(text), rules))
    }

    /// Adds the attributes of a scope, each as `otel_scope_<attribute>`.
    pub(super) fn push_scope(&mut self, attributes: &Attributes) {
        for (key, _, text) in attributes.iter().filter(|(.., text)| !text.is_empty()) {
            let start = self.text.len();
            names::label_name(&format!("otel_scope_{key}"), &mut self.text);
            self.end_pair(start, text, Rank::Fixed);
        }
    }

    /// Sorts by name, settles names that came twice, and checks what came out.
    pub(super) fn settle(&mut self, rules: &Rules<'_>) -> Result<(), Fault> {
        let Self { text, pairs } = self;
        pairs.sort_by(|a, b| (&text[a.start..a.name_end], a.rank).cmp(&(&text[b.start..b.name_end], b.rank)));
        let (mut kept, mut at) = (0, 0);
        while at < pairs.len() {
            let first = pairs[at];
            let name = &text[first.start..first.name_end];
            let alike = pairs[at..].iter().take_while(|pair| text[pair.start..pair.name_end] == *name).count();
            let joined = pairs[at..at + alike].iter().take_while(|pair| pair.rank == Rank::Attribute).count();
            pairs[kept] = if joined > 1 { join(text, &pairs[at..at + joined], rules)? } else { first };
            (kept, at) = (kept + 1, at + alike);
        }
        pairs.truncate(kept);
        rules.check_labels(self.iter())
    }

    /// Becomes the settled set `base` with one label more; a label of that name in `base` gives way.
    pub(super) fn assign_with(&mut self, base: &Self, name: &str, value: &str) {
        self.clear();
        let mut pending = true;
        for (other, text) in base.iter() {
            if pending && other >= name {
                self.push(name, value, Rank::Fixed);
                pending = false;
            }
            if other != name {
                self.push(other, text, Rank::Fixed);
            }
        }
        if pending {
            self.push(name, value, Rank::Fixed);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.pairs.iter().map(|pair| (&self.text[pair.start..pair.name_end], &self.text[pair.name_end..pair.end]))
    }
}

/// The values of several attributes under their one name, written once behind all others.
fn join(text: &mut String, alike: &[Pair], rules: &Rules<'_>) -> Result<Pair, Fault> {
    let first = alike[0];
    let (start, name_len) = (text.len(), first.name_end - first.start);
    text.extend_from_within(first.start..first.end);
    for pair in &alike[1..] {
        text.push(';');
        text.extend_from_within(pair.name_end..pair.end);
        rules.check_label_value(&text[first.start..first.name_end], &text[start + name_len..])?;
    }
    Ok(Pair { start, name_end: start + name_len, end: text.len(), rank: Rank::Attribute })
}

#[cfg(test)]
mod tests {
    use model::ReceiveLimits;

    use super::*;

    fn pairs(set: &LabelSet) -> Vec<(&str, &str)> {
        set.iter().collect()
    }

    #[test]
    fn names_that_meet_are_settled_by_rank_and_joined_within_attributes() {
        let mut set = LabelSet::default();
        let limits = ReceiveLimits::default();
        let rules = Rules { limits: &limits, now_unix_nano: 0, protocol: "test" };
        let mut attribute = |key: &str, value| set.push_attribute(key, &value, &rules).expect("within the limits");
        attribute("job", AttributeValue::Text("mine"));
        attribute("a.b", AttributeValue::Text("1"));
        attribute("a_b", AttributeValue::Int(2));
        attribute("a-b", AttributeValue::Bool(true));
        attribute("team", AttributeValue::Text("web"));
        attribute("empty", AttributeValue::Text(""));
        set.push("job", "shop/cart", Rank::Fixed);
        set.push("team", "core", Rank::Promoted);
        set.settle(&rules).expect("within the limits");
        assert_eq!(pairs(&set), [("a_b", "1;2;true"), ("job", "shop/cart"), ("team", "web")]);
        let mut with = LabelSet::default();
        with.assign_with(&set, "job", "x");
        assert_eq!(pairs(&with), [("a_b", "1;2;true"), ("job", "x"), ("team", "web")]);
        with.assign_with(&set, "zz", "x");
        assert_eq!(pairs(&with)[3], ("zz", "x"));
        with.assign_with(&set, "le", "1");
        assert_eq!(pairs(&with)[2], ("le", "1"));
    }

    #[test]
    fn many_names_that_meet_cost_no_more_than_the_limit() {
        let limits = ReceiveLimits { label_value_bytes_max: 100, ..ReceiveLimits::default() };
        let rules = Rules { limits: &limits, now_unix_nano: 0, protocol: "test" };
        let mut set = LabelSet::default();
        let long = set.push_attribute("a", &AttributeValue::Text(&"x".repeat(101)), &rules).expect_err("too long");
        assert_eq!((long.reason, set.text.len()), ("label_value_too_long", 0));
        for dots in 1..=1000 {
            set.push_attribute(&format!("a{}", ".".repeat(dots)), &AttributeValue::Text(&"x".repeat(90)), &rules).expect("short");
        }
        let before = set.text.len();
        assert_eq!(set.settle(&rules).expect_err("too long").reason, "label_value_too_long");
        assert!(set.text.len() - before < 1000, "it stops at the limit");
    }
}
