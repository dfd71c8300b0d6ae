use std::sync::Arc;

use model::samples::SamplesView;

/// What makes a series that series: whether it holds floats or histograms, name, identity, labels; as one byte string, so
/// that a look-up compares one slice and a million series cost one allocation each.
///
/// One byte for the kind, then each text with its length in front: name, six identity fields, label names and values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeriesKey(Arc<[u8]>);

/// The number of identity fields between name and labels.
const IDENTITY: usize = 6;

impl SeriesKey {
    pub(crate) fn new(encoded: &[u8]) -> Self {
        Self(encoded.into())
    }

    pub(crate) fn is(&self, encoded: &[u8]) -> bool {
        *self.0 == *encoded
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes the key of a batch's row into `buffer`, over what was there.
    pub(crate) fn encode(buffer: &mut Vec<u8>, view: &SamplesView<'_>, row: usize, histograms: bool) {
        buffer.clear();
        buffer.push(u8::from(histograms));
        push(buffer, model::logs::text_or_empty(view.name, row));
        for column in view.identity {
            push(buffer, model::logs::text_or_empty(column, row));
        }
        for (name, value) in view.labels.iter(row) {
            push(buffer, name);
            push(buffer, value);
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.texts().next().unwrap_or_default()
    }

    /// By its place in `Identity::FIELDS`; empty when not known.
    pub(crate) fn identity(&self, field: usize) -> &str {
        self.texts().nth(1 + field).unwrap_or_default()
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let mut texts = self.texts();
        texts.nth(IDENTITY);
        Pairs(texts)
    }

    /// The value of a label, empty when it has none.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels().find(|(other, _)| *other == name).map_or("", |(_, value)| value)
    }

    fn texts(&self) -> Texts<'_> {
        Texts(&self.0[1..])
    }
}

fn push(buffer: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    while length >= 0x80 {
        buffer.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    buffer.push(length as u8);
    buffer.extend_from_slice(text.as_bytes());
}

#[derive(Clone)]
struct Texts<'a>(&'a [u8]);

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (mut length, mut shift) = (0, 0);
        loop {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(std::str::from_utf8(text).expect("a key is encoded from text"))
    }
}

#[derive(Clone)]
struct Pairs<'a>(Texts<'a>);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::samples::{SamplesBuilder, SeriesRow};

    #[test]
    fn a_key_gives_back_what_it_was_made_of() {
        let long = "x".repeat(300);
        let mut builder = SamplesBuilder::default();
        builder.float(1, 1.0);
        builder.push_series(&SeriesRow { name: "up", ..SeriesRow::default() }, [("a", "1"), ("b", long.as_str())].into_iter());
        let batch = builder.finish();
        let mut buffer = vec![9; 9];
        SeriesKey::encode(&mut buffer, &SamplesView::of(&batch).unwrap(), 0, true);
        let key = SeriesKey::new(&buffer);
        assert!(key.is(&buffer));
        assert_eq!((key.name(), key.identity(0), key.identity(5)), ("up", "", ""));
        assert_eq!(key.labels().collect::<Vec<_>>(), [("a", "1"), ("b", long.as_str())]);
        assert_eq!((key.label("b").len(), key.label("c")), (300, ""));
    }
}
