//! The label set of an OTLP data point, put together from attributes, resource and scope.

use model::AttributeValue;

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
        attributes.dedup_by_key(|(key, _)| *key);
        for (key, any) in attributes {
            let Ok(key) = std::str::from_utf8(key) else {
                return Ok(Err(Fault::new("invalid_label_name", "an attribute's key is not UTF-8: send UTF-8")));
            };
            if key.is_empty() {
                return Ok(Err(Fault::new("invalid_label_name", "an attribute has an empty key: name it or leave it out")));
            }
            let any = any.map_or(Ok(Any::Empty), Any::read)?;
            match encoder.encode(any, rules, outcome) {
                Ok(value) => self.push_attribute(key, &value),
                Err(Trouble::Malformed(malformed)) => return Err(malformed),
                Err(Trouble::Fault(fault)) => return Ok(Err(fault)),
            }
        }
        Ok(Ok(()))
    }

    fn push_attribute(&mut self, key: &str, value: &AttributeValue<'_>) {
        let start = self.text.len();
        names::label_name(key, &mut self.text);
        match value {
            AttributeValue::Text("") | AttributeValue::Encoded(_, "") => self.text.truncate(start),
            AttributeValue::Text(text) | AttributeValue::Encoded(_, text) => self.end_pair(start, text, Rank::Attribute),
            AttributeValue::Bool(value) => self.end_pair(start, if *value { "true" } else { "false" }, Rank::Attribute),
            AttributeValue::Int(value) => self.end_pair(start, &value.to_string(), Rank::Attribute),
            AttributeValue::Double(value) => self.end_pair(start, &value.to_string(), Rank::Attribute),
        }
    }

    /// Adds attributes that are text already.
    pub(super) fn push_texts(&mut self, attributes: &[(String, String)]) {
        let mut attributes: Vec<_> = attributes.iter().collect();
        attributes.sort();
        for (key, text) in attributes {
            self.push_attribute(key, &AttributeValue::Text(text));
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Sorts by name and settles names that came twice.
    pub(super) fn settle(&mut self) {
        let Self { text, pairs } = self;
        pairs.sort_by(|a, b| (&text[a.start..a.name_end], a.rank).cmp(&(&text[b.start..b.name_end], b.rank)));
        let mut index = 1;
        while index < pairs.len() {
            let (kept, next) = (pairs[index - 1], pairs[index]);
            if text[kept.start..kept.name_end] != text[next.start..next.name_end] {
                index += 1;
                continue;
            }
            if (kept.rank, next.rank) == (Rank::Attribute, Rank::Attribute) {
                let joined = format!("{};{}", &text[kept.start..kept.end], &text[next.name_end..next.end]);
                let (start, name_len) = (text.len(), kept.name_end - kept.start);
                text.push_str(&joined);
                pairs[index - 1] = Pair { start, name_end: start + name_len, end: text.len(), rank: kept.rank };
            }
            pairs.remove(index);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(set: &LabelSet) -> Vec<(&str, &str)> {
        set.iter().collect()
    }

    #[test]
    fn names_that_meet_are_settled_by_rank_and_joined_within_attributes() {
        let mut set = LabelSet::default();
        set.push_attribute("job", &AttributeValue::Text("mine"));
        set.push_attribute("a.b", &AttributeValue::Text("1"));
        set.push_attribute("a_b", &AttributeValue::Int(2));
        set.push_attribute("a-b", &AttributeValue::Bool(true));
        set.push("job", "shop/cart", Rank::Fixed);
        set.push("team", "core", Rank::Promoted);
        set.push_attribute("team", &AttributeValue::Text("web"));
        set.push_attribute("empty", &AttributeValue::Text(""));
        set.settle();
        assert_eq!(pairs(&set), [("a_b", "1;2;true"), ("job", "shop/cart"), ("team", "web")]);
        let mut with = LabelSet::default();
        with.assign_with(&set, "job", "x");
        assert_eq!(pairs(&with), [("a_b", "1;2;true"), ("job", "x"), ("team", "web")]);
        with.assign_with(&set, "zz", "x");
        assert_eq!(pairs(&with)[3], ("zz", "x"));
        with.assign_with(&set, "le", "1");
        assert_eq!(pairs(&with)[2], ("le", "1"));
    }
}
