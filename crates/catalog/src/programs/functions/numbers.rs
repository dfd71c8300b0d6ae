//! Numbers, times, and what kind a value is.

use chrono::{DateTime, SecondsFormat, Utc};
use vrl::compiler::prelude::kind::{ARRAY, BOOLEAN, BYTES, FLOAT, INTEGER, OBJECT, TIMESTAMP};
use vrl::compiler::prelude::{NotNan, Parameter};
use vrl::value::Value;

use super::{Arguments, Given, Row, VALUE, integer, may_fail, may_take, short, sure, takes, text, value, wrong};

const NUMBER: [Parameter; 1] = [takes("value", INTEGER | FLOAT)];
const ROUNDED: [Parameter; 2] = [takes("value", INTEGER | FLOAT), may_take("precision", INTEGER)];

pub(super) static ROWS: &[Row] = &[
    // What a value is.
    sure("is_string", &VALUE, BOOLEAN, |given| Ok(value(given, 0).to_str_lossy().is_some().into())),
    sure("is_integer", &VALUE, BOOLEAN, |given| Ok(value(given, 0).is_integer().into())),
    sure("is_float", &VALUE, BOOLEAN, |given| Ok(value(given, 0).is_float().into())),
    sure("is_boolean", &VALUE, BOOLEAN, |given| Ok(value(given, 0).is_boolean().into())),
    sure("is_object", &VALUE, BOOLEAN, |given| Ok(value(given, 0).is_object().into())),
    sure("is_array", &VALUE, BOOLEAN, |given| Ok(value(given, 0).is_array().into())),
    sure("is_null", &VALUE, BOOLEAN, |given| Ok(value(given, 0).is_null().into())),
    sure("is_nullish", &VALUE, BOOLEAN, |given| {
        let value = value(given, 0);
        Ok((value.is_null() || value.to_str_lossy().is_some_and(|text| matches!(text.trim(), "" | "-"))).into())
    }),
    // The same value, if it is that already.
    may_fail("string", &VALUE, BYTES, |given| only(given, "a string", |value| value.to_str_lossy().is_some())),
    may_fail("int", &VALUE, INTEGER, |given| only(given, "an integer", Value::is_integer)),
    may_fail("float", &VALUE, FLOAT, |given| only(given, "a float", Value::is_float)),
    may_fail("bool", &VALUE, BOOLEAN, |given| only(given, "a boolean", Value::is_boolean)),
    may_fail("object", &VALUE, OBJECT, |given| only(given, "an object", Value::is_object)),
    may_fail("array", &VALUE, ARRAY, |given| only(given, "an array", Value::is_array)),
    // Made so.
    may_fail("to_string", &VALUE, BYTES, |given| match value(given, 0) {
        Value::Integer(number) => Ok(number.to_string().into()),
        Value::Float(number) => Ok(number.to_string().into()),
        Value::Boolean(yes) => Ok(yes.to_string().into()),
        Value::Timestamp(time) => Ok(time.to_rfc3339_opts(SecondsFormat::AutoSi, true).into()),
        Value::Null => Ok("".into()),
        other if other.to_str_lossy().is_some() => Ok(other.clone()),
        other => Err(wrong(other, "what has no parts")),
    }),
    may_fail("to_int", &VALUE, INTEGER, |given| match value(given, 0) {
        Value::Integer(number) => Ok((*number).into()),
        Value::Float(number) => Ok((number.into_inner() as i64).into()),
        Value::Boolean(yes) => Ok(i64::from(*yes).into()),
        Value::Timestamp(time) => Ok(time.timestamp().into()),
        Value::Null => Ok(0.into()),
        _ => text(given, 0)?.trim().parse::<i64>().map(Value::from).map_err(|error| error.to_string()),
    }),
    may_fail("to_float", &VALUE, FLOAT, |given| match value(given, 0) {
        Value::Integer(number) => float(*number as f64),
        Value::Float(number) => Ok(Value::Float(*number)),
        Value::Boolean(yes) => float(f64::from(u8::from(*yes))),
        Value::Null => float(0.0),
        _ => float(text(given, 0)?.trim().parse::<f64>().map_err(|error| error.to_string())?),
    }),
    may_fail("to_bool", &VALUE, BOOLEAN, |given| match value(given, 0) {
        Value::Boolean(yes) => Ok((*yes).into()),
        Value::Integer(number) => Ok((*number != 0).into()),
        Value::Null => Ok(false.into()),
        _ => match text(given, 0)?.trim().to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "on" => Ok(true.into()),
            "false" | "f" | "no" | "n" | "0" | "off" | "" => Ok(false.into()),
            other => Err(format!("{other:?} is neither true nor false")),
        },
    }),
    // Numbers.
    sure("abs", &NUMBER, INTEGER | FLOAT, |given| number(given, i64::saturating_abs, f64::abs)),
    sure("round", &ROUNDED, INTEGER | FLOAT, |given| rounded(given, f64::round)),
    sure("floor", &ROUNDED, INTEGER | FLOAT, |given| rounded(given, f64::floor)),
    sure("ceil", &ROUNDED, INTEGER | FLOAT, |given| rounded(given, f64::ceil)),
    may_fail("parse_int", &[takes("value", BYTES), may_take("base", INTEGER)], INTEGER, |given| {
        let base = value(given, 1).as_integer().unwrap_or(10);
        let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base)).ok_or("a base is from 2 to 36")?;
        i64::from_str_radix(text(given, 0)?.trim(), base).map(Value::from).map_err(|error| error.to_string())
    }),
    // Times.
    may_fail("parse_timestamp", &[takes("value", BYTES | TIMESTAMP), takes("format", BYTES)], TIMESTAMP, |given| {
        if value(given, 0).is_timestamp() {
            return Ok(value(given, 0).clone());
        }
        let (time, format) = (text(given, 0)?, text(given, 1)?);
        let with_zone = DateTime::parse_from_str(&time, &format).map(|time| time.with_timezone(&Utc));
        let time = with_zone.or_else(|_| chrono::NaiveDateTime::parse_from_str(&time, &format).map(|time| time.and_utc()));
        time.map(Value::from).map_err(|error| error.to_string())
    }),
    may_fail("format_timestamp", &[takes("value", TIMESTAMP), takes("format", BYTES)], BYTES, |given| {
        use std::fmt::Write as _;
        let time = value(given, 0);
        let time = time.as_timestamp().ok_or_else(|| wrong(time, "a timestamp"))?;
        let mut out = String::new();
        write!(out, "{}", time.format(&text(given, 1)?)).map_err(|_| "the format has an unknown part")?;
        short(out)
    }),
    sure("to_unix_timestamp", &[takes("value", TIMESTAMP), may_take("unit", BYTES)], INTEGER, |given| {
        let time = value(given, 0);
        let time = time.as_timestamp().ok_or_else(|| wrong(time, "a timestamp"))?;
        Ok(match unit(given)? {
            1 => time.timestamp(),
            1000 => time.timestamp_millis(),
            1_000_000 => time.timestamp_micros(),
            _ => time.timestamp_nanos_opt().ok_or("the time is too far away for nanoseconds")?,
        }
        .into())
    }),
    may_fail("from_unix_timestamp", &[takes("value", INTEGER), may_take("unit", BYTES)], TIMESTAMP, |given| {
        let (number, unit) = (integer(given, 0)?, unit(given)?);
        let nanos = (number.rem_euclid(unit) * (1_000_000_000 / unit)) as u32;
        DateTime::from_timestamp(number.div_euclid(unit), nanos).map(Value::from).ok_or_else(|| "there is no such time".to_owned())
    }),
];

