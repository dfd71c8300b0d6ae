use vrl::compiler::prelude::kind::{ARRAY, BOOLEAN, BYTES, INTEGER, NULL, OBJECT, REGEX};
use vrl::value::Value;

use super::{Arguments, Given, Row, TEXT, TEXT_BYTES_MAX, flag, integer, may_fail, may_take, short, sure, takes, text, value, wrong};

pub(super) static ROWS: &[Row] = &[
    sure("upcase", &TEXT, BYTES, |given| short(text(given, 0)?.to_uppercase())),
    sure("downcase", &TEXT, BYTES, |given| short(text(given, 0)?.to_lowercase())),
    sure("strip_whitespace", &TEXT, BYTES, |given| Ok(text(given, 0)?.trim().into())),
    sure("contains", &[takes("value", BYTES), takes("substring", BYTES), may_take("case_sensitive", BOOLEAN)], BOOLEAN, |given| {
        compared(given, |value, part| value.contains(part))
    }),
    sure("starts_with", &[takes("value", BYTES), takes("substring", BYTES), may_take("case_sensitive", BOOLEAN)], BOOLEAN, |given| {
        compared(given, |value, part| value.starts_with(part))
    }),
    sure("ends_with", &[takes("value", BYTES), takes("substring", BYTES), may_take("case_sensitive", BOOLEAN)], BOOLEAN, |given| {
        compared(given, |value, part| value.ends_with(part))
    }),
    sure("match", &[takes("value", BYTES), takes("pattern", REGEX)], BOOLEAN, |given| {
        let pattern = value(given, 1);
        let pattern = pattern.as_regex().ok_or_else(|| wrong(pattern, "a regular expression"))?;
        Ok(pattern.is_match(&text(given, 0)?).into())
    }),
    may_fail("replace", &[takes("value", BYTES), takes("pattern", BYTES | REGEX), takes("with", BYTES)], BYTES, replace),
    sure("split", &[takes("value", BYTES), takes("pattern", BYTES | REGEX), may_take("limit", INTEGER)], ARRAY, split),
    may_fail("join", &[takes("value", ARRAY), may_take("separator", BYTES)], BYTES, join),
    may_fail("slice", &[takes("value", BYTES), takes("start", INTEGER), may_take("end", INTEGER)], BYTES, slice),
    sure("truncate", &[takes("value", BYTES), takes("limit", INTEGER), may_take("suffix", BYTES)], BYTES, truncate),
    sure("length", &[takes("value", BYTES | ARRAY | OBJECT)], INTEGER, |given| {
        let value = value(given, 0);
        let length = match value {
            Value::Array(items) => items.len(),
            Value::Object(fields) => fields.len(),
            other => other.to_str_lossy().ok_or_else(|| wrong(other, "a string, an array or an object"))?.len(),
        };
        Ok(length.into())
    }),
    sure("includes", &[takes("value", ARRAY), takes("item", super::kind::ANY)], BOOLEAN, |given| {
        let all = value(given, 0);
        Ok(all.as_array().ok_or_else(|| wrong(all, "an array"))?.contains(value(given, 1)).into())
    }),
    sure("keys", &[takes("value", OBJECT)], ARRAY, |given| {
        let fields = value(given, 0);
        let fields = fields.as_object().ok_or_else(|| wrong(fields, "an object"))?;
        Ok(Value::Array(fields.keys().map(|key| key.as_str().into()).collect()))
    }),
    sure("values", &[takes("value", OBJECT)], ARRAY, |given| {
        let fields = value(given, 0);
        let fields = fields.as_object().ok_or_else(|| wrong(fields, "an object"))?;
        Ok(Value::Array(fields.values().cloned().collect()))
    }),
    sure("merge", &[takes("to", OBJECT), takes("from", OBJECT)], OBJECT, |given| {
        let (to, from) = (value(given, 0), value(given, 1));
        let mut to = to.as_object().ok_or_else(|| wrong(to, "an object"))?.clone();
        to.extend(from.as_object().ok_or_else(|| wrong(from, "an object"))?.clone());
        Ok(Value::Object(to))
    }),
    sure("push", &[takes("value", ARRAY), takes("item", super::kind::ANY)], ARRAY, |given| {
        let all = value(given, 0);
        let mut all = all.as_array().ok_or_else(|| wrong(all, "an array"))?.to_vec();
        all.push(value(given, 1).clone());
        Ok(Value::Array(all))
    }),
    sure("compact", &[takes("value", ARRAY | OBJECT)], ARRAY | OBJECT, |given| {
        let empty = |value: &Value| value.is_null() || value.to_str_lossy().is_some_and(|text| text.is_empty());
        Ok(match value(given, 0).clone() {
            Value::Array(items) => Value::Array(items.into_iter().filter(|item| !empty(item)).collect()),
            Value::Object(fields) => Value::Object(fields.into_iter().filter(|(_, value)| !empty(value)).collect()),
            other => return Err(wrong(&other, "an array or an object")),
        })
    }),
    sure("is_empty", &[takes("value", BYTES | ARRAY | OBJECT | NULL)], BOOLEAN, |given| {
        let is_empty = match value(given, 0) {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            other => other.to_str_lossy().is_some_and(|text| text.is_empty()),
        };
        Ok(is_empty.into())
    }),
];

