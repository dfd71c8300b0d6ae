//! Which rules do the records of a batch break? What records share of resource, scope and owner is asked once for all of them; of a
//! record that breaks nothing, nothing is written down.

use std::sync::Arc;

use arrow::array::{Array, Int32Array, Int64Array, RecordBatch, StringArray};
use hashbrown::HashMap;
use model::origin::Origins;
use model::schema::column;
use model::{AttributeType, AttributesView, Result};
use serde_json::{Map, Value as Json};

use super::compile::OWN_COLUMNS;
use super::plan::{Fields, Plan, RuleId, Slot};
use super::summary::Summary;
use super::test::Test;
use super::tree::Broken;
use super::value::{Class, Value, json};

/// A record that breaks a rule.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) row: u32,
    /// The place of its contract among those of the batch.
    pub(crate) plan: u32,
    pub(crate) rule: RuleId,
    pub(crate) class: Class,
    /// Of what is nested; else it is the rule's.
    pub(crate) path: Option<String>,
}

/// The contracts of a batch, and which of them each origin has.
pub(crate) struct Assigned {
    pub(crate) plans: Vec<Arc<Plan>>,
    pub(crate) of_origin: Vec<Option<u32>>,
}

/// All violations, in the order of the rows. Rows are asked contract by contract and column by column: what is the same for all of
/// them is decided once.
pub(crate) fn judge(records: &RecordBatch, origins: &Origins<'_>, assigned: &Assigned) -> Result<Vec<Violation>> {
    let columns = Columns::of(records)?;
    let shared = Shared::of(origins)?;
    let mut rows_of: Vec<Vec<u32>> = vec![Vec::new(); assigned.plans.len()];
    for row in 0..records.num_rows() {
        if let Some(number) = assigned.of_origin[origins.place(row)] {
            rows_of[number as usize].push(u32::try_from(row).expect("a request holds under 2^31 rows"));
        }
    }
    let mut found = Found::default();
    let by_origin = shared.by_origin(assigned, &mut found);
    for ((number, plan), rows) in assigned.plans.iter().enumerate().zip(&rows_of) {
        found.plan = u32::try_from(number).expect("a request has under 2^32 contracts");
        columns.judge(rows, plan, &mut found);
        let asked = |is_asked: bool| if is_asked { rows.as_slice() } else { &[] };
        for row in asked(!plan.whole.is_empty()) {
            found.row = *row;
            let whole = columns.whole(*row as usize, origins.place(*row as usize), plan, &shared);
            plan.whole.iter().for_each(|node| found.of_tree(plan, *node, &whole, ""));
        }
        for row in asked(!by_origin.is_empty()) {
            let of_origin = by_origin.get(&origins.place(*row as usize)).into_iter().flatten();
            found.violations.extend(of_origin.map(|shared| Violation { row: *row, ..shared.clone() }));
        }
    }
    // Those of one row stay in the order in which they were found.
    found.violations.sort_by_key(|violation| violation.row);
    Ok(found.violations)
}

#[derive(Default)]
struct Found {
    violations: Vec<Violation>,
    row: u32,
    plan: u32,
    broken: Vec<Broken>,
}

impl Found {
    fn add(&mut self, rule: RuleId, class: Class) {
        self.violations.push(Violation { row: self.row, plan: self.plan, rule, class, path: None });
    }

    fn of_tree(&mut self, plan: &Plan, node: usize, json: &Json, path: &str) {
        plan.tree.holds(&plan.rules, node, json, path, &mut self.broken);
        for Broken { rule, path, class } in self.broken.drain(..) {
            self.violations.push(Violation { row: self.row, plan: self.plan, rule, class, path: Some(path) });
        }
    }

    /// A value that is there.
    #[inline]
    fn of_slot(&mut self, plan: &Plan, slot: &Slot, value: Value<'_>) {
        for rule in &slot.tests {
            if !plan.rule(*rule).test.holds(&value) {
                self.add(*rule, value.class());
            }
        }
    }

