use std::fmt;
use std::sync::Arc;

use twox_hash::XxHash3_64;

/// A sorted set of name and value pairs with unique names, cheap to clone: the identity of a series or stream.
///
/// One text buffer and one offset table instead of a string per label: a query over 10,000 series clones label sets
/// by the hundred thousand.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels {
    text: Arc<str>,
    /// End offsets in `text`: name 0, value 0, name 1, value 1, ...
    ends: Arc<[u32]>,
}

impl Labels {
    pub fn empty() -> Self {
        LabelsBuilder::default().build()
    }

    /// Sorts by name; of two pairs with one name the later wins; pairs with an empty value are left out.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> + ExactSizeIterator + Clone {
        (0..self.len()).map(|index| self.pair(index))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            let (found, value) = self.pair(middle);
            match found.cmp(name) {
                std::cmp::Ordering::Equal => return Some(value),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The set with only the names for which `keep` says yes.
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        Self::from_sorted(self.iter().filter(|(name, _)| keep(name)))
    }

    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// As it is given: names must be sorted and unique. Empty values stay, because LogQL tells a label with an empty
    /// value from a missing one.
    pub fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        /// Of most sets; what is left over goes when the set is put together.
        const TEXT_BYTES: usize = 256;
        const ENDS: usize = 2 * 16;
        let (mut text, mut ends) = (String::with_capacity(TEXT_BYTES), Vec::with_capacity(ENDS));
        for (name, value) in pairs {
            for part in [name, value] {
                text.push_str(part);
                ends.push(u32::try_from(text.len()).expect("a label set is under 4 GiB: the receive limits see to it"));
            }
        }
        Self { text: text.into(), ends: ends.into() }
    }

    fn pair(&self, index: usize) -> (&str, &str) {
        let start = if index == 0 { 0 } else { self.ends[2 * index - 1] as usize };
        let (name_end, value_end) = (self.ends[2 * index] as usize, self.ends[2 * index + 1] as usize);
        (&self.text[start..name_end], &self.text[name_end..value_end])
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

/// `{a="1", b="2"}`, as Prometheus prints a label set.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Labels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Changes a label set by name.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Sets a label; an empty value removes it, as Prometheus has it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.binary_search_by(|(other, _)| other.as_str().cmp(name)) {
            Ok(index) if value.is_empty() => drop(self.pairs.remove(index)),
            Ok(index) => value.clone_into(&mut self.pairs[index].1),
            Err(_) if value.is_empty() => {}
            Err(index) => self.pairs.insert(index, (name.to_owned(), value.to_owned())),
        }
        self
    }

    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.set(name, "")
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let index = self.pairs.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        Some(&self.pairs[index].1)
    }

    pub fn build(&self) -> Labels {
        Labels::from_sorted(self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// A 64-bit hash of a metric's name and its sorted labels. It speeds a look-up and never replaces the labels: among a
/// billion series two may share one.
pub fn series_id<'a>(name: &str, labels: impl Iterator<Item = (&'a str, &'a str)>) -> i64 {
    use std::hash::Hasher;
    let mut hasher = XxHash3_64::with_seed(0);
    let mut feed = |part: &str| {
        hasher.write(part.as_bytes());
        hasher.write(&[0xff]);
    };
    feed(name);
    for (name, value) in labels {
        feed(name);
        feed(value);
    }
    hasher.finish().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_unique_and_not_empty() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", ""), ("b", "3")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="3"}"#);
        assert_eq!(labels.get("b"), Some("3"));
        assert_eq!(labels.get("c"), None);
        assert_eq!(labels, Labels::from_pairs([("a", "1"), ("b", "3")]));
    }

    #[test]
    fn filtered_and_builder_agree() {
        let labels = Labels::from_pairs([("a", "1"), ("b", "2")]);
        let mut builder = labels.to_builder();
        builder.remove("a");
        assert_eq!(builder.build(), labels.filtered(|name| name != "a"));
    }

    #[test]
    fn series_id_separates_name_from_value() {
        assert_ne!(series_id("m", [("ab", "c")].into_iter()), series_id("m", [("a", "bc")].into_iter()));
    }
}
