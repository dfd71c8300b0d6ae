#![no_main]

#[path = "../rules.rs"]
mod rules;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    rules::check(|body, rules| receive::jaeger::decode_jaeger_proto(body, rules), body);
});
