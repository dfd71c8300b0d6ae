//! What an erasure order looks for in one table.

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, ListArray, MapArray, RecordBatch, StringArray};
use arrow::compute::and;
use arrow::datatypes::DataType;
use memchr::memmem::Finder;
use model::logs::text_or_empty;
use model::schema::column;
use model::{AttributesView, ErasureOrder, Error, FieldTest, Result, Table, TimeRange};
use serde_json::Value;

use super::may_be;
use super::points::element_texts;
use crate::lake::files::FileStats;

const ATTRIBUTES: &str = "attributes.";
const BODY: &str = "body.";
/// Bytes that `contains` needs: fewer would erase nearly everything.
const CONTAINS_BYTES_MIN: usize = 3;
const TESTS_MAX: usize = 16;
const VALUE_BYTES_MAX: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Target {
    table: Table,
    pub(crate) time: TimeRange,
    tests: Vec<Test>,
}

#[derive(Debug)]
struct Test {
    field: Field,
    holds: Holds,
}

#[derive(Debug)]
enum Field {
    Column(String),
    /// A key, and how a label spells it.
    Attribute(String, String),
    Body(String),
    /// A text of exemplars, which samples have no column for.
    Exemplar(&'static str),
}

#[derive(Debug)]
enum Holds {
    Equals(String),
    Contains(Box<Finder<'static>>),
}

impl Holds {
    fn text(&self, text: &str) -> bool {
        match self {
            Self::Equals(wanted) => wanted == text,
            Self::Contains(finder) => finder.find(text.as_bytes()).is_some(),
        }
    }

