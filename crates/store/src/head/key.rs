use std::sync::Arc;

use arrow::array::StringArray;
use model::Identity;
use model::samples::SamplesView;

use crate::varint;

/// What makes a series that series: whether it holds floats or histograms, name, identity, labels; as one byte string, so
/// that a look-up compares one slice and a million series cost one allocation each.
///
/// One byte for the kind; the name; for each identity field a byte that says whether it is empty, the same as the label of its
/// name, as it mostly is, or a text that follows; label names and values. Texts have their lengths in front.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeriesKey(Arc<[u8]>);

/// What an identity field is.
const EMPTY: u8 = 0;
const AS_LABEL: u8 = 1;
const OWN: u8 = 2;

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
    pub(crate) fn encode(buffer: &mut Vec<u8>, view: &SamplesView<'_>, identity: [&StringArray; 6], row: usize, histograms: bool) {
        buffer.clear();
        buffer.push(u8::from(histograms));
        push(buffer, model::logs::text_or_empty(view.name, row));
        for (field, column) in Identity::FIELDS.into_iter().zip(identity) {
            match model::logs::text_or_empty(column, row) {
                "" => buffer.push(EMPTY),
                text if view.labels.get_sorted(row, field) == Some(text) => buffer.push(AS_LABEL),
                text => {
                    buffer.push(OWN);
                    push(buffer, text);
                }
            }
        }
        for (name, value) in view.labels.iter(row) {
            push(buffer, name);
            push(buffer, value);
        }
    }

    /// The key of bytes that came from outside; none when they are no key.
    pub(crate) fn is_valid(encoded: &[u8]) -> bool {
        let Some((kind, rest)) = encoded.split_first() else { return false };
        let mut texts = Texts(rest);
        let mut fields = || {
            texts.checked()?;
            for _ in Identity::FIELDS {
                match texts.byte()? {
                    EMPTY | AS_LABEL => {}
                    OWN => texts.checked().map(|_| ())?,
                    _ => return None,
                }
            }
            while !texts.0.is_empty() {
                texts.checked()?;
                texts.checked()?;
            }
            Some(())
        };
        *kind <= 1 && fields().is_some()
    }

    pub(crate) fn encoded(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn name(&self) -> &str {
        Texts(&self.0[1..]).next().unwrap_or_default()
    }

    /// By its place in `Identity::FIELDS`; empty when not known.
    pub(crate) fn identity(&self, field: usize) -> &str {
        let mut texts = Texts(&self.0[1..]);
        texts.next();
        let mut found = "";
        for at in 0..=field {
            found = match texts.byte() {
                Some(OWN) => texts.next().unwrap_or_default(),
                Some(AS_LABEL) if at == field => self.label(Identity::FIELDS[field]),
                _ => "",
            };
        }
        found
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let mut texts = Texts(&self.0[1..]);
        texts.next();
        for _ in Identity::FIELDS {
            if texts.byte() == Some(OWN) {
                texts.next();
            }
        }
        Pairs(texts)
    }

    /// What is in the encoded key of every series with this label.
    pub(crate) fn pair(name: &str, value: &str) -> Vec<u8> {
        let mut pair = Vec::new();
        push(&mut pair, name);
        push(&mut pair, value);
        pair
    }

    /// The value of a label, empty when it has none.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels().find(|(other, _)| *other == name).map_or("", |(_, value)| value)
    }
}

fn push(buffer: &mut Vec<u8>, text: &str) {
    varint::push(buffer, text.len() as u64);
    buffer.extend_from_slice(text.as_bytes());
}

#[derive(Clone)]
struct Texts<'a>(&'a [u8]);

impl<'a> Texts<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// The next text; none at the end, and where the bytes are no text.
    fn checked(&mut self) -> Option<&'a str> {
        let length = usize::try_from(varint::take(&mut self.0)?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        match self.0 {
            [] => None,
            _ => Some(self.checked().expect("a key is encoded from text, or was checked")),
        }
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
        let identity = model::logs::identity_columns(&batch).unwrap();
        SeriesKey::encode(&mut buffer, &SamplesView::of(&batch).unwrap(), identity, 0, true);
        let key = SeriesKey::new(&buffer);
        assert!(key.is(&buffer));
        assert_eq!((key.name(), key.identity(0), key.identity(5)), ("up", "", ""));
        assert_eq!(key.labels().collect::<Vec<_>>(), [("a", "1"), ("b", long.as_str())]);
        assert_eq!((key.label("b").len(), key.label("c")), (300, ""));
        assert!(SeriesKey::is_valid(&buffer));
        // A shorter key may be a key all the same: one of fewer labels.
        let shorter = (0..buffer.len()).filter(|&end| SeriesKey::is_valid(&buffer[..end]));
        assert!(shorter.map(|end| SeriesKey::new(&buffer[..end]).labels().count()).eq([0, 1]));
        assert!(!SeriesKey::is_valid(&[]) && !SeriesKey::is_valid(&[0, 200]) && !SeriesKey::is_valid(&[2, 0, 0, 0, 0, 0, 0, 0]));
    }
}
