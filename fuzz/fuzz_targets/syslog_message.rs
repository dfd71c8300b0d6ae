#![no_main]

#[path = "../rules.rs"]
mod rules;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    rules::check(|body, rules| receive::syslog::decode_syslog(std::iter::once((body, None)), rules), body);
});
