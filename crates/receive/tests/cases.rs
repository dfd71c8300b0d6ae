//! Runs `tests/cases/receive/*.test`, and the public examples of the data folder when it is there.
//!
//! A case is a line `decode ENTRY`, the body, a line `----`, and what comes out, up to an empty line. `UPDATE=1` rewrites
//! what comes out.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use model::logs::LogsView;
use model::{Decoded, ReceiveLimits, Result};
use receive::firehose::Delivery;
use receive::json_lines::Form;
use receive::otlp::{self, DeltaState};
use receive::splunk::RawSaid;
use receive::{Rules, elastic, firehose, fluent, jaeger, journal, json_lines, loki, splunk, syslog, zipkin};
use serde_json::Value;
use testkit::suite;

const NOW: i64 = 1_700_000_000_000_000_000;

fn decode(entry: &str, body: &[u8]) -> Result<Decoded> {
    let limits = ReceiveLimits {
        labels_per_series_max: 8,
        label_value_bytes_max: 64,
        attributes_max: if matches!(entry, "logs" | "traces" | "metrics" | "loki") { 3 } else { 6 },
        value_bytes_max: 128,
        ..ReceiveLimits::default()
    };
    decode_within(entry, body, &limits)
}

fn decode_within(entry: &str, body: &[u8], limits: &ReceiveLimits) -> Result<Decoded> {
    let rules = Rules { limits, now_unix_nano: NOW, protocol: "test" };
    match entry {
        "logs" => otlp::decode_logs_json(body, &rules),
        "traces" => otlp::decode_traces_json(body, &rules),
        "metrics" => otlp::decode_metrics_json(body, &rules, &DeltaState::default()),
        "loki" => loki::decode_loki_json(body, &rules),
        "lines" => json_lines::decode_json_lines(body, Form::Lines, &resource(), &rules),
        "json" => json_lines::decode_json_lines(body, Form::Json, &resource(), &rules),
        "text" => json_lines::decode_json_lines(body, Form::Text, &resource(), &rules),
        "bulk" => {
            let bulk = elastic::decode_bulk(&[body, b"\n"].concat(), None, None, &rules)?;
            Ok(bulk.answer(0).0)
        }
        "hec" => splunk::decode_splunk_events(body, &rules),
        "raw" => splunk::decode_splunk_raw(body, &RawSaid { host: Some("web-1".to_owned()), ..RawSaid::default() }, &rules),
        "firehose" => firehose::decode_firehose_logs(body, &delivery(), &rules),
        "fluent" => {
            let values = serde_json::Deserializer::from_slice(body).into_iter();
            let packed: Vec<u8> = values.flat_map(|value| packed(&value.expect("JSON"))).collect();
            Ok(fluent::decode_fluent(&packed, &rules)?.decoded)
        }
        "syslog" => syslog::decode_syslog_stream(body, &rules),
        "journal" => journal::decode_journal(body, 0, &rules),
        "zipkin" => zipkin::decode_zipkin_json(body, &rules),
        "jaeger" => jaeger::decode_jaeger_thrift(&thrift(&serde_json::from_slice(body).expect("JSON")), &rules),
        other => panic!("no entry {other:?}: see this match"),
    }
}

/// JSON as MessagePack; a text `packed:[...]` is the values of that list, packed.
fn packed(value: &Value) -> Vec<u8> {
    let large = |head: u8, len: usize| [&[head][..], &u32::try_from(len).expect("short").to_be_bytes()].concat();
    match value {
        Value::Null => vec![0xc0],
        Value::Bool(value) => vec![0xc2 | u8::from(*value)],
        Value::Number(number) => match number.as_i64() {
            Some(number) => [&[0xd3][..], &number.to_be_bytes()].concat(),
            None => [&[0xcb][..], &number.as_f64().expect("a double").to_be_bytes()].concat(),
        },
        Value::String(text) => {
            let list = text.strip_prefix("packed:").map(|list| serde_json::from_str::<Vec<Value>>(list).expect("a list"));
            let bytes = list.map_or_else(|| text.clone().into_bytes(), |list| list.iter().flat_map(packed).collect());
            [large(0xdb, bytes.len()), bytes].concat()
        }
        Value::Array(values) => [large(0xdd, values.len()), values.iter().flat_map(packed).collect()].concat(),
        Value::Object(values) => {
            let pair = |(name, value): (&String, &Value)| [packed(&Value::String(name.clone())), packed(value)].concat();
            [large(0xdf, values.len()), values.iter().flat_map(pair).collect()].concat()
        }
    }
}

/// JSON as Thrift's binary protocol: an object is a structure with the numbers of its fields as keys, a list is one of structures, a
/// number of 32 bits is `{"i32": 1}`, a double has a point.
fn thrift(value: &Value) -> Vec<u8> {
    let length = |len: usize| u32::try_from(len).expect("short").to_be_bytes();
    match value {
        Value::Bool(value) => vec![u8::from(*value)],
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.to_be_bytes().to_vec(),
            None => number.as_f64().expect("a double").to_be_bytes().to_vec(),
        },
        Value::String(text) => [&length(text.len())[..], text.as_bytes()].concat(),
        Value::Array(values) => [&[12][..], &length(values.len()), &values.iter().flat_map(thrift).collect::<Vec<_>>()].concat(),
        Value::Object(fields) => match fields.get("i32") {
            Some(number) => (number.as_i64().expect("a number") as i32).to_be_bytes().to_vec(),
            None => {
                let field = |(number, value): (&String, &Value)| {
                    let number = number.parse::<i16>().expect("a field's number").to_be_bytes();
                    [&[thrift_type(value)][..], &number, &thrift(value)].concat()
                };
                [fields.iter().flat_map(field).collect(), vec![0]].concat()
            }
        },
        Value::Null => panic!("Thrift has no null"),
    }
}

