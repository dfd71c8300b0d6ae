#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|stream: &[u8]| store::fuzzed::wal_rows(stream));
