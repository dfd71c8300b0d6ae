//! The service graph against the values that Tempo's own tests expect: `otlp/servicegraph` in the data folder (`TYTO_DATA`, default
//! `../shared/data`), read where it lies and never copied.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use insight::{SpanOptions, SpanWatch};
use model::ReceiveLimits;
use model::samples::SamplesView;
use receive::Rules;
use serde_json::{Value, json};
use testkit::suite;

const NOW_MS: i64 = 1_700_000_000_000;

/// The fixtures are protobuf's JSON: ids in base64. OTLP's has them in hexadecimal.
fn otlp(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if let (true, Some(text)) = (name.ends_with("Id"), value.as_str()) {
                        let bytes = BASE64_STANDARD.decode(text).expect("an id is base64");
                        *value = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
                    } else {
                        walk(value);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut value);
    match value.get_mut("batches").map(Value::take) {
        Some(batches) => json!({ "resourceSpans": batches }),
        None => value,
    }
}

/// `cfg.Name = value`, as the suite writes it; what it does not say is as Tempo has it.
fn options(config: &[Value]) -> SpanOptions {
    let mut options =
        SpanOptions { span_age_max: Duration::MAX, virtual_node_label: false, messaging_latency: false, ..SpanOptions::default() };
    for line in config.iter().filter_map(Value::as_str) {
        let (name, value) = line.trim_start_matches("cfg.").split_once(" = ").unwrap_or_else(|| panic!("{line:?} is no setting"));
        let braced =
            || value.split_once('{').and_then(|(_, list)| list.strip_suffix('}')).unwrap_or_else(|| panic!("{line:?} has no list"));
        let texts = || braced().split(',').map(|text| text.trim().trim_matches('"').to_owned()).filter(|text| !text.is_empty()).collect();
        match name {
            "HistogramBuckets" => {
                options.graph_buckets = braced().split(',').map(|bound| bound.trim().parse().expect("a number")).collect();
            }
            "Dimensions" => options.dimensions = texts(),
            "DatabaseNameAttributes" => options.database_name_attributes = texts(),
            "PeerAttributes" => options.peer_attributes = texts(),
            "EnableClientServerPrefix" => options.client_server_prefix = value == "true",
            "EnableVirtualNodeLabel" => options.virtual_node_label = value == "true",
            "EnableMessagingSystemLatencyHistogram" => options.messaging_latency = value == "true",
            // The suite waits so little to see what happens to edges whose time is over.
            "Wait" => options.wait = Duration::ZERO,
            _ => panic!("nobody knows what {line:?} means"),
        }
    }
    options
}

/// Every sample by its name and its labels.
fn samples(fixture: Value, options: &SpanOptions) -> BTreeMap<String, f64> {
    let body = serde_json::to_vec(&otlp(fixture)).expect("JSON");
    let limits = ReceiveLimits::default();
    let rules = Rules { limits: &limits, now_unix_nano: NOW_MS * 1_000_000, protocol: "test" };
    let spans = receive::otlp::decode_traces_json(&body, &rules).expect("the fixture is OTLP");
    assert!(spans.rejections.is_empty(), "{:?}", spans.rejections);
    let mut watch = SpanWatch::new(options, 0);
    watch.take(&spans.records, NOW_MS).expect("spans");
    let mut found = BTreeMap::new();
    for batch in watch.emit(NOW_MS + 1) {
        let view = SamplesView::of(&batch.records).expect("canonical");
        for row in 0..batch.records.num_rows() {
            if let Some(value) = view.floats(row).expect("floats").last() {
                found.insert(view.label_set(row).to_string(), *value);
            }
        }
    }
    found
}

#[test]
fn servicegraph() {
    let Some(folder) = suite("otlp/servicegraph") else { return };
    let read =
        |name: &str| -> Value { serde_json::from_slice(&std::fs::read(folder.join(name)).expect("a file of the suite")).expect("JSON") };
    let expected = read("expected_metrics.json");
    let (mut passed, mut failed) = (0, Vec::new());
    for case in expected.as_array().expect("a list") {
        let [test, fixture, metric] = ["test", "fixture", "metric"].map(|name| case[name].as_str().expect("a text"));
        let found = samples(read(fixture), &options(case["config"].as_array().expect("a list")));
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let mut labels: Vec<(String, String)> =
            case["labels"].as_object().expect("labels").iter().map(|(name, value)| (name.clone(), text(value))).collect();
        labels.push(("__name__".to_owned(), metric.to_owned()));
        labels.extend(case.get("le").map(|le| ("le".to_owned(), text(le))));
        let labels = model::Labels::from_pairs(labels).to_string();
        let wanted = case["value"].as_f64().expect("a number");
        // A series that is not there has not counted.
        let value = found.get(&labels).copied().unwrap_or(0.0);
        let delta = case.get("delta").and_then(Value::as_f64).unwrap_or(1e-9);
        match (value - wanted).abs() <= delta {
            true => passed += 1,
            false => failed.push(format!("{test} {fixture}: {labels} is {value}, not {wanted}")),
        }
    }
    println!("service graph: passed {passed} of {}", passed + failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Every fixture is read to its end, with a database in each that has one.
#[test]
fn every_fixture_has_its_edges() {
    let Some(folder) = suite("otlp/servicegraph") else { return };
    let mut fixtures = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with("trace-") {
            continue;
        }
        let fixture: Value = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
        let found = samples(fixture, &SpanOptions { span_age_max: Duration::MAX, wait: Duration::ZERO, ..SpanOptions::default() });
        let totals: Vec<_> = found.keys().filter(|labels| labels.contains("request_total") || labels.contains("unpaired")).collect();
        println!("{name}: {totals:#?}");
        assert!(totals.iter().any(|labels| labels.contains("connection_type=\"database\"")), "{name}");
        fixtures += 1;
    }
    assert!(fixtures >= 11, "{fixtures} fixtures");
}
