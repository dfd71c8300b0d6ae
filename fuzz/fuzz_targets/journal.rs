#![no_main]

#[path = "../rules.rs"]
mod rules;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    rules::check(|body, rules| receive::journal::decode_journal(body, 0, rules), body);
});
