//! Metric and label names as Prometheus has them: the translation `UnderscoreEscapingWithSuffixes`.
//! Source: <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>.

/// What decides a metric's suffixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Gauge,
    /// A monotonic sum.
    Counter,
    Other,
}

/// The Prometheus name of an OTLP metric; empty when nothing of it is legal.
pub(super) fn metric_name(name: &str, unit: &str, shape: Shape) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == ':';
    let mut words: Vec<&str> = name.split(|c: char| !legal(c)).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return String::new();
    }
    let (main, per) = unit_words(unit);
    // Both units are looked for in the name as the sender wrote it; "per" stands and falls with its unit.
    let missing = |unit: &&str| !words.contains(unit);
    let (main, per) = (main.as_deref().filter(missing), per.as_deref().filter(missing));
    words.extend(main);
    words.extend(per.into_iter().flat_map(|per| ["per", per]));
    let last = match shape {
        Shape::Counter => Some("total"),
        Shape::Gauge if unit.trim() == "1" => Some("ratio"),
        _ => None,
    };
    if let Some(last) = last {
        words.retain(|word| *word != last);
        words.push(last);
    }
    let name = words.join("_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// The words of `main/per`; units in braces are annotations and say nothing.
fn unit_words(unit: &str) -> (Option<String>, Option<String>) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let word = |unit: &str, name: fn(&str) -> Option<&'static str>| {
        let unit = unit.trim();
        if unit.contains(['{', '}']) {
            return None;
        }
        let word = name(unit).map_or_else(|| cleaned(unit), str::to_owned);
        Some(word).filter(|word| !word.is_empty())
    };
    (word(main, unit_name), word(per, per_unit_name))
}

fn cleaned(unit: &str) -> String {
    let parts: Vec<&str> = unit.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|part| !part.is_empty()).collect();
    parts.join("_")
}

fn unit_name(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        "1" => "",
        _ => return None,
    })
}

fn per_unit_name(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        _ => return None,
    })
}

/// The Prometheus name of an attribute: illegal characters and runs of them become one underscore.
pub(super) fn label_name(key: &str, out: &mut String) {
    if key.starts_with(|c: char| c.is_ascii_digit()) {
        out.push_str("key_");
    }
    let mut after_underscore = false;
    for c in key.chars() {
        let legal = c.is_ascii_alphanumeric();
        if legal {
            out.push(c);
        } else if !after_underscore {
            out.push('_');
        }
        after_underscore = !legal;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_named_as_the_specification_says() {
        let check = |name, unit, shape, expect: &str| assert_eq!(metric_name(name, unit, shape), expect, "{name} {unit}");
        check("http.server.duration", "ms", Shape::Other, "http_server_duration_milliseconds");
        check("system.filesystem.usage", "By", Shape::Other, "system_filesystem_usage_bytes");
        check("requests", "1", Shape::Counter, "requests_total");
        check("requests.total.count", "", Shape::Counter, "requests_count_total");
        check("cpu.utilization", "1", Shape::Gauge, "cpu_utilization_ratio");
        check("speed", "m/s", Shape::Gauge, "speed_meters_per_second");
        check("queue.size", "{messages}", Shape::Gauge, "queue_size");
        check("network.io", "By/s", Shape::Counter, "network_io_bytes_per_second_total");
        check("request.seconds", "s", Shape::Other, "request_seconds");
        check("data.per.request", "By/s", Shape::Gauge, "data_per_request_bytes_per_second");
        check("bytes.second", "By/s", Shape::Gauge, "bytes_second");
        check("packets.per.second", "{packet}/s", Shape::Gauge, "packets_per_second");
        check("2xx", "", Shape::Gauge, "_2xx");
        check("job:rate5m", "", Shape::Gauge, "job:rate5m");
        check("a..b__c", "foo bar", Shape::Gauge, "a_b_c_foo_bar");
        check("\u{e9}", "", Shape::Gauge, "");
    }

    #[test]
    fn labels_are_named_as_the_specification_says() {
        let check = |key, expect: &str| {
            let mut name = String::new();
            label_name(key, &mut name);
            assert_eq!(name, expect);
        };
        check("http.status_code", "http_status_code");
        check("0day", "key_0day");
        check("a..__b", "a_b");
        check("__name__", "_name_");
    }
}
