#![no_main]

#[path = "../rules.rs"]
mod rules;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    rules::check(|body, rules| receive::json_lines::decode_json_lines(body, receive::json_lines::Form::Text, &[], rules), body);
});