fn only(given: &Arguments<'_>, wanted: &str, is: impl Fn(&Value) -> bool) -> Given {
    let value = value(given, 0);
    if is(value) { Ok(value.clone()) } else { Err(wrong(value, wanted)) }
}

pub(super) fn float(number: f64) -> Given {
    NotNan::new(number).map(Value::Float).map_err(|_| "it is no number".to_owned())
}

fn number(given: &Arguments<'_>, of_integer: fn(i64) -> i64, of_float: fn(f64) -> f64) -> Given {
    match value(given, 0) {
        Value::Integer(number) => Ok(of_integer(*number).into()),
        Value::Float(number) => float(of_float(number.into_inner())),
        other => Err(wrong(other, "a number")),
    }
}

fn rounded(given: &Arguments<'_>, of: fn(f64) -> f64) -> Given {
    let scale = 10f64.powi(value(given, 1).as_integer().unwrap_or(0).clamp(-15, 15) as i32);
    match value(given, 0) {
        Value::Float(number) => float(of(number.into_inner() * scale) / scale),
        other => number_as_it_is(other),
    }
}

fn number_as_it_is(value: &Value) -> Given {
    if value.is_integer() { Ok(value.clone()) } else { Err(wrong(value, "a number")) }
}

/// Of them in a second.
fn unit(given: &Arguments<'_>) -> Result<i64, String> {
    if value(given, 1).is_null() {
        return Ok(1);
    }
    match &*text(given, 1)? {
        "seconds" => Ok(1),
        "milliseconds" => Ok(1000),
        "microseconds" => Ok(1_000_000),
        "nanoseconds" => Ok(1_000_000_000),
        other => Err(format!("{other:?} is no unit: seconds, milliseconds, microseconds, nanoseconds")),
    }
}
