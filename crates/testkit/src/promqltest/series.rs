use lang::promql::{parse_duration, unquote};
use model::{Labels, NativeHistogram};

/// A value of the sequence language; none is a gap.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Gap,
    Float(f64),
    Histogram(Box<NativeHistogram>),
}

/// `name{labels} values`, or with `@st` behind the labels since when its points count, in seconds from their own times.
pub(super) struct Line {
    pub(super) labels: Labels,
    pub(super) items: Vec<Item>,
    pub(super) is_starts: bool,
}

/// A staleness mark, as `stale` writes it.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

pub(super) fn parse_line(text: &str) -> Result<Line, String> {
    let (labels, rest) = parse_series(text)?;
    let starts = rest.strip_prefix("@st");
    let mut items = Vec::new();
    let mut rest = starts.unwrap_or(rest).trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        rest = sequence(rest, &mut items)?.trim_start();
    }
    Ok(Line { labels, items, is_starts: starts.is_some() })
}

fn parse_series(text: &str) -> Result<(Labels, &str), String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let name_end = text.find(|c: char| c == '{' || c == '@' || c.is_whitespace()).unwrap_or(text.len());
    if name_end > 0 {
        pairs.push(("__name__".to_owned(), text[..name_end].to_owned()));
    }
    let mut rest = text[name_end..].trim_start();
    if !rest.starts_with('{') || rest.starts_with("{{") {
        return Ok((Labels::from_pairs(pairs), rest));
    }
    rest = rest[1..].trim_start();
    let bad = || format!("cannot read labels of {text:?}");
    while !rest.starts_with('}') {
        let label = match rest.starts_with('"') {
            true => {
                let (label, length) = unquote(rest)?;
                rest = rest[length..].trim_start();
                label
            }
            false => {
                let end = rest.find(|c: char| c == '=' || c.is_whitespace()).ok_or_else(bad)?;
                let label = rest[..end].to_owned();
                rest = rest[end..].trim_start();
                label
            }
        };
        match rest.strip_prefix('=') {
            Some(value) => {
                let value = value.trim_start();
                let (text, length) = unquote(value)?;
                pairs.push((label, text));
                rest = value[length..].trim_start();
            }
            None => pairs.push(("__name__".to_owned(), label)),
        }
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        if rest.is_empty() {
            return Err(bad());
        }
    }
    Ok((Labels::from_pairs(pairs), &rest[1..]))
}

/// Reads `_`, `_x3`, `stale`, `1`, `1x3`, `1+2x3`, `{{...}}`, `{{...}}x3`, `{{...}}+{{...}}x3`; what follows.
fn sequence<'a>(text: &'a str, items: &mut Vec<Item>) -> Result<&'a str, String> {
    if text.starts_with("{{") {
        return histograms(text, items);
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = (&text[..end], &text[end..]);
    if let Some(times) = word.strip_prefix('_') {
        let count = if times.is_empty() { 1 } else { count(times)? };
        items.extend(std::iter::repeat_n(Item::Gap, count));
        return Ok(rest);
    }
    if word == "stale" {
        items.push(Item::Float(STALE));
        return Ok(rest);
    }
    // `0x10` is ten zeros more, never a hexadecimal number.
    let Some((value, times)) = word.rsplit_once('x') else {
        items.push(Item::Float(number(word)?));
        return Ok(rest);
    };
    // The sign of the step is the last one that is neither first nor part of an exponent.
    let bytes = value.as_bytes();
    let step = (1..value.len()).rev().find(|&at| matches!(bytes[at], b'+' | b'-') && !matches!(bytes[at - 1], b'e' | b'E' | b'+' | b'-'));
    let (first, step) = match step {
        Some(at) => (number(&value[..at])?, number(&value[at..])?),
        None => (number(value)?, 0.0),
    };
    let mut value = first;
    for _ in 0..=count(times)? {
        items.push(Item::Float(value));
        value += step;
    }
    Ok(rest)
}

fn count(text: &str) -> Result<usize, String> {
    text.trim_start_matches('x').parse().map_err(|_| format!("cannot read count {text:?}"))
}

fn number(text: &str) -> Result<f64, String> {
    let (sign, digits) = text.strip_prefix('-').map_or((1.0, text.strip_prefix('+').unwrap_or(text)), |digits| (-1.0, digits));
    let value = digits.parse().ok().or_else(|| lang::promql::parse_number(digits)).or_else(|| parse_duration(digits));
    value.map(|value: f64| sign * value).ok_or_else(|| format!("cannot read number {text:?}"))
}

fn histograms<'a>(text: &'a str, items: &mut Vec<Item>) -> Result<&'a str, String> {
    let (first, mut rest) = histogram(text)?;
    let mut step = None;
    if let Some(sign) = rest.chars().next().filter(|sign| matches!(sign, '+' | '-'))
        && rest[1..].starts_with("{{")
    {
        let (found, after) = histogram(&rest[1..])?;
        step = Some((found, if sign == '-' { -1.0 } else { 1.0 }));
        rest = after;
    }
    let Some(times) = rest.strip_prefix('x') else {
        items.push(Item::Histogram(Box::new(first)));
        return Ok(rest);
    };
    let end = times.find(char::is_whitespace).unwrap_or(times.len());
    let mut value = first;
    for _ in 0..=count(&times[..end])? {
        items.push(Item::Histogram(Box::new(value.clone())));
        if let Some((step, sign)) = &step {
            add(&mut value, step, *sign);
        }
    }
    Ok(&times[end..])
}

