//! A contract, and the record that it judges: nothing that a team writes and nothing that a program sends loses a record.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use model::logs::{LogRow, LogsBuilder};
use model::{Ack, AttributeType, AttributeValue, Attributes, Decoded, Ingest, Placed, Result, Table};
use pipeline::{CardinalityLimits, Pipeline};
use serde_json::Value;

const OMD: &str = "business_services: [{name: pay, owners: [{team: till}], contract: one}]";

/// Counts what is stored and what is set aside.
#[derive(Default)]
struct Shard(std::sync::atomic::AtomicUsize);

#[async_trait::async_trait]
impl Ingest<Placed> for Shard {
    async fn ingest(&self, batch: Placed) -> Result<Ack> {
        let aside = batch.aside.map_or(0, |aside| aside.num_rows());
        self.0.fetch_add(batch.records.num_rows() + aside, std::sync::atomic::Ordering::Relaxed);
        Ok(Ack::default())
    }
}

fuzz_target!(|text: &str| {
    let mut parts = text.split('\0');
    let files = [("omd.yaml", OMD), ("contracts/one.json", parts.next().unwrap_or_default())];
    let Ok(catalog) = catalog::Catalog::parse(&files) else { return };
    let mut builder = LogsBuilder::default();
    let mut resource = Attributes::default();
    resource.set("omd.business_service", AttributeValue::Text("pay"));
    let mut records = 0;
    for body in parts.take(20) {
        if let Ok(Value::Object(record)) = serde_json::from_str(body) {
            for (key, value) in &record {
                match value {
                    Value::Bool(value) => builder.attributes.push(key, AttributeValue::Bool(*value)),
                    Value::Number(number) => match number.as_i64() {
                        Some(value) => builder.attributes.push(key, AttributeValue::Int(value)),
                        None => builder.attributes.push(key, AttributeValue::Double(number.as_f64().unwrap_or(f64::NAN))),
                    },
                    Value::String(value) => builder.attributes.push(key, AttributeValue::Text(value)),
                    other => builder.attributes.push(key, AttributeValue::Encoded(AttributeType::Map, &other.to_string())),
                };
            }
        }
        let severity_text = body.get(..4).unwrap_or_default();
        builder.push(&LogRow { body, severity_text, trace_id: body, ..LogRow::default() }, &resource, &Attributes::default());
        records += 1;
    }
    let shard = Arc::new(Shard::default());
    let live = Arc::new(catalog::Live::of(catalog));
    let pipeline = Pipeline::new(live, CardinalityLimits::default(), Arc::new(|| 7), shard.clone());
    let batch = Decoded::new(Table::Logs, builder.finish_packed(), "fuzz");
    let ack = futures::executor::block_on(pipeline.ingest(batch)).expect("a shard that takes all");
    assert_eq!(shard.0.load(std::sync::atomic::Ordering::Relaxed) + ack.refused.len(), records, "each is stored, set aside or refused");
});
