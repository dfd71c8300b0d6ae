#![no_main]

use libfuzzer_sys::fuzz_target;

// The first byte says how many rows the only row group has, in eights of a block.
fuzz_target!(|bytes: &[u8]| {
    let Some((blocks, filter)) = bytes.split_first() else { return };
    store::fuzzed::block_filter(filter, usize::from(*blocks) * 1024);
});
