#![no_main]

#[path = "../rules.rs"]
mod rules;

use libfuzzer_sys::fuzz_target;
use receive::scrape::{Format, decode_exposition};

fuzz_target!(|body: &[u8]| {
    rules::check(|body, rules| decode_exposition(body, Format::PrometheusText, rules), body);
});