    /// One rule, asked of all rows of a column that have a value.
    fn of_column(&mut self, rule: RuleId, test: &Test, own: &Own<'_>, rows: &[u32]) {
        match own {
            // Of texts it is known beforehand whether they are of the right type.
            Own::Text(_) if matches!(test, Test::Types(_)) && test.holds(&Value::Text("")) => {}
            Own::Text(texts) if texts.null_count() == 0 => self.of_values(rule, test, rows, |row| Some(Value::Text(texts.value(row)))),
            Own::Text(texts) => self.of_values(rule, test, rows, |row| texts.is_valid(row).then(|| Value::Text(texts.value(row)))),
            Own::Int(values) if values.null_count() == 0 => {
                self.of_values(rule, test, rows, |row| Some(Value::Int(values.value(row).into())));
            }
            own => self.of_values(rule, test, rows, |row| own.get(row).map(|(_, value, _)| value)),
        }
    }

    #[inline]
    fn of_values<'v>(&mut self, rule: RuleId, test: &Test, rows: &[u32], value: impl Fn(usize) -> Option<Value<'v>>) {
        for row in rows {
            if let Some(value) = value(*row as usize)
                && !test.holds(&value)
            {
                self.row = *row;
                self.add(rule, value.class());
            }
        }
    }

    fn missing(&mut self, slot: &Slot) {
        slot.required.iter().for_each(|rule| self.add(*rule, Class::Missing));
    }
}

/// What is kept from one record to the next of the same contract.
struct Scratch<'a> {
    /// By place of the attribute in the record before: its key, and its slot. Records of one sender mostly have the same keys in the same
    /// order, and then nothing is looked up.
    shape: Vec<(&'a str, Option<u32>)>,
    /// A bit for each slot that the record has.
    seen: Vec<u64>,
}

impl<'a> Scratch<'a> {
    fn of(plan: &Plan) -> Self {
        Self { shape: Vec::new(), seen: vec![0; plan.attributes.slots.len().div_ceil(64)] }
    }

    #[inline]
    fn place(&mut self, at: usize, key: &'a str, fields: &Fields) -> Option<u32> {
        match self.shape.get_mut(at) {
            Some((known, place)) if *known == key => *place,
            Some(other) => {
                *other = (key, fields.place(key));
                other.1
            }
            // Attributes come one after the other.
            None => {
                self.shape.push((key, fields.place(key)));
                fields.place(key)
            }
        }
    }
}

/// A column that each record has its own of.
enum Own<'a> {
    Long(&'a Int64Array),
    Int(&'a Int32Array),
    Text(&'a StringArray),
    /// A body is of the type that stands beside it.
    Typed(&'a StringArray, &'a StringArray),
}

impl<'a> Own<'a> {
    fn of(records: &'a RecordBatch, name: &str) -> Result<Self> {
        Ok(match name {
            "severity_number" => Self::Int(column(records, name)?),
            "time_unix_nano" | "observed_time_unix_nano" | "flags" => Self::Long(column(records, name)?),
            "body" => {
                let (body, types): (_, &StringArray) = (column(records, name)?, column(records, "body_type")?);
                if types.null_count() == types.len() { Self::Text(body) } else { Self::Typed(body, types) }
            }
            _ => Self::Text(column(records, name)?),
        })
    }

    fn summary(&self) -> Summary<'a> {
        match *self {
            Self::Text(texts) => Summary::of_texts(texts),
            Self::Int(ints) => Summary::of_ints(ints),
            Self::Long(_) | Self::Typed(..) => Summary::Unknown,
        }
    }

    fn has_nulls(&self) -> bool {
        match self {
            Self::Long(values) => values.null_count() > 0,
            Self::Int(values) => values.null_count() > 0,
            Self::Text(texts) | Self::Typed(texts, _) => texts.null_count() > 0,
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Long(values) => values.is_null(row),
            Self::Int(values) => values.is_null(row),
            Self::Text(texts) | Self::Typed(texts, _) => texts.is_null(row),
        }
    }

    /// With its type and, of texts, its text; none where there is none.
    #[inline]
    fn get(&self, row: usize) -> Option<(AttributeType, Value<'a>, &'a str)> {
        match self {
            Self::Long(values) => values.is_valid(row).then(|| (AttributeType::Int, Value::Int(values.value(row)), "")),
            Self::Int(values) => values.is_valid(row).then(|| (AttributeType::Int, Value::Int(values.value(row).into()), "")),
            Self::Text(texts) => typed(texts, row, AttributeType::Text),
            Self::Typed(texts, types) => {
                let letter = if types.is_valid(row) { types.value(row).bytes().next() } else { None };
                typed(texts, row, letter.map_or(AttributeType::Text, AttributeType::from_letter))
            }
        }
    }

    fn json(&self, row: usize) -> Option<Json> {
        self.get(row).map(|(kind, value, text)| match value {
            Value::Int(value) if text.is_empty() => value.into(),
            _ => json(kind, text),
        })
    }
}

fn typed<'a>(texts: &'a StringArray, row: usize, kind: AttributeType) -> Option<(AttributeType, Value<'a>, &'a str)> {
    let text = texts.is_valid(row).then(|| texts.value(row))?;
    Some((kind, Value::of(kind, text), text))
}

