#![no_main]

#[path = "../rules.rs"]
mod rules;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    rules::check(|body, rules| receive::remote_write::decode_remote_write_2(body, rules), body);
});
