use arrow::array::Array;
use hashbrown::HashMap;
use model::logs::text_or_empty;
use model::origin::Origins;
use model::{Identity, Result};

/// Whose the records of a batch are: of many origins few owners.
pub(crate) struct Owners {
    pub(crate) each: Vec<Identity>,
    /// By the place of an origin, the place of its owner.
    pub(crate) of_place: Vec<usize>,
}

impl Owners {
    pub(crate) fn of(origins: &Origins<'_>) -> Result<Self> {
        let columns = Identity::FIELDS.iter().map(|name| origins.texts(name)).collect::<Result<Vec<_>>>()?;
        let (mut each, mut of_place) = (Vec::new(), Vec::with_capacity(origins.each.len()));
        let (mut known, mut key): (HashMap<Vec<u8>, usize>, Vec<u8>) = (HashMap::new(), Vec::new());
        for place in 0..origins.each.len() {
            key.clear();
            for column in &columns {
                let text = text_or_empty(column, place);
                key.extend_from_slice(&(text.len() as u32).to_le_bytes());
                key.extend_from_slice(text.as_bytes());
            }
            of_place.push(*known.entry_ref(key.as_slice()).or_insert_with(|| {
                let mut identity = Identity::default();
                for (name, column) in Identity::FIELDS.iter().zip(&columns) {
                    text_or_empty(column, place).clone_into(identity.value_mut(name).expect("FIELDS names the fields"));
                }
                each.push(identity);
                each.len() - 1
            }));
        }
        Ok(Self { each, of_place })
    }
}
