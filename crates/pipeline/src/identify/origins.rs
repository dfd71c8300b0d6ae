//! Logs and spans: the owner of an origin is the owner of its rows, but of those that name another themselves.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, MapArray, RecordBatch, StringArray, StringBuilder, StructArray};
use arrow::compute::take;
use catalog::Catalog;
use hashbrown::HashMap;
use model::origin::{Origins, with_origins};
use model::schema::column;
use model::{AttributesView, Error, Identity, Naming, Result, UNASSIGNED};

use super::sources;

/// Packed rows, the identity of their origins filled in.
pub(super) fn identify(records: &RecordBatch, catalog: &Catalog, naming: Naming) -> Result<RecordBatch> {
    let origins = Origins::of(records).ok_or_else(|| Error::internal("cannot identify rows that are not packed"))?;
    let mut found = match naming {
        Naming::Settled => settled(&origins)?,
        Naming::Attributes | Naming::Labels => decided(&origins, catalog, naming)?,
    };
    let keys = match naming {
        Naming::Attributes => by_themselves(records, &origins, catalog, &mut found)?,
        Naming::Labels | Naming::Settled => None,
    };
    let (keys, each) = match keys {
        Some(keys) => {
            let places = Int32Array::from_iter_values(found.iter().map(|(place, _)| *place));
            let columns = origins.each.columns().iter().map(|column| take(column, &places, None)).collect::<Result<Vec<_>, _>>()?;
            (keys, columns)
        }
        None => (origins.keys.values().to_vec(), origins.each.columns().to_vec()),
    };
    let each = each.into_iter().zip(origins.each.fields()).map(|(column, field)| {
        let identity = Identity::FIELDS.iter().position(|name| name == field.name());
        identity.map_or(column, |field| identity_column(&found, field))
    });
    Ok(with_origins(records, keys, StructArray::new(origins.each.fields().clone(), each.collect(), None))?)
}

/// An origin that it is made of, and whose it is.
type Owned = (i32, Arc<Identity>);

fn identity_column(found: &[Owned], field: usize) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(found.len(), 0);
    for (_, identity) in found {
        match identity.values()[field] {
            "" => builder.append_null(),
            text => builder.append_value(text),
        }
    }
    Arc::new(builder.finish())
}

/// A batch from many pods has nearly as many origins as rows, and few services: what was decided for the attributes that can decide it is
/// asked first.
fn decided(origins: &Origins<'_>, catalog: &Catalog, naming: Naming) -> Result<Vec<Owned>> {
    let resources = AttributesView::of_map(origins.map("resource_attributes")?, None);
    let mut deciding: HashMap<&str, bool> = HashMap::new();
    let mut seen: HashMap<Vec<u8>, Arc<Identity>> = HashMap::new();
    let mut key = Vec::new();
    let each = (0..origins.each.len()).map(|place| {
        key.clear();
        for (name, value) in resources.iter(place) {
            if *deciding.entry(name).or_insert_with(|| sources::can_decide(name, catalog)) {
                for text in [name, value] {
                    key.extend_from_slice(&text.len().to_le_bytes());
                    key.extend_from_slice(text.as_bytes());
                }
            }
        }
        let decide = || Arc::new(sources::decide(|key: &str| resources.get(place, key), catalog, naming));
        (place as i32, seen.entry_ref(key.as_slice()).or_insert_with(decide).clone())
    });
    Ok(each.collect())
}

/// Rows whose own attributes say whose they are: each has an origin of its own behind those that are there. Gives the places of all rows
/// if there is such a row.
fn by_themselves(records: &RecordBatch, origins: &Origins<'_>, catalog: &Catalog, found: &mut Vec<Owned>) -> Result<Option<Vec<i32>>> {
    let map: &MapArray = column(records, "attributes")?;
    let keys: &StringArray = map.keys().as_string();
    // Keys are text, one after the other; a match across two of them costs a closer look and no more.
    if !std::str::from_utf8(keys.value_data()).is_ok_and(|text| text.contains("omd.")) {
        return Ok(None);
    }
    let own = AttributesView::of_map(map, None);
    let resources = AttributesView::of_map(origins.map("resource_attributes")?, None);
    let mut places = Vec::with_capacity(records.num_rows());
    let mut last: Option<i32> = None;
    for row in 0..records.num_rows() {
        let place = origins.place(row);
        if !own.iter(row).any(|(key, _)| key.starts_with("omd.")) {
            places.push(place as i32);
            continue;
        }
        let lookup = |key: &str| own.get(row, key).or_else(|| resources.get(place, key));
        let identity = sources::decide(lookup, catalog, Naming::Attributes);
        // Rows that say the same follow each other.
        let same = last.filter(|last| found[*last as usize].0 == place as i32 && *found[*last as usize].1 == identity);
        let at = same.unwrap_or(found.len() as i32);
        if same.is_none() {
            found.push((place as i32, Arc::new(identity)));
        }
        last = Some(at);
        places.push(at);
    }
    Ok(Some(places))
}

/// The identities that stand in the columns.
fn settled(origins: &Origins<'_>) -> Result<Vec<Owned>> {
    let columns = Identity::FIELDS.iter().map(|name| origins.texts(name)).collect::<Result<Vec<_>>>()?;
    let each = (0..origins.each.len()).map(|place| {
        let mut identity = Identity::default();
        for (name, column) in Identity::FIELDS.iter().zip(&columns) {
            model::logs::text_or_empty(column, place).clone_into(identity.value_mut(name).expect("FIELDS names the fields"));
        }
        if identity.business_service.is_empty() {
            UNASSIGNED.clone_into(&mut identity.business_service);
        }
        (place as i32, Arc::new(identity))
    });
    Ok(each.collect())
}