/// Adds with the coarser of the two resolutions.
fn add(value: &mut NativeHistogram, step: &NativeHistogram, sign: f64) {
    let schema = value.schema.min(step.schema);
    let mut step = step.clone();
    coarsen(value, schema);
    coarsen(&mut step, schema);
    value.count += sign * step.count;
    value.sum += sign * step.sum;
    value.zero_count += sign * step.zero_count;
    for (buckets, steps) in [(&mut value.positive, &step.positive), (&mut value.negative, &step.negative)] {
        for &(index, count) in steps {
            match buckets.binary_search_by_key(&index, |bucket| bucket.0) {
                Ok(place) => buckets[place].1 += sign * count,
                Err(place) => buckets.insert(place, (index, sign * count)),
            }
        }
    }
    value.reset_hint = if step.reset_hint == 0 { value.reset_hint } else { step.reset_hint };
}

fn coarsen(histogram: &mut NativeHistogram, schema: i32) {
    let shift = histogram.schema - schema;
    if shift == 0 || schema == -53 {
        return;
    }
    histogram.schema = schema;
    for buckets in [&mut histogram.positive, &mut histogram.negative] {
        let mut merged: Vec<(i32, f64)> = Vec::new();
        for (index, count) in buckets.drain(..).map(|(index, count)| (((index - 1) >> shift) + 1, count)) {
            match merged.last_mut() {
                Some(last) if last.0 == index => last.1 += count,
                _ => merged.push((index, count)),
            }
        }
        *buckets = merged;
    }
}

/// `{{schema:1 count:3 sum:5 z_bucket:1 z_bucket_w:0.1 offset:2 buckets:[1 2] n_buckets:[3] custom_values:[5 10]}}`.
fn histogram(text: &str) -> Result<(NativeHistogram, &str), String> {
    let end = text.find("}}").ok_or_else(|| format!("cannot read histogram {text:?}"))?;
    let mut histogram = NativeHistogram::default();
    let (mut offsets, mut buckets) = ([0i32; 2], [Vec::new(), Vec::new()]);
    let mut rest = text[2..end].trim();
    while !rest.is_empty() {
        let (key, value) = rest.split_once(':').ok_or_else(|| format!("cannot read histogram field {rest:?}"))?;
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('[') {
            Some(list) => list.split_once(']').ok_or_else(|| format!("cannot read list {list:?}"))?,
            None => value.split_once(char::is_whitespace).unwrap_or((value, "")),
        };
        let list = || value.split_whitespace().map(number).collect::<Result<Vec<_>, _>>();
        let integer = || value.parse::<i32>().map_err(|_| format!("cannot read integer {value:?}"));
        match key.trim() {
            "schema" => histogram.schema = integer()?,
            "count" => histogram.count = number(value)?,
            "sum" => histogram.sum = number(value)?,
            "z_bucket" => histogram.zero_count = number(value)?,
            "z_bucket_w" => histogram.zero_threshold = number(value)?,
            "offset" => offsets[0] = integer()?,
            "n_offset" => offsets[1] = integer()?,
            "buckets" => buckets[0] = list()?,
            "n_buckets" => buckets[1] = list()?,
            "custom_values" => histogram.custom_bounds = list()?,
            "counter_reset_hint" => {
                histogram.reset_hint = match value {
                    "unknown" => 0,
                    "reset" => 1,
                    "not_reset" => 2,
                    "gauge" => 3,
                    _ => return Err(format!("cannot read reset hint {value:?}")),
                }
            }
            key => return Err(format!("cannot read histogram field {key:?}")),
        }
        rest = after.trim_start();
    }
    // An offset is an index: the bucket at 0 ends at 1, or is the first with custom bounds.
    let numbered = |offset: i32, counts: &[f64]| (offset..).zip(counts.iter().copied()).collect();
    histogram.positive = numbered(offsets[0], &buckets[0]);
    histogram.negative = numbered(offsets[1], &buckets[1]);
    Ok((histogram, &text[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(text: &str) -> Vec<f64> {
        let float = |item: &Item| if let Item::Float(value) = item { *value } else { f64::NAN };
        parse_line(text).unwrap().items.iter().map(float).collect()
    }

    #[test]
    fn sequences_are_spelled_out() {
        assert_eq!(floats("m 1+2x2 7 3-1x1 -5x1 1e3"), [1.0, 3.0, 5.0, 7.0, 3.0, 2.0, -5.0, -5.0, 1000.0]);
        assert!(floats("m{a=\"b c\"} _x2 4")[1].is_nan());
        assert_eq!(parse_line("{\"a.b\", c=\"}\"} 1").unwrap().labels.to_string(), r#"{__name__="a.b", c="}"}"#);
        assert_eq!(parse_line("m stale").unwrap().items.len(), 1);
    }

    #[test]
    fn histograms_have_numbered_buckets() {
        let line = parse_line("h {{schema:0 count:3 buckets:[1 2] offset:-1}}+{{count:1 buckets:[0 1]}}x1").unwrap();
        let Item::Histogram(last) = &line.items[1] else { panic!("a histogram") };
        assert_eq!((last.count, last.positive.as_slice()), (4.0, [(-1, 1.0), (0, 2.0), (1, 1.0)].as_slice()));
    }
}
