//! Label values as numbers. The error texts are Go's, because queries and dashboards look for them in `__error_details__`.

/// Nanoseconds of a value like `1h30m` or `-1.5s`: units up to hours, each number with its unit.
pub(super) fn duration_ns(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| invalid())?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let size = match &rest[..end] {
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            unit => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        total += number * size;
        rest = &rest[end..];
    }
    if total > i64::MAX as f64 {
        return Err(invalid());
    }
    let total = total.round() as i64;
    Ok(if negative { -total } else { total })
}

/// Bytes of a value like `1.5KiB`, `2,048` or `3mb`; whole bytes, any case.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(text.len());
    let digits = text[..end].replace(',', "");
    let number = number(&digits)?;
    let unit = text[end..].trim().to_ascii_lowercase();
    let size = match unit.as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "p" | "pb" => 1e15,
        "e" | "eb" => 1e18,
        "ki" | "kib" => (1u64 << 10) as f64,
        "mi" | "mib" => (1u64 << 20) as f64,
        "gi" | "gib" => (1u64 << 30) as f64,
        "ti" | "tib" => (1u64 << 40) as f64,
        "pi" | "pib" => (1u64 << 50) as f64,
        "ei" | "eib" => (1u64 << 60) as f64,
        _ => return Err(format!("unhandled size name: {unit}")),
    };
    let value = number * size;
    if value >= u64::MAX as f64 { Err(format!("too large: {text}")) } else { Ok(value as u64) }
}

pub(super) fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_units() {
        assert_eq!(duration_ns("1h30m"), Ok(5_400_000_000_000));
        assert_eq!(duration_ns("-1.5ms"), Ok(-1_500_000));
        assert_eq!(duration_ns("90"), Err("time: missing unit in duration \"90\"".to_owned()));
        assert_eq!(duration_ns("1d"), Err("time: unknown unit \"d\" in duration \"1d\"".to_owned()));
        assert_eq!(duration_ns("oops"), Err("time: invalid duration \"oops\"".to_owned()));
    }

    #[test]
    fn sizes_mind_no_case() {
        for (text, value) in [("1KB", 1000), ("1kib", 1024), ("2,048", 2048), ("1.5B", 1), ("3 mb", 3_000_000)] {
            assert_eq!(bytes(text), Ok(value), "{text}");
        }
        assert_eq!(bytes("oops"), Err("strconv.ParseFloat: parsing \"\": invalid syntax".to_owned()));
        assert_eq!(bytes("1x"), Err("unhandled size name: x".to_owned()));
    }
}
