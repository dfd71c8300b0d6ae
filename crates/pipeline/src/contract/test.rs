//! One rule for one value: what a keyword of JSON Schema asks of it.

use hashbrown::HashSet;
use serde_json::{Map, Value as Json};

use super::formats::Format;
use super::pattern::Pattern;
use super::value::Value;

/// A rule speaks only of values of its own type; others pass, as JSON Schema has it.
#[derive(Debug)]
pub(crate) enum Test {
    Types(Types),
    /// Of `enum` and `const`.
    Members(Members),
    Pattern(Pattern),
    Minimum(Bound),
    ExclusiveMinimum(Bound),
    Maximum(Bound),
    ExclusiveMaximum(Bound),
    MultipleOf(Bound),
    MinLength(u64),
    MaxLength(u64),
    Format(Format),
    /// `false`: no value is right.
    Never,
}

/// Bits by type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Types(u8);

impl Types {
    const NAMES: [&'static str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

    fn add(&mut self, name: &str) {
        let bit = Self::NAMES.iter().position(|other| *other == name);
        self.0 |= bit.map_or(0, |bit| 1 << bit);
        // Every integer is a number.
        if name == "number" {
            self.0 |= 1 << 2;
        }
    }

    fn has(self, bit: u8) -> bool {
        self.0 & (1 << bit) != 0
    }

    fn hold(self, value: &Value<'_>) -> bool {
        match value {
            Value::Null => self.has(0),
            Value::Bool(_) => self.has(1),
            Value::Int(_) => self.has(2),
            Value::Double(value) => self.has(3) || self.has(2) && value.fract() == 0.0,
            Value::Text(_) => self.has(4),
            Value::Array => self.has(5),
            Value::Map => self.has(6),
        }
    }
}

/// A limit, whole where it is written so: doubles cannot tell large integers apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    double: f64,
    int: Option<i64>,
}

impl Bound {
    fn of(json: &Json) -> Option<Self> {
        Some(Self { double: json.as_f64()?, int: json.as_i64() })
    }

    /// How the value compares with it; none when it is no number.
    fn compare(self, value: &Value<'_>) -> Option<std::cmp::Ordering> {
        match (value, self.int) {
            (Value::Int(value), Some(bound)) => Some(value.cmp(&bound)),
            (Value::Int(value), None) => (*value as f64).partial_cmp(&self.double),
            (Value::Double(value), _) => value.partial_cmp(&self.double),
            _ => None,
        }
    }

    fn divides(self, value: &Value<'_>) -> bool {
        match (value, self.int) {
            (Value::Int(value), Some(by)) => value.checked_rem(by) == Some(0) || by == -1,
            (Value::Int(value), None) => is_whole(*value as f64 / self.double),
            (Value::Double(value), _) => is_whole(value / self.double),
            _ => true,
        }
    }
}

/// As near as decimals are that doubles cannot be: 1.1 is eleven times 0.1.
fn is_whole(quotient: f64) -> bool {
    (quotient - quotient.round()).abs() <= quotient.abs() * 4.0 * f64::EPSILON
}

#[derive(Debug, Default)]
pub(crate) struct Members {
    texts: Vec<String>,
    /// The same where they are many.
    set: HashSet<String>,
    numbers: Vec<Bound>,
    truths: [bool; 2],
    null: bool,
}

/// Texts that are compared one by one.
const COMPARED_MAX: usize = 12;

impl Members {
    /// None when one of them is a list or a map.
    fn of(values: &[Json]) -> Option<Self> {
        let mut members = Self::default();
        for value in values {
            match value {
                Json::Null => members.null = true,
                Json::Bool(value) => members.truths[usize::from(*value)] = true,
                Json::Number(_) => members.numbers.extend(Bound::of(value)),
                Json::String(text) => members.texts.push(text.clone()),
                Json::Array(_) | Json::Object(_) => return None,
            }
        }
        if members.texts.len() > COMPARED_MAX {
            members.set = members.texts.drain(..).collect();
        }
        Some(members)
    }

    fn hold(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Text(text) => self.texts.iter().any(|member| member == text) || !self.set.is_empty() && self.set.contains(*text),
            Value::Int(_) | Value::Double(_) => self.numbers.iter().any(|member| member.compare(value) == Some(std::cmp::Ordering::Equal)),
            Value::Bool(value) => self.truths[usize::from(*value)],
            Value::Null => self.null,
            Value::Array | Value::Map => false,
        }
    }
}

