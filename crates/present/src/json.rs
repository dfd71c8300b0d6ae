//! Writes JSON straight into text.

use std::fmt::Write;

use model::Labels;

pub(crate) fn text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\' || c == '\u{2028}' || c == '\u{2029}') {
        out.push_str(&rest[..at]);
        let c = rest[at..].chars().next().expect("find gives the start of a character");
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => push(out, format_args!("\\u{:04x}", u32::from(c))),
        }
        rest = &rest[at + c.len_utf8()..];
    }
    out.push_str(rest);
    out.push('"');
}

pub(crate) fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("writing to memory cannot fail");
}

pub(crate) fn labels(out: &mut String, labels: &Labels) {
    pairs(out, labels.iter());
}

pub(crate) fn pairs<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    out.push('{');
    for (index, (name, value)) in pairs.enumerate() {
        if index > 0 {
            out.push(',');
        }
        text(out, name);
        out.push(':');
        text(out, value);
    }
    out.push('}');
}

pub(crate) fn texts<T: AsRef<str>>(out: &mut String, items: impl IntoIterator<Item = T>) {
    list(out, items, |out, item| text(out, item.as_ref()));
}

pub(crate) fn list<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut String, T)) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// A float as Go's shortest form without exponent: `+Inf`, `NaN`, `0.1`.
pub(crate) fn plain_float(out: &mut String, value: f64) {
    match value {
        value if value.is_nan() => out.push_str("NaN"),
        value if value.is_infinite() => out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" }),
        value => push(out, format_args!("{value}")),
    }
}

/// A float as Prometheus writes it: with an exponent below 1e-6 and from 1e21.
pub(crate) fn float(out: &mut String, value: f64) {
    let size = value.abs();
    if size == 0.0 || !size.is_finite() || (1e-6..1e21).contains(&size) {
        return plain_float(out, value);
    }
    scientific(out, value);
}

/// A finite float with an exponent of at least two digits, as Go writes it.
pub(crate) fn scientific(out: &mut String, value: f64) {
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("the form {:e} has an e");
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    push(out, format_args!("{digits}e{sign}{exponent:0>2}"));
}

/// A JSON number, or text where JSON has no number for it.
pub(crate) fn number(out: &mut String, value: f64) {
    match value.is_finite() {
        true => push(out, format_args!("{value:?}")),
        false => {
            out.push('"');
            plain_float(out, value);
            out.push('"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_prometheus_has_them() {
        for (value, expect) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (1e-7, "1e-07"),
            (-2.5e-300, "-2.5e-300"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::from_bits(0x7ff0_0000_0000_0002), "NaN"),
        ] {
            let mut out = String::new();
            float(&mut out, value);
            assert_eq!(out, expect);
        }
    }

    #[test]
    fn texts_survive_a_json_reader() {
        let hostile = "a\"b\\c\n\r\t\u{1}\u{7f}\u{2028}é🦉</script>";
        let mut out = String::new();
        text(&mut out, hostile);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), hostile);
    }

    #[test]
    fn numbers_survive_a_json_reader() {
        for value in [0.0, -0.0, 1.5, 1e300, -2e-300, 123_456_789.0, 1e16] {
            let mut out = String::new();
            number(&mut out, value);
            assert_eq!(serde_json::from_str::<f64>(&out).unwrap().to_bits(), f64::to_bits(value), "{out}");
        }
    }
}