struct Columns<'a> {
    attributes: AttributesView<'a>,
    own: Vec<(&'static str, Own<'a>, Summary<'a>)>,
}

impl<'a> Columns<'a> {
    fn of(records: &'a RecordBatch) -> Result<Self> {
        let own = OWN_COLUMNS.into_iter().map(|name| {
            let own = Own::of(records, name)?;
            let summary = own.summary();
            Ok((name, own, summary))
        });
        let own = own.collect::<Result<_>>()?;
        Ok(Self { attributes: AttributesView::of(records, "attributes", Some("attribute_types"))?, own })
    }

    fn own(&self, name: &str) -> Option<&(&'static str, Own<'a>, Summary<'a>)> {
        self.own.iter().find(|(other, ..)| *other == name)
    }

    /// What each row has of its own.
    fn judge(&self, rows: &[u32], plan: &Plan, found: &mut Found) {
        if !plan.attributes.is_empty() {
            let mut scratch = Scratch::of(plan);
            for row in rows {
                found.row = *row;
                self.attributes(*row as usize, plan, &mut scratch, found);
            }
        }
        for (name, slot) in plan.columns.names.iter().zip(&plan.columns.slots) {
            let (_, own, summary) = self.own(name).expect("only columns of logs are asked as such");
            if !slot.required.is_empty() && own.has_nulls() {
                for row in rows.iter().filter(|row| own.is_null(**row as usize)) {
                    found.row = *row;
                    found.missing(slot);
                }
            }
            for rule in &slot.tests {
                let test = &plan.rule(*rule).test;
                if !summary.keeps(test) {
                    found.of_column(*rule, test, own, rows);
                }
            }
            for row in if slot.nodes.is_empty() { &[] } else { rows } {
                let Some(json) = own.json(*row as usize) else { continue };
                found.row = *row;
                slot.nodes.iter().for_each(|node| found.of_tree(plan, *node, &json, name));
            }
        }
    }

    fn attributes(&self, row: usize, plan: &Plan, scratch: &mut Scratch<'a>, found: &mut Found) {
        scratch.seen.fill(0);
        for (at, (key, kind, text)) in self.attributes.iter_typed(row).enumerate() {
            let Some(place) = scratch.place(at, key, &plan.attributes) else { continue };
            scratch.seen[place as usize / 64] |= 1 << (place % 64);
            let slot = &plan.attributes.slots[place as usize];
            found.of_slot(plan, slot, Value::of(kind, text));
            slot.nodes.iter().for_each(|node| found.of_tree(plan, *node, &json(kind, text), key));
        }
        for place in &plan.attributes.required {
            if scratch.seen[*place as usize / 64] & (1 << (place % 64)) == 0 {
                found.missing(&plan.attributes.slots[*place as usize]);
            }
        }
    }

