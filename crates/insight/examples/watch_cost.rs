//! What it costs to watch spans: nanoseconds for each, and the samples that come of them. `cargo run --release --example watch_cost`.

use std::time::Instant;

use insight::{SpanOptions, SpanWatch};
use model::ReceiveLimits;
use prost::Message;
use receive::Rules;
use sim::estate::Estate;

const START: u64 = 1_760_000_000;
const SECONDS: u64 = 120;

fn main() {
    let mut estate = Estate::new(3, 300);
    let limits = ReceiveLimits::default();
    let mut watch = SpanWatch::new(&SpanOptions::default(), 0);
    let (mut spans, mut watched, mut emitted, mut rows, mut emissions) = (0, 0, 0, 0, 0);
    for second in START..START + SECONDS {
        let now_ms = second as i64 * 1000;
        let rules = Rules { limits: &limits, now_unix_nano: now_ms * 1_000_000, protocol: "example" };
        let batches: Vec<_> = estate
            .second(second)
            .iter()
            .map(|request| receive::otlp::decode_traces(&request.encode_to_vec(), &rules).expect("spans").records)
            .collect();
        let started = Instant::now();
        for batch in &batches {
            spans += batch.num_rows();
            watch.take(batch, now_ms).expect("canonical spans");
        }
        watched += started.elapsed().as_nanos();
        if second % 15 == 0 {
            let started = Instant::now();
            rows += watch.emit(now_ms).iter().map(|batch| batch.records.num_rows()).sum::<usize>();
            emitted += started.elapsed().as_micros();
            emissions += 1;
        }
    }
    println!(
        "{spans} spans: {} ns each; an emission has {} series and takes {} us",
        watched / spans as u128,
        rows / emissions,
        emitted / emissions as u128
    );
}