fn compared(given: &Arguments<'_>, compare: impl Fn(&str, &str) -> bool) -> Given {
    let (value, part) = (text(given, 0)?, text(given, 1)?);
    Ok(match flag(given, 2, true) {
        true => compare(&value, &part),
        false => compare(&value.to_lowercase(), &part.to_lowercase()),
    }
    .into())
}

/// How long the text gets is known before it is made.
fn replace(given: &Arguments<'_>) -> Given {
    let (whole, with) = (text(given, 0)?, text(given, 2)?);
    let pattern = value(given, 1);
    let count = match pattern.as_regex() {
        Some(pattern) => pattern.find_iter(&whole).count(),
        None => whole.matches(&*text(given, 1)?).count(),
    };
    // A group that is put in is at most as long as the text.
    let groups = pattern.as_regex().map_or(0, |_| with.matches('$').count());
    let longest = count.saturating_mul(with.len()).saturating_add(whole.len().saturating_mul(1 + groups));
    if longest > TEXT_BYTES_MAX {
        return Err(format!("the text could be over text_bytes_max, {TEXT_BYTES_MAX}"));
    }
    Ok(match pattern.as_regex() {
        Some(pattern) => pattern.replace_all(&whole, &*with).into_owned().into(),
        None => whole.replace(&*text(given, 1)?, &with).into(),
    })
}

fn split(given: &Arguments<'_>) -> Given {
    let (whole, pattern) = (text(given, 0)?, value(given, 1));
    let limit = value(given, 2).as_integer().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(0));
    let parts: Vec<Value> = match pattern.as_regex() {
        Some(pattern) => pattern.splitn(&whole, limit).map(Value::from).collect(),
        None => whole.splitn(limit, &*text(given, 1)?).map(Value::from).collect(),
    };
    Ok(Value::Array(parts))
}

fn join(given: &Arguments<'_>) -> Given {
    let all = value(given, 0);
    let all = all.as_array().ok_or_else(|| wrong(all, "an array"))?;
    let between = if value(given, 1).is_null() { "".into() } else { text(given, 1)? };
    let mut out = String::new();
    for (at, item) in all.iter().enumerate() {
        if at > 0 {
            out.push_str(&between);
        }
        out.push_str(&item.to_str_lossy().ok_or_else(|| wrong(item, "an array of strings"))?);
        if out.len() > TEXT_BYTES_MAX {
            break;
        }
    }
    short(out)
}

/// Characters, the end not included; what is below zero counts from the end.
fn slice(given: &Arguments<'_>) -> Given {
    let whole = text(given, 0)?;
    let length = whole.chars().count() as i64;
    let from_start = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
    let start = from_start(integer(given, 1)?);
    let end = value(given, 2).as_integer().map_or(length, from_start).min(length);
    if start < 0 || start > length || end < start {
        return Err(format!("there is nothing from {start} to {end} in {length} characters"));
    }
    Ok(whole.chars().skip(start as usize).take((end - start) as usize).collect::<String>().into())
}

fn truncate(given: &Arguments<'_>) -> Given {
    let (whole, limit) = (text(given, 0)?, usize::try_from(integer(given, 1)?).unwrap_or(0));
    Ok(match whole.char_indices().nth(limit) {
        None => value(given, 0).clone(),
        Some((end, _)) => {
            let suffix = if value(given, 2).is_null() { "".into() } else { text(given, 2)? };
            return short(format!("{}{suffix}", &whole[..end]));
        }
    })
}
