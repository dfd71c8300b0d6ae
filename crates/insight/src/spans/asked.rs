//! The attributes that are asked for, as numbers. Of a span some forty are asked for and a handful is there: to compare names each time
//! took a third of all that ingest of spans costs. So each entry of a batch gets its number once.

use hashbrown::HashMap;
use model::AttributesView;

/// A name that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u16);

impl Key {
    /// Of entries that nobody asks for.
    const NONE: Self = Self(u16::MAX);
}

/// What code asks for; options name more.
const NAMES: [&str; 27] = [
    "db.system",
    "db.system.name",
    "http.host",
    "http.url",
    "messaging.batch.message_count",
    "messaging.destination",
    "messaging.destination.name",
    "messaging.operation",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.rabbitmq.destination.routing_key",
    "messaging.rabbitmq.routing_key",
    "messaging.system",
    "net.peer.ip",
    "net.peer.name",
    "network.peer.address",
    "network.peer.port",
    "peer.service",
    "rpc.method",
    "rpc.service",
    "rpc.system",
    "rpc.system.name",
    "server.address",
    "service.peer.name",
    "url.full",
    "db.name",
    "db.namespace",
];

/// The number of a name that stands above; any other does not compile in a `const`.
pub(crate) const fn key(name: &str) -> Key {
    let mut at = 0;
    while at < NAMES.len() {
        if same(NAMES[at].as_bytes(), name.as_bytes()) {
            return Key(at as u16);
        }
        at += 1;
    }
    panic!("a name that code asks for stands in NAMES")
}

pub(crate) const fn keys<const N: usize>(names: [&str; N]) -> [Key; N] {
    let mut all = [Key::NONE; N];
    let mut at = 0;
    while at < N {
        all[at] = key(names[at]);
        at += 1;
    }
    all
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The numbers of all names, those of options among them.
pub(crate) struct Asked(HashMap<Box<str>, Key>);

impl Default for Asked {
    fn default() -> Self {
        Self(NAMES.into_iter().map(|name| (name.into(), key(name))).collect())
    }
}

impl Asked {
    /// The numbers of these names; of more than there are numbers for the last are never found.
    pub(crate) fn ask(&mut self, names: &[String]) -> Vec<Key> {
        let mut ask = |name: &String| {
            let next = u16::try_from(self.0.len()).map_or(Key::NONE, Key);
            *self.0.entry_ref(name.as_str()).or_insert(next)
        };
        names.iter().map(&mut ask).collect()
    }

    /// Gives every entry of a column its number.
    pub(crate) fn read<'a>(&self, attributes: AttributesView<'a>) -> Told<'a> {
        let number = |name: &str| self.0.get(name).copied().unwrap_or(Key::NONE);
        Told { keys: attributes.names().map(number).collect(), first: attributes.first_entry(), attributes }
    }
}

/// The attributes of some rows.
pub(crate) struct Told<'a> {
    attributes: AttributesView<'a>,
    /// Of each entry of the rows.
    keys: Vec<Key>,
    first: usize,
}

impl<'a> Told<'a> {
    /// One that is empty is none.
    pub(crate) fn get(&self, row: usize, key: Key) -> Option<&'a str> {
        let entries = self.attributes.entries(row);
        let found =
            self.keys[entries.start - self.first..entries.end - self.first].iter().position(|own| *own == key && key != Key::NONE)?;
        Some(self.attributes.value(entries.start + found)).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;
    use model::{AttributeValue, AttributesBuilder};

    #[test]
    fn values_are_found_by_number_in_rows_that_were_cut_out() {
        let mut builder = AttributesBuilder::new();
        for row in [&[("other", "1"), ("db.name", "shop"), ("mine", "x")][..], &[], &[("mine", "")], &[("mine", "y"), ("db.name", "till")]]
        {
            for (key, value) in row {
                builder.push(key, AttributeValue::Text(value));
            }
            builder.finish_row();
        }
        let mut asked = Asked::default();
        let own = asked.ask(&["mine".to_owned(), "db.name".to_owned(), "absent".to_owned()]);
        assert_eq!(own[1], key("db.name"));
        let (map, _) = builder.finish();
        for start in 0..3 {
            let map = map.slice(start, 4 - start);
            let told = asked.read(AttributesView::of_map(map.as_any().downcast_ref().unwrap(), None));
            let row = |row: usize| own.iter().map(|key| told.get(row - start, *key)).collect::<Vec<_>>();
            assert_eq!(row(3), [Some("y"), Some("till"), None]);
            assert_eq!(row(2), [None; 3]);
            if start == 0 {
                assert_eq!(row(0), [Some("x"), Some("shop"), None]);
            }
        }
    }
}
