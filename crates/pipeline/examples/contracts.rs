//! What a contract of ten fields costs a record that keeps it, beside the rest of the pipeline: `cargo run --release --example contracts`.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use catalog::{Catalog, Live};
use model::logs::{LogRow, LogsBuilder};
use model::{Ack, AttributeValue, Attributes, Decoded, Ingest, Placed, Result, Table};
use pipeline::{CardinalityLimits, Pipeline};

const RECORDS: usize = 5_000;
const ROUNDS: usize = 40;

struct Nowhere;

#[async_trait]
impl Ingest<Placed> for Nowhere {
    async fn ingest(&self, batch: Placed) -> Result<Ack> {
        assert!(batch.aside.is_none(), "the records keep their contract");
        Ok(Ack::default())
    }
}

fn batch() -> Decoded {
    let mut builder = LogsBuilder::default();
    let mut resource = Attributes::default();
    resource.set("omd.business_service", AttributeValue::Text("pay"));
    for at in 0..RECORDS {
        let mut push = |key: &str, value: AttributeValue<'_>| assert!(builder.attributes.push(key, value));
        push("payment.method", AttributeValue::Text(["card", "wallet", "voucher"][at % 3]));
        push("payment.amount", AttributeValue::Double(at as f64 / 8.0));
        push("payment.currency", AttributeValue::Text("EUR"));
        push("member.id", AttributeValue::Int(at as i64));
        push("http.request.method", AttributeValue::Text("GET"));
        push("http.response.status_code", AttributeValue::Int(200));
        push("http.route", AttributeValue::Text("/api/v1/payments/{id}"));
        push("duration_ms", AttributeValue::Double(12.5));
        push("retry", AttributeValue::Bool(false));
        push("order.id", AttributeValue::Text("7f1d2c1e-0000-4000-8000-000000000001"));
        let row = LogRow { time_unix_nano: at as i64, body: "payment taken", severity_text: "INFO", ..LogRow::default() };
        builder.push(&row, &resource, &Attributes::default());
    }
    Decoded::new(Table::Logs, builder.finish_packed(), "bench")
}

const CONTRACT: &str = r#"{"x-tyto": {"mode": "quarantine"}, "required": ["payment.method", "order.id", "duration_ms"], "properties": {
  "payment.method": {"type": "string", "enum": ["card", "wallet", "voucher", "direct_debit"]},
  "payment.amount": {"type": "number", "minimum": 0},
  "payment.currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
  "member.id": {"type": "integer"},
  "http.request.method": {"type": "string", "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]},
  "http.response.status_code": {"type": "integer", "minimum": 100, "maximum": 599},
  "http.route": {"type": "string", "maxLength": 200},
  "duration_ms": {"type": "number", "minimum": 0},
  "retry": {"type": "boolean"},
  "order.id": {"type": "string", "format": "uuid"}}}"#;

/// Nanoseconds a record, of the fastest round: others share the machine.
fn measure(omd: &str) -> f64 {
    let catalog = Catalog::parse(&[("omd.yaml", omd), ("contracts/pay.json", CONTRACT)]).unwrap();
    let pipeline = Pipeline::new(Arc::new(Live::of(catalog)), CardinalityLimits::default(), Arc::new(|| 0), Arc::new(Nowhere));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let batch = batch();
    let once = || {
        let (batch, begun) = (batch.clone(), Instant::now());
        runtime.block_on(pipeline.ingest(batch)).unwrap();
        begun.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(|_| once()).fold(f64::INFINITY, f64::min) * 1e9 / RECORDS as f64
}

fn main() {
    let without = measure("business_services: [{name: pay, owners: [{team: till}]}]");
    let with = measure("business_services: [{name: pay, owners: [{team: till}], contract: pay}]");
    println!("{without:.0} ns a record without a contract, {with:.0} ns with one of ten fields: {:.0} ns for it", with - without);
}
