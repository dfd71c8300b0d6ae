use arrow::array::{Array, AsArray, StringArray, StructArray};
use hashbrown::HashMap;
use model::{Error, Result};

/// What origins have in one of Parquet's columns: an entry for a text, as many as there are attributes for keys or values of a map.
pub(super) struct Leaf {
    texts: StringArray,
    /// Of each text that differs from all before it, where it is.
    each: Vec<u32>,
    /// Of each origin where its entries begin, and where those of the last end.
    starts: Vec<u32>,
    entries: Vec<Entry>,
    /// Of each origin the first that has the same entries.
    alike: Vec<u32>,
    is_uniform: bool,
    pub(super) levels: Levels,
}

/// The greatest levels of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Levels {
    pub(super) repetition: u8,
    pub(super) definition: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) repetition: u8,
    pub(super) definition: u8,
    /// The number of the text, where there is one.
    pub(super) text: Option<u32>,
}

impl Leaf {
    /// The leaves of an origin's column, in Parquet's order.
    pub(super) fn of(origins: &StructArray, name: &str) -> Result<Vec<Self>> {
        let field = origins.fields().iter().find(|field| field.name() == name);
        let (column, field) =
            origins.column_by_name(name).zip(field).ok_or_else(|| Error::internal(format!("origins have no column {name:?}")))?;
        // A column that may be null has a level more.
        let outer = u8::from(field.is_nullable());
        if let Some(texts) = column.as_string_opt::<i32>() {
            let entries = (0..texts.len()).map(|row| (0, outer - u8::from(texts.is_null(row)), row));
            let levels = Levels { repetition: 0, definition: outer };
            return Ok(vec![Self::new(texts, levels, (0..=texts.len() as u32).collect(), entries)]);
        }
        let map = column.as_map_opt().ok_or_else(|| Error::internal(format!("origins have no texts in {name:?}")))?;
        let offsets = map.value_offsets();
        let leaf = |texts: &StringArray, definition: u8| {
            let (mut starts, mut entries) = (vec![0], Vec::with_capacity(texts.len()));
            for (row, bounds) in offsets.windows(2).enumerate() {
                let range = bounds[0] as usize..bounds[1] as usize;
                if range.is_empty() {
                    entries.push((0, outer - u8::from(map.is_null(row)), texts.len()));
                }
                // A value may be null, a key is not.
                entries.extend(range.clone().map(|at| (u8::from(at > range.start), definition - u8::from(texts.is_null(at)), at)));
                starts.push(entries.len() as u32);
            }
            Self::new(texts, Levels { repetition: 1, definition }, starts, entries.into_iter())
        };
        Ok(vec![leaf(map.keys().as_string(), outer + 1), leaf(map.values().as_string(), outer + 2)])
    }

    /// `entries` have their two levels, and where their text is if it is anywhere.
    fn new(texts: &StringArray, levels: Levels, starts: Vec<u32>, entries: impl Iterator<Item = (u8, u8, usize)>) -> Self {
        let (mut numbers, mut each) = (HashMap::new(), Vec::new());
        let entries = entries.map(|(repetition, definition, at)| {
            let text = (definition == levels.definition).then(|| {
                *numbers.entry(texts.value(at)).or_insert_with(|| {
                    each.push(at as u32);
                    each.len() as u32 - 1
                })
            });
            Entry { repetition, definition, text }
        });
        let entries: Vec<Entry> = entries.collect();
        let (alike, is_uniform) = {
            let mut firsts = HashMap::new();
            let of_origins = starts.windows(2).map(|bounds| &entries[bounds[0] as usize..bounds[1] as usize]);
            let alike: Vec<u32> = (0..).zip(of_origins).map(|(origin, entries)| *firsts.entry(entries).or_insert(origin)).collect();
            (alike, firsts.len() <= 1)
        };
        Self { texts: texts.clone(), each, starts, alike, is_uniform, entries, levels }
    }

    /// Whether all origins have the same.
    pub(super) fn is_uniform(&self) -> bool {
        self.is_uniform
    }

    /// Whether two origins have the same.
    pub(super) fn are_alike(&self, one: i32, other: i32) -> bool {
        self.alike[one as usize] == self.alike[other as usize]
    }

    pub(super) fn entries(&self, origin: usize) -> &[Entry] {
        &self.entries[self.starts[origin] as usize..self.starts[origin + 1] as usize]
    }

    /// How many texts differ.
    pub(super) fn len(&self) -> usize {
        self.each.len()
    }

    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.value(self.each[number as usize] as usize)
    }

    /// What a dictionary of all texts takes.
    pub(super) fn bytes(&self) -> usize {
        self.each.iter().map(|at| self.texts.value(*at as usize).len() + size_of::<u32>()).sum()
    }

    /// Of each text its rank among all.
    pub(super) fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_unstable_by_key(|number| self.text(*number));
        let mut ranks = vec![0; order.len()];
        (0..).zip(order).for_each(|(rank, number)| ranks[number as usize] = rank);
        ranks
    }
}