    /// The record as JSON: its attributes, and the columns that its contract speaks of.
    fn whole(&self, row: usize, place: usize, plan: &Plan, shared: &Shared<'_>) -> Json {
        let attributes = self.attributes.iter_typed(row).map(|(key, kind, text)| (key.to_owned(), json(kind, text)));
        let mut whole: Map<String, Json> = attributes.collect();
        for name in &plan.whole_columns {
            let value = match self.own(name) {
                Some((_, own, _)) => own.json(row),
                None => shared.json(place, name),
            };
            match value {
                Some(value) => drop(whole.insert((*name).to_owned(), value)),
                None => drop(whole.shift_remove(*name)),
            }
        }
        Json::Object(whole)
    }
}

/// What records of one origin share.
struct Shared<'a> {
    origins: Origins<'a>,
    resource: AttributesView<'a>,
    scope: AttributesView<'a>,
}

impl<'a> Shared<'a> {
    fn of(origins: &Origins<'a>) -> Result<Self> {
        let map = |name: &str, types: &str| -> Result<_> { Ok(AttributesView::of_map(origins.map(name)?, Some(origins.texts(types)?))) };
        let resource = map("resource_attributes", "resource_attribute_types")?;
        Ok(Self { origins: *origins, resource, scope: map("scope_attributes", "scope_attribute_types")? })
    }

    fn maps(&self) -> [(&'static str, &AttributesView<'a>); 2] {
        [("resource_attributes", &self.resource), ("scope_attributes", &self.scope)]
    }

    fn text(&self, place: usize, name: &str) -> Option<&'a str> {
        let texts = self.origins.texts(name).ok()?;
        texts.is_valid(place).then(|| texts.value(place))
    }

    fn json(&self, place: usize, name: &str) -> Option<Json> {
        match self.maps().into_iter().find(|(other, _)| *other == name) {
            Some((_, map)) => {
                let entries = map.iter_typed(place).map(|(key, kind, text)| (key.to_owned(), json(kind, text)));
                Some(Json::Object(entries.collect()))
            }
            None => self.text(place, name).map(Json::from),
        }
    }

    /// By place of an origin what its records break by it; places of which nothing is broken have nothing.
    fn by_origin(&self, assigned: &Assigned, found: &mut Found) -> HashMap<usize, Vec<Violation>> {
        let mut broken = HashMap::new();
        for (place, number) in assigned.of_origin.iter().enumerate() {
            let Some(number) = *number else { continue };
            found.plan = number;
            self.judge(place, &assigned.plans[number as usize], found);
            if !found.violations.is_empty() {
                broken.insert(place, std::mem::take(&mut found.violations));
            }
        }
        broken
    }

    fn judge(&self, place: usize, plan: &Plan, found: &mut Found) {
        for (name, slot) in plan.origin.names.iter().zip(&plan.origin.slots) {
            let is_map = self.maps().iter().any(|(other, _)| other == name);
            let value = if is_map { Some(Value::Map) } else { self.text(place, name).map(Value::Text) };
            match value {
                Some(value) => {
                    found.of_slot(plan, slot, value);
                    let json = || self.json(place, name).unwrap_or_default();
                    slot.nodes.iter().for_each(|node| found.of_tree(plan, *node, &json(), name));
                }
                None => found.missing(slot),
            }
        }
        for ((column, map), fields) in self.maps().into_iter().zip([&plan.resource, &plan.scope]) {
            for (name, slot) in fields.names.iter().zip(&fields.slots) {
                match map.iter_typed(place).find(|(key, ..)| key == name) {
                    Some((_, kind, text)) => {
                        found.of_slot(plan, slot, Value::of(kind, text));
                        let path = || format!("{column}/{name}");
                        slot.nodes.iter().for_each(|node| found.of_tree(plan, *node, &json(kind, text), &path()));
                    }
                    None => found.missing(slot),
                }
            }
        }
    }
}
