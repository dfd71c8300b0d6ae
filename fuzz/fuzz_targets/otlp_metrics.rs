#![no_main]

#[path = "../rules.rs"]
mod rules;

use libfuzzer_sys::fuzz_target;
use receive::otlp::DeltaState;

fuzz_target!(|body: &[u8]| {
    rules::check(|body, rules| receive::otlp::decode_metrics(body, rules, &DeltaState::default()), body);
});
