#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;

// Any program is refused with a reason, or ends in its time and leaves a record that can be stored.
fuzz_target!(|text: &str| {
    let indented: String = text.lines().map(|line| format!("      {line}\n")).collect();
    let pipeline = format!("name: one\nmatch: {{service: a}}\nstages:\n  - vrl: |\n{indented}");
    let records = [serde_json::json!({"body": "{\"a\": [1, \"x\"]}", "attributes": {"a": 1, "b": "text"}})];
    let begun = Instant::now();
    let trial = pipeline::try_draft("pipelines/one.yaml", &pipeline, &[], &records, None, 0).expect("a trial of one record");
    assert!(begun.elapsed() < Duration::from_secs(10), "a program is stopped");
    assert_eq!(trial.records.len(), usize::from(trial.problems.is_empty()));
});