    fn json(&self, value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().any(|item| self.json(item)),
            other => self.text(&other.to_string()),
        }
    }
}

/// The tables that an order looks at, each with what it looks for; an error says which field is wrong and what to write.
pub(crate) fn targets(order: &ErasureOrder) -> Result<Vec<(Table, Target)>> {
    if order.tests.is_empty() || order.tests.len() > TESTS_MAX {
        return Err(Error::invalid(format!("cannot erase: \"match\" has {} tests; write 1 to {TESTS_MAX}", order.tests.len())));
    }
    if order.time().is_empty() {
        return Err(Error::invalid("cannot erase: \"end\" is not after \"start\""));
    }
    let wanted = |table: &Table| order.tables.is_empty() || order.tables.contains(table);
    let mut found = Vec::new();
    let mut refused = None;
    for table in Table::ALL.into_iter().filter(wanted) {
        match order.tests.iter().enumerate().map(|(at, test)| Test::of(table, at, test)).collect::<Result<Vec<_>>>() {
            Ok(tests) => found.push((table, Target { table, time: order.time(), tests })),
            Err(error) => refused = Some(error),
        }
    }
    // A table that was named must have the fields; of the others, those that have them are meant.
    match refused {
        Some(error) if !order.tables.is_empty() || found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

impl Test {
    fn of(table: Table, at: usize, test: &FieldTest) -> Result<Self> {
        let wrong = |what: &str| Err(Error::invalid(format!("cannot erase: match[{at}].{what}")));
        let holds = match (&test.equals, &test.contains) {
            (Some(text), None) if text.is_empty() => return wrong("equals is empty: a missing field has that value, too"),
            (Some(text), None) if text.len() > VALUE_BYTES_MAX => return wrong("equals is over value_bytes_max, 65536"),
            (Some(text), None) => Holds::Equals(text.clone()),
            (None, Some(text)) if text.len() < CONTAINS_BYTES_MIN || text.len() > VALUE_BYTES_MAX => {
                return wrong("contains must have 3 to 65536 bytes: a shorter text would erase nearly everything");
            }
            (None, Some(text)) => Holds::Contains(Box::new(Finder::new(text).into_owned())),
            _ => return wrong("field needs either \"equals\" or \"contains\""),
        };
        let name = test.field.as_str();
        let field = if let Some(key) = name.strip_prefix(ATTRIBUTES).filter(|key| !key.is_empty()) {
            Field::Attribute(key.to_owned(), label_name(key))
        } else if let Some(path) =
            name.strip_prefix(BODY).filter(|path| !path.is_empty() && matches!(table, Table::Logs | Table::Quarantine))
        {
            Field::Body(path.to_owned())
        } else if table.schema().field_with_name(name).is_ok_and(|field| *field.data_type() == DataType::Utf8) {
            Field::Column(name.to_owned())
        } else {
            match (table, name) {
                (Table::Samples, "trace_id") => Field::Exemplar("trace_id"),
                (Table::Samples, "span_id") => Field::Exemplar("span_id"),
                _ => {
                    let fix = "write a text column, attributes.<key>, or for logs body.<path>";
                    return wrong(&format!("field {name:?} is none of {}: {fix}", table.name()));
                }
            }
        };
        Ok(Self { field, holds })
    }

    fn columns(&self, table: Table) -> Vec<&str> {
        match &self.field {
            Field::Column(name) => vec![name],
            Field::Attribute(..) => match table {
                Table::Logs | Table::Quarantine => vec!["resource_attributes", "scope_attributes", "attributes"],
                Table::Spans => vec!["resource_attributes", "scope_attributes", "attributes", "events", "links"],
                Table::Samples => vec!["labels"],
            },
            Field::Body(_) => vec!["body"],
            Field::Exemplar(_) => Vec::new(),
        }
    }

    fn mask(&self, table: Table, records: &RecordBatch) -> Result<BooleanArray> {
        let rows = records.num_rows();
        match &self.field {
            Field::Column(name) => {
                let texts: &StringArray = column(records, name)?;
                Ok((0..rows).map(|row| Some(self.holds.text(text_or_empty(texts, row)))).collect())
            }
            Field::Body(path) => {
                let bodies: &StringArray = column(records, "body")?;
                Ok((0..rows).map(|row| Some(self.holds_member(text_or_empty(bodies, row), path))).collect())
            }
            Field::Attribute(..) => {
                let mut found = vec![false; rows];
                for name in self.columns(table) {
                    match name {
                        "events" | "links" => self.mark_lists(column(records, name)?, &mut found),
                        name => self.mark_maps(column(records, name)?, &mut found),
                    }
                }
                Ok(found.into())
            }
            Field::Exemplar(_) => Ok(vec![false; rows].into()),
        }
    }

    fn mark_maps(&self, map: &MapArray, found: &mut [bool]) {
        let Field::Attribute(key, label) = &self.field else { return };
        let view = AttributesView::of_map(map, None);
        for (row, found) in found.iter_mut().enumerate() {
            let mut of_key = view.iter(row).filter(|(name, _)| name == key || name == label);
            *found |= of_key.any(|(_, text)| self.holds.text(text));
        }
    }

    fn mark_lists(&self, list: &ListArray, found: &mut [bool]) {
        let attributes = list.values().as_struct().column_by_name("attributes").and_then(|array| array.as_map_opt());
        let Some(attributes) = attributes else { return };
        let mut elements = vec![false; list.values().len()];
        self.mark_maps(attributes, &mut elements);
        let offsets = list.value_offsets();
        for (row, found) in found.iter_mut().enumerate() {
            *found |= elements[offsets[row] as usize..offsets[row + 1] as usize].contains(&true);
        }
    }

    fn holds_member(&self, body: &str, path: &str) -> bool {
        body.starts_with('{')
            && serde_json::from_str(body).is_ok_and(|value: Value| any_member(&value, path, &|found| self.holds.json(found)))
    }
}

impl Target {
    pub(super) fn columns(&self) -> Vec<&str> {
        self.tests.iter().flat_map(|test| test.columns(self.table)).collect()
    }

    /// Whether a file can hold what is looked for.
    pub(super) fn may_touch(&self, stats: &FileStats, first: i64, last: i64) -> bool {
        let may = |test: &Test| match (&test.field, &test.holds) {
            (Field::Column(name), Holds::Equals(text)) => may_be(stats, name, text),
            _ => true,
        };
        self.time.overlaps(first, last) && self.tests.iter().all(may)
    }

    /// Rows for which every test says yes, whatever their time.
    pub(super) fn matches(&self, records: &RecordBatch) -> Result<BooleanArray> {
        let mut all = BooleanArray::from(vec![true; records.num_rows()]);
        for test in &self.tests {
            if all.true_count() > 0 {
                all = and(&all, &test.mask(self.table, records)?)?;
            }
        }
        Ok(all)
    }

    /// Marks the exemplars that match with their row: by a label, a trace or a span of their own.
    pub(super) fn mark_exemplars(&self, records: &RecordBatch, list: &ListArray, times: &Int64Array, hidden: &mut [bool]) -> Result<()> {
        if !self.tests.iter().any(|test| matches!(test.field, Field::Attribute(..) | Field::Exemplar(_))) {
            return Ok(());
        }
        let mut all = vec![true; hidden.len()];
        for test in &self.tests {
            let of_row = test.mask(self.table, records)?;
            let mut found = vec![false; hidden.len()];
            match &test.field {
                Field::Attribute(..) => {
                    if let Some(labels) = list.values().as_struct().column_by_name("labels").and_then(|array| array.as_map_opt()) {
                        test.mark_maps(labels, &mut found);
                    }
                }
                Field::Exemplar(name) => {
                    if let Some(texts) = element_texts(list, name) {
                        found.iter_mut().enumerate().for_each(|(at, found)| *found = test.holds.text(text_or_empty(texts, at)));
                    }
                }
                _ => {}
            }
            for (row, ends) in list.value_offsets().windows(2).enumerate() {
                for at in ends[0] as usize..ends[1] as usize {
                    all[at] &= found[at] || of_row.value(row);
                }
            }
        }
        let in_time = |at: usize| self.time.contains(times.value(at).saturating_mul(1_000_000));
        hidden.iter_mut().enumerate().for_each(|(at, hidden)| *hidden |= all[at] && in_time(at));
        Ok(())
    }
}

/// An attribute's name as a Prometheus label: every character outside `[a-zA-Z0-9_]` becomes `_`.
fn label_name(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// Whether a member of a JSON value at this path passes. A dot may part two levels or belong to a name, and OTLP's form of
/// maps and values counts as what it stands for.
fn any_member(value: &Value, path: &str, passes: &dyn Fn(&Value) -> bool) -> bool {
    let members: Vec<(&str, &Value)> = match value {
        Value::Array(items) => return items.iter().any(|item| any_member(item, path, passes)),
        Value::Object(object) => match object.get("kvlistValue") {
            Some(list) if object.len() == 1 => {
                let items = list["values"].as_array().into_iter().flatten();
                items.filter_map(|item| Some((item["key"].as_str()?, &item["value"]))).collect()
            }
            _ => object.iter().map(|(name, value)| (name.as_str(), value)).collect(),
        },
        _ => return false,
    };
    members.into_iter().any(|(name, member)| match path.strip_prefix(name) {
        Some("") => passes(plain(member)),
        Some(rest) => rest.strip_prefix('.').is_some_and(|rest| any_member(member, rest, passes)),
        None => false,
    })
}

/// OTLP's `{"stringValue": "x"}` is `"x"`.
fn plain(value: &Value) -> &Value {
    const SCALARS: [&str; 5] = ["stringValue", "intValue", "doubleValue", "boolValue", "bytesValue"];
    match value.as_object().filter(|object| object.len() == 1).and_then(|object| object.iter().next()) {
        Some((name, inner)) if SCALARS.contains(&name.as_str()) => inner,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::logs::{LogRow, LogsBuilder};
    use model::{AttributeValue, Attributes};

    fn order(tables: &[Table], field: &str, equals: &str) -> ErasureOrder {
        ErasureOrder {
            tables: tables.to_vec(),
            tests: vec![FieldTest { field: field.to_owned(), equals: Some(equals.to_owned()), contains: None }],
            start_unix_nano: None,
            end_unix_nano: None,
            reference: String::new(),
        }
    }

    #[test]
    fn an_order_says_what_is_wrong_with_it() {
        let tables = |order: &ErasureOrder| targets(order).unwrap().into_iter().map(|(table, _)| table).collect::<Vec<_>>();
        assert_eq!(tables(&order(&[], "business_service", "b")), Table::ALL);
        assert_eq!(tables(&order(&[], "event_name", "b")), [Table::Logs, Table::Quarantine], "who has the field");
        assert_eq!(tables(&order(&[], "trace_id", "b")), Table::ALL, "exemplars have traces, too");
        let refused = |order: &ErasureOrder| targets(order).unwrap_err().what;
        assert!(refused(&order(&[Table::Spans], "event_name", "b")).contains("match[0].field \"event_name\" is none of spans"));
        assert!(refused(&order(&[], "attributes.", "b")).contains("match[0].field"));
        assert!(refused(&order(&[], "time_unix_nano", "1")).contains("write a text column"));
        assert!(refused(&order(&[], "body", "")).contains("match[0].equals is empty"));
        assert!(refused(&ErasureOrder { tests: Vec::new(), ..order(&[], "body", "x") }).contains("\"match\""));
        let backwards = ErasureOrder { start_unix_nano: Some(2), end_unix_nano: Some(2), ..order(&[], "body", "x") };
        assert!(refused(&backwards).contains("\"end\""));
    }

    fn body(body: &str) -> RecordBatch {
        let mut builder = LogsBuilder::default();
        builder.attributes.push("user.id", AttributeValue::Int(42));
        builder.push(&LogRow { time_unix_nano: 7, body, ..LogRow::default() }, &Attributes::default(), &Attributes::default());
        builder.finish()
    }

    #[test]
    fn members_of_bodies_are_found() {
        let found = |text: &str, field: &str, value: &str| {
            let target = targets(&order(&[Table::Logs], field, value)).unwrap().remove(0).1;
            target.matches(&body(text)).unwrap().value(0)
        };
        assert!(found(r#"{"user":{"id":42}}"#, "body.user.id", "42"));
        assert!(found(r#"{"user.id":"42"}"#, "body.user.id", "42"));
        assert!(found(r#"{"users":[{"id":1},{"id":"42"}]}"#, "body.users.id", "42"));
        assert!(found(r#"{"e":"a\u0040b"}"#, "body.e", "a@b"));
        let otlp =
            r#"{"kvlistValue":{"values":[{"key":"user","value":{"kvlistValue":{"values":[{"key":"id","value":{"intValue":"42"}}]}}}]}}"#;
        assert!(found(otlp, "body.user.id", "42"));
        assert!(!found(r#"{"user":{"id":421}}"#, "body.user.id", "42"));
        assert!(!found("user.id=42", "body.user.id", "42"));
        assert!(found("user.id=42", "attributes.user.id", "42") && !found("", "attributes.user.id", "4"));
        assert!(found("whole", "body", "whole") && !found("whole line", "body", "whole"));
    }
}
