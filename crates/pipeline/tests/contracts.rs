//! Records pass the pipeline under contracts: what is stored, set aside and refused of them, and how that is told.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{Array, StringArray};
use catalog::Catalog;
use model::logs::{LogRow, LogsBuilder};
use model::{AttributeValue, Attributes, Decoded, Placed, Result, Table};
use parking_lot::Mutex;
use pipeline::{CardinalityLimits, Pipeline};

const OMD: &str = "business_services: [{name: pay, owners: [{team: till}], contract: pay, services: [{name: cards, contract: cards}]}]";

fn catalog(contracts: &[(&str, &str)]) -> Catalog {
    let mut texts = vec![("omd.yaml", OMD)];
    texts.extend(contracts);
    Catalog::parse(&texts).unwrap()
}

/// What is told of a record of these attributes that is set aside, a line for each thing wrong: path, rule, what was found, where the rule
/// stands, and its mode. Nothing of one that is stored.
#[track_caller]
fn check(contracts: &[(&str, &str)], record: &str, expect: &[&str]) {
    let (_, placed) = send_under(contracts, &[record]);
    let mut lines = Vec::new();
    if placed[0].table == Table::Quarantine {
        let told: Vec<model::quarantine::Violation> = serde_json::from_str(&texts(&placed[0].records, "violations")[0]).unwrap();
        lines.extend(told.iter().map(|told| format!("{} {} {} {} {}", told.path, told.rule, told.found, told.at, told.mode)));
    }
    assert_eq!(lines, expect, "{record}");
}

/// Records of business service `pay`; each is JSON of its attributes. What begins with `@` is a column, or the service.
fn logs(records: &[&str]) -> Decoded {
    let mut builder = LogsBuilder::default();
    for (at, text) in records.iter().enumerate() {
        let record: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        let text_of = |name: &str| record.get(name).and_then(|value| value.as_str()).unwrap_or_default();
        for (key, value) in record.iter().filter(|(key, _)| !key.starts_with('@')) {
            match value {
                serde_json::Value::Bool(value) => builder.attributes.push(key, AttributeValue::Bool(*value)),
                serde_json::Value::Number(value) if value.is_i64() => {
                    builder.attributes.push(key, AttributeValue::Int(value.as_i64().unwrap()))
                }
                serde_json::Value::Number(value) => builder.attributes.push(key, AttributeValue::Double(value.as_f64().unwrap())),
                serde_json::Value::String(value) => builder.attributes.push(key, AttributeValue::Text(value)),
                nested => {
                    let kind = if nested.is_array() { model::AttributeType::Array } else { model::AttributeType::Map };
                    builder.attributes.push(key, AttributeValue::Encoded(kind, &otlp(nested)))
                }
            };
        }
        let mut resource = Attributes::default();
        resource.set("omd.business_service", AttributeValue::Text("pay"));
        for (key, name) in [("omd.service", "@service"), ("host.name", "@host")] {
            if record.contains_key(name) {
                resource.set(key, AttributeValue::Text(text_of(name)));
            }
        }
        let row = LogRow {
            time_unix_nano: at as i64,
            body: text_of("@body"),
            trace_id: text_of("@trace"),
            severity_text: text_of("@severity"),
            ..LogRow::default()
        };
        builder.push(&row, &resource, &Attributes::default());
    }
    Decoded::new(Table::Logs, builder.finish_packed(), "otlp_grpc")
}

/// Lists and maps of integers and texts in OTLP's own form.
fn otlp(json: &serde_json::Value) -> String {
    let any = |value: &serde_json::Value| match value {
        serde_json::Value::Number(number) => serde_json::json!({"intValue": number.to_string()}),
        other => serde_json::json!({"stringValue": other}),
    };
    match json {
        serde_json::Value::Array(items) => serde_json::Value::Array(items.iter().map(any).collect()).to_string(),
        serde_json::Value::Object(entries) => {
            let pairs = entries.iter().map(|(key, value)| serde_json::json!({"key": key, "value": any(value)}));
            serde_json::Value::Array(pairs.collect()).to_string()
        }
        other => panic!("{other} is not nested"),
    }
}

