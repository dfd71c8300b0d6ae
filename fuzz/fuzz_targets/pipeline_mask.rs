#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const PIPELINE: &str = "
name: one
match: {service: a}
stages:
  - mask: {kinds: [secrets, card, email, phone, iban], fields: [patient.name, diagnosis]}
";

fn hidden(records: &[Value]) -> Vec<Value> {
    let trial = pipeline::try_draft("pipelines/one.yaml", PIPELINE, &[], records, None, 0).expect("a trial");
    assert!(trial.problems.is_empty());
    trial.records.into_iter().map(|tried| tried.after.expect("a mask drops nothing")).collect()
}

// Whatever a record says: what is hidden stays as it is when it is hidden again, and JSON stays JSON.
fuzz_target!(|text: &str| {
    let once = hidden(&[json!({"body": text, "attributes": {"a": text, "password": text}})]);
    assert_eq!(hidden(&once), once);
    if serde_json::from_str::<Value>(text).is_ok_and(|json| json.is_object()) {
        let body = once[0]["body"].as_str().expect("a body is text");
        assert!(serde_json::from_str::<Value>(body).is_ok(), "{body}");
    }
});
