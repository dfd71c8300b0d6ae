#![no_main]

#[path = "../rules.rs"]
mod rules;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    rules::check(receive::syslog::decode_syslog_stream, body);
});
