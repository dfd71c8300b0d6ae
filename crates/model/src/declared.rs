//! Attributes of log records that teams declare, and the columns that the lake keeps them in.

use std::collections::BTreeMap;
use std::fmt;

use arrow::datatypes::{DataType, Field};

use crate::attributes::{AttributeType, AttributeValue};
use crate::decimal::own_double;
use crate::{Table, legal_name};

/// What files of logs have beside the table's own columns and the declared ones.
pub const FILE_COLUMNS_OF_LOGS: [&str; 3] = ["body_template", "body_variables", "attribute_order"];

/// What a declared field holds. The names are those of JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    String,
    Integer,
    Number,
    Boolean,
}

/// A typed value of a declared field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'a> {
    Text(&'a str),
    Int(i64),
    /// Neither an infinity nor a NaN.
    Double(f64),
    Bool(bool),
}

impl FieldType {
    pub const ALL: [Self; 4] = [Self::String, Self::Integer, Self::Number, Self::Boolean];

    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    pub fn data_type(self) -> DataType {
        match self {
            Self::String => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Boolean => DataType::Boolean,
        }
    }

    /// The type whose columns are of this one.
    pub fn of(data_type: &DataType) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.data_type() == *data_type)
    }

    /// What an attribute of this type had been before it became text.
    pub fn own(self) -> AttributeType {
        match self {
            Self::String => AttributeType::Text,
            Self::Integer => AttributeType::Int,
            Self::Number => AttributeType::Double,
            Self::Boolean => AttributeType::Bool,
        }
    }

    /// The value of an attribute, where it is one of this type and its text is just what the value is written as. A text that
    /// reads as a number is one: half of the protocols know nothing but texts. So is an integer where numbers are declared.
    pub fn parse(self, kind: AttributeType, text: &str) -> Option<FieldValue<'_>> {
        match (self, kind) {
            (Self::String, AttributeType::Text) => Some(FieldValue::Text(text)),
            (Self::Integer, AttributeType::Int | AttributeType::Text)
            | (Self::Number, AttributeType::Double | AttributeType::Int | AttributeType::Text)
            | (Self::Boolean, AttributeType::Bool | AttributeType::Text) => self.read(text),
            _ => None,
        }
    }

    /// The value whose text this is.
    pub fn read(self, text: &str) -> Option<FieldValue<'_>> {
        match self {
            Self::String => Some(FieldValue::Text(text)),
            Self::Integer => integer(text).map(FieldValue::Int),
            Self::Number => own_double(text).map(FieldValue::Double),
            Self::Boolean => match text {
                "true" => Some(FieldValue::Bool(true)),
                "false" => Some(FieldValue::Bool(false)),
                _ => None,
            },
        }
    }
}

impl FieldValue<'_> {
    /// Whether both have the same text: zeros of two signs do not.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Double(one), Self::Double(other)) => one.to_bits() == other.to_bits(),
            (one, other) => one == other,
        }
    }

    /// Appends the text that the attribute had.
    pub fn write_to(self, out: &mut String) {
        let value = match self {
            Self::Text(text) => AttributeValue::Text(text),
            Self::Int(value) => AttributeValue::Int(value),
            Self::Double(value) => AttributeValue::Double(value),
            Self::Bool(value) => AttributeValue::Bool(value),
        };
        value.write_to(out);
    }
}

/// The integer that is written so: no sign but a minus, no zeros in front.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let is_own_text = match digits {
        [] => false,
        [b'0'] => digits.len() == text.len(),
        [first, ..] => *first != b'0' && digits.iter().all(u8::is_ascii_digit),
    };
    is_own_text.then(|| text.parse().ok()).flatten()
}

/// A declared attribute of log records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeclaredField {
    /// The attribute's key.
    pub key: String,
    pub kind: FieldType,
}

impl DeclaredField {
    /// The column's name: every character of the key that is no ASCII letter or digit is a `_`. Refused: the key itself. Delta's
    /// kernel takes the dots of a name for a path, so that DuckDB fails on any filter, and Athena knows no other letters.
    pub fn column(&self) -> String {
        legal_name(&self.key).into_owned()
    }

    pub fn field(&self) -> Field {
        Field::new(self.column(), self.kind.data_type(), true)
    }
}

/// Declared fields in the order of their columns, each column once whatever the case of its letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredFields {
    fields: Vec<DeclaredField>,
    /// Places by the column's name in lower case: engines tell names apart by more than case, or not.
    places: BTreeMap<String, usize>,
}

/// Why a field gets no column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undeclarable {
    /// The name is empty or longer than [`DeclaredFields::KEY_BYTES_MAX`].
    Name,
    /// Logs have a column of this name.
    Reserved,
    /// The attribute has a column of this type.
    Type(FieldType),
    /// The attribute of this key has the column.
    Taken(String),
    TooMany,
}

impl Undeclarable {
    /// A word for counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Reserved => "reserved",
            Self::Type(_) => "type",
            Self::Taken(_) => "taken",
            Self::TooMany => "too_many",
        }
    }
}

impl fmt::Display for Undeclarable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(f, "its name has 1 to {} bytes", DeclaredFields::KEY_BYTES_MAX),
            Self::Reserved => f.write_str("logs have a column of that name of their own"),
            Self::Type(kind) => write!(f, "its column is of type {}", kind.name()),
            Self::Taken(key) => write!(f, "{key:?} has the column of that name"),
            Self::TooMany => write!(f, "there are fields_max, {}", DeclaredFields::FIELDS_MAX),
        }
    }
}

impl DeclaredFields {
    pub const KEY_BYTES_MAX: usize = 128;
    /// Declared at once, and columns that a table may have for all that ever was.
    pub const FIELDS_MAX: usize = 512;

