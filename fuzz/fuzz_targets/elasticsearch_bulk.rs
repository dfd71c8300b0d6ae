#![no_main]

#[path = "../rules.rs"]
mod rules;

use libfuzzer_sys::fuzz_target;
use receive::elastic::decode_bulk;

fuzz_target!(|body: &[u8]| {
    rules::check(
        |body, rules| {
            let (decoded, answer) = decode_bulk(body, Some("logs"), None, rules)?.answer(0);
            assert!(answer.ends_with("]}"), "an answer is whole");
            Ok(decoded)
        },
        body,
    );
});
