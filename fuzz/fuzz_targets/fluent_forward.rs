#![no_main]

#[path = "../rules.rs"]
mod rules;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    rules::check(|body, rules| receive::fluent::decode_fluent(body, rules).map(|forwarded| forwarded.decoded), body);
});