    /// Adds a field; one that is there stays as it is. Says whether it was added.
    pub fn add(&mut self, key: &str, kind: FieldType) -> Result<bool, Undeclarable> {
        if key.is_empty() || key.len() > Self::KEY_BYTES_MAX {
            return Err(Undeclarable::Name);
        }
        let field = DeclaredField { key: key.to_owned(), kind };
        let column = field.column().to_lowercase();
        if is_reserved(&column) {
            return Err(Undeclarable::Reserved);
        }
        if let Some(known) = self.places.get(&column).and_then(|&place| self.fields.get(place)) {
            return match known.key == key {
                true if known.kind == kind => Ok(false),
                true => Err(Undeclarable::Type(known.kind)),
                false => Err(Undeclarable::Taken(known.key.clone())),
            };
        }
        if self.fields.len() >= Self::FIELDS_MAX {
            return Err(Undeclarable::TooMany);
        }
        self.places.insert(column, self.fields.len());
        self.fields.push(field);
        Ok(true)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &DeclaredField> + Clone {
        self.fields.iter()
    }

    /// The field in a column of that name.
    pub fn of_column(&self, column: &str) -> Option<&DeclaredField> {
        let &place = self.places.get(&column.to_lowercase())?;
        self.fields.get(place).filter(|field| field.column() == column)
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub fn len(&self) -> usize {
        self.fields.len()
    }
}

/// By the key, with the name of the type.
impl serde::Serialize for DeclaredFields {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|field| (&field.key, field.kind)))
    }
}

/// Whether logs have a column of this name in lower case, or may get one in a later version.
fn is_reserved(column: &str) -> bool {
    column.starts_with("tyto_") || FILE_COLUMNS_OF_LOGS.contains(&column) || Table::Logs.schema().field_with_name(column).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(declared: FieldType, kind: AttributeType, text: &str, expect: Option<FieldValue<'_>>) {
        let found = declared.parse(kind, text);
        assert_eq!(found, expect, "{declared:?} {kind:?} {text:?}");
        if let Some(value) = found {
            let mut written = String::new();
            value.write_to(&mut written);
            assert_eq!(written, text);
        }
    }

    #[test]
    fn only_what_comes_back_to_the_same_text_is_a_value() {
        use AttributeType::{Array, Bool, Double, Empty, Int, Text};
        use FieldValue as V;
        check(FieldType::String, Text, "", Some(V::Text("")));
        check(FieldType::String, Int, "7", None);
        check(FieldType::Integer, Int, "-7", Some(V::Int(-7)));
        check(FieldType::Integer, Text, "0", Some(V::Int(0)));
        check(FieldType::Integer, Int, "-9223372036854775808", Some(V::Int(i64::MIN)));
        for text in ["", "-", "-0", "007", "+7", "7.0", " 7", "1e3", "9223372036854775808", "٣"] {
            check(FieldType::Integer, Text, text, None);
        }
        check(FieldType::Integer, Double, "7", None);
        check(FieldType::Number, Double, "1.5", Some(V::Double(1.5)));
        check(FieldType::Number, Double, "-0", Some(V::Double(-0.0)));
        check(FieldType::Number, Int, "12", Some(V::Double(12.0)));
        check(FieldType::Number, Int, "9007199254740992", Some(V::Double(9_007_199_254_740_992.0)));
        check(FieldType::Number, Text, "0.1", Some(V::Double(0.1)));
        for text in ["", "NaN", "inf", "infinity", "1e400", "1e3", "1.50", ".5", "1.", "+1", "01", "9007199254740993", "0x10", "1_0"] {
            check(FieldType::Number, Text, text, None);
        }
        check(FieldType::Number, Bool, "1", None);
        check(FieldType::Boolean, Bool, "true", Some(V::Bool(true)));
        check(FieldType::Boolean, Text, "false", Some(V::Bool(false)));
        check(FieldType::Boolean, Text, "True", None);
        check(FieldType::String, Array, "[]", None);
        check(FieldType::String, Empty, "", None);
        for value in [f64::MAX, f64::MIN_POSITIVE, 1.0 / 3.0, 1e15, 123_456.789] {
            check(FieldType::Number, Double, &value.to_string(), Some(V::Double(value)));
        }
    }

    #[test]
    fn a_column_is_had_once() {
        let mut fields = DeclaredFields::default();
        assert_eq!(fields.add("http.status", FieldType::Integer), Ok(true));
        assert_eq!(fields.add("http.status", FieldType::Integer), Ok(false));
        assert_eq!(fields.add("http.status", FieldType::String), Err(Undeclarable::Type(FieldType::Integer)));
        assert_eq!(fields.add("HTTP_status", FieldType::Integer), Err(Undeclarable::Taken("http.status".to_owned())));
        for reserved in ["body", "Body", "trace.id", "body_template", "attribute.order", "attributes", "tyto.x"] {
            assert_eq!(fields.add(reserved, FieldType::String), Err(Undeclarable::Reserved), "{reserved}");
        }
        assert_eq!(fields.add("", FieldType::String), Err(Undeclarable::Name));
        assert_eq!(fields.of_column("http_status").map(|field| field.key.as_str()), Some("http.status"));
        assert_eq!((fields.of_column("HTTP_STATUS"), fields.len()), (None, 1));
        for number in 1..DeclaredFields::FIELDS_MAX {
            assert_eq!(fields.add(&number.to_string(), FieldType::Number), Ok(true));
        }
        assert_eq!(fields.add("one.more", FieldType::Number), Err(Undeclarable::TooMany));
    }
}