impl Test {
    /// What a keyword asks of one value, and how that is said; none when it asks nothing, or more than a value can answer.
    pub(crate) fn of(keyword: &str, json: &Json) -> Option<(Self, String)> {
        let number = |test: fn(Bound) -> Self, words: &str| Bound::of(json).map(|bound| (test(bound), format!("{words} {json}")));
        let count = |test: fn(u64) -> Self, words: &str| json.as_u64().map(|count| (test(count), format!("{words} {count} characters")));
        match keyword {
            "type" => {
                let names: Vec<&str> = match json {
                    Json::Array(items) => items.iter().filter_map(Json::as_str).collect(),
                    one => one.as_str().into_iter().collect(),
                };
                let mut types = Types::default();
                names.iter().for_each(|name| types.add(name));
                Some((Self::Types(types), names.join(" or ")))
            }
            "enum" => Some((Self::Members(Members::of(json.as_array()?)?), format!("one of {}", shown(json)))),
            "const" => Some((Self::Members(Members::of(std::slice::from_ref(json))?), shown(json))),
            "pattern" => {
                let pattern = json.as_str()?;
                Some((Self::Pattern(Pattern::new(pattern)?), format!("a text like {pattern}")))
            }
            "minimum" => number(Self::Minimum, "at least"),
            "exclusiveMinimum" => number(Self::ExclusiveMinimum, "more than"),
            "maximum" => number(Self::Maximum, "at most"),
            "exclusiveMaximum" => number(Self::ExclusiveMaximum, "less than"),
            "multipleOf" => number(Self::MultipleOf, "a multiple of"),
            "minLength" => count(Self::MinLength, "at least"),
            "maxLength" => count(Self::MaxLength, "at most"),
            "format" => {
                let name = json.as_str()?;
                Some((Self::Format(Format::of_name(name)?), name.to_owned()))
            }
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn holds(&self, value: &Value<'_>) -> bool {
        use std::cmp::Ordering::{Greater, Less};
        match self {
            Self::Types(types) => types.hold(value),
            Self::Members(members) => members.hold(value),
            Self::Minimum(bound) => bound.compare(value) != Some(Less),
            Self::ExclusiveMinimum(bound) => bound.compare(value).is_none_or(|order| order == Greater),
            Self::Maximum(bound) => bound.compare(value) != Some(Greater),
            Self::ExclusiveMaximum(bound) => bound.compare(value).is_none_or(|order| order == Less),
            Self::MultipleOf(bound) => bound.divides(value),
            Self::Never => false,
            Self::Pattern(_) | Self::MinLength(_) | Self::MaxLength(_) | Self::Format(_) => match value {
                Value::Text(text) => self.holds_text(text),
                _ => true,
            },
        }
    }

    fn holds_text(&self, text: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.is_match(text),
            // Characters are counted only where bytes do not say enough.
            Self::MinLength(least) => {
                text.len() as u64 / 4 >= *least || text.len() as u64 >= *least && text.chars().count() as u64 >= *least
            }
            Self::MaxLength(most) => text.len() as u64 <= *most || text.chars().count() as u64 <= *most,
            Self::Format(format) => format.holds(text),
            _ => true,
        }
    }
}

/// A contract's own text for a message, with an end.
pub(crate) fn shown(json: &Json) -> String {
    const SHOWN_BYTES_MAX: usize = 200;
    let mut text = json.to_string();
    if text.len() > SHOWN_BYTES_MAX {
        text.truncate(text.floor_char_boundary(SHOWN_BYTES_MAX));
        text.push_str("...");
    }
    text
}

/// Keywords that ask nothing of a record.
pub(crate) fn says_nothing(keyword: &str, schema: &Map<String, Json>) -> bool {
    match keyword {
        "$schema" | "$id" | "$anchor" | "$comment" | "$defs" | "definitions" | "title" | "description" | "default" | "deprecated"
        | "readOnly" | "writeOnly" | "examples" | "contentEncoding" | "contentMediaType" | "contentSchema" | "$vocabulary"
        | "$dynamicAnchor" => true,
        // Of no condition, and of a format that is not enforced.
        "then" | "else" => !schema.contains_key("if"),
        "format" => schema[keyword].as_str().and_then(Format::of_name).is_none(),
        "minContains" | "maxContains" => true,
        keyword => keyword.starts_with("x-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(keyword: &str, said: Json, good: &[Value<'_>], bad: &[Value<'_>]) {
        let (test, _) = Test::of(keyword, &said).unwrap();
        good.iter().for_each(|value| assert!(test.holds(value), "{keyword} {said} takes {value:?}"));
        bad.iter().for_each(|value| assert!(!test.holds(value), "{keyword} {said} refuses {value:?}"));
    }

    #[test]
    fn every_keyword_of_one_value() {
        use Value::{Bool, Double, Int, Map, Null, Text};
        check("type", json!("integer"), &[Int(1), Double(2.0)], &[Double(1.5), Text("1"), Null, Bool(true)]);
        check("type", json!(["number", "null"]), &[Int(1), Double(1.5), Null], &[Text(""), Map]);
        check("enum", json!(["a", 1, null]), &[Text("a"), Int(1), Double(1.0), Null], &[Text("b"), Text("1"), Bool(false), Map]);
        let many: Vec<String> = (0..20).map(|at| format!("v{at}")).collect();
        check("enum", json!(many), &[Text("v19")], &[Text("v20"), Int(1)]);
        check("const", json!(true), &[Bool(true)], &[Bool(false), Text("true")]);
        check("pattern", json!("^[A-Z]{3}$"), &[Text("EUR"), Int(7)], &[Text("eur"), Text("EURO")]);
        check("minimum", json!(0), &[Int(0), Double(0.5), Text("-1")], &[Int(-1), Double(-0.1)]);
        check("exclusiveMinimum", json!(0), &[Double(0.1)], &[Int(0)]);
        check("maximum", json!(9_007_199_254_740_992_i64), &[Int(9_007_199_254_740_992)], &[Int(9_007_199_254_740_993)]);
        check("exclusiveMaximum", json!(1.5), &[Int(1)], &[Double(1.5)]);
        check("multipleOf", json!(0.01), &[Double(19.99), Int(3)], &[Double(0.005)]);
        check("multipleOf", json!(5), &[Int(10), Text("7")], &[Int(7), Double(7.5)]);
        check("minLength", json!(2), &[Text("éé"), Text("ab"), Int(1)], &[Text("é"), Text("")]);
        check("maxLength", json!(2), &[Text("éé"), Text("")], &[Text("abc")]);
        check("format", json!("ipv4"), &[Text("10.0.0.1"), Int(3)], &[Text("10.0.0")]);
        assert!(Test::of("format", &json!("colour")).is_none() && Test::of("enum", &json!([[1]])).is_none());
    }
}