fn thrift_type(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 2,
        Value::Number(number) if number.is_f64() => 4,
        Value::Object(fields) if fields.contains_key("i32") => 8,
        Value::Number(_) => 10,
        Value::String(_) => 11,
        Value::Object(_) => 12,
        Value::Array(_) => 15,
        Value::Null => panic!("Thrift has no null"),
    }
}

/// What a sender says of all its logs.
fn resource() -> Vec<(String, String)> {
    vec![("omd.team".to_owned(), "shop".to_owned())]
}

fn delivery() -> Delivery {
    Delivery { source_arn: "arn:aws:firehose:eu-west-1:123456789012:deliverystream/logs".to_owned(), ..Delivery::default() }
}

/// Every column of every row that says something, and every refusal.
fn print(decoded: &Result<Decoded>) -> String {
    let mut out = String::new();
    match decoded {
        Err(error) => writeln!(out, "error {:?}: {}", error.code, error.chain()).expect("memory"),
        Ok(decoded) => {
            let rows = decoded.rows().expect("canonical");
            for row in 0..rows.num_rows() {
                print_row(&rows, row, &mut out);
            }
            for refused in &decoded.rejections {
                writeln!(out, "rejected {} {} at {}: {}", refused.records, refused.reason, refused.field, refused.why).expect("memory");
            }
        }
    }
    out
}

fn print_row(records: &RecordBatch, row: usize, out: &mut String) {
    writeln!(out, "row {row}").expect("memory");
    let options = FormatOptions::default();
    for (field, column) in records.schema().fields().iter().zip(records.columns()) {
        let text = ArrayFormatter::try_new(column.as_ref(), &options).expect("a printable column").value(row).to_string();
        if !column.is_null(row) && !matches!(text.as_str(), "{}" | "[]") && field.name() != "series_id" {
            writeln!(out, "  {}: {}", field.name(), text.escape_debug()).expect("memory");
        }
    }
}

#[test]
fn cases_decode_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/receive");
    let mut ran = 0;
    for entry in fs::read_dir(&folder).expect("tests/cases/receive") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "test") {
            ran += run(&path);
        }
    }
    assert!(ran > 10, "the cases are there: {ran}");
}

fn run(path: &Path) -> usize {
    let text = fs::read_to_string(path).expect("a readable case file");
    let (mut rewritten, mut lines, mut ran) = (String::new(), text.lines(), 0);
    while let Some(line) = lines.next() {
        writeln!(rewritten, "{line}").expect("memory");
        let Some(entry) = line.strip_prefix("decode ") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "----").collect();
        let _expected: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let body = body.join("\n");
        write!(rewritten, "{body}\n----\n{}\n", print(&decode(entry, body.as_bytes()))).expect("memory");
        ran += 1;
    }
    let rewritten = format!("{}\n", rewritten.trim_end());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, rewritten).expect("a writable case file");
    } else {
        assert_eq!(rewritten, text, "{}: run with UPDATE=1 and read the diff", path.display());
    }
    ran
}

#[test]
fn conformance() {
    let (Some(logql), Some(otlp)) = (suite("logql"), suite("otlp")) else { return };
    let text = fs::read_to_string(logql.join("loki_push_cases.json")).expect("loki_push_cases.json");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let failed: Vec<_> = cases.iter().filter(|case| !loki_case_passes(case)).map(|case| case["name"].to_string()).collect();
    println!("loki push: passed {} of {}", cases.len() - failed.len(), cases.len());
    assert!(failed.is_empty(), "{failed:?}");

    let examples = [("logs.json", "logs"), ("events.json", "logs"), ("trace.json", "traces"), ("metrics.json", "metrics")];
    let failed: Vec<_> = examples.iter().filter(|(file, entry)| !example_passes(&otlp.join("proto-examples").join(file), entry)).collect();
    println!("OTLP examples: passed {} of {}", examples.len() - failed.len(), examples.len());
    assert!(failed.is_empty(), "{failed:?}");
}

/// Everything in the example is taken, and the number of rows is the number of records in it.
fn example_passes(path: &Path, entry: &str) -> bool {
    let body = fs::read(path).expect("an example");
    let decoded = decode_within(entry, &body, &ReceiveLimits::default());
    decoded.is_ok_and(|decoded| decoded.rejections.is_empty() && decoded.records.num_rows() > 0)
}

fn loki_case_passes(case: &Value) -> bool {
    let body = case["body"].as_str().expect("a body");
    let decoded = match decode_within("loki", body.as_bytes(), &ReceiveLimits::default()) {
        Err(_) => return case["expect_error"] == true,
        Ok(decoded) => decoded,
    };
    let rows = decoded.rows().expect("canonical");
    let view = LogsView::of(&rows).expect("canonical");
    let mut row = 0;
    for stream in case["expected"].as_array().expect("streams") {
        for entry in stream["entries"].as_array().expect("entries") {
            let pairs = |object: &Value| -> Vec<(String, String)> {
                let pairs = object.as_object().into_iter().flatten();
                let mut pairs: Vec<_> = pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
                pairs.sort();
                pairs
            };
            let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            let mut metadata: Vec<_> = view.attributes.iter(row).map(owned).collect();
            metadata.sort();
            let same = view.time.value(row) == entry["ts_ns"].as_i64().expect("a time")
                && view.body.value(row) == entry["line"].as_str().expect("a line")
                && view.resource_attributes.iter(row).map(owned).collect::<Vec<_>>() == pairs(&stream["labels"])
                && metadata == pairs(&entry["metadata"]);
            if !same {
                return false;
            }
            row += 1;
        }
    }
    case["expect_error"] == false && row == decoded.records.num_rows()
}