const CORE: &str = r##"{
  "x-tyto": {"mode": "quarantine", "version": "3"},
  "required": ["trace_id"],
  "properties": {
    "trace_id": {"pattern": "^[0-9a-f]{32}$"},
    "severity_text": {"enum": ["INFO", "ERROR"]},
    "resource_attributes": {"required": ["host.name"], "properties": {"host.name": {"maxLength": 8}}},
    "business_service": {"const": "pay"}
  },
  "$defs": {"country": {"type": "string", "pattern": "^[A-Z]{2}$"}}
}"##;

#[test]
fn a_record_keeps_its_contract_or_breaks_rules_of_it() {
    let pay = r##"{
      "allOf": [{"$ref": "core.json"}],
      "x-tyto": {"mode": "observe"},
      "required": ["amount"],
      "properties": {
        "amount": {"type": "number", "minimum": 0, "x-tyto": {"mode": "quarantine"}},
        "country": {"$ref": "core.json#/$defs/country"},
        "name": false
      }
    }"##;
    let trace = "0123456789abcdef0123456789abcdef";
    let contracts = [("contracts/core.json", CORE), ("contracts/pay.json", pay), ("contracts/cards.json", "{}")];
    let good = format!(r#"{{"@trace": "{trace}", "@severity": "INFO", "@host": "till-1", "amount": 1.5, "country": "DE", "other": [1]}}"#);
    check(&contracts, &good, &[]);
    let bad =
        format!(r#"{{"@trace": "{trace}", "@severity": "WARN", "@host": "a-long-name", "amount": "1.5", "country": "de", "name": "x"}}"#);
    check(
        &contracts,
        &bad,
        &[
            "amount type a string of 1 to 8 bytes contracts/pay.json:6 quarantine",
            "country pattern a string of 1 to 8 bytes contracts/core.json:10 observe",
            "name false a string of 1 to 8 bytes contracts/pay.json:8 observe",
            "severity_text enum a string of 1 to 8 bytes contracts/core.json:6 quarantine",
            "resource_attributes/host.name maxLength a string of 9 to 32 bytes contracts/core.json:7 quarantine",
        ],
    );
    check(
        &contracts,
        r#"{"@severity": "INFO", "amount": -1}"#,
        &[
            "amount minimum an integer contracts/pay.json:6 quarantine",
            "trace_id required nothing contracts/core.json:3 quarantine",
            "resource_attributes/host.name required nothing contracts/core.json:7 quarantine",
        ],
    );
}

#[test]
fn what_is_beyond_one_value_is_asked_of_the_whole_record() {
    let pay = r##"{"x-tyto": {"mode": "quarantine"},
      "if": {"properties": {"method": {"const": "card"}}, "required": ["method"]},
      "then": {"required": ["card.brand"]},
      "else": {"not": {"required": ["card.brand"]}},
      "oneOf": [{"required": ["order.id"]}, {"required": ["refund.id"]}],
      "dependentRequired": {"order.id": ["items"]},
      "patternProperties": {"^card\\.": {"type": "string"}},
      "properties": {
        "items": {"type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "integer"}, "contains": {"minimum": 5}},
        "address": {"type": "object", "properties": {"zip": {"type": "string"}}, "required": ["zip"], "additionalProperties": false},
        "either": {"anyOf": [{"type": "integer"}, {"enum": ["none"]}]}
      }
    }"##;
    let contracts = [("contracts/pay.json", pay), ("contracts/cards.json", "{}")];
    check(
        &contracts,
        r#"{"method": "card", "card.brand": "x", "order.id": 1, "items": [5, 6], "address": {"zip": "1"}, "either": "none"}"#,
        &[],
    );
    check(&contracts, r#"{"method": "cash", "refund.id": 1, "either": 7}"#, &[]);
    check(
        &contracts,
        r#"{"method": "card", "refund.id": 2, "order.id": 1, "card.no": 7, "items": [1, 1], "address": {"zap": "1"}, "either": "some"}"#,
        &[
            "items uniqueItems an array contracts/pay.json:9 quarantine",
            "items contains an array contracts/pay.json:9 quarantine",
            "address/zip required nothing contracts/pay.json:10 quarantine",
            "address/zap additionalProperties a string of 1 to 8 bytes contracts/pay.json:10 quarantine",
            "either anyOf a string of 1 to 8 bytes contracts/pay.json:11 quarantine",
            "card.brand required nothing contracts/pay.json:3 quarantine",
            "record oneOf an object contracts/pay.json:5 quarantine",
            "card.no type an integer contracts/pay.json:7 quarantine",
        ],
    );
    check(
        &contracts,
        r#"{"card.brand": "x", "order.id": 1}"#,
        &["record not an object contracts/pay.json:4 quarantine", "items dependentRequired nothing contracts/pay.json:6 quarantine"],
    );
}

#[test]
fn nothing_but_what_is_named_is_there_where_a_contract_is_closed() {
    let closed = r##"{"x-tyto": {"mode": "quarantine"}, "allOf": [{"properties": {"a": true}}], "properties": {"b": true, "body": {"minLength": 1}}, "unevaluatedProperties": false}"##;
    let contracts = [
        ("contracts/pay.json", closed),
        ("contracts/cards.json", r#"{"x-tyto": {"mode": "quarantine"}, "properties": {"a": true}, "additionalProperties": false}"#),
    ];
    check(&contracts, r#"{"a": 1, "b": 2, "@body": "x"}"#, &[]);
    check(
        &contracts,
        r#"{"a": 1, "c": 2}"#,
        &[
            "body minLength an empty string contracts/pay.json:1 quarantine",
            "c unevaluatedProperties an integer contracts/pay.json:1 quarantine",
        ],
    );
    check(&contracts, r#"{"@service": "cards", "a": 1}"#, &[]);
    check(&contracts, r#"{"@service": "cards", "b": 1}"#, &["b additionalProperties an integer contracts/cards.json:1 quarantine"]);
}

#[derive(Default)]
struct Shard(Mutex<Vec<Placed>>);

#[async_trait::async_trait]
impl model::Ingest<Placed> for Shard {
    async fn ingest(&self, batch: Placed) -> Result<model::Ack> {
        self.0.lock().push(batch);
        Ok(model::Ack::default())
    }
}

fn send(contract: &str, records: &[&str]) -> (model::Ack, Vec<Placed>) {
    send_under(&[("contracts/pay.json", contract), ("contracts/cards.json", "{}")], records)
}

fn send_under(contracts: &[(&str, &str)], records: &[&str]) -> (model::Ack, Vec<Placed>) {
    let shard = Arc::new(Shard::default());
    let live = Arc::new(catalog::Live::of(catalog(contracts)));
    let pipeline = Pipeline::new(live, CardinalityLimits::default(), Arc::new(|| 7), shard.clone());
    let ack = futures::executor::block_on(model::Ingest::ingest(&pipeline, logs(records))).unwrap();
    let placed = std::mem::take(&mut *shard.0.lock());
    (ack, placed)
}

fn texts(records: &arrow::array::RecordBatch, name: &str) -> Vec<String> {
    let column: arrow::array::ArrayRef = model::origin::flat_column(records, name).unwrap();
    let column: &StringArray = column.as_any().downcast_ref().unwrap();
    (0..column.len()).map(|row| model::logs::text_or_empty(column, row).to_owned()).collect()
}

#[test]
fn the_strongest_mode_that_is_broken_decides() {
    let contract = r#"{"x-tyto": {"mode": "quarantine", "version": "2.1"}, "properties": {
      "a": {"type": "integer"}, "b": {"type": "integer", "x-tyto": {"mode": "reject"}}, "c": {"type": "integer", "x-tyto": {"mode": "observe"}}}}"#;
    let records = [
        r#"{"@body": "good", "a": 1}"#,
        r#"{"@body": "set aside", "a": "secret"}"#,
        r#"{"@body": "refused", "a": "x", "b": "y"}"#,
        r#"{"@body": "seen", "c": "z"}"#,
    ];
    let (ack, placed) = send(contract, &records);
    assert_eq!(placed.len(), 1, "one frame");
    assert_eq!((placed[0].table, texts(&placed[0].records, "body")), (Table::Logs, vec!["good".to_owned(), "seen".to_owned()]));
    let aside = placed[0].aside.as_ref().unwrap();
    assert_eq!(aside.schema(), Table::Quarantine.packed_schema());
    assert_eq!(texts(aside, "body"), ["set aside"]);
    assert_eq!((texts(aside, "state"), texts(aside, "contract_version")), (vec!["quarantined".to_owned()], vec!["2.1".to_owned()]));
    assert_eq!(texts(aside, "business_service"), ["pay"]);
    let told = &texts(aside, "violations")[0];
    assert!(
        told.contains(r#""path":"a","rule":"type","expected":"integer","found":"a string of 1 to 8 bytes""#) && !told.contains("secret"),
        "{told}"
    );
    assert_eq!(ack.refused.iter().map(|refused| refused.row).collect::<Vec<_>>(), [2]);
    let told: Vec<_> = ack.rejections.iter().map(|rejection| (rejection.records, rejection.field.as_str(), rejection.reason)).collect();
    assert_eq!(told, [(0, "a", "quarantined"), (1, "b", "contract_violation")]);
    assert!(
        ack.rejections[1].why.contains("breaks contract pay 2.1 (type, contracts/pay.json:2): expected integer, found"),
        "{:?}",
        ack.rejections
    );

    let (_, placed) = send(contract, &[records[1]]);
    assert_eq!((placed[0].table, placed[0].records.num_rows(), placed[0].aside.is_none()), (Table::Quarantine, 1, true));
    let (ack, placed) = send(contract, &[records[2]]);
    assert_eq!((placed[0].records.num_rows(), ack.refused.len()), (0, 1));
}

/// What owners are told of: all that is broken, by what happened to the record, with kinds in place of values.
#[test]
fn breaches_are_counted_for_those_who_tell_the_owners() {
    let contract = r#"{"x-tyto": {"mode": "quarantine", "version": "2.1"}, "additionalProperties": false, "properties": {
      "a": {"type": "integer"}, "b": {"type": "integer", "x-tyto": {"mode": "reject"}}, "c": {"type": "integer", "x-tyto": {"mode": "observe"}}}}"#;
    let records = [
        r#"{"a": 1}"#,
        r#"{"a": "secret"}"#,
        r#"{"a": "secret"}"#,
        r#"{"c": "secret"}"#,
        r#"{"b": "secret", "c": "secret"}"#,
        r#"{"odd": 1}"#,
        r#"{"@service": "cards", "a": "secret"}"#,
    ];
    let shard = Arc::new(Shard::default());
    let live = Arc::new(catalog::Live::of(catalog(&[("contracts/pay.json", contract), ("contracts/cards.json", "{}")])));
    let breaches = Arc::new(model::Breaches::default());
    let pipeline = Pipeline::new(live, CardinalityLimits::default(), Arc::new(|| 7), shard);
    let pipeline = pipeline.with_breaches(Some(breaches.clone()));
    futures::executor::block_on(model::Ingest::ingest(&pipeline, logs(&records))).unwrap();
    let counted = breaches.take();
    let lines = counted.breaches.iter().map(|(breach, broken)| {
        let model::ByMode { observed, quarantined, rejected } = broken.records;
        assert_eq!((breach.business_service.as_str(), breach.service.as_str(), breach.contract.as_str()), ("pay", "", "pay"));
        // Of several records any may be the sample.
        let found = &broken.sample[&breach.path];
        format!("{} {} {}: {observed} {quarantined} {rejected}, {found}", breach.path, breach.rule, broken.at)
    });
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    let expected = [
        "a type contracts/pay.json:2: 0 2 0, a string of 1 to 8 bytes",
        "b type contracts/pay.json:2: 0 0 1, a string of 1 to 8 bytes",
        "c type contracts/pay.json:2: 1 0 1, a string of 1 to 8 bytes",
        "odd additionalProperties contracts/pay.json:1: 0 1 0, an integer",
    ];
    assert_eq!(lines, expected);
    assert_eq!(counted.left_out, 0);

    let many: Vec<String> = (0..100).map(|number| format!(r#"{{"name {number}": 1}}"#)).collect();
    futures::executor::block_on(model::Ingest::ingest(&pipeline, logs(&many.iter().map(String::as_str).collect::<Vec<_>>()))).unwrap();
    let counted = breaches.take();
    assert_eq!((counted.breaches.len(), counted.left_out), (64, 36), "of one batch");
}

#[test]
fn records_without_a_contract_pass_as_they_are() {
    let (_, placed) = send(r#"{"x-tyto": {"mode": "reject"}, "required": ["a"]}"#, &[r#"{"@service": "cards", "b": 1}"#]);
    assert_eq!((placed[0].records.num_rows(), placed[0].aside.is_none()), (1, true));
}

/// Whatever the modes: stored, set aside and refused are what was sent, of each identity, and a share of them goes the same way each time.
#[test]
fn nothing_is_lost_on_the_way() {
    let records: Vec<String> = (0..2000)
        .map(|at| {
            let service = if at % 3 == 0 { r#""@service": "cards", "# } else { "" };
            let value = if at % 7 == 0 { "\"x\"".to_owned() } else { at.to_string() };
            format!(r#"{{{service}"@body": "line {at}", "a": {value}, "b": {}}}"#, at % 11)
        })
        .collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let mut last = None;
    for (mode, percent) in [("observe", 100), ("quarantine", 100), ("quarantine", 30), ("reject", 100), ("reject", 30), ("quarantine", 30)]
    {
        let contract = format!(
            r#"{{"x-tyto": {{"mode": "{mode}", "percent": {percent}}}, "properties": {{"a": {{"type": "integer"}}, "b": {{"maximum": 8}}}}}}"#
        );
        let (ack, placed) = send(&contract, &records);
        let services = |records: &arrow::array::RecordBatch| texts(records, "service").iter().filter(|service| *service == "cards").count();
        let stored = (placed[0].records.num_rows(), services(&placed[0].records));
        let aside = placed[0].aside.as_ref().map_or((0, 0), |aside| (aside.num_rows(), services(aside)));
        let refused = ack.refused.len();
        assert_eq!(ack.rejections.iter().map(|rejection| rejection.records).sum::<u64>(), refused as u64);
        assert_eq!(stored.0 + aside.0 + refused, records.len(), "{mode} {percent}");
        assert_eq!(stored.1 + aside.1, 667, "cards has another contract");
        let broken = (0..2000).filter(|at| at % 3 != 0 && (at % 7 == 0 || at % 11 > 8)).count();
        match (mode, percent) {
            ("observe", _) => assert_eq!(stored.0, 2000),
            (_, 100) => assert_eq!(aside.0 + refused, broken),
            _ => {
                assert!((broken / 5..broken / 2).contains(&(aside.0 + refused)), "{} of {broken}", aside.0 + refused);
                last.get_or_insert(aside.0 + refused);
                assert_eq!(last, Some(aside.0 + refused), "the same records each time");
            }
        }
        let mut ids = placed[0].aside.as_ref().map(|aside| texts(aside, "quarantine_id")).unwrap_or_default();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), aside.0, "an id each");
    }
}

/// Of every identity what came is stored, set aside, refused or dropped by a rule, whatever the pipelines, the contracts and the records are; each record
/// once, and nobody else's.
#[test]
fn nothing_is_lost_between_pipelines_and_contracts() {
    const STAGES: [&str; 8] = [
        "drop: {when: '.attributes.b == 3', reason: three}",
        "sample: 0.5",
        "sample: {keep: 0.4, by: trace}",
        "dedupe: 10s",
        "vrl: 'del(.attributes.a)'",
        "vrl: '.attributes.a = to_string!(.attributes.b)'",
        "mask: {kinds: [secrets, card, email, phone, iban], fields: [b]}",
        "event: seen",
    ];
    const RULES: [&str; 6] = [
        r#""a": {"type": "integer"}"#,
        r#""a": {"type": "integer", "x-tyto": {"mode": "reject"}}"#,
        r#""b": {"maximum": 8}"#,
        r#""b": {"type": "integer", "maximum": 6, "x-tyto": {"mode": "observe"}}"#,
        r#""trace_id": {"pattern": "^[0-9a-f]{32}$"}"#,
        r#""event_name": {"not": {"const": "seen"}}"#,
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut fates = [0; 4];
    for seed in 1..=150u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let stages: Vec<String> =
            (0..2).map(|_| (0..1 + next(3)).map(|_| format!("  - {}\n", STAGES[next(STAGES.len())])).collect()).collect();
        let rules: Vec<&str> = RULES.into_iter().filter(|_| next(2) == 0).collect();
        let (mode, percent) = (["observe", "quarantine", "reject"][next(3)], [100, 40][next(2)]);
        let contract = format!(
            r#"{{"x-tyto": {{"mode": "{mode}", "percent": {percent}}}, "required": ["a"], "allOf": [{}]}}"#,
            rules.iter().map(|rule| format!(r#"{{"properties": {{{rule}}}}}"#)).collect::<Vec<_>>().join(",")
        );
        let of_cards = format!("name: cards\nmatch: {{service: cards}}\nstages:\n{}", stages[0]);
        let of_all = format!("name: all\nmatch: {{when: 'true'}}\nstages:\n{}", stages[1]);
        let files = [
            ("contracts/pay.json", contract.as_str()),
            ("contracts/cards.json", r#"{"x-tyto": {"mode": "quarantine"}, "properties": {"b": {"minimum": 2}}}"#),
            ("pipelines/cards.yaml", &of_cards),
            ("pipelines/all.yaml", &of_all),
        ];
        let records: Vec<String> = (0..next(120))
            .map(|at| {
                let service = if next(3) == 0 { r#""@service": "cards", "# } else { "" };
                let trace = ["", "xyz", "4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000001"][next(4)];
                let a = if next(7) == 0 { "\"x\"".to_owned() } else { next(4).to_string() };
                format!(r#"{{{service}"@body": "line {at}", "@trace": "{trace}", "a": {a}, "b": {}}}"#, next(11))
            })
            .collect();
        let lines: Vec<&str> = records.iter().map(String::as_str).collect();
        let is_cards = |at: usize| lines[at].contains("cards");

        let shard = Arc::new(Shard::default());
        let pipeline =
            Pipeline::new(Arc::new(catalog::Live::of(catalog(&files))), CardinalityLimits::default(), Arc::new(|| 7), shard.clone());
        let ack = runtime.block_on(model::Ingest::ingest(&pipeline, logs(&lines))).unwrap();
        let mut seen = vec![0u32; lines.len()];
        // What became of those of `cards`, and of the others: stored, set aside, refused, dropped.
        let mut found = [[0u64; 4]; 2];
        for placed in &*shard.0.lock() {
            // Where nothing is left to store, what is set aside comes alone.
            let stored = usize::from(placed.table == Table::Quarantine);
            for (fate, records) in [(stored, Some(&placed.records)), (1, placed.aside.as_ref())] {
                let Some(records) = records else { continue };
                for (body, service) in texts(records, "body").into_iter().zip(texts(records, "service")) {
                    let at: usize = body.strip_prefix("line ").unwrap().parse().unwrap();
                    assert_eq!(service == "cards", is_cards(at), "seed {seed}: {body} is another's");
                    seen[at] += 1;
                    found[usize::from(is_cards(at))][fate] += 1;
                }
            }
        }
        for refused in &ack.refused {
            seen[refused.row] += 1;
            found[usize::from(is_cards(refused.row))][2] += 1;
        }
        assert_eq!(ack.rejections.iter().map(|rejection| rejection.records).sum::<u64>(), ack.refused.len() as u64);
        for count in model::Pipelines::counts(&pipeline).into_iter().filter(|count| count.what == "dropped") {
            found[usize::from(count.service == "cards")][3] += count.count;
        }
        assert!(seen.iter().all(|times| *times <= 1), "seed {seed}: {seen:?}");
        for (of, found) in found.into_iter().enumerate() {
            let came = (0..lines.len()).filter(|at| usize::from(is_cards(*at)) == of).count() as u64;
            assert_eq!(found.iter().sum::<u64>(), came, "seed {seed}: {found:?} under {contract} and {stages:?}");
            fates.iter_mut().zip(found).for_each(|(all, found)| *all += found);
        }
        let usage = pipeline.usage().usage();
        let booked = |table: Table| usage.iter().filter(|(_, of, _)| *of == table).map(|(.., usage)| usage.records).sum::<u64>();
        assert_eq!(booked(Table::Logs) + booked(Table::Quarantine), found[0][0] + found[0][1] + found[1][0] + found[1][1], "seed {seed}");
    }
    assert!(fates.iter().all(|count| *count > 300), "each happens: {fates:?}");
}
