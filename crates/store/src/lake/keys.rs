//! Which keys do the map columns of a file have? A filter on a name that may be a column or a key of several maps looks,
//! with this, only where the name is: mostly at the column, which has statistics.

use std::collections::HashMap;

use parquet::file::metadata::{KeyValue, ParquetMetaData};
use serde::{Deserialize, Serialize};

use super::filter::value_seed;

/// The footer's key.
const KEYS_KEY: &str = "tyto.keys";
/// With more keys than this a column says nothing about them: the footer is read for every query.
const KEYS_MAX: usize = 256;
/// Likewise for their bytes.
const KEYS_BYTES_MAX: usize = 16 << 10;

/// The keys of a file's map columns, by column. A column that is not here may have any key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MapKeys(HashMap<String, ColumnKeys>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ColumnKeys {
    pub(crate) keys: Vec<String>,
    /// Those that had a double somewhere: such values are in no filter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) doubles: Vec<String>,
}

impl MapKeys {
    /// From a footer; nothing is known of a file that does not say.
    pub(crate) fn of(footer: &ParquetMetaData) -> Self {
        let said = footer.file_metadata().key_value_metadata().and_then(|pairs| {
            let pair = pairs.iter().find(|pair| pair.key == KEYS_KEY)?;
            serde_json::from_str(pair.value.as_deref()?).ok()
        });
        said.unwrap_or_default()
    }

    pub(crate) fn of_column(&self, column: &str) -> Option<&ColumnKeys> {
        self.0.get(column)
    }
}

/// Collects the keys of one map column, and knows the seed of each.
#[derive(Default)]
pub(crate) struct KeysWriter {
    keys: Vec<Key>,
    places: HashMap<String, usize>,
    bytes: usize,
    /// Where the next key is, if rows look alike.
    next: usize,
    too_many: bool,
}

struct Key {
    text: String,
    seed: u64,
    has_doubles: bool,
}

impl KeysWriter {
    /// Takes a key in and gives the seed of its values.
    pub(crate) fn add(&mut self, column: &str, key: &str, is_double: bool) -> u64 {
        let place = match self.keys.get(self.next) {
            Some(known) if known.text == key => self.next,
            _ => match self.places.get(key) {
                Some(&place) => place,
                None if self.too_many || self.keys.len() >= KEYS_MAX || self.bytes + key.len() > KEYS_BYTES_MAX => {
                    self.too_many = true;
                    return value_seed(column, Some(key));
                }
                None => {
                    self.bytes += key.len();
                    self.places.insert(key.to_owned(), self.keys.len());
                    self.keys.push(Key { text: key.to_owned(), seed: value_seed(column, Some(key)), has_doubles: false });
                    self.keys.len() - 1
                }
            },
        };
        self.next = if place + 1 < self.keys.len() { place + 1 } else { 0 };
        let known = &mut self.keys[place];
        known.has_doubles |= is_double;
        known.seed
    }

    fn finish(self) -> Option<ColumnKeys> {
        let doubles = self.keys.iter().filter(|key| key.has_doubles).map(|key| key.text.clone()).collect();
        let keys = self.keys.into_iter().map(|key| key.text).collect();
        (!self.too_many).then_some(ColumnKeys { keys, doubles })
    }
}

/// What the footer says about the keys of these columns.
pub(crate) fn pair(columns: impl Iterator<Item = (&'static str, KeysWriter)>) -> KeyValue {
    let keys = MapKeys(columns.filter_map(|(name, keys)| Some((name.to_owned(), keys.finish()?))).collect());
    KeyValue::new(KEYS_KEY.to_owned(), serde_json::to_string(&keys).expect("lists of texts are JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(keys: &[(&str, bool)]) -> MapKeys {
        let mut writer = KeysWriter::default();
        for (key, is_double) in keys {
            assert_eq!(writer.add("attributes", key, *is_double), value_seed("attributes", Some(key)));
        }
        let pair = pair(std::iter::once(("attributes", writer)));
        serde_json::from_str(&pair.value.unwrap()).unwrap()
    }

    #[test]
    fn keys_are_kept_once_each_and_doubles_are_marked() {
        let keys = written(&[("a", false), ("b", false), ("a", true), ("b", false), ("c", false)]);
        let column = keys.of_column("attributes").unwrap();
        assert_eq!(
            (column.keys.as_slice(), column.doubles.as_slice()),
            (["a", "b", "c"].map(str::to_owned).as_slice(), &["a".to_owned()][..])
        );
        assert_eq!(keys.of_column("resource_attributes"), None);
    }

    #[test]
    fn too_many_keys_say_nothing() {
        let many: Vec<String> = (0..=KEYS_MAX).map(|key| key.to_string()).collect();
        let pairs: Vec<_> = many.iter().map(|key| (key.as_str(), false)).collect();
        assert_eq!(written(&pairs[..KEYS_MAX]).of_column("attributes").unwrap().keys.len(), KEYS_MAX);
        assert_eq!(written(&pairs), MapKeys::default());
        assert_eq!(written(&[(&"x".repeat(KEYS_BYTES_MAX + 1), false)]), MapKeys::default());
    }
}
