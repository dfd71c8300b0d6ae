#![no_main]

use libfuzzer_sys::fuzz_target;

// A pipeline and a look-up table as CSV and as JSON, a NUL between them: it is refused with a reason, or it runs.
fuzz_target!(|text: &str| {
    const FILE: &str = "pipelines/one.yaml";
    let mut parts = text.split('\0');
    let pipeline = parts.next().unwrap_or_default();
    let tables: Vec<_> = ["pipelines/tables/a.csv", "pipelines/tables/a.json"].into_iter().zip(parts).collect();
    let records = [serde_json::json!({"body": "level=info user=ann@example.com", "attributes": {"a": 1}}), "line".into()];
    let trial = pipeline::try_draft(FILE, pipeline, &tables, &records, None, 0).expect("a trial of two records");
    assert_eq!(trial.problems.is_empty(), catalog::draft(FILE, pipeline, &tables).is_ok(), "a trial and the catalogue agree");
    assert_eq!(trial.records.len(), if trial.problems.is_empty() { 2 } else { 0 });
});
